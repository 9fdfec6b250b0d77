//! The metrics of `evaluation.csv`, per neuron, in `f64`. Trials on which a neuron was not recorded are left out.
//!
//! | column | definition |
//! |---|---|
//! | `correlation_to_average` | Pearson over images of prediction and repeat-averaged response (Ecker et al. 2019) |
//! | `single_trial_correlation` | Pearson over trials, each repeat by itself |
//! | `oracle_correlation` | jackknife: each trial against the mean of the other repeats of its image |
//! | `fraction_oracle` | `single_trial_correlation / oracle_correlation` |
//! | `maximum_correlation`, `fev` | noise ceiling, see [`crate::recording::ceiling`] |
//! | `single_trial_fev` | (total - noise) / total, of `feve`'s noise and total (Du et al. 2025): the share of single trials that can be explained |
//! | `cc_abs`, `cc_max`, `cc_norm` | `correlation_to_average`, its ceiling by signal power (Schoppe et al. 2016; Wang et al. 2025), and their ratio |
//! | `fve`, `r_max`, `image_selectivity` | as Kindel et al. 2019, see [`super::simulated`] |
//! | `feve` | 1 - (mean squared error - noise) / (total - noise): noise = mean over images of the variance over repeats, total = variance over trials, both ddof 1 |
//!
//! The two correlations of the model are 0 where prediction or response has an SD of at most 1e-5: a model that has
//! gone silent explains nothing. Whatever else is undefined is NaN, an empty cell: without repeats all but the two, and
//! the two as well where a neuron was recorded on fewer than two images.
//! Images with one recorded repeat are left out of oracle, fev and feve. `feve` means nothing for a neuron whose
//! explainable variance, total - noise, is not clearly positive: filter by `fev` first.

use super::simulated::{self, Noise};
use crate::recording::ceiling::{Repeats, check_trials};
use crate::statistics::{mean, pearson, variance, varies};
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::{ArrayView1, ArrayView2};
use rayon::prelude::*;

/// Below this SD a response or a prediction counts as constant (Ecker et al. 2019).
const SMALLEST_SD: f64 = 1e-5;

/// Scores of one neuron; NaN where undefined.
#[derive(Clone, Copy, Debug)]
struct Scores {
    to_average: f64,
    single_trial: f64,
    oracle: f64,
    fev: f64,
    feve: f64,
    single_trial_fev: f64,
    cc_max: f64,
    fve: f64,
    r_max: f64,
    image_selectivity: f64,
}

/// Scores predictions (images, neurons) against responses (trials, neurons), one row per neuron.
///
/// `repeats` holds the trials of each row of `predictions`: [`crate::recording::Recording::repeats`] of the test tier,
/// predictions of [`crate::recording::Recording::images_of`]. Predictions and responses share a unit; the 1e-5 under
/// which an SD counts as none makes the normalised unit of training the one to prefer.
///
/// # Errors
/// When rows, columns or trials do not fit each other.
pub fn evaluate(
    predictions: ArrayView2<'_, f64>,
    repeats: &[Vec<usize>],
    responses: ArrayView2<'_, f32>,
) -> Result<Table> {
    let wanted = (repeats.len(), responses.ncols());
    if predictions.dim() != wanted {
        return Err(Error::bad(
            "evaluation",
            "shape of the predictions",
            format!("{:?}", predictions.dim()),
            format!("{wanted:?} = (test images, neurons)"),
        ));
    }
    check_trials(repeats, responses)?;
    let noise = Noise::new(repeats.len());
    let scores: Vec<Scores> = (0..responses.ncols())
        .into_par_iter()
        .map(|n| {
            score(
                predictions.column(n),
                &Repeats::new(repeats, responses.column(n)),
                &noise,
            )
        })
        .collect();
    let column = |f: fn(&Scores) -> f64| Column::Number(scores.iter().map(f).collect());
    Ok(Table::new()
        .with(
            "neuron",
            Column::Integer((0..scores.len() as i64).collect()),
        )
        .with("correlation_to_average", column(|s| s.to_average))
        .with("single_trial_correlation", column(|s| s.single_trial))
        .with("oracle_correlation", column(|s| s.oracle))
        .with("fraction_oracle", column(|s| s.single_trial / s.oracle))
        .with("maximum_correlation", column(|s| s.fev.sqrt()))
        .with("fev", column(|s| s.fev))
        .with("feve", column(|s| s.feve))
        .with("single_trial_fev", column(|s| s.single_trial_fev))
        .with("cc_abs", column(|s| s.to_average))
        .with("cc_max", column(|s| s.cc_max))
        .with("cc_norm", column(|s| s.to_average / s.cc_max))
        .with("fve", column(|s| s.fve))
        .with("r_max", column(|s| s.r_max))
        .with("image_selectivity", column(|s| s.image_selectivity)))
}

