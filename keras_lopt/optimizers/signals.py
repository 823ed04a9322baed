"""The signals that LearnedOptimizer passes to its rule."""

import numbers

import numpy as np
from keras import ops

from keras_lopt import rules
from keras_lopt.optimizers import backends

AVAILABLE = ("step", "horizon", "train_loss")


class SetSignals:
    """The signals that are set between steps: `horizon` and `valid_loss`.

    The rule reads them from variables, so that a compiled step gets a new value
    without being traced again.

    Args:
        rule: A `rules.Rule`.
        horizon: Number of updates of the training, at least 1; or None.
        add_variable: Callable from value and name to variable.
    """

    def __init__(self, rule, horizon, add_variable):
        _check_available(rule)
        check_horizon(horizon)
        self._rule = rule
        # What was last known of the variable, which is the truth if there is
        # one: it may be loaded, and is not always to be read.
        self._horizon = None if horizon is None else int(horizon)
        self._horizon_variable = self._valid_loss = None
        if self.reads_horizon:
            value = np.int32(self._horizon or 0)  # 0: not known.
            self._horizon_variable = add_variable(value, "horizon")
        if "valid_loss" in rule.optional_signals:
            value = np.float32(np.nan)  # NaN: no loss since the last step.
            self._valid_loss = add_variable(value, "valid_loss")

    @property
    def reads_horizon(self):
        """Whether the rule plans with the horizon, if it is known."""
        rule = self._rule
        return "horizon" in (*rule.required_signals, *rule.optional_signals)

    @property
    def horizon(self):
        if self._horizon_variable is not None:
            value = backends.known_value(self._horizon_variable)
            if value is not None:
                self._horizon = int(value) or None
        return self._horizon

    @horizon.setter
    def horizon(self, horizon):
        check_horizon(horizon)
        self._horizon = None if horizon is None else int(horizon)
        if self._horizon_variable is not None:
            self._horizon_variable.assign(self._horizon or 0)

    def set_valid_loss(self, loss):
        """Keeps `loss` for the next step, if the rule uses it."""
        if self._valid_loss is not None:
            self._valid_loss.assign(loss)

    def check(self):
        """Raises ValueError where the rule must know the horizon: None."""
        is_required = "horizon" in self._rule.required_signals
        if is_required and (self._horizon or self.horizon) is None:
            raise ValueError(
                f"Rule {self._rule.name!r} plans with the length of the "
                "training, which is unknown. Pass the callback "
                "`keras_lopt.optimizers.InferHorizon()` to `fit`, or the "
                "number of updates: `LearnedOptimizer(..., horizon=n)`, or "
                "`optimizer.horizon = n` before the first step. "
                "Received: horizon=None"
            )

    def collect(self, iterations, train_loss=None):
        """The `signals` of one `rule.update`.

        Args:
            iterations: Variable or tensor: number of updates before this one.
            train_loss: Scalar, or None if there is none.
        """
        signals = {"step": ops.cast(iterations, "int32")}
        if self._horizon_variable is not None:  # 0 where it is not known.
            signals["horizon"] = ops.convert_to_tensor(
                self._horizon_variable, dtype="int32"
            )
        if train_loss is not None:
            signals["train_loss"] = train_loss
        if self._valid_loss is not None:
            signals["valid_loss"] = ops.convert_to_tensor(
                self._valid_loss, dtype="float32"
            )
        return signals

    def forget_valid_loss(self):
        """Must be called in every step, after `collect`."""
        if self._valid_loss is not None:
            self._valid_loss.assign(np.float32(np.nan))


def check_horizon(horizon):
    """Raises ValueError unless `horizon` is None or an integer >= 1."""
    if horizon is not None and not (
        isinstance(horizon, numbers.Integral)
        and not isinstance(horizon, bool)
        and 1 <= horizon < 2**31
    ):
        raise ValueError(
            "`horizon` must be an integer >= 1 (and < 2**31) or None. "
            f"Received: horizon={horizon!r}"
        )


def _check_available(rule):
    unavailable = [k for k in rule.required_signals if k not in AVAILABLE]
    if unavailable:
        raise ValueError(
            f"Rule {rule.name!r} needs the signals {unavailable}, which "
            "`LearnedOptimizer` does not have at every step. Use a rule that "
            f"needs only {list(AVAILABLE)}: {_usable_rules()}."
        )


def _usable_rules():
    return [
        name
        for name in rules.names()
        if set(rules.get(name).required_signals) <= set(AVAILABLE)
    ]
