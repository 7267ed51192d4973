//! `freshrank import`: merchants and tables from elsewhere become the tables of the contract.

use crate::{Outcome, print};
use clap::{Args, Subcommand};
use freshrank_offline::import::{self, ImportError, ImportReport, OsmOptions};
use freshrank_offline::tables::{self, Merchant, ReadOptions, Report, Tables};
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// Where from.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// An OpenStreetMap extract, .osm.pbf
    Osm(Merchants),
    /// A GeoJSON feature collection with OpenStreetMap tags
    Geojson(Merchants),
    /// A directory of CSV or Parquet tables, or one such file
    Csv(Rows),
    /// The folder of UCI's Restaurant & consumer data, which has no times: for `evaluate --cold-start`
    Uci(Folder),
}

/// A published data set.
#[derive(Debug, Args)]
pub struct Folder {
    /// The folder
    folder: PathBuf,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Merchants of OpenStreetMap.
#[derive(Debug, Args)]
pub struct Merchants {
    /// The file
    file: PathBuf,
    /// ISO 3166-1 alpha-2 of all merchants; else told by their tags or by where they stand
    #[arg(long)]
    country: Option<String>,
    /// The date from which opening hours are compiled as a check; today if absent
    #[arg(long, value_name = "DATE")]
    as_of: Option<Date>,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Any table.
#[derive(Debug, Args)]
pub struct Rows {
    /// The directory or file
    path: PathBuf,
    /// A foreign column, as `merchant_id=OSM_TYPE+OSM_ID` or `name=NAME`; may be given often
    #[arg(long = "map", value_name = "COLUMN=THEIRS", value_delimiter = ',')]
    map: Vec<String>,
    /// The share of rows, 0 to 1, that may be wrong before the import fails
    #[arg(long, default_value_t = ReadOptions::default().max_bad_share)]
    max_bad_share: f64,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

pub fn run(verb: &Verb) -> Outcome {
    match verb {
        Verb::Osm(arguments) => merchants(arguments, import::osm),
        Verb::Geojson(arguments) => merchants(arguments, import::geojson),
        Verb::Csv(arguments) => csv(arguments),
        Verb::Uci(arguments) => uci(arguments),
    }
}

fn uci(arguments: &Folder) -> Outcome {
    let (found, report) = import::uci::uci(&arguments.folder)?;
    import::uci::write(&found, &arguments.out)?;
    if arguments.json {
        return Ok(print::json(&report)?);
    }
    print!("{report}");
    let (ratings, stated) = (found.ratings.len(), found.stated.len());
    println!("{ratings} ratings and {stated} stated tastes, without times: for `evaluate --cold-start` alone");
    Ok(())
}

type Importer = fn(&Path, &OsmOptions) -> Result<(Vec<Merchant>, ImportReport), ImportError>;

fn merchants(arguments: &Merchants, import: Importer) -> Outcome {
    let as_of = arguments.as_of.unwrap_or_else(|| jiff::Zoned::now().date());
    let options = OsmOptions { country: arguments.country.clone(), as_of: Some(as_of) };
    let (merchants, report) = import(&arguments.file, &options)?;
    tables::write(&Tables { merchants, ..Tables::default() }, &arguments.out)?;
    if arguments.json {
        return Ok(print::json(&report)?);
    }
    print!("{report}");
    Ok(())
}

fn csv(arguments: &Rows) -> Outcome {
    let (tables, report): (Tables, Report) =
        import::csv(&arguments.path, &read_options(&arguments.map, arguments.max_bad_share)?)?;
    tables::write(&tables, &arguments.out)?;
    if arguments.json {
        return Ok(print::json(&report)?);
    }
    print!("{report}");
    Ok(())
}

fn read_options(map: &[String], max_bad_share: f64) -> Result<ReadOptions, String> {
    let pair = |text: &String| {
        let (ours, theirs) = text.split_once('=').ok_or(format!("--map: found {text:?}, expected COLUMN=THEIRS"))?;
        Ok((ours.to_string(), theirs.to_string()))
    };
    Ok(ReadOptions { max_bad_share, map: map.iter().map(pair).collect::<Result<_, String>>()? })
}
