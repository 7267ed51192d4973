//! Judging as JSON: the same text from the command line and Node.

use crate::context::{Grade, Mailbox};
use crate::edge::Hints;
use crate::mailbox::{Evidence, Fetch, classify};
use crate::request::{MAX_BODY, RequestError, worded};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request to judge, as an edge saw it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct JudgeRequest {
    /// The header `User-Agent`; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// `GET` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What was asked for; a picture if absent.
    #[serde(default)]
    #[cfg_attr(feature = "types", ts(optional, as = "Option<_>"))]
    pub fetch: Fetch,
    /// Cloudflare's `cf` object, or what there is of it: anything in it may be absent, null or wrong.
    #[serde(default)]
    #[cfg_attr(feature = "types", ts(optional, type = "unknown"))]
    pub cf: Value,
    /// Since the token was minted; absent where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "types", ts(optional, type = "number"))]
    pub seconds_since_minted: Option<i64>,
}

/// Who it was. Nothing of what was judged is in here but the country.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS), ts(optional_fields))]
pub struct JudgeReply {
    /// Which software.
    pub mailbox: Mailbox,
    /// How far the request's geography can be trusted.
    pub grade: Grade,
    /// A person asked for it; otherwise it was served and maybe never seen.
    pub seen: bool,
    /// Names of the rules that led here.
    pub rules: Vec<String>,
    /// ISO 3166-1 alpha-2, where the edge knows it and the grade is not `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl JudgeRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// What is no JSON, or no request.
    pub fn parse(json: &[u8]) -> Result<Self, RequestError> {
        if json.len() > MAX_BODY {
            return Err(RequestError::TooLong { found: json.len() });
        }
        serde_json::from_slice(json).map_err(|error| RequestError::Json(worded(&error)))
    }

    /// Judges it.
    #[must_use]
    pub fn answer(&self) -> JudgeReply {
        let hints = Hints::of(&self.cf);
        let evidence = Evidence {
            head: self.method.as_ref().is_some_and(|method| method.eq_ignore_ascii_case("HEAD")),
            fetch: self.fetch,
            seconds_since_minted: self.seconds_since_minted,
            ..Evidence::new(self.user_agent.as_deref().unwrap_or_default(), &hints)
        };
        let verdict = classify(&evidence);
        JudgeReply {
            mailbox: verdict.mailbox,
            grade: verdict.grade,
            seen: verdict.seen,
            rules: verdict.rules.iter().map(ToString::to_string).collect(),
            country: hints.country.filter(|_| verdict.grade != Grade::None),
        }
    }
}

impl JudgeReply {
    /// The reply's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
