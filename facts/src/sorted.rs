//! Maps, sets and sorting in little code.
//!
//! A module that travels pays for every type that a tree or std's sort is compiled for, and the engine has dozens. Here a map is
//! a sorted vector, and there is one sort, of positions, and a faster one for what is sorted in every decision. What may have more
//! than some thousand entries is collected, which sorts once, and not inserted one by one.

use alloc::vec::{self, Vec};
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::slice;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Sorts, and leaves what is equal in its order.
pub fn sort_by<T>(items: &mut [T], mut order: impl FnMut(&T, &T) -> Ordering) {
    let from = positions(items.len(), &mut |a, b| order(&items[a], &items[b]));
    for i in 0..items.len() {
        // What stood there has gone to where its own position was taken from.
        let mut at = from[i];
        while at < i {
            at = from[at];
        }
        items.swap(i, at);
    }
}

/// Sorts by a key, and leaves what is equal in its order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// Sorts, and leaves what is equal in its order.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, T::cmp);
}

/// Sorts what a decision sorts: its key in the upper bits, the position of whom it speaks of in the lower 32. None is there twice.
pub fn ranked(mut keys: Vec<u128>) -> impl Iterator<Item = usize> {
    keys.sort_unstable();
    keys.into_iter().map(|key| key as u32 as usize)
}

/// Where each of n things stands before they are sorted.
fn positions(n: usize, order: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut from: Vec<usize> = (0..n).collect();
    // No two are equal, so that the one kind of sort does that a module has anyway.
    from.sort_unstable_by(|a, b| order(*a, *b).then(a.cmp(b)));
    from
}

/// A map, ascending by key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Map<K, V>(Vec<(K, V)>);

impl<K, V> Map<K, V> {
    /// One without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, ascending.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter(self.0.iter())
    }

    /// All of them, ascending.
    pub fn iter_mut(&mut self) -> IterMut<'_, K, V> {
        IterMut(self.0.iter_mut())
    }

    /// Ascending.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.0.iter().map(|(key, _)| key)
    }

    /// In the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// In the order of their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// In the order of their keys.
    pub fn into_keys(self) -> impl Iterator<Item = K> {
        self.0.into_iter().map(|(key, _)| key)
    }

    /// In the order of their keys.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.0.into_iter().map(|(_, value)| value)
    }

    /// Keeps those alone.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }
}

/// Where an entry is, or would be.
fn find<T>(entries: &[T], order: impl Fn(&T) -> Ordering) -> Result<usize, usize> {
    match entries.last() {
        // Most come in order.
        Some(last) if order(last).is_lt() => Err(entries.len()),
        _ => entries.binary_search_by(order),
    }
}

impl<K: Ord, V> Map<K, V> {
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        find(&self.0, |(other, _)| other.borrow().cmp(key))
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// The value of a key.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Adds an entry; gives the value it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(core::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes an entry away.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The value of a key, which is made where there is none.
    pub fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, make()));
                at
            }
        };
        &mut self.0[at].1
    }

    /// The value of a key, which is the default where there is none.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(key, V::default)
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        if entries.is_sorted_by(|a, b| a.0 < b.0) {
            return Self(entries);
        }
        sort_by(&mut entries, |a, b| a.0.cmp(&b.0));
        // Of one key the last counts.
        entries.reverse();
        entries.dedup_by(|a, b| a.0 == b.0);
        entries.reverse();
        Self(entries)
    }
}

impl<K: Ord, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for Map<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

/// See [`Map::iter`].
#[derive(Debug)]
pub struct Iter<'a, K, V>(slice::Iter<'a, (K, V)>);

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(key, value)| (key, value))
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

/// See [`Map::iter_mut`].
#[derive(Debug)]
pub struct IterMut<'a, K, V>(slice::IterMut<'a, (K, V)>);

impl<'a, K, V> Iterator for IterMut<'a, K, V> {
    type Item = (&'a K, &'a mut V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (&*key, value))
    }
}

