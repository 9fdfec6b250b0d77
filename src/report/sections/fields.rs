//! Where neurons look, and which orientation they like.

use super::galleries::{gabor, image_size};
use super::shared::{count, histogram};
use crate::report::figure::{Figure, Section};
use crate::report::plot::{Axis, BLUE, Frame, Mark, Svg, WIDTH, category, hex};
use crate::report::source::{Found, Lack, Source};
use crate::table::{Column, Table};

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Receptive fields",
        "Where on the image neurons look, and which orientations they prefer.",
    );
    let found = run.table("gabors.csv").map(|f| (f, "optimal Gabor"));
    let found = match found {
        Err(Lack::Missing) => run
            .table("dogs.csv")
            .map(|f| (f, "optimal difference of Gaussians")),
        other => other,
    };
    match found {
        Ok((found, what)) => {
            let (x, y) = centres(run, &found);
            section.draw_some(positions(run, &x, &y, what));
            if what == "optimal Gabor" {
                section.draw_some(orientations(run, &found));
                section.draw_some(sizes(run, &found));
            }
        }
        Err(lack) => section.lack("Positions and orientations", &lack, "gabors RUN"),
    }
    section
}

fn centres(run: &Source, found: &Found) -> (Vec<f64>, Vec<f64>) {
    let of = |name: &str| {
        let refined = found.values(&format!("refined_{name}"));
        let own = found
            .values(name)
            .unwrap_or_else(|| vec![f64::NAN; run.neurons.len()]);
        match refined {
            Some(refined) => refined
                .iter()
                .zip(own)
                .map(|(r, o)| if r.is_finite() { *r } else { o })
                .collect(),
            None => own,
        }
    };
    (of("x"), of("y"))
}

/// Centres over the frame of the image.
pub fn positions(run: &Source, x: &[f64], y: &[f64], what: &str) -> Option<Figure> {
    let known: Vec<usize> = (0..x.len())
        .filter(|&n| x[n].is_finite() && y[n].is_finite())
        .collect();
    if known.is_empty() {
        return None;
    }
    let pick = |v: &[f64]| -> Vec<f64> { known.iter().map(|&n| v[n]).collect() };
    let (px, py) = (pick(x), pick(y));
    let most = |v: &[f64]| v.iter().copied().fold(0.0, f64::max);
    let (h, w) = image_size(run).map_or((most(&py) + 1.0, most(&px) + 1.0), |(h, w)| {
        (h as f64, w as f64)
    });
    let width = WIDTH - 72.0;
    let tall = (width * h / w).clamp(60.0, 300.0);
    let width = (tall * w / h).min(width);
    let mut svg = Svg::new(tall + 54.0);
    // Row 0 is at the top: the axis grows downwards.
    let ticks = Axis::new("", -0.5, h - 0.5).ticks((tall / 40.0) as usize);
    let ticks = ticks
        .into_iter()
        .map(|(v, word)| (h - 1.0 - v, word))
        .collect();
    let frame = Frame::new(
        [56.0, 10.0, width, tall],
        Axis::new("column (pixels)", -0.5, w - 0.5),
        Axis::new("row (pixels)", -0.5, h - 0.5).with_ticks(ticks),
    );
    let mark = Mark::line("currentColor", 0.8).opacity(0.5);
    svg.rectangle([frame.left, frame.top, frame.width, frame.height], &mark);
    frame.axes(&mut svg);
    let up: Vec<f64> = py.iter().map(|y| h - 1.0 - y).collect();
    let labels = run.clusters();
    let colour = |i: usize| match labels.as_ref().and_then(|l| l[known[i]]) {
        Some(k) => category(k),
        None => BLUE,
    };
    let places = frame.points(&mut svg, &px, &up, colour);
    let title = "Positions over the image";
    let coloured = if labels.is_some() {
        ", in the colour of its cluster"
    } else {
        ""
    };
    let caption = format!(
        "Centre of each neuron\u{2019}s {what}{coloured}; the frame is the image. Centres on a grid are those of the search before refinement. {}.",
        count(known.len(), "neuron", "neurons")
    );
    let data = run
        .who(&known)
        .with("x", Column::Number(px))
        .with("y", Column::Number(py));
    let figure = Figure::new("receptive-fields", title, caption, svg.finish(title), data);
    Some(figure.with_points(&known, &places))
}

/// Histogram of preferred orientations.
fn orientations(run: &Source, found: &Found) -> Option<Figure> {
    let angles: Vec<f64> = run
        .all()
        .into_iter()
        .filter_map(|n| gabor(found, n))
        .map(|g| g.orientation.to_degrees().rem_euclid(180.0))
        .collect();
    bars(
        &angles,
        (0.0, 180.0, 18),
        [
            "preferred-orientations",
            "Preferred orientations",
            "orientation (degrees; 0: vertical bars)",
        ],
        "Orientation of the optimal Gabor, counter-clockwise, modulo half a turn. Peaks at 0 and 90 degrees: cardinal orientations are over-represented, in the brain or on the search\u{2019}s grid.",
    )
}

/// Histogram of the sizes of optimal Gabors.
fn sizes(run: &Source, found: &Found) -> Option<Figure> {
    let sizes: Vec<f64> = run
        .all()
        .into_iter()
        .filter_map(|n| gabor(found, n))
        .map(|g| g.size)
        .collect();
    let high = sizes.iter().copied().fold(0.0, f64::max);
    bars(
        &sizes,
        (0.0, (high * 1.02).max(1.0), 24),
        [
            "gabor-sizes",
            "Sizes of optimal Gabors",
            "size (pixels, 4 SD of the envelope)",
        ],
        "How large the optimal Gabors are. Many at the right end: the search would have taken larger ones.",
    )
}

fn bars(
    values: &[f64],
    (low, high, bins): (f64, f64, usize),
    [name, title, label]: [&str; 3],
    see: &str,
) -> Option<Figure> {
    if values.is_empty() {
        return None;
    }
    let bars = histogram(values, low, high, bins);
    let heights: Vec<f64> = bars.iter().map(|b| b.2).collect();
    let mut axis = Axis::new(label, low, high);
    if high == 180.0 {
        axis = axis.with_ticks(
            (0..=6)
                .map(|k| (30.0 * f64::from(k), (30 * k).to_string()))
                .collect(),
        );
    }
    let mut svg = Svg::new(232.0);
    let frame = Frame::new(
        [56.0, 10.0, WIDTH - 72.0, 180.0],
        axis,
        Axis::from_zero("neurons", &heights),
    );
    frame.axes(&mut svg);
    let fill = hex(BLUE);
    frame.bars(&mut svg, &bars, &Mark::area(&fill).class("bar"));
    let caption = format!("{see} {}.", count(values.len(), "neuron", "neurons"));
    let data: Table = super::shared::bins(&bars, "neurons");
    Some(Figure::new(name, title, caption, svg.finish(title), data))
}
