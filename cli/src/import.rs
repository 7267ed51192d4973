//! `freshrank import`: merchants and tables from elsewhere become the tables of the contract.

use crate::{Outcome, print};
use clap::{Args, Subcommand};
use freshrank::MerchantId;
use freshrank_offline::cuisines::Vocabulary;
use freshrank_offline::import::log::{Joined, Messages};
use freshrank_offline::import::{
    self, DhrdOptions, ImportError, ImportReport, LoadReport, OsmOptions, dhrd, entree, overture,
};
use freshrank_offline::tables::read::Affine;
use freshrank_offline::tables::{self, Event, Merchant, ReadOptions, Report, Sheet, Tables};
use jiff::civil::Date;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Where from.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// An OpenStreetMap extract, .osm.pbf
    #[command(after_help = "Download: https://download.geofabrik.de/")]
    Osm(Merchants),
    /// A GeoJSON feature collection with OpenStreetMap tags
    #[command(after_help = "Download: https://overpass-turbo.eu/, exported as GeoJSON")]
    Geojson(Merchants),
    /// A directory of CSV or Parquet tables, or one such file
    Csv(Rows),
    /// The folder of UCI's Restaurant & consumer data, which has no times: for `evaluate --cold-start`
    #[command(after_help = format!("Download: {}", import::uci::PAGE))]
    Uci(Folder),
    /// Places of Overture Maps that sell food, .parquet or .geojson
    #[command(after_help = format!("Download: {}", overture::PAGE))]
    Overture(Places),
    /// A city of Delivery Hero's recommendation dataset: real orders, places to about 5 km, days without a date
    #[command(after_help = format!("Download: {}", dhrd::PAGE))]
    Dhrd(Dhrd),
    /// Entree's restaurants of eight cities and sessions over Chicago's: no coordinates, no orders
    #[command(after_help = format!("Download: {}", entree::PAGE))]
    Entree(Entree),
    /// Records of the edge, as the Worker writes them: what was served, seen and clicked becomes the table events
    Log(Log),
    /// The name-suggestion-index: chains and what they cook, for fitting the cuisine map
    #[command(after_help = format!("Download: {}", import::nsi::PAGE))]
    Nsi(Nsi),
}

/// Places of Overture.
#[derive(Debug, Args)]
pub struct Places {
    #[command(flatten)]
    merchants: Merchants,
    /// How sure Overture must be that a place exists, 0 to 1
    #[arg(long, default_value_t = 0.5)]
    least_confidence: f64,
}

