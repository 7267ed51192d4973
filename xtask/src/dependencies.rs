//! What the dependencies may be: the same features on every target, licences and crates of deny.toml.

use std::collections::{BTreeMap, BTreeSet};

use crate::setup;
use crate::sh::{self, Outcome, program, root, said};

/// A crate in whatever computes or reads a number, and what its features decide.
struct Numeric {
    name: &'static str,
    must: &'static [&'static str],
    must_not: &'static [&'static str],
}

/// Cargo unifies features: one native dependency that turned on h3o's `std`, or float_roundtrip
/// missing from one target, and the same inputs no longer give the same bytes.
const NUMERIC: &[Numeric] = &[
    Numeric { name: "h3o", must: &[], must_not: &["std", "default"] },
    Numeric { name: "libm", must: &[], must_not: &["force-soft-floats"] },
    Numeric { name: "serde_json", must: &["float_roundtrip"], must_not: &["arbitrary_precision"] },
];

/// Every numeric crate has the same features natively and in the modules.
pub fn features() -> Outcome {
    let host = said(program("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let native = enabled(&["--package", "freshrank-cli", "--package", "freshrank-offline", "--target", host])?;
    let worker = enabled(&["--package", "freshrank-worker", "--target", "wasm32-unknown-unknown"])?;
    let web = ["--package", "freshrank-web", "--features", "full", "--target", "wasm32-unknown-unknown"];
    let web = enabled(&web)?;
    let wrong: Vec<String> = NUMERIC
        .iter()
        .flat_map(|numeric| differences(numeric, &[("native", &native), ("worker", &worker), ("web", &web)]))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Crate -> its features, over all versions and uses in a build.
type Enabled = BTreeMap<String, BTreeSet<String>>;

fn enabled(selection: &[&str]) -> Outcome<Enabled> {
    let mut tree = program("cargo");
    tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"]);
    let text = said(tree.args(["--format", "{p} {f}"]).args(selection))?;
    Ok(read_tree(&text))
}

fn read_tree(text: &str) -> Enabled {
    let mut all = Enabled::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(features)) = (words.next(), words.next_back()) else {
            continue;
        };
        // A crate without features has its version, or its path, last.
        let features = features.split(',').filter(|word| !word.is_empty() && !word.starts_with(['v', '(']));
        all.entry(name.to_owned()).or_default().extend(features.map(str::to_owned));
    }
    all
}

fn differences(numeric: &Numeric, builds: &[(&str, &Enabled)]) -> Vec<String> {
    let name = numeric.name;
    let mut wrong = Vec::new();
    let mut first: Option<(&str, &BTreeSet<String>)> = None;
    for (build, crates) in builds {
        let Some(found) = crates.get(name) else {
            wrong.push(format!("{name} is not in the {build} build: take it off xtask's list"));
            continue;
        };
        for feature in numeric.must {
            if !found.contains(*feature) {
                wrong.push(format!("{name} lacks `{feature}` in the {build} build"));
            }
        }
        for feature in numeric.must_not {
            if found.contains(*feature) {
                wrong.push(format!("{name} has `{feature}` in the {build} build"));
            }
        }
        match first {
            None => first = Some((build, found)),
            Some((other, theirs)) if theirs != found => {
                wrong.push(format!("{name} has {found:?} in the {build} build, {theirs:?} in the {other} build"));
            }
            Some(_) => {}
        }
    }
    wrong
}

/// deny.toml holds: with cargo-deny where it is installed, else as far as read here, bans and licences.
pub fn deny() -> Outcome {
    if sh::exists("cargo-deny") {
        let mut deny = program("cargo-deny");
        return sh::quietly("deny", deny.args(["check", "bans", "licenses", "sources"]));
    }
    let config = sh::read(&root().join("deny.toml"))?;
    let (allowed, banned) = (strings(&config, "allow = ["), strings(&config, "deny = ["));
    if allowed.is_empty() || banned.is_empty() {
        return Err("deny.toml lists no licence, or no banned crate".to_owned());
    }
    let mut tree = program("cargo");
    tree.args(["tree", "--locked", "--workspace", "--all-features", "--edges", "normal,build,dev"]);
    for triple in [setup::WASM_TARGET, "x86_64-unknown-linux-gnu"] {
        tree.args(["--target", triple]);
    }
    let text = said(tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"]))?;
    let mut wrong = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        if banned.iter().any(|ban| ban == name) {
            wrong.insert(format!("{package} is banned"));
        }
        if !permits(licence, &allowed) {
            wrong.insert(format!("{package} has the licence `{licence}`, which deny.toml does not allow"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.into_iter().collect::<Vec<_>>().join("\n")) }
}

/// The quoted strings of a TOML array, its tables' names among them.
fn strings(toml: &str, opening: &str) -> Vec<String> {
    let Some((_, rest)) = toml.split_once(&format!("\n{opening}")) else {
        return Vec::new();
    };
    let body = rest.split("\n]").next().unwrap_or_default();
    let code = body.lines().map(|line| line.split('#').next().unwrap_or_default());
    code.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be satisfied by the allowed licences. A `/` is the old `OR`.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let permitted = any(&mut words, allowed);
    permitted && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words, allowed: &[String]) -> bool {
    let mut permitted = every(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        permitted |= every(words, allowed);
    }
    permitted
}

fn every(words: &mut Words, allowed: &[String]) -> bool {
    let mut permitted = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        permitted &= one(words, allowed);
    }
    permitted
}

fn one(words: &mut Words, allowed: &[String]) -> bool {
    match words.next() {
        Some("(") => any(words, allowed) & words.next_if_eq(&")").is_some(),
        Some(licence) => {
            // An exception only ever permits more.
            if words.next_if_eq(&"WITH").is_some() {
                words.next();
            }
            allowed.iter().any(|name| name == licence)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_of_one_build_only_is_named() {
        let native = read_tree("h3o v0.11.1 std\nfoo v1.0.0 (/elsewhere/foo)\nh3o v0.11.1 \n");
        let wasm = read_tree("h3o v0.11.1 \n");
        let numeric = Numeric { name: "h3o", must: &[], must_not: &["std"] };
        assert_eq!(
            differences(&numeric, &[("native", &native), ("web", &wasm)]),
            ["h3o has `std` in the native build", "h3o has {} in the web build, {\"std\"} in the native build"]
        );
        assert!(differences(&numeric, &[("web", &wasm)]).is_empty());
    }

    #[test]
    fn a_required_feature_that_is_missing_is_named() {
        let web = read_tree("serde_json v1.0.154 alloc,std\n");
        let numeric = Numeric { name: "serde_json", must: &["float_roundtrip"], must_not: &[] };
        assert_eq!(differences(&numeric, &[("web", &web)]), ["serde_json lacks `float_roundtrip` in the web build"]);
    }

    #[test]
    fn licences_are_read_as_expressions() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned);
        let permitted = |expression| permits(expression, &allowed);
        assert!(permitted("MIT OR LGPL-2.1-or-later"));
        assert!(permitted("GPL-3.0/MIT"));
        assert!(permitted("(GPL-3.0 OR MIT) AND Unicode-3.0"));
        assert!(permitted("Apache-2.0 WITH LLVM-exception"));
        assert!(!permitted("MIT AND GPL-3.0"));
        assert!(!permitted("MIT AND (GPL-3.0 OR MPL-2.0)"));
        assert!(!permitted("(MIT"));
        assert!(!permitted(""));
    }

    #[test]
    fn names_are_found_in_deny_toml() {
        let toml = "[licenses]\nallow = [\n  \"MIT\", # \"GPL\"\n]\n[bans]\ndeny = [\n  { crate = \"bincode\" },\n]\n";
        assert_eq!(strings(toml, "allow = ["), ["MIT"]);
        assert_eq!(strings(toml, "deny = ["), ["bincode"]);
    }
}
