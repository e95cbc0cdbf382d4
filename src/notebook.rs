//! Display of results in notebook cells that run on the evcxr kernel.
//!
//! evcxr calls `evcxr_display` on the last expression of a cell. Text that is printed between two marker lines reaches
//! the notebook as rich output of the given MIME type. If a cell prints two contents of the same type, only the last
//! one is kept. The browser prefers HTML to a picture, and a picture to text. Only this module depends on these rules.
//!
//! | value | displayed as |
//! |---|---|
//! | [`Figure`], [`Svg`] | picture |
//! | [`Slider`] | HTML with all its figures; the middle one as picture |
//! | [`Recording`] | picture of potential, gates and ionic currents; range of the potential as text |
//! | [`H5Matrix`], [`Response`], [`Array3`], long lists of numbers | picture of the first traces; range as text |
//! | [`HhPscAlpha`], [`OrnsteinUhlenbeck`], [`Generated`], [`Description`], [`Model`](crate::model::Model), lists of weights | table |
//! | [`History`](crate::training::History) | picture and table |
//! | [`Imported`] | picture of the first currents and potentials; numbers and notes as text |
//! | [`Written`], [`Evaluation`](crate::training::Evaluation), [`Tensor`](tch::Tensor), single weights, short lists, devices, numbers, strings, pairs and triples | text |
//! | `()`, the value of a loop | nothing |
//!
//! [`Model`]: crate::model::Model
//! [`History`]: crate::training::History
//! [`Evaluation`]: crate::training::Evaluation
//! [`Tensor`]: tch::Tensor

mod load;
#[cfg(feature = "model")]
mod model;
mod table;

use crate::Result;
use crate::dataset::{Description, Generated, H5Matrix, Imported, Written, trace};
use crate::figure::{Figure, Share, Slider, Svg, subplots};
use crate::neuron::{HhPscAlpha, Recording, Response};
use crate::stimulus::OrnsteinUhlenbeck;
use ndarray::{Array3, ArrayD};
use std::fmt::Debug;
use std::io::Write;
use table::Table;

/// A MIME type, and content of this type.
pub type MimeContent = (&'static str, String);

const HTML: &str = "text/html";
const PICTURE: &str = "image/svg+xml";
const TEXT: &str = "text/plain";

/// A value that can be displayed as the last expression of a notebook cell.
///
/// `use hhnet::prelude::*;` brings the trait into scope. It is also implemented for types of other crates: arrays,
/// lists of numbers, tensors.
///
/// ```
/// use hhnet::prelude::*;
/// let bundle = [-65.0, -64.5].mime_bundle()?;
/// assert_eq!(bundle, [("text/plain", "[-65.0, -64.5]".to_owned())]);
/// # Ok::<(), hhnet::Error>(())
/// ```
pub trait Show {
    /// The value in one or more MIME types: at most one content of each type, and always plain text. The bundle of `()`
    /// is empty.
    ///
    /// # Errors
    /// If the value cannot be read or drawn.
    fn mime_bundle(&self) -> Result<Vec<MimeContent>>;

    /// Displays the value below the notebook cell. evcxr calls this method. An error is printed to standard error,
    /// which the notebook highlights.
    fn evcxr_display(&self) {
        show(self.mime_bundle());
    }
}

/// Not generic, so that cells do not compile it again.
fn show(bundle: Result<Vec<MimeContent>>) {
    match bundle {
        Ok(bundle) => {
            // In one call, so that no other output comes in between. A failure cannot be reported anywhere.
            let _ = std::io::stdout().lock().write_all(rich_output(&bundle).as_bytes());
        }
        Err(error) => eprintln!("{error}"),
    }
}

/// The bundle in the form that the evcxr kernel reads.
fn rich_output(bundle: &[MimeContent]) -> String {
    let block = |(mime, content): &MimeContent| {
        // A label could contain the kernel's end marker. In markup, a character reference is displayed the same.
        let mark = if *mime == TEXT { "evcxr_" } else { "&#69;VCXR_" };
        format!("EVCXR_BEGIN_CONTENT {mime}\n{}\nEVCXR_END_CONTENT\n", content.trim_end().replace("EVCXR_", mark))
    };
    bundle.iter().map(block).collect()
}

fn table_bundle(table: &Table) -> Vec<MimeContent> {
    vec![(HTML, table.html()), (TEXT, table.text())]
}

/// A picture, with `text` for readers who cannot see it.
fn figure_bundle(figure: &Figure, text: String) -> Result<Vec<MimeContent>> {
    Ok(vec![(PICTURE, figure.to_svg()?.as_str().to_owned()), (TEXT, text)])
}

impl Show for Svg {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        Ok(vec![(PICTURE, self.as_str().to_owned()), (TEXT, format!("{self:?}"))])
    }
}

