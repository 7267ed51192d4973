//! Pictures of cards: drawn before the send, read from static assets, beyond them from KV, and kept in the isolate.

use crate::store::{Cache, Store};
use freshrank::card::{Card, Density, Theme, fallback};
use std::cell::RefCell;
use std::rc::Rc;
use std::thread::LocalKey;
use worker::{Env, Fetcher, Request, console_error, web_sys};

/// The binding of the folder of cards in wrangler.toml.
const CARDS: &str = "CARDS";
/// What shows where even the deployment's own card cannot be read.
pub const LAST_RESORT: &[u8] = include_bytes!("card.png");

thread_local! {
    static PICTURES: RefCell<Cache<Picture>> = const { RefCell::new(Cache::new(12 << 20)) };
}

/// The bytes of a whole PNG.
pub struct Picture(pub Vec<u8>);

impl Picture {
    /// Whether it begins and ends as one: a picture that was cut off would be cached so by mail providers.
    fn read(bytes: Vec<u8>) -> Result<Self, String> {
        const BEGIN: &[u8] = b"\x89PNG\r\n\x1a\n";
        const END: &[u8] = b"\0\0\0\0IEND\xaeB`\x82";
        let whole = bytes.starts_with(BEGIN) && bytes.ends_with(END);
        if whole { Ok(Self(bytes)) } else { Err(format!("{} bytes that are no whole PNG", bytes.len())) }
    }
}

impl crate::store::Published for Picture {
    const FOLDER: &'static str = "card";
    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        Self::read(bytes)
    }
    fn cache() -> &'static LocalKey<RefCell<Cache<Self>>> {
        &PICTURES
    }
}

/// The picture of a card: itself, one that says less, or the deployment's own.
pub async fn of(store: &Store, env: &Env, card: Option<Card>, density: Density, theme: Theme) -> Option<Rc<Picture>> {
    let cards = card.map(|card| card.looked_for()).unwrap_or_default();
    let paths = cards.iter().map(|card| card.path(density, theme)).chain([fallback(density, theme)]);
    for path in paths {
        let found = store.picture(&path, || asset(env, &path)).await;
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The file of this name among the static assets, if there are any and it is one of them.
async fn asset(env: &Env, path: &str) -> Option<Vec<u8>> {
    let cards = env.get_binding::<Fetcher>(CARDS).ok()?;
    // Not `Fetcher::fetch`, which can also say how to resize a picture. `@` may stand in a path as it is.
    let request = web_sys::Request::new_with_str(&format!("https://cards/{path}")).ok()?;
    let response = cards.fetch_request(Request::from(request)).await;
    let mut response = response.map_err(|error| console_error!("card {path}: {error}")).ok()?;
    if response.status_code() != 200 {
        return None;
    }
    response.bytes().await.ok()
}
