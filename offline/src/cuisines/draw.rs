//! The map as a picture for people who plan campaigns: what is near goes together, what has one colour is one cluster.

use super::spectral::dot;
use super::tsne::{Plane, tsne};
use super::{Cluster, CuisineMap};
use std::fmt::Write;

/// The slide, in pixels: 16 to 9.
const WIDTH: f64 = 1600.0;
const HEIGHT: f64 = 900.0;
/// Where labels may be: left, top, right, bottom.
const FRAME: [f64; 4] = [36.0, 112.0, 1222.0, 858.0];
/// Left of the legend.
const LEGEND_LEFT: f64 = 1262.0;
/// About how many neighbours a cuisine has.
const PERPLEXITY: f64 = 12.0;
/// The best of so many t-SNE runs.
const STARTS: u64 = 8;
/// Letters of the least and of the most served, in pixels.
const LETTERS: (f64, f64) = (11.0, 27.0);
/// Larger letters are bold.
const BOLD: f64 = 15.0;
/// Air around a label.
const AIR: f64 = 2.0;
/// Moves of all labels: at first drawn home, then only apart.
const MOVES: (usize, usize) = (600, 3000);
/// Cluster colours: a mark, and a darker one for letters. Neighbours on the map get those that differ most.
const COLOURS: [(&str, &str); 20] = [
    ("#e4572e", "#a83210"),
    ("#2e86ab", "#155a78"),
    ("#5b9f3c", "#3a6f22"),
    ("#8e5bb5", "#653a8a"),
    ("#e0a100", "#8c6400"),
    ("#d1477f", "#9c2558"),
    ("#1ba39c", "#0c6f69"),
    ("#7a6a53", "#54472f"),
    ("#4a6fd4", "#2b4aa3"),
    ("#b5651d", "#7d420c"),
    ("#93a716", "#5f6d05"),
    ("#c83e4d", "#952433"),
    ("#5fa8d3", "#2a6f99"),
    ("#a8577e", "#7b3557"),
    ("#3d8b6e", "#1f6149"),
    ("#b28dd6", "#75489f"),
    ("#f08a4b", "#a8500f"),
    ("#667085", "#414a5c"),
    ("#cc7ab8", "#913f7d"),
    ("#7fb069", "#4b7a36"),
];

/// A label where it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Its id.
    pub id: usize,
    /// Its cluster.
    pub cluster: usize,
    /// Whether it stands where its parent does, and was not placed by itself.
    pub attached: bool,
    /// Left, top, width, height in pixels, with air.
    pub area: [f64; 4],
    /// Letters, in pixels.
    pub letters: f64,
    /// Where t-SNE put it.
    pub plane: (f64, f64),
}

/// The picture's parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Labels, the most served first; no two overlap.
    pub placed: Vec<Placed>,
    /// Labels for which there was no room.
    pub crowded_out: Vec<usize>,
    /// [`Plane::divergence`].
    pub divergence: f64,
}

