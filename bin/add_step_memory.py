#!/usr/bin/env python3
"""Adds a memory to the step sizes of an optimizer file of the rule scale_free.

The new optimizer does what the old one does: the memory is written, by random
weights, but read with weights of 0, so that training goes on from there.

Example:
  bin/add_step_memory.py general.safetensors start.safetensors --units=3
"""

import argparse
import dataclasses
import pathlib
import sys

import _package  # noqa: F401
import numpy as np

from keras_lopt import checkpoints
from keras_lopt.rules import scale_free


def add_step_memory(file, out, units, seed):
    """Writes the new file; refuses to overwrite one, and other rules."""
    if pathlib.Path(out).exists():
        raise FileExistsError(f"`out` must be a new file. Received: {out!r}")
    rule, theta, _ = checkpoints.load(file, rule="scale_free")
    if rule.step_memory:
        raise ValueError(
            "`file` must be of a rule without a memory. Received: "
            f"{file!r}, of {rule}"
        )
    wider = dataclasses.replace(rule, step_memory=units)
    # Features of a tensor follow the times; the means of all tensors' features,
    # with `model_features`, are last. Those of the memory are last of either.
    inputs = theta["step_w0"].shape[-2]
    of_tensor = inputs - scale_free.NUM_TIMES
    if rule.model_features:
        of_tensor = (of_tensor - scale_free.NUM_OF_MODEL) // 2
    ends = [scale_free.NUM_TIMES + of_tensor]
    ends += [inputs] * rule.model_features
    *sets, _, hidden = theta["step_w0"].shape
    unread = np.zeros((*sets, units, hidden), np.float32)
    pieces = np.split(theta["step_w0"], ends, axis=-2)
    pieces = [p for piece in pieces for p in (piece, unread)][:-1]
    rng = np.random.default_rng(seed)
    written = rng.normal(size=(*sets, hidden, units)) / np.sqrt(hidden)
    biases = np.zeros((*sets, units), np.float32)
    theta = theta | {
        "step_w0": np.concatenate(pieces, axis=-2),
        "step_w1": np.concatenate(
            [theta["step_w1"], written.astype(np.float32)], axis=-1
        ),
        "step_b1": np.concatenate([theta["step_b1"], biases], axis=-1),
    }
    checkpoints.save(out, wider, theta, {"memory_added_to": str(file)})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", help="an optimizer file or a bundled name")
    parser.add_argument("out", help="the file to write")
    parser.add_argument("--units", type=int, default=3, help="per tensor")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        add_step_memory(args.file, args.out, args.units, args.seed)
    except (ValueError, OSError) as error:
        return f"add_step_memory.py: {error}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
