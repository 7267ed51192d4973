//! Who is ordered from where: decayed counts, and each merchant's share of the orders to a cell.
//!
//! A cell has few orders, so a share is shrunken to the share in the ring around it, that to the H3 cell of resolution 6, that to
//! the city, and that to an even share: p(m | level) = (n + k p(m | parent)) / (N + k), after the Dirichlet smoothing of MacKay and
//! Peto, "A hierarchical Dirichlet language model" (1995). n and N count the merchants that deliver to the cell, so the shares of a
//! cell add up to 1 at every level whatever else is in the tables.

use super::{BuildOptions, Catalog, DAY};
use crate::counter::Faded;
use crate::tables::{Order, Status, Timestamp};
use freshrank::geo::{Cell, Point};
use h3o::{CellIndex, LatLng, Resolution};
use serde::Serialize;
use std::collections::HashMap;
use std::hash::Hash;

/// Orders that the market's share of completed orders counts as.
const RELIABILITY_STRENGTH: f64 = 20.0;
/// One coarser than an area.
const WIDE: Resolution = Resolution::Six;
/// How many levels there are.
pub const N_LEVELS: usize = 4;

/// Where orders are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Anywhere; a merchant delivers a few kilometres, so that is its city.
    City,
    /// The H3 cell of resolution 6 that the cell lies in.
    Wide,
    /// The cell and its neighbours; an order counts by its distance to the cell's middle.
    Ring,
    /// The cell.
    Cell,
}

impl Level {
    /// The widest first: each is the parent of the next.
    pub const ALL: [Self; N_LEVELS] = [Self::City, Self::Wide, Self::Ring, Self::Cell];

    /// As in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::Wide => "resolution 6",
            Self::Ring => "ring",
            Self::Cell => "cell",
        }
    }
}

/// How far shares are shrunken.
///
/// `freshrank areas tune --half-lives 30 --half-distances 1` chose the strengths on the simulated orders of Helsinki and Ottawa before
/// the test split. A merchant's standing there is drawn for each cell alone, so ring and resolution 6 bring nothing and got the
/// largest strength that is tried; real orders want a run of their own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shrinkage {
    /// By level, as [`Level::ALL`]: orders that the parent counts as.
    pub strength: [f64; N_LEVELS],
    /// In the ring an order counts half at this distance from the cell's middle, a quarter at twice of it, kilometres.
    pub half_distance_km: f64,
}

impl Default for Shrinkage {
    fn default() -> Self {
        Self { strength: [16_384.0, 131_072.0, 131_072.0, 45.25], half_distance_km: 1.0 }
    }
}

/// What counts of an order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivery {
    /// When it was placed.
    pub at: Timestamp,
    /// The row of its merchant, if it is in the table.
    pub row: Option<u32>,
    /// Whether it arrived.
    pub completed: bool,
    /// Where to, if that is known.
    pub to: Option<Point>,
}

impl Delivery {
    /// Of a row of the tables.
    #[must_use]
    pub fn of(order: &Order, catalog: &Catalog<'_>) -> Self {
        Self {
            at: order.ordered_at,
            row: catalog.row(&order.merchant_id),
            completed: order.status == Status::Completed,
            to: catalog.destination(order),
        }
    }
}

/// Decayed orders of each merchant at every level, and how many were completed.
///
/// Orders may be recorded in any order, and in parts that are merged: no bit of a count depends on it.
#[derive(Debug, Clone)]
pub struct Popularity {
    half_life: f64,
    shrinkage: Shrinkage,
    cells: Counters<Cell>,
    rings: Counters<Cell>,
    wides: Counters<CellIndex>,
    city: HashMap<u32, Faded>,
    surroundings: HashMap<Cell, Surroundings>,
    completed: HashMap<u32, (u32, u32)>,
    all: (u32, u32),
    /// Completed orders that count.
    pub orders: usize,
    /// Completed orders to no known place or from no known merchant.
    pub unplaced: usize,
}

type Counters<K> = HashMap<K, HashMap<u32, Faded>>;

/// What a cell belongs to.
#[derive(Debug, Clone)]
struct Surroundings {
    /// Itself and its neighbours, with their middles.
    ring: Vec<(Cell, Point)>,
    wide: Option<CellIndex>,
}

