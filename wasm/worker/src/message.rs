//! From an address in a mail to a decision: the token opened, whoever asks judged, the reader's place and its area found.
//!
//! What is known of a request is judged in memory and gone with it: nothing here writes an address, a user agent or a position down.

use crate::SCORER;
use crate::problem::Problem;
use crate::reader;
use crate::store::{Keeping, Store, now, variable};
use freshrank::areas::Step;
use freshrank::bundle::{Bundle, Display};
use freshrank::context::{Fix, Grade};
use freshrank::edge::Hints;
use freshrank::fresh::Overlay;
use freshrank::geo::Point;
use freshrank::locate::locate;
use freshrank::mailbox::{Evidence, Fetch, Verdict, classify};
use freshrank::policies::Policies;
use freshrank::profile::LikelyPlace;
use freshrank::score::NoModel;
use freshrank::slate::Slate;
use freshrank::sorted::sort_by;
use freshrank::token::{self, Keys, Token};
use freshrank::{Areas, Context, Decision, Hash, Profile, Scorer, decision, rerank};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::rc::Rc;
use worker::js_sys::Reflect;
use worker::{Env, Request};

/// The secret with the keys of tokens: a line each, `NAME KEY`.
const TOKEN_KEYS: &str = "TOKEN_KEYS";
/// Without consent nothing remembers a decision, so that all pictures of an open must come to the same by themselves: the clock
/// stands still for so long.
const WINDOW_SECONDS: i64 = 300;
/// The fields of Cloudflare's `cf` that are looked at.
const HINTS: [&str; 8] =
    ["asn", "asOrganization", "country", "regionCode", "city", "latitude", "longitude", "timezone"];

thread_local! {
    /// The ring, and the text it was read from.
    static KEYS: RefCell<Option<(String, Rc<Keys>)>> = const { RefCell::new(None) };
}

/// A message somebody asks for.
pub struct Message {
    /// What was sealed.
    pub token: Token,
    /// It counts no more.
    pub expired: bool,
    /// Who asks.
    pub verdict: Verdict,
    /// When, from where, and through what.
    pub context: Context,
    /// Whether it may be one reader's: a ledger keeps what it showed, and records are written.
    pub personal: bool,
}

/// A message, decided upon.
pub struct Decided {
    /// What every slot shows.
    pub decision: Decision,
    /// How its area was found.
    pub step: Step,
    /// The area.
    pub area: Option<Rc<Bundle>>,
}

impl Message {
    /// Opens a token for whoever asks with it.
    ///
    /// # Errors
    /// Says why it does not open, never with a word of it.
    pub fn open(request: &Request, env: &Env, text: &str, fetch: Fetch) -> Result<Self, Problem> {
        let token = Token::open(text, &*keys(env)?).map_err(Problem::bad_request)?.token;
        let now = now();
        let hints = hints(request);
        let user_agent = request.headers().get("User-Agent").ok().flatten().unwrap_or_default();
        let personal = token.personal.is_some();
        // Of a shared token only the hour is known.
        let seconds_since_minted = personal.then(|| now - token.minted_at);
        let head = request.inner().method() == "HEAD";
        let evidence = Evidence { head, fetch, seconds_since_minted, ..Evidence::new(&user_agent, &hints) };
        let verdict = classify(&evidence);
        let at = now.clamp(0, freshrank::time::LATEST - 1);
        let context = if personal {
            // No opening hour is finer, and pictures that are fetched together come to the same decision before anybody compares them.
            let at = at - at.rem_euclid(60);
            let fix = hints.point.filter(|_| verdict.grade != Grade::None);
            let request = fix.map(|point| Fix { point, grade: verdict.grade });
            Context { at, request, mailbox: verdict.mailbox, seed: seed(&token, at), ..Context::default() }
        } else {
            shared(&token, at)
        };
        let expired = token.verdict(now) == token::Verdict::Expired;
        Ok(Self { token, expired, verdict, context, personal })
    }

    /// Makes it the message that everybody of its market may have: nothing is known of its reader, and nothing kept.
    pub fn forget_reader(&mut self) {
        self.context = shared(&self.token, self.context.at);
        self.personal = false;
    }

    /// Learns what is newer than the token: an objection makes it everybody's message, an event tells where its reader was last.
    pub async fn meet(&mut self, env: &Env) {
        let profile = self.token.personal.as_ref().filter(|_| self.personal).and_then(|own| own.profile.as_ref());
        let Some(reader) = profile.map(|profile| profile.reader) else { return };
        let known = reader::known(env, reader).await;
        if known.suppressed {
            self.forget_reader();
        } else {
            self.context.last_event = known.last_event;
        }
    }

    /// Whether the message has this slot, from 1.
    pub fn has(&self, slot: u8) -> bool {
        (1..=self.token.slots).contains(&slot)
    }