impl Show for Figure {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        self.to_svg()?.mime_bundle()
    }
}

impl Show for Slider {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        Ok(vec![(HTML, self.to_html()?), (PICTURE, self.to_svg()?.as_str().to_owned()), (TEXT, format!("{self:?}"))])
    }
}

impl Show for OrnsteinUhlenbeck {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let OrnsteinUhlenbeck { theta, mu, sigma, x0, dt_ms } = *self;
        let rows = [
            ("theta", theta, "1/ms", "rate of return to the mean"),
            ("mu", mu, "pA", "mean current"),
            ("sigma", sigma, "pA/√ms", "strength of the noise"),
            ("x0", x0, "pA", "first value"),
            ("dt_ms", dt_ms, "ms", "time between two values"),
        ];
        Ok(table_bundle(&parameters("Ornstein-Uhlenbeck current", &rows)))
    }
}

impl Show for HhPscAlpha {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let HhPscAlpha { C_m, g_Na, g_K, g_L, E_Na, E_K, E_L, I_e, t_ref } = *self;
        let rows = [
            ("C_m", C_m, "pF", "membrane capacitance"),
            ("g_Na", g_Na, "nS", "peak sodium conductance"),
            ("g_K", g_K, "nS", "peak potassium conductance"),
            ("g_L", g_L, "nS", "leak conductance"),
            ("E_Na", E_Na, "mV", "sodium reversal potential"),
            ("E_K", E_K, "mV", "potassium reversal potential"),
            ("E_L", E_L, "mV", "leak reversal potential"),
            ("I_e", I_e, "pA", "constant current in addition to the injected one"),
            ("t_ref", t_ref, "ms", "time after a spike in which no further spike is counted"),
        ];
        Ok(table_bundle(&parameters("Hodgkin-Huxley neuron hh_psc_alpha", &rows)))
    }
}

/// A table of parameters: name, value, unit, meaning.
fn parameters(caption: &str, rows: &[(&str, f64, &str, &str)]) -> Table {
    let row = |&(name, value, unit, meaning): &(&str, f64, &str, &str)| {
        vec![name.to_owned(), value.to_string(), unit.to_owned(), meaning.to_owned()]
    };
    Table {
        caption: caption.to_owned(),
        head: vec!["parameter", "value", "unit", "meaning"],
        rows: rows.iter().map(row).collect(),
    }
}

/// The spikes of a response in words.
fn spikes(response: &Response) -> String {
    match response.spike_times_ms[..] {
        [] => "no spike".to_owned(),
        [time] => format!("a spike at {time:.1} ms"),
        [first, ..] => format!("{} spikes, the first at {first:.1} ms", response.spike_times_ms.len()),
    }
}

/// Number of values, spikes, and range of the potential.
fn response_text(response: &Response) -> String {
    let potential = &response.potential_mv;
    let range = range(potential.iter().copied());
    format!("{} steps, {}; potential (mV): {range}", potential.len(), spikes(response))
}

impl Show for Response {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let text = response_text(self);
        if self.potential_mv.is_empty() {
            return Ok(vec![(TEXT, text)]);
        }
        let mut figure = Figure::new();
        figure
            .axes(0, 0)
            .plot(&self.time_ms(), &self.potential_mv, "")
            .title(&spikes(self))
            .xlabel("t (ms)")
            .ylabel("Vm (mV)");
        figure_bundle(&figure, text)
    }
}

