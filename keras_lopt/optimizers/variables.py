"""Which variables, with which gradients, an optimizer can train."""

import keras


def check_trainable(variable):
    """Raises ValueError for a variable that no rule can train."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise ValueError(
            "`variables` must be real floating point. "
            f"Received: {_name(variable)!r} with dtype={dtype}"
        )
    if 0 in tuple(variable.shape):
        raise ValueError(
            "`variables` must have at least one entry each. Received: "
            f"{_name(variable)!r} with shape={tuple(variable.shape)}"
        )


def check_gradients(grads, variables):
    """Raises ValueError unless there is a gradient, or None, a variable.

    `variables` may be None: not known yet. A cast would drop the imaginary
    part of a complex gradient; and a rule works on the entries of a tensor in
    a row, so it would not notice one that is transposed.
    """
    if variables is None:
        return
    if len(grads) != len(variables):
        raise ValueError(
            "`grads` must be as many as `trainable_variables`. Received: "
            f"{len(grads)} gradients and {len(variables)} variables"
        )
    for grad, variable in zip(grads, variables):
        if not _is_real(grad):
            raise ValueError(
                "`grads` must be real floating point. Received: a gradient "
                f"with dtype={keras.backend.standardize_dtype(grad.dtype)} "
                f"for {_name(variable)!r}"
            )
        if not _fits(grad, tuple(variable.shape)):
            raise ValueError(
                "`grads` must have the shapes of their variables. Received: a "
                f"gradient of shape {tuple(grad.shape)} for {_name(variable)!r}"
                f" of shape {tuple(variable.shape)}"
            )


def check_state(optimizer, variables, values):
    """Raises ValueError unless saved `values` have the variables' shapes."""
    for variable, value in zip(variables, values):
        if tuple(variable.shape) != tuple(value.shape):
            raise ValueError(
                f"The saved state does not fit optimizer {optimizer!r}: "
                f"{variable.path} must have shape {tuple(variable.shape)}. "
                f"Received: shape={tuple(value.shape)}. It was saved with "
                "another rule or model."
            )


def _is_real(grad):
    """Whether a gradient is of real numbers, or None."""
    if not hasattr(grad, "dtype"):
        return True
    dtype = keras.backend.standardize_dtype(grad.dtype)
    return keras.backend.is_float_dtype(dtype)


def _fits(grad, shape):
    """Whether a gradient has this shape, as far as is known while tracing."""
    known = getattr(grad, "shape", None)
    if known is None or getattr(known, "rank", 0) is None:
        return True
    return len(known) == len(shape) and all(
        size in (None, expected) for size, expected in zip(known, shape)
    )


def _name(variable):
    return getattr(variable, "path", variable.name)
