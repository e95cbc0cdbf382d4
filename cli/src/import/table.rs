//! Tables of text: one row for each time, with columns for the current and the potential.

use super::Sweeps;
use csv::{ByteRecord, Reader, ReaderBuilder};
use hhnet::dataset::{millivolts_in, picoamperes_in};
use hhnet::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

/// Units of columns whose names have none.
pub struct Units<'a> {
    pub x: &'a str,
    pub y: &'a str,
}

/// Reads a table, and says which columns it took.
///
/// The first line names the columns. They are separated by commas, semicolons or tabs; with the last two, numbers may
/// have decimal commas. Lines that start with # are comments. Unless `names` are given, a current is a column with a
/// unit of current (`I_pA`, `current (nA)`) or a usual name, and so is a potential. A column of times, such as
/// `time_ms`, gives the time between two values, unless `is_rate_given`; a column `sample` or `sweep` numbers the
/// sweeps.
pub fn read(
    path: &Path,
    names: Option<(&str, &str)>,
    units: Units,
    interval_ms: f64,
    is_rate_given: bool,
) -> Result<(Sweeps, String)> {
    let (mut reader, delimiter) = open(path)?;
    let header = reader.byte_headers().map_err(unreadable(path))?;
    let header: Vec<Column> = header.iter().enumerate().map(|(place, name)| Column::new(place, name)).collect();
    let find = |name: Option<&str>, kind: Kind| find(&header, name, kind, path);
    let (x, y) = (find(names.map(|names| names.0), Kind::Current)?, find(names.map(|names| names.1), Kind::Potential)?);
    let only = |kind: Kind| header.iter().find(|column| column.kind == Some(kind));
    let (time, sweep) = (only(Kind::Time).filter(|_| !is_rate_given), only(Kind::Sweep));
    let (x_factor, x_unit) = x.factor(picoamperes_in, units.x, "x_unit")?;
    let (y_factor, y_unit) = y.factor(millivolts_in, units.y, "y_unit")?;
    let time_factor = match time.map(|time| time.unit.as_deref()) {
        Some(Some(unit)) => milliseconds_in(unit).unwrap_or(1.0),
        Some(None) => {
            let remedy = "name it time_ms or time_s, or give --rate-hz";
            return Err(Error::file(path, "its column of times has no unit", remedy));
        }
        None => 1.0,
    };

    let columns = [Some((x, x_factor)), Some((y, y_factor)), time.map(|time| (time, time_factor))];
    let [currents_pa, potentials_mv, times] = rows(reader, columns, sweep, delimiter, path)?;
    let interval_ms = if time.is_some() { interval(&times, path)? } else { interval_ms };
    let mut taken = format!("X from column '{}' ({x_unit}), Y from column '{}' ({y_unit})", x.name, y.name);
    if let Some(time) = time {
        taken += &format!(", times from column '{}': one value every {interval_ms} ms", time.name);
    }
    if let Some(sweep) = sweep {
        taken += &format!(", sweeps from column '{}'", sweep.name);
    }
    Ok((Sweeps { currents_pa, potentials_mv, interval_ms }, taken))
}

/// Opens a table, and finds what separates its columns.
fn open(path: &Path) -> Result<(Reader<BufReader<File>>, u8)> {
    let cannot = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    let mut file = BufReader::new(File::open(path).map_err(cannot)?);
    let delimiter = delimiter(&mut file).map_err(cannot)?;
    file.rewind().map_err(cannot)?;
    let mut builder = ReaderBuilder::new();
    builder.delimiter(delimiter).comment(Some(b'#')).trim(csv::Trim::All);
    Ok((builder.from_reader(file), delimiter))
}

/// Reads columns, each with a factor for its values. The result has the values of each sweep, for each column.
fn rows(
    mut reader: Reader<BufReader<File>>,
    columns: [Option<(&Column, f64)>; 3],
    sweep: Option<&Column>,
    delimiter: u8,
    path: &Path,
) -> Result<[Vec<Vec<f64>>; 3]> {
    let mut sweeps_of_columns: [Vec<Vec<f64>>; 3] = Default::default();
    let mut last_sweep: Option<Vec<u8>> = None;
    let mut row = ByteRecord::new();
    while reader.read_byte_record(&mut row).map_err(unreadable(path))? {
        let this_sweep = sweep.and_then(|sweep| row.get(sweep.place)).unwrap_or_default();
        if last_sweep.as_deref() != Some(this_sweep) {
            last_sweep = Some(this_sweep.to_vec());
            sweeps_of_columns.iter_mut().for_each(|sweeps| sweeps.push(Vec::new()));
        }
        for (sweeps, column) in sweeps_of_columns.iter_mut().zip(columns) {
            if let Some((column, factor)) = column {
                sweeps.last_mut().expect("a sweep was begun").push(factor * number(&row, column, delimiter, path)?);
            }
        }
    }
    Ok(sweeps_of_columns)
}

/// For `map_err`: what csv says.
fn unreadable(path: &Path) -> impl FnOnce(csv::Error) -> Error + use<'_> {
    move |error| Error::file(path, format!("it is not a table: {error}"), REMEDY)
}

const REMEDY: &str = "give a table whose first line names the columns, such as time_ms,current_pA,potential_mV";

