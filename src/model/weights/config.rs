//! A model as Keras describes it in JSON: `config.json` of a `.keras` file, the attributes `model_config` and
//! `training_config` of an `.h5` file.
//!
//! What would change predictions and [`Sequential`](crate::model::Sequential) does not have is an error. What concerns
//! the training only, and is not part of a layer, is left out with a note.

use serde_json::{Value, json};

use crate::model::{
    Activation, Adam, Conv1D, Dense, InputLayer, L2, Layer, Model, NetworkLayer, Padding, TimeDistributed, l2,
};

/// A problem with a description.
type Result<T> = std::result::Result<T, String>;

/// The entry with the number of validation samples.
const VALIDATION_SAMPLES: &str = "validation_samples";
/// The learning rate of Adam where a file has no optimiser.
const LEARNING_RATE: f64 = 0.001;

/// A model's description.
pub(super) struct Config {
    /// An [`InputLayer`] first, unless the description has no input shape.
    pub layers: Vec<Layer>,
    /// For each other layer Keras' name of its class in a file of weights, such as `time_distributed`.
    pub classes: Vec<&'static str>,
    pub adam: Adam,
    /// Whether the optimiser is Adam.
    pub is_adam: bool,
    /// What is left out.
    pub notes: Vec<String>,
    /// See [`Model::validation_samples`].
    pub validation_samples: Option<usize>,
}

impl Config {
    /// Reads the description of a model, and of its training if that is apart.
    pub fn parse(model: &str, training: Option<&str>) -> Result<Config> {
        let json = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| format!("it is not JSON: {error}"));
        let model = json(model)?;
        let training = training.map_or(Ok(model["compile_config"].clone()), json)?;
        let mut config = Config {
            layers: Vec::new(),
            classes: Vec::new(),
            adam: Adam::new(LEARNING_RATE),
            is_adam: false,
            notes: Vec::new(),
            validation_samples: model[VALIDATION_SAMPLES].as_u64().and_then(|count| usize::try_from(count).ok()),
        };
        for layer in stack(&model)? {
            config.add_layer(layer)?;
        }
        let build_shape = &model["config"]["build_input_shape"];
        if !matches!(config.layers.first(), Some(Layer::InputLayer(_))) && !build_shape.is_null() {
            config.layers.insert(0, input(build_shape)?);
        }
        config.set_training(&training);
        Ok(config)
    }

    fn add_layer(&mut self, layer: &Value) -> Result<()> {
        let settings = Settings::of(layer);
        let shape = ["batch_shape", "batch_input_shape"].map(|key| &settings.config[key]);
        if let Some(shape) = shape.into_iter().find(|shape| !shape.is_null())
            && self.layers.is_empty()
        {
            self.layers.push(input(shape)?);
        }
        let (layer, class) = match settings.class {
            "InputLayer" => return Ok(()),
            "Conv1D" | "Convolution1D" => (settings.convolution()?.into(), "conv1d"),
            "Dense" => (TimeDistributed(settings.dense()?).into(), "dense"),
            "TimeDistributed" => {
                settings.check(&["trainable", "dtype"])?;
                let inner = Settings::of(&settings.config["layer"]);
                if inner.class != "Dense" {
                    return Err(format!(
                        "layer '{}' is a TimeDistributed({}); {SUPPORTED}",
                        settings.name, inner.class
                    ));
                }
                (TimeDistributed(inner.dense()?).into(), "time_distributed")
            }
            class => return Err(format!("layer '{}' is of class {class}; {SUPPORTED}", settings.name)),
        };
        self.layers.push(layer);
        self.classes.push(class);
        Ok(())
    }

    /// Optimiser and loss.
    fn set_training(&mut self, training: &Value) {
        let optimizer = training.get("optimizer").or(training.get("optimizer_config")).unwrap_or(&Value::Null);
        let class = text(&optimizer["class_name"]).trim_start_matches("Custom>");
        self.is_adam = class == "Adam";
        if self.is_adam {
            self.set_adam(&optimizer["config"]);
        } else {
            let found = if class.is_empty() { "no optimiser".to_string() } else { format!("the optimiser {class}") };
            self.notes.push(format!("the file has {found}: training uses Adam with learning rate {LEARNING_RATE}"));
        }
        let loss = &training["loss"];
        let name = match text(&loss["class_name"]) {
            "" => text(loss),
            "function" => text(&loss["config"]),
            class => class,
        };
        if !loss.is_null() && !["mse", "MSE", "mean_squared_error", "MeanSquaredError"].contains(&name) {
            self.notes.push(format!("the loss {loss} is left out: training minimises the mean squared error"));
        }
    }

    fn set_adam(&mut self, config: &Value) {
        let number = |keys: [&str; 2]| keys.iter().find_map(|key| config[*key].as_f64()).map(short);
        let rate = ["learning_rate", "lr"];
        if number(rate).is_none() && !config[rate[0]].is_null() {
            let schedule = text(&config[rate[0]]["class_name"]);
            self.notes.push(format!("the learning rate's schedule {schedule} is left out"));
        }
        let default = Adam::new(number(rate).unwrap_or(LEARNING_RATE));
        let [beta_1, beta_2, epsilon] = ["beta_1", "beta_2", "epsilon"].map(|key| number([key, key]));
        self.adam = Adam {
            beta_1: beta_1.unwrap_or(default.beta_1),
            beta_2: beta_2.unwrap_or(default.beta_2),
            epsilon: epsilon.unwrap_or(default.epsilon),
            ..default
        };
        for key in [
            "amsgrad",
            "clipnorm",
            "clipvalue",
            "decay",
            "global_clipnorm",
            "gradient_accumulation_steps",
            "use_ema",
            "weight_decay",
        ] {
            let value = &config[key];
            if !(value.is_null() || *value == json!(false) || value.as_f64() == Some(0.0)) {
                self.notes.push(format!("Adam's {key} = {value} is left out"));
            }
        }
    }
}

