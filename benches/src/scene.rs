//! One area of N merchants that all pass, and a reader with a full profile: what the stages are timed on.

use freshrank::bundle::{AreaDraft, MerchantDraft, Schedule, ScheduleDraft, Share};
use freshrank::context::{Context, Fix, Grade};
use freshrank::geo::Point;
use freshrank::profile::{KnownMerchant, LikelyPlace, Profile, Taste};
use freshrank::request::base64url;
use freshrank::{Bundle, Campaign, ChainId, MerchantId};

/// Friday 2026-11-20, noon in Helsinki.
pub const AT: i64 = 1_795_168_800;

/// Lets all of them through the first pass.
pub const CAMPAIGN: &str = r#"{"id": "bench", "layers": {"global": {"first_pass": 2000}}}"#;

/// Everything a decision needs.
pub struct Scene {
    /// The area as bytes.
    pub bytes: Vec<u8>,
    /// Decoded.
    pub bundle: Bundle,
    /// A regular.
    pub profile: Profile,
    /// At home, says the app.
    pub context: Context,
    /// A campaign that lets all of them through the first pass.
    pub campaign: Campaign,
}

impl Scene {
    /// An area of `n` merchants within 2 km.
    pub fn new(n: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let home = Point::new(60.1699, 24.9384).ok_or("home is on Earth")?;
        let merchants =
            (0..n).map(|i| merchant(i, home)).collect::<Option<Vec<_>>>().ok_or("merchants are on Earth")?;
        let weekly = |from: u16| (0..7).map(|day| (day * 1440 + 480 + from, day * 1440 + 1320 + from)).collect();
        let draft = AreaDraft {
            cell: home.cell(),
            as_of: AT - 3600,
            country: *b"FI",
            layer: "fi/helsinki".into(),
            cuisine_map: 1,
            offset_minutes: 120,
            transitions: vec![],
            merchants,
            schedules: (0..40).map(|i| ScheduleDraft { weekly: weekly(i), exceptions: vec![] }).collect(),
            offers: vec![],
        };
        let bytes = draft.encode()?;
        Ok(Self {
            bundle: Bundle::decode(bytes.clone())?,
            bytes,
            profile: profile(home),
            context: Context { at: AT, request: Some(Fix { point: home, grade: Grade::Exact }), ..Context::default() },
            campaign: Campaign::parse(CAMPAIGN.as_bytes())?,
        })
    }
}

impl Scene {
    /// The open as a shell is asked for it.
    pub fn request(&self) -> Result<String, Box<dyn std::error::Error>> {
        let fix = self.context.request.ok_or("the scene has a place")?;
        let request = serde_json::json!({
            "campaign": self.campaign.id,
            "profile": base64url(&self.profile.encode()?),
            "context": {
                "at": freshrank::time::format(self.context.at),
                "latitude": fix.point.latitude(),
                "longitude": fix.point.longitude(),
                "grade": "exact",
            },
        });
        Ok(request.to_string())
    }
}

fn merchant(i: usize, home: Point) -> Option<MerchantDraft> {
    let (north, east) = ((i % 37) as f64 / 37.0 - 0.5, (i % 53) as f64 / 53.0 - 0.5);
    let position = Point::new(home.latitude() + 0.02 * north, home.longitude() + 0.04 * east)?;
    Some(MerchantDraft {
        chain: if i.is_multiple_of(11) { ChainId(1000 + i as u32) } else { ChainId::NONE },
        cuisines: vec![i as u16 % 40, i as u16 % 7],
        clusters: vec![(i as u8 % 12, 180), (i as u8 % 5, 75)],
        log_popularity_cell: (i % 17) as f32 * 0.2,
        log_popularity_city: (i % 23) as f32 * 0.25,
        share: Some(Share {
            log_cell: -4.0 - (i % 19) as f32 * 0.2,
            log_city: -5.0 - (i % 23) as f32 * 0.1,
            evidence: 80.0,
        }),
        price_band: Some(1 + (i % 4) as u8),
        rating: Some(3.0 + (i % 20) as f32 * 0.1),
        rating_count: 10 + i as u32,
        reliability: Some(0.95),
        prep_minutes: Some(15.0),
        quality: Some(0.5),
        radius_km: Some(5.0),
        schedule: Schedule::Known(i as u16 % 40),
        listed_day: Some(20_000),
        ..MerchantDraft::new(MerchantId::of(&format!("m{i}")), position)
    })
}

fn profile(home: Point) -> Profile {
    let taste = |sign: f32| Taste {
        clusters: (0..12).map(|k| sign * (k as f32 / 6.0 - 1.0)).collect(),
        raw: (0..6).map(|label| (label * 3, 0.2)).collect(),
    };
    let known =
        |i: usize| KnownMerchant { id: MerchantId::of(&format!("m{i}")).short(), chain: 0, count: 1.5, days: 9 };
    Profile {
        reader: 7,
        as_of_minute: (AT / 60 - 720) as u32,
        offset_minutes: 120,
        market: "fi/helsinki".into(),
        cuisine_map: 1,
        lifelong: taste(1.0),
        recent: taste(-1.0),
        places: vec![LikelyPlace { point: home, probability: [0.8; 4] }; 4],
        new_place_rate: 0.1,
        merchants: (0..10).map(known).collect(),
        n_orders: 30,
        basket_band: Some(2.0),
        daypart_share: [0.0, 0.5, 0.5, 0.0],
        last_order_days: Some(3),
        ..Profile::default()
    }
}
