#!/usr/bin/env python3
"""Checks every task family: samples, and the ways to run a problem.

Samples are built and their loss at the start must be finite. A small task of
each family is trained for a few steps: by the compiled inner run with its
problems in turn, with its problems at once (`vectorized`, if the family allows
it), on two replicas, and by `compile` and `fit`. The losses must agree.

Examples:
  bin/check_families.py
  bin/check_families.py --families=maf,vit --samples=0
"""

import sys
import time

import _package  # noqa: F401
import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_list("families", [], "Families to check; default: all.")
flags.DEFINE_integer("samples", 20, "Samples per family.", lower_bound=0)
flags.DEFINE_bool("runs", True, "Whether to train a task of each family.")

#: Configurations that compile faster than the defaults.
SMALL = {
    "conv_fc": {"channels": (4,), "padding": ("same",), "hidden": (8,)},
    "conv_pooling": {"channels": (4,), "padding": ("same",)},
    "lopt": {"steps": 2, "inner_batch": 8},
    "maf": {"hidden": (8,), "bijectors": 2},
    "mlp_vae": {"encoder": (4,), "decoder": (8,)},
    "nvp": {"hidden": (8,), "bijectors": 2},
    "quadratic": {"size": 4, "noise": 0.1},
    "resnet": {"channels": 4, "stages": 1, "dropout": 0.1},
    "rnn_char_lm": {"length": 8, "core": "vrnn"},
    "rnn_text": {"length": 8, "vocabulary": 100},
    "rnn_word_lm": {"length": 8, "core": "lstm", "vocabulary": 100},
    "transformer_lm": {"length": 8, "embed": 8},
    "vit": {"embed": 8, "patch": 4},
}
STEPS = 4
RATES = 0.1, 0.01, 0.003


def start_loss(task):
    """The loss of a problem's initial values on the first examples."""
    import tensorflow as tf

    from keras_lopt.tasks.data.dataset import as_seen

    batch = tf.nest.map_structure(
        lambda a: tf.constant(a[: task.batch_size]),
        task.dataset.arrays("train"),
    )

    @tf.function(autograph=False)
    def loss(seed):
        return task.train_loss(*task.begin(seed), as_seen(batch), seed)[0]

    return float(loss(tf.constant([0, 1])))


def check_samples(name, count):
    """Seeds whose task cannot be built or has no finite loss, with reasons."""
    from keras_lopt import tasks

    family, bad = tasks.family(name), []
    for seed in range(count):
        config = family.sample_config(seed)
        if "batch_size" in config:  # Small; everything else is as drawn.
            config["batch_size"] = 8
        try:
            loss = start_loss(family.build(**config))
        except ValueError as error:
            bad.append(f"seed {seed}: {error}")
            continue
        if not np.isfinite(loss):
            bad.append(f"seed {seed}: loss {loss}")
    return bad


