//! What was published: read from KV, and kept parsed in the isolate for a minute.
//!
//! Only parsed data is kept across requests; what can do I/O belongs to one request and dies with it. Where KV fails
//! or holds damaged bytes, the copy at hand goes on serving.

use crate::picture::Picture;
use crate::problem::Problem;
use freshrank::areas::Step;
use freshrank::bundle::{Bundle, Display};
use freshrank::campaign::Chain;
use freshrank::geo::Cell;
use freshrank::policies::{Kept, Merged, Policies};
use freshrank::sorted::Map;
use freshrank::{Campaign, Hash, token};
use futures_util::FutureExt;
use std::cell::{Cell as Slot, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::LocalKey;
use worker::kv::KvStore;
use worker::{Context, Date, Env, console_error};

/// The binding in wrangler.toml.
pub const BINDING: &str = "AREAS";
/// How long a parsed value is used without asking KV again; KV itself takes as long to show a change everywhere.
const KEEP_MS: u64 = 60_000;
/// How long it is believed that there is nothing, or nothing usable.
const RETRY_MS: u64 = 5_000;
/// How old a bundle may be that answers at once, while it is read anew: hours and offers are checked against the clock anyway.
const STALE_MS: u64 = 3_600_000;
/// A variable for trying things out: how far the clock is ahead, in seconds.
const CLOCK_AHEAD: &str = "CLOCK_AHEAD_SECONDS";
/// Merged policies an isolate keeps: some kilobytes each, one a chain of layers that readers were in.
const MAX_POLICIES: usize = 512;
/// How long a repeated request is known for one.
const FIRST_TIME_SECONDS: u64 = 86_400;
/// Bytes of the longest name; a KV key has at most 512.
const MAX_NAME: usize = 64;

/// Something that is published under a key.
pub trait Published: Sized + 'static {
    /// Before the `/` of its key.
    const FOLDER: &'static str;
    /// Checks every byte.
    fn parse(bytes: Vec<u8>) -> Result<Self, String>;
    /// The isolate's parsed copies.
    fn cache() -> &'static LocalKey<RefCell<Cache<Self>>>;
}

thread_local! {
    // An isolate has 128 MB for everything.
    static BUNDLES: RefCell<Cache<Bundle>> = const { RefCell::new(Cache::new(24 << 20)) };
    static DISPLAYS: RefCell<Cache<Display>> = const { RefCell::new(Cache::new(16 << 20)) };
    static CAMPAIGNS: RefCell<Cache<Campaign>> = const { RefCell::new(Cache::new(8 << 20)) };
    static MIDDLES: RefCell<Cache<Middle>> = const { RefCell::new(Cache::new(1 << 20)) };
    static POLICIES: RefCell<Kept> = const { RefCell::new(Kept::new(MAX_POLICIES)) };
    static AHEAD_MS: Slot<u64> = const { Slot::new(0) };
}

impl Published for Bundle {
    const FOLDER: &'static str = "area";
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        Self::decode(bytes).map_err(|error| error.to_string())
    }
    fn cache() -> &'static LocalKey<RefCell<Cache<Self>>> {
        &BUNDLES
    }
}

impl Published for Display {
    const FOLDER: &'static str = "display";
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        Self::decode(bytes).map_err(|error| error.to_string())
    }
    fn cache() -> &'static LocalKey<RefCell<Cache<Self>>> {
        &DISPLAYS
    }
}

impl Published for Campaign {
    const FOLDER: &'static str = "campaign";
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        Self::parse(&bytes).map_err(|error| error.to_string())
    }
    fn cache() -> &'static LocalKey<RefCell<Cache<Self>>> {
        &CAMPAIGNS
    }
}

/// The area of a market that most merchants deliver to: where somebody is of whom only the market is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Middle {
    cell: Cell,
    merchants: usize,
}

impl Published for Middle {
    const FOLDER: &'static str = "market";
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let text = str::from_utf8(&bytes).map_err(|error| error.to_string())?;
        let read = text.split_once(' ').and_then(|(cell, n)| {
            Some(Self { cell: Cell::parse(cell)?, merchants: serde_json::from_slice(n.as_bytes()).ok()? })
        });
        read.ok_or_else(|| "expected a cell, a blank and the number of its merchants".into())
    }
    fn cache() -> &'static LocalKey<RefCell<Cache<Self>>> {
        &MIDDLES
    }
}

/// A campaign whose merged policies the isolate keeps.
pub struct Keeping<'a>(pub &'a Campaign);

