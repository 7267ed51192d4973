//! What holds of every decision, tried on drafted cities: the same ones in every run.

#[path = "support/holds.rs"]
mod holds;

use freshrank::areas::{Availability, Closure};
use freshrank::blend::Score;
use freshrank::bundle::{
    AreaDraft, Audience, Bundle, Card, Display, ExceptionDraft, Kind, MerchantDraft, OfferDraft, OfferKind, Schedule,
    ScheduleDraft, Share,
};
use freshrank::campaign::{Campaign, PlacePolicy, author};
use freshrank::context::{Context, Fix, Grade, LastEvent};
use freshrank::explain::Explainer;
use freshrank::feature::{N_FEATURES, Rows, fingerprint};
use freshrank::geo::Point;
use freshrank::locate::locate;
use freshrank::profile::{KnownMerchant, LikelyPlace, Profile, Taste};
use freshrank::score::dense::Dense;
use freshrank::score::{ModelError, NoModel};
use freshrank::{Areas, ChainId, Decision, Hash, MerchantId, Scorer, rerank};
use holds::holds;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const CENTRE: (f64, f64) = (60.1699, 24.9384);
const NOON: i64 = 1_795_168_800;

fn point() -> impl Strategy<Value = Point> {
    (-0.03..0.03, -0.06..0.06)
        .prop_map(|(north, east): (f64, f64)| Point::new(CENTRE.0 + north, CENTRE.1 + east).unwrap())
}

fn merchant() -> impl Strategy<Value = MerchantDraft> {
    let facts = (
        proptest::option::of(1..=4_u8),
        proptest::option::of(0.0..5.0_f32),
        0..5000_u32,
        proptest::option::of(0.5..1.0_f32),
        proptest::option::of(5.0..60.0_f32),
        proptest::option::of(0.0..1.0_f32),
        proptest::option::of(0.5..6.0_f32),
        proptest::option::of(20_000..20_800_u16),
    );
    let labels = (vec(0..40_u16, 0..=3), vec((0..20_u8, 1..=255_u8), 0..=3), 0.0..8.0_f32, 0.0..9.0_f32);
    let rest =
        (0..12_u32, point(), prop_oneof![8 => Just(Kind::Restaurant), 1 => Just(Kind::Grocery)], any::<u8>(), 0..6_u16);
    (facts, labels, rest).prop_map(|(facts, labels, rest)| {
        let (price_band, rating, rating_count, reliability, prep_minutes, quality, radius_km, listed_day) = facts;
        let (cuisines, clusters, log_popularity_cell, log_popularity_city) = labels;
        let (chain, position, kind, border, schedule) = rest;
        MerchantDraft {
            // Few chains, most of them none.
            chain: if chain < 3 { ChainId(chain + 1) } else { ChainId::NONE },
            cuisines,
            clusters,
            log_popularity_cell,
            log_popularity_city,
            // Some know none.
            share: (chain != 1).then_some(Share {
                log_cell: -log_popularity_cell,
                log_city: -log_popularity_city,
                evidence: 12.5,
            }),
            price_band,
            rating,
            rating_count,
            reliability,
            prep_minutes,
            quality,
            radius_km,
            kind,
            across_border: border < 10,
            schedule: match schedule {
                0 => Schedule::Unknown,
                1 => Schedule::Untracked,
                s => Schedule::Known(s - 2),
            },
            listed_day,
            ..MerchantDraft::new(MerchantId(0), position)
        }
    })
}

fn schedule() -> impl Strategy<Value = ScheduleDraft> {
    let span = |from: u16| {
        (0..1200_u16, 60..1000_u16).prop_map(move |(opens, minutes)| (from + opens, from + opens + minutes))
    };
    let weekly: Vec<_> = (0..7_u16).map(|day| span(day * 1440)).collect();
    let exception = (20_700..20_800_u16, vec(span(0), 0..2), any::<bool>());
    (weekly, vec(exception, 0..3)).prop_map(|(weekly, exceptions)| ScheduleDraft {
        weekly,
        exceptions: exceptions.into_iter().map(|(day, open, holiday)| ExceptionDraft { day, open, holiday }).collect(),
    })
}

