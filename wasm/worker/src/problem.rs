//! What a client reads when there is no answer: a problem as in RFC 9457.

use freshrank::campaign::{self, CampaignError};
use freshrank::request::RequestError;
use serde::Serialize;
use worker::{Headers, Response, ResponseBody};

/// Status, its name, and what is wrong in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 4xx or 5xx.
    pub status: u16,
    /// Names what was found and what was expected.
    pub detail: String,
    /// A header that goes with the status.
    pub header: Option<(&'static str, &'static str)>,
    /// Everything that is wrong with what was to be published.
    pub problems: Vec<Wrong>,
}

/// What is wrong with a layer, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    layer: String,
    /// From 1; 0 where the layer came without its file's lines.
    line: u32,
    column: u32,
    key: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl From<campaign::Problem> for Wrong {
    fn from(problem: campaign::Problem) -> Self {
        let campaign::Problem { layer, line, column, key, message, hint, .. } = problem;
        Self { layer, line, column, key, message, hint }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Wrong],
}

impl Problem {
    /// A problem of this status.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None, problems: Vec::new() }
    }

    /// What the client sent cannot be read.
    pub fn bad_request(error: impl ToString) -> Self {
        Self::new(400, error.to_string())
    }

    /// Layers that cannot be published so; the detail is the first of it, for whoever reads a log.
    pub fn unprocessable(problems: Vec<campaign::Problem>) -> Self {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        let detail = match problems.len() {
            0 | 1 => first,
            n => format!("{first} (and {} more)", n - 1),
        };
        Self { problems: problems.into_iter().map(Wrong::from).collect(), ..Self::new(422, detail) }
    }

    /// A body over the limit; the rest of it is not read.
    pub fn too_large(what: &str, limit: usize) -> Self {
        Self::new(413, format!("{what}, at most {limit} bytes are read"))
    }

    /// The key is missing or wrong; which of the two is not told.
    pub fn unauthorized() -> Self {
        let header = Some(("WWW-Authenticate", "Bearer realm=\"freshrank\""));
        Self { header, ..Self::new(401, "expected the header `Authorization: Bearer KEY` with this route's key") }
    }

    /// There is such a path, but not with this method.
    pub fn method_not_allowed(method: &str, allow: &'static str) -> Self {
        Self { header: Some(("Allow", allow)), ..Self::new(405, format!("found {method}, expected {allow}")) }
    }

    /// Something behind this module does not answer; the same request may succeed in a moment.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self { header: Some(("Retry-After", "5")), ..Self::new(503, detail) }
    }

    const fn title(&self) -> &'static str {
        match self.status {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            409 => "Conflict",
            412 => "Precondition Failed",
            413 => "Content Too Large",
            422 => "Unprocessable Content",
            503 => "Service Unavailable",
            _ => "Error",
        }
    }

    /// The document; in a batch with the number of its line, from 1.
    pub fn to_json(&self, line: Option<u64>) -> String {
        let Self { status, detail, problems, .. } = self;
        let document = Document { r#type: "about:blank", title: self.title(), status: *status, detail, line, problems };
        // Strings and numbers only, so this cannot fail.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// The whole response.
    pub fn response(&self) -> Response {
        let body = ResponseBody::Body(self.to_json(None).into_bytes());
        respond(self.status, "application/problem+json", body, self.header)
    }
}

impl From<CampaignError> for Problem {
    fn from(error: CampaignError) -> Self {
        match error {
            CampaignError::Layers { problems, .. } => Self::unprocessable(problems),
            CampaignError::Json(_) => Self::bad_request(error),
        }
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let status = if matches!(error, RequestError::TooLong { .. }) { 413 } else { 400 };
        Self::new(status, error.to_string())
    }
}

/// A response that no cache keeps: the next reader's answer is another.
pub fn respond<'a>(
    status: u16,
    content_type: &'a str,
    body: ResponseBody,
    more: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Response {
    let headers = Headers::new();
    let ours = [("Content-Type", content_type), ("Cache-Control", "private, no-store")];
    for (name, value) in ours.into_iter().chain(more) {
        // A value that cannot stand in a header is left out; the body says it all.
        let _ = headers.set(name, value);
    }
    Response::builder().with_status(status).with_headers(headers).body(body)
}
