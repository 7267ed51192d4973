//! A decision in the words of a case.

use super::Asked;
use freshrank::Decision;
use freshrank::blend::{self, Cause};
use freshrank::bundle::OfferKind;
use freshrank::feature::FEATURES;
use freshrank::request::Question;
use freshrank::time::{Local, clock};
use std::fmt::Write as _;
use toml::{Table, Value};

/// Everything a case may expect.
pub struct Words<'a> {
    asked: &'a Asked,
    decision: &'a Decision,
    reply: serde_json::Value,
}

impl<'a> Words<'a> {
    pub fn new(asked: &'a Asked, decision: &'a Decision, reply: &str) -> Self {
        Self { asked, decision, reply: serde_json::from_str(reply).unwrap() }
    }

    /// The keys that somebody expects, with what there is; slots always, drops wherever there are any.
    pub fn like(&self, expected: &Table) -> Table {
        let mut found = Table::new();
        for (key, value) in expected {
            let words = match key.as_str() {
                "slots" => list(self.slots()),
                "dropped" => list(self.dropped()),
                "columns" => list(self.columns(value)),
                "open_until" => list(self.open_until()),
                "offers" => list(self.offers()),
                "pools" => list(self.decision.placements.iter().map(|p| json_word(&p.pool)).collect()),
                "asked" => {
                    list(self.decision.placements.iter().map(|p| p.asked.clone().unwrap_or("-".into())).collect())
                }
                "sponsored" => list(self.sponsored()),
                "notices" => list(self.decision.notices.iter().map(|notice| self.named(notice.to_string())).collect()),
                "draws" => list(self.draws()),
                "moves" => list(self.moves()),
                "place" => self.place().into(),
                "scorer" => self.scorer().into(),
                "local" => self.local().into(),
                "reference" => self.reference().into(),
                "explanation" => list(self.explanation()),
                "why" => list(self.why()),
                "layers" => {
                    let layers = self.decision.policy.provenance.iter();
                    Value::Table(layers.map(|(key, layer)| (key.clone(), layer.layer.as_str().into())).collect())
                }
                other => panic!("nothing to expect is called {other:?}"),
            };
            found.insert(key.clone(), words);
        }
        found.insert("slots".into(), list(self.slots()));
        if !self.decision.dropped.is_empty() {
            found.insert("dropped".into(), list(self.dropped()));
        }
        found
    }

    fn name(&self, id: freshrank::MerchantId) -> String {
        self.asked.names.merchants.get(&id.0).cloned().unwrap_or_else(|| id.to_string())
    }

    /// Fingerprints become names.
    fn named(&self, mut text: String) -> String {
        for (id, name) in &self.asked.names.merchants {
            text = text.replace(&format!("{id:016x}"), name);
        }
        text
    }

    /// `1.3000, median of 2 candidates`.
    fn reference(&self) -> String {
        let reference = &self.reply["reference"];
        format!("{}, {}", points(&reference["base"]), reference["about"].as_str().unwrap_or_default())
    }

    /// `forno: place +0.1234`, every number of a tree but those that are nothing.
    fn explanation(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for slot in self.reply["slots"].as_array().into_iter().flatten() {
            let mut open = vec![(0, &slot["explanation"])];
            while let Some((depth, node)) = open.pop() {
                if node["value"].as_i64().is_some_and(|value| value != 0) {
                    let who = self.named(slot["merchant"].as_str().unwrap_or_default().into());
                    let name = node["name"].as_str().unwrap_or_default();
                    lines.push(format!("{who}: {}{name} {}", "  ".repeat(depth), points(&node["value"])));
                }
                let parts = node["parts"].as_array().into_iter().flatten();
                open.extend(parts.rev().map(|part| (depth + 1, part)));
            }
        }
        lines
    }

