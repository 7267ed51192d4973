//! A campaign's folder becomes the document the engine reads.
//!
//! `global.yaml` covers everything; `fi.yaml` a country; `fi/helsinki.yaml` a city. The path is the layer's name.

use freshrank::campaign::{Campaign, CampaignError, Layer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a folder is no campaign.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The folder or a file of it.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not YAML, or not a layer; the message tells line and column.
    #[error("{path}: {problem}")]
    Layer {
        /// Which.
        path: PathBuf,
        /// Line, column, found and expected.
        problem: String,
    },
    /// The layers together.
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    /// No layer at all.
    #[error("{path}: found no .yaml file, expected at least global.yaml")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads a campaign's folder; its name is the campaign's id.
///
/// # Errors
/// Names the file, and the line where one can be told.
pub fn read(folder: &Path) -> Result<Campaign, FolderError> {
    let mut layers = BTreeMap::new();
    walk(folder, "", &mut layers)?;
    if layers.is_empty() {
        return Err(FolderError::Empty { path: folder.into() });
    }
    let id = folder.file_name().map_or_else(|| "default".into(), |name| name.to_string_lossy().into_owned());
    Ok(Campaign::new(&id, layers)?)
}

fn walk(folder: &Path, prefix: &str, layers: &mut BTreeMap<String, Layer>) -> Result<(), FolderError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| FolderError::Io { path, source }
    };
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            walk(&path, &format!("{prefix}{stem}/"), layers)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = std::fs::read_to_string(&path).map_err(io(&path))?;
            let layer = serde_saphyr::from_str(&text)
                .map_err(|error| FolderError::Layer { path: path.clone(), problem: error.to_string() })?;
            layers.insert(format!("{prefix}{stem}"), layer);
        }
    }
    Ok(())
}
