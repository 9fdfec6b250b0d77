//! What was fitted, and how well.

use super::shared::{Scatter, bins, count, histogram, lines};
use crate::report::figure::{Figure, Section};
use crate::report::plot::{
    Axis, BLUE, Frame, GREY, Mark, ORANGE, PURPLE, Svg, WIDTH, hex, legend, shown,
};
use crate::report::source::{Found, Lack, Source};
use crate::statistics::mean_of_known;
use crate::table::{Column, Table};

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Fit",
        "How well the twin predicts responses to images that it was not trained on, beside what noise allows.",
    );
    match run.table("evaluation.csv") {
        Ok(found) => scores(run, &found, &mut section),
        Err(lack) => section.lack("Scores", &lack, "evaluate RUN"),
    }
    match run.table("history.csv") {
        Ok(found) => history(&found).into_iter().for_each(|f| section.draw(f)),
        Err(lack) => section.lack("History of the fit", &lack, "train CONFIG"),
    }
    section
}

fn scores(run: &Source, found: &Found, section: &mut Section) {
    let of = |name: &str| found.values(name).unwrap_or_default();
    let (reached, ceiling) = (of("correlation_to_average"), of("maximum_correlation"));
    section.draw_some(correlations(&reached, &ceiling));
    let beside_ceiling = Scatter {
        words: [
            "correlation-and-ceiling",
            "Twin and noise ceiling",
            "Each neuron\u{2019}s correlation on test images against the highest that its noise allows: on the dashed line the twin explains all there is.",
        ],
        x: ("noise ceiling (maximum correlation)", &ceiling),
        y: ("correlation to average", &reached),
        columns: ["maximum_correlation", "correlation_to_average"],
        alike: true,
        colour: BLUE,
    };
    section.draw_some(beside_ceiling.draw(run));
    let (single, oracle) = (of("single_trial_correlation"), of("oracle_correlation"));
    let beside_oracle = Scatter {
        words: [
            "twin-and-oracle",
            "Twin and oracle",
            "Single trials: the twin against the oracle, the mean of an image\u{2019}s other repeats. Above the dashed line the twin predicts better than repeats do.",
        ],
        x: ("oracle (single-trial correlation)", &oracle),
        y: ("twin (single-trial correlation)", &single),
        columns: ["oracle_correlation", "single_trial_correlation"],
        alike: true,
        colour: BLUE,
    };
    match beside_oracle.draw(run) {
        Some(figure) => section.draw(figure),
        None => section
            .note("Noise ceiling and oracle: unknown, no test image was shown more than once."),
    }
    let path = run
        .glm
        .clone()
        .unwrap_or_else(|| run.directory.join("glm.csv"));
    match glm(run, &path) {
        Ok(linear) => {
            let beside_glm = Scatter {
                words: [
                    "twin-and-glm",
                    "Twin and GLM",
                    "Each neuron\u{2019}s test correlation: the twin against its own Poisson GLM on pixels. Above the dashed line the twin is better.",
                ],
                x: ("GLM (correlation to average)", &linear),
                y: ("twin (correlation to average)", &reached),
                columns: ["glm_test_correlation", "correlation_to_average"],
                alike: true,
                colour: BLUE,
            };
            section.draw_some(beside_glm.draw(run));
        }
        Err(lack) => section.lack("Twin against GLM", &lack, "glm REC --out RUN"),
    }
}

/// Test correlations of the GLMs. Their table is about a recording, not about this model.
fn glm(run: &Source, path: &std::path::Path) -> Result<Vec<f64>, Lack> {
    if !path.exists() {
        return Err(Lack::Missing);
    }
    let table = Table::read_csv(path).map_err(|e| Lack::Unusable(e.to_string()))?;
    let all = table
        .numbers("test_correlation")
        .ok_or_else(|| Lack::Unusable(format!("{} has no test_correlation", path.display())))?;
    let rows = run.rows(&table);
    Ok(rows
        .iter()
        .map(|r| r.map_or(f64::NAN, |r| all[r]))
        .collect())
}

