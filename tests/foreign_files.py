"""Files of weights as other libraries write them, from a rule's leaves."""

import numpy as np
import pytest
import safetensors.numpy

#: flax's numbers of msgpack extensions.
ARRAY, COMPLEX, SCALAR = 1, 2, 3


def published(rule, seed=0):
    """Random weights under the published paths of `rule`."""
    rng = np.random.default_rng(seed)
    shapes = rule.theta_shapes()
    return {
        path: rng.normal(size=shapes[leaf]).astype(np.float32)
        for leaf, path in rule.published_paths().items()
    }


def nested(leaves):
    """The tree that google/learned_optimization holds the leaves in.

    Haiku's names of layers hold slashes themselves.
    """
    tree = {}
    for path, value in leaves.items():
        keys = path.split("/")
        if path.startswith("rnn_params/rnn/"):
            keys = ["rnn_params", "rnn/linear", keys[-1]]
        elif "mlp/~/" in path:
            *parents, _, _, layer, kind = keys
            keys = [*parents, f"mlp/~/{layer}", kind]
        branch = tree
        for key in keys[:-1]:
            branch = branch.setdefault(key, {})
        branch[keys[-1]] = value
    return tree


def array(value, code=ARRAY, dtype=None):
    """An array as flax packs it."""
    msgpack = pytest.importorskip("msgpack", reason="msgpack is not installed")
    payload = [list(value.shape), dtype or value.dtype.name, value.tobytes()]
    return msgpack.ExtType(code, msgpack.packb(payload))


def pack(tree):
    """Bytes of a flax msgpack file; arrays may be packed already."""
    msgpack = pytest.importorskip("msgpack", reason="msgpack is not installed")

    def packed(value):
        if isinstance(value, dict):
            return {k: packed(v) for k, v in value.items()}
        return array(value) if isinstance(value, np.ndarray) else value

    return msgpack.packb(packed(tree))


def bfloat16_bits(value):
    """The upper halves of float32 numbers."""
    return (value.view(np.uint32) >> 16).astype(np.uint16)


# PyLO: torch modules, (out, in).

VELO_LAYERS = {
    "mix_layer1": "linear",
    "mix_layer2": "linear_1",
    "final_mix_layer": "linear_2",
    "lstm.linear": "rnn/linear",
    "rnn_to_controls": "rnn_to_controls",
    "step_size": "step_size",
}


def pylo_rnn(leaves):
    """VeLORNN's state dict from published leaves of velo."""
    state = {
        "lstm_init_state.0": leaves["lstm_init_state/hidden"],
        "lstm_init_state.1": leaves["lstm_init_state/cell"],
    }
    for ours, theirs in VELO_LAYERS.items():
        state[f"{ours}.weight"] = leaves[f"rnn_params/{theirs}/w"].T.copy()
        state[f"{ours}.bias"] = leaves[f"rnn_params/{theirs}/b"]
    return state


def pylo_bank(leaves):
    """VeLOMLP's state dict, including its working copies."""
    bank = {k.removeprefix("ff_mod_stack/~/"): v for k, v in leaves.items()}
    first = np.concatenate([bank[f"w0__{i}"] for i in range(14)], axis=1)
    turned = {k: np.swapaxes(bank[k], 1, 2).copy() for k in ("w1", "w2")}
    state = {
        "input_weights_": np.swapaxes(first, 1, 2).copy(),
        "input_bias_": bank["b0"],
        "hidden_weights_.0": turned["w1"],
        "hidden_bias_.0": bank["b1"],
        "output_weights_": turned["w2"],
        "output_bias_": bank["b2"],
    }
    copies = {
        "input_weights": first[0],
        "input_bias": bank["b0"][0],
        "hidden_weights.0": turned["w1"][0],
        "hidden_bias.0": bank["b1"][0],
        "output_weights": turned["w2"][0],
        "output_bias": bank["b2"][0],
    }
    return {**state, **copies}


def pylo_mlp(leaves):
    """MetaMLP's state dict from published leaves of adafac_mlp."""
    names = {0: "input", 1: "linear_0", 2: "output"}
    state = {}
    for i, name in names.items():
        state[f"network.{name}.weight"] = leaves[f"nn/~/w{i}"].T.copy()
        state[f"network.{name}.bias"] = leaves[f"nn/~/b{i}"]
    return state


def pylo_celo2(leaves):
    """CELO2MLP's state dict, layers (in, out), from leaves of celo2."""
    own = {k.removeprefix("ff_mod_stack/~/"): v for k, v in leaves.items()}
    later = {
        f"dense_{kind}.{i}": own[f"{kind}{i + 1}"]
        for kind in ("w", "b")
        for i in (0, 1)
    }
    first = {f"w0.{i}": own[f"w0__{i}"] for i in range(14)}
    return {**first, "b0": own["b0"], **later}


def save_safetensors(path, state):
    safetensors.numpy.save_file(state, path, {"format": "pt"})
    return path
