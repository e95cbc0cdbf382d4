//! Figures as a reader of the SVG sees them.

use std::fs;

use hhnet::figure::plotters::prelude::{Circle, Color, LineSeries, PathElement, RED, TriangleMarker};
use hhnet::figure::{Figure, LayerNode, PX, Share, Slider, Svg, layer_graph, plotters, subplots};
use roxmltree::{Document, Node};

fn parse(svg: &Svg) -> Document<'_> {
    let document = Document::parse(svg.as_str()).expect("well-formed XML");
    let known = ["svg", "rect", "polyline", "polygon", "circle", "text"];
    for element in document.descendants().filter(Node::is_element) {
        assert!(known.contains(&element.tag_name().name()), "{element:?}");
        assert!(element.attributes().all(|attribute| !attribute.name().starts_with("on")), "{element:?}");
    }
    document
}

fn elements<'a>(document: &'a Document, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(("http://www.w3.org/2000/svg", name)))
}

fn number(node: Node, attribute: &str) -> f64 {
    node.attribute(attribute).expect(attribute).parse().expect(attribute)
}

fn texts(svg: &Svg) -> Vec<String> {
    elements(&parse(svg), "text").map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

/// The points of the data lines: polylines of the first colour and of more than the legend's two points.
fn data_lines(svg: &Svg) -> Vec<Vec<(f64, f64)>> {
    let document = parse(svg);
    let coloured = elements(&document, "polyline").filter(|node| node.attribute("stroke") == Some("#004A8F"));
    let points = coloured.map(|node| {
        let pairs = node.attribute("points").expect("points").split_whitespace();
        let pair = |pair: &str| {
            let (x, y) = pair.split_once(',').expect("x,y");
            (x.parse().expect("x"), y.parse().expect("y"))
        };
        pairs.map(pair).collect()
    });
    points.collect()
}

/// Labels of the y axes, top panel first.
fn y_labels(svg: &Svg) -> Vec<String> {
    let document = parse(svg);
    let ends = elements(&document, "text").filter(|node| node.attribute("text-anchor") == Some("end"));
    ends.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

fn counted(n: i32) -> Vec<f64> {
    (0..n).map(f64::from).collect()
}

#[test]
fn values_alone_are_plotted_over_their_indices() {
    let y = [-65.0, -63.0, f64::NAN, -64.0];
    let (mut alone, mut over) = (Figure::new(), Figure::new());
    alone.axes(0, 0).plot_y(&y, "y(t)").legend();
    over.axes(0, 0).plot(&counted(4), &y, "y(t)").legend();
    assert_eq!(alone.to_svg().unwrap().as_str(), over.to_svg().unwrap().as_str());
    let mut empty = Figure::new();
    empty.axes(0, 0).plot_y(&[], "y(t)");
    assert_eq!(empty.to_svg().unwrap_err().to_string(), "figure: 'y(t)': there are no values to plot");
}

#[test]
fn a_figure_is_a_scalable_picture_on_white() {
    let svg = Figure::new().to_svg().unwrap();
    let document = parse(&svg);
    let root = document.root_element();
    let size = (number(root, "width"), number(root, "height"));
    assert_eq!(size, (615.0, 461.0));
    let view: Vec<f64> = root.attribute("viewBox").unwrap().split(' ').map(|part| part.parse().unwrap()).collect();
    assert_eq!(view[2] / view[3], size.0 / size.1);
    let background = elements(&document, "rect").next().unwrap();
    assert_eq!((number(background, "width"), number(background, "height")), (view[2], view[3]));
    assert_eq!(background.attribute("fill"), Some("#FFFFFF"));
    assert_eq!(number(background, "opacity"), 1.0);
}

#[test]
fn labels_titles_and_ticks_are_in_the_picture() {
    let epochs = counted(100);
    let loss: Vec<f64> = epochs.iter().map(|epoch| 2807.0 * (-epoch / 8.0).exp() + 0.05).collect();
    let mut figure = Figure::new();
    let axes = figure.axes(0, 0).semilogy(&epochs, &loss, "ŷ(t)").markers().legend();
    axes.title("training/validation loss").xlabel("epochs").ylabel("loss");
    let svg = figure.to_svg().unwrap();
    let texts = texts(&svg);
    for text in ["training/validation loss", "epochs", "loss", "ŷ(t)", "0.1", "1", "10", "100", "1000", "0", "80"] {
        assert!(texts.iter().any(|found| found == text), "{text} is not in {texts:?}");
    }
    // One marker for each epoch and one in the legend.
    assert_eq!(elements(&parse(&svg), "circle").count(), 101);
}

#[test]
fn markup_in_labels_stays_text() {
    let evil = "<script>alert('1')</script> ]]> & \"q\"";
    let mut figure = Figure::new();
    figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], evil).legend().title(evil).xlabel(evil).ylabel("a\u{0}\u{1b}b");
    let texts = texts(&figure.to_svg().unwrap());
    assert_eq!(texts.iter().filter(|text| *text == evil).count(), 3, "{texts:?}");
    assert!(texts.contains(&"a b".to_owned()), "{texts:?}");
    let graph = layer_graph(&[LayerNode::new(evil, "\u{7}", "]]>")]);
    assert!(self::texts(&graph).contains(&evil.to_owned()));
}

#[test]
fn thinning_keeps_the_extremes() {
    let n = 1_000_000;
    let x = counted(n);
    let mut y: Vec<f64> = x.iter().map(|i| (i * 0.7).sin()).collect();
    (y[777_777], y[123_456]) = (10.0, -7.0);
    let drawn = |x: &[f64], y: &[f64]| {
        let mut figure = Figure::new();
        figure.axes(0, 0).plot(x, y, "");
        let svg = figure.to_svg().unwrap();
        assert!(svg.as_str().len() < 500_000, "{} bytes", svg.as_str().len());
        let mut points = data_lines(&svg).concat();
        points.sort_by(|a, b| a.1.total_cmp(&b.1));
        (points.len(), points[0], points[points.len() - 1])
    };
    let (count, top, bottom) = drawn(&x, &y);
    assert!((1000..10_000).contains(&count), "{count} points");
    // The same range, drawn without thinning.
    let last = f64::from(n - 1);
    let exact = drawn(&[0.0, 123_456.0, 777_777.0, last], &[0.0, -7.0, 10.0, 0.0]);
    assert_eq!((top, bottom), (exact.1, exact.2));
}

