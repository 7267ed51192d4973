use super::*;
use crate::cuisines::{FitOptions, fit};
use crate::tables::spool::ByReader;
use proptest::prelude::*;

const NOW: Timestamp = 1_780_000_000;

/// Two years, four weeks; the chosen constants may change, these tests shall not.
const PLAIN: PreferenceOptions = PreferenceOptions {
    lifelong: Fade::Days(730.0),
    recent: Fade::Days(28.0),
    prior_strength: 4.0,
    smoothing: 0.2,
    recent_share: 0.3,
    sensitive: false,
};

/// Two kitchens, a halal grill, and someone who serves both.
fn merchants() -> Vec<Merchant> {
    let menus = [
        "sushi;ramen",
        "ramen;udon",
        "sushi;udon",
        "burger;fries",
        "fries;hot_dog",
        "burger;hot_dog",
        "halal;kebab",
        "halal",
        "sushi;burger",
        "",
    ];
    let merchant = |(i, menu): (usize, &&str)| Merchant {
        merchant_id: format!("m{i}"),
        cuisines: menu.split(';').map(str::to_owned).collect(),
        ..Merchant::default()
    };
    menus.iter().enumerate().map(merchant).collect()
}

fn order(merchant: usize, days_ago: f64) -> Order {
    let ordered_at = NOW - (days_ago * DAY) as i64;
    Order { user_id: "u".into(), merchant_id: format!("m{merchant}"), ordered_at, ..Order::default() }
}

struct World {
    map: CuisineMap,
    menus: Menus,
    mix: Mix,
    options: PreferenceOptions,
}

fn world(options: PreferenceOptions) -> World {
    let merchants = merchants();
    let map = fit(&merchants, &FitOptions::default()).unwrap();
    let menus = Menus::new(&merchants, &map, &options);
    let mix = Mix::of_merchants(&merchants, &menus, NOW);
    World { map, menus, mix, options }
}

impl World {
    fn of(&self, orders: &[Order]) -> Preferences {
        Preferences::of_reader(&orders.iter().collect::<Vec<_>>(), &self.menus, NOW, &self.options)
    }

    fn id(&self, label: &str) -> u16 {
        self.map.id(label).unwrap()
    }
}

/// Within 1e-12 of the larger, and of 1.
fn near(a: &Evidence, b: &Evidence) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() <= 1e-12 * a.1.abs().max(1.0))
}

#[test]
fn an_order_is_one_unit_shared_by_its_cuisines_and_halved_every_half_life() {
    let w = world(PLAIN);
    let preferences = w.of(&[order(0, 28.0)]);
    let expected: Evidence = [(w.id("ramen"), 0.25), (w.id("sushi"), 0.25)].into();
    assert!(near(&preferences.recent, &expected), "{:?}", preferences.recent);
    assert!((preferences.lifelong[&w.id("sushi")] - 0.5 * libm::exp2(-28.0 / 730.0)).abs() < 1e-12);
}

#[test]
fn the_posterior_is_the_markets_mix_moved_by_the_evidence() {
    let options = PreferenceOptions { prior_strength: 3.0, ..PLAIN };
    let mix = Mix { share: vec![0.5, 0.3, 0.2] };
    let mean = posterior(&[(1, 1.5)].into(), &mix, &options);
    for (found, expected) in mean.iter().zip([1.5 / 4.5, 2.4 / 4.5, 0.6 / 4.5]) {
        assert!((found - expected).abs() < 1e-15);
    }
    assert_eq!(top_raw(&[(1, 1.5), (2, 0.01)].into(), &mix, 6, &options), [(1, (2.4 / 4.51) as f32)]);
}

#[test]
fn a_reader_without_orders_likes_what_the_market_likes() {
    let w = world(PLAIN);
    let (lifelong, recent) = w.of(&[]).tastes(&w.mix, &w.map, &w.options);
    assert_eq!(lifelong, Taste { clusters: vec![0.0; w.map.n_clusters], raw: vec![] });
    assert_eq!(recent, lifelong);
}

