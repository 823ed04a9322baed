"""Registers `LearnedOptimizer` with Keras, whichever is imported first.

`import keras_lopt` is enough for `keras.models.load_model`. It does not import
Keras itself, which imports its backend: that takes seconds, and the commands
have something to say before it.
"""

import functools
import importlib
import importlib.abc
import sys

from keras_lopt import quiet

#: Backends of Keras that compute gradients.
_BACKENDS = ("tensorflow", "jax", "torch")


def register():
    """Registers the class: now if Keras is there, else when it is imported."""
    if "keras" in sys.modules:
        _import_optimizer()
    else:
        sys.meta_path.insert(0, _WithKeras())


def _import_optimizer():
    """Importing the class registers it."""
    import keras

    if keras.backend.backend() in _BACKENDS:
        with quiet.without_noise():
            importlib.import_module("keras_lopt.optimizers")


class _WithKeras(importlib.abc.MetaPathFinder):
    """Finds Keras as the other finders do; imports the class after it.

    If a part of this package is what imports Keras, as `from keras_lopt import
    rules` does, after that part: the class needs all of it.
    """

    def __init__(self):
        self._depth = 0

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras" and not fullname.startswith("keras_lopt."):
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        for finder in others:
            if spec := finder.find_spec(fullname, path, target):
                execute = spec.loader.exec_module
                spec.loader.exec_module = functools.partial(self._run, execute)
                return spec
        return None

    def _run(self, execute, module):
        self._depth += 1
        try:
            execute(module)
        finally:
            self._depth -= 1
        is_outermost = not self._depth and "keras" in sys.modules
        if is_outermost and self in sys.meta_path:
            sys.meta_path.remove(self)
            _import_optimizer()
