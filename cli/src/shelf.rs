//! What `rank` and `replay` decide with: a folder of areas, a campaign, a model.

use clap::Args;
use freshrank::bundle::{Bundle, Display};
use freshrank::geo::Cell;
use freshrank::request::{Question, Reply};
use freshrank::score::{NoModel, dense::Dense, tract::Tract};
use freshrank::{Campaign, Hash, Scorer};
use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where the parts are.
#[derive(Debug, Args)]
pub struct Paths {
    /// The folder that `freshrank build` wrote
    #[arg(long, value_name = "DIR", default_value = "target/demo/out")]
    pub bundles: PathBuf,
    /// A campaign's folder, or the document `freshrank campaign publish` wrote
    #[arg(long, value_name = "PATH")]
    pub campaign: Option<PathBuf>,
    /// A plan for `dense`, or any ONNX ranker for `tract`; `none` leaves it to the prior
    #[arg(long, value_name = "FILE", default_value = "models/ltr.plan")]
    pub model: PathBuf,
}

/// The parts, opened. Areas are read when first asked for, and kept.
pub struct Shelf {
    folder: PathBuf,
    areas: Mutex<HashMap<Cell, Option<Arc<Area>>>>,
    /// What every request is answered with.
    pub campaign: Campaign,
    /// Who judges.
    pub scorer: Box<dyn Scorer + Send + Sync>,
}

/// One area of the folder.
pub struct Area {
    /// The candidates.
    pub bundle: Bundle,
    /// Their cards; empty where the block is missing or damaged.
    pub display: Option<Display>,
}

impl Shelf {
    /// Opens campaign and model; a model that is refused is an error here, since nobody waits for a picture.
    pub fn open(paths: &Paths) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self {
            folder: paths.bundles.join("areas"),
            areas: Mutex::default(),
            campaign: paths.campaign.as_deref().map_or_else(|| Ok(Campaign::default()), campaign)?,
            scorer: scorer(&paths.model)?,
        })
    }

    /// Answers a question as every shell does.
    pub fn answer(&self, question: &Question) -> Result<Reply, Box<dyn Error + Send + Sync>> {
        self.answer_by(&self.campaign, question)
    }

    /// Answers a question by another campaign.
    pub fn answer_by(&self, campaign: &Campaign, question: &Question) -> Result<Reply, Box<dyn Error + Send + Sync>> {
        let area = match question.cell(campaign).filter(|_| question.areas.is_empty()) {
            Some(cell) => self.area(cell)?,
            None => None,
        };
        let bundle = area.as_ref().map(|area| &area.bundle);
        let display = area.as_ref().and_then(|area| area.display.as_ref());
        Ok(question.answer(bundle, display, campaign, self.scorer.as_ref()))
    }

    /// An area of the folder, if there is one.
    pub fn area(&self, cell: Cell) -> Result<Option<Arc<Area>>, Box<dyn Error + Send + Sync>> {
        let mut areas = self.areas.lock().map_err(|_| "another request failed while it read an area")?;
        if let Some(area) = areas.get(&cell) {
            return Ok(area.clone());
        }
        let path = self.folder.join(format!("{cell}.area"));
        let area = if path.exists() { Some(Arc::new(read_area(&path)?)) } else { None };
        areas.insert(cell, area.clone());
        Ok(area)
    }

    /// Every bundle of the folder by its hash, for a replay.
    pub fn by_hash(&self) -> Result<HashMap<Hash, Arc<Area>>, Box<dyn Error + Send + Sync>> {
        let mut areas = HashMap::new();
        for entry in std::fs::read_dir(&self.folder).map_err(|e| format!("{}: {e}", self.folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "area") {
                let area = read_area(&path)?;
                areas.insert(area.bundle.hash, Arc::new(area));
            }
        }
        Ok(areas)
    }
}

/// Reads a campaign's folder or its published document.
pub fn campaign(path: &Path) -> Result<Campaign, Box<dyn Error + Send + Sync>> {
    if path.is_dir() {
        return Ok(freshrank_offline::campaigns::read(path)?);
    }
    let bytes = read(path)?;
    Ok(Campaign::parse(&bytes).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Reads a plan or an ONNX file by its ending.
pub fn scorer(path: &Path) -> Result<Box<dyn Scorer + Send + Sync>, Box<dyn Error + Send + Sync>> {
    if path.as_os_str() == "none" {
        return Ok(Box::new(NoModel));
    }
    let bytes = read(path)?;
    let named = |error| format!("{}: {error}", path.display());
    if path.extension().is_some_and(|extension| extension == "onnx") {
        Ok(Box::new(Tract::load(&bytes).map_err(named)?))
    } else {
        Ok(Box::new(Dense::load(&bytes).map_err(named)?))
    }
}

/// Reads a file; the error names it.
pub fn read(path: &Path) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    Ok(std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?)
}

fn read_area(path: &Path) -> Result<Area, Box<dyn Error + Send + Sync>> {
    let named = |path: &Path, error| format!("{}: {error}", path.display());
    let bundle = Bundle::decode(read(path)?).map_err(|error| named(path, error))?;
    let path = path.with_extension("display");
    let display =
        if path.exists() { Some(Display::decode(read(&path)?).map_err(|error| named(&path, error))?) } else { None };
    Ok(Area { bundle, display })
}