fn area() -> impl Strategy<Value = AreaDraft> {
    let offer = (0..60_usize, 0..4_u8, 0..4_u8, 0..3000_i32);
    (vec(merchant(), 0..60), vec(schedule(), 4), vec(offer, 0..10)).prop_map(|(mut merchants, schedules, offers)| {
        for (i, merchant) in merchants.iter_mut().enumerate() {
            merchant.id = MerchantId::of(&format!("m{i}"));
        }
        let offers = offers.into_iter().enumerate().map(|(i, (merchant, kind, audience, value))| OfferDraft {
            id: i as u32,
            merchant: MerchantId::of(&format!("m{merchant}")),
            kind: [OfferKind::Percent, OfferKind::Amount, OfferKind::FreeDelivery, OfferKind::Other][usize::from(kind)],
            audience: [Audience::All, Audience::New, Audience::Member, Audience::Unknown][usize::from(audience)],
            value,
            starts_minute: 0,
            ends_minute: u32::MAX,
        });
        AreaDraft {
            cell: Point::new(CENTRE.0, CENTRE.1).unwrap().cell(),
            as_of: NOON - 86_400,
            country: *b"FI",
            layer: "fi/helsinki".into(),
            cuisine_map: 7,
            offset_minutes: 120,
            transitions: vec![(1_806_195_600, 180)],
            offers: offers.collect(),
            merchants,
            schedules,
        }
    })
}

/// A profile whose numbers are those its bytes can hold, so that it survives them.
fn profile() -> impl Strategy<Value = Profile> {
    let steps = |n: f32| move |byte: u8| f32::from(byte) / n;
    let share = move || any::<u8>().prop_map(steps(255.0));
    let rate = || proptest::option::of((0..=254_u8).prop_map(|byte| f32::from(byte) / 254.0));
    let taste = move |k: usize| {
        let clusters = vec((-127..=127_i8).prop_map(|step| f32::from(step) / (127.0 / 4.0)), k);
        (clusters, vec((0..40_u16, share()), 0..=6)).prop_map(|(clusters, raw)| Taste { clusters, raw })
    };
    let place = (point(), [share(), share(), share(), share()])
        .prop_map(|(point, probability)| LikelyPlace { point, probability });
    let known = (0..80_u32, 0..4_u16, any::<u8>(), any::<u8>()).prop_map(|(i, chain, count, days)| KnownMerchant {
        id: MerchantId::of(&format!("m{i}")).short(),
        chain,
        count: f32::from(count) / 16.0,
        days,
    });
    let places = (vec(place, 0..=4), share(), vec(known, 0..=10));
    let tastes = (0..=20_usize).prop_flat_map(move |k| (taste(k), taste(k)));
    let counts = (any::<u16>(), any::<u16>(), proptest::option::of((1..=255_u8).prop_map(steps(50.0))), rate(), rate());
    let rest = (
        [share(), share(), share(), share()],
        proptest::option::of(0..=254_u8),
        -48..=56_i16,
        any::<bool>(),
        6..=7_u32,
    );
    (places, tastes, counts, rest).prop_map(|(places, tastes, counts, rest)| {
        let (places, new_place_rate, merchants) = places;
        let (n_orders, tenure_days, basket_band, open_rate, click_rate) = counts;
        let (daypart_share, last_order_days, quarters, member, cuisine_map) = rest;
        Profile {
            reader: 9,
            as_of_minute: (NOON / 60) as u32 - 3000,
            consent: true,
            member,
            offset_minutes: 15 * quarters,
            market: "fi/helsinki".into(),
            cuisine_map,
            lifelong: tastes.0,
            recent: tastes.1,
            places,
            new_place_rate,
            merchants,
            n_orders,
            tenure_days,
            basket_band,
            open_rate,
            click_rate,
            daypart_share,
            last_order_days,
        }
    })
}

