//! What is wrong between layers: everything at once, each with its file, line, column and a hint.

use super::cover::{is_below, order};
use super::edit::{Base, Edit, Leaf, MapEdit};
use super::label::{self, SPONSORED};
use super::merge::merged;
use super::schema::{self, Form, POOLS};
use super::{Bound, Campaign, KEYS, Layer, LayerId, MAX_LAYERS, Mark, Origin, Policy, Problem, Severity};
use crate::sorted::{Many, Map, Set};
use crate::suggest::nearest;
use crate::time;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Covers of one layer at which it is tried.
const TRIED: usize = 50;

impl Campaign {
    /// Everything that is wrong between its layers, and what likely is not meant; in the order of files and lines.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut found = Found { problems: Set::new() };
        for (tree, layers) in [("layers", self.layers()), ("defaults", self.defaults())] {
            if layers.len() > MAX_LAYERS {
                let message = format!("found {}, expected at most {MAX_LAYERS}", layers.len());
                found.error("", (0, 0), tree, message, None);
            }
        }
        let n = self.index.order.len() as LayerId;
        let layers: Vec<&Layer> = (0..n).filter_map(|id| self.layer_at(id)).collect();
        found.ancestors(self, &layers);
        found.ties(&layers);
        found.limits(&layers);
        for (id, layer) in layers.iter().enumerate() {
            found.layer(self, layer, id as LayerId);
        }
        self.check_staged(&mut found.problems);
        found.problems.into_iter().collect()
    }
}

struct Found {
    problems: Set<Problem>,
}

fn at(mark: &Mark) -> (u32, u32) {
    (mark.line, mark.column)
}

fn of(mark: &Mark) -> Origin {
    Origin::from(mark)
}

/// The fields of a thing, where it is not taken away.
fn thing_of<'m>(merged: &'m MapEdit, key: &str, id: &str) -> Option<&'m Map<String, Edit>> {
    merged.children.get(key)?.children()?.get(id)?.children()
}

impl Found {
    fn error(&mut self, layer: &str, place: (u32, u32), key: &str, message: String, hint: Option<&str>) {
        self.say(layer, place, key, message, hint, Severity::Error);
    }

    fn say(
        &mut self,
        layer: &str,
        (line, column): (u32, u32),
        key: &str,
        message: String,
        hint: Option<&str>,
        severity: Severity,
    ) {
        let hint = hint.map(ToString::to_string);
        self.problems.insert(Problem { layer: layer.into(), line, column, key: key.into(), message, hint, severity });
    }

    /// A layer must come after its ancestors, or it would be overridden by what it is there to override.
    fn ancestors(&mut self, campaign: &Campaign, layers: &[&Layer]) {
        for layer in layers {
            let tree = if layer.is_default() { campaign.defaults() } else { campaign.layers() };
            let above = layer.own_path().match_indices('/').map(|(end, _)| &layer.own_path()[..end]);
            for above in above.filter_map(|path| tree.get(path)).filter(|above| order(above) > order(layer)) {
                let message = format!(
                    "level {} and priority {} put it before its ancestor {} (level {} and priority {})",
                    layer.level.name(),
                    layer.priority,
                    of(&above.mark),
                    above.level.name(),
                    above.priority
                );
                self.error(
                    &layer.path,
                    at(&layer.mark),
                    "level",
                    message,
                    Some("a deeper layer needs a deeper level, or a priority as high"),
                );
            }
        }
    }