/// A city of DHRD.
#[derive(Debug, Args)]
pub struct Dhrd {
    /// The folder with orders_CITY_train.txt, orders_CITY_test.txt and vendors_CITY.txt
    folder: PathBuf,
    /// Which city, where there are several
    #[arg(long, value_name = "se|sg|tw")]
    city: Option<String>,
    /// The numbered days are counted from the first fitting weekday from here on
    #[arg(long, value_name = "DATE", default_value_t = DhrdOptions::default().start)]
    start: Date,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
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

/// Entree.
#[derive(Debug, Args)]
pub struct Entree {
    /// The folder with features.txt, CITY.txt and sessions.tsv
    folder: PathBuf,
    /// One city, as `chicago`; else all
    #[arg(long)]
    city: Option<String>,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// Records of the edge.
#[derive(Debug, Args)]
pub struct Log {
    /// NDJSON, one record a line, or a Worker's console with them among other words
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// CSV with message_id, as tokens were minted with it, and user_id
    #[arg(long, value_name = "FILE")]
    messages: PathBuf,
    /// Tables whose merchants they are; those of --out if absent
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// The share of records, 0 to 1, that may be of no use before the import fails
    #[arg(long, default_value_t = ReadOptions::default().max_bad_share)]
    max_bad_share: f64,
    /// Where the table goes; events that are there stay, and nothing is in it twice
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For a program
    #[arg(long)]
    json: bool,
}

/// The name-suggestion-index.
#[derive(Debug, Args)]
pub struct Nsi {
    /// dist/json/nsi.json of the package
    file: PathBuf,
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
    /// Masked or local coordinates: `a,b,c,d,e,f` for latitude = a x + b y + c and longitude = d x + e y + f of the file's
    /// longitude x and latitude y, or `m@NORTH,EAST` for metres east and north of there
    #[arg(long, value_name = "MAP", allow_hyphen_values = true, value_parser = Affine::parse)]
    affine: Option<Affine>,
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
        Verb::Overture(Places { merchants: arguments, least_confidence }) => {
            merchants(arguments, |path, options| import::overture(path, options, *least_confidence))
        }
        Verb::Dhrd(Dhrd { folder, city, start, out, json }) => {
            let options = DhrdOptions { city: city.clone(), start: *start };
            loaded(import::dhrd(folder, &options)?, out, *json)
        }
        Verb::Entree(Entree { folder, city, out, json }) => {
            loaded(import::entree(folder, city.as_deref(), &Vocabulary::reviewed()?)?, out, *json)
        }
        Verb::Log(arguments) => log(arguments),
        Verb::Nsi(Nsi { file, json }) => nsi(file, *json),
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

type Imported = Result<(Vec<Merchant>, ImportReport), ImportError>;

fn loaded((tables, report): (Tables, LoadReport), out: &Path, json: bool) -> Outcome {
    tables::write(&tables, out)?;
    if json {
        return Ok(print::json(&report)?);
    }
    print!("{report}");
    Ok(())
}

fn log(arguments: &Log) -> Outcome {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let open = |path: &Path| File::open(path).map_err(|error| named(path, &error));
    let mut report = LoadReport { source: arguments.log.display().to_string(), ..LoadReport::default() };
    let messages =
        Messages::read(open(&arguments.messages)?, &mut report).map_err(|error| named(&arguments.messages, &error))?;
    let has = |table: &str| ["parquet", "csv"].iter().any(|e| arguments.out.join(format!("{table}.{e}")).is_file());
    // Events alone, without the merchants they name, are no tables: reading says so.
    let there = match has("merchants") || has("events") {
        true => tables::read(&arguments.out, &ReadOptions::default())?.0,
        false => Tables::default(),
    };
    let named_by = match &arguments.tables {
        Some(tables) if *tables != arguments.out => tables::read_sample(tables, &ReadOptions::default(), 0)?.0,
        _ => Tables { merchants: there.merchants, simulated: there.simulated, ..Tables::default() },
    };
    let merchant = |row: &Merchant| (MerchantId::of(&row.merchant_id), row.merchant_id.clone());
    let joined = Joined { messages, merchants: named_by.merchants.iter().map(merchant).collect() };
    let mut events = there.events;
    let file = BufReader::new(open(&arguments.log)?);
    import::log::log(file, &joined, &mut events, &mut report).map_err(|error| named(&arguments.log, &error))?;
    if arguments.json {
        print::json(&report)?;
    } else {
        print!("{report}");
    }
    let (bad, all) = (report.unusable(), report.rows.get("records").copied().unwrap_or(0));
    if bad as f64 > arguments.max_bad_share * all as f64 {
        let most = arguments.max_bad_share;
        return Err(format!("{bad} of {all} records are of no use, at most a share of {most} may be (--max-bad-share); nothing was written").into());
    }
    std::fs::create_dir_all(&arguments.out).map_err(|error| named(&arguments.out, &error))?;
    let mut sheet = Sheet::<Event>::new(&arguments.out, named_by.simulated.as_deref())?;
    sheet.put(&events)?;
    Ok(sheet.close()?)
}

/// Chains have no place, and so make no table: what they would bring to `cuisines fit --chains` is told.
fn nsi(file: &Path, json: bool) -> Outcome {
    let (chains, report) = import::nsi(file, &Vocabulary::reviewed()?)?;
    if json {
        let row = |chain: &Merchant| serde_json::json!({ "id": chain.merchant_id, "name": chain.name, "chain_id": chain.chain_id, "cuisines": chain.cuisines });
        let chains: Vec<serde_json::Value> = chains.iter().map(row).collect();
        return Ok(print::json(&serde_json::json!({ "report": report, "chains": chains }))?);
    }
    print!("{report}");
    println!("they have no place: give the file to `freshrank cuisines fit --chains`");
    Ok(())
}

fn merchants(arguments: &Merchants, import: impl Fn(&Path, &OsmOptions) -> Imported) -> Outcome {
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
        import::csv(&arguments.path, &read_options(&arguments.map, arguments.max_bad_share, arguments.affine)?)?;
    tables::write(&tables, &arguments.out)?;
    if arguments.json {
        return Ok(print::json(&report)?);
    }
    print!("{report}");
    Ok(())
}

fn read_options(map: &[String], max_bad_share: f64, affine: Option<Affine>) -> Result<ReadOptions, String> {
    let pair = |text: &String| {
        let (ours, theirs) = text.split_once('=').ok_or(format!("--map: found {text:?}, expected COLUMN=THEIRS"))?;
        Ok((ours.to_string(), theirs.to_string()))
    };
    Ok(ReadOptions { max_bad_share, map: map.iter().map(pair).collect::<Result<_, String>>()?, affine })
}
