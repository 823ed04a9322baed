"""The cost of one step of a rule next to Adam: time, memory, compilation."""

import dataclasses
import glob
import math
import os
import re
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.evaluation import tables
from keras_lopt.optimizers import LearnedOptimizer

ADAM = "keras_adam"
COLUMNS = (
    ("rule", "{}", 13),
    ("tensors", "{}", 11),
    ("parameters", "{:,}", 11),
    ("ns_per_parameter", "{:.2f}", 17),
    ("times_adam", "{:.1f}", 11),
    ("temporary_bytes", "{:.1f}", 16),
    ("compile_seconds", "{:.1f}", 16),
)


def dense_shapes(size):
    """Two Dense layers, [2w, w] and [w, 2w], with biases."""
    width = max(1, math.isqrt(size // 4))
    return [(2 * width, width), (width,), (width, 2 * width), (2 * width,)]


def conv_shapes(size):
    """Three 3x3 convolutions with biases, with equal channels in and out."""
    width = max(1, math.isqrt(size // 27))
    return [(3, 3, width, width), (width,)] * 3


def small_shapes(size):
    """60 vectors: the biases and norms of a deep network."""
    return [(max(1, size // 60),)] * 60


TENSORS = {"dense": dense_shapes, "conv": conv_shapes, "small": small_shapes}


@dataclasses.dataclass
class Case:
    """A compiled loop of one optimizer on one set of tensors.

    Args:
        rule: Name of a registered rule, or `keras_adam`.
        tensors: Key of `TENSORS`.
        size: Approximate number of parameters.
        parameters: Exact number of parameters.
        steps: Number of steps per call.
    """

    rule: str
    tensors: str
    size: int
    parameters: int = 0
    steps: int = 0
    compile_seconds: float = 0.0
    temporary_bytes: float | None = None

    def compile(self, dump):
        """Compiles the loop and reads XLA's dump in the folder `dump`."""
        shapes = TENSORS[self.tensors](self.size)
        self.parameters = sum(map(math.prod, shapes))
        self.steps = max(2, 200_000 // self.parameters)
        loop = _compiled_loop(self.rule, shapes, self.steps)
        before = set(_assignments(dump))
        start = time.process_time()
        loop()
        self.compile_seconds = time.process_time() - start
        new = set(_assignments(dump)) - before
        if new:
            self.temporary_bytes = max(map(_temporary, new)) / self.parameters
        self._loop = loop

    def nanoseconds(self):
        """CPU time of all threads per parameter and step."""
        start = time.process_time_ns()
        self._loop()
        elapsed = time.process_time_ns() - start
        return elapsed / (self.parameters * self.steps)


def make_optimizer(name):
    """Keras's Adam, or a learned optimizer by the name of its rule."""
    if name == ADAM:
        return keras.optimizers.Adam()
    rule = rules.get(name)
    return LearnedOptimizer(rule, rule.init_theta(0), horizon=1000)


def _compiled_loop(name, shapes, steps):
    """Function without arguments that takes `steps` steps of an optimizer."""
    rng = np.random.default_rng(0)
    draws = [rng.normal(size=s).astype(np.float32) for s in shapes]
    variables = [keras.Variable(0.1 * draw) for draw in draws]
    gradients = [tf.constant(draw[::-1].copy()) for draw in draws]
    optimizer = make_optimizer(name)
    optimizer.build(variables)

    @tf.function(jit_compile=True, autograph=False)
    def loop(gradients):
        def body(i):
            # It changes, because XLA moves constants out of the loop.
            factor = 1.0 + 1e-3 * tf.cast(i, tf.float32)
            optimizer.scale_loss(factor)
            optimizer.apply([g * factor for g in gradients], variables)
            return [i + 1]

        return tf.while_loop(lambda i: i < steps, body, [tf.constant(0)])

    return lambda: loop(gradients)[0].numpy()


def _assignments(dump):
    return glob.glob(f"{dump}/*buffer-assignment.txt") if dump else []


def _temporary(path):
    """Bytes of a program's temporary buffers, from XLA's dump."""
    with open(path) as file:
        found = re.findall(
            r"allocation \d+: size (\d+), preallocated-temp", file.read()
        )
    return sum(map(int, found))


def benchmark_step(
    out_dir: str,
    *,
    rule_names: Sequence[str] | None = None,
    tensors: Sequence[str] = tuple(TENSORS),
    sizes: Sequence[int] = (10**4, 10**6, 10**7),
    repeats: int = 7,
) -> list[dict]:
    """Prints a table of the cost of steps; writes it to step_cost.json.

    The optimizers take turns, so that a busy machine slows all of them alike.
    The sizes of temporary buffers come from XLA's dump, whose folder is in
    XLA_FLAGS.

    Args:
        out_dir: Folder for the results.
        rule_names: Names of registered rules; None: all of them.
        tensors: Some of "dense", "conv" and "small".
        sizes: Approximate numbers of parameters.
        repeats: Number of measurements, whose median counts.

    Returns:
        List of dicts, the rows.
    """
    names = rules.names() if rule_names is None else rule_names
    if unknown := sorted(set(tensors) - set(TENSORS)):
        raise ValueError(
            f"`tensors` must be among {sorted(TENSORS)}. Received: {unknown}"
        )
    os.makedirs(out_dir, exist_ok=True)
    print(_work())
    print(tables.title(COLUMNS))
    rows = []
    for kind in tensors:
        for size in sizes:
            for row in _compared([ADAM, *names], kind, size, repeats):
                print(tables.line(COLUMNS, row), flush=True)
                rows.append(row)
    tables.write(os.path.join(out_dir, "step_cost.json"), _work(), rows)
    return rows


def _compared(names, kind, size, repeats):
    cases = [Case(name, kind, size) for name in names]
    for case in cases:
        case.compile(_dump_folder())
    times = np.array(
        [[case.nanoseconds() for case in cases] for _ in range(repeats)]
    )  # [repeats, cases]
    ratios = np.median(times / times[:, :1], axis=0)
    return [
        {
            **dataclasses.asdict(case),
            "shapes": TENSORS[kind](size),
            "ns_per_parameter": float(nanoseconds),
            "times_adam": float(ratio),
        }
        for case, nanoseconds, ratio in zip(
            cases, np.median(times, axis=0), ratios
        )
    ]


def _dump_folder():
    found = re.search(r"--xla_dump_to=(\S+)", os.environ.get("XLA_FLAGS", ""))
    return found and found[1]


def _work():
    kinds = "; ".join(f"{k}: {f.__doc__}" for k, f in TENSORS.items())
    return (
        "A step is optimizer.apply with given gradients; one compiled loop has "
        "many. Times are medians of the CPU time of all threads. XLA's "
        "temporary buffers, in addition to parameters, gradients and slots, "
        f"are in bytes per parameter. {kinds}"
    )
