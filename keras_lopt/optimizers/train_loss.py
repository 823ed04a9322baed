"""Keeps the training loss between `scale_loss` and the rule."""

from keras import ops


class TrainLoss:
    """The loss of the current step.

    It is often a tensor of the graph that is being traced, so it must be
    forgotten once the step has used it. The replicas of a mirrored step are
    traced in parallel threads, and each of them has its own loss.

    Args:
        rule: The `rules.Rule` that gets the loss. If it needs no loss, nothing
            is recorded.
        replica_key: Callable that returns a key for the replica that is being
            traced.
    """

    def __init__(self, rule, replica_key):
        self._rule = rule
        self.is_needed = "train_loss" in rule.required_signals
        self._replica_key = replica_key
        self._by_replica = {}
        self._accumulator = None

    def record(self, loss):
        """Records the loss of this replica, a scalar or None."""
        if not self.is_needed:
            return
        if loss is not None:
            dtype = getattr(loss, "dtype", "float32")
            loss = ops.convert_to_tensor(loss, dtype=dtype)
            if len(loss.shape) != 0:
                raise ValueError(
                    f"Rule {self._rule.name!r} needs the training loss: "
                    "`loss` must be a scalar. Received: "
                    f"shape={tuple(loss.shape)}"
                )
            loss = ops.cast(ops.stop_gradient(loss), "float32")
        self._by_replica[self._replica_key()] = loss

    def recorded(self):
        """The loss that this replica recorded, or None."""
        return self._by_replica.get(self._replica_key())

    def forget(self):
        self._by_replica.pop(self._replica_key(), None)

    def check(self):
        """Raises ValueError if the rule needs a loss and has none."""
        if self.is_needed and self.recorded() is None:
            raise ValueError(
                f"Rule {self._rule.name!r} needs the training loss, and got "
                "none in this step. `model.fit` passes it on. A custom loop "
                "must call `loss = optimizer.scale_loss(loss)` in every step, "
                "before it computes the gradient. Keras's "
                "`LossScaleOptimizer`, which `mixed_float16` adds, and its "
                "`MultiOptimizer` do not pass the loss on: use those of "
                "`keras_lopt.optimizers`, as in "
                "`compile(LossScaleOptimizer(optimizer))`."
            )

    # The sum over the steps whose gradients are accumulated.

    def accumulate_in(self, variable):
        """Sums losses in `variable`, whose initial value is 0."""
        self._accumulator = variable

    def add(self):
        if self._accumulator is not None:
            self._accumulator.assign_add(self.recorded())

    def reset(self):
        if self._accumulator is not None:
            self._accumulator.assign(ops.zeros((), dtype="float32"))

    def add_or_reset(self, is_update):
        """`reset` if the boolean tensor `is_update` is true, else `add`."""
        if self._accumulator is not None:
            total = self._accumulator + self.recorded()
            total = ops.where(is_update, ops.zeros_like(total), total)
            self._accumulator.assign(total)

    def mean(self, num_steps):
        """Mean of the accumulated losses and this one; None without a loss."""
        loss = self.recorded()
        if loss is None:
            return None
        if self._accumulator is None:
            return loss
        return (self._accumulator + loss) / num_steps