#[test]
fn a_taste_shows_in_its_cluster_and_an_old_one_only_in_the_lifelong() {
    let w = world(PLAIN);
    let (lifelong, recent) =
        w.of(&[order(0, 300.0), order(1, 310.0), order(2, 320.0)]).tastes(&w.mix, &w.map, &w.options);
    let cluster = usize::from(w.map.weights(w.id("sushi"))[0].0);
    assert!(lifelong.clusters[cluster] > 0.2, "{lifelong:?}");
    assert!(recent.clusters[cluster].abs() < 0.01, "{recent:?}");
    assert_eq!(lifelong.raw.len(), 3);
    assert_eq!(recent.raw, [], "ten months later there is no recent taste");
}

#[test]
fn what_reveals_religion_stays_out_unless_switched_on() {
    let orders = [order(6, 1.0), order(7, 2.0)];
    let closed = world(PLAIN);
    let preferences = closed.of(&orders);
    assert_eq!(preferences.recent.keys().copied().collect::<Vec<_>>(), [closed.id("kebab")]);
    assert_eq!(closed.mix.share[usize::from(closed.id("halal"))], 0.0);
    let all = smoothed(&preferences.lifelong, &closed.mix, &closed.map, 1.0);
    assert!(!all.contains_key(&closed.id("halal")), "nor does smoothing bring it back");

    let open = world(PreferenceOptions { sensitive: true, ..PLAIN });
    assert!(open.of(&orders).recent.contains_key(&open.id("halal")));
}

#[test]
fn smoothing_moves_evidence_to_alike_cuisines_and_loses_none() {
    let w = world(PLAIN);
    let evidence: Evidence = [(w.id("sushi"), 2.0), (w.id("fries"), 0.5)].into();
    assert!(near(&smoothed(&evidence, &w.mix, &w.map, 0.0).into_iter().filter(|(_, v)| *v > 0.0).collect(), &evidence));
    let smooth = smoothed(&evidence, &w.mix, &w.map, 0.4);
    assert!((smooth.values().sum::<f64>() - 2.5).abs() < 1e-12);
    assert!(smooth[&w.id("ramen")] > 0.0 && smooth[&w.id("sushi")] < 2.0);
}

#[test]
fn markets_differ_and_the_small_one_leans_on_all() {
    let w = world(PLAIN);
    let reader = |id: &str, market: &str| crate::tables::Reader {
        user_id: id.into(),
        market: Some(market.into()),
        ..Default::default()
    };
    let by = |user: &str, merchant| Order { user_id: user.into(), ..order(merchant, 3.0) };
    let tables = Tables {
        merchants: merchants(),
        readers: vec![reader("a", "fi"), reader("b", "ca"), reader("c", "no")],
        orders: (0..40).map(|i| by(if i < 30 { "a" } else { "b" }, if i < 30 { 0 } else { 3 })).collect(),
        ..Tables::default()
    };
    let mixes = Mix::by_market(&tables, &w.menus, NOW);
    let share = |market: &str, label: &str| mixes[market].share[usize::from(w.id(label))];
    assert!(share("fi", "sushi") > share("no", "sushi") && share("no", "sushi") > share("ca", "sushi"));
    assert!(mixes.values().all(|mix| (mix.share.iter().sum::<f64>() - 1.0).abs() < 1e-12));
}

