//! The worked campaigns' golden decisions, made again from nothing: five corners of fictional merchants become bundles and
//! profiles, and what the readers are shown is written down anew. For whenever bundles, profiles or the model change; the
//! difference is for a person to read.

use crate::sh::{self, Outcome, program, root, target};
use crate::test;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Bundles and profiles know nothing later.
const AS_OF: &str = "2026-10-05T06:00:00Z";
/// Readers are HMAC(secret, user_id); these are fictional, and so is what keeps them apart.
const SECRET: (&str, &str) = ("FRESHRANK_READER_SECRET", "the corners' readers are fictional");
/// Whose corner it is, for all campaigns; the members' campaign asks another reader, too.
const READER: (&str, &str) = ("new-york", "fictional-04");
const MEMBER: (&str, &str, &str) = ("member-offers/golden/a-member.json", "kamppi", "fictional-00");

/// A folder of `tests/corner/`.
struct Corner {
    name: &'static str,
    market: &'static str,
    latitude: &'static str,
    longitude: &'static str,
}

const CORNERS: &[Corner] = &[
    Corner { name: "new-york", market: "us/ny/nyc", latitude: "40.7615", longitude: "-73.9890" },
    Corner { name: "albany", market: "us/ny", latitude: "42.6526", longitude: "-73.7562" },
    Corner { name: "austin", market: "us/tx", latitude: "30.2672", longitude: "-97.7431" },
    Corner { name: "kamppi", market: "fi/helsinki", latitude: "60.1685", longitude: "24.9316" },
    Corner { name: "kallio", market: "fi/helsinki", latitude: "60.1850", longitude: "24.9540" },
];

/// `cargo xtask golden`.
pub fn run(_: &[String]) -> Outcome {
    let cli = test::cli_as_tested()?;
    let files = sh::files(&root().join("campaigns"))?;
    for corner in CORNERS {
        let folder = target("corner").join(corner.name);
        sh::fresh_dir(&folder)?;
        let (tables, out) = (format!("tests/corner/{}", corner.name), folder.to_string_lossy().into_owned());
        let build = ["build", "--tables", &tables, "--market", corner.market, "--as-of", AS_OF, "--out", &out];
        sh::quietly(&format!("golden-{}", corner.name), program(&cli).args(build).env(SECRET.0, SECRET.1))?;
        let cell = cell(&cli, corner)?;
        for extension in ["area", "display"] {
            let built = folder.join(format!("areas/{cell}.{extension}"));
            let name = format!("{}.{extension}", corner.name);
            let kept: Vec<&PathBuf> = files.iter().filter(|file| file.ends_with(&name)).collect();
            if kept.is_empty() {
                return Err(format!("no campaign has a golden/**/{name}"));
            }
            for file in kept {
                fs::copy(&built, file)
                    .map_err(|err| format!("cannot copy {} to {}: {err}", built.display(), file.display()))?;
            }
        }
    }
    let usual = profile(READER.0, READER.1)?;
    let member = profile(MEMBER.1, MEMBER.2)?;
    for file in files.iter().filter(|file| is_golden(file)) {
        let own = if file.ends_with(MEMBER.0) { &member } else { &usual };
        let text = sh::read(file)?;
        if let Some((before, (_, after))) =
            text.split_once("\"profile\": \"").and_then(|(before, rest)| Some((before, rest.split_once('"')?)))
        {
            sh::write(file, format!("{before}\"profile\": \"{own}\"{after}"))?;
        }
    }
    print!("{}", sh::logged("golden-bless", program(&cli).args(["campaign", "bless", "campaigns"]))?);
    println!("read `git diff campaigns/` before it is committed");
    Ok(())
}

fn is_golden(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "json") && file.iter().any(|part| part == "golden")
}

/// The area that a corner lies in, asked of the engine.
fn cell(cli: &Path, corner: &Corner) -> Outcome<String> {
    let Corner { name, latitude, longitude, .. } = corner;
    let request = format!(
        r#"{{"context": {{"at": "2026-10-05T09:30:00Z", "latitude": {latitude}, "longitude": {longitude}, "grade": "exact"}}}}"#
    );
    let bundles = target("corner").join(name).to_string_lossy().into_owned();
    let mut rank = program(cli);
    rank.args(["rank", "--json", "--bundles", &bundles]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let failed = |err: std::io::Error| format!("cannot run freshrank rank: {err}");
    let mut running = rank.spawn().map_err(failed)?;
    if let Some(mut stdin) = running.stdin.take() {
        stdin.write_all(request.as_bytes()).map_err(failed)?;
    }
    let output = running.wait_with_output().map_err(failed)?;
    let reply = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = reply.split_once("\"cell\":").and_then(|(_, rest)| rest.split('"').nth(1)).map(str::to_owned);
    told.ok_or_else(|| format!("freshrank rank told no cell for {name}: {}", reply.trim()))
}

/// A reader's profile in base64url.
fn profile(corner: &str, reader: &str) -> Outcome<String> {
    let file = target("corner").join(corner).join("profiles.ndjson");
    let (text, named) = (sh::read(&file)?, format!("\"user_id\":\"{reader}\""));
    let line = text.lines().find(|line| line.replace(' ', "").contains(&named));
    let told = line.and_then(|line| line.split_once("\"profile\":")?.1.split('"').nth(1)).map(str::to_owned);
    told.ok_or_else(|| format!("{} has no profile of {reader}", file.display()))
}
