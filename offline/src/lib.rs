//! Everything before the send: from tables to bundles, profiles and training rows.
//!
//! Nothing here prints, and nothing here runs at the edge.

// In the order data flows.
pub mod tables;
pub mod hours;
pub mod import;
pub mod campaigns;
pub mod market;
pub mod cuisines;
