//! Short links, for messages where a token does not fit: `/s/{code}` stands for `/c/{token}/1`, `/s/{code}.3` for its third slot.
//!
//! A code is made from its token alone, so that asking again gives the same one and writes the same value. Whoever does not have the
//! token cannot guess it, since nobody can guess 80 bits; and what it says is still sealed.

use crate::body::BodyLines;
use crate::problem::{Problem, respond};
use crate::store::Store;
use freshrank::token::MAX_CHARS;
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use worker::{Request, Response, ResponseBody};

/// Crockford's: no letter is taken for a digit.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Letters of a code, 5 bits each; with a dot and a slot still below the 25 that a text message has room for.
const LENGTH: usize = 16;
/// Bytes of a line that asks for one.
const MAX_LINE: usize = 1024;
/// A token's life is 30 days unless it says otherwise; links are followed a little later.
const KEEP_SECONDS: u64 = 35 * 86_400;

#[derive(Deserialize)]
struct Asked {
    token: String,
}

/// `POST /v1/short`: one `{"token": ...}` a line in, one `{"code": ...}` a line out.
///
/// # Errors
/// No stream; what is wrong with a line is its own line's answer.
pub fn shorten(request: &mut Request, store: Store) -> Result<Response, Problem> {
    let lines = BodyLines::new(request, MAX_LINE);
    let answers = stream::unfold((lines, store), |(mut lines, store)| async move {
        let (number, line) = lines.next().await?;
        let answered = match line {
            Ok(json) => one(&json, &store).await,
            Err(length) => Err(Problem::too_large(&format!("line has {length} bytes"), MAX_LINE)),
        };
        let mut text = answered.unwrap_or_else(|problem| problem.to_json(Some(number)));
        text.push('\n');
        Some((Ok::<_, worker::Error>(text.into_bytes()), (lines, store)))
    });
    let response = Response::builder().from_stream(answers);
    let response = response.map_err(|error| Problem::unavailable(format!("no stream: {error}")))?;
    Ok(respond(200, "application/x-ndjson", response.body().clone(), None))
}

async fn one(json: &[u8], store: &Store) -> Result<String, Problem> {
    let asked: Asked = serde_json::from_slice(json).map_err(Problem::bad_request)?;
    if !is_token(&asked.token) {
        // Not repeated: it is one reader's.
        let found = asked.token.len();
        return Err(Problem::bad_request(format!(
            "token has {found} characters, expected 1 to {MAX_CHARS} of base64url"
        )));
    }
    let code = code(&asked.token);
    store.keep_text(&key(&code), &asked.token, KEEP_SECONDS).await?;
    Ok(json!({ "code": code }).to_string())
}

/// `GET /s/{code}` or `/s/{code}.{slot}`: where its click is. Whatever is wrong, the click's own route has an answer for the reader.
pub async fn follow(store: &Store, path: &str) -> Response {
    let (code, slot) = path.split_once('.').unwrap_or((path, "1"));
    let slot = if slot.len() <= 2 && !slot.is_empty() && slot.bytes().all(|b| b.is_ascii_digit()) { slot } else { "1" };
    let token = if is_code(code) { store.text(&key(code)).await.filter(|token| is_token(token)) } else { None };
    let to = format!("/c/{}/{slot}", token.as_deref().unwrap_or("-"));
    let more = [("Location", to.as_str()), ("Referrer-Policy", "no-referrer"), ("X-Robots-Tag", "noindex, nofollow")];
    respond(302, "text/plain", ResponseBody::Empty, more)
}

fn key(code: &str) -> String {
    format!("short/{code}")
}

fn code(token: &str) -> String {
    let digest = Sha256::digest(token.as_bytes());
    let bits = digest.iter().take(LENGTH * 5 / 8).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let letter = |i: usize| LETTERS.get((bits >> (5 * (LENGTH - 1 - i)) & 31) as usize).map_or('0', |b| char::from(*b));
    (0..LENGTH).map(letter).collect()
}

fn is_code(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|b| LETTERS.contains(&b))
}

fn is_token(text: &str) -> bool {
    (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_short_and_of_its_token_alone() {
        // echo -n abc | sha256sum: ba7816bf8f01cfea4141
        assert_eq!(code("abc"), "q9w1dfwf077ymga1");
        assert_eq!(code("abc"), code("abc"));
        assert_ne!(code("abc"), code("abd"));
        assert!(is_code(&code("abc")) && code("abc").len() + ".12".len() <= 25);
        for wrong in ["", "abc", "../../../../../..", "AAAAAAAAAAAAAAAA", "ilouilouilouilou"] {
            assert!(!is_code(wrong), "{wrong}");
        }
        assert!(is_token("a-_9") && !is_token("") && !is_token("a/b") && !is_token(&"a".repeat(MAX_CHARS + 1)));
    }
}
