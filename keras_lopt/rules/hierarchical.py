"""hierarchical: LSTM per tensor, MLP per parameter (Metz 2020, 2009.11243).

RNN-MLP of "Tasks, stability, architecture, and compute: training more
effective learned optimizers, and using them to train themselves", by Metz,
Maheswaranathan, Freeman, Poole and Sohl-Dickstein.
"""

import dataclasses
import math
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.rules import (
    networks,
    published_shapes,
    recurrent,
    statistics,
)
from keras_lopt.rules.accumulators import moving_averages
from keras_lopt.rules.base import Rule
from keras_lopt.rules.hierarchical_inputs import (
    TENSOR_FEATURES,
    check_ranks,
    clip_gradients,
    init_clip,
    shared_features,
    take_losses,
    tensor_features,
)
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_finite,
    check_positive,
)
from keras_lopt.rules.registry import register

DECAYS = (0.5, 0.9, 0.99, 0.999, 0.9999)
FROM_LSTM = 18  # Numbers that all tensors' LSTMs tell each other.
FROM_MLP = 16  # Numbers that a tensor's MLP tells its LSTM.
TO_MLP = 17  # Numbers that a tensor's LSTM tells its MLP.


@register("hierarchical")
@dataclasses.dataclass(frozen=True)
class HierarchicalRule(Rule):
    """RNN-MLP, the architecture of self-training's predecessor.

    step = o0 * exp(o1 * exp_mult) * step_mult, for outputs o of the MLP. For
    tensors of rank 4 at most. A `valid_loss` among the signals is used, and
    need not be there.

    Args:
        mlp_units: Width of the MLP's hidden layers.
        mlp_layers: Number of the MLP's hidden layers, at least 1.
        lstm_units: Width of the LSTM.
        step_mult: Scale of the step, in units of the parameter.
        exp_mult: Scale of the magnitude output inside the exponential.
    """

    mlp_units: int = 32
    mlp_layers: int = 2
    lstm_units: int = 64
    step_mult: float = 1e-3
    exp_mult: float = 1e-3

    required_signals: ClassVar[tuple[str, ...]] = ("step", "train_loss")
    optional_signals: ClassVar[tuple[str, ...]] = ("valid_loss",)

    def __post_init__(self):
        check_counts(self, "mlp_units", "mlp_layers", "lstm_units")
        check_positive(self, "step_mult")
        check_finite(self, "exp_mult")

    # Theta.

    @property
    def _mlp_sizes(self):
        zeros = ops.zeros((len(DECAYS), 1))
        slots = {"momenta": zeros, "second_moments": zeros}
        entries = self._entry_features(zeros[0], zeros[0], slots)
        shared = len(networks.TIME_SCALES) + 3 + TO_MLP
        inputs = sum(f.shape[0] for f in entries) + shared
        hidden = [self.mlp_units] * self.mlp_layers
        return [inputs, *hidden, 2 + FROM_MLP]

    @property
    def _layer_shapes(self):
        inputs = FROM_LSTM + FROM_MLP + len(TENSOR_FEATURES)
        units = self.lstm_units
        return {
            **recurrent.lstm_shapes("lstm", inputs, units),
            **recurrent.linear_shapes("to_mlp", units, TO_MLP),
            **recurrent.linear_shapes("to_lstm", units, FROM_LSTM),
        }

    def theta_shapes(self):
        return {
            "initial_from_lstm": (FROM_LSTM,),
            "initial_from_mlp": (FROM_MLP,),
            **self._layer_shapes,
            **networks.mlp_shapes(self._mlp_sizes),
        }

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        initial = {
            leaf: (
                networks.truncated_normal(rng, (size,)) / math.sqrt(size)
            ).astype(np.float32)
            for leaf, size in (
                ("initial_from_lstm", FROM_LSTM),
                ("initial_from_mlp", FROM_MLP),
            )
        }
        return {
            **initial,
            **recurrent.init_layers(rng, self._layer_shapes),
            **networks.init_mlp(rng, self._mlp_sizes),
        }

    def published_paths(self):
        paths = {
            "initial_from_lstm": "initial_from_lstm",
            "initial_from_mlp": "initial_from_mlp",
            "lstm_w": "rnn_params/rnn/linear/w",
            "lstm_b": "rnn_params/rnn/linear/b",
            "lstm_hidden": "lstm_init_state/hidden",
            "lstm_cell": "lstm_init_state/cell",
            "to_mlp_w": "rnn_to_ff_params/rnn_to_ff/w",
            "to_mlp_b": "rnn_to_ff_params/rnn_to_ff/b",
            "to_lstm_w": "rnn_to_in_params/rnn_to_in/w",
            "to_lstm_b": "rnn_to_in_params/rnn_to_in/b",
        }
        for leaf in networks.mlp_shapes(self._mlp_sizes):
            paths[leaf] = f"ffmod_params/mlp/~/linear_{leaf[1:]}/{leaf[0]}"
        return paths

    @classmethod
    def published_config(cls, shapes):
        _, units = published_shapes.of_rank(2, shapes["lstm_init_state/hidden"])
        weight = "ffmod_params/mlp/~/linear_{}/w"
        return {
            "lstm_units": units,
            **published_shapes.mlp_config(
                shapes, weight, "mlp_units", "mlp_layers"
            ),
        }

    # Slots.

    def init_slots(self, theta, params):
        check_ranks(params)
        from_mlp = ops.convert_to_tensor(theta["initial_from_mlp"], "float32")
        tensors = []
        for param in params:
            shape = (len(DECAYS), math.prod(param.shape))
            tensors.append(
                {
                    "momenta": ops.zeros(shape),
                    "second_moments": ops.zeros(shape),
                    "from_mlp": from_mlp,
                }
            )
        return {
            "tensors": tensors,
            "lstm": recurrent.init_lstm_state(theta, "lstm", len(params)),
            "from_lstm": ops.convert_to_tensor(
                theta["initial_from_lstm"], "float32"
            ),
            "clip": init_clip(),
            "train_loss": statistics.init_loss_statistics(),
            "valid_loss": statistics.init_loss_statistics(),
        }

    # One step.

    def update(self, theta, grads, params, slots, signals):
        self.check_signals(signals)
        check_ranks(params)
        shapes = [param.shape for param in params]
        grads = [_flat(grad) for grad in grads]  # each [n]
        params = [_flat(param) for param in params]
        grads, clip = clip_gradients(grads, slots["clip"])
        losses, loss_features = take_losses(slots, signals)
        tensors = [
            _accumulate(grad, old)
            for grad, old in zip(grads, slots["tensors"], strict=True)
        ]
        features = tensor_features(
            grads, params, tensors, shapes, loss_features
        )
        lstm = self._run_lstm(theta, slots, features)
        to_mlp = recurrent.linear(theta, "to_mlp", lstm["hidden"])  # [t, 17]
        to_lstm = recurrent.linear(theta, "to_lstm", lstm["hidden"])
        time = networks.time_embed_sin(signals["step"])
        deltas = []
        for i, (grad, param) in enumerate(zip(grads, params, strict=True)):
            shared = shared_features(time, param, len(params), to_mlp[i])
            entries = self._entry_features(grad, param, tensors[i])
            outputs = networks.normalized_perceptron(
                theta, entries, shared
            )  # [18, n]
            tensors[i]["from_mlp"] = ops.mean(outputs[2:], axis=1)
            step = networks.step_of(outputs, self.exp_mult) * self.step_mult
            deltas.append(-ops.reshape(step, shapes[i]))
        return deltas, {
            "tensors": tensors,
            "lstm": lstm,
            "from_lstm": ops.mean(to_lstm, axis=0),
            "clip": clip,
            **losses,
        }

    def _run_lstm(self, theta, slots, features):
        """New state of the LSTM; `features` is a list of [18], by tensor."""
        inputs = [
            ops.concatenate([slots["from_lstm"], tensor["from_mlp"], own])
            for tensor, own in zip(slots["tensors"], features)
        ]
        return recurrent.lstm(theta, "lstm", ops.stack(inputs), slots["lstm"])

    def _entry_features(self, grad, param, slots):
        """The features of every entry before normalisation, each [k, n]."""
        momenta, second_moments = slots["momenta"], slots["second_moments"]
        scale = ops.rsqrt(second_moments + 1e-6)
        return [
            grad[None],
            param[None],
            ops.log(ops.abs(param) + 1e-8)[None],
            momenta,
            second_moments,
            momenta * scale,
            scale,
        ]


def _flat(tensor):
    return ops.reshape(ops.cast(tensor, "float32"), (-1,))


def _accumulate(grad, slots):
    """A tensor's slots with one more gradient; `from_mlp` is not there yet."""
    return {
        "momenta": moving_averages(DECAYS, slots["momenta"], grad),
        "second_moments": moving_averages(
            DECAYS, slots["second_moments"], grad * grad
        ),
    }
