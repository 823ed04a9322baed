#!/usr/bin/env python3
"""Imports weights from other libraries and writes an optimizer file.

Reads flax msgpack files (google/learned_optimization, Celo), PyLO's
safetensors and torch state dicts; nothing is unpickled. The rule and its sizes
are found by the names and shapes of the weights, as far as these show them.

Examples:
  bin/convert_checkpoint.py --source=velo/params --out=velo.safetensors \
      --rule=velo --config loss_buffer_horizon=None --license=Apache-2.0
  bin/convert_checkpoint.py --source=rnn.safetensors --source=mlp.safetensors \
      --out=velo.safetensors
"""

import ast
import sys

import _package  # noqa: F401
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_multi_string(
    "source",
    [],
    "Weights: file, gs://bucket/path, hf://owner/name[/file]; repeat it for "
    "several files.",
)
flags.DEFINE_string("rule", None, "Name of the rule that the weights are for.")
flags.DEFINE_multi_string(
    "config",
    [],
    'Hyperparameter of the rule, such as "lstm_units=512"; more may follow it, '
    "and it may be repeated.",
)
flags.DEFINE_string("out", None, "The file to write, a new .safetensors.")
flags.DEFINE_string(
    "license", None, 'License of the weights, such as "Apache-2.0".'
)
flags.DEFINE_alias("licence", "license")
flags.mark_flag_as_required("out")


def hyperparameters(bindings):
    """Dict from name to value, for texts such as "lstm_units=512"."""
    config = {}
    for binding in bindings:
        name, equals, text = binding.partition("=")
        if not equals or not name.isidentifier():
            raise app.UsageError(
                f"--config must be name=value. Received: {binding!r}"
            )
        try:
            config[name] = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            config[name] = text
    return config


def main(argv):
    if argv[1:] and not FLAGS.config:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}")
    config = hyperparameters([*FLAGS.config, *argv[1:]])
    if not FLAGS.source:
        raise app.UsageError("--source says what to convert: give at least one")
    from keras_lopt import checkpoints

    try:
        rule, metadata = checkpoints.convert(
            FLAGS.source, FLAGS.out, FLAGS.rule, config, FLAGS.license
        )
    except (ValueError, OSError, ImportError) as error:
        message = " ".join(str(error).split())
        print(f"convert_checkpoint: {message}", file=sys.stderr)
        sys.exit(2)
    print(f"{FLAGS.out}: {rule}")
    if assumed := metadata.get("imported", {}).get("assumed"):
        print(f"Assumed, because nothing told them: {assumed}")


if __name__ == "__main__":
    app.run(main)
