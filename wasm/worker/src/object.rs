//! What all Durable Objects are asked through, and how the rows of their databases are read.

use crate::problem::Problem;
use worker::{Env, Response, SqlStorage, SqlStorageValue, web_sys};

/// Sends a body to the object of this name.
///
/// # Errors
/// Where there is no such binding, or the object does not answer.
pub async fn ask(env: &Env, binding: &str, name: &str, body: &str) -> worker::Result<Response> {
    let stub = env.durable_object(binding)?.get_by_name(name)?;
    // Not `worker::RequestInit`, which can also say how to resize a picture.
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(&body.into());
    let request = web_sys::Request::new_with_str_and_init("https://object/", &init)?;
    stub.fetch_with_request(request.into()).await
}

/// Runs a statement, and gives its rows.
///
/// # Errors
/// 503 where the database does not take it.
pub fn rows(
    database: &SqlStorage,
    sql: &str,
    values: impl Into<Vec<SqlStorageValue>>,
) -> Result<Vec<Vec<SqlStorageValue>>, Problem> {
    let rows = database.exec(sql, values.into()).and_then(|cursor| cursor.raw().collect());
    rows.map_err(|error| Problem::unavailable(format!("the database cannot be read or written: {error}")))
}

/// A column that holds a text.
pub fn text(value: SqlStorageValue) -> Option<String> {
    if let SqlStorageValue::String(text) = value { Some(text) } else { None }
}

/// JavaScript has one kind of number, so that 1.0 comes as a whole one.
pub fn number(value: &SqlStorageValue) -> Option<f64> {
    match value {
        SqlStorageValue::Integer(number) => Some(*number as f64),
        SqlStorageValue::Float(number) => Some(*number),
        _ => None,
    }
}
