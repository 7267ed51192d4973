//! Rules: what is accepted, what it means, and what a broken program does.
#![cfg(feature = "cel")]

#[path = "../benches/src/kernel.rs"]
#[allow(dead_code)]
mod kernel;
#[path = "../benches/src/scene.rs"]
#[allow(dead_code, clippy::manual_is_multiple_of)]
mod scene;

#[path = "rules/fixture.rs"]
mod fixture;

#[path = "rules/speed.rs"]
mod speed;
#[path = "rules/conformance.rs"]
mod conformance;
#[path = "rules/oracle.rs"]
mod oracle;
#[path = "rules/document.rs"]
mod document;
#[path = "rules/flow.rs"]
mod flow;
#[path = "rules/meaning.rs"]
mod meaning;
#[path = "rules/robustness.rs"]
mod robustness;
