//! The command line: what the notebooks do, for scripts and clusters.

#[cfg(feature = "model")]
mod evaluate;
mod generate;
mod info;
#[cfg(feature = "model")]
mod train;

use clap::{Parser, Subcommand};
#[cfg(feature = "model")]
use evaluate::{Evaluate, Predict};
use generate::{Generate, Merge};
use hhnet::Result;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
#[cfg(feature = "model")]
use train::Train;

#[cfg(not(feature = "model"))]
const WITHOUT_MODEL: &str = "This program was built without the feature `model`: it cannot train, evaluate or predict, \
                             nor read files of weights.";

/// Hodgkin-Huxley data and a convolutional network that learns them.
#[derive(Parser)]
#[command(name = "hhnet", version, about, arg_required_else_help = true)]
#[cfg_attr(not(feature = "model"), command(after_help = WITHOUT_MODEL))]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Draw currents, simulate the neuron and write X, Y, X_test, Y_test
    Generate(Generate),
    /// Join the parts that `generate --shard` made into one data set
    Merge(Merge),
    #[cfg(feature = "model")]
    /// Train the network on X and Y and write its weights
    Train(Train),
    #[cfg(feature = "model")]
    /// Print loss and mse of trained weights on part of a data file
    Evaluate(Evaluate),
    #[cfg(feature = "model")]
    /// Write the network's answer to currents as dataset Y_pred
    Predict(Predict),
    /// Describe a data or weights file
    Info {
        /// The file: .h5 or .safetensors
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Generate(arguments) => arguments.run(),
        Command::Merge(arguments) => arguments.run(),
        #[cfg(feature = "model")]
        Command::Train(arguments) => arguments.run(),
        #[cfg(feature = "model")]
        Command::Evaluate(arguments) => arguments.run(),
        #[cfg(feature = "model")]
        Command::Predict(arguments) => arguments.run(),
        Command::Info { file } => info::run(file),
    };
    match result {
        Ok((text, json)) => {
            use std::io::Write;
            let output = if cli.json { json.to_string() } else { text.trim_end().to_owned() };
            // A reader that has seen enough and closed the pipe is no failure.
            let _ = writeln!(std::io::stdout(), "{output}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("hhnet: {}", error.to_string().replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

/// A command's result, for a person and for a program.
type Output = Result<(String, Value)>;