impl Policies for Keeping<'_> {
    fn campaign(&self) -> &Campaign {
        self.0
    }

    fn merged(&self, chain: &Chain) -> Arc<Merged> {
        POLICIES.with_borrow_mut(|kept| kept.merged(self.0, chain))
    }
}

/// What there is under a key.
pub struct Found<T> {
    /// The newest that is usable.
    pub value: Option<Rc<T>>,
    /// What is wrong with what stands there now.
    pub error: Option<String>,
}

impl<T> Clone for Found<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), error: self.error.clone() }
    }
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { value: None, error: None }
    }
}

/// Parsed values by key, at most so many bytes of them as they were published.
pub struct Cache<T> {
    budget: usize,
    used: usize,
    entries: Map<String, Entry<T>>,
}

struct Entry<T> {
    found: Found<T>,
    bytes: usize,
    read_at_ms: u64,
}

impl<T> Cache<T> {
    /// At most so many bytes.
    pub const fn new(budget: usize) -> Self {
        Self { budget, used: 0, entries: Map::new() }
    }

    /// A value that may still be used, and `suits`; one that does not may be a minute behind its companion.
    fn fresh(&self, key: &str, now_ms: u64, suits: impl Fn(&T) -> bool) -> Option<Found<T>> {
        let entry = self.entries.get(key)?;
        let good = entry.found.error.is_none() && entry.found.value.as_deref().is_some_and(suits);
        let keep_ms = if good { KEEP_MS } else { RETRY_MS };
        (now_ms.saturating_sub(entry.read_at_ms) < keep_ms).then(|| entry.found.clone())
    }

    /// The last value that was usable, however old.
    fn last(&self, key: &str) -> Option<Rc<T>> {
        self.entries.get(key)?.found.value.clone()
    }

    /// A good value that is no longer fresh, and not too old; whoever takes it reads it anew, and others need not meanwhile.
    fn stale(&mut self, key: &str, now_ms: u64) -> Option<Rc<T>> {
        let entry = self.entries.get_mut(key)?;
        let age = now_ms.saturating_sub(entry.read_at_ms);
        let value =
            entry.found.value.clone().filter(|_| (KEEP_MS..STALE_MS).contains(&age) && entry.found.error.is_none())?;
        entry.read_at_ms = now_ms.saturating_sub(KEEP_MS - RETRY_MS);
        Some(value)
    }

    /// Keeps a value, and lets go of those read longest ago until all fit.
    fn keep(&mut self, key: &str, found: Found<T>, bytes: usize, now_ms: u64) {
        // Keys and entries take room as well, and the absent are as many as a client likes.
        let bytes = bytes + key.len() + 256;
        self.remove(key);
        self.used += bytes;
        self.entries.insert(key.to_owned(), Entry { found, bytes, read_at_ms: now_ms });
        while self.used > self.budget {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.read_at_ms);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.used -= entry.bytes;
        }
    }
}

/// KV as one request sees it.
#[derive(Clone)]
pub struct Store {
    kv: Result<KvStore, String>,
    /// Where the request may leave work behind.
    later: Option<Rc<Context>>,
}

impl Store {
    /// A missing binding shows when something is asked of it.
    pub fn new(env: &Env) -> Self {
        Self { kv: env.kv(BINDING).map_err(|error| format!("KV binding {BINDING}: {error}")), later: None }
    }

    /// As [`Store::new`]; what is a little old answers at once, and is read anew after the answer.
    pub fn hurried(env: &Env, later: &Rc<Context>) -> Self {
        Self { later: Some(later.clone()), ..Self::new(env) }
    }

    /// The bundle of a cell, and whether it is up to date.
    pub async fn area_soon(&self, cell: Cell) -> Option<(Rc<Bundle>, Step)> {
        let (found, fresh) = self.read_soon::<Bundle>(&cell.to_string()).await;
        Some((found.value?, if fresh { Step::Own } else { Step::Stale }))
    }

    /// The middle of a market, or of the nearest above it: `fi` where nobody knows `fi/helsinki`.
    pub async fn middle(&self, market: &str) -> Option<Cell> {
        let mut path = market;
        while !path.is_empty() {
            // The path of a layer, as bundles and tokens have it, is no more than a key can hold.
            let (found, _) = self.read_soon::<Middle>(path).await;
            if let Some(middle) = found.value {
                return Some(middle.cell);
            }
            path = path.rsplit_once('/').map_or("", |(above, _)| above);
        }
        None
    }

