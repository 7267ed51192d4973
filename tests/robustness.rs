//! Damaged, hostile and nonsensical bytes: an error that names the part, or a valid decision; never a panic, and never
//! more memory than the limits say.

mod support;

use freshrank::bundle::{self, Bundle, Card, Display};
use freshrank::profile::{self, Profile};
use freshrank::request::{MAX_BODY, Question, base64url};
use freshrank::score::NoModel;
use freshrank::score::dense::Dense;
use freshrank::{Areas, Campaign, Hash, rerank};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Debug;
use std::path::Path;
use std::{fs, iter};
use support::Library;

/// Counts what each thread has allocated, so that tests beside each other do not count for one another.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that is ending has no counters any more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that was allocated at once while something ran, beyond what was there before.
fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = run();
    (result, (PEAK.get() - before).max(0) as usize)
}

/// Pseudo-random numbers (xorshift64*), the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        iter::repeat_with(|| self.next() as u8).take(n).collect()
    }
}

fn library() -> Library {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut library = Library::default();
    for name in [
        "the-best-of-several-offers",
        "own-history-beats-popularity",
        "christmas-eve-is-closed",
        "a-taste-moves-a-message",
    ]
    .into_iter()
    .chain(["fixtures/helsinki", "fixtures/two-pizzerias", "fixtures/lunch-street", "fixtures/homebody"])
    {
        library.0.insert(name.into(), fs::read_to_string(dir.join(format!("{name}.toml"))).unwrap());
    }
    library
}

/// Hours with a holiday, chains, offers: every section has something in it.
fn area() -> Vec<u8> {
    let text = r#"
        of = "two-pizzerias"
        [merchants.trattoria]
        hours = "Mo-Fr 11:00-14:00,18:00-01:00; 2026-12-24 off; 2026-12-06 PH 12:00-16:00"
        chain = "italian"
        cuisines = [1, 2, 3]
        clusters = [[1, 200], [2, 55]]
        price_band = 2
        listed = "2026-01-01"
        offers = [{ id = "a", kind = "percent", value = 20 }, { id = "b", kind = "amount", value = 300, audience = "new" }]
    "#;
    let area: support::area::AreaFile = toml::from_str(text).unwrap();
    area.resolve(&library()).draft().encode().unwrap()
}

fn display() -> Vec<u8> {
    let card = |name: &str| Card {
        merchant_id: name.into(),
        name: name.to_uppercase(),
        url: "https://example.org".into(),
        ..Card::default()
    };
    Display::encode(Hash::of(b"area"), &["da-vinci", "forno", "trattoria"].map(card)).unwrap()
}

fn reader() -> Vec<u8> {
    let library = library();
    let mut profile = library.fixture::<support::reader::ProfileFile>("homebody").profile(&library);
    profile.lifelong.clusters = vec![1.0, -1.0];
    profile.recent.clusters = vec![0.5, -0.5];
    profile.lifelong.raw = vec![(1, 0.5), (2, 0.25)];
    profile.encode().unwrap()
}

fn plan() -> Vec<u8> {
    support::model::linear(&[("distance_km".to_owned(), -1.0), ("rating".to_owned(), 0.5)].into()).encode()
}

/// A format: what errors call it, bytes of it, where its checksum stands, and how it is read.
struct Format {
    part: &'static str,
    bytes: Vec<u8>,
    checksum_at: usize,
    read: fn(&[u8]) -> Result<(), String>,
    limit: usize,
}

fn words<T: Debug, E: ToString>(result: Result<T, E>) -> Result<(), String> {
    result.map(|_| ()).map_err(|error| error.to_string())
}

fn formats() -> Vec<Format> {
    vec![
        Format {
            part: "area bundle",
            bytes: area(),
            checksum_at: 6,
            read: |bytes| words(Bundle::decode(bytes.to_vec())),
            limit: bundle::MAX_BYTES,
        },
        Format {
            part: "display block",
            bytes: display(),
            checksum_at: 6,
            read: |bytes| words(Display::decode(bytes.to_vec())),
            limit: 16 << 20,
        },
        Format {
            part: "profile",
            bytes: reader(),
            checksum_at: 4,
            read: |bytes| words(Profile::decode(bytes)),
            limit: profile::MAX_BYTES,
        },
        Format {
            part: "model plan",
            bytes: plan(),
            checksum_at: 6,
            read: |bytes| words(Dense::load(bytes)),
            limit: 64 << 20,
        },
    ]
}

