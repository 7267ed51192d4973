//! What a page shows around a message: who is in an area, where the reader likely is, what the layers come to, and drafts of them.
//!
//! Nothing here decides: it tells what the engine decided from, in JSON.

use crate::Engine;
use freshrank::campaign::author::{self, Node, Problem};
use freshrank::campaign::history::{leaves, list_of};
use freshrank::campaign::{Layer, Origin, Severity};
use freshrank::geo::Cell;
use freshrank::request::{Question, from_base64url};
use freshrank::{Areas, Campaign, Decision, Profile, rerank};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

/// What is known of a reader, for whoever may see it: the JSON of a `ReaderFacts`.
///
/// # Errors
/// What is no profile.
#[wasm_bindgen(js_name = readProfile)]
pub fn read_profile(profile: &str) -> Result<String, JsError> {
    let profile = Profile::decode(&from_base64url(profile)?)?;
    let places = profile.places.iter().map(|place| {
        json!({ "latitude": place.point.latitude(), "longitude": place.point.longitude(), "probability": place.probability })
    });
    let facts = json!({
        "market": profile.market,
        "consent": profile.consent,
        "member": profile.member,
        "n_orders": profile.n_orders,
        "last_order_days": profile.last_order_days,
        "new_place_rate": profile.new_place_rate,
        "places": places.collect::<Vec<_>>(),
        "lifelong": profile.lifelong.clusters,
        "recent": profile.recent.clusters,
    });
    Ok(facts.to_string())
}

#[wasm_bindgen]
impl Engine {
    /// The merchants of an area that was added: the JSON of an `AreaMerchant[]`.
    ///
    /// # Errors
    /// A cell whose area was not added.
    pub fn merchants(&self, cell: &str) -> Result<String, JsError> {
        let area = Cell::parse(cell).and_then(|cell| self.areas.get(&cell));
        let area = area.ok_or_else(|| JsError::new("no area of this cell was added"))?;
        let display = self.displays.get(&area.hash);
        let merchants = (0..area.len()).map(|i| {
            let merchant = area.merchant(i);
            let card = display.and_then(|display| display.card(merchant.id));
            json!({
                "merchant": merchant.id.to_string(),
                "merchant_id": card.as_ref().map(|card| &card.merchant_id),
                "name": card.as_ref().map(|card| &card.name),
                "cuisines": card.as_ref().map(|card| &card.cuisines),
                "latitude": merchant.position.latitude(),
                "longitude": merchant.position.longitude(),
            })
        });
        Ok(Value::from_iter(merchants).to_string())
    }

    /// Where the reader of a request is thought to be, and what the evidence made of the profile's places: the JSON of a `Located`.
    /// Coordinates are the page's own: no reply has them.
    ///
    /// # Errors
    /// As [`Engine::rank`].
    pub fn locate(&self, request: &str) -> Result<String, JsError> {
        let (decision, question) = self.decided(request)?;
        let place = &decision.place;
        let known = if decision.tailored { &question.profile.places[..] } else { &[] };
        let offset = question.profile.offset_minutes;
        let daypart = freshrank::time::Local::new(question.context.at, offset).daypart();
        let places = known.iter().zip(&place.posterior).map(|(known, posterior)| {
            json!({
                "latitude": known.point.latitude(),
                "longitude": known.point.longitude(),
                "usual": known.at(daypart),
                "now": posterior,
            })
        });
        let point = place.point.map(|point| json!({ "latitude": point.latitude(), "longitude": point.longitude() }));
        Ok(json!({
            "point": point,
            "cell": place.cell(),
            "served": decision.cell.is_some(),
            "certainty": place.certainty,
            "source": place.source,
            "travelling": place.travelling,
            "elsewhere": place.elsewhere,
            "tailored": decision.tailored,
            "places": places.collect::<Vec<_>>(),
        })
        .to_string())
    }

