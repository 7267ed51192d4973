//! Anything at all as a request: an error in few words, or a reply with every slot.
#![no_main]

use freshrank::Campaign;
use freshrank::request::Question;
use freshrank::score::NoModel;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    match Question::parse(json, 1_795_168_800) {
        Ok(question) => {
            let reply = question.answer(None, None, &Campaign::default(), &NoModel);
            assert_eq!(reply.slots.len(), 4);
            assert!(!reply.to_json().is_empty());
        }
        Err(error) => assert!(error.to_string().len() < 600),
    }
});
