//! `freshrank preferences`: what readers like, how that was chosen, and what it is worth.

use crate::examples::Splitting;
use crate::{Outcome, print};
use clap::{Args, Subcommand};
use freshrank::time;
use freshrank_offline::cuisines::{CuisineMap, FitOptions, fit};
use freshrank_offline::entree::sittings::{self, Sittings};
use freshrank_offline::preferences::held_out::{CHURNED_DAYS, Interval, Log, Resampling, logs};
use freshrank_offline::preferences::state::{Update, since};
use freshrank_offline::preferences::tune::{Grid, Tuned, tune};
use freshrank_offline::preferences::worth::{Figures, Segment, Worth, on_entree, on_tables};
use freshrank_offline::preferences::{Evidence, Menus, Mix, Ordered, PreferenceOptions, Preferences, posterior};
use freshrank_offline::tables::Tables;
use freshrank_offline::tables::spool::Said;
use freshrank_offline::timeline::TimelineOptions;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What to do with preferences.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Choose half-lives, prior strength and smoothing by the likelihood of held-out orders
    Tune(Sources),
    /// Print what each step from the posterior to the profile costs or brings on the next restaurant
    Report(Sources),
    /// Carry the evidence of all readers to a later time
    Update(UpdateArguments),
    /// Show the posteriors of readers
    Show(ShowArguments),
}

/// What is measured on.
#[derive(Debug, Args)]
#[group(id = "source", multiple = true)]
pub struct Sources {
    /// The Entree folder; the map is fitted on the restaurants of its eight cities
    #[arg(long, value_name = "DIR", required_unless_present = "tables")]
    entree: Option<PathBuf>,
    /// A tables directory
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// At most so many readers of the tables, by the smallest hash of their ids
    #[arg(long, default_value_t = print::READERS)]
    readers: usize,
    /// Which cuisines are alike, for the tables
    #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
    cuisine_map: PathBuf,
    /// Where cells of the readers' country lie in the campaign's geography, as `fi/helsinki`
    #[arg(long, value_name = "PATH")]
    market: Option<String>,
    /// Where the map that is fitted on Entree's restaurants goes, for who wants to check
    #[arg(long, value_name = "FILE", requires = "entree")]
    map_out: Option<PathBuf>,
    /// Resamples of the readers behind every interval
    #[arg(long, default_value_t = Resampling::default().resamples)]
    resamples: usize,
    /// Of the resamples
    #[arg(long, default_value_t = Resampling::default().seed)]
    seed: u64,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// What to carry on.
#[derive(Debug, Args)]
pub struct UpdateArguments {
    /// A tables directory
    #[arg(long, value_name = "DIR")]
    tables: PathBuf,
    /// RFC 3339; orders before it count
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    as_of: i64,
    /// The state so far; from scratch if absent
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Which cuisines are alike
    #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
    cuisine_map: PathBuf,
    /// The new state; may be the old one's file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    splitting: Splitting,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Whom to show.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// A tables directory
    #[arg(long, value_name = "DIR")]
    tables: PathBuf,
    /// RFC 3339; nothing later is seen
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    as_of: i64,
    /// Which reader, any number of times; all if absent
    #[arg(long, value_name = "ID")]
    user: Vec<String>,
    /// Which cuisines are alike
    #[arg(long, value_name = "FILE", default_value = "models/cuisine-map.json")]
    cuisine_map: PathBuf,
    #[command(flatten)]
    splitting: Splitting,
    /// For a program: full posteriors, a reader a line
    #[arg(long)]
    json: bool,
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Tune(sources) => tuned(sources),
        Verb::Report(sources) => report(sources),
        Verb::Update(arguments) => update(arguments),
        Verb::Show(arguments) => show(arguments),
    }
}

impl Sources {
    fn resampling(&self) -> Resampling {
        Resampling { resamples: self.resamples, seed: self.seed }
    }
}

/// The log, and a map of its own restaurants: what Helsinki combines says little of Chicago.
fn read_entree(folder: &Path, map_out: Option<&Path>) -> Result<(Sittings, CuisineMap), Box<dyn Error + Send + Sync>> {
    let entree = sittings::read(folder)?;
    let merchants: Vec<_> = entree.tables.merchants.iter().chain(&entree.elsewhere).cloned().collect();
    let map = fit(&merchants, &FitOptions::default())?;
    map_out.map(|path| map.write(path)).transpose()?;
    Ok((entree, map))
}

