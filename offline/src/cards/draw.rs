//! One card, drawn: the table with its dish or photo above, name, cuisines and rating below, then what only some cards say.

use super::art;
use super::font::{Anchor, Fonts, Line};
use super::words::{self, Direction, Words};
use super::{CardError, Facts};
use crate::cuisines::vocabulary::Vocabulary;
use freshrank::bundle::{Kind, Offer, OfferKind};
use freshrank::card::{Badge, Card, Density, Theme};
use freshrank::{MerchantId, time};
use resvg::tiny_skia::{Pixmap, Transform};
use std::fmt::Write as _;

/// Of a card, in the message's pixels.
pub const WIDTH: f64 = 280.0;
/// Of a card, in the message's pixels.
pub const HEIGHT: f64 = 224.0;
const ART_HEIGHT: f64 = 132.0;
const MARGIN: f64 = 14.0;
const NAME_SIZES: [f64; 4] = [19.0, 18.0, 17.0, 16.0];

/// The colours of a theme; a test holds text to WCAG's AA against what is behind it.
struct Colours {
    card: &'static str,
    name: &'static str,
    facts: &'static str,
    star: &'static str,
    open: (&'static str, &'static str),
    offer: (&'static str, &'static str),
    sponsored: (&'static str, &'static str),
}

const LIGHT: Colours = Colours {
    card: "#FFFFFF",
    name: "#17181C",
    facts: "#565B66",
    star: "#B86E00",
    open: ("#E1F3E6", "#12602B"),
    offer: ("#B3154A", "#FFFFFF"),
    sponsored: ("#FFFFFF", "#3C404A"),
};

const DARK: Colours = Colours {
    card: "#1D1F24",
    name: "#F4F5F7",
    facts: "#B4B9C4",
    star: "#F2B84B",
    open: ("#173A25", "#93E5AF"),
    offer: ("#F58AA9", "#32071A"),
    sponsored: ("#15171B", "#DDE0E7"),
};

fn colours(theme: Theme) -> &'static Colours {
    match theme {
        Theme::Light => &LIGHT,
        Theme::Dark => &DARK,
    }
}

/// Everything that all cards of a folder share.
pub(super) struct Studio<'a> {
    pub fonts: &'a Fonts,
    pub words: &'a Words,
    pub vocabulary: &'a Vocabulary,
}

