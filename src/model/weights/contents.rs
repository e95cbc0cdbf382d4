//! What a file holds, whatever its format, and how it fits a model.

use super::config::Config;
use crate::dataset::checksum::Seal;
use crate::model::{
    Activation, Adam, Conv1D, Dense, InputLayer, Layer, ModelOptions, Sequential, TimeDistributed, Variable,
    is_positive_f32, l2,
};

/// The error is a problem with the contents of a file.
type Result<T> = std::result::Result<T, String>;

/// Everything of interest in a file.
pub(super) struct Contents {
    /// The layers with weights, in their order.
    pub layers: Vec<StoredLayer>,
    /// The variables of the optimiser, in their order.
    pub optimizer: Vec<Array>,
    /// Whether they are Adam's, if the file says so.
    pub is_adam: Option<bool>,
    /// The description of the model, if the file has one.
    pub config: Option<Config>,
    /// Whether it is as this program wrote it.
    pub seal: Seal,
}

/// A layer's weights.
pub(super) struct StoredLayer {
    pub name: String,
    /// Kernel and bias, if it is a layer that [`Sequential`] has.
    pub arrays: Vec<Array>,
}

/// One array of a file.
pub(super) struct Array {
    /// Its name in the file.
    pub name: String,
    pub shape: Vec<usize>,
    /// Every number that Keras stores is exact in double precision.
    pub values: Vec<f64>,
}

impl StoredLayer {
    fn is_dense(&self) -> bool {
        self.arrays[0].shape.len() == 2
    }

    /// A layer of these sizes, as in the original study's model.
    fn assumed(&self, default: &ModelOptions) -> Layer {
        match self.arrays[0].shape[..] {
            [kernel_size, _, filters] => {
                let layer = Conv1D::new(filters, kernel_size).activation(Activation::Relu);
                layer.kernel_regularizer(l2(default.l2)).bias_regularizer(l2(default.l2)).into()
            }
            ref shape => TimeDistributed(Dense::new(shape[shape.len() - 1])).into(),
        }
    }

    /// Checks that it has a kernel and a bias.
    fn check(&self) -> Result<()> {
        if let [kernel, bias] = &self.arrays[..]
            && matches!(kernel.shape.len(), 2 | 3)
            && bias.shape.len() == 1
        {
            return Ok(());
        }
        let arrays = self.arrays.iter().map(|array| format!("{} {:?}", array.name, array.shape));
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        Err(format!("layer '{}' has [{arrays}], not the kernel and bias of a Conv1D or Dense layer", self.name))
    }
}

impl Contents {
    /// Checks that it holds layers, and each has kernel and bias.
    pub fn check(&self) -> Result<()> {
        if self.layers.is_empty() {
            return Err("it holds no weights of a model".to_string());
        }
        self.layers.iter().try_for_each(StoredLayer::check)
    }

    /// The layers and the optimiser that the file describes, and notes on what was assumed or left out. Without a
    /// description, all but sizes is as in the original study.
    pub fn model(&self) -> (Sequential, Adam, Vec<String>) {
        let default = ModelOptions::default();
        let mut model = Sequential::new(default.seed);
        let (layers, adam, notes) = match &self.config {
            Some(config) => (config.layers.clone(), config.adam.clone(), config.notes.clone()),
            None => {
                let layers = self.layers.iter().map(|layer| layer.assumed(&default)).collect();
                (layers, Adam::new(default.lr), vec![self.assumptions(&default)])
            }
        };
        if !matches!(layers.first(), Some(Layer::InputLayer(_))) {
            let kernel = &self.layers[0].arrays[0].shape;
            model.add(InputLayer::new(kernel[kernel.len() - 2]));
        }
        layers.into_iter().for_each(|layer| _ = model.add(layer));
        (model, adam, notes)
    }

    /// What [`Contents::model`] assumes if the file has no description of the model.
    fn assumptions(&self, default: &ModelOptions) -> String {
        let mut assumed = Vec::new();
        if self.layers.iter().any(|layer| !layer.is_dense()) {
            assumed.push(format!("Conv1D layers with padding same, activation relu and penalty l2 = {}", default.l2));
        }
        if self.layers.iter().any(StoredLayer::is_dense) {
            assumed.push("linear Dense layers".to_string());
        }
        format!("the file has weights only, so these are assumed: {}", assumed.join("; "))
    }

    /// Compares the described layers, if there are any, with those of a model. Penalties may differ.
    pub fn check_layers(&self, model: &Sequential) -> Result<()> {
        let (described, _, _) = self.model();
        if self.config.is_none() || described.to_string() == model.to_string() {
            return Ok(());
        }
        Err(format!("its weights are those of {described}, and the model is {model}"))
    }

    /// The weights for a model's variables, one after the other.
    pub fn weights(&self, variables: &[Variable]) -> Result<Vec<f32>> {
        floats(self.arrays(variables)?)
    }

