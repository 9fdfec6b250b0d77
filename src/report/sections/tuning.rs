//! Tuning curves of a few neurons, with their indices.

use super::surfaces::{plaid, size_contrast};
use crate::npy::Archive;
use crate::report::figure::{Figure, Place, Section};
use crate::report::plot::{Axis, BLUE, Frame, Mark, Svg, Text, WIDTH, fit, hex, shown};
use crate::report::source::{Found, Lack, Source};
use crate::table::{Column, Table};
use std::f64::consts::TAU;

/// Neurons that are shown.
const SHOWN: usize = 6;
/// In a row.
pub const COLUMNS: usize = 3;

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Tuning curves",
        "In-silico experiments with each neuron\u{2019}s optimal Gabor: its orientation, its phase, its size and contrast, and a plaid with the orthogonal Gabor.",
    );
    let found = match run.table("tuning.csv") {
        Ok(found) => found,
        Err(lack) => {
            section.lack("Tuning curves", &lack, "tune RUN");
            return section;
        }
    };
    let mut archive = match run.archive("tuning.npz") {
        Ok(archive) => archive,
        Err(lack) => {
            section.lack("Tuning curves", &lack, "tune RUN");
            return section;
        }
    };
    let (chosen, how) = neurons(run, &found);
    section.note(format!(
        "Neurons: {how}. The same ones in all figures of this section."
    ));
    for figure in [orientation, phase, size_contrast, plaid] {
        match figure(run, &found, &mut archive, &chosen) {
            Ok(figure) => section.draw(figure),
            Err(why) => section.lack("Tuning curves", &Lack::Unusable(why), "tune RUN"),
        }
    }
    section
}

/// The best-predicted neuron of each of the largest clusters, or the best-predicted of all.
fn neurons(run: &Source, found: &Found) -> (Vec<usize>, &'static str) {
    let scores = run.scores();
    let tuned: Vec<usize> = run
        .all()
        .into_iter()
        .filter(|&n| found.row(n).is_some())
        .collect();
    let Some(labels) = run.clusters() else {
        let how = match scores {
            Some(_) => "the best-predicted ones",
            None => "the first ones (without scores and clusters)",
        };
        return (run.best(&tuned, scores.as_deref(), SHOWN), how);
    };
    let mut chosen = Vec::new();
    for cluster in 0..SHOWN {
        let members: Vec<usize> = tuned
            .iter()
            .copied()
            .filter(|&n| labels[n] == Some(cluster))
            .collect();
        chosen.extend(run.best(&members, scores.as_deref(), 1));
    }
    match scores {
        Some(_) => (
            chosen,
            "the best-predicted one of each of the largest clusters",
        ),
        None => (chosen, "the first one of each of the largest clusters"),
    }
}

/// A curve of every chosen neuron.
pub struct Curves {
    /// Of each neuron.
    pub rows: Vec<Vec<f64>>,
    /// Of one neuron's curve.
    pub shape: Vec<usize>,
}

/// The curves of that name, of these neurons.
pub fn curves(
    archive: &mut Archive,
    name: &str,
    found: &Found,
    chosen: &[usize],
) -> Result<Curves, String> {
    let told = |e: crate::Error| e.to_string();
    let array = archive.array(name).map_err(told)?.numbers().map_err(told)?;
    if array.ndim() == 0 || array.shape()[0] != found.table.rows() {
        return Err(format!(
            "tuning.npz, {name}: {:?}, wanted a row for each of tuning.csv",
            array.shape()
        ));
    }
    let shape = array.shape()[1..].to_vec();
    let each: usize = shape.iter().product();
    let all = array.as_slice().unwrap_or_default();
    let row = |&n: &usize| -> Vec<f64> {
        let row = found.row(n).unwrap_or(0);
        all[row * each..(row + 1) * each]
            .iter()
            .map(|v| f64::from(*v))
            .collect()
    };
    Ok(Curves {
        rows: chosen.iter().map(row).collect(),
        shape,
    })
}

/// The values of an axis, of which so many are wanted.
pub fn axis(archive: &mut Archive, name: &str, wanted: usize) -> Result<Vec<f64>, String> {
    let told = |e: crate::Error| e.to_string();
    let array = archive.array(name).map_err(told)?.numbers().map_err(told)?;
    match array.len() == wanted {
        true => Ok(array.iter().map(|v| f64::from(*v)).collect()),
        false => Err(format!(
            "tuning.npz, {name}: {} values, wanted {wanted}",
            array.len()
        )),
    }
}

