//! Cards: every picture that a merchant can need, drawn before the send, so that the edge only picks one.
//!
//! What is drawn comes from the area bundles and their display blocks, which are what the edge decides by; which cards there are is the
//! engine's ([`freshrank::card`]). Same inputs, same bytes, whatever the number of threads.

mod art;
mod draw;
mod font;
mod png;
mod words;

pub use draw::{HEIGHT, Photo, WIDTH};
pub use font::Fonts;
pub use words::{Direction, Words};

use crate::cuisines::vocabulary::Vocabulary;
use draw::Studio;
use freshrank::MerchantId;
use freshrank::bundle::{Bundle, Display, Kind, Offer};
use freshrank::campaign::Paid;
use freshrank::card::{self, Card, Density, PICTURES};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files that Cloudflare serves as static assets of one version on the free plan (100,000 on the paid ones, developers.cloudflare.com/workers/platform/limits,
/// looked up in November 2026).
pub const MAX_FILES: usize = 20_000;
/// Of one card.
pub const MAX_BYTES: usize = 48_000;
/// Pictures of one file for `wrangler kv bulk put`: with the largest allowed, less than the 100 MB that KV takes at once.
const KV_PAIRS: usize = 1_000;
/// Days of opening hours and offers that cards are drawn for: as long as a ledger lives.
pub const DAYS: i64 = 31;

/// Why there are no cards.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// A folder or file.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Read(PathBuf, std::io::Error),
    /// An area's bytes.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Decode(PathBuf, freshrank::wire::DecodeError),
    /// A folder without areas.
    #[error("{}: no area bundle has a display block; `freshrank build` writes both", .0.display())]
    NoAreas(PathBuf),
    /// Nothing to write with.
    #[error("{}: no font; `cargo xtask setup` fetches some, --fonts names another folder of TTF or OTF files", .0.display())]
    NoFonts(PathBuf),
    /// A language's file.
    #[error("{0}: {1}")]
    Words(String, toml::de::Error),
    /// The reviewed cuisines.
    #[error("offline/cuisines.toml: {0}")]
    Cuisines(#[from] toml::de::Error),
    /// More than can be served.
    #[error(
        "{files} files ({merchants} merchants, {cards} cards, {pictures} pictures each), at most {max} are served as static assets: --max-files \
         100000 on a paid plan, --days, --campaign or --no-sponsored for fewer, or --kv for the rest in KV"
    )]
    TooMany {
        /// All of them.
        files: usize,
        /// Whose.
        merchants: usize,
        /// Of all merchants.
        cards: usize,
        /// Of a card.
        pictures: usize,
        /// What was allowed.
        max: usize,
    },
    /// A picture that few colours do not make small.
    #[error("a picture has {bytes} bytes in 16 colours, at most {max} were asked for")]
    TooLarge {
        /// At best.
        bytes: usize,
        /// What was allowed.
        max: usize,
    },
    /// One merchant's.
    #[error("card of {0}: {1}")]
    Of(String, Box<CardError>),
    /// A drawing.
    #[error("{0}")]
    Draw(#[from] resvg::usvg::Error),
    /// A picture.
    #[error("{0}")]
    Encode(String),
}

impl From<oxipng::PngError> for CardError {
    fn from(error: oxipng::PngError) -> Self {
        Self::Encode(error.to_string())
    }
}

/// What a card is drawn from.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its folder.
    pub id: MerchantId,
    /// As the tables call it.
    pub merchant_id: String,
    /// As its sign says.
    pub name: String,
    /// ISO 3166-1 alpha-2 of an area it delivers to: sums and Han characters are as that country writes them.
    pub country: String,
    /// Labels.
    pub cuisines: Vec<String>,
    /// What it sells.
    pub kind: Kind,
    /// 0 to 5.
    pub rating: Option<f32>,
    /// From order to hand-over.
    pub prep_minutes: Option<u8>,
    /// Those that end on the days that cards are drawn for, or later.
    pub offers: Vec<Offer>,
    /// Its own picture.
    pub photo: Option<Photo>,
    /// All it can need.
    pub cards: BTreeSet<Card>,
    /// How many areas it delivers to.
    pub areas: usize,
}

