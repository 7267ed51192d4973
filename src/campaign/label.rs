//! What is paid for says so, whatever a later layer does.
//!
//! Once a layer of a chain says that a boost, a pin or a rule is `sponsored`, that label holds for all that comes after:
//! setting it to false or to null does nothing, and a thing that is taken away and said anew is labelled again, under the
//! same id or, since an id is only a name, under another one about the same merchant or with the same condition. Taking it
//! away for good is free: where nobody is favoured, nothing has to be labelled.

use super::edit::{Edit, Leaf, MapEdit, Mark};
use super::schema::{self, Form};
use super::{Campaign, KEYS};
use crate::bundle::Merchant;
use crate::gate::Named;
use crate::sorted::{Map, Set};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The field that says it.
pub(super) const SPONSORED: &str = "sponsored";

/// Whether things of this key may be paid for.
pub(super) fn may_be_paid(key: &str) -> bool {
    matches!(schema::form(KEYS, key), Some(Form::Things { fields, .. }) if fields.iter().any(|f| f.name == SPONSORED))
}

/// Every label that was given along a chain of layers.
#[derive(Default)]
pub(super) struct Labels {
    /// By key, then by id.
    given: Map<String, Map<String, Label>>,
}

struct Label {
    about: Option<String>,
    mark: Mark,
}

impl Labels {
    /// Notes the labels that a layer gave: of the things that it names, as they stand once it has spoken.
    pub fn note(&mut self, key: &str, named: &Edit, things: &Edit) {
        let (true, Some(named), Some(things)) = (may_be_paid(key), named.children(), things.children()) else { return };
        for id in named.keys() {
            let Some(fields) = things.get(id).and_then(Edit::children) else { continue };
            if let Some(mark) = says(fields) {
                let label = Label { about: about(key, id, fields), mark: mark.clone() };
                self.given.or_default(key.to_string()).insert(id.clone(), label);
            }
        }
    }

    /// Gives every label back that a later layer took.
    pub fn hold(&self, all: &mut MapEdit) {
        if self.given.is_empty() {
            return;
        }
        let gone = self.gone(all);
        for (key, things) in all.children.iter_mut().filter(|(key, _)| may_be_paid(key)) {
            let Edit::Map(things) = things else { continue };
            for (id, thing) in &mut things.children {
                let Edit::Map(MapEdit { children: fields, .. }) = thing else { continue };
                let own = self.given.get(key).and_then(|given| given.get(id)).map(|label| &label.mark);
                let other = || about(key, id, fields).and_then(|about| gone.get(&about).copied());
                if let Some(mark) = own.or_else(other) {
                    let label = Edit::Set { leaf: Leaf::Bool(true), mark: mark.clone() };
                    fields.insert(SPONSORED.to_string(), label);
                }
            }
        }
    }

    /// Whom the labelled things that were taken away were about.
    fn gone(&self, all: &MapEdit) -> Map<String, &Mark> {
        let mut gone = Map::new();
        for (key, given) in &self.given {
            let things = all.children.get(key).and_then(Edit::children);
            for (id, label) in given {
                let there = things.and_then(|things| things.get(id)).is_some_and(|thing| thing.children().is_some());
                if let (false, Some(about)) = (there, &label.about) {
                    gone.insert(about.clone(), &label.mark);
                }
            }
        }
        gone
    }
}

/// Whom a campaign may ever show as paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paid {
    /// Anybody: a rule's condition says who.
    Anybody,
    /// These alone.
    Only(Vec<Named>),
}

impl Paid {
    /// Whether this merchant may be.
    #[must_use]
    pub fn may(&self, merchant: &Merchant) -> bool {
        match self {
            Self::Anybody => true,
            Self::Only(named) => named.iter().any(|named| named.matches(merchant)),
        }
    }
}

impl Campaign {
    /// Whom its layers, wherever and whenever they hold, staged ones too, may show as paid for.
    #[must_use]
    pub fn paid(&self) -> Paid {
        let staged = self.staged.iter().map(|staged| &staged.layer);
        let layers: Vec<_> = self.layers.values().chain(self.defaults.values()).chain(staged).collect();
        let things = |key: &str| {
            let of = layers.iter().filter_map(|layer| layer.body.children()?.get(key)?.children());
            let fields = of.flat_map(|things| things.iter().filter_map(|(id, thing)| Some((id, thing.children()?))));
            fields.collect::<Vec<_>>()
        };
        // One layer may say who it is about, and another one that it is paid for.
        let labelled = |things: &[(&String, &Map<String, Edit>)]| -> Set<String> {
            things.iter().filter(|(_, fields)| says(fields).is_some()).map(|(id, _)| (*id).clone()).collect()
        };
        if !labelled(&things("rules")).is_empty() {
            return Paid::Anybody;
        }
        let mut named = Vec::new();
        for key in ["boosts", "pins"] {
            let things = things(key);
            let paid = labelled(&things);
            let about =
                things.iter().filter(|(id, _)| paid.contains(*id)).filter_map(|(id, fields)| about(key, id, fields));
            named.extend(about.map(|about| Named::parse(&about)));
        }
        Paid::Only(named)
    }
}

/// Where a thing says that it is paid for, if it does.
pub(super) fn says(fields: &Map<String, Edit>) -> Option<&Mark> {
    match fields.get(SPONSORED) {
        Some(Edit::Set { leaf: Leaf::Bool(true), mark }) => Some(mark),
        _ => None,
    }
}

/// What a thing is about: its condition, or the merchant whose name is its own where it tells none.
fn about(key: &str, id: &str, fields: &Map<String, Edit>) -> Option<String> {
    let text = |name: &str| match fields.get(name) {
        Some(Edit::Set { leaf: Leaf::Text(text), .. }) => Some(text.as_str()),
        _ => None,
    };
    if key == "rules" { text("when").map(Into::into) } else { Some(text("merchant").unwrap_or(id).into()) }
}
