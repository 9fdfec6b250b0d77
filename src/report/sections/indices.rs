//! Tuning indices of the whole population: how they are spread, how they go together, what clusters do with them.

use super::differences;
use super::shared::{count, multiples};
use crate::report::figure::{Figure, Section};
use crate::report::plot::{
    Axis, BLUE, Frame, Mark, ORANGE, Svg, Text, WIDTH, bar, hex, matrix, ramp, shown,
};
use crate::report::source::{Found, Source};
use crate::table::{Column, Table};

/// The columns that are indices, and what they are called.
pub const INDICES: [(&str, &str); 9] = [
    ("orientation_index", "orientation"),
    ("phase_index", "phase"),
    ("suppression_index", "suppression"),
    ("contrast_index", "contrast"),
    ("plaid_index", "plaid"),
    ("gabor_vs_dog", "Gabor / DoG"),
    ("gabor_vs_mei", "Gabor / MEI"),
    ("dog_vs_mei", "DoG / MEI"),
    ("nonlinearity_index", "nonlinearity"),
];

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Indices of the population",
        "How tuning indices are spread over neurons, how they go together, and whether clusters differ in them.",
    );
    match run.table("tuning.csv") {
        Ok(found) => section.draw_some(histograms(&found)),
        Err(lack) => section.lack("Histograms of indices", &lack, "tune RUN"),
    }
    match run.table("index_correlations.csv") {
        Ok(found) => section.draw_some(correlations(&found)),
        Err(lack) if run.has_bar_codes() => section.lack(
            "Correlations, combinations and tests",
            &lack,
            "organise RUN",
        ),
        Err(_) => {}
    }
    if let Ok(found) = run.table("combinations.csv") {
        section.draw_some(combinations(&found));
    }
    if let Ok(found) = run.table("cluster_tests.csv") {
        section.draw_some(differences::tests(
            &found,
            run.table("random_tests.csv").ok().as_deref(),
        ));
    }
    if let Ok(found) = run.table("readout_sparsity.csv") {
        section.draw_some(sparsity(&found));
    }
    section
}

pub fn words_of(column: &str) -> &str {
    let known = INDICES.iter().find(|(name, _)| *name == column);
    known.map_or(column, |(_, words)| words)
}

/// A histogram of each index that there is.
pub fn histograms(found: &Found) -> Option<Figure> {
    let words = [
        "index-histograms",
        "Index histograms",
        "Every index over all neurons that have it; dashed, the mean.",
    ];
    multiples(words, "index", &INDICES, found)
}

/// Spearman correlations of all pairs, with their numbers in the cells.
pub fn correlations(found: &Found) -> Option<Figure> {
    let (a, b) = (found.table.text("index_a")?, found.table.text("index_b")?);
    let rows: Vec<usize> = match found.table.text("recording") {
        Some(names) => (0..names.len()).filter(|&r| names[r] == "all").collect(),
        None => (0..a.len()).collect(),
    };
    let (spearman, neurons) = (found.column("spearman"), found.column("neurons"));
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|&r| [&a[r], &b[r]]) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let n = names.len();
    if n < 2 {
        return None;
    }
    let value = |x: &str, y: &str| {
        let row = rows
            .iter()
            .find(|&&r| (a[r] == x && b[r] == y) || (a[r] == y && b[r] == x));
        row.map_or(f64::NAN, |&r| spearman[r])
    };
    // The first has no row and the last no column: each pair is shown once.
    let n = n - 1;
    let cells: Vec<f64> = (1..=n)
        .flat_map(|i| (0..n).map(move |j| (i, j)))
        .map(|(i, j)| {
            if i <= j {
                f64::NAN
            } else {
                value(names[i], names[j])
            }
        })
        .collect();
    let (left, top, side) = (92.0, 10.0, 200.0);
    let mut svg = Svg::new(top + side + 84.0);
    let picture = matrix(&cells, n, |v| ramp(0.5 + 0.5 * v));
    svg.picture(
        [left, top, side, side],
        &picture,
        false,
        &Mark::default().class("matrix"),
    );
    let each = side / n as f64;
    for i in 0..n {
        let y = top + (i as f64 + 0.5) * each;
        let words = words_of(names[i + 1]);
        svg.text((left - 6.0, y + 3.5), words, Text::end(10.0));
        let how = Text {
            turned: true,
            ..Text::end(10.0)
        };
        let x = left + (i as f64 + 0.5) * each + 3.5;
        svg.text((x, top + side + 7.0), words_of(names[i]), how);
        for j in 0..=i {
            let v = cells[i * n + j];
            let word = if v.is_nan() {
                "\u{2013}".into()
            } else {
                format!("{v:.2}")
            };
            let x = left + (j as f64 + 0.5) * each;
            svg.text_as(
                (x, y + 3.5),
                &word,
                Text::middle(if n > 7 { 8.0 } else { 9.5 }),
                match v {
                    v if v.is_nan() => "",
                    v if v < -0.25 => "on-dark",
                    _ => "on-light",
                },
            );
        }
    }
    bar(
        &mut svg,
        (302.0, 12.0, 170.0),
        -1.0,
        1.0,
        "Spearman correlation",
    );
    let title = "Correlations of indices";
    let most = rows.iter().map(|&r| neurons[r]).fold(0.0, f64::max);
    let caption = format!(
        "Rank correlation of each pair of indices over neurons that have both: yellow go together, blue exclude each other. Up to {}.",
        count(most as usize, "neuron", "neurons")
    );
    let data = found.table.select(&rows);
    Some(Figure::new(
        "index-correlations",
        title,
        caption,
        svg.finish(title),
        data,
    ))
}

