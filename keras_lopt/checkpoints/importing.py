"""Files of other libraries as a rule, its theta, and where it comes from."""

import contextlib

from keras_lopt import rules
from keras_lopt.checkpoints import foreign, upstream_config
from keras_lopt.checkpoints.errors import CheckpointError
from keras_lopt.checkpoints.published import import_theta
from keras_lopt.checkpoints.rule_specs import rule_spec


def load_foreign(paths, rule=None, config=None):
    """Reads weights that others published, from one or more files.

    Args:
        paths: Dict from what the user calls a file to its local path. PyLO
            has VeLO in two files.
        rule, config: As for `checkpoints.load`.

    Returns:
        `rule`, `theta` and `metadata`, whose `imported` says where they come
        from, how the rule was found, and what was assumed of it.
    """
    leaves, told, provenance = {}, {}, []
    for source, path in paths.items():
        with _named(source):
            weights = foreign.read(path)
            name, upstream = None, {}
            if not isinstance(rule, rules.Rule):
                name, upstream = upstream_config.beside(path)
            twice = sorted(set(leaves) & set(weights.leaves))
            if twice:
                raise ValueError(f"another file has these leaves too: {twice}")
        leaves.update(weights.leaves)
        told.update({**weights.config, **upstream})
        provenance.append({"source": str(source), **weights.provenance})
        rule = name if rule is None else rule
    with _named(", ".join(map(str, paths))):
        config = {**told, **(config or {})}
        found = foreign.choose_rule(leaves, rule, config)
        theta = import_theta(found, leaves)
    metadata = {"imported": {"files": provenance}}
    if not isinstance(rule, rules.Rule):
        metadata["imported"]["told"] = config
        metadata["imported"]["assumed"] = _assumed(found, leaves, config)
    return found, theta, metadata


def _assumed(rule, leaves, config):
    """Hyperparameters of `rule` that nothing told: its defaults."""
    shapes = {path: value.shape for path, value in leaves.items()}
    told = {**type(rule).published_config(shapes), **config}
    stored = rule_spec(rule)["config"]
    return {k: v for k, v in stored.items() if k not in told}


@contextlib.contextmanager
def _named(source):
    """Makes a ValueError one that names `source`."""
    try:
        yield
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(source, error) from error
