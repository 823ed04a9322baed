"""Guards LearnedOptimizer against steps that would ruin the training."""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_lopt.checks import check_integer, check_number


@dataclasses.dataclass(frozen=True)
class DivergenceGuard:
    """Skips ruinous steps; after too many in a row, gives up on the rule.

    A step is skipped if a gradient, a change of a parameter or a new slot is
    not finite, or if an entry would change by more than `max_update`. A
    skipped step leaves parameters (weight decay included) and slots as they
    were; the rule's `step` still counts it.

    After `patience` skipped steps in a row the optimizer gives up on the rule
    and never uses it again. From then on it does gradient descent: the
    gradient, clipped to a norm of 1 over all tensors, times `fallback_rate`.
    Then only non-finite gradients are skipped. `fit` warns about that at its
    end, and `callbacks.ReportGuard` at the end of the epoch.

    Without a guard, a NaN or infinite gradient stays in the slots of most
    rules, and its variables are lost (`scale_free` takes such entries as
    zeros). An infinite loss does the same to rules that need the loss; others
    do not see it. Gradients of zero are no problem for any rule.

    Args:
        max_update: Largest change of an entry in one step, after
            `learning_rate`, in units of the parameter. None for no limit.
        patience: Number of skipped steps in a row that make it give up.
        fallback_rate: Largest norm of a step, over all tensors, after it has
            given up. With 0.0 the parameters no longer change.

    >>> from keras_lopt.optimizers import DivergenceGuard
    >>> DivergenceGuard(patience=3)
    DivergenceGuard(max_update=10.0, patience=3, fallback_rate=0.001)
    """

    max_update: float | None = 10.0
    patience: int = 10
    fallback_rate: float = 1e-3

    def __post_init__(self):
        if self.max_update is not None:
            check_number("max_update", self.max_update, "(0, inf)")
        check_integer("patience", self.patience, 1)
        check_number("fallback_rate", self.fallback_rate, "[0, inf)")


COUNTERS = ("skipped", "in_a_row", "fallen_back", "fallback_steps")


def check_guard(guard):
    """Raises ValueError unless `guard` is a `DivergenceGuard` or None."""
    if guard is not None and not isinstance(guard, DivergenceGuard):
        raise ValueError(
            "`guard` must be a `keras_lopt.optimizers.DivergenceGuard` or "
            f"None. Received: guard={guard!r}"
        )


class GuardState:
    """The counters of a `DivergenceGuard`, and its decision at each step.

    Args:
        guard: A `DivergenceGuard`.
        add_variable: Callable from value and name to variable.
    """

    def __init__(self, guard, add_variable):
        self._guard = guard
        self._counters = {
            name: add_variable(np.int32(0), f"guard_{name}")
            for name in COUNTERS
        }
        self._before = self._is_done = None

    def remember(self, variables):
        """Keeps the parameters before the step changes them."""
        self._before = [ops.copy(variable) for variable in variables]

    def settle(self, values):
        """The new parameters, or the remembered ones if the step is skipped."""
        values = [
            ops.where(self._is_done, value, before)
            for value, before in zip(values, self._before, strict=True)
        ]
        self._before = self._is_done = None  # They may belong to a trace.
        return values

    def judge(self, grads, changes, old_slots, new_slots):
        """Decides whether the step is the rule's, descent, or skipped.

        Args:
            grads: List of float32 tensors.
            changes: List of float32 tensors that the rule would add.
            old_slots: Nested dict/list of float32 tensors.
            new_slots: The same, after the rule's step.

        Returns:
            The changes and the slots to use.
        """
        has_gradient = all_finite(grads)
        fallen = ops.equal(self._value("fallen_back"), 1)
        by_rule = ops.logical_and(
            ops.logical_not(fallen),
            ops.logical_and(has_gradient, self._is_sane(changes, new_slots)),
        )
        by_descent = ops.logical_and(fallen, has_gradient)
        is_done = ops.logical_or(by_rule, by_descent)
        descent = _clipped_descent(grads, self._guard.fallback_rate)
        changes = [
            ops.where(by_rule, change, other)
            for change, other in zip(changes, descent, strict=True)
        ]
        slots = keras.tree.map_structure(
            lambda new, old: ops.where(by_rule, new, old), new_slots, old_slots
        )
        self._count(is_done, by_descent, fallen)
        self._is_done = is_done
        return changes, slots

    def _is_sane(self, changes, new_slots):
        sane = all_finite([*changes, *keras.tree.flatten(new_slots)])
        if self._guard.max_update is None:
            return sane
        largest = ops.stack([ops.max(ops.abs(change)) for change in changes])
        small = ops.max(largest) <= self._guard.max_update
        return ops.logical_and(sane, small)

    def _count(self, is_done, by_descent, fallen):
        done = ops.cast(is_done, "int32")
        in_a_row = (self._value("in_a_row") + 1) * (1 - done)
        given_up = ops.logical_or(fallen, in_a_row >= self._guard.patience)
        new = {
            "skipped": self._value("skipped") + 1 - done,
            "in_a_row": in_a_row,
            "fallen_back": ops.cast(given_up, "int32"),
            "fallback_steps": self._value("fallback_steps")
            + ops.cast(by_descent, "int32"),
        }
        for name, value in new.items():
            self._counters[name].assign(value)

    def _value(self, name):
        return ops.convert_to_tensor(self._counters[name], dtype="int32")

    def report(self):
        """Dict of integers; `fallen_back` is a bool."""
        report = {
            name: int(ops.convert_to_numpy(variable))
            for name, variable in self._counters.items()
        }
        return {**report, "fallen_back": bool(report["fallen_back"])}


def all_finite(tensors):
    """Whether no entry of the tensors is infinite or NaN."""
    return ops.all(ops.stack([ops.all(ops.isfinite(t)) for t in tensors]))


def _clipped_descent(grads, rate):
    """-rate times the gradient, clipped to a norm of 1 over all tensors."""
    largest = ops.max(ops.stack([ops.max(ops.abs(grad)) for grad in grads]))
    # Divided by the largest entry, so that the squares do not overflow.
    unit = ops.maximum(largest, 1.0)
    norm = ops.sqrt(sum(ops.sum(ops.square(grad / unit)) for grad in grads))
    scale = rate / (unit * ops.maximum(norm, 1.0 / unit))
    return [-scale * grad for grad in grads]
