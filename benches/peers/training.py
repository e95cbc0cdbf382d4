"""Times an epoch of the original's training in Keras, PyTorch, JAX and hhnet: one table.

    training.py PROGRAM [--full]

PROGRAM is `hhnet`, compiled for release. An epoch is 9500 samples of 1000 steps in batches of 100, shuffled, and the
validation with 500 more. Each program runs in a process of its own, one after the other, on all processors. Keras trains a
tenth of an epoch, and its time is multiplied by ten, unless --full is given.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLES, VALIDATION, BATCH = 9500, 500, 100
LAYER_SIZES, KERNEL_SIZES = (2, 6, 16), (11, 5, 1)


def main():
    program, full = sys.argv[1], "--full" in sys.argv
    processors = len(os.sched_getaffinity(0))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "data.h5")
        subprocess.run([program, "generate", "--out", data, "--test-samples", "1"], check=True, capture_output=True)
        ours(program, data, rows, folder)
        for name in PEERS:
            command = [sys.executable, __file__, "--peer", name, data, "full" if full else "part"]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            rows.append(json.loads(output.splitlines()[-1]))
    fastest = rows[0]["seconds"]
    print(f"\n{processors} processors; an epoch is {SAMPLES} samples of 1000 steps, and {VALIDATION} for validation\n")
    print("| program | seconds per epoch | times hhnet's | mean loss in the first | measured |")
    print("|---|---:|---:|---:|---|")
    for row in rows:
        seconds = f"{row['seconds']:.2f}" if row["seconds"] > 1 else f"{row['seconds']:.3f}"
        print(f"| {row['name']} | {seconds} | {row['seconds'] / fastest:.1f} | {row['loss']:.0f} | {row['measured']} |")


def ours(program, data, rows, folder):
    for engine, epochs in (("fused", 20), ("libtorch", 3)):
        log = Path(folder) / f"{engine}.csv"
        weights = f"{folder}/{engine}.weights.h5"
        command = [program, "train", "--data", data, "--weights", weights, "--history", str(log)]
        subprocess.run(command + ["--epochs", str(epochs), "--engine", engine], check=True, capture_output=True)
        lines = [line.split(",") for line in log.read_text().splitlines()]
        seconds = sorted(float(line[lines[0].index("seconds")]) for line in lines[1:])
        loss = float(lines[1][lines[0].index("loss")])
        measured = f"fastest of {epochs} epochs"
        rows.append({"name": f"hhnet, {engine}", "seconds": seconds[0], "loss": loss, "measured": measured})


def load(data):
    import h5py

    with h5py.File(data, "r") as file:
        x, y = file["X"][:].astype("float32"), file["Y"][:].astype("float32")
    return (x[:SAMPLES], y[:SAMPLES]), (x[SAMPLES:], y[SAMPLES:])


def best(epoch, count):
    """The fastest of several epochs after the first, and the first one's loss."""
    first = epoch()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        epoch()
        seconds.append(time.perf_counter() - start)
    return min(seconds), first


