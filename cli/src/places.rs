//! `freshrank places`: where the next order goes, fitted and told beside rules of thumb.

use crate::examples::Sources;
use crate::{Outcome, print, shelf};
use clap::Subcommand;
use freshrank_offline::areas::Catalog;
use freshrank_offline::cuisines::CuisineMap;
use freshrank_offline::places::figures::Spread;
use freshrank_offline::places::report::{self, PlacesReport, ReportOptions};
use freshrank_offline::places::study::Study;
use freshrank_offline::places::{PlaceModel, fit};
use freshrank_offline::profiles::Press;
use freshrank_offline::tables::Tables;
use freshrank_offline::timeline::{Timeline, TimelineOptions};
use std::error::Error;
use std::path::{Path, PathBuf};

/// What to do with the place model.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Fit the model and the engine's fusion on the earliest orders, and calibrate them on later ones
    Fit {
        #[command(flatten)]
        sources: Sources,
        /// At most so many readers, by the smallest hash of their ids
        #[arg(long, default_value_t = print::READERS)]
        readers: usize,
        /// The design matrix, as Parquet
        #[arg(long, value_name = "FILE")]
        design: Option<PathBuf>,
        /// Where the model goes
        #[arg(long, value_name = "FILE", default_value = "models/place-model.json")]
        out: PathBuf,
        /// For a program
        #[arg(long)]
        json: bool,
    },
    /// Compare it with rules of thumb on the latest orders, which nothing was fitted on
    Report {
        #[command(flatten)]
        sources: Sources,
        /// At most so many readers, by the smallest hash of their ids
        #[arg(long, default_value_t = print::READERS)]
        readers: usize,
        /// A plan for `dense`, any ONNX ranker for `tract`, or `none`
        #[arg(long, value_name = "FILE", default_value = "models/ltr.plan")]
        model: PathBuf,
        /// Test queries that are ranked at each place; 0 leaves ranking out
        #[arg(long, default_value_t = ReportOptions::default().ranked)]
        ranked: usize,
        /// Resamples of the readers behind every interval
        #[arg(long, default_value_t = ReportOptions::default().resamples)]
        resamples: usize,
        /// Of what is drawn
        #[arg(long, default_value_t = ReportOptions::default().seed)]
        seed: u64,
        /// What every predictor said, as Parquet
        #[arg(long, value_name = "FILE")]
        predictions: Option<PathBuf>,
        /// A picture of the calibration
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// For a program
        #[arg(long)]
        json: bool,
    },
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Fit { sources, readers, design, out, json } => {
            let (tables, map) = sources.sample(*readers)?;
            fitted(&tables, &map, &sources.timeline()?, design.as_deref(), out, *json)
        }
        Verb::Report { sources, readers, model, ranked, resamples, seed, predictions, svg, json } => {
            let (tables, map) = sources.sample(*readers)?;
            let places = match &sources.place_model {
                Some(path) => PlaceModel::read(path)?,
                None => PlaceModel::shipped()?,
            };
            let ltr = if model.as_os_str() == "none" { None } else { Some(shelf::scorer(model)?) };
            let ltr = ltr.as_ref().map(|scorer| scorer.as_ref() as &dyn freshrank::Scorer);
            let options = ReportOptions { resamples: *resamples, ranked: *ranked, seed: *seed };
            let timeline_options = sources.timeline()?;
            let catalog = Catalog::new(&tables, &map, &timeline_options.areas);
            let timeline = Timeline::new(&tables, &map, &catalog, &timeline_options)?;
            let press = Press::new(&tables, &map, &catalog, &timeline_options.profiles);
            let study = Study::new(&tables, &timeline, &press, &timeline_options.profiles.places);
            let mut found =
                report::report(&study, &places, tables.simulated.as_deref(), &options, predictions.as_deref())?;
            if *ranked > 0 {
                let bar = print::progress("queries");
                found.ranking = report::rank(&study, &places, &timeline, ltr, &options, &bar)?;
            }
            if let Some(path) = svg {
                std::fs::write(path, report::svg(&found)).map_err(|error| format!("{}: {error}", path.display()))?;
            }
            if *json {
                return Ok(print::json(&found)?);
            }
            tell(&found);
            Ok(())
        }
    }
}

