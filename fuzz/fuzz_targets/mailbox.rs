//! Anything at all as a request to judge: an error in few words, or a verdict without a word of it.
#![no_main]

use freshrank::mailbox::form::JudgeRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    match JudgeRequest::parse(json) {
        Ok(request) => assert!(request.answer().to_json().len() < 400),
        Err(error) => assert!(error.to_string().len() < 600),
    }
});
