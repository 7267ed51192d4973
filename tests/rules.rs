//! Rules: what is accepted, what it means, and what a broken program does.
#![cfg(feature = "cel")]

#[path = "../benches/src/kernel.rs"]
#[allow(dead_code)]
mod kernel;
#[path = "../benches/src/scene.rs"]
#[allow(dead_code)]
mod scene;

#[path = "rules/speed.rs"]
mod speed;
