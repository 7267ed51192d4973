//! Everything before the send: from tables to bundles, profiles and training rows.
//!
//! Nothing here prints, and nothing here runs at the edge.

// In the order data flows.
pub mod tables;
pub mod counter;
pub mod hours;
pub mod entree;
pub mod import;
pub mod campaigns;
pub mod market;
pub mod crowd;
pub mod cuisines;
pub mod preferences;
pub mod places;
pub mod areas;
pub mod profiles;
pub mod build;
pub mod timeline;
pub mod examples;
pub mod evaluate;
pub mod models;
pub mod first_pass;
pub mod report;
pub mod cards;
