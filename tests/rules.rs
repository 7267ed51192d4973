//! Rules: what is accepted, what it means, and what a broken program does.
#![cfg(feature = "cel")]

#[path = "../benches/src/kernel.rs"]
#[allow(dead_code)]
mod kernel;
#[path = "../benches/src/scene.rs"]
#[allow(dead_code)]
mod scene;

#[path = "rules/fixture.rs"]
mod fixture;

#[path = "rules/speed.rs"]
mod speed;
#[path = "rules/conformance.rs"]
mod conformance;
#[path = "rules/oracle.rs"]
mod oracle;
