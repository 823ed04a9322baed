"""The contract of every update rule, and base classes for per-tensor rules."""

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class Rule:
    """A pure update rule: it holds hyperparameters and no tensors.

    Subclasses are frozen dataclasses registered with `rules.register(name)`.
    They implement `theta_shapes`, `init_theta`, `init_slots` and `update`.
    """

    name: ClassVar[str] = ""
    #: Signals that `update` needs; `step` is always among them.
    required_signals: ClassVar[tuple[str, ...]] = ("step",)
    #: Signals that `update` uses if it gets them.
    optional_signals: ClassVar[tuple[str, ...]] = ()
    #: True for formulas that people designed (Adam, SGD). They serve as
    #: baselines and in tests, and none takes part in self-training.
    hand_designed: ClassVar[bool] = False
    #: Paths that imported weights may lack; theta is zero there.
    imported_optional: ClassVar[tuple[str, ...]] = ()

    def get_config(self):
        """Hyperparameters: `rules.get(rule.name, **config)` equals the rule."""
        return dataclasses.asdict(self)

    def theta_shapes(self):
        """Dict from theta leaf name to shape."""
        raise NotImplementedError

    def init_theta(self, seed):
        """Random meta-parameters.

        Args:
            seed: Integer. A seed gives the same theta on every backend.

        Returns:
            Dict from leaf name to float32 NumPy array.
        """
        raise NotImplementedError

    def init_slots(self, theta, params):
        """The rule's memory before the first step.

        Args:
            theta: Dict of arrays; some rules learn their initial state.
            params: List of tensors or `keras.KerasTensor`s. Only their shapes
                may be used.

        Returns:
            Nested dict/list of float32 tensors.
        """
        raise NotImplementedError

    def update(self, theta, grads, params, slots, signals):
        """One step.

        Args:
            theta: Dict of arrays, as from `init_theta`.
            grads: List of tensors, one per parameter.
            params: List of tensors.
            slots: As from `init_slots` or from the last `update`.
            signals: Dict of scalars. `step` counts from 0; `horizon`,
                `train_loss` and `valid_loss` where the rule requires them or
                has them as an option. A NaN as `valid_loss` is none; a
                `horizon` of 0 is one that is not known, where it is an option.

        Returns:
            `deltas`, a list of float32 tensors to add to `params`, and the
            new `slots`.
        """
        raise NotImplementedError

    def imported_paths(self):
        """Where imported weights hold each leaf of theta.

        Returns:
            Dict from theta leaf name to path, with its parts joined by `/`.
            Empty if weights cannot be imported for this rule.
        """
        return {}

    @classmethod
    def imported_config(cls, shapes):
        """Hyperparameters that follow from the shapes of imported weights.

        Args:
            shapes: Dict from path to shape.

        Returns:
            Dict of hyperparameters. It lacks those that shapes do not show.

        Raises:
            LookupError: A path that it reads is missing, or has the wrong
                number of dimensions.
        """
        del shapes
        return {}

    def check_theta(self, theta):
        """Raises ValueError unless `theta` fits this rule, leaf by leaf."""
        shapes = self.theta_shapes()
        missing = sorted(set(shapes) - set(theta))
        extra = sorted(set(theta) - set(shapes))
        if missing or extra:
            raise ValueError(
                f"`theta` must have the leaves {sorted(shapes)} of rule "
                f"{self.name!r}. Received: missing={missing}, extra={extra}"
            )
        for leaf, shape in shapes.items():
            value = np.asarray(theta[leaf])
            if tuple(value.shape) != tuple(shape):
                raise ValueError(
                    f"`theta[{leaf!r}]` of rule {self.name!r} must have shape "
                    f"{tuple(shape)}. Received: shape={tuple(value.shape)}"
                )
            if value.dtype != np.float32:
                raise ValueError(
                    f"`theta[{leaf!r}]` of rule {self.name!r} must be float32. "
                    f"Received: dtype={value.dtype}"
                )
            if not np.all(np.isfinite(value)):
                raise ValueError(
                    f"`theta[{leaf!r}]` of rule {self.name!r} must be finite. "
                    f"Received: {int(np.sum(~np.isfinite(value)))} non-finite "
                    f"of {value.size} entries"
                )

    def check_signals(self, signals):
        """Raises ValueError unless every required signal is there."""
        missing = [k for k in self.required_signals if k not in signals]
        if missing:
            raise ValueError(
                f"Rule {self.name!r} needs the signals "
                f"{list(self.required_signals)}. Received: "
                f"signals={sorted(signals)}, missing {missing}"
            )

    def check_update(self, returned, params, slots):
        """Raises ValueError unless `update` returned what it must.

        Args:
            returned: What `update` returned.
            params: List of tensors that it got.
            slots: Nested dict/list of tensors that it got.
        """
        where = f"`update` of rule {self.name!r} ({type(self).__qualname__})"
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            raise ValueError(
                f"{where} must return two values, `deltas` and the new "
                f"`slots`. Received: {type(returned).__name__}"
            )
        deltas, new_slots = returned
        listed = _listed(deltas)
        if len(listed) != len(params) or not all(map(_fits, listed, params)):
            raise ValueError(
                f"{where} must return `deltas` as a list with one tensor per "
                f"parameter, of the shapes {[_shape(p) for p in params]}. "
                f"Received: {type(deltas).__name__} with the shapes "
                f"{[_shape(delta) for delta in listed]}"
            )
        old, new = _leaves(slots), _leaves(new_slots)
        missing = sorted(set(old) - set(new))
        unexpected = sorted(set(new) - set(old))
        if missing or unexpected:
            raise ValueError(
                f"{where} must return `slots` of the structure that "
                "`init_slots` gives them: nested dicts and lists with the "
                f"same keys. Received: missing={missing}, "
                f"unexpected={unexpected}"
            )
        for path, slot in old.items():
            if not _fits(new[path], slot):
                raise ValueError(
                    f"{where} must return slots of the shapes that they had: "
                    f"slots{path} has {_shape(slot)}. Received: shape="
                    f"{_shape(new[path])}"
                )


