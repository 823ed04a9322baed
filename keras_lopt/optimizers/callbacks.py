"""Keras callbacks that pass LearnedOptimizer what a step does not show."""

import warnings

import keras

from keras_lopt.optimizers.wrappers import learned_optimizers


class _Callback(keras.callbacks.Callback):
    def _optimizers(self):
        return learned_optimizers(self.model.optimizer)


class InferHorizon(_Callback):
    """Sets the horizon to the number of updates after this `fit`.

    The horizon is the number of batches so far plus epochs times steps of this
    call, divided by `gradient_accumulation_steps`. It replaces an earlier
    `horizon`. A rule that does not plan ignores it.

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
        # `on_train_begin` does not know the first epoch.
        if self._is_done:
            return
        steps = self.params.get("steps")
        if not steps:
            raise ValueError(
                "`InferHorizon` needs the number of batches per epoch, and "
                "`fit` does not know it for this dataset. Pass "
                "`steps_per_epoch` to `fit`, or `horizon` to "
                f"`LearnedOptimizer`. Received: steps={steps}"
            )
        for optimizer in self._optimizers():
            optimizer.plan_for((self.params["epochs"] - epoch) * steps)
        self._is_done = True


class PassValidationLoss(_Callback):
    """Passes the validation loss of every epoch to the optimizer's rule.

    The first step after the validation gets it. Only `hierarchical` uses it,
    for running statistics; other rules ignore it. The callback warns at the
    end of a `fit` without any validation loss.

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
            return  # No validation in this epoch, by `validation_freq`.
        self._has_one = True
        for optimizer in self._optimizers():
            optimizer.set_valid_loss(loss)

    def on_train_end(self, logs=None):
        if not self._has_one:
            warnings.warn(
                f"`PassValidationLoss` found no {self.monitor!r} in the logs "
                "of any epoch, so the rule got no validation loss: pass "
                "`validation_data` to `fit`, or the right key as `monitor`. "
                f"Received: logs={sorted(logs or {})}",
                stacklevel=2,
            )


class ReportGuard(_Callback):
    """Adds the counts of the divergence guard to the logs of every epoch.

    `guard_skipped` and `guard_fallback_steps` count from the creation of the
    optimizer. `History` and later callbacks see them. The callback warns in
    the epoch in which the guard gives up on the rule.
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