/// Histogram of test correlations, with that of noise ceilings as an outline.
pub fn correlations(reached: &[f64], ceiling: &[f64]) -> Option<Figure> {
    let known = |v: &[f64]| v.iter().filter(|v| v.is_finite()).count();
    let n = known(reached);
    if n == 0 {
        return None;
    }
    let lowest = reached
        .iter()
        .chain(ceiling)
        .copied()
        .filter(|v| v.is_finite());
    let low = lowest.fold(0.0, f64::min);
    let low = (low * 10.0).floor() / 10.0;
    let bins_of = |v: &[f64]| histogram(v, low, 1.0, ((1.0 - low) * 25.0).round() as usize);
    let (bars, outline) = (bins_of(reached), bins_of(ceiling));
    let heights: Vec<f64> = bars.iter().chain(&outline).map(|b| b.2).collect();
    let mut svg = Svg::new(282.0);
    let (fill, edge) = (hex(BLUE), hex(GREY));
    let mut entries = vec![(
        fill.clone(),
        format!("twin, mean {}", shown(mean_of_known(reached))),
    )];
    if known(ceiling) > 0 {
        let words = format!("noise ceiling, mean {}", shown(mean_of_known(ceiling)));
        entries.push((edge.clone(), words));
    }
    let top = 10.0 + legend(&mut svg, (56.0, 4.0, WIDTH - 10.0), &entries);
    let frame = Frame::new(
        [56.0, top, WIDTH - 72.0, 242.0 - top],
        Axis::new("correlation to average (test images)", low, 1.0),
        Axis::from_zero("neurons", &heights),
    );
    frame.axes(&mut svg);
    frame.bars(&mut svg, &bars, &Mark::area(&fill).class("bar"));
    let mut data = bins(&bars, "neurons");
    if known(ceiling) > 0 {
        frame.steps(&mut svg, &outline, &Mark::line(&edge, 1.8).class("outline"));
        let counts = outline.iter().map(|b| b.2).collect();
        data = data.with("neurons_by_noise_ceiling", Column::Number(counts));
    }
    let title = "Test correlations";
    let caption = format!(
        "How well responses to test images, averaged over repeats, are predicted (bars), beside the noise ceiling of the same neurons (outline): the closer, the less is left to explain. {}.",
        count(n, "neuron", "neurons")
    );
    Some(Figure::new(
        "correlations",
        title,
        caption,
        svg.finish(title),
        data,
    ))
}

/// Losses and validation correlation over the steps of the fit.
pub fn history(found: &Found) -> Vec<Figure> {
    let step = found.column("step");
    let of = |name: &str| found.column(name);
    let (train, validation, correlation) = (
        of("train_loss"),
        of("validation_loss"),
        of("validation_correlation"),
    );
    let n = step.len();
    let words = [
        "history",
        "History of the fit",
        &*format!(
            "Loss over the steps of the fit: training (solid) and validation (dashed), which decides when the fit ends. {}.",
            count(n, "validation", "validations")
        ),
    ];
    let curves: [(&str, &[f64], _, _); 2] = [
        ("training", &train, BLUE, ""),
        ("validation", &validation, ORANGE, "5 3"),
    ];
    let losses = lines(words, ("step", &step), "loss", &curves, false);
    let words = [
        "history-correlation",
        "Validation correlation",
        &*format!(
            "Mean correlation of predictions and single-trial responses on validation images over the steps of the fit. {}.",
            count(n, "validation", "validations")
        ),
    ];
    let curves: [(&str, &[f64], _, _); 1] = [("validation_correlation", &correlation, PURPLE, "")];
    let second = lines(
        words,
        ("step", &step),
        "validation correlation",
        &curves,
        false,
    );
    losses.into_iter().chain(second).collect()
}
