//! The place model: to which known place the next order goes, or to one never used before.
//!
//! `models/place-model.json` holds what `freshrank places fit` found, and what it was fitted on.

use super::facts::{COLUMNS, Facts, Hour, N_COLUMNS};
use super::logit::{nested, softmax};
use freshrank::locate::{Fusion, Sight, Trust};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use thiserror::Error;

/// What the file says first.
pub const FORMAT: &str = "freshrank-places-2";

/// What ships.
const SHIPPED: &str = include_str!("../../../models/place-model.json");

/// Why a model cannot be used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is none.
    #[error("{}: {what}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What was found and what was expected.
        what: String,
    },
}

/// One fit of the place model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Of the columns.
    pub columns: [f64; N_COLUMNS],
    /// The power that every probability is raised to, fitted on later orders; 1 leaves it.
    pub power: f64,
    /// ln of what the place never used before is worth more, likewise; 0 leaves it.
    pub new: f64,
}

impl Weights {
    /// The probability of every known place, and last that of a place never used before; they add up to 1.
    #[must_use]
    pub fn probabilities(&self, facts: &Facts, hour: Hour) -> Vec<f64> {
        self.calibrated(self.raw(facts, hour))
    }

    /// The same, before the later orders were seen.
    #[must_use]
    pub fn raw(&self, facts: &Facts, hour: Hour) -> Vec<f64> {
        nested(&facts.rows(hour), &self.columns)
    }

    /// What the later orders make of raw probabilities; the new place is the last.
    #[must_use]
    pub fn calibrated(&self, raw: Vec<f64>) -> Vec<f64> {
        let last = raw.len().saturating_sub(1);
        let utility = |(i, p): (usize, f64)| self.power * libm::log(p) + if i == last { self.new } else { 0.0 };
        softmax(raw.into_iter().enumerate().map(utility).collect())
    }

    /// The model that ships.
    #[must_use]
    pub fn shipped() -> Self {
        static WEIGHTS: LazyLock<Option<Weights>> =
            LazyLock::new(|| PlaceModel::shipped().ok().map(|model| model.send_time));
        // A test reads the shipped file, so that nobody but whoever changes the columns meets the second.
        WEIGHTS.unwrap_or(Self::COUNTING)
    }

    /// Nothing but counting: shares of orders, and the reader's rate of new places.
    pub const COUNTING: Self = {
        let mut columns = [0.0; N_COLUMNS];
        let mut i = 0;
        while i < N_COLUMNS {
            columns[i] = match COLUMNS[i].name.as_bytes() {
                b"log_share" | b"new_rate" => 1.0,
                _ => 0.0,
            };
            i += 1;
        }
        Self { columns, power: 1.0, new: 0.0 }
    };
}

/// Everything that was fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceModel {
    /// Said first when present.
    pub simulated: Option<String>,
    /// From what, and how.
    pub fitted: Fitted,
    /// Asked when a message is sent: what profiles are made with.
    pub send_time: Weights,
    /// Asked at the same time by someone who knows the order's hour; only for comparison.
    pub known_hour: Weights,
    /// Asked when a message is sent, with the last day's event inside the model and not in the fusion; likewise.
    pub with_event: Weights,
    /// The engine's, as fitted: `freshrank::locate::FUSION` is this, rounded.
    pub fusion: Fusion,
}

/// What a model was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// Queries that the columns' weights were fitted on, before `calibrated_from`.
    pub train_queries: usize,
    /// Queries that power and new were fitted on, before `tested_from`.
    pub calibration_queries: usize,
    /// RFC 3339.
    pub calibrated_from: String,
    /// RFC 3339; nothing from then on was seen.
    pub tested_from: String,
    /// Subtracted from the log likelihood: half of this times the sum of squared weights.
    pub ridge: f64,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    simulated: Option<String>,
    fitted: Fitted,
    columns: Vec<Line>,
    calibration: Vec<Calibration>,
    fusion: FusionFile,
}

#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    send_time: f64,
    known_hour: f64,
    with_event: f64,
    meaning: String,
}

#[derive(Serialize, Deserialize)]
struct Calibration {
    of: String,
    power: f64,
    new: f64,
}

/// [`Fusion`] with a list for each trust and sight.
#[derive(Serialize, Deserialize)]
struct FusionFile {
    exact_trust: f64,
    trip_end: [f64; 2],
    event: [f64; 2],
    precise: [f64; 5],
    network: [f64; 5],
    coarse: [f64; 5],
    new_km: f64,
    far_share: f64,
    far_km: f64,
    power: f64,
    elsewhere: f64,
}