fn tuned(sources: &Sources) -> Outcome {
    let mut all: Vec<(String, Tuned)> = Vec::new();
    if let Some(folder) = &sources.entree {
        let (entree, map) = read_entree(folder, sources.map_out.as_deref())?;
        let found = tune(&entree.tables, &map, &Grid::default(), sources.resampling())?;
        all.push(("Entree Chicago (real)".to_owned(), found));
    }
    if let Some(folder) = &sources.tables {
        let tables = print::sample(folder, sources.readers)?;
        let map = CuisineMap::read(&sources.cuisine_map)?;
        let found = tune(&tables, &map, &Grid::default(), sources.resampling())?;
        all.push((folder.display().to_string(), found));
    }
    if sources.json {
        let of = |(source, found): &(String, Tuned)| json!({ "source": source, "tuned": found });
        return Ok(print::json(&all.iter().map(of).collect::<Vec<_>>())?);
    }
    for (source, found) in &all {
        println!("{source}");
        if let Some(simulated) = &found.simulated {
            println!("{simulated}: what was chosen here is the simulation's, not any reader's");
        }
        println!(
            "{} orders of {} readers from {} until {}; {} left out, whose cuisine the market did not have",
            found.orders, found.readers, found.from, found.until, found.left_out
        );
        let rows = found.sweeps.iter().map(|sweep| {
            vec![
                sweep.lever.to_owned(),
                sweep.value.clone(),
                format!("{:.4}", sweep.gain),
                if sweep.chosen { "chosen".to_owned() } else { signed(sweep.less_chosen) },
            ]
        });
        print::table(&["lever", "value", "nats an order over the market's mix", "less the chosen"], rows);
        println!("chosen: {}", levers(&found.chosen));
        println!("gain: {} nats an order over the market's mix", interval(found.gain));
        if !found.at_edge.is_empty() {
            println!("at the edge of what was tried: {}", found.at_edge.join(", "));
        }
        println!("apart, and what each kind alone would have chosen (churned: no order for {CHURNED_DAYS} days):");
        let rows = found.apart.iter().map(|apart| {
            let (orders, best) = (apart.orders.to_string(), format!("{:.4}", apart.best_gain));
            vec![apart.kind.to_owned(), orders, interval(apart.gain), best, levers(&apart.best)]
        });
        print::table(&["kind", "orders", "nats by the chosen", "nats by its own", "its own"], rows);
        let tree = PreferenceOptions::default();
        let same = if found.chosen == tree { "these are" } else { "these are NOT" };
        println!("{same} the constants of offline/src/preferences/constants.rs: {}\n", levers(&tree));
    }
    Ok(())
}

fn levers(options: &PreferenceOptions) -> String {
    format!(
        "lifelong {}, recent {}, prior strength {}, smoothing {}, recent share {}",
        options.lifelong, options.recent, options.prior_strength, options.smoothing, options.recent_share
    )
}

fn report(sources: &Sources) -> Outcome {
    let mut all: Vec<Worth> = Vec::new();
    if let Some(folder) = &sources.entree {
        let (entree, map) = read_entree(folder, sources.map_out.as_deref())?;
        all.push(on_entree(&entree, &map, &PreferenceOptions::default(), sources.resampling())?);
    }
    if let Some(folder) = &sources.tables {
        let tables = print::sample(folder, sources.readers)?;
        let map = CuisineMap::read(&sources.cuisine_map)?;
        let mut timeline = TimelineOptions::default();
        timeline.areas.market.clone_from(&sources.market);
        let bar = print::progress("orders");
        all.push(on_tables(&tables, &map, &timeline, sources.resampling(), &bar)?);
    }
    if sources.json {
        return Ok(print::json(&all)?);
    }
    for worth in &all {
        println!("{}", worth.source);
        if let Some(simulated) = &worth.simulated {
            println!("{simulated}: these figures show that the parts fit together, not how good they are");
        }
        println!(
            "orders from {} on; 95 % intervals of {} resamples of the readers, differences paired",
            worth.from, worth.resamples
        );
        println!("{}", levers(&worth.options));
        if worth.options.smoothing == 0.0 {
            println!(
                "smoothing was chosen to be 0: the line `smoothed` shows {} for comparison",
                worth.smoothing_shown
            );
        }
        let rows = worth
            .sizes
            .iter()
            .map(|size| vec![size.form.to_owned(), size.bytes.to_string(), format!("{:.1}", size.smaller)]);
        println!("{} labels, {} clusters", worth.labels, worth.clusters);
        print::table(&["form", "bytes of both vectors", "times smaller than full in f32"], rows);
        for ranking in &worth.rankings {
            for segment in &ranking.segments {
                println!(
                    "\n{} ({:.0} on average): {}, {} orders of {} readers",
                    ranking.candidates, ranking.mean_candidates, segment.segment, segment.orders, segment.readers
                );
                print::table(&COLUMNS, rows_of(segment));
            }
            if ranking.missing > 0 {
                println!("{} orders whose merchant was no candidate gain nothing", ranking.missing);
            }
        }
        println!();
    }
    Ok(())
}

