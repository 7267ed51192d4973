//! Long runs at full size: what a machine does with a million readers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::{Row, publish};
use crate::sh::{self, Outcome, program, target};
use crate::test;

/// The size, and a tenth of it for every day.
const MERCHANTS: u32 = 10_000;
const FULL_READERS: u32 = 1_000_000;
/// Parts of the largest size that are built, too: memory should not follow readers. A partition is not full where there
/// are few, so that of a hundred thousand readers memory still follows the rows of a partition.
const SIZES: [u32; 3] = [4, 2, 1];
/// Readers of a partition where memory is compared: so few that partitions are full at every size.
const PART_READERS: u32 = 2500;
/// Queries that `examples` and `evaluate` answer, drawn from all: what an answer costs does not depend on readers.
const QUERIES: u32 = 20_000;
/// Merchants and the largest number of readers of a market, at an everyday soak and at full size.
const MARKET_MERCHANTS: u32 = 500;
const MARKET_READERS: u32 = 40_000;
/// Nothing is written for so long: something hangs.
const PATIENCE: Duration = Duration::from_secs(1800);

/// `cargo xtask soak scale [--full]`.
pub fn run(arguments: &[String]) -> Outcome {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["scale"] => scale(FULL_READERS / 10),
        ["scale", "--full"] => scale(FULL_READERS),
        _ => Err(format!("found `soak {}`, expected `soak scale` or `soak scale --full`", arguments.join(" "))),
    }
}

fn scale(readers: u32) -> Outcome {
    // As in the references' tests: a binary that is there need not be built.
    let cli = match std::env::var_os("FRESHRANK") {
        Some(path) => PathBuf::from(path),
        None => test::cli_as_tested()?,
    };
    let folder = target("scale");
    sh::fresh_dir(&folder)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |name: String, value: f64, unit: &'static str, against: Option<(&'static str, f64)>| {
        rows.push(Row { name, target: "native", value, unit, against });
    };
    println!(
        "simulated: merchants, readers and orders are made up by `freshrank crowd`, to measure speed and memory only"
    );
    let mut smallest: Option<Build> = None;
    let mut learned: BTreeMap<&str, f64> = BTreeMap::new();
    for part in SIZES {
        let n = readers / part;
        let build = Build::new(&cli, &folder, n)?;
        let made = build.crowd()?;
        let whole = build.run("whole", &[], None)?;
        let said = |key: &str| number(&whole, key);
        let peak = said("peak_bytes")?;
        let first = match &smallest {
            Some(first) => (peak / first.peak, n / first.readers),
            None => (1.0, 1),
        };
        let name = |what: &str| format!("{n} readers: {what}");
        println!(
            "{n} readers: {:.0} rows in {:.0} s, {:.0} rows/s, {:.0} MB at most, {:.0} partitions",
            said("rows_per_second")? * said("seconds")?,
            said("seconds")?,
            said("rows_per_second")?,
            peak / 1e6,
            said("partitions")?
        );
        row(name("orders"), number(&made, "orders")?, "rows", None);
        row(name("made up in"), number(&made, "seconds")?, "s", None);
        row(name("built in"), said("seconds")?, "s", None);
        row(name("rows a second"), said("rows_per_second")?.round(), "rows/s", None);
        let rows_read = said("rows_per_second")? * said("seconds")?;
        row(name("rows a second of a core"), (rows_read / said("cpu_seconds")?).round(), "rows/s", None);
        row(name("partitions"), said("partitions")?, "", None);
        row(name("rows of a partition"), (rows_read / said("partitions")?).round(), "rows", None);
        row(
            name(&format!("peak memory, at {} x the readers", first.1)),
            (peak / 1e5).round() / 10.0,
            "MB",
            Some(("the smallest size", first.0)),
        );
        row(name("bytes of a profile"), said("profile_bytes")? / said("profiles")?, "bytes", None);
        row(name("bytes of a merchant in a bundle"), said("bundle_bytes")? / said("merchant_rows")?, "bytes", None);
        row(name("bundles' bytes by merchant"), said("bundle_bytes")? / said("merchants")?, "bytes", None);
        for verb in ["examples", "evaluate"] {
            let parts = (n / PART_READERS).max(1).to_string();
            let came = build.learn(verb, "learned", &["--partitions", &parts], None)?;
            let (rate, peak) = (number(&came, "rows_per_second")?, number(&came, "peak_bytes")?);
            let first = *learned.entry(verb).or_insert(peak);
            println!("{n} readers: {verb}, {QUERIES} queries, {rate:.0} rows/s, {:.0} MB at most", peak / 1e6);
            row(
                name(&format!("{verb}, rows a second with {QUERIES} queries a protocol")),
                rate.round(),
                "rows/s",
                None,
            );
            row(
                name(&format!("{verb}, peak memory in {parts} partitions")),
                (peak / 1e5).round() / 10.0,
                "MB",
                Some(("the smallest size", peak / first)),
            );
            if smallest.is_none() {
                for (parts, threads) in [("1", 2), ("7", 1)] {
                    let other = build.learn(verb, "otherwise", &["--partitions", parts], Some(threads))?;
                    if without_run(&came) != without_run(&other) {
                        return Err(format!("{verb} says otherwise in {parts} partitions on {threads} threads"));
                    }
                    same(&build.out("learned"), &build.out("otherwise"))?;
                }
                println!("{n} readers: {verb} gives the same bytes in 1 and 7 partitions, on 1 and 2 threads");
            }
        }
        if smallest.is_none() {
            build.killed_examples()?;
            println!("{n} readers: examples killed and begun anew, to the same bytes");
        }
        if smallest.is_none() {
            // What it takes to hold all readers, which is what one partition does.
            let held = number(&build.run("one partition", &["--partitions", "1"], None)?, "peak_bytes")?;
            row(
                name("peak memory with all readers in one partition"),
                (held / 1e5).round() / 10.0,
                "MB",
                Some(("partitions of 250,000 rows", held / peak)),
            );
            same(&build.out("whole"), &build.out("one partition"))?;
            println!("{n} readers: 1 partition gives the same bytes as {}", said("partitions")?);
        }
        if smallest.is_none() {
            build.run("one thread", &["--partitions", "5"], Some(1))?;
            same(&build.out("whole"), &build.out("one thread"))?;
            println!("{n} readers: 5 partitions on 1 thread give the same bytes");
            smallest = Some(Build { peak, ..build });
        } else if part == SIZES[2] {
            let (left, seconds) = build.killed(said("partitions")? as usize)?;
            same(&build.out("whole"), &build.out("killed"))?;
            println!("{n} readers: killed with {left} partitions done, and built again to the same bytes");
            row(
                name("built again after being killed half way in"),
                seconds,
                "s",
                Some(("a whole build", seconds / said("seconds")?)),
            );
        }
    }
    market(&cli, &folder, readers == FULL_READERS, &mut row)?;
    publish("scale", &rows)
}