#[test]
fn no_picture_is_larger_than_500_kb() {
    let x = counted(100_000);
    let mut figure = subplots(2, 2, Share::None);
    for nth in 0..8 {
        let y: Vec<f64> = x.iter().map(|i| (i * (0.3 + f64::from(nth))).sin()).collect();
        let axes = figure.axes(nth as usize / 4, nth as usize / 2 % 2);
        axes.plot(&x, &y, "").markers().vlines(&x, -1.0, 1.0, "");
    }
    let size = figure.to_svg().unwrap().as_str().len();
    assert!((100_000..=500_000).contains(&size), "{size} bytes");

    // A million points in each of six panels.
    let x = counted(1_000_000);
    let y: Vec<f64> = x.iter().map(|i| (i * 0.7).sin()).collect();
    let mut figure = subplots(3, 2, Share::XAllYColumn);
    for nth in 0..6 {
        figure.axes(nth / 2, nth % 2).plot(&x, &y, "");
    }
    let size = figure.to_svg().unwrap().as_str().len();
    assert!((50_000..=500_000).contains(&size), "{size} bytes");

    let mut figure = subplots(10, 10, Share::None);
    figure.figsize(40.0, 40.0);
    for nth in 0..100 {
        figure.axes(nth / 10, nth % 10).plot(&x[..1000], &y[..1000], "").markers();
    }
    let error = figure.to_svg().unwrap_err().to_string();
    assert!(error.contains("500 kB"), "{error}");
}

#[test]
fn a_trajectory_may_pass_the_same_places_often() {
    let angle = counted(1_000_000);
    let x: Vec<f64> = angle.iter().map(|i| (i / 50.0).cos()).collect();
    let y: Vec<f64> = angle.iter().map(|i| (i / 50.0).sin()).collect();
    let draw = |n: usize| {
        let mut figure = Figure::new();
        figure.axes(0, 0).plot(&x[..n], &y[..n], "").xlabel("V (mV)").ylabel("n");
        figure.to_svg().unwrap()
    };
    let (once, often) = (draw(320), draw(1_000_000));
    assert!(often.as_str().len() <= 500_000, "{} bytes", often.as_str().len());
    let ends = |svg: &Svg| {
        let points = data_lines(svg).concat();
        let fold = |values: Vec<f64>| values.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
        (fold(points.iter().map(|point| point.0).collect()), fold(points.iter().map(|point| point.1).collect()))
    };
    let (once, often) = (ends(&once), ends(&often));
    // In tenths of a pixel.
    for (a, b) in [(once.0, often.0), (once.1, often.1)] {
        assert!((a.0 - b.0).abs() <= 10.0 && (a.1 - b.1).abs() <= 10.0, "{once:?} and {often:?}");
    }

    // Back and forth over the whole panel.
    let zigzag: Vec<f64> = angle[..100_000].iter().map(|i| (i * 7919.0) % 1000.0).collect();
    let mut figure = Figure::new();
    figure.axes(0, 0).plot(&zigzag, &angle[..100_000], "").markers();
    let size = figure.to_svg().unwrap().as_str().len();
    assert!((10_000..=500_000).contains(&size), "{size} bytes");
}

#[test]
fn shared_axes_have_the_same_range() {
    let draw = |share| {
        let mut figure = subplots(2, 1, share);
        figure.axes(0, 0).plot(&[0.0, 10.0], &[0.0, 1.0], "");
        figure.axes(1, 0).plot(&[0.0, 1000.0], &[-300.0, 400.0], "");
        figure.to_svg().unwrap()
    };
    let halves = |svg: &Svg| {
        let labels = y_labels(svg);
        let (top, bottom) = labels.split_at(labels.len() / 2);
        (top.to_vec(), bottom.to_vec())
    };
    let both = draw(Share::XAllYColumn);
    let (top, bottom) = halves(&both);
    assert_eq!(top, bottom);
    assert!(top.contains(&"−200".to_owned()), "{top:?}");
    // The upper line ends at x = 10 of 1000.
    let widths = |svg: &Svg| -> Vec<f64> { data_lines(svg).iter().map(|line| line[1].0 - line[0].0).collect() };
    assert!((widths(&both)[0] / widths(&both)[1] - 0.01).abs() < 1e-3, "{:?}", widths(&both));
    // Tick labels of a shared x axis are below the last panel only.
    let count = |svg: &Svg| texts(svg).iter().filter(|text| *text == "1000").count();
    assert_eq!(count(&both), 1);

    let x_only = draw(Share::XAll);
    assert!(y_labels(&x_only).contains(&"0.2".to_owned()), "{:?}", y_labels(&x_only));
    assert_eq!(widths(&x_only), widths(&both));
    let none = draw(Share::None);
    assert_eq!(widths(&none)[0], widths(&none)[1]);
}

#[test]
fn limits_replace_the_range_of_the_data_and_cut_the_line() {
    let mut figure = Figure::new();
    figure.axes(0, 0).plot(&[0.0, 100.0], &[0.0, 100.0], "").xlim(0.0, 10.0).ylim(0.0, 5.0);
    let line = data_lines(&figure.to_svg().unwrap()).concat();
    let mut figure = Figure::new();
    figure.axes(0, 0).plot(&[0.0, 5.0], &[0.0, 5.0], "").xlim(0.0, 10.0).ylim(0.0, 5.0);
    assert_eq!(line, data_lines(&figure.to_svg().unwrap()).concat());
}

