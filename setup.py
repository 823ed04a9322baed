"""Packaging of keras_lopt. The pinned, tested set is in constraints.txt."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).resolve().parent


def read_version():
    """`__version__` of the package, read without importing it."""
    source = (ROOT / "keras_lopt" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if match is None:
        raise RuntimeError(
            '`keras_lopt/__init__.py` must have a line `__version__ = "X.Y.Z"`.'
        )
    return match[1]


setuptools.setup(
    name="keras_lopt",
    version=read_version(),
    description="Learned optimizers for Keras 3 that train themselves.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    keywords="keras tensorflow learned-optimizers meta-learning",
    python_requires=">=3.10",
    # gin_configs/ lies beside the package here, and in it where installed.
    packages=[
        *setuptools.find_packages(include=["keras_lopt", "keras_lopt.*"]),
        "keras_lopt.gin_configs",
    ],
    package_dir={"keras_lopt.gin_configs": "gin_configs"},
    package_data={
        "keras_lopt.checkpoints": ["bundled/*.safetensors", "bundled/*.md"],
        "keras_lopt.evaluation": [
            "*.jinja",
            "baselines/*.npz",
            "recorded/*.csv",
            "recorded/*/*.csv",
            "recorded/*/*.safetensors",
        ],
        "keras_lopt.gin_configs": ["*.gin", "*/*.gin"],
    },
    entry_points={"console_scripts": ["keras-lopt = keras_lopt.commands:main"]},
    # Rules, optimizers and optimizer files, on any backend of Keras.
    install_requires=[
        "keras>=3.12,<4",  # 3.12 is the last for Python 3.10
        "numpy>=1.26,<3",
        "safetensors>=0.4.3",
    ],
    extras_require={
        # Training, evaluation, tasks; keras_lopt/extras.py names them, too.
        "train": [
            "gin-config>=0.5,<0.6",
            "jinja2>=3.1",
            "keras>=3.12,<4",
            "matplotlib>=3.8",
            "numpy>=1.26,<3",
            "scikit-learn>=1.5",
            "scipy>=1.15",
            "tensorboard>=2.20,<3",  # tf.summary writes with it
            "tensorflow>=2.20,<3",
            "tensorflow-datasets>=4.9.9",
            "tensorflow-probability>=0.25",
            "tf-keras>=2.20,<3",  # TensorFlow Probability imports it
        ],
        "docs": [
            "codespell>=2.3",
            "mkdocs>=1.6,<2",
            "mkdocs-material>=9.5",
            "mkdocstrings[python]>=0.27",
        ],
        "gs": ["fsspec>=2024.2", "gcsfs>=2024.2"],  # without TensorFlow
        "hub": ["huggingface_hub>=0.30"],
        "import": ["msgpack>=1.0.5"],
        "jax": ["jax>=0.5"],
        "test": [
            "hypothesis>=6.100",
            "ipykernel>=6.29",
            "msgpack>=1.0.5",
            "nbclient>=0.10",
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "ruff>=0.12",
        ],
        "torch": ["torch>=2.6"],  # the first that loads safely
    },
)