impl Format {
    /// The error that reading must give.
    fn refuse(&self, bytes: &[u8], what: impl Debug) -> String {
        let error = (self.read)(bytes).expect_err(&format!("{} with {what:?} is read", self.part));
        assert!(error.contains(self.part), "{what:?}: {error:?} does not name the {}", self.part);
        error
    }

    /// Puts the right checksum into wrong bytes.
    fn seal(&self, bytes: &mut [u8]) {
        if bytes.len() < self.checksum_at + 4 {
            return;
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes[..self.checksum_at]);
        crc.update(&bytes[self.checksum_at + 4..]);
        bytes[self.checksum_at..self.checksum_at + 4].copy_from_slice(&crc.finalize().to_le_bytes());
    }
}

#[test]
fn whole_bytes_are_read() {
    for format in formats() {
        assert_eq!((format.read)(&format.bytes), Ok(()), "{}", format.part);
        let mut sealed = format.bytes.clone();
        format.seal(&mut sealed);
        assert_eq!(sealed, format.bytes, "{}: the checksum stands where these tests think", format.part);
    }
}

#[test]
fn every_prefix_is_an_error() {
    for format in formats() {
        for n in 0..format.bytes.len() {
            let error = format.refuse(&format.bytes[..n], n);
            assert!(error.contains("ends inside"), "{error}");
        }
    }
}

#[test]
fn every_flipped_bit_is_an_error() {
    for format in formats() {
        for bit in 0..8 * format.bytes.len() {
            let mut bytes = format.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            format.refuse(&bytes, bit);
        }
    }
}

#[test]
fn anything_after_the_end_is_an_error() {
    for format in formats() {
        for n in [1, 7, 4096] {
            let mut bytes = format.bytes.clone();
            bytes.extend(vec![0; n]);
            format.refuse(&bytes, n);
            format.seal(&mut bytes);
            format.refuse(&bytes, n);
        }
    }
}

#[test]
fn random_bytes_are_an_error() {
    let mut random = Random(1);
    for format in formats() {
        for _ in 0..5000 {
            let n = random.below(600);
            let mut bytes = random.bytes(n);
            format.refuse(&bytes, n);
            // With the right first bytes it gets further.
            let head = format.bytes.len().min(bytes.len()).min(6);
            bytes[..head].copy_from_slice(&format.bytes[..head]);
            format.seal(&mut bytes);
            format.refuse(&bytes, n);
        }
    }
}

/// A writer may get the checksum right and everything else wrong.
#[test]
fn a_sealed_lie_is_an_error_or_can_be_decided_upon() {
    let mut random = Random(2);
    let context = freshrank::Context { at: 1_795_168_800, ..Default::default() };
    let point = freshrank::geo::Point::new(60.1699, 24.9384).unwrap();
    let fix = freshrank::context::Fix { point, grade: freshrank::context::Grade::Exact };
    let context = freshrank::Context { request: Some(fix), ..context };
    let mut n_read = 0;
    for format in formats() {
        let n = format.bytes.len();
        let lies = (0..8 * n).map(|bit| vec![bit]).chain((0..4000).map(|i| vec![i; 1 + i % 5]));
        for lie in lies {
            let mut bytes = format.bytes.clone();
            match lie[..] {
                [bit] => bytes[bit / 8 % n] ^= 1 << (bit % 8),
                _ => lie.iter().for_each(|_| {
                    bytes[random.below(n)] = [0, 1, 0x7F, 0x80, 0xFF, random.next() as u8][random.below(6)]
                }),
            }
            format.seal(&mut bytes);
            let (result, peak) = peak_of(|| (format.read)(&bytes));
            assert!(peak < 64 * n + 4096, "{}: {peak} bytes for {n}, {lie:?}", format.part);
            if let Err(error) = result {
                assert!(error.contains(format.part) || error.starts_with("model "), "{error}");
                continue;
            }
            n_read += 1;
            let bundle = Bundle::decode(if format.part == "area bundle" { bytes.clone() } else { area() }).unwrap();
            let profile = Profile::decode(&if format.part == "profile" { bytes.clone() } else { reader() }).unwrap();
            assert_eq!(Profile::decode(&profile.encode().unwrap()), Ok(profile.clone()), "{lie:?}");
            let plan = Dense::load(&if format.part == "model plan" { bytes.clone() } else { plan() }).unwrap();
            if format.part == "display block" {
                let display = Display::decode(bytes).unwrap();
                for name in ["da-vinci", "forno", "trattoria"] {
                    let _ = display.card(freshrank::MerchantId::of(name));
                }
            }
            let decision = rerank(&Areas::new([&bundle], Vec::new()), &profile, &context, &Campaign::default(), &plan);
            assert_eq!(decision.placements.len(), 4);
            assert!(decision.rows.values.iter().all(|value| value.is_finite()), "{lie:?}");
            if decision.cell.is_some() {
                assert_eq!(decision.kept.len() + decision.dropped.len(), bundle.len());
            }
        }
    }
    assert!(n_read > 1000, "{n_read} lies were read: these tests reach behind the checksum");
}

