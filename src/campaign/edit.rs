//! The algebra of layers: what one says of a key, and what two say one after the other.
//!
//! A layer never holds values, only *edits*: a tree with a leaf set, a key unset, a list or a map edited. [`Edit::then`]
//! composes two into one, and all rules of merging are in it:
//!
//! | written | means |
//! |---|---|
//! | `slots: 5` | set, whatever was below |
//! | `slots: null` | unset: back to the default, as if no layer had spoken (RFC 7396) |
//! | `fallback: {url: ...}` | maps merge key by key; what is not named stays (RFC 7396) |
//! | `exclude: {set: [a]}` | this list and no other |
//! | `exclude: {prepend: [a], append: [b], remove: [c]}` | a first, b last, c gone; whatever else was there keeps its order |
//! | `rules: [{id: x, factor: 2}]` | things with an id merge by it, then field by field; never by position |
//! | `rules: [{id: x, remove: true}]` | the thing is gone, with all its fields |
//!
//! A list edit has the normal form (set or not, R removed, P prepended, A appended), the three disjoint, and *moves*: what is
//! appended twice stands once, last.
//!
//! ```text
//! apply (R, P, A) to L      = P ++ (L \ (R + P + A)) ++ A
//! (R1, P1, A1) then (R2, P2, A2), with X2 = R2 + P2 + A2:
//!     P = P2 ++ (P1 \ X2)    A = (A1 \ X2) ++ A2    R = (R1 + R2) \ (P + A)
//! ```
//!
//! So composition is associative to the letter, the empty edit is its identity, and an edit said twice is said once:
//! `tests/campaign_algebra.rs` tries all three, RFC 7396's own vectors, and Hiera's merge behaviours side by side.

use crate::sorted::{Map, Set};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where something was said: a layer, and the place in its file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The layer's path.
    pub layer: Arc<str>,
    /// From 1; 0 where the layer was never a file.
    pub line: u32,
    /// From 1; 0 where the layer was never a file.
    pub column: u32,
}

/// A value without parts.
#[derive(Debug, Clone, PartialEq)]
pub enum Leaf {
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(f64),
    /// Any text.
    Text(String),
}

/// What a layer does to one key.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// A plain value.
    Set {
        /// The value.
        leaf: Leaf,
        /// Who said it.
        mark: Mark,
    },
    /// Back to what there is without any layer.
    Unset(Mark),
    /// A list edited.
    List(ListEdit),
    /// A map edited.
    Map(MapEdit),
}

/// What a layer does to a map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapEdit {
    /// Nothing of what was below is left.
    pub cleared: bool,
    /// By key.
    pub children: Map<String, Edit>,
}

/// What a list edit starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum Base {
    /// The list below.
    Below,
    /// The default, since somebody unset the list.
    Default,
    /// Nothing: somebody set the list, and `append` holds it.
    Set(Mark),
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// It is known by its text.
    pub text: String,
    /// Who said it.
    pub mark: Mark,
}

/// What a layer does to a list; no entry stands in two of the three, or twice in one.
#[derive(Debug, Clone, PartialEq)]
pub struct ListEdit {
    /// What it starts from.
    pub base: Base,
    /// Gone; none where the list is set.
    pub remove: Map<String, Mark>,
    /// First; none where the list is set.
    pub prepend: Vec<Entry>,
    /// Last.
    pub append: Vec<Entry>,
}

impl Default for Edit {
    /// The edit of a layer that says nothing.
    fn default() -> Self {
        Self::Map(MapEdit::default())
    }
}

impl Edit {
    /// This edit and then another, as one.
    pub fn then(&mut self, over: &Self) {
        match (&mut *self, over) {
            (Self::Map(map), Self::Map(over)) if !over.cleared => map.then(over),
            (Self::List(list), Self::List(over)) if over.base == Base::Below => list.then(over),
            (Self::Unset(_), Self::List(over)) if over.base == Base::Below => {
                *self = Self::List(ListEdit { base: Base::Default, ..over.clone() });
            }
            // A map said over what is no map starts from an empty one, a list from the default.
            (_, Self::Map(over)) => *self = Self::Map(MapEdit { cleared: true, ..over.clone() }),
            (_, Self::List(over)) if over.base == Base::Below => {
                *self = Self::List(ListEdit { base: Base::Default, ..over.clone() });
            }
            (_, over) => *self = over.clone(),
        }
    }

