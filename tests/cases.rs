//! The claims in `tests/cases`, natively; and their export, by which every other shell is held to the same bytes.
//!
//! `FRESHRANK_BLESS=1 cargo test --release -p freshrank --test cases` rewrites what the cases expect: review the difference.
//! `target/cases/NAME.json` holds what was asked and answered, for Node, workerd and the command line.

mod support;

use freshrank::blend::{Demand, Notice};
use freshrank::campaign::Chain;
use freshrank::policies::{Kept, Merged, Policies};
use freshrank::request::Question;
use freshrank::score::NoModel;
use freshrank::score::dense::Dense;
use freshrank::{Campaign, Decision, Scorer};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};
use support::{Answer, Case, Library};

/// `code()` of every reason there is; a new reason wants a case.
const REASONS: [&str; 15] = [
    "across_border",
    "age_restricted",
    "chain_duplicate",
    "closed",
    "closed_today",
    "closes_too_soon",
    "elsewhere",
    "excluded",
    "first_pass",
    "hours_unknown",
    "kind",
    "not_listed_yet",
    "paused",
    "removed",
    "too_far",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn library() -> Library {
    let mut library = Library::default();
    let dir = root().join("tests/cases");
    for (prefix, dir) in [("", dir.clone()), ("fixtures/", dir.join("fixtures"))] {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let name = path.file_stem().unwrap().to_str().unwrap();
                library.0.insert(format!("{prefix}{name}"), fs::read_to_string(&path).unwrap());
            }
        }
    }
    library
}

/// What must hold of every decision, whatever the case is about.
fn check_invariants(case: &Case<'_>, asked: &support::Asked, answer: &Answer, decision: &Decision) {
    let name = &case.name;
    let ids: BTreeSet<_> =
        decision.kept.iter().map(|c| c.merchant.id).chain(decision.dropped.iter().map(|d| d.id)).collect();
    let n = decision.kept.len() + decision.dropped.len();
    assert_eq!(
        (n, ids.len()),
        (asked.candidates(decision), n),
        "{name}: kept and dropped are all merchants, each once"
    );
    let shown: Vec<_> = decision.placements.iter().filter_map(|placement| placement.candidate).collect();
    assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), shown.len(), "{name}: no merchant twice");
    assert_eq!(decision.placements.len(), usize::from(decision.policy.slots), "{name}: every slot shows something");
    assert!(decision.rows.values.iter().all(|value| value.is_finite()), "{name}: a row is finite");

    let reply: serde_json::Value = serde_json::from_str(&answer.reply).unwrap();
    check_reply(name, &reply, decision);
    for slot in reply["slots"].as_array().unwrap() {
        if slot["explanation"].is_object() {
            assert_eq!(sum(&slot["explanation"]), slot["score"].as_i64().unwrap(), "{name}: an explanation adds up");
        }
    }
}

/// What a reply must say of every slot, since a log and a page read nothing else.
fn check_reply(name: &str, reply: &serde_json::Value, decision: &Decision) {
    let slots = reply["slots"].as_array().unwrap();
    for (slot, placement) in slots.iter().zip(&decision.placements) {
        assert_eq!(
            slot["sponsored"].as_bool().unwrap_or(false),
            placement.sponsored,
            "{name}: a paid card is labelled"
        );
        let draw = placement.draw.map(|draw| draw.propensity);
        assert_eq!(slot["draw"]["propensity"].as_f64(), draw, "{name}: a drawn card tells its chance");
        assert_eq!(slot["asked"].as_str(), placement.asked.as_deref(), "{name}: a slot tells its pool");
    }
    let told = reply["notices"].as_array().into_iter().flatten().map(|notice| notice.as_str().unwrap().to_owned());
    assert!(told.eq(decision.notices.iter().map(ToString::to_string)), "{name}: notices are told");
}

/// The value of a node, which must be what its parts add up to.
fn sum(node: &serde_json::Value) -> i64 {
    let value = node["value"].as_i64().unwrap();
    if let Some(parts) = node["parts"].as_array() {
        assert_eq!(parts.iter().map(sum).sum::<i64>(), value, "{node}");
    }
    value
}

#[test]
fn every_case_holds() {
    let bless = env::var_os("FRESHRANK_BLESS").is_some();
    let library = library();
    let mut failures = String::new();
    for name in library.cases() {
        let case = library.case(name);
        let asked = case.ask();
        let (answer, decision) = asked.answer(&*case.scorer());
        check_invariants(&case, &asked, &answer, &decision);
        let Some(found) = case.differences(&asked, &decision) else {
            continue;
        };
        if bless {
            // Moved into place at once: the other tests here read the same folder.
            let path = root().join("tests/cases").join(format!("{name}.toml"));
            fs::write(path.with_extension("new"), case.rewritten(&found)).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        } else {
            let expected = case.text.split("[expect]").nth(1).unwrap_or_default().trim();
            let _ = writeln!(
                failures,
                "\n{name}: expected\n{expected}\n  found\n{}",
                found.trim_start_matches("[expect]").trim()
            );
        }
    }
    assert!(
        failures.is_empty(),
        "{failures}\n\nif the new answers are right: FRESHRANK_BLESS=1 cargo test --release -p freshrank --test cases"
    );
}