#[test]
fn four_billion_merchants_take_no_memory() {
    for format in formats() {
        // Every count of every header at its largest, one at a time and all at once; far beyond what there is.
        let n = format.bytes.len().min(96);
        let lies = (format.checksum_at + 4..n).map(|at| (at, 4)).chain([(format.checksum_at + 4, n)]);
        for (at, width) in lies {
            let mut bytes = format.bytes.clone();
            let end = (at + width).min(bytes.len());
            bytes[at..end].fill(0xFF);
            format.seal(&mut bytes);
            let (_, peak) = peak_of(|| (format.read)(&bytes));
            assert!(peak < 64 * bytes.len() + 4096, "{}, byte {at}: {peak} bytes for {}", format.part, bytes.len());
        }
    }
}

#[test]
fn too_many_bytes_are_refused_before_they_are_read() {
    for format in formats().into_iter().filter(|format| format.part != "model plan") {
        let mut bytes = format.bytes.clone();
        bytes.resize(format.limit + 1, 0);
        let error = format.refuse(&bytes, format.limit);
        assert!(error.contains(&format!("at most {} are allowed", format.limit)), "{error}");
    }
    let body = vec![b' '; MAX_BODY + 1];
    let (error, peak) = peak_of(|| Question::parse(&body, 0).unwrap_err().to_string());
    assert!(error.contains("at most 8388608 are read") && peak < 4096, "{error}, {peak} bytes");
}

/// Asks, and checks that what comes is an error of this request or a decision with every slot.
fn ask(json: &[u8], campaign: &Campaign) {
    match Question::parse(json, 1_795_168_800) {
        Err(error) => {
            let words = error.to_string();
            assert!(words.starts_with("request"), "{words}");
            assert!(words.len() < 600, "an error is read by people: {} bytes", words.len());
        }
        Ok(question) => {
            let reply = question.answer(None, None, campaign, &NoModel);
            assert!(!reply.slots.is_empty());
            assert!(serde_json::from_str::<serde_json::Value>(&reply.to_json()).is_ok());
        }
    }
}

#[test]
fn a_mangled_request_gives_an_error_or_a_valid_decision() {
    let library = library();
    let mut random = Random(3);
    for name in library.cases() {
        let asked = library.case(name).ask();
        let campaign = Campaign::parse(asked.campaign.as_bytes()).unwrap();
        let whole = asked.request.as_bytes();
        for n in 0..whole.len() {
            assert!(Question::parse(&whole[..n], 0).is_err(), "a prefix of {n} bytes");
        }
        for _ in 0..3000 {
            let mut bytes = whole.to_vec();
            for _ in 0..=random.below(3) {
                let (at, to) = (random.below(bytes.len()), random.below(bytes.len()));
                match random.below(6) {
                    0 => bytes[at] = random.next() as u8,
                    1 => bytes[at] ^= 1 << random.below(8),
                    2 => drop(bytes.drain(at.min(to)..at.max(to))),
                    3 => {
                        let copy = bytes[at.min(to)..at.max(to)].to_vec();
                        bytes.splice(at..at, copy);
                    }
                    4 => bytes.swap(at, to),
                    _ => {
                        let token = [
                            "null",
                            "-1",
                            "1e999",
                            "18446744073709551616",
                            "\"\"",
                            "{}",
                            "[]",
                            "true",
                            "\u{0}",
                            "-0.0",
                            "\\ud800",
                        ];
                        bytes.splice(at..at, token[random.below(token.len())].bytes());
                    }
                }
                if bytes.is_empty() {
                    break;
                }
            }
            ask(&bytes, &campaign);
        }
    }
}

