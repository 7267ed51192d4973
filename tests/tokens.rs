//! Tokens: the cases of `tests/tokens`, what was minted by released versions, and what holds of every token.
//!
//! `FRESHRANK_BLESS=1 cargo test --release --test tokens` rewrites what the cases expect; read the difference. A released token
//! is never written anew: somebody has it in their mailbox.

#[path = "support/holds.rs"]
mod holds;

use freshrank::geo::Point;
use freshrank::profile::{self, KnownMerchant, LikelyPlace, Profile, Taste};
use freshrank::request::{base64url, from_base64url};
use freshrank::token::form::{MintRequest, OpenReply};
use freshrank::token::{Keys, MAX_BYTES, MAX_CAMPAIGN, MAX_CHARS, Personal, Token, TokenError, Verdict};
use freshrank::{Hash, time};
use holds::holds;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const MINTED: i64 = 1_795_168_800;
const KEYS: &str = "new MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\nold ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA";

fn keys() -> Keys {
    Keys::parse(KEYS).unwrap()
}

/// A profile of [`profile::MAX_BYTES`].
fn full_profile() -> Profile {
    let taste = Taste { clusters: vec![0.5; 20], raw: (0..6).map(|i| (i * 40, 0.25)).collect() };
    let point = Point::new(60.17, 24.94).unwrap();
    Profile {
        reader: 0x0123_4567_89AB_CDEF,
        as_of_minute: 29_919_480,
        consent: true,
        market: "fi/helsinki-city".into(),
        lifelong: taste.clone(),
        recent: taste,
        places: vec![LikelyPlace { point, probability: [0.2, 0.4, 0.6, 1.0] }; 4],
        merchants: vec![KnownMerchant { id: 5, chain: 6, count: 2.5, days: 9 }; 10],
        ..Profile::default()
    }
}

fn personal(profile: Option<Profile>) -> Token {
    Token {
        campaign: "lunch".into(),
        market: profile.as_ref().map_or("fi/turku".into(), |profile| profile.market.clone()),
        minted_at: MINTED + 17,
        expires_at: MINTED + 30 * 86_400,
        slots: 6,
        personal: Some(Personal { message: Hash::of(b"2026-11-20/0001"), profile }),
    }
}

fn shared() -> Token {
    Token { personal: None, ..personal(None) }
}

/// The case files of a folder, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
}

/// What a case comes to: the reply and what its token says, or an error.
fn outcome(case: &Value) -> Value {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let minted = || -> Result<Value, String> {
        let keys = Keys::parse(text("keys")).map_err(|error| error.to_string())?;
        let request = MintRequest::parse(case["request"].to_string().as_bytes()).map_err(|error| error.to_string())?;
        let reply = request.answer(&keys, MINTED).map_err(|error| error.to_string())?;
        let opened = Token::open(&reply.token, &keys).map_err(|error| error.to_string())?;
        let at = time::parse(text("open_at"))?;
        let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let opened = [false, true].map(|personal| read(OpenReply::new(&opened, at, personal).to_json()));
        Ok(json!({ "reply": read(reply.to_json()), "opened": opened[0], "personal": opened[1] }))
    };
    minted().unwrap_or_else(|error| json!({ "error": error }))
}

#[test]
fn every_case_comes_to_what_it_says() {
    let files = files("tests/tokens");
    assert!(files.len() >= 8, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let mut case: Map<String, Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let found = outcome(&Value::Object(case.clone()));
        if std::env::var_os("FRESHRANK_BLESS").is_some() {
            case.insert("expect".into(), found.clone());
            fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&case).unwrap())).unwrap();
        }
        if case.get("expect") != Some(&found) {
            wrong.push(format!("{}: {}\nfound {found:#}", file.display(), case["claim"]));
        }
    }
    assert!(wrong.is_empty(), "{}\nif that is as it should be, FRESHRANK_BLESS=1 rewrites them", wrong.join("\n"));
}

#[test]
fn what_released_versions_minted_can_be_read() {
    let released = files("tests/tokens/released");
    assert!(released.len() >= 2);
    for file in released {
        let released: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let text = |key: &str| released[key].as_str().unwrap();
        let opened = Token::open(text("token"), &Keys::parse(text("keys")).unwrap()).unwrap();
        let found = OpenReply::new(&opened, time::parse(text("at")).unwrap(), true).to_json();
        assert_eq!(serde_json::from_str::<Value>(&found).unwrap(), released["opened"], "{}", file.display());
    }
}