fn context() -> impl Strategy<Value = Context> {
    let grade = prop_oneof![3 => Just(Grade::Exact), 1 => Just(Grade::Network), 1 => Just(Grade::Coarse), 1 => Just(Grade::None)];
    let request = proptest::option::weighted(0.9, (point(), grade).prop_map(|(point, grade)| Fix { point, grade }));
    let event = (point(), -3600..200_000_i64);
    (0..14 * 86_400_i64, request, proptest::option::of(event)).prop_map(|(after, request, event)| {
        let at = NOON + after;
        let last_event = event.map(|(point, ago)| LastEvent { kind: "trip_end".into(), point, at: at - ago });
        Context { at, request, last_event, ..Context::default() }
    })
}

/// A layer as a person writes it.
fn layer() -> impl Strategy<Value = Value> {
    let lists = (vec((0..60_u8, 0.02..50.0_f32), 0..4), vec(0..60_u8, 0..4), vec((0..8_u8, 0..60_u8), 0..3));
    (1..10_u8, 1..80_u16, 1..3_u8, 0..4_u8, any::<bool>(), lists).prop_map(
        |(slots, first_pass, chains, cuisines, keep, lists)| {
            let name = |i: u8| {
                if i < 3 { format!("chain:{i}") } else { format!("m{i}") }
            };
            let mut document = json!({
                "slots": slots,
                "radius_km": 3.0,
                "first_pass": first_pass,
                "chain_cap": chains,
                "cuisine_cap": cuisines,
                "boosts": lists.0.iter().map(|(i, factor)| (name(*i), json!({ "factor": factor }))).collect::<Map<_, _>>(),
                "exclude": lists.1.into_iter().map(name).collect::<BTreeSet<_>>(),
                "pins": lists.2.into_iter().map(|(slot, i)| (name(i), json!({ "slot": slot }))).collect::<Map<_, _>>(),
            });
            if keep {
                document["unknown_hours"] = "keep".into();
            }
            document
        },
    )
}

/// Everything a decision is made of.
#[derive(Debug, Clone)]
struct World {
    area: AreaDraft,
    profile: Profile,
    context: Context,
    layer: Value,
    overlay: Vec<Availability>,
}

fn world() -> impl Strategy<Value = World> {
    let closed = (0..60_u8, proptest::option::of(-86_400..86_400_i64)).prop_map(|(i, until)| Availability {
        merchant: MerchantId::of(&format!("m{i}")),
        closure: Closure::Paused,
        until: until.map(|until| NOON + until),
    });
    (area(), profile(), context(), layer(), vec(closed, 0..5))
        .prop_map(|(area, profile, context, layer, overlay)| World { area, profile, context, layer, overlay })
}

impl World {
    fn bundle(&self) -> Bundle {
        Bundle::decode(self.area.encode().unwrap()).unwrap()
    }

    fn decide(&self, scorer: &dyn Scorer) -> Decision {
        let bundle = self.bundle();
        let (layer, problems) = author::read("global", &author::Node::from_json(&self.layer));
        assert_eq!(problems, []);
        let campaign = Campaign::new("world", [layer]);
        let mut overlay = self.overlay.clone();
        overlay.dedup();
        rerank(&Areas::new([&bundle], overlay), &self.profile, &self.context, &campaign, scorer)
    }

    /// Asked at the city's centre, so that there is always an area.
    fn at_the_centre(mut self) -> Self {
        self.context.request = Some(Fix { point: Point::new(CENTRE.0, CENTRE.1).unwrap(), grade: Grade::Exact });
        self.profile.places.clear();
        self
    }
}

/// Scores by merchant, whatever the row: the n-th kept candidate gets the n-th score.
struct Fixed(Vec<f32>);

impl Scorer for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn model(&self) -> Hash {
        Hash::default()
    }

    fn score(&self, rows: &Rows) -> Result<Vec<f32>, ModelError> {
        Ok(self.0.iter().copied().cycle().take(rows.len()).collect())
    }
}

/// A network whose weights come from a seed.
fn network(seed: u32) -> Dense {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    let mut values = |n: usize| -> Vec<f32> { (0..n).map(|_| next()).collect() };
    let widths = [N_FEATURES, 8, 1];
    let layers = widths
        .windows(2)
        .map(|w| freshrank::score::dense::Layer { weights: values(w[0] * w[1]), biases: values(w[1]) })
        .collect();
    Dense {
        fingerprint: fingerprint(),
        model: Hash::of(&seed.to_le_bytes()),
        clamp: 8.0,
        mean: values(N_FEATURES),
        scale: values(N_FEATURES),
        layers,
    }
}

