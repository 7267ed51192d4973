//! Ten rules over 200 candidates cost at most twice the reference kernel over as many rows.

use crate::fixture::labels;
use crate::kernel::Kernel;
use crate::scene::Scene;
use freshrank::campaign::{Policy, Rule};
use freshrank::rule::{Moment, Rules, State, compile};
use freshrank::{Areas, locate, retrieve};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Instant;

/// Past the test runner, and past the lint that keeps prints out of libraries.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/ten.json");
const N: usize = 200;
const ROUNDS: usize = 300;

#[test]
fn the_ten_rules_of_the_benches_are_compiled() {
    let text = std::fs::read_to_string(FILE).unwrap();
    // Programs of an older layout are no rules any more, but their texts are.
    let mut texts: BTreeMap<String, serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&text).unwrap();
    let compiled = texts.iter_mut().map(|(id, fields)| {
        fields.remove("program");
        let mut rule: Rule = serde_json::from_value(fields.clone().into()).unwrap();
        let program = compile(&rule.when, &labels());
        rule.program = Some(program.unwrap_or_else(|errors| panic!("{id}: {errors:?}")));
        format!("  {id:?}: {}", serde_json::to_string(&rule).unwrap())
    });
    let written = format!("{{\n{}\n}}\n", compiled.collect::<Vec<_>>().join(",\n"));
    if std::env::var_os("FRESHRANK_BLESS").is_some() {
        std::fs::write(FILE, written).unwrap();
    } else {
        assert!(text == written, "tests/rules/ten.json is not current: FRESHRANK_BLESS=1 rewrites it");
    }
}

/// Microseconds of the fastest of some runs: what else the machine does only adds to it.
fn fastest(mut run: impl FnMut()) -> f64 {
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e6
    };
    (0..ROUNDS).map(|_| time(&mut run)).fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement: cargo test --release -p freshrank --features cel --test rules -- --ignored --nocapture"]
fn ten_rules_over_200_candidates_cost_at_most_twice_the_reference_kernel() {
    let scene = Scene::new(N).unwrap();
    let policy = scene.campaign.policy("fi/helsinki");
    let place = locate::locate(&scene.profile, &scene.context, policy.place);
    let areas = Areas::new([&scene.bundle], vec![]);
    let area = place.cell().and_then(|cell| areas.get(cell));
    let (kept, ..) = retrieve::retrieve(area.as_ref(), &scene.profile, &place, &scene.context, &policy);
    assert_eq!(kept.len(), N);

    let rules = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    let policy = Policy { rules, ..Policy::default() };
    let rules = Rules::new(&policy);
    let local = scene.bundle.local(scene.context.at);
    let (profile, context) = (&scene.profile, &scene.context);
    let moment = Moment { profile, place: &place, context, local, slots: 4, language: "" };
    for count in rules.evaluate(&moment, &kept).counts() {
        assert_eq!(count.state, State::Asked);
        say!("{:>12}: holds for {:3}, errs for {:3}", count.rule.id, count.holds, count.errors);
    }

    let network = Kernel::new();
    let rows: Vec<[f32; 64]> =
        (0..N).map(|i| std::array::from_fn(|j| ((i * 31 + j * 17) % 101) as f32 / 50.0 - 1.0)).collect();
    let mut scores = vec![0.0; N];
    let kernel = fastest(|| network.run(black_box(&rows), black_box(&mut scores)));
    let link = fastest(|| drop(black_box(Rules::new(black_box(&policy)))));
    let ask = fastest(|| drop(black_box(rules.evaluate(black_box(&moment), &kept))));
    say!(
        "kernel {kernel:.1} us; {} steps linked in {link:.1} us, asked in {ask:.1} us: {:.2} kernels",
        rules.steps(),
        (ask + link) / kernel
    );
    assert!(ask + link <= 2.0 * kernel);
}
