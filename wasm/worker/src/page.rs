//! The pages a click may open: small, without scripts and pictures, readable by whoever and whatever reads them.

use crate::problem::respond;
use std::fmt::Write as _;
use worker::{Response, ResponseBody};

/// A page with links.
#[derive(Debug, Default)]
pub struct Page {
    /// What it is.
    pub heading: String,
    /// Why the reader is here; empty if that is plain.
    pub lead: String,
    /// Where to go, the likeliest first.
    pub entries: Vec<Entry>,
    /// Where else, and what that is.
    pub more: Option<(String, String)>,
}

/// A merchant of a page.
#[derive(Debug, Default)]
pub struct Entry {
    /// As its sign says.
    pub name: String,
    /// What it cooks, when it closes.
    pub note: String,
    /// Where its link goes; a merchant that has none is told of all the same.
    pub href: Option<String>,
}

const STYLE: &str = "body{margin:0 auto;max-width:36rem;padding:2rem 1rem;font:1.125rem/1.5 system-ui,sans-serif;\
background:#fff;color:#222}h1{font-size:1.5rem}ul{list-style:none;padding:0}li{margin:.75rem 0}\
a,.plain{display:block;padding:1rem;border:1px solid #767676;border-radius:.5rem;color:inherit;text-decoration:none}\
a:hover,a:focus{outline:3px solid #06c}strong{display:block}small{color:#595959}\
@media(prefers-color-scheme:dark){body{background:#1b1b1b;color:#eee}small{color:#b5b5b5}a:hover,a:focus{outline-color:#6bf}}";

impl Page {
    /// The page as an answer, whatever brought the reader here.
    pub fn response(&self) -> Response {
        let more = [
            // The address holds a token: where a link leads learns nothing of it.
            ("Referrer-Policy", "no-referrer"),
            (
                "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
            ),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Robots-Tag", "noindex, nofollow"),
        ];
        respond(200, "text/html; charset=utf-8", ResponseBody::Body(self.html().into_bytes()), more)
    }

    fn html(&self) -> String {
        let heading = text(&self.heading);
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{heading}</title>\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>{STYLE}</style></head>\
             <body><main><h1>{heading}</h1>"
        );
        // Writing to a String cannot fail.
        if !self.lead.is_empty() {
            let _ = write!(html, "<p>{}</p>", text(&self.lead));
        }
        if !self.entries.is_empty() {
            html.push_str("<ul>");
        }
        for Entry { name, note, href } in &self.entries {
            let note = if note.is_empty() { String::new() } else { format!("<small>{}</small>", text(note)) };
            let inside = format!("<strong dir=\"auto\">{}</strong>{note}", text(name));
            let _ = match href {
                Some(href) => write!(html, "<li><a href=\"{}\" rel=\"noreferrer\">{inside}</a></li>", text(href)),
                None => write!(html, "<li><div class=\"plain\">{inside}</div></li>"),
            };
        }
        if !self.entries.is_empty() {
            html.push_str("</ul>");
        }
        if let Some((href, name)) = &self.more {
            let _ = write!(html, "<p><a href=\"{}\" rel=\"noreferrer\">{}</a></p>", text(href), text(name));
        }
        html.push_str("</main></body></html>");
        html
    }
}

/// What stands for a text between tags and in quotes.
fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_becomes_markup() {
        let nasty = "<script>alert(\"x\")</script>' onfocus='x & y";
        let entry = |href| Entry { name: nasty.into(), note: nasty.into(), href };
        let page = Page {
            heading: nasty.into(),
            lead: nasty.into(),
            entries: vec![entry(Some(nasty.into())), entry(None)],
            more: Some((nasty.into(), nasty.into())),
        };
        let html = page.html();
        assert!(!html.contains("<script") && !html.contains("' onfocus") && !html.contains("\"x\""), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 10);
    }
}