const SUPPORTED: &str = "only Conv1D, Dense and TimeDistributed(Dense) are supported";

/// The layers of a model, if each is applied to the one before.
fn stack(model: &Value) -> Result<&[Value]> {
    let class = text(&model["class_name"]);
    // Before Keras 2.2.3, the description of a Sequential was the list of its layers.
    let layers = model["config"].get("layers").unwrap_or(&model["config"]);
    let layers = layers.as_array().ok_or("the description of the model has no list of layers")?;
    match class {
        "Sequential" => {}
        "Functional" | "Model" => check_chain(layers, &model["config"]["output_layers"])?,
        _ => return Err(format!("the model is of class '{class}'; only Sequential is supported")),
    }
    Ok(layers)
}

/// Checks that the layers of a functional model form a chain.
fn check_chain(layers: &[Value], output: &Value) -> Result<()> {
    let names: Vec<&str> = layers.iter().map(|layer| Settings::of(layer).name).collect();
    let inbound = layers.iter().map(|layer| &layer["inbound_nodes"]).chain([output]);
    for (i, node) in inbound.enumerate() {
        let mut found = Vec::new();
        add_inbound(node, &mut found);
        let expected = &names[i.saturating_sub(1)..i];
        if found != expected {
            let name = names.get(i).map_or("the output".to_string(), |name| format!("layer '{name}'"));
            let found = found.join(", ");
            return Err(format!(
                "{name} takes [{found}], not [{}]: a model with branches is not supported",
                expected.join(", ")
            ));
        }
    }
    Ok(())
}

/// The names of layers that a node takes: `["input_1", 0, 0]`, in lists and objects whose form depends on the version.
fn add_inbound<'a>(node: &'a Value, found: &mut Vec<&'a str>) {
    match node {
        Value::Array(items) => match items.first() {
            Some(Value::String(name)) => found.push(name),
            _ => items.iter().for_each(|item| add_inbound(item, found)),
        },
        Value::Object(fields) => fields.values().for_each(|field| add_inbound(field, found)),
        _ => {}
    }
}

/// A layer for an input of shape (samples, steps, channels).
fn input(shape: &Value) -> Result<Layer> {
    let channels = match shape.as_array().map(Vec::as_slice) {
        Some([_, _, channels]) => channels.as_u64().and_then(|channels| usize::try_from(channels).ok()),
        _ => None,
    };
    let channels = channels.ok_or(format!("the input's shape is {shape}, not [null, steps, channels]"))?;
    Ok(InputLayer::new(channels).into())
}

/// Settings of layers with weights that must be absent.
const UNSUPPORTED: [&str; 5] =
    ["activity_regularizer", "kernel_constraint", "bias_constraint", "lora_rank", "quantization_config"];

/// The settings of a layer.
struct Settings<'a> {
    class: &'a str,
    name: &'a str,
    config: &'a Value,
}

impl<'a> Settings<'a> {
    fn of(layer: &'a Value) -> Self {
        let config = &layer["config"];
        Settings { class: text(&layer["class_name"]), name: text(&config["name"]), config }
    }

    fn convolution(&self) -> Result<Conv1D> {
        self.check(&["trainable", "dtype", "use_bias", "strides", "groups", "data_format"])?;
        self.check(&UNSUPPORTED)?;
        let padding = match text(&self.config["padding"]) {
            "same" => Padding::Same,
            "causal" => Padding::Causal,
            _ => return Err(self.unsupported("padding")),
        };
        let dilation_rate = if self.config["dilation_rate"].is_null() { 1 } else { self.size("dilation_rate")? };
        let layer = Conv1D::new(self.size("filters")?, self.size("kernel_size")?);
        let layer = layer.padding(padding).dilation_rate(dilation_rate).activation(self.activation()?);
        let (kernel, bias) = (self.penalty("kernel_regularizer")?, self.penalty("bias_regularizer")?);
        Ok(layer.kernel_regularizer(kernel).bias_regularizer(bias))
    }

