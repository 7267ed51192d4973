//! Which layers hold at a place, and in which order: the one total order, so that which one wins never has two answers.
//!
//! 1. The tree of defaults comes before the campaign's own.
//! 2. Then by level: global, region, country, state, city, neighbourhood, and last the reader's arm.
//! 3. Then by stated priority, the lower first.
//! 4. Then by path, so that a layer follows its ancestors.
//!
//! What comes later wins. Two layers of one level and priority that cover a common place, neither the other's ancestor, are a
//! tie: `Campaign::check` refuses it, since nobody decided which wins.
//!
//! A layer says what it covers: `iso` (`FI`; `US-NY` is the path `us/ny`), `places` (paths, with all below them) and `cells` (H3
//! of any resolution; a polygon becomes cells before it gets here). Any one of them is enough. Without `covers` the path itself
//! is what is covered. A layer holds only where its ancestors, the layers at the beginnings of its path, hold too.
//!
//! The level need not be said: `global` is global, `arms/ID` an arm; countries in `iso` make a country, states a state; without
//! `covers` a path of one name is a country; all else is a city.
//!
//! | key | follows |
//! |---|---|
//! | `place`, `language`, `legal`, `consent`, `age_allow` | the reader's market |
//! | every other | the decided place; while that is unknown, the reader's market |
//!
//! A market is a path and has no position, so a layer that covers cells alone covers no market. A point lies in the cell of
//! resolution 15 around it and in that cell's ancestors: hexagons of two resolutions do not nest on the map, but their
//! ancestry does, and so two layers meet somewhere if and only if some cell of one is an ancestor of, or is, one of the other.

use super::{ARMS, Campaign, GLOBAL, Layer};
use crate::bundle::Bundle;
use crate::geo::Point;
use crate::sorted::{Many, Map, Set, sort, sort_by};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use h3o::{CellIndex, LatLng, Resolution};

/// How much a layer covers; a deeper one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Global,
    /// Several countries.
    Region,
    /// One country.
    Country,
    /// Part of a country.
    State,
    /// A city.
    City,
    /// Part of a city.
    Neighbourhood,
    /// The readers of one side of an experiment.
    Arm,
}

impl Level {
    /// The shallowest first.
    pub const ALL: [Self; 7] =
        [Self::Global, Self::Region, Self::Country, Self::State, Self::City, Self::Neighbourhood, Self::Arm];

    /// As layers write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Region => "region",
            Self::Country => "country",
            Self::State => "state",
            Self::City => "city",
            Self::Neighbourhood => "neighbourhood",
            Self::Arm => "arm",
        }
    }

    /// What path and cover tell, where the layer does not.
    pub(super) fn told(path: &str, covers: Option<&Covers>) -> Self {
        match covers {
            _ if path == GLOBAL => Self::Global,
            _ if path.starts_with(ARMS) => Self::Arm,
            None if !path.contains('/') => Self::Country,
            Some(covers) if !covers.iso.is_empty() && covers.iso.iter().all(|iso| !iso.0.contains('/')) => {
                Self::Country
            }
            Some(covers) if !covers.iso.is_empty() => Self::State,
            _ => Self::City,
        }
    }
}

/// ISO 3166-1 or -2, kept as the path it stands for: `fi`, `us/ny`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Iso(pub String);

impl Iso {
    /// Reads `FI` or `US-NY`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (country, part) = text.split_once('-').map_or((text, None), |(country, part)| (country, Some(part)));
        let country_is = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
        let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        let part_is = part.is_none_or(|part| (1..=3).contains(&part.len()) && part.bytes().all(upper));
        (country_is && part_is).then(|| Self(text.to_ascii_lowercase().replace('-', "/")))
    }

    /// As it is written.
    #[must_use]
    pub fn code(&self) -> String {
        self.0.to_ascii_uppercase().replace('/', "-")
    }
}

/// H3 cells, ascending; none twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cells(Vec<u64>);

impl Cells {
    /// Of cells in any order.
    #[must_use]
    pub fn new(mut cells: Vec<u64>) -> Self {
        sort(&mut cells);
        cells.dedup();
        Self(cells)
    }

