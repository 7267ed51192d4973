//! How long does each stage of a decision take, against the most one core could do?
//!
//! The same code runs natively (`src/main.rs` holds the clock) and in V8 (Node holds it), and each run asserts its answer.

pub mod kernel;
pub mod gemm;
pub mod scene;
pub mod contestant;
pub mod contest;

use freshrank::campaign::Policy;
use freshrank::feature::{N_FEATURES, Rows, featurize};
use freshrank::mailbox::{Evidence, classify};
use freshrank::policies::{Kept, Merged};
use freshrank::request::Question;
use freshrank::rule::{Moment, Rules};
use freshrank::score::Scorer;
use freshrank::score::dense::{Dense, Layer};
#[cfg(feature = "tract")]
use freshrank::score::tract::Tract;
use freshrank::token::{Keys, Personal, Token};
use freshrank::{Areas, Bundle, Campaign, Hash, Profile, blend, locate, rerank, retrieve};
use kernel::Kernel;
use scene::Scene;
use std::error::Error;
use std::hint::black_box;
use wasm_bindgen::prelude::wasm_bindgen;

const PLAN: &[u8] = include_bytes!("../../models/ltr.plan");
#[cfg(feature = "tract")]
const ONNX: &[u8] = include_bytes!("../../models/ltr.onnx");

/// Candidates of each size that is measured.
pub const SIZES: [usize; 3] = [50, 200, 1000];
/// Rows that scorers are compared on.
pub const ROWS: usize = 300;

/// What is timed, each with the rows the reference kernel is scaled to.
#[must_use]
pub fn questions() -> Vec<(String, usize)> {
    let stages = ["decode", "retrieve", "featurize", "score", "blend", "whole", "answer"];
    let mut questions = vec![("kernel/300".to_string(), ROWS), ("same network/300".into(), ROWS)];
    questions.extend([("dense/300".to_string(), ROWS), ("tract/300".into(), ROWS)]);
    questions.extend([("area bundle/1000".to_string(), 1000), ("wincode/1000".into(), 1000), ("locate".into(), ROWS)]);
    questions.extend([("rules/200".to_string(), 200), ("link/200".into(), 200)]);
    questions.extend([("merge cold/300".to_string(), ROWS), ("merge warm/300".into(), ROWS)]);
    questions.extend([("token mint".to_string(), ROWS), ("token open".into(), ROWS), ("mailbox".into(), ROWS)]);
    for n in SIZES {
        questions.extend(stages.iter().map(|stage| (format!("{stage}/{n}"), n)));
    }
    questions
}

/// A question with its inputs ready; each run asserts its answer.
#[wasm_bindgen]
pub struct Bench {
    run: Box<dyn Fn()>,
}

#[wasm_bindgen]
impl Bench {
    /// Prepares a question of [`questions`].
    ///
    /// # Errors
    /// An unknown name, or inputs that cannot be made.
    #[wasm_bindgen(constructor)]
    pub fn new(question: &str) -> Result<Self, String> {
        prepare(question).map(|run| Self { run }).map_err(|error| error.to_string())
    }

    /// Asks it so many times.
    pub fn run(&self, times: u32) {
        for _ in 0..times {
            (self.run)();
        }
    }

    /// All questions as JSON: `[[name, rows], ...]`.
    #[must_use]
    pub fn questions() -> String {
        serde_json::to_string(&questions()).unwrap_or_default()
    }
}

type Run = Box<dyn Fn()>;

fn prepare(question: &str) -> Result<Run, Box<dyn Error>> {
    let (stage, n) = question.split_once('/').unwrap_or((question, "300"));
    let n: usize = n.parse()?;
    match stage {
        "kernel" => Ok(reference(n)),
        "same network" => Ok(same_network(n)),
        "dense" => scorer(Box::new(Dense::load(PLAN)?), n),
        #[cfg(feature = "tract")]
        "tract" => scorer(Box::new(Tract::load(ONNX)?), n),
        "wincode" => wire(n),
        "rules" => rules(n, false),
        "link" => rules(n, true),
        "merge cold" => merge(n, false),
        "merge warm" => merge(n, true),
        "token mint" | "token open" => token(stage == "token open"),
        "mailbox" => Ok(mailbox()),
        "answer" => answer(n),
        _ => stages(stage, n),
    }
}

