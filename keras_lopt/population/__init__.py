"""The population: its members, and decisions about them, in NumPy.

Selection, mutation and the choice of teachers are pure functions of scores
and a random generator; the population trainer applies what they decide.
"""

from keras_lopt.population.league import League
from keras_lopt.population.members import Members
from keras_lopt.population.mutation import (
    Grid,
    LogNormal,
    Mutation,
    NoMutation,
    Perturb,
)
from keras_lopt.population.selection import (
    Elitist,
    NoSelection,
    Selection,
    Truncation,
    WinnerTakeAll,
)
from keras_lopt.population.teachers import (
    DrawnTeachers,
    FixedTeacher,
    FrozenTeachers,
    SelfTraining,
    Teachers,
)

__all__ = [
    "DrawnTeachers",
    "Elitist",
    "FixedTeacher",
    "FrozenTeachers",
    "Grid",
    "League",
    "LogNormal",
    "Members",
    "Mutation",
    "NoMutation",
    "NoSelection",
    "Perturb",
    "Selection",
    "SelfTraining",
    "Teachers",
    "Truncation",
    "WinnerTakeAll",
]
