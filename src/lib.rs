//! freshrank decides which merchants a marketing message shows, when it is sent or opened.
//!
//! The engine reads no clock, no random number, no file, no network and no environment: the context carries
//! time and seed, the shells carry bytes. Same inputs give the same bytes on every target.
#![cfg_attr(not(feature = "types"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "types"))]
extern crate std;

// What everything stands on.
pub mod id;
pub mod time;
pub mod geo;
pub mod wire;

// In the order data flows; a module uses only those above it.
pub mod bundle;
pub mod profile;
pub mod context;
pub mod areas;
pub mod campaign;
pub mod locate;
pub mod retrieve;
pub mod feature;
pub mod score;
pub mod blend;
pub mod decision;
pub mod explain;
pub mod request;

pub use areas::Areas;
pub use bundle::Bundle;
pub use campaign::Campaign;
pub use context::Context;
pub use decision::Decision;
pub use id::{ChainId, Hash, MerchantId};
pub use profile::Profile;
pub use score::Scorer;

use campaign::Whereabouts;
use decision::Hashes;

/// Chooses a merchant for every slot of the campaign.
///
/// This never fails: whatever is wrong with the open, the area or the model, the reader gets a usable message and
/// the log gets the reason.
#[must_use]
pub fn rerank(
    areas: &Areas<'_>,
    profile: &Profile,
    context: &Context,
    campaign: &Campaign,
    scorer: &dyn Scorer,
) -> Decision {
    let place = locate::locate(profile, context, campaign.place_policy(&profile.market));
    let area = place.cell().and_then(|cell| areas.get(cell));
    let bundle = area.as_ref().map(|area| area.bundle);
    let arm = campaign.arm(profile.reader);
    let policy = campaign.policy_at(&Whereabouts { market: &profile.market, area: bundle, point: place.point, arm });
    let local = bundle.map_or(time::Local::new(context.at, profile.offset_minutes), |b| b.local(context.at));

    let (kept, dropped) = retrieve::retrieve(area.as_ref(), profile, &place, context, &policy);
    let rows = feature::featurize(&kept, profile, &place, context, local);
    let (judged, model_error) = match score::score(scorer, &rows) {
        Ok(scores) => (scores, None),
        Err(error) => (score::prior(&rows), Some(error)),
    };
    let scores = blend::boost(&kept, &judged, &policy);
    let placements = blend::blend(&kept, &scores, &policy);

    let hashes = Hashes {
        model: scorer.model(),
        features: scorer.features(),
        area: bundle.map(|bundle| bundle.hash),
        campaign: campaign.hash,
        policy: policy.hash(),
    };
    Decision {
        cell: bundle.map(|bundle| bundle.cell),
        offset_minutes: bundle.map_or(profile.offset_minutes, |b| b.offset_minutes(context.at)),
        scorer: if model_error.is_some() { "prior" } else { scorer.name() },
        place,
        placements,
        kept,
        dropped,
        rows,
        scores,
        model_error,
        policy,
        arm: arm.map(Into::into),
        holdout: campaign.is_holdout(arm),
        hashes,
    }
}
