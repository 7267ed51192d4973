//! `freshrank cards` as a sender calls it, over a corner of Helsinki with names in many scripts.

use header::{Picture, png};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names that a Latin font alone cannot write, and one that no card is wide enough for.
const NAMES: [(&str, &str, &str); 7] = [
    ("cham", "مطعم الشام", "lebanese"),
    ("mixed", "שווארמה 24 Kallio", "shawarma"),
    ("sakura", "寿司 さくら", "sushi"),
    ("seoul", "서울 국밥", "korean"),
    ("pushkin", "Кафе Пушкинъ", "russian"),
    ("siam", "ร้านอาหารสยาม", "thai"),
    ("long", "The Very Best Handmade Neapolitan Pizza & Natural Wine of All Helsinki", "pizza;italian"),
];

/// Fonts that `cargo xtask setup` fetches; without them there is nothing to write with.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn fonts() -> Option<PathBuf> {
    let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fonts");
    if fonts.join("NotoSansCJK-Bold.ttc").exists() {
        return Some(fonts);
    }
    eprintln!("skipped: no fonts in target/fonts, run `cargo xtask setup`");
    None
}

fn freshrank(arguments: &[&str], threads: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshrank"));
    command.args(arguments).env("RAYON_NUM_THREADS", threads).env("FRESHRANK_READER_SECRET", "of the tests");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Areas of the merchants above, open from 11:00 until 22:15.
fn areas(folder: &Path) -> String {
    let tables = folder.join("tables");
    std::fs::create_dir_all(&tables).unwrap();
    let mut merchants =
        String::from("merchant_id,name,kind,latitude,longitude,country,cuisines,prep_minutes,opening_hours\n");
    for (i, (id, name, cuisines)) in NAMES.iter().enumerate() {
        merchants += &format!("{id},\"{name}\",restaurant,60.18{i}5,24.95,FI,{cuisines},20,Mo-Su 11:00-22:15\n");
    }
    std::fs::write(tables.join("merchants.csv"), merchants).unwrap();
    std::fs::write(
        tables.join("orders.csv"),
        "user_id,merchant_id,ordered_at,latitude,longitude\nu,cham,2026-11-01T12:00:00Z,60.185,24.95\n",
    )
    .unwrap();
    let out = folder.join("out").to_string_lossy().into_owned();
    let build = [
        "build",
        "--tables",
        &tables.to_string_lossy(),
        "--as-of",
        "2026-11-20T08:00:00+02:00",
        "--market",
        "fi/helsinki",
        "--out",
        &out,
    ];
    said(&freshrank(&build, "2"));
    out
}

/// Every file beneath a folder.
fn files(folder: &Path, beneath: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{beneath}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            files(&entry.path(), &format!("{name}/"), into)
        } else {
            into.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn every_card_of_every_script_is_drawn_to_the_same_bytes_by_one_thread_and_by_four() {
    let Some(fonts) = fonts() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = areas(folder.path());
    let fonts = fonts.to_string_lossy();
    let drawn = ["1", "4"].map(|threads| {
        let cards = folder.path().join(threads);
        let output = freshrank(
            &["cards", "--bundles", &out, "--out", &cards.to_string_lossy(), "--fonts", &fonts, "--json"],
            threads,
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "every letter has a font");
        let told: serde_json::Value = serde_json::from_str(&said(&output)).unwrap();
        let mut pictures = BTreeMap::new();
        files(&cards, "", &mut pictures);
        assert_eq!(told["files"], pictures.len());
        assert_eq!(told["bytes"], pictures.values().map(Vec::len).sum::<usize>());
        pictures
    });
    assert!(drawn[0] == drawn[1], "pictures must not depend on the number of threads");
    let pictures = &drawn[0];
    // Two badges, paid and not, at two densities by day and by night; and the deployment's own card.
    assert_eq!(pictures.len(), NAMES.len() * 2 * 2 * 4 + 4);
    for (name, bytes) in pictures {
        let scale = if name.contains("@2x") { 2 } else { 1 };
        assert_eq!(png(bytes), Picture { width: 280 * scale, height: 224 * scale, indexed: true }, "{name}");
        assert!(bytes.len() < 48_000, "{name}: {} bytes", bytes.len());
    }
    let id = freshrank::MerchantId::of("cham");
    for ending in ["open-2200.png", "open-2200-ad@2x-dark.png", "none.png", "none-ad@2x.png"] {
        assert!(pictures.contains_key(&format!("{id}/{ending}")), "{id}/{ending} of {:?}", pictures.keys());
    }
    let card = |name: &str| &pictures[&format!("{id}/{name}")];
    for (one, other) in [("none.png", "none-dark.png"), ("none.png", "none-ad.png"), ("none.png", "open-2200.png")] {
        assert!(card(one) != card(other), "{one} looks like {other}");
    }
}

#[test]
fn what_cannot_be_drawn_or_served_is_said_before_anything_is_drawn() {
    let Some(fonts) = fonts() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = areas(folder.path());
    let cards = folder.path().join("cards").to_string_lossy().into_owned();
    let refused = |more: &[&str]| {
        let output = freshrank(&[&["cards", "--bundles", &out, "--out", &cards][..], more].concat(), "2");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let fonts = fonts.to_string_lossy();
    let words = refused(&["--fonts", &fonts, "--max-files", "100"]);
    assert!(words.starts_with("error: 116 files (7 merchants, 28 cards, 4 pictures each), at most 100"), "{words}");
    let words = refused(&["--fonts", &out]);
    assert!(words.contains("no font; `cargo xtask setup` fetches some"), "{words}");
    assert!(!Path::new(&cards).exists(), "nothing was drawn");
    // One font alone: what it lacks is left out, and said.
    let inter = folder.path().join("inter");
    std::fs::create_dir(&inter).unwrap();
    for file in ["Inter-Regular.otf", "Inter-SemiBold.otf"] {
        std::fs::copy(Path::new(&*fonts).join(file), inter.join(file)).unwrap();
    }
    let output = freshrank(
        &["cards", "--bundles", &out, "--out", &cards, "--fonts", &inter.to_string_lossy(), "--no-sponsored"],
        "2",
    );
    said(&output);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("merchants have no card, since no font has a letter of their names"), "{words}");
}

#[test]
fn cards_without_room_among_the_static_assets_are_written_for_kv_to_the_same_bytes() {
    let Some(fonts) = fonts() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = areas(folder.path());
    let [all, some, kv] = ["all", "some", "kv"].map(|name| folder.path().join(name));
    let draw = |more: &[&Path]| {
        let more: Vec<_> = more.iter().map(|path| path.to_string_lossy()).collect();
        let words = ["cards", "--json", "--no-sponsored", "--bundles", &out, "--fonts"].into_iter();
        let words = words.chain(more.iter().map(|path| &**path)).collect::<Vec<_>>();
        serde_json::from_str::<serde_json::Value>(&said(&freshrank(&words, "2"))).unwrap()
    };
    let flag = Path::new;
    assert_eq!(draw(&[&fonts, flag("--out"), &all])["files_in_kv"], 0);
    let told = draw(&[&fonts, flag("--out"), &some, flag("--kv"), &kv, flag("--max-files"), flag("50")]);
    // The deployment's own, and two badges of a merchant, at two densities by day and by night.
    assert_eq!((&told["files"], &told["files_in_kv"]), (&(4 + 7 * 8).into(), &(2 * 8).into()));
    let [mut everything, mut kept] = [BTreeMap::new(), BTreeMap::new()];
    files(&all, "", &mut everything);
    files(&some, "", &mut kept);
    assert_eq!(kept.len(), 4 + 5 * 8);
    let bulk = std::fs::read(kv.join("0001.json")).unwrap();
    for pair in serde_json::from_slice::<Vec<serde_json::Value>>(&bulk).unwrap() {
        assert_eq!(pair["base64"], true);
        let path = pair["key"].as_str().unwrap().strip_prefix("card/").unwrap().to_owned();
        let url_safe = pair["value"].as_str().unwrap().replace('+', "-").replace('/', "_");
        kept.insert(path, freshrank::request::from_base64url(url_safe.trim_end_matches('=')).unwrap());
    }
    assert!(kept == everything, "every card is in one of the two, and the same");
}

#[test]
fn only_whom_a_campaign_may_favour_for_money_has_cards_that_say_so() {
    let Some(fonts) = fonts() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (out, fonts) = (areas(folder.path()), fonts.to_string_lossy());
    let layers = |name: &str, layers: &[(&str, &str)]| {
        let campaign = folder.path().join(name);
        for (layer, text) in layers {
            let file = campaign.join(format!("{layer}.yaml"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        campaign.to_string_lossy().into_owned()
    };
    // Who is meant, and that it is paid for, stand in two layers; a boost that nobody paid for is none of it.
    let pinned = layers(
        "pinned",
        &[
            ("global", "pins:\n  first: {slot: 0, merchant: cham, sponsored: true}\nboosts:\n  siam: {factor: 2}\n"),
            ("fi", "pins:\n  first: {merchant: sakura}\n"),
        ],
    );
    let ruled = layers(
        "ruled",
        &[("global", "rules:\n  near: {when: merchant.distance_km < 1.0, then: boost, factor: 2, sponsored: true}\n")],
    );
    let paid = |more: &[&str]| {
        let cards = folder.path().join(format!("cards-{}", more.len()));
        let words = ["cards", "--bundles", &out, "--fonts", &fonts, "--out", &cards.to_string_lossy()];
        said(&freshrank(&[&words[..], more].concat(), "2"));
        let mut pictures = BTreeMap::new();
        files(&cards, "", &mut pictures);
        let of = |id: &&str| pictures.contains_key(&format!("{}/none-ad.png", freshrank::MerchantId::of(id)));
        NAMES.map(|(id, ..)| id).into_iter().filter(of).collect::<Vec<_>>()
    };
    let everybody = NAMES.map(|(id, ..)| id).to_vec();
    assert_eq!(paid(&["--campaign", &pinned]), ["cham", "sakura"]);
    assert_eq!(paid(&["--campaign", &pinned, "--campaign", &ruled]), everybody, "a condition may hold of anybody");
    assert_eq!(paid(&["--no-sponsored"]), [""; 0]);
}

/// The header of a PNG, read by hand: what a mail client is told.
mod header {
    #[derive(Debug, PartialEq, Eq)]
    pub struct Picture {
        pub width: u32,
        pub height: u32,
        pub indexed: bool,
    }

    pub fn png(bytes: &[u8]) -> Picture {
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        Picture { width: number(16), height: number(20), indexed: bytes[25] == 3 }
    }
}
