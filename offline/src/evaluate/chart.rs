//! Pictures of an evaluation: SVG for a slide, drawn from the figures alone.

use super::late::{LateBinding, Row, Step};
use super::{Evaluation, Figure, ProtocolFigures};
use std::fmt::Write;

/// Of the whole picture.
const WIDTH: f64 = 1180.0;
const MARGIN: f64 = 24.0;
/// Of one line of a panel.
const LINE: f64 = 17.0;
const FONT: &str = "font-family=\"system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\"";
const INK: &str = "#1b1f24";
const FAINT: &str = "#6b7280";
const RULE: &str = "#e5e7eb";

/// The reciprocal ranks of every scorer, a panel for every segment, a column for every protocol.
#[must_use]
pub fn evaluation(found: &Evaluation) -> String {
    let mut segments: Vec<&'static str> = Vec::new();
    for line in found.protocols.iter().flat_map(|protocol| &protocol.figures) {
        if !segments.contains(&line.segment) {
            segments.push(line.segment);
        }
    }
    let lines = |protocol: &ProtocolFigures, segment: &str| -> usize { alone(protocol, segment).count() };
    let most = found.protocols.iter().flat_map(|p| segments.iter().map(|s| lines(p, s))).max().unwrap_or(0);
    let panel = 46.0 + LINE * most as f64;
    let top = 104.0;
    let height = top + panel * segments.len() as f64 + 40.0;
    let column = (WIDTH - 2.0 * MARGIN) / found.protocols.len().max(1) as f64;
    let mut svg = Svg::new(height);
    svg.text(MARGIN, 34.0, 20.0, INK, "600", "start", "Mean reciprocal rank of the merchant ordered from next");
    let said = found.simulated.as_deref().unwrap_or("orders of the tables");
    svg.text(MARGIN, 55.0, 12.0, FAINT, "400", "start", said);
    let about = format!("queries from {}; bars: 95 % of {} resamples of the readers", found.from, found.resamples);
    svg.text(MARGIN, 71.0, 12.0, FAINT, "400", "start", &about);
    for (i, protocol) in found.protocols.iter().enumerate() {
        let left = MARGIN + column * i as f64;
        let name = format!("{}: {} queries", protocol.protocol.name(), protocol.queries);
        svg.text(left, 96.0, 14.0, INK, "600", "start", &name);
        for (j, segment) in segments.iter().enumerate() {
            svg.panel(
                left,
                top + panel * j as f64,
                column - 28.0,
                segment,
                &alone(protocol, segment).collect::<Vec<_>>(),
            );
        }
    }
    svg.end()
}

/// The lines of scorers, without differences.
fn alone<'p>(protocol: &'p ProtocolFigures, segment: &'p str) -> impl Iterator<Item = &'p Figure> {
    protocol.figures.iter().filter(move |line| line.segment == segment && !line.scorer.starts_with("ltr - "))
}

/// Kinds of bad slots with their colours; closed doors first.
type Bad = (&'static str, &'static str, fn(&Row) -> f64);
const BAD: [Bad; 5] = [
    ("closed", "#b91c1c", |row| row.closed.value),
    ("paused or gone", "#f97316", |row| row.unavailable.value),
    ("undeliverable", "#a16207", |row| row.undeliverable.value),
    ("offer over", "#facc15", |row| row.expired.value),
    ("no merchant", "#9ca3af", |row| row.no_merchant.value),
];