class Runs:
    """Trains problems of one task with Adam, in all ways there are.

    Args:
        name: Name of a family.
        steps: Inner steps per run.
    """

    def __init__(self, name, steps=STEPS):
        import tensorflow as tf

        from keras_lopt import rules, tasks
        from keras_lopt.estimators import InnerRun

        self.task = tasks.get(name, **SMALL.get(name, {}))
        self.rule, self.steps = rules.get("adam"), steps
        self.thetas = [
            rules.get("adam", learning_rate=rate).init_theta(0)
            for rate in RATES
        ]
        self._run = InnerRun(self.rule, self.task, steps)
        pack = self._run.theta_vector.pack
        self._thetas = tf.stack([pack(theta) for theta in self.thetas])
        self._function = self._compiled(self._run)

    def _compiled(self, run):
        """The compiled run of a problem; all devices share one trace."""
        import tensorflow as tf

        function = tf.function(run.advance, autograph=False, jit_compile=True)
        return function.get_concrete_function(*self._arguments(0))

    def _arguments(self, problem):
        import tensorflow as tf

        seeds, zero = tf.constant([[7, problem]]), tf.constant([0])
        batches = self._run.draw_batches(seeds, zero, "train")
        states = self._run.blank_states(len(RATES))
        problems, horizons = tf.zeros([len(RATES)], tf.int32), zero + self.steps
        clock = seeds, zero, problems, batches, horizons
        return self._thetas, states, *clock

    def mapped(self, problem=0):
        """[rates] mean losses, one run after the other."""
        return self._function(*self._arguments(problem))[1].numpy()

    def vectorized(self):
        """[rates] mean losses, all runs at once."""
        from keras_lopt.estimators import InnerRun

        run = InnerRun(self.rule, self.task, self.steps, mapping="vectorized")
        return self._compiled(run)(*self._arguments(0))[1].numpy()

    def on_two_replicas(self):
        """[2, rates] mean losses of two problems, one per device."""
        import tensorflow as tf

        strategy = tf.distribute.MirroredStrategy(
            ["CPU:0", "CPU:1"],
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
        distribute = strategy.experimental_distribute_values_from_function
        leaves = [tf.nest.flatten(self._arguments(i)) for i in range(2)]
        shared = [
            distribute(
                lambda context, pair=pair: pair[
                    context.replica_id_in_sync_group
                ]
            )
            for pair in zip(*leaves)
        ]
        arguments = tf.nest.pack_sequence_as(self._arguments(0), shared)
        losses = tf.function(
            lambda args: strategy.run(lambda *a: self._function(*a)[1], args)
        )(arguments)
        return np.stack(strategy.experimental_local_results(losses))

    def by_fit(self):
        """Mean loss of `fit` with the last learning rate."""
        import tensorflow as tf

        from keras_lopt import LearnedOptimizer
        from keras_lopt.tasks import keras_problem

        seed = tf.constant([7, 0])
        model = keras_problem.problem_model(self.task)
        optimizer = LearnedOptimizer(self.rule, self.thetas[-1])
        model.compile(optimizer, self.task.loss, jit_compile=True)
        keras_problem.load_problem(self.task, model, seed)
        x, y = keras_problem.problem_batches(self.task, seed, self.steps)
        size = self.task.batch_size
        losses = []
        for i in range(self.steps):
            part = tf.nest.map_structure(
                lambda a, i=i: a[i * size : (i + 1) * size], (x, y)
            )
            logs = model.train_on_batch(*part, return_dict=True)
            model.reset_metrics()
            losses.append(float(self.task.bounded(tf.constant(logs["loss"]))))
        return np.mean(losses)


def check_runs(name):
    """Dict from a way to run to its largest difference from the mapped run."""
    runs = Runs(name)
    expected = runs.mapped()
    both = np.stack([expected, runs.mapped(1)])

    def difference(losses, expected):
        return float(np.max(np.abs(losses / expected - 1.0)))

    found = {"two replicas": difference(runs.on_two_replicas(), both)}
    if runs.task.vectorizes:
        found["vectorized"] = difference(runs.vectorized(), expected)
    found["fit"] = difference(runs.by_fit(), expected[-1])
    return found


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}")
    import tensorflow as tf

    from keras_lopt import tasks

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    failed = False
    for name in FLAGS.families or tasks.registry.families():
        start = time.perf_counter()
        bad = check_samples(name, FLAGS.samples)
        found = check_runs(name) if FLAGS.runs else {}
        failed |= bool(bad) or any(not d < 1e-4 for d in found.values())
        ways = "  ".join(f"{way} {d:.0e}" for way, d in found.items())
        print(
            f"{name:16s} {FLAGS.samples - len(bad):3d} of {FLAGS.samples} "
            f"samples  {ways}  {time.perf_counter() - start:.0f} s",
            flush=True,
        )
        for line in bad:
            print(f"  {line}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    app.run(main)
