"""Set-up and fixtures that the tests of all sub-packages share."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "TF_XLA_FLAGS" not in os.environ:
    # What several tests compile, in one process or in several, is compiled by
    # the first of them: half of all the time goes into compilation.
    compiled = tempfile.mkdtemp(prefix="keras_lopt_compiled_")
    atexit.register(shutil.rmtree, compiled, ignore_errors=True)
    os.environ["TF_XLA_FLAGS"] = (
        f"--tf_xla_persistent_cache_directory={compiled}"
    )

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules, training

# Devices cannot change once TensorFlow has started: two for tf.distribute.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

#: One tensor of every rank that Keras layers use.
SHAPES = [(), (5,), (6, 4), (3, 4, 5), (3, 3, 2, 6)]


#: Files that take minutes: they begin first, so that no core waits for the last
#: of them at the end.
_LONG = (
    *("conformance/optimizer_test.py", "tasks/families_test.py"),
    *("training/devices/workers_test.py", "training/mixture_test.py"),
    *("notebook_test.py", "gin_test.py", "no_hand_design_test.py"),
    *("docs_test.py", "conformance/backends_test.py"),
    *("training/devices/devices_test.py", "training/kill_and_resume_test.py"),
    *("rules/scale_free_test.py", "rules/base_test.py"),
    *("training/devices/whole_programs_test.py", "docstrings_test.py"),
    *("optimizers/learned_optimizer_test.py", "registration_test.py"),
    *("training/launch_local_test.py", "training/binary_test.py"),
)


def pytest_collection_modifyitems(items):
    """Sorts the files; tests of a file stay in order."""
    folder = os.path.dirname(__file__)
    places = {
        os.path.join(folder, *name.split("/")): i
        for i, name in enumerate(_LONG)
    }
    items.sort(key=lambda item: places.get(str(item.path), len(places)))


@pytest.fixture(scope="session", autouse=True)
def compiled_once():
    """Tests that train share what is compiled for like experiments."""
    with training.reuse_compiled():
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def fused():
    """The fused rule with large steps, so that differences show."""
    return rules.get("fused", step_mult=0.05)


@pytest.fixture
def theta(fused):
    """Random theta of `fused`: its updates are arbitrary but not small."""
    return fused.init_theta(seed=0)


@pytest.fixture
def descent_theta(fused):
    """Theta of `fused` whose step is the normalized fast momentum."""
    theta = {
        k: np.zeros(v, np.float32) for k, v in fused.theta_shapes().items()
    }
    momentum = 6  # Index of the feature m * rsqrt(r + 1e-6), decay 0.9.
    theta["w0"][momentum, :2] = 1.0, -1.0  # relu(x) - relu(-x) = x
    theta["w1"][0, 0] = theta["w1"][1, 1] = 1.0
    theta["w2"][:2, 0] = 1.0, -1.0
    return theta


@pytest.fixture
def random_tensors():
    """Callable: generator -> one random float32 array per shape."""

    def make(rng):
        return [rng.normal(size=s).astype(np.float32) for s in SHAPES]

    return make


@pytest.fixture
def regression():
    """64 inputs of 5 numbers and their targets, learnable."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 5)).astype(np.float32)
    y = np.tanh(x @ rng.normal(size=(5, 1))).astype(np.float32)
    return x, y


@pytest.fixture
def make_model():
    """Callable: builds the same small model, with the same weights."""

    def make():
        keras.utils.set_random_seed(0)
        return keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.Dense(3, activation="tanh"),
                keras.layers.Dense(1),
            ]
        )

    return make