    /// The verdict, then what to change.
    fn why(&self) -> Vec<String> {
        let why = &self.reply["why"];
        let changes = why["changes"].as_array().into_iter().flatten();
        let then = why["then"].as_u64().map(|slot| format!("then it stands in slot {slot}"));
        let lines = [&why["verdict"]].into_iter().chain(changes).filter_map(|line| line.as_str());
        lines.map(|line| self.named(line.into())).chain(then).collect()
    }

    /// `-` is the campaign's own card.
    fn slots(&self) -> Vec<String> {
        let shown = self.decision.placements.iter().map(|placement| placement.candidate);
        shown.map(|shown| shown.map_or("-".into(), |i| self.name(self.decision.kept[i].merchant.id))).collect()
    }

    fn dropped(&self) -> Vec<String> {
        let mut drops: Vec<String> = Vec::new();
        for drop in &self.decision.dropped {
            drops.push(format!("{}: {}", self.name(drop.id), self.named(drop.reason.to_string())));
        }
        drops.sort();
        drops
    }

    /// Who carries the label.
    fn sponsored(&self) -> Vec<String> {
        let paid = self.decision.placements.iter().filter(|placement| placement.sponsored);
        paid.filter_map(|placement| Some(self.name(self.decision.kept[placement.candidate?].merchant.id))).collect()
    }

    /// `0.55 of 8`, or `certain`.
    fn draws(&self) -> Vec<String> {
        let draws = self.decision.placements.iter().map(|placement| placement.draw);
        let words = draws.map(|draw| match draw {
            None => "-".into(),
            Some(draw) if draw.deterministic => "certain".into(),
            Some(draw) => format!("{} of {}", (draw.propensity * 1000.0).round() / 1000.0, draw.n),
        });
        words.collect()
    }

    /// `gyros from 6 to 1 by reorder, past bento for cuisine_cap`: cards that score alone would have put elsewhere.
    fn moves(&self) -> Vec<String> {
        let question = Question::parse(self.asked.request.as_bytes(), 0).unwrap();
        let ingredients = self.decision.ingredients(&question.profile, &question.context);
        let name = |i: usize| self.name(self.decision.kept[i].merchant.id);
        let cause = |cause: &Cause| match cause {
            Cause::Pinned(id) => format!("pin {id}"),
            Cause::ChainCap => "chain_cap".into(),
            Cause::OrganicShare => "organic_share".into(),
            Cause::Demand(demand) => demand.key().into(),
            Cause::Diversity(cost) => format!("diversity {}", cost >> 16),
            Cause::Explored => "explore".into(),
        };
        let moved = blend::moves(&ingredients, &self.decision.placements);
        let words = moved.iter().filter(|moved| !moved.causes.is_empty()).map(|moved| {
            let passed: Vec<String> = moved
                .passed
                .iter()
                .map(|p| {
                    format!("{} ({})", name(p.candidate), p.causes.iter().map(cause).collect::<Vec<_>>().join(", "))
                })
                .collect();
            let past = if passed.is_empty() { "nobody".into() } else { passed.join(", ") };
            format!("slot {}: {}, {} by score, past {past}", moved.slot, name(moved.candidate), moved.rank)
        });
        words.collect()
    }

