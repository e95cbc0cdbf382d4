"""Writes the recordings and arrays that the tests of the import read. Run in this directory, with pynwb 4 and NumPy 2:

    python make_import.py

All of them hold the same made-up sweeps: sweep k of a current I (pA) and a potential V (mV) at time t (s) from the
start of the sweep is I = 10 k + 100 sin(2 pi 5 t), V = -65 + k + 5 sin(2 pi 3 t).
"""

from datetime import datetime, timezone

import h5py
import numpy as np
from hdmf.backends.hdf5.h5_utils import H5DataIO
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.icephys import (CurrentClampSeries, CurrentClampStimulusSeries, IZeroClampSeries, VoltageClampSeries,
                           VoltageClampStimulusSeries)

RATE = 10_000.0  # Hz


def current(k, t):
    return 10.0 * k + 100.0 * np.sin(2 * np.pi * 5 * t)


def potential(k, t):
    return -65.0 + k + 5.0 * np.sin(2 * np.pi * 3 * t)


def times(seconds, rate=RATE):
    return np.arange(round(seconds * rate)) / rate


def int16(values, largest):
    """As an amplifier stores them: integers and a conversion."""
    scale = largest / 32767
    return packed(np.round(values / scale).astype(np.int16)), scale


def packed(values):
    return H5DataIO(values, compression="gzip", compression_opts=9, shuffle=True)


def new_file(identifier):
    nwb = NWBFile("made-up recording", identifier, datetime(2026, 1, 1, tzinfo=timezone.utc))
    device = nwb.create_device(name="amplifier")
    electrodes = [nwb.create_icephys_electrode(name=f"electrode_{i}", description="made up", device=device)
                  for i in range(2)]
    return nwb, electrodes


def save(nwb, name):
    # The latest format of HDF5, and no copies of the schema: otherwise they would be most of these small files.
    with h5py.File(name, "w", libver="latest", meta_block_size=512) as file:
        with NWBHDF5IO(name, "w", file=file) as io:
            io.write(nwb, cache_spec=False)


def sweep(electrode, k, seconds, start=0.0, rate=RATE, names=("current", "potential"), volts=None, **more):
    """The two series of a sweep: int16 amperes, float32 volts with an offset."""
    t = times(seconds, rate)
    amperes, scale = int16(current(k, t), 400.0)
    v = potential(k, t) if volts is None else volts(t)
    stimulus = CurrentClampStimulusSeries(
        name=f"{names[0]}_{k:03}", data=amperes, conversion=scale * 1e-12, electrode=electrode,
        starting_time=start, rate=rate, **more)
    # Stored in 1/64 mV, relative to -65 mV.
    response = CurrentClampSeries(
        name=f"{names[1]}_{k:03}", data=packed(np.round((v + 65.0) * 64).astype(np.float32)), conversion=1e-3 / 64,
        offset=-65e-3, electrode=electrode, starting_time=start, rate=rate, **more)
    return stimulus, response


def table():
    """Pairs by the table of recordings; one series holds two sweeps; names and times would mislead."""
    nwb, (electrode, other) = new_file("table")
    for k, (start, names) in enumerate([(0.0, ("b", "c")), (5.0, ("a", "b"))]):
        stimulus, response = sweep(electrode, k, 0.2, start, names=names)
        nwb.add_stimulus(stimulus)
        nwb.add_acquisition(response)
        nwb.add_intracellular_recording(electrode=electrode, stimulus=stimulus, response=response)
    # 0.1 s of sweep 2, then 0.15 s of sweep 3.
    both = lambda f: np.concatenate([f(2, times(0.1)), f(3, times(0.15))])
    amperes, scale = int16(both(current), 400.0)
    stimulus = CurrentClampStimulusSeries(name="z_current", data=amperes, conversion=scale * 1e-12,
                                          electrode=electrode, starting_time=10.0, rate=RATE)
    volts, scale = int16(both(potential), 200.0)
    response = CurrentClampSeries(name="z_potential", data=volts, conversion=scale * 1e-3, electrode=electrode,
                                  starting_time=10.0, rate=RATE)
    nwb.add_stimulus(stimulus)
    nwb.add_acquisition(response)
    for start, count in [(0, 1000), (1000, 1500)]:
        nwb.add_intracellular_recording(
            electrode=electrode, stimulus=stimulus, stimulus_start_index=start, stimulus_index_count=count,
            response=response, response_start_index=start, response_index_count=count)
    # A response without a stimulus, and voltage clamp.
    lonely = CurrentClampSeries(name="lonely", data=packed(np.zeros(100, np.float32)), electrode=other,
                                starting_time=20.0, rate=RATE)
    nwb.add_acquisition(lonely)
    nwb.add_intracellular_recording(electrode=other, response=lonely)
    command = VoltageClampStimulusSeries(name="command", data=packed(np.zeros(100, np.float32)), electrode=other,
                                         starting_time=30.0, rate=RATE)
    clamped = VoltageClampSeries(name="clamped", data=packed(np.zeros(100, np.float32)), electrode=other,
                                 starting_time=30.0, rate=RATE)
    nwb.add_stimulus(command)
    nwb.add_acquisition(clamped)
    nwb.add_intracellular_recording(electrode=other, stimulus=command, response=clamped)
    save(nwb, "import_table.nwb")


