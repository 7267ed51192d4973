//! Where records go: an Analytics Engine or a Queue, and a line on the console where neither is bound.

use freshrank::record::Record;
use worker::js_sys::{Array, Function, JSON, Object, Reflect, futures::JsFuture};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Env, console_error, console_log};

/// The binding in wrangler.toml: an Analytics Engine data set, or a Queue.
const RECORDS: &str = "RECORDS";

/// Writes a record down. A log that takes nothing costs a line of the console, never an answer.
pub async fn write(env: &Env, record: &Record) {
    let line = record.to_json();
    if let Err(error) = put(env, record.campaign(), &line).await {
        let error = JSON::stringify(&error).ok().and_then(|text| text.as_string()).unwrap_or_default();
        console_error!("{RECORDS} took no record: {error}");
    }
}

async fn put(env: &Env, campaign: &str, line: &str) -> Result<(), JsValue> {
    let records = Reflect::get(env, &RECORDS.into())?;
    // Both are objects of the runtime, whose classes are not in scope: what they can do tells them apart.
    let method =
        |name: &str| Reflect::get(&records, &name.into()).ok().and_then(|value| value.dyn_into::<Function>().ok());
    if records.is_undefined() || records.is_null() {
        console_log!("freshrank-record {line}");
    } else if let Some(write) = method("writeDataPoint") {
        let point = Object::new();
        Reflect::set(&point, &"indexes".into(), &Array::of1(&campaign.into()))?;
        Reflect::set(&point, &"blobs".into(), &Array::of1(&line.into()))?;
        write.call1(&records, &point)?;
    } else if let Some(send) = method("send") {
        let how = Object::new();
        Reflect::set(&how, &"contentType".into(), &"text".into())?;
        let sent = send.call2(&records, &line.into(), &how)?;
        JsFuture::from(sent.dyn_into::<worker::js_sys::Promise>()?).await?;
    } else {
        return Err("it is neither an Analytics Engine data set nor a Queue".into());
    }
    Ok(())
}
