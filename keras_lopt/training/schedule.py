"""How often things happen in training, and how many of them there are."""

import dataclasses

from keras_lopt.checks import check_integer


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
        score_problems: Whole problems of each task that a member is scored on.
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

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_integer(field.name, getattr(self, field.name), 1)


def check_generations(generations):
    """Raises ValueError unless it is a number of generations."""
    check_integer("generations", generations, 0)
