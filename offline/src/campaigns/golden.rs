//! Golden decisions: what a campaign's team wants some readers to be shown, kept beside its layers.
//!
//! `golden/fi/helsinki/lunch-at-the-office.json` is `{"request": {...}, "expect": {"title": ..., "slots": [...]}}`, and speaks
//! for the layer it lies under. The request says its own time. It is decided in `"area": "kamppi.area"`, a bundle
//! beside it, or in the bundles that the request brings, or in a folder of bundles that is named when checking.

use super::Fault;
use freshrank::bundle::{Bundle, Display};
use freshrank::request::{Question, Reply};
use freshrank::{Campaign, Scorer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file of the folder `golden/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// As `freshrank rank` takes it, with a time.
    request: Value,
    /// A bundle beside the file; its cards, where there are any, beside that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    area: Option<String>,
    /// Absent until it is blessed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expect: Option<Expect>,
}

/// What of a reply is held fast: what a reader sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The headline.
    pub title: String,
    /// One a slot, `relevant: Ravintola Nokka (1f2e3d4c5b6a7988)`.
    pub slots: Vec<String>,
}

impl Expect {
    /// Of a reply.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        // Through JSON, so that a slot reads here as every other shell reads it.
        let json = serde_json::to_value(reply).unwrap_or_default();
        let slots = json["slots"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self { title: reply.title.clone(), slots: slots.iter().map(said).collect() }
    }

    /// Where two differ, slot by slot, the first as before and the second as now.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut all = Vec::new();
        if self.title != now.title {
            all.push(format!("title: {:?} -> {:?}", self.title, now.title));
        }
        for slot in 0..self.slots.len().max(now.slots.len()) {
            let (old, new) = (self.slots.get(slot), now.slots.get(slot));
            if old != new {
                let word = |slot: Option<&String>| slot.map_or_else(|| "nothing".to_owned(), Clone::clone);
                all.push(format!("slot {slot}: {} -> {}", word(old), word(new)));
            }
        }
        all
    }
}

fn said(slot: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(words) = text(&slot["fallback"]["text"]) {
        return format!("fallback: {words}");
    }
    let pool = text(&slot["pool"]).unwrap_or_default();
    let merchant = text(&slot["merchant"]).unwrap_or_default();
    let mut words = match text(&slot["card"]["name"]) {
        Some(name) => format!("{pool}: {name} ({merchant})"),
        None => format!("{pool}: {merchant}"),
    };
    if let Some(badge) = text(&slot["badge"]) {
        words.push_str(&format!(" [{badge}]"));
    }
    if slot["sponsored"] == true {
        words.push_str(" [sponsored]");
    }
    words
}

/// Answers a question from a folder of bundles.
pub type Answer<'a> = &'a (dyn Fn(&Campaign, &Question) -> Result<Reply, String> + Sync);

/// What golden decisions are decided with.
#[derive(Clone, Copy)]
pub struct Decider<'a> {
    /// Who judges.
    pub scorer: &'a (dyn Scorer + Sync),
    /// For those that bring no bundle of their own.
    pub bundles: Option<Answer<'a>>,
}

/// One golden decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    /// Its file.
    pub path: PathBuf,
    /// The layer it lies under; empty for the whole campaign.
    pub layer: String,
    file: File,
}

impl Golden {
    /// Reads every `.json` file of a campaign's `golden/`, ascending by path.
    #[must_use]
    pub fn all(campaign: &Path) -> (Vec<Self>, Vec<Fault>) {
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        let root = campaign.join("golden");
        if root.is_dir() {
            walk(&root, "", &mut all, &mut faults);
        }
        (all, faults)
    }

    /// What it expects; `None` until it is blessed.
    #[must_use]
    pub fn expect(&self) -> Option<&Expect> {
        self.file.expect.as_ref()
    }

    /// What a campaign comes to; `None` where that needs a folder of bundles.
    ///
    /// # Errors
    /// Where the request or the bundle beside it cannot be read.
    pub fn come_to(&self, campaign: &Campaign, decider: Decider<'_>) -> Result<Option<Expect>, Fault> {
        let fault = |message: String, hint: &str| Fault::at(1, 1, message, hint).in_file(&self.path);
        let request = self.file.request.to_string();
        let mut question = Question::parse(request.as_bytes(), 0)
            .map_err(|error| fault(error.to_string(), "write a request as `freshrank rank` takes it"))?;
        // Names are for whoever reads the file; they move no decision.
        question.display = true;
        let reply = if let Some(name) = &self.file.area {
            let (bundle, display) =
                self.area(name).map_err(|message| fault(message, "copy the bundle beside the file"))?;
            question.answer(Some(&bundle), display.as_ref(), campaign, decider.scorer)
        } else if !question.areas.is_empty() || question.cell(campaign).is_none() {
            question.answer(None, None, campaign, decider.scorer)
        } else if let Some(answer) = decider.bundles {
            answer(campaign, &question).map_err(|message| fault(message, "build the bundles again"))?
        } else {
            return Ok(None);
        };
        Ok(Some(Expect::of(&reply)))
    }

    fn area(&self, name: &str) -> Result<(Bundle, Option<Display>), String> {
        let path = super::beside(&self.path, name)?;
        let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let bundle = Bundle::decode(read(&path)?).map_err(|error| format!("{}: {error}", path.display()))?;
        let cards = path.with_extension("display");
        let display = match cards.exists() {
            true => Some(Display::decode(read(&cards)?).map_err(|error| format!("{}: {error}", cards.display()))?),
            false => None,
        };
        Ok((bundle, display))
    }

    /// Writes what came out as what is expected from now on.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn bless(&mut self, now: Expect) -> std::io::Result<()> {
        self.file.expect = Some(now);
        let text = serde_json::to_string_pretty(&self.file).map_err(std::io::Error::other)?;
        std::fs::write(&self.path, text + "\n")
    }
}

fn walk(folder: &Path, layer: &str, all: &mut Vec<Golden>, faults: &mut Vec<Fault>) {
    let entries = match super::entries(folder) {
        Ok(entries) => entries,
        Err(fault) => return faults.push(fault),
    };
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            walk(&path, format!("{layer}/{name}").trim_start_matches('/'), all, faults);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            match read(&path) {
                Ok(file) => all.push(Golden { path, layer: layer.to_owned(), file }),
                Err(fault) => faults.push(fault.in_file(&path)),
            }
        }
    }
}

fn read(path: &Path) -> Result<File, Fault> {
    const HINT: &str =
        "a golden decision is {\"request\": {...}, \"expect\": {...}}; `freshrank campaign bless` writes the latter";
    let bytes = std::fs::read(path).map_err(|error| Fault::at(1, 1, error.to_string(), "make it readable"))?;
    let file: File = serde_json::from_slice(&bytes)
        .map_err(|error| Fault::at(error.line(), error.column(), error.to_string(), HINT))?;
    if file.request["context"]["at"].is_null() {
        let message = "the request says no time, and would be decided otherwise every minute".to_owned();
        return Err(Fault::at(1, 1, message, "add \"at\" to its context").about("request.context.at"));
    }
    Ok(file)
}
