//! What cards say beside names, in one language.

use super::CardError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The languages that ship; any other is a file in the same form.
const SHIPPED: [(&str, &str); 3] = [
    ("en", include_str!("../../cards/words/en.toml")),
    ("fi", include_str!("../../cards/words/fi.toml")),
    ("ar", include_str!("../../cards/words/ar.toml")),
];

/// What cards say; `{}` stands for the time, the number or the sum.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Words {
    /// How the whole card is laid out.
    pub direction: Direction,
    pub open_until: String,
    pub sponsored: String,
    pub minutes: String,
    pub percent_off: String,
    pub amount_off: String,
    pub free_delivery: String,
    /// An offer that is none of these, or one of several.
    pub offer: String,
    /// Between two cuisines.
    pub list: String,
    pub fallback_title: String,
    pub fallback_line: String,
    /// Labels of the cuisine map; who is not in it is called as the map does.
    #[serde(default)]
    pub cuisines: BTreeMap<String, String>,
}

/// Where lines begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// On the left.
    Ltr,
    /// On the right.
    Rtl,
}

impl Words {
    /// A language that ships, or a file.
    ///
    /// # Errors
    /// Names the file that cannot be read, or the line that is wrong.
    pub fn read(name: &str) -> Result<Self, CardError> {
        let shipped = SHIPPED.iter().find(|(language, _)| *language == name);
        let text = match shipped {
            Some((_, text)) => (*text).to_string(),
            None => std::fs::read_to_string(name).map_err(|error| CardError::Read(Path::new(name).into(), error))?,
        };
        toml::from_str(&text).map_err(|error| CardError::Words(name.into(), error))
    }

    /// `ice_cream` as a card says it.
    pub(super) fn cuisine(&self, label: &str) -> String {
        if let Some(word) = self.cuisines.get(label) {
            return word.clone();
        }
        let mut words = label.replace('_', " ");
        if let Some(first) = words.chars().next() {
            words.replace_range(..first.len_utf8(), &first.to_uppercase().to_string());
        }
        words
    }
}

/// A phrase with its value.
pub(super) fn with(phrase: &str, value: &str) -> String {
    phrase.replacen("{}", value, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_languages_that_ship_can_be_read() {
        for (language, _) in SHIPPED {
            let words = Words::read(language).unwrap();
            for phrase in [&words.open_until, &words.minutes, &words.percent_off, &words.amount_off] {
                assert!(phrase.contains("{}"), "{language}: {phrase}");
            }
        }
        assert_eq!(Words::read("en").unwrap().cuisine("ice_cream"), "Ice cream");
    }
}