#[test]
fn what_cannot_be_drawn_leaves_gaps() {
    let lines = |y: &[f64], log: bool| {
        let mut figure = Figure::new();
        let axes = figure.axes(0, 0);
        if log {
            axes.semilogy(&counted(y.len() as i32), y, "")
        } else {
            axes.plot(&counted(y.len() as i32), y, "")
        };
        data_lines(&figure.to_svg().unwrap()).iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(lines(&[1.0, 2.0, f64::NAN, 3.0, 4.0, 5.0, f64::INFINITY], false), [2, 3]);
    assert_eq!(lines(&[1.0, 2.0, 0.0, 3.0, 4.0, -1.0], true), [2, 2]);
    assert_eq!(lines(&[1.0, -2.0], false), [2]);
}

#[test]
fn vertical_lines_mark_their_times() {
    let draw = |spikes: &[f64]| {
        let mut figure = Figure::new();
        figure.axes(0, 0).plot(&[0.0, 1000.0], &[-65.0, -60.0], "Vm").vlines(spikes, -95.0, -80.0, "spikes").legend();
        figure.to_svg().unwrap()
    };
    let black = |svg: &Svg| {
        let document = parse(svg);
        elements(&document, "polyline").filter(|node| node.attribute("stroke-width") == Some("20")).count()
    };
    let none = draw(&[]);
    // Both legend entries are there without spikes too; the axis is that of the potential alone.
    assert!(texts(&none).contains(&"spikes".to_owned()));
    assert!(!texts(&none).contains(&"−90".to_owned()));
    let some = draw(&[100.0, 500.0, 500.0]);
    assert!(texts(&some).contains(&"−90".to_owned()));
    assert_eq!(black(&some) - black(&none), 2);
}

#[test]
fn no_text_is_cut_off_or_overlaps_another() {
    let x = counted(100);
    let layouts = [(3, 2, (8.0, 8.0)), (1, 1, (6.4, 4.8)), (1, 1, (4.0, 3.0)), (2, 1, (6.4, 4.8)), (1, 3, (12.0, 4.0))];
    for (rows, columns, size) in layouts {
        for (factor, shift) in [(1.0, 0.0), (1e-9, 0.0), (1e6, 1e12), (-350.0, 65.0), (0.001, -0.05)] {
            for share in [Share::None, Share::XAll, Share::XAllYColumn] {
                let mut figure = subplots(rows, columns, share);
                figure.figsize(size.0, size.1);
                let y: Vec<f64> = x.iter().map(|i| factor * i.sqrt() + shift).collect();
                for panel in 0..rows * columns {
                    let axes = figure.axes(panel / columns, panel % columns);
                    axes.plot(&y, &y, "")
                        .title("a title that has to be broken into lines to fit its panel, as it is long");
                    axes.xlabel("t (ms)").ylabel("a quantity whose name is long enough for two lines (mV)");
                }
                let what = format!("{rows} x {columns}, {size:?}, {share:?}, {factor}");
                let svg = figure.to_svg().expect(&what);
                let document = parse(&svg);
                let boxes: Vec<_> = elements(&document, "text").map(bounds).collect();
                for (nth, a) in boxes.iter().enumerate() {
                    let inside = a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= 960.0 * size.0 && a[3] <= 960.0 * size.1;
                    assert!(inside, "{a:?} {what}");
                    for b in &boxes[..nth] {
                        let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                        assert!(apart, "{a:?} and {b:?} {what}");
                    }
                }
            }
        }
    }
}

/// Left, top, right and bottom of a text, with rough widths of narrow and of wide letters.
fn bounds(node: Node) -> [f64; 4] {
    let (x, y, size) = (number(node, "x"), number(node, "y"), number(node, "font-size"));
    let advance = |c| if "iljtfr .,:()[]".contains(c) { 0.3 } else { 0.6 };
    let width = size * node.text().unwrap_or_default().trim().chars().map(advance).sum::<f64>();
    let start = match node.attribute("text-anchor") {
        Some("middle") => -width / 2.0,
        Some("end") => -width,
        _ => 0.0,
    };
    // Capitals reach from the top to 0.76 of the size below it.
    match node.attribute("transform") {
        None => [x + start, y, x + start + width, y + 0.95 * size],
        Some(turned) => {
            assert!(turned.starts_with("rotate(270"), "{turned}");
            [x, y - start - width, x + 0.95 * size, y - start]
        }
    }
}

/// Smallest and largest x, smallest and largest y of a polyline or a polygon.
fn extent(node: Node) -> [f64; 4] {
    let pairs = node.attribute("points").expect("points").split_whitespace();
    pairs.fold([f64::INFINITY, 0.0, f64::INFINITY, 0.0], |[left, right, top, bottom], pair| {
        let (x, y) = pair.split_once(',').expect("x,y");
        let (x, y): (f64, f64) = (x.parse().expect("x"), y.parse().expect("y"));
        [left.min(x), right.max(x), top.min(y), bottom.max(y)]
    })
}

/// The box around the only panel of a figure: the first black outline.
fn panel(document: &Document) -> [f64; 4] {
    let outline = |node: &Node| node.attribute("points").is_some_and(|points| points.split_whitespace().count() == 6);
    extent(of_colour(document, "polyline", "#000000").into_iter().find(outline).expect("a box"))
}

fn of_colour<'a>(document: &'a Document, name: &'a str, colour: &'a str) -> Vec<Node<'a, 'a>> {
    let coloured = move |node: &Node| [node.attribute("stroke"), node.attribute("fill")].contains(&Some(colour));
    elements(document, name).filter(coloured).collect()
}

#[test]
fn thin_lines_are_sharp_and_boxes_are_aligned() {
    let mut figure = subplots(2, 2, Share::None);
    for nth in 0..4 {
        figure.axes(nth / 2, nth % 2).semilogy(&[0.0, 1.0], &[1.0, 10_f64.powi(nth as i32 + 1)], "a").grid().legend();
    }
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    let thin = elements(&document, "polyline").filter(|node| node.attribute("stroke-width") == Some("10"));
    let mut boxes = Vec::new();
    for line in thin {
        let [left, right, top, bottom] = extent(line);
        // Across its direction, a line runs through the middles of pixels.
        assert!((left == right && left % 10.0 == 5.0) || top % 10.0 == 5.0, "{line:?}");
        if left < right && top < bottom && line.attribute("stroke") == Some("#000000") {
            boxes.push([left, right, top, bottom]);
        }
    }
    assert_eq!(boxes.len(), 4);
    assert_eq!((boxes[0][..2].to_vec(), boxes[1][2..].to_vec()), (boxes[2][..2].to_vec(), boxes[0][2..].to_vec()));
}

#[test]
fn a_scatter_plot_has_a_marker_for_each_visible_point() {
    let mut figure = Figure::new();
    let (x, y) = ([0.0, 1.0, 2.0, 3.0, f64::NAN], [1.0, 5.0, 2.0, 3.0, 1.0]);
    figure.axes(0, 0).scatter(&x, &y, "cells").ylim(0.0, 4.0).plot(&[0.0, 3.0], &[0.0, 4.0], "line");
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    assert_eq!(of_colour(&document, "circle", "#004A8F").len(), 3);
    // The next series has the next colour.
    assert_eq!(of_colour(&document, "polyline", "#D55E00").len(), 1);
}

#[test]
fn bars_of_a_histogram_stand_on_the_axis_and_are_as_high_as_their_counts() {
    let mut figure = Figure::new();
    figure.axes(0, 0).hist(&[1.0, 1.1, 1.2, 1.3, 2.5, 3.9, 4.0, f64::NAN], 3, "");
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    let bars = of_colour(&document, "rect", "#004A8F");
    let heights: Vec<f64> = bars.iter().map(|bar| number(*bar, "height")).collect();
    assert!(
        (heights[0] / heights[1] - 4.0).abs() < 0.01 && (heights[2] / heights[1] - 2.0).abs() < 0.01,
        "{heights:?}"
    );
    let [.., bottom] = panel(&document);
    assert!(bars.iter().all(|bar| number(*bar, "y") + number(*bar, "height") == bottom), "{bars:?}");
    // Zero is not always the lower end of the axis.
    let mut lower = Figure::new();
    lower.axes(0, 0).hist(&[1.0, 1.0, 2.0], 2, "").ylim(-1.0, 3.0);
    let svg = lower.to_svg().unwrap();
    let low_document = parse(&svg);
    let ([_, _, top, low], bar) = (panel(&low_document), of_colour(&low_document, "rect", "#004A8F")[0]);
    assert!((number(bar, "height") - (low - top) / 2.0).abs() <= 1.0, "{bar:?}");
    let widths: Vec<f64> = bars.iter().map(|bar| number(*bar, "width")).collect();
    assert!(widths.iter().all(|width| (width - widths[0]).abs() <= 1.0), "{widths:?}");
}

