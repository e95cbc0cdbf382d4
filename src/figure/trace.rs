//! From the points of a series to what is drawn of them: cut at the panel's edges, thinned to what can be seen.

/// A rectangle in pixels, y downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Frame {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn contains(&self, (x, y): (f64, f64)) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }

    /// The part of the segment from `a` to `b` inside the frame (Liang and Barsky 1984); ends inside it are kept exactly.
    pub(super) fn clip(&self, a: (f64, f64), b: (f64, f64)) -> Option<((f64, f64), (f64, f64))> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
        let edges = [(-dx, a.0 - self.left), (dx, self.right - a.0), (-dy, a.1 - self.top), (dy, self.bottom - a.1)];
        for (towards, distance) in edges {
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
}

/// The visible polylines through `points` (pixels; a point that is not finite leaves a gap).
///
/// Of the points that follow each other within one column of `column` pixels the first, the lowest, the highest and the
/// last are kept, so that no extreme is lost.
pub(super) fn polylines(points: impl Iterator<Item = (f64, f64)>, frame: &Frame, column: f64) -> Vec<Vec<(f64, f64)>> {
    let mut runs = Thinned::new(column);
    let mut previous = None;
    for point in points {
        let shown = point.0.is_finite() && point.1.is_finite();
        match previous {
            _ if !shown => runs.end(),
            None if frame.contains(point) => runs.push(point),
            None => {}
            Some(from) => match frame.clip(from, point) {
                None => runs.end(),
                Some((start, stop)) => {
                    if start != from {
                        runs.end();
                        runs.push(start);
                    }
                    runs.push(stop);
                    if stop != point {
                        runs.end();
                    }
                }
            },
        }
        previous = shown.then_some(point);
    }
    runs.finish()
}

/// The points inside the frame at which markers are drawn, thinned as [`polylines`] thins lines.
pub(super) fn marks(points: impl Iterator<Item = (f64, f64)>, frame: &Frame, column: f64) -> Vec<(f64, f64)> {
    let mut runs = Thinned::new(column);
    points.filter(|&point| frame.contains(point)).for_each(|point| runs.push(point));
    runs.finish().concat()
}

struct Thinned {
    column: f64,
    done: Vec<Vec<(f64, f64)>>,
    run: Vec<(f64, f64)>,
    /// First, lowest, highest and last point in the current column, each with its place in the sequence.
    held: Option<[(usize, (f64, f64)); 4]>,
    count: usize,
}

impl Thinned {
    fn new(column: f64) -> Self {
        Thinned { column, done: Vec::new(), run: Vec::new(), held: None, count: 0 }
    }

    fn push(&mut self, point: (f64, f64)) {
        let entry = (self.count, point);
        self.count += 1;
        let index = |x: f64| (x / self.column).floor();
        match &mut self.held {
            Some([first, low, high, last]) if index(first.1.0) == index(point.0) => {
                if point.1 < low.1.1 {
                    *low = entry;
                }
                if point.1 > high.1.1 {
                    *high = entry;
                }
                *last = entry;
            }
            _ => {
                self.release();
                self.held = Some([entry; 4]);
            }
        }
    }

    fn release(&mut self) {
        if let Some(mut kept) = self.held.take() {
            kept.sort_by_key(|entry| entry.0);
            for (nth, entry) in kept.iter().enumerate() {
                if nth == 0 || entry.0 != kept[nth - 1].0 {
                    self.run.push(entry.1);
                }
            }
        }
    }

    fn end(&mut self) {
        self.release();
        if !self.run.is_empty() {
            self.done.push(std::mem::take(&mut self.run));
        }
    }

    fn finish(mut self) -> Vec<Vec<(f64, f64)>> {
        self.end();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    fn lines(points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        polylines(points.iter().copied(), &FRAME, 0.5)
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
        assert!(lines(&[(f64::INFINITY, 1.0), gap]).is_empty());
    }

    #[test]
    fn few_points_are_all_kept() {
        let points: Vec<_> = (0..20).map(|i| (f64::from(i) * 0.5, f64::from(i * 7 % 10))).collect();
        assert_eq!(lines(&points), [points]);
    }
}
