//! A simulated population beside its truth.

use super::shared::{Scatter, count};
use crate::report::figure::{Figure, Section};
use crate::report::plot::{Axis, Frame, GREEN, Mark, Svg, Text, WIDTH, bar, fit, matrix, ramp};
use crate::report::source::{Found, Source};
use crate::table::{Column, Table};

/// Indices that have a true value beside them.
const INDICES: [(&str, &str); 5] = [
    ("orientation_index", "orientation index"),
    ("phase_index", "phase index"),
    ("suppression_index", "suppression index"),
    ("contrast_index", "contrast index"),
    ("plaid_index", "plaid index"),
];

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Against the truth",
        "Simulated neurons are known: what was planted beside what the twin shows.",
    );
    let Some((table, rows)) = truth(run) else {
        section.note("These neurons were not simulated (no truth.csv in the run\u{2019}s recording), or the recording is not where it was.");
        return section;
    };
    let of = |name: &str| -> Vec<f64> {
        let all = table.numbers(name);
        let cell = |r: &Option<usize>| {
            r.and_then(|r| all.as_ref().map(|a| a[r]))
                .unwrap_or(f64::NAN)
        };
        rows.iter().map(cell).collect()
    };
    match run.table("gabors.csv") {
        Ok(found) => gabors(run, &found, &of, &mut section),
        Err(lack) => section.lack(
            "Positions and orientations beside the truth",
            &lack,
            "gabors RUN",
        ),
    }
    if let Ok(found) = run.table("tuning.csv") {
        for (column, words) in INDICES {
            let (own, known) = (
                found.values(column),
                found.values(&format!("true_{column}")),
            );
            if let (Some(own), Some(known)) = (own, known) {
                let name = format!("truth-{}", column.replace('_', "-"));
                let scatter = Scatter {
                    words: [
                        &name,
                        &format!("True and found: {words}"),
                        "The index of the simulated neuron itself against that of its twin, from the same experiment. On the dashed line they agree.",
                    ],
                    x: (&format!("true {words}"), &known),
                    y: (&format!("{words} of the twin"), &own),
                    columns: [&format!("true_{column}"), column],
                    alike: true,
                    colour: GREEN,
                };
                section.draw_some(scatter.draw(run));
            }
        }
    }
    let types = table.text("type");
    if let (Some(types), Some(labels)) = (types, run.clusters()) {
        let word = |r: &Option<usize>| r.map_or_else(String::new, |r| types[r].clone());
        let types: Vec<String> = rows.iter().map(word).collect();
        section.draw_some(contingency(&types, &labels));
    }
    section
}

/// The table of truth beside the run's recordings, and each neuron's row in it.
fn truth(run: &Source) -> Option<(Table, Vec<Option<usize>>)> {
    let mut parts = Vec::new();
    for readout in 0..run.readouts.len() {
        let path = run.recording_of(readout)?.join("truth.csv");
        let table = path
            .exists()
            .then(|| Table::read_csv(&path).ok())
            .flatten()?;
        parts.push((run.readouts[readout].0.clone(), run.fitted(table)));
    }
    if parts.is_empty() {
        return None;
    }
    let label = run.several().then_some("recording");
    let table = Table::stacked(parts, label);
    let rows = run.rows(&table);
    rows.iter().any(Option::is_some).then_some((table, rows))
}

fn gabors(run: &Source, found: &Found, of: &dyn Fn(&str) -> Vec<f64>, section: &mut Section) {
    for (name, words) in [("x", "column"), ("y", "row")] {
        let known = of(name);
        let own = found
            .values(&format!("refined_{name}"))
            .or_else(|| found.values(name))
            .unwrap_or_default();
        let scatter = Scatter {
            words: [
                &format!("truth-{words}"),
                &format!("True and found: {words}"),
                "Where each simulated neuron looks against where its twin\u{2019}s optimal Gabor lies.",
            ],
            x: (&format!("true {words} (pixels)"), &known),
            y: (&format!("{words} of the optimal Gabor (pixels)"), &own),
            columns: [&format!("true_{name}"), name],
            alike: true,
            colour: GREEN,
        };
        section.draw_some(scatter.draw(run));
    }
    let known = of("orientation");
    let own = found
        .values("refined_orientation")
        .or_else(|| found.values("orientation"))
        .unwrap_or_default();
    // Half a turn is no turn of an orientation: of all the values that mean the same, the one next to the truth.
    let known: Vec<f64> = known
        .iter()
        .map(|a| a.to_degrees().rem_euclid(180.0))
        .collect();
    let own: Vec<f64> = own
        .iter()
        .zip(&known)
        .map(|(a, k)| k + (a.to_degrees() - k + 90.0).rem_euclid(180.0) - 90.0)
        .collect();
    let scatter = Scatter {
        words: [
            "truth-orientation",
            "True and found: orientation",
            "Orientation of each simulated neuron against that of its twin\u{2019}s optimal Gabor, modulo half a turn. Neurons without an orientation are left out.",
        ],
        x: ("true orientation (degrees)", &known),
        y: ("orientation of the Gabor (degrees)", &own),
        columns: ["true_orientation_degrees", "orientation_degrees"],
        alike: true,
        colour: GREEN,
    };
    section.draw_some(scatter.draw(run));
}

