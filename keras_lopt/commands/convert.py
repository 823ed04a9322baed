"""Imports weights from other libraries and writes an optimizer file.

Reads flax msgpack files (google/learned_optimization, Celo), PyLO's
safetensors and torch state dicts; nothing is unpickled. The rule and its sizes
are found by the names and shapes of the weights, as far as these show them.

Examples:
  keras-lopt convert --source=velo/params --out=velo.safetensors \
      --rule=velo --config loss_buffer_horizon=None --license=Apache-2.0
  keras-lopt convert --source=rnn.safetensors --source=mlp.safetensors \
      --out=velo.safetensors
"""

import ast


def add_flags(parser):
    parser.add_argument(
        "--source",
        action="append",
        required=True,
        help="weights: file, gs://bucket/path, hf://owner/name[/file]; "
        "repeat it for several files",
    )
    parser.add_argument("--rule", help="name of the rule of the weights")
    parser.add_argument(
        "--config",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help='hyperparameters of the rule, such as "lstm_units=512"',
    )
    parser.add_argument(
        "--out", required=True, help="the file to write, a new .safetensors"
    )
    parser.add_argument(
        "--license",
        "--licence",
        help='license of the weights, such as "Apache-2.0"',
    )


def run(args):
    config = hyperparameters(args.config)
    from keras_lopt import checkpoints, quiet

    with quiet.without_noise():  # Rules import Keras, and it its backend.
        rule, metadata = checkpoints.convert(
            args.source, args.out, args.rule, config, args.license
        )
    print(f"{args.out}: {rule}")
    if assumed := metadata.get("imported", {}).get("assumed"):
        print(f"Assumed, because nothing told them: {assumed}")


def hyperparameters(bindings):
    """Dict from name to value, for texts such as "lstm_units=512"."""
    config = {}
    for binding in bindings:
        name, equals, text = binding.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(
                f"--config must be name=value. Received: {binding!r}"
            )
        try:
            config[name] = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            config[name] = text
    return config
