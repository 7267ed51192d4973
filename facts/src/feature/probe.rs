//! A fixed probe: a few readers and merchants that touch every column, unknown facts among them.

use super::{Rows, featurize};
use crate::bundle::{Audience, Kind, Merchant, Offer, OfferKind, Schedule, Share};
use crate::candidate::Candidate;
use crate::context::Context;
use crate::geo::Point;
use crate::id::{ChainId, MerchantId};
use crate::locate::{Place, Source};
use crate::profile::{KnownMerchant, Profile, Taste};
use crate::time::Local;
use alloc::vec::Vec;

const AT: i64 = 1_795_168_800;
const N: u32 = 8;

pub(super) fn rows() -> Rows {
    let kept: Vec<Candidate> = (0..N).map(candidate).collect();
    let mut rows = Rows::default();
    for profile in [Profile::default(), reader()] {
        for (hours, certainty) in [(0, 0.9), (9, 0.25)] {
            let context = Context { at: AT + hours * 3600, ..Context::default() };
            let place = Place {
                point: Some(Point::ORIGIN),
                certainty,
                source: Source::Predicted,
                travelling: false,
                posterior: Vec::new(),
                elsewhere: 1.0 - certainty,
            };
            let local = Local::new(context.at, 120);
            rows.values.extend(featurize(&kept, &profile, &place, &context, local).values);
        }
    }
    rows
}

fn reader() -> Profile {
    let taste = |sign: f32| Taste {
        clusters: (0..5).map(|k| sign * (k as f32 - 2.0) * 0.7).collect(),
        raw: (0..6).map(|i| (i * 2, 0.3 / (1.0 + f32::from(i)))).collect(),
    };
    Profile {
        as_of_minute: (AT / 60 - 3000) as u32,
        member: true,
        lifelong: taste(1.0),
        recent: taste(-0.5),
        merchants: (0..3)
            .map(|i| KnownMerchant { id: i, chain: 7, count: 1.5 + i as f32, days: 11 * i as u8 })
            .collect(),
        n_orders: 12,
        basket_band: Some(2.3),
        open_rate: Some(0.4),
        click_rate: Some(0.05),
        daypart_share: [0.1, 0.3, 0.6, 0.0],
        last_order_days: Some(3),
        ..Profile::default()
    }
}

fn candidate(i: u32) -> Candidate {
    let known = !i.is_multiple_of(3);
    let x = i as f32;
    Candidate {
        index: i,
        merchant: Merchant {
            id: MerchantId(u64::from(i)),
            chain: if known { ChainId(7) } else { ChainId::NONE },
            position: Point::ORIGIN,
            cuisines: [i as u16, i as u16 + 1, u16::MAX],
            clusters: [(i as u8 % 6, 200), (1, 55), (0, 0)],
            log_popularity_cell: 0.3 * x,
            log_popularity_city: 0.5 * x,
            share: known.then_some(Share { log_cell: -0.7 * x, log_city: -6.0 + 0.3 * x, evidence: 40.0 + x }),
            price_band: known.then_some(1 + (i % 4) as u8),
            rating: known.then_some(3.0 + 0.24 * x),
            log2_rating_count: x,
            reliability: known.then_some(0.9),
            prep_minutes: known.then_some(10 + i as u8),
            quality: known.then_some(0.1 * x),
            radius_km: None,
            kind: Kind::Restaurant,
            across_border: false,
            schedule: Schedule::Unknown,
            listed_day: known.then_some(20_000 + 100 * i as u16),
        },
        cuisine_map: 0,
        distance_km: 0.37 * f64::from(i),
        closes: None,
        open_minutes: known.then_some(45 * i64::from(i)),
        offer: known.then_some(Offer {
            id: i,
            merchant: i,
            kind: if i.is_multiple_of(2) { OfferKind::Percent } else { OfferKind::FreeDelivery },
            audience: Audience::All,
            value: 20,
            starts_minute: 0,
            ends_minute: u32::MAX,
        }),
    }
}