    /// What a campaign's layers come to for a request, who said each part, and who locks it: the JSON of a `Leaf[]`.
    ///
    /// # Errors
    /// As [`Engine::rank`].
    pub fn merged(&self, request: &str) -> Result<String, JsError> {
        let asked = self.ask(request)?;
        let (decision, _) = self.decided(request)?;
        let policy = &decision.policy;
        let all = asked.policies.campaign.defaults().values().chain(asked.policies.campaign.layers().values());
        let locks: Vec<(&Layer, &str)> =
            all.flat_map(|layer| layer.lock.iter().map(move |(key, _)| (layer, key.as_str()))).collect();
        let within = |key: &str, lock: &str| {
            key.strip_prefix(lock).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let leaf = |(key, value): (String, String)| {
            let origin = policy.provenance.get(&key).or_else(|| policy.provenance.get(list_of(&key)?));
            let locked = locks.iter().find(|(_, lock)| within(&key, lock)).map(|(layer, _)| layer.path.to_string());
            let (layer, line) = origin.map_or((None, None), |Origin { layer, line }| (Some(layer), Some(line)));
            json!({ "key": key, "value": value, "layer": layer, "line": line, "locked_by": locked })
        };
        Ok(Value::from_iter(leaves(policy).into_iter().map(leaf)).to_string())
    }

    /// Adds a campaign that is another one with one layer in place of its own: `layer` as a person writes it, in JSON, `null` to take
    /// it away; `path` as `fi/helsinki`. Gives the JSON of a `DraftProblem[]`; with an error among them nothing was added.
    ///
    /// # Errors
    /// A campaign that was not set, and what is no JSON.
    pub fn draft(&mut self, campaign: &str, path: &str, layer: &str, draft: &str) -> Result<String, JsError> {
        let base = self.named(campaign)?;
        let written: Value = serde_json::from_slice(layer.as_bytes())?;
        let mut problems = Vec::new();
        let others = base.defaults().values().chain(base.layers().values());
        let mut layers: Vec<Layer> = others.filter(|layer| *layer.path != *path).cloned().collect();
        if !written.is_null() {
            let (mut layer, found) = author::read(path, &Node::from_json(&written));
            problems.extend(found);
            problems.extend(compile(&mut layer)?);
            layers.push(layer);
        }
        let drafted = Campaign::new(&base.id, layers).with_staged(base.staged().to_vec());
        problems.extend(drafted.check());
        if problems.iter().all(|problem| problem.severity != Severity::Error) {
            self.campaigns.insert(draft.into(), drafted);
        }
        Ok(Value::from_iter(problems.iter().map(told)).to_string())
    }

    /// A layer of a campaign as a person would write it: its JSON, or `null` where there is none.
    ///
    /// # Errors
    /// A campaign that was not set.
    pub fn layer(&self, campaign: &str, path: &str) -> Result<String, JsError> {
        Ok(serde_json::to_value(self.named(campaign)?.layer(path))?.to_string())
    }

    /// A campaign as it would be published: the JSON of a `Campaign`.
    ///
    /// # Errors
    /// A campaign that was not set.
    pub fn document(&self, campaign: &str) -> Result<String, JsError> {
        Ok(self.named(campaign)?.to_json())
    }
}

impl Engine {
    fn named(&self, campaign: &str) -> Result<&Campaign, JsError> {
        self.campaigns.get(campaign).ok_or_else(|| JsError::new("no campaign of this name was set"))
    }

    /// What a request comes to, with its profile.
    fn decided(&self, request: &str) -> Result<(Decision, Question), JsError> {
        let asked = self.ask(request)?;
        let question = &asked.question;
        let areas = Areas::new(question.areas.iter().chain(asked.area), question.overlay.clone());
        let decision = rerank(&areas, &question.profile, &question.context, &asked.policies, self.scorer.as_ref());
        Ok((decision, asked.question))
    }
}

fn told(problem: &Problem) -> Value {
    json!({
        "layer": problem.layer,
        "line": problem.line,
        "column": problem.column,
        "key": problem.key,
        "message": problem.message,
        "hint": problem.hint,
        "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
    })
}

/// The programs of the layer's rules.
#[cfg(feature = "cel")]
fn compile(layer: &mut Layer) -> Result<Vec<Problem>, JsError> {
    const LABELS: &[u8] = include_bytes!("../../../models/cuisine-labels.json");
    let labels = freshrank::rule::Labels::read(LABELS).map_err(|problem| JsError::new(&problem))?;
    Ok(layer.compile(&labels))
}

/// This module has no compiler: a rule keeps the program that it came with.
#[cfg(not(feature = "cel"))]
#[allow(clippy::unnecessary_wraps)]
fn compile(_: &mut Layer) -> Result<Vec<Problem>, JsError> {
    Ok(Vec::new())
}
