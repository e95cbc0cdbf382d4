//! Where an axis has ticks, and how they are labelled.

use super::scale::Scale;
use super::text::{TEXT, width};

/// A mark on an axis. Minor ones have no label.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// Which way an axis runs: labels stand beside each other, or above each other.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Direction {
    X,
    Y,
}

/// The ticks of an axis that is `length` pixels long, as many as its labels leave room for.
pub(super) fn ticks(scale: &Scale, length: f64, direction: Direction) -> Vec<Tick> {
    let per_label = if direction == Direction::X { 3.0 } else { 2.0 };
    let most = (length / (per_label * TEXT)).floor().clamp(2.0, 9.0) as usize;
    let mut last = Vec::new();
    for intervals in (1..=most).rev() {
        last = if scale.log { log_ticks(scale, intervals) } else { linear_ticks(scale, intervals) };
        if fits(scale, &last, length, direction) {
            return last;
        }
    }
    // Labels too long for even two of them: the first one alone.
    last.into_iter().find(|tick| !tick.label.is_empty()).into_iter().collect()
}

/// Whether the labels of the ticks stand apart.
fn fits(scale: &Scale, ticks: &[Tick], length: f64, direction: Direction) -> bool {
    let labelled: Vec<&Tick> = ticks.iter().filter(|tick| !tick.label.is_empty()).collect();
    labelled.windows(2).all(|pair| {
        let distance = (scale.fraction(pair[1].value) - scale.fraction(pair[0].value)).abs() * length;
        let widths = width(&pair[0].label, TEXT) + width(&pair[1].label, TEXT);
        distance >= if direction == Direction::X { widths / 2.0 + 0.6 * TEXT } else { 1.2 * TEXT }
    })
}

/// Smaller ticks are labelled with a power of ten. Rounding may put a tick at 1e-4 just below it.
const SMALLEST_PLAIN: f64 = 9.99e-5;

/// At most `intervals` steps of 1, 2, 2.5 or 5 times a power of ten.
fn linear_ticks(scale: &Scale, intervals: usize) -> Vec<Tick> {
    let raw = (scale.high - scale.low) / intervals as f64;
    let power = raw.log10().floor() as i32;
    let steps = [(1.0, power), (2.0, power), (2.5, power), (5.0, power)];
    let wide = |(digit, power): &(f64, i32)| digit * power_of_ten(*power) >= raw * (1.0 - 1e-9);
    let (digit, power) = steps.into_iter().find(wide).unwrap_or((1.0, power + 1));
    let step = digit * power_of_ten(power);
    let first = (scale.low / step - 1e-9).ceil();
    let last = (scale.high / step + 1e-9).floor();
    let count = (last - first).clamp(0.0, 20.0) as usize;
    labelled((0..=count).map(|nth| (first + nth as f64) * step).collect(), -power + i32::from(digit == 2.5))
}

/// Labels at powers of ten with minor ticks between; linear steps where fewer than two powers are in range.
fn log_ticks(scale: &Scale, intervals: usize) -> Vec<Tick> {
    let first = (scale.low.log10() - 1e-9).ceil() as i32;
    let last = (scale.high.log10() + 1e-9).floor() as i32;
    if last <= first {
        let mut ticks = linear_ticks(scale, intervals);
        ticks.retain(|tick| tick.value > 0.0);
        return ticks;
    }
    let raw = (last - first + intervals as i32 - 1) / intervals as i32;
    let stride = [1, 2, 3, 5, 10, 20, 50, 100].into_iter().find(|stride| *stride >= raw).unwrap_or(raw);
    // Exponents that are multiples of the stride, where there are two of them.
    let origin = if last - first >= 2 * stride { 0 } else { first };
    let plain = (-3..=4).contains(&first) && (-3..=4).contains(&last);
    let powers = (first..=last).map(|exponent| {
        let value = power_of_ten(exponent);
        let label = match ((exponent - origin) % stride, plain) {
            (0, true) => value.to_string(),
            (0, false) => ten_to_the(exponent),
            _ => String::new(),
        };
        Tick { value, label }
    });
    let between = (first - 1..=last).flat_map(|exponent| (2..=9).map(move |n| f64::from(n) * power_of_ten(exponent)));
    let minor = between.filter(|value| stride == 1 && scale.contains(*value));
    let minor = minor.map(|value| Tick { value, label: String::new() });
    // Hundreds of marks without a label would be one black bar.
    powers.filter(|tick| stride <= 10 || !tick.label.is_empty()).chain(minor).collect()
}