const COLUMNS: [&str; 7] = [
    "scorer",
    "MRR",
    "less the step before",
    "MRR x popularity",
    "less the step before ",
    "nats",
    "less the step before  ",
];

/// A line each of those who rank beside, then of the forms.
fn rows_of(segment: &Segment) -> Vec<Vec<String>> {
    let popular = |name: &str| segment.scorers.iter().find(|other| other.name == format!("popularity x {name}"));
    let step = |name: &str| segment.steps.iter().find(|step| step.name.split(" - ").next() == Some(name));
    let is_form = |figures: &&Figures| popular(&figures.name).is_some();
    let beside = segment.scorers.iter().filter(|f| !is_form(f) && !f.name.starts_with("popularity x "));
    let beside = beside.map(|figures| {
        let mut row = vec![figures.name.clone(), interval(figures.mrr)];
        row.resize(COLUMNS.len(), String::new());
        row
    });
    let forms = segment.scorers.iter().filter(is_form).filter_map(|figures| {
        let with = popular(&figures.name)?;
        let (alone, popular) = (step(&figures.name)?, step(&with.name)?);
        let short = |name: &str| name.split(" - ").nth(1).map(str::to_owned).unwrap_or_default();
        Some(vec![
            figures.name.clone(),
            interval(figures.mrr),
            format!("{} {}", signed(alone.mrr), short(&alone.name)),
            interval(with.mrr),
            signed(popular.mrr),
            figures.nats.map(interval).unwrap_or_default(),
            alone.nats.map(signed).unwrap_or_default(),
        ])
    });
    // All steps together.
    let whole = ["full", "profile"].into_iter().filter_map(|name| {
        let named = |wanted: String| segment.steps.iter().find(|step| step.name == wanted);
        let alone = named(format!("{name} - random"))?;
        let popular = named(format!("popularity x {name} - popularity"))?;
        let nats = alone.nats.map(signed).unwrap_or_default();
        let none = String::new;
        Some(vec![format!("{name}, less none"), none(), signed(alone.mrr), none(), signed(popular.mrr), none(), nats])
    });
    beside.chain(forms).chain(whole).collect()
}

fn update(arguments: &UpdateArguments) -> Outcome {
    let parts = arguments.splitting.split(&arguments.tables)?;
    let (split, tables) = (&parts.split, &parts.split.shared);
    let map = CuisineMap::read(&arguments.cuisine_map)?;
    let options = PreferenceOptions::default();
    let update = Update {
        menus: &Menus::new(&tables.merchants, &map, &options),
        map: &map,
        options: &options,
        as_of: arguments.as_of,
        simulated: tables.simulated.as_deref(),
    };
    let orders = |from| split.by_reader(&print::parts(), &|tables| since(&tables.orders, from, arguments.as_of));
    let updated = update.write(arguments.state.as_deref(), orders, &arguments.out)?;
    if arguments.json {
        return Ok(print::json(&json!({ "simulated": tables.simulated, "updated": updated }))?);
    }
    if let Some(simulated) = &tables.simulated {
        println!("{simulated}");
    }
    println!(
        "{}: {} readers, {} with {} orders since the state before",
        arguments.out.display(),
        updated.readers,
        updated.touched,
        updated.orders
    );
    Ok(())
}

