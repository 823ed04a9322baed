"""A text classifier with an embedding, as any Keras script has it.

It tells the standard library's modules of two packages apart by a few words of
their source. Runs on every backend, from the root of the repository:
`KERAS_BACKEND=jax python colab/text_classifier.py`. Two lines are ours: the
import and the optimizer.
"""

import os
import pathlib
import re
import zlib

import keras
import numpy as np

from keras_lopt import LearnedOptimizer

vocabulary, length = 512, 32

# The data: pieces of 32 words, numbered by a checksum; every fifth module is
# for the test. The words may be code or comments.
splits = {"train": ([], []), "test": ([], [])}
library = pathlib.Path(os.__file__).parent
for label, package in enumerate(["asyncio", "email"]):
    for i, path in enumerate(sorted((library / package).glob("*.py"))):
        words = re.findall(r"[a-z]+", path.read_text("utf-8").lower())
        numbers = [zlib.crc32(w.encode()) % vocabulary for w in words]
        pieces = np.array(numbers[: len(numbers) // length * length])
        texts, labels = splits["test" if i % 5 == 0 else "train"]
        texts.extend(pieces.reshape(-1, length).astype("int32"))
        labels.extend([label] * (len(pieces) // length))
(x_train, y_train), (x_test, y_test) = (
    (np.stack(texts), np.array(labels, "float32")[:, None])
    for texts, labels in splits.values()
)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((length,), dtype="int32"),
        keras.layers.Embedding(vocabulary, 16),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(
    loss="binary_crossentropy",
    optimizer=LearnedOptimizer.from_checkpoint("fused_digits"),
    metrics=["accuracy"],
)
model.fit(x_train, y_train, batch_size=64, epochs=4)
score = model.evaluate(x_test, y_test, verbose=0)
print(f"test loss {score[0]:.3f}, test accuracy {score[1]:.3f}")