    /// `da-vinci: open_minutes 60`, for the columns that are asked for.
    fn columns(&self, asked: &Value) -> Vec<String> {
        let asked = asked.as_array().into_iter().flatten().filter_map(Value::as_str);
        let found = asked.map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [merchant, column, ..] = words[..] else { panic!("{line:?}: expected as `da-vinci: rating 4.5`") };
            let name = merchant.trim_end_matches(':');
            let row = self.decision.kept.iter().position(|kept| self.name(kept.merchant.id) == name);
            let column_at = FEATURES.iter().position(|feature| feature.name == column);
            let column_at = column_at.unwrap_or_else(|| panic!("{line:?}: no column {column:?}"));
            match row.and_then(|row| self.decision.rows.iter().nth(row)) {
                Some(row) => format!("{name}: {column} {}", (f64::from(row[column_at]) * 1000.0).round() / 1000.0),
                None => format!("{name}: {column} of a merchant that was dropped"),
            }
        });
        found.collect()
    }

    fn open_until(&self) -> Vec<String> {
        let shown = self.decision.placements.iter().map(|placement| placement.candidate);
        shown.map(|i| i.and_then(|i| self.decision.kept[i].closes).map_or("-".into(), clock)).collect()
    }

    fn offers(&self) -> Vec<String> {
        let shown = self.decision.placements.iter().filter_map(|placement| placement.candidate);
        shown
            .filter_map(|i| {
                let kept = &self.decision.kept[i];
                let offer = kept.offer?;
                let terms = match offer.kind {
                    OfferKind::FreeDelivery => "free delivery".into(),
                    kind => format!("{} {}", json_word(&kind), offer.value),
                };
                Some(format!("{}: {terms}", self.name(kept.merchant.id)))
            })
            .collect()
    }

    /// `predicted home, 0.90`, `exact elsewhere, 0.71, travelling`, `unknown`.
    fn place(&self) -> String {
        let place = &self.decision.place;
        let mut words = json_word(&place.source);
        if let Some(point) = place.point {
            let near = self.asked.names.places.iter().find(|(_, known)| known.distance_km(point) < 0.01);
            let _ = write!(words, " {}, {:.2}", near.map_or("elsewhere", |(name, _)| name), place.certainty);
        }
        if place.travelling {
            words += ", travelling";
        }
        if place.point.is_some() && self.decision.cell.is_none() {
            words += ", no area at hand";
        }
        words
    }

    fn scorer(&self) -> String {
        match &self.decision.model_error {
            None => self.decision.scorer.into(),
            Some(error) => {
                let words = format!("{}: {error}", self.decision.scorer);
                // Fingerprint and checksum change with every change to the columns, which is not what a case is about.
                let words = words.replace(&freshrank::feature::fingerprint_hex(), "this release's");
                words
                    .split_once(" has checksum ")
                    .map_or(words.clone(), |(part, _)| format!("{part} has a wrong checksum"))
            }
        }
    }

    fn local(&self) -> String {
        let local = Local::new(self.at(), self.decision.offset_minutes);
        let weekday = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][local.weekday() as usize];
        format!("{weekday} {}", clock(local.minute_of_day()))
    }

    fn at(&self) -> i64 {
        let request: serde_json::Value = serde_json::from_str(&self.asked.request).unwrap();
        super::area::instant(request["context"]["at"].as_str().unwrap())
    }
}

/// Fixed point as a person reads it.
fn points(value: &serde_json::Value) -> String {
    format!("{:+.4}", value.as_i64().unwrap_or_default() as f64 / 65_536.0)
}

fn list(words: Vec<String>) -> Value {
    Value::Array(words.into_iter().map(Value::String).collect())
}

/// How the reply words it.
fn json_word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}

/// The end of a case's document.
pub fn section(expect: &Table) -> String {
    let mut text = String::from("[expect]\n");
    let order = [
        "slots",
        "pools",
        "asked",
        "sponsored",
        "notices",
        "draws",
        "moves",
        "dropped",
        "open_until",
        "offers",
        "columns",
        "place",
        "local",
        "scorer",
        "layers",
        "reference",
        "explanation",
        "why",
    ];
    let long = ["dropped", "columns", "notices", "moves", "explanation", "why"];
    for key in order.iter().filter(|key| expect.contains_key(**key)) {
        let _ = match &expect[*key] {
            Value::Array(lines) if long.contains(key) && lines.len() > 1 => {
                let lines: String = lines.iter().map(|line| format!("    {line},\n")).collect();
                writeln!(text, "{key} = [\n{lines}]")
            }
            Value::Table(table) => {
                let bare = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                let named = |key: &str| if bare(key) { key.to_owned() } else { format!("{key:?}") };
                let entries: Vec<String> =
                    table.iter().map(|(key, value)| format!("{} = {value}", named(key))).collect();
                writeln!(text, "{key} = {{ {} }}", entries.join(", "))
            }
            value => writeln!(text, "{key} = {value}"),
        };
    }
    text
}
