//! JSON in, JSON out: the boundary every shell shares, so that all of them give the same bytes.
//!
//! Limits are checked before anything is decoded: a request is at most [`MAX_BODY`] bytes.

use crate::areas::{Availability, Closure, MAX_CLOSURES};
use crate::blend::{Move, Pool, moves};
use crate::bundle::{Bundle, Card, Display, OfferKind};
use crate::campaign::{Campaign, Fallback};
use crate::context::{Context, Fix, Grade, LastEvent, Mailbox};
use crate::decision::{Asked, Decision, Hashes, reader};
use crate::explain::reference::Reference;
use crate::explain::why::{Why, why};
use crate::explain::{Explainer, Node};
use crate::fresh::Known;
use crate::geo::{Cell, Point};
use crate::id::{MerchantId, hex};
use crate::locate::{self, Source};
use crate::policies::Policies;
use crate::profile::Profile;
use crate::rule::Head;
use crate::score::Scorer;
use crate::sorted::Map;
use crate::time::{self, clock};
use crate::wire::DecodeError;
use crate::{Areas, rerank};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes of one request.
pub const MAX_BODY: usize = 8 << 20;
/// Bytes of a `merchant_id` that is asked of.
pub const MAX_NAME: usize = 256;
/// Bundles that a request may bring along.
pub const MAX_AREAS: usize = 16;
/// Merchants that other blocks of a message may show.
pub const MAX_ELSEWHERE: usize = 1000;
/// Earlier messages that a request may tell of.
pub const MAX_RECENT: usize = 64;
/// Merchants of one earlier message, all blocks together.
pub const MAX_SHOWN: usize = 100;

/// What a shell is asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Echoed in the reply, so that a sender finds its line again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which campaign; `default` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// The profile's bytes in base64url without padding; absent for a reader nothing is known of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The open or the send.
    pub context: RequestContext,
    /// Area bundles in base64url, for a sender that has them at hand; the shell's own are not asked then.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<_, _, MAX_AREAS>")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub areas: Vec<String>,
    /// Merchants that are not available.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<_, _, MAX_CLOSURES>")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub availability: Vec<RequestClosure>,
    /// Adds the explanation of every placement, and every drop with its reason.
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub explain: bool,
    /// A `merchant_id`: adds what would have to change for it to be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Adds names, links and pictures.
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub display: bool,
}

