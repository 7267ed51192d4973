//! YAML becomes a tree in which every key and every value knows its line and column.
//!
//! The tree is YAML 1.2's core schema without what lets two readers differ: no anchors, aliases, tags or merge keys,
//! no key twice, and no plain scalar that YAML 1.1 reads otherwise (`no` is Norway to one reader and false to another).

use super::Fault;
use freshrank::campaign::author::{Key, Node, Value};
use granit_parser::{Event, Marker, Parser, ScalarStyle, Span};
use std::collections::BTreeMap;

/// Bytes of one file.
pub const MAX_BYTES: usize = 1 << 20;
/// Lists and maps within each other.
pub const MAX_DEPTH: usize = 16;
/// Keys and values of one file.
pub const MAX_NODES: usize = 50_000;

/// Instead of anchors, aliases and merge keys.
const SHARED: &str = "write the value itself; what several layers share belongs into the layer above them";

/// Reads a file's bytes; what can be read comes back beside whatever is wrong.
#[must_use]
pub fn read(bytes: &[u8]) -> (Option<Node>, Vec<Fault>) {
    if bytes.len() > MAX_BYTES {
        let message = format!("found {} bytes, at most {MAX_BYTES} are read", bytes.len());
        return (None, vec![Fault::at(1, 1, message, "split the layer, or move long lists into the tables")]);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
            let message = "found bytes that are not UTF-8".to_owned();
            return (None, vec![Fault::at(line, column, message, "save the file as UTF-8")]);
        }
    };
    let mut options = granit_parser::options! {
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    options.set_emit_comments(false);
    let mut tree = Tree { parser: Parser::new_from_str_with_options(text, options), nodes: 0, faults: Vec::new() };
    let root = match tree.document() {
        Ok(root) => root,
        Err(fault) => {
            tree.faults.push(fault);
            None
        }
    };
    (root, tree.faults)
}

struct Tree<'text> {
    parser: Parser<'text, granit_parser::StrInput<'text>>,
    nodes: usize,
    faults: Vec<Fault>,
}

/// What stops a file: after it, positions could no longer be trusted.
type Step<T> = Result<T, Fault>;

impl<'text> Tree<'text> {
    fn document(&mut self) -> Step<Option<Node>> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "found a second document, expected one layer a file".to_owned();
                    return Err(fault(span.start, message, "give the second document a file of its own"));
                }
                Event::DocumentStart(..) => {}
                Event::Anchor(_, name) => self.refuse_anchor(&name, span.start),
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Step<Option<(Event<'text>, Span)>> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(next)) => Ok(Some(next)),
            Some(Err(error)) => {
                let hint = "YAML indents by spaces, and wants quotes around a text with `: ` or ` #` in it";
                Err(fault(*error.marker(), format!("this is not YAML: {}", error.info()), hint))
            }
        }
    }

    /// The next event of the tree itself; refuses the anchors on the way.
    fn next_in_tree(&mut self, from: Marker) -> Step<(Event<'text>, Span)> {
        loop {
            match self.next()? {
                Some((Event::Anchor(_, name), span)) => self.refuse_anchor(&name, span.start),
                Some(next) => return Ok(next),
                None => return Err(fault(from, "the file ends inside a list or a map".to_owned(), "close it")),
            }
        }
    }

    fn refuse_anchor(&mut self, name: &str, at: Marker) {
        let message = format!("found the anchor `&{name}`, which layers do not use");
        self.faults.push(fault(at, message, SHARED));
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: usize) -> Step<Node> {
        self.nodes += 1;
        let start = span.start;
        if self.nodes > MAX_NODES {
            let message = format!("found more than {MAX_NODES} keys and values in one file");
            return Err(fault(start, message, "split the layer"));
        }
        if depth > MAX_DEPTH {
            let message = format!("found more than {MAX_DEPTH} lists and maps within each other");
            return Err(fault(start, message, "no key of a layer is that deep: look at the indentation"));
        }
        if let Some(tag) = event.tag() {
            let message = format!("found the tag `{}`, which layers do not use", tag.original());
            self.faults.push(fault(span.tag_start().unwrap_or(start), message, "quotes alone make a text"));
        }
        let value = match event {
            Event::Scalar(text, style, ..) => self.scalar(&text, style, start),
            Event::SequenceStart(..) => self.list(start, depth)?,
            Event::MappingStart(..) => self.map(start, depth)?,
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let message = "found an alias, which layers do not use".to_owned();
                self.faults.push(fault(start, message, SHARED));
                Value::Null
            }
            _ => Value::Null,
        };
        Ok(Node { line: line(start), column: column(start), value })
    }

    fn list(&mut self, start: Marker, depth: usize) -> Step<Value> {
        let mut list = Vec::new();
        loop {
            match self.next_in_tree(start)? {
                (Event::SequenceEnd, _) => return Ok(Value::List(list)),
                (event, span) => list.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, start: Marker, depth: usize) -> Step<Value> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        loop {
            let (event, span) = self.next_in_tree(start)?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(map)),
                event => self.key(event, span, depth)?,
            };
            let (event, span) = self.next_in_tree(start)?;
            let value = self.node(event, span, depth + 1)?;
            let Some(key) = key else { continue };
            match seen.get(&key.text) {
                Some(first) => {
                    let message = format!("found `{}` a second time, first in line {first}", key.text);
                    let hint = "keep one of the two: which one counts would depend on the reader";
                    self.faults.push(Fault::at(key.line as usize, key.column as usize, message, hint));
                }
                None => {
                    seen.insert(key.text.clone(), key.line);
                    map.push((key, value));
                }
            }
        }
    }

    /// A key; `None` where it cannot be one, which the faults say.
    fn key(&mut self, event: Event<'text>, span: Span, depth: usize) -> Step<Option<Key>> {
        let start = span.start;
        if let Event::Scalar(text, style, ..) = &event
            && *style == ScalarStyle::Plain
            && text == "<<"
        {
            let message = "found the merge key `<<`, which layers do not use".to_owned();
            self.faults.push(fault(start, message, SHARED));
            return Ok(None);
        }
        let text = match &event {
            Event::Scalar(text, ..) => Some(text.to_string()),
            _ => None,
        };
        // A plain number is a fine key: it is read as the text that stands there.
        let is_number = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if number(text).is_some());
        let node = if is_number { None } else { Some(self.node(event, span, depth + 1)?) };
        let is_text = node.is_none_or(|node| matches!(node.value, Value::Text(_)));
        match text {
            Some(text) if is_text => Ok(Some(Key { text, line: line(start), column: column(start) })),
            text => {
                let found = text.map_or_else(|| "a list or a map".to_owned(), |text| format!("`{text}`"));
                self.faults.push(fault(
                    start,
                    format!("found {found} as a key, expected a text"),
                    "put quotes around it",
                ));
                Ok(None)
            }
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, start: Marker) -> Value {
        if style != ScalarStyle::Plain {
            return Value::Text(text.to_owned());
        }
        if let Some(other) = differs(text) {
            let message = format!("found `{text}` without quotes, which {other}");
            let hint = match text.to_ascii_lowercase().as_str() {
                "no" | "off" => format!("write \"{text}\" for the text, false for the switch"),
                "yes" | "on" => format!("write \"{text}\" for the text, true for the switch"),
                _ => format!("write \"{text}\" for the text, or the number in plain decimals"),
            };
            self.faults.push(fault(start, message, &hint));
            return Value::Text(text.to_owned());
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            text => match number(text) {
                Some(number) => Value::Number(number),
                None => Value::Text(text.to_owned()),
            },
        }
    }
}