/// Lays the placed labels of a map out: a seeded t-SNE of their directions, then moved apart as far as letters need.
#[must_use]
pub fn layout(map: &CuisineMap, seed: u64) -> Layout {
    let mut ids: Vec<usize> = (0..map.labels.len()).filter(|id| !map.weights[*id].is_empty()).collect();
    ids.sort_by(|a, b| map.merchants[*b].total_cmp(&map.merchants[*a]).then(a.cmp(b)));
    let Plane { points, divergence } = tsne(&squares(map, &ids), PERPLEXITY, seed, STARTS);
    let homes = spread(&points);

    let most = ids.first().map_or(1.0, |id| map.merchants[*id]);
    let letters = |id: usize| LETTERS.0 + (LETTERS.1 - LETTERS.0) * libm::sqrt(map.merchants[id] / most);
    let mut scale = 1.0;
    loop {
        let mut placed: Vec<Placed> = Vec::new();
        for ((id, home), plane) in ids.iter().zip(&homes).zip(&points) {
            let letters = letters(*id) * scale;
            let (width, height) =
                (mark(letters) * 2.0 + 3.0 + width(&spoken(&map.labels[*id]), letters), letters * 1.16);
            let area = [home.0 - width / 2.0 - AIR, home.1 - height / 2.0 - AIR, width + 2.0 * AIR, height + 2.0 * AIR];
            let (cluster, attached) = (usize::from(map.weights[*id][0].0), map.parents.contains_key(&map.labels[*id]));
            placed.push(Placed { id: *id, cluster, attached, area, letters, plane: *plane });
        }
        move_apart(&mut placed);
        // Smaller letters first; after that, the least served give way.
        let clashes = (1..placed.len()).any(|i| (0..i).any(|j| overlap(&placed[i].area, &placed[j].area).is_some()));
        if !clashes || scale < 0.8 {
            let mut kept: Vec<Placed> = Vec::new();
            let mut crowded_out = Vec::new();
            for one in placed {
                match kept.iter().any(|other| overlap(&one.area, &other.area).is_some()) {
                    true => crowded_out.push(one.id),
                    false => kept.push(one),
                }
            }
            return Layout { placed: kept, crowded_out, divergence };
        }
        scale *= 0.94;
    }
}

/// Squared distances between the directions of these labels.
fn squares(map: &CuisineMap, ids: &[usize]) -> Vec<Vec<f64>> {
    let direction = |id: &usize| {
        let row = &map.projection[*id];
        let length = libm::sqrt(dot(row, row));
        row.iter().map(|x| if length > 0.0 { x / length } else { 0.0 }).collect::<Vec<f64>>()
    };
    let rows: Vec<Vec<f64>> = ids.iter().map(direction).collect();
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum();
    rows.iter().map(|a| rows.iter().map(|b| square(a, b)).collect()).collect()
}

/// t-SNE's points in the frame, turned so that the longer side lies: a turn changes no distance.
fn spread(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>();
    let angle = 0.5 * libm::atan2(2.0 * sum(&|(x, y)| x * y), sum(&|(x, y)| x * x - y * y));
    let (sin, cos) = (libm::sin(angle), libm::cos(angle));
    let turned: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x * cos + y * sin, y * cos - x * sin)).collect();
    let range = |f: &dyn Fn(&(f64, f64)) -> f64| {
        turned.iter().map(f).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (if x < low { x } else { low }, if x > high { x } else { high })
        })
    };
    let (xs, ys) = (range(&|point| point.0), range(&|point| point.1));
    let scaled = |x: f64, (low, high): (f64, f64), from: f64, to: f64| {
        if high > low { from + (x - low) / (high - low) * (to - from) } else { (from + to) / 2.0 }
    };
    // Labels are wider than points: those at the rim need room.
    let [left, top, right, bottom] = [FRAME[0] + 60.0, FRAME[1] + 16.0, FRAME[2] - 60.0, FRAME[3] - 16.0];
    turned.into_iter().map(|(x, y)| (scaled(x, xs, left, right), scaled(y, ys, top, bottom))).collect()
}

/// How far two areas reach into each other, each way, if they do.
fn overlap(a: &[f64; 4], b: &[f64; 4]) -> Option<(f64, f64)> {
    let reach = |d: usize| {
        let (a, b) = ((a[d], a[d] + a[d + 2]), (b[d], b[d] + b[d + 2]));
        (if a.1 < b.1 { a.1 } else { b.1 }) - (if a.0 > b.0 { a.0 } else { b.0 })
    };
    let (x, y) = (reach(0), reach(1));
    (x > 1e-9 && y > 1e-9).then_some((x, y))
}

