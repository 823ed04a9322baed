"""The inner run: a rule trains a task's model for some steps.

Written for one problem with no batch axis, then mapped: on a CPU a mapped run
keeps one problem in cache and works for every Keras model. An accelerator is
filled by steps of all problems at once.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import tensorflow as tf

from keras_lopt.checks import check_choice
from keras_lopt.rules import ThetaVector

#: How one run becomes many.
MAPPINGS = ("map", "vectorized")
#: What the outer loss of a step is.
OUTER_LOSSES = ("loss", "log_loss")
#: Default of `log_floor`.
LOG_FLOOR = 0.02
#: The share `end_weight` of the weight of a whole run's losses grows with this
#: power of the fraction done: 61% of it is on the last tenth of the steps.
_END_POWER = 8


def check_mapping(mapping):
    """Raises ValueError unless there is such a mapping."""
    check_choice("mapping", mapping, MAPPINGS)


def log_loss(task, loss, floor=LOG_FLOOR, ceiling=None):
    """The outer loss "log_loss" of a task's losses.

    Args:
        task: A `tasks.Task`.
        loss: Tensor of losses.
        floor, ceiling: `log_floor` and `log_ceiling` of `InnerRun`.
    """
    normalizer = task.normalizer
    if ceiling is not None:
        normalizer = dataclasses.replace(normalizer, ceiling=ceiling)
    return tf.math.log(floor + normalizer(loss))


class InnerState(NamedTuple):
    """Where an inner run is. Leaves may have leading axes of problems."""

    params: list  # trainable values
    non_trainable: list  # batch statistics, dropout seeds, a problem's draws
    slots: Any  # as from rule.init_slots


class InnerRun:
    """Runs `rule` on problems of `task`, `num_steps` steps per call.

    Args:
        rule: A `rules.Rule`.
        task: A `tasks.Task`.
        num_steps: Steps per call, t.
        horizon: Steps of a whole problem, for rules that plan with them,
            where a call does not say; default: those of one call.
        mapping: "map": whole runs one after the other. "vectorized": steps of
            all runs at once, for accelerators; only for tasks with
            `task.vectorizes`.
        outer_loss: "loss", as the task bounds it, or "log_loss", the log of
            `log_floor` + that.
        log_floor: A normalized loss far below this counts as 0 in the log.
        log_ceiling: A normalized loss above this counts as this in the log;
            default: the task's ceiling.
        end_weight: Share of the weight of a problem's losses, from 0 to 1, that
            is on the end of the problem, where the rule is told its horizon.
            The weights of a whole problem have a mean of 1.
    """

    def __init__(
        self,
        rule,
        task,
        num_steps,
        horizon=None,
        mapping="map",
        outer_loss="loss",
        log_floor=LOG_FLOOR,
        end_weight=0.0,
        log_ceiling=None,
    ):
        check_mapping(mapping)
        if mapping == "vectorized" and not task.vectorizes:
            raise ValueError(
                '`mapping` must be "map" for a model with loops, such as that '
                "of a recurrent layer that is not unrolled. "
                f"Received: mapping={mapping!r}, task {task.name!r}"
            )
        self.rule = rule
        self.task = task
        self.num_steps = num_steps
        self.horizon = horizon or num_steps
        self.mapping = mapping
        self.outer_loss = outer_loss
        self.log_floor = log_floor
        self.end_weight = end_weight
        self.log_ceiling = log_ceiling
        self.theta_vector = ThetaVector(rule)

    def draw_batches(self, seeds, steps, outer_split):
        """Batches of q problems for `advance`.

        Args:
            seeds: [q, 2] int32, the problems'.
            steps: [q] int32, the step each problem is at.
            outer_split: Split of the outer loss. `"train"` is the loss that the
                inner step descends; another split's is evaluated after each
                step.

        Returns:
            Dict of (inputs, targets): "train", and "outer" unless that is the
            same.
        """
        splits = {"train": "train"}
        if outer_split != "train":
            splits["outer"] = outer_split
        return {
            use: self.task.draw_batches(seeds, steps, self.num_steps, split)
            for use, split in splits.items()
        }

    @property
    def state_bytes(self):
        """Bytes of one problem's state."""
        specs = tf.nest.flatten(self._state_specs)
        return sum(spec.dtype.size * math.prod(spec.shape) for spec in specs)

    def blank_states(self, count):
        """`count` states of zeros: placeholders that step 0 replaces."""
        return tf.nest.map_structure(
            lambda spec: tf.zeros([count, *spec.shape], spec.dtype),
            self._state_specs,
        )

    @functools.cached_property
    def _state_specs(self):
        """The structure of one problem's `InnerState`."""

        def begin(theta, seed):
            return self._begin(self.theta_vector.unpack(theta), seed)

        return (
            tf.function(begin, autograph=False)
            .get_concrete_function(
                tf.TensorSpec([self.theta_vector.size]),
                tf.TensorSpec([2], tf.int32),
            )
            .structured_outputs
        )

    def _begin(self, theta, seed):
        params, non_trainable = self.task.begin(seed)
        slots = self.rule.init_slots(theta, params)
        return InnerState(params, non_trainable, slots)

    def advance(
        self, thetas, states, seeds, steps, problems, batches, horizons=None
    ):
        """Runs b particles for `num_steps` steps. To be called under XLA.

        Args:
            thetas: [b, |theta|].
            states: `InnerState` with leaves [b, ...]; ignored where the step
                is 0: such a run starts afresh.
            seeds: [q, 2] int32, the problems'.
            steps: [q] int32, the step each problem is at.
            problems: [b] int32, which of the q problems each particle runs.
            batches: From `draw_batches(seeds, steps, outer_split)`.
            horizons: [q] int32, what the rule is told of each problem's
                horizon; 0: nothing. Default: `horizon` for all.

        Returns:
            The new states, and the mean training loss and mean outer loss of
            the steps, each [b], bounded by the task and weighted.
        """
        if horizons is None:
            horizons = tf.fill(steps.shape, self.horizon)
        advance = self._mapped if self.mapping == "map" else self._vectorized
        clocks = seeds, steps, horizons
        return advance(thetas, states, clocks, problems, batches)

    def _mapped(self, thetas, states, clocks, problems, batches):
        """`advance`, one particle after the other."""

        def run_one(args):
            theta, state, problem = args
            theta = self.theta_vector.unpack(theta)
            seed, step, horizon = (tf.gather(c, problem) for c in clocks)

            # Gathered, not sliced: XLA would compile a slice at a given number
            # anew for every value of it.
            def batch(i):
                index = tf.stack([problem, i])
                return tf.nest.map_structure(
                    lambda data: tf.gather_nd(data, index), batches
                )

            return self._loop(
                lambda i, state: self._losses(
                    theta, state, batch(i), seed, horizon, step + i
                ),
                self._begun(theta, state, seed, step),
                tf.zeros([]),
            )

        return tf.map_fn(
            run_one,
            (thetas, states, problems),
            fn_output_signature=_signature(states),
        )

    def _vectorized(self, thetas, states, clocks, problems, batches):
        """`advance`, all particles at once."""
        seeds, steps, horizons = (tf.gather(c, problems) for c in clocks)
        unpack = self.theta_vector.unpack
        # States begin one by one: there is no vectorized QR decomposition.
        states = tf.map_fn(
            lambda args: self._begun(unpack(args[0]), *args[1:]),
            (thetas, states, seeds, steps),
            fn_output_signature=_signature(states)[0],
        )

        def step_all(i, states):
            batch = tf.nest.map_structure(
                lambda data: tf.gather(tf.gather(data, i, axis=1), problems),
                batches,
            )
            # The gradient is taken within the map: outside, XLA has none for
            # convolutions.
            return tf.vectorized_map(
                lambda args: self._losses(unpack(args[0]), *args[1:]),
                (thetas, states, batch, seeds, horizons, steps + i),
            )

        return self._loop(step_all, states, tf.zeros([thetas.shape[0]]))

    def _begun(self, theta, state, seed, step):
        """One particle's state, or at step 0 a fresh one."""
        return tf.cond(
            tf.equal(step, 0),
            lambda: self._begin(theta, seed),
            lambda: state,
        )

    def _loop(self, step, state, zero):
        """`num_steps` steps: the last state, and both losses' means.

        Args:
            step: Function of the step in this call and the state to the new
                state and two losses.
            state: The first.
            zero: Losses of zero, to add to.
        """

        def body(i, state, train_sum, outer_sum):
            state, train_loss, outer_loss = step(i, state)
            return i + 1, state, train_sum + train_loss, outer_sum + outer_loss

        _, state, train_sum, outer_sum = tf.while_loop(
            lambda i, *_: i < self.num_steps, body, (0, state, zero, zero)
        )
        return state, train_sum / self.num_steps, outer_sum / self.num_steps

    def _losses(self, theta, state, batches, seed, horizon, step):
        """One step of one particle: the new state, and its bounded losses."""
        state, train_loss = self._step(
            theta, state, batches["train"], seed, horizon, step
        )
        outer_loss = train_loss
        if "outer" in batches:
            outer_loss = self.task.eval_loss(
                state.params, state.non_trainable, batches["outer"], seed
            )
        losses = self._bounded(train_loss), self._bounded(outer_loss)
        if self.end_weight:
            weight = self._weight(step, horizon)
            losses = tuple(weight * loss for loss in losses)
        return state, *losses

    def _weight(self, step, horizon):
        """Weight of a step's losses; 1 where the rule is told no horizon."""
        fraction = tf.cast(step, tf.float32) / tf.cast(horizon, tf.float32)
        rising = (_END_POWER + 1) * fraction**_END_POWER
        weight = 1.0 + self.end_weight * (rising - 1.0)
        return tf.where(horizon > 0, weight, 1.0)

    def _bounded(self, loss):
        if self.outer_loss != "log_loss":
            return self.task.bounded(loss)
        return log_loss(self.task, loss, self.log_floor, self.log_ceiling)

    def _step(self, theta, state, batch, seed, horizon, step):
        """One inner step. The loss is the one before the step."""
        with tf.GradientTape() as tape:
            tape.watch(state.params)
            loss, non_trainable = self.task.train_loss(
                state.params, state.non_trainable, batch, seed
            )
        grads = tape.gradient(loss, state.params, unconnected_gradients="zero")
        signals = {"step": step, "train_loss": loss, "horizon": horizon}
        deltas, slots = self.rule.update(
            theta, grads, state.params, state.slots, signals
        )
        params = [p + tf.cast(d, p.dtype) for p, d in zip(state.params, deltas)]
        return InnerState(params, non_trainable, slots), loss


def _signature(states):
    """What one particle's run returns: a state and two losses."""
    state = tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape[1:], t.dtype), states
    )
    loss = tf.TensorSpec([], tf.float32)
    return state, loss, loss
