//! From a chain of layers to one policy. Merging never fails: a lock, a bound or a label simply holds.
//!
//! Layers come in the total order. Of a later layer's edits, those are passed over that touch what an earlier one locked; at
//! the end, numbers beyond a bound move to it, and of two bounds that exclude each other the earlier layer's holds. What was said
//! to be paid for stays labelled (`label`).
//! A thing that lacks what it needs (a rule without a condition) is left out; `Campaign::check` names it.

use super::edit::{Edit, Leaf, MapEdit};
use super::label::Labels;
use super::policy::{Arm, Boost, ById, Consent, Explore, Fallback, Pin, Range, Ranker, Rule};
use super::schema::{Field, Follows};
use super::{Bound, Campaign, Chain, KEYS, LayerId, Mark, Origin, Policy};
use crate::bundle::Kind;
use crate::gate::UnknownHours;
use crate::locate::PlacePolicy;
use crate::sorted::Map;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error, MapDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};

pub(super) fn policy(campaign: &Campaign, chain: &Chain) -> Policy {
    let mut policy = Policy::default();
    policy.fill(&merged(campaign, &chain.place, &|field| field.follows == Follows::Place));
    policy.fill(&merged(campaign, &chain.market, &|field| field.follows == Follows::Market));
    policy
}

/// The edits of some layers as one, with their locks, bounds and labels kept; of the keys that are wanted.
pub(super) fn merged(campaign: &Campaign, chain: &[LayerId], wanted: &dyn Fn(&Field) -> bool) -> MapEdit {
    let wanted = |key: &str| KEYS.iter().any(|field| field.name == key && wanted(field));
    let (mut all, mut locks, mut bounds, mut labels) = (MapEdit::default(), Vec::new(), Vec::new(), Labels::default());
    for layer in chain.iter().filter_map(|id| campaign.layer_at(*id)) {
        for (key, edit) in layer.body.children().into_iter().flatten() {
            if !wanted(key) {
                continue;
            }
            let Some(edit) = unlocked(edit, key, &locks) else { continue };
            if let Some(below) = all.children.get_mut(key) {
                below.then(&edit);
                labels.note(key, &edit, below);
            } else {
                let edit = edit.into_owned();
                labels.note(key, &edit, &edit);
                all.children.insert(key.clone(), edit);
            }
        }
        locks.extend(layer.lock.iter().map(|(key, _)| key.as_str()));
        bounds.extend(&layer.bounds);
    }
    let held = |bound: &&&Bound| wanted(bound.key.split('.').next().unwrap_or_default());
    bounds.iter().filter(held).rev().for_each(|bound| hold(&mut all, bound));
    labels.hold(&mut all);
    all
}

/// What a lock lets through of an edit.
fn unlocked<'e>(edit: &'e Edit, path: &str, locks: &[&str]) -> Option<Cow<'e, Edit>> {
    let below = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    if locks.iter().any(|lock| *lock == path || below(path, lock)) {
        return None;
    }
    if !locks.iter().any(|lock| below(lock, path)) {
        return Some(Cow::Borrowed(edit));
    }
    match edit {
        Edit::Map(map) if !map.cleared => {
            let children = map.children.iter().filter_map(|(key, child)| {
                let child = unlocked(child, &format!("{path}.{key}"), locks)?;
                Some((key.clone(), child.into_owned()))
            });
            Some(Cow::Owned(Edit::Map(MapEdit { cleared: false, children: children.collect() })))
        }
        // It would take the locked part along.
        _ => None,
    }
}