    /// Lets an area be the middle of its market, if it is the one that most merchants deliver to.
    pub async fn tell_middle(&self, area: &Bundle) {
        let mut path = area.layer();
        while !path.is_empty() {
            let known = self.read::<Middle>(path, |_| true).await.value;
            let middle = Middle { cell: area.cell, merchants: area.len() };
            let more = known.is_none_or(|known| match known.cell == area.cell {
                true => known.merchants != area.len(),
                false => known.merchants < area.len(),
            });
            if more {
                let text = format!("{} {}", middle.cell, middle.merchants);
                // The area itself is published; the next one that is tells it again.
                if let Err(problem) = self.publish(path, text.as_bytes(), middle).await {
                    console_error!("{}", problem.detail);
                }
            }
            path = path.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }

    /// What there is under a name, and whether it is up to date.
    async fn read_soon<T: Published>(&self, name: &str) -> (Found<T>, bool) {
        let key = format!("{}/{name}", T::FOLDER);
        let stale = T::cache().with_borrow_mut(|cache| cache.stale(&key, now_ms()));
        match (stale, &self.later) {
            (Some(value), Some(later)) => {
                let (store, name) = (self.clone(), name.to_owned());
                let renewed = async move {
                    store.renew::<T>(&format!("{}/{name}", T::FOLDER)).await;
                };
                later.wait_until(renewed.boxed_local());
                (Found { value: Some(value), error: None }, false)
            }
            _ => {
                let found = self.read::<T>(name, |_| true).await;
                let fresh = found.error.is_none();
                (found, fresh)
            }
        }
    }

    /// The bundle of a cell.
    pub async fn area(&self, cell: Cell) -> Found<Bundle> {
        self.read(&cell.to_string(), |_| true).await
    }

    /// The cards of a cell that belong to this bundle.
    pub async fn display(&self, cell: Cell, bundle: Hash) -> Found<Display> {
        self.read(&cell.to_string(), |display: &Display| display.bundle == bundle).await
    }

    /// The cards of a cell, of whichever bundle.
    pub async fn any_display(&self, cell: Cell) -> Option<Rc<Display>> {
        self.read_soon::<Display>(&cell.to_string()).await.0.value
    }

    /// The campaign a request names; without a name, `default`, which there always is.
    ///
    /// # Errors
    /// 404 for a name nobody published; 503 where it cannot be read, since ranking by other rules could show what was excluded.
    pub async fn campaign(&self, id: Option<&str>) -> Result<Rc<Campaign>, Problem> {
        let id = id.unwrap_or("default");
        let unknown = || Problem::new(404, "no campaign of this name was published");
        if !is_name(id) {
            return Err(unknown());
        }
        if id == "default" && self.kv.is_err() {
            // Where there is no KV, nobody can have published another.
            return Ok(Rc::default());
        }
        let found = self.read::<Campaign>(id, |_| true).await;
        match (found.value, found.error) {
            (Some(campaign), _) => Ok(campaign),
            (None, Some(error)) => Err(Problem::unavailable(format!("the campaign cannot be read: {error}"))),
            (None, None) if id == "default" => Ok(Rc::default()),
            (None, None) => Err(unknown()),
        }
    }

    /// Lets go of the parsed copy, so that the next request reads what was just written.
    pub fn forget_campaign(id: &str) {
        CAMPAIGNS.with_borrow_mut(|cache| cache.remove(&format!("{}/{id}", Campaign::FOLDER)));
    }

    /// A picture by its path: from the isolate, else from what `first` finds, else from KV.
    pub async fn picture<F: Future<Output = Option<Vec<u8>>>>(
        &self,
        path: &str,
        first: impl FnOnce() -> F,
    ) -> Option<Rc<Picture>> {
        let key = format!("{}/{path}", Picture::FOLDER);
        if let Some(found) = Picture::cache().with_borrow(|cache| cache.fresh(&key, now_ms(), |_| true)) {
            return found.value;
        }
        if let Some(bytes) = first().await {
            let n = bytes.len();
            match Picture::parse(bytes) {
                Ok(picture) => {
                    let found = Found { value: Some(Rc::new(picture)), error: None };
                    Picture::cache().with_borrow_mut(|cache| cache.keep(&key, found.clone(), n, now_ms()));
                    return found.value;
                }
                Err(error) => console_error!("{key}: {error}"),
            }
        }
        self.renew::<Picture>(&key).await.value
    }

    async fn read<T: Published>(&self, name: &str, suits: impl Fn(&T) -> bool) -> Found<T> {
        let (key, now_ms) = (format!("{}/{name}", T::FOLDER), now_ms());
        match T::cache().with_borrow(|cache| cache.fresh(&key, now_ms, suits)) {
            Some(found) => found,
            None => self.renew(&key).await,
        }
    }

    async fn renew<T: Published>(&self, key: &str) -> Found<T> {
        let now_ms = now_ms();
        let (found, bytes) = match self.fetch::<T>(key).await {
            Ok((value, bytes)) => (Found { value: value.map(Rc::new), error: None }, bytes),
            Err(error) => {
                console_error!("{key}: {error}");
                (Found { value: T::cache().with_borrow(|cache| cache.last(key)), error: Some(error) }, 0)
            }
        };
        T::cache().with_borrow_mut(|cache| cache.keep(key, found.clone(), bytes, now_ms));
        found
    }

    async fn fetch<T: Published>(&self, key: &str) -> Result<(Option<T>, usize), String> {
        let Some(bytes) = self.bytes(key).await? else {
            return Ok((None, 0));
        };
        let n = bytes.len();
        let damaged = match T::parse(bytes) {
            Ok(value) => return Ok((Some(value), n)),
            Err(error) => error,
        };
        // A fresh isolate has no copy at hand: the version before, where one is kept, beats none.
        match self.bytes(&good(key)).await?.map(|bytes| (bytes.len(), T::parse(bytes))) {
            Some((n, Ok(value))) => {
                console_error!("{key}: {damaged}; the version before it answers");
                Ok((Some(value), n))
            }
            _ => Err(damaged),
        }
    }

    /// A text that was kept; `None` where there is none or KV does not answer.
    pub async fn text(&self, key: &str) -> Option<String> {
        let bytes = self.bytes(key).await.unwrap_or_else(|error| {
            console_error!("KV: {error}");
            None
        });
        String::from_utf8(bytes?).ok()
    }

    /// Keeps a text for so long.
    ///
    /// # Errors
    /// 503 where KV does not take it.
    pub async fn keep_text(&self, key: &str, text: &str, seconds: u64) -> Result<(), Problem> {
        let refused = |error: String| Problem::unavailable(format!("nothing was kept: {error}"));
        let kv = self.kv.as_ref().map_err(|error| refused(error.clone()))?;
        let put = kv.put(key, text).map_err(|error| refused(error.to_string()))?;
        put.expiration_ttl(seconds).execute().await.map_err(|error| refused(error.to_string()))
    }

    /// The time that was first kept under a key, for a day; this one, if it is the first.
    ///
    /// # Errors
    /// 503 where KV does not answer: whoever asks again would be told another time.
    pub async fn first_time(&self, key: &str, now: i64) -> Result<i64, Problem> {
        let refused = |error: String| Problem::unavailable(format!("Idempotency-Key: {error}"));
        let kept = self.bytes(key).await.map_err(refused)?;
        let kept = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if kept.is_none() {
            self.keep_text(key, &now.to_string(), FIRST_TIME_SECONDS).await?;
        }
        Ok(kept.unwrap_or(now))
    }

    async fn bytes(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        self.kv.as_ref().map_err(Clone::clone)?.get(key).bytes().await.map_err(|error| error.to_string())
    }

    /// Publishes bytes that were checked: `value` is what they say.
    ///
    /// # Errors
    /// 503 where KV does not take them.
    pub async fn publish<T: Published>(&self, name: &str, bytes: &[u8], value: T) -> Result<(), Problem> {
        let key = format!("{}/{name}", T::FOLDER);
        let refused = |error: String| Problem::unavailable(format!("{key} was not written: {error}"));
        let kv = self.kv.as_ref().map_err(|error| refused(error.clone()))?;
        let put = kv.put_bytes(&key, bytes).map_err(|error| refused(error.to_string()))?;
        put.execute().await.map_err(|error| refused(error.to_string()))?;
        let found = Found { value: Some(Rc::new(value)), error: None };
        T::cache().with_borrow_mut(|cache| cache.keep(&key, found, bytes.len(), now_ms()));
        Ok(())
    }
}

/// Where the version before stands.
fn good(key: &str) -> String {
    format!("good/{key}")
}

/// Writes a campaign that was checked, and keeps the one before it, if that can be read, as the last known good.
///
/// # Errors
/// 503 where KV does not take it.
pub async fn replace_campaign(kv: &KvStore, id: &str, document: &[u8]) -> Result<(), Problem> {
    let key = format!("{}/{id}", Campaign::FOLDER);
    let refused = |error: &dyn std::fmt::Display| Problem::unavailable(format!("{key} was not written: {error}"));
    let before = kv.get(&key).bytes().await.map_err(|error| refused(&error))?;
    if before.as_deref() == Some(document) {
        return Ok(());
    }
    if let Some(before) = before.filter(|bytes| Campaign::parse(bytes).is_ok()) {
        let put = kv.put_bytes(&good(&key), &before).map_err(|error| refused(&error))?;
        put.execute().await.map_err(|error| refused(&error))?;
    }
    let put = kv.put_bytes(&key, document).map_err(|error| refused(&error))?;
    put.execute().await.map_err(|error| refused(&error))
}

/// Whether a campaign can have this name.
pub fn is_name(id: &str) -> bool {
    (1..=MAX_NAME).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// What is said of a campaign that no message can carry.
pub fn warning(id: &str) -> Option<String> {
    let limit = token::MAX_CAMPAIGN;
    (id.len() > limit).then(|| {
        format!("no token is minted for a campaign whose name has over {limit} letters: {id} has {}", id.len())
    })
}

/// Milliseconds since 1970; stands still between one I/O and the next.
pub fn now_ms() -> u64 {
    Date::now().as_millis() + AHEAD_MS.get()
}

/// Seconds since 1970.
pub fn now() -> i64 {
    (now_ms() / 1000).cast_signed()
}

/// Sets the clock ahead where the deployment says so.
pub fn set_clock(env: &Env) {
    let seconds = variable(env, CLOCK_AHEAD).and_then(|text| number(&text)).unwrap_or(0.0);
    AHEAD_MS.set((seconds * 1000.0) as u64);
}

/// A variable or a secret of the deployment, if it is set and not empty.
pub fn variable(env: &Env, name: &str) -> Option<String> {
    env.var(name).ok().map(|value| value.to_string()).filter(|text| !text.trim().is_empty())
}

/// A number that is not negative; JSON's reader of numbers is there already, std's is not.
pub fn number(text: &str) -> Option<f64> {
    serde_json::from_slice(text.trim().as_bytes()).ok().filter(|number: &f64| *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(value: u8) -> Found<u8> {
        Found { value: Some(Rc::new(value)), error: None }
    }

    #[test]
    fn a_good_value_lives_a_minute_anything_else_five_seconds() {
        let mut cache = Cache::new(10_000);
        let known = |cache: &Cache<u8>, key: &str, now| cache.fresh(key, now, |v| *v == 1).is_some();
        cache.keep("good", some(1), 0, 0);
        cache.keep("behind", some(2), 0, 0);
        cache.keep("absent", Found::default(), 0, 0);
        cache.keep("damaged", Found { error: Some("damaged".into()), ..some(1) }, 0, 0);
        assert!(known(&cache, "good", KEEP_MS - 1) && !known(&cache, "good", KEEP_MS));
        for key in ["behind", "absent", "damaged"] {
            assert!(known(&cache, key, RETRY_MS - 1) && !known(&cache, key, RETRY_MS), "{key}");
        }
        assert_eq!(cache.last("damaged"), Some(Rc::new(1)), "the copy at hand goes on serving");
    }

    #[test]
    fn an_old_value_answers_once_while_it_is_read_anew_and_a_bad_one_never() {
        let mut cache = Cache::new(10_000);
        cache.keep("good", some(1), 0, 0);
        cache.keep("damaged", Found { error: Some("damaged".into()), ..some(1) }, 0, 0);
        assert_eq!(cache.stale("good", KEEP_MS - 1), None, "it is fresh");
        assert_eq!(cache.stale("damaged", KEEP_MS), None);
        assert_eq!(cache.stale("good", STALE_MS), None, "too old");
        assert_eq!(cache.stale("good", KEEP_MS), Some(Rc::new(1)));
        assert_eq!(cache.stale("good", KEEP_MS + 1), None, "it is being read");
        assert!(cache.fresh("good", KEEP_MS + 1, |_| true).is_some(), "and answers others as if it were fresh");
        assert!(cache.fresh("good", KEEP_MS + RETRY_MS, |_| true).is_none(), "for a moment");
    }

    #[test]
    fn the_longest_unread_goes_first_and_the_sum_is_kept() {
        let mut cache = Cache::new(3_000);
        for (i, key) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
            cache.keep(key, some(0), 600, i as u64);
        }
        let keys: Vec<_> = cache.entries.keys().map(String::as_str).collect();
        assert_eq!(keys, ["a", "c", "d"]);
        assert_eq!(cache.used, 3 * (600 + 1 + 256));
        cache.keep("too big for all", some(0), 5_000, 9);
        assert_eq!((cache.used, cache.entries.len()), (0, 0));
    }

    #[test]
    fn a_name_fits_a_key_and_a_path() {
        assert!(is_name("lunch-fi_2") && is_name("default"));
        for name in ["", ".", "..", "a/b", "a b", "ü", &"x".repeat(65)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
