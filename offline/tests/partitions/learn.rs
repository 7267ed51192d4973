//! `examples`, `evaluate`, `preferences` and `report`.

use crate::world::{World, threads};
use freshrank::MerchantId;
use freshrank_offline::evaluate::{EvaluateOptions, evaluate};
use freshrank_offline::examples::{self, ExampleOptions, ExamplesReport};
use freshrank_offline::preferences::state::{Update, since};
use freshrank_offline::preferences::{Menus, PreferenceOptions};
use freshrank_offline::profiles::reader_id;
use freshrank_offline::report::{Adding, CONTROL, Sent};
use freshrank_offline::tables::spool::ByReader;
use freshrank_offline::tables::{self, ReadOptions, TableError, Tables, spool};
use freshrank_offline::timeline::{Disk, Readers};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

static WORLD: LazyLock<World> = LazyLock::new(|| World::new(60, 250));

/// Everything both commands come to, as bytes.
#[derive(PartialEq)]
struct Came {
    examples: Vec<u8>,
    report: ExamplesReport,
    rankings: Vec<u8>,
    figures: String,
}

fn came(readers: Readers<'_>, queries: Option<usize>, folder: &Path) -> Came {
    let options = ExampleOptions { candidates: 12, queries, ..ExampleOptions::default() };
    let (examples, rankings) = (folder.join("examples.parquet"), folder.join("rankings.parquet"));
    let oracle = Some(&WORLD.oracle);
    let report = examples::write(readers, &WORLD.map, oracle, &options, &examples, &|_, _| ()).unwrap();
    let end = WORLD.tables.orders.last().unwrap().ordered_at;
    let mut options = EvaluateOptions::new(end - 60 * 86_400);
    (options.resamples, options.cuts, options.allow_leaks) = (20, 1, true);
    options.queries = queries.unwrap_or(options.queries);
    let found = evaluate(readers, &WORLD.map, oracle, None, &options, Some(&rankings), &|_, _| ()).unwrap();
    assert!(found.protocols.iter().all(|protocol| protocol.audited > 0));
    Came {
        examples: fs::read(examples).unwrap(),
        report,
        rankings: fs::read(rankings).unwrap(),
        figures: serde_json::to_string(&found).unwrap(),
    }
}

#[test]
fn partitions_and_threads_change_no_byte_of_examples_and_evaluate() {
    let folder = tempfile::tempdir().unwrap();
    for queries in [None, Some(40)] {
        let expected = came((&WORLD.tables).into(), queries, folder.path());
        assert!(expected.report.rows > 500, "{:?}", expected.report);
        assert_eq!(expected.figures.contains("drawn_of"), queries.is_some());
        if let Some(most) = queries {
            assert!(expected.report.queries["send-time"].values().sum::<usize>() <= most);
        }
        for (partitions, n_threads) in [(1, 1), (3, 2), (7, 1), (7, 2)] {
            let what = format!("{partitions} partitions, {n_threads} threads, {queries:?} queries");
            let work = folder.path().join(&what);
            let split = spool::split(&WORLD.folder, &ReadOptions::default(), &work, partitions, &|_, _| true);
            let (split, disk) = (split.unwrap().unwrap(), Disk::new(&work));
            let found = threads(n_threads, || came(Readers::on_disk(&split, &disk), queries, &work));
            assert_eq!(found.report, expected.report, "{what}");
            assert_eq!(found.figures, expected.figures, "{what}");
            assert!(found.examples == expected.examples, "{what}: other examples");
            assert!(found.rankings == expected.rankings, "{what}: other rankings");
        }
    }
}