/// The eight combinations of three properties: how many clusters and neurons show each.
pub fn combinations(found: &Found) -> Option<Figure> {
    let properties = [
        ("phase_invariant", "phase invariant"),
        ("surround_suppressed", "surround suppressed"),
        ("cross_inhibited", "cross inhibited"),
    ];
    let flags: Vec<Vec<String>> = properties
        .iter()
        .filter_map(|(name, _)| found.table.text(name))
        .collect();
    if flags.len() < 3 {
        return None;
    }
    let (clusters, neurons) = (found.column("clusters"), found.column("neurons"));
    let (rows, high, top) = (clusters.len(), 20.0, 84.0);
    let mut svg = Svg::new(top + rows as f64 * high + 40.0);
    for (i, (_, words)) in properties.iter().enumerate() {
        let x = 20.0 + 24.0 * i as f64;
        let how = Text {
            turned: true,
            ..Text::start(10.0)
        };
        // Long words stand upright above their column of dots.
        svg.text(
            (x + 3.5, top - 4.0),
            &words.replace("surround ", "surr. "),
            how,
        );
    }
    let ink = "currentColor";
    for row in 0..rows {
        let y = top + (row as f64 + 0.5) * high;
        for (i, flag) in flags.iter().enumerate() {
            let x = 20.0 + 24.0 * i as f64;
            match flag[row] == "true" {
                true => svg.disc((x, y), 5.0, &Mark::area(ink).class("yes")),
                false => svg.disc((x, y), 5.0, &Mark::line(ink, 1.0).class("no")),
            }
        }
    }
    let panels = [
        ("clusters", &clusters, BLUE, 96.0),
        ("neurons", &neurons, ORANGE, 228.0),
    ];
    for (words, values, colour, left) in panels {
        let width = 104.0;
        let frame = Frame::new(
            [left, top, width, rows as f64 * high],
            // Room for the number behind the longest bar.
            Axis::from_zero(words, &values.iter().map(|v| 1.35 * v).collect::<Vec<_>>()),
            Axis::new("", 0.0, rows as f64).with_ticks(Vec::new()),
        );
        let fill = hex(colour);
        for (row, value) in values.iter().enumerate() {
            let y = top + row as f64 * high;
            let long = frame.x.share(*value) * width;
            svg.rectangle(
                [left, y + 3.0, long, high - 6.0],
                &Mark::area(&fill).class("bar"),
            );
            let word = format!("{value:.0}");
            let at = (left + long + 3.0, y + high / 2.0 + 3.5);
            svg.text(at, &word, Text::start(9.5));
        }
        frame.axes_with(&mut svg, true, false);
    }
    let title = "Eight combinations";
    let total: f64 = clusters.iter().sum();
    let caption = format!(
        "Which combinations of three properties occur among Gabor-like clusters: a filled dot has the property, by the population\u{2019}s mean. {} with {}.",
        count(total as usize, "cluster", "clusters"),
        count(neurons.iter().sum::<f64>() as usize, "neuron", "neurons")
    );
    Some(Figure::new(
        "combinations",
        title,
        caption,
        svg.finish(title),
        found.table.clone(),
    ))
}

/// How much of a readout is in its strongest feature.
fn sparsity(found: &Found) -> Option<Figure> {
    let share = found.column("energy_share");
    let known: Vec<f64> = share.iter().copied().filter(|v| v.is_finite()).collect();
    if known.is_empty() {
        return None;
    }
    let bars = super::shared::histogram(&known, 0.0, 1.0, 25);
    let heights: Vec<f64> = bars.iter().map(|b| b.2).collect();
    let mut svg = Svg::new(232.0);
    let frame = Frame::new(
        [56.0, 10.0, WIDTH - 72.0, 180.0],
        Axis::new("share of the strongest feature", 0.0, 1.0),
        Axis::from_zero("neurons", &heights),
    );
    frame.axes(&mut svg);
    let fill = hex(BLUE);
    frame.bars(&mut svg, &bars, &Mark::area(&fill).class("bar"));
    let title = "Sparsity of readouts";
    let above = known.iter().filter(|s| **s > 0.5).count();
    let caption = format!(
        "Share of a readout\u{2019}s energy that is in its strongest feature; at 1 a neuron reads a single feature. More than half of it: {} %. {}.",
        shown(100.0 * above as f64 / known.len() as f64),
        count(known.len(), "neuron", "neurons")
    );
    let data = Table::new()
        .with("from", Column::Number(bars.iter().map(|b| b.0).collect()))
        .with("to", Column::Number(bars.iter().map(|b| b.1).collect()))
        .with("neurons", Column::Number(heights));
    Some(Figure::new(
        "readout-sparsity",
        title,
        caption,
        svg.finish(title),
        data,
    ))
}
