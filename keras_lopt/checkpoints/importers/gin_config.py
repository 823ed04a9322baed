"""The config beside weights: config.gin, or config.json of Celo's code.

The former is that of google/learned_optimization. It holds what the tensors do
not show: which of two variants VeLO's loss features and LSTM states are, and
the scale of the step. It is read as text, and only for bindings of numbers,
names and flags. The latter names an optimizer of Celo's factory.
"""

import ast
import json
import pathlib
import re

from keras_lopt.checkpoints.locations import GIN_CONFIG

#: Their class -> our rule.
_RULES = {
    "AdafacMLPLOpt": "adafac_mlp",
    "HyperV2": "velo",
    "MLPLOpt": "mlp",
    "RNNMLPLOpt": "hierarchical",
}
#: The flags of a run, which Celo's train.py writes beside theta.
FLAGS_CONFIG = "config.json"
#: Name of an optimizer in Celo's factory.py -> our rule and hyperparameters.
_OF_FACTORY = {
    "celo": ("celo", {}),
    "celo_phase1": ("celo", {"is_scheduled": False}),
    "celo2": ("celo2", {"bias_correction": False}),
}
_SCALES = ("exp_mult", "step_mult")
#: Bindings of HyperV2 that the rule `velo` supports only with these values.
_FIXED = {
    "adafactor_accumulator": True,
    "clip_param_scale_amount": None,
    "constant_loss": False,
    "ff_hidden_layers": 2,
    "initial_adafactor_decays": (0.9, 0.99, 0.999),
    "initial_momentum_decays": (0.9, 0.99, 0.999),
    "initial_rms_decays": (0.999,),
    "mix_layers": True,
    "param_scale_mult": True,
    "precondition_output": False,
    "rnn_state_decay": 0.0,
    "validation_mode": False,
    "with_validation_feature_dim": False,
}
BUGGED_HORIZON = 10  # By mistake, their loss buffer spanned 10 steps.


def read_beside(path):
    """What the config in the folder of `path` says.

    Returns:
        Name of the rule, or None, and a dict of hyperparameters.
    """
    folder = pathlib.Path(path).parent
    file = folder / GIN_CONFIG
    if not file.is_file():
        return _from_flags(folder / FLAGS_CONFIG)
    return parse(file.read_text(encoding="utf-8", errors="replace"))


def _from_flags(file):
    """`read_beside` for the flags of a run of github.com/amoudgl/celo."""
    try:
        flags = json.loads(file.read_text(encoding="utf-8"))
        return _OF_FACTORY[flags["optimizer"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}  # There is none, or it is that of something else.


def parse(text):
    """`read_beside` for the text of the file."""
    bindings = _bindings(text)
    names = [name for name in _RULES if name in bindings]
    lopt = bindings.get("run_train", {}).get("lopt", "")
    if match := re.fullmatch(r"@(?:[\w.]+\.)?(\w+)(?:\(\))?", str(lopt)):
        names = [match[1]] if match[1] in _RULES else []
    if len(names) != 1:
        return None, {}
    (name,) = names
    own = bindings.get(name, {})
    config = {key: own[key] for key in _SCALES if key in own}
    if name == "HyperV2":
        config.update(_velo_flags(own))
    return _RULES[name], config


def _velo_flags(own):
    for key, value in own.items():
        expected = _FIXED.get(key, True if key.startswith("with_") else value)
        if value != expected:
            raise ValueError(
                f"HyperV2.{key} in {GIN_CONFIG} beside it must be "
                f"{expected}, as the rule 'velo' has it. Received: {value}"
            )
    # The defaults are those of google/learned_optimization.
    bugged = own.get("use_bugged_loss_features", True)
    return {
        "loss_buffer_horizon": BUGGED_HORIZON if bugged else None,
        "frozen_lstm_state": own.get("use_bugged_next_lstm_state", False),
    }


def _bindings(text):
    """Dict from class to dict from parameter to value, without scopes."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        match = re.fullmatch(
            r"\s*(?:[\w.]+\.)?(\w+)\.(\w+)\s*=\s*(.+?)\s*", line
        )
        if match:
            owner, key, value = match.groups()
            found.setdefault(owner, {})[key] = _value(value)
    return found


def _value(text):
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text  # A reference or a macro.
