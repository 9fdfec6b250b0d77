//! How sharply neurons are tuned to the orientation of recorded gratings, in responses and in predictions.

use crate::insilico::harmonics::relative_harmonic;
use crate::recording::Recording;
use crate::{Error, Result};
use ndarray::ArrayView2;
use std::collections::BTreeMap;

/// The column of `trials.csv` with each trial's orientation in degrees; nothing where a trial shows none.
const COLUMN: &str = "orientation";

/// Trials of one orientation.
struct Shown {
    radians: f64,
    trials: Vec<usize>,
}

/// Circular variance 1 - |sum_k A_k exp(2 i theta_k)| / sum_k A_k of every neuron's mean responses A_k to the orientations theta_k
/// (Kindel et al. 2019), recorded (negative ones as 0) and predicted (images, neurons; images in the order of their numbers); none
/// where `trials.csv` has no column `orientation`. NaN for neurons that do not answer.
///
/// # Errors
/// Names the row whose orientation is no number.
pub fn circular_variances(
    recording: &Recording,
    predictions: ArrayView2<'_, f32>,
) -> Result<Option<[Vec<f64>; 2]>> {
    let column = recording.trial_columns.as_ref();
    let Some(cells) = column.and_then(|t| t.text(COLUMN)) else {
        return Ok(None);
    };
    let shown = by_orientation(recording, &cells)?;
    let mut images: Vec<usize> = recording.trials.iter().map(|t| t.image).collect();
    images.sort_unstable();
    images.dedup();
    let row = |trial: usize| {
        let image = recording.trials[trial].image;
        images.partition_point(|i| *i < image)
    };
    let recorded = |t: usize, n: usize| f64::from(recording.responses[[t, n]]).max(0.0);
    let predicted = |t: usize, n: usize| f64::from(predictions[[row(t), n]]);
    // Where a neuron was not recorded neither counts.
    let known = |t: usize, n: usize| !recording.responses[[t, n]].is_nan();
    let of = |value: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        (0..recording.neuron_count())
            .map(|n| variance_of(&shown, &|t| known(t, n).then(|| value(t, n))))
            .collect()
    };
    Ok(Some([of(&recorded), of(&predicted)]))
}

fn by_orientation(recording: &Recording, cells: &[String]) -> Result<Vec<Shown>> {
    let mut shown: BTreeMap<u64, Shown> = BTreeMap::new();
    for (row, cell) in cells.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
        let degrees = cell.trim().parse::<f64>().ok().filter(|d| d.is_finite());
        let degrees = degrees.ok_or_else(|| {
            let place = format!("{}, trials.csv, row {}", recording.name, row + 2);
            Error::bad(place, COLUMN, format!("\"{cell}\""), "degrees, or nothing")
        })?;
        let degrees = degrees.rem_euclid(180.0);
        let own = shown.entry(degrees.to_bits()).or_insert_with(|| Shown {
            radians: degrees.to_radians(),
            trials: Vec::new(),
        });
        own.trials.push(row);
    }
    Ok(shown.into_values().collect())
}

/// Of the mean over trials of each orientation.
fn variance_of(shown: &[Shown], value: &dyn Fn(usize) -> Option<f64>) -> f64 {
    let (mut means, mut angles) = (Vec::new(), Vec::new());
    for one in shown {
        let values: Vec<f64> = one.trials.iter().filter_map(|t| value(*t)).collect();
        if !values.is_empty() {
            means.push(crate::statistics::mean(&values));
            angles.push(one.radians);
        }
    }
    match means.iter().sum::<f64>() > 0.0 {
        true => 1.0 - relative_harmonic(&means, &angles, 2),
        false => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Tier, Trial};
    use crate::table::{Column, Table};
    use ndarray::{Array3, array};

    fn recording(cells: &[&str]) -> Recording {
        let cells: Vec<String> = cells.iter().map(|c| (*c).to_string()).collect();
        Recording {
            name: "gratings".into(),
            images: Array3::from_shape_fn((4, 1, 1), |(i, _, _)| i as f32),
            responses: array![
                [1.0, 2.0, -1.0],
                [3.0, 2.0, -1.0],
                [0.0, f32::NAN, -1.0],
                [0.0, 2.0, 0.0],
                [9.0, 9.0, 9.0]
            ],
            trials: [3, 3, 1, 0, 2]
                .map(|image| Trial {
                    image,
                    tier: Tier::Test,
                })
                .to_vec(),
            neurons: None,
            trial_columns: Some(Table::new().with("orientation", Column::Text(cells))),
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        }
    }

    #[test]
    fn a_neuron_that_answers_to_one_orientation_has_none_and_one_that_answers_to_all_has_all() {
        let r = recording(&["0", "180", "60", "120", ""]);
        // Rows of images 0, 1, 2, 3.
        let predictions = array![
            [1.0_f32, 0.0, 2.0],
            [1.0, 0.0, 1.0],
            [7.0, 7.0, 7.0],
            [1.0, 4.0, 1.0]
        ];
        let [recorded, predicted] = circular_variances(&r, predictions.view()).unwrap().unwrap();
        assert!(recorded[0].abs() < 1e-12, "{recorded:?}");
        // 2 at 0 and at 120 degrees: |1 + exp(4 i pi / 3)| / 2 = 1 / 2.
        assert!((recorded[1] - 0.5).abs() < 1e-12);
        assert!(recorded[2].is_nan());
        assert!((predicted[0] - 1.0).abs() < 1e-12);
        assert!(predicted[1].abs() < 1e-12);
        assert!((predicted[2] - 0.75).abs() < 1e-12);
    }

    #[test]
    fn without_orientations_there_is_none_and_bad_ones_are_named() {
        let predictions = ndarray::Array2::<f32>::ones((4, 3));
        let mut r = recording(&["0", "x", "60", "120", ""]);
        let error = circular_variances(&r, predictions.view()).unwrap_err();
        assert!(error.to_string().contains("row 3") && error.to_string().contains("\"x\""));
        r.trial_columns = None;
        assert!(
            circular_variances(&r, predictions.view())
                .unwrap()
                .is_none()
        );
    }
}