impl Show for Recording {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let Recording { response, m, h, n, i_na_pa, i_k_pa, i_l_pa } = self;
        let text = format!("{}; with the gates m, h, n and the ionic currents", response_text(response));
        if response.potential_mv.is_empty() {
            return Ok(vec![(TEXT, text)]);
        }
        let t = response.time_ms();
        let mut figure = subplots(3, 1, Share::XAll);
        figure.figsize(6.4, 7.2);
        figure.axes(0, 0).plot(&t, &response.potential_mv, "").title(&spikes(response)).ylabel("Vm (mV)");
        figure.axes(1, 0).plot(&t, m, "m").plot(&t, h, "h").plot(&t, n, "n").ylabel("fraction open").legend();
        figure
            .axes(2, 0)
            .plot(&t, i_na_pa, "Na")
            .plot(&t, i_k_pa, "K")
            .plot(&t, i_l_pa, "leak")
            .xlabel("t (ms)")
            .ylabel("outward current (pA)")
            .legend();
        figure_bundle(&figure, text)
    }
}

impl Show for Generated {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let shape = |[samples, steps, channels]: [usize; 3]| format!("({samples}, {steps}, {channels})");
        let row = |what: &str, value: String| vec![what.to_owned(), value];
        let table = Table {
            caption: self.path.display().to_string(),
            head: vec!["what", "value"],
            rows: vec![
                row("shape of X and Y (samples, steps, channels)", shape(self.shape)),
                row("shape of X_test and Y_test", shape(self.test_shape)),
                row("trials dropped because the neuron spiked", self.dropped_trials.len().to_string()),
                row("test trials dropped for the same reason", self.dropped_test_trials.len().to_string()),
                row("time (s)", format!("{:.1}", self.elapsed.as_secs_f64())),
            ],
        };
        Ok(vec![(HTML, table.html()), (TEXT, self.to_string())])
    }
}

impl Show for Written {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        Ok(vec![(TEXT, self.to_string())])
    }
}

impl Show for Imported {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let mut figure = subplots(2, 1, Share::XAll);
        for (row, (values, label)) in [(&self.x, "current (pA)"), (&self.y, "Vm (mV)")].into_iter().enumerate() {
            let steps = values.dim().1;
            let t: Vec<f64> = (0..steps).map(|step| step as f64 * self.options.step_ms).collect();
            for nth in 0..values.dim().0.min(TRACES) {
                figure.axes(row, 0).plot(&t, &trace(values, nth), &format!("sample {nth}"));
            }
            figure.axes(row, 0).ylabel(label).legend();
        }
        figure.axes(1, 0).xlabel("t (ms)");
        figure_bundle(&figure, self.to_string())
    }
}

impl Show for Description {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let datasets = self.datasets.iter().map(|dataset| {
            let units = dataset.units.clone().unwrap_or_default();
            vec![dataset.name.clone(), format!("{:?}", dataset.shape), dataset.dtype.clone(), units]
        });
        let broken_links = self
            .broken_links
            .iter()
            .map(|(name, reason)| vec![name.clone(), String::new(), format!("broken link: {reason}"), String::new()]);
        let datasets = Table {
            caption: format!("{} bytes", self.bytes),
            head: vec!["dataset", "shape", "type", "units"],
            rows: datasets.chain(broken_links).collect(),
        };
        let attributes = Table {
            caption: "attributes of the file".to_owned(),
            head: vec!["attribute", "value"],
            rows: self.attributes.iter().map(|(name, value)| vec![name.clone(), value.to_string()]).collect(),
        };
        Ok(vec![(HTML, datasets.html() + &attributes.html()), (TEXT, self.to_string())])
    }
}

impl Show for H5Matrix {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let (samples, ..) = self.shape();
        let name = self.name().trim_start_matches('/');
        let units = self.units().map_or(String::new(), |units| format!(" ({units})"));
        // Gaps are no reason to show nothing.
        let first = self.clone().allow_nan().read(..samples.min(TRACES) as isize)?;
        let shape = format!("{:?} (samples, steps, channels)", self.shape());
        let text = format!("dataset '{name}'{units} in '{}', {}, shape {shape}", self.path().display(), self.dtype());
        let mut figure = first_traces(&first);
        figure.axes(0, 0).title(&format!("{name}: {shape}")).ylabel(&format!("{name}{units}"));
        figure_bundle(&figure, text)
    }
}

impl Show for Array3<f64> {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let text = format!("array of shape {:?}: {}", self.dim(), range(self.iter().copied()));
        if self.dim().1 < 2 || self.is_empty() || !self.iter().any(|value| value.is_finite()) {
            return Ok(vec![(TEXT, format!("{text}\n{self}"))]);
        }
        let mut figure = first_traces(self);
        figure.axes(0, 0).title(&format!("shape {:?}", self.dim()));
        figure_bundle(&figure, text)
    }
}

