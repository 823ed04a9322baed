"""The TensorFlow backend of LearnedOptimizer: sparse gradients, tf.distribute.

Keras enters the strategy once per variable and helper. That fails inside the
`cond` of gradient accumulation (keras issue 20582), and each replica clips only
its own share of the gradient. Here the shares are summed first. Then a single
update of the strategy runs the whole step on every replica, on that replica's
copies of the variables.
"""

import functools
import threading

import keras
import tensorflow as tf
from keras.src.optimizers.base_optimizer import BaseOptimizer
from tensorflow.python.ops import control_flow_util

from keras_lopt.optimizers.backends.base import LossOptimizer


def eager_scope():
    """Context in which values are computed now, even while tracing."""
    return tf.init_scope()


def compiled(function):
    """`function` compiled by XLA."""
    return tf.function(function, jit_compile=True, autograph=False)


def run_step(step):
    """Calls `step`, compiled by XLA unless it runs eagerly.

    By default `fit` does not compile on a CPU or on several devices, and the
    many small operations of a rule would take several times as long.
    """
    if tf.executing_eagerly():
        step()
    else:
        compiled(step)()


def dense(gradient, shape):
    """`gradient` as a tensor that is known to have the variable's shape.

    A sparse one becomes dense; entries of equal index are summed. Where Keras's
    `LossScaleOptimizer` divides a sparse gradient in a graph, it loses what was
    known of its shape.

    Args:
        gradient: Tensor, `tf.IndexedSlices` or `tf.SparseTensor`.
        shape: Tuple, the shape of the variable.
    """
    if isinstance(gradient, tf.SparseTensor):
        gradient = tf.sparse.to_dense(tf.sparse.reorder(gradient))
    elif isinstance(gradient, tf.IndexedSlices):
        rows = tf.ensure_shape(gradient.values, (None, *shape[1:]))
        gradient = tf.math.unsorted_segment_sum(
            rows, gradient.indices, shape[0]
        )
    gradient = tf.convert_to_tensor(gradient)
    if not gradient.shape.is_fully_defined():
        gradient = tf.ensure_shape(gradient, shape)
    return gradient


def known_value(variable):
    """NumPy value of a variable, also while a step is being traced."""
    with tf.init_scope():
        return variable.numpy() if tf.executing_eagerly() else None


def replica_key():
    """A key for the replica that is being traced, in any thread.

    A thread alone would not do: where Keras's `LossScaleOptimizer` branches, a
    strategy leaves a replica's thread and returns in another one.
    """
    context = tf.distribute.get_replica_context()
    index = context and tf.get_static_value(context.replica_id_in_sync_group)
    return ("thread", threading.get_ident()) if index is None else int(index)


class BackendOptimizer(LossOptimizer):
    """Applies the summed gradients of all replicas in one strategy update."""

    # Inside the strategy's update, the helpers without a strategy are right.
    _apply_weight_decay = BaseOptimizer._apply_weight_decay
    _backend_increment_gradient_accumulators = (
        BaseOptimizer._backend_increment_gradient_accumulators
    )

    def _backend_apply_gradients(self, grads, trainable_variables):
        self._check_strategy()
        self._check_compilation()
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
        """The sum of all replicas' losses, or None."""
        loss = self._train_loss.recorded()
        context = tf.distribute.get_replica_context()
        if loss is None or context is None:
            return loss
        return context.all_reduce(tf.distribute.ReduceOp.SUM, loss)

    def _update_replicas(self, strategy, grads, loss, trainable_variables):
        apply = super()._backend_apply_gradients

        def update_replica(_, replica_grads, replica_loss):
            self._train_loss.record(replica_loss)  # The thread may differ.
            try:
                apply(replica_grads, trainable_variables)
            finally:
                self._train_loss.forget()

        first = trainable_variables[0]
        if isinstance(first, keras.Variable):
            first = first.value
        # The first variable only says on which devices to run.
        strategy.extended.update(
            first, update_replica, args=(grads, loss), group=False
        )

    def _check_strategy(self):
        strategy = tf.distribute.get_strategy()
        if strategy is not self._distribution_strategy:
            raise ValueError(
                "The optimizer must be created inside the `strategy.scope()` "
                "that it is used in. Received: created under "
                f"{type(self._distribution_strategy).__name__}, used under "
                f"{type(strategy).__name__}"
            )

    def _check_compilation(self):
        """Raises ValueError if XLA is to compile the step of all replicas.

        XLA compiles for one device, and Keras passes it everything that
        `strategy.run` does. TensorFlow would fail when the step runs, with any
        optimizer, before this one is called.
        """
        # A thread of `strategy.run` knows the graph that this was called in.
        # Compiling inside a single replica's thread works.
        graph = getattr(threading.current_thread(), "graph", None)
        if graph and control_flow_util.GraphOrParentsInXlaContext(graph):
            raise ValueError(
                "`jit_compile=True` makes Keras compile the step of all "
                "replicas for one device, which TensorFlow cannot do, with "
                "any optimizer. Pass `jit_compile=False` to `compile`: the "
                "rule is still compiled on every replica. To compile the "
                "model too, write a `train_step` that computes loss and "
                "gradients, without `apply_gradients`, in a "
                "`tf.function(jit_compile=True)`. Received: jit_compile=True "
                "under a strategy of "
                f"{self._distribution_strategy.num_replicas_in_sync} replicas"
            )
