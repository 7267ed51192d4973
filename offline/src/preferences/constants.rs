//! The one table of chosen constants.
//!
//! Chosen by `freshrank preferences tune --entree ../shared/data/entree`: the greatest held-out log likelihood of the
//! orders of the validation slice, among readers who have not churned, over the whole grid of [`super::tune::Grid`]. That
//! command prints this table again, and says where it differs: the cuisine map it fits moves with the code. What is likelier
//! only within the interval of its resamples is no reason to change every profile.

use super::{Fade, PreferenceOptions};

/// What profiles are made with.
pub const CHOSEN: PreferenceOptions = PreferenceOptions {
    lifelong: Fade::Days(730.0),
    recent: Fade::Days(7.0),
    prior_strength: 16.0,
    smoothing: 0.0,
    recent_share: 0.7,
    sensitive: false,
};
