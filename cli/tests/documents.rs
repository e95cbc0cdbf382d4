//! The program understands the commands that the Markdown files show.

#![cfg(feature = "model")]

use std::path::Path;
use std::process::Command;

/// The commands of the program in a text, as lists of arguments.
fn commands(markdown: &str) -> Vec<Vec<String>> {
    let text = markdown.replace("\\\n", " ");
    let starts = ["cargo run --release -- ", "./target/release/hhnet ", "hhnet "];
    let commands = text.lines().filter_map(|line| starts.iter().find_map(|start| line.trim().strip_prefix(start)));
    // The shell's variables stand for numbers.
    let number = |word: &str| match word.split_once('$') {
        Some((before, after)) => {
            before.to_owned() + "1" + after.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_')
        }
        None => word.to_owned(),
    };
    commands.map(|command| command.split_whitespace().take_while(|word| *word != ">").map(number).collect()).collect()
}

/// What the program says against a command. It reads everything in front of `--help` before it shows the help.
fn complaint(command: &[String]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_hhnet")).args(command).arg("--help").output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn commands_in_the_texts_are_understood() {
    for (file, least) in [("README.md", 5), ("docs/cluster.md", 3), ("docs/files.md", 4)] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
        let commands = commands(&text);
        assert!(commands.len() >= least, "{file}: {commands:?}");
        let complaints: Vec<String> = commands.iter().filter_map(|command| complaint(command)).collect();
        assert!(complaints.is_empty(), "{file}: {}", complaints.concat());
    }
}

#[test]
fn what_the_program_does_not_understand_is_noticed() {
    for text in ["hhnet generates", "hhnet train \\\n  --epoch 3", "    hhnet generate --out p-$N.h5 --shard $N/0"] {
        assert!(complaint(&commands(text)[0]).is_some(), "{text}");
    }
}