    /// The arrays for a model's variables, in their order: those of the first convolution for its first convolution,
    /// and so on, likewise for dense layers.
    pub fn arrays(&self, variables: &[Variable]) -> Result<Vec<&Array>> {
        let mut stored: [Vec<&Array>; 2] = Default::default();
        for layer in self.layers.iter().rev() {
            stored[usize::from(layer.is_dense())].extend(layer.arrays.iter().rev());
        }
        let (mut differences, mut found) = (Vec::new(), Vec::new());
        for pair in variables.chunks(2) {
            let of_kind = &mut stored[usize::from(pair[0].shape.len() == 2)];
            for variable in pair {
                match of_kind.pop() {
                    None => differences.push(format!("missing: {} {:?}", variable.name(), variable.shape)),
                    Some(Array { name, shape, .. }) if *shape != variable.shape => {
                        let expected = &variable.shape;
                        differences.push(format!("other shape: {name} is {shape:?}, the model has {expected:?}"));
                    }
                    Some(array) => found.push(array),
                }
            }
        }
        let surplus = stored.iter().flat_map(|arrays| arrays.iter().rev());
        differences.extend(surplus.map(|Array { name, shape, .. }| format!("not in the model: {name} {shape:?}")));
        if differences.is_empty() {
            return Ok(found);
        }
        let count = differences.len();
        differences.truncate(20);
        let more = if count > 20 { format!("; and {} more", count - 20) } else { String::new() };
        Err(format!("the weights do not fit the model: {}{more}", differences.join("; ")))
    }

    /// The optimiser with the file's state, or as new if the file holds none.
    pub fn adam(&self, variables: &[Variable], adam: &Adam) -> Result<Adam> {
        let new = Adam { iterations: 0, momentum: Vec::new(), velocity: Vec::new(), ..*adam };
        let [steps, rest @ ..] = &self.optimizer[..] else { return Ok(new) };
        let (rate, moments) = match rest {
            [rate, moments @ ..] if rate.shape.is_empty() => (rate.values.first().copied(), moments),
            // Keras 2 has the rate in the description only.
            _ => (Some(self.config.as_ref().map_or(adam, |config| &config.adam).learning_rate()), rest),
        };
        let moments = if moments.is_empty() { Ok(Vec::new()) } else { moments_of(moments, variables) };
        let moments = match (self.is_adam, moments) {
            (Some(true), moments) => moments?,
            // Keras 2 does not name the optimiser in a file of weights.
            (None, Ok(moments)) if !moments.is_empty() => moments,
            _ => return Ok(new),
        };
        let (Some(&steps), Some(rate)) = (steps.values.first(), rate) else {
            return Err("the optimiser's state is incomplete".to_string());
        };
        if !(0.0..9e15).contains(&steps) || !is_positive_f32(rate) {
            return Err(format!("the optimiser has made {steps} steps with learning rate {rate}"));
        }
        let half = moments.len() / 2;
        let (momentum, velocity) = (floats(moments[..half].to_vec())?, floats(moments[half..].to_vec())?);
        if let Some(index) = velocity.iter().position(|&velocity| velocity < 0.0) {
            return Err(format!("the optimiser's velocity with index {index} is negative"));
        }
        Ok(Adam { iterations: steps as u64, learning_rate: rate as f32, momentum, velocity, ..new })
    }
}

/// Momentum of all variables, then velocity of all. Since TensorFlow 2.11, momentum and velocity of each variable are
/// stored in turn, before that as they are returned here; a third number for each variable may follow, which only
/// Adam's variant AMSGrad uses.
fn moments_of<'a>(stored: &'a [Array], variables: &[Variable]) -> Result<Vec<&'a Array>> {
    let count = variables.len();
    let fits = |order: &[usize]| {
        let mut shapes = variables.iter().chain(variables).zip(order);
        shapes.all(|(variable, &i)| stored.get(i).is_some_and(|array| array.shape == variable.shape))
    };
    let in_turn: Vec<usize> = (0..count).map(|i| 2 * i).chain((0..count).map(|i| 2 * i + 1)).collect();
    let one_after_another: Vec<usize> = (0..2 * count).collect();
    for order in [in_turn, one_after_another] {
        if [2 * count, 3 * count].contains(&stored.len()) && fits(&order) {
            return Ok(order.into_iter().map(|i| &stored[i]).collect());
        }
    }
    let found: Vec<String> = stored.iter().take(20).map(|array| format!("{} {:?}", array.name, array.shape)).collect();
    Err(format!("momentum and velocity of the optimiser do not fit the model: {}", found.join("; ")))
}

/// The values of several arrays, one after the other.
fn floats(arrays: Vec<&Array>) -> Result<Vec<f32>> {
    let mut floats = Vec::new();
    for Array { name, values, .. } in arrays {
        if let Some(index) = values.iter().position(|&value| !(value as f32).is_finite()) {
            return Err(format!("'{name}' in it is {} at index {index}", values[index] as f32));
        }
        floats.extend(values.iter().map(|&value| value as f32));
    }
    Ok(floats)
}

/// Puts layers that are sorted by name into the order of the model, which names only tell within a class. Without a
/// description they stay: convolutions first.
pub(super) fn ordered(mut layers: Vec<StoredLayer>, config: Option<&Config>) -> Result<Vec<StoredLayer>> {
    let of_class = |layer: &StoredLayer, class: &str| natural(&layer.name).0 == class;
    let Some(config) = config else {
        if ["dense", "time_distributed"].iter().all(|class| layers.iter().any(|layer| of_class(layer, class))) {
            let problem = "it does not say in which order the layers Dense and TimeDistributed follow each other; \
                           save the whole model as '.keras'";
            return Err(problem.to_string());
        }
        return Ok(layers);
    };
    let mut found = Vec::new();
    for class in &config.classes {
        if let Some(i) = layers.iter().position(|layer| of_class(layer, class)) {
            found.push(layers.remove(i));
        }
    }
    found.append(&mut layers);
    Ok(found)
}

/// The key by which names are sorted: `conv1d`, `conv1d_1`, ..., `conv1d_10`, or `0`, `1`, ..., `10`.
pub(super) fn natural(name: &str) -> (String, u64) {
    let (stem, number) = name.rsplit_once('_').unwrap_or(("", name));
    number.parse().map_or((name.to_string(), 0), |number| (stem.to_string(), number))
}