/// Number of traces of an array that are drawn.
const TRACES: usize = 3;

/// Draws the traces of the first samples in an array (samples, steps, channels).
fn first_traces(samples: &Array3<f64>) -> Figure {
    let mut figure = Figure::new();
    for nth in 0..samples.dim().0.min(TRACES) {
        let values = trace(samples, nth);
        if values.iter().any(|value| value.is_finite()) {
            figure.axes(0, 0).plot_y(&values, &format!("sample {nth}"));
        }
    }
    figure.axes(0, 0).xlabel("step").legend();
    figure
}

/// Lowest value, highest value and mean of the finite values.
fn range(values: impl Iterator<Item = f64>) -> String {
    let (mut low, mut high, mut sum, mut count, mut others) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0, 0);
    for value in values {
        if value.is_finite() {
            (low, high, sum, count) = (low.min(value), high.max(value), sum + value, count + 1.0);
        } else {
            others += 1;
        }
    }
    let others = if others > 0 { format!(", {others} values not finite") } else { String::new() };
    if count == 0.0 {
        return format!("no finite values{others}");
    }
    format!("{} to {}, mean {}{others}", number(low), number(high), number(sum / count))
}

/// A number with about four digits.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.3e}"),
        size if size < 1.0 => format!("{value:.4}"),
        size if size < 100.0 => format!("{value:.3}"),
        _ => format!("{value:.1}"),
    }
}

impl Show for [f64] {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        const SHORT: usize = 20;
        if self.len() <= SHORT || !self.iter().any(|value| value.is_finite()) {
            let more = if self.len() > SHORT { ", ..." } else { "" };
            let first: Vec<String> = self.iter().take(SHORT).map(|value| format!("{value:?}")).collect();
            return Ok(vec![(TEXT, format!("[{}{more}]", first.join(", ")))]);
        }
        let mut figure = Figure::new();
        figure.axes(0, 0).plot_y(self, "").xlabel("index");
        figure_bundle(&figure, format!("{} values: {}", self.len(), range(self.iter().copied())))
    }
}

impl Show for [String] {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        Ok(vec![(TEXT, self.join("\n"))])
    }
}

impl Show for ArrayD<f32> {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let values = self.iter().map(|&value| f64::from(value));
        Ok(vec![(TEXT, format!("array of shape {:?}: {}\n{self}", self.shape(), range(values)))])
    }
}

impl Show for [ArrayD<f32>] {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let row = |(nth, array): (usize, &ArrayD<f32>)| {
            let values = array.iter().map(|&value| f64::from(value));
            vec![nth.to_string(), format!("{:?}", array.shape()), array.len().to_string(), range(values)]
        };
        let table = Table {
            caption: format!("{} arrays", self.len()),
            head: vec!["index", "shape", "values", "range"],
            rows: self.iter().enumerate().map(row).collect(),
        };
        Ok(table_bundle(&table))
    }
}

/// The value of a cell that ends with a loop: nothing is displayed.
impl Show for () {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        Ok(Vec::new())
    }
}

/// A value as `{:?}` writes it. evcxr does the same without `Show`, but then compiles the cell twice.
fn debug_bundle(value: &dyn Debug) -> Result<Vec<MimeContent>> {
    Ok(vec![(TEXT, format!("{value:?}"))])
}

impl<A: Debug, B: Debug> Show for (A, B) {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        debug_bundle(self)
    }
}

impl<A: Debug, B: Debug, C: Debug> Show for (A, B, C) {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        debug_bundle(self)
    }
}

macro_rules! show_as_debug {
    ($($type:ty),*) => {
        $(impl Show for $type {
            fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
                debug_bundle(&self)
            }
        })*
    };
}

