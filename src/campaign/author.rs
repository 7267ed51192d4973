//! From what a person writes to a checked layer: every mistake at once, each with its place and a hint.
//!
//! Whoever reads a form of document (YAML with its line numbers, JSON, TOML) gives it as a tree of [`Node`]s; this is the
//! only code that knows what the tree means. The published form of a layer is the same form again, in JSON, with one more key:
//! `marks`, which keeps line and column of everything that was said.

use super::cover::{Cells, Covers, Iso, Level};
use super::edit::{Base, Edit, Entry, Leaf, ListEdit, MapEdit, Mark};
use super::schema::{Field, Form, MAX_TEXT};
use super::{ARMS, Bound, DEFAULTS, GLOBAL, KEYS, Layer, MAX_LIST};
use crate::rule::Program;
use crate::sorted::{Map, Set, sort};
use crate::suggest::nearest;
use crate::time;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// A value of a document with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// From 1; 0 where there was no file.
    pub line: u32,
    /// From 1; 0 where there was no file.
    pub column: u32,
    /// What stands there.
    pub value: Value,
}

/// What stands in a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, said explicitly.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in its document's order; a key that comes twice comes twice here.
    Map(Vec<(Key, Node)>),
}

/// A key of a map with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// From 1; 0 where there was no file.
    pub line: u32,
    /// From 1; 0 where there was no file.
    pub column: u32,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The layer, or the campaign, cannot be published so.
    Error,
    /// Likely not what was meant.
    Warning,
}

/// What is wrong with a layer, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub struct Problem {
    /// The layer's path.
    pub layer: String,
    /// From 1; 0 where there was no file.
    pub line: u32,
    /// From 1; 0 where there was no file.
    pub column: u32,
    /// The path of the key, `boosts.local.factor`; empty where it is the layer as a whole.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.layer)?;
        if self.line > 0 {
            write!(f, ".yaml:{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl Node {
    /// A document that was read without places.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        Self::bare(match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(list) => Value::List(list.iter().map(Self::from_json).collect()),
            Json::Object(map) => {
                Value::Map(map.iter().map(|(key, node)| (Key::bare(key), Self::from_json(node))).collect())
            }
        })
    }

    fn bare(value: Value) -> Self {
        Self { line: 0, column: 0, value }
    }
}

impl Key {
    fn bare(text: &str) -> Self {
        Self { text: text.into(), line: 0, column: 0 }
    }
}

