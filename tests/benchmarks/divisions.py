#!/usr/bin/env python3
"""Theta after 20 outer steps, on one replica and on several.

  python tests/benchmarks/divisions.py --outer_steps=20

Replicas are logical devices of the CPU. Prints the largest relative difference
from one replica, by norms of theta, for a division by pairs, by members, and
by both. Where the sums have the same order, it is 0.
"""

import argparse
import dataclasses
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from keras_lopt import estimators, training  # noqa: E402
from tests import tiny  # noqa: E402

#: Pairs, and numbers of replicas to divide them among.
CASES = ((4, (1, 2, 4)), (1, (1, 2, 4)), (2, (1, 4)))


def trained(pairs, replicas, outer_steps):
    """Thetas [p, d] after so many outer steps."""
    estimator = estimators.PES(
        pairs=pairs, horizon=20, truncation=5, outer_split="outer_valid"
    )
    schedule = dataclasses.replace(
        tiny.SCHEDULE, outer_steps=outer_steps, score_problems=4
    )
    experiment = tiny.experiment(estimator=estimator, schedule=schedule)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    if replicas > 1:
        strategy = tf.distribute.MirroredStrategy(
            [f"CPU:{i}" for i in range(replicas)],
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
    trainer = training.PopulationTrainer(experiment, strategy)
    trainer.fit(1, verbose=0)
    return trainer.devices.division, trainer.members.thetas


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outer_steps", type=int, default=20)
    args = parser.parse_args()
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 4,
    )
    print("pairs  replicas  division                               difference")
    for pairs, counts in CASES:
        for count in counts:
            division, thetas = trained(pairs, count, args.outer_steps)
            if count == 1:
                expected = thetas
            norms = np.linalg.norm(thetas - expected, axis=1)
            largest = np.max(norms / np.linalg.norm(expected, axis=1))
            print(f"{pairs:5}  {count:8}  {division!s:37}  {largest:10.1e}")


if __name__ == "__main__":
    main()
