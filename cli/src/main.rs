//! The command line: everything the notebooks do, for scripts and clusters.

#[cfg(feature = "model")]
mod evaluate;
mod generate;
mod info;
#[cfg(feature = "model")]
mod train;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
#[cfg(feature = "model")]
use evaluate::{Evaluate, Predict};
use generate::{Generate, Merge};
use hhnet::Error;
use hhnet_cli::import::Import;
use hhnet_cli::{Output, failure};
use std::path::PathBuf;
use std::process::ExitCode;
#[cfg(feature = "model")]
use train::Train;

#[cfg(not(feature = "model"))]
const WITHOUT_MODEL: &str = "This program was built without the feature `model`: it cannot train, evaluate or predict, \
                             and it cannot read weights files.";

/// What shells report of a program that Ctrl+C has ended.
const INTERRUPTED: u8 = 130;

/// Generate data of a Hodgkin-Huxley neuron, and train a convolutional network on them
#[derive(Parser)]
#[command(name = "hhnet", version, arg_required_else_help = true)]
#[cfg_attr(not(feature = "model"), command(after_help = WITHOUT_MODEL))]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print the result as one JSON object
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    /// After a failure, print what led to it, too
    #[arg(long, global = true, display_order = 901)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Generate a data set: draw currents, simulate the neuron and write X, Y, X_test, Y_test
    Generate(Generate),
    /// Join the shards of a data set, made by `generate --shard`, into one file
    Merge(Merge),
    /// Make a data file of your own recordings: NWB, NumPy's arrays, or a table (.csv)
    Import(Import),
    #[cfg(feature = "model")]
    /// Train a network on X and Y of a data file, and write its weights
    Train(Train),
    #[cfg(feature = "model")]
    /// Print the loss and the mean squared error of a trained network on a data file
    Evaluate(Evaluate),
    #[cfg(feature = "model")]
    /// Predict the potentials for the currents in a data file, and write them as dataset Y_pred
    Predict(Predict),
    /// Describe a data file or a weights file
    Info {
        /// The file to describe: .h5, .keras or .safetensors
        file: PathBuf,
    },
    /// Check that a file of data or a model has not changed since hhnet wrote it
    Verify {
        /// The file to check
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    failure::report_panics();
    failure::survive_limit_on_files();
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let result = match &cli.command {
        Command::Generate(arguments) => arguments.run(),
        Command::Merge(arguments) => arguments.run(),
        Command::Import(arguments) => arguments.run(),
        #[cfg(feature = "model")]
        Command::Train(arguments) => arguments.run(),
        #[cfg(feature = "model")]
        Command::Evaluate(arguments) => arguments.run(),
        #[cfg(feature = "model")]
        Command::Predict(arguments) => arguments.run(),
        Command::Info { file } => info::run(file),
        Command::Verify { file } => info::verify(file),
    };
    match result {
        Ok((text, json)) => {
            use std::io::Write;
            let output = if cli.json { json.to_string() } else { text.trim_end().to_owned() };
            // It is not a failure if the reader closes the pipe early.
            let _ = writeln!(std::io::stdout(), "{output}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let program = Cli::command();
            let command = matches.subcommand_name().and_then(|name| program.find_subcommand(name));
            let error = failure::with_option(error, command.unwrap_or(&program));
            failure::report(&error, cli.verbose);
            if matches!(error, Error::Interrupted { .. }) { INTERRUPTED.into() } else { ExitCode::FAILURE }
        }
    }
}