    /// Two layers of one tree, level and priority that cover a common place: nobody decided which wins.
    fn ties(&mut self, layers: &[&Layer]) {
        let mut peers: Map<_, Vec<&Layer>> = Map::new();
        for layer in layers.iter().filter(|layer| !layer.is_everywhere()) {
            peers.or_default((layer.is_default(), layer.level, layer.priority)).push(layer);
        }
        for peers in peers.values() {
            let numbered = || peers.iter().enumerate();
            let by_path: Many<&str, usize> =
                numbered().flat_map(|(i, layer)| layer.paths().map(move |path| (path, i))).collect();
            let by_cell: Many<u64, usize> =
                numbered().flat_map(|(i, layer)| layer.cells().map(move |cell| (u64::from(cell), i))).collect();
            let mut pairs = Vec::new();
            for (i, layer) in numbered() {
                for path in layer.paths() {
                    let above = path.match_indices('/').map(|(end, _)| &path[..end]).chain([path]);
                    pairs.extend(above.flat_map(|path| by_path.of(path)).map(|j| (i.min(*j), i.max(*j))));
                }
                for cell in layer.cells() {
                    let above = (0..=u8::from(cell.resolution())).filter_map(|r| h3o::Resolution::try_from(r).ok());
                    let above = above.filter_map(|resolution| cell.parent(resolution)).map(u64::from);
                    pairs.extend(above.flat_map(|cell| by_cell.of(&cell)).map(|j| (i.min(*j), i.max(*j))));
                }
            }
            self.blurred(peers, &by_path);
            pairs.retain(|(i, j)| i != j);
            for (i, j) in pairs.into_iter().collect::<Set<(usize, usize)>>() {
                let (first, second) = (peers[i], peers[j]);
                if !first.is_ancestor_of(second) && !second.is_ancestor_of(first) {
                    let message = format!(
                        "covers a place that {} covers too, both level {} and priority {}",
                        of(&first.mark),
                        first.level.name(),
                        first.priority
                    );
                    self.error(
                        &second.path,
                        at(&second.mark),
                        "priority",
                        message,
                        Some("give one of them a priority: the higher wins"),
                    );
                }
            }
        }
    }

    /// Cells and named places of one level and priority: whether they meet is known only where bundles are.
    fn blurred(&mut self, peers: &[&Layer], by_path: &Many<&str, usize>) {
        for layer in peers.iter().filter(|layer| layer.cells().next().is_some() && layer.paths().next().is_none()) {
            // Its path says at least in which country or city.
            let within = layer.own_path().rsplit_once('/').map_or("", |(above, _)| above);
            let other = by_path
                .since(within)
                .iter()
                .take_while(|(path, _)| path.starts_with(within))
                .filter(|(path, _)| within.is_empty() || is_below(path, within))
                .map(|(_, i)| peers[*i])
                .find(|other| !other.is_ancestor_of(layer) && !layer.is_ancestor_of(other));
            if let Some(other) = other {
                let wins = if order(layer) > order(other) { &layer.path } else { &other.path };
                let message = format!(
                    "its cells may lie in a place that {} covers, both level {} and priority {}; there the later path \
                     would win, {wins}",
                    of(&other.mark),
                    layer.level.name(),
                    layer.priority
                );
                let hint = Some("give one of them a priority: the higher wins");
                self.say(&layer.path, at(&layer.mark), "priority", message, hint, Severity::Warning);
            }
        }
    }

    /// Locks and bounds against everything that comes later and covers a common place.
    fn limits(&mut self, layers: &[&Layer]) {
        for (i, upper) in
            layers.iter().enumerate().filter(|(_, layer)| !layer.lock.is_empty() || !layer.bounds.is_empty())
        {
            // Its own bounds bind it, too.
            for lower in &layers[i..] {
                if !core::ptr::eq(*upper, *lower) && !upper.is_ancestor_of(lower) && !upper.overlaps(lower) {
                    continue;
                }
                if !core::ptr::eq(*upper, *lower) {
                    upper.lock.iter().for_each(|(key, mark)| self.lock(lower, key, mark));
                }
                upper.bounds.iter().for_each(|bound| self.bound(lower, bound));
            }
        }
    }

    fn lock(&mut self, lower: &Layer, lock: &str, by: &Mark) {
        let key = lock.split('.').next().unwrap_or_default();
        let Some(edit) = lower.body.children().and_then(|body| body.get(key)) else { return };
        edit.walk(&mut key.to_string(), &mut |path, part| {
            let cleared =
                matches!(part, Edit::Unset(_) | Edit::Set { .. }) || matches!(part, Edit::Map(map) if map.cleared);
            let inside = |inner: &str, outer: &str| {
                inner == outer || inner.strip_prefix(outer).is_some_and(|r| r.starts_with('.'))
            };
            let says = !matches!(part, Edit::Map(map) if !map.cleared);
            if (says && inside(path, lock)) || (cleared && inside(lock, path)) {
                let mark = part.mark();
                let message = format!("changes what {} locks ({lock})", of(by));
                self.error(
                    &lower.path,
                    mark.map_or((0, 0), at),
                    path,
                    message,
                    Some("the locked value holds; take this out"),
                );
            }
        });
    }

