"""Random networks that are imitated: data that can't be memorized.

Every problem draws a teacher, a random MLP; every step draws new inputs. The
student is an MLP of another shape.
"""

import keras
from keras import ops

from keras_lopt.checks import check_choice, check_integer, check_number
from keras_lopt.tasks import layers
from keras_lopt.tasks.data import datasets
from keras_lopt.tasks.losses import MeanOutput
from keras_lopt.tasks.normalizers import FromStart, chance
from keras_lopt.tasks.parts import common
from keras_lopt.tasks.registry import register_family
from keras_lopt.tasks.task import Task

TARGETS = ("classes", "numbers")
#: Standard deviation of a teacher's weights, times the root of the fan-in: its
#: units saturate now and then.
_GAIN = 1.5
_BIAS = 0.5


def draw(sampler):
    """Draws a configuration of `teacher`."""
    targets = sampler.choice(TARGETS)
    least = 2 if targets == "classes" else 1
    return {
        "hidden": sampler.widths(range(1, 5), 8, 128),
        "teacher_hidden": sampler.widths(range(0, 3), 4, 64),
        "features": sampler.log_int(4, 64),
        "targets": targets,
        "outputs": sampler.integer(least, 10),
        "noise": sampler.log_float(0.01, 0.3) if sampler.chance(0.5) else 0.0,
        "activation": sampler.activation(),
        "initializer": sampler.initializer(),
        "batch_size": sampler.log_int(8, 256),
        "variation": sampler.variation(),
    }


@register_family(draw)
def teacher(
    hidden=(16,),
    teacher_hidden=(16,),
    features=16,
    targets="classes",
    outputs=5,
    noise=0.0,
    activation="relu",
    initializer="glorot_uniform",
    batch_size=32,
    variation=None,
):
    """Normal inputs, and what a problem's random tanh MLP makes of them.

    Args:
        hidden, activation, initializer: The student, as for `mlp`.
        teacher_hidden: Widths of the teacher's hidden layers; () for a linear
            one.
        features: Number of features per input.
        targets: "classes", the largest of the teacher's outputs; or "numbers",
            the outputs themselves, with squared errors.
        outputs: Number of classes or of numbers.
        noise: Fraction of the classes that are random ones; for numbers the
            standard deviation of the noise, relative to that of the outputs.
        batch_size: Examples per step; every step draws new ones.
        variation: A `Variation`, or a dict of its arguments.
    """
    check_choice("targets", targets, TARGETS)
    check_integer("outputs", outputs, 2 if targets == "classes" else 1)
    check_integer("features", features, 1)
    check_number("noise", noise, "[0, 1]")
    made = teacher_hidden, features, targets, outputs, noise, batch_size
    student = hidden, activation, initializer
    return Task(
        f"teacher_{common.digest((made, student))}",
        lambda: _model(made, *student),
        MeanOutput(),
        datasets.nothing(),
        1,
        common.as_variation(variation),
        normalizer=chance(outputs) if targets == "classes" else FromStart(),
    )


def _model(made, hidden, activation, initializer):
    """A model whose output is the student's loss; arguments as `teacher`."""
    inputs = keras.Input((1,))
    lesson = Lesson(*made)
    x, answers = lesson(inputs)
    x = common.perceptron(x, hidden, activation, initializer)
    x = layers.Dense(lesson.outputs)(x)
    if lesson.targets == "classes":
        losses = keras.losses.sparse_categorical_crossentropy(
            answers, x, from_logits=True
        )
    else:
        losses = keras.losses.mean_squared_error(answers, x)
    return keras.Model(inputs, losses)


class Lesson(keras.layers.Layer):
    """Inputs and the teacher's answers, drawn anew at every call.

    Args:
        teacher_hidden, features, targets, outputs, noise, batch_size: As for
            `teacher`.
    """

    def __init__(
        self,
        teacher_hidden,
        features,
        targets,
        outputs,
        noise,
        batch_size,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.sizes = (features, *teacher_hidden, outputs)
        self.targets, self.outputs = targets, outputs
        self.noise, self.batch_size = noise, batch_size
        self.kernel_initializer = keras.initializers.VarianceScaling(
            scale=_GAIN**2, mode="fan_in", distribution="untruncated_normal"
        )
        self.bias_initializer = keras.initializers.RandomNormal(stddev=_BIAS)
        self.generator = keras.random.SeedGenerator(0)

    def build(self, input_shape):
        self.kernels, self.biases = [], []
        for i, shape in enumerate(zip(self.sizes, self.sizes[1:])):
            self.kernels.append(
                self._weight(f"kernel_{i}", shape, self.kernel_initializer)
            )
            if i < len(self.sizes) - 2:
                self.biases.append(
                    self._weight(f"bias_{i}", shape[1:], self.bias_initializer)
                )

    def _weight(self, name, shape, initializer):
        return self.add_weight(
            name=name, shape=shape, initializer=initializer, trainable=False
        )

    def call(self, inputs):
        x = keras.random.normal(
            (self.batch_size, self.sizes[0]), seed=self.generator
        )
        return x, self._answers(x)

    def _answers(self, x):
        for kernel, bias in zip(self.kernels, self.biases):
            x = ops.tanh(ops.matmul(x, kernel) + bias)
        # Without a bias: no class is the most frequent one by far.
        outputs = ops.matmul(x, self.kernels[-1])
        if self.targets == "numbers":
            if self.noise:
                noise = keras.random.normal(outputs.shape, seed=self.generator)
                outputs += self.noise * ops.std(outputs) * noise
            return outputs
        classes = ops.cast(ops.argmax(outputs, axis=-1), "int32")
        if not self.noise:
            return classes
        shape = (self.batch_size,)
        drawn = keras.random.uniform(shape, seed=self.generator)
        other = keras.random.randint(
            shape, 0, self.outputs, seed=self.generator
        )
        return ops.where(drawn < self.noise, other, classes)

    def compute_output_spec(self, inputs):
        classify = self.targets == "classes"
        shape = (
            (self.batch_size,) if classify else (self.batch_size, self.outputs)
        )
        return (
            keras.KerasTensor((self.batch_size, self.sizes[0]), "float32"),
            keras.KerasTensor(shape, "int32" if classify else "float32"),
        )