#[test]
fn bars_are_cut_at_the_edges() {
    let draw = |log: bool, xlim: (f64, f64), ylim: (f64, f64)| {
        let mut figure = Figure::new();
        figure.axes(0, 0).hist(&[0.0, 0.0, 0.0, 1.5, 3.0], 3, "").xlim(xlim.0, xlim.1).ylim(ylim.0, ylim.1);
        if log {
            figure.axes(0, 0).semilogy(&[0.0], &[1.0], "");
        }
        let svg = figure.to_svg().unwrap();
        let document = parse(&svg);
        let [left, right, top, bottom] = panel(&document);
        let bars = of_colour(&document, "rect", "#004A8F");
        for bar in &bars {
            let (x, y) = (number(*bar, "x"), number(*bar, "y"));
            let (far, low) = (x + number(*bar, "width"), y + number(*bar, "height"));
            // plotters' areas end a tenth of a pixel later.
            assert!(x >= left && far <= right + 1.0 && y >= top && (low - bottom).abs() <= 1.0, "{bar:?}");
        }
        bars.len()
    };
    assert_eq!(draw(false, (0.0, 3.0), (0.0, 2.0)), 3);
    assert_eq!(draw(false, (1.2, 1.8), (0.0, 2.0)), 1);
    assert_eq!(draw(false, (0.0, 3.0), (1.5, 4.0)), 1);
    assert_eq!(draw(true, (0.0, 3.0), (0.1, 10.0)), 3);
}

#[test]
fn a_band_reaches_from_one_curve_to_the_other() {
    let mut figure = Figure::new();
    let (x, low, high) = ([0.0, 1.0, 2.0], [1.0, 2.0, 1.0], [3.0, 9.0, 3.0]);
    figure.axes(0, 0).fill_between(&x, &low, &high, "spread").xlim(0.0, 2.0).ylim(0.0, 4.0);
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    let [left, right, top, bottom] = panel(&document);
    let band = extent(of_colour(&document, "polygon", "#004A8F")[0]);
    let unit = (bottom - top) / 4.0;
    assert_eq!(band[..3], [left, right, top]);
    assert!((band[3] - (bottom - unit)).abs() <= 1.0, "{band:?} in {:?}", [left, right, top, bottom]);
    // Upside down, it is the same.
    let mut turned = Figure::new();
    turned.axes(0, 0).fill_between(&x, &high, &low, "spread").xlim(0.0, 2.0).ylim(0.0, 4.0);
    let svg = turned.to_svg().unwrap();
    assert_eq!(extent(of_colour(&parse(&svg), "polygon", "#004A8F")[0]), band);
}

#[test]
fn error_bars_are_as_long_as_the_errors() {
    let bars = |log: bool| {
        let mut figure = Figure::new();
        let axes = figure.axes(0, 0);
        axes.errorbar(&[1.0, 2.0, 3.0], &[2.0, 2.0, 2.0], &[1.0, 3.0, f64::NAN], "mean").ylim(0.5, 4.5);
        if log {
            axes.semilogy(&[1.0], &[1.0], "");
        }
        let svg = figure.to_svg().unwrap();
        let document = parse(&svg);
        let [_, _, top, bottom] = panel(&document);
        let lines = of_colour(&document, "polyline", "#004A8F").into_iter().map(extent);
        let (upright, caps): (Vec<_>, Vec<_>) = lines.partition(|[left, right, ..]| left == right);
        assert_eq!(of_colour(&document, "circle", "#004A8F").len(), 3);
        (
            upright.iter().map(|[_, _, up, down]| ((up - top) / 10.0, (bottom - down) / 10.0)).collect::<Vec<_>>(),
            caps.len(),
        )
    };
    let (upright, caps) = bars(false);
    let pixels = 0.5 * (upright[0].0 + upright[0].1);
    // From 1 to 3 of 0.5 to 4.5: three eighths and one eighth are free. The second one is cut off, without caps there.
    assert!((upright[0].0 / pixels - 1.5).abs() < 0.01 && (upright[0].1 / pixels - 0.5).abs() < 0.01, "{upright:?}");
    let fills = |(above, below): (f64, f64)| above.abs() <= 0.1 && below.abs() <= 0.1;
    assert!(fills(upright[1]) && fills(bars(true).0[1]), "{upright:?}");
    assert_eq!((upright.len(), caps), (2, 2));
}

#[test]
fn lines_across_the_panel_reach_from_edge_to_edge() {
    let mut figure = Figure::new();
    figure
        .axes(0, 0)
        .plot(&[0.0, 10.0], &[0.0, 1.0], "")
        .axhline(2.0, "threshold")
        .axvline(20.0, "")
        .hlines(&[0.5, 9.0], 4.0, 8.0, "")
        .ylim(-1.0, 3.0);
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    let [left, right, top, bottom] = panel(&document);
    let thick = of_colour(&document, "polyline", "#000000")
        .into_iter()
        .filter(|node| node.attribute("stroke-width") == Some("20"));
    let lines: Vec<_> = thick.map(extent).collect();
    // The second of the hlines is outside.
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[0][0], lines[0][1], lines[1][2], lines[1][3]), (left, right, top, bottom));
    // The x axis reaches over both the data and the vertical line.
    assert!((lines[2][1] - lines[2][0]) / (right - left) - 4.0 / 22.0 < 0.001, "{lines:?}");
    assert!(texts(&svg).contains(&"20.0".to_owned()), "{:?}", texts(&svg));
}

#[test]
fn a_logarithmic_x_axis_has_equal_distances_for_equal_ratios() {
    let mut figure = Figure::new();
    figure.axes(0, 0).semilogx(&[1.0, 10.0, 100.0, 0.0], &[0.0, 1.0, 2.0, 3.0], "");
    let svg = figure.to_svg().unwrap();
    let line = &data_lines(&svg)[0];
    assert_eq!(line.len(), 3);
    assert!((line[2].0 - 2.0 * line[1].0 + line[0].0).abs() <= 2.0, "{line:?}");
    assert!(texts(&svg).contains(&"100".to_owned()));
    // Two decades with eight minor ticks each, and a few in the margins.
    let document = parse(&svg);
    let short = elements(&document, "polyline")
        .map(extent)
        .filter(|[left, right, top, bottom]| left == right && bottom - top == 30.0);
    assert!((16..=18).contains(&short.count()));
}

