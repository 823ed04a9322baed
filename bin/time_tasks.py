#!/usr/bin/env python3
"""Measures the time of an inner step of tasks, compiled and mapped.

Examples:
  bin/time_tasks.py --suite=standard --steps=20 --particles=2
  bin/time_tasks.py --gin_file=mixture.gin
  bin/time_tasks.py --family=mlp --whole_loops
"""

import time

import _tasks
import numpy as np
from absl import app, flags

flags.adopt_module_key_flags(_tasks)
flags.DEFINE_string("rule", "fused", "Name of the rule that takes the steps.")
flags.DEFINE_integer("steps", 20, "Inner steps per call.", lower_bound=1)
flags.DEFINE_integer("particles", 2, "Particles per call.", lower_bound=1)
flags.DEFINE_integer(
    "repeats", 5, "Number of calls; prints the median.", lower_bound=1
)
flags.DEFINE_bool(
    "whole_loops", False, "Whether XLA makes one function of a whole run."
)


def measure(task, rule, steps, particles, repeats):
    """Seconds of compilation, and the median seconds of an inner step.

    Args:
        task: A `tasks.Task`.
        rule: A `rules.Rule`.
        steps, particles, repeats: As the flags say.
    """
    import tensorflow as tf

    from keras_lopt.estimators import InnerRun
    from keras_lopt.training import SplitRun

    run = SplitRun(InnerRun(rule, task, steps), 1, parallel_calls=1)
    theta = run.theta_vector.pack(rule.init_theta(0))
    thetas = tf.constant(np.stack([theta] * particles))
    seeds, zero = tf.constant([[0, 1]]), tf.constant([0])
    problems = tf.zeros([particles], tf.int32)

    def call(states):
        batches = run.draw_batches(seeds, zero, "train")
        states, losses, _ = run.advance(
            thetas, states, seeds, zero, problems, batches
        )
        losses.numpy()  # Waits.
        return states

    start = time.perf_counter()
    run.prepare(particles, "train")
    states = call(run.blank_states(particles))
    compilation, times = time.perf_counter() - start, []
    for _ in range(repeats):
        start = time.perf_counter()
        states = call(states)
        times.append(time.perf_counter() - start)
    return compilation, float(np.median(times)) / (steps * particles)


def main(argv):
    _tasks.check(argv)
    if not _tasks.is_given():
        raise app.UsageError("Give --suite, --family or --gin_file")
    from keras_lopt import rules, tasks, training

    training.make_strategy("cpu", _tasks.FLAGS.whole_loops)  # XLA's flags.
    rule = rules.get(_tasks.FLAGS.rule)
    counts = [_tasks.FLAGS[n].value for n in ("steps", "particles", "repeats")]
    print(
        f"{'task':54s} {'compile s':>10s} {'us/step':>9s} "
        f"{'steps/s':>9s} {'MFLOP/s':>9s}"
    )
    for task in _tasks.built():
        compilation, seconds = measure(task, rule, *counts)
        rate = tasks.task_cost(task).flops / seconds / 1e6
        print(
            f"{task.name:54s} {compilation:10.1f} {seconds * 1e6:9.1f} "
            f"{1.0 / seconds:9,.0f} {rate:9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