#[test]
fn the_order_of_merchants_and_offers_changes_nothing() {
    holds(128, (world(), any::<u64>(), any::<u32>()), |(world, seed, model)| {
        let world = world.at_the_centre();
        let mut shuffled = world.clone();
        shuffled.area.merchants.sort_by_key(|m| Hash::of(&(m.id.0 ^ seed).to_le_bytes()));
        shuffled.area.offers.reverse();
        shuffled.overlay.reverse();
        prop_assert_eq!(world.area.encode(), shuffled.area.encode());
        prop_assert_eq!(world.decide(&network(model)), shuffled.decide(&network(model)));
        Ok(())
    });
}

#[test]
fn kept_and_dropped_are_all_merchants_each_once() {
    holds(256, world(), |world| {
        let n = world.area.merchants.len();
        let world = world.at_the_centre();
        let decision = world.decide(&NoModel);
        let kept: Vec<_> = decision.kept.iter().map(|candidate| candidate.merchant.id).collect();
        let dropped: Vec<_> = decision.dropped.iter().map(|drop| drop.id).collect();
        prop_assert!(kept.is_sorted() && dropped.is_sorted());
        prop_assert_eq!(kept.len() + dropped.len(), n);
        prop_assert_eq!(kept.into_iter().chain(dropped).collect::<BTreeSet<_>>().len(), n);
        Ok(())
    });
}

#[test]
fn a_slot_is_empty_only_when_no_merchant_is_left() {
    holds(256, (world(), any::<u32>()), |(world, model)| {
        let world = world.at_the_centre();
        let decision = world.decide(&network(model));
        let shown: BTreeSet<usize> = decision.placements.iter().filter_map(|p| p.candidate).collect();
        let n_slots = usize::from(decision.policy.slots);
        prop_assert_eq!(decision.placements.len(), n_slots);
        prop_assert_eq!(
            decision.placements.iter().filter(|p| p.candidate.is_some()).count(),
            shown.len(),
            "no merchant twice"
        );
        if shown.len() < n_slots {
            let cap = usize::from(decision.policy.chain_cap);
            for i in (0..decision.kept.len()).filter(|i| !shown.contains(i)) {
                let chain = decision.kept[i].merchant.chain;
                let same = shown.iter().filter(|shown| decision.kept[**shown].merchant.chain == chain).count();
                prop_assert!(
                    chain.is_some() && same >= cap,
                    "{} could have filled a slot",
                    decision.kept[i].merchant.id
                );
            }
        }
        Ok(())
    });
}

/// Slot of a kept candidate; the number of slots where it is not shown.
fn rank(decision: &Decision, i: usize) -> usize {
    decision.placements.iter().position(|p| p.candidate == Some(i)).unwrap_or(decision.placements.len())
}

#[test]
fn raising_one_score_never_lowers_its_rank() {
    holds(
        256,
        (world(), vec(-5.0..5.0_f32, 60), any::<prop::sample::Index>(), 0.0..9.0_f32),
        |(world, scores, pick, more)| {
            let world = world.at_the_centre();
            let before = world.decide(&Fixed(scores.clone()));
            if before.kept.is_empty() {
                return Ok(());
            }
            let i = pick.index(before.kept.len());
            let mut raised = scores;
            raised[i] += more;
            let after = world.decide(&Fixed(raised));
            prop_assert_eq!(before.kept.len(), after.kept.len(), "scores come after retrieval");
            prop_assert!(rank(&after, i) <= rank(&before, i), "from slot {} to {}", rank(&before, i), rank(&after, i));
            Ok(())
        },
    );
}