/// Moves a number to its bound.
fn hold(all: &mut MapEdit, bound: &Bound) {
    let parts: Vec<&str> = bound.key.split('.').collect();
    let held = |n: f64| match (bound.min, bound.max) {
        (Some(min), _) if n < min => Some(min),
        (_, Some(max)) if n > max => Some(max),
        _ => None,
    };
    let set = |n: f64| Edit::Set { leaf: Leaf::Number(n), mark: bound.mark.clone() };
    if let [key, "*", rest @ ..] = parts.as_slice() {
        let Some(Edit::Map(things)) = all.children.get_mut(*key) else { return };
        for thing in things.children.values_mut() {
            let leaf = match (thing, rest) {
                (Edit::Map(thing), [name]) => thing.children.get_mut(*name),
                (leaf, []) => Some(leaf),
                _ => None,
            };
            if let Some(Edit::Set { leaf: Leaf::Number(n), mark, .. }) = leaf
                && let Some(to) = held(*n)
            {
                (*n, *mark) = (to, bound.mark.clone());
            }
        }
        return;
    }
    if let Some(Edit::Set { leaf: Leaf::Number(n), mark, .. }) = find_mut(all, &bound.key) {
        if let Some(to) = held(*n) {
            (*n, *mark) = (to, bound.mark.clone());
        }
    } else if let Some(to) = Policy::default().number(&bound.key).and_then(held) {
        // Nobody spoke, or somebody unset it, and the default lies beyond the bound.
        let mut edit = set(to);
        for key in parts.iter().skip(1).rev() {
            edit = Edit::Map(MapEdit { cleared: false, children: Map::from([((*key).to_string(), edit)]) });
        }
        let body = MapEdit { cleared: false, children: Map::from([(parts[0].to_string(), edit)]) };
        all.then(&body);
    }
}

fn find_mut<'m>(map: &'m mut MapEdit, path: &str) -> Option<&'m mut Edit> {
    if map.children.contains_key(path) {
        return map.children.get_mut(path);
    }
    let ends: Vec<usize> = path.match_indices('.').map(|(end, _)| end).collect();
    // An id may hold dots itself.
    let end = ends.into_iter().find(|end| map.children.contains_key(&path[..*end]))?;
    match map.children.get_mut(&path[..end])? {
        Edit::Map(inner) => find_mut(inner, &path[end + 1..]),
        _ => None,
    }
}

/// A typed value that merged edits make something of.
pub(super) trait Fill {
    /// Takes over what was said, and who said it.
    fn fill(&mut self, edit: &Edit, path: &str, provenance: &mut Map<String, Origin>);

    /// The number at a path below, if it is one.
    fn number(&self, _path: &str) -> Option<f64> {
        None
    }
}

fn said(provenance: &mut Map<String, Origin>, path: String, mark: &Mark) {
    provenance.insert(path, Origin::from(mark));
}

/// Every leaf and who said it.
fn leaves(edit: &Edit, path: &str, provenance: &mut Map<String, Origin>) {
    edit.walk(&mut path.to_string(), &mut |path, edit| {
        if let Edit::Set { mark, .. } = edit
            // Nobody said it: publishing made it of the condition.
            && !path.ends_with(".program")
        {
            said(provenance, path.to_string(), mark);
        }
    });
}

macro_rules! leaf {
    ($($type:ty: $number:expr;)*) => {
        $(impl Fill for $type {
            fn fill(&mut self, edit: &Edit, path: &str, provenance: &mut Map<String, Origin>) {
                let value = Said::of(edit).and_then(|said| <$type>::deserialize(said).ok());
                if let (Some(value), Some(mark)) = (value, edit.mark()) {
                    *self = value;
                    said(provenance, path.to_string(), mark);
                }
            }

            fn number(&self, path: &str) -> Option<f64> {
                let number: fn(&$type) -> Option<f64> = $number;
                if path.is_empty() { number(self) } else { None }
            }
        })*
    };
}

leaf! {
    bool: |_| None;
    u8: |n| Some(f64::from(*n));
    u16: |n| Some(f64::from(*n));
    f64: |n| Some(*n);
    String: |_| None;
    PlacePolicy: |_| None;
    UnknownHours: |_| None;
    Ranker: |_| None;
    Consent: |_| None;
}

macro_rules! record {
    ($($type:ty: $($field:ident),*;)*) => {
        $(impl Fill for $type {
            fn fill(&mut self, edit: &Edit, path: &str, provenance: &mut Map<String, Origin>) {
                $(if let Some(edit) = edit.children().and_then(|children| children.get(stringify!($field))) {
                    self.$field.fill(edit, &format!("{path}.{}", stringify!($field)), provenance);
                })*
            }

            fn number(&self, path: &str) -> Option<f64> {
                match path {
                    $(stringify!($field) => self.$field.number(""),)*
                    _ => None,
                }
            }
        })*
    };
}

record! {
    Explore: share, among;
    Fallback: text, url;
}

