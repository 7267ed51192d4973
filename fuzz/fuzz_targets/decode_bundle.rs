//! An area bundle whose checksum is right and whose rest may be anything: refused, or decided upon.
#![no_main]

use freshrank::context::{Fix, Grade};
use freshrank::score::NoModel;
use freshrank::{Areas, Bundle, Campaign, Context, Profile, rerank};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Bundle::decode(bytes.to_vec());
    let mut sealed = bytes.to_vec();
    if let Some(rest) = bytes.get(10..) {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes[..6]);
        crc.update(rest);
        sealed[6..10].copy_from_slice(&crc.finalize().to_le_bytes());
    }
    let Ok(bundle) = Bundle::decode(sealed) else {
        return;
    };
    // Asked in the middle of its own cell, so that its merchants are looked at.
    let Some(point) = bundle.cell.center() else { return };
    let request = Some(Fix {
        point,
        grade: Grade::Exact,
    });
    let context = Context {
        at: 1_795_168_800,
        request,
        ..Context::default()
    };
    let decision = rerank(
        &Areas::new([&bundle], Vec::new()),
        &Profile::default(),
        &context,
        &Campaign::default(),
        &NoModel,
    );
    assert_eq!(decision.placements.len(), 4);
    assert!(decision.rows.values.iter().all(|value| value.is_finite()));
});
