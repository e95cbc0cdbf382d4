//! Evenly spaced numbers, linear least squares, and changes of a sampling rate.

mod logarithm;

pub(crate) use logarithm::ln;

use ndarray::Array2;

use crate::memory;
use crate::{Error, Result};

/// Rows that are folded into the triangle at a time: few enough for the processor's cache.
const BLOCK_ROWS: usize = 256;

/// A column is dependent if less than this part of its length is perpendicular to the columns before it.
const DEPENDENT: f64 = 1e-10;

/// `num` evenly spaced numbers from `start` to `stop`, both included: `numpy.linspace(start, stop, num)`, bit for bit.
///
/// Value `i` is `start + i * step` with `step = (stop - start) / (num - 1)`. The last value is exactly `stop`. A single
/// value is `start`, and with `num` 0 there is none. `start` may be above `stop`.
///
/// ```
/// use hhnet::prelude::*;
/// assert_eq!(linspace(0.0, 2000.0, 81)[..3], [0.0, 25.0, 50.0]);
/// assert_eq!(linspace(-50.0, -70.0, 3), [-50.0, -60.0, -70.0]);
/// assert_eq!(linspace(0.0, 1.0, 1), [0.0]);
/// ```
///
/// # Panics
/// If there is not enough memory for so many values.
pub fn linspace(start: f64, stop: f64, num: usize) -> Vec<f64> {
    let span = stop - start;
    let intervals = num.saturating_sub(1) as f64;
    let step = span / intervals;
    let value = |nth: usize| {
        let offset = match nth as f64 {
            nth if intervals == 0.0 => nth * span,
            // The step is too small for a number: NumPy divides first, too.
            nth if step == 0.0 => nth / intervals * span,
            nth => nth * step,
        };
        offset + start
    };
    let mut values: Vec<f64> = memory::with_capacity("num", num);
    values.extend((0..num).map(value));
    if let [_, .., last] = &mut values[..] {
        *last = stop;
    }
    values
}

/// Half the length of the filter of [`resample`], in new steps.
pub(crate) const HALF_FILTER: f64 = 22.0;
/// The largest step of [`resample`]. Its filter has 44 times as many values.
pub(crate) const MAX_STEP: f64 = 1e5;
/// The frequency that the filter halves, relative to half the new sampling rate.
const CUTOFF: f64 = 0.9;
/// The parameter of the filter's Kaiser window: outside its pass band it damps by 70 dB.
const KAISER_BETA: f64 = 6.76;
/// Points of the filter's table for each new step. Between them, it is interpolated to within 1e-6 of its maximum.
const FILTER_POINTS: f64 = 1024.0;

