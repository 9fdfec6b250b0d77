//! Clusters against the rest of the population, in every index.

use super::indices::words_of;
use super::shared::count;
use crate::report::figure::Figure;
use crate::report::plot::{Axis, Frame, Mark, Svg, Text, WIDTH, bar, matrix, ramp};
use crate::report::source::Found;

/// p-value below which a cluster counts as different.
const ALPHA: f64 = crate::report::ALPHA;

/// Each cluster against all other neurons in each index, beside shuffled labels.
pub fn tests(found: &Found, random: Option<&Found>) -> Option<Figure> {
    let clusters = found.column("cluster");
    let names = found.table.text("index")?;
    let count_of = clusters.iter().copied().fold(f64::NAN, f64::max) as usize + 1;
    let mut indices: Vec<&str> = Vec::new();
    for name in &names {
        if !indices.contains(&name.as_str()) {
            indices.push(name);
        }
    }
    let n = indices.len();
    if n == 0 || clusters.is_empty() {
        return None;
    }
    let high = (200.0 / count_of as f64).clamp(5.0, 16.0);
    let (top, tall) = (20.0, high * count_of as f64);
    let mut svg = Svg::new(top + tall + 84.0);
    let width = 106.0;
    let mut different = Vec::new();
    for (part, (table, title)) in [(Some(found), "clusters"), (random, "shuffled labels")]
        .into_iter()
        .enumerate()
    {
        let Some(table) = table else { continue };
        let left = 42.0 + part as f64 * (width + 22.0);
        let (own, label) = (table.column("cluster"), table.table.text("index")?);
        let (statistic, p) = (table.column("statistic"), table.column("p_value"));
        let mut cells = vec![f64::NAN; count_of * n];
        let mut some = vec![false; count_of];
        let each = width / n as f64;
        let mut dots = Vec::new();
        for row in 0..own.len() {
            let (Some(i), k) = (
                indices.iter().position(|x| *x == label[row]),
                own[row] as usize,
            ) else {
                continue;
            };
            if k < count_of {
                cells[k * n + i] = statistic[row];
                if p[row] < ALPHA {
                    some[k] = true;
                    dots.push((
                        left + (i as f64 + 0.5) * each,
                        top + (k as f64 + 0.5) * high,
                    ));
                }
            }
        }
        different.push(some.iter().filter(|s| **s).count());
        svg.picture(
            [left, top, width, tall],
            &matrix(&cells, n, ramp),
            false,
            &Mark::default().class("matrix"),
        );
        for at in dots {
            svg.disc(
                at,
                (high / 5.0).clamp(1.0, 2.2),
                &Mark::area("#000000").class("different"),
            );
        }
        let step = count_of.div_ceil(12);
        let ticks = (0..count_of)
            .step_by(step)
            .map(|k| ((count_of - 1 - k) as f64 + 0.5, k.to_string()))
            .collect();
        let frame = Frame::new(
            [left, top, width, tall],
            Axis::new("", 0.0, n as f64).with_ticks(Vec::new()),
            Axis::new("cluster", 0.0, count_of as f64).with_ticks(ticks),
        );
        frame.axes_with(&mut svg, false, part == 0);
        let bold = Text {
            bold: true,
            ..Text::start(10.5)
        };
        svg.text((left, top - 6.0), title, bold);
        for (i, name) in indices.iter().enumerate() {
            let how = Text {
                turned: true,
                ..Text::end(9.5)
            };
            svg.text(
                (left + (i as f64 + 0.5) * each + 3.5, top + tall + 6.0),
                words_of(name),
                how,
            );
        }
    }
    bar(
        &mut svg,
        (WIDTH - 56.0, top + 4.0, (tall - 8.0).clamp(60.0, 180.0)),
        0.0,
        1.0,
        "KS statistic",
    );
    let title = "Clusters against the rest";
    let shuffled = different
        .get(1)
        .map_or(String::new(), |d| format!(", of shuffled ones {d}"));
    let caption = format!(
        "How far the distribution of each index in a cluster is from that of all other neurons (Kolmogorov-Smirnov); a dot where p < {ALPHA}. Of {}, {} differ in one index or more{shuffled}.",
        count(count_of, "cluster", "clusters"),
        different.first().unwrap_or(&0)
    );
    Some(Figure::new(
        "cluster-tests",
        title,
        caption,
        svg.finish(title),
        found.table.clone(),
    ))
}
