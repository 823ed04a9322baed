"""Translates PyLO's weights to the paths that the rules import from.

PyLO (arXiv 2506.10315) keeps the weights of google/learned_optimization in
torch modules. Their layers are (out, in), and are therefore transposed here.
"""

import re

import numpy as np

from keras_lopt import rules

#: Layer of VeLORNN -> path.
_RNN = {
    "mix_layer1": "rnn_params/linear",
    "mix_layer2": "rnn_params/linear_1",
    "final_mix_layer": "rnn_params/linear_2",
    "lstm.linear": "rnn_params/rnn/linear",
    "rnn_to_controls": "rnn_params/rnn_to_controls",
    "step_size": "rnn_params/step_size",
}
_RNN_STATE = {
    "lstm_init_state.0": "lstm_init_state/hidden",
    "lstm_init_state.1": "lstm_init_state/cell",
}
#: Leaf of VeLOMLP -> path; the first layer is split into groups.
_BANK = {
    "input_weights_": "ff_mod_stack/~/w0__",
    "input_bias_": "ff_mod_stack/~/b0",
    "hidden_weights_.0": "ff_mod_stack/~/w1",
    "hidden_bias_.0": "ff_mod_stack/~/b1",
    "output_weights_": "ff_mod_stack/~/w2",
    "output_bias_": "ff_mod_stack/~/b2",
}
#: Leaf of CELO2MLP, whose layers are (in, out) -> path.
_CELO2 = {
    "b0": "ff_mod_stack/~/b0",
    **{
        f"dense_{kind}.{i}": f"ff_mod_stack/~/{kind}{i + 1}"
        for kind in ("w", "b")
        for i in (0, 1)
    },
    **{f"w0.{i}": f"ff_mod_stack/~/w0__{i}" for i in range(14)},
}
#: What VeLOMLP computes from its bank, and saves with it.
_WORKING_COPIES = {name.replace("_.", ".").rstrip("_") for name in _BANK}
_PER_PARAMETER = r"network\.(input|linear_(\d+)|output)\.(weight|bias)"
#: MetaMLP has no decays, because PyLO's optimizers have muLO's in their code.
_OFFSETS = {
    "momentum_decays": (0.15216392, 0.14245212, 0.06812963),
    "rms_decays": (0.01079706,),
    "adafactor_decays": (0.18621896, -0.10864615, -0.06185547),
}
_PER_PARAMETER_CONFIG = {"step_mult": 0.01}  # Default of PyLO's optimizers.


def translated(leaves):
    """PyLO's weights under the paths of the rules; other leaves unchanged.

    Args:
        leaves: Dict from name to float32 array.

    Returns:
        Dict from path to float32 array, and a dict of the hyperparameters
        whose defaults in PyLO's optimizers differ from the rule's.
    """
    if any(re.fullmatch(_PER_PARAMETER, name) for name in leaves):
        return _per_parameter(leaves), dict(_PER_PARAMETER_CONFIG)
    found = {}
    for name, value in leaves.items():
        layer, _, kind = name.rpartition(".")
        if name in _RNN_STATE:
            found[_RNN_STATE[name]] = value
        elif layer in _RNN and kind in ("weight", "bias"):
            found[f"{_RNN[layer]}/{kind[0]}"] = _transposed(name, value, kind)
        elif name in _BANK:
            found.update(_bank(name, value))
        elif name in _CELO2:
            found[_CELO2[name]] = value
        elif name not in _WORKING_COPIES:
            found[name] = value
    return found, {}


def _per_parameter(leaves):
    """MetaMLP, which is the rule adafac_mlp."""
    found = {k: np.array(v, np.float32) for k, v in _OFFSETS.items()}
    hidden = [n for n in leaves if re.match(r"network\.linear_\d+\.weight", n)]
    for name, value in leaves.items():
        match = re.fullmatch(_PER_PARAMETER, name)
        if match is None:
            found[name] = value
            continue
        layer, number, kind = match.groups()
        index = {"input": 0, "output": len(hidden) + 1}.get(layer)
        index = int(number) + 1 if index is None else index
        found[f"nn/~/{kind[0]}{index}"] = _transposed(name, value, kind)
    return found


def _bank(name, value):
    """Leaves of the bank of MLPs, from (bank, out, in) to (bank, in, out)."""
    path = _BANK[name]
    if "weights" in name:
        value = _transposed(name, value, "weight", rank=3)
    if name != "input_weights_":
        return {path: value}
    shapes = rules.get("velo", lstm_units=1, bank_size=1).theta_shapes()
    groups = [s[1] for leaf, s in shapes.items() if leaf.startswith("w0_")]
    if value.shape[1] != sum(groups):
        raise ValueError(
            f"`leaves[{name!r}]` must have {sum(groups)} inputs, its last "
            f"dimension. Received: {value.shape[1]}"
        )
    parts = np.split(value, np.cumsum(groups)[:-1], axis=1)
    return {f"{path}{i}": part for i, part in enumerate(parts)}


def _transposed(name, value, kind, rank=2):
    if kind == "bias":
        return value
    if value.ndim != rank:
        raise ValueError(
            f"`leaves[{name!r}]` must have {rank} dimensions. Received: "
            f"shape={value.shape}"
        )
    return np.swapaxes(value, -1, -2)