/// Values at another, lower sampling rate: `count` of them, at the places `first`, `first + step`, ..., counted in old
/// values. A `step` of 10 makes 1 kHz from 10 kHz. Neither `first` nor `step` need be whole.
///
/// A filter removes what the new rate cannot represent. With the new Nyquist frequency, half the new sampling rate, as
/// unit: frequencies up to 0.8 are kept to within 0.1 dB, and those above 1 are damped by 60 dB or more. The filter is
/// symmetric in time, a sinc function in a Kaiser window, so that it delays nothing. Before the first value and after
/// the last, it goes on with the values mirrored there. A constant is kept exactly. With `step` 1 and a whole `first`
/// the values are copied.
///
/// A new value depends on the old ones up to 22 new steps away; NaN among them makes it NaN.
///
/// Source: J. F. Kaiser, Proc. IEEE Int. Symp. Circuits and Systems, 20 (1974).
///
/// # Errors
/// [`Error::Parameter`] if `step` is below 1 or above 100 000, or if a place is before the first value or after the last.
///
/// ```
/// use hhnet::math::resample;
/// let ramp: Vec<f64> = (0..10_000).map(f64::from).collect();
/// let slower = resample(&ramp, 0.0, 10.0, 1000)?;
/// assert!((slower[500] - 5000.0).abs() < 1e-9);
/// assert!(resample(&ramp, 0.0, 10.0, 1001).is_err());
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn resample(values: &[f64], first: f64, step: f64, count: usize) -> Result<Vec<f64>> {
    if !(1.0..=MAX_STEP).contains(&step) {
        let remedy = format!("give 1 to {MAX_STEP}: values in between cannot be invented");
        return Err(Error::parameter("step", step, remedy));
    }
    // Half a value more, for places that are rounded.
    let end = values.len() as f64 - 0.5;
    if count > 0 && !(first >= 0.0 && first + (count - 1) as f64 * step < end) {
        let remedy = format!("give at most as many as {} values have room for, from place {first} on", values.len());
        return Err(Error::parameter("count", count, remedy));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    if step == 1.0 && first.fract() == 0.0 {
        return Ok(values[first as usize..][..count].to_vec());
    }
    let filter = filter_table();
    let (mut weights, mut weights_for) = (Vec::new(), f64::NAN);
    let value = |nth: usize| {
        let place = first + nth as f64 * step;
        let offset = place - place.round();
        // With a whole step, all values have the same weights.
        if offset != weights_for {
            (weights, weights_for) = (filter_weights(&filter, offset, step), offset);
        }
        filtered(values, place.round() as usize, &weights)
    };
    Ok((0..count).map(value).collect())
}

/// The weights of old values for a new one that is `offset` beyond the one in their middle. Their sum is 1.
fn filter_weights(filter: &[f64], offset: f64, step: f64) -> Vec<f64> {
    let reach = (HALF_FILTER * step) as isize + 1;
    let mut weights: Vec<f64> = (-reach..=reach).map(|tap| interpolate(filter, (tap as f64 - offset) / step)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    weights
}

/// The weighted mean of the values around one of them.
fn filtered(values: &[f64], middle: usize, weights: &[f64]) -> f64 {
    // Differences, so that a constant is kept to the last bit.
    let base = values[middle];
    let start = middle as isize - weights.len() as isize / 2;
    let inner = usize::try_from(start).ok().and_then(|start| values.get(start..start + weights.len()));
    let change: f64 = match inner {
        Some(inner) => weights.iter().zip(inner).map(|(weight, value)| weight * (value - base)).sum(),
        None => {
            let mirrored = (start..).map(|place| values[mirror(place, values.len())]);
            weights.iter().zip(mirrored).map(|(weight, value)| weight * (value - base)).sum()
        }
    };
    base + change
}

/// The place of a value outside an array whose first and last values are mirrors.
fn mirror(place: isize, length: usize) -> usize {
    let last = length as isize - 1;
    let folded = if last == 0 { 0 } else { place.rem_euclid(2 * last) };
    folded.min(2 * last - folded) as usize
}

/// The filter from its middle to its end, in units of new steps: a sinc function in a Kaiser window.
fn filter_table() -> Vec<f64> {
    let middle = bessel_i0(KAISER_BETA);
    let value = |point: usize| {
        let time = point as f64 / FILTER_POINTS;
        let angle = std::f64::consts::PI * CUTOFF * time;
        let sinc = if angle == 0.0 { 1.0 } else { libm::sin(angle) / angle };
        sinc * bessel_i0(KAISER_BETA * (1.0 - (time / HALF_FILTER).powi(2)).sqrt()) / middle
    };
    (0..=(HALF_FILTER * FILTER_POINTS) as usize).map(value).collect()
}

/// The filter at a time, in new steps.
fn interpolate(filter: &[f64], time: f64) -> f64 {
    let place = time.abs() * FILTER_POINTS;
    let whole = place as usize;
    match filter.get(whole..whole + 2) {
        Some(pair) => pair[0] + (place - whole as f64) * (pair[1] - pair[0]),
        None => 0.0,
    }
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-17 * sum {
        term *= (x / (2.0 * k)).powi(2);
        sum += term;
        k += 1.0;
    }
    sum
}

/// The weights `w`, one for each column of `a`, for which `a w` is as close to `b` as possible: those with the smallest
/// sum of squares |a w - b|². A column of ones in `a` adds a constant.
///
/// `a` has shape (rows, columns), and `b` has one value for each row. The method is Householder's QR decomposition, by
/// blocks of rows. It works in double precision and loses about as many digits as the condition number of `a` has;
/// normal equations would lose twice as many. The scale of a column does not matter. The time is proportional to
/// rows * columns²: 50 000 rows take about a tenth of a second with 24 columns, and 2 s with 150.
///
/// Source: G. H. Golub, Numer. Math. 7, 206 (1965), doi 10.1007/BF01436075.
///
/// # Errors
/// [`Error::Shape`] if `a` has no columns or fewer rows than columns, or if `b` does not have one value for each row;
/// [`Error::NotFinite`] if a value is not finite, or if a weight would be too large for a number;
/// [`Error::Parameter`], with the number of the column counted from 0, if a column is a linear combination of those
/// before it, to within 1e-10 of its length: then many weights fit equally well.
///
/// ```
/// use hhnet::prelude::*;
/// // A straight line: the potential (mV) at three currents (pA).
/// let (current_pa, potential_mv) = ([-100.0, 0.0, 100.0], [-66.0, -65.0, -64.3]);
/// let a = Array2::from_shape_fn((3, 2), |(row, column)| if column == 0 { 1.0 } else { current_pa[row] });
/// let w = least_squares(&a, &potential_mv)?;
/// assert!((w[0] + 65.1).abs() < 1e-12); // mV
/// assert!((w[1] - 0.0085).abs() < 1e-12); // mV/pA: the resistance in GΩ
///
/// let error = least_squares(&Array2::ones((3, 2)), &potential_mv).unwrap_err().to_string();
/// assert!(error.starts_with("a[.., 1] = a linear combination of the columns before it"));
/// # Ok::<(), hhnet::Error>(())
/// ```
pub fn least_squares(a: &Array2<f64>, b: &[f64]) -> Result<Vec<f64>> {
    check_shapes(a.dim(), b.len())?;
    let (rows, columns) = a.dim();
    let exponents = column_exponents(a)?;
    let b_exponent = exponent("b", b.iter().copied(), |index| format!("index {index}"))?.unwrap_or(0);

    let mut triangle = Triangle::new(columns);
    for first in (0..rows).step_by(BLOCK_ROWS) {
        let block = first..rows.min(first + BLOCK_ROWS);
        let mut values = Vec::with_capacity((columns + 1) * block.len());
        for (column, &exponent) in exponents.iter().enumerate() {
            values.extend(block.clone().map(|row| libm::scalbn(a[[row, column]], -exponent)));
        }
        values.extend(b[block.clone()].iter().map(|&value| libm::scalbn(value, -b_exponent)));
        triangle.fold(&mut values, block.len());
    }

    triangle.check_columns()?;
    let weights = triangle.solve().into_iter().zip(exponents);
    let weights: Vec<f64> = weights.map(|(w, exponent)| libm::scalbn(w, b_exponent - exponent)).collect();
    match weights.iter().position(|w| !w.is_finite()) {
        None => Ok(weights),
        Some(column) => {
            let remedy = "give a and b in units in which they are of similar size";
            Err(Error::not_finite("weight", weights[column], format!("column {column} of a"), remedy))
        }
    }
}

fn check_shapes((rows, columns): (usize, usize), values: usize) -> Result<()> {
    let found = format!("({rows}, {columns})");
    if columns == 0 {
        return Err(Error::shape("a", "(rows, 1 or more)", found, "give one column for each weight"));
    }
    if rows < columns {
        let expected = format!("({columns} or more, {columns})");
        return Err(Error::shape("a", expected, found, "give at least as many rows as columns"));
    }
    if values != rows {
        let (expected, found) = (format!("({rows},)"), format!("({values},)"));
        return Err(Error::shape("b", expected, found, "give one value for each row of a"));
    }
    Ok(())
}

/// The exponent (of 2) of the largest value in each column, which must not be all 0.
///
/// Columns that are scaled by it have the same bits but cannot overflow.
fn column_exponents(a: &Array2<f64>) -> Result<Vec<i32>> {
    let exponent_of = |(column, values): (usize, ndarray::ArrayView1<f64>)| {
        let found = exponent("a", values.iter().copied(), |row| format!("index [{row}, {column}]"))?;
        let remedy = "leave this column out: any weight fits";
        found.ok_or_else(|| Error::parameter(format!("a[.., {column}]"), "0 in every row", remedy))
    };
    a.columns().into_iter().enumerate().map(exponent_of).collect()
}

/// The exponent of the largest of the values, which must be finite; `None` if all are 0.
fn exponent(what: &str, values: impl Iterator<Item = f64>, place: impl Fn(usize) -> String) -> Result<Option<i32>> {
    let mut largest = 0.0_f64;
    for (nth, value) in values.enumerate() {
        if !value.is_finite() {
            return Err(Error::not_finite(what, value, place(nth), "give finite values"));
        }
        largest = largest.max(value.abs());
    }
    Ok((largest > 0.0).then(|| libm::ilogb(largest)))
}

/// The upper triangle R of a QR decomposition, with Q^T b as its last column.
struct Triangle {
    columns: usize,
    /// One row after the other, each of `columns + 1` values.
    values: Vec<f64>,
}

impl Triangle {
    fn new(columns: usize) -> Self {
        Triangle { columns, values: vec![0.0; columns * (columns + 1)] }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * (self.columns + 1) + column]
    }

    /// Adds a block of rows, given one column after the other: a Householder reflection for each column moves all of it
    /// into the triangle.
    fn fold(&mut self, block: &mut [f64], rows: usize) {
        let width = self.columns + 1;
        for (k, row) in self.values.chunks_exact_mut(width).enumerate() {
            let (before, after) = block.split_at_mut((k + 1) * rows);
            // The reflection is I - beta v v^T. v consists of `head`, for the triangle's row, and `tail`.
            let tail = &before[k * rows..];
            let below = dot(tail, tail);
            if below == 0.0 {
                continue;
            }
            let (diagonal, row) = row[k..].split_first_mut().expect("a row ends with b");
            let length = (*diagonal * *diagonal + below).sqrt();
            let beta = 1.0 / (length * (length + diagonal.abs()));
            // With the other sign, the difference would lose digits.
            let reflected = length.copysign(-*diagonal);
            let head = *diagonal - reflected;
            *diagonal = reflected;
            for (top, column) in row.iter_mut().zip(after.chunks_exact_mut(rows)) {
                let along = beta * (head * *top + dot(tail, column));
                *top -= along * head;
                column.iter_mut().zip(tail).for_each(|(value, v)| *value -= along * v);
            }
        }
    }

    /// The diagonal is the length of that part of a column that is perpendicular to those before it.
    fn check_columns(&self) -> Result<()> {
        for column in 0..self.columns {
            let length = (0..=column).map(|row| self.at(row, column).powi(2)).sum::<f64>().sqrt();
            let part = self.at(column, column).abs() / length;
            if part <= DEPENDENT {
                let value = format!("a linear combination of the columns before it, to {part:.0e} of its length");
                let remedy = "leave this column out, or add rows in which it differs";
                return Err(Error::parameter(format!("a[.., {column}]"), value, remedy));
            }
        }
        Ok(())
    }

    /// The solution w of R w = Q^T b, from the last weight to the first.
    fn solve(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.columns];
        for row in (0..self.columns).rev() {
            let known: f64 = (row + 1..self.columns).map(|column| self.at(row, column) * weights[column]).sum();
            weights[row] = (self.at(row, self.columns) - known) / self.at(row, row);
        }
        weights
    }
}

