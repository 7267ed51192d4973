//! Rules: CEL conditions over merchant, reader, place, message and local time.
//!
//! A rule is text to whoever writes it, and a program to the engine: `compile` (feature `cel`) parses and checks it when a
//! campaign is published, the program travels in the campaign's document, and [`Rules`] runs all programs of a policy over
//! the columns of a decision's candidates.

mod evaluate;
mod hits;
mod program;
mod variable;

#[cfg(feature = "cel")]
mod check;
#[cfg(feature = "cel")]
mod compile;

pub use evaluate::{MAX_LINKED, Value, answer};
pub use hits::{Count, Excluded, Head, Hits, Rules, State, Tried, dry_run};
pub use program::{MAX_STEPS, Operation, Program};
pub use variable::{Moment, Pair, Scope, TIME_FUNCTIONS, Type, VARIABLES, Variable, Words};

#[cfg(feature = "cel")]
pub use compile::{Labels, RuleError, compile, compile_expression};
