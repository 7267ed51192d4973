//! Runs a case: the only code that knows both the form of `tests/cases/*.toml` and the engine's interface.
//!
//! Compiled into the native tests and into the module's tests under Node, so that both read the same documents and ask
//! the same questions. It touches no file: a [`Library`] brings the texts.

#![allow(dead_code)]

pub mod area;
pub mod expect;
pub mod model;
pub mod reader;

use area::{AreaFile, City};
use expect::Words;
use freshrank::campaign::{Staged, author};
use freshrank::request::{Question, Request, RequestClosure, base64url};
use freshrank::{Areas, Bundle, Campaign, Decision, Scorer, rerank};
use model::ModelFile;
use reader::{ContextFile, ProfileFile};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The documents by path under `tests/cases`, without `.toml`: `closed-gives-way`, `fixtures/helsinki`.
#[derive(Debug, Clone, Default)]
pub struct Library(pub BTreeMap<String, String>);

impl Library {
    /// The cases, fixtures left out.
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| !name.contains('/'))
    }

    /// Reads a fixture.
    pub fn fixture<T: for<'de> Deserialize<'de>>(&self, name: &str) -> T {
        let path = format!("fixtures/{name}");
        let text = self.0.get(&path).unwrap_or_else(|| panic!("no fixture {path}.toml"));
        toml::from_str(text).unwrap_or_else(|error| panic!("{path}.toml: {error}"))
    }

    /// Reads a case.
    pub fn case(&self, name: &str) -> Case<'_> {
        let text = &self.0[name];
        let file = toml::from_str(text).unwrap_or_else(|error| panic!("{name}.toml: {error}"));
        Case { library: self, name: name.to_owned(), text, file }
    }
}

/// A case as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    /// The name of a fixture, or whole areas.
    #[serde(default)]
    area: AreasFile,
    /// More merchants of the first area.
    #[serde(default)]
    merchants: BTreeMap<String, area::MerchantFile>,
    profile: Option<ProfileOf>,
    context: ContextFile,
    #[serde(default)]
    availability: Vec<RequestClosure>,
    #[serde(default)]
    layers: toml::Table,
    /// By path: a share of the readers, and their layer.
    #[serde(default)]
    staged: BTreeMap<String, StagedFile>,
    /// Of whom to say what would have to change.
    why: Option<String>,
    #[serde(default)]
    model: ModelFile,
    expect: toml::Table,
}

#[derive(Debug, Deserialize)]
struct StagedFile {
    share: f64,
    layer: toml::Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum AreasFile {
    #[default]
    None,
    Name(String),
    Areas(Vec<AreaFile>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ProfileOf {
    Name(String),
    Inline(Box<ProfileFile>),
}

/// One claim.
#[derive(Debug)]
pub struct Case<'l> {
    library: &'l Library,
    /// The claim, as a file name.
    pub name: String,
    /// The document.
    pub text: &'l str,
    file: CaseFile,
}

/// What a shell is given.
#[derive(Debug, Clone)]
pub struct Asked {
    /// JSON, with the areas in it.
    pub request: String,
    /// JSON.
    pub campaign: String,
    /// What merchants and places are called.
    names: Names,
}

/// What the engine says, to the bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The reply's bytes.
    pub reply: String,
    /// The rows the model saw, as bits in hexadecimal.
    pub rows: String,
    /// What the scorer gave, as bits in hexadecimal; empty where it gave nothing.
    pub scores: String,
    /// What ranked, in fixed point.
    pub totals: Vec<i32>,
}

/// Fingerprints and points in the case's own words.
#[derive(Debug, Clone, Default)]
pub struct Names {
    merchants: BTreeMap<u64, String>,
    places: Vec<(String, freshrank::geo::Point)>,
}

impl Case<'_> {
    /// What a shell is given.
    pub fn ask(&self) -> Asked {
        let mut areas = match &self.file.area {
            AreasFile::None => Vec::new(),
            AreasFile::Name(name) => vec![self.library.fixture::<AreaFile>(name).named(name)],
            AreasFile::Areas(areas) => areas.clone(),
        };
        if let Some(first) = areas.first_mut() {
            first.merchants.extend(self.file.merchants.clone());
        }
        let mut names = Names::default();
        let mut bundles = Vec::new();
        for area in &areas {
            let area = area.resolve(self.library);
            names.merchants.extend(area.merchants.keys().map(|name| (freshrank::MerchantId::of(name).0, name.clone())));
            bundles.push(base64url(&area.draft().encode().unwrap_or_else(|error| panic!("{}: {error}", self.name))));
        }
        let inline;
        let profile = match &self.file.profile {
            None => None,
            Some(ProfileOf::Inline(profile)) => Some(&**profile),
            Some(ProfileOf::Name(name)) => {
                inline = self.library.fixture(name);
                Some(&inline)
            }
        };
        let profile = profile.map(|file| {
            let profile = file.profile(self.library);
            names.places = file
                .places
                .iter()
                .map(|place| place.name.clone())
                .zip(profile.places.iter().map(|p| p.point))
                .collect();
            base64url(&profile.encode().unwrap_or_else(|error| panic!("{}: {error}", self.name)))
        });
        let request = Request {
            id: None,
            campaign: Some(self.name.clone()),
            profile,
            context: self.file.context.request(self.library),
            areas: bundles,
            availability: self.file.availability.clone(),
            explain: true,
            why: self.file.why.clone(),
            display: false,
        };
        Asked { request: serde_json::to_string(&request).unwrap(), campaign: self.campaign().to_json(), names }
    }

