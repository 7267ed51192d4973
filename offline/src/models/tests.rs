use super::*;
use crate::evaluate::tests::MARKET;
use crate::evaluate::{EvaluateOptions, Interval, evaluate};
use crate::timeline::{Protocol, mix};
use freshrank::feature::Rows;
use freshrank::score::tract::Tract;
use freshrank::{Scorer as _, time};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Both trainings end here, unless a test says otherwise: three months of the market are newer.
const UNTIL: &str = "2026-07-31T14:00:00Z";
/// As long in the files as every other time.
const LATE: &str = "2026-10-29T14:00:00Z";

fn shipped(name: &str) -> Vec<u8> {
    fs::read(Path::new("../models").join(name)).unwrap()
}

/// The market is small.
const FEW: usize = 200;

/// A training run in a folder, as training/train.py leaves it.
struct Trained {
    onnx: Vec<u8>,
    card: String,
}

impl Trained {
    /// The ranker that ships, as if its training had ended then.
    fn good(until: &str) -> Self {
        let (mut onnx, mut card) = (shipped("ltr.onnx"), String::from_utf8(shipped("ltr.card.json")).unwrap());
        let said: Value = serde_json::from_str(&card).unwrap();
        for split in ["train", "valid"] {
            let seen = said["examples"]["splits"][split]["until"].as_str().unwrap().to_owned();
            card = card.replace(&seen, until);
            replace_all(&mut onnx, seen.as_bytes(), until.as_bytes());
        }
        Self { onnx, card }
    }

    /// The same, but what its last layer makes of every number is what it should make of another.
    fn scrambled(until: &str) -> Self {
        let mut trained = Self::good(until);
        let plan = Tract::load(&trained.onnx).unwrap().plan().unwrap();
        let bytes = |weights: &[f32]| weights.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let weights = &plan.layers.last().unwrap().weights;
        let mut turned = weights.clone();
        turned.rotate_left(weights.len() / 2);
        assert_eq!(replace_all(&mut trained.onnx, &bytes(weights), &bytes(&turned)), 1, "its last layer is not f32");
        trained
    }

    fn write(mut self, folder: &Path) -> Vec<Vec<u8>> {
        let mut card: Value = serde_json::from_str(&self.card).unwrap();
        let sha256: String = Sha256::digest(&self.onnx).iter().map(|byte| format!("{byte:02x}")).collect();
        card["onnx"] = json!({ "sha256": sha256, "bytes": self.onnx.len() });
        self.card = serde_json::to_string_pretty(&card).unwrap();
        let tract = Tract::load(&self.onnx).unwrap();
        let mut probe: Value = serde_json::from_slice(&shipped("ltr.probe.json")).unwrap();
        let rows: Vec<Vec<f32>> = serde_json::from_value(probe["rows"].clone()).unwrap();
        probe["scores"] = json!(tract.score(&Rows { values: rows.concat() }).unwrap());
        probe["onnx_sha256"] = json!(sha256);
        let plan = tract.plan().unwrap().encode();
        let files = [self.onnx, self.card.into_bytes(), probe.to_string().into_bytes(), plan];
        fs::create_dir_all(folder).unwrap();
        for (name, bytes) in FILES.iter().zip(&files) {
            fs::write(folder.join(name), bytes).unwrap();
        }
        files.to_vec()
    }
}