impl Studio<'_> {
    /// What all cards of a merchant have in common, so that a photo is read once.
    pub fn base(&self, facts: &Facts, density: Density, theme: Theme) -> Result<Pixmap, CardError> {
        let labels = self.vocabulary.labels(&facts.cuisines);
        let colour = colours(theme);
        let mut svg = match &facts.photo {
            Some(photo) => photo.image(ART_HEIGHT),
            None => art::of(facts.kind, &labels, self.vocabulary).scene(facts.id, theme, WIDTH, ART_HEIGHT),
        };
        self.ground(&mut svg, colour);
        self.name(&mut svg, &facts.name, &facts.country, colour)?;
        let mut x = MARGIN;
        let y = 180.5;
        if let Some(rating) = facts.rating {
            let star = "M6 0L7.8 4L12 4.4L8.8 7.2L9.7 11.5L6 9.3L2.3 11.5L3.2 7.2L0 4.4L4.2 4Z";
            let at = if self.rtl() { WIDTH - x - 12.0 } else { x };
            let _ = write!(
                svg,
                r#"<path transform="translate({at:.1} {:.1})" d="{star}" fill="{}"/>"#,
                y - 10.6,
                colour.star
            );
            x += 16.0;
            x += self.put(&mut svg, &format!("{rating:.1}"), x, y, 13.5, 600, colour.name, "")? + 9.0;
        }
        let cuisines: Vec<String> = labels.iter().take(3).map(|label| self.words.cuisine(label)).collect();
        if !cuisines.is_empty() {
            let text = cuisines.join(&self.words.list);
            let line = self.line(&text, x, y, 13.5, 400, colour.facts);
            let text = self.fonts.fit(&line, "", WIDTH - MARGIN - x)?;
            self.put(&mut svg, &text, x, y, 13.5, 400, colour.facts, "")?;
        }
        self.render(&svg, density)
    }

    /// One card: `base` with what only it says.
    pub fn card(
        &self,
        base: &Pixmap,
        facts: &Facts,
        card: &Card,
        density: Density,
        theme: Theme,
    ) -> Result<Pixmap, CardError> {
        let colour = colours(theme);
        let mut svg = String::new();
        let mut x = MARGIN;
        if let Badge::OpenUntil(step) = card.badge {
            let time = time::clock(i64::from(step) * freshrank::card::STEP_MINUTES);
            let text = words::with(&self.words.open_until, &time);
            x += self.pill(&mut svg, &text, x, 191.0, 22.0, 12.5, colour.open)? + 10.0;
        }
        if let Some(minutes) = facts.prep_minutes {
            let from = u16::from(minutes) / 10 * 10;
            let text = words::with(&self.words.minutes, &format!("{}–{}", from.max(5), from + 10));
            let at = if self.rtl() { WIDTH - x - 13.0 } else { x };
            let _ = write!(
                svg,
                r#"<g transform="translate({at:.1} 195.7)" fill="none" stroke="{}" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"><circle cx="6.500" cy="6.500" r="5.600"/><path d="M6.500 3.400V6.700L8.600 8"/></g>"#,
                colour.facts
            );
            self.put(&mut svg, &text, x + 18.0, 206.5, 13.0, 400, colour.facts, "")?;
        }
        if card.offer {
            let text = self.offer(&facts.offers, &facts.country);
            self.pill(&mut svg, &text, MARGIN, ART_HEIGHT - 37.0, 27.0, 14.0, colour.offer)?;
        }
        if card.sponsored {
            let width = self.width(&self.words.sponsored, 11.5, 600)? + 11.5 * 1.4;
            let left = if self.rtl() { 10.0 } else { WIDTH - 10.0 - width };
            let _ = write!(
                svg,
                r##"<rect x="{:.1}" y="9" width="{:.1}" height="22" rx="11" fill="#000" opacity="0.16"/>"##,
                left - 1.0,
                width + 2.0
            );
            self.pill(&mut svg, &self.words.sponsored, WIDTH - 10.0 - width, 10.0, 20.0, 11.5, colour.sponsored)?;
        }
        let mut pixmap = base.clone();
        self.onto(&mut pixmap, &svg, density)?;
        Ok(pixmap)
    }

    /// The deployment's own card, for whoever has no merchant to be shown.
    pub fn fallback(&self, density: Density, theme: Theme) -> Result<Pixmap, CardError> {
        let colour = colours(theme);
        let plate = art::of(Kind::Restaurant, &[], self.vocabulary);
        // A table and a turn that look well.
        let mut svg = plate.scene(MerchantId(0), theme, WIDTH, ART_HEIGHT);
        self.ground(&mut svg, colour);
        self.name(&mut svg, &self.words.fallback_title, "", colour)?;
        self.put(&mut svg, &self.words.fallback_line, MARGIN, 180.5, 13.5, 400, colour.facts, "")?;
        self.render(&svg, density)
    }

    /// What is true of every offer that this merchant may have to show.
    fn offer(&self, offers: &[Offer], country: &str) -> String {
        let said = |offer: &Offer| match offer.kind {
            OfferKind::Percent => Some(words::with(&self.words.percent_off, &offer.value.to_string())),
            OfferKind::Amount => Some(words::with(&self.words.amount_off, &money(offer.value, country)?)),
            OfferKind::FreeDelivery => Some(self.words.free_delivery.clone()),
            OfferKind::Other => None,
        };
        let mut all = offers.iter().map(said);
        match all.next() {
            Some(Some(first)) if all.all(|other| other.as_ref() == Some(&first)) => first,
            _ => self.words.offer.clone(),
        }
    }

    fn rtl(&self) -> bool {
        self.words.direction == Direction::Rtl
    }

    fn ground(&self, svg: &mut String, colour: &Colours) {
        let _ = write!(
            svg,
            r#"<rect y="{ART_HEIGHT}" width="{WIDTH}" height="{}" fill="{}"/>"#,
            HEIGHT - ART_HEIGHT,
            colour.card
        );
    }

    fn name(&self, svg: &mut String, name: &str, country: &str, colour: &Colours) -> Result<(), CardError> {
        let width = WIDTH - 2.0 * MARGIN;
        let at = |size| self.line(name, MARGIN, 158.5, size, 600, colour.name);
        let mut line = at(NAME_SIZES[0]);
        for size in NAME_SIZES {
            line = at(size);
            if self.fonts.width(&line, country)? <= width {
                break;
            }
        }
        let text = self.fonts.fit(&line, country, width)?;
        svg.push_str(&self.fonts.draw(&Line { text: &text, ..line }, country)?);
        Ok(())
    }

    /// `x` from where lines begin.
    fn line<'l>(&self, text: &'l str, x: f64, y: f64, size: f64, weight: u16, fill: &'l str) -> Line<'l> {
        let (x, anchor) = if self.rtl() { (WIDTH - x, Anchor::Right) } else { (x, Anchor::Left) };
        Line { text, x, y, size, weight, fill, anchor }
    }

    #[allow(clippy::too_many_arguments)]
    fn put(
        &self,
        svg: &mut String,
        text: &str,
        x: f64,
        y: f64,
        size: f64,
        weight: u16,
        fill: &str,
        country: &str,
    ) -> Result<f64, CardError> {
        let line = self.line(text, x, y, size, weight, fill);
        svg.push_str(&self.fonts.draw(&line, country)?);
        self.fonts.width(&line, country)
    }

    fn width(&self, text: &str, size: f64, weight: u16) -> Result<f64, CardError> {
        self.fonts.width(&self.line(text, 0.0, 0.0, size, weight, "#000"), "")
    }

    /// A rounded label, and how wide it is.
    #[allow(clippy::too_many_arguments)]
    fn pill(
        &self,
        svg: &mut String,
        text: &str,
        x: f64,
        y: f64,
        height: f64,
        size: f64,
        colour: (&str, &str),
    ) -> Result<f64, CardError> {
        let (ground, ink) = colour;
        let width = self.width(text, size, 600)? + size * 1.4;
        let left = if self.rtl() { WIDTH - x - width } else { x };
        let _ = write!(
            svg,
            r#"<rect x="{left:.1}" y="{y:.1}" width="{width:.1}" height="{height}" rx="{}" fill="{ground}"/>"#,
            height / 2.0
        );
        let line = Line {
            text,
            x: left + width / 2.0,
            y: y + height / 2.0 + size * 0.36,
            size,
            weight: 600,
            fill: ink,
            anchor: Anchor::Middle,
        };
        svg.push_str(&self.fonts.draw(&line, "")?);
        Ok(width)
    }

    fn render(&self, svg: &str, density: Density) -> Result<Pixmap, CardError> {
        let scale = scale(density);
        let mut pixmap = Pixmap::new((WIDTH as u32) * scale, (HEIGHT as u32) * scale)
            .ok_or_else(|| CardError::Encode("a card has no pixels".into()))?;
        self.onto(&mut pixmap, svg, density)?;
        Ok(pixmap)
    }

    fn onto(&self, pixmap: &mut Pixmap, svg: &str, density: Density) -> Result<(), CardError> {
        let tree = self.fonts.tree(&format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{WIDTH}" height="{HEIGHT}">{svg}</svg>"#
        ))?;
        let scale = scale(density) as f32;
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
        Ok(())
    }
}

