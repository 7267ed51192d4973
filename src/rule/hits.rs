//! The rules of one policy, and what they say of the candidates of one decision.

use super::evaluate::Linked;
use super::program::Step;
use super::variable::Moment;
use crate::campaign::{Action, Policy};
use crate::retrieve::Candidate;
use crate::score::fixed;
use crate::time;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// A rule without its condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its name in the policy.
    pub id: String,
    /// What follows where it holds.
    pub then: Action,
    /// ln of the factor on the odds, in fixed point; 0 for a rule that is no boost.
    pub ln_factor: i32,
    /// Of a pool.
    pub pool: String,
    /// Of a badge.
    pub badge: String,
    /// Paid for.
    pub sponsored: bool,
    /// Seconds since 1970: holds from then on.
    pub from: Option<i64>,
    /// Seconds since 1970: holds until then.
    pub until: Option<i64>,
    /// Who said it: `fi/helsinki.yaml:7`.
    pub layer: String,
}

/// The compiled rules of one policy, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    heads: Arc<[Head]>,
    linked: Linked,
    answers: Vec<Option<Step>>,
}

/// What a rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was asked.
    Asked,
    /// The message is before its `from` or after its `until`.
    NotInForce,
    /// It was never compiled, or its campaign has more rules than a decision can run; it never holds.
    NotCompiled,
}

/// What the rules say of the candidates of one decision.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hits {
    heads: Arc<[Head]>,
    /// One a rule.
    rules: Vec<Hit>,
    n: usize,
    /// Whether any rule in force includes: then those that none includes are left out.
    includes: bool,
}

/// What one rule says.
#[derive(Debug, Clone, PartialEq)]
struct Hit {
    state: State,
    /// A bit a candidate.
    holds: Vec<u64>,
    /// For how many candidates its condition was an error value.
    errors: usize,
}

/// One rule and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Count<'a> {
    /// Which.
    pub rule: &'a Head,
    /// Whether it was asked at all.
    pub state: State,
    /// Candidates it holds for.
    pub holds: usize,
    /// Candidates for which its condition was an error value: a fact it reads is unknown, a sum overflows, ...
    pub errors: usize,
}

impl Rules {
    /// Links the rules of a policy. Times that cannot be read were refused when the campaign was checked; here such a rule
    /// is never in force.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        // Of a boost, who set its strength: that is what its number in an explanation is.
        let origin = |id: &String| {
            let factor = policy.origin(&["rules.", id, ".factor"].concat());
            factor.or_else(|| policy.origin(&["rules.", id].concat())).or_else(|| policy.origin("rules"))
        };
        let heads = policy.rules.iter().map(|(id, rule)| {
            let instant = |text: &Option<String>| text.as_deref().map(|text| time::parse(text).unwrap_or(i64::MAX));
            let boosts = matches!(rule.then, Action::Boost | Action::Bury);
            let factor = rule.factor.filter(|factor| boosts && *factor > 0.0).unwrap_or(1.0);
            let from = instant(&rule.from);
            Head {
                id: id.clone(),
                then: rule.then,
                ln_factor: fixed(libm::log(factor) as f32),
                pool: rule.pool.clone().unwrap_or_default(),
                badge: rule.badge.clone().unwrap_or_default(),
                sponsored: rule.sponsored,
                from,
                until: rule.until.as_deref().map(|text| time::parse(text).unwrap_or(i64::MIN)),
                layer: origin(id).map(ToString::to_string).unwrap_or_default(),
            }
        });
        let (linked, answers) = Linked::new(policy.rules.values().map(|rule| rule.program.as_ref()));
        Self { heads: heads.collect(), linked, answers }
    }

    /// The rules, in the order of their ids.
    #[must_use]
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Steps of all rules together, equal ones counted once: what a decision costs.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.linked.len()
    }

    /// Asks every rule about every candidate.
    #[must_use]
    pub fn evaluate(&self, moment: &Moment<'_>, candidates: &[Candidate]) -> Hits {
        let at = moment.context.at;
        let words = candidates.len().div_ceil(64);
        let in_force =
            |head: &Head| head.from.is_none_or(|from| at >= from) && head.until.is_none_or(|until| at < until);
        let hit = |(head, answer): (&Head, &Option<Step>)| {
            let state = match answer {
                _ if !in_force(head) => State::NotInForce,
                None => State::NotCompiled,
                Some(_) => State::Asked,
            };
            Hit { state, holds: vec![0; words], errors: 0 }
        };
        let mut rules: Vec<Hit> = self.heads.iter().zip(&self.answers).map(hit).collect();
        if rules.iter().any(|rule| rule.state == State::Asked) {
            self.linked.run(moment, candidates, |first, n, truths| {
                let real = u64::MAX >> (64 - n);
                for (rule, answer) in rules.iter_mut().zip(&self.answers) {
                    if let (State::Asked, Some(answer)) = (rule.state, answer) {
                        let truth = truths[*answer as usize];
                        rule.holds[first / 64] = truth.holds & real;
                        rule.errors += (truth.errs & real).count_ones() as usize;
                    }
                }
            });
        }
        // A rule that was never compiled still includes, namely nobody: a filter that is lost must not let everyone in.
        let including = |(head, hit): (&Head, &Hit)| head.then == Action::Include && hit.state != State::NotInForce;
        let includes = self.heads.iter().zip(&rules).any(including);
        Hits { heads: Arc::clone(&self.heads), rules, n: candidates.len(), includes }
    }
}

