"""Makes the files that one version of Keras writes for a small model, and what that model predicts.

Run it once for each version, in an environment that has it, with the name of the version:

    python tests/data/make_keras_files.py NAME

NAME is keras_3 (Keras 3.15), keras_2_15, keras_2_13 (TensorFlow 2.15, 2.13), keras_2_8 (TensorFlow 2.8, with the
optimisers of the years before) or keras_2_3 (Keras 2.3 with TensorFlow 1.15). The files are NAME.h5, NAME.weights.h5
and so on; NAME_expected.h5 has the input `X`, the targets `Y`, the prediction `P` and, after five more steps of training
on all of (X, Y), the prediction `P5`.
"""

import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py
import numpy as np

NAME = sys.argv[1]
FOLDER = Path(__file__).parent

if NAME in ("keras_3", "keras_2_3"):
    import keras
else:
    from tensorflow import keras

layers, Adam, l2 = keras.layers, keras.optimizers.Adam, keras.regularizers.l2


def stack():
    """Padding, dilation, activations and penalties that differ; one layer with a name of its own."""
    # Keras 2.3 cannot read what it writes of an InputLayer.
    shape = {"input_shape": (None, 1)} if NAME == "keras_2_3" else {}
    return [
        layers.Conv1D(2, 3, padding="causal", activation="relu", kernel_regularizer=l2(0.02), name="first", **shape),
        layers.Conv1D(3, 2, padding="same", dilation_rate=2, activation="tanh", bias_regularizer=l2(0.005)),
        layers.TimeDistributed(layers.Dense(1)) if NAME != "keras_2_13" else layers.Dense(1),
    ]


def compiled(model):
    model.compile(loss="mse", optimizer=Adam(0.003, beta_1=0.8), metrics=["mse"])
    return model


random = np.random.RandomState(3)
x = random.normal(size=(4, 20, 1)).astype("float32")
y = (np.cumsum(x, axis=1) * 0.3 - 1.0).astype("float32")
first = [] if NAME == "keras_2_3" else [layers.InputLayer((None, 1))]
model = compiled(keras.Sequential([*first, *stack()]))
model.set_weights([random.normal(scale=0.5, size=w.shape) for w in model.get_weights()])
for _ in range(3):
    model.train_on_batch(x, y)

if NAME == "keras_3":
    source = keras.Input((None, 1))
    output = source
    for layer in model.layers:
        output = layer(output)
    keras.Model(source, output).save(FOLDER / f"{NAME}_functional.keras")
if NAME in ("keras_3", "keras_2_15"):
    model.save(str(FOLDER / f"{NAME}.keras"))
if NAME in ("keras_2_15", "keras_2_13"):
    model.save_weights(str(FOLDER / f"{NAME}.weights.h5"))
if NAME in ("keras_2_8", "keras_2_3"):
    model.save(str(FOLDER / f"{NAME}.h5"))
if NAME == "keras_2_8":
    model.save_weights(str(FOLDER / f"{NAME}_weights.h5"))

with h5py.File(FOLDER / f"{NAME}_expected.h5", "w") as file:
    file["X"], file["Y"], file["P"] = x, y, model.predict(x)
    for _ in range(5):
        model.train_on_batch(x, y)
    file["P5"] = model.predict(x)
