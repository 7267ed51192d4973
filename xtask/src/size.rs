//! How large the modules are: raw, gzipped beside what is aimed at, and which crates' code it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::report::{Row, publish};
use crate::sh::{self, Outcome, program, said};
use crate::wasm::{self, Weight};

/// What is aimed at, gzipped; the free plan's limit of a Worker is 3 MiB.
const AIMS: [(Weight, f64); 3] = [(Weight::Lite, 300e3), (Weight::LiteWithCel, 600e3), (Weight::Full, 2.5e6)];
/// What the checks let pass where an aim is not met yet, so that no module grows unseen.
const LEDGER: [(Weight, f64); 2] = [(Weight::Lite, 511.5e3), (Weight::Full, 2.265e6)];

/// How many crates are named; the others are summed up.
const N_CRATES: usize = 20;

/// `cargo xtask size`.
pub fn run(_: &[String]) -> Outcome {
    let mut rows = Vec::new();
    for (weight, aim) in AIMS {
        let name = weight.name().replace('-', " ");
        let module = wasm::worker(weight)?.join("index_bg.wasm");
        let raw = sh::read_bytes(&module)?.len();
        let gzip = gzipped(&module)?;
        let bytes =
            |name: String, bytes: usize| Row { name, target: "v8", value: bytes as f64, unit: "bytes", against: None };
        rows.push(bytes(format!("{name} raw"), raw));
        rows.push(Row { against: Some(("limit", gzip as f64 / aim)), ..bytes(format!("{name} gzip"), gzip) });

        let by_crate = crates(&sh::read_bytes(&wasm::named("worker", weight))?)?;
        let mut sorted: Vec<_> = by_crate.into_iter().collect();
        sorted.sort_by_key(|(name, bytes)| (std::cmp::Reverse(*bytes), name.clone()));
        let rest: usize = sorted.iter().skip(N_CRATES).map(|(_, bytes)| bytes).sum();
        let named = sorted.into_iter().take(N_CRATES).chain([("other crates".to_owned(), rest)]);
        let named = named.filter(|(_, bytes)| *bytes > 0);
        rows.extend(named.map(|(part, value)| bytes(format!("{name} before wasm-opt: {part}"), value)));
    }
    publish("size", &rows)?;
    println!("gzip at level 9, of the modules as wrangler ships them; a limit is what is aimed at");
    Ok(())
}

/// Whether the Workers that ship, built already, are as small as they were.
pub fn check(modules: &[(Weight, PathBuf)]) -> Outcome {
    for (weight, most) in LEDGER {
        let Some((_, module)) = modules.iter().find(|(built, _)| *built == weight) else { continue };
        let gzip = gzipped(&module.join("index_bg.wasm"))?;
        if gzip as f64 > most {
            let name = weight.name();
            return Err(format!(
                "the {name} Worker has {gzip} bytes gzipped, at most {most} pass: `cargo xtask size` tells whose"
            ));
        }
    }
    Ok(())
}

/// Bytes of a file under `gzip -9`.
pub fn gzipped(path: &Path) -> Outcome<usize> {
    let script = "process.stdout.write(String(require('zlib').gzipSync(require('fs').readFileSync(process.argv[1]), { level: 9 }).length))";
    let bytes = said(program("node").args(["-e", script]).arg(path))?;
    bytes.parse().map_err(|_| format!("node says {bytes} for the gzipped size"))
}

