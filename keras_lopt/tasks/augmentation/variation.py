"""Variation: what differs between the problems of one task.

Everything is sampled per problem inside the compiled program, so that one
program serves a whole distribution of problems.
"""

import dataclasses
import math
import zlib

import tensorflow as tf

from keras_lopt.checks import check_flag, check_integer, check_numbers

#: Kinds of reparametrization: of which values there is one factor each.
KINDS = ("none", "global", "tensor", "parameter")
#: Fields that descriptions have only if they are used, so that experiments
#: from before there were any can be continued.
_LATER = ("label_noise", "projection", "reparametrization_kinds")


@dataclasses.dataclass(frozen=True)
class Variation:
    """Which properties of a problem vary; by default none.

    Args:
        init_scale: Range of a log-uniform factor, one per problem, by which
            all initial trainable values are multiplied.
        input_scale: Range of a log-uniform factor, one per problem, by which
            inputs are multiplied.
        reparametrization: Range of a log-uniform factor: the model computes
            with `factor * params` and starts from `params / factor`. It is the
            same function with other gradients. The augmentation with the
            largest effect in Celo2.
        label_permutation: Whether class numbers are permuted.
        per_tensor: Whether `reparametrization` has one factor per tensor
            instead of one per problem.
        pixel_permutation: Whether the entries of inputs are permuted, in the
            same way for all inputs of a problem.
        class_subset: Number of classes that a problem uses; None: all.
        label_noise: Range of a uniform fraction, one per problem, of the
            training examples that have a random class. It is always the same
            one for an example of a problem. Other splits have no such noise.
        projection: Number of features to which inputs are projected, by a
            random matrix that is the same for all inputs of a problem; None:
            inputs stay as they are. The model is one of so many features.
        reparametrization_kinds: Kinds of `reparametrization`, of which every
            problem draws one: "none", or one factor that is "global", per
            "tensor" or per "parameter". A kind that is listed twice is twice
            as likely. None: as `per_tensor` says.
    """

    init_scale: tuple[float, float] = (1.0, 1.0)
    input_scale: tuple[float, float] = (1.0, 1.0)
    reparametrization: tuple[float, float] = (1.0, 1.0)
    label_permutation: bool = False
    per_tensor: bool = False
    pixel_permutation: bool = False
    class_subset: int | None = None
    label_noise: tuple[float, float] = (0.0, 0.0)
    projection: int | None = None
    reparametrization_kinds: tuple[str, ...] | None = None

    def __post_init__(self):
        for field, interval in (
            ("init_scale", "(0, inf)"),
            ("input_scale", "(0, inf)"),
            ("reparametrization", "(0, inf)"),
            ("label_noise", "[0, 1]"),
        ):
            value = getattr(self, field)
            check_numbers(field, value, interval, count=2)
            if value[0] > value[1]:
                raise ValueError(
                    f"`{field}` must be a range (low, high) with low <= high. "
                    f"Received: {field}={value}"
                )
        for field in ("label_permutation", "per_tensor", "pixel_permutation"):
            check_flag(field, getattr(self, field))
        if self.class_subset is not None:
            check_integer("class_subset", self.class_subset, 1)
        if self.projection is not None:
            check_integer("projection", self.projection, 1)
        self._check_kinds()

    def _check_kinds(self):
        kinds = self.reparametrization_kinds
        if kinds is None:
            return
        if not isinstance(kinds, tuple) or not kinds or set(kinds) - set(KINDS):
            raise ValueError(
                f"`reparametrization_kinds` must be a tuple of some of {KINDS}."
                f" Received: reparametrization_kinds={kinds!r}"
            )
        if self.per_tensor or not self.reparametrizes:
            raise ValueError(
                "`reparametrization_kinds` must come with a range of factors, "
                "`reparametrization`, and without `per_tensor`. Received: "
                f"reparametrization={self.reparametrization}, "
                f"per_tensor={self.per_tensor}"
            )

    def describe(self):
        """All settings as a dict, later ones only if they are used."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _LATER
            or getattr(self, field.name) != field.default
        }

    def scale(self, field, seed):
        """The problem's scalar factor for `field`. `seed`: [2] int32."""
        return self._scales(field, seed, field, ())

    def _scales(self, field, seed, use, shape):
        """Log-uniform factors of a shape in the range `field`, for one use."""
        low, high = getattr(self, field)
        if low == high:  # Without a seed, too.
            return tf.fill(shape, tf.constant(low, tf.float32))
        exponents = tf.random.stateless_uniform(
            shape,
            fold_in_name(seed, use),
            math.log(low),
            math.log(high),
            alg="philox",
        )
        return tf.exp(exponents)

    def factors(self, seed, shapes):
        """The problem's reparametrization factors.

        Args:
            seed: [2] int32.
            shapes: Shapes of the tensors of parameters.

        Returns:
            A list of tensors, one per shape: scalars, or of that shape if
            there can be one factor per parameter.
        """
        kinds = self.reparametrization_kinds
        if kinds is None:
            kinds = ("tensor",) if self.per_tensor else ("global",)
        made = {
            kind: self._factors_of(kind, seed, shapes)
            for kind in dict.fromkeys(kinds)
        }
        if len(made) == 1:
            return next(iter(made.values()))
        drawn = tf.random.stateless_uniform(
            (),
            fold_in_name(seed, "reparametrization_kinds"),
            0,
            len(kinds),
            tf.int32,
            alg="philox",
        )
        return [
            self._chosen(drawn, [made[kind][i] for kind in kinds])
            for i in range(len(shapes))
        ]

    def _factors_of(self, kind, seed, shapes):
        """As `factors`, for one kind."""
        name = "reparametrization"
        if kind == "none":
            return [tf.ones(())] * len(shapes)
        if kind == "global":
            return [self.scale(name, seed)] * len(shapes)
        seeds = [fold_in_name(seed, f"tensor {i}") for i in range(len(shapes))]
        if kind == "tensor":
            return [self.scale(name, seed) for seed in seeds]
        return [
            self._scales(name, seed, "parameters", shape)
            for seed, shape in zip(seeds, shapes)
        ]

    @staticmethod
    def _chosen(drawn, options):
        """The option with the number `drawn`, a scalar tensor."""
        found = options[0]
        for number, option in enumerate(options[1:], start=1):
            found = tf.where(tf.equal(drawn, number), option, found)
        return found

    @property
    def per_parameter(self):
        """Whether there can be one factor per parameter."""
        return "parameter" in (self.reparametrization_kinds or ())

    @property
    def reparametrizes(self):
        """Whether models compute with multiples of their parameters."""
        return self.reparametrization != (1.0, 1.0)

    def permute(self, labels, num_classes, seed):
        """`labels` as the problem with this seed sees them."""
        if not self.label_permutation:
            return labels
        order = _permutation(num_classes, seed, "label_permutation")
        return tf.gather(order, labels)

    def view(self, seed, num_classes, pixels):
        """How the problem with this seed sees the data, for `batches.see`.

        Args:
            seed: [2] int32.
            num_classes: Number of classes, or None.
            pixels: Number of entries per input.

        Returns:
            Dict with "scale" (), the factor of inputs. With classes also
            "labels" [num_classes], the new number of each class. If they vary,
            also "pixels" [pixels], the order of an input's entries, and
            "classes" [class_subset], the classes that the problem uses,
            "projection" [pixels, projection], and "noise", what `noisy_labels`
            needs: "fraction" () and "key" ().
        """
        view = {"scale": self.scale("input_scale", seed)}
        if num_classes is not None:
            classes = tf.range(num_classes)
            view["labels"] = self.permute(classes, num_classes, seed)
        if self.pixel_permutation:
            view["pixels"] = _permutation(pixels, seed, "pixel_permutation")
        if self.class_subset is not None:
            order = _permutation(num_classes, seed, "class_subset")
            view["classes"] = order[: self.class_subset]
        if self.projection is not None:
            view["projection"] = tf.random.stateless_normal(
                (pixels, self.projection),
                fold_in_name(seed, "projection"),
                alg="philox",
            ) / math.sqrt(pixels)
        if self.has_noise:
            view["noise"] = self._noise(fold_in_name(seed, "label_noise"))
        return view

    @property
    def has_noise(self):
        """Whether some training examples have a random class."""
        return self.label_noise[1] > 0.0

    def _noise(self, seed):
        fraction = tf.random.stateless_uniform(
            (), seed, *self.label_noise, alg="philox"
        )
        key = tf.random.stateless_uniform(
            (), fold_in_name(seed, "key"), None, None, tf.int32, alg="philox"
        )
        return {"fraction": fraction, "key": key}


def _permutation(size, seed, name):
    """[size] int32: a random order, for one named use of a seed."""
    keys = tf.random.stateless_uniform(
        (size,), fold_in_name(seed, name), alg="philox"
    )
    return tf.argsort(keys)


def fold_in_name(seed, name):
    """[2] int32: an independent seed for one named use of `seed`."""
    return tf.random.experimental.stateless_fold_in(seed, name_code(name))


def name_code(name):
    """The number to fold into a seed for one named use of it."""
    return zlib.crc32(name.encode()) % 2**31