fn score(prediction: ArrayView1<'_, f64>, neuron: &Repeats, noise: &Noise) -> Scores {
    let (mut predicted, mut average) = (Vec::new(), Vec::new());
    let (mut predicted_trials, mut trials) = (Vec::new(), Vec::new());
    for (p, responses) in prediction.iter().zip(neuron.images()) {
        if responses.is_empty() {
            continue;
        }
        predicted.push(*p);
        average.push(mean(responses));
        predicted_trials.extend(std::iter::repeat_n(*p, responses.len()));
        trials.extend_from_slice(responses);
    }
    Scores {
        to_average: model_correlation(&predicted, &average, average.len()),
        single_trial: model_correlation(&predicted_trials, &trials, average.len()),
        oracle: neuron.oracle_correlation(),
        fev: neuron.fev(),
        feve: feve(prediction, neuron),
        single_trial_fev: neuron.single_trial_fev(),
        cc_max: neuron.maximum_cc(),
        fve: simulated::fve(&predicted, &average),
        r_max: simulated::r_max(neuron, noise),
        image_selectivity: simulated::image_selectivity(&average),
    }
}

/// Pearson, 0 where either side is constant; NaN where `images`, those with a response, are too few to
/// vary, or a prediction is not finite.
pub(crate) fn model_correlation(predicted: &[f64], measured: &[f64], images: usize) -> f64 {
    if images < 2 || predicted.iter().any(|p| !p.is_finite()) {
        f64::NAN
    } else if constant(predicted) || constant(measured) {
        0.0
    } else {
        pearson(predicted, measured)
    }
}

/// Whether numbers count as all the same: by their SD, or within rounding.
pub(crate) fn constant(x: &[f64]) -> bool {
    variance(x, 0).sqrt() <= SMALLEST_SD || !varies(x)
}

fn feve(prediction: ArrayView1<'_, f64>, neuron: &Repeats) -> f64 {
    let (mut trials, mut squared_errors, mut noise) = (Vec::new(), Vec::new(), Vec::new());
    for (image, responses) in neuron.repeated() {
        noise.push(variance(responses, 1));
        for r in responses {
            squared_errors.push((r - prediction[image]).powi(2));
            trials.push(*r);
        }
    }
    if trials.is_empty() || !varies(&trials) || !mean(&squared_errors).is_finite() {
        return f64::NAN;
    }
    let (noise, total) = (mean(&noise), variance(&trials, 1));
    let explainable = total - noise;
    if explainable.abs() <= 1e-12 * total {
        return f64::NAN;
    }
    1.0 - (mean(&squared_errors) - noise) / explainable
}