/// Reads a list of at most N entries: what comes after takes no memory.
pub(crate) fn at_most<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>, const N: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Entries<T, const N: usize>(core::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const N: usize> serde::de::Visitor<'de> for Entries<T, N> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write!(f, "a list of at most {N} entries")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = list.next_element()? {
                if entries.len() == N {
                    return Err(serde::de::Error::invalid_length(N + 1, &self));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_seq(Entries::<T, N>(core::marker::PhantomData))
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The open or the send, as a request tells it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct RequestContext {
    /// RFC 3339; a shell with a clock fills it in where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Degrees north of whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// How far to trust them; `none` if absent.
    #[serde(default)]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub grade: Grade,
    /// The last thing the reader did that tells a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event: Option<RequestEvent>,
    /// Which software asks.
    #[serde(default)]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub mailbox: Mailbox,
    /// The same seed gives the same decision.
    #[serde(default)]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<u32>"))]
    pub seed: u64,
    /// `merchant_id`s that other blocks of the same message show; this one does not repeat them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<_, _, MAX_ELSEWHERE>")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub elsewhere: Vec<String>,
    /// What the reader's last messages showed, the newest first; how many of them count is the campaign's `no_repeat`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "at_most::<_, _, MAX_RECENT>")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub recent: Vec<Shown>,
}

/// The `merchant_id`s of one message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct Shown(#[serde(deserialize_with = "at_most::<_, _, MAX_SHOWN>")] pub Vec<String>);

/// Something the reader did, as a request tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct RequestEvent {
    /// `trip_end`, `app_open`, ...
    pub kind: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// RFC 3339.
    pub at: String,
}

/// A merchant that is not available.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct RequestClosure {
    /// As the tables call it.
    pub merchant_id: String,
    /// What happened.
    pub closure: Closure,
    /// RFC 3339; absent means until told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl RequestEvent {
    /// The event as a context has it; `fields` is what its latitude and its time are called in an error.
    ///
    /// # Errors
    /// Names the field and what was expected, and never the position.
    pub fn check(&self, fields: [&'static str; 2]) -> Result<LastEvent, RequestError> {
        let [latitude, at] = fields;
        let point = point(latitude, self.latitude, self.longitude)?;
        Ok(LastEvent { kind: self.kind.clone(), point, at: instant(at, &self.at)? })
    }
}

impl RequestClosure {
    /// The closure as the overlay has it.
    ///
    /// # Errors
    /// An end that is no time.
    pub fn check(&self) -> Result<Availability, RequestError> {
        let until = self.until.as_deref().map(|text| instant("availability.until", text)).transpose()?;
        Ok(Availability { merchant: MerchantId::of(&self.merchant_id), closure: self.closure, until })
    }
}

/// Why a request cannot be answered.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RequestError {
    /// Too long to be read.
    #[error("request has {found} bytes, at most {MAX_BODY} are read")]
    TooLong {
        /// Bytes.
        found: usize,
    },
    /// Not JSON, or not a request.
    #[error("request: {0}")]
    Json(String),
    /// A value that cannot be.
    #[error("request {field}: {problem}")]
    Value {
        /// Its path.
        field: &'static str,
        /// What was found and what was expected.
        problem: String,
    },
    /// Bytes that are not what they claim to be.
    #[error("request {field}: {source}")]
    Decode {
        /// Its path.
        field: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
}

/// A request after everything in it was checked: answering it cannot fail.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Echoed.
    pub id: Option<String>,
    /// Which campaign.
    pub campaign: Option<String>,
    /// The reader.
    pub profile: Profile,
    /// The open.
    pub context: Context,
    /// Bundles that came along.
    pub areas: Vec<Bundle>,
    /// The overlay.
    pub overlay: Vec<Availability>,
    /// Whether to explain.
    pub explain: bool,
    /// Of whom to say what would have to change.
    pub why: Option<String>,
    /// Whether to add the display block.
    pub display: bool,
    /// The reader objects to being known.
    pub suppressed: bool,
}

impl Question {
    /// Reads a request; `now` (seconds since 1970) stands in for an absent time.
    ///
    /// # Errors
    /// Names the field, what was found and what was expected.
    pub fn parse(json: &[u8], now: i64) -> Result<Self, RequestError> {
        if json.len() > MAX_BODY {
            return Err(RequestError::TooLong { found: json.len() });
        }
        let request: Request = serde_json::from_slice(json).map_err(|error| RequestError::Json(worded(&error)))?;
        Self::check(&request, now)
    }

    /// As [`Question::parse`], of a request already read.
    ///
    /// # Errors
    /// As [`Question::parse`].
    pub fn check(request: &Request, now: i64) -> Result<Self, RequestError> {
        let profile = match &request.profile {
            Some(text) => Profile::decode(&bytes("profile", text)?)
                .map_err(|source| RequestError::Decode { field: "profile", source })?,
            None => Profile::default(),
        };
        limit("areas", request.areas.len(), MAX_AREAS)?;
        limit("availability", request.availability.len(), MAX_CLOSURES)?;
        if let Some(found) = request.why.as_ref().map(String::len).filter(|found| *found > MAX_NAME) {
            let problem = format!("found {found} bytes, expected a merchant_id of at most {MAX_NAME}");
            return Err(RequestError::Value { field: "why", problem });
        }
        let area = |text: &String| {
            Bundle::decode(bytes("areas", text)?).map_err(|source| RequestError::Decode { field: "areas", source })
        };
        Ok(Self {
            id: request.id.clone(),
            campaign: request.campaign.clone(),
            profile,
            context: context(&request.context, now)?,
            areas: request.areas.iter().map(area).collect::<Result<_, _>>()?,
            overlay: request.availability.iter().map(RequestClosure::check).collect::<Result<_, _>>()?,
            explain: request.explain,
            why: request.why.clone(),
            display: request.display,
            suppressed: false,
        })
    }

