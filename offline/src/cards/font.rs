//! Letters: which font has them, and how wide they are. Shaping and bidirectional order are usvg's.

use super::CardError;
use resvg::usvg::{self, FontResolver, fontdb};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The face of a card, if the folder has it; then the one that other scripts of its family go with.
const FIRST: [&str; 2] = ["Inter", "Noto Sans"];

/// The fonts of one folder, in one order on every machine.
pub struct Fonts {
    options: usvg::Options<'static>,
    /// Families, the first choice first.
    families: Vec<(String, fontdb::ID)>,
}

/// One line of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub text: &'a str,
    pub x: f64,
    pub y: f64,
    pub size: f64,
    pub weight: u16,
    pub fill: &'a str,
    pub anchor: Anchor,
}

/// Which of its points stands at `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// A space, as a share of the size: about what Inter has.
const SPACE: f64 = 0.27;

/// Letters of one font that stand together.
struct Run<'f> {
    family: &'f str,
    text: String,
    /// It has a letter, not digits and signs alone.
    strong: bool,
    /// Before it.
    gap: f64,
    width: f64,
}

impl Run<'_> {
    fn svg(&self, line: &Line<'_>, x: f64) -> String {
        let text = self.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        // Signs and numbers among letters from the right follow these.
        let text = if begins_on_the_right(&self.text) && !self.text.chars().all(|c| c.is_alphabetic() || c == ' ') {
            format!("\u{202B}{text}\u{202C}")
        } else {
            text
        };
        let Line { y, size, weight, fill, .. } = line;
        let family = self.family;
        format!(
            r#"<text x="{x:.2}" y="{y:.2}" font-family="'{family}'" font-size="{size}" font-weight="{weight}" fill="{fill}" xml:space="preserve">{text}</text>"#
        )
    }
}