    fn bound(&mut self, lower: &Layer, bound: &Bound) {
        let key = bound.key.split('.').next().unwrap_or_default();
        let Some(edit) = lower.body.children().and_then(|body| body.get(key)) else { return };
        edit.walk(&mut key.to_string(), &mut |path, part| {
            let Edit::Set { leaf: Leaf::Number(n), mark, .. } = part else { return };
            let is = match bound.key.split_once(".*") {
                Some((things, name)) => {
                    path.strip_prefix(things).is_some_and(|rest| rest.len() > name.len() && rest.ends_with(name))
                }
                None => path == bound.key,
            };
            if !is {
                return;
            }
            let limit = match (bound.min, bound.max) {
                (Some(min), _) if *n < min => format!("at least {min}"),
                (_, Some(max)) if *n > max => format!("at most {max}"),
                _ => return,
            };
            let message = format!("found {n}, expected {limit} as {} bounds it", of(&bound.mark));
            self.error(&lower.path, at(mark), path, message, Some("the bound holds"));
        });
    }

    /// A layer at the places it covers, with what is above it there.
    fn layer(&mut self, campaign: &Campaign, layer: &Layer, id: LayerId) {
        if let Some(arm) = layer.arm().filter(|arm| campaign.arms.iter().all(|(id, _)| id != arm)) {
            let message = format!("no arm is called {arm:?}");
            self.error(&layer.path, at(&layer.mark), "", message, Some("name it under arms of the global layer"));
        }
        if let Some(edit) = layer.body.children().and_then(|body| body.get("arms"))
            && !layer.is_global()
        {
            let place = edit.mark().map_or((0, 0), at);
            let message = "found outside the global layer".to_string();
            self.error(&layer.path, place, "arms", message, Some("a reader keeps one arm wherever they are"));
        }
        for chain in places(campaign, layer, id) {
            let above: Vec<LayerId> = chain.iter().copied().filter(|other| *other < id).collect();
            let inherited = merged(campaign, &above, &|_| true);
            self.inherits(layer, &inherited);
            let here = merged(campaign, &chain, &|_| true);
            let mut policy = Policy::default();
            policy.fill(&here);
            self.labels(layer, &inherited, &here);
            self.things(&here);
            self.policy(layer, &policy, &here);
        }
    }

