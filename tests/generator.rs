//! The noise and the neuron against NumPy's and NEST's numbers (tests/data/original_seed1234.h5).

use hhnet::neuron::{HhPscAlpha, Recording, alpha_h, alpha_m, alpha_n, beta_h, beta_m, beta_n};
use hhnet::stimulus::{NumpyRandom, OrnsteinUhlenbeck, step_current};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/original_seed1234.h5");

fn golden(name: &str) -> Vec<f64> {
    hdf5::File::open(GOLDEN).unwrap().dataset(name).unwrap().read_raw().unwrap()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst <= tolerance, "{what}: {worst:e} apart");
}

#[test]
fn currents_are_the_originals_bit_for_bit() {
    let ou = OrnsteinUhlenbeck::default();
    let mut random = NumpyRandom::seed(1234);
    assert_eq!(ou.trace(1000, &mut random), golden("demo_current"));
    assert_eq!(ou.trace(1000, &mut random), golden("demo2_current"));
    let x: Vec<f64> = (0..32).flat_map(|_| ou.trace(1000, &mut random)).collect();
    assert_eq!(x, golden("X_head"));
}

#[test]
fn potentials_are_nests() {
    let neuron = HhPscAlpha::default();
    for (current, potential, steps) in [
        ("demo2_current", "demo2_V_m", 1000),
        ("X_head", "Y_head", 1000),
        ("X_test_head", "Y_test_head", 10_000),
        ("rejected_current", "rejected_V_m", 1000),
    ] {
        let (currents, potentials) = (golden(current), golden(potential));
        for (trial, (x, y)) in currents.chunks(steps).zip(potentials.chunks(steps)).enumerate() {
            let response = neuron.simulate(x, 1.0, 0.1).unwrap();
            assert_close(&response.potential_mv, y, 1e-9, &format!("{potential} {trial}"));
            assert_eq!(response.spike_times_ms.is_empty(), potential != "rejected_V_m");
        }
    }
}

/// Also where the current or the grid is finer, and where the neuron fires.
#[test]
fn a_recording_has_the_bits_of_the_simulation() {
    let neuron = HhPscAlpha { I_e: 10.0, ..HhPscAlpha::default() };
    let (quiet, spiking) = (&golden("demo2_current")[..200], &golden("rejected_current")[..1000]);
    for (current, dt_current_ms, resolution_ms) in [(quiet, 1.0, 0.1), (spiking, 1.0, 0.1), (spiking, 0.5, 0.05)] {
        let recording = neuron.record(current, dt_current_ms, resolution_ms).unwrap();
        let response = &recording.response;
        assert_eq!(*response, neuron.simulate(current, dt_current_ms, resolution_ms).unwrap());
        let Recording { m, h, n, i_na_pa, i_k_pa, i_l_pa, .. } = &recording;
        for values in [m, h, n, i_na_pa, i_k_pa, i_l_pa] {
            assert_eq!(values.len(), current.len());
        }
        for (t, &v) in response.potential_mv.iter().enumerate() {
            assert!([m[t], h[t], n[t]].iter().all(|gate| (0.0..=1.0).contains(gate)));
            assert_eq!(i_na_pa[t], neuron.g_Na * m[t] * m[t] * m[t] * h[t] * (v - neuron.E_Na));
            assert_eq!(i_k_pa[t], neuron.g_K * n[t] * n[t] * n[t] * n[t] * (v - neuron.E_K));
            assert_eq!(i_l_pa[t], neuron.g_L * (v - neuron.E_L));
        }
    }
    assert!(neuron.record(&[], 1.0, 0.1).unwrap().m.is_empty());
}

/// C_m dV/dt = I - (the sum of the ionic currents), and dm/dt follows from the rates, in a spike.
#[test]
fn a_recording_satisfies_the_equations() {
    let (neuron, dt) = (HhPscAlpha { I_e: 10.0, ..HhPscAlpha::default() }, 0.01);
    let current = step_current(800.0, 0..3000, 3000);
    let Recording { response, m, h, n, i_na_pa, i_k_pa, i_l_pa } = neuron.record(&current, dt, dt).unwrap();
    assert!(response.spike_times_ms.len() > 1);
    let v = &response.potential_mv;
    let slope = |values: &[f64], t: usize| (values[t + 1] - values[t - 1]) / (2.0 * dt);
    for t in 200..2990 {
        let (found, ionic) = (neuron.C_m * slope(v, t), i_na_pa[t] + i_k_pa[t] + i_l_pa[t]);
        let expected = 800.0 + neuron.I_e - ionic;
        assert!((found - expected).abs() < 3e-3 * i_na_pa[t].abs().max(1e3), "{t}: {found} {expected}");
        for (gate, alpha, beta) in
            [(&m, alpha_m(v[t]), beta_m(v[t])), (&h, alpha_h(v[t]), beta_h(v[t])), (&n, alpha_n(v[t]), beta_n(v[t]))]
        {
            let (found, expected) = (slope(gate, t), alpha * (1.0 - gate[t]) - beta * gate[t]);
            assert!((found - expected).abs() < 3e-3 * expected.abs().max(1.0), "{t}: {found} {expected}");
        }
    }
}

