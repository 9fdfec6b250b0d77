//! Gabors that were picked to drive many neurons, and images that were made to drive a neuron to a rate.

use super::galleries::image_size;
use super::images::{Gallery, Tile};
use super::shared::{Scatter, count, lines};
use crate::report::figure::{Figure, Section};
use crate::report::plot::{BLUE, shown};
use crate::report::source::{Found, Source};
use crate::stimuli::Gabor;
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// Images of a gallery.
const SHOWN: usize = 30;
/// Neurons whose synthesised images are shown.
const NEURONS: usize = 8;

/// Selected Gabors.
pub fn selected(run: &Source) -> Section {
    let mut section = Section::new(
        "Selected Gabors",
        "Few Gabors that drive many neurons, in the order in which they were picked.",
    );
    match run.table("selected_gabors.csv") {
        Ok(found) => {
            section.draw_some(gabors(run, &found));
            let (pick, share) = (found.column("pick"), found.column("cumulative_share"));
            let caption = format!(
                "Share of the neurons that at least one of the first Gabors drives well enough. {}.",
                count(pick.len(), "Gabor", "Gabors")
            );
            let words = ["selected-share", "Neurons reached", &*caption];
            let curves: [(&str, &[f64], _, _); 1] = [("cumulative_share", &share, BLUE, "")];
            section.draw_some(lines(
                words,
                ("Gabors", &pick),
                "share of neurons",
                &curves,
                false,
            ));
        }
        Err(lack) => section.lack("Selected Gabors", &lack, "select-gabors RUN"),
    }
    section
}

fn gabors(run: &Source, found: &Found) -> Option<Figure> {
    let (h, w) = image_size(run)?;
    let of = |name: &str| found.column(name);
    let [x, y, size, frequency, orientation, phase, contrast] = [
        "x",
        "y",
        "size",
        "frequency",
        "orientation",
        "phase",
        "contrast",
    ]
    .map(of);
    let newly = of("newly_reached");
    let all = [
        &y,
        &size,
        &frequency,
        &orientation,
        &phase,
        &contrast,
        &newly,
    ];
    if all.iter().any(|c| c.len() != x.len()) {
        return None;
    }
    let tile = |row: usize| {
        let gabor = Gabor {
            x: x[row],
            y: y[row],
            size: size[row],
            frequency: frequency[row],
            contrast: contrast[row],
            orientation: orientation[row],
            phase: phase[row],
        };
        Tile {
            label: format!("+{}", newly[row]),
            title: format!("Gabor {}, reaches {} more neurons", row + 1, newly[row]),
            neuron: None,
            pixels: (gabor.size > 0.0).then(|| gabor.draw(h, w).into_iter().collect()),
            size: (h, w),
        }
    };
    let tiles: Vec<Tile> = (0..x.len().min(SHOWN)).map(tile).collect();
    let caption = format!(
        "The Gabors in their order; below each how many neurons it reaches that none before did. One grey scale. {} of {}.",
        count(tiles.len(), "Gabor", "Gabors"),
        x.len()
    );
    Gallery {
        words: ["selected-gabors", "Selected Gabors"],
        caption,
        heads: Vec::new(),
        sides: Vec::new(),
        rows: Gallery::wrapped(tiles, 5),
        by_column: false,
        unit: "(z-scored grey level)",
    }
    .draw()
}

/// Synthesised images.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Synthesised images",
        "Images that were made to drive a neuron to a given percentile of its own responses.",
    );
    let found = match run.table("synthesized.csv") {
        Ok(found) => found,
        Err(lack) => {
            section.lack("Synthesised images", &lack, "synthesize RUN");
            return section;
        }
    };
    match run.array("synthesized.npy", &found.table, "synthesized.csv") {
        Ok(array) => section.draw_some(images(&found, &array)),
        Err(lack) => section.lack("Synthesised images", &lack, "synthesize RUN"),
    }
    let rows: Vec<usize> = (0..found.table.rows()).collect();
    let (target, response) = (found.column("target"), found.column("response"));
    let scatter = Scatter {
        words: [
            "synthesized-responses",
            "Wanted and reached",
            "Predicted response to each synthesised image against the response that was wanted; on the dashed line the aim was met.",
        ],
        x: ("wanted response", &target),
        y: ("predicted response", &response),
        columns: ["target", "response"],
        alike: true,
        colour: BLUE,
    };
    // Rows of this table are images, of which a neuron has several.
    section.draw_some(scatter.draw_rows(&rows, &found.table));
    section
}

/// A row per neuron, a column per percentile.
fn images(found: &Found, array: &ArrayD<f32>) -> Option<Figure> {
    let &[count_of, h, w] = array.shape() else {
        return None;
    };
    let (neuron, percentile) = (found.column("neuron"), found.column("percentile"));
    let (target, response) = (found.column("target"), found.column("response"));
    if neuron.len() != count_of || percentile.len() != count_of {
        return None;
    }
    let names = found.table.text("recording");
    let mut heads: Vec<f64> = percentile.clone();
    heads.sort_by(f64::total_cmp);
    heads.dedup();
    let mut by_neuron: BTreeMap<(String, i64), Vec<usize>> = BTreeMap::new();
    for row in 0..count_of {
        let name = names.as_ref().map_or_else(String::new, |n| n[row].clone());
        by_neuron
            .entry((name, neuron[row] as i64))
            .or_default()
            .push(row);
    }
    let all = array.as_slice()?;
    let shown_of = by_neuron.len();
    let mut rows = Vec::new();
    let mut sides = Vec::new();
    for ((name, n), own) in by_neuron.into_iter().take(NEURONS) {
        let tile = |p: &f64| {
            let row = own.iter().copied().find(|&r| percentile[r] == *p);
            Tile {
                label: row.map_or(String::new(), |r| {
                    format!("{} / {}", shown(response[r]), shown(target[r]))
                }),
                title: row.map_or(String::new(), |r| {
                    format!(
                        "neuron {n} {name}, percentile {p}: wanted {}, reached {}",
                        shown(target[r]),
                        shown(response[r])
                    )
                }),
                neuron: None,
                pixels: row
                    .and_then(|r| all.get(r * h * w..(r + 1) * h * w))
                    .map(|v| v.iter().map(|p| f64::from(*p)).collect()),
                size: (h, w),
            }
        };
        rows.push(heads.iter().take(8).map(tile).collect());
        sides.push(n.to_string());
    }
    let caption = format!(
        "A row per neuron, a column per percentile of its training responses; below each image the predicted and the wanted response. One grey scale. {} of {}.",
        count(rows.len(), "neuron", "neurons"),
        shown_of
    );
    Gallery {
        words: ["synthesized", "Synthesised images"],
        caption,
        heads: heads.iter().take(8).map(|p| format!("{p} %")).collect(),
        sides,
        rows,
        by_column: false,
        unit: "(z-scored grey level)",
    }
    .draw()
}
