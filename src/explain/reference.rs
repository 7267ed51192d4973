//! What a share is a share against: one row an area, the same for all its readers and campaigns.
//!
//! It is the row of no merchant and no reader: of every column the lower median over the area's merchants with an open door
//! (or without tracked hours), as they look at the message's time from the middle of the area to a reader of whom nothing is
//! known. So shares of two readers, or of two campaigns, in one place can be compared; a share above 0 speaks for the
//! merchant as against the area's usual one.

use crate::areas::Area;
use crate::context::Context;
use crate::feature::{N_FEATURES, Rows, featurize};
use crate::locate::{Place, Source};
use crate::profile::Profile;
use crate::retrieve;
use crate::sorted::sort_by;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;

/// What a share is a share against.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "types", derive(ts_rs::TS))]
pub struct Reference {
    /// Its score in fixed point, score x 65536.
    pub base: i32,
    /// What it is, `middle of the area's 57 open merchants, to a reader of whom nothing is known`.
    pub about: String,
    /// Its columns, in the model's order.
    pub row: Vec<f32>,
}

/// The reference row of an area at a message's time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AreaRow {
    /// Whose middle it is.
    pub merchants: usize,
    /// Its columns; none where no door is open.
    pub columns: Vec<f32>,
}

impl AreaRow {
    /// Works it out.
    #[must_use]
    pub fn of(area: &Area<'_>, context: &Context) -> Self {
        let Some(center) = area.bundle.cell.center() else { return Self::default() };
        let place = Place {
            point: Some(center),
            certainty: 1.0,
            source: Source::Predicted,
            travelling: false,
            posterior: Vec::new(),
            elsewhere: 0.0,
        };
        let nobody = Profile { cuisine_map: area.bundle.cuisine_map as u32, ..Profile::default() };
        let open = retrieve::open(area, &nobody, center, context);
        let rows = featurize(&open, &nobody, &place, context, area.bundle.local(context.at));
        Self { merchants: open.len(), columns: medians(&rows) }
    }

    /// As an answer tells it.
    #[must_use]
    pub fn told(&self, base: i32) -> Reference {
        let s = if self.merchants == 1 { "" } else { "s" };
        let whose = format!("middle of the area's {} open merchant{s}", self.merchants);
        Reference { base, about: format!("{whose}, to a reader of whom nothing is known"), row: self.columns.clone() }
    }
}

/// The lower median of every column; no values where there are no rows.
fn medians(rows: &Rows) -> Vec<f32> {
    let column = |i: usize| {
        let mut values: Vec<f32> = rows.iter().map(|row| row[i]).collect();
        sort_by(&mut values, f32::total_cmp);
        values.get(values.len().checked_sub(1)? / 2).copied()
    };
    (0..N_FEATURES).filter_map(column).collect()
}
