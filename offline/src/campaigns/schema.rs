//! The JSON Schema of a layer's file, for editors: from the same table that layers are read by.
//!
//! Draft 7, which editors' YAML servers know. A file names it in its first line:
//! `# yaml-language-server: $schema=../layer.schema.json`.

use freshrank::campaign::cover::Level;
use freshrank::campaign::schema::{Field, Follows, Form, MAX_TEXT};
use freshrank::campaign::{KEYS, MAX_LIST};
use serde_json::{Map, Value, json};

/// Bytes of an id.
const MAX_ID: usize = 200;

/// The text of `campaigns/layer.schema.json`.
#[must_use]
pub fn text() -> String {
    let mut properties = header();
    properties.extend(fields(KEYS));
    let document = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A layer of a freshrank campaign",
        "description": "A key that is absent is left to the layers above; null takes back what they said.",
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": properties,
    });
    // Plain maps and finite numbers: this cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

/// Where a layer holds, what it holds fast, and who wrote it.
fn header() -> Map<String, Value> {
    let levels: Vec<&str> = Level::ALL.iter().map(|level| level.name()).collect();
    let keys: Vec<&str> = KEYS.iter().map(|field| field.name).collect();
    let list = |about: &str, entry: Value| json!({ "description": about, "type": "array", "items": entry });
    let words =
        |about: &str| json!({ "description": about, "type": ["string", "number", "null"], "maxLength": MAX_TEXT });
    let number = json!({ "type": "number" });
    let header = json!({
        "level": { "description": "How deep it lies; told by its path or its cover where it is absent.", "enum": levels },
        "covers": {
            "description": "Where it holds; its path alone where it is absent.",
            "type": "object",
            "additionalProperties": false,
            "minProperties": 1,
            "properties": {
                "iso": list("Countries and states by ISO 3166.", json!({ "type": "string", "pattern": "^[A-Z]{2}(-[A-Z0-9]{1,3})?$" })),
                "places": list("Paths of places, as fi/helsinki.", json!({ "type": "string" })),
                "cells": list("H3 cells.", json!({ "type": "string", "pattern": "^8[0-9a-f]{14}$" })),
                "polygon": {
                    "description": "A GeoJSON file beside this one, or several; turned into cells when it is read.",
                    "anyOf": [{ "type": "string" }, { "type": "array", "minItems": 1, "items": { "type": "string" } }],
                },
            },
        },
        "priority": { "description": "Of two layers of a level that cover one place, the higher lies on top.", "type": "integer" },
        "lock": list("Keys that no deeper layer may touch, as slots or fallback.url.", json!({
            "anyOf": [{ "enum": keys }, { "type": "string", "pattern": "[.\\[]" }],
        })),
        "bounds": {
            "description": "Between which numbers deeper layers may set a key, as boosts.*.factor.",
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": false,
                "minProperties": 1,
                "properties": { "min": number.clone(), "max": number },
            },
        },
        "version": words("The team's own name for this version."),
        "author": words("Who wrote it."),
        "reason": words("Why."),
    });
    match header {
        Value::Object(header) => header,
        _ => Map::new(),
    }
}

fn fields(fields: &[Field]) -> Map<String, Value> {
    let described = |field: &Field| {
        let mut value = form(field.form);
        let follows = if field.follows == Follows::Market { " Follows the reader's market." } else { "" };
        value["description"] = json!(format!("{}.{follows}", field.about.trim_end_matches('.')));
        (field.name.to_owned(), value)
    };
    fields.iter().map(described).collect()
}

/// A value of this form; null unsets it.
fn form(form: Form) -> Value {
    match form {
        Form::Flag => json!({ "type": ["boolean", "null"] }),
        Form::Stays => json!({ "type": "boolean" }),
        Form::Text => json!({ "type": ["string", "null"], "maxLength": MAX_TEXT }),
        Form::Program => json!({ "type": ["string", "null"] }),
        Form::Time => json!({ "type": ["string", "null"], "pattern": "^\\d{4}-\\d{2}-\\d{2}T" }),
        Form::Whole(least, most) => json!({ "type": ["integer", "null"], "minimum": least, "maximum": most }),
        Form::Real(least, most) => json!({ "type": ["number", "null"], "minimum": least, "maximum": most }),
        Form::Above0(most) => json!({ "type": ["number", "null"], "exclusiveMinimum": 0, "maximum": most }),
        Form::Word(words) => {
            let mut words: Vec<Value> = words.iter().map(|word| json!(word)).collect();
            words.push(Value::Null);
            json!({ "enum": words })
        }
        Form::Texts => edited(json!({ "type": "string", "maxLength": MAX_TEXT })),
        Form::Words(words) => edited(json!({ "enum": words })),
        Form::Sequence => {
            let list = |types: Value| json!({ "type": types, "maxItems": MAX_LIST, "items": { "type": "string" } });
            let set = json!({
                "type": "object", "additionalProperties": false, "required": ["set"], "properties": { "set": list(json!("array")) },
            });
            json!({ "anyOf": [list(json!(["array", "null"])), set] })
        }
        Form::Table(least, most) => {
            let value = self::form(Form::Whole(least, most));
            json!({ "type": ["object", "null"], "maxProperties": MAX_LIST, "additionalProperties": value })
        }
        Form::Record(parts) => {
            json!({ "type": ["object", "null"], "additionalProperties": false, "properties": fields(parts) })
        }
        Form::Things { fields: parts, by_merchant } => {
            let own = fields(parts);
            let mut properties = own.clone();
            let remove = "Takes the thing away, with all that the layers above said of it.";
            properties.insert("remove".to_owned(), json!({ "const": true, "description": remove }));
            properties.insert("id".to_owned(), json!({ "type": "string", "minLength": 1, "maxLength": MAX_ID }));
            let mut named = vec![json!({ "required": ["id"] })];
            if by_merchant {
                named.push(json!({ "required": ["merchant"] }));
            }
            let thing = json!({
                "type": "object", "additionalProperties": false, "properties": properties, "anyOf": named,
            });
            let by_id = json!({ "type": ["object", "null"], "additionalProperties": false, "properties": own });
            json!({ "anyOf": [
                { "type": ["array", "null"], "maxItems": MAX_LIST, "items": thing },
                { "type": "object", "maxProperties": MAX_LIST, "additionalProperties": by_id },
            ] })
        }
    }
}

/// A list set whole, or edited.
fn edited(entry: Value) -> Value {
    let list = json!({ "type": "array", "maxItems": MAX_LIST, "uniqueItems": true, "items": entry });
    let said = |about: &str| {
        let mut list = list.clone();
        list["description"] = json!(about);
        list
    };
    let mut whole = list.clone();
    whole["type"] = json!(["array", "null"]);
    json!({ "anyOf": [whole, {
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": {
            "set": said("This list and no other."),
            "prepend": said("These first."),
            "append": said("These last."),
            "remove": said("Not these."),
        },
    }] })
}
