"""LearnedOptimizer: an update rule and its theta as a Keras optimizer."""

import dataclasses
import functools

import keras
import numpy as np
from keras import ops

from keras_lopt import checkpoints, rules
from keras_lopt.optimizers import backend
from keras_lopt.optimizers.from_outside import OutsideMixin
from keras_lopt.optimizers.guard import (
    DivergenceGuard,
    GuardState,
    check_guard,
)
from keras_lopt.optimizers.precision import added, float32
from keras_lopt.optimizers.signals import SetSignals
from keras_lopt.optimizers.slot_variables import SlotVariables
from keras_lopt.optimizers.train_loss import TrainLoss
from keras_lopt.optimizers.variables import check_gradients, check_trainable


@keras.saving.register_keras_serializable(package="keras_lopt")
class LearnedOptimizer(OutsideMixin, backend.BackendOptimizer):
    """Trains a Keras model with a learned update rule.

    It goes wherever a Keras optimizer goes: `model.compile`, custom loops
    with `apply_gradients`, `.keras` files. Each step is

        deltas, slots = rule.update(theta, grads, params, slots, signals)
        params += learning_rate * deltas

    in float32, after Keras's clipping and weight decay. `model.fit` passes on
    the training loss; a loop of your own must call `scale_loss` on it before
    it takes the gradient (on JAX, inside the differentiated function).
    Replicas' losses add up, as their gradients do. Steps past the horizon are
    what the rule makes of them, as at its end; `fit` warns once. A `float16`
    variable stops at the largest finite number.

    Args:
        rule: A `rules.Rule`, as from `rules.get(name)`.
        theta: Dict from leaf name to float32 array, the weights of the rule.
            It is copied. `None` when the values are to be loaded with the
            state of a saved optimizer; training before that raises.
        learning_rate: Float, or schedule: factor on the rule's delta. 1.0 is
            the update as it was trained.
        horizon: Number of updates the training is going to take, at least 1,
            for rules that plan with it; the callback `InferHorizon` sets it.
        guard: A `DivergenceGuard`, which skips ruinous steps, or None.
        name: Name of the optimizer.
        **kwargs: Those of `keras.optimizers.Optimizer`: `weight_decay`,
            `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor`,
            `gradient_accumulation_steps`.

    Raises:
        ValueError: A `theta` that does not fit `rule`, a bad `horizon`, or a
            rule that needs a signal which is not there.

    >>> import keras
    >>> from keras_lopt import LearnedOptimizer, rules
    >>> rule = rules.get("fused")
    >>> optimizer = LearnedOptimizer(rule, rule.init_theta(seed=0))
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile(optimizer=optimizer, loss="mse")
    """

    def __init__(
        self,
        rule,
        theta,
        learning_rate=1.0,
        horizon=None,
        guard=None,
        name="learned_optimizer",
        **kwargs,
    ):
        super().__init__(learning_rate, name=name, **kwargs)
        awaits_theta = theta is None
        if awaits_theta and isinstance(rule, rules.Rule):
            shapes = rule.theta_shapes()
            theta = {k: np.zeros(s, np.float32) for k, s in shapes.items()}
        checkpoints.check_rule_and_theta(rule, theta)
        check_guard(guard)
        self.rule = rule
        self.guard = guard
        self._awaits_theta = awaits_theta
        self._train_loss = TrainLoss(rule, backend.replica_key)
        self._signals = SetSignals(rule, horizon, self._add_copy)
        self._theta = {
            leaf: self._add_copy(theta[leaf], f"theta_{leaf}")
            for leaf in rule.theta_shapes()
        }
        self._guard = guard and GuardState(guard, self._add_copy)
        self._num_unbuilt_variables = len(self.variables)

    @classmethod
    def from_checkpoint(cls, source, rule=None, config=None, **kwargs):
        """An optimizer from an optimizer file, or from weights of others.

        Args:
            source, rule, config: Those of `checkpoints.load`.
            **kwargs: Those of `LearnedOptimizer` but `rule` and `theta`.

        >>> from keras_lopt import LearnedOptimizer
        >>> optimizer = LearnedOptimizer.from_checkpoint("fused_digits")
        """
        rule, theta, _ = checkpoints.load(source, rule, config)
        return cls(rule, theta, **kwargs)

    @property
    def theta(self):
        """Dict from leaf name to float32 NumPy array, a copy."""
        return {
            leaf: ops.convert_to_numpy(value)
            for leaf, value in self._theta_tensors().items()
        }

    def build(self, variables):
        """Makes the slots of `variables`, from then on the ones it trains."""
        if self.built:
            return
        variables = list(variables)
        for variable in variables:
            check_trainable(variable)
        super().build(variables)
        with backend.eager_scope():
            # By shape: a model that `fit` builds has no values yet.
            params = [keras.KerasTensor(tuple(v.shape)) for v in variables]
            slots = self.rule.init_slots(self._theta_tensors(), params)
            self._slots = SlotVariables.create(slots, self._add_copy)
            if self._train_loss.is_needed and self.gradient_accumulation_steps:
                total = self._add_copy(np.float32(0.0), "accumulated_loss")
                self._train_loss.accumulate_in(total)

    def scale_loss(self, loss):
        self.record_loss(loss)
        return super().scale_loss(loss)

    def record_loss(self, loss):
        """Takes note of the step's training loss, a scalar without scale."""
        self._train_loss.record(loss)

    def _theta_tensors(self):
        return {k: ops.convert_to_tensor(v) for k, v in self._theta.items()}

    def _add_copy(self, value, name):
        """A new optimizer variable that starts with a copy of `value`."""
        # Through NumPy: JAX donates, and so deletes, an optimizer's buffers.
        value = np.array(ops.convert_to_numpy(value))
        return self.add_variable(
            shape=value.shape,
            initializer=value,
            dtype=keras.backend.standardize_dtype(value.dtype),
            name=name,
        )

    def apply(self, grads, trainable_variables=None):
        self._check_loaded()
        grads = list(grads)
        variables = self._trainable_variables if self.built else None
        if trainable_variables is not None:
            variables = trainable_variables = list(trainable_variables)
        check_gradients(grads, variables)
        self._train_loss.check()
        self._signals.check()
        try:
            super().apply(grads, trainable_variables)
        finally:
            self._train_loss.forget()

    def _backend_increment_gradient_accumulators(self, grads, acc_grads):
        super()._backend_increment_gradient_accumulators(grads, acc_grads)
        self._train_loss.add()

    def _backend_reset_gradient_accumulators(self):
        super()._backend_reset_gradient_accumulators()
        self._train_loss.reset()

    def _apply_weight_decay(self, variables):
        if self._guard is not None:
            self._guard.remember(variables)
        super()._apply_weight_decay(variables)

    def _backend_update_step(self, *args):
        backend.run_step(functools.partial(self._step, *args))

    def _step(self, grads, trainable_variables, learning_rate):
        numbers = [self._get_variable_index(v) for v in trainable_variables]
        given = dict(zip(numbers, grads))
        indices, slots = self._select(sorted(given))
        params = [float32(self._trainable_variables[i]) for i in indices]
        grads = [
            float32(given[i]) if i in given else ops.zeros_like(param)
            for i, param in zip(indices, params)
        ]
        old_slots = slots.values()
        loss = self._train_loss.mean(self.gradient_accumulation_steps)
        signals = self._signals.collect(self.iterations, loss)
        deltas, new_slots = self.rule.update(
            self._theta_tensors(), grads, params, old_slots, signals
        )
        self._signals.forget_valid_loss()
        rate = float32(learning_rate)
        changes = [rate * delta for delta in deltas]
        if self._guard is not None:
            changes, new_slots = self._guard.judge(
                grads, changes, old_slots, new_slots
            )
        slots.assign(new_slots)
        changes = dict(zip(indices, changes))
        values = [
            added(variable, changes[number])
            for variable, number in zip(trainable_variables, numbers)
        ]
        if self._guard is not None:
            values = self._guard.settle(values)
        for variable, value in zip(trainable_variables, values):
            self.assign(variable, value)

    def _select(self, with_gradient):
        """Indices of the variables that the rule gets to see, and their slots.

        Args:
            with_gradient: Indices of those that have a gradient.
        """
        if isinstance(self.rule, rules.PerTensorRule):
            return with_gradient, self._slots.of_tensors(with_gradient)
        # A rule that mixes tensors was built for all of them: the others get
        # a zero gradient, and stay as they are.
        return range(len(self._trainable_variables)), self._slots

    def get_config(self):
        config = super().get_config()
        config["rule"] = checkpoints.rule_spec(self.rule)
        config["horizon"] = self.horizon
        config["guard"] = self.guard and dataclasses.asdict(self.guard)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        made = {
            "rule": checkpoints.rule_from_spec(config["rule"]),
            "theta": None,
            "guard": config.get("guard") and DivergenceGuard(**config["guard"]),
        }
        return super().from_config({**config, **made}, custom_objects)