#[test]
fn series_have_the_colour_style_and_width_they_are_given() {
    let mut figure = Figure::new();
    let axes = figure.axes(0, 0);
    axes.plot(&[0.0, 1.0], &[0.0, 0.0], "").color("#228833").linewidth(0.5);
    axes.plot(&[0.0, 1.0], &[1.0, 1.0], "").color("C3").linestyle("--");
    axes.plot(&[0.0, 1.0], &[2.0, 2.0], "").color("black").linestyle(":");
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    let thin = of_colour(&document, "polyline", "#228833");
    assert_eq!((thin.len(), thin[0].attribute("stroke-width")), (1, Some("5")));
    let [left, right, ..] = extent(thin[0]);
    let covered = |colour: &str| {
        let dashes = of_colour(&document, "polyline", colour)
            .into_iter()
            .filter(|node| node.attribute("stroke-width") == Some("20"));
        let lengths: Vec<f64> = dashes.map(extent).map(|[left, right, ..]| right - left).collect();
        (lengths.len(), lengths.iter().sum::<f64>() / (right - left))
    };
    let (dashed, dotted) = (covered("#661100"), covered("#000000"));
    assert!(dashed.0 > 20 && (dashed.1 - 3.7 / 5.3).abs() < 0.02, "{dashed:?}");
    assert!(dotted.0 > 50 && (dotted.1 - 1.0 / 2.65).abs() < 0.02, "{dotted:?}");
}

#[test]
fn a_grid_runs_through_the_labels() {
    let draw = |grid: bool| {
        let mut figure = Figure::new();
        figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "");
        if grid {
            figure.axes(0, 0).grid();
        }
        let svg = figure.to_svg().unwrap();
        let labels = texts(&svg).len();
        (labels, of_colour(&parse(&svg), "polyline", "#DDDDDD").len())
    };
    assert_eq!(draw(false).1, 0);
    let (labels, lines) = draw(true);
    assert_eq!(labels, lines);
}

#[test]
fn a_text_stays_in_its_panel() {
    let mut figure = Figure::new();
    let axes = figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "");
    axes.text(0.95, 0.5, "a text near the right edge").text(2.0, 0.5, "outside").text(f64::NAN, 0.0, "nowhere");
    axes.text(0.0, 0.0, "<b> & \u{1b}").color("C1");
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    let [_, right, ..] = panel(&document);
    let find =
        |text: &str| elements(&document, "text").find(|node| node.text().is_some_and(|found| found.trim() == text));
    let [.., end, _] = bounds(find("a text near the right edge").unwrap());
    assert!((right - 400.0..right).contains(&end), "{end} of {right}");
    assert!(find("outside").is_none() && find("nowhere").is_none());
    assert_eq!(find("<b> &").unwrap().attribute("fill"), Some("#D55E00"));
}

#[test]
fn anything_of_plotters_can_be_drawn_in_a_panel() {
    let mut figure = subplots(1, 2, Share::None);
    let axes = figure.axes(0, 1);
    axes.plot(&[0.0, 4.0], &[0.0, 4.0], "line").xlim(0.0, 4.0).ylim(0.0, 4.0).legend();
    axes.draw(|chart| {
        chart.draw_series([TriangleMarker::new((2.0, 2.0), 6 * PX, RED.filled())])?;
        let series = LineSeries::new([(1.0, 1.0), (9.0, 1.0)], RED.stroke_width(PX));
        chart.draw_series(series)?.label("plotters").legend(|(x, y)| PathElement::new([(x, y), (x + 100, y)], RED));
        let style = ("sans-serif", 13 * PX);
        chart.draw_series([plotters::element::Text::new("a\u{0}b", (1.0, 3.0), style)])?;
        Ok(())
    });
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    let marker = extent(of_colour(&document, "polygon", "#FF0000")[0]);
    let outline = |node: &Node| node.attribute("points").is_some_and(|points| points.split_whitespace().count() == 6);
    let [left, right, ..] = extent(elements(&document, "polyline").filter(outline).nth(1).unwrap());
    assert!(((marker[0] + marker[1]) / 2.0 - (left + right) / 2.0).abs() <= 1.0, "{marker:?}");
    // plotters moves what is outside to the edge.
    assert!((extent(of_colour(&document, "polyline", "#FF0000")[0])[1] - right).abs() <= 1.0);
    let texts = texts(&svg);
    assert!(texts.contains(&"plotters".to_owned()) && texts.contains(&"a b".to_owned()), "{texts:?}");
    svg.to_png().unwrap();

    figure.axes(0, 0).draw(|chart| {
        chart.draw_series([Circle::new((0.0, 0.0), 1, RED)])?;
        "four".parse::<f64>()?;
        Ok(())
    });
    let error = figure.to_svg().unwrap_err().to_string();
    assert_eq!(error, "figure: axes(0, 0): draw(): invalid float literal");
}

#[test]
fn the_legend_does_not_cover_the_data() {
    let x = counted(100);
    // Each leaves one corner free.
    let curves: [fn(f64) -> f64; 4] = [|x| x, |x| 99.0 - x, |x| (99.0 - x) * x / 25.0, |x| (x - 50.0).abs()];
    for (nth, curve) in curves.iter().enumerate() {
        let y: Vec<f64> = x.iter().map(|x| curve(*x)).collect();
        let mut figure = Figure::new();
        figure.axes(0, 0).plot(&x, &y, "a label").plot(&x, &y, "another label").legend();
        let svg = figure.to_svg().unwrap();
        let document = parse(&svg);
        let [left, right, top, bottom] = extent(of_colour(&document, "polyline", "#CCCCCC")[0]);
        let inside =
            data_lines(&svg)[0].iter().filter(|(x, y)| (left..right).contains(x) && (top..bottom).contains(y)).count();
        assert_eq!(inside, 0, "curve {nth}");
    }
}

