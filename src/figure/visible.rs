//! What is drawn of a series: cut at the panel's edges, thinned to what can be seen.

use std::collections::HashSet;

use plotters_backend::BackendCoord;

use super::recorder::units;
use super::scale::Scale;

/// A panel as seen by its series.
pub(super) struct View<'a> {
    pub(super) x: &'a Scale,
    pub(super) y: &'a Scale,
    /// Width and height in pixels.
    pub(super) size: (f64, f64),
    /// What falls into a column of this width, in pixels, is thinned; see [`View::lines`].
    pub(super) column: f64,
}

/// Values of x and y.
pub(super) type Values = (f64, f64);

/// A place in pixels from the lower left corner of the panel.
pub(super) type Place = (f64, f64);

impl View<'_> {
    /// Not finite where the axes have no place for the values.
    pub(super) fn place(&self, (x, y): Values) -> Place {
        // Far outside is far enough: larger numbers would only lose digits where lines are cut.
        let place = |scale: &Scale, value: f64, length: f64| scale.fraction(value).clamp(-1e6, 1e6) * length;
        if finite((x, y)) {
            (place(self.x, x, self.size.0), place(self.y, y, self.size.1))
        } else {
            (f64::NAN, f64::NAN)
        }
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

    pub(super) fn square(&self, (x, y): Place) -> (i64, i64) {
        ((x / self.column).floor() as i64, (y / self.column).floor() as i64)
    }

    /// The visible polylines through the points. A point that is not finite leaves a gap.
    ///
    /// Of the points that follow each other within one column, the first, the lowest, the highest and the last are
    /// kept, so that no extreme is lost. A line that also runs back, such as a trajectory in a plane, may pass a column
    /// at any height and any number of times: there, the points within one square are thinned in this way, and what
    /// runs from one square to another is drawn once.
    pub(super) fn lines(&self, x: &[f64], y: &[f64]) -> Vec<Vec<Place>> {
        let squares = !x.iter().filter(|x| x.is_finite()).is_sorted();
        let places: Vec<Place> = x.iter().zip(y).map(|(&x, &y)| self.place((x, y))).collect();
        let lines = places.split(|place| !finite(*place)).flat_map(|run| self.cut(run));
        let lines = lines.map(|line| self.thin(&line, squares)).collect();
        if squares { self.without_repeats(lines) } else { lines }
    }

    /// The parts of a line inside the panel.
    fn cut(&self, line: &[Place]) -> Vec<Vec<Place>> {
        let mut parts: Vec<Vec<Place>> = Vec::new();
        for (nth, &to) in line.iter().enumerate() {
            let Some((start, stop)) = clip(self.size, line[nth.saturating_sub(1)], to) else { continue };
            match parts.last_mut().filter(|part| part.last() == Some(&start)) {
                Some(part) => part.push(stop),
                None if start == stop => parts.push(vec![stop]),
                None => parts.push(vec![start, stop]),
            }
        }
        parts
    }

    fn thin(&self, line: &[Place], squares: bool) -> Vec<Place> {
        let square = |place: &Place| {
            let (column, row) = self.square(*place);
            (column, if squares { row } else { 0 })
        };
        let extremes = |group: &[Place]| {
            let height = |nth: &usize| group[*nth].1;
            let by_height = |a: &usize, b: &usize| height(a).total_cmp(&height(b));
            let lowest = (0..group.len()).min_by(by_height).unwrap_or_default();
            let highest = (0..group.len()).max_by(by_height).unwrap_or_default();
            let mut kept = vec![0, lowest, highest, group.len() - 1];
            kept.sort_unstable();
            kept.dedup();
            kept.into_iter().map(|nth| group[nth]).collect::<Vec<_>>()
        };
        line.chunk_by(|a, b| square(a) == square(b)).flat_map(extremes).collect()
    }

    /// The lines without pieces that run from the same square to the same square as one before.
    fn without_repeats(&self, lines: Vec<Vec<Place>>) -> Vec<Vec<Place>> {
        let mut drawn = HashSet::new();
        let mut kept: Vec<Vec<Place>> = Vec::new();
        for line in lines {
            let mut continues = false;
            for pair in line.windows(2) {
                let fresh = drawn.insert((self.square(pair[0]), self.square(pair[1])));
                match kept.last_mut() {
                    Some(last) if fresh && continues => last.push(pair[1]),
                    _ if fresh => kept.push(pair.to_vec()),
                    _ => {}
                }
                continues = fresh;
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
        let runs = edges.split(|(low, high)| !finite(*low) || !finite(*high)).filter(|run| !run.is_empty());
        let polygons = runs.map(|run| {
            let (low, high): (Vec<Place>, Vec<Place>) = run.iter().copied().unzip();
            let mut polygon = self.thin(&low, false);
            polygon.extend(self.thin(&high, false).into_iter().rev());
            self.cut_polygon(polygon)
        });
        polygons.filter(|polygon| !polygon.is_empty()).collect()
    }

    /// The part of a polygon inside the panel (Sutherland and Hodgman 1974).
    fn cut_polygon(&self, polygon: Vec<Place>) -> Vec<Place> {
        let (width, height) = self.size;
        let polygon = cut_at_edge(&polygon, |place| place.0);
        let polygon = cut_at_edge(&polygon, |place| width - place.0);
        let polygon = cut_at_edge(&polygon, |place| place.1);
        cut_at_edge(&polygon, |place| height - place.1)
    }
}

fn finite((x, y): Place) -> bool {
    x.is_finite() && y.is_finite()
}

/// The part of the segment from `a` to `b` inside a frame of this width and height (Liang and Barsky 1984); ends inside
/// it are kept exactly.
pub(super) fn clip((width, height): (f64, f64), a: Place, b: Place) -> Option<(Place, Place)> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for (towards, distance) in [(-dx, a.0), (dx, width - a.0), (-dy, a.1), (dy, height - a.1)] {
        if towards == 0.0 {
            if distance < 0.0 {
                return None;
            }
        } else if towards < 0.0 {
            enter = enter.max(distance / towards);
        } else {
            leave = leave.min(distance / towards);
        }
    }
    if enter > leave {
        return None;
    }
    let at = |t: f64| (a.0 + t * dx, a.1 + t * dy);
    Some((if enter > 0.0 { at(enter) } else { a }, if leave < 1.0 { at(leave) } else { b }))
}

/// The part of a polygon whose distance inwards from an edge is not negative.
fn cut_at_edge(polygon: &[Place], inwards: impl Fn(Place) -> f64) -> Vec<Place> {
    let mut kept = Vec::new();
    for (nth, &b) in polygon.iter().enumerate() {
        let a = polygon[(nth + polygon.len() - 1) % polygon.len()];
        let (from, to) = (inwards(a), inwards(b));
        if (from < 0.0) != (to < 0.0) {
            let part = from / (from - to);
            kept.push((a.0 + part * (b.0 - a.0), a.1 + part * (b.1 - a.1)));
        }
        if to >= 0.0 {
            kept.push(b);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws in a panel from 0 to 10 of 10 by 10 pixels.
    fn with_view<T>(column: f64, see: impl Fn(&View) -> T) -> T {
        let scale = Scale::new((0.0, 10.0), false);
        see(&View { x: &scale, y: &scale, size: (10.0, 10.0), column })
    }

    fn lines_by(column: f64, points: &[Values]) -> Vec<Vec<Values>> {
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        with_view(column, |view| view.lines(&x, &y))
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
        let bands =
            with_view(0.5, |view| view.band(&[-2.0, 2.0, 3.0, 4.0, 6.0], &[2.0; 5], &[6.0, 14.0, nan, 4.0, 5.0]));
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
        let markers = with_view(0.5, |view| view.markers(&x, &[1.0; 6]));
        assert_eq!(markers, [0, 3]);
    }
}
