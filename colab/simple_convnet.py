"""A small convnet on 8x8 digits, as any Keras script has it.

Runs on every backend that takes gradients, from the root of the repository:
`KERAS_BACKEND=jax python colab/simple_convnet.py`. Two lines are ours: the
import and the optimizer.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

from keras_lopt import LearnedOptimizer

num_classes = 10

# The data: 1,797 images, scaled to [0, 1], the last 297 of them for the test.
x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 8, 8, 1).astype("float32") / 16.0
y = keras.utils.to_categorical(y, num_classes)
order = np.random.default_rng(0).permutation(len(x))
x_train, y_train = x[order[:1500]], y[order[:1500]]
x_test, y_test = x[order[1500:]], y[order[1500:]]

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(num_classes, activation="softmax"),
    ]
)
model.compile(
    loss="categorical_crossentropy",
    optimizer=LearnedOptimizer.from_checkpoint("fused_digits"),
    metrics=["accuracy"],
)
model.fit(x_train, y_train, batch_size=64, epochs=8, validation_split=0.1)
score = model.evaluate(x_test, y_test, verbose=0)
print(f"test loss {score[0]:.3f}, test accuracy {score[1]:.3f}")
