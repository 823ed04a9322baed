"""Keras callbacks for what LearnedOptimizer cannot see from inside a step."""

import warnings

import keras

from keras_lopt.optimizers.wrappers import learned_optimizers


class _Callback(keras.callbacks.Callback):
    def _optimizers(self):
        return learned_optimizers(self.model.optimizer)


class InferHorizon(_Callback):
    """Tells the optimizer's rule how many updates `fit` is going to make.

    That is what it has made, plus this call's epochs times steps, divided by
    `gradient_accumulation_steps`. It replaces a `horizon` given before; a rule
    that does not plan takes no notice.

    Raises:
        ValueError: `fit` does not know its number of batches.

    >>> import keras
    >>> from keras_lopt import LearnedOptimizer, optimizers, rules
    >>> rule = rules.get("velo", lstm_units=8, bank_size=2)
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile(LearnedOptimizer(rule, rule.init_theta(seed=0)), "mse")
    >>> x = keras.ops.ones((8, 1))
    >>> history = model.fit(
    ...     x, x, 4, verbose=0, callbacks=[optimizers.InferHorizon()]
    ... )
    >>> model.optimizer.horizon
    2
    """

    def on_train_begin(self, logs=None):
        self._is_done = False

    def on_epoch_begin(self, epoch, logs=None):
        # Not in `on_train_begin`, which does not know the first epoch.
        if self._is_done:
            return
        steps = self.params.get("steps")
        if not steps:
            raise ValueError(
                "`InferHorizon` needs the number of batches of an epoch, and "
                "`fit` does not know it for these data. Pass "
                "`steps_per_epoch` to `fit`, or `horizon` to "
                f"`LearnedOptimizer`. Received: steps={steps}"
            )
        for optimizer in self._optimizers():
            optimizer.plan_for((self.params["epochs"] - epoch) * steps)
        self._is_done = True


class PassValidationLoss(_Callback):
    """Tells the optimizer's rule the validation loss of every epoch.

    For `hierarchical`, which keeps statistics of it: the first step after the
    validation gets it. A rule that has no use for it takes no notice.

    It warns at the end of a `fit` that had none.

    Args:
        monitor: Key of the loss in the epoch's logs.
    """

    def __init__(self, monitor="val_loss"):
        super().__init__()
        self.monitor = monitor

    def on_train_begin(self, logs=None):
        self._has_one = False

    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get(self.monitor)
        if loss is None:
            return  # No validation in this epoch: `validation_freq`.
        self._has_one = True
        for optimizer in self._optimizers():
            optimizer.set_valid_loss(loss)

    def on_train_end(self, logs=None):
        if not self._has_one:
            warnings.warn(
                f"`PassValidationLoss` found no {self.monitor!r} in the logs "
                "of any epoch, so the rule knows of none: pass "
                "`validation_data` to `fit`, or the right key as `monitor`. "
                f"Received: logs={sorted(logs or {})}",
                stacklevel=2,
            )


class ReportGuard(_Callback):
    """Adds the counts of the divergence guard to the logs of every epoch.

    `guard_skipped` and `guard_fallback_steps`, since the optimizer was made,
    go to `History` and the callbacks after this one. It warns in the epoch in
    which the rule was given up.
    """

    def on_epoch_end(self, epoch, logs=None):
        for optimizer in self._optimizers():
            report = optimizer.guard_report()
            if report is None or logs is None:
                continue
            for key in ("skipped", "fallback_steps"):
                name = f"guard_{key}"
                logs[name] = logs.get(name, 0) + report[key]
            optimizer.warn_of_guard()