    /// Chooses a merchant for every slot. This asks KV for the campaign and for the area, by the ladder: the cell's own, a
    /// neighbour's, that of the middle of the city, none.
    ///
    /// # Errors
    /// Where the campaign is not known, or cannot be read.
    pub async fn decide(&mut self, store: &Store, closed: &Overlay) -> Result<Decided, Problem> {
        let campaign = store.campaign(Some(&self.token.campaign)).await?;
        let policies = Keeping(&campaign);
        let mut profile = self.profile();
        let market = policies.of_market(&profile.market);
        if !decision::may_tailor(&profile, &market) {
            self.forget_reader();
            profile = self.profile();
        }
        if profile.places.is_empty()
            && let Some(middle) = store.middle(&profile.market).await.and_then(|cell| cell.center())
        {
            // Of whom nothing is known it is known at least where the market is.
            profile.places.push(LikelyPlace { point: middle, probability: [1.0; 4] });
        }
        let place = locate(&profile, &self.context, market.place);
        let away = self.context.request.filter(|fix| place.travelling && fix.grade == Grade::Network);
        let (area, step) = match (place.point, away) {
            (Some(point), _) => ladder(store, point, &profile.market).await,
            (None, Some(fix)) => {
                // Nobody knows where in the city they went a traveller is, but the city: better its middle than home.
                profile.places = Vec::from([LikelyPlace { point: fix.point, probability: [1.0; 4] }]);
                let (area, step) = ladder(store, fix.point, "").await;
                (area, step.max(Step::City))
            }
            (None, None) => (None, Step::None),
        };
        let overlay = area.as_deref().map(|area| closed.within(area)).unwrap_or_default();
        let areas = Areas::new([], overlay).or(area.as_deref());
        let scorer = SCORER.with(Rc::clone);
        let scorer: &dyn Scorer = if self.personal { scorer.as_ref() } else { &NoModel };
        let decision = rerank(&areas, &profile, &self.context, &policies, scorer);
        Ok(Decided { decision, step, area })
    }

    /// The reader as far as they may be known.
    fn profile(&self) -> Profile {
        let own = self.token.personal.as_ref().filter(|_| self.personal).and_then(|personal| personal.profile.clone());
        // Where nothing is known of anybody there is nothing to consent to.
        own.unwrap_or_else(|| Profile { market: self.token.market.clone(), consent: true, ..Profile::default() })
    }
}

impl Decided {
    /// What the message shows.
    pub fn slate(&self, message: &Message) -> Slate {
        Slate::of(&self.decision, message.context.at, self.step)
    }

    /// Whether it rests on less than there may be in a moment: the place is known, and no area of it could be read.
    pub fn is_poor(&self) -> bool {
        self.area.is_none() && self.decision.place.point.is_some()
    }

    /// Names, links and pictures of the area that was decided in.
    pub async fn display(&self, store: &Store) -> Option<Rc<Display>> {
        let area = self.area.as_ref()?;
        store.display(area.cell, area.hash).await.value
    }
}

/// The area of a place, and how far down it was found.
async fn ladder(store: &Store, point: Point, market: &str) -> (Option<Rc<Bundle>>, Step) {
    let cell = point.cell();
    if let Some((area, step)) = store.area_soon(cell).await {
        return (Some(area), step);
    }
    let mut around = cell.neighbours();
    let away = |cell: &freshrank::geo::Cell| cell.center().map_or(f64::MAX, |center| center.distance_km(point));
    sort_by(&mut around, |a, b| away(a).total_cmp(&away(b)));
    for cell in around.into_iter().take(2) {
        if let Some((area, _)) = store.area_soon(cell).await {
            return (Some(area), Step::Neighbour);
        }
    }
    if let Some(middle) = store.middle(market).await.filter(|middle| *middle != cell)
        && let Some((area, _)) = store.area_soon(middle).await
    {
        return (Some(area), Step::City);
    }
    (None, Step::None)
}

/// An open of which nothing is known but the market, and the time as far as it stands still.
fn shared(token: &Token, at: i64) -> Context {
    let at = at - at.rem_euclid(WINDOW_SECONDS);
    Context { at, seed: seed(token, at), ..Context::default() }
}

/// What chance is drawn from: another one for every decision, and the same for the same.
fn seed(token: &Token, at: i64) -> u64 {
    let message = token.personal.as_ref().map(|personal| personal.message).unwrap_or_default();
    let hash =
        Hash::of(&[&message.0[..], &at.to_le_bytes(), token.campaign.as_bytes(), token.market.as_bytes()].concat());
    // As many bits as a number of JSON holds in any reader of it.
    hash.short() & 0xFFFF_FFFF
}

fn keys(env: &Env) -> Result<Rc<Keys>, Problem> {
    let text = variable(env, TOKEN_KEYS).unwrap_or_default();
    let known =
        KEYS.with_borrow(|known| known.as_ref().filter(|(known, _)| *known == text).map(|(_, keys)| keys.clone()));
    if let Some(keys) = known {
        return Ok(keys);
    }
    let keys = Keys::parse(&text).map_err(|error| Problem::unavailable(format!("{TOKEN_KEYS}: {error}")))?;
    let keys = Rc::new(keys);
    KEYS.set(Some((text, keys.clone())));
    Ok(keys)
}

/// The raw `cf` object: its typed readers panic on what stands there.
fn hints(request: &Request) -> Hints {
    let Ok(cf) = Reflect::get(request.inner(), &"cf".into()) else {
        return Hints::default();
    };
    let mut known = Map::new();
    for name in HINTS {
        let value = Reflect::get(&cf, &name.into()).ok();
        let value = value.and_then(|value| match (value.as_string(), value.as_f64()) {
            (Some(text), _) => Some(Value::String(text)),
            // JavaScript has one kind of number, and a network's is a whole one.
            (None, Some(number)) if number.trunc() == number && number.abs() < 1e15 => Some((number as i64).into()),
            (None, Some(number)) => serde_json::Number::from_f64(number).map(Value::Number),
            (None, None) => None,
        });
        if let Some(value) = value {
            known.insert(name.into(), value);
        }
    }
    Hints::of(&Value::Object(known))
}