impl<'a, K, V> IntoIterator for &'a mut Map<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = IterMut<'a, K, V>;

    fn into_iter(self) -> IterMut<'a, K, V> {
        self.iter_mut()
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = vec::IntoIter<(K, V)>;

    fn into_iter(self) -> vec::IntoIter<(K, V)> {
        self.0.into_iter()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Map<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Map<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(core::marker::PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = Map<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries.into_iter().collect())
            }
        }

        deserializer.deserialize_map(Entries(core::marker::PhantomData))
    }
}

/// A set, ascending.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Set<T>(Vec<T>);

impl<T> Set<T> {
    /// One without members.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, ascending.
    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T: Ord> Set<T> {
    fn find<Q: Ord + ?Sized>(&self, member: &Q) -> Result<usize, usize>
    where
        T: Borrow<Q>,
    {
        find(&self.0, |other| other.borrow().cmp(member))
    }

    /// Whether it is in.
    pub fn contains<Q: Ord + ?Sized>(&self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.find(member).is_ok()
    }

    /// Adds a member; whether it was not in.
    pub fn insert(&mut self, member: T) -> bool {
        let found = self.find(&member);
        if let Err(at) = found {
            self.0.insert(at, member);
        }
        found.is_err()
    }

    /// Takes a member away; whether it was in.
    pub fn remove<Q: Ord + ?Sized>(&mut self, member: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        let found = self.find(member);
        if let Ok(at) = found {
            self.0.remove(at);
        }
        found.is_ok()
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> Self {
        let mut members: Vec<T> = members.into_iter().collect();
        if !members.is_sorted_by(|a, b| a < b) {
            sort(&mut members);
            members.dedup();
        }
        Self(members)
    }
}

impl<T: Ord> Extend<T> for Set<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, members: I) {
        for member in members {
            self.insert(member);
        }
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for Set<T> {
    fn from(members: [T; N]) -> Self {
        members.into_iter().collect()
    }
}

impl<'a, T> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> slice::Iter<'a, T> {
        self.0.iter()
    }
}

impl<T> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> vec::IntoIter<T> {
        self.0.into_iter()
    }
}

impl<T: Serialize> Serialize for Set<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de> + Ord> Deserialize<'de> for Set<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|members| members.into_iter().collect())
    }
}

/// Any number of values a key, ascending by both.
#[derive(Debug, Clone, PartialEq)]
pub struct Many<K, V>(Vec<(K, V)>);

impl<K: Ord, V> Many<K, V> {
    /// The values of a key.
    pub fn of<'a, Q: Ord + ?Sized>(&'a self, key: &Q) -> impl Iterator<Item = &'a V> + use<'a, K, V, Q>
    where
        K: Borrow<Q>,
    {
        let since = self.since(key);
        since[..since.partition_point(|(other, _)| other.borrow() <= key)].iter().map(|(_, value)| value)
    }

    /// All from a key on.
    pub fn since<Q: Ord + ?Sized>(&self, key: &Q) -> &[(K, V)]
    where
        K: Borrow<Q>,
    {
        &self.0[self.0.partition_point(|(other, _)| other.borrow() < key)..]
    }
}

impl<K, V> Default for Many<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V: Ord> FromIterator<(K, V)> for Many<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        sort(&mut entries);
        Self(entries)
    }
}

/// To whoever reads the declarations they are what they are in JSON.
#[cfg(feature = "types")]
mod types {
    use super::{Map, Set};
    use std::collections::BTreeMap;
    use std::string::String;
    use std::vec::Vec;
    use ts_rs::{Config, TS, TypeVisitor};

