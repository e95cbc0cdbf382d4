//! Units of recorded values.

/// The number of pA in a unit of current: `amperes`, `A`, `nA`, `pA`, ...; `None` if it is not one.
///
/// ```
/// use hhnet::dataset::picoamperes_in;
/// assert_eq!([picoamperes_in("amperes"), picoamperes_in("nA")], [Some(1e12), Some(1e3)]);
/// assert_eq!(picoamperes_in("mV"), None);
/// ```
pub fn picoamperes_in(unit: &str) -> Option<f64> {
    power_of_prefix(unit, "A", "ampere").map(|exponent| 10_f64.powi(12 + exponent))
}

/// The number of mV in a unit of potential: `volts`, `V`, `mV`, ...; `None` if it is not one.
///
/// ```
/// use hhnet::dataset::millivolts_in;
/// assert_eq!([millivolts_in("volts"), millivolts_in("mV")], [Some(1e3), Some(1.0)]);
/// ```
pub fn millivolts_in(unit: &str) -> Option<f64> {
    power_of_prefix(unit, "V", "volt").map(|exponent| 10_f64.powi(3 + exponent))
}

/// Prefixes of units, as a symbol and as a word, and their powers of ten. There are two characters for µ.
const PREFIXES: [(&str, &str, i32); 8] = [
    ("", "", 0),
    ("m", "milli", -3),
    ("u", "micro", -6),
    ("µ", "micro", -6),
    ("μ", "micro", -6),
    ("n", "nano", -9),
    ("p", "pico", -12),
    ("f", "femto", -15),
];

/// The power of ten of the prefix before a unit. Symbols are case-sensitive, words are not.
fn power_of_prefix(unit: &str, symbol: &str, word: &str) -> Option<i32> {
    let unit = unit.trim();
    let lower = unit.to_ascii_lowercase();
    let before_symbol = unit.strip_suffix(symbol);
    let before_word = lower.strip_suffix('s').unwrap_or(&lower).strip_suffix(word);
    let found = PREFIXES.iter().find(|(short, long, _)| before_symbol == Some(*short) || before_word == Some(*long));
    found.map(|(_, _, exponent)| *exponent)
}