#[test]
fn mistakes_are_named_when_the_figure_is_drawn() {
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    type Mistake = fn(&mut Figure, f64, f64);
    let cases: [(Mistake, &str); 29] = [
        (|f, _, _| _ = f.axes(0, 1).plot(&[1.0, 2.0], &[1.0], "V_m"), "axes(0, 1): 'V_m': x has 2 values, y has 1"),
        (|f, _, _| _ = f.axes(0, 1).plot(&[], &[], "V_m"), "axes(0, 1): 'V_m': there are no values"),
        (|f, nan, inf| _ = f.axes(0, 0).plot(&[1.0, 2.0], &[nan, inf], "V_m"), "'V_m': no value is finite"),
        (|f, _, _| _ = f.axes(0, 0).plot(&[1.0], &[1e301], "V_m"), "'V_m': no value is finite and within ±1e300"),
        (|f, _, _| _ = f.axes(0, 0).semilogy(&[1.0], &[0.0], "loss"), "'loss': no value above 0"),
        (
            |f, _, _| _ = f.axes(2, 0).plot(&[1.0], &[1.0], ""),
            "axes(2, 0): the figure has rows 0 to 1 and columns 0 to 1",
        ),
        (|f, _, _| _ = f.axes(usize::MAX, usize::MAX).title(""), "the figure has rows 0 to 1"),
        (|f, _, _| _ = f.axes(0, 0).xlim(1.0, 1.0), "xlim(1, 1): give two finite values, the lower one first"),
        (|f, nan, _| _ = f.axes(0, 0).ylim(nan, 1.0), "ylim(NaN, 1)"),
        (
            |f, _, _| _ = f.axes(0, 0).semilogy(&[1.0], &[1.0], "").ylim(-1.0, 1.0),
            "logarithmic axis: give values above 0",
        ),
        (|f, _, inf| _ = f.axes(0, 0).vlines(&[1.0], 0.0, inf, "spikes"), "'spikes': vertical lines from 0 to inf"),
        (|f, _, _| _ = f.axes(0, 0).markers(), "markers(): call it after"),
        (|f, _, _| _ = f.axes(0, 0).scatter(&[1.0], &[1.0], "").markers(), "markers(): call it after the plot"),
        (|f, _, _| _ = f.axes(0, 0).color("C1"), "color(\"C1\"): call it after the series"),
        (|f, _, _| _ = f.axes(0, 0).plot(&[1.0], &[1.0], "").color("C9"), "color(\"C9\"): give C0 to C5"),
        (|f, _, _| _ = f.axes(0, 0).linestyle("--"), "linestyle(\"--\"): call it after the line"),
        (|f, _, _| _ = f.axes(0, 0).plot(&[1.0], &[1.0], "").linestyle("-."), "linestyle(\"-.\"): give"),
        (|f, _, _| _ = f.axes(0, 0).scatter(&[1.0], &[1.0], "").linewidth(1.0), "linewidth(1): call it after the line"),
        (|f, nan, _| _ = f.axes(0, 0).plot(&[1.0], &[1.0], "").linewidth(nan), "linewidth(NaN): give a width"),
        (|f, _, _| _ = f.axes(0, 0).scatter(&[1.0], &[], "V_m"), "'V_m': x has 1 values, y has 0"),
        (|f, _, _| _ = f.axes(0, 0).errorbar(&[1.0], &[1.0], &[], "V_m"), "'V_m': x has 1 values, yerr has 0"),
        (|f, _, _| _ = f.axes(0, 0).fill_between(&[1.0], &[1.0], &[], "V_m"), "'V_m': x has 1 values, y2 has 0"),
        (|f, _, _| _ = f.axes(0, 0).hist(&[1.0], 0, "V_m"), "'V_m': 0 bins; give 1 to 1000"),
        (|f, nan, _| _ = f.axes(0, 0).hist(&[nan], 5, "V_m"), "'V_m': no value is finite"),
        (|f, nan, _| _ = f.axes(0, 0).axhline(nan, "V_m"), "'V_m': no value is finite"),
        (|f, _, inf| _ = f.axes(0, 0).hlines(&[1.0], 0.0, inf, "I"), "'I': horizontal lines from 0 to inf"),
        (
            |f, _, _| _ = f.axes(0, 0).semilogx(&[1.0], &[1.0], "").xlim(-1.0, 1.0),
            "xlim of a logarithmic axis: give values above 0",
        ),
        (|f, nan, _| _ = f.figsize(nan, 4.0), "figsize(NaN, 4)"),
        (|f, _, _| _ = f.figsize(1.0, 1.0), "too small; give a larger figsize"),
    ];
    for (mistake, message) in cases {
        let mut figure = subplots(2, 2, Share::None);
        mistake(&mut figure, nan, infinity);
        let error = figure.to_svg().unwrap_err().to_string();
        assert!(error.starts_with("figure: ") && error.contains(message), "{error}");
    }
    for (rows, columns) in [(0, 1), (1, 0), (11, 10), (usize::MAX, usize::MAX)] {
        let error = subplots(rows, columns, Share::None).to_svg().unwrap_err().to_string();
        assert!(error.contains("give 1 to 100 panels"), "{error}");
    }
    let mut figure = Figure::new();
    for _ in 0..100 {
        figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "one of many").legend();
    }
    let error = figure.to_svg().unwrap_err().to_string();
    assert!(error.contains("a legend of 100 entries does not fit"), "{error}");
}

#[test]
fn values_at_the_limits_of_doubles_can_be_drawn() {
    for y in
        [[-1e300, 1e300], [0.0, 5e-324], [1.0, 1.0 + f64::EPSILON], [0.0, 0.0], [-1e-310, 1e-290], [3e15, 3e15 + 1.0]]
    {
        for log in [false, true] {
            let mut figure = Figure::new();
            let axes = figure.axes(0, 0);
            let positive = y.iter().any(|y| *y > 1e-300);
            if log && positive {
                axes.semilogy(&y, &y, "").markers()
            } else {
                axes.plot(&y, &y, "").markers()
            };
            let svg = figure.to_svg().unwrap();
            assert!(elements(&parse(&svg), "circle").count() > 0, "{y:?}");
            assert!(!svg.as_str().contains("NaN") && !svg.as_str().contains("inf"), "{y:?}");
        }
    }
}

#[test]
fn files_are_svg_or_png_and_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut figure = Figure::new();
    figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "I");
    for name in ["figure.gif", "figure", ".svg"] {
        let error = figure.save(&path(name), true).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("ends in .svg or .png"), "{error}");
    }
    for name in ["figure.svg", "figure.PNG"] {
        figure.save(&path(name), true).unwrap();
        assert!(figure.save(&path(name), false).unwrap_err().to_string().contains("exists already"));
        figure.axes(0, 0).title("again");
        figure.save(&path(name), true).unwrap();
    }
    let svg = figure.to_svg().unwrap();
    assert_eq!(fs::read_to_string(path("figure.svg")).unwrap(), svg.as_str());
    assert_eq!(fs::read(path("figure.PNG")).unwrap(), svg.to_png().unwrap());
    let error = figure.save(&path("missing/figure.svg"), true).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    // A mistake in the figure leaves the file as it is.
    figure.axes(0, 0).plot(&[], &[], "");
    figure.save(&path("figure.svg"), true).unwrap_err();
    assert_eq!(fs::read_to_string(path("figure.svg")).unwrap(), svg.as_str());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// Width, height, and the colours of the pixels, row by row, as another program reads them.
