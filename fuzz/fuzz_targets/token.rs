//! Anything at all as a token: refused. Anything at all as what was sealed: refused, or sealed and opened again as it was.
#![no_main]

use freshrank::token::{Header, Keys, Token};
use libfuzzer_sys::fuzz_target;

const KEYS: &str = "fuzz MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";

fuzz_target!(|bytes: &[u8]| {
    let Ok(keys) = Keys::parse(KEYS) else { return };
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = Header::read(text);
        assert!(Token::open(text, &keys).is_err(), "nobody minted it");
        let _ = Keys::parse(text);
    }
    if let Ok(token) = Token::decode(bytes) {
        if let Ok(text) = token.mint(&keys) {
            let opened = Token::open(&text, &keys).expect("what was minted opens");
            assert_eq!(opened.token, token.blurred());
        }
    }
});
