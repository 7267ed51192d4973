//! Bearer keys: one for those who rank, one for those who publish.

use crate::problem::Problem;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use worker::{Env, Request};

/// The secret of those who ask.
pub const RANK: &str = "RANK_KEY";
/// The secret of those who change what others are answered with.
pub const PUBLISH: &str = "PUBLISH_KEY";

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
}