fn decode(bytes: &[u8]) -> (usize, usize, Vec<[u8; 3]>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    let per_metre = reader.info().pixel_dims.unwrap();
    assert_eq!((per_metre.xppu, per_metre.yppu, per_metre.unit), (7559, 7559, png::Unit::Meter));
    (info.width as usize, info.height as usize, pixels.chunks(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect())
}

#[test]
fn a_png_shows_the_same_as_the_svg() {
    let mut figure = Figure::new();
    figure.axes(0, 0).plot(&[0.0, 1.0], &[5.0, 5.0], "").ylim(0.0, 10.0).xlim(-1.0, 2.0);
    let svg = figure.to_svg().unwrap();
    let (width, height, pixels) = decode(&svg.to_png().unwrap());
    assert_eq!((width, height), (2 * 615, 2 * 461));
    let at = |x: f64, y: f64| pixels[(y / 5.0) as usize * width + (x / 5.0) as usize];
    // The line: its colour along its middle, white above, below and beside.
    let line = &data_lines(&svg)[0];
    let (left, right, y) = (line[0].0, line[1].0, line[0].1);
    for part in [0.01, 0.5, 0.99] {
        let x = left + part * (right - left);
        assert_eq!(at(x, y), [0x00, 0x4a, 0x8f]);
        assert_eq!((at(x, y - 20.0), at(x, y + 20.0)), ([255; 3], [255; 3]));
    }
    assert_eq!((at(left - 20.0, y), at(right + 20.0, y)), ([255; 3], [255; 3]));
    // The tick label of 0 at the left, and nothing left of it.
    let document = parse(&svg);
    let zero = elements(&document, "text").find(|node| node.text().is_some_and(|text| text.trim() == "0")).unwrap();
    let [left, top, right, bottom] = bounds(zero);
    let dark = |from: f64, to: f64| {
        let inside = |n: usize| {
            let (x, y) = ((n % width) as f64 * 5.0, (n / width) as f64 * 5.0);
            (from..to).contains(&x) && (top..bottom).contains(&y)
        };
        pixels.iter().enumerate().filter(|(n, pixel)| inside(*n) && pixel[0] < 100).count()
    };
    assert!((20..200).contains(&dark(left, right)), "{} dark pixels", dark(left, right));
    assert_eq!(dark(0.0, left), 0);
}

#[test]
fn text_of_a_png_is_where_it_is_in_the_svg() {
    let mut figure = Figure::new();
    figure.axes(0, 0).title("HHH").ylabel("HHH");
    let svg = figure.to_svg().unwrap();
    let (width, _, pixels) = decode(&svg.to_png().unwrap());
    let document = parse(&svg);
    let texts: Vec<Node> =
        elements(&document, "text").filter(|node| node.text().is_some_and(|text| text.trim() == "HHH")).collect();
    assert_eq!(texts.len(), 2);
    for text in texts {
        let (x, y, size) = (number(text, "x") / 5.0, number(text, "y") / 5.0, number(text, "font-size") / 5.0);
        // Capitals stand on a baseline 0.76 of the size below, or right of, the text's upper end.
        let ([left, right], [top, bottom]) = match text.attribute("transform") {
            None => ([x - 2.0 * size, x + 2.0 * size], [y, y + 0.78 * size]),
            Some(_) => ([x, x + 0.78 * size], [y - 2.0 * size, y + 2.0 * size]),
        };
        let dark = pixels.iter().enumerate().filter(|(_, pixel)| pixel[0] < 100);
        let places = dark.map(|(nth, _)| ((nth % width) as f64 + 0.5, (nth / width) as f64 + 0.5));
        let inside: Vec<_> = places.filter(|(x, y)| (left..right).contains(x) && (top..bottom).contains(y)).collect();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let middle =
            (mean(inside.iter().map(|place| place.0).collect()), mean(inside.iter().map(|place| place.1).collect()));
        assert!(inside.len() > 200, "{} dark pixels", inside.len());
        assert!(
            (middle.0 - (left + right) / 2.0).abs() < 1.5 && (middle.1 - (top + bottom) / 2.0).abs() < 1.5,
            "{middle:?}"
        );
    }
}

#[test]
fn every_shape_and_letter_is_drawn_as_pixels() {
    let mut figure = Figure::new();
    figure.axes(0, 0).plot(&[0.0, 1.0], &[-65.0, -60.0], "ŷ(t), mV²·10⁻³ \u{1f41f}").markers().legend();
    figure.axes(0, 0).vlines(&[0.5], -95.0, -80.0, "spikes").ylabel("Vₘ (mV)").title("");
    let upwards = decode(&figure.to_svg().unwrap().to_png().unwrap());
    figure.axes(0, 0).ylabel("");
    assert_ne!(upwards, decode(&figure.to_svg().unwrap().to_png().unwrap()));
    let graph = layer_graph(&[LayerNode::new("a", "(1)", "(2)"), LayerNode::new("b", "(2)", "(3)")]);
    let (_, _, pixels) = decode(&graph.to_png().unwrap());
    assert!(pixels.contains(&[0; 3]) && pixels.contains(&[255; 3]));
    assert_eq!(decode(&layer_graph(&[]).to_png().unwrap()).2.iter().filter(|pixel| **pixel != [255; 3]).count(), 0);
}

/// Figures of two panels and 500 points for currents of 0, 40, ... pA.
fn slider(frames: i32, points: i32) -> Slider {
    let t = counted(points);
    let mut slider = Slider::new("I (pA)");
    for nth in 0..frames {
        let strength = 40.0 * f64::from(nth);
        let current: Vec<f64> = t.iter().map(|t| strength * (t * 0.7).sin()).collect();
        let potential: Vec<f64> = current.iter().map(|i| -65.0 + i / 100.0).collect();
        let mut figure = subplots(2, 1, Share::XAll);
        figure.axes(0, 0).plot(&t, &current, "I").ylabel("I (pA)").legend();
        figure.axes(1, 0).plot(&t, &potential, "V").vlines(&[strength], -95.0, -85.0, "spikes").legend();
        slider.frame(&format!("{strength}"), figure);
    }
    slider
}

#[test]
fn a_slider_holds_every_figure_over_the_same_axes() {
    let html = slider(25, 500).to_html().unwrap();
    assert!(html.len() <= 500_000, "{} bytes", html.len());
    let document = Document::parse(&html).expect("well-formed");
    let frames: Vec<Node> = document.descendants().filter(|node| node.attribute("data-value").is_some()).collect();
    let values: Vec<_> = frames.iter().map(|frame| frame.attribute("data-value").unwrap()).collect();
    assert_eq!((values.len(), values[0], values[24]), (25, "0", "960"));
    let shown: Vec<_> = frames.iter().filter(|frame| frame.attribute("display") == Some("inline")).collect();
    assert_eq!((shown.len(), shown[0].attribute("data-value")), (1, Some("480")));
    // The current's strength is that of its line: the axes are those of the strongest one.
    let heights: Vec<f64> = frames
        .iter()
        .map(|frame| {
            let line = frame.descendants().find(|node| node.has_attribute("points")).unwrap();
            let points = line.attribute("points").unwrap().split_whitespace();
            let y: Vec<f64> = points.map(|pair| pair.split_once(',').unwrap().1.parse().unwrap()).collect();
            y.iter().fold(0.0, |high: f64, y| high.max(*y)) - y.iter().fold(f64::INFINITY, |low, y| low.min(*y))
        })
        .collect();
    for (nth, height) in heights.iter().enumerate() {
        assert!((height - heights[24] * nth as f64 / 24.0).abs() < 2.0, "{heights:?}");
    }
    // Axes, labels and legends are there once.
    let texts: Vec<_> =
        document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text"))).collect();
    for label in ["I (pA)", "V", "spikes"] {
        assert_eq!(
            texts.iter().filter(|text| text.text().is_some_and(|text| text.trim() == label)).count(),
            1,
            "{label}"
        );
    }
    let input = document.descendants().find(|node| node.has_tag_name("input")).unwrap();
    assert_eq!(
        (input.attribute("min"), input.attribute("max"), input.attribute("value")),
        (Some("0"), Some("24"), Some("12"))
    );
    // Nothing is asked of the network; ids would not be unique in a page with two of them.
    assert!(!html.replace("http://www.w3.org/2000/svg", "").contains("http"));
    assert!(document.descendants().all(|node| !node.has_attribute("id") && !node.has_attribute("src")));
    assert!(slider(25, 100_000).to_html().unwrap().len() <= 500_000);
}

#[test]
fn markup_in_a_slider_stays_text() {
    let evil = "<script>alert('1')</script> ]]> & \"q\" --> </g>";
    let mut slider = Slider::new(evil);
    for nth in 0..2 {
        let mut figure = Figure::new();
        figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], evil).legend().title(evil).xlabel(evil);
        slider.frame(&format!("{evil}{nth}\u{0}"), figure);
    }
    let html = slider.to_html().unwrap();
    let document = Document::parse(&html).unwrap();
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("script")).count(), 1);
    let values: Vec<_> = document.descendants().filter_map(|node| node.attribute("data-value")).collect();
    assert_eq!(values, [format!("{evil}0"), format!("{evil}1")]);
    let label = document.descendants().find(|node| node.has_tag_name("label")).unwrap();
    assert_eq!(label.text().unwrap().trim(), evil);
}

