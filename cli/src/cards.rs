//! `freshrank cards`: every picture that a message can need, drawn before it is sent.

use crate::{Outcome, print, shelf};
use clap::Args;
use freshrank::campaign::Paid;
use freshrank::{MerchantId, time};
use freshrank_offline::cards::{self, DAYS, Drawn, Fonts, Job, MAX_BYTES, MAX_FILES, Range, Words};
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

/// What to draw.
#[derive(Debug, Args)]
#[command(
    after_help = "OUT is served as static assets (wrangler.toml, binding CARDS). Cards that nobody needs any more stay there \
    until it is emptied."
)]
pub struct Arguments {
    /// The folder that `freshrank build` wrote
    #[arg(long, value_name = "DIR")]
    bundles: PathBuf,
    /// Where the pictures go, MERCHANT/BADGE[-offer][-ad][@2x][-dark].png
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Photos, named by a merchant's fingerprint or as its image_url ends: JPEG, PNG or WebP
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// TTF, OTF or TTC files; Inter is taken first, where it is among them
    #[arg(long, value_name = "DIR", default_value = "target/fonts")]
    fonts: PathBuf,
    /// What cards say: `en`, `fi`, `ar`, or a file in the form of offline/cards/words/en.toml
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    words: String,
    /// RFC 3339: the first day that cards are for; the areas' own if absent
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    as_of: Option<i64>,
    /// For how many days; badges follow the opening hours and offers of these
    #[arg(long, value_name = "N", default_value_t = DAYS)]
    days: i64,
    /// No placement is paid for: without the cards that say so
    #[arg(long, conflicts_with = "campaign")]
    no_sponsored: bool,
    /// A campaign's folder or document, any number of times: only whom these may favour for money has cards that say so, not everybody; who is
    /// favoured later shows as the deployment's own card until cards are drawn anew
    #[arg(long, value_name = "PATH")]
    campaign: Vec<PathBuf>,
    /// Only these merchants, by the folders that OUT has for them
    #[arg(long, value_name = "FINGERPRINT", value_delimiter = ',', value_parser = fingerprint)]
    only: Vec<MerchantId>,
    /// Files at most: what static assets take on the free plan, 100000 on a paid one
    #[arg(long, value_name = "N", default_value_t = MAX_FILES)]
    max_files: usize,
    /// Where the cards go for which OUT has no room: files for `npx wrangler kv bulk put FILE --binding AREAS`
    #[arg(long, value_name = "DIR")]
    kv: Option<PathBuf>,
    /// Bytes of a picture at most; colours are given up for it
    #[arg(long, value_name = "N", default_value_t = MAX_BYTES)]
    max_bytes: usize,
    /// For a program
    #[arg(long)]
    json: bool,
}

fn fingerprint(text: &str) -> Result<MerchantId, String> {
    let wanted =
        || format!("found {} letters, expected the 16 hexadecimal digits of a folder of cards", text.chars().count());
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then_some(()).and_then(|()| u64::from_str_radix(text, 16).ok()).map(MerchantId).ok_or_else(wanted)
}

pub fn run(arguments: &Arguments) -> Outcome {
    let started = Instant::now();
    let paid = match (arguments.no_sponsored, arguments.campaign.as_slice()) {
        (true, _) => Vec::new(),
        (false, []) => vec![Paid::Anybody],
        (false, campaigns) => campaigns
            .iter()
            .map(|path| Ok(shelf::campaign(path)?.paid()))
            .collect::<Result<_, Box<dyn Error + Send + Sync>>>()?,
    };
    let range = Range { as_of: arguments.as_of, days: arguments.days, paid };
    let folder = arguments.bundles.join("areas");
    let folder = if folder.is_dir() { folder } else { arguments.bundles.clone() };
    let mut merchants = cards::read(&folder, &range, arguments.photos.as_deref())?;
    if !arguments.only.is_empty() {
        merchants.retain(|merchant| arguments.only.contains(&merchant.id));
    }
    let fonts = Fonts::read(&arguments.fonts)?;
    let words = Words::read(&arguments.words)?;
    let job = Job {
        merchants: &merchants,
        fonts: &fonts,
        words: &words,
        max_files: arguments.max_files,
        max_bytes: arguments.max_bytes,
        out: &arguments.out,
        kv: arguments.kv.as_deref(),
    };
    let drawn = cards::draw(&job, &print::progress("merchants"))?;
    if arguments.json {
        return Ok(print::json_with_run(&drawn, print::run_figures(drawn.files as u64, started))?);
    }
    let seconds = started.elapsed().as_secs_f64();
    let row = |name: &str, n: String| vec![name.to_string(), n];
    let Drawn { merchants, cards, files, bytes, .. } = drawn;
    let in_out = files - drawn.files_in_kv;
    print::table(
        &["cards", ""],
        [
            row("merchants", merchants.to_string()),
            row("with a photo", drawn.photos.to_string()),
            row("cards", cards.to_string()),
            row("cards of a merchant", format!("{:.1}", cards as f64 / merchants.max(1) as f64)),
            row("files (1x and 2x, light and dark)", files.to_string()),
            row("of them for KV", drawn.files_in_kv.to_string()),
            row("share of the files allowed, %", format!("{:.1}", 100.0 * in_out as f64 / arguments.max_files as f64)),
            row("bytes", bytes.to_string()),
            row("bytes of a file", format!("{:.0}", bytes as f64 / files as f64)),
            row("bytes of the largest", drawn.largest.to_string()),
            row("seconds", format!("{seconds:.1}")),
            row("files a second", format!("{:.0}", files as f64 / seconds)),
        ],
    );
    if !drawn.missing.is_empty() {
        let some = drawn.missing.iter().take(5).map(|(c, name)| format!("{c} (U+{:04X}, in {name})", *c as u32));
        let some = some.collect::<Vec<_>>().join(", ");
        let fonts = arguments.fonts.display();
        eprintln!("{} characters are in no font of {fonts} and left out: {some}", drawn.missing.len());
    }
    if let Some(first) = drawn.unnamed.first() {
        eprintln!(
            "{} merchants have no card, since no font has a letter of their names: {first} ...",
            drawn.unnamed.len()
        );
    }
    Ok(())
}
