"""Keras knows the class, whichever of the two is imported first."""

import pathlib
import subprocess
import sys

import pytest

import keras_lopt

KNOWN = "keras.saving.get_registered_object('keras_lopt>LearnedOptimizer')"


@pytest.mark.parametrize(
    "first",
    [
        "import keras; import keras_lopt",
        "import keras_lopt; import keras",
        "import keras_lopt, importlib.util, sys\n"
        "importlib.util.find_spec('keras')\n"
        "assert 'keras' not in sys.modules\n"
        "from keras import layers; import keras",
        "from keras_lopt import rules",
        "from keras_lopt import training",
        "import keras_lopt.commands.train; import keras_lopt.rules.fused",
    ],
)
def test_keras_knows_the_class(first):
    program = (
        f"{first}\nimport keras, keras_lopt\nfound = {KNOWN}\n"
        "assert found is not None\n"
        "assert found is keras_lopt.LearnedOptimizer\n"
        "from keras_lopt import registration\n"
        "import sys\n"
        "kinds = [type(finder).__name__ for finder in sys.meta_path]\n"
        "assert '_WithKeras' not in kinds\n"
    )
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=pathlib.Path(keras_lopt.__file__).parents[1],
        check=True,
    )
