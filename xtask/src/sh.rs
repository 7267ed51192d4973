//! Other programs: how they are started, where their words go, and what is said when they fail.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a task comes to: nothing or a value, else a sentence for the person who ran it.
pub type Outcome<T = ()> = Result<T, String>;

/// How many lines of a failed program's output are repeated.
const TAIL_LINES: usize = 40;

/// The workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A path under `target/`, where everything generated is.
pub fn target(path: impl AsRef<Path>) -> PathBuf {
    root().join("target").join(path)
}

/// A program that starts in the workspace with nothing to read.
///
/// What `cargo run` told *this* program about itself is taken away again: Cargo would see other
/// variables than in a person's shell, and build again.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let is_ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || matches!(name, "CARGO" | "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "LD_LIBRARY_PATH" | "OUT_DIR")
        });
        if is_ours {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program whose words are only of interest if it fails; they stay in `target/logs/NAME.log`.
pub fn quietly(name: &str, command: &mut Command) -> Outcome {
    logged(name, command).map(drop)
}

/// As [`quietly`], and returns the words.
pub fn logged(name: &str, command: &mut Command) -> Outcome<String> {
    let log = target("logs").join(format!("{}.log", name.replace([' ', '/'], "-")));
    create_dir(log.parent().unwrap_or(root()))?;
    let file = File::create(&log).map_err(|err| format!("cannot write {}: {err}", log.display()))?;
    let both = file.try_clone().map_err(|err| err.to_string())?;
    let status = command.stdout(file).stderr(both).status().map_err(|err| cannot_run(command, &err))?;
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    if status.success() {
        return Ok(text);
    }
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Err(format!("{tail}\n{} ended with {status}; all of it is in {}", shown(command), log.display()))
}

/// What a program says on its standard output.
pub fn said(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|err| cannot_run(command, &err))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\n{} ended with {}", words.trim_end(), shown(command), output.status))
}

/// Whether a program is on the path and answers `--version`.
pub fn exists(name: &str) -> bool {
    said(program(name).arg("--version")).is_ok()
}

/// Creates a directory and those above it.
pub fn create_dir(path: &Path) -> Outcome {
    fs::create_dir_all(path).map_err(|err| format!("cannot create {}: {err}", path.display()))
}

/// Reads a text file.
pub fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|err| format!("cannot read {}: {err}", path.display()))
}

/// Reads a file.
pub fn read_bytes(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|err| format!("cannot read {}: {err}", path.display()))
}

/// Writes a file and the directories above it.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Outcome {
    create_dir(path.parent().unwrap_or(root()))?;
    fs::write(path, bytes).map_err(|err| format!("cannot write {}: {err}", path.display()))
}

/// Empties a directory, or creates it.
pub fn fresh_dir(path: &Path) -> Outcome {
    if path.exists() {
        fs::remove_dir_all(path).map_err(|err| format!("cannot empty {}: {err}", path.display()))?;
    }
    create_dir(path)
}

/// Every file of a directory and the directories in it, in order.
pub fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let unread = |err: std::io::Error| format!("cannot read {}: {err}", folder.display());
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies what is in a directory, and the directories in it.
pub fn copy_dir(from: &Path, to: &Path) -> Outcome {
    create_dir(to)?;
    let cannot_copy = |err: std::io::Error| format!("cannot copy {} to {}: {err}", from.display(), to.display());
    for entry in fs::read_dir(from).map_err(cannot_copy)? {
        let path = entry.map_err(cannot_copy)?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(cannot_copy)?;
        }
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

/// What is said of a program that does not start.
pub fn cannot_run(command: &Command, err: &std::io::Error) -> String {
    format!("cannot run {}: {err}", shown(command))
}
