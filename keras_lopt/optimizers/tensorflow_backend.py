"""The TensorFlow side of LearnedOptimizer: sparse gradients, tf.distribute.

Keras enters the strategy once for every variable and helper, which fails
inside the `cond` of gradient accumulation (keras issue 20582), and lets each
replica clip its own share of the gradient. Here the shares are summed first;
then one update of the strategy runs the whole step on every replica, on that
replica's own copies of the variables.
"""

import functools
import threading

import keras
import tensorflow as tf
from keras.src.optimizers.base_optimizer import BaseOptimizer
from tensorflow.python.ops import control_flow_util


def eager_scope():
    """Context in which values are computed now, even while tracing."""
    return tf.init_scope()


def compiled(function):
    """`function` under XLA."""
    return tf.function(function, jit_compile=True, autograph=False)


def run_step(step):
    """Calls `step`, compiled where `fit` does not compile more than it.

    On a CPU it does not by default, nor on several devices. The many small
    operations of a rule take several times as long one by one. Eagerly, as
    with `run_eagerly`, they do run one by one.
    """
    if tf.executing_eagerly():
        step()
    else:
        compiled(step)()


def replica_key():
    """Tells the replicas of a step apart, in whatever thread they are traced.

    A strategy leaves a replica's thread and comes back in another one where
    Keras's `LossScaleOptimizer` branches.
    """
    context = tf.distribute.get_replica_context()
    index = context and tf.get_static_value(context.replica_id_in_sync_group)
    return ("thread", threading.get_ident()) if index is None else int(index)


class BackendOptimizer(keras.optimizers.Optimizer):
    """A `keras.optimizers.Optimizer` that applies gradients as said above."""

    # Inside the strategy's update the plain helpers are the right ones.
    _apply_weight_decay = BaseOptimizer._apply_weight_decay
    _backend_increment_gradient_accumulators = (
        BaseOptimizer._backend_increment_gradient_accumulators
    )
    _overwrite_model_variables_with_average_value = (
        BaseOptimizer._overwrite_model_variables_with_average_value
    )

    def _backend_apply_gradients(self, grads, trainable_variables):
        self._check_strategy()
        self._check_compilation()
        grads = [tf.convert_to_tensor(grad) for grad in grads]
        grads_and_vars = self._all_reduce_sum_gradients(
            zip(grads, trainable_variables)
        )
        tf.__internal__.distribute.interim.maybe_merge_call(
            functools.partial(
                self._update_replicas, trainable_variables=trainable_variables
            ),
            self._distribution_strategy,
            [grad for grad, _ in grads_and_vars],
            self._all_reduce_sum_loss(),
        )

    def _all_reduce_sum_loss(self):
        """The loss of all replicas, or None."""
        loss = self._train_loss.recorded()
        context = tf.distribute.get_replica_context()
        if loss is None or context is None:
            return loss
        return context.all_reduce(tf.distribute.ReduceOp.SUM, loss)

    def _update_replicas(self, strategy, grads, loss, trainable_variables):
        apply = super()._backend_apply_gradients

        def update_replica(_, replica_grads, replica_loss):
            self._train_loss.record(replica_loss)  # Perhaps another thread.
            try:
                apply(replica_grads, trainable_variables)
            finally:
                self._train_loss.forget()

        first = trainable_variables[0]
        if isinstance(first, keras.Variable):
            first = first.value
        # The first variable only tells on which devices to run.
        strategy.extended.update(
            first, update_replica, args=(grads, loss), group=False
        )

    def _check_strategy(self):
        strategy = tf.distribute.get_strategy()
        if strategy is not self._distribution_strategy:
            raise ValueError(
                "The optimizer must be made inside the `strategy.scope()` it "
                "is used in. Received: made under "
                f"{type(self._distribution_strategy).__name__}, used under "
                f"{type(strategy).__name__}"
            )

    def _check_compilation(self):
        """Raises ValueError where XLA would get the step of all replicas.

        XLA compiles for one device, and Keras gives it all that
        `strategy.run` does. TensorFlow would fail when the step runs, with any
        optimizer and before this one's part of it.
        """
        # A thread of `strategy.run` has the graph that this was called in;
        # what is compiled inside one replica's thread is another matter.
        graph = getattr(threading.current_thread(), "graph", None)
        if graph and control_flow_util.GraphOrParentsInXlaContext(graph):
            raise ValueError(
                "`jit_compile=True` makes Keras compile the step of all "
                "replicas for one device, which TensorFlow cannot do, with "
                "any optimizer. Pass `jit_compile=False` to `compile`: the "
                "rule is compiled on every replica all the same. To compile "
                "the model too, put loss and gradients, without "
                "`apply_gradients`, in a `tf.function(jit_compile=True)` that "
                "a `train_step` of yours calls. Received: jit_compile=True "
                "under a strategy of "
                f"{self._distribution_strategy.num_replicas_in_sync} replicas"
            )
