//! The page of a recording, before anybody trains on it: `striate inspect REC --report`.

use super::figure::{Block, Figure, Section};
use super::page::{Known, Page};
use super::plot::{Axis, BLUE, Frame, GREY, Mark, PURPLE, Svg, Text, WIDTH, hex, shown};
use super::sections::{Coloured, Gallery, Number, Scatter, Tile, bins, count, histogram};
use super::source::Source;
use super::{Written, write};
use crate::recording::ceiling::ceiling;
use crate::recording::preprocess::{normalised_responses, response_scale};
use crate::recording::{Description, Recording, Tier};
use crate::table::{Column, Table};
use crate::{Result, statistics};
use ndarray::Axis as Along;
use std::path::Path;

/// Images that are shown.
const IMAGES: usize = 20;
/// Neurons whose repeats are shown.
const NEURONS: usize = 6;

/// Writes the page of a recording at `home` into `out` (by default into the recording), and its figures into the recording.
///
/// # Errors
/// When a file cannot be written.
pub fn report(
    recording: &Recording,
    of: &Description,
    home: &Path,
    out: Option<&Path>,
) -> Result<Written> {
    let neurons = Source::of_one(home, &recording.name, recording.neuron_count());
    let repeats = recording.repeats(Tier::Test);
    let scale = response_scale(recording);
    let normalised = normalised_responses(recording, scale.view());
    let ceiling = ceiling(&repeats, normalised.view())?;
    let column = |name: &str| ceiling.numbers(name).unwrap_or_default().to_vec();
    let (oracle, highest) = (column("oracle_correlation"), column("maximum_correlation"));
    let mut sections = vec![
        images(recording),
        responses(recording),
        noise(recording, &neurons, (&oracle, &highest), &repeats),
        cells(recording, &neurons, &highest),
        warnings(of),
    ];
    sections.push(provenance(of, home));
    let page = Page {
        title: format!("striate: recording {}", recording.name),
        about: format!(
            "{} neurons, {} images of {} x {} pixels, {} trials{}. Point at a neuron in a figure to see its number and noise ceiling.",
            of.neurons,
            of.images,
            of.height,
            of.width,
            recording.trials.len(),
            of.source
                .as_ref()
                .map_or(String::new(), |s| format!("; {s}")),
        ),
        numbers: numbers(of),
        sections,
        known: Known {
            names: vec![recording.name.clone()],
            neurons: neurons.neurons.clone(),
            columns: vec![("noise ceiling".into(), highest), ("oracle".into(), oracle)],
        },
        files: None,
    };
    write(page, home, out)
}

fn numbers(of: &Description) -> Vec<Number> {
    let number = |words: &str, value: f64, file: &str, column: &str, statistic| Number {
        words: words.into(),
        value,
        table: file.into(),
        column: column.into(),
        statistic,
    };
    let mut all = vec![
        number(
            "neurons",
            of.neurons as f64,
            "responses.npy",
            "neuron",
            "count",
        ),
        number("images", of.images as f64, "images.npy", "image", "count"),
        number(
            "silent neurons",
            of.silent_neurons as f64,
            "responses.npy",
            "neuron",
            "silent",
        ),
        number(
            "share of responses not recorded",
            of.unrecorded,
            "responses.npy",
            "response",
            "missing",
        ),
    ];
    let c = &of.ceiling;
    for (words, value, column) in [
        (
            "mean noise ceiling",
            c.maximum_correlation,
            "maximum_correlation",
        ),
        (
            "mean oracle correlation",
            c.oracle_correlation,
            "oracle_correlation",
        ),
        ("mean explainable variance", c.fev, "fev"),
    ] {
        if value.is_finite() {
            all.push(number(words, value, "responses.npy", column, "mean"));
        }
    }
    all
}

