//! The map of the population: who reads alike lies close.

use super::shared::{Coloured, count, limits, lines, thousands};
use crate::report::figure::{Figure, Section};
use crate::report::plot::{
    Axis, BLUE, Frame, Mark, ORANGE, Svg, Text, WIDTH, bar, category, hex, legend, matrix, ramp,
};
use crate::report::source::{Found, Lack, Source};
use crate::statistics::median;
use crate::table::{Column, Table};
use ndarray::ArrayD;
use std::collections::BTreeMap;

/// What may colour the map, in which table it is, and in words.
const VALUES: [(&str, &str, &str); 10] = [
    (
        "evaluation.csv",
        "correlation_to_average",
        "correlation to average",
    ),
    ("tuning.csv", "orientation_index", "orientation index"),
    ("tuning.csv", "phase_index", "phase index"),
    ("tuning.csv", "suppression_index", "suppression index"),
    ("tuning.csv", "contrast_index", "contrast index"),
    ("tuning.csv", "plaid_index", "plaid index"),
    ("tuning.csv", "gabor_vs_dog", "Gabor / DoG"),
    ("tuning.csv", "gabor_vs_mei", "Gabor / MEI"),
    ("tuning.csv", "dog_vs_mei", "DoG / MEI"),
    ("tuning.csv", "nonlinearity_index", "nonlinearity index"),
];

const AXES: [&str; 2] = ["t-SNE 1 (arbitrary units)", "t-SNE 2 (arbitrary units)"];

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Map of the population",
        "Neurons whose readouts take the same from the core, wherever they look and whatever their orientation, lie side by side.",
    );
    let found = match run.table("clusters.csv") {
        Ok(found) => found,
        Err(lack) => {
            section.lack("Map and clusters", &lack, "cluster RUN");
            return section;
        }
    };
    let of = |name: &str| found.values(name).unwrap_or_default();
    let (x, y, labels) = (of("tsne_1"), of("tsne_2"), of("cluster"));
    section.draw_some(clusters(run, &x, &y, &labels));
    if run.several() {
        section.draw_some(recordings(run, &x, &y));
    }
    for (file, column, words) in VALUES {
        let Some(values) = run.table(file).ok().and_then(|f| f.values(column)) else {
            continue;
        };
        let name = format!("map-{}", column.replace('_', "-"));
        let coloured = Coloured {
            words: [&name, &format!("Map by {words}")],
            axes: AXES,
            columns: ["tsne_1", "tsne_2", column],
            x: &x,
            y: &y,
            values: (words, &values),
        };
        let see = format!(
            "The same map, coloured by {words}: where colours gather, readouts that are alike go with tuning that is alike."
        );
        section.draw_some(coloured.draw(run, &see));
    }
    for (file, command) in [
        ("evaluation.csv", "evaluate RUN"),
        ("tuning.csv", "tune RUN"),
    ] {
        if let Err(lack) = run.table(file) {
            section.lack(&format!("Map by the columns of {file}"), &lack, command);
        }
    }
    section.draw_some(sizes(&labels));
    if let Ok(found) = run.table("clusters_summary.csv") {
        match run.array(
            "cluster_confusion.npy",
            &found.table,
            "clusters_summary.csv",
        ) {
            Ok(array) => section.draw_some(confusion(&found, &array)),
            Err(lack) => section.lack("How alike clusters respond", &lack, "cluster RUN"),
        }
    }
    if let Ok(found) = run.table("alignment.csv") {
        section.draw_some(alignment(&found));
    }
    match run.table("cluster_counts.csv") {
        Ok(found) => counts(&found).into_iter().for_each(|f| section.draw(f)),
        Err(Lack::Missing) => section.lack(
            "How many clusters there are",
            &Lack::Missing,
            "cluster RUN --sweep 2,5,10,20,50,100",
        ),
        Err(lack) => section.lack(
            "How many clusters there are",
            &lack,
            "cluster RUN --sweep ..",
        ),
    }
    section
}

/// Neurons on the map that have a place.
fn placed(x: &[f64], y: &[f64]) -> Vec<usize> {
    (0..x.len().min(y.len()))
        .filter(|&n| x[n].is_finite() && y[n].is_finite())
        .collect()
}

fn frame(x: &[f64], y: &[f64], top: f64) -> Frame {
    Frame::new(
        [46.0, top, WIDTH - 58.0, 268.0],
        Axis::around(AXES[0], x),
        Axis::around(AXES[1], y),
    )
}

