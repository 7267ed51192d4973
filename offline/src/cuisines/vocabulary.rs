//! Cuisine labels as people write them, and the reviewed table that brings them to one spelling.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The reviewed table of this version.
const REVIEWED: &str = include_str!("../../cuisines.toml");

/// What is known of labels before any data is seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Labels that end in s in the singular.
    keep: BTreeSet<String>,
    /// Another spelling to the label it means.
    synonyms: BTreeMap<String, String>,
    /// One label that says several, and which.
    several: BTreeMap<String, Vec<String>>,
    /// A label to the one it is part of.
    parents: BTreeMap<String, String>,
    /// What can reveal religion or health.
    sensitive: BTreeSet<String>,
}

/// The table as it is written: by the label that is meant, so that a reviewer sees what belongs together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    keep: BTreeSet<String>,
    synonyms: BTreeMap<String, Vec<String>>,
    several: BTreeMap<String, Vec<String>>,
    parents: BTreeMap<String, Vec<String>>,
    sensitive: BTreeMap<String, Vec<String>>,
}

impl Vocabulary {
    /// The table in the tree, offline/cuisines.toml.
    ///
    /// # Errors
    /// Names the line that is no TOML or holds an unknown key.
    pub fn reviewed() -> Result<Self, toml::de::Error> {
        Self::parse(REVIEWED)
    }

    /// Reads a table in the form of offline/cuisines.toml.
    ///
    /// # Errors
    /// Names the line that is no TOML or holds an unknown key.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let table: Table = toml::from_str(text)?;
        let turn = |lists: BTreeMap<String, Vec<String>>| {
            let pairs = |(to, from): (String, Vec<String>)| from.into_iter().map(move |label| (label, to.clone()));
            lists.into_iter().flat_map(pairs).collect()
        };
        Ok(Self {
            keep: table.keep,
            synonyms: turn(table.synonyms),
            several: table.several,
            parents: turn(table.parents),
            sensitive: table.sensitive.into_values().flatten().collect(),
        })
    }

    /// The one spelling of a label: lower case, `_` for whatever is no letter or digit, synonyms replaced, singular;
    /// `None` where nothing is left.
    #[must_use]
    pub fn normalize(&self, label: &str) -> Option<String> {
        let plain = plain(label)?;
        if let Some(known) = self.synonyms.get(&plain) {
            return Some(known.clone());
        }
        if self.keep.contains(&plain) {
            return Some(plain);
        }
        let singular = singular(&plain);
        Some(self.synonyms.get(&singular).cloned().unwrap_or(singular))
    }

    /// The labels of one merchant, each once, in the source's order; an entry that lists several is taken apart, and so
    /// is a label that says several.
    #[must_use]
    pub fn labels(&self, cuisines: &[String]) -> Vec<String> {
        let parts = cuisines.iter().flat_map(|entry| entry.split([';', ',', '|']));
        let several = |part| match plain(part).and_then(|plain| self.several.get(&plain)) {
            Some(labels) => labels.clone(),
            None => self.normalize(part).into_iter().collect(),
        };
        let mut seen = BTreeSet::new();
        parts.flat_map(several).filter(|label| seen.insert(label.clone())).collect()
    }

    /// The label that this one is part of.
    #[must_use]
    pub fn parent(&self, label: &str) -> Option<&str> {
        self.parents.get(label).map(String::as_str)
    }

    /// Whether the table names this normalized label at all.
    #[must_use]
    pub fn knows(&self, label: &str) -> bool {
        let named =
            |pairs: &BTreeMap<String, String>| pairs.contains_key(label) || pairs.values().any(|to| to == label);
        let listed = self.keep.contains(label) || self.several.contains_key(label) || self.sensitive.contains(label);
        listed || named(&self.parents) || named(&self.synonyms)
    }

    /// Whether this normalized label can reveal religion or health: one of the listed terms is among its words.
    #[must_use]
    pub fn is_sensitive(&self, label: &str) -> bool {
        let padded = format!("_{label}_");
        self.sensitive.iter().any(|term| padded.contains(&format!("_{term}_")))
    }
}

