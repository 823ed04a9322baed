"""Loads imported weights: a rule, its theta, and where they come from."""

import contextlib

from keras_lopt import rules
from keras_lopt.checkpoints.errors import CheckpointError
from keras_lopt.checkpoints.importers import formats, gin_config
from keras_lopt.checkpoints.importers.rule_choice import choose_rule
from keras_lopt.checkpoints.importers.theta import import_theta
from keras_lopt.checkpoints.rule_specs import rule_spec


def load_imported(paths, rule=None, config=None):
    """Loads imported weights from one or more files.

    Args:
        paths: Dict from the user's name of a file to its local path. PyLO
            stores VeLO in two files.
        rule, config: As for `checkpoints.load`.

    Returns:
        `rule`, `theta` and `metadata`. `metadata["imported"]` says where the
        weights come from, how the rule was found, and what was assumed.
    """
    leaves, told, provenance = {}, {}, []
    for source, path in paths.items():
        with _errors_name(source):
            weights = formats.read(path)
            name, told_beside = None, {}
            if not isinstance(rule, rules.Rule):
                name, told_beside = gin_config.read_beside(path)
            twice = sorted(set(leaves) & set(weights.leaves))
            if twice:
                raise ValueError(f"another file has these leaves too: {twice}")
        leaves.update(weights.leaves)
        told.update({**weights.config, **told_beside})
        provenance.append({"source": str(source), **weights.provenance})
        rule = name if rule is None else rule
    with _errors_name(", ".join(map(str, paths))):
        config = {**told, **(config or {})}
        found = choose_rule(leaves, rule, config)
        theta = import_theta(found, leaves)
    metadata = {"imported": {"files": provenance}}
    if not isinstance(rule, rules.Rule):
        metadata["imported"]["told"] = config
        metadata["imported"]["assumed"] = _assumed(found, leaves, config)
    return found, theta, metadata


def _assumed(rule, leaves, config):
    """Hyperparameters of `rule` that nothing told, so that defaults hold."""
    shapes = {path: value.shape for path, value in leaves.items()}
    told = {**type(rule).imported_config(shapes), **config}
    stored = rule_spec(rule)["config"]
    return {k: v for k, v in stored.items() if k not in told}


@contextlib.contextmanager
def _errors_name(source):
    """Turns a ValueError into a CheckpointError that names `source`."""
    try:
        yield
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(source, error) from error
