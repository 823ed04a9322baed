"""Second moments by row and column (Adafactor, Shazeer 2018, 1804.04235).

Learned rules use them as input features. A tensor of rank 2 or more is averaged
over its largest dimension (`row`) and over its second largest (`col`). The
averaged dimension stays, with size 1, so that both broadcast against the
tensor. A tensor of lower rank is not averaged (`full`).
"""

from keras import ops

from keras_lopt.rules.memory.accumulators import inverse_root, moving_averages


def factored_dims(shape):
    """`d1, d0`: the second largest and the largest dimension.

    Of two equal sizes, the later dimension counts as the larger one. This
    order is part of the rules' definition.

    Returns:
        Two axes; None for a rank below 2.
    """
    if len(shape) < 2:
        return None
    order = sorted(range(len(shape)), key=lambda axis: shape[axis])  # Stable.
    return order[-2], order[-1]


def init_factored(count, shape):
    """Accumulators for `count` decays, filled with zeros."""
    dims = factored_dims(shape)
    if dims is None:
        return {"full": ops.zeros((count, *shape), dtype="float32")}
    col_dim, row_dim = dims
    return {
        "row": ops.zeros((count, *_with_one(shape, row_dim)), dtype="float32"),
        "col": ops.zeros((count, *_with_one(shape, col_dim)), dtype="float32"),
    }


def update_factored(decays, slots, grad):
    """The accumulators after one more gradient, [*shape]."""
    square = grad * grad + 1e-30
    dims = factored_dims(grad.shape)
    if dims is None:
        return {"full": moving_averages(decays, slots["full"], square)}
    col_dim, row_dim = dims
    row = ops.mean(square, axis=row_dim, keepdims=True)
    col = ops.mean(square, axis=col_dim, keepdims=True)
    return {
        "row": moving_averages(decays, slots["row"], row),
        "col": moving_averages(decays, slots["col"], col),
    }


def factored_entries(slots, shape):
    """The inputs of `factored_features` for a whole tensor.

    Args:
        slots: As from `update_factored`, for k decays.
        shape: Of the tensor.

    Returns:
        Dict of [k, *shape], with size 1 for constant dimensions.
    """
    dims = factored_dims(shape)
    if dims is None:
        return {"full": slots["full"]}
    row, col = slots["row"], slots["col"]
    row_mean = ops.mean(row, axis=dims[0] + 1, keepdims=True)
    return {
        "row": row,
        "col": col,
        "row_factor": _safe_rsqrt(row / (row_mean + 1e-9)),
        "col_factor": _safe_rsqrt(col),
    }


def factored_features(entries, full_epsilon):
    """What learned rules see of the accumulators.

    Args:
        entries: Dict of lists of tensors: `grad` (one tensor), `momenta`, and
            the entries that `factored_entries` returns; for a whole tensor or
            a part of it.
        full_epsilon: Added to `full` under the root that divides the momenta.

    Returns:
        Six lists: factored gradients, row, col, rsqrt of row, rsqrt of col,
        factored momenta.
    """
    (grad,), momenta = entries["grad"], entries["momenta"]
    if "full" in entries:
        full = entries["full"]
        inverse_roots = [inverse_root(v + 1e-8) for v in full]
        return [
            [grad * _safe_rsqrt(v + 1e-9) for v in full],
            full,
            full,
            inverse_roots,
            inverse_roots,
            [
                m * inverse_root(v + full_epsilon)
                for m, v in zip(momenta, full, strict=True)
            ],
        ]
    factors = list(
        zip(entries["row_factor"], entries["col_factor"], strict=True)
    )
    return [
        [grad * row * col for row, col in factors],
        entries["row"],
        entries["col"],
        [inverse_root(row + 1e-8) for row in entries["row"]],
        [inverse_root(col + 1e-8) for col in entries["col"]],
        [m * row * col for m, (row, col) in zip(momenta, factors, strict=True)],
    ]


def _safe_rsqrt(x):
    return inverse_root(ops.maximum(x, 1e-9))


def _with_one(shape, axis):
    return (*shape[:axis], 1, *shape[axis + 1 :])
