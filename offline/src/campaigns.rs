//! A campaign's folder becomes the document the engine reads.
//!
//! `global.yaml` covers everything; `fi.yaml` a country; `fi/helsinki.yaml` a city; `arms/more-offers.yaml` one side of
//! an experiment. The path is the layer's name. Beside the campaigns, `defaults/` holds layers of the same shape that
//! lie underneath all of them. A folder is read to its end whatever is wrong with a file of it.

use freshrank::campaign::author::{self, Node, Value};
use freshrank::campaign::{DEFAULTS, Layer};
use freshrank::rule::Labels;
use freshrank::{Campaign, Hash};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

pub mod compare;
mod fault;
pub mod golden;
pub mod polygon;
pub mod schema;
pub mod yaml;

pub use fault::{Fault, Faults};
pub use golden::Golden;

/// The folder beside the campaigns that lies underneath all of them.
const DEFAULTS_FOLDER: &str = "defaults";
/// The folder of a campaign that holds its golden decisions.
const GOLDEN: &str = "golden";
/// Folders within each other: `arms`, or continent, country, state, city, neighbourhood, and one to spare.
const MAX_DEPTH: usize = 6;

/// The labels that rules may name: those of the map that profiles and bundles are built with unless told otherwise. On a bundle
/// of another map a rule that asks for a cuisine holds for nobody.
#[must_use]
pub fn labels() -> &'static Labels {
    static LABELS: LazyLock<Labels> =
        LazyLock::new(|| Labels::read(include_bytes!("../../models/cuisine-map.json")).unwrap_or_default());
    &LABELS
}

/// A folder as it was read: what could be, and everything wrong with the rest.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Its layers and the defaults beneath; usable where no fault is an error.
    pub campaign: Campaign,
    /// Its golden decisions.
    pub golden: Vec<Golden>,
    /// Ascending by file, line and column.
    pub faults: Vec<Fault>,
    /// By the layer's path, `defaults/fi` of a default.
    files: BTreeMap<String, PathBuf>,
}

/// Reads a campaign's folder; its name is the campaign's id.
///
/// # Errors
/// Everything that is wrong with it, with file, line and column; warnings are passed over.
pub fn read(folder: &Path) -> Result<Campaign, Faults> {
    open(folder).usable()
}

/// Reads a campaign's folder to its end.
#[must_use]
pub fn open(folder: &Path) -> Folder {
    let folder = named(folder);
    let beside = beneath(&folder).filter(|beside| beside.is_dir());
    let defaults = beside.map(|beside| Layers::read(&beside, DEFAULTS)).unwrap_or_default();
    let mut folder = assemble(&folder, &defaults);
    folder.faults.extend(defaults.faults);
    folder.faults.sort();
    folder
}

/// Reads campaigns, and folders of campaigns, at once; defaults that several share are read, and told about, once.
#[must_use]
pub fn open_all(paths: &[PathBuf]) -> Vec<Folder> {
    let folders: Vec<PathBuf> = paths.iter().flat_map(|path| campaigns_of(&named(path))).collect();
    let shared: BTreeSet<PathBuf> = folders.iter().filter_map(|folder| beneath(folder)).collect();
    let shared = shared.into_iter().filter(|path| path.is_dir());
    let shared: BTreeMap<PathBuf, Layers> = shared.map(|path| (path.clone(), Layers::read(&path, DEFAULTS))).collect();
    let none = Layers::default();
    let defaults = |folder: &Path| beneath(folder).and_then(|path| shared.get(&path)).unwrap_or(&none);
    let mut all: Vec<Folder> = folders.par_iter().map(|folder| assemble(folder, defaults(folder))).collect();
    for (path, layers) in shared {
        if let Some(first) = all.iter_mut().find(|folder| beneath(&folder.path).as_ref() == Some(&path)) {
            first.faults.extend(layers.faults);
            first.faults.sort();
        }
    }
    all
}

/// The defaults' folder of a campaign's, whether it exists or not; the defaults themselves have none.
fn beneath(folder: &Path) -> Option<PathBuf> {
    let is_own = folder.file_name().is_some_and(|name| name == DEFAULTS_FOLDER);
    (!is_own).then(|| folder.with_file_name(DEFAULTS_FOLDER))
}

/// The folder by its name: `.` has none, and yet a campaign is called by it.
fn named(folder: &Path) -> PathBuf {
    let whole = || folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    if folder.file_name().is_none() { whole() } else { folder.to_path_buf() }
}