/// How many neurons of each planted type are in each cluster.
pub fn contingency(types: &[String], labels: &[Option<usize>]) -> Option<Figure> {
    let mut names: Vec<&str> = types
        .iter()
        .map(String::as_str)
        .filter(|t| !t.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    let clusters = labels.iter().flatten().max()? + 1;
    let mut counts = vec![0.0; names.len() * clusters];
    for (name, label) in types.iter().zip(labels) {
        if let (Ok(row), Some(k)) = (names.binary_search(&name.as_str()), label) {
            counts[row * clusters + k] += 1.0;
        }
    }
    if names.is_empty() {
        return None;
    }
    let sums: Vec<f64> = counts
        .chunks_exact(clusters)
        .map(|c| c.iter().sum::<f64>().max(1.0))
        .collect();
    let shares: Vec<f64> = counts
        .iter()
        .enumerate()
        .map(|(i, c)| c / sums[i / clusters])
        .collect();
    let (left, top, width) = (120.0, 10.0, 170.0);
    let high = 26.0 * names.len() as f64;
    let mut svg = Svg::new(top + high + 44.0);
    let picture = matrix(&shares, clusters, ramp);
    svg.picture(
        [left, top, width, high],
        &picture,
        false,
        &Mark::default().class("matrix"),
    );
    let step = clusters.div_ceil(12);
    let ticks = (0..clusters)
        .step_by(step)
        .map(|k| (k as f64 + 0.5, k.to_string()))
        .collect();
    let frame = Frame::new(
        [left, top, width, high],
        Axis::new("cluster", 0.0, clusters as f64).with_ticks(ticks),
        Axis::new("", 0.0, names.len() as f64).with_ticks(Vec::new()),
    );
    frame.axes_with(&mut svg, true, false);
    let each = width / clusters as f64;
    for (row, name) in names.iter().enumerate() {
        let y = top + (row as f64 + 0.5) * 26.0 + 3.5;
        svg.text(
            (left - 6.0, y),
            &fit(name, left - 10.0, 10.0),
            Text::end(10.0),
        );
        for k in (0..clusters).filter(|_| each >= 16.0) {
            let at = row * clusters + k;
            let class = if shares[at] < 0.35 {
                "on-dark"
            } else {
                "on-light"
            };
            let x = left + (k as f64 + 0.5) * each;
            svg.text_as(
                (x, y),
                &format!("{:.0}", counts[at]),
                Text::middle(10.0),
                class,
            );
        }
    }
    bar(
        &mut svg,
        (WIDTH - 56.0, top, high.max(60.0)),
        0.0,
        1.0,
        "share of type",
    );
    let title = "Planted types and clusters";
    let n = counts.iter().sum::<f64>() as usize;
    let caption = format!(
        "Neurons of each planted type by the cluster that they came into. One bright cell per row and per column: clusters are the types. {}.",
        count(n, "neuron", "neurons")
    );
    let mut data = Table::new().with(
        "type",
        Column::Text(names.iter().map(|n| (*n).to_string()).collect()),
    );
    for k in 0..clusters {
        let column = (0..names.len()).map(|r| counts[r * clusters + k]).collect();
        data = data.with(&format!("cluster_{k}"), Column::Number(column));
    }
    Some(Figure::new(
        "truth-types",
        title,
        caption,
        svg.finish(title),
        data,
    ))
}
