//! `types.d.ts` says what the engine's own types say.
//!
//! `FRESHRANK_BLESS=1 cargo test --release -p freshrank-web --features types` rewrites it.
#![cfg(all(feature = "types", not(target_family = "wasm")))]

use freshrank::campaign::LayerForm;
use freshrank::fresh::{AvailabilityRequest, EventRequest};
use freshrank::mailbox::form::{JudgeReply, JudgeRequest};
use freshrank::request::{Reply, Request};
use freshrank::token::form::{MintReply, MintRequest, OpenReply};
use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use ts_rs::{Config, TS, TypeVisitor};

const HEAD: &str = "\
// Made from the engine's types by wasm/web/tests/types.rs: change those, not this.
";

/// What has no type of its own in Rust.
const TAIL: &str = "\
/** One column of the model's input. */
export type Feature = { name: string, group: string, about: string, missing: number };

/** What an `Engine` runs. `model_error` tells why the prior ranks. */
export type About = { version: string, module: \"full\" | \"lite\", scorer: string, model: string, model_error: string | null, features: string };

/** A campaign as it is published: layers by path, `global`, `fi`, `fi/helsinki`. */
export type Campaign = { id: string, layers: Record<string, Layer> };

/** A message with the chance of every card, given the cards before it. */
export type Chances = { at: string, cell: string | null, explores: boolean, title: string, slots: Array<ChanceSlot> };

/** One slot: what it shows, and who else might have stood there. `score` is the ranker's alone, x 65536, without the campaign's boosts;
 * `open` is null where hours are not known. `options` are merchants with probability and `score`, the likeliest first. */
export type ChanceSlot = { merchant: string | null, propensity: number, score: number | null, sponsored: boolean, open: boolean | null,
  distance_km: number | null, cluster: number | null, pool: Pool | null, options: Array<[string, number, number]> };

/** A message that there could have been: merchants by slot, and how likely. */
export type Possible = { merchants: Array<string | null>, propensity: number };

/** What `Engine.areas` tells of each area at hand. */
export type AreaOf = { cell: string, layer: string, merchants: number, as_of: string, hash: string, offset_minutes: number };

/** Degrees. */
export type Position = { latitude: number, longitude: number };

/** What `Engine.merchants` tells of everyone listed; clusters of the cuisine map with weights, and the cells delivered to. */
export type Listed = Position & { id: string, kind: Kind, price_band: number | null, rating: number | null, independent: boolean,
  clusters: Array<[number, number]>, card: Card | null, cells: Array<string> };

/** What `Engine.placeOf` tells: likely places and elsewhere, before and after the evidence, and what was decided. */
export type PlaceOf = { places: Array<Position & { before: number, after: number, usual: number }>, elsewhere: { before: number, after: number },
  point: Position | null, cell: string | null, certainty: number, source: Source, travelling: boolean, policy: PlacePolicy, tailored: boolean };

/** What is wrong with a layer, where, and what to do. */
export type Problem = { layer: string, line: number, column: number, key: string, message: string, hint: string | null, severity: \"error\" | \"warning\" };

/** What `Engine.checkLayer` tells; `document` is absent where something stops the layer. */
export type Checked = { problems: Array<Problem>, document?: string | null, layer?: Record<string, unknown> };

/** What `Engine.mergedAt` tells: the layers that hold, what they lock and bound, and every leaf with who said it. */
export type MergedAt = { layers: Array<string>, locks: Array<{ key: string, layer: string, line: number }>,
  bounds: Array<{ key: string, min: number | null, max: number | null, layer: string, line: number }>,
  leaves: Array<{ key: string, value: string, layer: string | null, line: number | null }> };

/** What is liked: by cluster ln(share of the reader / share of the market), and the largest shares by label of the cuisine map. */
export type TasteOf = { clusters: Array<number>, raw: Array<[number, number]> };

/** What `Engine.profileOf` tells of a reader. */
export type ProfileOf = { market: string, consent: boolean, member: boolean, orders: number, tenure_days: number, last_order_days: number | null,
  new_place_rate: number, cuisine_map: string, lifelong: TasteOf, recent: TasteOf, places: Array<Position>,
  merchants: Array<{ short: string, count: number, days: number }> };

/** What `Engine.scene` tells: who is kept, with score x 65536 and kilometres; who is dropped, with the reason's code; who is shown, by slot,
 * and by which files of a folder of cards, the best first. */
export type Scene = { kept: Array<[string, number, number]>, dropped: Array<[string, string]>, shown: Array<string | null>, cell: string | null, point: Position | null,
  pictures: Array<{ light: Array<string>, dark: Array<string> }> };
";

/// Declarations by name, of a type and all it stands on.
#[derive(Default)]
struct Declared {
    seen: BTreeSet<TypeId>,
    by_name: BTreeMap<String, String>,
}

impl TypeVisitor for Declared {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if !self.seen.insert(TypeId::of::<T>()) {
            return;
        }
        // Only what is exported has a declaration; numbers and lists have none.
        if T::output_path().is_some() {
            let config = Config::new();
            let docs = T::docs().map(|docs| format!("{}\n", docs.trim_end())).unwrap_or_default();
            self.by_name.insert(T::ident(&config), format!("{docs}export {}\n", T::decl(&config)));
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

#[test]
fn the_declarations_are_current() {
    let mut declared = Declared::default();
    declared.visit::<Request>();
    declared.visit::<Reply>();
    declared.visit::<LayerForm>();
    declared.visit::<JudgeRequest>();
    declared.visit::<JudgeReply>();
    declared.visit::<MintRequest>();
    declared.visit::<MintReply>();
    declared.visit::<OpenReply>();
    declared.visit::<EventRequest>();
    declared.visit::<AvailabilityRequest>();
    let types: Vec<String> = declared.by_name.into_values().collect();
    let expected = format!("{HEAD}\n{}\n{TAIL}", types.join("\n"));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("types.d.ts");
    if std::env::var_os("FRESHRANK_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is behind the engine's types: FRESHRANK_BLESS=1 cargo test --release -p freshrank-web --features types",
        path.display()
    );
}