/// YAML 1.2's core schema: decimals with an optional exponent.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts = digits.strip_prefix('.').unwrap_or(digits).starts_with(|c: char| c.is_ascii_digit());
    let only = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    if starts && only { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// How another reader would take a plain scalar; `None` where all agree.
fn differs(text: &str) -> Option<&'static str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    match text {
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off" | "OFF" => {
            Some("YAML 1.1 reads as a switch and YAML 1.2 as a text")
        }
        _ if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some("YAML 1.1 reads as octal and YAML 1.2 as decimal")
        }
        _ if digits.starts_with("0x")
            && digits.len() > 2
            && digits[2..].bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            Some("some readers take for a number and some for a text")
        }
        _ if digits.starts_with("0o") && digits.len() > 2 && digits[2..].bytes().all(|byte| byte.is_ascii_digit()) => {
            Some("some readers take for a number and some for a text")
        }
        _ if matches!(digits.to_ascii_lowercase().as_str(), ".inf" | ".nan") => {
            Some("is no number that a layer can use")
        }
        _ if digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_' || byte == b':')
            && digits.bytes().any(|byte| !byte.is_ascii_digit()) =>
        {
            Some("YAML 1.1 reads as a number and YAML 1.2 as a text")
        }
        _ => None,
    }
}

fn fault(at: Marker, message: String, hint: &str) -> Fault {
    Fault::at(at.line(), at.col() + 1, message, hint)
}

fn line(at: Marker) -> u32 {
    u32::try_from(at.line()).unwrap_or(u32::MAX)
}

