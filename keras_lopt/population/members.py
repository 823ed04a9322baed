"""The members of a population, stacked."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass
class Members:
    """State of all p members as NumPy arrays with a leading axis of p.

    Attributes:
        thetas: [p, d] float32.
        slots: Nest of [p, ...]; what a member's teacher remembers of it.
        slot_steps: [p] int32; outer steps since the slots were fresh.
        multipliers: [p]; the scale of each member's updates.
        scores: [p]; mean held-out loss on the scoring problems.
        train_losses: [p]; mean training loss on the same runs.
        task_scores: [p, t]; the scores on each task, which `scores` averages.
        ids: [p] int64; number of each theta, unique in a run.
        parents: [p] int64; id of the theta it came from, -1 at the start.
    """

    thetas: np.ndarray
    slots: Any
    slot_steps: np.ndarray
    multipliers: np.ndarray
    scores: np.ndarray
    train_losses: np.ndarray
    task_scores: np.ndarray
    ids: np.ndarray
    parents: np.ndarray

    @classmethod
    def initial(cls, thetas, slots, ids, tasks=1):
        """Members before training, not scored yet on the `tasks` tasks."""
        count = len(thetas)
        # Of the types that training gives them, so that a checkpoint of a
        # trained population fits a new one.
        unknown = np.full(count, np.inf, np.float32)
        return cls(
            thetas=thetas,
            slots=slots,
            slot_steps=np.zeros(count, np.int32),
            multipliers=np.ones(count),
            scores=unknown,
            train_losses=unknown,
            task_scores=np.tile(unknown[:, None], tasks),
            ids=np.asarray(ids, np.int64),
            parents=np.full(count, -1, np.int64),
        )

    def map(self, function, *others):
        """A new `Members` of function(own leaf, others' leaves...)."""

        def apply(*values):
            if isinstance(values[0], dict):
                return {k: apply(*(v[k] for v in values)) for k in values[0]}
            if isinstance(values[0], (list, tuple)):
                return [apply(*items) for items in zip(*values)]
            return function(*(np.asarray(v) for v in values))

        return Members(
            **{
                field.name: apply(
                    *(getattr(m, field.name) for m in (self, *others))
                )
                for field in dataclasses.fields(self)
            }
        )

    def take(self, sources):
        """Copies of the members `sources`, [p] indices."""
        return self.map(lambda leaf: leaf[sources])

    def replace_where(self, mask, children):
        """These members, replaced by `children` where `mask` [p] is True."""

        def choose(old, new):
            where = np.reshape(mask, [-1] + [1] * (old.ndim - 1))
            return np.where(where, new, old)

        return self.map(choose, children)

    def best_of(self, *others):
        """The best of these members and the others, as many as these are."""
        everyone = self.map(lambda *leaves: np.concatenate(leaves), *others)
        order = np.argsort(everyone.scores, kind="stable")
        return everyone.take(order[: len(self.scores)])

    @property
    def best(self):
        """Index of the member with the lowest score."""
        return int(np.argmin(self.scores))
