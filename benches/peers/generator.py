"""Times the original's data set in NEST, Brian2 and hhnet: one table.

    generator.py PROGRAM [--full]

PROGRAM is `hhnet`, compiled for release. The work is 10000 trials of 1000 ms and 10 of 10000 ms, each a Hodgkin-Huxley
neuron under its own Ornstein-Uhlenbeck current. hhnet does all of it, with the file. The peers do a part, in a process
of their own, one after the other; their time is scaled up to the whole, unless --full is given (NEST alone then takes
minutes). Drawing the currents and writing a file are not counted for them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRIALS, TEST_TRIALS = 10_000, 10
NEURON_SECONDS = TRIALS + 10 * TEST_TRIALS
RESOLUTION_MS = 0.1
PROCESSORS = len(os.sched_getaffinity(0))


def main():
    program, full = sys.argv[1], "--full" in sys.argv
    rows = [ours(program, threads) for threads in sorted({PROCESSORS, 1}, reverse=True)]
    for name in PEERS:
        trials = NEURON_SECONDS if full else PEERS[name][1]
        command = [sys.executable, __file__, "--peer", name, str(trials)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        rows.append(json.loads(output.splitlines()[-1]))
    fastest = rows[0]["seconds"]
    print(f"\n{PROCESSORS} processors; the data set is {NEURON_SECONDS} s of one neuron\n")
    print("| program | seconds | neuron-seconds per second | times hhnet's | measured |")
    print("|---|---:|---:|---:|---|")
    for row in rows:
        rate, ratio = NEURON_SECONDS / row["seconds"], row["seconds"] / fastest
        print(f"| {row['name']} | {row['seconds']:.2f} | {rate:.0f} | {ratio:.1f} | {row['measured']} |")


def ours(program, threads):
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "data.h5")
        for _ in range(5):
            command = [program, "generate", "--out", data, "--threads", str(threads), "--force", "--json"]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            seconds.append(json.loads(output)["seconds"])
    name = f"hhnet, {threads} thread{'s' if threads > 1 else ''}"
    return {"name": name, "seconds": sorted(seconds)[2], "measured": "all, with the file; median of 5"}


def currents(trials):
    """One Ornstein-Uhlenbeck current of 1000 ms in each row, pA."""
    import numpy

    random = numpy.random.RandomState(1234)
    x = numpy.zeros((trials, 1000))
    for i in range(1, 1000):
        x[:, i] = x[:, i - 1] - 0.01 * x[:, i - 1] + 25.0 * random.randn(trials)
    return x


def nest_trials(trials):
    """One neuron after the other, as the original does it."""
    import nest

    nest.set_verbosity("M_ERROR")
    times = [float(t) for t in range(1, 1001)]
    x = currents(trials)
    start = time.perf_counter()
    for row in x:
        nest.ResetKernel()
        nest.resolution = RESOLUTION_MS
        neuron = nest.Create("hh_psc_alpha")
        generator = nest.Create("step_current_generator", params={"amplitude_times": times, "amplitude_values": row})
        meter = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": 1.0})
        recorder = nest.Create("spike_recorder")
        nest.Connect(generator, neuron)
        nest.Connect(meter, neuron)
        nest.Connect(neuron, recorder)
        nest.Simulate(1001.0)
        assert len(meter.get("events")["V_m"]) == 1000
    return time.perf_counter() - start


def nest_network(trials):
    """All neurons in one network, on all processors."""
    import nest

    nest.set_verbosity("M_ERROR")
    times = [float(t) for t in range(1, 1001)]
    x = currents(trials)
    start = time.perf_counter()
    nest.ResetKernel()
    nest.set(resolution=RESOLUTION_MS, local_num_threads=PROCESSORS)
    neurons = nest.Create("hh_psc_alpha", trials)
    parameters = [{"amplitude_times": times, "amplitude_values": row} for row in x]
    generators = nest.Create("step_current_generator", trials, params=parameters)
    meter = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": 1.0})
    nest.Connect(generators, neurons, "one_to_one")
    nest.Connect(meter, neurons)
    nest.Simulate(1001.0)
    assert len(meter.get("events")["V_m"]) == 1000 * trials
    return time.perf_counter() - start


def brian2_group(trials):
    """All neurons in one group, compiled; on one processor, as that is what Brian2's compiled runtime code uses."""
    import brian2 as b

    b.prefs.codegen.target = "cython"
    equations = """
    dv/dt = (current(t, k) + 12000*nS*m**3*hh*(50*mV - v) + 3600*nS*n**4*(-77*mV - v) + 30*nS*(-54.402*mV - v))/(100*pF) : volt
    dm/dt = 1/exprel(-(v + 40*mV)/(10*mV))/ms*(1 - m) - 4*exp(-(v + 65*mV)/(18*mV))/ms*m : 1
    dhh/dt = 0.07*exp(-(v + 65*mV)/(20*mV))/ms*(1 - hh) - 1/(1 + exp(-(v + 35*mV)/(10*mV)))/ms*hh : 1
    dn/dt = 0.1/exprel(-(v + 55*mV)/(10*mV))/ms*(1 - n) - 0.125*exp(-(v + 65*mV)/(80*mV))/ms*n : 1
    k : integer (constant)
    """
    
    def run(x, duration):
        b.start_scope()
        b.defaultclock.dt = RESOLUTION_MS * b.ms
        current = b.TimedArray(x.T * b.pA, dt=1 * b.ms)
        group = b.NeuronGroup(len(x), equations, method="rk4", namespace={"current": current})
        group.k = range(len(x))
        group.v, group.m, group.hh, group.n = -65 * b.mV, 0.0529, 0.596, 0.317
        monitor = b.StateMonitor(group, "v", record=True, dt=1 * b.ms)
        network = b.Network(group, monitor)
        network.run(duration * b.ms)
        return monitor

    x = currents(trials)
    run(x, 1)  # compiles
    start = time.perf_counter()
    monitor = run(x, 1000)
    assert monitor.v.shape == (trials, 1000)
    return time.perf_counter() - start


PEERS = {
    "NEST 3.10, one neuron after the other": (nest_trials, 200),
    f"NEST 3.10, one network, {PROCESSORS} threads": (nest_network, 200),
    "Brian2 2.9, one group, Runge-Kutta 4": (brian2_group, 500),
}


if __name__ == "__main__":
    if sys.argv[1] == "--peer":
        name, trials = sys.argv[2], int(sys.argv[3])
        seconds = PEERS[name][0](trials)
        part = "all" if trials == NEURON_SECONDS else f"{trials} trials, times {NEURON_SECONDS / trials:.1f}"
        print(json.dumps({"name": name, "seconds": seconds * NEURON_SECONDS / trials, "measured": part}))
    else:
        main()