#[test]
fn a_full_token_has_480_characters() {
    let profile = full_profile();
    assert_eq!(profile.encode().unwrap().len(), profile::MAX_BYTES);
    let mut token = personal(Some(profile));
    token.campaign = "c".repeat(MAX_CAMPAIGN);
    let text = token.mint(&keys()).unwrap();
    assert_eq!((text.len(), from_base64url(&text).unwrap().len()), (MAX_CHARS, MAX_BYTES));
    let opened = Token::open(&text, &keys()).unwrap().token;
    let bytes = |token: &Token| token.personal.as_ref().unwrap().profile.as_ref().unwrap().encode().unwrap();
    assert_eq!(bytes(&opened), bytes(&token));
    assert_eq!(opened.encode().unwrap(), token.encode().unwrap());
}

#[test]
fn the_length_tells_nothing_of_the_reader() {
    let stranger = personal(None);
    let young = Profile { merchants: Vec::new(), places: Vec::new(), ..full_profile() };
    let lengths = [stranger, personal(Some(Profile { market: "fi".into(), ..young })), personal(Some(full_profile()))]
        .map(|token| token.mint(&keys()).unwrap().len());
    assert_eq!(lengths, [444; 3]);
}

#[test]
fn without_consent_all_of_an_hour_have_one_token() {
    let at = |second: i64| {
        let token = Token { minted_at: MINTED + second, expires_at: MINTED + second + 86_400, ..shared() };
        token.mint(&keys()).unwrap()
    };
    assert_eq!(at(1), at(3599));
    assert_ne!(at(1), at(3600));
    assert_ne!(shared().mint(&keys()), Token { market: "fi/oulu".into(), ..shared() }.mint(&keys()));
    let opened = Token::open(&at(1), &keys()).unwrap().token;
    assert_eq!((opened.minted_at, opened.expires_at), (MINTED, MINTED + 86_400 + 3600));
}

#[test]
fn the_first_key_mints_and_all_open() {
    let old = Keys::parse(KEYS.lines().last().unwrap()).unwrap();
    let before = personal(None).mint(&old).unwrap();
    let opened = Token::open(&before, &keys()).unwrap();
    assert_eq!((opened.key.to_string(), &opened.token), ("old".to_string(), &personal(None)));
    let after = personal(None).mint(&keys()).unwrap();
    assert_eq!(Token::open(&after, &keys()).unwrap().key.to_string(), "new");
    let error = Token::open(&after, &old).unwrap_err();
    assert_eq!(error.to_string(), "token asks for key new, the ring has old");
    let swapped = Keys::parse(&KEYS.replace("new", "x").replace("old", "new")).unwrap();
    let error = Token::open(&after, &swapped).unwrap_err();
    assert!(matches!(error, TokenError::Sealed { .. }), "another key of that name: {error}");
}

#[test]
fn a_ring_that_is_wrong_says_where_and_never_what() {
    let secret = KEYS.split_whitespace().nth(1).unwrap();
    for (text, expected) in [
        (
            String::new(),
            "no token key: expected a line `NAME KEY`, the key 32 random bytes in base64url; the first line mints",
        ),
        (format!("# none\n{secret}"), "token keys, line 2: found one word, expected a name, a blank and a key"),
        (format!("2026q4 {secret}"), "token keys, line 1: found a name that is not 1 to 4 letters and digits"),
        (format!("a {secret}="), "token keys, line 1: found a key that is not base64url without padding"),
        ("a c2hvcnQ".into(), "token keys, line 1: found a key of another length, expected 32 bytes"),
        (
            format!("a {secret}\n\na {secret}"),
            "token keys, line 3: found a name that stands above already, expected another",
        ),
        (
            (0..17).map(|i| format!("k{i} {secret}\n")).collect(),
            "found more than 16 token keys: take out those whose tokens are all expired",
        ),
    ] {
        let error = Keys::parse(&text).unwrap_err().to_string();
        assert_eq!(error, expected);
        assert!(!error.contains(secret));
    }
    assert!(!format!("{:?}", keys()).contains("48"), "no byte of a key: {:?}", keys());
}

