//! `freshrank inspect`: what is in these bytes.

use crate::{Outcome, print, shelf};
use clap::Args;
use freshrank::bundle::{Bundle, Display};
use freshrank::score::{dense::Dense, tract::Tract};
use freshrank::token::Header;
use freshrank::{Hash, Profile};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What to look into.
#[derive(Debug, Args)]
pub struct Arguments {
    /// An area bundle, display block, profile (bytes or base64url), token, plan or ONNX model
    file: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let bytes = shelf::read(&arguments.file)?;
    let found = describe(&bytes).map_err(|error| format!("{}: {error}", arguments.file.display()))?;
    if arguments.json {
        print::json(&found)?;
    } else if let Value::Object(fields) = &found {
        print::table(&["", ""], fields.iter().map(|(key, value)| vec![key.clone(), plain(value)]));
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(entries) => entries.iter().map(plain).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

fn describe(bytes: &[u8]) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    match bytes.get(..4) {
        Some(b"FRAB") => Ok(area(&Bundle::decode(bytes.to_vec())?)),
        Some(b"FRAD") => Ok(display(&Display::decode(bytes.to_vec())?)),
        Some(b"FRP1") => Ok(profile(&Profile::decode(bytes)?, bytes.len())),
        Some(b"FRLP") => Ok(plan(&Dense::decode(bytes)?, bytes.len())),
        _ => match base64url(bytes) {
            Some(decoded) => Ok(profile(&Profile::decode(&decoded)?, decoded.len())),
            None => token(bytes).map_or_else(|| onnx(bytes), Ok),
        },
    }
}

/// A profile as a request carries it.
fn base64url(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    freshrank::request::from_base64url(text).ok().filter(|decoded| decoded.starts_with(b"FRP1"))
}

/// What can be read of a token without its key.
fn token(bytes: &[u8]) -> Option<Value> {
    let header = Header::read(std::str::from_utf8(bytes).ok()?.trim()).ok()?;
    Some(json!({ "format": "token", "bytes": header.bytes, "key": header.key.to_string() }))
}

fn area(bundle: &Bundle) -> Value {
    let merchants: Vec<_> = (0..bundle.len()).map(|i| bundle.merchant(i)).collect();
    let with_hours = merchants.iter().filter(|m| matches!(m.schedule, freshrank::bundle::Schedule::Known(_))).count();
    let offers: usize = (0..bundle.len()).map(|i| bundle.offers_of(i).count()).sum();
    json!({
        "format": "area bundle",
        "bytes": bundle.bytes().len(),
        "hash": bundle.hash,
        "cell": bundle.cell,
        "as of": freshrank::time::format(bundle.as_of),
        "layer": bundle.layer(),
        "country": String::from_utf8_lossy(&bundle.country),
        "minutes ahead of UTC": bundle.offset_minutes(bundle.as_of),
        "cuisine map": format!("{:016x}", bundle.cuisine_map),
        "merchants": bundle.len(),
        "merchants with hours": with_hours,
        "offers": offers,
    })
}

fn display(block: &Display) -> Value {
    json!({ "format": "display block", "bundle": block.bundle, "cards": block.len() })
}

fn profile(profile: &Profile, bytes: usize) -> Value {
    let raw = |taste: &freshrank::profile::Taste| {
        taste.raw.iter().map(|(label, share)| format!("cuisine {label}: {share:.2}")).collect::<Vec<_>>()
    };
    let clusters = |taste: &freshrank::profile::Taste| {
        taste.clusters.iter().map(|v| format!("{v:+.2}")).collect::<Vec<_>>().join(" ")
    };
    let places = profile.places.iter().map(|p| format!("{} {:.2?}", p.point.cell(), p.probability));
    let merchants =
        profile.merchants.iter().map(|m| format!("{:08x}: {:.1} orders, last {} days ago", m.id, m.count, m.days));
    json!({
        "format": "profile",
        "bytes": bytes,
        "as of": freshrank::time::format(i64::from(profile.as_of_minute) * 60),
        "market": profile.market,
        "consent": profile.consent,
        "member": profile.member,
        "orders": profile.n_orders,
        "days since the last": profile.last_order_days,
        "lifelong taste by cluster": clusters(&profile.lifelong),
        "recent taste by cluster": clusters(&profile.recent),
        "lifelong cuisines": raw(&profile.lifelong),
        "recent cuisines": raw(&profile.recent),
        "likely places (area, by daypart)": places.collect::<Vec<_>>(),
        "rate of new places": format!("{:.2}", profile.new_place_rate),
        "merchants ordered from": merchants.collect::<Vec<_>>(),
    })
}

fn plan(plan: &Dense, bytes: usize) -> Value {
    let layers = plan.layers.iter().map(|layer| layer.biases.len().to_string());
    let widths: Vec<String> = std::iter::once(plan.mean.len().to_string()).chain(layers).collect();
    json!({
        "format": "model plan",
        "bytes": bytes,
        "model": plan.model,
        "features": plan.fingerprint,
        "ranks this release's columns": plan.fingerprint == freshrank::feature::fingerprint(),
        "widths": widths.join("-"),
    })
}

fn onnx(bytes: &[u8]) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let model = Tract::load(bytes)?;
    Ok(json!({
        "format": "ONNX ranker",
        "bytes": bytes.len(),
        "hash": Hash::of(bytes),
        "ranks this release's columns": true,
        "decided by": if model.plan().is_ok() { "dense" } else { "tract" },
    }))
}