/// For which days and placements.
#[derive(Debug, Clone)]
pub struct Range {
    /// Seconds since 1970; the areas' own time if absent.
    pub as_of: Option<i64>,
    /// From then on.
    pub days: i64,
    /// Whose placements may be paid for, by any of these; nobody's where there is none.
    pub paid: Vec<Paid>,
}

/// What to draw.
pub struct Job<'a> {
    /// Who.
    pub merchants: &'a [Facts],
    /// By what.
    pub fonts: &'a Fonts,
    /// In which language.
    pub words: &'a Words,
    /// Files of the folder.
    pub max_files: usize,
    /// Bytes of a picture.
    pub max_bytes: usize,
    /// The folder.
    pub out: &'a Path,
    /// Where the cards go that the folder does not hold, if anywhere.
    pub kv: Option<&'a Path>,
}

/// What was drawn.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Drawn {
    /// Who has cards.
    pub merchants: usize,
    /// Of all merchants.
    pub cards: usize,
    /// Of all cards, with the deployment's own.
    pub files: usize,
    /// Of them, those for KV: the folder has the merchants of most areas.
    pub files_in_kv: usize,
    /// Of all files.
    pub bytes: usize,
    /// Of the largest file.
    pub largest: usize,
    /// Merchants with a photo of their own.
    pub photos: usize,
    /// Bytes by density, `1x` and `2x`.
    pub bytes_by_density: BTreeMap<&'static str, usize>,
    /// Characters that no font has, and a name with each: they are left out of it.
    pub missing: BTreeMap<char, String>,
    /// Merchants without a card, since no font has any letter of their name.
    pub unnamed: Vec<String>,
}

/// Every merchant of a folder of areas, ascending by id; of one that several areas have, the cards of all of them.
///
/// # Errors
/// Names the file that is no bundle or display block.
pub fn read(folder: &Path, range: &Range, photos: Option<&Path>) -> Result<Vec<Facts>, CardError> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| CardError::Read(path.into(), error));
    let entries = std::fs::read_dir(folder).map_err(|error| CardError::Read(folder.into(), error))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "area"));
    paths.sort();
    let mut merchants: BTreeMap<MerchantId, Facts> = BTreeMap::new();
    for path in paths {
        let bundle = Bundle::decode(read(&path)?).map_err(|error| CardError::Decode(path.clone(), error))?;
        let display = path.with_extension("display");
        if !display.exists() {
            continue;
        }
        let display = Display::decode(read(&display)?).map_err(|error| CardError::Decode(display, error))?;
        let today = bundle.local(range.as_of.unwrap_or(bundle.as_of)).day();
        for i in 0..bundle.len() {
            let merchant = bundle.merchant(i);
            let Some(text) = display.card(merchant.id) else { continue };
            let sponsored = range.paid.iter().any(|paid| paid.may(&merchant));
            let cards = Card::all_of(&bundle, i, today..today + range.days, sponsored);
            let known = merchants.entry(merchant.id).or_insert_with(|| Facts {
                id: merchant.id,
                name: text.name.split_whitespace().collect::<Vec<_>>().join(" "),
                country: String::from_utf8_lossy(&bundle.country).into_owned(),
                cuisines: text.cuisines.split(';').map(Into::into).collect(),
                kind: merchant.kind,
                rating: merchant.rating,
                prep_minutes: merchant.prep_minutes,
                offers: bundle
                    .offers_of(i)
                    .filter(|o| bundle.local(i64::from(o.ends_minute) * 60).day() >= today)
                    .collect(),
                photo: photos.and_then(|folder| photo(folder, merchant.id, &text.image_url)),
                merchant_id: text.merchant_id,
                cards: BTreeSet::new(),
                areas: 0,
            });
            known.areas += 1;
            known.cards.extend(cards);
        }
    }
    if merchants.is_empty() {
        return Err(CardError::NoAreas(folder.into()));
    }
    Ok(merchants.into_values().collect())
}

