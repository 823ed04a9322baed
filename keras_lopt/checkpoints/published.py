"""Weights published for a rule, brought into the rule's own theta."""

import numpy as np


def import_theta(rule, leaves):
    """Theta of `rule` from published weights.

    Args:
        rule: A `rules.Rule` with the hyperparameters the weights are for.
        leaves: Dict from path to float32 array. A path is the names of the
            published tree joined by `/`, as in `nn/~/w0`. Those that
            `rule.published_unused` names may be there and are left out.

    Returns:
        Dict from theta leaf name to float32 NumPy array, copies.

    Raises:
        ValueError: A rule without published weights; leaves that are missing
            or unknown; a shape, dtype or value that does not fit.
    """
    paths = rule.published_paths()
    if not paths:
        raise ValueError(
            "`rule` must be one with published weights. Received: "
            f"rule={rule.name!r}"
        )
    expected = set(paths.values())
    missing = sorted(expected - set(leaves))
    unknown = sorted(set(leaves) - expected - set(rule.published_unused))
    if missing or unknown:
        raise ValueError(
            f"`leaves` must have the paths {sorted(expected)} of rule "
            f"{rule.name!r}. Received: missing={missing}, unknown={unknown}"
        )
    return {
        leaf: _checked(rule, paths[leaf], leaves[paths[leaf]], shape)
        for leaf, shape in rule.theta_shapes().items()
    }


def _checked(rule, path, value, shape):
    value = np.asarray(value)
    if value.shape != tuple(shape):
        raise ValueError(
            f"`leaves[{path!r}]` must have shape {tuple(shape)} for {rule}. "
            f"Received: shape={value.shape}"
        )
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
