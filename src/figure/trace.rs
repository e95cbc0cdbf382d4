//! From the points of a series to what is drawn of them: cut at the panel's edges, thinned to what can be seen.

use std::collections::HashSet;

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

    /// The part of the segment from `a` to `b` inside the frame (Liang and Barsky 1984); ends inside it are kept
    /// exactly.
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
/// last are kept, so that no extreme is lost. A line that also runs back, such as a trajectory in a plane, may pass a
/// column at any height and any number of times: there the points that follow each other within one square are thinned
/// in this way, and pieces that only repeat what is drawn are left out.
pub(super) fn polylines(
    points: impl Iterator<Item = (f64, f64)> + Clone,
    frame: &Frame,
    column: f64,
) -> Vec<Vec<(f64, f64)>> {
    let back = runs_back(points.clone());
    let mut runs = Thinned::new(column, back);
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
    let lines = runs.finish();
    if back { without_repeats(lines, frame, column) } else { lines }
}

fn runs_back(points: impl Iterator<Item = (f64, f64)>) -> bool {
    points
        .map(|point| point.0)
        .filter(|x| x.is_finite())
        .try_fold(f64::NEG_INFINITY, |before, x| (x >= before).then_some(x))
        .is_none()
}

/// The lines without long pieces that only repeat what is drawn, to within about `side` pixels.
fn without_repeats(lines: Vec<Vec<(f64, f64)>>, frame: &Frame, side: f64) -> Vec<Vec<(f64, f64)>> {
    /// A new line is as much text as so many points.
    const LONG: usize = 8;
    let mut grid = Grid::new(frame, side);
    let mut done = Vec::new();
    for line in lines {
        // Start and end of the piece that is being kept.
        let mut kept = grid.keep(line[0], line[0]).then_some((0, 1));
        for nth in 1..line.len() {
            if grid.keep(line[nth - 1], line[nth]) {
                kept = match kept {
                    Some((start, end)) if nth - end <= LONG => Some((start, nth + 1)),
                    before => {
                        done.extend(before.map(|(start, end)| line[start..end].to_vec()));
                        Some((nth - 1, nth + 1))
                    }
                };
            }
        }
        done.extend(kept.map(|(start, end)| line[start..end].to_vec()));
    }
    done
}

/// Which parts of a frame the kept pieces of a line cover, on a grid of squares.
struct Grid<'a> {
    frame: &'a Frame,
    side: f64,
    columns: usize,
    rows: usize,
    /// How far along the line, in sides, a kept piece first came through a square; infinite where none did.
    through: Vec<f64>,
    /// The same for a square or one of its neighbours.
    near: Vec<f64>,
    /// How far along the line we are.
    length: f64,
    /// Whether the last piece was kept.
    keeping: bool,
}

impl<'a> Grid<'a> {
    fn new(frame: &'a Frame, side: f64) -> Self {
        let count = |length: f64| (length / side).ceil() as usize + 1;
        let (columns, rows) = (count(frame.width()), count(frame.height()));
        let nowhere = vec![f64::INFINITY; columns * rows];
        Grid { frame, side, columns, rows, through: nowhere.clone(), near: nowhere, length: 0.0, keeping: false }
    }