/// A merchant's picture among some files: named by its fingerprint, or as its `image_url` ends.
fn photo(folder: &Path, id: MerchantId, url: &str) -> Option<Photo> {
    const FORMS: [(&str, &str); 4] = [("jpg", "jpeg"), ("jpeg", "jpeg"), ("png", "png"), ("webp", "webp")];
    let by_id = FORMS.iter().map(|(extension, form)| (format!("{id}.{extension}"), *form));
    let last = url.rsplit('/').next().unwrap_or_default();
    let by_url = FORMS
        .iter()
        .filter(|(extension, _)| last.ends_with(&format!(".{extension}")))
        .map(|(_, form)| (last.to_string(), *form));
    let (name, form) = by_id.chain(by_url).find(|(name, _)| folder.join(name).is_file())?;
    let bytes = std::fs::read(folder.join(name)).ok()?;
    Some(Photo {
        uri: format!(
            "data:image/{form};base64,{}",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes)
        ),
    })
}

/// Draws all cards on all cores; `told` hears how many merchants are done.
///
/// # Errors
/// [`CardError::TooMany`] before anything is drawn; else names whose card failed.
pub fn draw(job: &Job<'_>, told: &(impl Fn(usize, usize) + Sync)) -> Result<Drawn, CardError> {
    let vocabulary = Vocabulary::reviewed()?;
    let studio = Studio { fonts: job.fonts, words: job.words, vocabulary: &vocabulary };
    let mut drawn = Drawn { bytes_by_density: BTreeMap::from([("1x", 0), ("2x", 0)]), ..Drawn::default() };
    let mut named = Vec::new();
    for facts in job.merchants {
        let missing = job.fonts.missing(&facts.name);
        if facts.name.chars().all(|c| !c.is_alphanumeric() || missing.contains(&c)) {
            drawn.unnamed.push(facts.merchant_id.clone());
        } else {
            named.push(facts);
        }
        drawn.missing.extend(missing.into_iter().map(|c| (c, facts.name.clone())));
    }
    drawn.merchants = named.len();
    drawn.photos = named.iter().filter(|facts| facts.photo.is_some()).count();
    drawn.cards = named.iter().map(|facts| facts.cards.len()).sum();
    drawn.files = (drawn.cards + 1) * PICTURES.len();
    if drawn.files > job.max_files && job.kv.is_none() {
        let Drawn { files, merchants, cards, .. } = drawn;
        return Err(CardError::TooMany { files, merchants, cards, pictures: PICTURES.len(), max: job.max_files });
    }
    let fit = n_that_fit(&mut named, job.max_files);
    let for_kv = named.split_off(fit);
    drawn.files_in_kv = for_kv.iter().map(|facts| files_of(facts)).sum();
    make(job.out)?;
    let mut sizes = Vec::new();
    for (density, theme) in PICTURES {
        let bytes = png::encode(&studio.fallback(density, theme)?, false, job.max_bytes)?;
        write(&job.out.join(card::fallback(density, theme)), &bytes)?;
        sizes.push((density, bytes.len()));
    }
    let done = AtomicUsize::new(0);
    let all = |facts: &Facts| {
        let pictures =
            all_of(&studio, facts, job).map_err(|error| CardError::Of(facts.merchant_id.clone(), error.into()))?;
        told(done.fetch_add(1, Ordering::Relaxed) + 1, drawn.merchants);
        Ok(pictures)
    };
    let each = |facts: &&Facts| {
        make(&job.out.join(facts.id.to_string()))?;
        let pictures = all(facts)?.into_iter();
        let written = pictures.map(|Picture { path, density, bytes }| {
            write(&job.out.join(path), &bytes)?;
            Ok((density, bytes.len()))
        });
        written.collect::<Result<Vec<_>, CardError>>()
    };
    for of_one in named.par_iter().map(each).collect::<Result<Vec<_>, CardError>>()? {
        sizes.extend(of_one);
    }
    if let Some(folder) = job.kv {
        make(folder)?;
        for (i, part) in parts(&for_kv).enumerate() {
            let pictures = part.par_iter().map(|facts| all(facts)).collect::<Result<Vec<_>, CardError>>()?.concat();
            sizes.extend(pictures.iter().map(|picture| (picture.density, picture.bytes.len())));
            write(&folder.join(format!("{:04}.json", i + 1)), &bulk(&pictures))?;
        }
    }
    for (density, bytes) in sizes {
        drawn.bytes += bytes;
        drawn.largest = drawn.largest.max(bytes);
        *drawn.bytes_by_density.entry(if density == Density::Single { "1x" } else { "2x" }).or_default() += bytes;
    }
    Ok(drawn)
}