/// Moves overlapping labels apart, the shorter way, while each is drawn home; at last only apart.
fn move_apart(placed: &mut [Placed]) {
    let homes: Vec<[f64; 4]> = placed.iter().map(|one| one.area).collect();
    for step in 0..MOVES.0 + MOVES.1 {
        let homeward = if step < MOVES.0 { 0.02 * (1.0 - step as f64 / MOVES.0 as f64) } else { 0.0 };
        for (one, home) in placed.iter_mut().zip(&homes) {
            for (at, home) in one.area.iter_mut().zip(home).take(2) {
                *at += (home - *at) * homeward;
            }
        }
        let mut clashes = false;
        for i in 1..placed.len() {
            for j in 0..i {
                let Some((x, y)) = overlap(&placed[i].area, &placed[j].area) else { continue };
                clashes = true;
                // While drawn home, the way on which a smaller part of both clashes: labels are wide, and would else only pile
                // up. Then the shorter way.
                let (wide, high) = (placed[i].area[2] + placed[j].area[2], placed[i].area[3] + placed[j].area[3]);
                let upright = if homeward > 0.0 { y / high < x / wide } else { y < x };
                let d = usize::from(upright);
                let middle = |one: &Placed| one.area[d] + one.area[d + 2] / 2.0;
                let (a, b) = (middle(&placed[i]), middle(&placed[j]));
                let sign = if a > b || (a == b && placed[i].id > placed[j].id) { 1.0 } else { -1.0 };
                let push = sign * if d == 0 { x } else { y } * if homeward > 0.0 { 0.25 } else { 0.51 };
                placed[i].area[d] += push;
                placed[j].area[d] -= push;
            }
        }
        for one in placed.iter_mut() {
            for d in 0..2 {
                let last = FRAME[d + 2] - one.area[d + 2];
                one.area[d] = if one.area[d] < FRAME[d] { FRAME[d] } else { one.area[d] };
                one.area[d] = if one.area[d] > last { last } else { one.area[d] };
            }
        }
        if !clashes && homeward == 0.0 {
            return;
        }
    }
}

/// The radius of a label's dot.
fn mark(letters: f64) -> f64 {
    letters * 0.2 + 0.6
}

/// The width of a text in Helvetica, in pixels; the picture tells the browser to keep to it, whatever face it has.
fn width(text: &str, letters: f64) -> f64 {
    let thousandths = |c: char| match c {
        'i' | 'j' | 'l' | '\'' | '.' | ',' | '|' => 240.0,
        ' ' | 'f' | 't' | 'I' | '-' | '(' | ')' => 300.0,
        'r' => 345.0,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' => 500.0,
        'm' | 'M' | 'W' | '%' => 850.0,
        'w' => 722.0,
        c if c.is_uppercase() => 690.0,
        _ => 560.0,
    };
    let face = if letters > BOLD { 1.09 } else { 1.03 };
    text.chars().map(thousandths).sum::<f64>() / 1000.0 * letters * face
}

/// A label as a menu's heading writes it: every word large, since many are of a country.
fn spoken(label: &str) -> String {
    let large = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().filter(|_| word != "and");
        first.map_or_else(|| word.to_owned(), |first| first.to_uppercase().chain(letters).collect())
    };
    label.split('_').map(large).collect::<Vec<_>>().join(" ")
}