/// The map by cluster; every cluster's number stands at its median.
pub fn clusters(run: &Source, x: &[f64], y: &[f64], labels: &[f64]) -> Option<Figure> {
    let known = placed(x, y);
    if known.is_empty() {
        return None;
    }
    let pick = |v: &[f64]| -> Vec<f64> { known.iter().map(|&n| v[n]).collect() };
    let (px, py, own) = (pick(x), pick(y), pick(labels));
    let mut svg = Svg::new(318.0);
    let frame = frame(&px, &py, 10.0);
    frame.axes(&mut svg);
    let places = frame.points(&mut svg, &px, &py, |i| category(own[i].max(0.0) as usize));
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, label) in own.iter().enumerate().filter(|(_, l)| **l >= 0.0) {
        members.entry(*label as usize).or_default().push(i);
    }
    for (k, rows) in &members {
        let middle = |v: &[f64]| median(&rows.iter().map(|&i| v[i]).collect::<Vec<_>>());
        let (cx, cy) = frame.at(middle(&px), middle(&py));
        let how = Text {
            bold: true,
            ..Text::middle(if members.len() > 12 { 8.0 } else { 10.0 })
        };
        // Of many clusters, each is smaller than its number, which then stands above it.
        let up = if members.len() > 12 { 7.0 } else { 0.0 };
        let at = (cx, cy + 3.5 - up);
        svg.text_as(at, &k.to_string(), how, "haloed");
    }
    let title = "Map by cluster";
    let caption = format!(
        "t-SNE of the aligned bar codes; a colour per cluster, its number at its median. Colours come again from the eighth cluster on, lighter, then darker. {} in {}.",
        count(known.len(), "neuron", "neurons"),
        count(members.len(), "cluster", "clusters")
    );
    let data = run
        .who(&known)
        .with("tsne_1", Column::Number(px))
        .with("tsne_2", Column::Number(py))
        .with("cluster", Column::Number(own));
    let figure = Figure::new("map-clusters", title, caption, svg.finish(title), data);
    Some(figure.with_points(&known, &places))
}

/// The map by recording.
fn recordings(run: &Source, x: &[f64], y: &[f64]) -> Option<Figure> {
    let known = placed(x, y);
    if known.is_empty() {
        return None;
    }
    let pick = |v: &[f64]| -> Vec<f64> { known.iter().map(|&n| v[n]).collect() };
    let (px, py) = (pick(x), pick(y));
    let own: Vec<usize> = known.iter().map(|&n| run.neurons[n].0).collect();
    let entries: Vec<(String, String)> = run
        .readouts
        .iter()
        .enumerate()
        .map(|(i, (name, _))| (hex(category(i)), name.clone()))
        .collect();
    let mut probe = Svg::new(0.0);
    let top = 12.0 + legend(&mut probe, (46.0, 4.0, WIDTH - 8.0), &entries);
    let mut svg = Svg::new(308.0 + top);
    legend(&mut svg, (46.0, 4.0, WIDTH - 8.0), &entries);
    let frame = frame(&px, &py, top);
    frame.axes(&mut svg);
    let places = frame.points(&mut svg, &px, &py, |i| category(own[i]));
    let title = "Map by recording";
    let caption = format!(
        "The same map by recording: where all colours mix, recordings share their kinds of neurons. {} of {}.",
        count(known.len(), "neuron", "neurons"),
        count(run.readouts.len(), "recording", "recordings")
    );
    let data = run
        .who(&known)
        .with("tsne_1", Column::Number(px))
        .with("tsne_2", Column::Number(py));
    let figure = Figure::new("map-recordings", title, caption, svg.finish(title), data);
    Some(figure.with_points(&known, &places))
}

/// Neurons of each cluster.
pub fn sizes(labels: &[f64]) -> Option<Figure> {
    let known: Vec<usize> = labels
        .iter()
        .filter(|l| **l >= 0.0)
        .map(|l| *l as usize)
        .collect();
    let clusters = known.iter().max()? + 1;
    let mut sizes = vec![0.0; clusters];
    known.iter().for_each(|k| sizes[*k] += 1.0);
    let mut svg = Svg::new(230.0);
    let frame = Frame::new(
        [56.0, 10.0, WIDTH - 72.0, 180.0],
        Axis::new("cluster", -0.5, clusters as f64 - 0.5),
        Axis::from_zero("neurons", &sizes),
    );
    frame.axes(&mut svg);
    for (k, size) in sizes.iter().enumerate() {
        let fill = hex(category(k));
        let at = k as f64;
        frame.bars(
            &mut svg,
            &[(at - 0.42, at + 0.42, *size)],
            &Mark::area(&fill).class("bar"),
        );
    }
    let title = "Cluster sizes";
    let caption = format!(
        "Neurons of each cluster, in its colour of the map. {} in {}.",
        count(known.len(), "neuron", "neurons"),
        count(clusters, "cluster", "clusters")
    );
    let data = Table::new()
        .with("cluster", Column::Integer((0..clusters as i64).collect()))
        .with("neurons", Column::Number(sizes));
    Some(Figure::new(
        "cluster-sizes",
        title,
        caption,
        svg.finish(title),
        data,
    ))
}