/// The folder itself where a layer lies in it, else each folder in it but the defaults.
fn campaigns_of(path: &Path) -> Vec<PathBuf> {
    let inside = entries(path).unwrap_or_default();
    if inside.iter().any(|path| is_layer(path)) || !inside.iter().any(|path| path.is_dir()) {
        return vec![path.to_path_buf()];
    }
    inside.into_iter().filter(|path| path.is_dir() && !path.ends_with(DEFAULTS_FOLDER)).collect()
}

fn assemble(path: &Path, defaults: &Layers) -> Folder {
    let own = Layers::read(path, "");
    let id = path.file_name().map_or_else(|| "default".into(), |name| name.to_string_lossy().into_owned());
    let (golden, golden_faults) = Golden::all(path);
    let mut faults = own.faults;
    faults.extend(golden_faults);
    if own.layers.is_empty() && faults.is_empty() {
        let message = "found no .yaml file".to_owned();
        faults.push(Fault::at(1, 1, message, "begin with global.yaml, which covers everything").in_file(path));
    }
    let campaign = Campaign::new(&id, defaults.layers.iter().cloned().chain(own.layers));
    let mut files = own.files;
    files.extend(defaults.files.clone());
    let mut folder = Folder { path: path.to_path_buf(), campaign, golden, faults, files };
    // What the layers say together can be judged only where each could be read.
    if !folder.is_broken() && defaults.faults.iter().all(|fault| fault.warning) {
        for problem in folder.campaign.check() {
            let file = folder.file(&problem.layer).unwrap_or(path).to_path_buf();
            folder.faults.push(Fault::of(problem, &file));
        }
    }
    folder.faults.sort();
    folder
}

impl Folder {
    /// Whether anything stops it from being published.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.faults.iter().any(|fault| !fault.warning)
    }

    /// The campaign, where nothing stops it.
    ///
    /// # Errors
    /// Everything that does.
    pub fn usable(self) -> Result<Campaign, Faults> {
        if self.is_broken() {
            return Err(Faults(self.faults.into_iter().filter(|fault| !fault.warning).collect()));
        }
        Ok(self.campaign)
    }

    /// The file of a layer.
    #[must_use]
    pub fn file(&self, layer: &str) -> Option<&Path> {
        self.files.get(layer).map(PathBuf::as_path)
    }

    /// The hash of what would be published.
    #[must_use]
    pub fn version(&self) -> Hash {
        self.campaign.hash
    }
}

/// The layers of one folder.
#[derive(Debug, Default)]
struct Layers {
    layers: Vec<Layer>,
    files: BTreeMap<String, PathBuf>,
    faults: Vec<Fault>,
}

impl Layers {
    /// The prefix is that of the tree, none or `defaults/`.
    fn read(root: &Path, prefix: &str) -> Self {
        let mut files = BTreeMap::new();
        let mut faults = Vec::new();
        let mut borders = BTreeSet::new();
        walk(root, prefix, 0, &mut files, &mut borders, &mut faults);
        let read: Vec<Read> = files.par_iter().map(|(layer, path)| layer_of(layer, path)).collect();
        let mut layers = Vec::new();
        for read in read {
            faults.extend(read.faults);
            for border in read.borders {
                borders.remove(&border);
            }
            layers.push(read.layer);
        }
        for border in borders {
            let hint = "write `covers: { polygon: FILE }` into the layer beside it, or delete it";
            faults.push(Fault::at(1, 1, "no layer covers this polygon".to_owned(), hint).in_file(&border).warned());
        }
        Self { layers, files, faults }
    }
}

