//! Every figure's marks are where its numbers say.

use super::drawing::{Drawing, figure};
use super::fixture;
use super::small::striate;
use std::path::PathBuf;

fn drawn() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    striate(folder.path(), "report run").ok();
    (folder, run)
}

/// Heights (or lengths) of bars in proportion to a column.
#[track_caller]
fn assert_bars(of: &Drawing, side: &str, column: &str) {
    let wanted = of.column(column);
    let bars = of.of_class("bar");
    assert_eq!(bars.len(), wanted.len(), "{column}");
    let most = wanted.iter().copied().fold(0.0, f64::max);
    let longest = bars.iter().map(|b| b.number(side)).fold(0.0, f64::max);
    for (bar, wanted) in bars.iter().zip(&wanted) {
        let share = bar.number(side) / longest;
        assert!(
            (share - wanted / most).abs() < 2e-3,
            "{column}: {share}, wanted {}",
            wanted / most
        );
    }
}

#[test]
fn points_of_neurons_lie_where_their_two_numbers_are() {
    let (_folder, run) = drawn();
    for (name, x, y, width) in [
        (
            "correlation-and-ceiling",
            "maximum_correlation",
            "correlation_to_average",
            1.0,
        ),
        (
            "twin-and-oracle",
            "oracle_correlation",
            "single_trial_correlation",
            1.0,
        ),
        (
            "twin-and-glm",
            "glm_test_correlation",
            "correlation_to_average",
            1.0,
        ),
        (
            "comparison-oracle",
            "oracle_correlation",
            "correlation_to_average",
            1.0,
        ),
        (
            "comparison-ceiling",
            "maximum_correlation",
            "correlation_to_average",
            1.0,
        ),
        ("synthesized-responses", "target", "response", 5.0),
        ("truth-column", "true_x", "x", 10.0),
        ("truth-row", "true_y", "y", 10.0),
        (
            "truth-orientation-index",
            "true_orientation_index",
            "orientation_index",
            1.0,
        ),
        ("map-clusters", "tsne_1", "tsne_2", 50.0),
        ("map-recordings", "tsne_1", "tsne_2", 50.0),
        (
            "mask-and-correlation",
            "mask_mass_in_radius",
            "correlation_to_average",
            1.0,
        ),
        ("map-phase-index", "tsne_1", "tsne_2", 50.0),
    ] {
        figure(&run, name).assert_points(x, y, (4e-3 * width, 4e-3 * width));
    }
}

#[test]
fn a_figures_numbers_are_those_of_the_table() {
    let (_folder, run) = drawn();
    let drawn = figure(&run, "correlation-and-ceiling");
    let wanted: Vec<f64> = (0..13).map(|i| fixture::value(i, 1)).collect();
    for (got, wanted) in drawn.column("correlation_to_average").iter().zip(&wanted) {
        assert!((got - wanted).abs() < 1e-8, "{got} {wanted}");
    }
    let who = drawn.data.text("recording").unwrap();
    assert_eq!(who[0], fixture::names()[0]);
    assert_eq!(who[12], fixture::names()[1]);
    assert_eq!(drawn.data.text("neuron").unwrap()[12], "3");
}

#[test]
fn receptive_fields_hang_from_the_top_of_the_image() {
    let (_folder, run) = drawn();
    let drawn = figure(&run, "receptive-fields");
    drawn.assert_points("x", "y", (0.05, 0.05));
    let (rows, discs) = (drawn.column("y"), drawn.of_class("point"));
    let lowest = (0..rows.len())
        .max_by(|a, b| rows[*a].total_cmp(&rows[*b]))
        .unwrap();
    let at = discs.iter().map(|d| d.number("cy")).fold(0.0, f64::max);
    assert_eq!(
        discs[lowest].number("cy"),
        at,
        "the largest row is at the bottom"
    );
}

#[test]
fn bars_are_as_long_as_their_counts() {
    let (_folder, run) = drawn();
    for name in [
        "correlations",
        "cluster-sizes",
        "readout-sparsity",
        "preferred-orientations",
        "gabor-sizes",
    ] {
        assert_bars(&figure(&run, name), "height", "neurons");
    }
    let all: f64 = figure(&run, "correlations").column("neurons").iter().sum();
    assert_eq!(all, 13.0, "every neuron is in one bin");
    for name in ["index-histograms", "scores", "masks"] {
        let drawn = figure(&run, name);
        assert_eq!(drawn.of_class("bar").len(), drawn.data.rows(), "{name}");
        let all: f64 = drawn.column("neurons").iter().sum();
        assert_eq!(all % 13.0, 0.0, "{name}: every neuron is in one bin");
    }
    let drawn = figure(&run, "combinations");
    let (bars, wanted) = (drawn.of_class("bar"), drawn.column("neurons"));
    let long: Vec<f64> = bars[8..].iter().map(|b| b.number("width")).collect();
    for (long_of, wanted) in long.iter().zip(&wanted) {
        assert!(
            (long_of / long[7] - wanted / 49.0).abs() < 2e-3,
            "{long_of} {wanted}"
        );
    }
    assert_eq!(
        drawn.of_class("yes").len(),
        12,
        "of 24 properties half are there"
    );
}

