//! A profile whose checksum is right and whose rest may be anything: refused, or written again as it was read.
#![no_main]

use freshrank::Profile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Profile::decode(bytes);
    let mut sealed = bytes.to_vec();
    if let Some(rest) = bytes.get(8..) {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes[..4]);
        crc.update(rest);
        sealed[4..8].copy_from_slice(&crc.finalize().to_le_bytes());
    }
    if let Ok(profile) = Profile::decode(&sealed) {
        let again = profile.encode().and_then(|bytes| Profile::decode(&bytes));
        assert_eq!(again, Ok(profile));
    }
});
