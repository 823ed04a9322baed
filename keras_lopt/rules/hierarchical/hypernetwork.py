"""What `velo` and `celo` share: an LSTM that steers per-parameter MLPs."""

import dataclasses
import functools
from typing import ClassVar

import numpy as np
from keras import ops

from keras_lopt.rules.base import Rule, at_least_1d
from keras_lopt.rules.hyperparameters import (
    check_counts,
    check_finite,
    check_positive,
    of_rank,
)
from keras_lopt.rules.memory import history, progress
from keras_lopt.rules.memory.statistics import mean_square
from keras_lopt.rules.networks import grouped, layers, recurrent
from keras_lopt.rules.networks.normalized import normalized_perceptron

#: Our layer -> its path in imported weights.
_LAYER_PATHS = {
    "mix": "linear_1",
    "own": "linear_2",
    "lstm": "rnn/linear",
    "controls": "rnn_to_controls",
    "lr": "step_size",
    "unused": "linear",
}


@dataclasses.dataclass(frozen=True)
class HypernetworkRule(Rule):
    """At every step, an LSTM mixes a bank of MLPs and sets learning rates.

    step = lr * o0 * exp(o1 * exp_mult) * step_mult * RMS of the parameter, for
    the outputs o0, o1 of the MLP and lr of the LSTM. Subclasses define what
    the LSTM sees and how its outputs are used.
    """

    lstm_units: int = 512
    bank_size: int = 256
    hidden_units: int = 4
    step_mult: float = 1e-3
    exp_mult: float = 1e-3

    required_signals: ClassVar[tuple[str, ...]] = (
        "step",
        "horizon",
        "train_loss",
    )
    #: Weights of the layer `unused`, which does not change the updates.
    imported_optional: ClassVar[tuple[str, ...]] = (
        "rnn_params/linear/w",
        "rnn_params/linear/b",
    )
    #: Number of the LSTM's inputs.
    num_inputs: ClassVar[int]

    def __post_init__(self):
        check_counts(self, "lstm_units", "bank_size", "hidden_units")
        check_positive(self, "step_mult")
        check_finite(self, "exp_mult")

    # What subclasses define. The LSTM runs over t rows: one per tensor, or one
    # for all tensors.

    def lstm_rows(self, num_tensors):
        """Number of rows t for this number of tensors."""
        raise NotImplementedError

    def lstm_inputs(self, params, tensors, shapes, shared):
        """What the LSTM sees. [t, num_inputs]

        Args:
            params: List of [*shape], (1,) for a scalar.
            tensors: List of slots, before the update.
            shapes: List of the tensors' own shapes.
            shared: Dict of [k], features of the training's progress.
        """
        raise NotImplementedError

    def mixture(self, controls):
        """Factors on the bank's MLPs from the LSTM's controls, [t, bank]."""
        raise NotImplementedError

    def rates(self, outputs):
        """Learning rates from the LSTM's outputs, [t]."""
        raise NotImplementedError

    def loss_span(self, horizon):
        """Longest span of the loss's running means, in steps."""
        return horizon

    def next_lstm_state(self, old, new):
        """The state that the LSTM starts the next step from."""
        del old
        return new

    # Theta.

    @property
    def _layer_shapes(self):
        inputs, units = self.num_inputs, self.lstm_units
        return {
            **recurrent.linear_shapes("mix", inputs, units),
            **recurrent.linear_shapes("own", inputs, units),
            **recurrent.lstm_shapes("lstm", units, units),
            **recurrent.linear_shapes("controls", units, self.bank_size),
            **recurrent.linear_shapes("lr", units, 1),
            # Imported weights have this layer; `update` does not use it.
            **recurrent.linear_shapes("unused", inputs, units),
        }

    @property
    def _bank_shapes(self):
        return grouped.theta_shapes(self.hidden_units, (self.bank_size,))

    def theta_shapes(self):
        return {**self._layer_shapes, **self._bank_shapes}

    def init_theta(self, seed):
        rng = np.random.default_rng(seed)
        layers = recurrent.init_layers(rng, self._layer_shapes)
        return {**layers, **grouped.init_theta(rng, self._bank_shapes)}

    def imported_paths(self):
        linear = {
            f"{layer}_{kind}": f"rnn_params/{path}/{kind}"
            for layer, path in _LAYER_PATHS.items()
            for kind in ("w", "b")
        }
        states = {
            f"lstm_{state}": f"lstm_init_state/{state}"
            for state in ("hidden", "cell")
        }
        bank = grouped.imported_paths(self._bank_shapes)
        return {**linear, **states, **bank}

    @classmethod
    def imported_config(cls, shapes):
        _, lstm_units = of_rank(2, shapes["lstm_init_state/hidden"])
        bank_size, hidden_units, _ = of_rank(3, shapes["ff_mod_stack/~/w1"])
        return {
            "lstm_units": lstm_units,
            "bank_size": bank_size,
            "hidden_units": hidden_units,
        }

    # Slots.

    def init_slots(self, theta, params):
        rows = self.lstm_rows(len(params))
        return {
            "tensors": [
                history.init_history(at_least_1d(param.shape))
                for param in params
            ],
            "lstm": recurrent.init_lstm_state(theta, "lstm", rows),
            "loss": progress.init_loss_buffer(),
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
        grads = [grouped.clipped(grad) for grad in grads]
        loss, shared = self._take_loss(slots["loss"], signals)
        inputs = self.lstm_inputs(params, slots["tensors"], shapes, shared)
        lstm = self._run_lstm(theta, inputs, slots["lstm"])
        mlps = self._mixed_mlps(theta, lstm["hidden"])
        rates = recurrent.linear(theta, "lr", lstm["hidden"])[:, 0]
        rates = self.rates(rates)  # [t]
        tensors, deltas = [], []
        for i, (grad, old) in enumerate(
            zip(grads, slots["tensors"], strict=True)
        ):
            row = i % inputs.shape[0]  # 0 if all tensors share one row.
            tensor = history.update_history(old, grad)
            mlp = {leaf: value[row] for leaf, value in mlps.items()}
            step = rates[row] * self._direction(mlp, grad, params[i], tensor)
            tensors.append(tensor)
            deltas.append(-ops.reshape(step, shapes[i]))
        state = self.next_lstm_state(slots["lstm"], lstm)
        return deltas, {"tensors": tensors, "lstm": state, "loss": loss}

    def _take_loss(self, slots, signals):
        """The new loss buffer, and the features that all tensors share."""
        horizon = signals["horizon"]
        span = self.loss_span(horizon)
        slots = progress.update_loss_buffer(
            slots, ops.cast(signals["train_loss"], "float32"), span
        )
        return slots, {
            "fraction_left": progress.fraction_features(
                signals["step"], horizon
            ),
            "loss_features": progress.loss_features(slots, span),
        }

    def _run_lstm(self, theta, inputs, state):
        """The LSTM's new state. Each row of inputs also sees all the others."""
        told = ops.relu(recurrent.linear(theta, "mix", inputs))
        heard = ops.max(told, axis=0, keepdims=True)
        own = recurrent.linear(theta, "own", inputs)
        return recurrent.lstm(theta, "lstm", own + heard, state)

    def _mixed_mlps(self, theta, hidden):
        """Leaves of the mixed MLPs, each [t, ...]."""
        controls = recurrent.linear(theta, "controls", hidden)
        factors = self.mixture(controls)  # [t, bank]
        mixed = {}
        for leaf, shape in self._bank_shapes.items():
            bank = ops.reshape(theta[leaf], (self.bank_size, -1))
            mix = ops.matmul(factors, bank)
            mixed[leaf] = ops.reshape(mix, (-1, *shape[1:]))
        groups = [leaf for leaf in mixed if leaf.startswith("w0_")]
        first = [mixed.pop(leaf) for leaf in groups]
        return {"w0": ops.concatenate(first, axis=1), **mixed}

    def _features(self, entries):
        scale = history.inverse_scale(entries)
        return grouped.entry_features(entries, scale)

    def _direction(self, mlp, grad, param, slots):
        """The step without its learning rate. [n]"""
        scale = ops.sqrt(mean_square(param) + 1e-9) * self.step_mult
        return scale * normalized_perceptron(
            mlp,
            self._features,
            history.history_entries(grad, param, slots),
            ops.zeros((0,), dtype="float32"),
            functools.partial(layers.step_of, exp_mult=self.exp_mult),
        )