    /// Its children, of a map.
    #[must_use]
    pub fn children(&self) -> Option<&Map<String, Self>> {
        match self {
            Self::Map(map) => Some(&map.children),
            _ => None,
        }
    }

    /// Calls with every part that says something by itself: leaves, unset keys, cleared maps, edited lists.
    pub fn walk<'a>(&'a self, path: &mut String, visit: &mut dyn FnMut(&str, &'a Self)) {
        match self {
            Self::Map(map) => {
                if map.cleared || map.children.is_empty() {
                    visit(path, self);
                }
                for (key, child) in &map.children {
                    let end = path.len();
                    if end > 0 {
                        path.push('.');
                    }
                    path.push_str(key);
                    child.walk(path, visit);
                    path.truncate(end);
                }
            }
            _ => visit(path, self),
        }
    }

    /// Who said it, where it is said in one place.
    #[must_use]
    pub fn mark(&self) -> Option<&Mark> {
        match self {
            Self::Set { mark, .. } | Self::Unset(mark) => Some(mark),
            Self::List(list) => list.mark(),
            Self::Map(map) => map.children.values().find_map(Self::mark),
        }
    }
}

impl MapEdit {
    /// This edit and then another that clears nothing.
    pub fn then(&mut self, over: &Self) {
        for (key, edit) in &over.children {
            match self.children.get_mut(key) {
                Some(below) => below.then(edit),
                None => {
                    self.children.insert(key.clone(), edit.clone());
                }
            }
        }
    }
}

impl ListEdit {
    /// A list set whole.
    #[must_use]
    pub fn set(entries: Vec<Entry>, mark: Mark) -> Self {
        Self { base: Base::Set(mark), remove: Map::new(), prepend: Vec::new(), append: entries }
    }

    /// Every entry it speaks of.
    fn named(&self) -> Set<&str> {
        let moved = self.prepend.iter().chain(&self.append).map(|entry| entry.text.as_str());
        moved.chain(self.remove.keys().map(String::as_str)).collect()
    }

    fn then(&mut self, over: &Self) {
        let named = over.named();
        self.prepend.retain(|entry| !named.contains(entry.text.as_str()));
        self.append.retain(|entry| !named.contains(entry.text.as_str()));
        self.prepend.splice(0..0, over.prepend.iter().cloned());
        self.append.extend(over.append.iter().cloned());
        if matches!(self.base, Base::Set(_)) {
            self.prepend.append(&mut self.append);
            self.append = core::mem::take(&mut self.prepend);
            return;
        }
        self.remove.extend(over.remove.iter().map(|(text, mark)| (text.clone(), mark.clone())));
        for entry in self.prepend.iter().chain(&self.append) {
            self.remove.remove(&entry.text);
        }
    }

    /// The list it makes of another, and who said each entry that it says itself.
    #[must_use]
    pub fn apply<'a>(&'a self, list: &'a [String]) -> Vec<(&'a str, Option<&'a Mark>)> {
        let said = |entry: &'a Entry| (entry.text.as_str(), Some(&entry.mark));
        let named = self.named();
        let below = if matches!(self.base, Base::Set(_)) { &[] } else { list };
        let stays = below.iter().map(String::as_str).filter(|text| !named.contains(text)).map(|text| (text, None));
        self.prepend.iter().map(said).chain(stays).chain(self.append.iter().map(said)).collect()
    }

    fn mark(&self) -> Option<&Mark> {
        if let Base::Set(mark) = &self.base {
            return Some(mark);
        }
        self.prepend.iter().chain(&self.append).map(|entry| &entry.mark).chain(self.remove.values()).next()
    }
}