/// Appends the columns of `neurons.csv`, cells as they are there, to a table with one row per neuron; a name that is
/// taken already gets the prefix `neurons.`.
///
/// # Errors
/// When the tables differ in length.
pub fn carry_neurons(mut scores: Table, neurons: &Table) -> Result<Table> {
    if neurons.rows() != scores.rows() {
        return Err(Error::bad(
            "neurons.csv",
            "rows",
            neurons.rows(),
            scores.rows(),
        ));
    }
    for name in neurons.names().filter(|n| *n != "neuron") {
        let Some(column) = neurons.column(name) else {
            continue;
        };
        // Scores of several recordings get a first column of that name.
        let mut free = name.to_string();
        while free == "recording" || scores.column(&free).is_some() {
            free.insert_str(0, "neurons.");
        }
        scores = scores.with(&free, column.clone());
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn cell(table: &Table, name: &str) -> f64 {
        table.numbers(name).unwrap()[0]
    }

    #[test]
    fn by_hand() {
        let responses = array![[1.0_f32], [3.0], [4.0], [8.0], [10.0], [f32::NAN]];
        let repeats = [vec![0, 1], vec![2, 3, 5], vec![4]];
        let table = evaluate(
            array![[1.0], [5.0], [6.0]].view(),
            &repeats,
            responses.view(),
        )
        .unwrap();
        // Predictions 1, 5, 6 against means 2, 6, 10: centred -3 1 2 and -4 0 4.
        assert!(
            (cell(&table, "correlation_to_average") - 20.0 / (14.0_f64 * 32.0).sqrt()).abs()
                < 1e-14
        );
        // 1 1 5 5 6 against 1 3 4 8 10: sums 18, 26; n Sxy - SxSy = 5*124-468, 5*88-324, 5*190-676.
        let single = 152.0 / (116.0_f64 * 274.0).sqrt();
        assert!((cell(&table, "single_trial_correlation") - single).abs() < 1e-14);
        let oracle = 6.0 / 26.0;
        assert!((cell(&table, "oracle_correlation") - oracle).abs() < 1e-14);
        assert!((cell(&table, "fraction_oracle") - single / oracle).abs() < 1e-13);
        assert!((cell(&table, "fev") - 5.5 / 8.0).abs() < 1e-14);
        assert!((cell(&table, "maximum_correlation") - (5.5_f64 / 8.0).sqrt()).abs() < 1e-14);
        // Trials 1 3 4 8: errors 0 4 1 9, mean 3.5; noise (2 + 8) / 2 = 5; total 26 / 3.
        let feve = 1.0 - (3.5 - 5.0) / (26.0 / 3.0 - 5.0);
        assert!((cell(&table, "feve") - feve).abs() < 1e-14);
        assert!((cell(&table, "single_trial_fev") - (1.0 - 15.0 / 26.0)).abs() < 1e-14);
        let (abs, max) = (cell(&table, "cc_abs"), cell(&table, "cc_max"));
        assert!(abs == cell(&table, "correlation_to_average"));
        // Means 2, 6, 10: P = 16, of ddof 0: 32 / 3; repeats 1 4 10 and 3 8: TP = (21 + 12.5) / 2; n = 2.
        assert!((max - ((32.0 - 16.75_f64) * 3.0 / 32.0).sqrt()).abs() < 1e-14);
        assert!((cell(&table, "cc_norm") - abs / max).abs() < 1e-14);
    }

    #[test]
    fn averaged_responses_leave_the_ceiling_empty() {
        let responses = array![[1.0_f32], [2.0], [4.0]];
        let repeats = [vec![0], vec![1], vec![2]];
        let table = evaluate(
            array![[2.0], [4.0], [8.0]].view(),
            &repeats,
            responses.view(),
        )
        .unwrap();
        for name in ["correlation_to_average", "single_trial_correlation"] {
            assert!((cell(&table, name) - 1.0).abs() < 1e-14);
        }
        for name in [
            "oracle_correlation",
            "fraction_oracle",
            "maximum_correlation",
            "fev",
            "feve",
            "single_trial_fev",
            "cc_max",
            "cc_norm",
            "r_max",
        ] {
            assert!(cell(&table, name).is_nan(), "{name}");
        }
    }

    #[test]
    fn a_silent_model_explains_nothing_and_an_unrecorded_neuron_has_no_score() {
        let responses = array![[1.0_f32, f32::NAN], [2.0, f32::NAN], [5.0, f32::NAN]];
        let repeats = [vec![0], vec![1], vec![2]];
        let table = evaluate(
            array![[0.3, 1.0], [0.3, 2.0], [0.3, 3.0]].view(),
            &repeats,
            responses.view(),
        );
        let table = table.unwrap();
        let r = table.numbers("correlation_to_average").unwrap();
        assert!(r[0] == 0.0 && r[1].is_nan());
    }

    #[test]
    fn one_image_correlates_with_nothing() {
        let responses = array![[1.0_f32, 1.0], [3.0, f32::NAN], [4.0, f32::NAN]];
        for repeats in [vec![vec![0, 1, 2]], vec![vec![0], vec![1]]] {
            let predictions = ndarray::Array2::from_shape_fn((repeats.len(), 2), |(i, _)| i as f64);
            let table = evaluate(predictions.view(), &repeats, responses.view()).unwrap();
            for name in ["correlation_to_average", "single_trial_correlation"] {
                let r = table.numbers(name).unwrap();
                assert!(
                    r[1].is_nan() && r[0].is_nan() == (repeats.len() == 1),
                    "{r:?}"
                );
            }
        }
    }

    #[test]
    fn the_true_means_explain_all_that_is_explainable() {
        let responses = array![[1.0_f32], [3.0], [7.0], [9.0], [13.0], [15.0]];
        let repeats = [vec![0, 1], vec![2, 3], vec![4, 5]];
        let table = evaluate(
            array![[2.0], [8.0], [14.0]].view(),
            &repeats,
            responses.view(),
        )
        .unwrap();
        // Errors are 1 everywhere, noise is 2: better than the noise by chance, as means of two are.
        assert!(cell(&table, "feve") > 1.0);
        assert!((cell(&table, "correlation_to_average") - 1.0).abs() < 1e-14);
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let message = evaluate(
            array![[1.0]].view(),
            &[vec![0], vec![0]],
            array![[1.0_f32]].view(),
        )
        .unwrap_err()
        .to_string();
        assert!(
            message.contains("(1, 1)") && message.contains("(2, 1)"),
            "{message}"
        );
    }

    #[test]
    fn columns_of_neurons_csv_are_carried() {
        let scores = Table::new()
            .with("neuron", Column::Integer(vec![0]))
            .with("fev", Column::Number(vec![0.5]));
        let neurons = Table::new()
            .with("neuron", Column::Integer(vec![0]))
            .with("layer", Column::Text(vec!["L4".into()]))
            .with("fev", Column::Number(vec![0.1]));
        let table = carry_neurons(scores, &neurons).unwrap();
        assert_eq!(
            table.names().collect::<Vec<_>>(),
            ["neuron", "fev", "layer", "neurons.fev"]
        );
    }
}
