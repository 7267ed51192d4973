//! The whole answer.

use crate::areas::Area;
use crate::blend::{Ingredients, Marks, Notice, Placement, Score};
use crate::campaign::{Consent, Policy};
use crate::context::Context;
use crate::feature::Rows;
use crate::geo::Cell;
use crate::id::Hash;
use crate::locate::Place;
use crate::policies::Merged;
use crate::profile::Profile;
use crate::retrieve::{Candidate, Dropped};
use crate::rule::Hits;
use crate::score::{ModelError, Scorer};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What a decision is made of, beside place and policy.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The area of the place, if its bundle is at hand.
    pub area: Option<Area<'a>>,
    /// The reader, as [`reader`] lets them be looked at.
    pub profile: &'a Profile,
    /// Whether that is the reader's own profile.
    pub tailored: bool,
    /// The open.
    pub context: &'a Context,
    /// The campaign's.
    pub campaign: Hash,
    /// The reader's side of the campaign's experiment.
    pub arm: Option<&'a str>,
    /// Whether that side should have been sent nothing.
    pub holdout: bool,
    /// Who judges.
    pub scorer: &'a dyn Scorer,
}

/// The whole answer: what every slot shows, and everything that led there.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Where the reader is thought to be.
    pub place: Place,
    /// The area decided in; `None` where the place is unknown or its bundle not at hand.
    pub cell: Option<Cell>,
    /// Minutes that local clocks there are ahead of UTC.
    pub offset_minutes: i16,
    /// One a slot.
    pub placements: Vec<Placement>,
    /// Whether the reader's profile was looked at: a market may ask for consent first.
    pub tailored: bool,
    /// What the campaign asked for and could not have.
    pub notices: Vec<Notice>,
    /// Who could be placed, ascending by merchant id.
    pub kept: Vec<Candidate>,
    /// Who could not, and why, ascending by merchant id.
    pub dropped: Vec<Dropped>,
    /// What the rules say of `kept`; their error counts are over all that were asked about.
    pub hits: Hits,
    /// The rows of `kept`, as the model saw them.
    pub rows: Rows,
    /// What rules say of `kept`; empty where there are none.
    pub marks: Vec<Marks>,
    /// The judgement of `kept`.
    pub scores: Vec<Score>,
    /// Who judged: `dense`, `tract` or `prior`.
    pub scorer: &'static str,
    /// Why the model did not.
    pub model_error: Option<ModelError>,
    /// The merged configuration.
    pub policy: Arc<Merged>,
    /// The reader's side of the campaign's experiment; `None` is the control.
    pub arm: Option<String>,
    /// A reader who should have been sent nothing.
    pub holdout: bool,
    /// What made it.
    pub hashes: Hashes,
}

impl Decision {
    /// What its message was blended from, to be asked for [`crate::blend::moves`].
    #[must_use]
    pub fn ingredients<'a>(&'a self, profile: &'a Profile, context: &'a Context) -> Ingredients<'a> {
        let Self { kept, dropped, scores, marks, policy, .. } = self;
        let profile = self.tailored.then_some(profile);
        Ingredients { kept, dropped, scores, marks, profile, context, policy }
    }
}

/// Which model, bundle and campaign made a decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct Hashes {
    /// Of the ONNX file.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub model: Hash,
    /// Of the columns.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub features: Hash,
    /// Of the area bundle.
    #[cfg_attr(feature = "types", ts(type = "string | null"))]
    pub area: Option<Hash>,
    /// Of the published campaign.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub campaign: Hash,
    /// Of the merged configuration.
    #[cfg_attr(feature = "types", ts(type = "string"))]
    pub policy: Hash,
}

/// Whether a market's law lets a message look at the reader's profile.
#[must_use]
pub fn may_tailor(profile: &Profile, market: &Policy) -> bool {
    market.consent == Consent::NotRequired || profile.consent
}

/// The reader as a market's law lets a message look at them: without a consent that it asks for, only the market is known.
#[must_use]
pub fn reader<'a>(profile: &'a Profile, market: &Policy) -> Cow<'a, Profile> {
    if may_tailor(profile, market) {
        return Cow::Borrowed(profile);
    }
    Cow::Owned(Profile { market: profile.market.clone(), ..Profile::default() })
}

/// The reader with tastes smoothed as far as a campaign wants; the columns of smoothed taste are linear in them.
#[must_use]
pub fn smoothed<'a>(profile: Cow<'a, Profile>, policy: &Policy) -> Cow<'a, Profile> {
    let factor = policy.smoothing as f32;
    if factor == 1.0 {
        return profile;
    }
    let mut profile = profile.into_owned();
    for taste in [&mut profile.lifelong, &mut profile.recent] {
        taste.clusters.iter_mut().for_each(|share| *share *= factor);
    }
    Cow::Owned(profile)
}
