//! Whatever is wrong with what a sender or the edge hands over, no error repeats what is personal in it.
//!
//! Every field of every form is replaced by every plant, one after the other; so is every name of a field.

use freshrank::fresh::{AvailabilityRequest, Event};
use freshrank::mailbox::form::JudgeRequest;
use freshrank::request::Question;
use freshrank::token::form::MintRequest;
use freshrank::token::{Keys, Token};
use serde_json::{Value, json};

const NOW: i64 = 1_795_168_800;
const KEYS: &str = "k1 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";

/// What must not come back: a name, an address, a position, an address of a device, its software.
const PLANTED: [&str; 7] = ["anna", "Virtanen", "4711", "60.1699", "1199.12", "203.0.113.77", "AnnasPhone"];

fn plants() -> Vec<Value> {
    vec![
        json!("anna.virtanen@example.com"),
        json!("user-4711"),
        json!("60.169912"),
        json!("203.0.113.77"),
        json!("AnnasPhone/7.7 (iPhone; CPU iPhone OS 19_0 like Mac OS X)"),
        json!(60.169_912),
        json!(-1199.123),
        json!(471_100_000_000_i64),
        json!(["anna"]),
        json!({ "Anna Virtanen": "4711" }),
    ]
}

/// The document with each of its values replaced by a plant, and with a plant as one more field wherever there are fields.
fn planted(document: &Value) -> Vec<Value> {
    fn paths(value: &Value, at: String, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| paths(value, format!("{at}/{key}"), found));
                found.push(format!("{at}/user-4711"));
                found.push(format!("{at}/anna@example.com"));
            }
            Value::Array(entries) => {
                entries.iter().enumerate().for_each(|(i, value)| paths(value, format!("{at}/{i}"), found));
            }
            _ => {}
        }
        found.push(at);
    }
    let mut all = Vec::new();
    paths(document, String::new(), &mut all);
    let mut documents = Vec::new();
    for path in all {
        for plant in plants() {
            let mut copy = document.clone();
            if let Some(there) = copy.pointer_mut(&path) {
                *there = plant;
            } else if let Some((above, key)) = path.rsplit_once('/')
                && let Some(Value::Object(fields)) = copy.pointer_mut(above)
            {
                fields.insert(key.into(), plant);
            }
            documents.push(copy);
        }
    }
    documents
}

/// Asserts that no planted document's error tells what was planted; gives how many were refused.
fn refused(form: &str, document: &Value, parse: impl Fn(&[u8]) -> Result<(), String>) -> usize {
    parse(document.to_string().as_bytes())
        .unwrap_or_else(|error| panic!("{form} before anything was planted: {error}"));
    let mut n = 0;
    for planted in planted(document) {
        let text = planted.to_string();
        for bytes in [text.as_bytes(), &text.as_bytes()[..text.len() - 1]] {
            let Err(error) = parse(bytes) else { continue };
            n += 1;
            for secret in PLANTED {
                assert!(
                    !error.contains(secret),
                    "{form}: {error}\nfrom {text}\nan error says what was expected, and of what was found its kind or length"
                );
            }
        }
    }
    n
}

#[test]
fn no_error_repeats_what_is_personal() {
    let profile = "RlJQMQAAAAA";
    let question = json!({
        "id": "m1", "campaign": "lunch", "explain": true, "display": false, "why": "forno",
        "context": {
            "at": "2026-11-20T10:00:00Z", "latitude": 60.17, "longitude": 24.94, "grade": "exact", "mailbox": "direct", "seed": 7,
            "last_event": { "kind": "trip_end", "latitude": 60.17, "longitude": 24.94, "at": "2026-11-20T09:00:00Z" },
            "elsewhere": ["forno"], "recent": [["forno"]],
        },
        "availability": [{ "merchant_id": "forno", "closure": "paused", "until": "2026-11-20T11:00:00Z" }],
    });
    let mint = json!({
        "id": "m1", "campaign": "lunch", "market": "fi/helsinki", "message_id": "m-1", "minted_at": "2026-11-20T10:00:00Z",
        "expires_at": "2026-12-20T10:00:00Z", "slots": 4, "consent": true,
    });
    let judge = json!({
        "user_agent": "Mozilla/5.0", "cf": { "asn": 1759, "latitude": "60.17" }, "seconds_since_minted": 5400, "fetch": "link",
    });
    let event = json!({
        "reader": "5bdcc146bf60754e", "kind": "trip_end", "at": "2026-11-20T09:59:00Z", "latitude": 60.17, "longitude": 24.94,
        "consent": true,
    });
    let availability = json!({
        "closures": [{ "merchant_id": "forno", "closure": "paused", "until": "2026-11-20T11:00:00Z" }],
        "available": ["da-vinci"],
    });
    let keys = Keys::parse(KEYS).unwrap();
    let n = [
        refused("question", &question, |bytes| Question::parse(bytes, NOW).map(|_| ()).map_err(|e| e.to_string())),
        refused("mint", &mint, |bytes| {
            let asked = MintRequest::parse(bytes).map_err(|e| e.to_string())?;
            asked.answer(&keys, NOW).map(|_| ()).map_err(|e| e.to_string())
        }),
        refused("judge", &judge, |bytes| JudgeRequest::parse(bytes).map(|_| ()).map_err(|e| e.to_string())),
        refused("event", &event, |bytes| Event::parse(bytes, NOW).map(|_| ()).map_err(|e| e.to_string())),
        refused("availability", &availability, |bytes| {
            AvailabilityRequest::parse(bytes).map(|_| ()).map_err(|e| e.to_string())
        }),
    ];
    assert!(n.iter().all(|n| *n > 20), "{n:?} refused: the plants no longer reach the errors");
    for token in ["anna.virtanen@example.com", "user-4711", "AW5uYQ", profile, ""] {
        let error = Token::open(token, &keys).unwrap_err().to_string();
        assert!(PLANTED.iter().all(|secret| !error.contains(secret)), "{error}");
    }
}
