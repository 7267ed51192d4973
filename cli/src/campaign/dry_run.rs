//! Rules tried on sample readers before anybody is shown anything: what never holds, or errs, is worth a look.

use crate::shelf::Shelf;
use freshrank::campaign::{ById, Whereabouts};
use freshrank::policies::Policies as _;
use freshrank::request::from_base64url;
use freshrank::rule::{Moment, Rules, State, dry_run};
use freshrank::{Areas, Campaign, Context, Profile, locate, retrieve, time};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// Readers of a folder that are tried, spread evenly over its file.
const SAMPLES: usize = 200;
/// After the folder's own time: breakfast and dinner of its day, and lunch at the weekend or near it.
const HOURS: [i64; 3] = [3, 14, 52];

/// A rule as one layer made it, over all samples.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Its id, and who wrote it.
    pub rule: String,
    /// Pairs of reader and merchant it was asked about.
    pub pairs: usize,
    /// Of those, how many it holds for.
    pub holds: usize,
    /// Of those, for how many it asks what is not known.
    pub errors: usize,
    /// Readers and times it holds for some merchant of.
    pub messages: usize,
}

/// The readers of a folder that `freshrank build` wrote, and when.
pub struct Samples {
    profiles: Vec<Profile>,
    at: Vec<i64>,
}

#[derive(Deserialize)]
struct Line {
    profile: String,
}

#[derive(Deserialize)]
struct Manifest {
    as_of: String,
}

impl Samples {
    /// Reads some of its profiles.
    pub fn read(bundles: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let text = |name: &str| {
            let path = bundles.join(name);
            std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let manifest: Manifest = serde_json::from_str(&text("manifest.json")?)?;
        let as_of = time::parse(&manifest.as_of)?;
        let profiles = text("profiles.ndjson")?;
        let lines: Vec<&str> = profiles.lines().collect();
        let every = (lines.len() / SAMPLES).max(1);
        let profile = |line: &&str| -> Result<Profile, Box<dyn Error + Send + Sync>> {
            let line: Line = serde_json::from_str(line)?;
            Ok(Profile::decode(&from_base64url(&line.profile)?)?)
        };
        let profiles = lines.iter().step_by(every).take(SAMPLES).map(profile).collect::<Result<_, _>>()?;
        Ok(Self { profiles, at: HOURS.iter().map(|hours| as_of + hours * 3600).collect() })
    }

    /// How many messages are tried.
    pub fn len(&self) -> usize {
        self.profiles.len() * self.at.len()
    }

    /// Asks every rule of a campaign about everyone whom each reader could order from.
    pub fn ask(&self, campaign: &Campaign, shelf: &Shelf) -> Result<Vec<Tally>, Box<dyn Error + Send + Sync>> {
        let all = self.profiles.par_iter().flat_map(|profile| self.at.par_iter().map(move |at| (profile, *at)));
        let told: Vec<Vec<Tally>> =
            all.map(|(profile, at)| one(campaign, shelf, profile, at)).collect::<Result<_, _>>()?;
        let mut sums: BTreeMap<String, Tally> = BTreeMap::new();
        for tally in told.into_iter().flatten() {
            let sum = sums.entry(tally.rule.clone()).or_insert(Tally { rule: tally.rule, ..Tally::default() });
            sum.pairs += tally.pairs;
            sum.holds += tally.holds;
            sum.errors += tally.errors;
            sum.messages += tally.messages;
        }
        Ok(sums.into_values().collect())
    }
}

fn one(
    campaign: &Campaign,
    shelf: &Shelf,
    profile: &Profile,
    at: i64,
) -> Result<Vec<Tally>, Box<dyn Error + Send + Sync>> {
    let context = Context { at, ..Context::default() };
    let place = locate::locate(profile, &context, campaign.of_market(&profile.market).place);
    let Some(found) = place.cell().map(|cell| shelf.area(cell)).transpose()?.flatten() else {
        return Ok(Vec::new());
    };
    let bundle = &found.bundle;
    let areas = Areas::new([bundle], Vec::new());
    let whereabouts = Whereabouts {
        market: &profile.market,
        area: Some(bundle),
        point: place.point,
        arm: None,
        reader: profile.reader,
    };
    let policy = campaign.merged(&campaign.chain(&whereabouts));
    let rules = Rules::new(&policy);
    // Everybody whom the doors let in, whatever rules say of them.
    let open = freshrank::campaign::Policy { rules: ById::new(), first_pass: u16::MAX, ..policy.clone() };
    let area = areas.get(bundle.cell);
    let (kept, _, _) = retrieve::retrieve(area.as_ref(), profile, &place, &context, &open);
    let (local, slots, language) = (bundle.local(at), policy.slots, policy.language.as_str());
    let moment = Moment { profile, place: &place, context: &context, local, slots, language };
    let tried = dry_run(&rules, [(moment, kept.as_slice())]);
    let tally = |(tried, head): (freshrank::rule::Tried, &freshrank::rule::Head)| Tally {
        rule: format!("{} ({})", tried.rule, head.layer),
        pairs: tried.pairs,
        holds: tried.holds,
        errors: tried.errors,
        messages: tried.readers,
    };
    Ok(tried.into_iter().zip(rules.heads()).filter(|(tried, _)| tried.state == State::Asked).map(tally).collect())
}
