//! Bar codes: what a neuron takes from each feature of the core at each orientation, before and after alignment.

use super::shared::count;
use crate::report::figure::{Figure, Section};
use crate::report::plot::{Axis, Frame, Mark, Svg, Text, WIDTH, bar, matrix, ramp};
use crate::report::source::Source;
use crate::table::{Column, Table};

/// Clusters that are shown, and the most neurons of each.
const SHOWN: (usize, usize) = (4, 60);

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Bar codes",
        "A neuron\u{2019}s readout as a row: its weights for every feature at every orientation. Aligned, neurons of one kind become one pattern.",
    );
    let found = match run.table("clusters.csv") {
        Ok(found) => found,
        Err(lack) => {
            section.lack("Bar codes of clusters", &lack, "cluster RUN");
            return section;
        }
    };
    let aligned = match run.array("aligned.npy", &found.table, "clusters.csv") {
        Ok(array) => array,
        Err(lack) => {
            section.lack("Aligned bar codes", &lack, "cluster RUN");
            return section;
        }
    };
    let (labels, scores) = (run.clusters().unwrap_or_default(), run.scores());
    let channels = aligned.shape().get(1).copied().unwrap_or(0);
    let orientations = run.orientations().max(1);
    if channels == 0 || channels % orientations != 0 {
        section.note("Bar codes: aligned.npy does not have a column per feature and orientation.");
        return section;
    }
    let features = channels / orientations;
    for cluster in 0..SHOWN.0 {
        let members: Vec<usize> = (0..labels.len())
            .filter(|&n| labels[n] == Some(cluster))
            .collect();
        let chosen = run.best(&members, scores.as_deref(), SHOWN.1);
        let own = |n: usize| own_code(run, n, features, orientations);
        let turned = |n: usize| {
            let all = aligned.as_slice()?;
            let row = found.row(n)?;
            let code = all.get(row * channels..(row + 1) * channels)?;
            Some(code.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>())
        };
        let pairs: Option<Vec<(Vec<f64>, Vec<f64>)>> = chosen
            .iter()
            .map(|&n| Some((scaled(&own(n)?), scaled(&turned(n)?))))
            .collect();
        match pairs {
            Some(pairs) if !pairs.is_empty() => {
                section.draw(figure(
                    run,
                    cluster,
                    (&chosen, members.len()),
                    &pairs,
                    (features, orientations),
                ));
            }
            _ => {}
        }
    }
    if section.blocks.is_empty() {
        section.note("Bar codes: no cluster has members in this run\u{2019}s model.");
    }
    section
}

/// A neuron's readout weights, feature-major.
fn own_code(run: &Source, neuron: usize, features: usize, orientations: usize) -> Option<Vec<f64>> {
    let (readout, row) = run.neurons[neuron];
    let name = format!("readout.{}.features", run.readouts[readout].0);
    let model = run.model.as_ref()?;
    if model.shape(&name)?.get(1) != Some(&(features * orientations)) {
        return None;
    }
    let weights = model.rows(&name, row, row + 1).ok()?;
    let positive = run
        .setting("readout", "positive_features")
        .and_then(toml::Value::as_bool);
    let order = (0..features).flat_map(|f| (0..orientations).map(move |o| o * features + f));
    let sign = |w: f64| if positive == Some(true) { w.abs() } else { w };
    Some(order.map(|c| sign(weights[c])).collect())
}

/// Divided by its largest size, so that strong and weak neurons are seen alike.
fn scaled(code: &[f64]) -> Vec<f64> {
    let most = code.iter().map(|v| v.abs()).fold(0.0, f64::max);
    let most = if most > 0.0 { most } else { 1.0 };
    code.iter().map(|v| v / most).collect()
}

/// Both matrices of one cluster, one above the other.
pub fn figure(
    run: &Source,
    cluster: usize,
    (chosen, members): (&[usize], usize),
    codes: &[(Vec<f64>, Vec<f64>)],
    (features, orientations): (usize, usize),
) -> Figure {
    let (rows, columns) = (codes.len(), features * orientations);
    let high = (2.4 * rows as f64).clamp(40.0, 130.0);
    let (left, width) = (40.0, 254.0);
    let mut svg = Svg::new(2.0 * high + 92.0);
    let step = features.div_ceil(8);
    let ticks: Vec<(f64, String)> = (0..features)
        .step_by(step)
        .map(|f| {
            (
                (f * orientations) as f64 + 0.5 * orientations as f64,
                f.to_string(),
            )
        })
        .collect();
    let whole = vec![(0.0, rows.to_string()), (rows as f64, "0".into())];
    for (part, name) in ["as fitted", "aligned"].into_iter().enumerate() {
        let top = 18.0 + part as f64 * (high + 28.0);
        let frame = Frame::new(
            [left, top, width, high],
            Axis::new(
                "feature (its orientations side by side)",
                0.0,
                columns as f64,
            )
            .with_ticks(ticks.clone()),
            Axis::new("neurons", 0.0, rows as f64).with_ticks(whole.clone()),
        );
        let values: Vec<f64> = codes
            .iter()
            .flat_map(|pair| if part == 0 { &pair.0 } else { &pair.1 })
            .copied()
            .collect();
        let picture = matrix(&values, columns, |v| ramp(0.5 + 0.5 * v));
        svg.picture(
            [left, top, width, high],
            &picture,
            false,
            &Mark::default().class("matrix"),
        );
        frame.axes_with(&mut svg, part == 1, true);
        let how = Text {
            bold: true,
            ..Text::start(10.5)
        };
        svg.text((left, top - 6.0), name, how);
    }
    bar(
        &mut svg,
        (WIDTH - 56.0, 26.0, (2.0 * high).max(90.0)),
        -1.0,
        1.0,
        "weight / largest",
    );
    let title = format!("Bar codes of cluster {cluster}");
    let caption = format!(
        "Readout weights of neurons of cluster {cluster}, a row each, divided by its largest: above as fitted, below turned into the common frame. Where alignment works, rows below have their stripes in the same places. The {} best-predicted of {}.",
        rows,
        count(members, "neuron", "neurons")
    );
    let mut data = Table::new();
    for (name, part) in [("as_fitted", 0), ("aligned", 1)] {
        let mut own = run
            .who(chosen)
            .with("kind", Column::Text(vec![name.into(); rows]));
        for c in 0..columns {
            let value = |pair: &(Vec<f64>, Vec<f64>)| if part == 0 { pair.0[c] } else { pair.1[c] };
            let label = format!(
                "feature_{}_orientation_{}",
                c / orientations,
                c % orientations
            );
            own = own.with(&label, Column::Number(codes.iter().map(value).collect()));
        }
        data = match part {
            0 => own,
            _ => Table::stacked(vec![(String::new(), data), (String::new(), own)], None),
        };
    }
    let name = format!("bar-codes-{cluster}");
    Figure::new(&name, &title, caption, svg.finish(&title), data)
}
