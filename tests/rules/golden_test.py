"""Rules against recorded traces of their original implementation.

The traces (golden/*.npz) were recorded with google/learned_optimization on JAX:
random meta-parameters, and 20 steps on five tensors with given gradients and
losses.
"""

import dataclasses
import functools
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import LearnedOptimizer, checkpoints, rules

FOLDER = pathlib.Path(__file__).parent / "golden"
NUM_STEPS, HORIZON = 20, 100


@dataclasses.dataclass(frozen=True)
class Row:
    """One rule and its trace.

    Args:
        file: Name of the trace.
        config: Hyperparameters.
        rtol, atol: Tolerances of the parameters.
        tensor_slots: Our path of a tensor's slot -> path in the trace.
        slots: The same for slots that all tensors share.
    """

    file: str
    config: dict = dataclasses.field(default_factory=dict)
    rtol: float = 0.0
    atol: float = 1e-5
    tensor_slots: dict = dataclasses.field(default_factory=dict)
    slots: dict = dataclasses.field(default_factory=dict)


def factored_slots(theirs):
    return {
        "momenta": "mom_rolling/m",
        "second_moments": "rms_rolling/rms",
        "factored/row": f"{theirs}/v_row",
        "factored/col": f"{theirs}/v_col",
        "factored/full": f"{theirs}/v_diag",
    }


LSTM_SLOTS = {
    "lstm/hidden": "lstm_hidden_state/hidden",
    "lstm/cell": "lstm_hidden_state/cell",
}
TABLE = {
    "sgd": Row("learnable_sgd"),
    "sgdm": Row(
        "learnable_sgdm", tensor_slots={"trace": "optax_opt_state/0/trace"}
    ),
    "adam": Row(
        "learnable_adam",
        tensor_slots={
            "momentum": "optax_opt_state/0/mu",
            "second_moment": "optax_opt_state/0/nu",
        },
    ),
    "mlp": Row("mlp_lopt", tensor_slots={"momenta": "rolling_features/m"}),
    "adafac_mlp": Row(
        "adafac_mlp_lopt", tensor_slots=factored_slots("fac_rolling_features")
    ),
    "hierarchical": Row(
        "rnn_mlp_lopt",
        tensor_slots={
            "momenta": "mom_rolling/m",
            "second_moments": "rms_rolling/rms",
            "from_mlp": "from_mlp",
        },
        slots={
            **LSTM_SLOTS,
            "from_lstm": "from_lstm",
            "train_loss/mean": "train_loss_accum/mean",
            "train_loss/variance": "train_loss_accum/var",
            "train_loss/count": "train_loss_accum/updates",
            "valid_loss/mean": "valid_loss_accum/mean",
            "valid_loss/variance": "valid_loss_accum/var",
            "valid_loss/count": "valid_loss_accum/updates",
            "clip/count": "dynamic_clip/iteration",
            "clip/scale": "dynamic_clip/value",
        },
    ),
    "velo": Row(
        "hyper_v2",
        config={"lstm_units": 128, "bank_size": 64},
        rtol=1e-4,
        tensor_slots=factored_slots("fac_rolling"),
        slots={
            **LSTM_SLOTS,
            "loss/count": "loss_buffer/iteration",
            "loss/means": "loss_buffer/means",
            "loss/running_min": "loss_buffer/running_min",
        },
    ),
}


#: Compared with the mathematics of their papers, each in its own test file.
WITHOUT_TRACE = {"celo", "celo2"}


