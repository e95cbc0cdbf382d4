"""Times the reading of HDF5 files in h5py and hhnet: one table.

    hdf5.py BENCH

BENCH is the program that `cargo bench --bench hdf5 --no-run` names. The files have 200 MB, are in the page cache, and
are read whole, as float64 and as float32, twice, of which the faster one counts: h5py by `dataset.astype(type)[:]` and
by `dataset[:].astype(type)`. Programs take turns; needed are h5py and NumPy.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

ROUNDS = 9
BYTES = 200_000_000
STEPS = 1000


def make(folder):
    random = np.random.default_rng(0)
    for name in ["float64", "float32", "int16"]:
        samples = BYTES // (STEPS * np.dtype(name).itemsize)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["X"] = (1000 * random.normal(size=(samples, STEPS, 1))).astype(name)
    walk = np.round(random.normal(size=(BYTES // (8 * STEPS), STEPS, 1)).cumsum(axis=1), 1)
    with h5py.File(folder / "gzip.h5", "w") as file:
        file.create_dataset("X", data=walk, compression="gzip")


def seconds(read):
    start = time.perf_counter()
    read()
    return time.perf_counter() - start


def h5py_reads(path, dtype):
    with h5py.File(path) as file:
        data = file["X"]
        direct = seconds(lambda: data.astype(dtype)[:])
        return min(direct, seconds(lambda: data[:].astype(dtype, copy=False)))


def main():
    bench = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        print("| file | read as | h5py, s | hhnet, s | h5py's time / hhnet's |")
        print("|---|---|---:|---:|---:|")
        for path in sorted(Path(folder).iterdir()):
            ours, theirs = [], []
            for _ in range(ROUNDS):
                output = subprocess.run([bench, "X", path], check=True, stdout=subprocess.PIPE, text=True).stdout
                ours.append([float(number) for number in output.split()[-2:]])
                theirs.append([h5py_reads(path, dtype) for dtype in ["float64", "float32"]])
            ours, theirs = np.median(ours, axis=0), np.median(theirs, axis=0)
            for dtype, own, other in zip(["float64", "float32"], ours, theirs):
                print(f"| {path.stem} | {dtype} | {other:.3f} | {own:.3f} | {other / own:.2f} |", flush=True)


main()