#[test]
fn lines_go_through_their_numbers() {
    let (_folder, run) = drawn();
    for (name, x, y) in [
        ("history", "step", "training"),
        ("history-correlation", "step", "validation_correlation"),
        ("cluster-counts", "clusters", "held_out_log_likelihood"),
        ("alignment", "penalty (log10)", "energy"),
        ("selected-share", "Gabors", "cumulative_share"),
    ] {
        let drawn = figure(&run, name);
        let (xs, ys, line) = (
            drawn.column(x),
            drawn.column(y),
            drawn.of_class("curve")[0].points(),
        );
        assert_eq!(line.len(), xs.len(), "{name}");
        let (to_x, to_y) = (drawn.x(), drawn.y());
        let (wide, high) = (span(&xs), span(&ys));
        for (i, (px, py)) in line.into_iter().enumerate() {
            assert!(
                (to_x(px) - xs[i]).abs() < 4e-3 * wide,
                "{name}, {x} of row {i}: {} {}",
                to_x(px),
                xs[i]
            );
            assert!(
                (to_y(py) - ys[i]).abs() < 4e-3 * high,
                "{name}, {y} of row {i}: {} {}",
                to_y(py),
                ys[i]
            );
        }
    }
}

fn span(v: &[f64]) -> f64 {
    v.iter().copied().fold(f64::MIN, f64::max) - v.iter().copied().fold(f64::MAX, f64::min)
}

#[test]
fn a_polar_curve_is_as_far_from_its_middle_as_the_response_is_large() {
    let (_folder, run) = drawn();
    let drawn = figure(&run, "tuning-orientation");
    let (angles, responses) = (
        drawn.column("orientation_degrees"),
        drawn.column("response"),
    );
    let circles: Vec<_> = drawn
        .elements
        .iter()
        .filter(|e| e.name == "circle")
        .collect();
    for (i, curve) in drawn.of_class("curve").iter().enumerate() {
        let (cx, cy, radius) = (
            circles[2 * i + 1].number("cx"),
            circles[2 * i + 1].number("cy"),
            circles[2 * i + 1].number("r"),
        );
        let own = &responses[6 * i..6 * (i + 1)];
        let most = own.iter().copied().fold(0.0, f64::max);
        for (k, (x, y)) in curve.points().into_iter().take(6).enumerate() {
            let angle = angles[6 * i + k].to_radians();
            let r = radius * own[k] / most;
            assert!(
                (x - cx - r * angle.cos()).abs() < 0.02 && (cy - y - r * angle.sin()).abs() < 0.02,
                "neuron {i}, angle {k}"
            );
        }
    }
}

/// Dots lie where their values are, a line for each group, and each group's mean where it is.
#[track_caller]
fn assert_dots(drawn: &Drawing, group: &str, column: &str) {
    let (names, values) = (drawn.data.text(group).unwrap(), drawn.column(column));
    let dots = drawn.of_class("point");
    assert_eq!(dots.len(), values.len(), "{column}");
    let to = drawn.x();
    let mut lines = Vec::new();
    for ((dot, name), value) in dots.iter().zip(&names).zip(&values) {
        let got = to(dot.number("cx"));
        assert!((got - value).abs() < 4e-3, "{name}: {got}, wanted {value}");
        let line = (name.clone(), dot.get("cy").to_string());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let mut groups = names.clone();
    groups.dedup();
    assert_eq!(lines.len(), groups.len(), "each group on a line of its own");
    for (mark, name) in drawn.of_class("mean").iter().zip(&groups) {
        let own = names.iter().zip(&values).filter(|(n, _)| *n == name);
        let own: Vec<f64> = own.map(|(_, v)| *v).collect();
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        let got = to(mark.number("x1"));
        assert!(
            (got - mean).abs() < 4e-3,
            "{name}: mean {got}, wanted {mean}"
        );
    }
}

#[test]
fn fits_of_a_search_are_dots_and_this_run_has_a_ring() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::searched(folder.path());
    let mut report = super::small::command(folder.path(), "report");
    assert!(report.arg(&run).output().unwrap().status.success());
    let drawn = figure(&run, "search-systems");
    assert_dots(&drawn, "system", "test_correlation");
    assert_eq!(drawn.data.rows(), 5, "the failed one has no dot");
    let ring = drawn.of_class("own");
    assert_eq!(ring.len(), 1);
    let got = drawn.x()(ring[0].number("cx"));
    assert!((got - fixture::value(4, 51)).abs() < 4e-3, "{got}");
    let losses = figure(&run, "search-losses");
    losses.assert_points("validation_loss", "test_correlation", (4e-3, 4e-3));
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("plain &lt;b&gt;CNN") && !page.contains("<b>CNN"));
    assert!(page.contains("mean_of_best_5"));
}

#[test]
fn several_fits_agree_as_their_tables_say() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::bare(folder.path());
    fixture::consistent(&run);
    striate(folder.path(), "report run").ok();
    let drawn = figure(&run, "agreement");
    assert_dots(&drawn, "what", "agreement");
    // Three pairs: three numbers each, and two numbers of clusters.
    assert_eq!(drawn.data.rows(), 15);
    assert_dots(&figure(&run, "index-errors"), "index", "nmae");
    for name in ["continuum-silhouette", "continuum-agreement"] {
        let drawn = figure(&run, name);
        let (own, above) = (
            drawn.of_class("curve")[0].points(),
            drawn.of_class("curve")[2].points(),
        );
        let (to, wanted) = (drawn.y(), drawn.column("clouds, mean + 2 SD"));
        for ((point, wanted), own) in above.iter().zip(&wanted).zip(&own) {
            assert!((to(point.1) - wanted).abs() < 4e-3, "{name}");
            assert_eq!(point.0, own.0);
        }
    }
    let spread = figure(&run, "ensemble-spread");
    assert_eq!(spread.column("neurons").iter().sum::<f64>(), 13.0);
}