#[test]
fn nonsense_for_a_request_is_an_error_with_words() {
    let campaign = Campaign::default();
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let nonsense: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"null".into(),
        b"[]".into(),
        b"{}".into(),
        b"\xEF\xBB\xBF{\"context\":{}}".into(),
        b"{\"context\":{},\"id\":\"\xFF\xFE\"}".into(),
        b"{\"context\":{},\"id\":\"\\ud800\"}".into(),
        nested(100_000).into_bytes(),
        format!("{{\"context\":{}}}", nested(100_000)).into_bytes(),
        b"{\"context\":{\"seed\":1e400}}".into(),
        b"{\"context\":{\"seed\":-1}}".into(),
        b"{\"context\":{\"seed\":99999999999999999999999999}}".into(),
        b"{\"context\":{},\"context\":{}}".into(),
        b"{\"context\":{\"at\":\"2026-11-20T12:00:00Z\",\"at\":\"2026-11-20T12:00:00Z\"}}".into(),
        b"{\"context\":{\"latitude\":91,\"longitude\":0}}".into(),
        b"{\"context\":{\"latitude\":60}}".into(),
        b"{\"context\":{\"latitude\":1e999,\"longitude\":0}}".into(),
        b"{\"context\":{\"at\":\"yesterday\"}}".into(),
        b"{\"context\":{\"grade\":\"perfect\"}}".into(),
        b"{\"context\":{},\"profile\":\"!\"}".into(),
        b"{\"context\":{},\"areas\":[\"AAAA\"]}".into(),
        b"{\"context\":{},\"extra\":1}".into(),
        b"{\"context\":{\"elsewhere\":\"a\"}}".into(),
        b"{\"context\":{\"recent\":[\"a\"]}}".into(),
        format!("{{\"context\":{{\"elsewhere\":[{}]}}}}", vec!["\"a\""; 1001].join(",")).into_bytes(),
        format!("{{\"context\":{{\"recent\":[{}]}}}}", vec!["[]"; 65].join(",")).into_bytes(),
        format!("{{\"context\":{{\"recent\":[[{}]]}}}}", vec!["\"a\""; 101].join(",")).into_bytes(),
        format!("{{\"context\":{{}},\"{}\":1}}", "x".repeat(100_000)).into_bytes(),
        format!("{{\"context\":{{\"seed\":\"{}\"}}}}", "secret\\\"".repeat(10_000)).into_bytes(),
    ];
    for json in nonsense {
        let head = String::from_utf8_lossy(&json[..json.len().min(60)]).into_owned();
        assert!(Question::parse(&json, 0).is_err(), "{head}");
        ask(&json, &campaign);
    }
    ask(b"{\"context\":{}}", &campaign);
}

#[test]
fn an_error_does_not_repeat_what_a_reader_said() {
    for json in [
        r#"{"context":{"seed":"anna@example.org"}}"#,
        r#"{"context":{"mailbox":5,"seed":"anna@example.org"}}"#,
        r#"{"context":{"seed":"a\"b anna@example.org \"c"}}"#,
        r#"{"context":"anna@example.org"}"#,
        r#"{"context":{},"profile":"anna@example.org"}"#,
    ] {
        let error = Question::parse(json.as_bytes(), 0).unwrap_err().to_string();
        assert!(!error.contains("anna"), "{error}");
    }
}