    /// Learns what is known of its reader beside it. Who objects is anybody of their market; where they were last counts, with their
    /// consent, where the question does not know anything newer.
    pub fn meet(&mut self, known: Known) {
        if known.suppressed {
            return self.forget_reader();
        }
        let own = self.context.last_event.as_ref().map(|event| event.at);
        let is_news = |at: i64| at <= self.context.at && own.is_none_or(|own| own < at);
        let news = known.last_event.filter(|event| self.profile.consent && is_news(event.at));
        if news.is_some() {
            self.context.last_event = news;
        }
    }

    /// Who objects has no tastes, no places, no past, and is nowhere.
    fn forget_reader(&mut self) {
        self.suppressed = true;
        let market = core::mem::take(&mut self.profile.market);
        // Where nothing is known of anybody there is nothing to consent to.
        self.profile = Profile { market, consent: true, ..Profile::default() };
        self.context.request = None;
        self.context.last_event = None;
        self.context.recent = Vec::new();
    }

    /// The area to fetch before answering, unless the request brought its own.
    #[must_use]
    pub fn cell(&self, policies: &dyn Policies) -> Option<Cell> {
        let market = policies.of_market(&self.profile.market);
        locate::locate(&reader(&self.profile, &market), &self.context, market.place).cell()
    }

    /// Decides, and words the answer.
    #[must_use]
    pub fn answer(
        &self,
        area: Option<&Bundle>,
        display: Option<&Display>,
        policies: &dyn Policies,
        scorer: &dyn Scorer,
    ) -> Reply {
        let campaign = policies.campaign();
        let areas = Areas::new(self.areas.iter().chain(area), self.overlay.clone());
        let decision = rerank(&areas, &self.profile, &self.context, policies, scorer);
        let display = display.filter(|block| self.display && decision.hashes.area == Some(block.bundle));
        let area = decision.place.cell().and_then(|cell| areas.get(cell));
        let explainer = self.explain.then(|| Explainer::new(&decision, area.as_ref(), &self.context, scorer));
        let mut reply = Reply::new(self, campaign, &decision, display, explainer.as_ref());
        reply.why = self.why.as_deref().map(|merchant| {
            let profile = &*reader(&self.profile, &policies.of_market(&self.profile.market));
            let (tailored, context, arm) = (decision.tailored, &self.context, decision.arm.as_deref());
            let (campaign, holdout) = (campaign.hash, decision.holdout);
            why(merchant, &decision, Asked { area, profile, tailored, context, campaign, arm, holdout, scorer }).into()
        });
        reply
    }
}

/// serde's words without the value they quote: it may be long, and a reader's own.
pub(crate) fn worded(error: &serde_json::Error) -> String {
    let text = without_value(error.to_string());
    match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) => {
            format!("{}{}", &text[..first], text[last + 1..].trim_start_matches(','))
        }
        _ if text.len() > 400 => format!("{} ... at line {} column {}", time::cut(&text), error.line(), error.column()),
        _ => text,
    }
}

/// A sentence of serde without what it found between backticks: a value may be anything. The name of an unknown field stays where it
/// could be a field's, since most are misspelt ones.
fn without_value(text: String) -> String {
    let starts = ["unknown variant `", "unknown field `", "invalid type: ", "invalid value: "];
    let found = text.find('`').filter(|_| starts.iter().any(|start| text.starts_with(start)));
    let end = ["`, expected", "`, there"].iter().filter_map(|end| text.rfind(end)).max();
    match (found, end) {
        (Some(found), Some(end)) if found < end => {
            let (name, rest) = (&text[found + 1..end], text[end + 1..].to_string());
            let is_name = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if is_name && text.starts_with("unknown field") {
                return text;
            }
            format!("{}{rest}", text[..found].trim_end())
        }
        _ => text,
    }
}

fn context(told: &RequestContext, now: i64) -> Result<Context, RequestError> {
    let request = match (told.latitude, told.longitude) {
        (Some(latitude), Some(longitude)) => {
            Some(Fix { point: point("context.latitude", latitude, longitude)?, grade: told.grade })
        }
        (None, None) => None,
        _ => {
            let problem = "found one coordinate, expected both or none".into();
            return Err(RequestError::Value { field: "context.latitude", problem });
        }
    };
    let last_event = match &told.last_event {
        Some(event) => Some(event.check(["context.last_event.latitude", "context.last_event.at"])?),
        None => None,
    };
    let at = match &told.at {
        Some(text) => instant("context.at", text)?,
        None => now.clamp(0, time::LATEST - 1),
    };
    let ids = |names: &Vec<String>| names.iter().map(|name| MerchantId::of(name)).collect();
    let recent = told.recent.iter().map(|shown| ids(&shown.0)).collect();
    let elsewhere = ids(&told.elsewhere);
    Ok(Context { at, request, last_event, mailbox: told.mailbox, seed: told.seed, elsewhere, recent })
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, RequestError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| RequestError::Value { field, problem: format!("not base64url: {error}") })
}

