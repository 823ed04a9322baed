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

from keras_lopt.rules.base import Rule
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_finite,
    check_positive,
    mlp_sizes,
    of_rank,
)
from keras_lopt.rules.memory import progress, statistics
from keras_lopt.rules.memory.accumulators import moving_averages
from keras_lopt.rules.memory.statistics import clip_log, mean_square, norm
from keras_lopt.rules.networks import layers, normalized, recurrent
from keras_lopt.rules.registry import register

DECAYS = (0.5, 0.9, 0.99, 0.999, 0.9999)
FROM_LSTM = 18  # Numbers that the LSTM passes to all tensors, as their mean.
FROM_MLP = 16  # Numbers that a tensor's MLP passes to the LSTM.
TO_MLP = 17  # Numbers that the LSTM passes to a tensor's MLP.
MAX_RANK = 4
TRAIN_LOSS_DECAY = 0.9
VALID_LOSS_DECAY = 0.95
CLIP_DECAY = 0.99
#: In the order of imported weights, which is alphabetical.
TENSOR_FEATURES = (
    "g_norm",
    "is_scalar",
    "mean_ms_mag",
    "mean_ms_sign",
    "mean_rms",
    "mean_sign",
    "mean_v_mag",
    "mean_v_sign",
    "norm_weight",
    "shape_0",
    "shape_1",
    "shape_2",
    "shape_3",
    "train_loss_feat",
    "valid_loss_feat",
    "var_ms",
    "var_rms",
    "var_v",
)


@register("hierarchical")
@dataclasses.dataclass(frozen=True)
class HierarchicalRule(Rule):
    """RNN-MLP, the architecture that first trained itself.

    step = o0 * exp(o1 * exp_mult) * step_mult, for the MLP's outputs o0, o1.
    Tensors may have a rank of at most 4. The signal `valid_loss` is optional.

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
        zeros = ops.zeros((len(DECAYS), 1), dtype="float32")
        slots = {"momenta": zeros, "second_moments": zeros}
        entries = self._entry_features(zeros[0], zeros[0], slots)
        shared = len(progress.TIME_SCALES) + 3 + TO_MLP
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
            **layers.mlp_shapes(self._mlp_sizes),
        }

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        initial = {
            leaf: (
                layers.truncated_normal(rng, (size,)) / math.sqrt(size)
            ).astype(np.float32)
            for leaf, size in (
                ("initial_from_lstm", FROM_LSTM),
                ("initial_from_mlp", FROM_MLP),
            )
        }
        return {
            **initial,
            **recurrent.init_layers(rng, self._layer_shapes),
            **layers.init_mlp(rng, self._mlp_sizes),
        }

    def imported_paths(self):
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
        for leaf in layers.mlp_shapes(self._mlp_sizes):
            paths[leaf] = f"ffmod_params/mlp/~/linear_{leaf[1:]}/{leaf[0]}"
        return paths

    @classmethod
    def imported_config(cls, shapes):
        _, units = of_rank(2, shapes["lstm_init_state/hidden"])
        weight = "ffmod_params/mlp/~/linear_{}/w"
        return {
            "lstm_units": units,
            **mlp_sizes(shapes, weight, "mlp_units", "mlp_layers"),
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
                    "momenta": ops.zeros(shape, dtype="float32"),
                    "second_moments": ops.zeros(shape, dtype="float32"),
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
        time = progress.time_embed_sin(signals["step"])
        deltas = []
        for i, (grad, param) in enumerate(zip(grads, params, strict=True)):
            shared = shared_features(time, param, len(params), to_mlp[i])
            entries = self._entry_features(grad, param, tensors[i])
            outputs = normalized.whole_perceptron(
                theta, entries, shared
            )  # [18, n]
            tensors[i]["from_mlp"] = ops.mean(outputs[2:], axis=1)
            step = layers.step_of(outputs, self.exp_mult) * self.step_mult
            deltas.append(-ops.reshape(step, shapes[i]))
        return deltas, {
            "tensors": tensors,
            "lstm": lstm,
            "from_lstm": ops.mean(to_lstm, axis=0),
            "clip": clip,
            **losses,
        }

    def _run_lstm(self, theta, slots, features):
        """New LSTM state; `features` is a list with one [18] per tensor."""
        inputs = [
            ops.concatenate([slots["from_lstm"], tensor["from_mlp"], own])
            for tensor, own in zip(slots["tensors"], features)
        ]
        return recurrent.lstm(theta, "lstm", ops.stack(inputs), slots["lstm"])

    def _entry_features(self, grad, param, slots):
        """The features of every entry before normalization, each [k, n]."""
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
    """A tensor's slots after one more gradient, still without `from_mlp`."""
    return {
        "momenta": moving_averages(DECAYS, slots["momenta"], grad),
        "second_moments": moving_averages(
            DECAYS, slots["second_moments"], grad * grad
        ),
    }


