//! The commands and options that the Markdown files name are those of the program.

#![cfg(feature = "model")]

use std::fs;
use std::path::Path;
use std::process::Command;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Pieces of code in a Markdown text: code within a line, and blocks.
fn code(markdown: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut block: Option<String> = None;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Code(code) => pieces.push(code.to_string()),
            Event::Start(Tag::CodeBlock(_)) => block = Some(String::new()),
            Event::End(TagEnd::CodeBlock) => pieces.extend(block.take()),
            Event::Text(text) => block.iter_mut().for_each(|block| *block += &text),
            _ => {}
        }
    }
    pieces
}

/// The arguments of each command of the program in a Markdown text.
fn commands(markdown: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for piece in code(markdown) {
        for line in piece.replace("\\\n", " ").lines() {
            let line = line.trim().trim_start_matches("$ ");
            let starts = ["hhnet ", "cargo run --release -- ", "./target/release/hhnet "];
            if let Some(arguments) = starts.iter().find_map(|start| line.strip_prefix(start)) {
                commands.push(arguments.split_whitespace().map(without_variables).collect());
            }
        }
    }
    commands
}

/// The shell's variables stand for numbers.
fn without_variables(argument: &str) -> String {
    let mut pieces = argument.split('$');
    let start = pieces.next().unwrap_or_default().to_owned();
    pieces
        .fold(start, |text, piece| text + "1" + piece.trim_start_matches(|c: char| c.is_ascii_uppercase() || c == '_'))
}

fn help(arguments: &[String]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_hhnet")).args(arguments).arg("--help").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// What the program does not understand in a text. Everything in front of `--help` is read before the help is shown.
fn faults(markdown: &str) -> Vec<String> {
    let refused = commands(markdown).into_iter().filter_map(|command| {
        let message = help(&command).err()?;
        Some(format!("hhnet {}: {}", command.join(" "), message.lines().next().unwrap_or_default()))
    });
    let helps: Vec<String> = ["generate", "merge", "train", "evaluate", "predict", "info"]
        .map(|command| help(&[command.to_string()]).unwrap())
        .to_vec();
    let has = |option: &str| helps.iter().any(|help| help.split([' ', '\n', ',']).any(|word| word == option));
    let pieces = code(markdown);
    let options = pieces.iter().filter(|piece| piece.starts_with("--") && !piece.contains('\n'));
    let options = options.filter_map(|piece| piece.split([' ', '=']).next());
    let unknown = options.filter(|option| !has(option)).map(|option| format!("{option}: no command has this option"));
    refused.chain(unknown).collect()
}

#[test]
fn documents_name_commands_and_options_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut count = 0;
    for folder in [root.clone(), root.join("docs")] {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "md") {
                let markdown = fs::read_to_string(&path).unwrap();
                count += commands(&markdown).len();
                assert_eq!(faults(&markdown), Vec::<String>::new(), "{}", path.display());
            }
        }
    }
    assert!(count >= 5, "the README shows each command once; {count} were found");
}

#[test]
fn each_planted_fault_is_found() {
    let sound = "`hhnet generate --out d-$I.h5 --shard $I/16 --stream numpy`, `--json`\n\n    cargo run --release -- info w.weights.h5\n";
    assert_eq!(faults(sound), Vec::<String>::new());
    let planted = |markdown: &str, word: &str| {
        let found = faults(markdown);
        assert!(found.len() == 1 && found[0].contains(word), "{word} not in {found:?}");
    };
    planted("`hhnet generates --out d.h5`", "'generates'");
    planted("```sh\nhhnet generate --output d.h5\n```", "'--output'");
    planted("```sh\ncargo run --release -- train \\\n  --data d.h5 --epoch 3\n```", "'--epoch'");
    planted("`hhnet generate --stream mersenne`", "'mersenne'");
    planted("```sh\nhhnet generate --out p-$INDEX.h5 --shard $INDEX/0\n```", "'1/0'");
    planted("| a |\n|---|\n| `--jason` |", "--jason");
}
