"""Peak memory of one compiled step on a Dense layer of 2000 x 2000.

    python tests/benchmarks/step_memory.py [rule ...]

Prints, in bytes per parameter, what the step is given (parameters, gradients,
slots) and XLA's temporary buffer.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

SIZE = 2000
NAMES = ["fused", "adafac_mlp", "scale_free", "adam", "keras_adam"]


def measure(name, dump):
    """Prints one line about the rule registered as `name`."""
    import keras
    import tensorflow as tf

    from keras_lopt import LearnedOptimizer, rules

    if name == "keras_adam":
        optimizer = keras.optimizers.Adam()
    else:
        rule = rules.get(name)
        optimizer = LearnedOptimizer(rule, rule.init_theta(0), horizon=100)
    layer = keras.layers.Dense(SIZE, use_bias=False)
    layer.build((None, SIZE))
    variables = layer.trainable_variables
    optimizer.build(variables)

    @tf.function(jit_compile=True)
    def step(grad):
        optimizer.scale_loss(1.0)
        optimizer.apply([grad], variables)

    grad = tf.random.normal((SIZE, SIZE))
    step(grad)
    slots = sum(v.numpy().nbytes for v in optimizer.variables)
    count = SIZE * SIZE
    print(
        f"{name}: parameters and gradients 8.0, slots {slots / count:.1f}, "
        f"XLA's temporary {temporary(dump) / count:.1f} (bytes per parameter)",
        flush=True,
    )


def temporary(dump):
    """Bytes of the temporary buffer of the largest program in a dump."""
    sizes = [0]
    for path in glob.glob(f"{dump}/*buffer-assignment.txt"):
        with open(path) as file:
            found = re.findall(
                r"allocation \d+: size (\d+), preallocated-temp", file.read()
            )
        sizes += map(int, found)
    return max(sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*")
    parser.add_argument("--dump", help="XLA's dump; used by the script itself.")
    args = parser.parse_args()
    if args.dump:
        return measure(args.rules[0], args.dump)
    for name in args.rules or NAMES:
        # A process each: what one frees stays with its process.
        with tempfile.TemporaryDirectory() as dump:
            subprocess.run(
                [sys.executable, __file__, name, "--dump", dump],
                env={
                    **os.environ,
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    "XLA_FLAGS": f"--xla_dump_to={dump}",
                },
                check=True,
            )


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
    main()