/// Reads a published document without building anything of it but nodes, and no longer list than a layer may hold.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of a layer, with lists of at most 1000 entries")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::bare(Value::Null))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
                Ok(Node::bare(Value::Bool(flag)))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
                Ok(Node::bare(Value::Number(number as f64)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
                Ok(Node::bare(Value::Number(number as f64)))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
                Ok(Node::bare(Value::Number(number)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::bare(Value::Text(text.into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element()? {
                    // Cells may be many; every other list is held to MAX_LIST by its reader.
                    if entries.len() == super::MAX_CELLS {
                        return Err(A::Error::invalid_length(entries.len() + 1, &self));
                    }
                    entries.push(entry);
                }
                Ok(Node::bare(Value::List(entries)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, node)) = map.next_entry::<String, Node>()? {
                    if entries.len() == super::MAX_CELLS {
                        return Err(A::Error::invalid_length(entries.len() + 1, &self));
                    }
                    entries.push((Key::bare(&key), node));
                }
                Ok(Node::bare(Value::Map(entries)))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// Keys of a layer that say where it holds and who wrote it, not what a message shows.
pub const HEADER: [&str; 8] = ["level", "covers", "priority", "lock", "bounds", "version", "author", "reason"];
/// The published form's own.
const MARKS: &str = "marks";

/// Reads a layer, and everything that is wrong with it. What is wrong is left out of the layer.
#[must_use]
pub fn read(path: &str, document: &Node) -> (Layer, Vec<Problem>) {
    let mut reader = Reader { layer: path.into(), marks: Map::new(), problems: Vec::new() };
    let layer = reader.document(path, document);
    sort(&mut reader.problems);
    (layer, reader.problems)
}

struct Reader {
    layer: Arc<str>,
    marks: Map<String, (u32, u32)>,
    problems: Vec<Problem>,
}

type At = (u32, u32);

fn at(node: &Node) -> At {
    (node.line, node.column)
}

impl Reader {
    fn problem(&mut self, place: At, key: &str, message: String, hint: Option<String>) {
        let (line, column) = self.marks.get(key).copied().unwrap_or(place);
        let layer = self.layer.to_string();
        self.problems.push(Problem { layer, line, column, key: key.into(), message, hint, severity: Severity::Error });
    }

    fn wrong(&mut self, node: &Node, key: &str, expected: &str) {
        self.problem(at(node), key, format!("found {}, expected {expected}", found(&node.value)), None);
    }

    fn mark(&self, place: At, path: &str) -> Mark {
        let (line, column) = self.marks.get(path).copied().unwrap_or(place);
        Mark { layer: self.layer.clone(), line, column }
    }

    /// The entries of a map; a key that comes twice is wrong.
    fn entries<'n>(&mut self, node: &'n Node, key: &str, expected: &str) -> Vec<(&'n Key, &'n Node)> {
        match &node.value {
            Value::Map(entries) => {
                let mut seen = Set::new();
                for (name, _) in entries {
                    if !seen.insert(name.text.as_str()) {
                        let path = join(key, &name.text);
                        self.problem((name.line, name.column), &path, "found twice, expected once".into(), None);
                    }
                }
                entries.iter().map(|(key, node)| (key, node)).collect()
            }
            _ => {
                self.wrong(node, key, expected);
                Vec::new()
            }
        }
    }

    fn unknown(&mut self, key: &Key, path: &str, names: &[&str], what: &str) {
        let hint = match nearest(&key.text, names.iter().copied()) {
            Some(name) => format!("did you mean {name}?"),
            None if names.len() <= 12 => format!("there are {}", names.join(", ")),
            None => "the documentation lists all of them".into(),
        };
        self.problem((key.line, key.column), path, format!("no {what} is called so"), Some(hint));
    }

    fn document(&mut self, path: &str, document: &Node) -> Layer {
        let mut layer = Layer::empty(path);
        let stated = layer.own_path();
        if stated.is_empty() || stated.split('/').any(|part| !is_name(part)) {
            let message =
                format!("found path {:?}, expected names of a-z, 0-9, - and _ with / between", time::cut(path));
            self.problem(at(document), "", message, None);
        }
        if document.value == Value::Null {
            return layer;
        }
        let entries = self.entries(document, "", "a map of keys");
        if document.line == 0
            && let Some((_, marks)) = entries.iter().find(|(key, _)| key.text == MARKS)
        {
            self.marks = read_marks(marks);
        }
        // Problems of where a layer holds point at what it covers.
        let covers = entries.iter().find(|(key, _)| key.text == "covers");
        layer.mark = self.mark(covers.map_or(at(document), |(key, _)| (key.line, key.column)), "covers");
        let (mut body, mut level) = (MapEdit::default(), None);
        for (key, node) in entries {
            let place = (key.line, key.column);
            match key.text.as_str() {
                "level" => level = self.level(node),
                "covers" => layer.covers = Some(self.covers(node)),
                "priority" => match node.value {
                    Value::Number(n) if n % 1.0 == 0.0 && (-1e9..=1e9).contains(&n) => layer.priority = n as i32,
                    _ => self.wrong(node, "priority", "a whole number"),
                },
                "lock" => layer.lock = self.lock(node),
                "bounds" => layer.bounds = self.bounds(node),
                "version" => layer.version = self.words(node, "version"),
                "author" => layer.author = self.words(node, "author"),
                "reason" => layer.reason = self.words(node, "reason"),
                MARKS if document.line == 0 => {}
                name => match KEYS.iter().find(|field| field.name == name) {
                    Some(field) => {
                        let edit = self.edit(place, node, name, field.form, &mut layer.plain);
                        body.children.extend(edit.map(|edit| (key.text.clone(), edit)));
                    }
                    None => {
                        let names: Vec<&str> = KEYS.iter().map(|field| field.name).chain(HEADER).collect();
                        self.unknown(key, name, &names, "key");
                    }
                },
            }
        }
        layer.body = Edit::Map(body);
        layer.level = self.settle(&layer, level, document);
        layer
    }

    /// The level stated, or the one that the path or the cover tells.
    fn settle(&mut self, layer: &Layer, stated: Option<Level>, document: &Node) -> Level {
        let told = Level::told(layer.own_path(), layer.covers.as_ref());
        let level = stated.unwrap_or(told);
        let fixed = matches!(told, Level::Global | Level::Arm) || matches!(level, Level::Global | Level::Arm);
        if fixed && level != told {
            let message = format!("found {}, expected {} of a layer with this path", level.name(), told.name());
            self.problem(at(document), "level", message, None);
            return told;
        }
        if fixed && layer.covers.is_some() {
            let message = format!("found on {}, which covers everything by its path", layer.path);
            self.problem(at(document), "covers", message, Some("leave it out".into()));
        }
        level
    }

    fn level(&mut self, node: &Node) -> Option<Level> {
        let level = match &node.value {
            Value::Text(text) => Level::ALL.into_iter().find(|level| level.name() == text),
            _ => None,
        };
        if level.is_none() {
            self.wrong(node, "level", "global, region, country, state, city or neighbourhood");
        }
        level
    }

    fn covers(&mut self, node: &Node) -> Covers {
        let mut covers = Covers::default();
        for (key, list) in self.entries(node, "covers", "a map of iso, places or cells") {
            let path = join("covers", &key.text);
            match key.text.as_str() {
                "iso" => {
                    let iso = self.each(list, &path, "as FI or US-NY (ISO 3166)", super::MAX_LIST, Iso::parse);
                    covers.iso = iso.into_iter().collect();
                }
                "places" => {
                    let parse = |text: &str| text.split('/').all(is_name).then(|| text.to_string());
                    let places = self.each(list, &path, "a path as fi/helsinki", super::MAX_LIST, parse);
                    covers.places = places.into_iter().collect();
                }
                "cells" => {
                    let cells = self.each(
                        list,
                        &path,
                        "an H3 cell as 871126d36ffffff",
                        super::MAX_CELLS,
                        super::cover::parse_cell,
                    );
                    covers.cells = Cells::new(cells);
                }
                _ => self.unknown(key, &path, &["iso", "places", "cells"], "cover"),
            }
        }
        if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
            self.problem(at(node), "covers", "found nothing, expected iso, places or cells".into(), None);
        }
        covers
    }

    /// The entries of a list of texts that all have one form.
    fn each<T>(
        &mut self,
        node: &Node,
        path: &str,
        expected: &str,
        most: usize,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Value::List(list) = &node.value else {
            self.wrong(node, path, &format!("a list, each {expected}"));
            return Vec::new();
        };
        if list.len() > most {
            self.problem(at(node), path, format!("found {} entries, expected at most {most}", list.len()), None);
            return Vec::new();
        }
        let mut entries = Vec::with_capacity(list.len());
        for entry in list {
            match &entry.value {
                Value::Text(text) if parse(text).is_some() => entries.extend(parse(text)),
                _ => self.wrong(entry, path, expected),
            }
        }
        entries
    }

    fn lock(&mut self, node: &Node) -> Vec<(String, Mark)> {
        let Value::List(list) = &node.value else {
            self.wrong(node, "lock", "a list of keys, as [slots, fallback.url]");
            return Vec::new();
        };
        let mut locks = Vec::new();
        for entry in list.iter().take(MAX_LIST) {
            match &entry.value {
                // A list is locked whole, and what is locked has a name: entries and patterns are no locks.
                Value::Text(key) if !key.contains(['[', '*']) && super::schema::form(KEYS, key).is_some() => {
                    let mark = self.mark(at(entry), &format!("lock[{key}]"));
                    locks.push((key.clone(), mark));
                }
                Value::Text(key) => {
                    let names: Vec<&str> = KEYS.iter().map(|field| field.name).collect();
                    let hint = nearest(key, names.iter().copied()).map(|name| format!("did you mean {name}?"));
                    let message = format!("found {:?}, expected a key or the path of a leaf", time::cut(key));
                    self.problem(at(entry), "lock", message, hint);
                }
                _ => self.wrong(entry, "lock", "a key, as slots"),
            }
        }
        locks
    }

    fn bounds(&mut self, node: &Node) -> Vec<Bound> {
        let mut bounds = Vec::new();
        for (key, range) in self.entries(node, "bounds", "a map of keys to {min, max}") {
            let path = join("bounds", &key.text);
            let form = super::schema::form(KEYS, &key.text);
            if !matches!(form, Some(Form::Whole(..) | Form::Real(..) | Form::Above0(_))) {
                let message = "found a bound on what is no number".to_string();
                self.problem((key.line, key.column), &path, message, Some("as slots or boosts.*.factor".into()));
                continue;
            }
            let mark = self.mark((key.line, key.column), &path);
            let mut bound = Bound { key: key.text.clone(), min: None, max: None, mark };
            for (end, value) in self.entries(range, &path, "{min, max}") {
                match (end.text.as_str(), &value.value) {
                    ("min", Value::Number(n)) if n.is_finite() => bound.min = Some(*n),
                    ("max", Value::Number(n)) if n.is_finite() => bound.max = Some(*n),
                    ("min" | "max", _) => self.wrong(value, &join(&path, &end.text), "a number"),
                    _ => self.unknown(end, &join(&path, &end.text), &["min", "max"], "bound"),
                }
            }
            if let (Some(min), Some(max)) = (bound.min, bound.max)
                && min > max
            {
                self.problem(at(range), &path, format!("found min {min} above max {max}"), None);
                continue;
            }
            bounds.push(bound);
        }
        bounds
    }

    fn words(&mut self, node: &Node, key: &str) -> Option<String> {
        match &node.value {
            Value::Text(text) if text.len() <= MAX_TEXT => return Some(text.clone()),
            // YAML reads `version: 3` as a number.
            Value::Number(number) => return Some(format!("{number}")),
            Value::Null => {}
            _ => self.wrong(node, key, "a text"),
        }
        None
    }

    fn edit(&mut self, place: At, node: &Node, path: &str, form: Form, plain: &mut Set<String>) -> Option<Edit> {
        let place = if node.line == 0 { place } else { at(node) };
        if node.value == Value::Null {
            return Some(Edit::Unset(self.mark(place, path)));
        }
        match form {
            Form::Texts | Form::Words(_) | Form::Sequence => self.list(place, node, path, form, plain),
            Form::Record(fields) => self.record(node, path, fields, plain),
            Form::Table(least, most) => {
                let mut map = MapEdit::default();
                for (key, child) in self.entries(node, path, "a map") {
                    let path = join(path, &key.text);
                    if !self.is_id(key, &path) {
                        continue;
                    }
                    let edit = self.edit((key.line, key.column), child, &path, Form::Whole(least, most), plain);
                    map.children.extend(edit.map(|edit| (key.text.clone(), edit)));
                }
                Some(Edit::Map(map))
            }
            Form::Things { fields, by_merchant } => self.things(node, path, fields, by_merchant, plain),
            _ => {
                let leaf = self.leaf(node, path, form)?;
                Some(Edit::Set { leaf, mark: self.mark(place, path) })
            }
        }
    }

    fn leaf(&mut self, node: &Node, path: &str, form: Form) -> Option<Leaf> {
        let number = |n: f64, inside: bool| inside.then_some(Leaf::Number(n));
        let leaf = match (form, &node.value) {
            (Form::Flag | Form::Stays, Value::Bool(flag)) => Some(Leaf::Bool(*flag)),
            (Form::Text, Value::Text(text)) if text.len() <= MAX_TEXT => Some(Leaf::Text(text.clone())),
            (Form::Program, Value::Text(text)) if Program::read(text).is_ok() => Some(Leaf::Text(text.clone())),
            (Form::Time, Value::Text(text)) if time::parse(text).is_ok() => Some(Leaf::Text(text.clone())),
            (Form::Word(words), Value::Text(text)) if words.contains(&text.as_str()) => Some(Leaf::Text(text.clone())),
            (Form::Whole(least, most), Value::Number(n)) => {
                number(*n, n % 1.0 == 0.0 && (f64::from(least)..=f64::from(most)).contains(n))
            }
            (Form::Real(least, most), Value::Number(n)) => number(*n, (least..=most).contains(n)),
            (Form::Above0(most), Value::Number(n)) => number(*n, *n > 0.0 && *n <= most),
            _ => None,
        };
        if leaf.is_none() {
            let hint = match (form, &node.value) {
                (Form::Word(words), Value::Text(text)) => {
                    nearest(text, words.iter().copied()).map(|word| format!("did you mean {word}?"))
                }
                (Form::Text | Form::Time, Value::Number(_) | Value::Bool(_)) => Some("put quotes around it".into()),
                (Form::Program, _) => Some("leave it out, and publish anew".into()),
                _ => None,
            };
            let message = format!("found {}, expected {}", found(&node.value), expected(form));
            self.problem(at(node), path, message, hint);
        }
        leaf
    }

    fn record(&mut self, node: &Node, path: &str, fields: &'static [Field], plain: &mut Set<String>) -> Option<Edit> {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        let mut map = MapEdit::default();
        for (key, child) in self.entries(node, path, &format!("a map of {}", names.join(", "))) {
            let path = join(path, &key.text);
            match fields.iter().find(|field| field.name == key.text) {
                Some(field) => {
                    let edit = self.edit((key.line, key.column), child, &path, field.form, plain);
                    map.children.extend(edit.map(|edit| (key.text.clone(), edit)));
                }
                None => self.unknown(key, &path, &names, "field"),
            }
        }
        Some(Edit::Map(map))
    }

    /// Things by their id, written as a list or as a map.
    fn things(
        &mut self,
        node: &Node,
        path: &str,
        fields: &'static [Field],
        by_merchant: bool,
        plain: &mut Set<String>,
    ) -> Option<Edit> {
        let mut map = MapEdit::default();
        match &node.value {
            Value::Map(entries) => {
                self.entries(node, path, "things by their id");
                self.at_most(node, path, entries.len());
                for (key, thing) in entries.iter().take(MAX_LIST) {
                    let path = join(path, &key.text);
                    if !self.is_id(key, &path) {
                        continue;
                    }
                    let edit = if thing.value == Value::Null {
                        Some(Edit::Unset(self.mark((key.line, key.column), &path)))
                    } else {
                        self.record(thing, &path, fields, plain)
                    };
                    map.children.extend(edit.map(|edit| (key.text.clone(), edit)));
                }
            }
            Value::List(things) => {
                self.at_most(node, path, things.len());
                for (i, thing) in things.iter().take(MAX_LIST).enumerate() {
                    self.thing(thing, path, i, fields, by_merchant, plain, &mut map);
                }
            }
            _ => self.wrong(node, path, "a list of things with an id, or a map by id"),
        }
        Some(Edit::Map(map))
    }

    #[allow(clippy::too_many_arguments)]
    fn thing(
        &mut self,
        thing: &Node,
        path: &str,
        i: usize,
        fields: &'static [Field],
        by_merchant: bool,
        plain: &mut Set<String>,
        map: &mut MapEdit,
    ) {
        let nth = format!("{path}[{i}]");
        let Value::Map(entries) = &thing.value else {
            self.wrong(thing, &nth, "a map with an id");
            return;
        };
        let of = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node);
        let known = of("id").or_else(|| of("merchant").filter(|_| by_merchant));
        let Some(Node { value: Value::Text(id), line, column }) = known else {
            let expected = if by_merchant { "an id or a merchant" } else { "an id" };
            let (message, hint) = match known {
                Some(node) => (format!("found {}, expected a text", found(&node.value)), "put quotes around it"),
                None => (format!("found no id, expected {expected}"), "things merge by their id, never by position"),
            };
            self.problem(at(known.unwrap_or(thing)), &nth, message, Some(hint.into()));
            return;
        };
        let key = Key { text: id.clone(), line: *line, column: *column };
        let path = join(path, id);
        if !self.is_id(&key, &path) {
            return;
        }
        if map.children.contains_key(id) {
            self.problem((*line, *column), &path, "found twice, expected once".into(), None);
            return;
        }
        let edit = match of("remove").map(|node| &node.value) {
            None => {
                let own = entries.iter().filter(|(key, _)| key.text != "id").cloned().collect();
                self.record(&Node { value: Value::Map(own), ..*thing }, &path, fields, plain)
            }
            Some(Value::Bool(true)) => {
                if let Some((key, _)) =
                    entries.iter().find(|(key, _)| !["id", "merchant", "remove"].contains(&key.text.as_str()))
                {
                    let message = format!("found {} beside remove, expected the id alone", key.text);
                    self.problem((key.line, key.column), &path, message, None);
                }
                Some(Edit::Unset(self.mark(at(thing), &path)))
            }
            Some(_) => {
                self.problem(at(thing), &path, "found remove without true".into(), Some("remove: true".into()));
                None
            }
        };
        map.children.extend(edit.map(|edit| (id.clone(), edit)));
    }

    fn list(&mut self, place: At, node: &Node, path: &str, form: Form, plain: &mut Set<String>) -> Option<Edit> {
        if let Value::List(_) = node.value {
            if form != Form::Sequence {
                plain.insert(path.into());
            }
            let entries = self.texts(node, path, form);
            return Some(Edit::List(ListEdit::set(entries, self.mark(place, path))));
        }
        let mut edit = ListEdit { base: Base::Below, remove: Map::new(), prepend: Vec::new(), append: Vec::new() };
        let (mut set, mut edited, mut seen) = (None, false, Set::new());
        let ways: &[&str] = if form == Form::Sequence { &["set"] } else { &["set", "append", "prepend", "remove"] };
        for (key, list) in self.entries(node, path, "a list, or a map of set, append, prepend, remove") {
            let whole = join(path, &key.text);
            if !ways.contains(&key.text.as_str()) {
                self.unknown(key, &whole, ways, "way to edit this list");
                continue;
            }
            // Marks are those of the entries, whichever way they came in.
            let entries = self.texts(list, path, form);
            if key.text != "set" {
                edited = true;
                for entry in &entries {
                    if !seen.insert(entry.text.clone()) {
                        let message = format!("found {:?} twice, expected once", time::cut(&entry.text));
                        self.problem((entry.mark.line, entry.mark.column), path, message, None);
                    }
                }
            }
            match key.text.as_str() {
                "set" => set = Some(ListEdit::set(entries, self.mark(place, path))),
                "append" => edit.append = entries,
                "prepend" => edit.prepend = entries,
                _ => edit.remove = entries.into_iter().map(|entry| (entry.text, entry.mark)).collect(),
            }
        }
        match (set, edited) {
            (Some(_), true) => {
                let hint = "say what the list is, or what changes in it".to_string();
                self.problem(place, path, "found set beside append, prepend or remove".into(), Some(hint));
                None
            }
            (Some(set), false) => Some(Edit::List(set)),
            (None, true) => {
                // What was said twice is an error already; the edit still has to be in its normal form.
                let mut named: Set<String> = Set::new();
                edit.prepend.retain(|entry| named.insert(entry.text.clone()));
                edit.append.retain(|entry| named.insert(entry.text.clone()));
                edit.remove.retain(|text, _| !named.contains(text));
                Some(Edit::List(edit))
            }
            (None, false) => None,
        }
    }

    /// The texts of a list, each once unless it is a sequence.
    fn texts(&mut self, node: &Node, path: &str, form: Form) -> Vec<Entry> {
        let Value::List(list) = &node.value else {
            self.wrong(node, path, "a list");
            return Vec::new();
        };
        self.at_most(node, path, list.len());
        let (mut entries, mut seen): (Vec<Entry>, _) = (Vec::new(), Set::new());
        for entry in list.iter().take(MAX_LIST) {
            let leaf = match form {
                Form::Words(words) => self.leaf(entry, path, Form::Word(words)),
                _ => self.leaf(entry, path, Form::Text),
            };
            let Some(Leaf::Text(text)) = leaf else { continue };
            let named =
                if form == Form::Sequence { format!("{path}[{}]", entries.len()) } else { format!("{path}[{text}]") };
            if form != Form::Sequence && !seen.insert(text.clone()) {
                let message = format!("found {:?} twice, expected once", time::cut(&text));
                self.problem(at(entry), path, message, None);
                continue;
            }
            let mark = self.mark(at(entry), &named);
            entries.push(Entry { text, mark });
        }
        entries
    }

    fn at_most(&mut self, node: &Node, path: &str, n: usize) {
        if n > MAX_LIST {
            self.problem(at(node), path, format!("found {n} entries, expected at most {MAX_LIST}"), None);
        }
    }

    fn is_id(&mut self, key: &Key, path: &str) -> bool {
        let fine = !key.text.is_empty() && key.text.len() <= 200;
        if !fine {
            let message = format!("found an id of {} bytes, expected 1 to 200", key.text.len());
            self.problem((key.line, key.column), path, message, None);
        }
        fine
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

/// A part of a layer's path.
fn is_name(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn read_marks(node: &Node) -> Map<String, At> {
    let Value::Map(entries) = &node.value else {
        return Map::new();
    };
    let place = |node: &Node| match &node.value {
        Value::List(pair) => match pair.as_slice() {
            [Node { value: Value::Number(line), .. }, Node { value: Value::Number(column), .. }] => {
                Some((*line as u32, *column as u32))
            }
            _ => None,
        },
        _ => None,
    };
    entries.iter().filter_map(|(key, node)| Some((key.text.clone(), place(node)?))).collect()
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => format!("{:?}", time::cut(text)),
        Value::List(list) => format!("a list of {}", list.len()),
        Value::Map(map) => format!("a map of {}", map.len()),
    }
}

/// A form in words.
fn expected(form: Form) -> String {
    match form {
        Form::Flag | Form::Stays => "true or false".into(),
        Form::Text => format!("a text of at most {MAX_TEXT} bytes"),
        Form::Program => "the rule program that publishing writes".into(),
        Form::Time => "an RFC 3339 time from 1970 to 2099, as 2026-11-20T12:00:00+02:00".into(),
        Form::Whole(least, most) => format!("a whole number from {least} to {most}"),
        Form::Real(least, most) => format!("{least} to {most}"),
        Form::Above0(most) => format!("above 0 and at most {most}"),
        Form::Word(words) => format!("one of {}", words.join(", ")),
        Form::Texts | Form::Words(_) | Form::Sequence => "a list".into(),
        Form::Table(..) | Form::Record(_) => "a map".into(),
        Form::Things { .. } => "a list of things with an id, or a map by id".into(),
    }
}

impl Layer {
    /// A layer that says nothing.
    #[must_use]
    pub fn empty(path: &str) -> Self {
        Self {
            path: path.into(),
            level: Level::told(path.strip_prefix(DEFAULTS).unwrap_or(path), None),
            covers: None,
            priority: 0,
            mark: Mark { layer: path.into(), line: 0, column: 0 },
            lock: Vec::new(),
            bounds: Vec::new(),
            version: None,
            author: None,
            reason: None,
            body: Edit::default(),
            plain: Set::new(),
        }
    }

    /// A layer in the same place that says nothing.
    #[must_use]
    pub fn header(&self) -> Self {
        let Self { level, covers, priority, mark, .. } = self.clone();
        Self { level, covers, priority, mark, ..Self::empty(&self.path) }
    }

    /// The path in its tree: `fi/helsinki`, also of `defaults/fi/helsinki`.
    #[must_use]
    pub fn own_path(&self) -> &str {
        self.path.strip_prefix(DEFAULTS).unwrap_or(&self.path)
    }

    /// Whether it belongs to the tree below all campaigns.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.path.starts_with(DEFAULTS)
    }

    /// Which arm's it is.
    #[must_use]
    pub fn arm(&self) -> Option<&str> {
        self.own_path().strip_prefix(ARMS)
    }

    /// Whether it covers everything.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.own_path() == GLOBAL
    }
}

/// The published form: what a person would write, and where each thing was said.
impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let told = Level::told(self.own_path(), self.covers.as_ref());
        if self.level != told {
            map.serialize_entry("level", self.level.name())?;
        }
        if let Some(covers) = &self.covers {
            map.serialize_entry("covers", covers)?;
        }
        if self.priority != 0 {
            map.serialize_entry("priority", &self.priority)?;
        }
        if !self.lock.is_empty() {
            map.serialize_entry("lock", &self.lock.iter().map(|(key, _)| key).collect::<Vec<_>>())?;
        }
        if !self.bounds.is_empty() {
            let bounds: Map<&str, Limits> =
                self.bounds.iter().map(|b| (b.key.as_str(), Limits { min: b.min, max: b.max })).collect();
            map.serialize_entry("bounds", &bounds)?;
        }
        for (key, text) in [("version", &self.version), ("author", &self.author), ("reason", &self.reason)] {
            if let Some(text) = text {
                map.serialize_entry(key, text)?;
            }
        }
        for (key, edit) in self.body.children().into_iter().flatten() {
            map.serialize_entry(key, &Written { edit, plain: self.plain.contains(key) || key == "pattern" })?;
        }
        let marks = self.marks();
        if !marks.is_empty() {
            map.serialize_entry(MARKS, &marks)?;
        }
        map.end()
    }
}

impl Layer {
    /// Line and column of everything said, by its path.
    fn marks(&self) -> Map<String, At> {
        let mut marks = Map::new();
        let mut say = |path: String, mark: &Mark| {
            if mark.line > 0 {
                marks.insert(path, (mark.line, mark.column));
            }
        };
        say("covers".into(), &self.mark);
        self.lock.iter().for_each(|(key, mark)| say(format!("lock[{key}]"), mark));
        self.bounds.iter().for_each(|bound| say(format!("bounds.{}", bound.key), &bound.mark));
        self.body.walk(&mut String::new(), &mut |path, edit| match edit {
            Edit::Set { mark, .. } | Edit::Unset(mark) => say(path.into(), mark),
            Edit::List(list) => {
                if let Base::Set(mark) = &list.base {
                    say(path.into(), mark);
                }
                for (i, entry) in list.prepend.iter().chain(&list.append).enumerate() {
                    let named =
                        if path == "pattern" { format!("{path}[{i}]") } else { format!("{path}[{}]", entry.text) };
                    say(named, &entry.mark);
                }
                list.remove.iter().for_each(|(text, mark)| say(format!("{path}[{text}]"), mark));
            }
            Edit::Map(_) => {}
        });
        marks
    }
}

#[derive(Serialize)]
struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
}

