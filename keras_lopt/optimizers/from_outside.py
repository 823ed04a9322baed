"""What is done to a LearnedOptimizer between its steps: set, load, report."""

import warnings

from keras import ops

from keras_lopt.optimizers.step_cost import step_cost
from keras_lopt.optimizers.variables import check_state


class OutsideMixin:
    """The part of LearnedOptimizer that runs on the host, never in a step."""

    _has_warned_of_horizon = False
    _has_warned_of_guard = False

    def cost(self, model):
        """What a step costs on this machine, next to Keras's Adam.

        Args:
            model: A built Keras model; neither it nor the optimizer changes.

        Returns:
            Dict from "learned_optimizer" and "adam" to dicts: the median `ms`
            of a step, and the `bytes` kept between steps.

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

    # Signals.

    @property
    def horizon(self):
        """Number of updates that the rule plans for, or None."""
        return self._signals.horizon

    @horizon.setter
    def horizon(self, horizon):
        self._signals.horizon = horizon

    def plan_for(self, num_batches):
        """Sets the horizon to the updates after `num_batches` more batches."""
        batches = int(ops.convert_to_numpy(self._iterations)) + num_batches
        steps = self.gradient_accumulation_steps or 1
        self.horizon = max(1, batches // steps)

    def set_valid_loss(self, loss):
        """Gives the rule a validation loss, for its next step.

        Args:
            loss: Float. A rule without use for it takes no notice.
        """
        self._signals.set_valid_loss(loss)

    # Reports.

    def guard_report(self):
        """What the divergence guard has done, or None without a guard.

        Returns:
            Dict: `skipped`, number of steps; `in_a_row`, those skipped at the
            end; `fallen_back`, whether the rule was given up; and
            `fallback_steps`, number of steps without it.
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
            f"max_update={self.guard.max_update}. It has gone on with clipped "
            f"gradient descent of rate {self.guard.fallback_rate}. "
            f"Report: {report}",
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
            "it went on as at the end of a training. Pass the callback "
            "`InferHorizon()` to `fit`, or a longer `horizon`.",
            stacklevel=2,
        )

    # State.

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

    def _check_loaded(self):
        if self._awaits_theta:
            raise ValueError(
                f"Optimizer {self.name!r} was made from a config, which has "
                "no `theta`. Load the state that was saved with it before "
                "training (`keras.models.load_model` does), or make it with "
                "`LearnedOptimizer(rule, theta)`."
            )

    def _is_loaded(self):
        self._awaits_theta = False
        self._signals.read_back()
