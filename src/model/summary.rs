//! The model as a table.

use super::Model;

/// Inner widths of the three columns, with a blank on either side: what Keras prints on 80 columns.
const WIDTHS: [usize; 3] = [33, 24, 15];

impl Model {
    /// The model as Keras' `model.summary()` prints it: layers, output shapes (samples, steps, channels), numbers of
    /// weights. Once the model has been trained, the optimiser's variables are counted too, as in Keras.
    ///
    /// ```
    /// use hhnet::model::{ModelOptions, generate_model};
    /// let model = generate_model(&ModelOptions::default())?;
    /// println!("{}", model.summary());
    /// assert!(model.summary().contains(" Total params: 219 (876.00 B)"));
    /// # Ok::<(), hhnet::Error>(())
    /// ```
    pub fn summary(&self) -> String {
        let rule = |left: &str, line: &str, between: &str, right: &str| {
            format!("{left}{}{right}", WIDTHS.map(|width| line.repeat(width)).join(between))
        };
        let row = |edge: &str, cells: [&str; 3]| {
            let [name, shape, params] = cells;
            let [w0, w1, w2] = WIDTHS.map(|width| width - 2);
            format!("{edge} {name:<w0$} {edge} {shape:<w1$} {edge} {params:>w2$} {edge}")
        };
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
            let (name, kind) = (&layer.name, format!("({})", layer.kind));
            let (shape, params) = (layer.output.replace('?', "None"), thousands(layer.params));
            if name.len() + 1 + kind.len() <= WIDTHS[0] - 2 {
                lines.push(row("│", [&format!("{name} {kind}"), &shape, &params]));
            } else {
                lines.push(row("│", [name, &shape, &params]));
                lines.push(row("│", [&kind, "", ""]));
            }
        }
        lines.push(rule("└", "─", "┴", "┘"));
        let weights = self.count_params();
        // The two scalars are the count of steps, 8 bytes, and the learning rate.
        let (optimizer, optimizer_bytes) = match self.adam.momentum.len() {
            0 => (0, 0),
            moments => (2 * moments + 2, 8 * moments + 12),
        };
        let total = |what: &str, count: usize, bytes: usize| {
            format!(" {what} params: {} ({})", thousands(count), memory(bytes))
        };
        lines.push(total("Total", weights + optimizer, 4 * weights + optimizer_bytes));
        lines.push(total("Trainable", weights, 4 * weights));
        lines.push(total("Non-trainable", 0, 0));
        if optimizer > 0 {
            lines.push(total("Optimizer", optimizer, optimizer_bytes));
        }
        lines.join("\n")
    }
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

/// A number of bytes in the largest unit that leaves at least 1.
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
