//! One moment and one merchant, for tests that change a fact of it.

use freshrank::bundle::{Kind, Merchant, Schedule};
use freshrank::campaign::{Action, Rule};
use freshrank::context::Context;
use freshrank::geo::Point;
use freshrank::locate::{Place, Source};
use freshrank::profile::{KnownMerchant, Profile};
use freshrank::retrieve::Candidate;
use freshrank::rule::{Labels, Moment, Program};
use freshrank::time::Local;
use freshrank::{ChainId, MerchantId};

/// The fingerprint of the fixture's cuisine map.
pub const MAP: u32 = 1;

/// The cuisines of the benches' map and of the fixture's.
pub fn labels() -> Labels {
    let cuisines = ["pizza", "sushi", "burger", "bar", "finnish", "fish", "ramen", "soup", "curry", "thai", "halal"];
    Labels::new(MAP.into(), cuisines.map(String::from), ["halal".to_string()].into())
}

/// Everything a rule can ask, apart from the merchant.
#[derive(Debug)]
pub struct Scene {
    pub profile: Profile,
    pub place: Place,
    pub context: Context,
    pub local: Local,
    pub language: &'static str,
}

impl Scene {
    /// Friday 2026-11-20, noon in Helsinki.
    pub fn new() -> Self {
        let known = KnownMerchant { id: 7, chain: 0, count: 1.0, days: 3 };
        let profile = Profile { cuisine_map: MAP, merchants: vec![known], n_orders: 4, ..Profile::default() };
        let place = Place {
            point: Some(Point::ORIGIN),
            certainty: 0.75,
            source: Source::Predicted,
            travelling: false,
            posterior: vec![],
            elsewhere: 0.25,
        };
        let context = Context { at: 1_795_168_800, ..Context::default() };
        Self { profile, place, local: Local::new(context.at, 120), context, language: "" }
    }

    pub fn moment(&self) -> Moment<'_> {
        let Self { profile, place, context, local, language } = self;
        Moment { profile, place, context, local: *local, slots: 6, language }
    }

    /// Of which only what cannot be unknown is known.
    pub fn candidate(id: u64) -> Candidate {
        let merchant = Merchant {
            id: MerchantId(id),
            chain: ChainId::NONE,
            position: Point::ORIGIN,
            cuisines: [u16::MAX; 3],
            clusters: [(0, 0); 3],
            log_popularity_cell: 0.0,
            log_popularity_city: 0.0,
            share: None,
            price_band: None,
            rating: None,
            log2_rating_count: 0.0,
            reliability: None,
            prep_minutes: None,
            quality: None,
            radius_km: None,
            kind: Kind::Restaurant,
            across_border: false,
            schedule: Schedule::Unknown,
            listed_day: None,
        };
        let (closes, open_minutes, offer) = (None, None, None);
        Candidate { index: 0, merchant, cuisine_map: MAP, distance_km: 0.5, closes, open_minutes, offer }
    }
}

/// A rule for ever, unpaid.
pub fn rule(when: &str, then: Action, program: Option<Program>) -> Rule {
    let when = when.into();
    Rule {
        when,
        program,
        then,
        factor: None,
        pool: None,
        badge: None,
        reason: None,
        sponsored: false,
        from: None,
        until: None,
    }
}