/// Example images, and the grey levels of all.
fn images(recording: &Recording) -> Section {
    let mut section = Section::new(
        "Images",
        "What the neurons saw: examples from each tier, and the grey levels of all.",
    );
    let (h, w) = (recording.height(), recording.width());
    let grey = recording.images.iter().map(|v| f64::from(*v));
    let (low, high) = grey.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
        (l.min(v), h.max(v))
    });
    let middle = 0.5 * (low + high);
    let mut tiles = Vec::new();
    for tier in Tier::ALL {
        let all = recording.images_of(tier);
        let wanted = match tier {
            Tier::Train => IMAGES / 2,
            _ => IMAGES / 4,
        };
        let step = (all.len() / wanted).max(1);
        for &image in all.iter().step_by(step).take(wanted) {
            let pixels = recording.images.index_axis(Along(0), image);
            tiles.push(Tile {
                label: format!("{tier} {image}"),
                title: format!("image {image}, {tier}"),
                neuron: None,
                // The gallery's scale is around 0.
                pixels: Some(pixels.iter().map(|v| f64::from(*v) - middle).collect()),
                size: (h, w),
            });
        }
    }
    let unit = format!("around grey level {}", shown(middle));
    let caption = format!(
        "Images from every tier, with their rows in images.npy; one grey scale. {} of {}.",
        count(tiles.len(), "image", "images"),
        recording.images.len_of(Along(0))
    );
    section.draw_some(
        Gallery {
            words: ["example-images", "Example images"],
            caption,
            heads: Vec::new(),
            sides: Vec::new(),
            rows: Gallery::wrapped(tiles, 5),
            by_column: false,
            unit: &unit,
        }
        .draw(),
    );
    let values: Vec<f64> = recording.images.iter().map(|v| f64::from(*v)).collect();
    let see =
        "Grey levels of all pixels of all images. Peaks at either end: images were cut off there.";
    section.draw_some(bars(
        &values,
        ["grey-levels", "Grey levels", "grey level"],
        "pixels",
        see,
        ("pixel", "pixels"),
    ));
    section
}

/// How responses are spread.
fn responses(recording: &Recording) -> Section {
    let mut section = Section::new(
        "Responses",
        "How strongly neurons respond, how differently, and how often they were recorded.",
    );
    let unit = recording
        .response_unit
        .as_deref()
        .unwrap_or("recording\u{2019}s unit");
    let per_neuron: Vec<Vec<f64>> = recording
        .responses
        .axis_iter(Along(1))
        .map(|n| {
            n.iter()
                .filter(|r| !r.is_nan())
                .map(|r| f64::from(*r))
                .collect()
        })
        .collect();
    let means: Vec<f64> = per_neuron.iter().map(|r| statistics::mean(r)).collect();
    let see = "Mean response of each neuron over all its trials. A long tail to the right: few neurons carry most of the loss.";
    let label = format!("mean response ({unit})");
    section.draw_some(bars(
        &means,
        ["mean-responses", "Mean responses", &label],
        "neurons",
        see,
        ("neuron", "neurons"),
    ));
    let silent: Vec<f64> = per_neuron
        .iter()
        .map(|r| r.iter().filter(|r| **r == 0.0).count() as f64 / r.len() as f64)
        .collect();
    let see = "Share of a neuron\u{2019}s trials without any response. At 1 it never responds.";
    section.draw_some(bars(
        &silent,
        [
            "silent-trials",
            "Trials without response",
            "share of trials with response 0",
        ],
        "neurons",
        see,
        ("neuron", "neurons"),
    ));
    let sparseness: Vec<f64> = per_neuron
        .iter()
        .map(|r| {
            let (mean, square) = (
                statistics::mean(r),
                r.iter().map(|v| v * v).sum::<f64>() / r.len() as f64,
            );
            (1.0 - mean * mean / square) / (1.0 - 1.0 / r.len() as f64)
        })
        .collect();
    let see = "Lifetime sparseness (Vinje and Gallant 2000): 0 for a neuron that answers every trial alike, 1 for one that answers a single trial.";
    section.draw_some(bars(
        &sparseness,
        [
            "sparseness",
            "Lifetime sparseness",
            "sparseness over trials",
        ],
        "neurons",
        see,
        ("neuron", "neurons"),
    ));
    section
}