/// Where the charts of the neurons go: left and top of each.
pub fn places(top: f64, (wide, high): (f64, f64), left: f64) -> impl Fn(usize) -> (f64, f64) {
    move |i| {
        let (row, column) = (i / COLUMNS, i % COLUMNS);
        (left + column as f64 * wide, top + row as f64 * high)
    }
}

/// The words above a chart.
pub fn head(
    svg: &mut Svg,
    (x, y): (f64, f64),
    run: &Source,
    neuron: usize,
    indices: &[String],
    room: f64,
) {
    let how = Text {
        bold: true,
        ..Text::start(10.0)
    };
    svg.text(
        (x, y),
        &fit(&format!("neuron {}", run.name(neuron)), room / 1.12, 10.0),
        how,
    );
    for (line, words) in indices.iter().enumerate() {
        let at = (x, y + 11.5 * (line + 1) as f64);
        svg.text(at, &fit(words, room, 9.5), Text::start(9.5));
    }
}

/// An index of a neuron, with its words.
pub fn index(found: &Found, name: &str, words: &str, neuron: usize) -> String {
    let value = found.values(name).map_or(f64::NAN, |v| v[neuron]);
    match value.is_finite() {
        true => format!("{words} {value:.2}"),
        false => format!("{words} {}", shown(value)),
    }
}

/// A table of curves: who, the condition, the response.
pub fn data(run: &Source, chosen: &[usize], conditions: &[(&str, Vec<f64>)], of: &Curves) -> Table {
    let each = conditions.first().map_or(0, |c| c.1.len());
    let who: Vec<usize> = chosen
        .iter()
        .flat_map(|n| std::iter::repeat_n(*n, each))
        .collect();
    let table = conditions
        .iter()
        .fold(run.who(&who), |table, (name, values)| {
            table.with(name, Column::Number(values.repeat(chosen.len())))
        });
    table.with("response", Column::Number(of.rows.concat()))
}

/// Where the neurons' charts are.
pub fn spots(chosen: &[usize], at: impl Fn(usize) -> (f64, f64), reach: f64) -> Vec<Place> {
    let place = |(i, &neuron): (usize, &usize)| {
        let (x, y) = at(i);
        Place {
            x,
            y,
            neuron,
            reach,
        }
    };
    chosen.iter().enumerate().map(place).collect()
}

/// Polar plots of the response by orientation.
fn orientation(
    run: &Source,
    found: &Found,
    archive: &mut Archive,
    chosen: &[usize],
) -> Result<Figure, String> {
    let of = curves(archive, "orientation", found, chosen)?;
    let angles = axis(archive, "orientation_angles", of.shape.iter().product())?;
    let (wide, high) = (118.0, 142.0);
    let lines = chosen.len().div_ceil(COLUMNS);
    let mut svg = Svg::new(lines as f64 * high + 12.0);
    let at = places(6.0, (wide, high), 6.0);
    // A Gabor turned by half a turn has another phase, not another orientation: the curve is drawn once around.
    let full = angles.iter().copied().fold(0.0, f64::max) > 0.51 * TAU;
    let (radius, ink) = (43.0, hex(BLUE));
    for (i, curve) in of.rows.iter().enumerate() {
        let (x, y) = at(i);
        let words = index(found, "orientation_index", "orientation index", chosen[i]);
        head(
            &mut svg,
            (x, y + 10.0),
            run,
            chosen[i],
            &[words],
            wide - 6.0,
        );
        let (cx, cy) = (x + 52.0, y + 26.0 + radius + 14.0);
        let most = curve.iter().copied().fold(0.0, f64::max).max(1e-12);
        let circle = Mark::line("currentColor", 0.6).opacity(0.35);
        for share in [0.5, 1.0] {
            svg.disc((cx, cy), radius * share, &circle);
        }
        svg.line((cx - radius, cy), (cx + radius, cy), &circle);
        svg.line((cx, cy - radius), (cx, cy + radius), &circle);
        let point = |angle: f64, value: f64| {
            let r = radius * value.max(0.0) / most;
            (cx + r * angle.cos(), cy - r * angle.sin())
        };
        let mut points: Vec<(f64, f64)> = angles
            .iter()
            .zip(curve)
            .map(|(a, v)| point(*a, *v))
            .collect();
        if !full {
            let other = angles
                .iter()
                .zip(curve)
                .map(|(a, v)| point(*a + TAU / 2.0, *v));
            points.extend(other);
        }
        let mark = Mark {
            fill: &ink,
            stroke: &ink,
            width: 1.4,
            ..Mark::default()
        };
        svg.path(
            &points,
            true,
            &Mark {
                fill: "none",
                ..mark.clone()
            }
            .class("curve"),
        );
        svg.text((cx + radius + 3.0, cy + 3.5), "0\u{b0}", Text::start(9.0));
        svg.text((cx, cy - radius - 3.0), "90\u{b0}", Text::middle(9.0));
        svg.text(
            (cx - radius, cy + radius + 9.0),
            &format!("outer {}", shown(most)),
            Text::start(9.0),
        );
    }
    let title = "Orientation tuning";
    let caption = format!(
        "Response to the optimal Gabor at every orientation, as distance from the middle; the outer circle is the largest response, written below it. Two narrow lobes: one orientation; a round curve: none. {} neurons.",
        chosen.len()
    );
    let degrees = angles.iter().map(|a| a.to_degrees()).collect();
    let table = data(run, chosen, &[("orientation_degrees", degrees)], &of);
    let mut figure = Figure::new(
        "tuning-orientation",
        title,
        caption,
        svg.finish(title),
        table,
    );
    figure.places = spots(chosen, |i| (at(i).0 + 52.0, at(i).1 + 83.0), radius);
    Ok(figure)
}

