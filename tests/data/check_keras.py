"""Checks that Keras 3 reads what hhnet writes: predictions, and training that goes on with the optimiser's state.

    cargo test --test model files_for_keras -- --ignored
    python tests/data/check_keras.py target/tmp/files_for_keras
"""

import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py
import keras
import numpy as np


def compare(what, found, expected, tolerance):
    error = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{what}: {error:.1e}")
    assert error < tolerance, what


with h5py.File(Path(sys.argv[1]) / "expected.h5") as file:
    expected = {name: file[name][...] for name in file}

for path in sorted(Path(sys.argv[1]).glob("*.keras")):
    name = path.stem
    x, y, p, p5, rate = (expected[f"{name}_{key}"] for key in ["x", "y", "p", "p5", "rate"])
    model = keras.saving.load_model(path)
    compare(f"{name}: predictions", model.predict(x, verbose=0), p, 1e-6)

    weights = keras.models.clone_model(model)
    weights.compile(optimizer=keras.optimizers.Adam.from_config(model.optimizer.get_config()), loss="mse")
    weights.optimizer.build(weights.trainable_variables)
    weights.load_weights(path.with_suffix(".weights.h5"))
    compare(f"{name}: predictions from the weights", weights.predict(x, verbose=0), p, 1e-6)

    for model in [model, weights]:
        assert int(model.optimizer.iterations.numpy()) == 3, "number of steps"
        assert float(model.optimizer.learning_rate.numpy()) == rate, "learning rate"
        for _ in range(5):
            model.train_on_batch(x, y)
        compare(f"{name}: after five more steps", model.predict(x, verbose=0), p5, 1e-4)
