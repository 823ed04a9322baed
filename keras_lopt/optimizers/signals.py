"""What LearnedOptimizer can tell its rule: the one place to add a signal."""

import numbers

import keras
from keras import ops

from keras_lopt import rules
from keras_lopt.optimizers import train_loss

AVAILABLE = ("step", "horizon")
if train_loss.IS_AVAILABLE:
    AVAILABLE += ("train_loss",)


def check(rule, horizon):
    """Raises ValueError unless `collect` will have all that `rule` needs.

    Args:
        rule: A `rules.Rule`.
        horizon: Integer >= 1, number of steps of the training, or None.
    """
    if horizon is not None and not (
        isinstance(horizon, numbers.Integral)
        and not isinstance(horizon, bool)
        and horizon >= 1
    ):
        raise ValueError(
            "`horizon` must be an integer >= 1 or None. "
            f"Received: horizon={horizon!r}"
        )
    unavailable = [k for k in rule.required_signals if k not in AVAILABLE]
    if unavailable:
        raise ValueError(
            f"Rule {rule.name!r} needs the signals {unavailable}, which "
            "`LearnedOptimizer` does not have on the backend "
            f"{keras.backend.backend()!r}. Use a rule that needs none but "
            f"{list(AVAILABLE)}: {_usable_rules()}."
        )
    if "horizon" in rule.required_signals and horizon is None:
        raise ValueError(
            f"Rule {rule.name!r} plans with the length of the training: "
            "`horizon` must be its number of steps. Received: horizon=None"
        )


def collect(iterations, horizon, train_loss=None):
    """The `signals` of one `rule.update`.

    Args:
        iterations: Variable or tensor, updates done before this one.
        horizon: As for `check`.
        train_loss: Scalar, or None where there is none.
    """
    signals = {"step": ops.convert_to_tensor(iterations)}
    if horizon is not None:
        signals["horizon"] = horizon
    if train_loss is not None:
        signals["train_loss"] = train_loss
    return signals


def _usable_rules():
    return [
        name
        for name in rules.names()
        if set(rules.get(name).required_signals) <= set(AVAILABLE)
    ]
