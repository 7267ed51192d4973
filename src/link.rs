//! Where a click may go: hosts that the deployment lists, and no others.
//!
//! No token and no parameter carries an address. A destination is the deployment's own template with a merchant's id in it, or the
//! merchant's own address from the display block, and that only where its host is on the list.

use crate::bundle::Card;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Characters of the longest destination.
const MAX_CHARS: usize = 2048;

/// What a deployment allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    hosts: Vec<Host>,
    template: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    /// Also without encryption.
    plain: bool,
    /// Also every name below it.
    below: bool,
    name: String,
}

impl Links {
    /// Reads a list of hosts separated by blanks, and a template; both may be empty.
    ///
    /// A host is `example.com`, `*.example.com` for every name below it, or `http://example.com` where it has no encryption. A template
    /// is an address with `{merchant_id}`, `{campaign}` and `{slot}` in its path or query; its own host need not be listed.
    #[must_use]
    pub fn parse(hosts: &str, template: &str) -> Self {
        let host = |word: &str| {
            let (plain, word) = word.strip_prefix("http://").map_or((false, word), |rest| (true, rest));
            let (below, name) = word.strip_prefix("*.").map_or((false, word), |rest| (true, rest));
            is_host(name).then(|| Host { plain, below, name: name.to_ascii_lowercase() })
        };
        let template = template.trim();
        // A variable in the host would let data say where to go.
        let fixed = parts(template).is_some_and(|(_, host, _)| is_host(host));
        let template = fixed.then(|| template.to_string());
        Self { hosts: hosts.split_whitespace().filter_map(host).collect(), template }
    }

    /// Where a click on a merchant goes; `None` where nothing is allowed.
    #[must_use]
    pub fn merchant(&self, card: &Card, campaign: &str, slot: u8) -> Option<String> {
        match &self.template {
            Some(template) => {
                let filled = template
                    .replace("{merchant_id}", &encoded(&card.merchant_id))
                    .replace("{campaign}", &encoded(campaign))
                    .replace("{slot}", &format!("{slot}"));
                (filled.len() <= MAX_CHARS).then_some(filled)
            }
            None => self.allowed(&card.url),
        }
    }

    /// An address as it may stand in a header, if its host is listed.
    #[must_use]
    pub fn allowed(&self, url: &str) -> Option<String> {
        let url = url.trim();
        // Browsers read a backslash as a slash and drop line breaks and tabs: where such an address goes depends on who reads it.
        let strange = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '"' | '<' | '>');
        if url.len() > MAX_CHARS || url.chars().any(strange) {
            return None;
        }
        let (plain, host, rest) = parts(url)?;
        let (name, port) = host.split_once(':').unwrap_or((host, ""));
        let is_port =
            port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()) && (port.is_empty() != host.contains(':'));
        let name = name.to_ascii_lowercase();
        let listed = |known: &Host| {
            let below = || known.below && name.strip_suffix(&known.name).is_some_and(|sub| sub.ends_with('.'));
            (known.plain || !plain) && ((!known.below && name == known.name) || below())
        };
        let fits = is_host(&name) && is_port && self.hosts.iter().any(listed);
        let scheme = if plain { "http" } else { "https" };
        fits.then(|| format!("{scheme}://{}{}", host.to_ascii_lowercase(), ascii(rest)))
    }
}

