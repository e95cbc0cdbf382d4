//! Display of models, histories and tensors.

use super::table::Table;
use super::{HTML, MimeContent, PICTURE, Show, TEXT, range};
use crate::figure::escape;
use crate::model::{Model, from_tensor};
use crate::training::{Evaluation, History};
use crate::{Error, Result};
use tch::Tensor;

impl Show for Tensor {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let values = from_tensor(self).map_err(Error::torch("read a tensor"))?;
        let range = range(values.iter().map(|&value| f64::from(value)));
        let (shape, kind, device) = (self.size(), self.kind(), self.device());
        Ok(vec![(TEXT, format!("tensor of shape {shape:?}, {kind:?}, {device:?}: {range}"))])
    }
}

impl Show for Model {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let summary = self.summary();
        let layers = self.layers().into_iter().skip(1);
        let table = Table {
            caption: summary.lines().next().unwrap_or_default().to_owned(),
            head: vec!["layer (type)", "output shape", "parameters"],
            rows: layers
                .map(|layer| {
                    let name = format!("{} ({})", layer.name, layer.kind);
                    vec![name, layer.output.replace('?', "None"), layer.params.to_string()]
                })
                .collect(),
        };
        let totals = summary.lines().filter(|line| line.starts_with(' ')).map(|line| escape(line.trim()));
        let totals = totals.collect::<Vec<_>>().join("<br/>\n");
        Ok(vec![(HTML, format!("{}<p>{totals}</p>\n", table.html())), (TEXT, summary)])
    }
}

impl Show for History {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        let text = self.to_string();
        if self.is_empty() {
            return Ok(vec![(TEXT, text)]);
        }
        let picture = self.plot().to_svg()?.as_str().to_owned();
        let (head, rows) = self.table();
        let table = Table { caption: format!("{} epochs", self.len()), head, rows }.html();
        let notes: String = self.notes.iter().map(|note| format!("<p>{}</p>\n", escape(note))).collect();
        Ok(vec![(HTML, format!("{picture}\n{table}{notes}")), (PICTURE, picture), (TEXT, text)])
    }
}

impl Show for Evaluation {
    fn mime_bundle(&self) -> Result<Vec<MimeContent>> {
        Ok(vec![(TEXT, format!("loss {:.4}, mse {:.4}", self.loss, self.mse))])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{has, text};
    use super::*;
    use crate::model::{ModelOptions, generate_model};

    #[test]
    fn a_tensor_shows_its_shape_and_range() {
        let tensor = Tensor::from_slice(&[1_i64, 2, 6]).reshape([3, 1]);
        assert_eq!(text(&tensor), "tensor of shape [3, 1], Int64, Cpu: 1.000 to 6.000, mean 3.000");
        assert!(Tensor::new().mime_bundle().is_err());
    }

    #[test]
    fn a_model_shows_its_layers_and_weights() {
        let model = generate_model(&ModelOptions::default()).unwrap();
        has(&model, HTML, "<tr><td>conv1d_1 (Conv1D)</td><td>(None, None, 6)</td><td>66</td></tr>");
        has(&model, HTML, "Total params: 219");
        assert_eq!(text(&model), model.summary());
        has(&model.get_weights().unwrap()[..], HTML, "<td>[11, 1, 2]</td><td>22</td>");
        text(&model.get_weights().unwrap()[..]);
        // Two kernels of 11 weights with a marker each, and those of the legend.
        let svg = model.plot_kernels().unwrap().to_svg().unwrap();
        assert_eq!(svg.as_str().matches("<circle").count(), 24);
        assert!(svg.as_str().contains("channel 1"));
        let many =
            ModelOptions { layer_sizes: vec![8], kernel_sizes: vec![2], input_channels: 3, ..ModelOptions::default() };
        let svg = generate_model(&many).unwrap().plot_kernels().unwrap().to_svg().unwrap();
        assert_eq!(svg.as_str().matches("<circle").count(), 48);
        let none = ModelOptions { layer_sizes: vec![], kernel_sizes: vec![], ..ModelOptions::default() };
        assert!(generate_model(&none).unwrap().plot_kernels().is_err());
        let loss = vec![9.0, 4.0, 2.5];
        let notes = vec!["stopped: loss < 0".to_owned()];
        let history = History { val_mse: loss.clone(), seconds: loss.clone(), loss, notes, ..History::default() };
        assert_eq!(text(&history), history.to_string());
        has(&history, HTML, "<tr><td>3</td><td>2.5000</td><td>2.50</td><td>2.5000</td></tr>");
        has(&history, HTML, "stopped: loss &lt; 0");
        has(&history, HTML, "<svg ");
        has(&history, PICTURE, "val_mse");
        text(&History::default());
        // What a logarithmic axis cannot show is left out.
        let history = History { loss: vec![2.0, 1.0], val_mse: vec![f64::NAN; 2], ..History::default() };
        assert!(!history.plot().to_svg().unwrap().as_str().contains("val_mse"));
        text(&History { loss: vec![0.0], ..History::default() });
        assert_eq!(text(&Evaluation { loss: 0.9151, mse: 0.1144 }), "loss 0.9151, mse 0.1144");
    }
}