    impl<K: TS, V: TS> TS for Map<K, V> {
        type WithoutGenerics = <BTreeMap<K, V> as TS>::WithoutGenerics;
        type OptionInnerType = Self;
        fn name(cfg: &Config) -> String {
            <BTreeMap<K, V> as TS>::name(cfg)
        }
        fn inline(cfg: &Config) -> String {
            <BTreeMap<K, V> as TS>::inline(cfg)
        }
        fn visit_dependencies(v: &mut impl TypeVisitor)
        where
            Self: 'static,
        {
            <BTreeMap<K, V> as TS>::visit_dependencies(v);
        }
        fn visit_generics(v: &mut impl TypeVisitor)
        where
            Self: 'static,
        {
            <BTreeMap<K, V> as TS>::visit_generics(v);
        }
        fn decl(cfg: &Config) -> String {
            <BTreeMap<K, V> as TS>::decl(cfg)
        }
        fn decl_concrete(cfg: &Config) -> String {
            <BTreeMap<K, V> as TS>::decl_concrete(cfg)
        }
    }

    impl<T: TS> TS for Set<T> {
        type WithoutGenerics = <Vec<T> as TS>::WithoutGenerics;
        type OptionInnerType = Self;
        fn name(cfg: &Config) -> String {
            <Vec<T> as TS>::name(cfg)
        }
        fn inline(cfg: &Config) -> String {
            <Vec<T> as TS>::inline(cfg)
        }
        fn visit_dependencies(v: &mut impl TypeVisitor)
        where
            Self: 'static,
        {
            <Vec<T> as TS>::visit_dependencies(v);
        }
        fn visit_generics(v: &mut impl TypeVisitor)
        where
            Self: 'static,
        {
            <Vec<T> as TS>::visit_generics(v);
        }
        fn decl(cfg: &Config) -> String {
            <Vec<T> as TS>::decl(cfg)
        }
        fn decl_concrete(cfg: &Config) -> String {
            <Vec<T> as TS>::decl_concrete(cfg)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};
    use alloc::format;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_map_and_a_set_are_those_of_std(
            entries in prop::collection::vec((0..20_u8, 0..100_u8), 0..40),
            gone in prop::collection::vec(0..20_u8, 0..10),
        ) {
            let (mut expected, mut map) = (BTreeMap::new(), Map::new());
            for (key, value) in &entries {
                prop_assert_eq!(map.insert(*key, *value), expected.insert(*key, *value));
            }
            let collected: Map<u8, u8> = entries.iter().copied().collect();
            prop_assert_eq!(&collected, &map);
            for key in &gone {
                prop_assert_eq!(map.remove(key), expected.remove(key));
            }
            for key in 0..20 {
                prop_assert_eq!(map.get(&key), expected.get(&key));
            }
            *map.or_default(7) += 1;
            *expected.entry(7).or_default() += 1;
            prop_assert_eq!(format!("{map:?}"), format!("{expected:?}"));
            prop_assert_eq!(serde_json::to_string(&map).unwrap(), serde_json::to_string(&expected).unwrap());

            let (mut expected, mut set) = (BTreeSet::new(), Set::new());
            for (_, member) in &entries {
                prop_assert_eq!(set.insert(*member), expected.insert(*member));
            }
            prop_assert_eq!(&entries.iter().map(|(_, member)| *member).collect::<Set<u8>>(), &set);
            for member in &gone {
                prop_assert_eq!(set.remove(member), expected.remove(member));
            }
            prop_assert_eq!(format!("{set:?}"), format!("{expected:?}"));
        }

        #[test]
        fn what_is_equal_stays_in_its_order(mut items in prop::collection::vec((0..8_u8, 0..100_u8), 0..60)) {
            let mut expected = items.clone();
            expected.sort_by_key(|item| item.0);
            sort_by_key(&mut items, |item| item.0);
            prop_assert_eq!(items, expected);
        }

        #[test]
        fn every_value_of_a_key_is_found(entries in prop::collection::vec((0..8_u8, 0..100_u8), 0..60), key in 0..8_u8) {
            let many: Many<u8, u8> = entries.iter().copied().collect();
            let mut expected: Vec<u8> = entries.iter().filter(|entry| entry.0 == key).map(|entry| entry.1).collect();
            expected.sort_unstable();
            prop_assert_eq!(many.of(&key).copied().collect::<Vec<_>>(), expected);
        }
    }
}
