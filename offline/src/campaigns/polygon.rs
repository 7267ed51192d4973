//! A polygon becomes the H3 cells whose centres lie in it.
//!
//! GeoJSON (RFC 7946): longitude before latitude, WGS84, straight lines between positions. Centres decide because
//! then two polygons with a common border share the cells between them: none is lost, none belongs to both. Our own
//! containment, since h3o's `geo` would turn on its `std`, and with it other bits than the modules have.

use h3o::{CellIndex, LatLng, Resolution};
use serde_json::Value;
use std::collections::BTreeSet;

/// A neighbourhood's cells are of 0.1 km2, a city's of 0.7, a region's of 5.2 (an area's own resolution).
/// Beyond the last, a layer covers countries or states by their codes.
const RESOLUTIONS: [(f64, Resolution); 3] =
    [(100.0, Resolution::Nine), (2_000.0, Resolution::Eight), (100_000.0, Resolution::Seven)];
/// Positions of one file.
const MAX_POSITIONS: usize = 200_000;
/// Square kilometres of a square degree at the equator.
const KM2_PER_DEGREE2: f64 = 111.195 * 111.195;

/// A closed line, `[longitude, latitude]`.
type Ring = Vec<[f64; 2]>;

/// Exterior and holes together: a point is inside where a ray crosses their borders an odd number of times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Polygon {
    rings: Vec<Ring>,
}

/// Reads a file's text into one polygon of all its parts.
///
/// # Errors
/// A sentence that says what stands where, and what to do.
pub fn read(text: &str) -> Result<Polygon, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
    let mut polygon = Polygon::default();
    add(&json, &mut polygon)?;
    let positions: usize = polygon.rings.iter().map(Vec::len).sum();
    if positions > MAX_POSITIONS {
        return Err(format!("found {positions} positions, at most {MAX_POSITIONS} are read: simplify the border"));
    }
    if polygon.rings.is_empty() {
        return Err("found no polygon: draw one".to_owned());
    }
    Ok(polygon)
}

fn add(json: &Value, polygon: &mut Polygon) -> Result<(), String> {
    if let Some(crs) = json.get("crs").filter(|crs| !crs.to_string().contains("CRS84")) {
        return Err(format!("found the reference system {crs}, expected WGS84: export it as EPSG:4326"));
    }
    let list = |key: &str| json.get(key).and_then(Value::as_array).ok_or_else(|| format!("`{key}` is no list"));
    match json.get("type").and_then(Value::as_str) {
        Some("FeatureCollection") => list("features")?.iter().try_for_each(|feature| add(feature, polygon)),
        Some("Feature") => add(json.get("geometry").unwrap_or(&Value::Null), polygon),
        Some("Polygon") => add_rings(list("coordinates")?, polygon),
        Some("MultiPolygon") => list("coordinates")?.iter().try_for_each(|part| {
            add_rings(part.as_array().ok_or("a part of a MultiPolygon is no list of rings")?, polygon)
        }),
        Some(other) => Err(format!("found the type {other}, expected Polygon or MultiPolygon, bare or as a Feature")),
        None => Err("found no `type`, expected a GeoJSON Polygon or MultiPolygon, bare or as a Feature".to_owned()),
    }
}

fn add_rings(rings: &[Value], polygon: &mut Polygon) -> Result<(), String> {
    for ring in rings {
        let positions = ring.as_array().ok_or("a ring is no list of positions")?;
        let ring = positions.iter().map(position).collect::<Result<Ring, _>>()?;
        if ring.len() < 4 || ring.first() != ring.last() {
            let (n, first, last) = (ring.len(), ring.first(), ring.last());
            return Err(format!(
                "found a ring of {n} positions from {first:?} to {last:?}, expected at least 4 that end where they began"
            ));
        }
        if let Some([from, to]) = ring.array_windows::<2>().find(|[from, to]| (from[0] - to[0]).abs() > 180.0) {
            return Err(format!(
                "the border runs from longitude {} to {}, around the far side of the Earth: cut the polygon at 180 degrees \
                 into two parts of a MultiPolygon",
                from[0], to[0]
            ));
        }
        polygon.rings.push(ring);
    }
    Ok(())
}

fn position(value: &Value) -> Result<[f64; 2], String> {
    let number = |i: usize| value.get(i).and_then(Value::as_f64);
    let (Some(longitude), Some(latitude)) = (number(0), number(1)) else {
        return Err(format!("found the position {value}, expected [longitude, latitude]"));
    };
    if !(-180.0..=180.0).contains(&longitude) || !(-90.0..=90.0).contains(&latitude) {
        return Err(format!(
            "found the position {value}, expected [longitude, latitude] within 180 and 90 degrees: are the two swapped?"
        ));
    }
    Ok([longitude, latitude])
}