/// A square table of numbers as coloured cells.
fn confusion(found: &Found, array: &ArrayD<f32>) -> Option<Figure> {
    let &[rows, columns] = array.shape() else {
        return None;
    };
    let (blocks, clusters) = (found.column("block"), found.column("cluster"));
    if rows != columns || rows == 0 || blocks.len() != rows || clusters.len() != rows {
        return None;
    }
    // The table tells each cluster's place in the order of blocks.
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|a, b| blocks[*a].total_cmp(&blocks[*b]));
    let at = |i: usize, j: usize| f64::from(array[[order[i], order[j]]]);
    let values: Vec<f64> = (0..rows)
        .flat_map(|i| (0..rows).map(move |j| (i, j)))
        .map(|(i, j)| at(i, j))
        .collect();
    let (low, high) = limits(&values);
    let mut svg = Svg::new(298.0);
    let side = 240.0;
    let name = |i: usize| clusters[order[i]].to_string();
    let step = rows.div_ceil(14);
    let ticks: Vec<(f64, String)> = (0..rows)
        .step_by(step)
        .map(|i| (i as f64, name(i)))
        .collect();
    let down: Vec<(f64, String)> = (0..rows)
        .step_by(step)
        .map(|i| ((rows - 1 - i) as f64, name(i)))
        .collect();
    let edge = rows as f64 - 0.5;
    let frame = Frame::new(
        [44.0, 10.0, side, side],
        Axis::new("cluster", -0.5, edge).with_ticks(ticks),
        Axis::new("cluster", -0.5, edge).with_ticks(down),
    );
    let picture = matrix(&values, rows, |v| ramp((v - low) / (high - low)));
    svg.picture(
        [44.0, 10.0, side, side],
        &picture,
        false,
        &Mark::default().class("matrix"),
    );
    frame.axes(&mut svg);
    bar(
        &mut svg,
        (300.0, 30.0, 200.0),
        low,
        high,
        "correlation of responses",
    );
    let title = "How alike clusters respond";
    let caption = format!(
        "Correlation of the responses of two hypothetical neurons to natural images, each with the mean readout of its cluster: off the diagonal, dark is apart, bright is alike. Clusters in the order of their blocks, families of clusters that respond alike. {}.",
        count(rows, "cluster", "clusters")
    );
    let pair = |f: &dyn Fn(usize) -> usize| {
        Column::Integer(
            (0..rows * rows)
                .map(|p| clusters[order[f(p)]] as i64)
                .collect(),
        )
    };
    let data = Table::new()
        .with("cluster_a", pair(&|p| p / rows))
        .with("cluster_b", pair(&|p| p % rows))
        .with("correlation", Column::Number(values));
    Some(Figure::new(
        "cluster-confusion",
        title,
        caption,
        svg.finish(title),
        data,
    ))
}

/// The sweep over penalties of the alignment.
fn alignment(found: &Found) -> Option<Figure> {
    let (penalty, energy) = (found.column("penalty"), found.column("energy"));
    let reconstruction = found.column("reconstruction");
    let chosen = found.table.text("chosen")?;
    let which = chosen.iter().position(|c| c == "true").map(|r| penalty[r]);
    let exponents: Vec<f64> = penalty.iter().map(|p| p.log10()).collect();
    let caption = format!(
        "Alignment of the bar codes over its penalty, of which {} was chosen: the least energy among fits that are not too sharp. {}.",
        which.map_or("none".into(), crate::report::plot::shown),
        count(penalty.len(), "penalty", "penalties")
    );
    let words = ["alignment", "Alignment", &*caption];
    let curves: [(&str, &[f64], _, _); 2] = [
        ("energy", &energy, BLUE, ""),
        ("reconstruction", &reconstruction, ORANGE, "5 3"),
    ];
    lines(
        words,
        ("penalty (log10)", &exponents),
        "error",
        &curves,
        false,
    )
}

/// The sweep over numbers of clusters.
fn counts(found: &Found) -> Vec<Figure> {
    let clusters = found.column("clusters");
    let (likelihood, ari) = (
        found.column("held_out_log_likelihood"),
        found.column("ari_over_seeds"),
    );
    let n = thousands(clusters.len());
    let one = |name: &str, title: &str, what: &str, column: &str, values: &[f64]| {
        let caption = format!("{what} {n} numbers of clusters.");
        let curves: [(&str, &[f64], _, _); 1] = [(column, values, BLUE, "")];
        lines(
            [name, title, &caption],
            ("clusters", &clusters),
            title,
            &curves,
            false,
        )
    };
    let first = one(
        "cluster-counts",
        "Held-out log-likelihood",
        "Log-likelihood of neurons that were left out, by the number of clusters: where it no longer grows, more clusters describe noise.",
        "held_out_log_likelihood",
        &likelihood,
    );
    let second = one(
        "cluster-agreement",
        "Agreement over seeds",
        "Adjusted Rand index of clusterings from different seeds: near 1 the same neurons come together every time.",
        "ari_over_seeds",
        &ari,
    );
    first.into_iter().chain(second).collect()
}
