//! What one ranking is worth, ties as their expectation.

/// Where a list is cut by NDCG.
const NDCG_DEPTH: usize = 10;
/// Depths of hits and of recall.
const HITS: [usize; 3] = [1, 4, 10];
const RECALLS: [usize; 3] = [10, 50, 100];

/// How many measures there are.
pub const N_MEASURES: usize = 9;

/// Places of the measures in [`Measures`].
pub const RECIPROCAL_RANK: usize = 0;
/// NDCG@10.
pub const NDCG_10: usize = 1;
/// Hits at 1, 4 and 10.
pub const HIT: usize = 2;
/// Recall at 10, 50 and 100.
pub const RECALL: usize = 5;
/// Whether anything that was ordered is a candidate.
pub const COVERED: usize = 8;

/// The measures of one ranking: reciprocal rank, NDCG@10, hits at 1, 4 and 10, recall at 10, 50 and 100, coverage.
pub type Measures = [f64; N_MEASURES];

/// Judges one ranking by the expectation over all orders of equal scores; `None` where nothing was ordered.
///
/// `missing` are labels of merchants that were ordered from but are no candidates: they gain nothing and count in what
/// could have been gained. Gain is 2^label - 1, the discount 1 / log2(1 + rank) (Burges et al. 2005).
#[must_use]
pub fn judge(scores: &[f64], labels: &[f32], missing: &[f32]) -> Option<Measures> {
    let gain = |label: &f32| libm::exp2(f64::from(*label)) - 1.0;
    let discount = |rank: usize| 1.0 / libm::log2(rank as f64 + 1.0);
    let mut gains: Vec<f64> = labels.iter().chain(missing).map(gain).filter(|gain| *gain > 0.0).collect();
    gains.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = gains.iter().take(NDCG_DEPTH).zip(1..).map(|(gain, rank)| gain * discount(rank)).sum();
    if ideal == 0.0 {
        return None;
    }

    let mut order: Vec<usize> = (0..scores.len().min(labels.len())).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut measures = [0.0; N_MEASURES];
    let (mut before, mut found) = (0, false);
    for tie in order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()) {
        let n = tie.len();
        let share = tie.iter().map(|i| gain(&labels[*i])).sum::<f64>() / n as f64;
        let depth = (before + n).min(NDCG_DEPTH);
        measures[NDCG_10] += share * (before + 1..=depth).map(discount).sum::<f64>() / ideal;

        let relevant = tie.iter().filter(|i| labels[**i] > 0.0).count();
        for (measure, depth) in measures[RECALL..].iter_mut().zip(RECALLS) {
            let within = (before + n).min(depth).saturating_sub(before) as f64 / n as f64;
            *measure += within * relevant as f64 / gains.len() as f64;
        }
        if relevant > 0 && !found {
            found = true;
            measures[COVERED] = 1.0;
            // The chance that none of the first j of the tie is relevant, for j - 1 and j.
            let mut none = 1.0;
            for j in 0..=n - relevant {
                let still = none * (n - relevant - j) as f64 / (n - j) as f64;
                let (first, rank) = (none - still, before + j + 1);
                measures[RECIPROCAL_RANK] += first / rank as f64;
                for (measure, depth) in measures[HIT..].iter_mut().zip(HITS) {
                    *measure += if rank <= depth { first } else { 0.0 };
                }
                none = still;
            }
        }
        before += n;
    }
    Some(measures)
}