impl Surroundings {
    fn of(cell: Cell) -> Self {
        let Ok(index) = CellIndex::try_from(cell.0) else {
            return Self { ring: Vec::new(), wide: None };
        };
        let disk: Vec<CellIndex> = index.grid_disk(1);
        let known = disk.into_iter().filter_map(|near| {
            let middle = LatLng::from(near);
            Some((Cell::new(u64::from(near))?, Point::new(middle.lat(), middle.lng())?))
        });
        Self { ring: known.collect(), wide: index.parent(WIDE) }
    }
}

/// How much an order counts in the ring of a cell, by its distance to the cell's middle.
#[must_use]
pub fn nearness(distance_km: f64, half_distance_km: f64) -> f64 {
    libm::exp2(-distance_km / half_distance_km)
}

/// The shares of a cell's merchants.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shares {
    /// By level, as [`Level::ALL`]: each merchant's share, in the order they were asked for.
    pub by_level: [Vec<f64>; N_LEVELS],
    /// By level: decayed orders, those that the parent counts as among them.
    pub evidence: [f64; N_LEVELS],
}

/// Decayed orders of some merchants around a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counts {
    /// By level, as [`Level::ALL`]: each merchant's, in the order they were asked for.
    pub by_level: [Vec<f64>; N_LEVELS],
}

impl Counts {
    /// Shrinks level by level, from an even share on.
    #[must_use]
    pub fn shares(&self, strength: &[f64; N_LEVELS]) -> Shares {
        let n = self.by_level[0].len();
        let mut share = vec![1.0 / n.max(1) as f64; n];
        let mut evidence = [0.0; N_LEVELS];
        let by_level = Level::ALL.map(|level| {
            let (counts, strength) = (&self.by_level[level as usize], strength[level as usize]);
            let all: f64 = counts.iter().sum();
            evidence[level as usize] = all + strength;
            share = counts.iter().zip(&share).map(|(n, parent)| shrunken(*n, all, *parent, strength)).collect();
            share.clone()
        });
        Shares { by_level, evidence }
    }
}

/// (n + k p) / (N + k); the parent's share where there is nothing else to go by.
#[must_use]
pub fn shrunken(n: f64, all: f64, parent: f64, strength: f64) -> f64 {
    if all + strength > 0.0 { (n + strength * parent) / (all + strength) } else { parent }
}

impl Popularity {
    /// Nothing ordered yet.
    #[must_use]
    pub fn new(options: &BuildOptions) -> Self {
        Self {
            half_life: options.half_life_days * DAY as f64,
            shrinkage: options.shrinkage,
            cells: HashMap::new(),
            rings: HashMap::new(),
            wides: HashMap::new(),
            city: HashMap::new(),
            surroundings: HashMap::new(),
            completed: HashMap::new(),
            all: (0, 0),
            orders: 0,
            unplaced: 0,
        }
    }

    /// Adds an order.
    pub fn record(&mut self, order: &Order, catalog: &Catalog<'_>) {
        self.add(&Delivery::of(order, catalog));
    }

    /// Adds what counts of an order.
    pub fn add(&mut self, delivery: &Delivery) {
        let Delivery { at, row, completed, to } = *delivery;
        if let Some(row) = row {
            let (done, all) = self.completed.entry(row).or_default();
            (*done, *all) = (*done + u32::from(completed), *all + 1);
            self.all = (self.all.0 + u32::from(completed), self.all.1 + 1);
        }
        if !completed {
            return;
        }
        let Some((row, point)) = row.zip(to) else {
            self.unplaced += 1;
            return;
        };
        self.orders += 1;
        let (half_life, cell) = (self.half_life, point.cell());
        let around = self.surroundings.entry(cell).or_insert_with(|| Surroundings::of(cell));
        self.cells.entry(cell).or_default().entry(row).or_default().add(1.0, at, half_life);
        for (near, middle) in &around.ring {
            let weight = nearness(point.distance_km(*middle), self.shrinkage.half_distance_km);
            self.rings.entry(*near).or_default().entry(row).or_default().add(weight, at, half_life);
        }
        if let Some(wide) = around.wide {
            self.wides.entry(wide).or_default().entry(row).or_default().add(1.0, at, half_life);
        }
        self.city.entry(row).or_default().add(1.0, at, half_life);
    }

