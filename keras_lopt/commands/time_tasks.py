"""Measures the time of an inner step of tasks, compiled and mapped.

Examples:
  keras-lopt time --suite=standard --steps=20 --particles=2
  keras-lopt time --gin_file=mixture.gin
  keras-lopt time --family=mlp --whole_loops
"""

import time

import numpy as np

from keras_lopt.checks import check_integer
from keras_lopt.commands import selected_tasks


def add_flags(parser):
    selected_tasks.add_flags(parser)
    parser.add_argument("--rule", default="fused", help="rule of the steps")
    for name, default, text in (
        ("steps", 20, "inner steps per call"),
        ("particles", 2, "particles per call"),
        ("repeats", 5, "number of calls; prints the median"),
    ):
        parser.add_argument(
            f"--{name}",
            type=int,
            default=default,
            help=f"{text}; default: {default}",
        )
    parser.add_argument(
        "--whole_loops",
        action="store_true",
        help="have XLA make one function of a whole run",
    )


def run(args):
    if not selected_tasks.is_given(args):
        raise ValueError("Give --suite, --family or --gin_file")
    counts = {n: getattr(args, n) for n in ("steps", "particles", "repeats")}
    for name, value in counts.items():
        check_integer(name, value, 1)
    selected_tasks.check(args)
    from keras_lopt import rules, tasks, training

    training.make_strategy("cpu", args.whole_loops)  # XLA's flags.
    rule = rules.get(args.rule)
    print(
        f"{'task':54s} {'compile s':>10s} {'us/step':>9s} "
        f"{'steps/s':>9s} {'MFLOP/s':>9s}"
    )
    for task in selected_tasks.built(args):
        compilation, seconds = measure(task, rule, *counts.values())
        rate = tasks.task_cost(task).flops / seconds / 1e6
        print(
            f"{task.name:54s} {compilation:10.1f} {seconds * 1e6:9.1f} "
            f"{1.0 / seconds:9,.0f} {rate:9.0f}",
            flush=True,
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
    horizons = tf.constant([steps])

    def call(states):
        batches = run.draw_batches(seeds, zero, "train")
        states, losses, _ = run.advance(
            thetas, states, seeds, zero, problems, batches, horizons
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
