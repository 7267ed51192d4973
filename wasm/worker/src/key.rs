//! Bearer keys: one for those who rank, one for those who publish everything, and one for each team that owns some layers.

use crate::problem::Problem;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use worker::{Env, Request};

/// The secret of those who ask.
pub const RANK: &str = "RANK_KEY";
/// The secret of those who change what others are answered with.
pub const PUBLISH: &str = "PUBLISH_KEY";
/// The secret of those who tell what readers did.
pub const EVENTS: &str = "EVENTS_KEY";

/// The secret with the keys of teams: a line each, `CAMPAIGN/LAYER KEY`, as `lunch/fi/helsinki 7f3a...`. A key holds for its layer
/// and those below it.
pub const LAYERS: &str = "LAYER_KEYS";

/// Lets a request pass that carries the key of those who publish, or one scoped to this layer or one above it; gives the scope,
/// for the record.
///
/// # Errors
/// 401 for a key that is nobody's, 403 for one of other layers.
pub fn layer(request: &Request, env: &Env, campaign: &str, path: &str) -> Result<String, Problem> {
    let header = request.headers().get("Authorization").ok().flatten().unwrap_or_default();
    let key = bearer(&header).ok_or_else(Problem::unauthorized)?;
    let secret = |name: &str| env.secret(name).map(|secret| secret.to_string()).unwrap_or_default();
    let publish = secret(PUBLISH);
    if !publish.is_empty() && equal(key, &publish) {
        return Ok("everything".into());
    }
    let teams = secret(LAYERS);
    let own = scopes(&teams, key);
    if own.is_empty() {
        return Err(Problem::unauthorized());
    }
    let asked = format!("{campaign}/{path}");
    let scope = own.iter().find(|scope| covers(scope, &asked));
    scope
        .map(|scope| (*scope).to_owned())
        .ok_or_else(|| Problem::new(403, format!("this key is for {}, not for {asked}", own.join(" and "))))
}

/// What a key is for. Every line is compared, so that how long it takes tells nothing.
fn scopes<'a>(teams: &'a str, key: &str) -> Vec<&'a str> {
    let lines = teams.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    lines.filter(|(_, secret)| equal(key, secret.trim())).map(|(scope, _)| scope).collect()
}

/// Whether a scope is this layer or one above it; a campaign's name alone, or with `global`, is all of the campaign.
fn covers(scope: &str, asked: &str) -> bool {
    let scope = scope.strip_suffix("/global").unwrap_or(scope);
    asked.strip_prefix(scope).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Lets a request pass that carries the secret of this name.
///
/// # Errors
/// 401, and 503 where nobody ever set the secret: an open door would be worse.
pub fn check(request: &Request, env: &Env, name: &str) -> Result<(), Problem> {
    let secret = env.secret(name).map(|secret| secret.to_string()).unwrap_or_default();
    if secret.is_empty() {
        return Err(Problem::unavailable(format!("the secret {name} is not set")));
    }
    let header = request.headers().get("Authorization").ok().flatten().unwrap_or_default();
    if bearer(&header).is_some_and(|key| equal(key, &secret)) { Ok(()) } else { Err(Problem::unauthorized()) }
}

/// The key in `Bearer KEY`; the scheme's case does not matter.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Digests are compared, in constant time: neither content nor length of the secret shows in how long it takes.
fn equal(key: &str, secret: &str) -> bool {
    let digest = |text: &str| -> [u8; 32] { Sha256::digest(text.as_bytes()).into() };
    digest(key).as_slice().ct_eq(digest(secret).as_slice()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_whole_word_after_bearer() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer(" bearer   abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("abc"), None);
        assert!(equal("abc", "abc"));
        assert!(!equal("ab", "abc"));
        assert!(!equal("", "abc"));
    }

    #[test]
    fn a_teams_key_is_for_its_layer_and_those_below() {
        let teams = "lunch/fi/helsinki  one\n\nlunch/us two\n dinner/global three\nlunch/se one\nbad line without\n";
        assert_eq!(scopes(teams, "one"), ["lunch/fi/helsinki", "lunch/se"]);
        assert_eq!(scopes(teams, "four"), [""; 0]);
        assert!(
            covers("lunch/fi/helsinki", "lunch/fi/helsinki") && covers("lunch/fi/helsinki", "lunch/fi/helsinki/kallio")
        );
        for other in ["lunch/fi", "lunch/fi/helsinki-west", "lunch/global", "dinner/fi/helsinki", "lunch/defaults/fi"] {
            assert!(!covers("lunch/fi/helsinki", other), "{other}");
        }
        assert!(covers("dinner/global", "dinner/fi") && covers("dinner", "dinner/global"));
    }
}