impl Fonts {
    /// Reads every TTF, OTF and TTC of a folder.
    ///
    /// # Errors
    /// [`CardError::NoFonts`] where there is none.
    pub fn read(folder: &Path) -> Result<Self, CardError> {
        let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
            Err(_) => return Err(CardError::NoFonts(folder.into())),
        };
        paths.retain(|path| path.extension().is_some_and(|e| ["ttf", "otf", "ttc"].iter().any(|known| e == *known)));
        paths.sort();
        let mut db = fontdb::Database::new();
        for path in &paths {
            let bytes = std::fs::read(path).map_err(|error| CardError::Read(path.clone(), error))?;
            db.load_font_data(bytes);
        }
        let family = |face: &fontdb::FaceInfo| face.families.first().map_or_else(String::new, |(name, _)| name.clone());
        let mut families: Vec<(String, fontdb::ID)> = Vec::new();
        for face in db.faces() {
            let name = family(face);
            if !families.iter().any(|(known, _)| *known == name) {
                families.push((name, face.id));
            }
        }
        let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
        families.sort_by(|(a, _), (b, _)| (rank(a), a).cmp(&(rank(b), b)));
        let Some((first, _)) = families.first() else { return Err(CardError::NoFonts(folder.into())) };
        // Runs name their font, so that nothing is left to the order of a search.
        let resolver = FontResolver {
            select_font: FontResolver::default_font_selector(),
            select_fallback: Box::new(|_, _, _| None),
        };
        let options = usvg::Options {
            font_family: first.clone(),
            font_resolver: resolver,
            fontdb: Arc::new(db),
            // Pictures come in the document itself or not at all.
            image_href_resolver: usvg::ImageHrefResolver {
                resolve_string: Box::new(|_, _| None),
                ..usvg::ImageHrefResolver::default()
            },
            ..usvg::Options::default()
        };
        Ok(Self { options, families })
    }

    /// A drawing, its text laid out.
    pub(super) fn tree(&self, svg: &str) -> Result<usvg::Tree, CardError> {
        Ok(usvg::Tree::from_str(svg, &self.options)?)
    }

    /// Characters that no font here has.
    pub(super) fn missing(&self, text: &str) -> BTreeSet<char> {
        text.chars().filter(|c| !plain(*c) && self.family(*c, "").is_none()).collect()
    }

    /// How wide a line is.
    pub(super) fn width(&self, line: &Line<'_>, country: &str) -> Result<f64, CardError> {
        Ok(self.runs(line, country)?.iter().map(|run| run.gap + run.width).sum())
    }

    /// The line cut so that it is no wider than `width`.
    pub(super) fn fit(&self, line: &Line<'_>, country: &str, width: f64) -> Result<String, CardError> {
        if self.width(line, country)? <= width {
            return Ok(line.text.to_string());
        }
        let chars: Vec<char> = line.text.chars().collect();
        let cut = |n: usize| format!("{}…", chars[..n].iter().collect::<String>().trim_end());
        let (mut fits, mut over) = (0, chars.len());
        while over - fits > 1 {
            let n = fits + (over - fits) / 2;
            let text = cut(n);
            if self.width(&Line { text: &text, ..*line }, country)? <= width { fits = n } else { over = n }
        }
        Ok(cut(fits))
    }

    /// One line, each run in the font that has it and where the line's direction puts it.
    ///
    /// usvg takes the same clusters for granted in all fonts of a text, which ligatures break, and every line to begin on the left; so runs are
    /// placed here, and within one, usvg orders and shapes.
    pub(super) fn draw(&self, line: &Line<'_>, country: &str) -> Result<String, CardError> {
        let mut runs = self.runs(line, country)?;
        let width: f64 = runs.iter().map(|run| run.gap + run.width).sum();
        let mut x = match line.anchor {
            Anchor::Left => line.x,
            Anchor::Middle => line.x - width / 2.0,
            Anchor::Right => line.x - width,
        };
        if begins_on_the_right(line.text) {
            // What stood before a run now stands behind it.
            let gaps: Vec<f64> = runs.iter().skip(1).map(|run| run.gap).collect();
            runs.reverse();
            for (run, gap) in runs.iter_mut().skip(1).zip(gaps.into_iter().rev()) {
                run.gap = gap;
            }
            if let Some(first) = runs.first_mut() {
                first.gap = 0.0;
            }
        }
        let mut svg = String::new();
        for run in runs {
            x += run.gap;
            svg.push_str(&run.svg(line, x));
            x += run.width;
        }
        Ok(svg)
    }

    /// The line's runs in the order they are read: a font each, and in a line that begins on the right numbers for themselves.
    fn runs(&self, line: &Line<'_>, country: &str) -> Result<Vec<Run<'_>>, CardError> {
        let rtl = begins_on_the_right(line.text);
        let mut runs: Vec<Run<'_>> = Vec::new();
        let mut gap = 0.0;
        for c in line.text.chars() {
            if c.is_whitespace() || c.is_control() {
                gap += SPACE * line.size;
                continue;
            }
            let last = runs.last().map_or("", |run| run.family);
            let Some(family) = (if plain(c) { Some(last) } else { self.family_beside(c, last, country) }) else {
                continue;
            };
            let strong = c.is_alphabetic();
            // A number and a word of another direction change places there, so that each is a run.
            let another = |run: &Run<'_>| run.strong != strong && !right(c) && !run.text.chars().any(right);
            let splits = rtl && runs.last().is_some_and(another);
            match runs.last_mut() {
                Some(run) if run.family == family && !splits => {
                    if gap > 0.0 {
                        run.text.push(' ');
                    }
                    run.text.push(c);
                    run.strong |= strong;
                }
                _ => runs.push(Run { family, text: c.into(), strong, gap, width: 0.0 }),
            }
            gap = 0.0;
        }
        for run in &mut runs {
            let tree = self.tree(&format!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" width="4000" height="200">{}</svg>"#,
                run.svg(line, 0.0)
            ))?;
            run.width = f64::from(tree.root().bounding_box().right()).max(0.0);
        }
        Ok(runs)
    }

    /// Letters and digits in the first font that has them; what may stand between, in that of its neighbour.
    fn family_beside(&self, c: char, neighbour: &str, country: &str) -> Option<&str> {
        let family = self.family(c, country)?;
        let id = self.families.iter().find(|(name, _)| name == neighbour);
        match id {
            Some((name, id)) if !c.is_alphanumeric() && self.options.fontdb.has_char_in(*id, c) => Some(name.as_str()),
            _ => Some(family),
        }
    }

    fn family(&self, c: char, country: &str) -> Option<&str> {
        let has = |id: fontdb::ID| self.options.fontdb.has_char_in(id, c);
        let known = self.families.iter().filter(|(_, id)| has(*id));
        // Han characters look different by language: as the country writes them.
        let suffix = match (c, country) {
            ('\u{3040}'..='\u{30FF}', _) | (_, "JP") => "CJK JP",
            ('\u{1100}'..='\u{11FF}' | '\u{AC00}'..='\u{D7AF}', _) | (_, "KR") => "CJK KR",
            (_, "TW") => "CJK TC",
            (_, "HK" | "MO") => "CJK HK",
            _ => "CJK SC",
        };
        let mut known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
        known.sort_by_key(|name| name.contains("CJK") && !name.ends_with(suffix));
        known.first().copied()
    }
}

trait HasChar {
    fn has_char_in(&self, id: fontdb::ID, c: char) -> bool;
}

impl HasChar for fontdb::Database {
    fn has_char_in(&self, id: fontdb::ID, c: char) -> bool {
        self.with_face_data(id, |data, index| {
            let font = skrifa::FontRef::from_index(data, index).ok()?;
            skrifa::MetadataProvider::charmap(&font).map(c)
        })
        .flatten()
        .is_some()
    }
}

/// What every font lets pass: spaces, and marks that only steer.
fn plain(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FE00}'..='\u{FE0F}')
}

/// By the first strong letter, as HTML's `dir="auto"`.
pub(super) fn begins_on_the_right(text: &str) -> bool {
    text.chars().find(|c| c.is_alphabetic()).is_some_and(right)
}

/// Written from right to left: Hebrew, Arabic and their neighbours.
fn right(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}' | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}
