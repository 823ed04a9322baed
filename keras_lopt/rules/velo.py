"""velo: an LSTM per tensor mixes a bank of MLPs (Metz 2022, 2211.09760).

"VeLO: training versatile learned optimizers by scaling up", by Metz, Harrison,
Freeman and others.
"""

import dataclasses
import functools
import math
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.rules import (
    blocks,
    history,
    networks,
    recurrent,
    velo_inputs,
    velo_published,
)
from keras_lopt.rules.base import Rule, at_least_1d
from keras_lopt.rules.factored import factored_features
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_finite,
    check_flags,
    check_positive,
)
from keras_lopt.rules.registry import register
from keras_lopt.rules.statistics import mean_square

OUTPUTS = 3  # The third is not used.
GRAD_LIMIT = 1000.0


@register("velo")
@dataclasses.dataclass(frozen=True)
class VeLORule(Rule):
    """Hypernetwork: every tensor gets an MLP of its own at every step.

    step = lr * o0 * exp(o1 * exp_mult) * step_mult * RMS of the parameter, for
    outputs o of the MLP and lr of the LSTM.

    Args:
        lstm_units: Width of the LSTM.
        bank_size: Number of MLPs that are mixed.
        hidden_units: Width of their two hidden layers.
        step_mult: Scale of the step, in units of the parameter's RMS.
        exp_mult: Scale of the magnitude output inside the exponential.
        bank_mult: Factor on the mixed weights of the MLPs. The published
            small variant was trained with 1.
        loss_buffer_horizon: Longest span of the running means of the loss, in
            steps; None is the horizon of the training. Some published weights
            were trained with 10.
        frozen_lstm_state: Whether the LSTM starts from its initial state at
            every step, as some published weights were trained.
    """

    lstm_units: int = 512
    bank_size: int = 256
    hidden_units: int = 4
    step_mult: float = 1e-3
    exp_mult: float = 1e-3
    bank_mult: float = 100.0
    loss_buffer_horizon: int | None = None
    frozen_lstm_state: bool = False

    required_signals: ClassVar[tuple[str, ...]] = (
        "step",
        "horizon",
        "train_loss",
    )
    published_optional: ClassVar[tuple[str, ...]] = velo_published.OPTIONAL

    def __post_init__(self):
        check_counts(self, "lstm_units", "bank_size", "hidden_units")
        check_positive(self, "step_mult", "bank_mult")
        check_finite(self, "exp_mult")
        if self.loss_buffer_horizon is not None:
            check_counts(self, "loss_buffer_horizon")
        check_flags(self, "frozen_lstm_state")

    # Theta.

    @property
    def _layer_shapes(self):
        inputs, units = velo_inputs.NUM_INPUTS, self.lstm_units
        return {
            **recurrent.linear_shapes("mix", inputs, units),
            **recurrent.linear_shapes("own", inputs, units),
            **recurrent.lstm_shapes("lstm", units, units),
            **recurrent.linear_shapes("controls", units, self.bank_size),
            **recurrent.linear_shapes("lr", units, 1),
            # Published weights have it; `update` does not use it.
            **recurrent.linear_shapes("unused", inputs, units),
        }

    @property
    def _input_sizes(self):
        """Numbers of columns of the groups of inputs of the MLPs."""
        zero = ops.zeros((1,))
        slots = history.init_history((1,))
        entries = history.history_entries(zero, zero, slots)
        return [len(group) for group in blocks.whole(self._features, entries)]

    @property
    def _bank_shapes(self):
        """Leaves of the MLPs: their first layer is kept by group of inputs."""
        units = self.hidden_units
        shapes = {
            f"w0_{i}": (size, units) for i, size in enumerate(self._input_sizes)
        }
        later = networks.mlp_shapes([0, units, units, OUTPUTS])
        shapes.update({k: v for k, v in later.items() if k != "w0"})
        return {k: (self.bank_size, *v) for k, v in shapes.items()}

    def theta_shapes(self):
        return {**self._layer_shapes, **self._bank_shapes}

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        theta = recurrent.init_layers(rng, self._layer_shapes)
        for leaf, shape in self._bank_shapes.items():
            value = np.zeros(shape)
            if leaf.startswith("w"):
                fan_in = shape[1]
                if leaf.startswith("w0_"):
                    fan_in = sum(self._input_sizes)
                value = networks.truncated_normal(rng, shape)
                value = value / math.sqrt(fan_in)
            theta[leaf] = value.astype(np.float32)
        return theta

    def published_paths(self):
        return velo_published.paths(self._bank_shapes)

    @classmethod
    def published_config(cls, shapes):
        return velo_published.config(shapes)

    # Slots.

    def init_slots(self, theta, params):
        return {
            "tensors": [
                history.init_history(at_least_1d(param.shape))
                for param in params
            ],
            "lstm": recurrent.init_lstm_state(theta, "lstm", len(params)),
            "loss": velo_inputs.init_loss_buffer(),
        }

    # One step.

    def update(self, theta, grads, params, slots, signals):
        self.check_signals(signals)
        shapes = [param.shape for param in params]
        grads, params = (
            [
                ops.reshape(ops.cast(t, "float32"), at_least_1d(t.shape))
                for t in tensors
            ]
            for tensors in (grads, params)
        )
        grads = [ops.clip(grad, -GRAD_LIMIT, GRAD_LIMIT) for grad in grads]
        loss, shared = self._take_loss(slots["loss"], signals)
        inputs = velo_inputs.lstm_inputs(
            params, slots["tensors"], shapes, shared
        )
        lstm = self._run_lstm(theta, inputs, slots["lstm"])
        mlps = self._mixed_mlps(theta, lstm["hidden"])
        rates = recurrent.linear(theta, "lr", lstm["hidden"])[:, 0]  # [t]
        tensors, deltas = [], []
        for i, (grad, old) in enumerate(
            zip(grads, slots["tensors"], strict=True)
        ):
            tensor = history.update_history(old, grad)
            mlp = {leaf: value[i] for leaf, value in mlps.items()}
            step = rates[i] * self._direction(mlp, grad, params[i], tensor)
            tensors.append(tensor)
            deltas.append(-ops.reshape(step, shapes[i]))
        state = slots["lstm"] if self.frozen_lstm_state else lstm
        return deltas, {"tensors": tensors, "lstm": state, "loss": loss}

    def _take_loss(self, slots, signals):
        """The new loss buffer, and the features that all tensors share."""
        horizon = signals["horizon"]
        span = self.loss_buffer_horizon or horizon
        slots = velo_inputs.update_loss_buffer(
            slots, ops.cast(signals["train_loss"], "float32"), span
        )
        return slots, {
            "fraction_left": velo_inputs.fraction_features(
                signals["step"], horizon
            ),
            "loss_features": velo_inputs.loss_features(slots, span),
        }

    def _run_lstm(self, theta, inputs, state):
        """The LSTM on tensors' inputs that saw each other. [t, units]"""
        told = ops.relu(recurrent.linear(theta, "mix", inputs))
        heard = ops.max(told, axis=0, keepdims=True)
        own = recurrent.linear(theta, "own", inputs)
        return recurrent.lstm(theta, "lstm", own + heard, state)

    def _mixed_mlps(self, theta, hidden):
        """Leaves of every tensor's MLP, each [t, ...]."""
        controls = recurrent.linear(theta, "controls", hidden)  # [t, bank]
        mixed = {}
        for leaf, shape in self._bank_shapes.items():
            bank = ops.reshape(theta[leaf], (self.bank_size, -1))
            mix = ops.matmul(controls, bank) * (self.bank_mult / self.bank_size)
            mixed[leaf] = ops.reshape(mix, (-1, *shape[1:]))
        groups = range(len(self._input_sizes))
        first = [mixed.pop(f"w0_{i}") for i in groups]
        return {"w0": ops.concatenate(first, axis=1), **mixed}

    def _features(self, entries):
        """Before normalisation: lists of tensors, or of parts of them."""
        (grad,), momenta = entries["grad"], entries["momenta"]
        scale = history.inverse_scale(entries)
        factored_grad, *others = factored_features(entries, full_epsilon=0.0)
        return [
            [grad],
            [ops.clip(grad, -0.1, 0.1)],
            entries["param"],
            momenta,
            entries["second_moments"],
            [momentum * scale for momentum in momenta],
            [scale],
            factored_grad,
            [grad * scale],
            *others,
        ]

    def _direction(self, mlp, grad, param, slots):
        """The step before the tensor's learning rate. [n]"""
        scale = ops.sqrt(mean_square(param) + 1e-9) * self.step_mult
        return scale * blocks.normalized_perceptron(
            mlp,
            self._features,
            history.history_entries(grad, param, slots),
            ops.zeros((0,)),
            functools.partial(networks.step_of, exp_mult=self.exp_mult),
        )
