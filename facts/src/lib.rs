//! What is known of an area, a reader and an open, and the model's columns made of it.
//!
//! A crate of its own for what a decision does for every merchant: it is optimized for speed where the rest of the engine, which
//! runs once a decision or once a campaign, is optimized for size. `freshrank` has all of it under its own paths.
#![cfg_attr(not(feature = "types"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "types"))]
extern crate std;

// What everything stands on.
pub mod id;
pub mod time;
pub mod geo;
pub mod wire;
pub mod sorted;

// In the order data flows; a module uses only those above it.
pub mod bundle;
pub mod profile;
pub mod context;
pub mod areas;
pub mod locate;
pub mod candidate;
pub mod gate;
pub mod feature;