#[test]
fn potentials_have_times_from_every_scheme() {
    let neuron = HhPscAlpha::default();
    for (dt_current_ms, resolution_ms) in [(1.0, 0.1), (0.1, 0.1), (0.3, 0.1), (2.0, 0.1)] {
        let current = [700.0; 300];
        let expected: Vec<f64> = (1..=300).map(|i| (f64::from(i) * dt_current_ms * 10.0).round() / 10.0).collect();
        let responses = [
            neuron.simulate(&current, dt_current_ms, resolution_ms).unwrap(),
            neuron.simulate_rk4(&current, dt_current_ms, resolution_ms).unwrap(),
            neuron.simulate_many(&[current.to_vec()], dt_current_ms, resolution_ms).unwrap().remove(0),
            neuron.record(&current, dt_current_ms, resolution_ms).unwrap().response,
        ];
        for response in responses {
            assert_eq!((response.time_ms(), response.dt_ms), (expected.clone(), dt_current_ms));
            // Where every step of the grid has a value, spike times are among the times, to the last bit.
            let on_grid = response.spike_times_ms.iter().filter(|time| expected.contains(time)).count();
            assert!(
                !response.spike_times_ms.is_empty()
                    && (dt_current_ms > 0.1 || on_grid == response.spike_times_ms.len())
            );
        }
    }
    assert!(neuron.simulate(&[], 1.0, 0.1).unwrap().time_ms().is_empty());
}

#[test]
fn first_spikes_have_nests_time_stamps() {
    let neuron = HhPscAlpha::default();
    let currents: Vec<Vec<f64>> = golden("rejected_current").chunks(1000).map(<[f64]>::to_vec).collect();
    let one_by_one = currents.iter().map(|x| neuron.simulate(x, 1.0, 0.1).unwrap());
    for responses in [one_by_one.collect(), neuron.simulate_many(&currents, 1.0, 0.1).unwrap()] {
        let first: Vec<f64> = responses.iter().map(|response| response.spike_times_ms[0]).collect();
        assert_eq!(first, golden("rejected_first_spike_ms"));
    }
}

#[test]
fn potentials_of_many_neurons_are_nests_to_1e_4() {
    for (current, potential, steps) in
        [("demo2_current", "demo2_V_m", 1000), ("X_head", "Y_head", 1000), ("X_test_head", "Y_test_head", 10_000)]
    {
        let currents: Vec<Vec<f64>> = golden(current).chunks(steps).map(<[f64]>::to_vec).collect();
        let responses = HhPscAlpha::default().simulate_many(&currents, 1.0, 0.1).unwrap();
        for (trial, (response, y)) in responses.iter().zip(golden(potential).chunks(steps)).enumerate() {
            assert_close(&response.potential_mv, y, 1e-4, &format!("{potential} {trial}"));
        }
    }
}