/// A shell that keeps what was merged.
struct Keeping<'a>(&'a RefCell<Kept>, &'a Campaign);

impl Policies for Keeping<'_> {
    fn campaign(&self) -> &Campaign {
        self.1
    }

    fn merged(&self, chain: &Chain) -> Arc<Merged> {
        self.0.borrow_mut().merged(self.1, chain)
    }
}

#[test]
fn a_shell_that_keeps_policies_says_the_same_bytes() {
    let (library, kept) = (library(), RefCell::new(Kept::new(7)));
    for name in library.cases() {
        let case = library.case(name);
        let (asked, scorer) = (case.ask(), case.scorer());
        let (expected, _) = asked.answer(&*case.scorer());
        let question = Question::parse(asked.request.as_bytes(), 0).unwrap();
        let campaign = Campaign::parse(asked.campaign.as_bytes()).unwrap();
        for warmth in ["cold", "warm"] {
            let reply = question.answer(None, None, &Keeping(&kept, &campaign), &*scorer).to_json();
            assert_eq!(reply, expected.reply, "{name}, {warmth}");
        }
        assert!(kept.borrow().len() <= 7);
    }
}

#[test]
fn every_drop_reason_has_a_case() {
    let library = library();
    let mut seen = BTreeSet::new();
    for name in library.cases() {
        let case = library.case(name);
        let (_, decision) = case.ask().answer(&*case.scorer());
        seen.extend(decision.dropped.iter().map(|drop| drop.reason.code()));
    }
    assert_eq!(seen, BTreeSet::from(REASONS), "write a case for what is missing, and add what is new to REASONS");
}

#[test]
fn every_notice_has_a_case() {
    let library = library();
    let mut seen = BTreeSet::new();
    for name in library.cases() {
        let case = library.case(name);
        let (_, decision) = case.ask().answer(&*case.scorer());
        seen.extend(decision.notices.iter().map(|notice| match notice {
            Notice::PinTaken { .. } => "a pin's slot is taken",
            Notice::PinLost { .. } => "a pin's merchant cannot be shown",
            Notice::BeyondSlots { what, .. } => what,
            Notice::RangeTaken { .. } => "a range's slot is taken",
            Notice::GivenUp { demand, .. } => demand.key(),
            Notice::OnlyPaid { .. } => "only paid merchants are left",
        }));
    }
    let others = [
        "a pin's slot is taken",
        "a pin's merchant cannot be shown",
        "pin",
        "range",
        "a range's slot is taken",
        "only paid merchants are left",
    ];
    let all: BTreeSet<_> = Demand::ALL.map(Demand::key).into_iter().chain(others).collect();
    assert_eq!(seen, all, "write a case for what is missing");
}

#[test]
fn there_are_at_least_forty_claims() {
    assert!(library().cases().count() >= 40);
}

/// Writes what the other shells are compared with. `own` is judged by the case's fake model, which only code can be
/// given; `prior` by none, `ltr` by the shipped plan.
#[test]
fn the_answers_are_exported_for_the_other_shells() {
    let library = library();
    let to = root().join("target/cases");
    fs::create_dir_all(&to).unwrap();
    let shipped = shipped(&root().join("models/ltr.plan"));
    let mut current = BTreeSet::new();
    for name in library.cases() {
        let case = library.case(name);
        let asked = case.ask();
        let answer = |scorer: &dyn Scorer| {
            let (first, _) = asked.answer(scorer);
            assert_eq!(first, asked.answer(scorer).0, "{name}: the same question has the same answer");
            json(&first)
        };
        let mut answers = BTreeMap::from([("prior", answer(&NoModel))]);
        if case.has_own_scorer() {
            answers.insert("own", answer(&*case.scorer()));
        }
        if let Some(plan) = &shipped {
            answers.insert("ltr", answer(plan));
        }
        let export = serde_json::json!({
            "name": name,
            "request": asked.request,
            "campaign": asked.campaign,
            "answers": answers,
        });
        let file = format!("{name}.json");
        fs::write(to.join(&file), format!("{export:#}\n")).unwrap();
        current.insert(file);
    }
    for entry in fs::read_dir(&to).unwrap() {
        let entry = entry.unwrap();
        if !current.contains(entry.file_name().to_str().unwrap()) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn shipped(path: &Path) -> Option<Dense> {
    let bytes = fs::read(path).ok().filter(|bytes| !bytes.is_empty())?;
    Some(Dense::load(&bytes).unwrap_or_else(|error| panic!("{}: {error}; train and compile it again", path.display())))
}

fn json(answer: &Answer) -> serde_json::Value {
    let Answer { reply, rows, scores, totals } = answer;
    serde_json::json!({ "reply": reply, "rows": rows, "scores": scores, "totals": totals })
}