#[test]
fn adding_a_boost_never_lowers_a_rank() {
    holds(
        256,
        (world(), any::<u32>(), any::<prop::sample::Index>(), 1.0..100.0_f32),
        |(world, model, pick, factor)| {
            let world = world.at_the_centre();
            let before = world.decide(&network(model));
            if before.kept.is_empty() {
                return Ok(());
            }
            let i = pick.index(before.kept.len());
            let name = (0..60)
                .map(|n| format!("m{n}"))
                .find(|name| MerchantId::of(name) == before.kept[i].merchant.id)
                .unwrap();
            let mut boosted = world;
            boosted.layer["boosts"]["one more"] = json!({ "merchant": name, "factor": factor });
            let after = boosted.decide(&network(model));
            prop_assert!(rank(&after, i) <= rank(&before, i));
            Ok(())
        },
    );
}

#[test]
fn an_explanation_adds_up_to_the_score() {
    let check = |world: World, scorer: &dyn Scorer| {
        let world = world.at_the_centre();
        let decision = world.decide(scorer);
        let bundle = world.bundle();
        let areas = Areas::new([&bundle], Vec::new());
        let area = decision.cell.and_then(|cell| areas.get(cell));
        let explainer = Explainer::new(&decision, area.as_ref(), &world.context, scorer);
        for (i, score) in decision.scores.iter().enumerate() {
            let tree = explainer.explain(i);
            prop_assert!(tree.adds_up(), "{tree:?}");
            prop_assert_eq!(tree.value, score.total());
        }
        Ok(())
    };
    holds(64, (world(), any::<u32>()), |(world, model)| check(world, &network(model)));
    holds(64, world(), |world| check(world, &NoModel));
    // A scorer that judges a row by its neighbours, and without measure.
    let scores = vec(prop_oneof![-1e9..1e9_f32, -9.0..9.0_f32], 1..9);
    holds(64, (world(), scores), |(world, scores)| check(world, &Fixed(scores)));
}

#[test]
fn the_same_question_has_the_same_answer() {
    holds(64, (world(), any::<u32>()), |(world, model)| {
        prop_assert_eq!(world.decide(&network(model)), world.decide(&network(model)));
        Ok(())
    });
}

#[test]
fn a_place_is_one_of_them_or_elsewhere() {
    let policies = [PlacePolicy::Fused, PlacePolicy::Predicted, PlacePolicy::LastEvent, PlacePolicy::Freshest];
    holds(512, (profile(), context()), |(profile, context)| {
        for policy in policies {
            let place = locate(&profile, &context, policy);
            let sum: f64 = place.posterior.iter().chain([&place.elsewhere]).map(|p| f64::from(*p)).sum();
            prop_assert!((sum - 1.0).abs() < 1e-6, "{sum}");
            prop_assert!((0.0..=1.0).contains(&place.certainty));
            prop_assert_eq!(place.posterior.len(), profile.places.len());
            prop_assert_eq!(place.point.is_none(), place.source == freshrank::locate::Source::Unknown);
        }
        Ok(())
    });
}

#[test]
fn coarse_evidence_never_separates_places_of_one_city() {
    let evidence = (-80.0..80.0_f64, -180.0..180.0_f64);
    holds(512, (profile(), 0..86_400_i64, evidence), |(profile, after, (latitude, longitude))| {
        let blind = Context { at: NOON + after, ..Context::default() };
        let fix = Fix { point: Point::new(latitude, longitude).unwrap(), grade: Grade::Coarse };
        let seen = Context { request: Some(fix), ..blind.clone() };
        let (blind, seen) = (locate(&profile, &blind, PlacePolicy::Fused), locate(&profile, &seen, PlacePolicy::Fused));
        for (i, j) in (0..profile.places.len()).flat_map(|i| (0..i).map(move |j| (i, j))) {
            let (before, after) = (blind.posterior[i] * seen.posterior[j], blind.posterior[j] * seen.posterior[i]);
            prop_assert!((before - after).abs() <= 1e-6 * before.abs().max(1e-6), "{before} {after}");
        }
        Ok(())
    });
}