impl Hits {
    /// The rules that hold for a candidate, in the order of their ids.
    pub fn fired(&self, i: usize) -> impl Iterator<Item = &Head> {
        let holds = move |hit: &Hit| i < self.n && hit.holds.get(i / 64).is_some_and(|word| word >> (i % 64) & 1 == 1);
        self.heads.iter().zip(&self.rules).filter(move |(_, hit)| holds(hit)).map(|(head, _)| head)
    }

    /// Why the rules leave a candidate out, if they do.
    #[must_use]
    pub fn excluded(&self, i: usize) -> Option<Excluded<'_>> {
        let mut included = !self.includes;
        for head in self.fired(i) {
            match head.then {
                Action::Exclude => return Some(Excluded::By(head)),
                Action::Include => included = true,
                _ => {}
            }
        }
        (!included).then_some(Excluded::NotIncluded)
    }

    /// What each rule adds to a candidate's score, in fixed point.
    pub fn boosts(&self, i: usize) -> impl Iterator<Item = (&Head, i32)> {
        self.fired(i).filter(|head| head.ln_factor != 0).map(|head| (head, head.ln_factor))
    }

    /// What all rules add to a candidate's score, in fixed point.
    #[must_use]
    pub fn ln_boost(&self, i: usize) -> i32 {
        self.boosts(i).fold(0, |sum, (_, ln)| sum.saturating_add(ln))
    }

    /// The pools a candidate belongs to.
    pub fn pools(&self, i: usize) -> impl Iterator<Item = &str> {
        self.fired(i).filter(|head| head.then == Action::Pool).map(|head| head.pool.as_str())
    }

    /// What its card shows.
    pub fn badges(&self, i: usize) -> impl Iterator<Item = &str> {
        self.fired(i).filter(|head| head.then == Action::Badge).map(|head| head.badge.as_str())
    }

    /// The rule that somebody paid for and that holds for a candidate.
    #[must_use]
    pub fn sponsored(&self, i: usize) -> Option<&Head> {
        self.fired(i).find(|head| head.sponsored)
    }

    /// Every rule and what came of it, over all candidates that were asked about.
    pub fn counts(&self) -> impl Iterator<Item = Count<'_>> {
        self.heads.iter().zip(&self.rules).map(|(rule, hit)| Count {
            rule,
            state: hit.state,
            holds: hit.holds.iter().map(|word| word.count_ones() as usize).sum(),
            errors: hit.errors,
        })
    }

    /// How many candidates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Whether the policy has no rule, and so nothing is said of anyone.
    #[must_use]
    pub fn are_of_no_rule(&self) -> bool {
        self.heads.is_empty()
    }

    /// The same for as many candidates, where no rule says anything of any.
    pub(crate) fn for_as_many(self, n: usize) -> Self {
        Self { n, ..self }
    }

    /// The same for some of the candidates, in this order; error counts stay those of all.
    #[must_use]
    pub fn of(&self, candidates: &[usize]) -> Self {
        let rules = self.rules.iter().map(|hit| {
            let mut holds = vec![0; candidates.len().div_ceil(64)];
            for (to, from) in candidates.iter().enumerate() {
                let bit = hit.holds.get(from / 64).map_or(0, |word| word >> (from % 64) & 1);
                holds[to / 64] |= bit << (to % 64);
            }
            Hit { holds, ..hit.clone() }
        });
        Self { rules: rules.collect(), heads: Arc::clone(&self.heads), n: candidates.len(), includes: self.includes }
    }
}

/// Why the rules leave a candidate out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Excluded<'a> {
    /// A rule excludes it.
    By(&'a Head),
    /// There are rules that include, and none of them includes it.
    NotIncluded,
}

/// What came of a rule over the samples of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Its id.
    pub rule: String,
    /// Whether it was asked in any sample.
    pub state: State,
    /// Pairs of reader and merchant it was asked about.
    pub pairs: usize,
    /// Of those, how many it holds for.
    pub holds: usize,
    /// Of those, for how many its condition was an error value.
    pub errors: usize,
    /// Samples in which it holds for some merchant.
    pub readers: usize,
}

/// Asks rules about samples: what never holds, and what errs, is worth a look before a campaign is published.
#[must_use]
pub fn dry_run<'a>(rules: &Rules, samples: impl IntoIterator<Item = (Moment<'a>, &'a [Candidate])>) -> Vec<Tried> {
    let tried = |head: &Head| Tried {
        rule: head.id.clone(),
        state: State::NotInForce,
        pairs: 0,
        holds: 0,
        errors: 0,
        readers: 0,
    };
    let mut all: Vec<Tried> = rules.heads.iter().map(tried).collect();
    for (moment, candidates) in samples {
        let hits = rules.evaluate(&moment, candidates);
        for (tried, count) in all.iter_mut().zip(hits.counts()) {
            if tried.state != State::Asked {
                tried.state = count.state;
            }
            if count.state == State::Asked {
                tried.pairs += candidates.len();
                tried.holds += count.holds;
                tried.errors += count.errors;
                tried.readers += usize::from(count.holds > 0);
            }
        }
    }
    all
}
