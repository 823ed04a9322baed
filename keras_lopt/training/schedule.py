"""How often things happen in training, and how many of them there are."""

import dataclasses

from keras_lopt.checks import check_integer, check_number, check_numbers


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How often things happen, and how many of them there are.

    Args:
        population: Number of members, p.
        candidates: Random thetas per member, scored before training: the best p
            of candidates * p become the members. The best rule of a random
            population may do nothing, and then it teaches nobody: without a
            choice among many, some seeds never start.
        outer_steps: Outer steps per generation.
        averaging: Weight of the newest theta in its running mean, which is
            what is scored and teaches; 1.0: there is no mean.
        tasks_per_step: Tasks of a mixture that each outer step averages over.
        score_problems: Whole problems of each task that a member is scored on.
        score_horizons: Inner steps of these, one or more horizons that a score
            is the mean over; default: the estimator's longest.
        hidden_score_horizons: More of them, that the rule is not told. With
            these, `score_horizons` may be ().
        score_train_weight: Weight of the training losses in a score; the rest
            is that of data that no gradient sees.
        redraw_every: Generations after which the scoring problems are drawn
            anew and everyone is scored again.
        outer_horizon: Outer steps that teachers plan with, where their rule
            has a horizon (`velo`, `celo`): those of the whole training.
    """

    population: int = 8
    candidates: int = 8
    outer_steps: int = 25
    score_problems: int = 16
    redraw_every: int = 20
    outer_horizon: int = 1000
    averaging: float = 1.0
    tasks_per_step: int = 1
    score_horizons: tuple[int, ...] | None = None
    hidden_score_horizons: tuple[int, ...] = ()
    score_train_weight: float = 0.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if field.type is int:
                check_integer(field.name, getattr(self, field.name), 1)
        check_number("averaging", self.averaging, "(0, 1]")
        check_number("score_train_weight", self.score_train_weight, "[0, 1]")
        has_hidden = self.hidden_score_horizons != ()
        may_be_empty = self.score_horizons == () and has_hidden
        if self.score_horizons is not None and not may_be_empty:
            _check_horizons("score_horizons", self.score_horizons)
        if has_hidden:
            _check_horizons("hidden_score_horizons", self.hidden_score_horizons)


def _check_horizons(name, horizons):
    check_numbers(name, horizons, "[1, inf)")
    for steps in horizons:
        check_integer(name, steps, 1)


def check_generations(generations):
    """Raises ValueError unless it is a number of generations."""
    check_integer("generations", generations, 0)