/// By cluster, a colour; clusters that are near each other differ most.
fn colours(layout: &Layout, clusters: &[Cluster]) -> Vec<usize> {
    let middle = |k: usize| {
        let own: Vec<&Placed> = layout.placed.iter().filter(|one| one.cluster == k).collect();
        let mean =
            |d: usize| own.iter().map(|one| one.area[d] + one.area[d + 2] / 2.0).sum::<f64>() / own.len().max(1) as f64;
        (mean(0), mean(1))
    };
    let middles: Vec<(f64, f64)> = (0..clusters.len()).map(middle).collect();
    let part = |hex: &str, at: usize| i64::from_str_radix(&hex[at..at + 2], 16).unwrap_or(0) as f64;
    let unlike = |a: usize, b: usize| {
        let (a, b) = (COLOURS[a].0, COLOURS[b].0);
        [1, 3, 5].iter().map(|at| (part(a, *at) - part(b, *at)) * (part(a, *at) - part(b, *at))).sum::<f64>()
    };
    let mut given: Vec<usize> = Vec::new();
    for k in 0..clusters.len() {
        let apart = |other: usize| {
            let (x, y) = (middles[k].0 - middles[other].0, middles[k].1 - middles[other].1);
            x * x + y * y + 1.0
        };
        // The worst neighbour decides: like colours may only be far.
        let worth = |colour: usize| {
            given.iter().enumerate().map(|(other, own)| unlike(colour, *own) * apart(other)).fold(
                f64::INFINITY,
                |least, x| {
                    if x < least { x } else { least }
                },
            )
        };
        let free = (0..COLOURS.len()).filter(|colour| !given.contains(colour));
        let best = free.reduce(|a, b| if worth(b) > worth(a) { b } else { a });
        given.push(best.unwrap_or(k % COLOURS.len()));
    }
    given
}

/// The whole picture as SVG, 1600 by 900 pixels, without anything from elsewhere.
#[must_use]
pub fn svg(map: &CuisineMap, seed: u64) -> String {
    let layout = layout(map, seed);
    let clusters = map.show();
    let colour = colours(&layout, &clusters);
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = draw(&mut out, map, &layout, &clusters, &colour);
    out
}