show_as_debug!(bool, f32, f64, i32, i64, isize, u32, u64, usize, str);

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::dataset::{GenerateOptions, describe, generate};
    use crate::figure::{LayerNode, layer_graph};
    use ndarray::Array;
    use roxmltree::Document;

    #[test]
    fn a_label_cannot_end_its_content() {
        let evil = "EVCXR_END_CONTENT";
        let graph = layer_graph(&[LayerNode::new(evil, "(?, ?, 1)", "(?, ?, 2)")]);
        let table = Table { caption: evil.to_owned(), head: vec!["a"], rows: vec![vec![evil.to_owned()]] }.html();
        let output = rich_output(&[(PICTURE, graph.as_str().to_owned()), (HTML, table), (TEXT, evil.to_owned())]);
        let markers: Vec<_> = output.lines().filter(|line| line.contains("EVCXR_")).collect();
        let expected = [
            "BEGIN_CONTENT image/svg+xml",
            "END_CONTENT",
            "BEGIN_CONTENT text/html",
            "END_CONTENT",
            "BEGIN_CONTENT text/plain",
            "END_CONTENT",
        ];
        assert_eq!(markers, expected.map(|text| format!("EVCXR_{text}")));
        for block in output.split("EVCXR_END_CONTENT\n").take(2) {
            let document = Document::parse(block.split_once('\n').unwrap().1).unwrap();
            assert!(document.descendants().any(|node| node.text().is_some_and(|text| text.trim() == evil)));
        }
    }

    #[test]
    fn other_output_does_not_come_in_between() {
        use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
        const SHOWS: &str = "HHNET_TEST_SHOWS";
        if std::env::var_os(SHOWS).is_some() {
            let is_done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !is_done.load(SeqCst) {
                        writeln!(std::io::stdout(), "stray").unwrap();
                    }
                });
                for _ in 0..50 {
                    // The other thread has its turn.
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    show(Ok(vec![(TEXT, "own\n".repeat(3000))]));
                }
                is_done.store(true, SeqCst);
            });
            return;
        }
        let mut shows = std::process::Command::new(std::env::current_exe().unwrap());
        let test = ["notebook::tests::other_output_does_not_come_in_between", "--exact"];
        let output = String::from_utf8(shows.args(test).env(SHOWS, "1").output().unwrap().stdout).unwrap();
        let blocks: Vec<&str> = output.split("EVCXR_BEGIN_CONTENT text/plain\n").skip(1).collect();
        assert_eq!(blocks.len(), 50);
        assert!(blocks.iter().all(|block| block.starts_with(&("own\n".repeat(3000) + "EVCXR_END_CONTENT\n"))));
        assert!(output.contains("stray"));
    }

    /// The text of what shows itself, after a check of all its forms.
    pub(super) fn text(shown: &(impl Show + ?Sized)) -> String {
        let bundle = shown.mime_bundle().unwrap();
        let mut types: Vec<&str> = bundle.iter().map(|(mime, _)| *mime).collect();
        types.dedup();
        assert_eq!(types.len(), bundle.len(), "{types:?}");
        for (mime, content) in &bundle {
            if *mime != TEXT {
                Document::parse(&format!("<div>{content}</div>")).expect(mime);
            }
            assert!(content.len() <= 500_000);
        }
        bundle.into_iter().find(|(mime, _)| *mime == TEXT).expect("text").1
    }

    pub(super) fn has(shown: &(impl Show + ?Sized), mime: &str, part: &str) {
        let bundle = shown.mime_bundle().unwrap();
        let content = &bundle.iter().find(|(found, _)| *found == mime).expect(mime).1;
        let content = content.replace(" style=\"text-align: left\"", "");
        assert!(content.contains(part), "{content}");
    }

    #[test]
    fn data_show_their_shape_and_first_traces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("small.h5");
        let options = GenerateOptions { samples: 5, test_samples: 1, ..GenerateOptions::default() };
        let made = generate(&path, &options).unwrap();
        assert!(text(&made).contains("[5, 1000, 1]"));
        has(&made, HTML, "<td>(5, 1000, 1)</td>");
        let y = H5Matrix::open(&path, "Y").unwrap();
        assert!(text(&y).contains("dataset 'Y' (mV)") && text(&y).contains("(5, 1000, 1) (samples, steps, channels)"));
        for part in ["Y (mV)", "sample 0", "sample 2"] {
            has(&y, PICTURE, part);
        }
        assert!(!y.mime_bundle().unwrap()[0].1.contains("sample 3"));
        has(&describe(&path).unwrap(), HTML, "<td>X_test</td>");
        assert!(text(&describe(&path).unwrap()).contains("X_test: [1, 10000, 1]"));
        let samples = y.read(..).unwrap();
        assert!(text(&samples).starts_with("array of shape (5, 1000, 1): -"));
        has(&samples, PICTURE, "sample 2");
        std::fs::remove_file(&path).unwrap();
        assert!(y.mime_bundle().unwrap_err().to_string().contains("small.h5"));
    }

    #[test]
    fn arrays_and_lists_show_themselves_in_every_form() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i).sqrt() - 5.0).collect();
        assert_eq!(text(&values[..]), "1000 values: -5.000 to 26.607, mean 16.066");
        has(&values[..], PICTURE, "index");
        assert_eq!(text(&values[..2]), "[-5.0, -4.0]");
        assert_eq!(text(&[f64::NAN; 21][..]).matches("NaN").count(), 20);
        assert_eq!(text(&values[..0]), "[]");
        let with_gap = [&values[..], &[f64::INFINITY]].concat();
        assert!(text(&with_gap[..]).ends_with("1 values not finite"));
        for shape in [(0, 3, 1), (2, 0, 1), (2, 3, 0), (2, 1, 1), (1, 2, 2)] {
            text(&Array3::<f64>::ones(shape));
            text(&Array3::<f64>::from_elem(shape, f64::NAN));
        }
        let mut gap = Array3::<f64>::ones((2, 3, 1));
        gap.slice_mut(ndarray::s![0, .., ..]).fill(f64::NAN);
        has(&gap, PICTURE, "sample 1");
        let weight = Array::from_elem(vec![11, 1, 2], 0.25_f32).into_dyn();
        assert!(text(&weight).starts_with("array of shape [11, 1, 2]: 0.2500 to 0.2500, mean 0.2500\n[[[0.25"));
        assert_eq!(text(&["cpu (2 cores)".to_owned(), "cuda:0".to_owned()][..]), "cpu (2 cores)\ncuda:0");
        assert_eq!(text(&((10, 1000, 1), vec!["a"])), "((10, 1000, 1), [\"a\"])");
        assert_eq!((text(&-65.0_f64), text("Vm")), ("-65.0".to_owned(), "\"Vm\"".to_owned()));
        assert_eq!(rich_output(&().mime_bundle().unwrap()), "");
    }

    #[test]
    fn neuron_current_and_response_show_themselves() {
        has(
            &HhPscAlpha::default(),
            HTML,
            "<tr><td>E_L</td><td>-54.402</td><td>mV</td><td>leak reversal potential</td></tr>",
        );
        assert!(text(&HhPscAlpha::default()).contains("\nE_L        -54.402  mV    leak reversal potential\n"));
        assert!(text(&OrnsteinUhlenbeck::default()).contains("pA/√ms"));
        let neuron = HhPscAlpha::default();
        let rest = neuron.simulate(&[0.0; 50], 1.0, 0.1).unwrap();
        assert!(text(&rest).starts_with("50 steps, no spike; potential (mV): -65"));
        let spiking = neuron.simulate(&[1000.0; 50], 1.0, 0.1).unwrap();
        assert!(text(&spiking).contains("spikes, the first at"));
        has(&spiking, PICTURE, "Vm (mV)");
        has(&spiking, PICTURE, "t (ms)");
        assert!(text(&neuron.simulate(&[], 1.0, 0.1).unwrap()).starts_with("0 steps"));
        let recording = neuron.record(&[1000.0; 50], 1.0, 0.1).unwrap();
        assert!(text(&recording).starts_with(&text(&spiking)));
        for part in ["Vm (mV)", "fraction open", "outward current (pA)", "t (ms)", "\nleak\n", "\nh\n"] {
            has(&recording, PICTURE, part);
        }
        assert!(text(&neuron.record(&[], 1.0, 0.1).unwrap()).starts_with("0 steps"));
    }

    #[test]
    fn a_slider_shows_all_figures_and_the_middle_one() {
        let mut slider = Slider::new("n");
        for value in ["1", "2"] {
            let mut figure = Figure::new();
            figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "");
            slider.frame(value, figure);
        }
        assert_eq!(text(&slider), "slider 'n' over 2 figures, from '1' to '2'");
        has(&slider, HTML, "<script>");
        has(&slider, PICTURE, "<polyline");
        assert!(Slider::new("n").mime_bundle().is_err());
    }
}
