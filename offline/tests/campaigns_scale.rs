//! How long the offline half takes over many campaigns. Ignored: it is a measurement, with `--nocapture`.
#![allow(clippy::print_stdout)]

use freshrank_offline::campaigns::{self, compare};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

const CAMPAIGNS: usize = 200;
/// A campaign's share of 5,000 files: global, 4 countries, 20 cities.
const COUNTRIES: [&str; 4] = ["fi", "se", "us", "de"];
const CITIES: usize = 5;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn city(campaign: usize, city: usize) -> String {
    let mut text = format!("title: City {city} of campaign {campaign}\nslots: {}\nexclude:\n  append:\n", 3 + city % 5);
    for merchant in 0..20 {
        let _ = writeln!(text, "    - merchant-{}", city * 100 + merchant);
    }
    text += "boosts:\n";
    for merchant in 0..10 {
        let _ = writeln!(text, "  - merchant: local-{merchant}\n    factor: 1.{merchant}");
    }
    text
}

fn generate(root: &Path, changed: bool) -> usize {
    let mut files = 1;
    write(&root.join("defaults/global.yaml"), "slots: 4\nlegal: Sent by an example\nlock: [legal]\n");
    for campaign in 0..CAMPAIGNS {
        let folder = root.join(format!("campaign-{campaign:03}"));
        let title = if changed && campaign % 10 == 0 { "Changed" } else { "Campaign" };
        write(&folder.join("global.yaml"), &format!("title: {title} {campaign}\nfallback:\n  text: See more\n"));
        files += 1;
        for country in COUNTRIES {
            let polygon = format!("title: {title} in {country}\ncuisine_cap: 3\n");
            write(&folder.join(format!("{country}.yaml")), &polygon);
            files += 1;
            for n in 0..CITIES {
                write(&folder.join(format!("{country}/city-{n}.yaml")), &city(campaign, n));
                files += 1;
            }
        }
    }
    files
}

#[test]
#[ignore = "a measurement: cargo test --release ... -- --ignored --nocapture"]
fn check_and_diff_of_5000_layers() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    let files = generate(&before, false);
    generate(&after, true);

    let started = Instant::now();
    let old = campaigns::open_all(std::slice::from_ref(&before));
    let check = started.elapsed();
    assert_eq!(old.len(), CAMPAIGNS);
    for folder in &old {
        assert!(folder.faults.is_empty(), "{}", folder.faults[0]);
    }
    let bytes: Vec<usize> = old.iter().map(|folder| serde_json::to_vec(&folder.campaign).unwrap().len()).collect();

    let started = Instant::now();
    let new = campaigns::open_all(&[PathBuf::from(&after)]);
    let changes: Vec<_> = old.iter().zip(&new).flat_map(|(old, new)| compare::compare(old, new)).collect();
    let diff = started.elapsed();
    // Every tenth campaign has another title at the place without layers and in each country; cities have their own.
    assert_eq!(changes.len(), CAMPAIGNS / 10 * (1 + COUNTRIES.len()));

    println!("{files} layers of {CAMPAIGNS} campaigns on {} threads", rayon::current_num_threads());
    println!("check  {:>8.0} ms", check.as_secs_f64() * 1000.0);
    println!("diff   {:>8.0} ms, reading the second tree included", diff.as_secs_f64() * 1000.0);
    println!("bytes  {:>8} per campaign, published", bytes.iter().sum::<usize>() / bytes.len());
}