/// The separator that is most frequent in the first line that is no comment.
fn delimiter(file: &mut impl BufRead) -> std::io::Result<u8> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let is_end = file.read_until(b'\n', &mut line)? == 0;
        if is_end || !(line.starts_with(b"#") || line.trim_ascii().is_empty()) {
            break;
        }
    }
    let count = |separator: u8| line.iter().filter(|&&byte| byte == separator).count();
    Ok([b'\t', b';', b','].into_iter().max_by_key(|&separator| count(separator)).unwrap_or(b','))
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Current,
    Potential,
    Time,
    Sweep,
}

struct Column {
    place: usize,
    name: String,
    unit: Option<String>,
    kind: Option<Kind>,
}

impl Column {
    /// The unit is the last word of the name: `current_pA`, `current (pA)`, `current [pA]`, `current pA`.
    fn new(place: usize, name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_owned();
        let words: Vec<&str> = name.split(|c: char| " _/()[]".contains(c)).filter(|word| !word.is_empty()).collect();
        let unit = words.get(1..).and_then(|words| words.last());
        let unit_kind = unit.and_then(|unit| match () {
            () if picoamperes_in(unit).is_some() => Some(Kind::Current),
            () if millivolts_in(unit).is_some() => Some(Kind::Potential),
            () if milliseconds_in(unit).is_some() => Some(Kind::Time),
            () => None,
        });
        let usual = || match words.first()?.to_lowercase().as_str() {
            "current" | "stimulus" | "i" | "x" => Some(Kind::Current),
            "potential" | "voltage" | "response" | "v" | "vm" | "y" => Some(Kind::Potential),
            "time" | "t" => Some(Kind::Time),
            "sample" | "sweep" | "trial" => Some(Kind::Sweep),
            _ => None,
        };
        let unit = unit.filter(|_| unit_kind.is_some()).map(|unit| (*unit).to_owned());
        let kind = unit_kind.or_else(usual);
        Column { place, name, unit, kind }
    }

    /// The factor to pA or mV, and the unit. `usual` is the unit if the name has none.
    fn factor<'a>(&'a self, in_unit: fn(&str) -> Option<f64>, usual: &'a str, option: &str) -> Result<(f64, &'a str)> {
        let unit = self.unit.as_deref().unwrap_or(usual);
        let remedy = format!("give the unit of column '{}', such as pA or mV", self.name);
        in_unit(unit).map(|factor| (factor, unit)).ok_or_else(|| Error::parameter(option, unit, remedy))
    }
}

/// The column of a name or, without a name, the only one of its kind.
fn find<'a>(header: &'a [Column], name: Option<&str>, kind: Kind, path: &Path) -> Result<&'a Column> {
    let of_kind = |column: &&Column| name.map_or(column.kind == Some(kind), |name| column.name == name);
    let mut matching = header.iter().filter(of_kind);
    match (matching.next(), matching.next()) {
        (Some(column), None) => Ok(column),
        (first, _) => {
            let what = match (name, kind) {
                (Some(name), _) => format!("column '{name}'"),
                (None, Kind::Current) => "column of currents".to_owned(),
                (None, _) => "column of potentials".to_owned(),
            };
            let problem =
                if first.is_some() { format!("it has more than one {what}") } else { format!("it has no {what}") };
            let names: Vec<String> = header.iter().map(|column| format!("'{}'", column.name)).collect();
            let remedy =
                format!("its columns are {}: name two with --x and --y, or with their units", names.join(", "));
            Err(Error::file(path, problem, remedy))
        }
    }
}

fn number(row: &ByteRecord, column: &Column, delimiter: u8, path: &Path) -> Result<f64> {
    let text = String::from_utf8_lossy(row.get(column.place).unwrap_or_default());
    let decimal = if delimiter == b',' { text.clone().into_owned() } else { text.replace(',', ".") };
    decimal.parse().map_err(|_| {
        let line = row.position().map_or(0, csv::Position::line);
        let problem = format!("line {line}, column '{}': '{text}' is not a number", column.name);
        Error::file(path, problem, "correct it, or write NaN to leave this sample out")
    })
}

/// The time between two values, which must be the same throughout.
fn interval(times: &[Vec<f64>], path: &Path) -> Result<f64> {
    let wrong = |problem: String| Error::file(path, problem, "give evenly spaced times, or --rate-hz");
    let mut common = None;
    for (nth, sweep) in times.iter().enumerate() {
        let [first, .., last] = sweep[..] else {
            return Err(wrong(format!("sweep {nth} has a single time")));
        };
        let interval = (last - first) / (sweep.len() - 1) as f64;
        let is_even = |(i, time): (usize, &f64)| (time - first - i as f64 * interval).abs() < interval / 2.0;
        if let Some(place) = sweep.iter().enumerate().position(|entry| !is_even(entry)) {
            return Err(wrong(format!("sweep {nth} has uneven times or a gap, at {} ms", sweep[place])));
        }
        let common = *common.get_or_insert(interval);
        if ((interval - common) / common).abs() > 1e-3 {
            return Err(wrong(format!("sweep {nth} has values {interval} ms apart, and those before {common} ms")));
        }
    }
    // Rounded to 1e-9 ms, because the times are decimal numbers.
    common.map(|interval| (interval * 1e9).round() / 1e9).ok_or_else(|| wrong("it has no rows".to_owned()))
}

/// The number of milliseconds in a unit of time; `None` if it is not one.
fn milliseconds_in(unit: &str) -> Option<f64> {
    match unit {
        "s" | "sec" | "second" | "seconds" => Some(1000.0),
        "ms" | "msec" | "millisecond" | "milliseconds" => Some(1.0),
        "us" | "µs" | "μs" => Some(1e-3),
        _ => None,
    }
}