proptest! {
    #[test]
    fn a_daily_update_in_any_batches_equals_a_computation_from_scratch(
        orders in prop::collection::vec((0_usize..10, 0.0_f64..2000.0), 0..60),
        pauses in prop::collection::vec(0.0_f64..2000.0, 0..20),
        half_lives in (1.0_f64..3000.0, 1.0_f64..60.0),
    ) {
        let fades = PreferenceOptions { lifelong: Fade::Days(half_lives.0), recent: Fade::Days(half_lives.1), ..PLAIN };
        let w = world(fades);
        let orders: Vec<Order> = orders.into_iter().map(|(merchant, days)| order(merchant, days + 0.001)).collect();
        let scratch = w.of(&orders);

        // Batches arrive in time, orders within and across them as they like.
        let mut steps: Vec<Timestamp> = pauses.iter().map(|days| NOW - (days * DAY) as i64).collect();
        steps.sort_unstable();
        let mut updated = Preferences::default();
        for (i, order) in orders.iter().enumerate() {
            if let Some(step) = steps.get(i) {
                updated.advance(*step, &w.options);
            }
            updated.update(order.ordered_at, w.menus.of(&order.merchant_id), &w.options);
        }
        updated.advance(NOW, &w.options);
        prop_assert!(near(&updated.lifelong, &scratch.lifelong), "{:?} {:?}", updated.lifelong, scratch.lifelong);
        prop_assert!(near(&updated.recent, &scratch.recent), "{:?} {:?}", updated.recent, scratch.recent);
    }

    #[test]
    fn evidence_that_fades_by_orders_is_the_same_in_any_batches_that_come_in_time(
        orders in prop::collection::vec((0_usize..10, 0.001_f64..2000.0), 0..60),
        cuts in prop::collection::vec(0.0_f64..2000.0, 0..20),
        half_life in 0.5_f64..40.0,
    ) {
        let w = world(PreferenceOptions { lifelong: Fade::Orders(half_life), ..PLAIN });
        let mut orders: Vec<Order> = orders.into_iter().map(|(merchant, days)| order(merchant, days)).collect();
        let scratch = w.of(&orders);
        orders.sort_by(|a, b| told(a).cmp(&told(b)));
        // The last order counts in full, each of earlier ones what the later ones have left of it.
        let told: Vec<&Order> = orders.iter().filter(|o| !w.menus.of(&o.merchant_id).is_empty()).collect();
        let total: f64 = (0..told.len()).map(|i| libm::exp2(-(i as f64) / half_life)).sum();
        prop_assert!((scratch.lifelong.values().sum::<f64>() - total).abs() <= 1e-12 * total.max(1.0));

        let mut cuts: Vec<Timestamp> = cuts.iter().map(|days| NOW - (days * DAY) as i64).collect();
        cuts.push(NOW);
        cuts.sort_unstable();
        let mut updated = Preferences::default();
        let mut rest = orders.as_slice();
        for cut in cuts {
            let (batch, later) = rest.split_at(rest.partition_point(|order| order.ordered_at < cut));
            for order in batch {
                updated.update(order.ordered_at, w.menus.of(&order.merchant_id), &w.options);
            }
            updated.advance(cut, &w.options);
            rest = later;
        }
        prop_assert!(near(&updated.lifelong, &scratch.lifelong), "{:?} {:?}", updated.lifelong, scratch.lifelong);
    }

    #[test]
    fn a_state_carried_over_any_days_equals_the_one_made_at_once(
        orders in prop::collection::vec((0_usize..10, 0_usize..5, 0.001_f64..900.0), 1..80),
        cuts in prop::collection::vec(0.0_f64..900.0, 0..6),
    ) {
        let w = world(PLAIN);
        let of = |(merchant, reader, days): (usize, usize, f64)| Order {
            user_id: format!("u{reader}"),
            ..order(merchant, days)
        };
        let orders: Vec<Order> = orders.into_iter().map(of).collect();
        let folder = tempfile::tempdir().unwrap();
        let (daily, once) = (folder.path().join("daily"), folder.path().join("once"));
        let to = |as_of| state::Update {
            menus: &w.menus,
            map: &w.map,
            options: &w.options,
            as_of,
            simulated: None,
        };
        let mut cuts: Vec<Timestamp> = cuts.iter().map(|days| NOW - (days * DAY) as i64).collect();
        cuts.push(NOW);
        cuts.sort_unstable();
        let mut n = 0;
        for (i, cut) in cuts.iter().enumerate() {
            n += to(*cut).write((i > 0).then_some(daily.as_path()), |from| ByReader::of(state::since(&orders, from, *cut)), &daily).unwrap().orders;
        }
        prop_assert_eq!(n, orders.len(), "every order is told once");
        to(NOW).write(None, |from| ByReader::of(state::since(&orders, from, NOW)), &once).unwrap();
        let (daily, once) = (std::fs::read(daily).unwrap(), std::fs::read(once).unwrap());
        prop_assert_eq!(daily, once, "bytes do not depend on the days");
    }

    #[test]
    fn what_comes_later_changes_nothing(
        past in prop::collection::vec((0_usize..10, 0.001_f64..400.0), 0..20),
        future in prop::collection::vec((0_usize..10, -400.0_f64..=0.0), 0..20),
    ) {
        let w = world(PLAIN);
        let past: Vec<Order> = past.into_iter().map(|(merchant, days)| order(merchant, days)).collect();
        let mut all = past.clone();
        all.extend(future.into_iter().map(|(merchant, days)| order(merchant, days)));
        all.push(Order { status: Status::Cancelled, ..order(0, 1.0) });
        prop_assert_eq!(w.of(&past), w.of(&all));
    }

    #[test]
    fn tastes_are_finite_bounded_and_ordered(orders in prop::collection::vec((0_usize..10, 0.001_f64..4000.0), 0..200)) {
        let w = world(PLAIN);
        let orders: Vec<Order> = orders.into_iter().map(|(merchant, days)| order(merchant, days)).collect();
        let (lifelong, recent) = w.of(&orders).tastes(&w.mix, &w.map, &w.options);
        for taste in [lifelong, recent] {
            prop_assert_eq!(taste.clusters.len(), w.map.n_clusters);
            prop_assert!(taste.clusters.iter().all(|x| x.is_finite() && x.abs() <= MAX_TASTE));
            prop_assert!(taste.raw.len() <= MAX_RAW && taste.raw.windows(2).all(|pair| pair[0].1 >= pair[1].1));
            prop_assert!(taste.raw.iter().map(|(_, share)| share).sum::<f32>() <= 1.0 + 1e-6);
        }
    }
}