/// Of the same length; says how often.
fn replace_all(bytes: &mut [u8], old: &[u8], new: &[u8]) -> usize {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> = (0..=bytes.len() - old.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    places.iter().for_each(|at| bytes[*at..*at + new.len()].copy_from_slice(new));
    places.len()
}

/// A folder with one model in use and one candidate.
struct Desk {
    folder: TempDir,
    in_use: Vec<Vec<u8>>,
    candidate: Vec<Vec<u8>>,
}

impl Desk {
    fn new(in_use: Trained, candidate: Trained) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let in_use = in_use.write(&folder.path().join("models"));
        let candidate = candidate.write(&folder.path().join("candidate"));
        Self { folder, in_use, candidate }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn models(&self) -> Models {
        Models::open(&self.path("models")).unwrap()
    }

    fn publish(&self, candidate: &str) -> Result<Published, ModelsError> {
        self.publish_with(candidate, &options())
    }

    fn publish_with(&self, candidate: &str, options: &GateOptions) -> Result<Published, ModelsError> {
        let (tables, map, _) = &*MARKET;
        let who = sign("2026-11-02T09:00:00Z", "Aino", "orders of October");
        self.models().publish(&self.path(candidate), tables, map, options, &who, &|_, _| ())
    }

    fn history(&self) -> Vec<Change> {
        history(&self.path("models")).unwrap()
    }

    /// The bytes that rank.
    fn ranking(&self) -> Vec<Vec<u8>> {
        FILES.iter().map(|name| fs::read(self.path("models").join(name)).unwrap()).collect()
    }
}

fn options() -> GateOptions {
    GateOptions { resamples: 200, queries: FEW, ..GateOptions::default() }
}

fn sign(at: &str, author: &str, reason: &str) -> Signature {
    Signature { at: at.into(), author: Some(author.into()), reason: Some(reason.into()) }
}

#[test]
fn a_scrambled_model_is_refused_and_nothing_changes() {
    let desk = Desk::new(Trained::good(UNTIL), Trained::scrambled(UNTIL));
    let Published::Refused(judgement) = desk.publish("candidate").unwrap() else { panic!("it was published") };
    assert_eq!((judgement.verdict, judgement.against), (Verdict::Worse, "in use"), "{judgement}");
    assert!(judgement.to_string().starts_with("worse than in use: NDCG@10 changes by -0."), "{judgement}");
    assert_eq!(desk.ranking(), desk.in_use);
    assert_eq!(desk.history(), []);
}

#[test]
fn a_good_model_takes_the_place_of_a_scrambled_one_and_is_rolled_back_to_the_same_bytes() {
    let desk = Desk::new(Trained::scrambled(UNTIL), Trained::good(UNTIL));
    let [old, new] = [&desk.in_use, &desk.candidate].map(|files| Hash::of(&files[0]).to_string());
    let Published::Changed(change, judgement) = desk.publish("candidate").unwrap() else { panic!("it was refused") };
    assert_eq!(judgement.verdict, Verdict::NotWorse, "{judgement}");
    assert_eq!(desk.ranking(), desk.candidate);
    assert_eq!((change.before.as_ref(), &change.model), (Some(&old), &new));
    assert!(change.simulated.as_ref().is_some_and(|said| said.contains("simulated by `freshrank market`")));

    assert_eq!(desk.publish("candidate").unwrap(), Published::Standing(Hash::parse(&new).unwrap()));
    let back = desk.models().roll_back(&sign("2026-11-03T09:00:00Z", "Eero", "fewer clicks")).unwrap();
    assert_eq!((back.before.as_ref(), &back.model), (Some(&new), &old));
    assert_eq!(desk.ranking(), desk.in_use);
    let error = desk.models().roll_back(&Signature::default()).unwrap_err().to_string();
    assert!(error.ends_with(&format!("found no model before {old}")), "{error}");

    let lines = desk.history();
    let told: Vec<_> = lines.iter().map(|line| (line.what, line.author.as_deref(), line.gate.is_some())).collect();
    assert_eq!(told, [(What::Published, Some("Aino"), true), (What::RolledBack, Some("Eero"), false)]);
    assert_eq!(lines[0].gate.as_ref().unwrap()["verdict"], "not-worse");
    for (model, files) in [(&old, &desk.in_use), (&new, &desk.candidate)] {
        let kept = FILES.iter().map(|name| fs::read(desk.path("models/versions").join(model).join(name)).unwrap());
        assert!(kept.eq(files.iter().cloned()), "{model} is not kept as it was");
    }
}

#[test]
fn what_either_model_was_trained_on_judges_neither() {
    let (tables, map, _) = &*MARKET;
    let later = "2026-08-31T14:00:00Z";
    for (in_use, candidate) in [(UNTIL, later), (later, UNTIL)] {
        let desk = Desk::new(Trained::scrambled(in_use), Trained::good(candidate));
        // An earlier `--since` takes nothing back.
        let early = GateOptions { since: Some(0), ..options() };
        let Published::Changed(_, judgement) = desk.publish_with("candidate", &early).unwrap() else {
            panic!("it was refused")
        };
        assert_eq!(judgement.from, "2026-08-31T14:00:01Z");
        let asked = EvaluateOptions {
            protocols: vec![Protocol::SendTime],
            resamples: 1,
            cuts: 0,
            ..EvaluateOptions::new(time::parse(&judgement.from).unwrap())
        };
        let found = evaluate(tables, map, None, None, &asked, None, &|_, _| ()).unwrap();
        assert_eq!(judgement.queries, found.protocols[0].queries);
    }
}

#[test]
fn too_little_data_is_refused_and_tells_how_many_queries_are_missing() {
    let desk = Desk::new(Trained::scrambled(UNTIL), Trained::good(LATE));
    let Published::Refused(judgement) = desk.publish("candidate").unwrap() else { panic!("it was published") };
    let Verdict::TooFew { queries, .. } = judgement.verdict else { panic!("{judgement}") };
    assert!(judgement.queries > 0 && judgement.queries + queries == FEW, "{judgement}");
    assert!(judgement.to_string().contains(&format!("{queries} queries and ")), "{judgement}");
    let none = GateOptions { since: Some(time::parse("2027-01-01T00:00:00Z").unwrap()), ..options() };
    let Published::Refused(judgement) = desk.publish_with("candidate", &none).unwrap() else { panic!("published") };
    assert_eq!(judgement.verdict, Verdict::TooFew { queries: FEW, readers: 100 });
    assert_eq!(desk.ranking(), desk.in_use);
}

#[test]
fn without_a_model_in_use_the_prior_must_be_met() {
    let desk = Desk::new(Trained::good(UNTIL), Trained::scrambled(UNTIL));
    FILES.iter().for_each(|name| fs::remove_file(desk.path("models").join(name)).unwrap());
    let Published::Refused(judgement) = desk.publish("candidate").unwrap() else { panic!("it was published") };
    assert_eq!((judgement.verdict, judgement.against), (Verdict::Worse, "prior"), "{judgement}");
}

#[test]
fn made_up_readers_do_not_judge_a_model_of_real_ones() {
    let mut real = Trained::good(UNTIL);
    let said: Value = serde_json::from_str(&real.card).unwrap();
    // The ranker's own copy must say the same, in as many bytes; it is written as Python writes it.
    let label = format!("\"simulated\": {}", said["simulated"]);
    let null = format!("\"simulated\": null{}", " ".repeat(label.len() - "\"simulated\": null".len()));
    real.card = real.card.replace(&label, &null);
    assert_eq!(replace_all(&mut real.onnx, label.as_bytes(), null.as_bytes()), 1);
    let desk = Desk::new(real, Trained::good(UNTIL));
    let error = desk.publish("candidate").unwrap_err().to_string();
    assert!(error.contains("found a model trained on real orders (the model in use)"), "{error}");
}

#[test]
fn files_of_two_runs_are_refused_by_name() {
    let desk = Desk::new(Trained::good(UNTIL), Trained::scrambled(UNTIL));
    let refused = |name: &str, bytes: &[u8]| {
        let path = desk.path("candidate").join(name);
        let before = fs::read(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = desk.publish("candidate").unwrap_err().to_string();
        fs::write(&path, before).unwrap();
        assert!(error.contains(name), "{error}");
        error
    };
    for (i, name) in FILES.iter().enumerate().skip(1) {
        refused(name, &desk.in_use[i]);
    }
    // A card that says less than the ranker does.
    let mut card: Value = serde_json::from_slice(&desk.candidate[1]).unwrap();
    card["simulated"] = Value::Null;
    let error = desk.path("candidate").join(FILES[1]);
    let before = fs::read(&error).unwrap();
    fs::write(&error, card.to_string()).unwrap();
    let said = desk.publish("candidate").unwrap_err().to_string();
    assert!(said.contains("ltr.onnx: its own card: found another"), "{said}");
    fs::write(&error, before).unwrap();
}

#[test]
fn a_change_that_was_interrupted_is_finished_by_whoever_comes_next() {
    let desk = Desk::new(Trained::scrambled(UNTIL), Trained::good(UNTIL));
    let Published::Changed(change, _) = desk.publish("candidate").unwrap() else { panic!("it was refused") };
    // As it stood after the second of four files.
    for i in [2, 3] {
        fs::write(desk.path("models").join(FILES[i]), &desk.in_use[i]).unwrap();
    }
    fs::write(desk.path("models/versions/change.json"), serde_json::to_vec(&*change).unwrap()).unwrap();
    fs::remove_file(desk.path("models/versions/history.ndjson")).unwrap();
    for _ in 0..2 {
        drop(desk.models());
        assert_eq!(desk.history(), [(*change).clone()]);
        assert_eq!(desk.ranking(), desk.candidate);
    }
    let held = desk.models();
    assert!(matches!(Models::open(&desk.path("models")), Err(ModelsError::Busy(_))));
    drop(held);
}

#[test]
fn what_was_put_there_by_hand_is_kept_and_taken_back() {
    let desk = Desk::new(Trained::scrambled(UNTIL), Trained::good(UNTIL));
    assert!(matches!(desk.publish("candidate").unwrap(), Published::Changed(..)));
    let by_hand = Trained::good(LATE).write(&desk.path("models"));
    let back = desk.models().roll_back(&Signature::default()).unwrap();
    let hash = Hash::of(&by_hand[0]).to_string();
    assert_eq!(back.before.as_ref(), Some(&hash));
    assert!(desk.path("models/versions").join(hash).join("ltr.plan").exists());
    assert_eq!(desk.ranking(), desk.candidate);
}

#[test]
fn the_rule_tells_four_answers_apart() {
    let told = |value, low, high| gate::verdict(Interval { value, low, high }, 1000, 0.002);
    assert_eq!(told(0.010, 0.005, 0.015), Verdict::NotWorse);
    assert_eq!(told(-0.001, -0.002, 0.000), Verdict::NotWorse, "at the margin");
    assert_eq!(told(-0.010, -0.015, -0.005), Verdict::Worse);
    // Half a width of 0.004 must come down to 0.002: four times the queries.
    assert_eq!(told(0.0, -0.004, 0.004), Verdict::Undecided { more_queries: Some(3000) });
    assert_eq!(told(-0.003, -0.006, 0.0), Verdict::Undecided { more_queries: None });
}

/// A model that truly loses the margin is let through in one of forty cases, as a one-sided interval of 97.5 % says.
#[test]
fn who_loses_the_margin_is_seldom_let_through() {
    const READERS: u64 = 150;
    const TRIALS: u64 = 400;
    let margin = 0.1;
    let names: Vec<String> = (0..READERS).map(|reader| format!("{reader}")).collect();
    let through = (0..TRIALS).filter(|trial| {
        let mut sums = crate::evaluate::bootstrap::Sums::default();
        for (reader, name) in (0_u64..).zip(&names) {
            let drawn = mix(trial << 32 | reader);
            // Most readers have one query, some many; one query in five changes at all.
            let queries = if drawn.is_multiple_of(10) { 6 } else { 1 };
            for query in 0..queries {
                let u = mix(drawn ^ (query + 1) << 20) % 1000;
                let change = if u < 150 {
                    -1.0
                } else if u < 200 {
                    1.0
                } else {
                    0.0
                };
                sums.add(name, std::iter::once(change));
            }
        }
        let drawn = crate::evaluate::bootstrap::Resampled::new(&sums, 300, *trial);
        let interval = drawn.interval(|means| means[0][0]).unwrap();
        gate::verdict(interval, READERS as usize, margin) == Verdict::NotWorse
    });
    let through = through.count();
    assert!((2..=24).contains(&through), "{through} of {TRIALS}, expected some 10");
}
