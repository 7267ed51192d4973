//! Exact Shapley values of a small game, in whole numbers.
//!
//! A game gives a value to every set of its players; bit i of a set's index says whether player i is in. A player's share
//! is what it adds to those already there, averaged over all orders in which they could have come:
//!
//! ```text
//! share(i) = sum over S without i of |S|! (g - |S| - 1)! / g! x (v(S + i) - v(S))
//! ```
//!
//! No other division is complete (shares add up to v(all) - v(none)), symmetric (who adds the same has the same), linear
//! in v, and gives nothing to who adds nothing (L. S. Shapley, "A value for n-person games", 1953).

use alloc::vec::Vec;

/// The shares, each times g!, and so exact: [`factorial`] divides them.
///
/// Takes the values of all 2^g sets; g is at most 12, or a sum could leave an `i64`.
#[must_use]
pub fn shares(values: &[i32]) -> Vec<i64> {
    let g = values.len().trailing_zeros();
    let weights: Vec<i64> = (0..g).map(|n| factorial(n) * factorial(g - n - 1)).collect();
    let share = |i: u32| {
        let without = values.iter().enumerate().filter(|(set, _)| set >> i & 1 == 0);
        without.fold(0, |sum, (set, value)| {
            let added = i64::from(values[set | 1 << i]) - i64::from(*value);
            sum + weights[set.count_ones() as usize] * added
        })
    };
    (0..g).map(share).collect()
}

/// [`shares`] in the unit of the values, each rounded once, half to even.
#[must_use]
pub fn rounded(values: &[i32]) -> Vec<i32> {
    let whole = factorial(values.len().trailing_zeros());
    // A share lies between the least and the most that its player adds, which an i32 holds where |v| is at most 2^30.
    shares(values).into_iter().map(|share| half_to_even(share, whole) as i32).collect()
}

/// n!
#[must_use]
pub fn factorial(n: u32) -> i64 {
    (1..=i64::from(n)).product()
}

fn half_to_even(numerator: i64, denominator: i64) -> i64 {
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = 2 * rest > denominator || (2 * rest == denominator && floor % 2 != 0);
    floor + i64::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_number() {
        let rounded: Vec<i64> = [-5, -3, -2, -1, 0, 1, 2, 3, 5].iter().map(|n| half_to_even(*n, 2)).collect();
        assert_eq!(rounded, [-2, -2, -1, 0, 0, 0, 1, 2, 2]);
    }

    #[test]
    fn the_glove_game_is_shared_as_in_the_textbook() {
        // One left glove, two right ones: a pair is worth 6, and the left glove is asked for.
        let value = |set: usize| if set & 1 == 1 && set & 0b110 != 0 { 6 } else { 0 };
        let values: Vec<i32> = (0..8).map(value).collect();
        assert_eq!(rounded(&values), [4, 1, 1]);
    }

    #[test]
    fn a_game_of_nobody_has_no_shares() {
        assert!(rounded(&[7]).is_empty());
    }
}
