//! `build`, whole and interrupted.

use crate::world::{World, threads};
use freshrank_offline::areas::{self, BuildOptions, Catalog};
use freshrank_offline::build::{Built, Job, Manifest, Stage, build};
use freshrank_offline::profiles::{self, DEVELOPMENT_SECRET, ProfileOptions};
use freshrank_offline::tables::{ReadOptions, Timestamp};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// 1 October 2026, inside the simulated window: later orders must not be seen.
const AS_OF: Timestamp = 1_790_812_800;

/// A folder's files by name.
type Bytes = BTreeMap<String, Vec<u8>>;

static WORLD: LazyLock<World> = LazyLock::new(|| World::new(90, 400));

fn job<'j>(world: &'j World, out: &'j Path, partitions: usize) -> Job<'j> {
    Job {
        tables: &world.folder,
        read: ReadOptions::default(),
        as_of: AS_OF,
        map: &world.map,
        areas: BuildOptions { market: Some("fi/helsinki".into()), ..BuildOptions::default() },
        profiles: ProfileOptions::default(),
        secret: None,
        partitions: Some(partitions),
        out,
    }
}

fn bytes(folder: &Path) -> Bytes {
    let mut found = Bytes::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(bytes(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

fn names(found: &Bytes) -> Vec<&str> {
    found.keys().map(String::as_str).collect()
}

/// Equal, or the first file that is not.
fn assert_same(found: &Bytes, expected: &Bytes, what: &str) {
    assert_eq!(names(found), names(expected), "{what}");
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{what}: {name} differs");
    }
}

/// All tables at once in memory, as smaller programs do it.
fn in_memory(world: &World, out: &Path) -> Bytes {
    let options = BuildOptions { market: Some("fi/helsinki".into()), ..BuildOptions::default() };
    let built = areas::build(&world.tables, AS_OF, &world.map, &options).unwrap();
    areas::write(&built.areas, out).unwrap();
    let catalog = Catalog::new(&world.tables, &world.map, &options);
    let made =
        profiles::build(&world.tables, AS_OF, &world.map, &catalog, DEVELOPMENT_SECRET, &ProfileOptions::default())
            .unwrap();
    assert!(made.len() >= 400, "{} profiles", made.len());
    profiles::write(&made, &out.join("profiles.ndjson")).unwrap();
    bytes(out)
}

fn whole(job: &Job<'_>) -> Built {
    build(job, &|_, _, _| true).unwrap().unwrap()
}

#[test]
fn partitions_and_threads_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let memory = folder.path().join("memory");
    let expected = in_memory(&WORLD, &memory);
    assert!(expected.len() > 40, "areas and profiles: {:?}", names(&expected));
    for (partitions, n_threads) in [(1, 1), (1, 2), (2, 2), (7, 1), (40, 3)] {
        let what = format!("{partitions} partitions, {n_threads} threads");
        let out = folder.path().join(&what);
        let built = threads(n_threads, || whole(&job(&WORLD, &out, partitions)));
        let mut found = bytes(&out);
        let manifest: Manifest = serde_json::from_slice(&found.remove("manifest.json").unwrap()).unwrap();
        assert_eq!(manifest, built.manifest);
        assert!(manifest.simulated.is_some_and(|said| said.contains("simulated")));
        assert_eq!((built.partitions, built.resumed), (partitions, 0));
        assert_same(&found, &expected, &what);
    }
}

#[test]
fn wherever_it_stops_the_next_build_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("whole");
    let n_told = AtomicUsize::new(0);
    let counting = |_, _, _| {
        n_told.fetch_add(1, Ordering::Relaxed);
        true
    };
    threads(1, || build(&job(&WORLD, &out, 5), &counting).unwrap().unwrap());
    let (expected, n_told) = (bytes(&out), n_told.into_inner());
    assert!(n_told >= 4 + 2 * 6, "every table and every partition is told: {n_told}");

    let mut resumed = Vec::new();
    for stop in 0..n_told {
        let out = folder.path().join(format!("stopped at {stop}"));
        let told = AtomicUsize::new(0);
        let until = |_, _, _| told.fetch_add(1, Ordering::Relaxed) < stop;
        // On one thread, then on two: what is resumed does not depend on who began.
        let first = threads(1, || build(&job(&WORLD, &out, 5), &until).unwrap());
        if first.is_none() {
            assert!(!out.join("manifest.json").exists(), "half a build looks like one");
            let second = threads(2, || whole(&job(&WORLD, &out, 5)));
            resumed.push(second.resumed);
        }
        assert_same(&bytes(&out), &expected, &format!("stopped at {stop} of {n_told}"));
    }
    assert!(resumed.is_sorted() && *resumed.last().unwrap() >= 6, "later stops leave less to do: {resumed:?}");
}

#[test]
fn other_options_begin_anew_and_an_older_build_stays_until_the_new_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    whole(&job(&WORLD, &out, 3));
    let before = bytes(&out);
    let earlier = Job { as_of: AS_OF - 30 * 86_400, ..job(&WORLD, &out, 3) };
    let until_profiles = |stage: Stage, _, _| stage < Stage::Profiles;
    assert!(build(&earlier, &until_profiles).unwrap().is_none());
    let mut meanwhile = bytes(&out);
    meanwhile.retain(|name, _| !name.starts_with(".unfinished/"));
    assert_same(&meanwhile, &before, "while another build is under way");
    // The interrupted work is not this job's.
    let built = whole(&job(&WORLD, &out, 3));
    assert_eq!(built.resumed, 0);
    assert_same(&bytes(&out), &before, "built again");
    let built = whole(&earlier);
    assert_eq!(built.manifest.as_of, "2026-09-01T00:00:00Z");
    assert!(bytes(&out)["profiles.ndjson"] != before["profiles.ndjson"]);
}
