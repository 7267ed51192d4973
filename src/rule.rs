//! Rules: CEL conditions over merchant, reader, place, message and local time.
//!
//! A rule is text to whoever writes it, and a program to the engine: `compile` (feature `cel`) parses and checks it when a
//! campaign is published, the program travels in the campaign's document beside the text, and [`Rules`] runs all programs
//! of a policy over the columns of a decision's candidates. RULES.md is written from the tables here and says what a
//! condition may ask and say.
//!
//! | limit | | why |
//! |---|---|---|
//! | bytes of a condition | `MAX_TEXT` | a person has to read it |
//! | operators, calls and names within each other | `MAX_LEVELS` | a module's stack is small |
//! | items of a list | `MAX_LIST` | each becomes steps |
//! | items that macros within each other go through | `MAX_COST` | the product of their lists' lengths |
//! | steps of a rule | [`MAX_STEPS`] | each costs every candidate some nanoseconds |
//! | steps of a policy's rules together | [`MAX_LINKED`] | what comes after, by id, is not compiled, and says so |
//!
//! Error values follow CEL: a fact that is unknown, an int that overflows, a cuisine of another map than the rule was
//! compiled for. A rule whose condition is one does not hold, and [`Count`] tells for how many candidates it was.

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
pub use check::{MAX_COST, MAX_LEVELS, MAX_LIST};
#[cfg(feature = "cel")]
pub use compile::{Labels, RuleError, compile, compile_expression};
#[cfg(feature = "cel")]
pub use compile::{MAX_DEPTH, MAX_TEXT};
