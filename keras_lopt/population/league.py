"""A league: current and past members teach, the best teachers most often.

A rule that trains models well need not teach rules well, so teachers are not
chosen by their score but by what their students gained. Past members remain,
as in a hall of fame (Rosin and Belew 1997, "New methods for competitive
coevolution") or the league of AlphaStar (Vinyals et al. 2019).
"""

import dataclasses

import numpy as np

from keras_lopt.checks import check_integer, check_number
from keras_lopt.population.teachers import DrawnTeachers, Teachers

FIRST_MERIT = 0.5  # Of everyone, before anyone has taught.
LEAST_CHANCE = 1e-3  # Added to merit^sharpness: everyone keeps a chance.


@dataclasses.dataclass(frozen=True, kw_only=True)
class League(Teachers):
    """Members draw their teachers from a league, by merit.

    The league begins with the best of the first members. After every
    generation the best member enters, in place of the one with the least
    merit. Merit is a moving average of how a teacher's students ranked in
    their generation by what they gained: 1 for the most, 0 for a child that
    was not accepted. A member that enters gets the league's mean merit. Merits
    fall as fewer children are accepted; with a merit above them all, it would
    take the students of teachers that have proven themselves.

    Teachers' steps differ in length. A child's update multiplier is therefore
    mutated from that of a former student of its teacher: the one that gained
    most in the last generation in which such a student was accepted. Before
    there is one, it is mutated from that of the child's parent.

    Args:
        size: Number of places in the league.
        sharpness: A teacher's chance is in proportion to merit^sharpness.
        memory_rate: Weight of a new student in the moving average.
    """

    size: int = 8
    sharpness: float = 3.0
    memory_rate: float = 0.3

    def __post_init__(self):
        super().__post_init__()
        check_integer("size", self.size, 1)
        check_number("sharpness", self.sharpness, "[0, inf)")
        check_number("memory_rate", self.memory_rate, "(0, 1]")

    def begin(self, drawn, chosen):
        del drawn
        count = min(self.size, len(chosen.ids))
        best = np.argsort(chosen.scores, kind="stable")[:count]
        vacant = self.size - count
        return {
            "thetas": np.pad(chosen.averages[best], ((0, vacant), (0, 0))),
            "ids": np.pad(chosen.ids[best], (0, vacant), constant_values=-1),
            "merits": np.pad(np.full(count, FIRST_MERIT), (0, vacant)),
            "multipliers": np.full(self.size, np.nan),
        }

    def draw(self, members, memory, rng):
        chances = memory["merits"] ** self.sharpness + LEAST_CHANCE
        chances = np.where(memory["ids"] >= 0, chances, 0.0)
        count = len(members.ids)
        drawn = rng.choice(self.size, count, p=chances / chances.sum())
        return DrawnTeachers(
            memory["thetas"][drawn],
            memory["ids"][drawn],
            memory["multipliers"][drawn],
        )

    def learn(self, memory, teachers, children, gains, members):
        memory = {k: v.copy() for k, v in memory.items()}
        ranks = _ranks(gains)
        for i in set(teachers.ids):
            place = np.flatnonzero(memory["ids"] == i)[0]
            students = np.flatnonzero(teachers.ids == i)
            # The weight of this many students, one after the other.
            weight = 1.0 - (1.0 - self.memory_rate) ** len(students)
            merit = memory["merits"][place]
            merit += weight * (ranks[students].mean() - merit)
            memory["merits"][place] = merit
            best = students[np.argmax(gains[students])]
            if gains[best] > -np.inf:
                memory["multipliers"][place] = children.multipliers[best]
        self._enter(memory, members)
        return memory

    def _enter(self, memory, members):
        """Lets the best member enter, unless it is in already."""
        best = members.best
        if members.ids[best] in memory["ids"]:
            return
        vacant = memory["ids"] < 0
        merit = memory["merits"][~vacant].mean()
        place = np.argmin(np.where(vacant, -1.0, memory["merits"]))
        memory["thetas"][place] = members.averages[best]
        memory["ids"][place] = members.ids[best]
        memory["merits"][place] = merit
        memory["multipliers"][place] = np.nan


def _ranks(gains):
    """[p]: the share of the others that gained less; 0 for a gain of -inf."""
    less = np.sum(gains[None, :] < gains[:, None], axis=1)
    ranks = less / (len(gains) - 1) if len(gains) > 1 else np.ones(1)
    return np.where(gains > -np.inf, ranks, 0.0)
