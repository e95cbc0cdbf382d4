//! What is drawn of a series: cut at the panel's edges, thinned to what can be seen.

use std::collections::{BTreeSet, HashSet};

use plotters_backend::BackendCoord;

use super::layout::Panel;
use super::recorder::units;
use super::scale::Scale;

/// Values of x and y.
pub(super) type Values = (f64, f64);

/// A place in pixels from the lower left corner of the panel.
pub(super) type Place = (f64, f64);

const GAP: Place = (f64::NAN, f64::NAN);

impl Panel {
    /// Not finite where the axes have no place for the values.
    pub(super) fn place(&self, (x, y): Values) -> Place {
        // Far outside is far enough: larger numbers would only lose digits where lines are cut.
        let place = |scale: &Scale, value: f64, length: f64| scale.fraction(value).clamp(-1e6, 1e6) * length;
        if finite((x, y)) { (place(&self.x, x, self.size.0), place(&self.y, y, self.size.1)) } else { GAP }
    }

    /// A place in units from the upper left corner of the panel; for one outside, the nearest at the edge.
    pub(super) fn unit(&self, (x, y): Place) -> BackendCoord {
        let (width, height) = self.size;
        (units(x.clamp(0.0, width)), units(height) - units(y.clamp(0.0, height)))
    }

    pub(super) fn units(&self, places: Vec<Place>) -> Vec<BackendCoord> {
        places.into_iter().map(|place| self.unit(place)).collect()
    }

    pub(super) fn shows(&self, (x, y): Place) -> bool {
        (0.0..=self.size.0).contains(&x) && (0.0..=self.size.1).contains(&y)
    }

    fn square(&self, (x, y): Place) -> (i64, i64) {
        ((x / self.column).floor() as i64, (y / self.column).floor() as i64)
    }

    /// The visible polylines through the points. A point that is not finite leaves a gap.
    ///
    /// Of the points that follow each other within one column, the first, the lowest, the highest and the last are
    /// kept, so that no extreme is lost. A line that also runs back, such as a trajectory in a plane, may pass a column
    /// at any height and any number of times: there, and with `once`, the points within one square are thinned in this
    /// way, and what runs from one square to another is drawn once.
    pub(super) fn lines(&self, x: &[f64], y: &[f64], once: bool) -> Vec<Vec<Place>> {
        let squares = once || !x.iter().filter(|x| x.is_finite()).is_sorted();
        let places = x.iter().zip(y).map(|(&x, &y)| self.place((x, y))).collect();
        let parts = cut(self.size, places, false);
        let lines = parts.split(|place| !finite(*place)).filter(|part| !part.is_empty());
        let lines = lines.map(|line| self.thin(line, squares)).collect();
        if squares { self.without_repeats(lines) } else { lines }
    }

    fn thin(&self, line: &[Place], squares: bool) -> Vec<Place> {
        let square = |place: &Place| {
            let (column, row) = self.square(*place);
            (column, if squares { row } else { 0 })
        };
        let extremes = |group: &[Place]| {
            let by_height = |a: &usize, b: &usize| group[*a].1.total_cmp(&group[*b].1);
            let lowest = (0..group.len()).min_by(by_height).unwrap_or_default();
            let highest = (0..group.len()).max_by(by_height).unwrap_or_default();
            let kept = BTreeSet::from([0, lowest, highest, group.len() - 1]);
            kept.into_iter().map(|nth| group[nth]).collect::<Vec<_>>()
        };
        line.chunk_by(|a, b| square(a) == square(b)).flat_map(extremes).collect()
    }

    /// The lines without pieces that run from the same square to the same square as one before.
    fn without_repeats(&self, lines: Vec<Vec<Place>>) -> Vec<Vec<Place>> {
        let mut drawn = HashSet::new();
        let mut kept: Vec<Vec<Place>> = Vec::new();
        for line in lines {
            for pair in line.windows(2).filter(|pair| drawn.insert((self.square(pair[0]), self.square(pair[1])))) {
                match kept.last_mut().filter(|last| last.last() == Some(&pair[0])) {
                    Some(last) => last.push(pair[1]),
                    None => kept.push(pair.to_vec()),
                }
            }
            kept.extend((line.len() == 1).then_some(line));
        }
        kept
    }

    /// Which of the points have markers: those in the panel, without those that would hide behind one before.
    pub(super) fn markers(&self, x: &[f64], y: &[f64]) -> Vec<usize> {
        let mut marked = HashSet::new();
        let mut fresh = |place: Place| self.shows(place) && marked.insert(self.square(place));
        (0..x.len().min(y.len())).filter(|&nth| fresh(self.place((x[nth], y[nth])))).collect()
    }

    /// The visible parts of the area between two curves.
    pub(super) fn band(&self, x: &[f64], low: &[f64], high: &[f64]) -> Vec<Vec<Place>> {
        let edges: Vec<(Place, Place)> =
            (0..x.len()).map(|nth| (self.place((x[nth], low[nth])), self.place((x[nth], high[nth])))).collect();
        let runs = edges.split(|(low, high)| !finite(*low) || !finite(*high));
        let polygons = runs.map(|run| {
            let (low, high): (Vec<Place>, Vec<Place>) = run.iter().copied().unzip();
            let mut polygon = self.thin(&low, false);
            polygon.extend(self.thin(&high, false).into_iter().rev());
            cut(self.size, polygon, true)
        });
        polygons.filter(|polygon| !polygon.is_empty()).collect()
    }
}

fn finite((x, y): Place) -> bool {
    x.is_finite() && y.is_finite()
}

