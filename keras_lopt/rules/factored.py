"""Second moments by row and column (Adafactor, Shazeer 2018, 1804.04235).

Here they are input features of learned rules. A tensor of rank 2 or more is
averaged over its largest dimension (`row`) and over its second largest (`col`);
both keep that dimension with size 1, so they broadcast against the tensor.
Tensors of lower rank keep all of it (`full`).
"""

from keras import ops

from keras_lopt.rules.accumulators import moving_averages


def factored_dims(shape):
    """`d1, d0`: the second largest and the largest dimension.

    Of equal sizes the later one counts as larger, on every machine: the order
    is part of the rules' definition.

    Returns:
        Two axes, or None for a rank below 2.
    """
    if len(shape) < 2:
        return None
    order = sorted(range(len(shape)), key=lambda axis: shape[axis])  # Stable.
    return order[-2], order[-1]


def init_factored(count, shape):
    """Accumulators of zeros for `count` decays."""
    dims = factored_dims(shape)
    if dims is None:
        return {"full": ops.zeros((count, *shape))}
    col_dim, row_dim = dims
    return {
        "row": ops.zeros((count, *_with_one(shape, row_dim))),
        "col": ops.zeros((count, *_with_one(shape, col_dim))),
    }


def update_factored(decays, slots, grad):
    """Takes the squares of `grad`, [*shape], into the accumulators."""
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


def factored_features(slots, grad, momenta, full_epsilon):
    """What the learned rules see of the accumulators.

    Args:
        slots: As from `update_factored`, for k decays.
        grad: [*shape].
        momenta: [k, *shape].
        full_epsilon: Added to `full` under the root that divides the momenta.

    Returns:
        Six tensors: the factored gradient, row, col, rsqrt of row and of col,
        the factored momenta. Each is [k, *shape], with 1 for a dimension that
        it is constant over.
    """
    dims = factored_dims(grad.shape)
    if dims is None:
        full = slots["full"]
        inverse_root = ops.rsqrt(full + 1e-8)
        return [
            grad * _safe_rsqrt(full + 1e-9),
            full,
            full,
            inverse_root,
            inverse_root,
            momenta * ops.rsqrt(full + full_epsilon),
        ]
    row, col = slots["row"], slots["col"]
    row_mean = ops.mean(row, axis=dims[0] + 1, keepdims=True)
    row_factor = _safe_rsqrt(row / (row_mean + 1e-9))
    col_factor = _safe_rsqrt(col)
    return [
        grad * row_factor * col_factor,
        row,
        col,
        ops.rsqrt(row + 1e-8),
        ops.rsqrt(col + 1e-8),
        momenta * row_factor * col_factor,
    ]


def _safe_rsqrt(x):
    return ops.rsqrt(ops.maximum(x, 1e-9))


def _with_one(shape, axis):
    return (*shape[:axis], 1, *shape[axis + 1 :])