#[test]
fn what_a_bundle_is_written_from_is_read_back() {
    holds(128, area(), |draft| {
        let bundle = Bundle::decode(draft.encode().unwrap()).unwrap();
        prop_assert_eq!((bundle.len(), bundle.cell, bundle.as_of), (draft.merchants.len(), draft.cell, draft.as_of));
        prop_assert_eq!((bundle.layer(), bundle.country, bundle.cuisine_map), ("fi/helsinki", *b"FI", 7));
        let mut n_offers = 0;
        for i in 0..bundle.len() {
            let read = bundle.merchant(i);
            let written = draft.merchants.iter().find(|m| m.id == read.id).unwrap();
            prop_assert!(read.position.distance_km(written.position) < 0.0001);
            prop_assert_eq!((read.chain, read.kind, read.schedule), (written.chain, written.kind, written.schedule));
            prop_assert_eq!(
                (read.price_band, read.across_border, read.listed_day),
                (written.price_band, written.across_border, written.listed_day)
            );
            let near = |read: Option<f32>, written: Option<f32>, step: f32| match (read, written) {
                (Some(read), Some(written)) => (read - written).abs() <= step / 2.0 + 1e-5,
                (read, written) => read.is_none() && written.is_none(),
            };
            prop_assert!(near(read.rating, written.rating, 0.02), "{read:?}");
            prop_assert!(near(read.quality, written.quality, 1.0 / 254.0), "{read:?}");
            prop_assert!(near(read.reliability, written.reliability, 1.0 / 254.0), "{read:?}");
            prop_assert!(near(read.prep_minutes.map(f32::from), written.prep_minutes, 1.0), "{read:?}");
            prop_assert!(near(read.radius_km.map(|r| r as f32), written.radius_km, 0.1), "{read:?}");
            prop_assert!(near(Some(read.log_popularity_cell), Some(written.log_popularity_cell), 1.0 / 4096.0));
            let share = |of: &dyn Fn(Share) -> f32| (read.share.map(of), written.share.map(of));
            for (read, written) in [share(&|s| s.log_cell), share(&|s| s.log_city)] {
                prop_assert!(near(read, written, 1.0 / 4096.0), "{read:?}, {written:?}");
            }
            prop_assert_eq!(read.share.map(|s| s.evidence), written.share.map(|s| s.evidence));
            let count = (1.0 + f64::from(written.rating_count)).log2();
            prop_assert!((f64::from(read.log2_rating_count) - count).abs() < 0.05);
            n_offers += bundle.offers_of(i).filter(|offer| offer.merchant as usize == i).count();
        }
        let with_merchant = draft.offers.iter().filter(|o| draft.merchants.iter().any(|m| m.id == o.merchant)).count();
        prop_assert_eq!(n_offers, with_merchant);
        Ok(())
    });
}

#[test]
fn a_profile_survives_its_bytes() {
    holds(512, profile(), |profile| {
        let bytes = profile.encode().unwrap();
        let mut read = Profile::decode(&bytes).unwrap();
        prop_assert_eq!(read.encode().unwrap(), bytes);
        for (read, written) in read.places.iter_mut().zip(&profile.places) {
            prop_assert!(read.point.distance_km(written.point) < 0.003);
            read.point = written.point;
        }
        prop_assert_eq!(read, profile);
        Ok(())
    });
}

#[test]
fn a_display_block_survives_its_bytes() {
    let text = || "[a-zA-Zäß☕ ]{0,12}";
    let card = (text(), text(), text(), text()).prop_map(|(name, cuisines, url, chain)| Card {
        name,
        cuisines,
        url,
        chain,
        ..Card::default()
    });
    holds(128, vec(card, 0..20), |mut cards| {
        for (i, card) in cards.iter_mut().enumerate() {
            card.merchant_id = format!("m{i}");
        }
        let display = Display::decode(Display::encode(Hash::of(b"area"), &cards).unwrap()).unwrap();
        prop_assert_eq!((display.len(), display.bundle), (cards.len(), Hash::of(b"area")));
        for card in cards {
            prop_assert_eq!(display.card(MerchantId::of(&card.merchant_id)), Some(card));
        }
        prop_assert_eq!(display.card(MerchantId::of("nobody")), None);
        Ok(())
    });
}