/// `market` at three sizes, over a few of the crowd's merchants.
fn market(
    cli: &Path,
    folder: &Path,
    full: bool,
    row: &mut dyn FnMut(String, f64, &'static str, Option<(&'static str, f64)>),
) -> Outcome {
    let build = Build::new(cli, folder, 1)?;
    let mut crowd = program(cli);
    crowd.args(["crowd", "--json", "--readers", "1", "--merchants", &MARKET_MERCHANTS.to_string()]);
    said(crowd.arg("--out").arg(build.out("tables")))?;
    let mut first = None;
    for part in SIZES {
        let n = MARKET_READERS * if full { 4 } else { 1 } / part;
        let make = |name: &str, threads: u32| {
            let mut market = program(cli);
            market.args(["market", "--json", "--market", "fi/helsinki", "--users", &n.to_string()]);
            market.arg("--merchants").arg(build.out("tables")).arg("--out").arg(build.out(name));
            said(market.env("RAYON_NUM_THREADS", threads.to_string()))
        };
        let came = make("market", 2)?;
        let (rate, peak) = (number(&came, "rows_per_second")?, number(&came, "peak_bytes")?);
        let first = *first.get_or_insert(peak);
        println!("market of {n} readers: {rate:.0} readers/s, {:.0} MB at most", peak / 1e6);
        row(format!("market of {n} readers: readers a second"), rate.round(), "readers/s", None);
        row(
            format!("market of {n} readers: peak memory"),
            (peak / 1e5).round() / 10.0,
            "MB",
            Some(("the smallest size", peak / first)),
        );
        if part == SIZES[0] {
            make("market on one thread", 1)?;
            same(&build.out("market"), &build.out("market on one thread"))?;
            println!("market of {n} readers: 1 thread gives the same bytes");
        }
    }
    Ok(())
}

/// One size.
struct Build {
    cli: PathBuf,
    folder: PathBuf,
    readers: u32,
    peak: f64,
}