    /// Adds all orders that another partition recorded.
    pub fn merge(&mut self, other: &Self) {
        merge(&mut self.cells, &other.cells);
        merge(&mut self.rings, &other.rings);
        merge(&mut self.wides, &other.wides);
        for (row, faded) in &other.city {
            self.city.entry(*row).or_default().merge(faded);
        }
        for (row, (done, all)) in &other.completed {
            let sum = self.completed.entry(*row).or_default();
            *sum = (sum.0 + done, sum.1 + all);
        }
        self.all = (self.all.0 + other.all.0, self.all.1 + other.all.1);
        self.orders += other.orders;
        self.unplaced += other.unplaced;
    }

    /// Orders of a merchant delivered to a cell, faded to a time not before the last order.
    #[must_use]
    pub fn in_cell(&self, cell: Cell, row: u32, at: Timestamp) -> f64 {
        self.read(self.cells.get(&cell), row, at)
    }

    /// Orders of a merchant delivered anywhere. A merchant delivers a few kilometres, so that is its city.
    #[must_use]
    pub fn in_city(&self, row: u32, at: Timestamp) -> f64 {
        self.read(Some(&self.city), row, at)
    }

    fn read(&self, counters: Option<&HashMap<u32, Faded>>, row: u32, at: Timestamp) -> f64 {
        counters.and_then(|of| of.get(&row)).map_or(0.0, |faded| faded.read(at, self.half_life))
    }

    /// Orders of these merchants around a cell, at every level.
    #[must_use]
    pub fn counts(&self, cell: Cell, rows: &[u32], at: Timestamp) -> Counts {
        let wide = CellIndex::try_from(cell.0).ok().and_then(|cell| cell.parent(WIDE));
        let by_level = Level::ALL.map(|level| {
            let of = match level {
                Level::City => Some(&self.city),
                Level::Wide => wide.and_then(|wide| self.wides.get(&wide)),
                Level::Ring => self.rings.get(&cell),
                Level::Cell => self.cells.get(&cell),
            };
            rows.iter().map(|row| self.read(of, *row, at)).collect()
        });
        Counts { by_level }
    }

    /// The shares of the merchants that deliver to a cell.
    #[must_use]
    pub fn shares(&self, cell: Cell, rows: &[u32], at: Timestamp) -> Shares {
        self.counts(cell, rows, at).shares(&self.shrinkage.strength)
    }

    /// What one order counts at each level of a cell, some time after it; what a reader's own orders are taken out by.
    #[must_use]
    pub fn weight(&self, cell: Cell, to: Point, ordered_at: Timestamp, at: Timestamp) -> [f64; N_LEVELS] {
        let faded = libm::exp2(-((at - ordered_at) as f64) / self.half_life);
        let around = Surroundings::of(cell);
        let destination = to.cell();
        let wide = CellIndex::try_from(destination.0).ok().and_then(|cell| cell.parent(WIDE));
        let near = around.ring.iter().find(|(near, _)| *near == cell).filter(|_| {
            // Being a neighbour goes both ways.
            around.ring.iter().any(|(near, _)| *near == destination)
        });
        Level::ALL.map(|level| match level {
            Level::City => faded,
            Level::Wide if wide.is_some() && wide == around.wide => faded,
            Level::Ring => near
                .map_or(0.0, |(_, middle)| faded * nearness(to.distance_km(*middle), self.shrinkage.half_distance_km)),
            Level::Cell if destination == cell => faded,
            _ => 0.0,
        })
    }

    /// The share of a merchant's orders that were completed, upon the share of all; unknown without orders.
    #[must_use]
    pub fn reliability(&self, row: u32) -> Option<f32> {
        let (done, all) = *self.completed.get(&row)?;
        let usual = f64::from(self.all.0) / f64::from(self.all.1.max(1));
        Some(((f64::from(done) + RELIABILITY_STRENGTH * usual) / (f64::from(all) + RELIABILITY_STRENGTH)) as f32)
    }
}

fn merge<K: Copy + Eq + Hash>(counters: &mut Counters<K>, other: &Counters<K>) {
    for (key, merchants) in other {
        let of = counters.entry(*key).or_default();
        merchants.iter().for_each(|(row, faded)| of.entry(*row).or_default().merge(faded));
    }
}

/// Orders before a time, in order of time whatever the table's order.
pub(crate) fn orders_before(orders: &[Order], as_of: Timestamp) -> Vec<&Order> {
    let mut before: Vec<&Order> = orders.iter().filter(|order| order.ordered_at < as_of).collect();
    before.sort_by(|a, b| (a.ordered_at, &a.user_id, &a.merchant_id).cmp(&(b.ordered_at, &b.user_id, &b.merchant_id)));
    before
}