#[test]
fn a_plan_survives_its_bytes() {
    holds(32, any::<u32>(), |seed| {
        let plan = network(seed);
        prop_assert_eq!(Dense::load(&plan.encode()).unwrap(), plan);
        Ok(())
    });
}

#[test]
fn doors_agree_with_a_plain_walk_through_the_minutes() {
    // The slow way: mark every minute of three weeks that some opening covers.
    holds(64, schedule(), |schedule| {
        let first = 20_690_i64;
        let mut open = vec![false; 130 * 1440];
        for day in first..first + 128 {
            let weekday = (day + 3).rem_euclid(7) as u16;
            let exception = schedule.exceptions.iter().find(|exception| i64::from(exception.day) == day);
            let spans: Vec<(u16, u16)> = match exception {
                Some(exception) => exception.open.clone(),
                None => schedule
                    .weekly
                    .iter()
                    .filter(|(opens, _)| opens / 1440 == weekday)
                    .map(|(o, c)| (o - weekday * 1440, c - weekday * 1440))
                    .collect(),
            };
            let midnight = ((day - first) * 1440) as usize;
            for (opens, closes) in spans {
                (opens..closes).for_each(|minute| open[midnight + usize::from(minute)] = true);
            }
        }
        let draft = AreaDraft {
            cell: Point::new(CENTRE.0, CENTRE.1).unwrap().cell(),
            as_of: 0,
            country: *b"FI",
            layer: String::new(),
            cuisine_map: 0,
            offset_minutes: 0,
            transitions: Vec::new(),
            merchants: Vec::new(),
            schedules: vec![schedule],
            offers: Vec::new(),
        };
        let bundle = Bundle::decode(draft.encode().unwrap()).unwrap();
        for minute in (3 * 1440..110 * 1440).step_by(97) {
            let local = freshrank::time::Local { minutes: first * 1440 + minute as i64 };
            let closes = open[minute..minute + 2880].iter().position(|open| !open).unwrap_or(2880);
            match bundle.hours(0).at(local) {
                freshrank::bundle::Opening::Open { closes: found } => {
                    prop_assert!(open[minute]);
                    prop_assert_eq!(found - local.minutes, closes as i64);
                }
                freshrank::bundle::Opening::Closed { since, opens } => {
                    prop_assert!(!open[minute]);
                    let back = (1..=1440).find(|back| open[minute - back]).map(|back| local.minutes - back as i64 + 1);
                    prop_assert_eq!(since, back);
                    if let Some(opens) = opens {
                        prop_assert!(open[(opens - first * 1440) as usize]);
                        prop_assert!(open[minute..(opens - first * 1440) as usize].iter().all(|open| !open));
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_score_is_the_models_and_the_boosts() {
    holds(64, (world(), any::<u32>()), |(world, model)| {
        let world = world.at_the_centre();
        let decision = world.decide(&network(model));
        let judged = freshrank::score::score(&network(model), &decision.rows).unwrap();
        prop_assert_eq!(decision.scores.iter().map(|Score { model, .. }| *model).collect::<Vec<_>>(), judged);
        Ok(())
    });
}

#[test]
fn tastes_fully_smoothed_are_the_tastes_as_they_are() {
    holds(64, world(), |world| {
        let world = world.at_the_centre();
        let mut smoothed = world.clone();
        smoothed.layer["smoothing"] = 1.0.into();
        let (plain, smoothed) = (world.decide(&NoModel), smoothed.decide(&NoModel));
        let bits = |decision: &Decision| decision.rows.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&plain), bits(&smoothed));
        Ok(())
    });
}

#[test]
fn without_a_consent_that_is_asked_for_all_readers_are_alike() {
    holds(64, world(), |world| {
        let mut asked = world.at_the_centre();
        asked.layer["consent"] = "required".into();
        asked.profile.consent = false;
        let market = asked.profile.market.clone();
        let nobody = World { profile: Profile { market, ..Profile::default() }, ..asked.clone() };
        let (asked, nobody) = (asked.decide(&NoModel), nobody.decide(&NoModel));
        prop_assert!(!asked.tailored);
        prop_assert_eq!(asked, nobody);
        Ok(())
    });
}
