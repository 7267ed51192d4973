//! What all Durable Objects are asked through.

use worker::{Env, Response, SqlStorageValue, web_sys};

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

/// A column that holds a text.
pub fn text(value: SqlStorageValue) -> Option<String> {
    if let SqlStorageValue::String(text) = value { Some(text) } else { None }
}
