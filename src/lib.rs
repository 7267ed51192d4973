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
pub use freshrank_facts::{geo, id, sorted, time, wire};
pub mod suggest;

// In the order data flows; a module uses only those above it.
pub use freshrank_facts::{areas, bundle, candidate, context, feature, gate, locate, profile};
pub mod campaign;
pub mod rule;
pub mod policies;
pub mod retrieve;
pub mod score;
pub mod blend;
pub mod decision;
pub mod explain;
pub mod card;
pub mod request;

// From the send to the open: what a message carries, where it is asked for, and by whom.
pub mod token;
pub mod edge;
pub mod mailbox;
pub mod fresh;
pub mod slate;
pub mod link;
pub mod record;

pub use areas::Areas;
pub use bundle::Bundle;
pub use campaign::Campaign;
pub use context::Context;
pub use decision::Decision;
pub use id::{ChainId, Hash, MerchantId};
pub use profile::Profile;
pub use score::Scorer;

use alloc::borrow::Cow;
use alloc::sync::Arc;
use blend::{Blend, Ingredients};
use campaign::Whereabouts;
use decision::{Asked, Hashes};
use policies::{Merged, Policies};

/// Chooses a merchant for every slot of the campaign.
///
/// A [`Campaign`] merges its layers anew; a shell that keeps what was merged brings its own [`Policies`].
///
/// This never fails: whatever is wrong with the open, the area or the model, the reader gets a usable message and
/// the log gets the reason.
#[must_use]
pub fn rerank(
    areas: &Areas<'_>,
    profile: &Profile,
    context: &Context,
    policies: &dyn Policies,
    scorer: &dyn Scorer,
) -> Decision {
    let campaign = policies.campaign();
    let market = policies.of_market(&profile.market);
    let tailored = decision::may_tailor(profile, &market);
    let profile = decision::reader(profile, &market);
    let place = locate::locate(&profile, context, market.place);
    let area = place.cell().and_then(|cell| areas.get(cell));
    let arm = campaign.arm(profile.reader);
    let bundle = area.map(|area| area.bundle);
    let at = Whereabouts { market: &profile.market, area: bundle, point: place.point, arm, reader: profile.reader };
    let policy = policies.merged(&campaign.chain(&at));
    let (campaign, holdout) = (campaign.hash, campaign.is_holdout(arm));
    let asked = Asked { area, profile: &profile, tailored, context, campaign, arm, holdout, scorer };
    decide(asked, place, policy)
}

/// [`rerank`] once place and policy are known; an explanation asks it again under other circumstances.
#[must_use]
pub fn decide(asked: Asked<'_>, place: locate::Place, policy: impl Into<Arc<Merged>>) -> Decision {
    let policy = policy.into();
    let Asked { area, profile, tailored, context, campaign, arm, holdout, scorer } = asked;
    let bundle = area.as_ref().map(|area| area.bundle);
    let local = bundle.map_or(time::Local::new(context.at, profile.offset_minutes), |b| b.local(context.at));
    let profile = decision::smoothed(Cow::Borrowed(profile), &policy);
    let scorer = score::of(policy.ranker, scorer);

    let (kept, dropped, hits) =
        retrieve::retrieve_by(area.as_ref(), &profile, &place, context, &policy, policy.rules());
    let rows = feature::featurize(&kept, &profile, &place, context, local);
    let (judged, model_error) = match score::score(scorer, &rows) {
        Ok(scores) => (scores, None),
        Err(error) => (score::prior(&rows), Some(error)),
    };
    let marks = blend::marks(&hits, kept.len());
    let scores = blend::boost(&kept, &judged, &marks, context, &policy);
    let ingredients = Ingredients {
        kept: &kept,
        dropped: &dropped,
        scores: &scores,
        marks: &marks,
        profile: tailored.then_some(&profile),
        context,
        policy: &policy,
    };
    let Blend { placements, notices } = blend::blend(&ingredients);

    let hashes = Hashes {
        model: scorer.model(),
        features: scorer.features(),
        area: bundle.map(|bundle| bundle.hash),
        campaign,
        policy: policy.hash(),
    };
    Decision {
        cell: bundle.map(|bundle| bundle.cell),
        offset_minutes: bundle.map_or(profile.offset_minutes, |b| b.offset_minutes(context.at)),
        scorer: if model_error.is_some() { "prior" } else { scorer.name() },
        place,
        placements,
        tailored,
        notices,
        kept,
        dropped,
        hits,
        rows,
        marks,
        scores,
        model_error,
        policy,
        arm: arm.map(Into::into),
        holdout,
        hashes,
    }
}