/// Both ways at once, field by field: what is added to one is added to the other.
macro_rules! same_fields {
    ($($plain:ident)* ; $($trust:ident)* ; $($sight:ident)*) => {
        impl From<FusionFile> for Fusion {
            fn from(file: FusionFile) -> Self {
                $(let [now, half_life_hours] = file.$trust;
                let $trust = Trust { now, half_life_hours };)*
                $(let [median_km, gateway_share, gateway_km, outlier, city_km] = file.$sight;
                let $sight = Sight { median_km, gateway_share, gateway_km, outlier, city_km };)*
                Self { $($plain: file.$plain,)* $($trust,)* $($sight,)* }
            }
        }

        impl From<Fusion> for FusionFile {
            fn from(fusion: Fusion) -> Self {
                $(let Trust { now, half_life_hours } = fusion.$trust;
                let $trust = [now, half_life_hours];)*
                $(let Sight { median_km, gateway_share, gateway_km, outlier, city_km } = fusion.$sight;
                let $sight = [median_km, gateway_share, gateway_km, outlier, city_km];)*
                Self { $($plain: fusion.$plain,)* $($trust,)* $($sight,)* }
            }
        }
    };
}

same_fields!(exact_trust new_km far_share far_km power elsewhere; trip_end event; precise network coarse);

const FITS: [&str; 3] = ["send_time", "known_hour", "with_event"];

impl PlaceModel {
    /// Reads a model.
    ///
    /// # Errors
    /// No such file, or one of another format or other columns.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read_to_string(path).map_err(|source| ModelError::Io { path: path.into(), source })?;
        Self::parse(&text).map_err(|what| ModelError::Format { path: path.into(), what })
    }

    /// The model that ships, as it was compiled in.
    ///
    /// # Errors
    /// It has other columns than this release: only while the columns are being changed.
    pub fn shipped() -> Result<Self, ModelError> {
        Self::parse(SHIPPED).map_err(|what| ModelError::Format { path: "models/place-model.json".into(), what })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if file.format != FORMAT {
            return Err(format!("found format {:?}, expected {FORMAT:?}", file.format));
        }
        let (found, expected): (Vec<&str>, Vec<&str>) = (
            file.columns.iter().map(|line| line.name.as_str()).collect(),
            COLUMNS.iter().map(|column| column.name).collect(),
        );
        if found != expected {
            return Err(format!(
                "found columns {found:?}, expected {expected:?}: fit it anew with `freshrank places fit`"
            ));
        }
        let weights = |fit: usize, of: fn(&Line) -> f64| {
            let calibration = file.calibration.iter().find(|calibration| calibration.of == FITS[fit]);
            let calibration = calibration.ok_or_else(|| format!("found no calibration of {:?}", FITS[fit]))?;
            let mut columns = [0.0; N_COLUMNS];
            columns.iter_mut().zip(&file.columns).for_each(|(weight, line)| *weight = of(line));
            Ok::<_, String>(Weights { columns, power: calibration.power, new: calibration.new })
        };
        Ok(Self {
            send_time: weights(0, |line| line.send_time)?,
            known_hour: weights(1, |line| line.known_hour)?,
            with_event: weights(2, |line| line.with_event)?,
            fusion: file.fusion.into(),
            simulated: file.simulated,
            fitted: file.fitted,
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        let wrong = |source| ModelError::Io { path: path.into(), source };
        let fits = [&self.send_time, &self.known_hour, &self.with_event];
        let line = |(i, column): (usize, &super::facts::Column)| Line {
            name: column.name.into(),
            send_time: self.send_time.columns[i],
            known_hour: self.known_hour.columns[i],
            with_event: self.with_event.columns[i],
            meaning: column.meaning.into(),
        };
        let file = File {
            format: FORMAT.into(),
            simulated: self.simulated.clone(),
            fitted: self.fitted.clone(),
            columns: COLUMNS.iter().enumerate().map(line).collect(),
            calibration: FITS
                .iter()
                .zip(fits)
                .map(|(of, fit)| Calibration { of: (*of).into(), power: fit.power, new: fit.new })
                .collect(),
            fusion: self.fusion.into(),
        };
        let text = serde_json::to_string_pretty(&file).map_err(|error| wrong(error.into()))?;
        std::fs::write(path, text + "\n").map_err(wrong)
    }
}