impl Polygon {
    /// Whether a point lies inside; of a point on a border, exactly one of the two sides says so.
    #[must_use]
    pub fn contains(&self, longitude: f64, latitude: f64) -> bool {
        let edges = self.rings.iter().flat_map(|ring| ring.array_windows::<2>());
        let crossed = edges.filter(|[a, b]| {
            // The same arithmetic whichever way round a border is drawn, or neighbours could both claim a point.
            let (low, high) = if a[1] < b[1] { (a, b) } else { (b, a) };
            (low[1] <= latitude && latitude < high[1])
                && longitude < low[0] + (high[0] - low[0]) * ((latitude - low[1]) / (high[1] - low[1]))
        });
        crossed.count() % 2 == 1
    }

    /// West, south, east, north.
    fn bounds(&self) -> [f64; 4] {
        let all = self.rings.iter().flatten();
        all.fold([180.0, 90.0, -180.0, -90.0], |[w, s, e, n], [x, y]| [w.min(*x), s.min(*y), e.max(*x), n.max(*y)])
    }

    /// Good to a few per cent for what a layer covers; it only chooses the resolution.
    fn area_km2(&self) -> f64 {
        let ring = |ring: &Ring| {
            let twice: f64 = ring.array_windows::<2>().map(|[a, b]| a[0] * b[1] - b[0] * a[1]).sum();
            let latitude = ring.iter().map(|position| position[1]).sum::<f64>() / ring.len() as f64;
            (twice / 2.0).abs() * KM2_PER_DEGREE2 * latitude.to_radians().cos()
        };
        self.rings.iter().map(ring).sum()
    }

    /// The cells whose centres lie inside, merged into their parents where all children are there, ascending.
    ///
    /// # Errors
    /// Where it is so large that a code should cover it, or so small that it holds no centre.
    pub fn cells(&self) -> Result<Vec<CellIndex>, String> {
        let area = self.area_km2();
        let Some((_, resolution)) = RESOLUTIONS.iter().find(|(limit, _)| area <= *limit) else {
            return Err(format!("covers {area:.0} km2, at most 100000: cover countries and states by their codes"));
        };
        let mut cells = self.cells_at(*resolution);
        if cells.is_empty() {
            return Err(format!("covers {area:.3} km2 and holds no centre of a cell of 0.1 km2: draw it larger"));
        }
        // Distinct cells of one resolution, which is all that compacting asks for.
        CellIndex::compact(&mut cells).map_err(|error| error.to_string())?;
        cells.sort_unstable();
        Ok(cells)
    }