/// Reads what [`base64url`] wrote.
///
/// # Errors
/// Where it is not base64url without padding.
pub fn from_base64url(text: &str) -> Result<Vec<u8>, RequestError> {
    bytes("profile", text)
}

/// Bytes as a request carries them: base64url without padding.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn instant(field: &'static str, text: &str) -> Result<i64, RequestError> {
    time::parse(text).map_err(|problem| RequestError::Value { field, problem })
}

fn point(field: &'static str, latitude: f64, longitude: f64) -> Result<Point, RequestError> {
    // Swapped coordinates are still somebody's: the error does not repeat them.
    let problem = || "expected degrees within 90 north or south, and longitude within 180 east or west".into();
    Point::new(latitude, longitude).ok_or_else(|| RequestError::Value { field, problem: problem() })
}

fn limit(field: &'static str, found: usize, limit: usize) -> Result<(), RequestError> {
    let problem = format!("found {found} entries, at most {limit} are read");
    if found <= limit { Ok(()) } else { Err(RequestError::Value { field, problem }) }
}

/// The answer: a decision as a sender or a page reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
pub struct Reply {
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Which campaign.
    pub campaign: String,
    /// The merged headline.
    pub title: String,
    /// The message's time, RFC 3339 in UTC.
    pub at: String,
    /// The wall clock at the decided place, `Fri 12:00`.
    pub local: String,
    /// Where the reader is thought to be.
    pub place: ReplyPlace,
    /// One a slot.
    pub slots: Vec<ReplySlot>,
    /// What the campaign asked for and could not have, for whoever made it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub notices: Vec<String>,
    /// How many candidates could be placed.
    #[cfg_attr(feature = "types", ts(type = "number"))]
    pub kept: usize,
    /// How many could not, by reason.
    #[cfg_attr(feature = "types", ts(type = "Record<string, number>"))]
    pub dropped: Map<&'static str, usize>,
    /// Who judged.
    pub scorer: String,
    /// Why the model did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_error: Option<String>,
    /// Which layer set each key of the merged configuration.
    #[cfg_attr(feature = "types", ts(type = "Record<string, string>"))]
    pub layers: Map<String, String>,
    /// The reader's side of the campaign's experiment; absent for the control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    /// A reader who should have been sent nothing.
    #[serde(skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<bool>"))]
    pub holdout: bool,
    /// The reader objects to personal treatment: this is what anybody of their market is shown.
    #[serde(skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<bool>"))]
    pub suppressed: bool,
    /// What made it.
    pub hashes: Hashes,
    /// On request: what the explanations' shares are shares against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// On request: every drop with its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drops: Option<Vec<ReplyDrop>>,
    /// On request: what would have to change for a merchant to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<ReplyWhy>,
}

/// Where the reader is thought to be; no coordinates, since replies are logged.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct ReplyPlace {
    /// The area decided in.
    #[cfg_attr(feature = "types", ts(type = "string | null"))]
    pub cell: Option<Cell>,
    /// Whether that area's bundle was at hand.
    pub served: bool,
    /// Posterior of the place.
    pub certainty: f32,
    /// What decided.
    pub source: Source,
    /// The evidence lies where no likely place is.
    pub travelling: bool,
}

