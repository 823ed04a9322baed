"""A league: members of now and before train, those most that train well.

A rule that trains models well need not train rules well, so teachers are not
chosen by their score but by what their students gained. Past members stay in
play as in a hall of fame (Rosin and Belew 1997, "New methods for competitive
coevolution") or the league of AlphaStar (Vinyals et al. 2019).
"""

import dataclasses

import numpy as np

from keras_lopt.checks import check_integer, check_number
from keras_lopt.population.teachers import DrawnTeachers, Teachers

FIRST_MERIT = 0.5  # Of everyone, before any has trained anybody.
LEAST_CHANCE = 1e-3  # Next to a merit of 1: nobody is given up for good.


@dataclasses.dataclass(frozen=True, kw_only=True)
class League(Teachers):
    """Members are trained by those of a league, drawn by their merit.

    The league begins with members of the start. The best member enters after
    every generation, in place of the one of least merit. Merit is a moving
    average of how the teacher's students ranked in their generation by what
    they gained: 1 for the most, 0 for one that was not accepted. A new one has
    the league's mean: merits fall as fewer are accepted, and above them all it
    would take the students of those that have proven themselves.

    A teacher's steps are as long as its rule makes them. A child's update
    multiplier is therefore mutated from that of a former student of its
    teacher: of the last generation in which one was accepted, the one that
    gained most. Where there was none it is mutated from its parent's.

    Args:
        size: Of the league.
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
            "thetas": np.pad(chosen.thetas[best], ((0, vacant), (0, 0))),
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
            # The weight of so many students one after the other.
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
        """The best member enters, unless it is in."""
        best = members.best
        if members.ids[best] in memory["ids"]:
            return
        vacant = memory["ids"] < 0
        merit = memory["merits"][~vacant].mean()
        place = np.argmin(np.where(vacant, -1.0, memory["merits"]))
        memory["thetas"][place] = members.thetas[best]
        memory["ids"][place] = members.ids[best]
        memory["merits"][place] = merit
        memory["multipliers"][place] = np.nan


def _ranks(gains):
    """[p]: the share of the others that gained less; 0 for a gain of -inf."""
    less = np.sum(gains[None, :] < gains[:, None], axis=1)
    ranks = less / (len(gains) - 1) if len(gains) > 1 else np.ones(1)
    return np.where(gains > -np.inf, ranks, 0.0)