/// Finds the layers' files, and says what else lies there.
fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, PathBuf>,
    borders: &mut BTreeSet<PathBuf>,
    faults: &mut Vec<Fault>,
) {
    if depth > MAX_DEPTH {
        let message = format!("found more than {MAX_DEPTH} folders within each other");
        return faults
            .push(Fault::at(1, 1, message, "layers follow geography: fi/helsinki/kallio.yaml").in_file(folder));
    }
    let inside = match entries(folder) {
        Ok(inside) => inside,
        Err(fault) => return faults.push(fault),
    };
    for path in inside {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if depth > 0 || stem != GOLDEN {
                walk(&path, &format!("{prefix}{stem}/"), depth + 1, files, borders, faults);
            }
            continue;
        }
        match extension.as_str() {
            "yaml" => {
                files.insert(format!("{prefix}{stem}"), path);
            }
            "yml" => {
                let message = "found a .yml file, expected .yaml".to_owned();
                faults.push(Fault::at(1, 1, message, "rename it, or nobody reads it").in_file(&path));
            }
            "json" | "toml" => {
                let message = format!("found a .{extension} file, which nobody reads");
                faults.push(Fault::at(1, 1, message, "write layers as .yaml").in_file(&path).warned());
            }
            "geojson" => {
                borders.insert(path);
            }
            // Notes and pictures are welcome beside the layers.
            _ => {}
        }
    }
}

/// One file, read.
struct Read {
    layer: Layer,
    borders: Vec<PathBuf>,
    faults: Vec<Fault>,
}

fn layer_of(name: &str, path: &Path) -> Read {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let fault = Fault::at(1, 1, error.to_string(), "make it readable").in_file(path);
            return Read { layer: Layer::empty(name), borders: Vec::new(), faults: vec![fault] };
        }
    };
    let (root, mut faults) = yaml::read(&bytes);
    let mut root = root.unwrap_or(Node { line: 1, column: 1, value: Value::Map(Vec::new()) });
    let borders = polygons(&mut root, path, &mut faults);
    for fault in &mut faults {
        fault.file = path.to_path_buf();
    }
    let (mut layer, mut problems) = author::read(name, &root);
    problems.extend(layer.compile(labels()));
    faults.extend(problems.into_iter().map(|problem| Fault::of(problem, path)));
    Read { layer, borders, faults }
}

/// Puts cells where a layer names a polygon; gives the files it named.
fn polygons(root: &mut Node, path: &Path, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let Some(covers) = child(root, "covers") else {
        return Vec::new();
    };
    let Value::Map(entries) = &mut covers.value else {
        return Vec::new();
    };
    let Some(at) = entries.iter().position(|(key, _)| key.text == "polygon") else {
        return Vec::new();
    };
    let (mut key, node) = entries.remove(at);
    let mut named = Vec::new();
    let files = match node.value {
        Value::List(files) => files,
        _ => vec![node],
    };
    let mut cells = Vec::new();
    for file in &files {
        let mut fault = |message: String, hint: &str| {
            faults.push(Fault::at(file.line as usize, file.column as usize, message, hint).about("covers.polygon"));
        };
        let Value::Text(name) = &file.value else {
            fault(
                "expected the name of a GeoJSON file".to_owned(),
                "write `polygon: helsinki.geojson`, the file beside the layer",
            );
            continue;
        };
        let text = beside(path, name).and_then(|path| {
            named.push(path.clone());
            std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        });
        match text {
            Err(message) => fault(message, "put the GeoJSON file beside the layer"),
            Ok(text) => match polygon::read(&text).and_then(|polygon| polygon.cells()) {
                Err(message) => fault(format!("{name}: {message}"), ""),
                Ok(found) => cells.extend(found.iter().map(|cell| Node {
                    line: file.line,
                    column: file.column,
                    value: Value::Text(cell.to_string()),
                })),
            },
        }
    }
    match entries.iter_mut().find(|(key, _)| key.text == "cells") {
        Some((_, Node { value: Value::List(list), .. })) => list.extend(cells),
        Some(_) => {}
        None => {
            key.text = "cells".to_owned();
            let (line, column) = (key.line, key.column);
            entries.push((key, Node { line, column, value: Value::List(cells) }));
        }
    }
    named
}

fn child<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().find(|(key, _)| key.text == name).map(|(_, node)| node),
        _ => None,
    }
}

fn is_layer(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

/// What lies in a folder, ascending by name; hidden files are their editors' business.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let fault =
        |error: std::io::Error| Fault::at(1, 1, error.to_string(), "name a folder that can be read").in_file(folder);
    let inside = std::fs::read_dir(folder).map_err(fault)?;
    let mut paths =
        inside.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(fault)?;
    paths.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    paths.sort();
    Ok(paths)
}

/// A file in the same folder as another; a name that leads elsewhere is refused.
fn beside(file: &Path, name: &str) -> Result<PathBuf, String> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return Err(format!("found the file name {name:?}, expected a file beside this one"));
    }
    Ok(file.with_file_name(name))
}
