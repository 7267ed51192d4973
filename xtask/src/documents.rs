//! Pages name files that are there: a path in backticks or a link is checked, nothing else.

use std::path::Path;

use crate::sh::{self, Outcome, root};

const PAGES: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "training/README.md", "models/README.md", "simulator/README.md"];

/// Every path that a page names exists.
pub fn check() -> Outcome {
    let mut missing = Vec::new();
    for page in PAGES {
        let path = root().join(page);
        if !path.exists() {
            continue;
        }
        let text = sh::read(&path)?;
        let here = path.parent().unwrap_or(root());
        for (line, named) in paths(&text) {
            if !root().join(&named).exists() && !here.join(&named).exists() {
                missing.push(format!("{page}:{line} names {named}, which does not exist"));
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
}

/// The paths in a page, with their line numbers. What is in a fenced block is an example.
fn paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_example = false;
    for (i, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_example = !is_example;
            continue;
        }
        if is_example {
            continue;
        }
        let quoted = line.split('`').skip(1).step_by(2);
        let linked = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let linked = linked.filter_map(|link| link.split('#').next());
        found.extend(quoted.chain(linked).filter(|word| is_path(word)).map(|word| (i + 1, word.to_owned())));
    }
    found
}

fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    let generated = word.starts_with("target/") || word.starts_with("node_modules");
    let known = ["md", "rs", "toml", "json", "py", "sh", "html", "onnx", "plan", "mjs", "lock"];
    let named_file = Path::new(word)
        .extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| known.contains(&extension));
    // `a/b` alone may be a route or a name of two words; a room ends in a slash.
    plain
        && !generated
        && !word.starts_with('/')
        && (word.contains('/') && (word.ends_with('/') || named_file)
            || named_file && root().join(word).parent() == Some(root()) && word.ends_with(".md"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_routes_types_and_examples() {
        let page = "`src/lib.rs` and [it](docs/a.md#part), `/v1/rank`, `Vec<T>`, `target/x.json`\n\
                    ```\n`no/where.rs`\n```\nthe room `src/`, or `and/or`, [out](https://example.com/a.md)";
        let found: Vec<_> = paths(page).into_iter().map(|(line, path)| format!("{line}:{path}")).collect();
        assert_eq!(found, ["1:src/lib.rs", "1:docs/a.md", "5:src/"]);
    }
}