/// Ticks with the given number of decimals; with a power of ten where numbers are very large or small.
fn labelled(values: Vec<f64>, decimals: i32) -> Vec<Tick> {
    let size = values.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
    let scientific = size >= 1e7 || (size > 0.0 && size < SMALLEST_PLAIN);
    let shared = if scientific { size.log10().floor() as i32 } else { 0 };
    let decimals = (decimals + shared).clamp(0, 17) as usize;
    let tick = |value: f64| {
        let number = format!("{:.decimals$}", value / power_of_ten(shared));
        let label = match (scientific, value == 0.0) {
            (true, true) => "0".to_owned(),
            (true, false) => format!("{number}×{}", ten_to_the(shared)),
            _ => number.clone(),
        };
        // The double that the label names: multiples of 0.1 are not.
        Tick { value: format!("{number}e{shared}").parse().unwrap_or(value), label: label.replace('-', "−") }
    };
    values.into_iter().map(tick).collect()
}

fn ten_to_the(exponent: i32) -> String {
    let raised = |c: char| match c.to_digit(10) {
        Some(digit) => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize],
        None => '⁻',
    };
    "10".chars().chain(exponent.to_string().chars().map(raised)).collect()
}

/// The double nearest to the power, which `powi` need not give.
fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::super::scale::LOG_SMALLEST;
    use super::*;

    fn with_ticks(mut scale: Scale, length: f64, direction: Direction) -> Scale {
        scale.ticks = ticks(&scale, length, direction);
        scale
    }

    fn labels(low: f64, high: f64, log: bool, direction: Direction) -> Vec<String> {
        let scale = with_ticks(Scale::new((low, high), log), 350.0, direction);
        scale.ticks.into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn linear_labels_are_short_and_signed() {
        use Direction::{X, Y};
        assert_eq!(labels(-50.0, 1050.0, false, X), ["0", "200", "400", "600", "800", "1000"]);
        assert_eq!(labels(-340.0, 420.0, false, Y), ["−300", "−200", "−100", "0", "100", "200", "300", "400"]);
        assert_eq!(labels(-0.02, 0.52, false, Y), ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(-75.5, -61.0, false, Y)[..3], ["−74", "−72", "−70"]);
        assert_eq!(labels(-1e-6, 3.1e-6, false, Y)[..3], ["−1.0×10⁻⁶", "−0.5×10⁻⁶", "0"]);
        assert_eq!(labels(0.0, 4e9, false, X), ["0", "1×10⁹", "2×10⁹", "3×10⁹", "4×10⁹"]);
        assert_eq!(labels(1e9, 1e9 + 4.0, false, Y)[..2], ["1.0000000000×10⁹", "1.0000000005×10⁹"]);
    }

    #[test]
    fn tick_values_are_the_doubles_their_labels_name() {
        for (low, high) in [(-0.02, 0.52), (0.0, 1.0), (-3e-7, 9e-7), (1.0, 2.2), (-1e300, 1e300)] {
            for tick in with_ticks(Scale::around((low, high), false), 350.0, Direction::Y).ticks {
                let plain = tick.label.replace('−', "-");
                if let Ok(named) = plain.parse::<f64>() {
                    assert_eq!(tick.value, named);
                }
            }
        }
    }

    #[test]
    fn logarithmic_labels_are_powers_of_ten() {
        use Direction::Y;
        assert_eq!(labels(0.06, 4000.0, true, Y), ["0.1", "1", "10", "100", "1000"]);
        assert_eq!(labels(3e-7, 2.0, true, Y), ["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
        assert_eq!(labels(3e-7, 2e8, true, Y), ["10⁻⁶", "10⁻⁴", "10⁻²", "10⁰", "10²", "10⁴", "10⁶", "10⁸"]);
        let wide = labels(1e-201, 1e199, true, Y);
        assert_eq!((wide.len(), &wide[0][..], &wide[4][..]), (8, "10⁻²⁰⁰", "10⁰"));
        assert_eq!(labels(2.1, 7.9, true, Y), ["3", "4", "5", "6", "7"]);
    }

    #[test]
    fn every_axis_has_ticks_in_its_range() {
        let ranges = [(0.0, 0.0), (5.0, 5.0), (-1e300, 1e300), (1e-320, 1e-320), (1.0, 1.0 + 1e-15), (-1e-300, 2e-300)];
        for (low, high) in ranges.into_iter().chain([(1e15, 1e15 + 2.0), (0.1, 0.1), (-65.0, -65.0)]) {
            for log in [false, true] {
                if log && low < LOG_SMALLEST {
                    continue;
                }
                let scale = Scale::around((low, high), log);
                for length in [40.0, 350.0, 3000.0] {
                    for direction in [Direction::X, Direction::Y] {
                        let scale = with_ticks(scale.clone(), length, direction);
                        assert!(!scale.ticks.is_empty(), "{scale:?}");
                        for tick in &scale.ticks {
                            let place = scale.fraction(tick.value);
                            assert!((-1e-6..=1.0 + 1e-6).contains(&place), "{scale:?} {tick:?} at {place}");
                        }
                    }
                }
            }
        }
    }
}