/// What sealing one message costs a sender, and opening it an open: a profile of usual length.
fn token(opens: bool) -> Result<Run, Box<dyn Error>> {
    let keys = Keys::parse("k MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY")?;
    let profile = Profile { market: "fi/helsinki".into(), ..Profile::default() };
    let personal = Some(Personal { message: Hash::of(b"m"), profile: Some(profile) });
    let (campaign, market) = ("lunch".into(), "fi/helsinki".into());
    let token = Token { campaign, market, minted_at: 1_795_168_800, expires_at: 1_797_760_800, slots: 6, personal };
    let text = token.mint(&keys)?;
    Ok(if opens {
        Box::new(move || assert!(Token::open(black_box(&text), &keys).is_ok_and(|opened| opened.token.slots == 6)))
    } else {
        Box::new(move || assert!(black_box(&token).mint(&keys).is_ok_and(|minted| minted == text)))
    })
}

/// What judging who asks costs, where no rule about user agents matches before the last.
fn mailbox() -> Run {
    let user_agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";
    let organisation = "Comcast Cable Communications, LLC";
    let evidence = Evidence { user_agent, asn: Some(7922), organisation, ..Evidence::default() };
    Box::new(move || assert!(classify(black_box(&evidence)).seen))
}

fn reference(n: usize) -> Run {
    let kernel = Kernel::new();
    let rows = kernel::rows(n);
    let mut expected = vec![0.0; n];
    kernel.run(&rows, &mut expected);
    let scores = std::cell::RefCell::new(vec![0.0; n]);
    Box::new(move || {
        let mut scores = scores.borrow_mut();
        kernel.run(black_box(&rows), &mut scores);
        assert!(scores[n - 1] == expected[n - 1] && scores[0].is_finite());
    })
}

/// The reference kernel's own network and rows in the engine's hands: the same bits, and the distance from the limit.
fn same_network(n: usize) -> Run {
    let widths = kernel::WIDTHS.windows(2).zip(kernel::SEEDS);
    let layer = |(widths, seed): (&[usize], usize)| Layer {
        weights: (0..widths[0] * widths[1]).map(|i| kernel::weight(i + seed)).collect(),
        biases: vec![0.0; widths[1]],
    };
    let plan = Dense {
        fingerprint: Hash::default(),
        model: Hash::default(),
        clamp: f32::MAX,
        mean: vec![0.0; kernel::WIDTHS[0]],
        scale: vec![1.0; kernel::WIDTHS[0]],
        layers: widths.map(layer).collect(),
    };
    let rows = kernel::rows(n);
    let mut expected = vec![0.0; n];
    Kernel::new().run(&rows, &mut expected);
    Box::new(move || assert!(plan.run(black_box(rows.as_flattened())) == expected))
}

/// The rows that scorers are compared on.
fn rows(n: usize) -> Rows {
    Rows { values: (0..n * N_FEATURES).map(|i| ((i * 7919) % 1009) as f32 / 252.0 - 2.0).collect() }
}

/// The rows that scorers are compared on, and what `dense` makes of them.
///
/// # Errors
/// A plan that cannot be read.
pub fn rows_and_scores(n: usize) -> Result<(Vec<f32>, Vec<f32>), Box<dyn Error>> {
    let rows = rows(n);
    let scores = Dense::load(PLAN)?.score(&rows)?;
    Ok((rows.values, scores))
}

fn scorer(scorer: Box<dyn Scorer>, n: usize) -> Result<Run, Box<dyn Error>> {
    let rows = rows(n);
    let expected = scorer.score(&rows)?;
    Ok(Box::new(move || assert!(scorer.score(black_box(&rows)).as_ref() == Ok(&expected))))
}