/// The part of a line or of a polygon inside a frame of this width and height, edge by edge (Sutherland and Hodgman
/// 1974); ends inside it are kept exactly. Where a line leaves the frame it has a gap.
pub(super) fn cut((width, height): (f64, f64), mut places: Vec<Place>, polygon: bool) -> Vec<Place> {
    for edge in 0..4 {
        let inwards = |place: Place| [place.0, width - place.0, place.1, height - place.1][edge];
        if !places.iter().any(|place| inwards(*place) < 0.0) {
            continue;
        }
        let mut kept = Vec::new();
        let mut a = *if polygon { places.last() } else { places.first() }.unwrap_or(&GAP);
        for b in places {
            let (from, to) = (inwards(a), inwards(b));
            if (from < 0.0) != (to < 0.0) {
                let part = from / (from - to);
                kept.push((a.0 + part * (b.0 - a.0), a.1 + part * (b.1 - a.1)));
            }
            if to >= 0.0 || to.is_nan() {
                kept.push(b);
            } else if from >= 0.0 && !polygon {
                kept.push(GAP);
            }
            a = b;
        }
        places = kept;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panel from 0 to 10 of 10 by 10 pixels.
    fn panel(column: f64) -> Panel {
        let scale = Scale::new((0.0, 10.0), false);
        Panel { x: scale.clone(), y: scale, size: (10.0, 10.0), column, ..Panel::default() }
    }

    fn lines_by(column: f64, points: &[Values]) -> Vec<Vec<Values>> {
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        panel(column).lines(&x, &y, false)
    }

    fn lines(points: &[Values]) -> Vec<Vec<Values>> {
        lines_by(0.5, points)
    }

    #[test]
    fn lines_are_cut_where_they_cross_an_edge() {
        assert_eq!(
            lines(&[(1.0, 5.0), (3.0, 15.0), (5.0, 5.0)]),
            [vec![(1.0, 5.0), (2.0, 10.0)], vec![(4.0, 10.0), (5.0, 5.0)]]
        );
        // Both ends are outside, the middle is inside.
        assert_eq!(lines(&[(-5.0, 5.0), (15.0, 5.0)]), [vec![(0.0, 5.0), (10.0, 5.0)]]);
        assert!(lines(&[(-5.0, 12.0), (15.0, 12.0)]).is_empty());
    }

    #[test]
    fn what_is_not_finite_leaves_a_gap() {
        let gap = (2.0, f64::NAN);
        assert_eq!(lines(&[(1.0, 1.0), gap, (3.0, 1.0), (4.0, 1.0)]), [vec![(1.0, 1.0)], vec![(3.0, 1.0), (4.0, 1.0)]]);
        // The gap stays although the line goes on where it ended.
        assert_eq!(lines(&[(1.0, 1.0), gap, (1.0, 1.0)]).len(), 2);
        assert!(lines(&[(f64::INFINITY, 1.0), gap]).is_empty());
    }

    #[test]
    fn extremes_of_a_column_are_kept_in_their_order() {
        let points: Vec<Values> =
            [3.0, 9.0, 4.0, 5.0, 0.5, 1.0].iter().enumerate().map(|(i, y)| (2.0 + i as f64 * 0.1, *y)).collect();
        assert_eq!(lines_by(1.0, &points), [vec![points[0], points[1], points[4], points[5]]]);
        let points: Vec<Values> = (0..20).map(|i| (f64::from(i) * 0.5, f64::from(i * 7 % 10))).collect();
        assert_eq!(lines(&points).concat().len(), 20);
    }

    #[test]
    fn a_line_that_runs_over_itself_fits_with_coarse_squares() {
        let circle = |turns: i32| -> Vec<Values> {
            let angle = |i: i32| f64::from(i) / 50.0 * std::f64::consts::TAU;
            (0..=turns * 50).map(|i| (5.0 + 4.0 * angle(i).cos(), 5.0 + 4.0 * angle(i).sin())).collect()
        };
        let (once, often) = (lines_by(0.6, &circle(1)).concat(), lines_by(0.6, &circle(1000)).concat());
        assert!(once.len() >= 40 && often.len() <= 2 * once.len(), "{}, {}", once.len(), often.len());
        // Each end of the figure is still there, to less than a square.
        for (x, y) in [(1.0, 5.0), (9.0, 5.0), (5.0, 1.0), (5.0, 9.0)] {
            assert!(often.iter().any(|point| (point.0 - x).hypot(point.1 - y) < 0.6), "({x}, {y})");
        }
    }

    #[test]
    fn a_band_is_cut_at_the_edges_and_has_gaps() {
        let nan = f64::NAN;
        let bands = panel(0.5).band(&[-2.0, 2.0, 3.0, 4.0, 6.0], &[2.0; 5], &[6.0, 14.0, nan, 4.0, 5.0]);
        assert_eq!(bands.len(), 2);
        // From x = 0, where it is 10 high, to x = 2; the part above 10 is cut off.
        let mut corners = bands[0].clone();
        corners.sort_by(|a, b| a.partial_cmp(b).unwrap());
        corners.dedup();
        assert_eq!(corners, [(0.0, 2.0), (0.0, 10.0), (2.0, 2.0), (2.0, 10.0)]);
        assert_eq!(bands[1], [(4.0, 2.0), (6.0, 2.0), (6.0, 5.0), (4.0, 4.0)]);
    }

    #[test]
    fn markers_in_one_square_are_drawn_once() {
        let x = [1.0, 1.1, 1.2, 5.0, 11.0, f64::NAN];
        assert_eq!(panel(0.5).markers(&x, &[1.0; 6]), [0, 3]);
    }
}
