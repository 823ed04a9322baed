"""Text as tokens: Python's own help texts, and Keras's tokenizers."""

import functools
import importlib.util
import platform
import sys

import keras
import numpy as np

from keras_lopt.checks import check_integer
from keras_lopt.tasks.data import tfds_data
from keras_lopt.tasks.data.dataset import Dataset
from keras_lopt.tasks.data.datasets import split_arrays, split_ranges

#: Topics of Python's help, none of which contains another.
TOPICS = (
    "compound",
    "debugger",
    "formatstrings",
    "import",
    "specialnames",
    "typesseq",
)
#: Modules of the standard library whose source is a text.
MODULES = (
    "argparse",
    "ast",
    "calendar",
    "csv",
    "difflib",
    "fractions",
    "heapq",
    "optparse",
    "random",
    "statistics",
    "textwrap",
    "zipfile",
)


@functools.cache
def _topics():
    from pydoc_data import topics

    return dict(topics.topics)


def python_docs():
    """The text of Python's `help`, about 460 kB; it depends on the version."""
    return "\n\n".join(text for _, text in sorted(_topics().items()))


@functools.cache
def module_sources():
    """Source of each of `MODULES`; it depends on the version of Python."""
    sources = []
    for name in MODULES:
        spec = importlib.util.find_spec(name)
        with open(spec.origin, encoding="utf-8") as file:
            sources.append(file.read())
    return tuple(sources)


def version():
    """Version of Python, for the names of datasets that depend on it."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def tokenize(texts, level, vocabulary):
    """Texts as tokens, by `keras.layers.TextVectorization`.

    Args:
        texts: List of strings. The most frequent tokens in them get numbers.
        level: "char" or "word".
        vocabulary: Largest number of different tokens, of which 0 is padding
            and 1 stands for all rare ones.

    Returns:
        A list of int32 arrays, and the number of different tokens.
    """
    if level not in ("char", "word"):
        raise ValueError(
            f'`level` must be "char" or "word". Received: level={level!r}'
        )
    check_integer("vocabulary", vocabulary, 3)
    layer = keras.layers.TextVectorization(
        max_tokens=vocabulary,
        standardize=None if level == "char" else "lower_and_strip_punctuation",
        split="character" if level == "char" else "whitespace",
        ragged=True,
    )
    layer.adapt(texts)
    tokens = [np.array(row, np.int32) for row in layer(texts).numpy()]
    return tokens, layer.vocabulary_size()


def language(name, tokens, length):
    """Windows of a text; the targets are the next tokens.

    Args:
        name: Name of the text and its tokens.
        tokens: [n] int32.
        length: Tokens per window.

    Returns:
        A `Dataset` with inputs and targets [windows, length].
    """
    check_integer("length", length, 1)
    count = (len(tokens) - 1) // length
    if count < 2 * len(split_ranges(count)):
        raise ValueError(
            f"`length` must be short enough for text {name!r} of {len(tokens)} "
            f"tokens to have at least 8 windows. Received: length={length}"
        )
    order = np.random.default_rng(0).permutation(count)
    inputs = tokens[: count * length].reshape(count, length)[order]
    targets = tokens[1 : count * length + 1].reshape(count, length)[order]
    splits = split_ranges(count)
    return Dataset(f"{name}_{length}", inputs, targets, None, splits)


@functools.lru_cache(maxsize=16)
def get(source="python", level="char", vocabulary=256, length=32):
    """A `language` dataset by the name of its text.

    Args:
        source: "python" for `python_docs`, "modules" for `module_sources`, or
            "tfds:BUILDER".
        level, vocabulary: As for `tokenize`.
        length: As for `language`.

    Returns:
        A `Dataset` and the number of different tokens.
    """
    name, tokens, size = _tokens(source, level, vocabulary)
    return language(f"{name}_{level}{size}", tokens, length), size


@functools.lru_cache(maxsize=8)
def _tokens(source, level, vocabulary):
    """Name, tokens and number of different tokens of a text."""
    if str(source).startswith("tfds:"):
        name = source.removeprefix("tfds:")
        text = tfds_data.text(name)
    elif source == "python":
        name, text = f"python{version()}", python_docs()
    elif source == "modules":
        # Sources change with every release.
        name = f"modules{platform.python_version()}"
        text = "\n\n".join(module_sources())
    else:
        raise ValueError(
            "`source` must be 'python', 'modules' or 'tfds:BUILDER'. "
            f"Received: source={source!r}"
        )
    (tokens,), size = tokenize([text], level, vocabulary)
    return name, tokens, size


@functools.lru_cache(maxsize=16)
def passages(source="python", vocabulary=1000, length=32):
    """Passages of words; the target is the class of the text they are from.

    Args:
        source: "python" for the `TOPICS` of `python_docs`, "modules" for
            `module_sources`, or "tfds:BUILDER" for a builder of texts with
            labels.
        vocabulary: As for `tokenize`.
        length: Words per passage.

    Returns:
        A `Dataset` with classes, and the number of different tokens.
    """
    check_integer("length", length, 1)
    if str(source).startswith("tfds:"):
        name = source.removeprefix("tfds:")
        texts, text_labels, classes = tfds_data.labeled_texts(name)
    elif source == "modules":
        name, classes = f"modules{platform.python_version()}", len(MODULES)
        texts, text_labels = module_sources(), range(classes)
    else:
        name, classes = f"topics{version()}", len(TOPICS)
        texts = [_topics()[topic] for topic in TOPICS]
        text_labels = range(classes)
    tokens, size = tokenize(texts, "word", vocabulary)
    found, labels = [], []
    for label, row in zip(text_labels, tokens):
        count = len(row) // length
        found.append(row[: count * length].reshape(count, length))
        labels += [label] * count
    inputs, labels = np.concatenate(found), np.array(labels)
    name = f"{name}_{size}_{length}"
    return split_arrays(name, inputs, labels, classes), size