/// A reader as a program reads it.
#[derive(Serialize)]
struct Shown<'a> {
    simulated: Option<&'a str>,
    user_id: &'a str,
    market: &'a str,
    orders: usize,
    options: &'a PreferenceOptions,
    lifelong: BTreeMap<&'a str, f64>,
    recent: BTreeMap<&'a str, f64>,
}

fn show(arguments: &ShowArguments) -> Outcome {
    let parts = arguments.splitting.split(&arguments.tables)?;
    let (split, tables) = (&parts.split, &parts.split.shared);
    let map = CuisineMap::read(&arguments.cuisine_map)?;
    let options = PreferenceOptions::default();
    let menus = Menus::new(&tables.merchants, &map, &options);
    let wanted: BTreeSet<&str> = arguments.user.iter().map(String::as_str).collect();
    let ordered = Mutex::new((Ordered::default(), BTreeSet::new()));
    let of_part = |part: &Tables| -> Vec<Said> {
        let of = Ordered::of(part, &menus, arguments.as_of);
        let logs = logs(part);
        let logs: Vec<_> = logs.iter().filter(|log| wanted.is_empty() || wanted.contains(log.user_id)).collect();
        let mut ordered = ordered.lock().unwrap_or_else(PoisonError::into_inner);
        ordered.0.merge(&of);
        ordered.1.extend(logs.iter().filter(|log| wanted.contains(log.user_id)).map(|log| log.user_id.to_owned()));
        drop(ordered);
        let said = |log: &Log<'_>| {
            let preferences = Preferences::of_reader(&log.orders, &menus, arguments.as_of, &options);
            let orders = log.orders.partition_point(|order| order.ordered_at < arguments.as_of);
            // Strings and finite numbers always serialize.
            let said = serde_json::to_vec(&(log.market, orders, preferences)).unwrap_or_default();
            (log.user_id.to_owned(), said)
        };
        logs.into_iter().map(said).collect()
    };
    let readers = split.by_reader(&print::parts(), &of_part)?;
    let (ordered, found) = ordered.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(unknown) = wanted.iter().find(|id| !found.contains(**id)) {
        return Err(format!("--user: found {unknown:?}, expected a reader with a completed order").into());
    }
    let mixes = ordered.mixes(&Mix::of_merchants(&tables.merchants, &menus, arguments.as_of));
    if let (Some(simulated), false) = (&tables.simulated, arguments.json) {
        println!("{simulated}");
    }
    for said in readers.iter()? {
        let (user_id, said) = said?;
        let (market, orders, preferences): (String, usize, Preferences) = serde_json::from_slice(&said)?;
        let Some(mix) = mixes.get(&market) else { continue };
        let named = |evidence: &Evidence| -> BTreeMap<&str, f64> {
            map.labels.iter().map(String::as_str).zip(posterior(evidence, mix, &options)).collect()
        };
        let shown = Shown {
            simulated: tables.simulated.as_deref(),
            user_id: &user_id,
            market: &market,
            orders,
            options: &options,
            lifelong: named(&preferences.lifelong),
            recent: named(&preferences.recent),
        };
        if arguments.json {
            println!("{}", serde_json::to_string(&shown)?);
            continue;
        }
        println!("\n{}: {orders} orders", shown.user_id);
        let of: BTreeSet<u16> = preferences.lifelong.keys().chain(preferences.recent.keys()).copied().collect();
        let rows = of.into_iter().map(|id| {
            let label = map.labels[usize::from(id)].as_str();
            let share = |of: &BTreeMap<&str, f64>| format!("{:.4}", of.get(label).copied().unwrap_or(0.0));
            let market = format!("{:.4}", mix.share[usize::from(id)]);
            vec![label.to_owned(), market, share(&shown.lifelong), share(&shown.recent)]
        });
        print::table(&["cuisine", "market", "lifelong", "recent"], rows);
    }
    Ok(())
}

fn interval(interval: Interval) -> String {
    format!("{:.4} ({:.4} to {:.4})", interval.value, interval.low, interval.high)
}

fn signed(interval: Interval) -> String {
    format!("{:+.4} ({:+.4} to {:+.4})", interval.value, interval.low, interval.high)
}