    /// What a layer takes away without saying so, or says to take away though it is not there.
    fn inherits(&mut self, layer: &Layer, inherited: &MapEdit) {
        for (key, edit) in layer.body.children().into_iter().flatten() {
            match (edit, inherited.children.get(key)) {
                (Edit::List(list), below) => {
                    let held: Map<&str, &Mark> = match below {
                        Some(Edit::List(below)) => {
                            below.apply(&[]).into_iter().filter_map(|(text, mark)| Some((text, mark?))).collect()
                        }
                        _ => Map::new(),
                    };
                    let default = Policy::default();
                    let known = |text: &str| {
                        held.contains_key(text)
                            || (key == "kinds" && default.kinds.iter().any(|_| text == "restaurant"))
                    };
                    if let (Base::Set(mark), true) = (&list.base, layer.plain.contains(key)) {
                        let keeps: Set<&str> = list.append.iter().map(|entry| entry.text.as_str()).collect();
                        let lost: Vec<String> = held
                            .iter()
                            .filter(|(text, _)| !keeps.contains(*text))
                            .map(|(text, by)| format!("{text} of {}", of(by)))
                            .collect();
                        if !lost.is_empty() {
                            let shown = lost.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
                            let more =
                                if lost.len() > 3 { format!(" and {} more", lost.len() - 3) } else { String::new() };
                            let message = format!("a plain list would take away {shown}{more}");
                            let hint = "say {set: [...]} if that is meant, else {append: [...]} or {remove: [...]}";
                            self.error(&layer.path, at(mark), key, message, Some(hint));
                        }
                    }
                    for (text, mark) in list.remove.iter().filter(|(text, _)| !known(text)) {
                        let key = format!("{key}[{text}]");
                        self.dead(layer, mark, &key);
                    }
                }
                (Edit::Map(map), below) if matches!(schema::form(KEYS, key), Some(Form::Things { .. })) => {
                    let below = below.and_then(Edit::children);
                    for (id, thing) in &map.children {
                        let there = below
                            .and_then(|things| things.get(id))
                            .is_some_and(|thing| !matches!(thing, Edit::Unset(_)));
                        if let (Edit::Unset(mark), false) = (thing, there) {
                            self.dead(layer, mark, &format!("{key}.{id}"));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Labels that hold though this layer says otherwise, or says nothing of them.
    fn labels(&mut self, layer: &Layer, inherited: &MapEdit, here: &MapEdit) {
        for (key, edit) in layer.body.children().into_iter().flatten().filter(|(key, _)| label::may_be_paid(key)) {
            for (id, thing) in edit.children().into_iter().flatten() {
                let Some(by) = thing_of(here, key, id).and_then(label::says) else { continue };
                let said = thing.children().and_then(|fields| fields.get(SPONSORED));
                let path = format!("{key}.{id}.{SPONSORED}");
                match said {
                    Some(Edit::Unset(mark) | Edit::Set { leaf: Leaf::Bool(false), mark }) => {
                        let message = format!("takes back what {} says is paid for", of(by));
                        let hint = format!("take the whole thing away, or leave it labelled: {key}.{id}");
                        self.error(&layer.path, at(mark), &path, message, Some(&hint));
                    }
                    // Said anew after it was taken away: the label came along.
                    None if thing.children().is_some() && thing_of(inherited, key, id).is_none() => {
                        let message = format!("is shown as sponsored, since {} says that it is paid for", of(by));
                        let hint = "say `sponsored: true` here, too, or keep it away";
                        self.say(
                            &layer.path,
                            thing.mark().map_or((0, 0), at),
                            &path,
                            message,
                            Some(hint),
                            Severity::Warning,
                        );
                    }
                    _ => {}
                }
            }
        }
    }

    fn dead(&mut self, layer: &Layer, mark: &Mark, key: &str) {
        let message = "takes away what is not there".to_string();
        let hint = Some("misspelt, or already gone above");
        self.say(&layer.path, at(mark), key, message, hint, Severity::Warning);
    }

    /// Things that lack what they need.
    fn things(&mut self, here: &MapEdit) {
        for (key, needs) in [
            ("rules", &["when", "then"][..]),
            ("boosts", &["factor"]),
            ("pins", &["slot"]),
            ("ranges", &["first", "last", "pool"]),
            ("arms", &["share"]),
        ] {
            for (id, thing) in here.children.get(key).and_then(Edit::children).into_iter().flatten() {
                let Edit::Map(fields) = thing else { continue };
                let Some(mark) = fields.children.values().find_map(Edit::mark) else { continue };
                for need in needs.iter().filter(|need| !matches!(fields.children.get(**need), Some(Edit::Set { .. }))) {
                    let message = format!("found no {need}, which it needs");
                    let hint = Some("it is left out until it has one");
                    self.error(&mark.layer.clone(), at(mark), &format!("{key}.{id}"), message, hint);
                }
            }
        }
    }

    /// What cannot be together at one place.
    fn policy(&mut self, layer: &Layer, policy: &Policy, here: &MapEdit) {
        let said = |path: &str| {
            let mut edit = here.children.get(path.split('.').next().unwrap_or_default());
            if let Some((key, rest)) = path.split_once('.') {
                edit = here.children.get(key).and_then(Edit::children).and_then(|things| {
                    let (id, field) = rest.rsplit_once('.')?;
                    things.get(id)?.children()?.get(field)
                });
            }
            edit.and_then(Edit::mark).cloned()
        };
        let mut wrong = |path: &str, message: String, hint: &str| {
            let mark = said(path);
            let place = mark.as_ref().map_or((0, 0), at);
            let layer = mark.as_ref().map_or(&*layer.path, |mark| &*mark.layer);
            self.error(layer, place, path, message, Some(hint));
        };
        if !policy.pattern.is_empty() && policy.weave.values().any(|n| *n > 0) {
            let by = policy.origin("weave").map(ToString::to_string).unwrap_or_default();
            wrong("pattern", format!("stands together with weave of {by}"), "unset one of them with null");
        }
        let share: f64 = policy.arms.values().map(|arm| arm.share).sum();
        if share > 1.0 + 1e-9 {
            let percent = libm::round(share * 1000.0) / 10.0;
            wrong("arms", format!("found {percent} % of the readers, expected at most 100"), "what is left is control");
        }
        let filled: Set<&str> = policy.rules.values().filter_map(|rule| rule.pool.as_deref()).chain(POOLS).collect();
        let pools: Vec<&str> = filled.iter().copied().collect();
        let mut pool = |path: String, name: &str| {
            if !filled.contains(name) {
                let near = nearest(name, pools.iter().copied()).map(|near| format!("did you mean {near}?"));
                let hint = near
                    .unwrap_or_else(|| format!("there are {}; a rule with then: pool fills others", pools.join(", ")));
                wrong(&path, format!("no pool is called {:?}", time::cut(name)), &hint);
            }
        };
        policy.pattern.iter().for_each(|name| pool("pattern".into(), name));
        policy.weave.keys().for_each(|name| pool("weave".into(), name));
        policy.pool_caps.keys().for_each(|name| pool("pool_caps".into(), name));
        policy.ranges.iter().for_each(|(id, range)| pool(format!("ranges.{id}.pool"), &range.pool));
        for (id, range) in &policy.ranges {
            if range.first > range.last || range.last >= policy.slots {
                let message = format!("found slots {} to {}, of {} slots", range.first, range.last, policy.slots);
                wrong(&format!("ranges.{id}.last"), message, "slots count from 0");
            }
        }
        for (id, pin) in policy.pins.iter().filter(|(_, pin)| pin.slot >= policy.slots) {
            let message = format!("found slot {}, of {} slots", pin.slot, policy.slots);
            wrong(&format!("pins.{id}.slot"), message, "slots count from 0; it is never shown");
        }
        for (id, rule) in &policy.rules {
            use super::Action::{Badge, Boost, Bury, Exclude, Include, Pool};
            let path = format!("rules.{id}.then");
            match (rule.then, rule.factor) {
                (Boost | Bury, None) => {
                    wrong(&path, "found no factor, which boost and bury need".into(), "as factor: 1.5")
                }
                (Boost, Some(factor)) if factor < 1.0 => {
                    wrong(&path, format!("found factor {factor}, a boost needs one above 1"), "say bury");
                }
                (Bury, Some(factor)) if factor > 1.0 => {
                    wrong(&path, format!("found factor {factor}, bury needs one below 1"), "say boost");
                }
                (Pool, _) if rule.pool.is_none() => {
                    wrong(&path, "found no pool, which then: pool needs".into(), "as pool: offer")
                }
                (Badge, _) if rule.badge.is_none() => {
                    wrong(&path, "found no badge, which then: badge needs".into(), "as badge: Members");
                }
                (Boost | Bury | Pool | Badge | Include | Exclude, _) => {}
            }
        }
        let spans = policy.boosts.iter().map(|(id, b)| ("boosts", id, &b.from, &b.until));
        let spans = spans.chain(policy.pins.iter().map(|(id, p)| ("pins", id, &p.from, &p.until)));
        let spans = spans.chain(policy.rules.iter().map(|(id, r)| ("rules", id, &r.from, &r.until)));
        for (key, id, from, until) in spans {
            let times = (from.as_deref().map(time::parse), until.as_deref().map(time::parse));
            if let (Some(Ok(start)), Some(Ok(end))) = times
                && start >= end
            {
                let message = format!("ends at {} and begins at {}", time::format(end), time::format(start));
                wrong(&format!("{key}.{id}.until"), message, "it never holds");
            }
        }
    }
}

/// The chains of the places a layer covers, up to itself.
fn places(campaign: &Campaign, layer: &Layer, id: LayerId) -> Vec<Vec<LayerId>> {
    let index = &campaign.index;
    let mut chains: Vec<Vec<LayerId>> = Vec::new();
    if layer.is_everywhere() {
        chains.push(index.at_path("", &[], layer.arm()).place);
    }
    chains.extend(layer.paths().take(TRIED).map(|path| index.at_path(path, &[], None).place));
    if let Some(cell) = layer.cells().next() {
        let up = (0..=u8::from(cell.resolution())).filter_map(|r| h3o::Resolution::try_from(r).ok());
        let cells: Vec<u64> = up.filter_map(|resolution| cell.parent(resolution)).map(u64::from).collect();
        // The nearest ancestor that covers paths tells where on the map its cells are.
        let tree = if layer.is_default() { campaign.defaults() } else { campaign.layers() };
        let above = tree.values().rev().filter(|above| is_below(layer.own_path(), above.own_path()));
        let path = above.filter_map(|above| above.paths().next()).next().unwrap_or_default();
        chains.push(index.at_path(path, &cells, None).place);
    }
    for chain in &mut chains {
        chain.retain(|other| *other <= id);
    }
    chains.retain(|chain| chain.contains(&id));
    chains.dedup();
    chains
}
