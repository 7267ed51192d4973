//! Distances and cells.

use alloc::string::String;
use alloc::vec::Vec;
use h3o::{CellIndex, LatLng, Resolution};
use serde::de::Error as _;

/// Mean radius of the Earth (IUGG R1), in kilometres.
const EARTH_RADIUS_KM: f64 = 6371.0088;

/// Resolution of an area: a hexagon of 5.2 km2 on average.
pub const AREA_RESOLUTION: Resolution = Resolution::Seven;

/// A point in WGS84 degrees; always finite and in range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    latitude: f64,
    longitude: f64,
}

impl Point {
    /// Off the coast of Ghana, where there is nothing to eat.
    pub const ORIGIN: Self = Self { latitude: 0.0, longitude: 0.0 };

    /// `None` where a coordinate is not finite or out of range.
    #[must_use]
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let inside = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        inside.then_some(Self { latitude, longitude })
    }

    /// Degrees north.
    #[must_use]
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// Degrees east.
    #[must_use]
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// Great-circle distance by the haversine formula, good to 0.5 % (the Earth is no sphere).
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        let (a, b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_north = libm::sin((b - a) / 2.0);
        let half_east = libm::sin((other.longitude - self.longitude).to_radians() / 2.0);
        let h = half_north * half_north + libm::cos(a) * libm::cos(b) * half_east * half_east;
        // Rounding can carry antipodes past 1, where asin is NaN.
        let h = if h < 1.0 { h } else { 1.0 };
        2.0 * EARTH_RADIUS_KM * libm::asin(libm::sqrt(h))
    }

    /// The area this point lies in.
    #[must_use]
    pub fn cell(self) -> Cell {
        match LatLng::new(self.latitude, self.longitude) {
            Ok(point) => Cell(u64::from(point.to_cell(AREA_RESOLUTION))),
            // A Point is finite, the only thing h3o asks for.
            Err(_) => Cell(0),
        }
    }
}

/// An H3 cell at [`AREA_RESOLUTION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(pub u64);

impl Cell {
    /// Reads H3's hexadecimal form; `None` if it is no cell of an area's resolution.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(u64::from_str_radix(text, 16).ok()?)
    }

    /// `None` if it is no cell of an area's resolution.
    #[must_use]
    pub fn new(index: u64) -> Option<Self> {
        let cell = CellIndex::try_from(index).ok()?;
        (cell.resolution() == AREA_RESOLUTION).then_some(Self(index))
    }

    /// The middle of the cell; `None` for a cell that does not exist.
    #[must_use]
    pub fn center(self) -> Option<Point> {
        let center = LatLng::from(CellIndex::try_from(self.0).ok()?);
        Point::new(center.lat(), center.lng())
    }

    /// The six cells around it, five around a pentagon; none for a cell that does not exist.
    #[must_use]
    pub fn neighbours(self) -> Vec<Self> {
        let Ok(cell) = CellIndex::try_from(self.0) else {
            return Vec::new();
        };
        cell.grid_disk_safe(1).filter(|other| *other != cell).map(|other| Self(u64::from(other))).collect()
    }
}

impl<'de> serde::Deserialize<'de> for Cell {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a cell is an H3 cell at resolution 7"))
    }
}

impl core::fmt::Display for Cell {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl serde::Serialize for Cell {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amsterdam_to_utrecht_is_35_km() {
        let amsterdam = Point::new(52.3702, 4.8952).unwrap();
        let utrecht = Point::new(52.0907, 5.1214).unwrap();
        assert!((amsterdam.distance_km(utrecht) - 34.7).abs() < 0.2);
    }

    #[test]
    fn antipodes_are_half_the_circumference_apart_and_finite() {
        let (north, south) = (Point::new(90.0, 0.0).unwrap(), Point::new(-90.0, 0.0).unwrap());
        assert!((north.distance_km(south) - 20_015.1).abs() < 0.1);
    }

    #[test]
    fn a_point_lies_in_the_cell_whose_centre_is_near() {
        let helsinki = Point::new(60.1699, 24.9384).unwrap();
        let center = helsinki.cell().center().unwrap();
        assert!(helsinki.distance_km(center) < 2.0);
        assert_eq!(Cell::parse(&alloc::format!("{}", helsinki.cell())), Some(helsinki.cell()));
        assert_eq!(Cell::new(0), None);
    }

    #[test]
    fn a_cell_has_six_neighbours_as_far_as_a_cell_is_wide() {
        let cell = Point::new(60.1699, 24.9384).unwrap().cell();
        let around = cell.neighbours();
        assert_eq!(around.len(), 6);
        for other in around {
            let km = cell.center().unwrap().distance_km(other.center().unwrap());
            assert!((1.5..3.5).contains(&km), "{other}: {km}");
            assert!(other.neighbours().contains(&cell));
        }
        assert_eq!(Cell(0).neighbours(), []);
    }
}
