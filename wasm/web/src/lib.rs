//! The engine in browsers and Node: bytes and JSON in, the reply's JSON out.
//!
//! What is wrong with bytes or JSON is thrown as an `Error` with the engine's own words; what is right is answered with
//! the same bytes as in every other shell.

mod chances;
#[path = "../../model.rs"]
mod model;
mod page;

use freshrank::blend::Ingredients;
use freshrank::bundle::{Bundle, Display};
use freshrank::campaign::Chain;
use freshrank::feature::FEATURES;
use freshrank::geo::Cell;
use freshrank::mailbox::form::JudgeRequest;
use freshrank::policies::{Kept, Merged, Policies};
use freshrank::request::Question;
use freshrank::score::NoModel;
use freshrank::score::dense::Dense;
use freshrank::sorted::Map;
use freshrank::time;
use freshrank::token::form::{MintRequest, OpenReply};
use freshrank::token::{Keys, Token};
use freshrank::{Areas, Campaign, Decision, Hash, MerchantId, Scorer, rerank};
use serde_json::json;
use std::cell::RefCell;
use std::sync::Arc;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("../types.d.ts");

#[wasm_bindgen]
extern "C" {
    /// Milliseconds since 1970, for a request that brings no time of its own.
    #[wasm_bindgen(js_namespace = Date)]
    fn now() -> f64;
}

fn now_seconds() -> i64 {
    (now() / 1000.0) as i64
}

/// Seals a message's facts (the JSON of a `MintRequest`) and gives the JSON of a `MintReply`. `keys` is a line each, `NAME KEY`, as
/// the command line has them in FRESHRANK_TOKEN_KEYS; the first one mints.
///
/// # Errors
/// Names the field or the line, what was found and what was expected.
#[wasm_bindgen(js_name = mintToken)]
pub fn mint_token(keys: &str, request: &str) -> Result<String, JsError> {
    let keys = Keys::parse(keys)?;
    Ok(MintRequest::parse(request.as_bytes())?.answer(&keys, now_seconds())?.to_json())
}

/// Opens a token and gives the JSON of an `OpenReply`: as of `at` (RFC 3339) or of now, and with `personal` also what is one
/// reader's.
///
/// # Errors
/// Whatever is not, to the bit, what was minted with one of the keys.
#[wasm_bindgen(js_name = openToken)]
pub fn open_token(keys: &str, token: &str, at: Option<String>, personal: Option<bool>) -> Result<String, JsError> {
    let opened = Token::open(token, &Keys::parse(keys)?)?;
    let at = match at {
        Some(text) => time::parse(&text).map_err(|problem| JsError::new(&format!("at: {problem}")))?,
        None => now_seconds(),
    };
    Ok(OpenReply::new(&opened, at, personal.unwrap_or_default()).to_json())
}

/// Tells who fetched a picture or a link: the JSON of a `JudgeRequest` in, that of a `JudgeReply` out.
///
/// # Errors
/// What is no request.
#[wasm_bindgen(js_name = judgeMailbox)]
pub fn judge_mailbox(request: &str) -> Result<String, JsError> {
    Ok(JudgeRequest::parse(request.as_bytes())?.answer().to_json())
}

/// The engine with what it was given: a model, areas with their cards, campaigns.
#[wasm_bindgen]
pub struct Engine {
    scorer: Box<dyn Scorer>,
    areas: Map<Cell, Bundle>,
    displays: Map<Hash, Display>,
    campaigns: Map<String, Campaign>,
    /// Who is asked where a request names no campaign.
    plain: Campaign,
    kept: RefCell<Kept>,
}

/// A page asks about many readers of few areas: policies merged so far, of a draft and of what is published.
const KEPT_POLICIES: usize = 256;