    /// Samples the box around the polygon so densely that no cell is missed, and asks each cell's centre.
    fn cells_at(&self, resolution: Resolution) -> Vec<CellIndex> {
        let [west, south, east, north] = self.bounds();
        // A hexagon holds a circle of 0.87 edges; a square grid of half an edge has a point in any such, and in the
        // smaller ones near the icosahedron's corners.
        let step = resolution.edge_length_km() / 2.0 / 111.195;
        let rows = ((north - south) / step).ceil() as usize + 2;
        let mut cells = BTreeSet::new();
        for row in 0..=rows {
            let latitude = (south + (row as f64 - 1.0) * step).clamp(-90.0, 90.0);
            let across = step / latitude.to_radians().cos().max(0.01);
            let columns = ((east - west) / across).ceil() as usize + 2;
            for column in 0..=columns {
                let longitude = (west + (column as f64 - 1.0) * across).clamp(-180.0, 180.0);
                // Clamped, hence finite: h3o takes it.
                cells.extend(LatLng::new(latitude, longitude).ok().map(|point| point.to_cell(resolution)));
            }
        }
        let inside = |cell: &CellIndex| {
            let center = LatLng::from(*cell);
            self.contains(center.lng(), center.lat())
        };
        cells.into_iter().filter(inside).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(west: f64, south: f64, side: f64) -> String {
        let (east, north) = (west + side, south + side);
        format!("[[{west},{south}],[{east},{south}],[{east},{north}],[{west},{north}],[{west},{south}]]")
    }

    fn polygon(rings: &[String]) -> Polygon {
        read(&format!(r#"{{"type": "Polygon", "coordinates": [{}]}}"#, rings.join(","))).unwrap()
    }

    #[test]
    fn the_cells_of_a_square_have_its_area() {
        // 0.1 by 0.1 degrees at 60 north.
        let helsinki = polygon(&[square(24.9, 60.1, 0.1)]);
        let area: f64 = helsinki.cells().unwrap().iter().map(|cell| cell.area_km2()).sum();
        assert!((area - 61.5).abs() < 1.0, "{area} km2");
        let plain = helsinki.cells_at(Resolution::Nine).len();
        assert!(helsinki.cells().unwrap().len() < plain / 2, "compacted from {plain}");
    }

    #[test]
    fn every_cell_whose_centre_lies_inside_is_found_and_no_other() {
        for (west, south) in [(24.9, 60.1), (-74.1, 40.7), (179.9, -0.05), (-180.0, 5.0), (31.8, 58.2)] {
            let square = polygon(&[square(west, south, 0.1)]);
            let found: BTreeSet<_> = square.cells_at(Resolution::Nine).into_iter().collect();
            let mut expected = BTreeSet::new();
            let start = LatLng::new(south + 0.05, west + 0.05).unwrap().to_cell(Resolution::Nine);
            for cell in start.grid_disk_safe(60) {
                let center = LatLng::from(cell);
                if square.contains(center.lng(), center.lat()) {
                    expected.insert(cell);
                }
            }
            assert_eq!(found.len(), expected.len(), "at {west}, {south}");
            assert!(found == expected);
        }
    }

    #[test]
    fn neighbours_share_the_cells_between_them() {
        let whole = polygon(&[square(24.9, 60.1, 0.1)]);
        let slanted = |side: &str| {
            let (a, b) = ("[24.93,60.1],[24.97,60.2]", "[24.97,60.2],[24.93,60.1]");
            let ring = match side {
                "west" => format!("[[24.9,60.1],{a},[24.9,60.2],[24.9,60.1]]"),
                _ => format!("[[25.0,60.2],{b},[25.0,60.1],[25.0,60.2]]"),
            };
            polygon(&[ring])
        };
        let (west, east) = (slanted("west"), slanted("east"));
        let nine = |polygon: &Polygon| polygon.cells_at(Resolution::Nine).into_iter().collect::<BTreeSet<_>>();
        assert!(nine(&west).is_disjoint(&nine(&east)));
        assert_eq!(nine(&west).len() + nine(&east).len(), nine(&whole).len());
    }

    #[test]
    fn a_hole_is_left_out_and_parts_count_together() {
        let outer = square(24.9, 60.1, 0.1);
        let hole = square(24.93, 60.13, 0.04);
        let [full, island] = [&outer, &hole].map(|ring| polygon(std::slice::from_ref(ring)));
        let ring = polygon(&[outer.clone(), hole.clone()]);
        let nine = |polygon: &Polygon| polygon.cells_at(Resolution::Nine).len();
        assert_eq!(nine(&ring), nine(&full) - nine(&island));
        let far = square(25.3, 60.1, 0.02);
        let parts = format!(
            r#"{{"type": "FeatureCollection", "features": [{{"type": "Feature", "properties": {{}},
                "geometry": {{"type": "MultiPolygon", "coordinates": [[{outer},{hole}],[{far}]]}}}}]}}"#
        );
        assert_eq!(nine(&read(&parts).unwrap()), nine(&ring) + nine(&polygon(&[far])));
    }

    #[test]
    fn what_is_no_polygon_is_refused_with_a_next_step() {
        for (text, words) in [
            ("{", "this is not JSON"),
            (r#"{"type": "Point", "coordinates": [1, 2]}"#, "expected Polygon or MultiPolygon"),
            (r#"{"type": "Polygon", "coordinates": [[[0,0],[1,1]]]}"#, "expected at least 4 that end where they began"),
            (r#"{"type": "Polygon", "coordinates": [[[60,100],[61,100],[61,101],[60,100]]]}"#, "are the two swapped?"),
            (
                r#"{"type": "Polygon", "coordinates": [[[179,0],[-179,0],[-179,1],[179,0]]]}"#,
                "cut the polygon at 180 degrees",
            ),
            (
                r#"{"type": "Polygon", "crs": {"type": "name", "properties": {"name": "EPSG:3067"}}, "coordinates": []}"#,
                "export it as EPSG:4326",
            ),
            (r#"{"type": "FeatureCollection", "features": []}"#, "found no polygon"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert!(polygon(&[square(24.0, 60.0, 0.0001)]).cells().unwrap_err().contains("draw it larger"));
        assert!(polygon(&[square(20.0, 50.0, 9.0)]).cells().unwrap_err().contains("by their codes"));
    }
}
