"""Makes keras_even.h5, keras_even.weights.h5 and keras_even_10.weights.h5: a model that Keras trains for ten steps.

It differs from the original's model in every size: four convolutions, even kernels among them, two input channels,
another learning rate. Run with the environment of the training bench's peers:

    .hhnet/peers/training/bin/python tests/data/make_keras.py
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py
import keras
import numpy as np

LAYER_SIZES, KERNEL_SIZES, CHANNELS, RATE = [3, 5, 4, 7], [4, 2, 3, 6], 2, 0.003
folder = Path(__file__).parent
keras.utils.set_random_seed(7)

model = keras.Sequential([keras.Input(shape=(None, CHANNELS))])
for size, kernel_size in zip(LAYER_SIZES, KERNEL_SIZES):
    model.add(keras.layers.Conv1D(
        size, kernel_size, padding="same", activation="relu",
        kernel_regularizer=keras.regularizers.l2(), bias_regularizer=keras.regularizers.l2()))
model.add(keras.layers.TimeDistributed(keras.layers.Dense(1)))
model.compile(loss="mse", optimizer=keras.optimizers.Adam(RATE), metrics=["mse"])

random = np.random.default_rng(7)
# No longer than needed, but longer than all kernels together, and of an odd length.
x = random.normal(size=(6, 37, CHANNELS)).astype("float32")
y = (np.cumsum(x.sum(axis=2, keepdims=True), axis=1) * 0.3 - 1.0).astype("float32")

with h5py.File(folder / "keras_even.h5", "w") as file:
    file["X"], file["Y"] = x, y
    file["pred0"] = model.predict(x, verbose=0)
    file["eval0"] = model.evaluate(x, y, verbose=0)
    model.save_weights(folder / "keras_even.weights.h5", overwrite=True)
    losses = []
    for _ in range(10):
        model.reset_metrics()
        losses.append(model.train_on_batch(x, y))
    file["train_losses"] = np.array(losses, dtype="float64")
    for i, weight in enumerate(model.get_weights()):
        file[f"w10/{i}"] = weight
    file["pred_after"] = model.predict(x, verbose=0)
    model.save_weights(folder / "keras_even_10.weights.h5", overwrite=True)
    # Five more, from what the second file holds.
    for _ in range(5):
        model.train_on_batch(x, y)
    for i, weight in enumerate(model.get_weights()):
        file[f"w15/{i}"] = weight
    file.attrs["keras"] = keras.__version__