impl Build {
    fn new(cli: &Path, folder: &Path, readers: u32) -> Outcome<Self> {
        let folder = folder.join(readers.to_string());
        sh::create_dir(&folder)?;
        Ok(Self { cli: cli.to_owned(), folder, readers, peak: 0.0 })
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn crowd(&self) -> Outcome<String> {
        let mut crowd = program(&self.cli);
        crowd.args(["crowd", "--json", "--merchants", &MERCHANTS.to_string(), "--readers", &self.readers.to_string()]);
        said(crowd.arg("--out").arg(self.out("tables")))
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut build = program(&self.cli);
        build.args(["build", "--json", "--as-of", "2026-10-01T00:00:00Z"]).args(arguments);
        build.arg("--tables").arg(self.out("tables")).arg("--out").arg(self.out(name));
        build
    }

    fn run(&self, name: &str, arguments: &[&str], threads: Option<u32>) -> Outcome<String> {
        let mut build = self.command(name, arguments);
        if let Some(threads) = threads {
            build.env("RAYON_NUM_THREADS", threads.to_string());
        }
        said(&mut build)
    }

    /// `examples` or `evaluate`, its files in a folder of this name.
    fn learning(&self, verb: &str, name: &str, arguments: &[&str]) -> Outcome<Command> {
        let out = self.out(name);
        sh::create_dir(&out)?;
        let mut learn = program(&self.cli);
        learn.args([verb, "--json", "--queries", &QUERIES.to_string()]).args(arguments);
        learn.arg("--tables").arg(self.out("tables")).arg("--work").arg(self.out("work"));
        match verb {
            "examples" => learn.args(["--candidates", "20"]).arg("--out").arg(out.join("examples.parquet")),
            _ => learn
                .args(["--split", "2026-07-01T00:00:00Z", "--model", "none", "--resamples", "100", "--cuts", "1"])
                .arg("--allow-leaks"),
        };
        Ok(learn)
    }

    fn learn(&self, verb: &str, name: &str, arguments: &[&str], threads: Option<u32>) -> Outcome<String> {
        let mut learn = self.learning(verb, name, arguments)?;
        if let Some(threads) = threads {
            learn.env("RAYON_NUM_THREADS", threads.to_string());
        }
        said(&mut learn)
    }

    /// Kills `examples` once it writes rows, and begins anew.
    fn killed_examples(&self) -> Outcome {
        let mut learn = self.learning("examples", "killed examples", &[])?;
        let mut child = learn.stdout(Stdio::null()).spawn().map_err(|err| format!("cannot run {learn:?}: {err}"))?;
        let (folder, started) = (self.out("killed examples"), Instant::now());
        while !folder.join(".examples.parquet").exists() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let killed = child.kill().and_then(|()| child.wait());
        killed.map_err(|err| format!("cannot kill examples: {err}"))?;
        if folder.join("examples.parquet").exists() {
            return Err("examples was over before it was killed".into());
        }
        self.learn("examples", "killed examples", &[], None)?;
        same(&self.out("learned"), &folder)
    }

    /// Kills a build half way through its profiles, and builds again; partitions that were done, and the seconds.
    fn killed(&self, n_parts: usize) -> Outcome<(usize, f64)> {
        let mut build = self.command("killed", &[]);
        let mut child = build.stdout(Stdio::null()).spawn().map_err(|err| format!("cannot run {build:?}: {err}"))?;
        let profiles = self.out("killed").join(".unfinished/profiles");
        let done = || {
            let files = fs::read_dir(&profiles).map(|files| files.flatten().collect::<Vec<_>>()).unwrap_or_default();
            files.iter().filter(|file| file.path().extension().is_none()).count()
        };
        let started = Instant::now();
        while done() < n_parts / 2 && child.try_wait().is_ok_and(|status| status.is_none()) {
            if started.elapsed() > PATIENCE {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let killed = child.kill().and_then(|()| child.wait());
        killed.map_err(|err| format!("cannot kill the build: {err}"))?;
        let left = done();
        if left >= n_parts || self.out("killed").join("manifest.json").exists() {
            return Err(format!("the build was over before it was killed: {left} of {n_parts} partitions"));
        }
        let again = self.run("killed", &[], None)?;
        if (number(&again, "steps_resumed")? as usize) < left {
            return Err(format!("{left} partitions were done, but the next build began anew"));
        }
        Ok((left, number(&again, "seconds")?))
    }
}

/// As [`sh::said`], with progress bars where a person looks on.
fn said(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|err| format!("cannot run {command:?}: {err}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A result without what is true of its run alone.
fn without_run(text: &str) -> String {
    let Some((before, rest)) = text.split_once("\"run\": {") else { return text.to_owned() };
    format!("{before}{}", rest.split_once('}').map_or("", |(_, after)| after))
}

/// The first number under a key of a JSON text.
fn number(text: &str, key: &str) -> Outcome<f64> {
    let found = text.split(&format!("\"{key}\":")).nth(1).and_then(|rest| {
        let end = rest.find([',', '}', '\n'])?;
        rest[..end].trim().parse().ok()
    });
    found.ok_or_else(|| format!("found no number {key:?} in {text}"))
}

/// Two folders with the same files of the same bytes.
fn same(a: &Path, b: &Path) -> Outcome {
    let (files, others) = (files(a)?, files(b)?);
    if files.keys().ne(others.keys()) {
        return Err(format!("{} has other files than {}", b.display(), a.display()));
    }
    for (name, path) in &files {
        if sh::read_bytes(path)? != sh::read_bytes(&others[name])? {
            return Err(format!("{name} differs between {} and {}", a.display(), b.display()));
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Outcome<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|err| format!("cannot read {}: {err}", folder.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_under_its_whole_key() {
        let text = "{\n  \"longest_profile_bytes\": 99,\n  \"profile_bytes\": 12.5,\n  \"run\": { \"rows\": 3 }\n}";
        assert_eq!(number(text, "profile_bytes"), Ok(12.5));
        assert_eq!(number(text, "rows"), Ok(3.0));
        assert!(number(text, "bytes").is_err());
    }
}
