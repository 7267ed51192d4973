//! What a page shows around a decision: who could be placed and where, what is known of a reader, what a draft of a layer
//! comes to. Each is the engine's own answer in JSON; a page that has these needs no code of its own for any of it.

use crate::Engine;
use freshrank::Decision;
use freshrank::campaign::author::{self, Key, Node, Value};
use freshrank::campaign::history::{leaves, list_of};
use freshrank::campaign::{Campaign, Chain, Layer, Policy, Problem, Severity, Whereabouts};
use freshrank::card::{self, Card, Density, Theme};
use freshrank::geo::{Cell, Point};
use freshrank::locate::{Place, locate};
use freshrank::policies::Policies;
use freshrank::profile::{Profile, Taste};
use freshrank::request::from_base64url;
use freshrank::sorted::Map;
use freshrank::time;
use serde::Deserialize;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::{Value as Json, json};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
impl Engine {
    /// The areas at hand: cell, place in the campaign's geography, merchants, the time nothing in it is later than.
    #[must_use]
    pub fn areas(&self) -> String {
        let area = |(cell, bundle): (&Cell, &freshrank::Bundle)| {
            json!({
                "cell": cell, "layer": bundle.layer(), "merchants": bundle.len(), "as_of": time::format(bundle.as_of),
                "hash": bundle.hash, "offset_minutes": bundle.offset_minutes(bundle.as_of),
            })
        };
        Json::from_iter(self.areas.iter().map(area)).to_string()
    }

    /// Everyone whom the bundles at hand list, once each, ascending by fingerprint: what is said of a merchant, where it
    /// cooks, and the cells that it delivers to.
    #[must_use]
    pub fn merchants(&self) -> String {
        let mut all: Map<freshrank::MerchantId, Json> = Map::new();
        for (cell, bundle) in &self.areas {
            let display = self.displays.get(&bundle.hash);
            for merchant in (0..bundle.len()).map(|i| bundle.merchant(i)) {
                let told = all.or_insert_with(merchant.id, || {
                    let clusters = merchant.clusters.iter().filter(|(_, weight)| *weight > 0);
                    json!({
                        "id": merchant.id, "latitude": merchant.position.latitude(), "longitude": merchant.position.longitude(),
                        "kind": merchant.kind, "price_band": merchant.price_band, "rating": merchant.rating,
                        "independent": merchant.chain == freshrank::ChainId::NONE,
                        "clusters": clusters.map(|(cluster, weight)| json!([cluster, f64::from(*weight) / 255.0])).collect::<Json>(),
                        "card": display.and_then(|block| block.card(merchant.id)), "cells": [],
                    })
                });
                if let Some(cells) = told["cells"].as_array_mut() {
                    cells.push(json!(cell));
                }
            }
        }
        let merchants: Vec<&Json> = all.values().collect();
        json!(merchants).to_string()
    }

    /// Where the reader of a request is thought to be, with coordinates: the likely places, each with its probability before
    /// and after the evidence, elsewhere, and what was decided.
    ///
    /// # Errors
    /// As [`Engine::rank`].
    #[wasm_bindgen(js_name = placeOf)]
    pub fn place_of(&self, request: &str) -> Result<String, JsError> {
        let asked = self.ask(request)?;
        let question = &asked.question;
        let market = asked.policies.of_market(&question.profile.market);
        let profile = freshrank::decision::reader(&question.profile, &market);
        let place = locate(&profile, &question.context, market.place);
        let mut alone = question.context.clone();
        (alone.request, alone.last_event) = (None, None);
        let before = locate(&profile, &alone, market.place);
        let offset = profile.offset_minutes;
        let daypart = time::Local::new(question.context.at, offset).daypart();
        let places = profile.places.iter().enumerate().map(|(i, place_i)| {
            json!({
                "latitude": place_i.point.latitude(), "longitude": place_i.point.longitude(),
                "before": before.posterior.get(i), "after": place.posterior.get(i), "usual": place_i.at(daypart),
            })
        });
        let Place { point, certainty, source, travelling, elsewhere, .. } = &place;
        let told = json!({
            "places": places.collect::<Json>(), "elsewhere": { "before": before.elsewhere, "after": elsewhere },
            "point": point.map(told_point), "cell": place.cell(), "certainty": certainty, "source": source,
            "travelling": travelling, "policy": market.place, "tailored": freshrank::decision::may_tailor(&question.profile, &market),
        });
        Ok(told.to_string())
    }