    /// Them.
    pub fn iter(&self) -> impl Iterator<Item = CellIndex> + '_ {
        self.0.iter().filter_map(|cell| CellIndex::try_from(*cell).ok())
    }

    /// Whether some cell of one lies in, or is, one of the other.
    fn overlaps(&self, other: &Self) -> bool {
        let within = |inner: &Self, outer: &Self| {
            inner.iter().any(|cell| {
                let up = Resolution::range(Resolution::Zero, cell.resolution());
                up.filter_map(|resolution| cell.parent(resolution))
                    .any(|cell| outer.0.binary_search(&u64::from(cell)).is_ok())
            })
        };
        within(self, other) || within(other, self)
    }
}

/// Reads H3's hexadecimal form, of any resolution.
#[must_use]
pub fn parse_cell(text: &str) -> Option<u64> {
    let index = u64::from_str_radix(text, 16).ok()?;
    CellIndex::try_from(index).is_ok().then_some(index)
}

/// What a layer covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Covers {
    /// Countries and their parts.
    pub iso: Set<Iso>,
    /// Paths, with all below them.
    pub places: Set<String>,
    /// H3 cells of any resolution.
    pub cells: Cells,
}

/// Whether a path is this one or below it.
pub(super) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Layer {
    /// The paths that it covers with all below them; cells apart.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let own = self.covers.is_none().then(|| self.own_path());
        let covers = self.covers.iter();
        own.into_iter().chain(
            covers.flat_map(|c| c.iso.iter().map(|iso| iso.0.as_str()).chain(c.places.iter().map(String::as_str))),
        )
    }

    /// The cells that it covers.
    pub fn cells(&self) -> impl Iterator<Item = CellIndex> {
        self.covers.iter().flat_map(|covers| covers.cells.iter())
    }

    pub(super) fn is_everywhere(&self) -> bool {
        matches!(self.level, Level::Global | Level::Arm)
    }

    /// Whether the other's path begins with this one's, in one tree or in the defaults below it.
    #[must_use]
    pub fn is_ancestor_of(&self, other: &Self) -> bool {
        let trees = self.is_default() || !other.is_default();
        trees
            && (self.is_global()
                || (self.own_path() != other.own_path() && is_below(other.own_path(), self.own_path())))
    }

    /// Whether some place is covered by both, as far as their own covers tell.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.is_everywhere() || other.is_everywhere() {
            return true;
        }
        let below = |a: &Self, b: &Self| a.paths().any(|path| b.paths().any(|above| is_below(path, above)));
        let cells = match (&self.covers, &other.covers) {
            (Some(a), Some(b)) => a.cells.overlaps(&b.cells),
            _ => false,
        };
        cells || below(self, other) || below(other, self)
    }
}

/// Where a decision is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whereabouts<'a> {
    /// The reader's, `fi/helsinki`.
    pub market: &'a str,
    /// The area decided in; `None` while the place is unknown, or not served.
    pub area: Option<&'a Bundle>,
    /// The decided point.
    pub point: Option<Point>,
    /// The reader's side of the experiment.
    pub arm: Option<&'a str>,
    /// The reader's number, of whom something may be staged for; 0 for nobody known.
    pub reader: u64,
}

/// A layer by its position in the total order of its campaign.
pub type LayerId = u32;

/// Which layers hold at a place: decisions with equal chains have equal policies, so a shell may keep policies by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Chain {
    /// Of the keys that follow the place, the shallowest first.
    pub place: Vec<LayerId>,
    /// Of the keys that follow the market.
    pub market: Vec<LayerId>,
}

/// Finds the layers of a place without looking at the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Index {
    /// In the total order: whether it is the campaign's own, and its path there.
    pub order: Vec<(bool, String)>,
    /// The nearest ancestor in the same tree.
    parent: Vec<Option<LayerId>>,
    everywhere: Vec<LayerId>,
    by_path: Many<String, LayerId>,
    by_cell: Many<u64, LayerId>,
    by_arm: Many<String, LayerId>,
    /// Of some layer's cells, each once, ascending.
    resolutions: Vec<Resolution>,
}