/// The bad slots of every mailbox at every step, and NDCG@10 beside them.
#[must_use]
pub fn late_binding(found: &LateBinding) -> String {
    let mailboxes: Vec<&str> =
        found.rows.iter().filter(|row| row.step == Step::Send).map(|row| row.mailbox.as_str()).collect();
    let group = 34.0 + LINE * Step::ALL.len() as f64;
    let height = 128.0 + group * mailboxes.len() as f64 + 24.0;
    let bad = |row: &Row| BAD.iter().map(|(_, _, share)| share(row)).sum::<f64>();
    let most = found.rows.iter().map(bad).fold(0.01, |most, share| if share > most { share } else { most });
    let (left, wide) = (MARGIN + 190.0, 560.0);
    let mut svg = Svg::new(height);
    svg.text(MARGIN, 34.0, 20.0, INK, "600", "start", "Slots that are wrong when the message is opened");
    let said = found.simulated.as_deref().unwrap_or("orders of the tables");
    svg.text(MARGIN, 55.0, 12.0, FAINT, "400", "start", said);
    let [q1, q2, q3] = found.delay_hours;
    let about = format!(
        "{} messages to {} readers, each tried in every mailbox; opened after {q1:.1}, {q2:.1}, {q3:.1} h (quartiles); \
         mailboxes and delays are assumptions",
        found.messages, found.readers
    );
    svg.text(MARGIN, 71.0, 12.0, FAINT, "400", "start", &about);
    let mut x = MARGIN;
    for (name, colour, _) in BAD {
        svg.rect(x, 84.0, 11.0, 11.0, colour);
        svg.text(x + 16.0, 94.0, 12.0, INK, "400", "start", name);
        x += 40.0 + 7.0 * name.len() as f64;
    }
    svg.text(left + wide + 24.0, 112.0, 12.0, FAINT, "400", "start", "wrong slots");
    svg.text(WIDTH - MARGIN, 112.0, 12.0, FAINT, "400", "end", "NDCG@10 of the next order");
    for (i, mailbox) in mailboxes.iter().enumerate() {
        let top = 120.0 + group * i as f64;
        let share = found.assumptions.mailboxes.iter().find(|kind| kind.name == **mailbox).map(|kind| kind.share);
        let name = match share {
            None => "all mailboxes by their shares".to_owned(),
            Some(share) if share > 0.0 => format!("{mailbox}, {:.0} % of the mix", share * 100.0),
            Some(_) => format!("{mailbox}, beside the mix"),
        };
        svg.text(MARGIN, top + 14.0, 13.0, INK, "600", "start", &name);
        for (j, row) in found.rows.iter().filter(|row| row.mailbox == *mailbox).enumerate() {
            let y = top + 24.0 + LINE * j as f64;
            svg.text(left - 10.0, y + 10.0, 12.0, INK, "400", "end", row.step.name());
            let mut x = left;
            for (_, colour, share) in BAD {
                let w = wide * share(row) / most;
                svg.rect(x, y, w, 12.0, colour);
                x += w;
            }
            svg.text(left + wide + 24.0, y + 10.0, 12.0, INK, "400", "start", &format!("{:.1} %", 100.0 * bad(row)));
            let ndcg = row.ndcg_10;
            let text = format!("{:.3} ({:.3} to {:.3})", ndcg.value, ndcg.low, ndcg.high);
            svg.text(WIDTH - MARGIN, y + 10.0, 12.0, INK, "400", "end", &text);
        }
    }
    svg.end()
}

/// An SVG being written.
struct Svg(String);

impl Svg {
    fn new(height: f64) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" {FONT}>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        ))
    }

    #[allow(clippy::too_many_arguments, reason = "what a text is")]
    fn text(&mut self, x: f64, y: f64, size: f64, fill: &str, weight: &str, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"{weight}\" fill=\"{fill}\" \
             text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn rect(&mut self, x: f64, y: f64, w: f64, h: f64, fill: &str) {
        let _ =
            writeln!(self.0, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{w:.2}\" height=\"{h:.1}\" fill=\"{fill}\"/>");
    }

    fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], stroke: &str, width: f64) {
        let _ = writeln!(
            self.0,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\" stroke-width=\"{width}\"/>"
        );
    }

    /// A dot with its interval for every scorer, from 0 to 1.
    fn panel(&mut self, left: f64, top: f64, width: f64, segment: &str, lines: &[&Figure]) {
        let Some(first) = lines.first() else { return };
        let coverage = 100.0 * first.by_query.coverage.value;
        let title = format!("{segment} \u{b7} {} queries, {coverage:.0} % covered", first.queries);
        self.text(left, top + 20.0, 12.0, INK, "600", "start", &title);
        let (from, to) = (left + 142.0, left + width - 44.0);
        let at = |value: f64| from + (to - from) * value;
        let bottom = top + 28.0 + LINE * lines.len() as f64;
        for tick in 0..=5 {
            let x = at(f64::from(tick) / 5.0);
            self.line([x, top + 26.0, x, bottom], RULE, 1.0);
            self.text(x, bottom + 11.0, 9.0, FAINT, "400", "middle", &format!("{:.1}", f64::from(tick) / 5.0));
        }
        for (i, line) in lines.iter().enumerate() {
            let y = top + 26.0 + LINE * (i as f64 + 0.5);
            let colour = match line.scorer.as_str() {
                "ltr" => "#1d4ed8",
                "prior" => "#0f766e",
                "oracle" => "#9ca3af",
                _ => "#4b5563",
            };
            let weight = if line.scorer == "ltr" { "600" } else { "400" };
            let mrr = line.by_query.mrr;
            self.text(from - 10.0, y + 4.0, 11.5, INK, weight, "end", &line.scorer);
            self.line([at(mrr.low), y, at(mrr.high), y], colour, 2.0);
            let _ = writeln!(self.0, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>", at(mrr.value));
            self.text(left + width, y + 4.0, 11.5, INK, weight, "end", &format!("{:.3}", mrr.value));
        }
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}