/// The response by phase.
fn phase(
    run: &Source,
    found: &Found,
    archive: &mut Archive,
    chosen: &[usize],
) -> Result<Figure, String> {
    let of = curves(archive, "phase", found, chosen)?;
    let phases = axis(archive, "phase_phases", of.shape.iter().product())?;
    let degrees: Vec<f64> = phases.iter().map(|a| a.to_degrees()).collect();
    let (wide, high) = (110.0, 118.0);
    let lines = chosen.len().div_ceil(COLUMNS);
    let mut svg = Svg::new(lines as f64 * high + 26.0);
    let at = places(4.0, (wide, high), 44.0);
    let (w, h, ink) = (82.0, 66.0, hex(BLUE));
    for (i, curve) in of.rows.iter().enumerate() {
        let (x, y) = at(i);
        let words = index(found, "phase_index", "phase index", chosen[i]);
        head(
            &mut svg,
            (x, y + 10.0),
            run,
            chosen[i],
            &[words],
            wide - 6.0,
        );
        let quarters = [0.0, 180.0, 360.0].map(|d| (d, format!("{d:.0}"))).to_vec();
        let frame = Frame::new(
            [x, y + 28.0, w, h],
            Axis::new("phase (degrees)", 0.0, 360.0).with_ticks(quarters),
            Axis::from_zero("response", curve),
        );
        frame.axes_with(&mut svg, false, false);
        for (value, word) in frame.x.ticks(3) {
            svg.text(
                (frame.at(value, 0.0).0, y + 28.0 + h + 14.0),
                &word,
                Text::middle(9.0),
            );
        }
        let top = frame.y.ticks(2);
        for (value, word) in &top {
            svg.text(
                (x - 6.0, frame.at(0.0, *value).1 + 3.0),
                word,
                Text::end(8.5),
            );
        }
        frame.curve(
            &mut svg,
            &degrees,
            curve,
            &Mark::line(&ink, 1.6).class("curve"),
        );
    }
    axis_words(
        &mut svg,
        lines as f64 * high + 18.0,
        "phase (degrees)",
        "response",
    );
    let title = "Phase tuning";
    let caption = format!(
        "Response to the optimal Gabor at every phase. Flat: the neuron does not mind the phase, as complex cells; one hump: it does, as simple cells. Each panel has its own response axis. {} neurons.",
        chosen.len()
    );
    let table = data(run, chosen, &[("phase_degrees", degrees)], &of);
    let mut figure = Figure::new("tuning-phase", title, caption, svg.finish(title), table);
    figure.places = spots(
        chosen,
        |i| (at(i).0 + w / 2.0, at(i).1 + 28.0 + h / 2.0),
        h / 2.0,
    );
    Ok(figure)
}

/// Words of axes that all charts share.
pub fn axis_words(svg: &mut Svg, y: f64, right: &str, up: &str) {
    svg.text((WIDTH / 2.0 + 10.0, y), right, Text::middle(11.0));
    let how = Text {
        turned: true,
        ..Text::middle(11.0)
    };
    svg.text((11.0, y / 2.0), up, how);
}
