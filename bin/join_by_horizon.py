#!/usr/bin/env python3
"""Joins two optimizer files of the rule scale_free in one.

What the first does where the horizon is known, the new one does then; what the
second does where it is unknown, it does otherwise. With --config, settings of
the rule are changed, too; theta must fit them as it is.

Example:
  bin/join_by_horizon.py told/best.safetensors untold/best.safetensors \
      general.safetensors --config='{"settled_exponent": 0.3}'
"""

import argparse
import dataclasses
import json
import pathlib
import sys

import _package  # noqa: F401
import numpy as np

from keras_lopt import checkpoints


def join(told, untold, out, config=None):
    """Writes the new file; refuses other rules, and to overwrite one.

    Args:
        told, untold, out: Paths.
        config: Dict of settings of the rule that are to be changed.
    """
    if pathlib.Path(out).exists():
        raise FileExistsError(f"`out` must be a new file. Received: {out!r}")
    (rule, known, told_by), (other, unknown, untold_by) = (
        checkpoints.load(file, rule="scale_free") for file in (told, untold)
    )
    if rule.by_horizon or rule != other:
        raise ValueError(
            "`told` and `untold` must be files of equal rules that are not "
            f"joined yet. Received: {told!r}, of {rule}; {untold!r}, of {other}"
        )
    theta = {leaf: np.stack([known[leaf], unknown[leaf]]) for leaf in known}
    joined = dataclasses.replace(rule, by_horizon=True)
    config = config or {}
    if unknown_names := sorted(set(config) - set(rule.get_config())):
        raise ValueError(
            "`config` must have settings of the rule scale_free. Received: "
            f"{unknown_names}"
        )
    changed = dataclasses.replace(joined, **config)
    if changed.theta_shapes() != joined.theta_shapes():
        raise ValueError(
            "`config` must not change the sizes of theta. Received: "
            f"config={config}"
        )
    metadata = {"told": told_by, "untold": untold_by}
    if config:
        metadata["changed_after_training"] = config
    checkpoints.save(out, changed, theta, metadata)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("told", help="file for known horizons")
    parser.add_argument("untold", help="file for unknown ones")
    parser.add_argument("out", help="the file to write")
    parser.add_argument("--config", default="{}", help="settings, as JSON")
    args = parser.parse_args()
    try:
        join(args.told, args.untold, args.out, json.loads(args.config))
    except (ValueError, OSError) as error:
        return f"join_by_horizon.py: {error}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