impl Index {
    pub fn new(campaign: &Campaign) -> Self {
        let mut layers: Vec<&Layer> = campaign.defaults.values().chain(campaign.layers.values()).collect();
        sort_by(&mut layers, |a, b| order(a).cmp(&order(b)));
        let ids: Map<&str, LayerId> = layers.iter().enumerate().map(|(i, l)| (&*l.path, i as LayerId)).collect();
        let mut index = Self::default();
        let (mut by_path, mut by_cell, mut by_arm) = (Vec::new(), Vec::new(), Vec::new());
        let mut resolutions = Set::new();
        for (id, layer) in layers.iter().enumerate() {
            let id = id as LayerId;
            index.order.push((!layer.is_default(), layer.own_path().to_string()));
            let tree = &layer.path[..layer.path.len() - layer.own_path().len()];
            let above = layer.own_path().rmatch_indices('/').map(|(end, _)| &layer.path[..tree.len() + end]);
            index.parent.push(above.filter_map(|path| ids.get(path).copied()).next());
            match layer.arm() {
                Some(arm) => by_arm.push((arm.to_string(), id)),
                None if layer.is_everywhere() => index.everywhere.push(id),
                None => {
                    by_path.extend(layer.paths().map(|path| (path.to_string(), id)));
                    for cell in layer.cells() {
                        by_cell.push((u64::from(cell), id));
                        resolutions.insert(u8::from(cell.resolution()));
                    }
                }
            }
        }
        index.by_path = by_path.into_iter().collect();
        index.by_cell = by_cell.into_iter().collect();
        index.by_arm = by_arm.into_iter().collect();
        index.resolutions = resolutions.into_iter().filter_map(|r| Resolution::try_from(r).ok()).collect();
        index
    }

    pub fn chain(&self, at: &Whereabouts<'_>) -> Chain {
        let market = self.hold(at.market, None, &[], at.arm);
        let Some(area) = at.area else {
            return Chain { place: market.clone(), market };
        };
        let country = core::str::from_utf8(&area.country).ok().map(str::to_ascii_lowercase);
        let place = self.hold(area.layer(), country.as_deref(), &self.cells(area, at.point), at.arm);
        Chain { place, market }
    }

    /// The chain of a place that has this path and lies in these cells.
    pub fn at_path(&self, path: &str, cells: &[u64], arm: Option<&str>) -> Chain {
        let place = self.hold(path, None, cells, arm);
        Chain { market: place.clone(), place }
    }

    fn hold(&self, path: &str, country: Option<&str>, cells: &[u64], arm: Option<&str>) -> Vec<LayerId> {
        let mut found: Set<LayerId> = self.everywhere.iter().copied().collect();
        found.extend(arm.into_iter().flat_map(|arm| self.by_arm.of(arm)).copied());
        let prefixes = path.match_indices('/').map(|(end, _)| &path[..end]).chain([path]);
        for path in prefixes.chain(country.filter(|country| !is_below(path, country))) {
            found.extend(self.by_path.of(path).copied());
        }
        found.extend(cells.iter().flat_map(|cell| self.by_cell.of(cell)).copied());
        // An ancestor that does not hold takes its descendants along; it has the smaller path, not always the smaller place.
        let holds = |id: &LayerId| {
            let mut id = *id;
            loop {
                match self.parent.get(id as usize).copied().flatten() {
                    None => return true,
                    Some(parent) if found.contains(&parent) => id = parent,
                    Some(_) => return false,
                }
            }
        };
        found.iter().copied().filter(|id| holds(id)).collect()
    }

    /// The cells that a point lies in, of the resolutions that any layer asks for.
    fn cells(&self, area: &Bundle, point: Option<Point>) -> Vec<u64> {
        if self.resolutions.is_empty() {
            return Vec::new();
        }
        let fine =
            point.and_then(|p| LatLng::new(p.latitude(), p.longitude()).ok()).map(|p| p.to_cell(Resolution::Fifteen));
        let finest = fine.or_else(|| CellIndex::try_from(area.cell.0).ok());
        let of = |resolution: &Resolution| finest.and_then(|cell| cell.parent(*resolution)).map(u64::from);
        self.resolutions.iter().filter_map(of).collect()
    }
}

/// The total order.
pub(super) fn order(layer: &Layer) -> (bool, Level, i32, &str) {
    (!layer.is_default(), layer.level, layer.priority, layer.own_path())
}