    fn dense(&self) -> Result<Dense> {
        self.check(&["trainable", "dtype", "use_bias", "kernel_regularizer", "bias_regularizer"])?;
        self.check(&UNSUPPORTED)?;
        Ok(Dense::new(self.size("units")?).activation(self.activation()?))
    }

    /// Checks that settings are absent or have the only value that is supported.
    fn check(&self, keys: &[&str]) -> Result<()> {
        for &key in keys {
            let value = &self.config[key];
            let supported = match key {
                "trainable" | "use_bias" => *value == json!(true),
                "strides" | "groups" => self.size(key) == Ok(1),
                "data_format" => text(value) == "channels_last",
                "dtype" => text(value) == "float32" || text(&value["config"]["name"]) == "float32",
                _ => false,
            };
            if !value.is_null() && !supported {
                return Err(self.unsupported(key));
            }
        }
        Ok(())
    }

    fn unsupported(&self, key: &str) -> String {
        format!("{} '{}': {key} = {} is not supported", self.class, self.name, self.config[key])
    }

    /// A number, which may be in a list.
    fn size(&self, key: &str) -> Result<usize> {
        let value = &self.config[key];
        let number = match value.as_array().map(Vec::as_slice) {
            Some([number]) => number,
            _ => value,
        };
        number.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or_else(|| self.unsupported(key))
    }

    fn activation(&self) -> Result<Activation> {
        let value = &self.config["activation"];
        let name = if text(&value["class_name"]) == "function" { &value["config"] } else { value };
        match text(name) {
            "" if value.is_null() => Ok(Activation::Linear),
            "linear" => Ok(Activation::Linear),
            "relu" => Ok(Activation::Relu),
            "tanh" => Ok(Activation::Tanh),
            "sigmoid" => Ok(Activation::Sigmoid),
            _ => Err(self.unsupported("activation")),
        }
    }

    fn penalty(&self, key: &str) -> Result<L2> {
        let value = &self.config[key];
        if value.is_null() {
            return Ok(l2(0.0));
        }
        let [l1_factor, l2_factor] = ["l1", "l2"].map(|key| value["config"][key].as_f64());
        match (text(&value["class_name"]), l1_factor, l2_factor) {
            ("L2" | "L1L2", None | Some(0.0), Some(factor)) => Ok(l2(short(factor))),
            _ => Err(self.unsupported(key)),
        }
    }
}

/// A text, or nothing if it is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The shortest decimal number with the same 32 bits: Keras 2 stores 0.01 as 0.009999999776482582.
fn short(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}

/// Describes a model as Keras 3 does. What has Keras' default there is left out.
pub(super) fn to_json(model: &Model) -> String {
    let Model { network, adam, validation_samples, .. } = model;
    let shape = json!([null, null, network.inputs()]);
    let input = json!({ "name": "input_1", "batch_shape": shape, "dtype": "float32" });
    let mut layers = vec![layer_json("InputLayer", input)];
    layers.extend(
        network
            .layers
            .iter()
            .map(|layer| if layer.is_dense { time_distributed_json(layer) } else { conv1d_json(layer) }),
    );
    json!({
        "module": "keras",
        "class_name": "Sequential",
        "config": { "name": "sequential", "layers": layers },
        "compile_config": {
            "optimizer": {
                "module": "keras.optimizers",
                "class_name": "Adam",
                "config": {
                    "name": "adam",
                    "learning_rate": adam.learning_rate(),
                    "beta_1": adam.beta_1,
                    "beta_2": adam.beta_2,
                    "epsilon": adam.epsilon,
                },
            },
            "loss": "mse",
            "metrics": ["mse"],
        },
        // Keras ignores it.
        VALIDATION_SAMPLES: validation_samples,
    })
    .to_string()
}

fn layer_json(class_name: &str, config: Value) -> Value {
    json!({ "module": "keras.layers", "class_name": class_name, "config": config })
}

fn conv1d_json(layer: &NetworkLayer) -> Value {
    let penalty = |factor: f64| match factor {
        0.0 => Value::Null,
        _ => json!({ "module": "keras.regularizers", "class_name": "L2", "config": { "l2": factor } }),
    };
    let config = json!({
        "name": layer.name,
        "dtype": "float32",
        "filters": layer.outputs,
        "kernel_size": [layer.kernel_size],
        "padding": layer.padding.to_string(),
        "dilation_rate": [layer.dilation],
        "activation": layer.activation.to_string(),
        "kernel_regularizer": penalty(layer.penalties[0]),
        "bias_regularizer": penalty(layer.penalties[1]),
    });
    layer_json("Conv1D", config)
}

fn time_distributed_json(layer: &NetworkLayer) -> Value {
    let (name, activation) = (layer.dense_name(), layer.activation.to_string());
    let dense = json!({ "name": name, "dtype": "float32", "units": layer.outputs, "activation": activation });
    let config = json!({ "name": layer.name, "dtype": "float32", "layer": layer_json("Dense", dense) });
    layer_json("TimeDistributed", config)
}