/// Halving the step divides the error by 2 to the power of the order, which is 4.
#[test]
fn the_fixed_step_scheme_is_of_order_4() {
    let neuron = HhPscAlpha::default();
    // Weak enough for fixed steps throughout.
    let current: Vec<f64> = (0..40).map(|i| 60.0 * (f64::from(i) * 0.3).sin()).collect();
    let potential = |resolution_ms: f64| neuron.simulate_rk4(&current, 1.0, resolution_ms).unwrap().potential_mv;
    let exact = potential(1.0 / 2048.0);
    let error = |resolution_ms: f64| -> f64 {
        potential(resolution_ms).iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    for resolution_ms in [1.0 / 32.0, 1.0 / 64.0, 1.0 / 128.0] {
        let order = (error(resolution_ms) / error(resolution_ms / 2.0)).log2();
        assert!((3.7..4.3).contains(&order), "from {resolution_ms} ms: order {order}");
    }
}

#[test]
fn currents_of_different_length_are_refused() {
    let error = HhPscAlpha::default().simulate_many(&[vec![0.0; 5], vec![0.0; 4]], 1.0, 0.1).unwrap_err();
    assert_eq!(error.to_string(), "current 1: expected shape (5,), found (4,); give currents of one length");
    assert!(HhPscAlpha::default().simulate_many(&[], 1.0, 0.1).unwrap().is_empty());
}

#[test]
fn rates_are_smooth_through_their_removable_singularities() {
    for (rate, v0, limit) in [(alpha_m as fn(f64) -> f64, -40.0, 1.0), (alpha_n, -55.0, 0.1)] {
        assert_eq!(rate(v0), limit);
        for exponent in 1..14 {
            let x = 10f64.powi(-exponent);
            // x / (1 - exp(-x)) = 1 + x/2 + x²/12 - x⁴/720 + O(x⁶)
            for x in [x, -x] {
                let v = v0 + 10.0 * x;
                let x = (v - v0) / 10.0;
                let series = limit * (1.0 + x / 2.0 + x * x / 12.0 - x.powi(4) / 720.0 + x.powi(6) / 30_240.0);
                assert!((rate(v) / series - 1.0).abs() < 1e-12, "{v}");
            }
        }
    }
    let all = [alpha_m, beta_m, alpha_h, beta_h, alpha_n, beta_n];
    let neighbours = [-55.0_f64, -40.0].into_iter().flat_map(|v| [v.next_down(), v, v.next_up()]);
    for v in neighbours.chain([f64::MAX, f64::MIN, 1e3, -1e3, -1e6, 0.0, f64::MIN_POSITIVE]) {
        assert!(all.iter().all(|rate| rate(v).is_finite() && rate(v) >= 0.0), "{v}");
    }
}

#[test]
fn parameters_outside_their_range_are_named() {
    let neuron = HhPscAlpha { C_m: 0.0, ..HhPscAlpha::default() };
    let error = neuron.simulate(&[0.0; 10], 1.0, 0.1).unwrap_err().to_string();
    assert_eq!(error, "HhPscAlpha::C_m = 0: give a capacitance above 0, in pF");
    let error = OrnsteinUhlenbeck { sigma: f64::NAN, ..Default::default() }.validate().unwrap_err().to_string();
    assert!(error.starts_with("OrnsteinUhlenbeck::sigma = NaN"), "{error}");
    let error = OrnsteinUhlenbeck { dt_ms: 200.0, ..Default::default() }.validate().unwrap_err().to_string();
    assert!(error.contains("below 200 ms"), "{error}");
    for bad in [f64::NAN, f64::INFINITY, 0.0, -0.1] {
        for (dt_current_ms, resolution_ms, name) in [(1.0, bad, "resolution_ms"), (bad, 0.1, "dt_current_ms")] {
            let error = HhPscAlpha::default().simulate(&[0.0; 10], dt_current_ms, resolution_ms).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name} = {bad}: ")), "{error}");
        }
    }
}

#[test]
fn a_resolution_must_divide_the_time_between_values_and_the_delay() {
    for (dt_current_ms, resolution_ms) in [(1.0, 0.3), (0.25, 0.1), (0.6, 0.3), (1.0, 2.0)] {
        let error = HhPscAlpha::default().simulate(&[0.0; 10], dt_current_ms, resolution_ms).unwrap_err();
        let recorded = HhPscAlpha::default().record(&[0.0; 10], dt_current_ms, resolution_ms).unwrap_err();
        assert_eq!(error.to_string(), recorded.to_string());
        let expected = format!(
            "resolution_ms = {resolution_ms}: give a time step that divides dt_current_ms, the time between two values \
             of the current ({dt_current_ms} ms), and the delay of 1 ms"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_potential_that_runs_away_is_reported_and_not_returned() {
    let error = HhPscAlpha::default().simulate(&[1e7; 200], 1.0, 0.1).unwrap_err().to_string();
    assert!(error.contains("at t = 2.") && error.contains("10000000 pA"), "{error}");
    let error = HhPscAlpha::default().record(&[0.0, f64::NAN], 1.0, 0.1).unwrap_err().to_string();
    assert!(error.contains("current is NaN at value 1"), "{error}");
    let error = HhPscAlpha::default().simulate(&[0.0, f64::NAN], 1.0, 0.1).unwrap_err().to_string();
    assert!(error.contains("current is NaN at value 1"), "{error}");
}
