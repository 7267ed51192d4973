//! What a contest asks of everyone who scores rows; the peers' crate reads this file, too.

/// What is wrong, in the words of whoever found it.
pub type Error = Box<dyn std::error::Error>;

/// A model and the rows it is asked about, ready to run.
pub trait Contestant {
    /// Scores all rows so many times; the last scores.
    ///
    /// # Errors
    /// What keeps it from answering.
    fn run(&mut self, times: u32) -> Result<Vec<f32>, Error>;
}
