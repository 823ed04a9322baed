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
from keras_lopt.optimizers.theta_config import (
    Source,
    theta_from_config,
    theta_to_config,
)
from keras_lopt.optimizers.train_loss import TrainLoss
from keras_lopt.optimizers.variables import (
    SlotVariables,
    added,
    check_gradients,
    check_state,
    check_trainable,
    differences,
    float32,
    own_value,
)

Path = str | os.PathLike[str]
#: Learning rates below it look like those of Adam, which are no factors.
LEAST_USUAL_RATE = 0.1


class _RateOfConfig(float):
    """A learning rate that someone has chosen before: no warning about it."""


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
        rule: A `rules.Rule`, as from `rules.get(name)`. `from_checkpoint`
            takes the name of an optimizer or file instead.
        theta: Dict from leaf name to float32 array, the weights of the rule.
            It is copied. `None` if the state of a saved optimizer will be
            loaded; training before that raises.
        learning_rate: Float >= 0 or schedule: a factor on the rule's delta.
            With 1.0 the update is as the rule was trained; it is not a step
            size like Adam's.
        horizon: Number of updates of the whole training, at least 1, for rules
            that plan with it. The callback `InferHorizon` sets it.
        guard: A `DivergenceGuard` that skips ruinous steps, or None.
        name: Name of the optimizer. By default it is "learned_optimizer",
            with a number if there is one already.
        **kwargs: Arguments of `keras.optimizers.Optimizer`: `weight_decay`,
            `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`,
            `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor`,
            `gradient_accumulation_steps`.

    Raises:
        ValueError: `theta` does not fit `rule`, `horizon` or `learning_rate`
            is invalid, the rule needs a signal that is not available, or it
            has its name from a parent class.

    Its config (`get_config`) has the rule and theta: the name and the hash of
    the file that theta is from, or else the weights, if they are at most 64 kB.

    >>> import keras
    >>> from keras_lopt import LearnedOptimizer, rules
    >>> rule = rules.get("fused")
    >>> optimizer = LearnedOptimizer(rule, rule.init_theta(seed=0))
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile(optimizer=optimizer, loss="mse")
    """

    _has_warned_of_horizon = False
    _has_warned_of_guard = False
    _has_warned_of_rate = False  # Of the class: once in a program.
    _has_checked_update = False
    #: Where theta was loaded from, a `Source`, or None.
    _source = None
    #: What a config had as theta, and why it is not there.
    _missing_theta = None
    #: Values of the variables that `build` creates, loaded before.
    _loaded_early = None

    def __init__(
        self,
        rule: rules.Rule,
        theta: Mapping[str, np.ndarray] | None = None,
        learning_rate: (
            float | keras.optimizers.schedules.LearningRateSchedule
        ) = 1.0,
        horizon: int | None = None,
        guard: DivergenceGuard | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        _check_is_no_name(rule)
        awaits_theta = theta is None
        if awaits_theta and isinstance(rule, rules.Rule):
            shapes = rule.theta_shapes()
            theta = {k: np.zeros(s, np.float32) for k, s in shapes.items()}
        checkpoints.check_rule_and_theta(rule, theta)
        check_guard(guard)
        self._check_rate(learning_rate)
        train_loss = TrainLoss(rule, backends.replica_key)
        super().__init__(train_loss, learning_rate, name=name, **kwargs)
        self.rule = rule
        self.guard = guard
        self._awaits_theta = awaits_theta and len(theta) > 0
        if awaits_theta:  # NaN: not there. It may be loaded in any way.
            theta = {k: np.full_like(v, np.nan) for k, v in theta.items()}
        self._signals = SetSignals(rule, horizon, self._add_copy)
        self._theta = {
            leaf: self._add_copy(theta[leaf], f"theta_{leaf}")
            for leaf in rule.theta_shapes()
        }
        self._guard = guard and GuardState(guard, self._add_copy)
        self._num_built_variables = 0

    @classmethod
    def _check_rate(cls, rate):
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            return  # A schedule, or for Keras to refuse.
        if not 0.0 <= rate < np.inf:
            raise ValueError(
                "`learning_rate` must be a finite number >= 0, a factor on "
                f"the rule's step. Received: learning_rate={rate}"
            )
        is_usual = rate == 0.0 or rate >= LEAST_USUAL_RATE
        if is_usual or isinstance(rate, _RateOfConfig):
            return
        if not LearnedOptimizer._has_warned_of_rate:
            LearnedOptimizer._has_warned_of_rate = True
            warnings.warn(
                f"`learning_rate={rate}` is a factor on the step that the rule "
                "was trained to take, not a step size like Adam's: 1.0 is as "
                f"it was trained, and {rate} makes every step "
                f"{1.0 / rate:,.0f} times smaller. Leave it out, or be sure.",
                stacklevel=3,
            )

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
            source: The name of a bundled optimizer (`LearnedOptimizer.names()`
                lists them); an optimizer file; the folder of a training run,
                for its best member; `gs://bucket/path`, `hf://owner/name` or
                `hf://owner/name/file`; or weights of another project, one
                file or a list.
            rule: The rule that the file must have, or its name. Weights of
                other projects may need it; ours name theirs.
            config: Dict of settings that the rule must have.
            **kwargs: Other arguments of `LearnedOptimizer`, such as `horizon`,
                and of every Keras optimizer, such as `clipnorm`.
                `learning_rate` multiplies the step as trained and stays 1.

        Raises:
            FileNotFoundError: There is nothing at `source`.
            ValueError: The file is damaged, or is not of `rule`.

        >>> from keras_lopt import LearnedOptimizer
        >>> optimizer = LearnedOptimizer.from_checkpoint("fused_digits")
        """
        rule, theta, _ = checkpoints.load(source, rule, config)
        optimizer = cls(rule, theta, **kwargs)
        optimizer._source = Source.of(source, theta)
        return optimizer

    @staticmethod
    def names() -> list[str]:
        """Names of the optimizers that ship inside the package.

        `from_checkpoint` takes them, and `checkpoints.describe` says what
        each of them is.

        >>> from keras_lopt import LearnedOptimizer
        >>> "fused_digits" in LearnedOptimizer.names()
        True
        """
        return checkpoints.names()

    def __repr__(self):
        source = self._source and self._source.shown
        return (
            f"<{type(self).__name__} {self.name!r}: rule={self.rule!r}, "
            f"source={source!r}, horizon={self.horizon}>"
        )

    # Between the steps, on the host.

    @property
    def theta(self):
        """Dict from leaf name to float32 NumPy array, a copy."""
        self._check_loaded()
        return self._theta_numpy()

    def _theta_numpy(self):
        return {
            leaf: np.array(ops.convert_to_numpy(value))
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
        >>> ours, adam = cost["learned_optimizer"], cost["adam"]
        >>> ours["bytes"] > adam["bytes"]
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
        before = len(self.variables)
        super().build(variables)
        with backends.eager_scope():
            slots = self._initial_slots(variables)
            self._slots = SlotVariables.create(slots, self._add_copy)
            if self._train_loss.is_needed and self.gradient_accumulation_steps:
                total = self._add_copy(np.float32(0.0), "accumulated_loss")
                self._train_loss.accumulate_in(total)
            self._num_built_variables = len(self.variables) - before
            if self._loaded_early is not None:
                values, self._loaded_early = self._loaded_early, None
                self._assign_built(values.value)

    def _initial_slots(self, variables):
        # By shape, because a model that `fit` builds has no values yet.
        params = [keras.KerasTensor(tuple(v.shape)) for v in variables]
        return self.rule.init_slots(self._theta_tensors(), params)

    def _theta_tensors(self):
        return {leaf: own_value(value) for leaf, value in self._theta.items()}

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

    # A state is what `variables` hold. Before the first step (`build`) there
    # are fewer: a state without slots and averages means that they are new.

    def _split(self, values):
        """What is there from the start, and what `build` adds."""
        count = len(self.variables) - self._num_built_variables
        return values[:count], values[count:]

    def set_weights(self, weights):
        weights = list(weights)
        if not self.built:
            super().set_weights(weights)  # Raises.
        if not self._load(weights):
            raise ValueError(
                f"`weights` must be those of optimizer {self.name!r}. "
                f"{differences(self.variables, weights)}"
            )

    def save_own_variables(self, store):
        super().save_own_variables(store)
        if self._loaded_early is not None:
            for value in self._loaded_early.value:
                store[str(len(store.keys()))] = value

    def load_own_variables(self, store):
        saved = [store[str(i)] for i in range(len(store.keys()))]
        if self._load(saved):
            return
        warnings.warn(
            f"Skipping variable loading for optimizer {self.name!r}: the saved "
            "state is of another optimizer, rule or model. "
            f"{differences(self.variables, saved)}",
            stacklevel=2,
        )

    def _load(self, values):
        """Loads a whole state, or one from before the first step.

        Returns:
            Whether the number of values is right.

        Raises:
            ValueError: It is, and a shape is not.
        """
        variables, built = self._split(self.variables)
        first, later = self._split(values)
        if len(first) < len(variables):
            return False
        if self.built:
            if later and len(later) != len(built):
                return False
            check_state(self.name, variables + built[: len(later)], values)
        elif later and differences(variables, first):
            return False
        else:
            check_state(self.name, variables, first)
        for variable, value in zip(variables, first):
            variable.assign(value)
        self._awaits_theta = False
        if not self.built:
            later = [np.array(value) for value in later]
            self._loaded_early = _Untracked(later) if later else None
        elif later:
            self._assign_built(later)
        else:
            self._restart()
        return True

    def _assign_built(self, values):
        _, built = self._split(self.variables)
        if len(values) != len(built):
            raise ValueError(
                f"The state that was loaded into optimizer {self.name!r} is "
                "not that of the model that it trains. "
                f"{differences(built, values)}"
            )
        check_state(self.name, built, values)
        for variable, value in zip(built, values):
            variable.assign(value)

    def _restart(self):
        """Makes everything new that `build` has created."""
        _, built = self._split(self.variables)
        for variable in built:
            variable.assign(ops.zeros(variable.shape, dtype=variable.dtype))
        self._slots.assign(self._initial_slots(self._trainable_variables))

    def _check_loaded(self):
        """Raises ValueError if theta is not there yet."""
        if not self._awaits_theta:
            return
        # It may have been loaded into the variables themselves.
        known = [backends.known_value(v) for v in self._theta.values()]
        if all(v is not None and np.all(np.isfinite(v)) for v in known):
            self._awaits_theta = False
            return
        problem = "has no `theta`"
        if self._missing_theta is not None:
            _, problem = self._missing_theta.value
        raise ValueError(
            f"Optimizer {self.name!r} {problem}. Load the state that was "
            "saved with it before training (`keras.models.load_model` does), "
            "or create it with `LearnedOptimizer(rule, theta)`."
        )

    # One step.

    def apply(self, grads, trainable_variables=None):
        self._check_loaded()
        grads = list(grads)
        variables = self._trainable_variables if self.built else None
        if trainable_variables is not None:
            variables = trainable_variables = list(trainable_variables)
        check_gradients(grads, variables)
        if variables is not None:
            # Here and nowhere else, for all rules and backends: a sparse
            # gradient becomes dense, and gets the shape of its variable.
            grads = [
                grad if grad is None else backends.dense(grad, tuple(v.shape))
                for grad, v in zip(grads, variables)
            ]
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
        returned = self.rule.update(
            self._theta_tensors(), grads, params, old_slots, signals
        )
        if not self._has_checked_update:
            self.rule.check_update(returned, params, old_slots)
            self._has_checked_update = True
        deltas, new_slots = returned
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
        config["theta"] = self._theta_to_config()
        config["horizon"] = self.horizon
        config["guard"] = self.guard and dataclasses.asdict(self.guard)
        return config

    def _theta_to_config(self):
        try:
            self._check_loaded()
        except ValueError:
            return self._missing_theta and self._missing_theta.value[0]
        return theta_to_config(self._theta_numpy(), self._source)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        rule = checkpoints.rule_from_spec(config["rule"])
        spec = config.get("theta")
        theta, source, problem = theta_from_config(spec, rule)
        made = {
            "rule": rule,
            "theta": theta,
            "guard": config.get("guard") and DivergenceGuard(**config["guard"]),
        }
        if isinstance(config.get("learning_rate"), float):
            made["learning_rate"] = _RateOfConfig(config["learning_rate"])
        optimizer = super().from_config({**config, **made}, custom_objects)
        optimizer._source = source
        if problem:
            optimizer._missing_theta = _Untracked((spec, problem))
        return optimizer


class _Untracked:
    """A list or tuple that Keras does not track."""

    def __init__(self, value):
        self.value = value


def _check_is_no_name(rule):
    """Raises ValueError for the name or path of an optimizer as the rule."""
    if not isinstance(rule, (str, os.PathLike)):
        return
    call = f"LearnedOptimizer.from_checkpoint({str(rule)!r})"
    if rule in rules.names():
        call = f"rules.get({rule!r})"
    raise ValueError(
        "`rule` must be a `rules.Rule`, as `rules.get(name)` builds it, not a "
        f"name or a path: use `{call}` here. Received: rule={rule!r}"
    )
