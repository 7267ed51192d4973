//! Durable Objects: how one is asked, and how the rows of its database are read.

use crate::problem::Problem;
use serde::Serialize;
use worker::{Env, Response, SqlStorageValue, Storage, web_sys};

/// Sends a command to the object of this name.
///
/// # Errors
/// 503 where there is no such binding, or the object cannot be reached. What it answers with is the caller's to read.
pub async fn ask(env: &Env, binding: &str, name: &str, command: &impl Serialize) -> Result<Response, Problem> {
    let failed = |error: worker::Error| Problem::unavailable(format!("{binding} did not answer: {error}"));
    let stub = env.durable_object(binding).and_then(|namespace| namespace.get_by_name(name));
    let body = serde_json::to_string(command).map_err(Problem::bad_request)?;
    // Not `worker::RequestInit`, which can also say how to resize a picture.
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(&body.into());
    let request = web_sys::Request::new_with_str_and_init("https://object/", &init).map_err(|js| failed(js.into()))?;
    stub.map_err(failed)?.fetch_with_request(request.into()).await.map_err(failed)
}

/// Runs a statement, and gives its rows.
///
/// # Errors
/// 503 where the database does not take it.
pub fn rows(
    storage: &Storage,
    sql: &str,
    values: impl Into<Vec<SqlStorageValue>>,
) -> Result<Vec<Vec<SqlStorageValue>>, Problem> {
    let rows = storage.sql().exec(sql, values.into()).and_then(|cursor| cursor.raw().collect());
    rows.map_err(|error| Problem::unavailable(format!("the database cannot be read or written: {error}")))
}

/// A column of text.
pub fn text(value: &SqlStorageValue) -> Option<String> {
    if let SqlStorageValue::String(text) = value { Some(text.clone()) } else { None }
}

/// JavaScript has one kind of number, so that 1.0 comes as a whole one.
pub fn number(value: &SqlStorageValue) -> Option<f64> {
    match value {
        SqlStorageValue::Integer(number) => Some(*number as f64),
        SqlStorageValue::Float(number) => Some(*number),
        _ => None,
    }
}
