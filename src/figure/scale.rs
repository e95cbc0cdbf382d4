//! Scales: where a value lies on an axis, and where the axis has ticks.
//!
//! plotters' own ranges are not used, because their ticks rely on absolute thresholds: a linear range narrower than
//! 2e-16 and a logarithmic one below that value get none.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, KeyPointWeight, NoDefaultFormatting, Ranged, ValueFormatter};

use super::ticks::Tick;

/// What an axis shows: from `low` to `high`, linearly or by logarithm, with ticks at round values.
///
/// It is plotters' coordinate type for both axes of a [`Chart`](super::Chart), whatever is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) log: bool,
    pub(super) ticks: Vec<Tick>,
}

/// What is smaller has no place on a logarithmic axis: margins below it would leave the range of doubles.
pub(super) const LOG_SMALLEST: f64 = 1e-300;

impl Scale {
    pub(super) fn new((low, high): (f64, f64), log: bool) -> Self {
        Scale { low, high, log, ticks: Vec::new() }
    }

    /// A scale around data from `low` to `high`, with a margin of 5 % on both sides.
    pub(super) fn around((low, high): (f64, f64), log: bool) -> Self {
        if log {
            let decades = high.log10() - low.log10();
            let margin = if decades < 1e-9 { 1.5 } else { 10.0_f64.powf(0.05 * decades) };
            return Scale::new(((low / margin).max(LOG_SMALLEST), (high * margin).min(f64::MAX)), log);
        }
        let size = low.abs().max(high.abs());
        let margin = match high - low {
            // All but equal values: rounding would show as noise, or leave no room for a tick.
            range if range <= (size * 1e-12).max(1e-290) => 0.055 * if size > 1e-280 { size } else { 1.0 },
            range => 0.05 * range,
        };
        Scale::new((low - margin, high + margin), log)
    }

    /// Where `value` lies between the ends: 0 at `low`, 1 at `high`; not finite where it cannot be shown.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        if !self.log {
            return (value - self.low) / (self.high - self.low);
        }
        let (low, high) = (self.low.ln(), self.high.ln());
        if value >= LOG_SMALLEST { (value.ln() - low) / (high - low) } else { f64::NAN }
    }

    pub(super) fn minor_ticks(&self) -> impl Iterator<Item = f64> {
        self.ticks.iter().filter(|tick| tick.label.is_empty()).map(|tick| tick.value)
    }

    pub(super) fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Sums and differences of such values, and of their margins, stay finite.
pub(super) fn drawable(value: f64) -> bool {
    value.abs() <= 1e300
}

/// What the panels that share an axis need of it.
#[derive(Clone, Default)]
pub(super) struct Span {
    pub(super) data: Option<(f64, f64)>,
    pub(super) limits: Option<(f64, f64)>,
    pub(super) log: bool,
    /// Whether bars stand on zero: there is no margin below it.
    pub(super) on_zero: bool,
}

impl Span {
    /// Widens the range of the data to a value that the axis has a place for.
    pub(super) fn add(&mut self, value: f64) {
        if self.shows(value) {
            let (low, high) = self.data.unwrap_or((value, value));
            self.data = Some((low.min(value), high.max(value)));
        }
    }

    /// Whether the axis has a place for a value.
    pub(super) fn shows(&self, value: f64) -> bool {
        drawable(value) && (!self.log || value >= LOG_SMALLEST)
    }

    pub(super) fn scale(&self) -> Scale {
        match (self.limits, self.data) {
            (Some(limits), _) => Scale::new(limits, self.log),
            (None, None) => Scale::new((if self.log { 0.1 } else { 0.0 }, 1.0), self.log),
            (None, Some((low, high))) => {
                let around = Scale::around((low, high), self.log);
                if self.on_zero && low == 0.0 && high > 0.0 { Scale { low, ..around } } else { around }
            }
        }
    }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        // Far outside is far enough: larger numbers would leave the range of integers.
        let fraction = self.fraction(*value).clamp(-1e3, 1e3);
        limit.0 + (fraction * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let minor_too = matches!(hint.weight(), KeyPointWeight::Any);
        self.ticks.iter().filter(|tick| minor_too || !tick.label.is_empty()).map(|tick| tick.value).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.value == *value);
        tick.map_or_else(|| value.to_string(), |tick| tick.label.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_places_correspond() {
        for scale in
            [Scale::new((-3.0, 7.0), false), Scale::new((1e-200, 1e200), true), Scale::around((5.0, 5.0), true)]
        {
            for fraction in [0.0, 0.3885, 1.0] {
                let value = match (scale.low, scale.high) {
                    (low, high) if scale.log => (low.ln() + fraction * (high.ln() - low.ln())).exp(),
                    (low, high) => low + fraction * (high - low),
                };
                let place = scale.map(&value, (1000, 3000));
                assert_eq!(place, 1000 + (2000.0 * fraction) as i32, "{scale:?}");
            }
            // Nothing overflows.
            for value in [f64::NAN, f64::INFINITY, -f64::MAX, 0.0] {
                scale.map(&value, (38_400, 0));
            }
        }
    }
}