#[test]
fn every_prefix_every_flipped_bit_and_every_other_letter_is_refused() {
    let keys = keys();
    for token in [personal(Some(full_profile())), personal(None), shared()] {
        let text = token.mint(&keys).unwrap();
        for end in 0..text.len() {
            assert!(Token::open(&text[..end], &keys).is_err(), "{end} characters");
        }
        let bytes = from_base64url(&text).unwrap();
        for bit in 0..8 * bytes.len() {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Token::open(&base64url(&bytes), &keys).is_err(), "bit {bit}");
        }
        for (i, letter) in text.char_indices() {
            for other in ["A", "_", "=", " ", "+", "é", "\0"].into_iter().filter(|other| *other != letter.to_string())
            {
                let changed = format!("{}{other}{}", &text[..i], &text[i + 1..]);
                assert!(Token::open(&changed, &keys).is_err(), "{other:?} for {letter} at {i}");
            }
        }
        assert!(Token::open(&format!("{text}A"), &keys).is_err());
        assert!(Token::open(&format!("{text}A="), &keys).is_err());
    }
    let error = Token::open(&"A".repeat(1 << 20), &keys).unwrap_err();
    assert_eq!(error.to_string(), "token has 1048576 characters, at most 480 are allowed");
    let error = Token::open("AgAAAAAA", &keys).unwrap_err();
    assert_eq!(error.to_string(), "token has version 2, this release reads 1");
}

#[test]
fn a_token_expires_and_still_opens() {
    let token = personal(None);
    let opened = Token::open(&token.mint(&keys()).unwrap(), &keys()).unwrap().token;
    let expires_at = token.expires_at;
    assert_eq!([expires_at - 1, expires_at].map(|now| opened.verdict(now)), [Verdict::Valid, Verdict::Expired]);
}

#[test]
fn what_cannot_be_minted_says_why() {
    let minted = |token: Token| token.mint(&keys()).unwrap_err().to_string();
    let long = Token { campaign: "c".repeat(33), ..shared() };
    assert_eq!(minted(long), "token has 33 bytes of campaign, at most 32 are allowed");
    assert_eq!(minted(Token { slots: 25, ..shared() }), "token has slots 25 at entry 0, expected 1 to 24");
    let other = Token { market: "fi/turku".into(), ..personal(Some(full_profile())) };
    assert_eq!(minted(other), r#"token is of market "fi/turku", its profile of "fi/helsinki-city""#);
    let early = Token { minted_at: -1, ..personal(None) };
    assert_eq!(minted(early), "token has a minting time -1 at entry 0, expected seconds from 1970 to 2099");
}

fn any_token() -> impl Strategy<Value = Token> {
    let texts = ("[a-zA-Z0-9_-]{1,32}", "[a-z]{2}(/[a-z]{1,13})?");
    let times = (0..time::LATEST, 0..time::LATEST);
    let reader =
        proptest::option::of((any::<[u8; 16]>(), proptest::option::of((any::<u64>(), 0..=20_usize, 0..=10_usize))));
    (texts, times, 1..=24_u8, reader).prop_map(|((campaign, market), (minted_at, expires_at), slots, reader)| {
        let profile = |(reader, n_clusters, n_merchants): (u64, usize, usize)| {
            let taste = Taste { clusters: vec![1.0; n_clusters], raw: Vec::new() };
            let merchant = KnownMerchant { id: 1, chain: 2, count: 3.0, days: 4 };
            let merchants = vec![merchant; n_merchants];
            let encoded = Profile {
                reader,
                market: market.clone(),
                lifelong: taste.clone(),
                recent: taste,
                merchants,
                ..Profile::default()
            };
            // As it comes back: its numbers are in steps.
            Profile::decode(&encoded.encode().unwrap()).unwrap()
        };
        let personal = reader.map(|(message, known)| Personal { message: Hash(message), profile: known.map(profile) });
        Token { campaign, market, minted_at, expires_at, slots, personal }
    })
}

#[test]
fn what_was_minted_opens_as_it_was_and_only_so() {
    let inputs = (any_token(), any_token(), any::<prop::sample::Index>(), any::<Vec<u8>>());
    let property = |(token, other, bit, noise): (Token, Token, prop::sample::Index, Vec<u8>)| {
        let keys = keys();
        let text = token.mint(&keys).unwrap();
        prop_assert!(text.len() <= MAX_CHARS);
        prop_assert_eq!(&text, &token.mint(&keys).unwrap(), "the same facts, the same token");
        prop_assert_eq!(&Token::open(&text, &keys).unwrap().token, &token.clone().blurred());
        prop_assert_eq!(text == other.mint(&keys).unwrap(), token.blurred() == other.blurred());
        let mut bytes = from_base64url(&text).unwrap();
        let bit = bit.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Token::open(&base64url(&bytes), &keys).is_err());
        prop_assert!(Token::open(&base64url(&noise), &keys).is_err());
        // What a key has opened may still be of another layout.
        let _ = Token::decode(&noise);
        Ok(())
    };
    holds(500, inputs, property);
}
