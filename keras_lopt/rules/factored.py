"""Second moments by row and column (Adafactor, Shazeer 2018, 1804.04235).

Here they are input features of learned rules. A tensor of rank 2 or more is
averaged over its largest dimension (`row`) and over its second largest (`col`);
both keep that dimension with size 1, so they broadcast against the tensor.
Tensors of lower rank keep all of it (`full`).
"""

from keras import ops

from keras_lopt.rules.accumulators import inverse_root, moving_averages


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


def factored_entries(slots, shape):
    """What `factored_features` is given of all of a tensor.

    Args:
        slots: As from `update_factored`, for k decays.
        shape: Of the tensor.

    Returns:
        Dict of [k, *shape], with 1 for a dimension that it is constant over.
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
    """What the learned rules see of the accumulators.

    Args:
        entries: Dict of lists of tensors: `grad`, of one, `momenta`, and those
            of `factored_entries`, of all of a tensor or of a part.
        full_epsilon: Added to `full` under the root that divides the momenta.

    Returns:
        Six lists: the factored gradient, row, col, rsqrt of row and of col,
        the factored momenta.
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