def numbers():
    """Pairs by sweep number and electrode; one sweep has spikes, one NaN, one is short; other series stand beside."""
    nwb, electrodes = new_file("numbers")
    spikes = lambda t: potential(2, t) + 100.0 * (np.abs(t - 0.15) < 0.0005)
    nan = lambda t: np.where(np.abs(t - 0.02) < 0.0005, np.nan, potential(3, t))
    for k, seconds, volts in [(0, 0.2, None), (1, 0.1, None), (2, 0.2, spikes), (3, 0.2, nan), (4, 0.05, None)]:
        # Two electrodes share a sweep number.
        stimulus, response = sweep(electrodes[k % 2], k, seconds, float(k // 2), sweep_number=k // 2, volts=volts)
        nwb.add_stimulus(stimulus)
        nwb.add_acquisition(response)
    zero = IZeroClampSeries(name="resting", data=packed(np.zeros(100, np.float32)), electrode=electrodes[0],
                            starting_time=9.0, rate=RATE, sweep_number=9)
    nwb.add_acquisition(zero)
    nwb.add_acquisition(TimeSeries(name="temperature", data=[37.0, 37.1], unit="C", rate=1.0))
    save(nwb, "import_numbers.nwb")


def add(nwb, electrode, k, t, stamps, *names):
    """A sweep with timestamps (s), in whole pA (big-endian) and mV."""
    for add_it, kind, name, data, conversion in [
            (nwb.add_stimulus, CurrentClampStimulusSeries, names[0], np.round(current(k, t)).astype(">i2"), 1e-12),
            (nwb.add_acquisition, CurrentClampSeries, names[1], potential(k, t).astype(np.float32), 1e-3)]:
        add_it(kind(name=name, data=packed(data), conversion=conversion, electrode=electrode,
                    timestamps=packed(stamps)))


def order():
    """Pairs by start or by the order of names; timestamps; 20 kHz and 1 kHz; a gap; a rate that is too low."""
    nwb, (electrode, other) = new_file("order")
    # At the first electrode all sweeps start at 0: the order of the names tells.
    for k, rate in [(0, 20_000.0), (1, 1000.0)]:
        stimulus, response = sweep(electrode, k, 0.15, rate=rate)
        nwb.add_stimulus(stimulus)
        nwb.add_acquisition(response)
    # At the second one, the order misleads, but starts tell.
    for k, name, response_name in [(2, "y", "w"), (3, "x", "z")]:
        t = times(0.15, 2000.0)
        jitter = np.where(np.arange(t.size) % 2 == 0, 1e-6, -1e-6)
        add(nwb, other, k, t, k + t + jitter, f"{name}_current", f"{response_name}_potential")
    t = times(0.1, 1000.0)
    add(nwb, other, 4, t, 40 + np.where(t > 0.05, t + 0.1, t), "gap_current", "gap_potential")
    add(nwb, other, 5, t, 50 + 2.5 * t, "slow_current", "slow_potential")
    save(nwb, "import_order.nwb")


def arrays():
    """NumPy's files: samples of 100 ms at 1 kHz; types and orders differ."""
    t = times(0.1, 1000.0)
    x = np.stack([current(k, t) for k in range(4)])
    y = np.stack([potential(k, t) for k in range(4)])
    np.save("import_x.npy", np.asfortranarray(x.astype(">f4")))
    np.save("import_y.npy", y[:, :, None])
    np.savez_compressed("import.npz", X=np.round(x).astype(np.int16), Y=y, X_test=x[:1, :, None], Y_test=y[:1, :, None],
                        names=np.array(["a", "b"]))


table()
numbers()
order()
arrays()