    /// Adds or replaces one layer of a campaign, as its author wrote it, and tells everything that is wrong: with the layer by
    /// itself, with its rules, and with it among the others.
    ///
    /// `campaign` is a published document; `layer` a tree of `[line, column, value]`, where a map is a list of
    /// `[line, column, key, node]` in `{"map": ...}` and a list is `{"list": ...}`; `labels` the cuisine map's labels. The answer
    /// has `problems`, and where nothing stops it the `document` to publish and the `layer` in its published form.
    ///
    /// # Errors
    /// Where the campaign or the labels cannot be read: they come from a publisher, not from the author.
    #[wasm_bindgen(js_name = checkLayer)]
    pub fn check_layer(campaign: &str, path: &str, layer: &str, labels: &str) -> Result<String, JsError> {
        let parsed = Campaign::parse(campaign.as_bytes())?;
        let Tree(root) = serde_json::from_str(layer)?;
        let (mut read, mut problems) = author::read(path, &root);
        problems.extend(compile(&mut read, labels)?);
        let broken = |problems: &[Problem]| problems.iter().any(|problem| problem.severity == Severity::Error);
        if broken(&problems) {
            return Ok(json!({ "problems": worded(&problems) }).to_string());
        }
        let mut document: Json = serde_json::from_str(campaign)?;
        let (tree, own) =
            path.strip_prefix(freshrank::campaign::DEFAULTS).map_or(("layers", path), |own| ("defaults", own));
        let written = serde_json::to_value(&read)?;
        document[tree][own] = written.clone();
        let text = document.to_string();
        let whole = Campaign::parse(text.as_bytes())?;
        // What was wrong before the author came is not theirs to hear of, unless it is in this layer.
        let known = parsed.check();
        problems.extend(whole.check().into_iter().filter(|problem| problem.layer == path || !known.contains(problem)));
        let published = (!broken(&problems)).then_some(&text);
        Ok(json!({ "problems": worded(&problems), "document": published, "layer": written }).to_string())
    }

    /// What a place's layers come to: every leaf with its value and who said it; the layers that hold there, in their order;
    /// locks and bounds with who holds them. `path` is as `fi/helsinki`; of a cell at hand the layers that cover it count.
    ///
    /// # Errors
    /// What is no campaign, or no cell.
    #[wasm_bindgen(js_name = mergedAt)]
    pub fn merged_at(&self, campaign: &str, path: &str, cell: Option<String>) -> Result<String, JsError> {
        let campaign = Campaign::parse(campaign.as_bytes())?;
        let area = match cell {
            Some(text) => Cell::parse(&text).and_then(|cell| self.areas.get(&cell)),
            None => None,
        };
        let point = area.and_then(|area| (!area.is_empty()).then(|| area.merchant(0).position));
        let chain = match area {
            Some(area) => {
                campaign.chain(&Whereabouts { market: path, area: Some(area), point, ..Whereabouts::default() })
            }
            None => inside(&campaign, path),
        };
        let policy = campaign.merged(&chain);
        let named = |id: &freshrank::campaign::LayerId| campaign.layer_at(*id);
        let mut ids: Vec<_> = chain.place.iter().chain(&chain.market).copied().collect();
        ids.sort_unstable();
        ids.dedup();
        let layers: Vec<&Layer> = ids.iter().filter_map(named).collect();
        let locks = layers.iter().flat_map(|layer| {
            layer.lock.iter().map(|(key, mark)| json!({ "key": key, "layer": &*layer.path, "line": mark.line }))
        });
        let bounds = layers.iter().flat_map(|layer| {
            layer.bounds.iter().map(|bound| {
                json!({ "key": bound.key, "min": bound.min, "max": bound.max, "layer": &*layer.path, "line": bound.mark.line })
            })
        });
        let told = json!({
            "layers": layers.iter().map(|layer| json!(&*layer.path)).collect::<Json>(),
            "locks": locks.collect::<Json>(), "bounds": bounds.collect::<Json>(), "leaves": told_leaves(&policy),
        });
        Ok(told.to_string())
    }

    /// What is known of a reader, from the profile's bytes in base64url.
    ///
    /// # Errors
    /// What is no profile.
    #[wasm_bindgen(js_name = profileOf)]
    pub fn profile_of(profile: &str) -> Result<String, JsError> {
        let profile = Profile::decode(&from_base64url(profile)?)?;
        let taste = |taste: &Taste| json!({ "clusters": taste.clusters, "raw": taste.raw });
        let told = json!({
            "market": profile.market, "consent": profile.consent, "member": profile.member, "orders": profile.n_orders,
            "tenure_days": profile.tenure_days, "last_order_days": profile.last_order_days, "new_place_rate": profile.new_place_rate,
            "cuisine_map": format!("{:08x}", profile.cuisine_map), "lifelong": taste(&profile.lifelong), "recent": taste(&profile.recent),
            "places": profile.places.iter().map(|place| told_point(place.point)).collect::<Json>(),
            "merchants": profile.merchants.iter().map(|known| json!({ "short": format!("{:08x}", known.id), "count": known.count, "days": known.days })).collect::<Json>(),
        });
        Ok(told.to_string())
    }

    /// As [`Engine::rank`], and of everyone kept the score and the distance: what a map colours. Of every slot the pictures that an
    /// opened message looks for, light and dark, the best first.
    ///
    /// # Errors
    /// As [`Engine::rank`].
    pub fn scene(&self, request: &str) -> Result<String, JsError> {
        let asked = self.ask(request)?;
        Ok(asked.decide(self.scorer.as_ref(), |decision, _| told_scene(decision)))
    }
}

