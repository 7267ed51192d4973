//! Whatever bytes claim to be a program, and whatever text claims to be a condition.

use crate::fixture::{Scene, labels, rule};
use freshrank::campaign::{Action, Policy};
use freshrank::rule::{MAX_STEPS, Program, Rules, compile};
use proptest::prelude::*;

const CONDITIONS: [&str; 3] = [
    "merchant.rating >= 4.5 && merchant.cuisines.exists(c, c in reader.tastes) || local.date.startsWith('2026')",
    "local.between('22:00', '05:00') && merchant.chain in ['a', 'b', 'c', 'd'] && size(reader.market) % 7 == 3",
    "(has(offer.value) ? offer.value * 2 : -1) > 20 && double(message.slots) / 2.0 < merchant.distance_km + 0.5",
];

fn programs() -> Vec<Program> {
    CONDITIONS.map(|text| compile(text, &labels()).unwrap()).into()
}

/// Runs whatever it is; nothing may panic, and no rule both holds and errs.
fn run(program: Program) {
    let scene = Scene::new();
    let rules = [("r".to_string(), rule("", Action::Badge, Some(program)))].into();
    let candidates: Vec<_> = (0..65).map(Scene::candidate).collect();
    let hits = Rules::new(&Policy { rules, ..Policy::default() }).evaluate(&scene.moment(), &candidates);
    let count = hits.counts().next().unwrap();
    assert!(count.holds + count.errors <= candidates.len());
}

/// The checksum made right, so that what is behind it is reached.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut crc = crc32(&bytes[..6], !0);
    crc = crc32(&bytes[10..], crc);
    bytes[6..10].copy_from_slice(&(!crc).to_le_bytes());
    bytes
}

fn crc32(bytes: &[u8], mut crc: u32) -> u32 {
    for byte in bytes {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 });
    }
    crc
}

#[test]
fn a_program_survives_its_bytes_and_its_document() {
    for program in programs() {
        assert_eq!(Program::decode(&program.encode()), Ok(program.clone()));
        assert_eq!(sealed(program.encode()), program.encode());
        let json = serde_json::to_string(&program).unwrap();
        assert_eq!(serde_json::from_str::<Program>(&json).unwrap(), program);
        run(program);
    }
}

#[test]
fn every_prefix_and_every_flipped_bit_is_an_error() {
    for program in programs() {
        let bytes = program.encode();
        for end in 0..bytes.len() {
            assert!(Program::decode(&bytes[..end]).is_err(), "{end} of {} bytes", bytes.len());
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Program::decode(&bytes).is_err(), "bit {bit}");
        }
        assert!(Program::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn a_sealed_flip_is_an_error_or_a_program_that_runs() {
    let mut read = 0;
    for program in programs() {
        let bytes = program.encode();
        for bit in 80..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(program) = Program::decode(&sealed(bytes)) {
                read += 1;
                run(program);
            }
        }
    }
    assert!(read > 100, "only {read} were read: the checks behind the checksum are not reached");
}

#[test]
fn a_step_that_reads_what_comes_after_it_is_refused() {
    let program = compile("merchant.independent && reader.member", &labels()).unwrap();
    let mut bytes = program.encode();
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&2_u16.to_le_bytes());
    let error = Program::decode(&sealed(bytes)).unwrap_err();
    assert_eq!(error.to_string(), "rule program has operation 10 at entry 2, expected operands that fit it");
}

#[test]
fn four_thousand_million_steps_take_no_memory() {
    let mut bytes = programs()[0].encode();
    bytes[14..16].copy_from_slice(&u16::MAX.to_le_bytes());
    let error = Program::decode(&sealed(bytes)).unwrap_err();
    assert_eq!(error.to_string(), format!("rule program has 65535 steps, at most {MAX_STEPS} are allowed"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn several_sealed_lies_at_once_are_an_error_or_a_program_that_runs(
        which in 0..3_usize,
        lies in proptest::collection::vec((16..400_usize, any::<u8>()), 1..6),
    ) {
        let mut bytes = programs()[which].encode();
        for (at, byte) in lies {
            let at = 16 + (at - 16) % (bytes.len() - 16);
            bytes[at] = byte;
        }
        if let Ok(program) = Program::decode(&sealed(bytes)) {
            run(program);
        }
    }

    #[test]
    fn any_text_is_a_program_or_errors_with_a_place_in_it(
        parts in proptest::collection::vec(proptest::sample::select(&[
            "merchant.rating", "merchant", "local.on", ".exists(c, ", "c", "in", "[", "]", "(", ")", "&&", "||", "?", ":", "'ö'", "1", "2.0", "\n",
            "size", "has(", "!", "-", "==", ">", ",", "\"", "é", "\\", "{", "}", "@", "map", ".", "null", "u",
        ][..]), 0..14),
    ) {
        let text = parts.join(" ");
        if let Err(errors) = compile(&text, &labels()) {
            prop_assert!(!errors.is_empty(), "{}", text);
            let lines = text.split('\n').count();
            prop_assert!(errors.iter().all(|error| (1..=lines).contains(&error.line) && error.column >= 1), "{:?}: {:?}", text, errors);
        }
    }
}

#[test]
fn a_text_of_many_levels_or_many_bytes_is_refused() {
    let refused = ["(".repeat(2000), "1+".repeat(1500) + "1 > 0", "[".repeat(1000), " ".repeat(20_000)];
    for text in refused {
        assert!(compile(&text, &labels()).is_err(), "{} bytes", text.len());
    }
    let accepted = ["!".repeat(3000) + "true", "1+".repeat(190) + "1 > 0", "true && ".repeat(1500) + "true"];
    for text in accepted {
        assert!(compile(&text, &labels()).is_ok(), "{} bytes", text.len());
    }
}