#[test]
fn partitions_and_threads_change_no_byte_of_preferences_and_report() {
    let folder = tempfile::tempdir().unwrap();
    let options = PreferenceOptions::default();
    let menus = Menus::new(&WORLD.tables.merchants, &WORLD.map, &options);
    let end = WORLD.tables.orders.last().unwrap().ordered_at;
    let update = |as_of| Update { menus: &menus, map: &WORLD.map, options: &options, as_of, simulated: None };
    let log: Vec<Sent> = WORLD
        .tables
        .readers
        .iter()
        .enumerate()
        .map(|(n, reader)| {
            let arm = if n % 3 == 0 { "bold" } else { CONTROL };
            let reader = Some(reader_id(b"secret", &reader.user_id));
            Sent { message: format!("m{n}"), reader, at: end - 90 * 86_400, arm: arm.into() }
        })
        .collect();
    let clicks =
        WORLD.tables.events.iter().filter(|event| event.kind == "click" && event.mailbox.as_deref() != Some("scanner"));
    let clicked: BTreeSet<&str> = clicks.filter_map(|event| event.message_id.as_deref()).collect();
    let clicked =
        clicked.into_iter().map(|id| Sent { message: id.to_owned(), reader: None, at: end, arm: CONTROL.into() });
    let log: Vec<Sent> = log.into_iter().chain(clicked).collect();
    let shares = [("bold".to_owned(), 0.3)].into();

    let (expected, file) = (folder.path().join("expected"), folder.path().join("found"));
    let whole = |from| ByReader::of(since(&WORLD.tables.orders, from, end));
    update(end).write(None, whole, &expected).unwrap();
    let mut adding = Adding::new(&log, b"secret");
    adding.add(&WORLD.tables);
    let report = adding.report(None, &shares);
    assert!(report.arms.iter().all(|arm| arm.orders.is_some_and(|orders| orders.count > 2)), "{report:?}");
    assert!(report.arms[0].clicks.count > 5, "{report:?}");

    for (partitions, n_threads) in [(1, 1), (3, 2), (7, 1), (7, 2)] {
        let what = format!("{partitions} partitions, {n_threads} threads");
        let work = folder.path().join(&what);
        let split = spool::split(&WORLD.folder, &ReadOptions::default(), &work, partitions, &|_, _| true);
        let split = split.unwrap().unwrap();
        threads(n_threads, || {
            let to = |as_of, old| {
                let parts = |from| split.by_reader(&|_, _| (), &|part| since(&part.orders, from, as_of));
                update(as_of).write(old, parts, &file).unwrap()
            };
            to(end - 100 * 86_400, None);
            assert!(to(end, Some(file.as_path())).orders > 0, "{what}");
            assert!(fs::read(&file).unwrap() == fs::read(&expected).unwrap(), "{what}: another state");
            let adding = Mutex::new(Adding::new(&log, b"secret"));
            let add = |part: Tables| -> Result<(), TableError> {
                adding.lock().unwrap().add(&part);
                Ok(())
            };
            split.each(&|_, _| (), &add).unwrap();
            assert_eq!(adding.into_inner().unwrap().report(None, &shares), report, "{what}");
        });
    }
}

#[test]
fn a_sample_has_all_rows_of_the_readers_with_the_smallest_hashes() {
    let all = &WORLD.tables;
    let mut hashes: Vec<(u64, &str)> =
        all.readers.iter().map(|reader| (MerchantId::of(&reader.user_id).0, reader.user_id.as_str())).collect();
    hashes.sort_unstable();
    for n in [0, 1, 60, 250, 1000] {
        let sample: BTreeSet<&str> = hashes.iter().take(n).map(|(_, user_id)| *user_id).collect();
        let mut expected = all.clone();
        expected.readers.retain(|row| sample.contains(row.user_id.as_str()));
        expected.places.retain(|row| sample.contains(row.user_id.as_str()));
        expected.orders.retain(|row| sample.contains(row.user_id.as_str()));
        expected.events.retain(|row| sample.contains(row.user_id.as_str()));
        let (found, report) = tables::read_sample(&WORLD.folder, &ReadOptions::default(), n).unwrap();
        assert!(found == expected, "{n} readers");
        let rows =
            |tables: &Tables| tables.readers.len() + tables.places.len() + tables.orders.len() + tables.events.len();
        assert_eq!(report.skipped(), rows(all) - rows(&expected), "{report}");
    }
}
