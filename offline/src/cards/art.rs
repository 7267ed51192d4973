//! The picture of a merchant that brings no photo: what it cooks, drawn by us, on a table of its own colour.

use crate::cuisines::vocabulary::Vocabulary;
use freshrank::MerchantId;
use freshrank::bundle::Kind;
use freshrank::card::Theme;
use std::fmt::Write as _;

/// One drawing, 120 by 120.
pub(super) struct Art {
    /// Its file in offline/cards/art/.
    pub name: &'static str,
    svg: &'static str,
    /// Seen from above, so that it may be turned.
    above: bool,
    /// Cuisines that it stands for, and so for all that are part of them.
    cuisines: &'static [&'static str],
}

macro_rules! arts {
    ($($name:literal $view:ident: $($cuisine:literal)*;)*) => {
        &[$(Art {
            name: $name,
            svg: include_str!(concat!("../../cards/art/", $name, ".svg")),
            above: arts!(@$view),
            cuisines: &[$($cuisine),*],
        }),*]
    };
    (@above) => { true };
    (@beside) => { false };
}

const ARTS: &[Art] = arts! {
    "plate" above: ;
    "retail" beside: ;
    "asian" above: "asian" "chinese" "dumpling" "dim_sum";
    "bakery" above: "bakery";
    "bar" beside: "bar" "pub" "bar_and_grill" "brewery";
    "breakfast" above: "breakfast";
    "burger" beside: "burger" "american";
    "chicken" beside: "chicken";
    "coffee" beside: "coffee_shop" "tea";
    "curry" above: "indian" "african" "curry" "thai" "middle_eastern";
    "dessert" above: "dessert";
    "fast-food" beside: "fast_food" "hot_dog";
    "grill" above: "grill" "steak_house" "barbecue" "central_european";
    "grocery" beside: "grocery";
    "ice-cream" beside: "ice_cream" "frozen_yogurt";
    "italian" above: "italian" "mediterranean";
    "juice" beside: "juice" "smoothie";
    "kebab" above: "kebab" "turkish" "greek" "shawarma" "persian" "falafel";
    "pizza" above: "pizza";
    "ramen" above: "ramen" "noodle" "soup" "vietnamese" "korean" "udon" "southeast_asian";
    "salad" above: "healthy" "salad" "vegetarian";
    "sandwich" beside: "sandwich" "wrap";
    "seafood" above: "seafood" "nordic";
    "sushi" above: "japanese" "sushi" "poke";
    "taco" beside: "mexican" "latin_american";
};

/// Tables: by day, and in the dark.
const TABLES: [(&str, &str); 6] = [
    ("#FBE3C6", "#4B3726"),
    ("#DCEBD3", "#2C402D"),
    ("#D5E6F3", "#263B4D"),
    ("#F7D9D6", "#4A2E31"),
    ("#E7DFF2", "#3A324B"),
    ("#F8EBBB", "#494023"),
];

/// The drawing for what a merchant sells: of its first cuisine that has one, else of what that is part of.
pub(super) fn of(kind: Kind, labels: &[String], vocabulary: &Vocabulary) -> &'static Art {
    let named = |name: &str| ARTS.iter().find(|art| art.name == name).unwrap_or(&ARTS[0]);
    match kind {
        Kind::Grocery => return named("grocery"),
        Kind::Retail => return named("retail"),
        Kind::Restaurant => {}
    }
    let mut level: Vec<&str> = labels.iter().map(String::as_str).collect();
    // No label is part of itself, however far up; the bound is for a table that says otherwise.
    for _ in 0..8 {
        let found = level.iter().find_map(|label| ARTS.iter().find(|art| art.cuisines.contains(label)));
        if let Some(art) = found {
            return art;
        }
        level = level.iter().filter_map(|label| vocabulary.parent(label)).collect();
    }
    named("plate")
}

impl Art {
    /// Lays the table: the dish to one side, its like at the other, both as this merchant's id has it.
    pub(super) fn scene(&self, id: MerchantId, theme: Theme, width: f64, height: f64) -> String {
        let bits = |shift: u32, n: u64| (id.0 >> shift) % n;
        let (light, dark) = TABLES[bits(3, TABLES.len() as u64) as usize];
        let (table, glow) = match theme {
            Theme::Light => (light, 0.45),
            Theme::Dark => (dark, 0.07),
        };
        let mirrored = bits(17, 2) == 1;
        let x = |share: f64| width * if mirrored { 1.0 - share } else { share };
        let turn = |shift: u32| if self.above { bits(shift, 360) as f64 } else { bits(shift, 17) as f64 - 8.0 };
        let mut svg = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            r##"<rect width="{width}" height="{height}" fill="{table}"/><circle cx="{:.1}" cy="{:.1}" r="{:.1}" fill="#fff" opacity="{glow}"/>"##,
            x(0.36),
            height * 0.5,
            height * 0.72
        );
        let mut dish = |cx: f64, cy: f64, scale: f64, turn: f64| {
            let _ = write!(
                svg,
                r#"<g transform="translate({cx:.1} {cy:.1}) rotate({turn:.0}) scale({scale:.3}) translate(-60 -60)">{}</g>"#,
                self.body()
            );
        };
        let (big, small) = (height / 120.0 * if self.above { 1.22 } else { 1.0 }, height / 120.0 * 0.72);
        dish(x(0.36), height * if self.above { 0.53 } else { 0.5 }, big, turn(24));
        dish(x(0.84), height * if bits(40, 2) == 1 { 0.3 } else { 0.72 }, small, turn(48));
        svg
    }

    /// What is between the tags of the file.
    fn body(&self) -> &str {
        let start = self.svg.find('>').map_or(0, |at| at + 1);
        self.svg[start..].rsplit_once("</svg>").map_or("", |(body, _)| body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cooked_is_what_is_drawn() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        for (labels, name) in [
            (&["pizza", "italian"][..], "pizza"),
            (&["roman"], "italian"),
            (&["izakaya"], "sushi"),
            (&["udon"], "ramen"),
            (&["nepalese"], "curry"),
            (&["karelian"], "seafood"),
            (&["banitsa"], "plate"),
            (&["cafe"], "coffee"),
            (&["supermarket"], "grocery"),
            (&[], "plate"),
        ] {
            let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
            assert_eq!(of(Kind::Restaurant, &labels, &vocabulary).name, name, "{labels:?}");
        }
        assert_eq!(of(Kind::Grocery, &["pizza".into()], &vocabulary).name, "grocery");
    }

    #[test]
    fn every_drawing_can_be_drawn_and_stands_for_something_of_the_vocabulary() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        for art in ARTS {
            resvg::usvg::Tree::from_str(art.svg, &resvg::usvg::Options::default()).unwrap();
            for cuisine in art.cuisines {
                assert!(vocabulary.parent(cuisine).is_some() || vocabulary.knows(cuisine), "{}: {cuisine}", art.name);
            }
        }
    }
}
