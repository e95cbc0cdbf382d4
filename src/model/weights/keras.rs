//! Reads and writes Keras' HDF5 files.

use std::collections::BTreeMap;

use hdf5::types::VarLenUnicode;
use ndarray::ArrayView;

use super::{Contents, Dataset, Format, LAYERS, TRAINING, is_dense};
use crate::files::hdf5_text;
use crate::model::{Adam, MAX_PARAMS, Sequential, Variable};

/// Groups below this depth are not part of a model that [`generate_model`](crate::model::generate_model) builds.
const MAX_DEPTH: usize = 8;

/// The contents of an open file.
pub(super) fn read(file: &hdf5::File) -> hdf5::Result<Contents> {
    let mut datasets = BTreeMap::new();
    let mut size = 0;
    read_group(file, "", MAX_DEPTH, &mut size, &mut datasets)?;
    let optimizer = match file.group("optimizer/vars") {
        Ok(group) if group.attr_names()?.iter().any(|name| name == "name") => {
            Some(group.attr("name")?.read_scalar::<VarLenUnicode>()?.to_string())
        }
        _ => None,
    };
    let layers = match file.attr(LAYERS) {
        Ok(layers) => Some(layers.read_scalar::<VarLenUnicode>()?.to_string()),
        Err(_) => None,
    };
    Ok(Contents { format: Format::Keras, datasets, optimizer, layers })
}

/// Adds all datasets in a group, and in the groups below it.
fn read_group(
    group: &hdf5::Group,
    prefix: &str,
    depth: usize,
    size: &mut usize,
    datasets: &mut BTreeMap<String, Dataset>,
) -> hdf5::Result<()> {
    if depth == 0 {
        return Err(format!("'{prefix}': groups nested deeper than {MAX_DEPTH}").as_str().into());
    }
    for name in group.member_names()? {
        let path = format!("{prefix}{name}");
        if path == TRAINING {
            continue;
        }
        match group.loc_type_by_name(&name)? {
            hdf5::LocationType::Group => {
                read_group(&group.group(&name)?, &format!("{path}/"), depth - 1, size, datasets)?;
            }
            hdf5::LocationType::Dataset => {
                let dataset = group.dataset(&name)?;
                // A damaged or hostile file may claim any size.
                *size = size.saturating_add(dataset.size());
                if *size > 3 * MAX_PARAMS + 2 {
                    return Err(format!("'{path}' with shape {:?} is too large", dataset.shape()).as_str().into());
                }
                let values = dataset.read_raw::<f64>().map_err(|error| format!("'{path}': {error}"))?;
                datasets.insert(path, Dataset { shape: dataset.shape(), values });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes weights and optimiser state to a new file.
pub(super) fn write(
    file: &hdf5::File,
    sequential: &Sequential,
    variables: &[Variable],
    values: &[f32],
    adam: &Adam,
) -> hdf5::Result<()> {
    let layers = hdf5_text(&sequential.to_string())?;
    file.new_attr::<VarLenUnicode>().create(LAYERS)?.write_scalar(&layers)?;
    write_layers(file, variables)?;
    for variable in variables {
        write_array(file, &Format::Keras.weight(&variable.layer, variable.kind), variable, values)?;
    }
    file.create_group("optimizer")?;
    let optimizer = create_named_group(file, "optimizer/vars", "adam")?;
    optimizer.new_dataset::<i64>().create("0")?.write_scalar(&(adam.iterations as i64))?;
    optimizer.new_dataset::<f32>().create("1")?.write_scalar(&adam.learning_rate)?;
    if !adam.momentum.is_empty() {
        for (i, variable) in variables.iter().enumerate() {
            let [momentum, velocity] = Format::Keras.moments(i, variable);
            write_array(file, &momentum, variable, &adam.momentum)?;
            write_array(file, &velocity, variable, &adam.velocity)?;
        }
    }
    Ok(())
}

/// Creates the groups of the model and its layers.
fn write_layers(file: &hdf5::File, variables: &[Variable]) -> hdf5::Result<()> {
    create_named_group(file, "vars", "sequential")?;
    file.create_group("layers")?;
    for Variable { layer, .. } in variables.iter().filter(|variable| variable.kind == "kernel") {
        let group = format!("layers/{layer}");
        file.create_group(&group)?;
        create_named_group(file, &format!("{group}/vars"), layer)?;
        if is_dense(layer) {
            file.create_group(&format!("{group}/layer"))?;
            let name = layer.replace("time_distributed", "dense");
            create_named_group(file, &format!("{group}/layer/vars"), &name)?;
        }
    }
    Ok(())
}

/// Creates a group with Keras' attribute `name`.
fn create_named_group(file: &hdf5::File, path: &str, name: &str) -> hdf5::Result<hdf5::Group> {
    let group = file.create_group(path)?;
    group.new_attr::<VarLenUnicode>().create("name")?.write_scalar(&hdf5_text(name)?)?;
    Ok(group)
}

/// Writes one variable's part of `values`, which are those of all variables.
fn write_array(file: &hdf5::File, path: &str, variable: &Variable, values: &[f32]) -> hdf5::Result<()> {
    let view = ArrayView::from_shape(&variable.shape[..], &values[variable.range.clone()]);
    file.new_dataset_builder().with_data(view.map_err(|error| error.to_string())?).create(path)?;
    Ok(())
}
