"""The inner run: a rule trains a task's model for some steps.

Written for one problem with no batch axis, then mapped: on CPU a mapped run
keeps one problem in cache and works for every Keras model.
"""

import functools
from typing import Any, NamedTuple

import tensorflow as tf

from keras_lopt.rules import ThetaVector


class InnerState(NamedTuple):
    """Where an inner run is. Leaves may have leading axes of problems."""

    params: list  # trainable values
    non_trainable: list  # batch statistics, dropout seeds, a problem's draws
    slots: Any  # as from rule.init_slots


class InnerRun:
    """Runs `rule` on problems of `task`, `num_steps` steps a call.

    Args:
        rule: A `rules.Rule`.
        task: A `tasks.Task`.
        num_steps: Steps a call, t.
        horizon: Steps of a whole problem, for rules that plan with them;
            default: those of one call.
    """

    def __init__(self, rule, task, num_steps, horizon=None):
        self.rule = rule
        self.task = task
        self.num_steps = num_steps
        self.horizon = horizon or num_steps
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
            tf.function(begin)
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

    def advance(self, thetas, states, seeds, steps, problems, batches):
        """Runs b particles for `num_steps` steps. To be called under XLA.

        Args:
            thetas: [b, |theta|].
            states: `InnerState` with leaves [b, ...]; ignored where the step
                is 0: such a run starts afresh.
            seeds: [q, 2] int32, the problems'.
            steps: [q] int32, the step each problem is at.
            problems: [b] int32, which of the q problems each particle runs.
            batches: From `draw_batches(seeds, steps, outer_split)`.

        Returns:
            The new states, and the mean training loss and mean outer loss of
            the steps, each [b], bounded by the task.
        """

        def run_one(args):
            theta, state, problem = args

            # Gathered, not sliced: XLA compiles a slice by a number that it is
            # given anew for every value of it.
            def batch(use, i):
                index = tf.stack([problem, i])
                return tf.nest.map_structure(
                    lambda data: tf.gather_nd(data, index), batches[use]
                )

            return self._advance_one(
                self.theta_vector.unpack(theta),
                state,
                tf.gather(seeds, problem),
                tf.gather(steps, problem),
                {use: functools.partial(batch, use) for use in batches},
            )

        signature = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape[1:], t.dtype), states
        )
        loss = tf.TensorSpec([], tf.float32)
        return tf.map_fn(
            run_one,
            (thetas, states, problems),
            fn_output_signature=(signature, loss, loss),
        )

    def _advance_one(self, theta, state, seed, first_step, batches):
        """One particle; `batches` are functions of the step in this call."""
        state = tf.cond(
            tf.equal(first_step, 0),
            lambda: self._begin(theta, seed),
            lambda: state,
        )

        def body(i, state, train_sum, outer_sum):
            state, train_loss = self._step(
                theta, state, batches["train"](i), seed, first_step + i
            )
            outer_loss = train_loss
            if "outer" in batches:
                outer_loss = self.task.eval_loss(
                    state.params, state.non_trainable, batches["outer"](i), seed
                )
            bounded = self.task.bounded
            return (
                i + 1,
                state,
                train_sum + bounded(train_loss),
                outer_sum + bounded(outer_loss),
            )

        _, state, train_sum, outer_sum = tf.while_loop(
            lambda i, *_: i < self.num_steps, body, (0, state, 0.0, 0.0)
        )
        return state, train_sum / self.num_steps, outer_sum / self.num_steps

    def _step(self, theta, state, batch, seed, step):
        """One inner step. The loss is the one before the step."""
        with tf.GradientTape() as tape:
            tape.watch(state.params)
            loss, non_trainable = self.task.train_loss(
                state.params, state.non_trainable, batch, seed
            )
        grads = tape.gradient(loss, state.params, unconnected_gradients="zero")
        signals = {
            "step": step,
            "horizon": self.horizon,
            "train_loss": loss,
        }
        deltas, slots = self.rule.update(
            theta, grads, state.params, state.slots, signals
        )
        params = [p + tf.cast(d, p.dtype) for p, d in zip(state.params, deltas)]
        return InnerState(params, non_trainable, slots), loss