/// What repeats of the test images say.
fn noise(
    recording: &Recording,
    who: &Source,
    (oracle, highest): (&[f64], &[f64]),
    repeats: &[Vec<usize>],
) -> Section {
    let mut section = Section::new(
        "Noise",
        "How reliably neurons respond to repeated test images: no model can predict more than that.",
    );
    let counts: Vec<f64> = repeats.iter().map(|r| r.len() as f64).collect();
    if counts.iter().all(|c| *c < 2.0) {
        section.note("No test image was shown more than once: there is no noise ceiling.");
        return section;
    }
    let see = "How often each test image was shown.";
    section.draw_some(bars(
        &counts,
        ["repeats", "Repeats of test images", "trials of an image"],
        "images",
        see,
        ("image", "images"),
    ));
    let see = "Noise ceiling of each neuron: the correlation with the average over repeats that its true rates would reach.";
    section.draw_some(bars(
        highest,
        ["noise-ceilings", "Noise ceilings", "maximum correlation"],
        "neurons",
        see,
        ("neuron", "neurons"),
    ));
    let scatter = Scatter {
        words: [
            "oracle-and-ceiling",
            "Oracle and noise ceiling",
            "Oracle (single trials from the mean of the other repeats) against the noise ceiling of the average: both say how reliable a neuron is.",
        ],
        x: ("noise ceiling (maximum correlation)", highest),
        y: ("oracle correlation", oracle),
        columns: ["maximum_correlation", "oracle_correlation"],
        alike: true,
        colour: PURPLE,
    };
    section.draw_some(scatter.draw(who));
    section.draw_some(rasters(recording, who, highest, repeats));
    section
}