#[wasm_bindgen]
impl Engine {
    /// An engine with the model it was built with, or with the plan given. Where the former cannot be used, the prior
    /// ranks, and replies say so.
    ///
    /// # Errors
    /// Why the plan given cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(plan: Option<Vec<u8>>) -> Result<Self, JsError> {
        let scorer: Box<dyn Scorer> = match plan {
            Some(plan) => Box::new(Dense::load(&plan)?),
            None => model::choose(model::PLAN),
        };
        Ok(Self::with(scorer))
    }

    /// An engine with an ONNX ranker, run by tract: any graph, but not to the bit what another target computes.
    ///
    /// # Errors
    /// What is wrong with the file, its columns or its graph.
    #[cfg(feature = "full")]
    #[wasm_bindgen(js_name = fromOnnx)]
    pub fn from_onnx(onnx: &[u8]) -> Result<Self, JsError> {
        Ok(Self::with(Box::new(freshrank::score::tract::Tract::load(onnx)?)))
    }

    /// What the full module does with an ONNX ranker, this one does not.
    ///
    /// # Errors
    /// Always, with what to do.
    #[cfg(not(feature = "full"))]
    #[wasm_bindgen(js_name = fromOnnx)]
    pub fn from_onnx(_onnx: &[u8]) -> Result<Self, JsError> {
        Err(JsError::new(
            "the lite module has no tract: compile the ranker (`freshrank model compile`) and give the plan to `new Engine(plan)`, or take the full module",
        ))
    }

    /// An engine without a model: the prior ranks, and replies say so.
    #[wasm_bindgen(js_name = withoutModel)]
    #[must_use]
    pub fn without_model() -> Self {
        Self::with(Box::new(NoModel))
    }

    fn with(scorer: Box<dyn Scorer>) -> Self {
        let kept = RefCell::new(Kept::new(KEPT_POLICIES));
        Self {
            scorer,
            areas: Map::new(),
            displays: Map::new(),
            campaigns: Map::new(),
            plain: Campaign::default(),
            kept,
        }
    }

    /// Adds an area bundle, in place of the last one of its cell; returns the cell.
    ///
    /// # Errors
    /// Names the section that is cut off, over a limit, or damaged.
    #[wasm_bindgen(js_name = addArea)]
    pub fn add_area(&mut self, bytes: Vec<u8>) -> Result<String, JsError> {
        let area = Bundle::decode(bytes)?;
        let cell = area.cell;
        if let Some(replaced) = self.areas.insert(cell, area) {
            self.displays.remove(&replaced.hash);
        }
        Ok(cell.to_string())
    }

    /// Adds the display block of an area; returns the hash of the bundle it belongs to.
    ///
    /// # Errors
    /// As [`Engine::add_area`].
    #[wasm_bindgen(js_name = addDisplay)]
    pub fn add_display(&mut self, bytes: Vec<u8>) -> Result<String, JsError> {
        let display = Display::decode(bytes)?;
        let bundle = display.bundle;
        self.displays.insert(bundle, display);
        Ok(bundle.to_string())
    }

    /// Adds a campaign, `{"id": ..., "layers": {...}}`, in place of the last one of its name; returns the name.
    ///
    /// # Errors
    /// Names the layer and the key, what was found and what was expected.
    #[wasm_bindgen(js_name = setCampaign)]
    pub fn set_campaign(&mut self, json: &str) -> Result<String, JsError> {
        let campaign = Campaign::parse(json.as_bytes())?;
        let id = campaign.id.clone();
        self.campaigns.insert(id.clone(), campaign);
        Ok(id)
    }

    /// Answers a request (the JSON of a `Request`) with the JSON of a `Reply`.
    ///
    /// # Errors
    /// Names the field, what was found and what was expected; and a campaign that was not set.
    pub fn rank(&self, request: &str) -> Result<String, JsError> {
        let asked = self.ask(request)?;
        let display = asked.area.and_then(|area| self.displays.get(&area.hash));
        Ok(asked.question.answer(asked.area, display, &asked.policies, self.scorer.as_ref()).to_json())
    }

    /// What the model saw of every candidate that could be placed, and how it judged.
    ///
    /// # Errors
    /// As [`Engine::rank`].
    pub fn rows(&self, request: &str) -> Result<Rows, JsError> {
        let asked = self.ask(request)?;
        let question = &asked.question;
        let areas = Areas::new(question.areas.iter().chain(asked.area), question.overlay.clone());
        let decision = rerank(&areas, &question.profile, &question.context, &asked.policies, self.scorer.as_ref());
        Ok(Rows {
            ids: decision.kept.iter().map(|candidate| candidate.merchant.id.to_string()).collect(),
            scores: decision.scores.iter().map(|score| score.total()).collect(),
            values: decision.rows.values,
        })
    }

    /// What a message shows and how likely that is, slot by slot: the JSON of a `Chances`. `shown`, the JSON of a list of fingerprints with
    /// null for the campaign's own card, asks about that message instead, whoever made it.
    ///
    /// # Errors
    /// As [`Engine::rank`]; and a list that is none.
    pub fn chances(&self, request: &str, shown: Option<String>) -> Result<String, JsError> {
        let asked = self.ask(request)?;
        let told = shown.as_deref().map(fingerprints).transpose()?;
        Ok(asked.decide(self.scorer.as_ref(), |decision, of| chances::words(decision, of, told.as_deref())))
    }

    /// Every message that a campaign could show: the JSON of a list of `Possible`, or null where there are more than `limit`.
    ///
    /// # Errors
    /// As [`Engine::rank`].
    #[wasm_bindgen(js_name = everyMessage)]
    pub fn every_message(&self, request: &str, limit: usize) -> Result<String, JsError> {
        let asked = self.ask(request)?;
        Ok(asked.decide(self.scorer.as_ref(), |_, of| chances::everything(of, limit)))
    }

    /// Whoever may be shown, by fingerprint, with what their cards say: the JSON of a `Record<string, Card>`.
    #[must_use]
    pub fn cards(&self) -> String {
        let mut cards = serde_json::Map::new();
        for area in self.areas.values() {
            let Some(display) = self.displays.get(&area.hash) else { continue };
            for id in (0..area.len()).map(|i| area.merchant(i).id) {
                let Some(card) = display.card(id) else { continue };
                cards.entry(id.to_string()).or_insert_with(|| json!(card));
            }
        }
        serde_json::Value::Object(cards).to_string()
    }

    /// The model's columns in their order: the JSON of a `Feature[]`.
    #[must_use]
    pub fn features() -> String {
        let column = |feature: &freshrank::feature::Feature| json!({ "name": feature.name, "group": feature.group.name(), "about": feature.about, "missing": feature.missing });
        serde_json::Value::from_iter(FEATURES.iter().map(column)).to_string()
    }

    /// Version, module, scorer and model: the JSON of an `About`.
    #[must_use]
    pub fn about(&self) -> String {
        let about = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "module": model::MODULE,
            "scorer": self.scorer.name(),
            "model": self.scorer.model(),
            "model_error": model::refusal(self.scorer.as_ref()),
            "features": freshrank::feature::fingerprint_hex(),
        });
        about.to_string()
    }

    fn ask(&self, request: &str) -> Result<Asked<'_>, JsError> {
        let question = Question::parse(request.as_bytes(), now_seconds())?;
        let id = question.campaign.as_deref().unwrap_or("default");
        let campaign = match self.campaigns.get(id) {
            Some(campaign) => campaign,
            None if id == "default" => &self.plain,
            None => return Err(JsError::new(&format!("no campaign {id:?} was set"))),
        };
        let policies = Keeping { campaign, kept: &self.kept };
        let cell = question.cell(&policies).filter(|_| question.areas.is_empty());
        let area = cell.and_then(|cell| self.areas.get(&cell));
        Ok(Asked { question, policies, area })
    }
}