/// What one slot shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
pub struct ReplySlot {
    /// Why it stands here.
    pub pool: Pool,
    /// The pool that this slot takes or asks first, by the campaign's plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// Somebody pays for it: whoever shows the card says so on it.
    #[serde(skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub sponsored: bool,
    /// What the card shows beside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub badges: Vec<String>,
    /// How likely it was, in a campaign that explores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw: Option<ReplyDraw>,
    /// The merchant's fingerprint; absent for the campaign's own card.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "types", ts(as = "Option<String>"))]
    pub merchant: Option<MerchantId>,
    /// What ranked it, score x 65536.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<i32>,
    /// From the decided place, kilometres to 10 m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance_km: Option<f64>,
    /// `22:00` on the local clock; absent where its hours are not known, or it stays open for a day and longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_until: Option<String>,
    /// The best offer that holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<ReplyOffer>,
    /// On request: names, links and pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<Card>,
    /// The campaign's own card, when no merchant is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// On request: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Node>,
    /// On request: the rules that hold for it, who wrote them, and their authors' reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<Vec<String>>"))]
    pub rules: Vec<String>,
    /// On request: what put it here, where that is not its score alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<ReplyMove>,
}

/// How a card came to a slot that its score alone would not have given it, or past whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct ReplyMove {
    /// Its rank by score alone, from 0.
    #[cfg_attr(feature = "types", ts(type = "number"))]
    pub rank: usize,
    /// The campaign's keys that moved it, and who said them: `cuisine_cap (fi/helsinki.yaml:7)`.
    pub by: Vec<String>,
    /// Who has a better score and was passed over here, the best first.
    #[cfg_attr(feature = "types", ts(type = "Array<string>"))]
    pub past: Vec<MerchantId>,
}

/// An offer on a card.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct ReplyOffer {
    /// What it gives.
    pub kind: OfferKind,
    /// Per cent, or hundredths of the currency.
    pub value: i32,
}

/// How likely it was that a slot shows what it shows, given the slots before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
pub struct ReplyDraw {
    /// The probability.
    pub propensity: f64,
    /// A pin: nothing was drawn.
    #[serde(skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub deterministic: bool,
    /// Those that could have stood here: the first 8 bytes of SHA-256 over their fingerprints, ascending, in hexadecimal.
    pub feasible: String,
    /// How many they were.
    #[cfg_attr(feature = "types", ts(type = "number"))]
    pub n_feasible: usize,
}

/// A drop with its reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct ReplyDrop {
    /// Who.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub merchant: MerchantId,
    /// For a program.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub code: &'static str,
    /// For a person.
    pub reason: String,
}

/// What would have to change for a merchant to be shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
pub struct ReplyWhy {
    /// Who.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub merchant: MerchantId,
    /// Its slot, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "types", ts(as = "Option<u32>"))]
    pub shown_in: Option<usize>,
    /// Where it stands.
    pub verdict: String,
    /// For a person: to be done one after the other; slots count from 0.
    pub changes: Vec<String>,
    /// The slot, from 0, that it has when all are done; absent where no change of the campaign shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "types", ts(as = "Option<u32>"))]
    pub then: Option<usize>,
    /// For a person: what puts it first, once it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_top: Option<String>,
}

impl From<Why> for ReplyWhy {
    fn from(why: Why) -> Self {
        let Why { merchant, shown_in, verdict, steps, then, on_top } = why;
        let changes = steps.into_iter().map(|step| step.sentence).collect();
        Self {
            merchant,
            shown_in,
            verdict,
            changes,
            then: then.filter(|_| shown_in.is_none()),
            on_top: on_top.map(|step| step.sentence),
        }
    }
}

impl Reply {
    fn new(
        question: &Question,
        campaign: &Campaign,
        decision: &Decision,
        display: Option<&Display>,
        explainer: Option<&Explainer<'_>>,
    ) -> Self {
        let mut dropped = Map::new();
        for drop in &decision.dropped {
            *dropped.or_default(drop.reason.code()) += 1;
        }
        let drops = question.explain.then(|| {
            let drops = decision.dropped.iter();
            drops.map(|d| ReplyDrop { merchant: d.id, code: d.reason.code(), reason: d.reason.to_string() }).collect()
        });
        let moves = match question.explain {
            true => moves(&decision.ingredients(&question.profile, &question.context), &decision.placements),
            false => Vec::new(),
        };
        let local = time::Local::new(question.context.at, decision.offset_minutes);
        Self {
            id: question.id.clone(),
            campaign: campaign.id.clone(),
            title: decision.policy.title.clone(),
            at: time::format(question.context.at),
            local: format!("{} {}", weekday(local), clock(local.minute_of_day())),
            place: ReplyPlace {
                cell: decision.place.cell(),
                served: decision.cell.is_some(),
                certainty: decision.place.certainty,
                source: decision.place.source,
                travelling: decision.place.travelling,
            },
            slots: (0..decision.placements.len())
                .map(|slot| reply_slot(decision, slot, display, explainer, &moves))
                .collect(),
            notices: decision.notices.iter().map(ToString::to_string).collect(),
            kept: decision.kept.len(),
            dropped,
            scorer: decision.scorer.to_string(),
            model_error: decision.model_error.as_ref().map(ToString::to_string),
            layers: decision
                .policy
                .provenance
                .iter()
                .map(|(leaf, origin)| (leaf.clone(), origin.layer.clone()))
                .collect(),
            arm: decision.arm.clone(),
            holdout: decision.holdout,
            suppressed: question.suppressed,
            hashes: decision.hashes.clone(),
            reference: explainer.and_then(Explainer::reference),
            drops,
            why: None,
        }
    }