/// Whether it has no encryption, the host with its port, and the rest from `/`, `?` or `#` on.
fn parts(url: &str) -> Option<(bool, &str, &str)> {
    let scheme = |name: &str| url.get(..name.len()).filter(|s| s.eq_ignore_ascii_case(name)).and(url.get(name.len()..));
    let (plain, rest) = match (scheme("https://"), scheme("http://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some((plain, rest.get(..end)?, rest.get(end..)?))
}

/// A name of letters, digits and hyphens with a dot between: no address in numbers, no user, no escapes.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    let letters = name.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| b.is_ascii_alphabetic()));
    name.len() <= 253 && name.contains('.') && letters && name.split('.').all(label)
}

/// Everything but letters, digits, `-`, `.`, `_` and `~` escaped (RFC 3986).
fn encoded(text: &str) -> String {
    escaped(text, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

/// What is no ASCII escaped: a header has no other letters.
fn ascii(text: &str) -> String {
    escaped(text, |b| b.is_ascii_graphic())
}

fn escaped(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if stays(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(merchant_id: &str, url: &str) -> Card {
        Card { merchant_id: merchant_id.into(), url: url.into(), ..Card::default() }
    }

    fn links() -> Links {
        Links::parse("shop.example *.merchants.example http://old.example bad_host 127.0.0.1 @", "")
    }

    #[test]
    fn a_listed_host_is_gone_to() {
        for (url, goes) in [
            ("https://shop.example", "https://shop.example"),
            ("https://shop.example/m/1?a=b#c", "https://shop.example/m/1?a=b#c"),
            ("HTTPS://SHOP.example/M", "https://shop.example/M"),
            ("https://shop.example:8443/x", "https://shop.example:8443/x"),
            ("https://a.b.merchants.example/", "https://a.b.merchants.example/"),
            ("http://old.example/x", "http://old.example/x"),
            ("https://old.example/x", "https://old.example/x"),
            ("  https://shop.example/päivä ", "https://shop.example/p%C3%A4iv%C3%A4"),
        ] {
            assert_eq!(links().allowed(url).as_deref(), Some(goes), "{url}");
        }
    }

    #[test]
    fn the_known_tricks_go_nowhere() {
        for url in [
            "",
            "shop.example",
            "//shop.example",
            "///shop.example",
            "/\\shop.example",
            "javascript:alert(1)//https://shop.example",
            "data:text/html,https://shop.example",
            "http://shop.example",
            "ftp://shop.example",
            "https:shop.example",
            "https:/shop.example",
            "https:\\\\shop.example",
            "https://shop.example.evil.example",
            "https://evil.example/shop.example",
            "https://evil.example?https://shop.example",
            "https://evil.example#shop.example",
            "https://evilshop.example",
            "https://evilmerchants.example",
            "https://merchants.example",
            "https://.merchants.example",
            "https://shop.example@evil.example",
            "https://shop.example:pass@evil.example",
            "https://shop.example:443@evil.example",
            "https://evil.example\\@shop.example",
            "https://shop.example\\.evil.example",
            "https://shop.example%2eevil.example",
            "https://shop.example%00.evil.example",
            "https://shop.example\u{0}.evil.example",
            "https://shop.example\t.evil.example",
            "https://shop.example/\r\nSet-Cookie: a=b",
            "https://shop.example /x",
            "https://shop.example.",
            "https://shop.example:",
            "https://shop.example:x",
            "https://shop.example:123456",
            "https://[::1]",
            "https://127.0.0.1",
            "https://2130706433",
            "https://shop。example",
            "https://ѕhop.example",
            "https://shop.example\u{202e}/x",
        ] {
            let gone = links().allowed(url);
            if url.contains('\u{202e}') {
                assert_eq!(gone, None, "{url}");
            }
            assert_eq!(gone, None, "{url:?}");
        }
        let long = format!("https://shop.example/{}", "x".repeat(3000));
        assert_eq!(links().allowed(&long), None);
        assert_eq!(
            Links::default().allowed("https://shop.example"),
            None,
            "where nothing is listed, nothing is gone to"
        );
    }

    #[test]
    fn a_template_takes_ids_and_never_an_address() {
        let links = Links::parse("", "https://app.example/m/{merchant_id}?utm_campaign={campaign}&utm_content={slot}");
        let goes = |id: &str| links.merchant(&card(id, "https://evil.example"), "lunch fi", 3);
        assert_eq!(goes("m-1").as_deref(), Some("https://app.example/m/m-1?utm_campaign=lunch%20fi&utm_content=3"));
        assert_eq!(
            goes("../../@evil.example/?{campaign}#\r\n").as_deref(),
            Some(
                "https://app.example/m/..%2F..%2F%40evil.example%2F%3F%7Bcampaign%7D%23%0D%0A?utm_campaign=lunch%20fi&utm_content=3"
            )
        );
        for template in ["https://{merchant_id}/x", "https://{merchant_id}.example/x", "//x.example/{merchant_id}", "x"]
        {
            let links = Links::parse("", template);
            assert_eq!(links.merchant(&card("m", ""), "lunch", 1), None, "{template}");
        }
    }

    #[test]
    fn without_a_template_the_merchants_own_address_is_asked() {
        assert_eq!(
            links().merchant(&card("m", "https://shop.example/m"), "lunch", 1).as_deref(),
            Some("https://shop.example/m")
        );
        assert_eq!(links().merchant(&card("m", "https://evil.example/m"), "lunch", 1), None);
    }
}