impl Fill for Vec<String> {
    fn fill(&mut self, edit: &Edit, path: &str, provenance: &mut Map<String, Origin>) {
        let Edit::List(list) = edit else { return };
        if let super::edit::Base::Set(mark) = &list.base {
            said(provenance, path.to_string(), mark);
        }
        let entries = list.apply(self);
        // Entries that come again are told apart by where they stand.
        let repeats = path == "pattern";
        for (i, (text, mark)) in entries.iter().enumerate() {
            if let Some(mark) = mark {
                let leaf = if repeats { format!("{path}[{i}]") } else { format!("{path}[{text}]") };
                said(provenance, leaf, mark);
            }
        }
        let entries = entries.into_iter().map(|(text, _)| text.to_string()).collect();
        *self = entries;
    }
}

impl Fill for Vec<Kind> {
    fn fill(&mut self, edit: &Edit, path: &str, provenance: &mut Map<String, Origin>) {
        let word = |kind: &Kind| match kind {
            Kind::Restaurant => "restaurant".to_string(),
            Kind::Grocery => "grocery".to_string(),
            Kind::Retail => "retail".to_string(),
        };
        let mut words: Vec<String> = self.iter().map(word).collect();
        words.fill(edit, path, provenance);
        *self = words.iter().filter_map(|word| Kind::deserialize(Said::Text(word)).ok()).collect();
    }
}

impl Fill for Map<String, u8> {
    fn fill(&mut self, edit: &Edit, path: &str, provenance: &mut Map<String, Origin>) {
        for (key, edit) in edit.children().into_iter().flatten() {
            let mut n = 0;
            if let Edit::Set { .. } = edit {
                n.fill(edit, &format!("{path}.{key}"), provenance);
                self.insert(key.clone(), n);
            }
        }
    }
}

/// A thing known by its id.
trait Thing: for<'de> Deserialize<'de> {
    /// One that names no merchant is of the merchant that it is called.
    const BY_MERCHANT: bool;

    /// Takes back what does not belong together.
    fn settle(&mut self, _: &MapEdit) {}
}

impl Thing for Boost {
    const BY_MERCHANT: bool = true;
}

impl Thing for Pin {
    const BY_MERCHANT: bool = true;
}

impl Thing for Rule {
    const BY_MERCHANT: bool = false;

    /// A program of another layer's condition is not this condition's.
    fn settle(&mut self, fields: &MapEdit) {
        let mark = |name: &str| fields.children.get(name).and_then(Edit::mark);
        if mark("when").map(|mark| &mark.layer) != mark("program").map(|mark| &mark.layer) {
            self.program = None;
        }
    }
}

impl Thing for Range {
    const BY_MERCHANT: bool = false;
}

impl Thing for Arm {
    const BY_MERCHANT: bool = false;
}

impl<T: Thing> Fill for ById<T> {
    fn fill(&mut self, edit: &Edit, path: &str, provenance: &mut Map<String, Origin>) {
        for (id, thing) in edit.children().into_iter().flatten() {
            let Edit::Map(map) = thing else { continue };
            let fields = map.children.iter().filter_map(|(name, field)| Some((name.as_str(), Said::of(field)?)));
            let named = map.children.get("merchant").and_then(Said::of).is_some();
            let own = (T::BY_MERCHANT && !named).then_some(("merchant", Said::Text(id)));
            if let Ok(mut value) = T::deserialize(MapDeserializer::<_, Error>::new(fields.chain(own))) {
                value.settle(map);
                leaves(thing, &format!("{path}.{id}"), provenance);
                self.insert(id.clone(), value);
            }
        }
    }
}

/// A leaf, as serde reads it.
#[derive(Clone, Copy)]
enum Said<'e> {
    Bool(bool),
    Number(f64),
    Text(&'e str),
}

impl<'e> Said<'e> {
    fn of(edit: &'e Edit) -> Option<Self> {
        match edit {
            Edit::Set { leaf: Leaf::Bool(flag), .. } => Some(Self::Bool(*flag)),
            Edit::Set { leaf: Leaf::Number(n), .. } => Some(Self::Number(*n)),
            Edit::Set { leaf: Leaf::Text(text), .. } => Some(Self::Text(text)),
            _ => None,
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for Said<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Said<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Bool(flag) => visitor.visit_bool(flag),
            Self::Number(n) if n % 1.0 == 0.0 && (0.0..1e9).contains(&n) => visitor.visit_u64(n as u64),
            Self::Number(n) => visitor.visit_f64(n),
            Self::Text(text) => visitor.visit_borrowed_str(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let word = if let Self::Text(text) = self { text } else { "" };
        BorrowedStrDeserializer::<Error>::new(word).deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}