    /// The reply's bytes: the same in every shell.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Every key is a string and every number finite, so this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn reply_slot(
    decision: &Decision,
    slot: usize,
    display: Option<&Display>,
    explainer: Option<&Explainer<'_>>,
    moves: &[Move],
) -> ReplySlot {
    let placement = &decision.placements[slot];
    let empty = ReplySlot {
        pool: placement.pool,
        asked: placement.asked.clone(),
        sponsored: placement.sponsored,
        badges: placement.badges.clone(),
        draw: placement.draw.map(|draw| ReplyDraw {
            propensity: draw.propensity,
            deterministic: draw.deterministic,
            feasible: hex(&draw.feasible.to_le_bytes()),
            n_feasible: draw.n,
        }),
        merchant: None,
        score: None,
        distance_km: None,
        open_until: None,
        offer: None,
        card: None,
        fallback: Some(decision.policy.fallback.clone()),
        explanation: None,
        rules: Vec::new(),
        moved: None,
    };
    let Some(i) = placement.candidate else {
        return empty;
    };
    let (candidate, score) = (&decision.kept[i], decision.scores[i]);
    ReplySlot {
        merchant: Some(candidate.merchant.id),
        score: Some(score.total()),
        distance_km: Some(libm::round(candidate.distance_km * 100.0) / 100.0),
        open_until: candidate.closes.filter(|_| candidate.open_minutes < Some(time::DAY_MINUTES)).map(clock),
        offer: candidate.offer.map(|offer| ReplyOffer { kind: offer.kind, value: offer.value }),
        card: display.and_then(|block| block.card(candidate.merchant.id)),
        fallback: None,
        explanation: explainer.map(|explainer| explainer.explain(i)),
        rules: if explainer.is_some() { fired(decision, i) } else { Vec::new() },
        moved: moves.iter().find(|moved| moved.slot == slot).and_then(|moved| reply_move(decision, moved)),
        ..empty
    }
}

/// `own-kitchens: boost (fi/helsinki.yaml:10), independent and around the corner`.
fn fired(decision: &Decision, i: usize) -> Vec<String> {
    let word = |rule: &Head| {
        let then = serde_json::to_value(rule.then).ok();
        let then = then.as_ref().and_then(|then| then.as_str()).unwrap_or_default().to_string();
        let by = if rule.layer.is_empty() { String::new() } else { format!(" ({})", rule.layer) };
        let reason = decision.policy.rules.get(&rule.id).and_then(|rule| rule.reason.as_deref());
        format!("{}: {then}{by}{}", rule.id, reason.map(|reason| format!(", {reason}")).unwrap_or_default())
    };
    decision.hits.fired(i).map(word).collect()
}

fn reply_move(decision: &Decision, moved: &Move) -> Option<ReplyMove> {
    let by = moved.causes.iter().map(|cause| {
        let key = cause.key();
        let said = decision.policy.origin(&key).map_or_else(|| "default".to_string(), ToString::to_string);
        format!("{key} ({said})")
    });
    let past = moved.passed.iter().map(|passed| decision.kept[passed.candidate].merchant.id);
    (!moved.causes.is_empty()).then(|| ReplyMove { rank: moved.rank, by: by.collect(), past: past.collect() })
}

fn weekday(local: time::Local) -> &'static str {
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][local.weekday().rem_euclid(7) as usize]
}