/// A question with what answers it.
struct Asked<'a> {
    question: Question,
    policies: Keeping<'a>,
    area: Option<&'a Bundle>,
}

/// A campaign whose policies are merged once.
struct Keeping<'a> {
    campaign: &'a Campaign,
    kept: &'a RefCell<Kept>,
}

impl Policies for Keeping<'_> {
    fn campaign(&self) -> &Campaign {
        self.campaign
    }

    fn merged(&self, chain: &Chain) -> Arc<Merged> {
        match self.kept.try_borrow_mut() {
            Ok(mut kept) => kept.merged(self.campaign, chain),
            Err(_) => self.campaign.merged(chain).into(),
        }
    }
}

impl Asked<'_> {
    /// Decides, and gives the decision with what it was blended from.
    fn decide<T>(&self, scorer: &dyn Scorer, then: impl FnOnce(&Decision, &Ingredients<'_>) -> T) -> T {
        let question = &self.question;
        let areas = Areas::new(question.areas.iter().chain(self.area), question.overlay.clone());
        let decision = rerank(&areas, &question.profile, &question.context, &self.policies, scorer);
        then(&decision, &decision.ingredients(&question.profile, &question.context))
    }
}

/// Merchants by fingerprint, as replies name them; null for the campaign's own card.
fn fingerprints(json: &str) -> Result<Vec<Option<MerchantId>>, JsError> {
    let told: Vec<Option<String>> =
        serde_json::from_str(json).map_err(|error| JsError::new(&format!("shown: {error}")))?;
    let read = |text: String| {
        let number = u64::from_str_radix(&text, 16).ok().filter(|_| text.len() == 16);
        number
            .map(MerchantId)
            .ok_or_else(|| JsError::new(&format!("shown: found {text:?}, expected 16 hexadecimal digits")))
    };
    told.into_iter().map(|text| text.map(read).transpose()).collect()
}

/// Candidates as the model saw them, ascending by id.
#[wasm_bindgen]
pub struct Rows {
    ids: Vec<String>,
    scores: Vec<i32>,
    values: Vec<f32>,
}

#[wasm_bindgen]
impl Rows {
    /// The columns' names.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        FEATURES.iter().map(|feature| feature.name.to_owned()).collect()
    }

    /// Row by row, a column after the other.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn rows(&self) -> Vec<f32> {
        self.values.clone()
    }

    /// One a row, score x 65536, boosts included.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn scores(&self) -> Vec<i32> {
        self.scores.clone()
    }

    /// One a row, 16 hexadecimal digits.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.ids.clone()
    }
}