/// The merchants of an area in bincode's wire form, by a maintained crate.
#[derive(wincode::SchemaRead, wincode::SchemaWrite)]
struct Wire {
    id: u64,
    chain: u32,
    position: (i32, i32),
    cuisines: [u16; 3],
    clusters: [(u8, u8); 3],
    popularity: (u16, u16),
    bytes: [u8; 8],
    schedule: u16,
    listed_day: u16,
}

fn wire(n: usize) -> Result<Run, Box<dyn Error>> {
    let merchants: Vec<Wire> = (0..n as u64)
        .map(|id| Wire {
            id,
            chain: 0,
            position: (601_699_000, 249_384_000),
            cuisines: [1, 2, 3],
            clusters: [(1, 200), (2, 55), (0, 0)],
            popularity: (1, 2),
            bytes: [3; 8],
            schedule: 0,
            listed_day: 20_000,
        })
        .collect();
    let bytes = wincode::serialize(&merchants)?;
    Ok(Box::new(move || {
        let merchants: Vec<Wire> = wincode::deserialize(black_box(&bytes)).unwrap_or_default();
        assert!(merchants.len() == n && merchants[n - 1].id == n as u64 - 1);
    }))
}

/// Ten rules as a campaign may have them, compiled.
const RULES: &str = include_str!("../../tests/rules/ten.json");

/// Ten rules over all candidates; with `link`, what comes before it in every decision whose policy is not kept.
fn rules(n: usize, link: bool) -> Result<Run, Box<dyn Error>> {
    let scene = Scene::new(n)?;
    let place = locate::locate(&scene.profile, &scene.context, scene.campaign.policy("fi/helsinki").place);
    let kept = {
        let areas = Areas::new([&scene.bundle], vec![]);
        let area = place.cell().and_then(|cell| areas.get(cell));
        let policy = scene.campaign.policy("fi/helsinki");
        retrieve::retrieve(area.as_ref(), &scene.profile, &place, &scene.context, &policy).0
    };
    let policy = Policy { rules: serde_json::from_str(RULES)?, ..Policy::default() };
    let linked = Rules::new(&policy);
    let ask = move |rules: &Rules| {
        let local = scene.bundle.local(scene.context.at);
        let (profile, context) = (&scene.profile, &scene.context);
        let moment = Moment { profile, place: &place, context, local, slots: 4, language: "" };
        rules.evaluate(black_box(&moment), &kept)
    };
    let expected = ask(&linked);
    if expected.counts().all(|count| count.holds == 0) {
        return Err("no rule holds for anyone".into());
    }
    Ok(if link {
        Box::new(move || assert!(Rules::new(black_box(&policy)) == linked))
    } else {
        Box::new(move || assert!(ask(&linked) == expected))
    })
}

/// The policy of a city in a campaign of so many layers, with ten rules, linked and hashed; with `warm`, of a shell that keeps it.
fn merge(n: usize, warm: bool) -> Result<Run, Box<dyn Error>> {
    let mut layers = serde_json::Map::new();
    let rules: serde_json::Value = serde_json::from_str(RULES)?;
    layers.insert(
        "global".into(),
        serde_json::json!({ "slots": 6, "title": "Lunch", "rules": rules, "lock": ["slots"] }),
    );
    layers.insert("fi".into(), serde_json::json!({ "title": "Lounas", "exclude": { "append": ["chain:a", "b"] } }));
    for i in 0..n.saturating_sub(3) {
        layers.insert(format!("fi/city-{i}"), serde_json::json!({ "title": format!("City {i}") }));
    }
    let boosts: serde_json::Map<_, _> =
        (0..20).map(|i| (format!("m{i}"), serde_json::json!({ "factor": 1.1 }))).collect();
    layers.insert("fi/helsinki".into(), serde_json::json!({ "radius_km": 2.5, "boosts": boosts }));
    let document = serde_json::json!({ "id": "lunch", "layers": layers }).to_string();
    let campaign = Campaign::parse(document.as_bytes())?;
    let chain = campaign.chain_of("fi/helsinki", &[], None);
    let expected = campaign.merged(&chain);
    if (expected.boosts.len(), expected.rules.len(), campaign.layers().len()) != (20, 10, n) {
        return Err("not the policy that is asked about".into());
    }
    let expected = expected.hash();
    let kept = std::cell::RefCell::new(Kept::new(512));
    Ok(Box::new(move || {
        let chain = campaign.chain_of(black_box("fi/helsinki"), &[], None);
        let hash = if warm {
            kept.borrow_mut().merged(&campaign, &chain).hash()
        } else {
            Merged::from(campaign.merged(&chain)).hash()
        };
        assert!(hash == expected);
    }))
}