fn draw(
    out: &mut String,
    map: &CuisineMap,
    layout: &Layout,
    clusters: &[Cluster],
    colour: &[usize],
) -> std::fmt::Result {
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="Inter, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif" data-divergence="{:.6}">"#,
        layout.divergence
    )?;
    let simulated = map.simulated.as_deref().map(|note| format!(" {note}")).unwrap_or_default();
    let said = format!(
        "{} cuisines of {} merchants and chains in {} groups. Near means often on the same menus; letters grow with how many serve it.{simulated}",
        map.labels.len() - map.unplaced.len(),
        grouped(map.n_owners),
        map.n_clusters,
    );
    writeln!(out, "<title>Which cuisines go together</title>")?;
    writeln!(out, "<desc>{}</desc>", escaped(&said))?;
    writeln!(out, r##"<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>"##)?;
    writeln!(
        out,
        r##"<text x="36" y="58" font-size="34" font-weight="700" fill="#1d2433">Which cuisines go together</text>"##
    )?;
    writeln!(out, r##"<text x="36" y="88" font-size="16.5" fill="#5b6475">{}</text>"##, escaped(&said))?;

    for k in 0..clusters.len() {
        writeln!(out, r#"<g fill="{}" opacity="0.13">"#, COLOURS[colour[k]].0)?;
        for one in layout.placed.iter().filter(|one| one.cluster == k) {
            let [x, y, w, h] = one.area;
            writeln!(
                out,
                r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="{:.1}"/>"#,
                x - 7.0,
                y - 7.0,
                w + 14.0,
                h + 14.0,
                h / 2.0 + 7.0
            )?;
        }
        writeln!(out, "</g>")?;
    }
    for one in &layout.placed {
        let ([x, y, w, h], (bright, dark)) = (one.area, COLOURS[colour[one.cluster]]);
        let (radius, middle) = (mark(one.letters), y + h / 2.0);
        let text = spoken(&map.labels[one.id]);
        let fill = if one.attached { r##"fill="#ffffff""##.to_owned() } else { format!(r#"fill="{bright}""#) };
        writeln!(
            out,
            r#"<circle cx="{:.1}" cy="{middle:.1}" r="{radius:.1}" {fill} stroke="{bright}" stroke-width="1.2" data-label="{}" data-x="{:.4}" data-y="{:.4}"/>"#,
            x + AIR + radius,
            escaped(&map.labels[one.id]),
            one.plane.0,
            one.plane.1,
        )?;
        writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" font-size="{:.1}" fill="{dark}" textLength="{:.1}" lengthAdjust="spacingAndGlyphs"{}>{}</text>"#,
            x + AIR + radius * 2.0 + 3.0,
            middle + one.letters * 0.35,
            one.letters,
            w - 2.0 * AIR - radius * 2.0 - 3.0,
            if one.letters > BOLD { r#" font-weight="600""# } else { "" },
            escaped(&text)
        )?;
    }
    legend(out, map, clusters, colour)?;
    let unplaced = match map.unplaced.len() {
        0 => String::new(),
        n => format!(" Not on the map, since nothing says where: {n} labels."),
    };
    let crowded = match layout.crowded_out.len() {
        0 => String::new(),
        n => format!(" No room: {n} labels."),
    };
    let notes = [
        format!(
            "Filled: placed by the menus it shares. Ring: on no menu with another, stands with its parent.{unplaced}{crowded}"
        ),
        map.credits.join(" · "),
    ];
    for (note, y) in notes.iter().zip([876.0, 891.0]) {
        writeln!(out, r##"<text x="36" y="{y}" font-size="11" fill="#8a92a3">{}</text>"##, escaped(note))?;
    }
    writeln!(out, "</svg>")
}

/// Groups with what most merchants serve of each, and how many that is.
fn legend(out: &mut String, map: &CuisineMap, clusters: &[Cluster], colour: &[usize]) -> std::fmt::Result {
    let total: f64 = clusters.iter().map(|cluster| cluster.merchants).sum();
    let pitch = (FRAME[3] - FRAME[1]) / clusters.len().max(1) as f64;
    let pitch = if pitch > 52.0 { 52.0 } else { pitch };
    writeln!(
        out,
        r##"<text x="{LEGEND_LEFT}" y="88" font-size="12.5" fill="#8a92a3">Groups, and their share of all that merchants serve</text>"##
    )?;
    let mut sorted: Vec<&Cluster> = clusters.iter().collect();
    sorted.sort_by(|a, b| b.merchants.total_cmp(&a.merchants).then(a.cluster.cmp(&b.cluster)));
    for (line, cluster) in sorted.into_iter().enumerate() {
        let k = usize::from(cluster.cluster);
        let y = FRAME[1] + pitch * (line as f64 + 0.42);
        // A label is told where most of it belongs; a group is not named for what can reveal religion or health.
        let own =
            cluster.labels.iter().filter(|(label, _)| !map.vocabulary.is_sensitive(label)).filter(|(label, _)| {
                map.id(label)
                    .is_some_and(|id| map.weights(id).first().is_some_and(|(first, _)| *first == cluster.cluster))
            });
        let names: Vec<String> = own.take(5).map(|(label, _)| spoken(label)).collect();
        let (head, rest) = names.split_at(names.len().min(2));
        let share = format!("{:.0} %", 100.0 * cluster.merchants / if total > 0.0 { total } else { 1.0 });
        let (bright, dark) = COLOURS[colour[k]];
        writeln!(
            out,
            r#"<rect x="{LEGEND_LEFT}" y="{:.1}" width="12" height="12" rx="6" fill="{bright}"/>"#,
            y - 10.5
        )?;
        writeln!(
            out,
            r#"<text x="{:.1}" y="{y:.1}" font-size="15" font-weight="600" fill="{dark}">{}</text>"#,
            LEGEND_LEFT + 20.0,
            escaped(&head.join(", "))
        )?;
        writeln!(
            out,
            r##"<text x="{:.1}" y="{y:.1}" font-size="13" text-anchor="end" fill="#5b6475">{share}</text>"##,
            WIDTH - 36.0
        )?;
        writeln!(
            out,
            r##"<text x="{:.1}" y="{:.1}" font-size="11.5" fill="#7a8294">{}</text>"##,
            LEGEND_LEFT + 20.0,
            y + 15.0,
            escaped(&rest.join(", "))
        )?;
    }
    Ok(())
}

/// With a thin space between thousands.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