/// Bytes by crate of a module with its names: code by the function's name, and the other sections by theirs.
fn crates(module: &[u8]) -> Outcome<BTreeMap<String, usize>> {
    let mut bytes = BTreeMap::new();
    let (mut n_imported, mut sizes, mut names) = (0, Vec::new(), BTreeMap::new());
    let mut reader = Reader { bytes: module };
    if reader.take(8) != Some(b"\0asm\x01\0\0\0") {
        return Err("the module is not a WebAssembly binary".to_owned());
    }
    let torn = || "the module ends inside a section".to_owned();
    while !reader.bytes.is_empty() {
        let id = reader.byte().ok_or_else(torn)?;
        let mut body = Reader { bytes: reader.run().ok_or_else(torn)? };
        let length = body.bytes.len();
        match id {
            0 => {
                if body.run() == Some(b"name") {
                    names = function_names(body).ok_or_else(torn)?;
                }
            }
            2 => n_imported = n_function_imports(&mut body).ok_or_else(torn)?,
            10 => {
                let count = body.number().ok_or_else(torn)?;
                for _ in 0..count {
                    sizes.push(body.run().ok_or_else(torn)?.len());
                }
            }
            11 => *bytes.entry("(data)".to_owned()).or_default() += length,
            _ => *bytes.entry("(tables)".to_owned()).or_default() += length,
        }
    }
    for (i, size) in sizes.into_iter().enumerate() {
        let name = names.get(&(n_imported + i)).map_or("(unnamed)", |name| crate_of(name));
        *bytes.entry(name.to_owned()).or_default() += size;
    }
    Ok(bytes)
}

/// The crate in a function's name: of `<a::B as c::D>::e` it is a, of `core::f::<a::B>` core.
fn crate_of(name: &str) -> &str {
    let path = name.trim_start_matches(['<', '&', '(', '[', '*']);
    let path = path.strip_prefix("dyn ").or_else(|| path.strip_prefix("mut ")).unwrap_or(path);
    let path = path.strip_prefix("impl ").unwrap_or(path);
    match path.split_once("::") {
        Some((first, _)) if first.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => first,
        _ => "(no crate)",
    }
}

/// The names of functions: subsection 1 of the name section.
fn function_names(mut body: Reader<'_>) -> Option<BTreeMap<usize, String>> {
    let mut names = BTreeMap::new();
    while !body.bytes.is_empty() {
        let kind = body.byte()?;
        let mut part = Reader { bytes: body.run()? };
        if kind == 1 {
            for _ in 0..part.number()? {
                let index = part.number()?;
                names.insert(index, String::from_utf8_lossy(part.run()?).into_owned());
            }
        }
    }
    Some(names)
}

/// How many of the imports are functions, whose indices come first.
fn n_function_imports(body: &mut Reader<'_>) -> Option<usize> {
    let mut n_functions = 0;
    for _ in 0..body.number()? {
        body.run()?;
        body.run()?;
        match body.byte()? {
            0 => {
                body.number()?;
                n_functions += 1;
            }
            kind @ (1 | 2) => {
                // A table tells its type before its limits.
                if kind == 1 {
                    body.byte()?;
                }
                let has_maximum = body.byte()? & 1 == 1;
                body.number()?;
                if has_maximum {
                    body.number()?;
                }
            }
            // A global's type and mutability, an exception tag's attribute and type.
            3 | 4 => {
                body.byte()?;
                body.number()?;
            }
            _ => return None,
        }
    }
    Some(n_functions)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(n)?;
        self.bytes = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// An unsigned LEB128 number.
    fn number(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Bytes that have their number before them.
    fn run(&mut self) -> Option<&'a [u8]> {
        let n = self.number()?;
        self.take(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_its_crates() {
        // One imported function, then two of its own, of 2 and 3 bytes.
        let imports = b"\x02\x07\x01\x01a\x01b\x00\x00";
        let code = b"\x0a\x08\x02\x02\x00\x0b\x03\x00\x01\x0b";
        let names = b"\x00\x1a\x04name\x01\x13\x02\x01\x07a::b::c\x02\x07<d::E>f";
        let module = [&b"\0asm\x01\0\0\0"[..], imports, code, names].concat();
        let found = crates(&module).expect("a module");
        assert_eq!(found, BTreeMap::from([("a".to_owned(), 2), ("d".to_owned(), 3)]));
        for end in 0..module.len() {
            let _ = crates(&module[..end]);
        }
    }

    #[test]
    fn a_name_belongs_to_the_crate_of_its_type() {
        assert_eq!(crate_of("<tract_core::ops::Cast as tract_core::Op>::eval"), "tract_core");
        assert_eq!(crate_of("core::ptr::drop_in_place::<alloc::vec::Vec<u8>>"), "core");
        assert_eq!(crate_of("<&serde_json::de::X as Y>::z"), "serde_json");
        assert_eq!(crate_of("__rust_alloc"), "(no crate)");
    }
}
