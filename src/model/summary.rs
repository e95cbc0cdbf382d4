//! The model as a table.

use super::{LayerInfo, Model};

/// Widths of the three columns, with a blank on either side: those of Keras in a terminal of 80 columns.
const WIDTHS: [usize; 3] = [33, 24, 15];

impl Model {
    /// The model as Keras' `model.summary()` prints it: layers, output shapes (samples, steps, channels), numbers of
    /// weights. Where padding, dilation or activation is not as in the original's layers, a line below the layer's name
    /// says so. As in Keras, the optimiser's variables are counted too once the model has been trained. The model's
    /// [`notes`](Model::notes) follow.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// let model = generate_model(&ModelOptions::default())?;
    /// println!("{}", model.summary());
    /// assert!(model.summary().contains(" Total params: 219 (876.00 B)"));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn summary(&self) -> String {
        let mut lines = vec![
            "Model: \"sequential\"".to_string(),
            rule("┏", "━", "┳", "┓"),
            row("┃", ["Layer (type)", "Output Shape", "Param #"]),
            rule("┡", "━", "╇", "┩"),
        ];
        for (i, layer) in self.layers().iter().skip(1).enumerate() {
            if i > 0 {
                lines.push(rule("├", "─", "┼", "┤"));
            }
            lines.extend(layer_rows(layer));
        }
        lines.push(rule("└", "─", "┴", "┘"));
        lines.extend(self.totals());
        lines.extend(self.notes.iter().map(|note| format!(" Note: {note}")));
        lines.join("\n")
    }

    /// The lines below the table.
    fn totals(&self) -> Vec<String> {
        let weights = self.count_params();
        // Two scalars come with the moments: the number of steps, 8 bytes, and the learning rate.
        let (optimizer, optimizer_bytes) = match self.adam.momentum.len() {
            0 => (0, 0),
            moments => (2 * moments + 2, 8 * moments + 12),
        };
        let total = |what: &str, count: usize, bytes: usize| {
            format!(" {what} params: {} ({})", thousands(count), memory(bytes))
        };
        let mut lines = vec![
            total("Total", weights + optimizer, 4 * weights + optimizer_bytes),
            total("Trainable", weights, 4 * weights),
            total("Non-trainable", 0, 0),
        ];
        if optimizer > 0 {
            lines.push(total("Optimizer", optimizer, optimizer_bytes));
        }
        lines
    }
}

/// A horizontal line through the table.
fn rule(left: &str, line: &str, between: &str, right: &str) -> String {
    format!("{left}{}{right}", WIDTHS.map(|width| line.repeat(width)).join(between))
}

fn row(edge: &str, cells: [&str; 3]) -> String {
    let [name, shape, params] = cells;
    let [w0, w1, w2] = WIDTHS.map(|width| width - 2);
    format!("{edge} {name:<w0$} {edge} {shape:<w1$} {edge} {params:>w2$} {edge}")
}

/// A layer on one row, or on two if its name and kind do not fit on one, and a row for its details.
fn layer_rows(layer: &LayerInfo) -> Vec<String> {
    let (name, kind) = (&layer.name, format!("({})", layer.kind));
    let (shape, params) = (layer.output.replace('?', "None"), thousands(layer.params));
    let mut rows = if name.len() + 1 + kind.len() <= WIDTHS[0] - 2 {
        vec![row("│", [&format!("{name} {kind}"), &shape, &params])]
    } else {
        vec![row("│", [name, &shape, &params]), row("│", [&kind, "", ""])]
    };
    if !layer.details.is_empty() {
        rows.push(row("│", [&layer.details, "", ""]));
    }
    rows
}

/// `1234567` as `1,234,567`.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes, in the largest unit in which it is at least 1.
fn memory(bytes: usize) -> String {
    let mut size = bytes as f64;
    let mut units = ["B", "KB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while size >= 1024.0 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1024.0, next);
    }
    format!("{size:.2} {unit}")
}
