"""The gradient history of one tensor, for adafac_mlp, velo, celo and celo2."""

from keras import ops

from keras_lopt.rules.memory.accumulators import inverse_root, moving_averages
from keras_lopt.rules.memory.factored import (
    factored_entries,
    init_factored,
    update_factored,
)

MOMENTUM_DECAYS = (0.9, 0.99, 0.999)
SECOND_MOMENT_DECAYS = (0.999,)
FACTORED_DECAYS = (0.9, 0.99, 0.999)


def init_history(shape):
    """Accumulators for a tensor of `shape`, filled with zeros; decays first."""
    return {
        "momenta": ops.zeros((len(MOMENTUM_DECAYS), *shape), dtype="float32"),
        "second_moments": ops.zeros(
            (len(SECOND_MOMENT_DECAYS), *shape), dtype="float32"
        ),
        "factored": init_factored(len(FACTORED_DECAYS), shape),
    }


def update_history(
    slots,
    grad,
    momentum_decays=MOMENTUM_DECAYS,
    second_moment_decays=SECOND_MOMENT_DECAYS,
    factored_decays=FACTORED_DECAYS,
):
    """The accumulators after one more gradient, [*shape]."""
    return {
        "momenta": moving_averages(momentum_decays, slots["momenta"], grad),
        "second_moments": moving_averages(
            second_moment_decays, slots["second_moments"], grad * grad
        ),
        "factored": update_factored(factored_decays, slots["factored"], grad),
    }


def history_entries(grad, param, slots):
    """What the features are computed from: a dict of [k, *shape].

    A dimension along which an entry is constant has size 1.
    """
    return {
        "grad": grad[None],
        "param": param[None],
        "momenta": slots["momenta"],
        "second_moments": slots["second_moments"],
        **factored_entries(slots["factored"], grad.shape),
    }


def inverse_scale(entries):
    """1 / sqrt of the second moment; there must be exactly one."""
    (second_moment,) = entries["second_moments"]
    return inverse_root(second_moment + 1e-6)
