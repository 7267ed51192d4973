//! Which page may publish layers from a browser: the one that the deployment names, as `https://simulator.example`.
//!
//! A key is still asked for. This only lets the browser show that page what the Worker answers (Fetch Standard, "CORS protocol").

use crate::problem::respond;
use crate::store::variable;
use worker::{Env, Headers, Request, Response, ResponseBody};

/// The variable with the page's origin.
const SIMULATOR_ORIGIN: &str = "SIMULATOR_ORIGIN";
/// What a page asks before it asks: an hour holds.
const PREFLIGHT: [(&str, &str); 3] = [
    ("Access-Control-Allow-Methods", "GET, PUT, DELETE"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match"),
    ("Access-Control-Max-Age", "3600"),
];

/// The origin of the page that asks about layers, if it may.
pub fn of(request: &Request, env: &Env) -> Option<String> {
    let path = request.path();
    let layers = path.strip_prefix("/v1/campaigns/").is_some_and(|rest| rest.contains("/layers/"));
    let origin = request.headers().get("Origin").ok().flatten().filter(|_| layers)?;
    variable(env, SIMULATOR_ORIGIN).filter(|named| named.trim() == origin)
}

/// Whether this is what a browser asks before the request itself.
pub fn is_preflight(request: &Request) -> bool {
    request.inner().method() == "OPTIONS"
}

/// The answer to that.
pub fn preflight() -> Response {
    respond(204, "text/plain", ResponseBody::Empty, PREFLIGHT)
}

/// The same response, for that page to read.
pub fn open_to(origin: &str, response: &Response) -> Response {
    let headers = Headers::new();
    for (name, value) in response.headers().entries() {
        let _ = headers.set(&name, &value);
    }
    let _ = headers.set("Access-Control-Allow-Origin", origin);
    let _ = headers.set("Vary", "Origin");
    Response::builder().with_status(response.status_code()).with_headers(headers).body(response.body().clone())
}