/// Trials of repeated images for the most reliable neurons.
fn rasters(
    recording: &Recording,
    who: &Source,
    highest: &[f64],
    repeats: &[Vec<usize>],
) -> Option<Figure> {
    const SHOWN: usize = 30;
    let chosen = who.best(&who.all(), Some(highest), NEURONS);
    let images: Vec<&Vec<usize>> = repeats.iter().filter(|r| r.len() > 1).take(SHOWN).collect();
    if chosen.is_empty() || images.is_empty() {
        return None;
    }
    let (wide, high) = (WIDTH - 72.0, 66.0);
    let mut svg = Svg::new(chosen.len() as f64 * high + 40.0);
    let (dot, line) = (hex(GREY), hex(BLUE));
    let (mut neurons, mut at, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (i, &n) in chosen.iter().enumerate() {
        let trials: Vec<Vec<f64>> = images
            .iter()
            .map(|t| {
                t.iter()
                    .map(|&t| f64::from(recording.responses[(t, n)]))
                    .filter(|v| !v.is_nan())
                    .collect()
            })
            .collect();
        let frame = Frame::new(
            [56.0, 18.0 + i as f64 * high, wide, high - 24.0],
            Axis::new("repeated test image", -0.5, images.len() as f64 - 0.5),
            Axis::from_zero("", trials.iter().flatten()),
        );
        frame.axes_with(&mut svg, i + 1 == chosen.len(), true);
        for (image, own) in trials.iter().enumerate() {
            for value in own {
                svg.disc(
                    frame.at(image as f64, *value),
                    1.4,
                    &Mark::area(&dot).opacity(0.6).class("trial"),
                );
                neurons.push(n);
                at.push(image as f64);
                values.push(*value);
            }
        }
        let means: Vec<f64> = trials.iter().map(|t| statistics::mean(t)).collect();
        let xs: Vec<f64> = (0..images.len()).map(|i| i as f64).collect();
        frame.curve(
            &mut svg,
            &xs,
            &means,
            &Mark::line(&line, 1.4).class("curve"),
        );
        let words = format!("neuron {n}, noise ceiling {}", shown(highest[n]));
        svg.text((56.0, frame.top - 3.0), &words, Text::start(9.5));
    }
    let how = Text {
        turned: true,
        ..Text::middle(11.0)
    };
    svg.text((12.0, chosen.len() as f64 * high / 2.0), "response", how);
    let title = "Repeats";
    let caption = format!(
        "Responses of the {} most reliable neurons to repeated test images: every trial (grey) and the mean (blue). The ceiling is high where means differ more than trials scatter. {}.",
        chosen.len(),
        count(images.len(), "image", "images")
    );
    let data = who
        .who(&neurons)
        .with("image", Column::Number(at))
        .with("response", Column::Number(values));
    Some(Figure::new(
        "repeated-images",
        title,
        caption,
        svg.finish(title),
        data,
    ))
}

/// Where the cells are in the brain, as far as the recording says.
fn cells(recording: &Recording, who: &Source, highest: &[f64]) -> Section {
    let mut section = Section::new(
        "Cells",
        "Where the neurons are in the tissue, and which were seen twice.",
    );
    let place = recording.neurons.as_ref().and_then(|table| {
        let found = who.found(table.clone());
        Some((found.values("x")?, found.values("y")?, found))
    });
    let Some((x, y, found)) = place else {
        section.note("Positions: not known, neurons.csv has no columns x and y.");
        return section;
    };
    let coloured =
        |name: &str, title: &str, words: &str, column: &str, values: &[f64], see: &str| {
            Coloured {
                words: [name, title],
                axes: ["x (\u{b5}m)", "y (\u{b5}m)"],
                columns: ["x", "y", column],
                x: &x,
                y: &y,
                values: (words, values),
            }
            .draw(who, see)
        };
    section.draw_some(coloured(
        "cell-ceilings",
        "Noise ceiling over the tissue",
        "noise ceiling",
        "maximum_correlation",
        highest,
        "Each neuron at its place, coloured by its noise ceiling: a gradient means that the recording is better in one place than in another.",
    ));
    if let Some(z) = found.values("z") {
        section.draw_some(coloured(
            "cell-depths",
            "Depth",
            "z (\u{b5}m)",
            "z",
            &z,
            "Each neuron at its place, coloured by its depth.",
        ));
    }
    match found.words("duplicate_of") {
        Some(words) => {
            let copies: Vec<f64> = words
                .iter()
                .map(|w| f64::from(u8::from(!w.trim().is_empty())))
                .collect();
            let doubled = copies.iter().sum::<f64>() as usize;
            section.draw_some(coloured(
                "duplicates",
                "Cells that were seen twice",
                "1: a copy of another",
                "is_copy",
                &copies,
                &format!("{doubled} neurons are copies of another one in neurons.csv (duplicate_of): they count twice in every mean."),
            ));
        }
        None => section.note("Duplicates: not known, neurons.csv has no column duplicate_of."),
    }
    section
}

fn warnings(of: &Description) -> Section {
    let mut section = Section::new("Warnings", "What to know before training.");
    if of.warnings.is_empty() {
        section.note("None.");
    }
    of.warnings
        .iter()
        .for_each(|w| section.note(w.replace('`', "'")));
    section
}

fn provenance(of: &Description, home: &Path) -> Section {
    let mut section = Section::new("Provenance", "Where this page comes from.");
    let place = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
    let mut rows = vec![
        ["striate".to_string(), env!("CARGO_PKG_VERSION").to_string()],
        ["recording".into(), place.display().to_string()],
    ];
    if let Some(source) = &of.source {
        rows.push(["source".into(), source.clone()]);
    }
    for tier in &of.tiers {
        let repeats = match tier.repeats_max {
            0 => String::new(),
            most => format!(", repeats {} to {most}", tier.repeats_min),
        };
        rows.push([
            tier.tier.into(),
            format!("{} trials of {} images{repeats}", tier.trials, tier.images),
        ]);
    }
    let rows = rows.into_iter().map(|r| r.to_vec()).collect();
    section
        .blocks
        .push(Block::Table(vec!["what".into(), "value".into()], rows));
    section
}

/// A histogram over the whole range of some values.
fn bars(
    values: &[f64],
    [name, title, label]: [&str; 3],
    what: &str,
    see: &str,
    (one, many): (&str, &str),
) -> Option<Figure> {
    let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let low = known.iter().copied().fold(f64::INFINITY, f64::min);
    let high = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if known.is_empty() {
        return None;
    }
    // Counts get a bar each, around their number.
    let counts = known.iter().all(|v| v.fract() == 0.0) && high - low < 30.0;
    let (low, high) = match counts || low == high {
        true => (low - 0.5, high + 0.5),
        false => (low, high),
    };
    let bins_of = if counts {
        (high - low).round() as usize
    } else {
        30
    };
    let all = histogram(&known, low, high, bins_of);
    let heights: Vec<f64> = all.iter().map(|b| b.2).collect();
    let mut svg = Svg::new(232.0);
    let frame = Frame::new(
        [56.0, 10.0, WIDTH - 72.0, 180.0],
        Axis::new(label, low, high),
        Axis::from_zero(what, &heights),
    );
    frame.axes(&mut svg);
    let fill = hex(BLUE);
    frame.bars(&mut svg, &all, &Mark::area(&fill).class("bar"));
    let caption = format!("{see} {}.", count(known.len(), one, many));
    let data: Table = bins(&all, what);
    Some(Figure::new(name, title, caption, svg.finish(title), data))
}
