//! README's "Retrain", command by command as it stands there: from new tables to a published model, and back.
//!
//! The tables are a simulated market over real merchants. The model in use is a beginner, trained for one round from chance, so that the trained
//! one has somebody to be better than; published again over its successor, it must be refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup;
use crate::sh::{self, Outcome, program, root, target};

const README: &str = "README.md";
const SECTION: &str = "### Retrain";
/// What a run publishes.
const FILES: [&str; 4] = ["ltr.onnx", "ltr.card.json", "ltr.probe.json", "ltr.plan"];
/// A ranker that has learnt next to nothing, and does not start where the prior is.
const BEGINNER: &str = "start = \"random\"\naverage = 0.0\nlearning_rate = 1e-5\nmax_epochs = 1\n";
/// Enough for the gate's least number of queries.
pub const FEW: u32 = 2_500;

/// Does as README says with the tables of so many readers; the words of all commands.
pub fn retrain(cli: &Path, readers: u32) -> Outcome<String> {
    let commands = commands(&sh::read(&root().join(README))?)?;
    let desk = Desk::new(cli)?;
    let extract = setup::helsinki()?;
    desk.say(&format!("freshrank import osm {} --country FI --as-of 2026-10-23 --out merchants", extract.display()))?;
    desk.say(&format!("freshrank market --merchants merchants --market fi/helsinki --users {readers} --out TABLES"))?;

    let [examples, train, publish, rest @ ..] = commands.as_slice() else {
        return Err(format!("{README} has {} commands in {SECTION}, expected at least three", commands.len()));
    };
    let mut words = desk.say(examples)?;
    sh::write(&desk.folder.join("beginner.toml"), BEGINNER)?;
    desk.say("python training/train.py --examples examples.parquet --out models --recipe beginner.toml")?;
    desk.say("freshrank model compile models/ltr.onnx --out models/ltr.plan")?;
    let beginner = desk.ranking("models")?;
    words += &desk.say(train)?;
    words += &desk.say(publish)?;
    let trained = desk.ranking("models")?;
    if trained[..3] != desk.ranking("candidate")?[..3] || trained == beginner {
        return Err(format!("`{publish}` ended well, and another model ranks than the candidate"));
    }
    for command in rest {
        words += &desk.say(command)?;
    }
    if desk.ranking("models")? != beginner {
        return Err(format!("{SECTION} ends with a rollback: other bytes rank than before"));
    }

    fs::create_dir_all(desk.folder.join("beginner")).map_err(|err| err.to_string())?;
    for (name, bytes) in FILES.iter().zip(&beginner) {
        sh::write(&desk.folder.join("beginner").join(name), bytes)?;
    }
    words += &desk.say(publish)?;
    let refused = desk.say("freshrank model publish beginner --tables TABLES");
    match refused {
        Err(why) if why.contains("the model in use stays: worse than in use") => Ok(words),
        Err(why) => Err(why),
        Ok(_) => Err("a beginner took the place of its successor: the gate lets worse models through".into()),
    }
}

/// What a log is worth: read as the edge marked it, and as if a fetch were a look and a scan a click; from the tables of [`retrain`].
pub fn learn_from_clicks(cli: &Path) -> Outcome<String> {
    let folder = target("retrain");
    let mut python = program(setup::venv().join("bin/python"));
    python.arg("training/loop.py").arg("--freshrank").arg(cli);
    python.arg("--tables").arg(folder.join("TABLES")).arg("--work").arg(folder.join("clicks"));
    sh::logged("test-clicks", &mut python)
}

/// A folder in which README's commands find what they name.
struct Desk {
    folder: PathBuf,
}

impl Desk {
    fn new(cli: &Path) -> Outcome<Self> {
        let folder = target("retrain");
        sh::fresh_dir(&folder)?;
        for name in ["bin", "models"] {
            sh::create_dir(&folder.join(name))?;
        }
        let link = |from: &Path, to: &str| {
            symlink(from, folder.join(to)).map_err(|err| format!("cannot link {} to {to}: {err}", from.display()))
        };
        link(cli, "bin/freshrank")?;
        link(&root().join("training"), "training")?;
        // A link to the interpreter would leave its environment behind.
        let python = setup::venv().join("bin/python");
        sh::write(&folder.join("bin/python"), format!("#!/bin/sh\nexec {:?} \"$@\"\n", python.to_string_lossy()))?;
        sh::quietly("retrain-desk", Command::new("chmod").arg("+x").arg(folder.join("bin/python")))?;
        for name in ["cuisine-map.json", "place-model.json"] {
            sh::write(&folder.join("models").join(name), sh::read_bytes(&root().join("models").join(name))?)?;
        }
        Ok(Self { folder })
    }

    /// Types a command.
    fn say(&self, command: &str) -> Outcome<String> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = program("sh");
        shell.args(["-c", command]).current_dir(&self.folder);
        shell.env("PATH", format!("{}:{path}", self.folder.join("bin").display()));
        let words = sh::logged("test-retrain", &mut shell)?;
        Ok(format!("> {command}\n{words}\n"))
    }

    /// The bytes of a folder's model.
    fn ranking(&self, folder: &str) -> Outcome<Vec<Vec<u8>>> {
        let path = |name: &&str| self.folder.join(folder).join(name);
        FILES.iter().filter(|name| path(name).exists()).map(|name| sh::read_bytes(&path(name))).collect()
    }
}

/// The lines of the section that are set apart.
fn commands(readme: &str) -> Outcome<Vec<String>> {
    let (_, section) = readme.split_once(SECTION).ok_or_else(|| format!("{README} has no section {SECTION:?}"))?;
    let section = section.lines().take_while(|line| !line.starts_with('#'));
    // What follows two blanks and a hash is said to the reader.
    let command =
        |line: &str| line.strip_prefix("    ").map(|line| line.split("  #").next().unwrap_or(line).trim().to_owned());
    Ok(section.filter_map(command).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_the_lines_set_apart_in_their_section() {
        let page =
            "    not this\n### Retrain\nwords\n\n    freshrank a --b c  # why\n    python d\n## Next\n    nor this\n";
        assert_eq!(commands(page), Ok(vec!["freshrank a --b c".to_owned(), "python d".to_owned()]));
        assert!(commands("none").is_err());
    }
}
