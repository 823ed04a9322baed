"""LearnedOptimizer: an update rule and its theta as a Keras optimizer."""

import dataclasses
import functools
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_lopt import checkpoints, rules
from keras_lopt.optimizers import backends
from keras_lopt.optimizers.guard import (
    DivergenceGuard,
    GuardState,
    check_guard,
)
from keras_lopt.optimizers.signals import SetSignals
from keras_lopt.optimizers.step_cost import step_cost
from keras_lopt.optimizers.train_loss import TrainLoss
from keras_lopt.optimizers.variables import (
    SlotVariables,
    added,
    check_gradients,
    check_state,
    check_trainable,
    float32,
)

Path = str | os.PathLike[str]


@keras.saving.register_keras_serializable(package="keras_lopt")
class LearnedOptimizer(backends.BackendOptimizer):
    """Trains a Keras model with a learned update rule.

    It works wherever a Keras optimizer does: in `model.compile`, in custom
    loops with `apply_gradients`, in `.keras` files. Each step is

        deltas, slots = rule.update(theta, grads, params, slots, signals)
        params += learning_rate * deltas

    in float32, after Keras's clipping and weight decay. `model.fit` passes on
    the training loss. A custom loop must call `scale_loss` on the loss before
    it computes the gradient (on JAX, inside the differentiated function).
    Losses of replicas are summed, as their gradients are. Past the horizon,
    the rule continues as at the end of the training, and `fit` warns once. A
    `float16` variable is clipped to the largest finite number.

    Args:
        rule: A `rules.Rule`, as from `rules.get(name)`.
        theta: Dict from leaf name to float32 array, the weights of the rule.
            It is copied. `None` if the state of a saved optimizer will be
            loaded; training before that raises.
        learning_rate: Float or schedule: a factor on the rule's delta. With
            1.0 the update is as the rule was trained.
        horizon: Number of updates of the whole training, at least 1, for rules
            that plan with it. The callback `InferHorizon` sets it.
        guard: A `DivergenceGuard` that skips ruinous steps, or None.
        name: Name of the optimizer.
        **kwargs: Arguments of `keras.optimizers.Optimizer`: `weight_decay`,
            `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor`,
            `gradient_accumulation_steps`.

    Raises:
        ValueError: `theta` does not fit `rule`, `horizon` is invalid, or the
            rule needs a signal that is not available.

    >>> import keras
    >>> from keras_lopt import LearnedOptimizer, rules
    >>> rule = rules.get("fused")
    >>> optimizer = LearnedOptimizer(rule, rule.init_theta(seed=0))
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile(optimizer=optimizer, loss="mse")
    """

    _has_warned_of_horizon = False
    _has_warned_of_guard = False

    def __init__(
        self,
        rule: rules.Rule,
        theta: Mapping[str, np.ndarray] | None,
        learning_rate: (
            float | keras.optimizers.schedules.LearningRateSchedule
        ) = 1.0,
        horizon: int | None = None,
        guard: DivergenceGuard | None = None,
        name: str = "learned_optimizer",
        **kwargs: Any,
    ):
        awaits_theta = theta is None
        if awaits_theta and isinstance(rule, rules.Rule):
            shapes = rule.theta_shapes()
            theta = {k: np.zeros(s, np.float32) for k, s in shapes.items()}
        checkpoints.check_rule_and_theta(rule, theta)
        check_guard(guard)
        train_loss = TrainLoss(rule, backends.replica_key)
        super().__init__(train_loss, learning_rate, name=name, **kwargs)
        self.rule = rule
        self.guard = guard
        self._awaits_theta = awaits_theta
        self._signals = SetSignals(rule, horizon, self._add_copy)
        self._theta = {
            leaf: self._add_copy(theta[leaf], f"theta_{leaf}")
            for leaf in rule.theta_shapes()
        }
        self._guard = guard and GuardState(guard, self._add_copy)
        self._num_unbuilt_variables = len(self.variables)

    @classmethod
    def from_checkpoint(
        cls,
        source: Path | Sequence[Path],
        rule: rules.Rule | str | None = None,
        config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> "LearnedOptimizer":
        """Creates an optimizer from an optimizer file or imported weights.

        Args:
            source, rule, config: As for `checkpoints.load`.
            **kwargs: Other arguments of `LearnedOptimizer`.

        >>> from keras_lopt import LearnedOptimizer
        >>> optimizer = LearnedOptimizer.from_checkpoint("fused_digits")
        """
        rule, theta, _ = checkpoints.load(source, rule, config)
        return cls(rule, theta, **kwargs)

    # Between the steps, on the host.

    @property
    def theta(self):
        """Dict from leaf name to float32 NumPy array, a copy."""
        return {
            leaf: ops.convert_to_numpy(value)
            for leaf, value in self._theta_tensors().items()
        }

    @property
    def horizon(self):
        """Number of updates that the rule plans for, or None."""
        return self._signals.horizon

    @horizon.setter
    def horizon(self, horizon):
        self._signals.horizon = horizon

    def plan_for(self, num_batches):
        """Sets the horizon to end after `num_batches` more batches."""
        batches = int(ops.convert_to_numpy(self._iterations)) + num_batches
        steps = self.gradient_accumulation_steps or 1
        self.horizon = max(1, batches // steps)

    def set_valid_loss(self, loss):
        """Gives the rule a validation loss for its next step.

        Args:
            loss: Float. A rule that does not use it ignores it.
        """
        self._signals.set_valid_loss(loss)

    def cost(self, model):
        """What a step costs on this machine, compared with Keras's Adam.

        Args:
            model: A built Keras model. It does not change, nor does the
                optimizer.

        Returns:
            Dict with the keys "learned_optimizer" and "adam". Both values are
            dicts: the median `ms` of a step, and the `bytes` kept between
            steps.

        >>> import keras
        >>> from keras_lopt import LearnedOptimizer, rules
        >>> rule = rules.get("fused")
        >>> optimizer = LearnedOptimizer(rule, rule.init_theta(seed=0))
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> cost = optimizer.cost(model)
        >>> cost["learned_optimizer"]["bytes"] > cost["adam"]["bytes"]
        True
        """
        return step_cost(self, model)

    def guard_report(self):
        """What the divergence guard has done, or None without a guard.

        Returns:
            Dict: `skipped`, number of skipped steps; `in_a_row`, how many of
            them were the last ones; `fallen_back`, whether the guard gave up
            on the rule; `fallback_steps`, number of steps without the rule.
        """
        return None if self._guard is None else self._guard.report()

    def warn_of_guard(self):
        """Warns, once, if the divergence guard has given up on the rule."""
        report = self.guard_report()
        if not report or not report["fallen_back"]:
            return
        if self._has_warned_of_guard:
            return
        self._has_warned_of_guard = True
        warnings.warn(
            f"Optimizer {self.name!r} gave up on rule {self.rule.name!r}: "
            f"{self.guard.patience} steps in a row were skipped because of "
            "non-finite numbers or changes above "
            f"max_update={self.guard.max_update}. It continued with clipped "
            "gradient descent, with a step size of "
            f"{self.guard.fallback_rate}. Report: {report}",
            stacklevel=2,
        )

    def finalize_variable_values(self, var_list):
        super().finalize_variable_values(var_list)
        self.warn_of_guard()
        self._warn_of_horizon()

    def _warn_of_horizon(self):
        if not self._signals.reads_horizon or self.horizon is None:
            return
        updates = int(ops.convert_to_numpy(self.iterations))
        if updates <= self.horizon or self._has_warned_of_horizon:
            return
        self._has_warned_of_horizon = True
        warnings.warn(
            f"Optimizer {self.name!r} made {updates} updates, more than the "
            f"horizon={self.horizon} that rule {self.rule.name!r} plans for: "
            "it continued as at the end of a training. Pass the callback "
            "`InferHorizon()` to `fit`, or a longer `horizon`.",
            stacklevel=2,
        )

    # State.

    def build(self, variables):
        """Creates the slots of `variables`, which it trains from then on."""
        if self.built:
            return
        variables = list(variables)
        for variable in variables:
            check_trainable(variable)
        super().build(variables)
        with backends.eager_scope():
            # By shape, because a model that `fit` builds has no values yet.
            params = [keras.KerasTensor(tuple(v.shape)) for v in variables]
            slots = self.rule.init_slots(self._theta_tensors(), params)
            self._slots = SlotVariables.create(slots, self._add_copy)
            if self._train_loss.is_needed and self.gradient_accumulation_steps:
                total = self._add_copy(np.float32(0.0), "accumulated_loss")
                self._train_loss.accumulate_in(total)

    def _theta_tensors(self):
        return {k: ops.convert_to_tensor(v) for k, v in self._theta.items()}

    def _add_copy(self, value, name):
        """A new optimizer variable whose initial value is a copy of `value`."""
        # Copied by NumPy, because JAX donates, and so deletes, the buffers of
        # an optimizer.
        value = np.array(ops.convert_to_numpy(value))
        return self.add_variable(
            shape=value.shape,
            initializer=value,
            dtype=keras.backend.standardize_dtype(value.dtype),
            name=name,
        )

    def set_weights(self, weights):
        super().set_weights(weights)
        self._is_loaded()

    def load_own_variables(self, store):
        variables = self.variables
        saved = [store[str(i)] for i in range(len(store.keys()))]
        if len(saved) == self._num_unbuilt_variables:
            variables = variables[: len(saved)]  # Saved before its first step.
        if len(saved) != len(variables):
            super().load_own_variables(store)  # Keras skips it and warns.
            return
        check_state(self.name, variables, saved)
        for variable, value in zip(variables, saved):
            variable.assign(value)
        self._is_loaded()

    def _is_loaded(self):
        self._awaits_theta = False
        self._signals.read_back()

    def _check_loaded(self):
        if self._awaits_theta:
            raise ValueError(
                f"Optimizer {self.name!r} was created from a config, which has "
                "no `theta`. Load the state that was saved with it before "
                "training (`keras.models.load_model` does), or create it with "
                "`LearnedOptimizer(rule, theta)`."
            )

    # One step.

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
        backends.run_step(functools.partial(self._step, *args))

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
        """Indices of the variables that the rule updates, and their slots.

        Args:
            with_gradient: Indices of the variables that have a gradient.
        """
        if isinstance(self.rule, rules.PerTensorRule):
            return with_gradient, self._slots.of_tensors(with_gradient)
        # A rule that mixes tensors needs all of them. Those without a gradient
        # get a gradient of zero, and do not change.
        return range(len(self._trainable_variables)), self._slots

    # Config.

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