#[test]
fn a_slider_names_the_figure_that_does_not_fit() {
    type Change = fn(&mut Figure);
    let figure = |change: Change| {
        let mut figure = Figure::new();
        figure.axes(0, 0).plot(&[0.0, 1.0], &[0.0, 1.0], "I").legend().title("current");
        change(&mut figure);
        figure
    };
    let cases: [(Change, &str); 9] = [
        (|f| *f = subplots(2, 1, Share::None), "slider at '2': its panels or its size are not like"),
        (|f| _ = f.figsize(3.0, 3.0), "slider at '2': its panels or its size are not like"),
        (|f| _ = f.axes(0, 0).title("other"), "slider at '2': its titles and labels are not like"),
        (|f| _ = f.axes(0, 0).markers(), "slider at '2': its legends are not like"),
        (|f| _ = f.axes(0, 0).color("C1"), "slider at '2': its legends are not like"),
        (|f| _ = f.axes(0, 0).linestyle("--"), "slider at '2': its legends are not like"),
        (|f| _ = f.axes(0, 0).scatter(&[0.0], &[0.0], "points"), "slider at '2': its legends are not like"),
        (|f| _ = f.axes(0, 0).grid(), "slider at '2': its grids are not like"),
        (|f| _ = f.axes(0, 0).plot(&[1.0, 2.0], &[1.0], ""), "slider at '2': '': x has 2 values, y has 1"),
    ];
    for (change, message) in cases {
        let mut slider = Slider::new("n");
        slider.frame("1", figure(|_| ())).frame("2", figure(change));
        let error = slider.to_html().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        assert_eq!(slider.to_svg().unwrap_err().to_string(), error);
    }
    let error = Slider::new("n").to_html().unwrap_err().to_string();
    assert!(error.contains("the slider has no figures"), "{error}");
}

#[test]
fn a_slider_is_saved_as_a_page_and_drawn_as_its_middle() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let slider = slider(3, 50);
    let error = slider.save(&path("slider.svg"), true).unwrap_err().to_string();
    assert!(error.contains("ends in .html"), "{error}");
    slider.save(&path("slider.html"), false).unwrap();
    assert!(slider.save(&path("slider.html"), false).unwrap_err().to_string().contains("exists already"));
    let page = fs::read_to_string(path("slider.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains(&slider.to_html().unwrap()));
    assert_eq!(format!("{slider:?}"), "slider 'I (pA)' over 3 figures, from '0' to '80'");
    // Half as high as the axes, which are those of the last one.
    let middle = slider.to_svg().unwrap();
    let line = &data_lines(&middle)[0];
    let ends = line.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), point| (low.min(point.1), high.max(point.1)));
    assert!((500.0..1500.0).contains(&(ends.1 - ends.0)), "{ends:?}");
}

#[test]
fn a_link_to_a_file_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("a.svg"), folder.path().join("b.svg"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    Figure::new().save(link.to_str().unwrap(), true).unwrap();
    assert!(link.is_symlink());
    assert!(fs::read_to_string(&file).unwrap().starts_with("<svg"));
}

#[test]
fn the_graph_has_a_box_for_each_layer_and_arrows_between() {
    let layers = [
        LayerNode::new("input_1: InputLayer", "[(?, ?, 1)]", "[(?, ?, 1)]"),
        LayerNode::new("conv1d: Conv1D", "(?, ?, 1)", "(?, ?, 2)"),
        LayerNode::new("time_distributed: TimeDistributed(Dense)", "(?, ?, 2)", "(?, ?, 1)"),
    ];
    let graph = layer_graph(&layers);
    let texts = texts(&graph);
    for layer in &layers {
        assert!(texts.contains(&layer.name) && texts.contains(&layer.input) && texts.contains(&layer.output));
    }
    assert_eq!(texts.iter().filter(|text| *text == "input:").count(), 3);
    let document = parse(&graph);
    assert_eq!(elements(&document, "polygon").count(), 2);
    let width: f64 = document.root_element().attribute("viewBox").unwrap().split(' ').nth(2).unwrap().parse().unwrap();
    for text in elements(&document, "text").map(bounds) {
        assert!(text[0] > 0.0 && text[2] < width, "{text:?}");
    }
    assert_eq!(self::texts(&layer_graph(&[])).len(), 0);
}

#[test]
fn what_reaches_below_a_logarithmic_axis_ends_at_its_edge() {
    let mut figure = Figure::new();
    figure.axes(0, 0).semilogy(&[0.0, 4.0], &[0.01, 10.0], "").vlines(&[1.0], 0.0, 5.0, "");
    figure.axes(0, 0).errorbar(&[3.0], &[0.1], &[0.3], "");
    let svg = figure.to_svg().unwrap();
    let document = parse(&svg);
    let lines = |colour: &str, width: &str| {
        let is_one =
            |line: &Node| line.attribute("stroke") == Some(colour) && line.attribute("stroke-width") == Some(width);
        elements(&document, "polyline").filter(is_one).count()
    };
    // The rule; the bar and its upper cap.
    assert_eq!((lines("#000000", "20"), lines("#D55E00", "20")), (1, 2));
}