#[test]
fn a_state_of_other_levers_or_a_later_time_is_refused_and_left_as_it_was() {
    let w = world(PLAIN);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let orders = [order(0, 3.0), order(4, 2.0)];
    let other = PreferenceOptions { recent: Fade::Days(7.0), ..PLAIN };
    let told = |from| ByReader::of(state::since(&orders, from, NOW));
    let to =
        |as_of, options| state::Update { menus: &w.menus, map: &w.map, options, as_of, simulated: Some("made up") };
    to(NOW, &w.options).write(None, told, &file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let refused = |update: state::Update<'_>| update.write(Some(&file), told, &file).unwrap_err().to_string();
    let error = refused(to(NOW, &other));
    assert!(error.ends_with("recent: found 28 days, expected 7 days; start again without it"), "{error}");
    let error = refused(to(NOW - 60, &w.options));
    assert!(error.contains("as_of: found 2026-") && error.contains(" or earlier"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-made is left");

    std::fs::write(&file, [&bytes[..], b"{\"user_id\": 5}\n"].concat()).unwrap();
    let error = refused(to(NOW, &w.options));
    assert!(error.contains("state:3: invalid type: integer `5`, expected a string"), "{error}");
    let reader = bytes.split(|byte| *byte == b'\n').nth(1).unwrap();
    std::fs::write(&file, [&bytes[..], reader].concat()).unwrap();
    let error = refused(to(NOW, &w.options));
    assert!(error.contains("user_id: found \"u\" after \"u\", expected readers ascending, each once"), "{error}");
}