fn column(at: Marker) -> u32 {
    u32::try_from(at.col() + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as a person would write it, each value with its line and column.
    fn said(node: &Node) -> String {
        let value = match &node.value {
            Value::Null => "null".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(list) => format!("[{}]", list.iter().map(said).collect::<Vec<_>>().join(", ")),
            Value::Map(map) => {
                let entry =
                    |(key, node): &(Key, Node)| format!("{}@{}:{} = {}", key.text, key.line, key.column, said(node));
                format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
        };
        format!("{value}@{}:{}", node.line, node.column)
    }

    fn tree(text: &str) -> String {
        let (root, faults) = read(text.as_bytes());
        assert_eq!(faults, [], "{text}");
        root.as_ref().map_or_else(|| "nothing".to_owned(), said)
    }

    fn faults(text: &str) -> Vec<String> {
        read(text.as_bytes())
            .1
            .iter()
            .map(|fault| format!("{}:{}: {}", fault.line, fault.column, fault.message))
            .collect()
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        assert_eq!(
            tree("title: Mitä\nslots: 4\nexclude:\n  - a\n  - 'b'\nfallback: {text: x, url: \"\"}\n"),
            "{title@1:1 = \"Mitä\"@1:8, slots@2:1 = 4@2:8, exclude@3:1 = [\"a\"@4:5, \"b\"@5:5]@4:3, \
             fallback@6:1 = {text@6:12 = \"x\"@6:18, url@6:21 = \"\"@6:26}@6:11}@1:1"
        );
        assert_eq!(tree("# nothing yet\n"), "nothing");
        assert_eq!(tree("\u{feff}a: ~\r\nb: -1.5e3\r\n"), "{a@1:1 = null@1:4, b@2:1 = -1500@2:4}@1:1");
    }

    #[test]
    fn scalars_are_those_of_yaml_1_2() {
        for (text, value) in [
            ("true", "true"),
            ("'true'", "\"true\""),
            ("null", "null"),
            (".5", "0.5"),
            ("1e3", "1000"),
            ("+4", "4"),
            ("2026-10-23T05:00:00Z", "\"2026-10-23T05:00:00Z\""),
            ("871126d31ffffff", "\"871126d31ffffff\""),
            ("nan", "\"nan\""),
            ("1.2.3", "\"1.2.3\""),
            ("e5", "\"e5\""),
            ("y", "\"y\""),
            ("chain:burger", "\"chain:burger\""),
            ("|\n  two\n  lines", "\"two\\nlines\\n\""),
        ] {
            let said = tree(&format!("a: {text}"));
            assert!(said.starts_with(&format!("{{a@1:1 = {value}@")), "{text}: {said}");
        }
    }

    #[test]
    fn what_readers_take_differently_is_refused_where_it_stands() {
        for (text, message) in [
            ("id: no", "1:5: found `no` without quotes, which YAML 1.1 reads as a switch and YAML 1.2 as a text"),
            ("[SE, NO]", "1:6: found `NO` without quotes, which YAML 1.1 reads as a switch and YAML 1.2 as a text"),
            ("id: 0123", "1:5: found `0123` without quotes, which YAML 1.1 reads as octal and YAML 1.2 as decimal"),
            ("id: 12:30", "1:5: found `12:30` without quotes, which YAML 1.1 reads as a number and YAML 1.2 as a text"),
            ("a: .inf", "1:4: found `.inf` without quotes, which is no number that a layer can use"),
            ("on: 1", "1:1: found `on` without quotes, which YAML 1.1 reads as a switch and YAML 1.2 as a text"),
            ("true: 1", "1:1: found `true` as a key, expected a text"),
            ("[1]: 1", "1:1: found a list or a map as a key, expected a text"),
            ("a: 1\nb: 2\na: 3", "3:1: found `a` a second time, first in line 1"),
            ("a: &x 1", "1:4: found the anchor `&x`, which layers do not use"),
            ("a: *x", "1:4: found an alias, which layers do not use"),
            ("a: !!str 1", "1:4: found the tag `!!str`, which layers do not use"),
            ("<<: {a: 1}", "1:1: found the merge key `<<`, which layers do not use"),
            ("a: 1\n---\nb: 1", "2:1: found a second document, expected one layer a file"),
        ] {
            assert_eq!(faults(text), [message], "{text}");
        }
        assert!(faults("a: [1\nb: 2").concat().contains("this is not YAML: "));
        assert!(faults("%YAML 1.1\n---\na: no").concat().contains("this is not YAML: "));
        assert_eq!(read(b"a: 1\nb: \xff").1[0].line, 2);
    }

    #[test]
    fn several_faults_of_one_file_are_told_at_once() {
        assert_eq!(faults("a: no\nb: &x 1\nc: *x\na: 2\n").len(), 4);
    }

    #[test]
    fn no_file_grows_beyond_its_limits() {
        let deep = "[".repeat(MAX_DEPTH + 2);
        assert!(faults(&deep).concat().contains("this is not YAML"));
        let nested = (0..MAX_DEPTH + 2).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
        assert!(!faults(&nested).is_empty());
        let wide = format!("a: [{}]", "1,".repeat(MAX_NODES));
        assert!(faults(&wide).concat().contains("more than 50000 keys and values"));
        // A billion laughs: the alias is refused, and nothing of it is built.
        let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        assert_eq!(faults(laughs).len(), 6);
        assert!(faults(&" ".repeat(MAX_BYTES + 1)).concat().contains("at most 1048576 are read"));
    }
}