/// Lower case, `_` between words; `None` where nothing is left.
pub(crate) fn plain(label: &str) -> Option<String> {
    // An apostrophe joins ("po' boys"), everything else separates.
    let joined = label.to_lowercase().replace(['\'', '’'], "");
    let words: Vec<&str> = joined.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join("_"))
}

/// Without the plural s of its last word; words in -ss, -us and -is have none.
fn singular(label: &str) -> String {
    let stem = |ending: &str| label.strip_suffix(ending).filter(|stem| stem.chars().count() > 2);
    if ["ss", "us", "is"].iter().any(|ending| label.ends_with(ending)) {
        return label.to_owned();
    }
    if let Some(stem) =
        stem("ies").filter(|stem| !["cook", "smooth", "brown", "vegg"].iter().any(|word| stem.ends_with(word)))
    {
        return format!("{stem}y");
    }
    if let Some(stem) = stem("es").filter(|stem| ["ch", "sh", "x", "ss"].iter().any(|ending| stem.ends_with(ending))) {
        return stem.to_owned();
    }
    stem("s").unwrap_or(label).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_to_one_spelling() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        for (written, label) in [
            ("Burgers", "burger"),
            ("tex-mex", "tex_mex"),
            ("Bar-B-Q", "barbecue"),
            ("Po' Boys", "po_boy"),
            ("Coffeehouses", "coffee_shop"),
            ("  Steak ", "steak_house"),
            ("sandwiches", "sandwich"),
            ("Pastries", "pastry"),
            ("cookies", "cookie"),
            ("Italian (North & South)", "italian"),
            ("crêpes", "crepe"),
            ("Smørrebrød", "smørrebrød"),
            ("tapas", "tapas"),
            ("Swiss", "swiss"),
            ("fries", "fries"),
            ("Klingon Delights", "klingon_delight"),
        ] {
            assert_eq!(vocabulary.normalize(written).as_deref(), Some(label), "{written}");
        }
        assert_eq!(vocabulary.normalize(" ;-) "), None);
        assert_eq!(vocabulary.labels(&["Pizza, burgers".into(), "hamburger".into()]), ["pizza", "burger"]);
        assert_eq!(
            vocabulary.labels(&["French-Japanese".into(), "Pizza & Kebab".into()]),
            ["french", "japanese", "pizza", "kebab"]
        );
    }

    #[test]
    fn the_reviewed_table_speaks_its_own_spelling_and_has_no_circle() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        let table: Table = toml::from_str(REVIEWED).unwrap();
        let mut seen = BTreeSet::new();
        for (lists, what) in [(&table.synonyms, "synonym"), (&table.parents, "child")] {
            for label in lists.values().flatten() {
                assert!(seen.insert((what, label)), "{label} is a {what} twice");
            }
        }
        let targets = table.synonyms.keys().chain(table.parents.keys()).chain(table.parents.values().flatten());
        let targets = targets.chain(table.several.values().flatten());
        for label in targets.chain(&table.keep) {
            assert_eq!(vocabulary.normalize(label).as_ref(), Some(label), "not in its own normal form");
            let climb = std::iter::successors(Some(label.as_str()), |label| vocabulary.parent(label));
            assert!(climb.take(10).count() < 10, "{label} is its own ancestor");
        }
        for written in vocabulary.synonyms.keys().chain(vocabulary.several.keys()) {
            assert_eq!(plain(written).as_ref(), Some(written), "a spelling that no label can match");
        }
        for written in vocabulary.several.keys() {
            assert!(!vocabulary.synonyms.contains_key(written), "{written} is one label and several");
        }
    }

    #[test]
    fn what_reveals_religion_or_health_is_found_inside_longer_labels() {
        let vocabulary = Vocabulary::reviewed().unwrap();
        for label in ["halal", "halal_burger", "gluten_free_bakery", "vegan"] {
            assert!(vocabulary.is_sensitive(label), "{label}");
        }
        for label in ["italian", "burger", "ketonic", "free"] {
            assert!(!vocabulary.is_sensitive(label), "{label}");
        }
    }
}