# Inputs of the networks.


def check_ranks(params):
    """Raises ValueError if a tensor has more than 4 dimensions."""
    for i, param in enumerate(params):
        if len(param.shape) > MAX_RANK:
            raise ValueError(
                "Rule 'hierarchical' looks at 4 dimensions: `params` must have "
                f"rank {MAX_RANK} at most. Received: params[{i}] with "
                f"shape={tuple(param.shape)}"
            )


def tensor_features(grads, params, tensors, shapes, loss_features):
    """The features of each tensor.

    Args:
        grads: List of [n].
        params: List of [n].
        tensors: List of dicts with new `momenta` and `second_moments`.
        shapes: List of the tensors' shapes.
        loss_features: Two scalars: of the training and the validation loss.

    Returns:
        List of [18].
    """
    return [
        _features_of_one(grad, param, slots, shape, loss_features)
        for grad, param, slots, shape in zip(grads, params, tensors, shapes)
    ]


def _features_of_one(grad, param, slots, shape, loss_features):
    momenta, second_moments = slots["momenta"], slots["second_moments"]
    named = {
        "g_norm": clip_log(norm(grad)),
        "is_scalar": -1.0 if len(shape) else 1.0,
        "mean_ms_mag": clip_log(ops.mean(momenta)),
        "mean_ms_sign": ops.sign(ops.mean(momenta)),
        "mean_rms": clip_log(ops.mean(second_moments)),
        "mean_sign": ops.sign(ops.mean(second_moments)),
        "mean_v_mag": clip_log(ops.mean(param)),
        "mean_v_sign": ops.sign(ops.mean(param)),
        "norm_weight": clip_log(norm(param)),
        "train_loss_feat": loss_features[0],
        "valid_loss_feat": loss_features[1],
        "var_ms": clip_log(_variance(momenta)),
        "var_rms": clip_log(_variance(second_moments)),
        "var_v": clip_log(_variance(param)),
    }
    padded = [*shape, *[1] * (MAX_RANK - len(shape))]
    for axis, size in enumerate(padded):
        named[f"shape_{axis}"] = math.log(size) - 1.0
    return ops.stack([ops.cast(named[k], "float32") for k in TENSOR_FEATURES])


def _variance(x):
    return ops.mean(ops.square(x - ops.mean(x)))


def init_clip():
    return {
        "count": ops.ones((), dtype="float32"),
        "scale": 0.01 * ops.ones((), dtype="float32"),
    }


def clip_gradients(grads, slots):
    """Gradients clipped to ten times their usual size, and the new slots."""
    unbiased = slots["scale"] / (1.0 - ops.power(CLIP_DECAY, slots["count"]))
    limit = 10.0 * unbiased
    grads = [ops.clip(grad, -limit, limit) for grad in grads]
    squares = [mean_square(grad) for grad in grads]
    size = ops.sqrt(1e-8 + sum(squares) / len(squares))
    return grads, {
        "count": slots["count"] + 1.0,
        "scale": CLIP_DECAY * slots["scale"] + (1.0 - CLIP_DECAY) * size,
    }


def take_losses(slots, signals):
    """New statistics of both losses, and a list of one feature for each."""
    train = statistics.update_loss_statistics(
        slots["train_loss"],
        ops.cast(signals["train_loss"], "float32"),
        TRAIN_LOSS_DECAY,
    )
    valid = slots["valid_loss"]
    if signals.get("valid_loss") is not None:
        loss = ops.cast(signals["valid_loss"], "float32")
        new = statistics.update_loss_statistics(valid, loss, VALID_LOSS_DECAY)
        is_there = ops.logical_not(ops.isnan(loss))
        valid = {
            k: ops.where(is_there, new[k], old) for k, old in valid.items()
        }
    usual = statistics.corrected(valid, "mean", VALID_LOSS_DECAY)
    features = [
        statistics.loss_feature(train, value, TRAIN_LOSS_DECAY)
        for value in (ops.cast(signals["train_loss"], "float32"), usual)
    ]
    return {"train_loss": train, "valid_loss": valid}, features


def shared_features(time, param, num_tensors, to_mlp):
    """Inputs that all entries of a tensor share, not normalized. [31]"""
    sizes = ops.stack(
        [
            ops.cast(math.log(num_tensors) - 1.0, "float32"),
            ops.log(norm(param) + 1e-8),
            ops.cast(math.log(param.shape[0]), "float32"),
        ]
    )
    return ops.concatenate([time, sizes, to_mlp])
