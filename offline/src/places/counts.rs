//! What stood here before the place model, as a baseline: counts by part of the day upon counts of the whole day, with
//! first guesses for every lever.

use super::facts::Facts;

/// Orders that the all-day shares count as in each part of the day.
const ALL_DAY: f64 = 2.0;
/// Orders that a place counts as without any.
const UNUSED: f64 = 0.5;

/// The probability of every known place at a part of the day, and last that of a place never used before.
pub(super) fn probabilities(facts: &Facts, daypart: usize) -> Vec<f64> {
    let weight = |i: usize| facts.spots[i].by_daypart.iter().sum::<f64>() + UNUSED;
    let total: f64 = (0..facts.spots.len()).map(weight).sum();
    let in_daypart: f64 = facts.spots.iter().map(|spot| spot.by_daypart[daypart]).sum();
    let share = |i: usize| (facts.spots[i].by_daypart[daypart] + ALL_DAY * weight(i) / total) / (in_daypart + ALL_DAY);
    let known = 1.0 - facts.new_rate;
    (0..facts.spots.len()).map(|i| known * share(i)).chain([facts.new_rate]).collect()
}