fn fitted(
    tables: &Tables,
    map: &CuisineMap,
    options: &TimelineOptions,
    design: Option<&Path>,
    out: &Path,
    json: bool,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let catalog = Catalog::new(tables, map, &options.areas);
    let timeline = Timeline::new(tables, map, &catalog, options)?;
    let press = Press::new(tables, map, &catalog, &options.profiles);
    let study = Study::new(tables, &timeline, &press, &options.profiles.places);
    report::check(&study)?;
    if let Some(path) = design {
        report::write_design(path, &study)?;
    }
    let (model, found) = fit::run(&study, tables.simulated.as_deref());
    model.write(out)?;
    if json {
        return Ok(print::json(&found)?);
    }
    if let Some(simulated) = &found.simulated {
        println!("{simulated}");
    }
    let f = &model.fitted;
    println!(
        "{}: fitted on {} queries, calibrated on {} from {} on, to be tested from {} on",
        out.display(),
        f.train_queries,
        f.calibration_queries,
        f.calibrated_from,
        f.tested_from
    );
    let [before, after] = found.calibration_log_loss;
    println!(
        "log loss: {:.4} on what it was fitted on; {before:.4} later, {after:.4} calibrated (power {:.3}, new place {:+.3})",
        found.train_log_loss, model.send_time.power, model.send_time.new
    );
    let [blind, seen, calibrated] = found.fusion_log_loss;
    println!(
        "{} of the later queries have an event of the last day: log loss {blind:.4} without it, {seen:.4} fused, {calibrated:.4} calibrated",
        found.fusion_queries
    );
    let (unbounded, loss) = found.fusion_unbounded;
    println!(
        "the market alone would trust a trip's end {:.2} for {:.1} h and another event {:.2} for {:.1} h: log loss {loss:.4}, not calibrated",
        unbounded[0], unbounded[1], unbounded[2], unbounded[3]
    );
    println!("fusion, for facts/src/locate.rs: {:#?}", model.fusion);
    let rows = found.without.iter().zip(model.send_time.columns).map(|(without, weight)| {
        vec![without.column.to_string(), format!("{weight:.3}"), format!("{:.5}", without.costs)]
    });
    print::table(&["column", "weight", "log loss without it"], rows);
    Ok(())
}

fn tell(found: &PlacesReport) {
    if let Some(simulated) = &found.simulated {
        println!("{simulated}: these figures show that the parts fit together, not how good they are");
    }
    println!(
        "{} queries of {} readers from {} on; 95 % intervals of {} resamples of the readers",
        found.queries, found.readers, found.tested_from, found.resamples
    );
    let points = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
    let rows = found.figures.iter().map(|line| {
        vec![
            line.hours.name().to_string(),
            line.segment.to_string(),
            line.queries.to_string(),
            line.predictor.to_string(),
            interval(line.top_1),
            interval(line.top_3),
            interval(line.log_loss),
            interval(line.brier),
            points(line.calibration_error),
            points(line.new_calibration_error),
        ]
    });
    print::table(
        &["hour", "segment", "queries", "predictor", "top-1", "top-3", "log loss", "Brier", "calibration", "of new"],
        rows,
    );
    let w = &found.world;
    println!(
        "\nrequests, simulated whatever the tables are: fixed networks err by {} km at the median, mobile ones by {} km \
         (measured elsewhere); {:.0} % mobile, {:.1} % hidden, {:.0} % of readers out of town (assumed)",
        w.fixed_km,
        w.mobile_km,
        100.0 * w.mobile,
        100.0 * w.hidden,
        100.0 * w.away
    );
    let rows = found.requests.iter().map(|line| {
        let name = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
        let kind = line.kind.map_or("all".into(), |kind| name(&serde_json::json!(kind)));
        vec![
            name(&serde_json::json!(line.grade)),
            kind,
            line.opens.to_string(),
            format!("{:.4}", line.prior_log_loss),
            interval(line.log_loss),
            format!("{:.4}", line.half_and_twice[0]),
            format!("{:.4}", line.half_and_twice[1]),
            format!("{:.4}", line.elsewhere_calibration_error),
            format!("{:.3}", line.travelling),
            format!("{:.3}", line.moved),
        ]
    });
    print::table(
        &[
            "grade",
            "opens",
            "n",
            "log loss before",
            "with the request",
            "half as wide",
            "twice",
            "calibration",
            "travelling",
            "moved",
        ],
        rows,
    );
    if found.ranking.is_empty() {
        return;
    }
    println!("\nranking at the message, by place");
    let rows = found.ranking.iter().map(|line| {
        vec![
            line.scorer.to_string(),
            line.segment.to_string(),
            line.queries.to_string(),
            line.place.to_string(),
            interval(line.mrr),
            points(line.coverage),
            line.sharpness.to_string(),
        ]
    });
    print::table(&["scorer", "segment", "queries", "place", "MRR", "coverage", "sharpness"], rows);
}

fn interval(Spread { value, low, high }: Spread) -> String {
    format!("{value:.3} ({low:.3} to {high:.3})")
}
