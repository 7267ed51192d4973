//! Geohashes (Niemeyer 2008): five bits a letter, the bits of longitude and latitude in turn.

const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Beyond this a cell is smaller than a millimetre.
const MAX_LETTERS: usize = 20;

/// The rectangle that a geohash names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rectangle {
    /// Of its middle, degrees north.
    pub latitude: f64,
    /// Of its middle, degrees east.
    pub longitude: f64,
    /// From its middle to its northern edge, degrees.
    pub north: f64,
    /// From its middle to its eastern edge, degrees.
    pub east: f64,
}

/// Reads a geohash; `None` for what is none.
#[must_use]
pub fn decode(text: &str) -> Option<Rectangle> {
    if text.is_empty() || text.len() > MAX_LETTERS {
        return None;
    }
    let (mut latitude, mut longitude) = ((-90.0, 90.0), (-180.0, 180.0));
    let mut is_east = true;
    for byte in text.bytes() {
        let value = LETTERS.iter().position(|letter| *letter == byte.to_ascii_lowercase())?;
        for bit in (0..5).rev() {
            let (low, high) = if is_east { &mut longitude } else { &mut latitude };
            let middle = (*low + *high) / 2.0;
            *(if value >> bit & 1 == 1 { low } else { high }) = middle;
            is_east = !is_east;
        }
    }
    let (middle, half) = (|(low, high)| (low + high) / 2.0, |(low, high): (f64, f64)| (high - low) / 2.0);
    Some(Rectangle {
        latitude: middle(latitude),
        longitude: middle(longitude),
        north: half(latitude),
        east: half(longitude),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_examples_decode() {
        // Wikipedia, "Geohash": ezs42 is 42.605 N 5.603 W with an error of 0.022 degrees; u4pruydqqvj is in Jutland.
        let at = decode("ezs42").unwrap();
        assert!((at.latitude - 42.605).abs() < 5e-4 && (at.longitude + 5.603).abs() < 5e-4, "{at:?}");
        assert!((at.north - 0.022).abs() < 5e-4 && (at.east - 0.022).abs() < 5e-4, "{at:?}");
        let at = decode("u4pruydqqvj").unwrap();
        assert!((at.latitude - 57.64911).abs() < 1e-5 && (at.longitude - 10.40744).abs() < 1e-5, "{at:?}");
        assert_eq!(decode("U4PRU"), decode("u4pru"));
    }

    #[test]
    fn letters_that_no_geohash_has_are_refused() {
        assert!(["", "a", "ilo", "w21 z", "ü", "0123456789bcdefghjkmn"].into_iter().all(|text| decode(text).is_none()));
    }
}