class Trace:
    """A recorded run and its rule."""

    def __init__(self, name):
        self.row = TABLE[name]
        path = FOLDER / f"{self.row.file}.npz"
        with np.load(path, allow_pickle=False) as file:
            self.arrays = dict(file)
        meta = json.loads(str(self.arrays["meta_json"]))
        self.names = meta["tree_order"]
        self.num_theta = meta["n_theta"]
        self.rule = rules.get(name, **self.row.config)
        self.theta = checkpoints.import_theta(self.rule, self.imported_leaves())

    def imported_leaves(self):
        """Dict from path to array: the meta-parameters to import."""
        prefix = "theta/"
        return {
            key.removeprefix(prefix): value
            for key, value in self.arrays.items()
            if key.startswith(prefix)
        }

    def initial_params(self):
        return [self.arrays[f"params0/{name}"] for name in self.names]

    def grads(self, step):
        return [self.arrays[f"grads/{name}"][step] for name in self.names]

    def loss(self, step):
        return self.arrays["losses"][step]

    def check_params(self, step, params):
        for name, param in zip(self.names, params, strict=True):
            np.testing.assert_allclose(
                param,
                self.arrays[f"params/{name}"][step],
                rtol=self.row.rtol,
                atol=self.row.atol,
                err_msg=f"{name} after step {step}",
            )

    def check_slots(self, when, slots):
        tolerance = {"rtol": 1e-4, "atol": 1e-5}
        for ours, theirs in self.row.slots.items():
            np.testing.assert_allclose(
                _at(slots, ours),
                self.arrays[f"{when}/{theirs}"],
                err_msg=f"{theirs} {when}",
                **tolerance,
            )
        tensors = slots if isinstance(slots, list) else slots["tensors"]
        for ours, theirs in self.row.tensor_slots.items():
            for name, tensor in zip(self.names, tensors, strict=True):
                expected = self.arrays[f"{when}/{theirs}/{name}"]
                value = _at(tensor, ours)
                assert (value is None) == (expected.size == 0)
                if value is not None:
                    # Decays are last in the trace and first in our slots.
                    value = np.moveaxis(value, 0, -1).reshape(expected.shape)
                    np.testing.assert_allclose(
                        value,
                        expected,
                        err_msg=f"{theirs}/{name} {when}",
                        **tolerance,
                    )


def _at(tree, path):
    """A leaf of nested dicts as an array; None if it is missing."""
    for part in path.split("/"):
        tree = tree.get(part)
        if tree is None:
            return None
    return np.asarray(tree)


@functools.cache
def trace_of(name):
    return Trace(name)


@pytest.fixture(params=TABLE)
def trace(request):
    return trace_of(request.param)


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_the_rule_reproduces_the_trace(trace, jit):
    update = trace.rule.update
    if jit:
        update = tf.function(update, jit_compile=True, autograph=False)
    params = [tf.constant(p) for p in trace.initial_params()]
    slots = trace.rule.init_slots(trace.theta, params)
    for step in range(NUM_STEPS):
        signals = {
            "step": tf.constant(step),
            "horizon": HORIZON,
            "train_loss": tf.constant(trace.loss(step)),
        }
        grads = [tf.constant(g) for g in trace.grads(step)]
        deltas, slots = update(trace.theta, grads, params, slots, signals)
        params = [p + d for p, d in zip(params, deltas, strict=True)]
        trace.check_params(step, params)
        if step == 0:
            trace.check_slots("state_after1", slots)
    trace.check_slots("final_state", slots)


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_the_keras_optimizer_reproduces_the_trace(trace, jit):
    variables = [keras.Variable(p) for p in trace.initial_params()]
    optimizer = LearnedOptimizer(trace.rule, trace.theta, horizon=HORIZON)
    optimizer.build(variables)

    @tf.function(jit_compile=jit, autograph=False)
    def train_step(grads, loss):
        optimizer.scale_loss(loss)
        optimizer.apply_gradients(zip(grads, variables))

    for step in range(NUM_STEPS):
        grads = [tf.constant(g) for g in trace.grads(step)]
        train_step(grads, tf.constant(trace.loss(step)))
        trace.check_params(step, variables)


def test_every_rule_with_imported_weights_is_in_the_table():
    importable = {
        name for name in rules.names() if rules.get(name).imported_paths()
    }
    assert importable == set(TABLE) | WITHOUT_TRACE


def test_theta_has_the_size_in_the_trace(trace):
    size = sum(leaf.size for leaf in trace.theta.values())
    assert size == trace.num_theta
