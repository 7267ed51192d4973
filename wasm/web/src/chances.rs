//! The chances of a message in JSON: what a page needs of it to compare two campaigns over many readers, and no more.

use freshrank::Decision;
use freshrank::MerchantId;
use freshrank::blend::{Ingredients, chances, every_message};
use freshrank::time;
use serde_json::{Value, json};

/// A `Chances`: of the message shown, or of the one that the decision made.
pub fn words(decision: &Decision, of: &Ingredients<'_>, shown: Option<&[Option<MerchantId>]>) -> String {
    let id = |i: usize| of.kept.get(i).map(|candidate| candidate.merchant.id);
    let own: Vec<Option<MerchantId>> = decision.placements.iter().map(|p| p.candidate.and_then(id)).collect();
    let is_own = shown.is_none();
    let shown = shown.unwrap_or(&own);

    let slot = |(slot, chance): (usize, freshrank::blend::Chance)| {
        let merchant = shown.get(slot).copied().flatten();
        let at = merchant.and_then(|id| of.kept.binary_search_by_key(&id, |candidate| candidate.merchant.id).ok());
        let candidate = at.and_then(|i| of.kept.get(i));
        let placement = decision.placements.get(slot).filter(|_| is_own);
        let score = |i: usize| of.scores.get(i).map_or(0, |score| score.model);
        let options = chance.options.iter().filter_map(|(i, likely)| Some(json!([id(*i)?, likely, score(*i)])));
        json!({
            "merchant": merchant,
            "propensity": chance.propensity,
            "score": at.map(score),
            "sponsored": placement.is_some_and(|placement| placement.sponsored),
            "open": candidate.and_then(|candidate| candidate.open_minutes).map(|minutes| minutes > 0),
            "distance_km": candidate.map(|candidate| (candidate.distance_km * 100.0).round() / 100.0),
            "cluster": candidate.and_then(|candidate| {
                let known = candidate.merchant.clusters.iter().filter(|(_, weight)| *weight > 0);
                known.max_by_key(|(_, weight)| *weight).map(|(cluster, _)| *cluster)
            }),
            "pool": placement.map(|placement| placement.pool),
            "options": options.collect::<Vec<Value>>(),
        })
    };
    let slots: Vec<Value> = chances(of, shown).into_iter().enumerate().map(slot).collect();
    let explores = of.policy.explore.share > 0.0;
    let (at, title) = (time::format(of.context.at), &of.policy.title);
    json!({ "at": at, "cell": decision.place.cell(), "explores": explores, "title": title, "slots": slots }).to_string()
}

/// A list of `Possible`, or null.
pub fn everything(of: &Ingredients<'_>, limit: usize) -> String {
    let possible = |(merchants, propensity)| json!({ "merchants": merchants, "propensity": propensity });
    let messages = every_message(of, limit).map(|all| all.into_iter().map(possible).collect::<Vec<Value>>());
    json!(messages).to_string()
}