/// From bytes to bytes: request, profile and area are decoded, and the reply is written.
fn answer(n: usize) -> Result<Run, Box<dyn Error>> {
    let scene = Scene::new(n)?;
    let model = Dense::load(PLAN)?;
    let request = scene.request()?;
    let ask = move || -> Result<String, Box<dyn Error>> {
        let question = Question::parse(black_box(request.as_bytes()), 0)?;
        let bundle = Bundle::decode(black_box(&scene.bytes).clone())?;
        Ok(question.answer(Some(&bundle), None, &scene.campaign, &model).to_json())
    };
    let expected = ask()?;
    if !expected.contains(&format!("\"kept\":{n},")) || !expected.contains("\"scorer\":\"dense\"") {
        return Err(format!("not the answer that is asked for: {expected}").into());
    }
    Ok(Box::new(move || assert!(ask().is_ok_and(|answer| answer == expected))))
}

fn stages(stage: &str, n: usize) -> Result<Run, Box<dyn Error>> {
    let scene = Scene::new(n)?;
    let model = Dense::load(PLAN)?;
    let whole = |scene: &Scene| {
        let areas = Areas::new([&scene.bundle], vec![]);
        rerank(&areas, &scene.profile, &scene.context, &scene.campaign, &model)
    };
    let expected = whole(&scene);
    if expected.kept.len() != n || expected.model_error.is_some() {
        return Err(format!("{} of {n} kept, {:?}", expected.kept.len(), expected.model_error).into());
    }
    let policy = scene.campaign.policy("fi/helsinki");
    let place = expected.place.clone();
    let local = scene.bundle.local(scene.context.at);
    match stage {
        "area bundle" | "decode" => Ok(Box::new(move || {
            let decoded = Bundle::decode(black_box(scene.bytes.clone()));
            assert!(decoded.is_ok_and(|bundle| bundle.hash == scene.bundle.hash));
        })),
        "locate" => Ok(Box::new(move || {
            assert!(locate::locate(black_box(&scene.profile), &scene.context, policy.place) == place);
        })),
        "retrieve" => Ok(Box::new(move || {
            let areas = Areas::new([&scene.bundle], vec![]);
            let area = place.cell().and_then(|cell| areas.get(cell));
            let (kept, dropped, _) =
                retrieve::retrieve(area.as_ref(), &scene.profile, &place, black_box(&scene.context), &policy);
            assert!(kept.len() == n && dropped.is_empty());
        })),
        "featurize" => Ok(Box::new(move || {
            let rows = featurize(black_box(&expected.kept), &scene.profile, &place, &scene.context, local);
            assert!(rows == expected.rows);
        })),
        "score" => Ok(Box::new(move || {
            let scores = freshrank::score::score(&model, black_box(&expected.rows));
            assert!(scores.is_ok_and(|scores| scores.len() == n && scores[0] == expected.scores[0].model));
        })),
        "blend" => {
            let judged: Vec<i32> = expected.scores.iter().map(|score| score.model).collect();
            Ok(Box::new(move || {
                let scores = blend::boost(&expected.kept, black_box(&judged), &[], &scene.context, &policy);
                let ingredients =
                    blend::Ingredients { scores: &scores, ..expected.ingredients(&scene.profile, &scene.context) };
                assert!(blend::blend(&ingredients).placements == expected.placements);
            }))
        }
        "whole" => Ok(Box::new(move || {
            let areas = Areas::new([&scene.bundle], vec![]);
            let decision = rerank(&areas, black_box(&scene.profile), &scene.context, &scene.campaign, &model);
            assert!(decision.placements == expected.placements);
        })),
        _ => Err(format!("found the question {stage:?}, expected one of `questions`").into()),
    }
}