fn scale(density: Density) -> u32 {
    match density {
        Density::Single => 1,
        Density::Double => 2,
    }
}

/// Hundredths in the money of a country; `None` where it is not known here, and then a card tells no sum.
fn money(hundredths: i32, country: &str) -> Option<String> {
    let sum = if hundredths % 100 == 0 {
        format!("{}", hundredths / 100)
    } else {
        format!("{:.2}", f64::from(hundredths) / 100.0)
    };
    Some(match country {
        "AT" | "BE" | "CY" | "DE" | "EE" | "ES" | "FI" | "FR" | "GR" | "HR" | "IE" | "IT" | "LT" | "LU" | "LV"
        | "MT" | "NL" | "PT" | "SI" | "SK" => format!("€{sum}"),
        "US" | "CA" | "AU" | "NZ" | "SG" | "MX" => format!("${sum}"),
        "GB" => format!("£{sum}"),
        "DK" | "NO" | "SE" => format!("{sum} kr"),
        _ => return None,
    })
}

/// A photo as it came, in the form that goes into a drawing.
#[derive(Debug, Clone)]
pub struct Photo {
    /// `data:image/jpeg;base64,...`
    pub(super) uri: String,
}

impl Photo {
    fn image(&self, height: f64) -> String {
        format!(
            r##"<rect width="{WIDTH}" height="{height}" fill="#8A8A8A"/><image width="{WIDTH}" height="{height}" preserveAspectRatio="xMidYMid slice" xlink:href="{}"/>"##,
            self.uri
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::font::begins_on_the_right;
    use super::*;

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let c = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn text_can_be_read_against_what_is_behind_it() {
        for (theme, colour) in [("light", &LIGHT), ("dark", &DARK)] {
            for (what, ground, ink, least) in [
                ("name", colour.card, colour.name, 4.5),
                ("facts", colour.card, colour.facts, 4.5),
                ("star", colour.card, colour.star, 3.0),
                ("open until", colour.open.0, colour.open.1, 4.5),
                ("offer", colour.offer.0, colour.offer.1, 4.5),
                ("sponsored", colour.sponsored.0, colour.sponsored.1, 4.5),
            ] {
                let (a, b) = (luminance(ground), luminance(ink));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= least, "{theme}, {what}: contrast {contrast:.2}, WCAG AA asks for {least}");
            }
        }
    }

    #[test]
    fn a_name_begins_where_its_script_does() {
        assert!(begins_on_the_right("مطعم الشام"));
        assert!(begins_on_the_right("24 שווארמה"));
        assert!(!begins_on_the_right("Ravintola شام"));
        assert_eq!(money(500, "FI").as_deref(), Some("€5"));
        assert_eq!(money(250, "DK").as_deref(), Some("2.50 kr"));
        assert_eq!(money(500, "JP"), None);
    }
}