def _listed(deltas):
    """`deltas` if it is a list of tensors, else an empty list."""
    is_list = isinstance(deltas, (list, tuple))
    return deltas if is_list and all(map(_is_tensor, deltas)) else []


def _is_tensor(value):
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _shape(tensor):
    """Shape as a tuple; a string if a tensor of a graph does not know it."""
    try:
        return tuple(tensor.shape)
    except ValueError:
        return "unknown"


def _fits(found, expected):
    """Whether a tensor has another one's shape, as far as it is known."""
    found, expected = _shape(found), _shape(expected)
    if "unknown" in (found, expected):
        return True
    return len(found) == len(expected) and all(
        a == b or a is None or b is None for a, b in zip(found, expected)
    )


def _leaves(tree, path=""):
    """Dict from path, such as "['a'][0]", to tensor."""
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, (list, tuple)):
        items = enumerate(tree)
    elif _is_tensor(tree):
        return {path or "itself": tree}
    else:
        return {f"{path} ({type(tree).__name__}, not a tensor)": tree}
    found = {}
    for key, value in items:
        found.update(_leaves(value, f"{path}[{key!r}]"))
    return found


class PerTensorRule(Rule):
    """A rule that treats every tensor separately.

    Subclasses implement `init_tensor_slots` and `update_tensor` for a single
    tensor. They get it as a float32 vector, in row-major order.
    """

    def init_tensor_slots(self, theta, size):
        """Slots of one tensor with `size` entries."""
        raise NotImplementedError

    def update_tensor(self, theta, grad, param, slots, signals):
        """Delta and new slots of one tensor; `grad` and `param` are [n]."""
        raise NotImplementedError

    def init_slots(self, theta, params):
        return [
            self.init_tensor_slots(theta, math.prod(param.shape))
            for param in params
        ]

    def update(self, theta, grads, params, slots, signals):
        self.check_signals(signals)
        tensors = []
        for grad, param, tensor_slots in zip(grads, params, slots, strict=True):
            shape = self._given_shape(param)
            grad, param = (
                ops.reshape(ops.cast(t, "float32"), shape)
                for t in (grad, param)
            )
            tensors.append((grad, param, tensor_slots))
        results = self.update_tensors(theta, tensors, signals)
        deltas = [
            ops.reshape(delta, param.shape)
            for (delta, _), param in zip(results, params, strict=True)
        ]
        return deltas, [tensor_slots for _, tensor_slots in results]

    def update_tensors(self, theta, tensors, signals):
        """List of what `update_tensor` returns for each tensor.

        Args:
            theta: Dict of arrays.
            tensors: List of tuples: gradient, parameter, slots.
            signals: Dict of scalars.
        """
        return [
            self.update_tensor(theta, *tensor, signals) for tensor in tensors
        ]

    def _given_shape(self, param):
        return (-1,)


class ShapedTensorRule(PerTensorRule):
    """A rule that treats every tensor separately and needs its shape.

    `update_tensor` gets `grad` and `param` in their own shape, scalars as
    (1,). It may return the delta in any shape of the same size.
    """

    def init_tensor_slots(self, theta, shape):
        """Slots of one tensor with this shape."""
        raise NotImplementedError

    def init_slots(self, theta, params):
        return [
            self.init_tensor_slots(theta, self._given_shape(param))
            for param in params
        ]

    def _given_shape(self, param):
        return at_least_1d(param.shape)


def at_least_1d(shape):
    """`shape` as a tuple; (1,) for a scalar."""
    return tuple(shape) or (1,)
