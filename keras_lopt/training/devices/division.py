"""How replicas share the work of an outer step: by pairs, then by members.

With a pairs and b members for each, replica r has the pairs from
a * (r mod pair_parts) on and the members from b * (r div pair_parts) on. As
few parts of the members as possible: replicas that share members have their
meta-gradients averaged; those of other members are put side by side.
"""

import dataclasses
import functools
import math

import numpy as np
import tensorflow as tf

from keras_lopt.estimators import EstimatorState

#: Axes of the members and of the pairs in each part of an `EstimatorState`;
#: None: it has none, and is the same for all members, or pairs.
_AXES = EstimatorState(
    inner=(0, 1),
    noise=(0, 1),
    seeds=(None, 0),
    horizons=(None, 0),
    steps=(None, 0),
    ends=(None, 0),
    squares=(0, None),
)


@dataclasses.dataclass(frozen=True)
class Division:
    """The shares of `member_parts * pair_parts` replicas.

    Args:
        members, pairs, problems: Members, antithetic pairs and scoring problems
            of one replica.
        member_parts, pair_parts: In how many parts the members, and the pairs
            and problems, are.
    """

    members: int
    pairs: int
    problems: int
    member_parts: int = 1
    pair_parts: int = 1

    @classmethod
    def of(cls, replicas, experiment):
        """The division of an experiment's work.

        Args:
            replicas: Their number.
            experiment: An `Experiment`.

        Raises:
            ValueError: The work can't be divided into equal shares.
        """
        pairs = experiment.estimator.pairs
        problems = experiment.schedule.score_problems
        members = experiment.schedule.population
        pair_parts = math.gcd(replicas, pairs, problems)
        member_parts = replicas // pair_parts
        if members % member_parts:
            raise ValueError(
                "`pairs` and `score_problems` must be divisible by the number "
                f"of replicas, {replicas}, or by a factor of it whose other "
                "factor divides `population`. Received: "
                f"pairs={pairs}, score_problems={problems}, "
                f"population={members}"
            )
        return cls(
            members // member_parts,
            pairs // pair_parts,
            problems // pair_parts,
            member_parts,
            pair_parts,
        )

    def __str__(self):
        return f"{self.members} members and {self.pairs} pairs on each replica"

    # Numbers, from that of the replica: an integer or an int32 scalar.

    def first_member(self, replica):
        return self.members * (replica // self.pair_parts)

    def first_pair(self, replica):
        return self.pairs * (replica % self.pair_parts)

    def first_problem(self, replica):
        return self.problems * (replica % self.pair_parts)

    # Tensors, in the context of a replica.

    def own(self, values):
        """A replica's members' part of [p, ...]."""
        if self.member_parts == 1:
            return values
        replica = _context().replica_id_in_sync_group
        start = [self.first_member(replica), *[0] * (values.shape.rank - 1)]
        return tf.slice(values, start, [self.members, *values.shape[1:]])

    def mean(self, values):
        """What replicas have of their members, averaged over the pairs.

        Args:
            values: [members, ...] of this replica.

        Returns:
            [p, ...] of all members, on every replica.
        """
        context = _context()
        if self.member_parts > 1:
            part = context.replica_id_in_sync_group // self.pair_parts
            is_own = tf.equal(tf.range(self.member_parts), part)
            ones = [1] * values.shape.rank
            is_own = tf.reshape(is_own, [-1, *ones])
            # Not a product: other members' parts would get a NaN of this one.
            parts = tf.where(is_own, values[None], 0.0) * self.member_parts
            values = tf.reshape(parts, [-1, *values.shape[1:]])
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, values)

    def copy_members(self, state, sources):
        """The `EstimatorState` with members' parts copied from others'.

        Args:
            state: That of this replica.
            sources: [p] int64, whose part each member gets.
        """
        rows = self._rows(self.own(sources))

        def copy(leaf):
            if self.member_parts > 1:
                # Without `identity`, TensorFlow takes an argument for a
                # variable's value, and fails.
                leaf = _context().all_gather(tf.identity(leaf), axis=0)
            return tf.gather(leaf, rows)

        fields = {
            name: tf.nest.map_structure(copy, getattr(state, name))
            for name, (axis, _) in _AXES._asdict().items()
            if axis is not None
        }
        return state._replace(**fields)

    def _rows(self, sources):
        """Where members' parts lie in what all replicas have, in order."""
        if self.member_parts == 1:
            return sources
        replica = _context().replica_id_in_sync_group
        owners = sources // self.members * self.pair_parts
        owners += tf.cast(replica % self.pair_parts, sources.dtype)
        return owners * self.members + sources % self.members

    # Arrays.

    def join(self, states):
        """The replicas' `EstimatorState`s, in their order, as one."""
        fields = []
        for name, axes in _AXES._asdict().items():
            parts = [getattr(state, name) for state in states]
            rows = [
                _concatenated(parts[i : i + self.pair_parts], axes[1])
                for i in range(0, len(parts), self.pair_parts)
            ]
            fields.append(_concatenated(rows, axes[0]))
        return EstimatorState(*fields)

    def part(self, state, replica):
        """The inverse of `join`: what one replica has."""
        first = self.first_member(replica), self.first_pair(replica)
        counts = self.members, self.pairs
        fields = []
        for name, axes in _AXES._asdict().items():
            field = getattr(state, name)
            for axis, start, count in zip(axes, first, counts, strict=True):
                if axis is not None:
                    take = functools.partial(
                        np.take, indices=range(start, start + count), axis=axis
                    )
                    field = tf.nest.map_structure(take, field)
            fields.append(field)
        return EstimatorState(*fields)


def _context():
    return tf.distribute.get_replica_context()


def _concatenated(nests, axis):
    """Nests of arrays, one after the other; the first if there is no axis."""
    if axis is None:
        return nests[0]
    return tf.nest.map_structure(
        lambda *leaves: np.concatenate(leaves, axis), *nests
    )