impl Serialize for Covers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.iso.is_empty() {
            map.serialize_entry("iso", &self.iso.iter().map(Iso::code).collect::<Vec<_>>())?;
        }
        if !self.places.is_empty() {
            map.serialize_entry("places", &self.places)?;
        }
        if self.cells != Cells::default() {
            map.serialize_entry("cells", &self.cells.iter().map(|cell| cell.to_string()).collect::<Vec<_>>())?;
        }
        map.end()
    }
}

/// An edit as a person would write it.
struct Written<'e> {
    edit: &'e Edit,
    plain: bool,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = |n: &f64| n % 1.0 == 0.0 && (-1e15..=1e15).contains(n);
        match self.edit {
            Edit::Set { leaf: Leaf::Bool(flag), .. } => serializer.serialize_bool(*flag),
            Edit::Set { leaf: Leaf::Number(n), .. } if whole(n) => serializer.serialize_i64(*n as i64),
            Edit::Set { leaf: Leaf::Number(n), .. } => serializer.serialize_f64(*n),
            Edit::Set { leaf: Leaf::Text(text), .. } => serializer.serialize_str(text),
            Edit::Unset(_) => serializer.serialize_unit(),
            Edit::List(list) => {
                let texts = |entries: &[Entry]| entries.iter().map(|entry| entry.text.clone()).collect::<Vec<_>>();
                if matches!(list.base, Base::Set(_)) && self.plain {
                    return texts(&list.append).serialize(serializer);
                }
                let mut map = serializer.serialize_map(None)?;
                if matches!(list.base, Base::Set(_)) {
                    map.serialize_entry("set", &texts(&list.append))?;
                } else {
                    for (key, entries) in [("append", &list.append), ("prepend", &list.prepend)] {
                        if !entries.is_empty() {
                            map.serialize_entry(key, &texts(entries))?;
                        }
                    }
                    if !list.remove.is_empty() {
                        map.serialize_entry("remove", &list.remove.keys().collect::<Vec<_>>())?;
                    }
                }
                map.end()
            }
            Edit::Map(map) => serializer
                .collect_map(map.children.iter().map(|(key, edit)| (key, Written { edit, plain: self.plain }))),
        }
    }
}
