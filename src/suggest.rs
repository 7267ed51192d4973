//! "Did you mean": the nearest of some names, for every message that refuses one.

use alloc::vec;
use alloc::vec::Vec;

/// Letters of a name that is compared; who wrote more than that meant none of ours.
const MAX_LETTERS: usize = 64;

/// The nearest of some names, if it is near: one edit for every three letters, a swap of neighbours counted as one.
#[must_use]
pub fn nearest<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = name.chars().count();
    if letters > MAX_LETTERS {
        return None;
    }
    let near = among.into_iter().map(|other| (distance(name, other), other));
    near.min().filter(|(distance, _)| *distance <= letters.div_ceil(3)).map(|(_, other)| other)
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["slots", "title", "grocery", "required", "distance_km"];
        let near = |name| nearest(name, names);
        assert_eq!(near("sluts"), Some("slots"));
        assert_eq!(near("groceries"), Some("grocery"));
        assert_eq!(near("distanec_km"), Some("distance_km"), "neighbours swapped");
        assert_eq!(near("headline"), None);
        assert_eq!((near(""), near(&"slots".repeat(20))), (None, None));
    }
}