/// A card as a file.
#[derive(Debug, Clone)]
struct Picture {
    path: String,
    density: Density,
    bytes: Vec<u8>,
}

fn files_of(facts: &Facts) -> usize {
    facts.cards.len() * PICTURES.len()
}

/// How many of the merchants fit into a folder of so many files, once those of most areas stand first; as they were, where all do.
fn n_that_fit(merchants: &mut [&Facts], max_files: usize) -> usize {
    // The deployment's own card is always there.
    let fits = |merchants: &[&Facts]| {
        let mut left = max_files.saturating_sub(PICTURES.len());
        let fits = merchants.iter().take_while(|facts| match left.checked_sub(files_of(facts)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
        fits.count()
    };
    let n = fits(merchants);
    if n == merchants.len() {
        return n;
    }
    merchants.sort_by_key(|facts| (std::cmp::Reverse(facts.areas), facts.id));
    fits(merchants)
}

/// Merchants in parts of at most [`KV_PAIRS`] pictures, or one of more.
fn parts<'m, 'f>(merchants: &'m [&'f Facts]) -> impl Iterator<Item = &'m [&'f Facts]> {
    let mut rest = merchants;
    std::iter::from_fn(move || {
        let mut pairs = 0;
        let more = rest.iter().take_while(|facts| {
            pairs += files_of(facts);
            pairs <= KV_PAIRS
        });
        let n = more.count().max(1).min(rest.len());
        let (part, after) = rest.split_at(n);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// Pictures as `wrangler kv bulk put` takes them, by the keys under which the edge looks for them.
fn bulk(pictures: &[Picture]) -> Vec<u8> {
    let pair = |Picture { path, bytes, .. }: &Picture| {
        let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        serde_json::json!({ "key": format!("card/{path}"), "value": value, "base64": true }).to_string()
    };
    format!("[\n{}\n]\n", pictures.iter().map(pair).collect::<Vec<_>>().join(",\n")).into_bytes()
}

fn all_of(studio: &Studio<'_>, facts: &Facts, job: &Job<'_>) -> Result<Vec<Picture>, CardError> {
    let mut pictures = Vec::new();
    for (density, theme) in PICTURES {
        let base = studio.base(facts, density, theme)?;
        for card in &facts.cards {
            let pixmap = studio.card(&base, facts, card, density, theme)?;
            let bytes = png::encode(&pixmap, facts.photo.is_some(), job.max_bytes)?;
            pictures.push(Picture { path: card.path(density, theme), density, bytes });
        }
    }
    Ok(pictures)
}

fn make(folder: &Path) -> Result<(), CardError> {
    std::fs::create_dir_all(folder).map_err(|error| CardError::Read(folder.into(), error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CardError> {
    std::fs::write(path, bytes).map_err(|error| CardError::Read(path.into(), error))
}