    /// Moves on from one point of the line to the next, and tells whether this piece is to be kept.
    ///
    /// Keeping begins where no kept piece is near, and then goes on until the squares are those of another one. So a
    /// line that drifts from turn to turn is kept in whole turns.
    fn keep(&mut self, from: (f64, f64), to: (f64, f64)) -> bool {
        /// Squares that the line came through so shortly before are those of the piece that is being continued.
        const CONTINUED: f64 = 6.0;
        let (x, y) = ((from.0 - self.frame.left) / self.side, (from.1 - self.frame.top) / self.side);
        let (dx, dy) = ((to.0 - from.0) / self.side, (to.1 - from.1) / self.side);
        let steps = dx.abs().max(dy.abs()).ceil();
        let (columns, last_column, last_row, length) = (self.columns, self.columns - 1, self.rows - 1, self.length);
        let squares = (0..=steps as usize).map(|step| {
            let part = step as f64 / steps.max(1.0);
            let (column, row) = ((x + part * dx) as usize, (y + part * dy) as usize);
            (column.min(last_column), row.min(last_row), length + part * dx.hypot(dy))
        });
        let covered = if self.keeping { &self.through } else { &self.near };
        self.keeping =
            squares.clone().any(|(column, row, length)| covered[row * columns + column] > length - CONTINUED);
        if self.keeping {
            for (column, row, length) in squares {
                let first = &mut self.through[row * columns + column];
                *first = first.min(length);
                for row in row.saturating_sub(1)..=(row + 1).min(last_row) {
                    for column in column.saturating_sub(1)..=(column + 1).min(last_column) {
                        let first = &mut self.near[row * columns + column];
                        *first = first.min(length);
                    }
                }
            }
        }
        self.length += dx.hypot(dy);
        self.keeping
    }
}

/// The points inside the frame at which markers are drawn, thinned as [`polylines`] thins lines.
pub(super) fn marks(points: impl Iterator<Item = (f64, f64)> + Clone, frame: &Frame, column: f64) -> Vec<(f64, f64)> {
    let back = runs_back(points.clone());
    let mut runs = Thinned::new(column, back);
    points.filter(|&point| frame.contains(point)).for_each(|point| runs.push(point));
    let mut marks = runs.finish().concat();
    if back {
        let square = |mark: (f64, f64)| ((mark.0 / column) as i64, (mark.1 / column) as i64);
        let mut marked = HashSet::new();
        marks.retain(|&mark| marked.insert(square(mark)));
    }
    marks
}

struct Thinned {
    column: f64,
    /// Whether squares are thinned instead of columns.
    squares: bool,
    done: Vec<Vec<(f64, f64)>>,
    run: Vec<(f64, f64)>,
    /// First, lowest, highest and last point in the current column, each with its place in the sequence.
    held: Option<[(usize, (f64, f64)); 4]>,
    count: usize,
}

impl Thinned {
    fn new(column: f64, squares: bool) -> Self {
        Thinned { column, squares, done: Vec::new(), run: Vec::new(), held: None, count: 0 }
    }

    fn push(&mut self, point: (f64, f64)) {
        let entry = (self.count, point);
        self.count += 1;
        let index = |(x, y): (f64, f64)| {
            ((x / self.column).floor(), if self.squares { (y / self.column).floor() } else { 0.0 })
        };
        match &mut self.held {
            Some([first, low, high, last]) if index(first.1) == index(point) => {
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
    fn a_line_that_runs_over_itself_is_drawn_once() {
        let circle = |turns: i32| -> Vec<(f64, f64)> {
            let angle = |i: i32| f64::from(i) / 50.0 * std::f64::consts::TAU;
            (0..=turns * 50).map(|i| (5.0 + 4.0 * angle(i).cos(), 5.0 + 4.0 * angle(i).sin())).collect()
        };
        let (once, often) = (lines(&circle(1)).concat(), lines(&circle(1000)).concat());
        assert!((20..100).contains(&once.len()) && often.len() <= 2 * once.len(), "{}, {}", once.len(), often.len());
        // Each end of the figure is still there, to less than a cell.
        for (x, y) in [(1.0, 5.0), (9.0, 5.0), (5.0, 1.0), (5.0, 9.0)] {
            assert!(often.iter().any(|point| (point.0 - x).hypot(point.1 - y) < 0.5), "({x}, {y})");
        }
        // A straight way and the same way back.
        assert_eq!(lines(&[(1.0, 1.0), (9.0, 1.0), (1.0, 1.0), (1.0, 5.0)]).concat().len(), 4);
    }

    #[test]
    fn few_points_are_all_kept() {
        let points: Vec<_> = (0..20).map(|i| (f64::from(i) * 0.5, f64::from(i * 7 % 10))).collect();
        assert_eq!(lines(&points), [points]);
    }
}