fn told_scene(decision: &Decision) -> String {
    let scored = decision.kept.iter().zip(&decision.scores);
    let kept = scored.map(|(kept, score)| json!([kept.merchant.id, score.total(), kept.distance_km]));
    let dropped = decision.dropped.iter().map(|drop| json!([drop.id, drop.reason.code()]));
    let shown = decision
        .placements
        .iter()
        .map(|placement| json!(placement.candidate.and_then(|i| decision.kept.get(i)).map(|kept| kept.merchant.id)));
    let told = json!({
        "kept": kept.collect::<Json>(), "dropped": dropped.collect::<Json>(), "shown": shown.collect::<Json>(),
        "cell": decision.cell, "point": decision.place.point.map(told_point),
        "pictures": (0..decision.placements.len()).map(|slot| told_pictures(decision, slot)).collect::<Json>(),
    });
    told.to_string()
}

fn told_pictures(decision: &Decision, slot: usize) -> Json {
    let cards = Card::of(decision, slot).map_or_else(Vec::new, |card| card.looked_for());
    let files = |theme| -> Vec<String> {
        let files = cards.iter().map(|card| card.path(Density::Double, theme));
        files.chain([card::fallback(Density::Double, theme)]).collect()
    };
    json!({ "light": files(Theme::Light), "dark": files(Theme::Dark) })
}

fn told_point(point: Point) -> Json {
    json!({ "latitude": point.latitude(), "longitude": point.longitude() })
}

fn told_leaves(policy: &Policy) -> Json {
    let leaf = |(key, value): (String, String)| {
        let origin = policy.provenance.get(&key).or_else(|| policy.provenance.get(list_of(&key)?));
        json!({ "key": key, "value": value, "layer": origin.map(|origin| &origin.layer), "line": origin.map(|origin| origin.line) })
    };
    leaves(policy).into_iter().map(leaf).collect()
}

/// The layers of whoever is in what a layer of this path covers.
fn inside(campaign: &Campaign, path: &str) -> Chain {
    let layer = campaign.layer(path);
    if let Some(cell) = layer.and_then(|layer| layer.cells().next()) {
        let cells: Vec<u64> = (0..=u8::from(cell.resolution()))
            .filter_map(|resolution| cell.parent(resolution.try_into().ok()?))
            .map(u64::from)
            .collect();
        return campaign.chain_of(path, &cells, None);
    }
    let path = layer.and_then(|layer| layer.paths().next()).unwrap_or(path);
    campaign.chain_of(path, &[], None)
}

fn worded(problems: &[Problem]) -> Json {
    let told = |problem: &Problem| {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        json!({
            "layer": problem.layer, "line": problem.line, "column": problem.column, "key": problem.key,
            "message": problem.message, "hint": problem.hint, "severity": severity,
        })
    };
    problems.iter().map(told).collect()
}

#[cfg(feature = "cel")]
fn compile(layer: &mut Layer, labels: &str) -> Result<Vec<Problem>, JsError> {
    let labels = freshrank::rule::Labels::read(labels.as_bytes()).map_err(|problem| JsError::new(&problem))?;
    Ok(layer.compile(&labels))
}

/// Without the compiler of rules a layer is read as it was published.
#[cfg(not(feature = "cel"))]
fn compile(_layer: &mut Layer, _labels: &str) -> Result<Vec<Problem>, JsError> {
    Ok(Vec::new())
}

/// A document with its places, as a page's reader of YAML tells it.
struct Tree(Node);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Triple;

        impl<'de> Visitor<'de> for Triple {
            type Value = Tree;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("[line, column, value]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
                let short = || A::Error::invalid_length(0, &self);
                let line = list.next_element()?.ok_or_else(short)?;
                let column = list.next_element()?.ok_or_else(short)?;
                let Told(value) = list.next_element()?.ok_or_else(short)?;
                Ok(Tree(Node { line, column, value }))
            }
        }

        deserializer.deserialize_seq(Triple)
    }
}

struct Told(Value);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Bool(bool),
            Number(f64),
            Text(String),
            List { list: Vec<Tree> },
            Map { map: Vec<(u32, u32, String, Tree)> },
            Null(()),
        }
        let value = match Any::deserialize(deserializer)? {
            Any::Null(()) => Value::Null,
            Any::Bool(flag) => Value::Bool(flag),
            Any::Number(number) => Value::Number(number),
            Any::Text(text) => Value::Text(text),
            Any::List { list } => Value::List(list.into_iter().map(|Tree(node)| node).collect()),
            Any::Map { map } => Value::Map(
                map.into_iter().map(|(line, column, text, Tree(node))| (Key { text, line, column }, node)).collect(),
            ),
        };
        Ok(Self(value))
    }
}
