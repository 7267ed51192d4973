//! The market hour by hour: orders are counted up to it, and bundles are made as they would have been then.

use super::{DAY, TimelineError};
use crate::areas::{AreaError, BuildOptions, Catalog, Delivery, Doors, Popularity};
use crate::tables::runs::{Merge, Run, Writing, time_key};
use crate::tables::spool::{take, take_varint, varint};
use crate::tables::{Order, TableError, Timestamp};
use freshrank::bundle::Bundle;
use freshrank::geo::{Cell, Point};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Days whose hours are compiled together.
const DOORS_DAYS: i64 = 28;

/// Bundles of one hour after the other.
pub(crate) struct Hours<'t, 'r> {
    catalog: &'t Catalog<'t>,
    orders: Merge<'r>,
    next: Option<Delivery>,
    popularity: Popularity,
    doors: Option<(i64, Doors)>,
    as_of: Timestamp,
    bundles: Bundles,
}

/// Of one hour.
#[derive(Default)]
pub(crate) struct Bundles(BTreeMap<Cell, Option<Bundle>>);

impl Bundles {
    /// What was made of a cell; `None` where nobody delivers.
    pub(crate) fn of(&self, cell: Cell) -> Option<&Bundle> {
        self.0.get(&cell)?.as_ref()
    }
}

impl<'t, 'r> Hours<'t, 'r> {
    pub(super) fn new(
        catalog: &'t Catalog<'t>,
        options: &BuildOptions,
        orders: &'r [Run],
    ) -> Result<Self, TimelineError> {
        let mut hours = Self {
            catalog,
            orders: Merge::new(orders)?,
            next: None,
            popularity: Popularity::new(options),
            doors: None,
            as_of: Timestamp::MIN,
            bundles: Bundles::default(),
        };
        hours.pull()?;
        Ok(hours)
    }

    fn pull(&mut self) -> Result<(), TimelineError> {
        self.next = match self.orders.next().transpose()? {
            Some((_, value)) => Some(decode(&value).ok_or_else(damaged)?),
            None => None,
        };
        Ok(())
    }

    /// The bundles of these cells, and others, as of an hour that is not before the last one.
    pub(crate) fn make(
        &mut self,
        as_of: Timestamp,
        cells: impl Iterator<Item = Cell>,
    ) -> Result<&Bundles, TimelineError> {
        if as_of != self.as_of {
            self.as_of = as_of;
            self.bundles.0.clear();
            while let Some(order) = self.next.filter(|order| order.at < as_of) {
                self.popularity.add(&order);
                self.pull()?;
            }
        }
        let days = as_of.div_euclid(DAY * DOORS_DAYS) * DOORS_DAYS;
        let (_, doors) = match self.doors.take_if(|(known, _)| *known == days) {
            Some(known) => self.doors.insert(known),
            None => self.doors.insert((days, self.catalog.doors(days, days + DOORS_DAYS - 1))),
        };
        let mut missing: Vec<Cell> = cells.filter(|cell| !self.bundles.0.contains_key(cell)).collect();
        missing.sort_unstable();
        missing.dedup();
        let (catalog, popularity, doors) = (self.catalog, &self.popularity, &*doors);
        let bundle = |cell: Cell| -> Result<(Cell, Option<Bundle>), AreaError> {
            let Some(draft) = catalog.draft(cell, as_of, popularity, doors)? else {
                return Ok((cell, None));
            };
            let bundle = draft.encode().and_then(Bundle::decode);
            bundle.map(|bundle| (cell, Some(bundle))).map_err(|source| AreaError::Format { cell, source })
        };
        let made = missing.into_par_iter().map(bundle).collect::<Result<Vec<_>, _>>()?;
        self.bundles.0.extend(made);
        Ok(&self.bundles)
    }
}

/// Writes what counts of orders that ascend by time.
pub(super) fn write(orders: &[&Order], catalog: &Catalog<'_>, path: Option<PathBuf>) -> Result<Run, TableError> {
    let (mut run, mut value) = (Writing::new(path)?, Vec::new());
    for order in orders {
        let delivery = Delivery::of(order, catalog);
        value.clear();
        encode(&delivery, &mut value);
        run.put(&time_key(delivery.at), &value)?;
    }
    run.end()
}

fn encode(delivery: &Delivery, to: &mut Vec<u8>) {
    to.extend(delivery.at.to_le_bytes());
    varint(delivery.row.map_or(0, |row| u64::from(row) + 1), to);
    to.push(u8::from(delivery.completed));
    if let Some(point) = delivery.to {
        [point.latitude(), point.longitude()].iter().for_each(|degrees| to.extend(degrees.to_le_bytes()));
    }
}

fn decode(mut from: &[u8]) -> Option<Delivery> {
    let from = &mut from;
    let at = i64::from_le_bytes(take(from)?);
    let row = take_varint(from)?.checked_sub(1).and_then(|row| u32::try_from(row).ok());
    let completed = take::<1>(from)? != [0];
    let to = match from.is_empty() {
        true => None,
        false => Some(Point::new(f64::from_le_bytes(take(from)?), f64::from_le_bytes(take(from)?))?),
    };
    from.is_empty().then_some(Delivery { at, row, completed, to })
}

/// The sorted files are this program's own.
pub(super) fn damaged() -> TimelineError {
    TimelineError::Tables(TableError::Damaged { file: PathBuf::from("sorted records") })
}
