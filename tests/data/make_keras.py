"""Makes the reference models: what Keras predicts, and how it trains them for ten steps.

Each NAME gives NAME.h5 and NAME.weights.h5, keras_even also keras_even_10.weights.h5. Without names all are made.
Run with Keras 3.15 and TensorFlow, the environment of the training bench's peers for example:

    .hhnet/peers-training/bin/python tests/data/make_keras.py [NAME ...]
"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py
import keras
import numpy as np
from keras.layers import Conv1D, Dense, TimeDistributed
from keras.optimizers import Adam
from keras.regularizers import l2

FOLDER = Path(__file__).parent


def compiled(channels, layers, optimizer):
    model = keras.Sequential([keras.Input(shape=(None, channels)), *layers])
    model.compile(loss="mse", optimizer=optimizer, metrics=["mse"])
    return model


def even(random):
    """Differs from the default model in every size: four convolutions, even kernels among them, two input channels."""
    layers = [
        Conv1D(size, kernel_size, padding="same", activation="relu", kernel_regularizer=l2(), bias_regularizer=l2())
        for size, kernel_size in zip([3, 5, 4, 7], [4, 2, 3, 6])
    ]
    model = compiled(2, [*layers, TimeDistributed(Dense(1))], Adam(0.003))
    # No longer than needed, but longer than all kernels together, and of an odd length.
    x = random.normal(size=(6, 37, 2)).astype("float32")
    y = (np.cumsum(x.sum(axis=2, keepdims=True), axis=1) * 0.3 - 1.0).astype("float32")
    return model, x, y


def causal(random):
    """Causal, dilated convolutions, one of them linear, with penalties that differ; two outputs."""
    layers = [
        Conv1D(4, 3, padding="causal", activation="relu", kernel_regularizer=l2(0.02)),
        Conv1D(3, 2, padding="causal", dilation_rate=2, bias_regularizer=l2(0.005)),
        Conv1D(5, 3, padding="causal", dilation_rate=4, activation="relu",
               kernel_regularizer=l2(0.02), bias_regularizer=l2(0.02)),
        TimeDistributed(Dense(2)),
    ]
    return with_biases(compiled(2, layers, Adam(0.003)), random, scales=[0.5, 3.0])


def mixed(random):
    """Every activation, even kernels with dilation, two dense layers, three outputs, another Adam."""
    layers = [
        Conv1D(3, 4, padding="same", dilation_rate=3, activation="tanh", kernel_regularizer=l2(0.01)),
        Conv1D(4, 5, padding="same", activation="sigmoid"),
        Conv1D(2, 2, padding="same", dilation_rate=2, activation="relu"),
        TimeDistributed(Dense(4, activation="tanh")),
        TimeDistributed(Dense(3)),
    ]
    optimizer = Adam(learning_rate=0.002, beta_1=0.8, beta_2=0.99, epsilon=1e-5)
    return with_biases(compiled(1, layers, optimizer), random, scales=[0.2, 1.0, 5.0])


def with_biases(model, random, scales):
    """Biases that are not zero; noise, and leaky sums of it that saturate, one per output, each of its own scale."""
    model.set_weights([w if w.ndim > 1 else random.normal(scale=0.1, size=w.shape) for w in model.get_weights()])
    x = random.normal(size=(6, 41, model.input_shape[-1])).astype("float32")
    y = np.zeros((*x.shape[:2], len(scales)))
    decays = 1.0 - 0.5 ** np.arange(1, len(scales) + 1)
    state = np.zeros((len(x), len(scales)))
    for t in range(x.shape[1]):
        state = decays * state + 0.5 * x[:, t].sum(axis=1, keepdims=True)
        y[:, t] = scales * (np.tanh(state) + 0.3)
    return model, x, y.astype("float32")


def write(name, model, x, y, more_steps=0):
    """The model before, during and after ten steps; with `more_steps` also what those make of the second file."""
    with h5py.File(FOLDER / f"{name}.h5", "w") as file:
        file["X"], file["Y"] = x, y
        file["pred0"] = model.predict(x, verbose=0)
        file["eval0"] = model.evaluate(x, y, verbose=0)
        model.save_weights(FOLDER / f"{name}.weights.h5", overwrite=True)
        losses = []
        for _ in range(10):
            model.reset_metrics()
            losses.append(model.train_on_batch(x, y))
        file["train_losses"] = np.array(losses, dtype="float64")
        for i, weight in enumerate(model.get_weights()):
            file[f"w10/{i}"] = weight
        file["pred_after"] = model.predict(x, verbose=0)
        if more_steps:
            model.save_weights(FOLDER / f"{name}_10.weights.h5", overwrite=True)
            for _ in range(more_steps):
                model.train_on_batch(x, y)
            for i, weight in enumerate(model.get_weights()):
                file[f"w{10 + more_steps}/{i}"] = weight
        file.attrs["keras"] = keras.__version__


# How the model is made, the seed, steps after the tenth.
MODELS = {
    "keras_even": (even, 7, 5),
    "keras_causal": (causal, 7, 0),
    "keras_mixed": (mixed, 11, 0),
}

for name in sys.argv[1:] or MODELS:
    make, seed, more_steps = MODELS[name]
    keras.utils.clear_session()  # so that the layers' names do not depend on the models before
    keras.utils.set_random_seed(seed)
    write(name, *make(np.random.default_rng(seed)), more_steps)