    /// The campaign of the case's layers, as it would be published.
    fn campaign(&self) -> Campaign {
        let read = |path: &str, document: serde_json::Value| {
            let (layer, problems) = author::read(path, &author::Node::from_json(&document));
            assert_eq!(problems, [], "{}", self.name);
            layer
        };
        let layers = self.file.layers.iter().map(|(path, layer)| read(path, serde_json::to_value(layer).unwrap()));
        let campaign = Campaign::new(&self.name, layers);
        if self.file.staged.is_empty() {
            return campaign;
        }
        let staged = self.file.staged.iter().map(|(path, StagedFile { share, layer })| Staged {
            share: *share,
            salt: self.name.clone(),
            layer: read(path, serde_json::to_value(layer).unwrap()),
        });
        campaign.with_staged(staged.collect())
    }

    /// The scorer the case asks for.
    pub fn scorer(&self) -> Box<dyn Scorer> {
        self.file.model.scorer()
    }

    /// Whether that scorer is a fake, which no shell can be given.
    pub fn has_own_scorer(&self) -> bool {
        !matches!(self.file.model, ModelFile::None)
    }

    /// What the case expects, and what the engine said instead, where that differs.
    pub fn differences(&self, asked: &Asked, decision: &Decision) -> Option<String> {
        let reply = asked.answer(&*self.scorer()).0.reply;
        let words = Words::new(asked, decision, &reply);
        let found = words.like(&self.file.expect);
        (found != self.file.expect).then(|| expect::section(&found))
    }

    /// The document with other expectations.
    pub fn rewritten(&self, expect: &str) -> String {
        let head = self.text.split("[expect]").next().unwrap_or_default();
        format!("{head}{expect}")
    }
}

impl Asked {
    /// Asks the engine as every shell does, and keeps the decision for those who want to read it.
    pub fn answer(&self, scorer: &dyn Scorer) -> (Answer, Decision) {
        let question = Question::parse(self.request.as_bytes(), 0).unwrap_or_else(|error| panic!("{error}"));
        let campaign = Campaign::parse(self.campaign.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let bundles: &[Bundle] = &question.areas;
        let areas = Areas::new(bundles, question.overlay.clone());
        let decision = rerank(&areas, &question.profile, &question.context, &campaign, scorer);
        let scores = scorer.score(&decision.rows).unwrap_or_default();
        let bits = |values: &[f32]| values.iter().map(|value| format!("{:08x}", value.to_bits())).collect();
        let answer = Answer {
            reply: question.answer(None, None, &campaign, scorer).to_json(),
            rows: bits(&decision.rows.values),
            // The bits of a NaN are nobody's promise.
            scores: if scores.iter().all(|score| score.is_finite()) { bits(&scores) } else { String::new() },
            totals: decision.scores.iter().map(|score| score.total()).collect(),
        };
        (answer, decision)
    }

    /// The names of all merchants of all areas.
    pub fn merchants(&self) -> impl Iterator<Item = &str> {
        self.names.merchants.values().map(String::as_str)
    }

    /// How many merchants the decided area has.
    pub fn candidates(&self, decision: &Decision) -> usize {
        let question = Question::parse(self.request.as_bytes(), 0).unwrap();
        let areas = Areas::new(&question.areas, Vec::new());
        decision.cell.and_then(|cell| areas.get(cell)).map_or(0, |area| area.bundle.len())
    }
}

/// `helsinki 1.2 N 0.5 E`: kilometres from the middle of a city that is a fixture.
pub fn point(library: &Library, text: &str) -> freshrank::geo::Point {
    let (city, offset) = text.split_once(' ').unwrap_or((text, ""));
    let city: City = library.fixture::<AreaFile>(city).city();
    city.point(offset)
}