/// The sum of the products, in eight sums side by side, which fill vectors.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stimulus::NumpyRandom;

    /// From NumPy 2.
    #[test]
    fn linspace_is_numpys_bit_for_bit() {
        assert!(linspace(0.0, 1.0, 0).is_empty());
        assert_eq!(linspace(-3.5, 1.0, 1), [-3.5]);
        assert_eq!(linspace(2.0, 2.0, 3), [2.0; 3]);
        let values = linspace(-80.0, 55.3, 1000);
        assert_eq!([values[1], values[333], values[998]], [-79.86456456456456, -34.89999999999999, 55.164564564564586]);
        let values = linspace(1e-3, -1e3, 77);
        assert_eq!([values[1], values[40], values[75]], [-13.156907894736843, -526.3153157894737, -986.8420921052632]);
        // The step would be 0.
        assert_eq!(linspace(0.0, 5e-324, 5), [0.0, 0.0, 0.0, 5e-324, 5e-324]);
        for (start, stop, num) in [(0.1, 0.7, 7), (-80.0, 55.3, 1000), (1e-3, -1e3, 77), (0.0, 5e-324, 5)] {
            let values = linspace(start, stop, num);
            assert_eq!((values.len(), values[0], values[num - 1]), (num, start, stop));
            assert!(values.is_sorted_by(|a, b| if start < stop { a <= b } else { a >= b }), "{start} {stop}");
        }
        assert!(linspace(0.0, f64::NAN, 3)[1].is_nan());
    }

    /// Householder's reflections one by one on the whole matrix, in plain loops.
    fn reference(a: &Array2<f64>, b: &[f64]) -> Vec<f64> {
        let (rows, columns) = a.dim();
        let (mut a, mut b) = (a.clone(), b.to_vec());
        for k in 0..columns {
            let mut v: Vec<f64> = (k..rows).map(|i| a[[i, k]]).collect();
            let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            v[0] += length.copysign(v[0]);
            let square: f64 = v.iter().map(|v| v * v).sum();
            for j in k..columns {
                let along: f64 = 2.0 / square * (k..rows).map(|i| v[i - k] * a[[i, j]]).sum::<f64>();
                (k..rows).for_each(|i| a[[i, j]] -= along * v[i - k]);
            }
            let along: f64 = 2.0 / square * (k..rows).map(|i| v[i - k] * b[i]).sum::<f64>();
            (k..rows).for_each(|i| b[i] -= along * v[i - k]);
        }
        let mut w = vec![0.0; columns];
        for k in (0..columns).rev() {
            w[k] = (b[k] - (k + 1..columns).map(|j| a[[k, j]] * w[j]).sum::<f64>()) / a[[k, k]];
        }
        w
    }

    fn random(rows: usize, columns: usize, random: &mut NumpyRandom) -> (Array2<f64>, Vec<f64>) {
        let a = Array2::from_shape_simple_fn((rows, columns), || random.standard_normal());
        (a, (0..rows).map(|_| random.standard_normal()).collect())
    }

    fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{what}: {found} {expected}");
        }
    }

    const SIZES: [(usize, usize); 9] =
        [(1, 1), (2, 1), (5, 5), (40, 7), (255, 3), (256, 20), (257, 20), (600, 255), (2000, 300)];

    #[test]
    fn weights_are_those_of_plain_loops_and_errors_perpendicular_to_every_column() {
        let mut numbers = NumpyRandom::seed(1);
        for (rows, columns) in SIZES {
            let (a, b) = random(rows, columns, &mut numbers);
            let w = least_squares(&a, &b).unwrap();
            assert_close(&w, &reference(&a, &b), 1e-10, &format!("{rows} x {columns}"));
            let errors = a.dot(&ndarray::aview1(&w)) - ndarray::aview1(&b);
            assert!(a.t().dot(&errors).iter().all(|dot| dot.abs() < 1e-9 * rows as f64), "{rows} x {columns}");
        }
    }

    #[test]
    fn weights_that_fit_exactly_are_found_whatever_the_units() {
        let mut numbers = NumpyRandom::seed(2);
        for (rows, columns) in SIZES {
            let (a, w) = (random(rows, columns, &mut numbers).0, random(columns, 1, &mut numbers).1);
            let b = a.dot(&ndarray::aview1(&w));
            let found = least_squares(&a, b.as_slice().unwrap()).unwrap();
            assert_close(&found, &w, 1e-9, &format!("{rows} x {columns}"));
            // Powers of two change no bit, even where squares would overflow or vanish.
            for (a_unit, b_unit) in [(2.0_f64.powi(600), 1.0), (2.0_f64.powi(-600), 2.0_f64.powi(-900))] {
                let (a, b) = (&a * a_unit, &b * b_unit);
                let scaled = least_squares(&a, b.as_slice().unwrap()).unwrap();
                assert_eq!(scaled, found.iter().map(|w| w / a_unit * b_unit).collect::<Vec<_>>());
            }
            // Arrays need not be in the usual order in memory.
            let mut columns_first = Array2::zeros((columns, rows)).reversed_axes();
            columns_first.assign(&a);
            assert_eq!(least_squares(&columns_first, b.as_slice().unwrap()).unwrap(), found);
        }
        assert_eq!(least_squares(&Array2::eye(3), &[0.0; 3]).unwrap(), [0.0; 3]);
    }

    /// A polynomial of degree 9 over 0 to 1: the condition number is about 1e7, and that of the normal equations its
    /// square.
    #[test]
    fn ill_conditioned_columns_lose_only_as_many_digits_as_they_must() {
        let x = linspace(0.0, 1.0, 1000);
        let a = Array2::from_shape_fn((1000, 10), |(row, power)| x[row].powi(power as i32));
        let expected: Vec<f64> = (1..=10).map(f64::from).collect();
        let b = a.dot(&ndarray::aview1(&expected));
        assert_close(&least_squares(&a, b.as_slice().unwrap()).unwrap(), &expected, 1e-7, "polynomial");
    }

    #[test]
    fn dependent_columns_are_named() {
        let (mut a, b) = random(700, 6, &mut NumpyRandom::seed(3));
        let exact = a.column(0).to_owned() * 3.0 - a.column(2);
        for (noise, is_dependent) in [(0.0, true), (1e-12, true), (1e-8, false)] {
            let noisy = &exact + &(a.column(5).to_owned() * noise);
            a.column_mut(4).assign(&noisy);
            match least_squares(&a, &b) {
                Err(error) => {
                    let start = "a[.., 4] = a linear combination of the columns before it, to ";
                    assert!(is_dependent && error.to_string().starts_with(start), "{noise}: {error}");
                }
                Ok(_) => assert!(!is_dependent, "{noise}"),
            }
        }
        a.column_mut(1).fill(0.0);
        let error = least_squares(&a, &b).unwrap_err().to_string();
        assert_eq!(error, "a[.., 1] = 0 in every row: leave this column out: any weight fits");
    }

    #[test]
    fn bad_input_is_named() {
        let error = |a: &Array2<f64>, b: &[f64]| least_squares(a, b).unwrap_err().to_string();
        assert_eq!(
            error(&Array2::ones((2, 3)), &[1.0; 2]),
            "a: expected shape (3 or more, 3), found (2, 3); give at least as many rows as columns"
        );
        assert_eq!(
            error(&Array2::ones((2, 0)), &[1.0; 2]),
            "a: expected shape (rows, 1 or more), found (2, 0); give one column for each weight"
        );
        assert_eq!(
            error(&Array2::eye(3), &[1.0; 2]),
            "b: expected shape (3,), found (2,); give one value for each row of a"
        );
        let mut a = Array2::eye(3);
        a[[2, 1]] = f64::NAN;
        assert_eq!(error(&a, &[1.0; 3]), "a is NaN at index [2, 1]; give finite values");
        assert_eq!(error(&Array2::eye(2), &[0.0, f64::INFINITY]), "b is inf at index 1; give finite values");
        let error = error(&(Array2::eye(2) * 1e-300), &[0.0, 1e300]);
        assert!(error.starts_with("weight is inf at column 1 of a;"), "{error}");
    }

    /// A sine of unit amplitude at a frequency, in units of the new Nyquist frequency, sampled at `step` per new value.
    fn sine(frequency: f64, phase: f64, step: f64, count: usize) -> Vec<f64> {
        let angle = |i: usize| std::f64::consts::PI * frequency * i as f64 / step + phase;
        (0..count).map(|i| angle(i).sin()).collect()
    }

    const STEPS: [f64; 6] = [1.5, 10.0, 20.0, 100.0 / 3.0, 44.1, 50.0];

    #[test]
    fn frequencies_below_the_new_limit_are_kept_and_those_above_it_removed() {
        for step in STEPS {
            let margin = 30;
            let count = 200;
            let length = (count as f64 * step) as usize + 2;
            for (frequency, phase) in [(0.01, 0.3), (0.2, 1.0), (0.5, 2.0), (0.7, 0.0), (0.8, 0.7), (0.8, 2.2)] {
                let found = resample(&sine(frequency, phase, step, length), 0.0, step, count).unwrap();
                let expected = sine(frequency, phase, 1.0, count);
                for i in margin..count - margin {
                    // 0.1 dB is a factor of 1.0116; an error of phase would show, too.
                    assert!(
                        (found[i] - expected[i]).abs() < 0.0116,
                        "{step} {frequency}: {} {}",
                        found[i],
                        expected[i]
                    );
                }
            }
            for frequency in [1.0, 1.01, 1.1, 1.3, 1.9, 2.0, 2.5, 4.1, 9.0, 19.7] {
                if frequency >= step {
                    continue;
                }
                for phase in [0.0, 1.3] {
                    let found = resample(&sine(frequency, phase, step, length), 0.0, step, count).unwrap();
                    let largest = found[margin..count - margin].iter().fold(0.0_f64, |a, b| a.max(b.abs()));
                    assert!(largest < 1e-3, "{step} {frequency}: {largest}");
                }
            }
        }
    }

    #[test]
    fn a_constant_is_kept_to_the_last_bit_and_nothing_is_delayed() {
        for step in STEPS {
            for length in [1, 2, 3, 100, 10_000] {
                let count = ((length - 1) as f64 / step) as usize + 1;
                assert_eq!(resample(&vec![-65.4321; length], 0.0, step, count).unwrap(), vec![-65.4321; count]);
            }
            // A pulse that is symmetric in time stays so, and at its place.
            let centre = 60.0 * step;
            let bump: Vec<f64> = (0..(120.0 * step) as usize + 1)
                .map(|i| (-((i as f64 - centre) / (6.0 * step)).powi(2)).exp())
                .collect();
            let found = resample(&bump, 0.0, step, 120).unwrap();
            assert!((found[60] - 1.0).abs() < 1e-3, "{step}: {}", found[60]);
            assert!((1..60).all(|i| (found[60 - i] - found[60 + i]).abs() < 1e-5), "{step}");
        }
    }

    /// A slow wave is followed up to the ends: no transient.
    #[test]
    fn the_ends_are_as_good_as_the_middle_for_slow_signals() {
        for step in STEPS {
            let values = sine(0.01, 0.4, step, (300.0 * step) as usize + 1);
            let (found, expected) = (resample(&values, 0.0, step, 300).unwrap(), sine(0.01, 0.4, 1.0, 300));
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!((found - expected).abs() < 0.02, "{step}, value {i}: {found} {expected}");
            }
        }
    }

    /// The sum over all values of the filter, in plain loops.
    fn resample_plainly(values: &[f64], first: f64, step: f64, count: usize) -> Vec<f64> {
        let last = values.len() as i64 - 1;
        let filter = |time: f64| {
            if time.abs() >= 22.0 {
                return 0.0;
            }
            let window = bessel_i0(6.76 * (1.0 - (time / 22.0) * (time / 22.0)).sqrt()) / bessel_i0(6.76);
            let angle = 0.9 * std::f64::consts::PI * time;
            window * if angle == 0.0 { 1.0 } else { angle.sin() / angle }
        };
        let mut found = Vec::new();
        for nth in 0..count {
            let place = first + nth as f64 * step;
            let (mut sum, mut weights) = (0.0, 0.0);
            for i in (place - 23.0 * step) as i64 - 1..=(place + 23.0 * step) as i64 + 1 {
                let weight = filter((i as f64 - place) / step);
                let mut inside = i;
                while !(0..=last).contains(&inside) {
                    inside = if inside < 0 { -inside } else { 2 * last - inside };
                }
                sum += weight * values[inside as usize];
                weights += weight;
            }
            found.push(sum / weights);
        }
        found
    }

    #[test]
    fn values_are_those_of_plain_loops() {
        let mut random = NumpyRandom::seed(4);
        for (length, first, step) in [(400, 0.0, 10.0), (400, 3.25, 7.3), (300, 0.5, 1.0), (2000, 1.0, 44.1)] {
            let values: Vec<f64> = (0..length).map(|_| random.standard_normal()).collect();
            let count = (((length - 1) as f64 - first) / step) as usize + 1;
            let found = resample(&values, first, step, count).unwrap();
            assert_close(&found, &resample_plainly(&values, first, step, count), 2e-6, &format!("step {step}"));
        }
        // From modified Bessel tables: I0(1), I0(5).
        assert_close(&[bessel_i0(1.0), bessel_i0(5.0)], &[1.2660658777520084, 27.239871823604442], 1e-14, "I0");
        assert_eq!(resample(&[1.0, 2.0, 3.0, 4.0], 1.0, 1.0, 3).unwrap(), [2.0, 3.0, 4.0]);
        assert!(resample(&[], 0.0, 2.0, 0).unwrap().is_empty());
        for (first, step, count) in
            [(0.0, 0.5, 1), (0.0, f64::NAN, 1), (-1.0, 2.0, 1), (0.0, 2.0, 3), (f64::NAN, 2.0, 1)]
        {
            assert!(resample(&[1.0; 4], first, step, count).is_err(), "{first} {step} {count}");
        }
    }
}