def keras_peer(data, full):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    keras.utils.set_random_seed(1)
    (x, y), validation = load(data)
    part = 1 if full else 10
    x, y = x[: SAMPLES // part], y[: SAMPLES // part]
    validation = tuple(array[: VALIDATION // part] for array in validation)
    l2 = keras.regularizers.l2
    model = keras.Sequential([keras.Input(shape=(None, 1))])
    for size, kernel in zip(LAYER_SIZES, KERNEL_SIZES):
        penalties = {"kernel_regularizer": l2(), "bias_regularizer": l2()}
        model.add(keras.layers.Conv1D(size, kernel, padding="same", activation="relu", **penalties))
    model.add(keras.layers.TimeDistributed(keras.layers.Dense(1)))
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.001), metrics=["mse"])
    options = {"batch_size": BATCH, "epochs": 1, "validation_data": validation, "verbose": 0}
    epoch = lambda: model.fit(x, y, **options).history["loss"][0]
    seconds, loss = best(epoch, 1)
    return seconds * part, loss, "one epoch" if full else "a tenth of an epoch, times 10"


def torch_peer(data, full, unfold):
    import torch

    torch.manual_seed(1)
    (x, y), (x_val, y_val) = [[torch.from_numpy(a).permute(0, 2, 1).contiguous() for a in pair] for pair in load(data)]
    layers, channels = [], 1
    for size, kernel in zip(LAYER_SIZES, KERNEL_SIZES):
        layers += [torch.nn.Conv1d(channels, size, kernel, padding="same"), torch.nn.ReLU()]
        channels = size
    layers.append(torch.nn.Conv1d(channels, 1, 1))
    model = torch.nn.Sequential(*layers)
    convolutions = layers[:-1:2]
    penalized = [p for layer in convolutions for p in layer.parameters()]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-7)

    def forward(x):
        if not unfold:
            return model(x)
        samples, _, steps = x.shape
        h = x.permute(1, 0, 2).reshape(1, -1)
        for layer in convolutions:
            (size, channels, kernel) = layer.weight.shape
            if kernel > 1:
                left = (kernel - 1) // 2
                h = torch.nn.functional.pad(h.reshape(channels, samples, steps), (left, kernel - 1 - left))
                h = h.unfold(2, kernel, 1).permute(0, 3, 1, 2).reshape(channels * kernel, -1)
            h = torch.relu(torch.addmm(layer.bias[:, None], layer.weight.reshape(size, -1), h))
        last = layers[-1]
        return torch.addmm(last.bias[:, None], last.weight[:, :, 0], h).reshape(samples, 1, steps)

    def epoch():
        total = 0.0
        for rows in torch.randperm(SAMPLES).split(BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(forward(x[rows]), y[rows])
            loss = loss + 0.01 * sum((p * p).sum() for p in penalized)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        with torch.no_grad():
            torch.nn.functional.mse_loss(forward(x_val), y_val).item()
        return total / SAMPLES

    seconds, loss = best(epoch, 2)
    return seconds, loss, "fastest of 2 epochs after the first"


def jax_peer(data, full):
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import jax.numpy as jnp
    import numpy as np

    (x, y), (x_val, y_val) = load(data)
    key = jax.random.key(1)
    params, channels = [], 1
    for size, kernel in (*zip(LAYER_SIZES, KERNEL_SIZES), (1, 1)):
        key, draw = jax.random.split(key)
        limit = (6 / (kernel * (channels + size))) ** 0.5
        weights = jax.random.uniform(draw, (kernel, channels, size), minval=-limit, maxval=limit)
        params.append((weights, jnp.zeros(size)))
        channels = size

    def forward(params, x):
        for i, (kernel, bias) in enumerate(params):
            x = jax.lax.conv_general_dilated(x, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")) + bias
            x = jax.nn.relu(x) if i + 1 < len(params) else x
        return x

    def loss_of(params, x, y):
        penalty = sum((p * p).sum() for pair in params[:-1] for p in pair)
        return jnp.mean((forward(params, x) - y) ** 2) + 0.01 * penalty

    @jax.jit
    def step(params, m, v, t, x, y):
        loss, gradient = jax.value_and_grad(loss_of)(params, x, y)
        m = jax.tree.map(lambda m, g: m + 0.1 * (g - m), m, gradient)
        v = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), v, gradient)
        alpha = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        params = jax.tree.map(lambda p, m, v: p - alpha * m / (jnp.sqrt(v) + 1e-7), params, m, v)
        return params, m, v, loss

    evaluate = jax.jit(loss_of)
    zeros = jax.tree.map(jnp.zeros_like, params)
    state = [params, zeros, zeros, 0]
    random = np.random.default_rng(1)

    def epoch():
        losses = []
        order = random.permutation(SAMPLES)
        for start in range(0, SAMPLES, BATCH):
            rows = order[start : start + BATCH]
            state[3] += 1
            *state[:3], loss = step(*state[:3], float(state[3]), x[rows], y[rows])
            losses.append(loss)
        evaluate(state[0], x_val, y_val).block_until_ready()
        return float(np.mean([float(loss) for loss in losses]))

    seconds, loss = best(epoch, 2)
    return seconds, loss, "fastest of 2 epochs after the first"


PEERS = {
    "JAX, jit": jax_peer,
    "PyTorch, unfold and matmul": lambda data, full: torch_peer(data, full, True),
    "PyTorch, conv1d": lambda data, full: torch_peer(data, full, False),
    "Keras, TensorFlow": keras_peer,
}


if __name__ == "__main__":
    if sys.argv[1] == "--peer":
        name, data, extent = sys.argv[2:]
        seconds, loss, measured = PEERS[name](data, extent == "full")
        print(json.dumps({"name": name, "seconds": seconds, "loss": loss, "measured": measured}))
    else:
        main()
