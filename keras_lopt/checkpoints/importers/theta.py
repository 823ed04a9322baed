"""Imported weights as the theta of a rule."""

from collections.abc import Mapping

import numpy as np

from keras_lopt.rules import Rule


def import_theta(
    rule: Rule, leaves: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Theta of `rule` from imported weights.

    Args:
        rule: A `rules.Rule` with the hyperparameters of the weights.
        leaves: Dict from path to float32 array. A path joins the names in the
            tree of weights by `/`, as in `nn/~/w0`. Paths that are in
            `rule.imported_optional` may be missing; theta is zero there.

    Returns:
        Dict from theta leaf name to float32 NumPy array, copies.

    Raises:
        ValueError: The rule cannot import weights; leaves are missing or
            unknown; or a shape, dtype or value does not fit.

    >>> import numpy as np
    >>> from keras_lopt import checkpoints, rules
    >>> leaves = {"log_lr": np.log(np.float32(0.1))}
    >>> checkpoints.import_theta(rules.get("sgd"), leaves)["log_lr"].round(2)
    np.float32(-2.3)
    """
    problem = misfit(rule, {k: np.shape(v) for k, v in leaves.items()})
    if problem:
        raise ValueError(problem)
    theta = {}
    for leaf, path in _paths_in_order(rule).items():
        if path in leaves:
            theta[leaf] = _checked(path, leaves[path])
        else:
            theta[leaf] = np.zeros(rule.theta_shapes()[leaf], np.float32)
    return theta


def misfit(rule, shapes):
    """Why imported weights do not fit `rule`; "" if they do.

    Args:
        rule: A `rules.Rule`.
        shapes: Dict from path to shape of the weights.
    """
    paths = _paths_in_order(rule)
    if not paths:
        return (
            "`rule` must be one that weights can be imported for. Received: "
            f"rule={rule.name!r}"
        )
    expected = set(paths.values())
    missing = sorted(expected - set(shapes) - set(rule.imported_optional))
    unknown = sorted(set(shapes) - expected)
    if missing or unknown:
        return (
            f"`leaves` must have the paths {sorted(expected)} of rule "
            f"{rule.name!r}. Received: missing={missing}, unknown={unknown}"
        )
    for leaf, shape in rule.theta_shapes().items():
        found = shapes.get(paths[leaf], shape)
        if tuple(found) != tuple(shape):
            return (
                f"`leaves[{paths[leaf]!r}]` must have shape {tuple(shape)} "
                f"for {rule}. Received: shape={tuple(found)}"
            )
    return ""


def _paths_in_order(rule):
    """`rule.imported_paths()`, in the order of theta."""
    paths = rule.imported_paths()
    return {leaf: paths[leaf] for leaf in rule.theta_shapes() if paths}


def _checked(path, value):
    value = np.asarray(value)
    if value.dtype != np.float32:
        raise ValueError(
            f"`leaves[{path!r}]` must be float32. Received: dtype={value.dtype}"
        )
    if not np.all(np.isfinite(value)):
        raise ValueError(
            f"`leaves[{path!r}]` must be finite. Received: "
            f"{int(np.sum(~np.isfinite(value)))} non-finite of {value.size} "
            "entries"
        )
    return np.array(value)
