//! Merchants from elsewhere: OpenStreetMap extracts, GeoJSON, CSV.
