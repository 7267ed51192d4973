use super::super::tests::{MARKET, last_month};
use super::*;

fn found(assumptions: &Assumptions) -> LateBinding {
    let (tables, map, _) = &*MARKET;
    late_binding(tables, map, &freshrank::score::Prior, &last_month(), assumptions, &|_, _| ()).unwrap()
}

fn row<'f>(found: &'f LateBinding, mailbox: &str, step: Step) -> &'f Row {
    found.rows.iter().find(|row| row.mailbox == mailbox && row.step == step).unwrap()
}

#[test]
fn the_built_in_assumptions_are_read_and_wrong_ones_refused_by_name() {
    let built_in = Assumptions::built_in().unwrap();
    assert_eq!(built_in.mailboxes.len(), 6);
    let error = Assumptions::parse(&BUILT_IN.replace("share = 0.38", "share = 0.5")).unwrap_err();
    assert_eq!(error.to_string(), "mailboxes: shares, which must add up to 1 makes no experiment");
    let error = Assumptions::parse(&BUILT_IN.replace("[6.0, 0.506]", "[6.0, 0.1]")).unwrap_err();
    assert_eq!(error.to_string(), "opens.cumulative makes no experiment");
}

#[test]
fn opens_come_as_the_curve_says() {
    let of = Assumptions::built_in().unwrap();
    let hours = |share: f64| of.delay(share) as f64 / HOUR as f64;
    // 0.215 of the 0.95 that open within a week have come after an hour.
    assert!((hours(0.215 / 0.95) - 1.0).abs() < 0.01 && (hours(0.506 / 0.95) - 6.0).abs() < 0.01);
    assert!(hours(0.0) < 0.03 && (hours(1.0) - 168.0).abs() < 0.01);
}

#[test]
fn shares_of_slots_add_up_and_binding_the_clock_late_opens_doors() {
    let found = found(&Assumptions::built_in().unwrap());
    assert!(found.messages > 60 && found.readers > 20, "{} {}", found.messages, found.readers);
    for row in &found.rows {
        let all = [row.good, row.closed, row.unavailable, row.undeliverable, row.expired, row.no_merchant];
        let sum: f64 = all.iter().map(|share| share.value).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{row:?}");
    }
    let (send, clock) = (row(&found, "gmail", Step::Send), row(&found, "gmail", Step::Clock));
    assert!(send.closed.value > 0.05, "some doors have closed by the open: {send:?}");
    assert_eq!(clock.closed.value, 0.0, "who decides at the open shows no closed door");
    let overlay = row(&found, "gmail", Step::Overlay);
    assert!(send.unavailable.value > 0.0 && overlay.unavailable.value == 0.0, "{overlay:?}");
    // Proxies tell nothing of the reader, so there is nothing to bind.
    for mailbox in ["gmail", "outlook", "yahoo"] {
        let (event, geography) = (row(&found, mailbox, Step::Event), row(&found, mailbox, Step::Geography));
        assert_eq!((event.good, event.ndcg_10), (geography.good, geography.ndcg_10));
        assert!(found.nothing.contains(&format!("{mailbox}: + geography")), "{:?}", found.nothing);
    }
    // Apple's pictures are older than the open.
    let apple = row(&found, "apple", Step::Geography);
    assert!(apple.closed.value > 0.0 && apple.good.value < row(&found, "gmail", Step::Geography).good.value);
    // Of the orders that could have been placed at the open, none is lost for a closed door.
    assert!(clock.ndcg_10_orderable.value >= send.ndcg_10_orderable.value - 0.02, "{send:?} {clock:?}");
    assert!(super::super::chart::late_binding(&found).contains("simulated by"));
}

#[test]
fn the_mix_is_its_mailboxes_by_their_shares() {
    let of = Assumptions::built_in().unwrap();
    let found = found(&of);
    for step in Step::ALL {
        let mixed: f64 = of.mailboxes.iter().map(|kind| kind.share * row(&found, &kind.name, step).good.value).sum();
        assert!((mixed - row(&found, "mix", step).good.value).abs() < 1e-9);
    }
}

#[test]
fn who_opens_at_once_gains_nothing() {
    let mut of = Assumptions::built_in().unwrap();
    of.opens.cumulative = vec![[0.0003, 0.0], [0.0005, 1.0]];
    let found = found(&of);
    let (send, last) = (row(&found, "gmail", Step::Send), row(&found, "gmail", Step::Geography));
    assert!((send.ndcg_10.value - last.ndcg_10.value).abs() < 1e-3, "{send:?} {last:?}");
    assert!((send.good.value - last.good.value).abs() < 1e-3);
}