#[test]
fn a_long_request_takes_a_few_times_its_own_bytes() {
    let lists =
        |key: &str, entry: &str, n: usize| format!("{{\"context\":{{}},\"{key}\":[{}]}}", vec![entry; n].join(","));
    let areas = base64url(&area());
    for json in [
        lists("areas", "\"\"", 1_000_000),
        lists("availability", r#"{"merchant_id":"","closure":"paused"}"#, 100_000),
        lists("areas", &format!("\"{areas}\""), 16),
        lists("areas", &format!("\"{areas}\""), 17),
        format!("{{\"context\":{{\"elsewhere\":[{}]}}}}", vec!["\"\""; 1000].join(",")),
        format!(
            "{{\"context\":{{\"recent\":[{}]}}}}",
            vec![format!("[{}]", vec!["\"\""; 100].join(",")); 64].join(",")
        ),
        format!("{{\"context\":{{}},\"id\":\"{}\"}}", "x".repeat(4 << 20)),
        format!("{{\"context\":{{}},\"profile\":\"{}\"}}", "A".repeat(4 << 20)),
    ] {
        let (_, peak) = peak_of(|| drop(Question::parse(json.as_bytes(), 0)));
        assert!(peak < 3 * json.len() + (1 << 20), "{} ...: {peak} bytes for {}", &json[..40], json.len());
    }
}

#[test]
fn a_mangled_campaign_gives_an_error_or_a_policy() {
    let whole = br#"{"id": "lunch", "layers": {"global": {"slots": 6, "boosts": [{"merchant": "a", "factor": 2.0}],
        "lock": ["legal"], "bounds": {"slots": {"max": 9}, "boosts.*.factor": {"min": 0.5}}},
        "fi": {"pins": [{"slot": 0, "merchant": "chain:b"}], "kinds": ["grocery"], "place": "freshest", "priority": -3},
        "fi/helsinki": {"covers": {"iso": ["FI-18"], "places": ["fi/helsinki"], "cells": ["871126d36ffffff"]}, "slots": null,
        "exclude": {"append": ["a"], "remove": ["b"]}, "boosts": {"a": null, "b": {"sponsored": true}}}}}"#;
    let mut random = Random(4);
    for n in 0..whole.len() {
        assert!(Campaign::parse(&whole[..n]).unwrap_err().to_string().starts_with("campaign"));
    }
    for _ in 0..5000 {
        let mut bytes = whole.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8 & 0x7F;
        }
        match Campaign::parse(&bytes) {
            Ok(campaign) => assert!((1..=24).contains(&campaign.policy("fi/helsinki").slots)),
            Err(error) => assert!(error.to_string().starts_with("campaign"), "{error}"),
        }
    }
}

/// The plan that ships, where it has been trained: every prefix at its seams, and bits all over it.
#[test]
fn the_shipped_plan_bears_no_damage() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ltr.plan");
    let Some(bytes) = fs::read(path).ok().filter(|bytes| !bytes.is_empty()) else {
        return;
    };
    assert_eq!(words(Dense::load(&bytes)), Ok(()));
    for n in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        assert!(words(Dense::load(&bytes[..n])).unwrap_err().contains("model plan"), "prefix {n}");
    }
    for bit in (0..8 * bytes.len()).step_by(331) {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(words(Dense::load(&bytes)).unwrap_err().contains("model plan"), "bit {bit}");
    }
}

/// The ONNX file is pinned by its hash: neither a prefix nor a flipped bit reaches tract's reader.
#[cfg(feature = "tract")]
#[test]
fn the_shipped_onnx_bears_no_damage() {
    use freshrank::score::tract::Tract;

    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let files =
        (fs::read(dir.join("ltr.onnx")).ok(), fs::read(dir.join("ltr.plan")).ok().filter(|bytes| !bytes.is_empty()));
    let (Some(onnx), Some(plan)) = files else { return };
    let pinned = Dense::load(&plan).unwrap().model;
    assert_eq!(Hash::of(&onnx), pinned, "models/ltr.plan was compiled from another models/ltr.onnx: compile it again");
    let refuse = |bytes: &[u8], what: usize| {
        let error = Tract::load_pinned(bytes, pinned).unwrap_err().to_string();
        assert!(error.starts_with("model file's hash"), "{what}: {error}");
    };
    (0..onnx.len()).step_by(101).for_each(|n| refuse(&onnx[..n], n));
    for bit in (0..8 * onnx.len()).step_by(463) {
        let mut bytes = onnx.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        refuse(&bytes, bit);
    }
}
