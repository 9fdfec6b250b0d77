//! Repeats of an image as one trial.

use super::{Recording, Tier, Trial};
use ndarray::{Array2, Axis};
use std::collections::BTreeMap;

impl Recording {
    /// The same with one training or validation trial per image: the mean over its trials of what was recorded, NaN where nothing
    /// was. Trials stand in the order in which their images were first shown; test trials stay as they are, behind them.
    #[must_use]
    pub fn averaged(&self) -> Self {
        let mut order = Vec::new();
        let mut shown: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (row, trial) in self.trials.iter().enumerate() {
            if trial.tier != Tier::Test {
                let rows = shown.entry(trial.image).or_default();
                if rows.is_empty() {
                    order.push(*trial);
                }
                rows.push(row);
            }
        }
        let tested: Vec<(usize, Trial)> = (self.trials.iter().copied().enumerate())
            .filter(|(_, t)| t.tier == Tier::Test)
            .collect();
        let count = order.len() + tested.len();
        let mut responses = Array2::zeros((count, self.neuron_count()));
        for (mut to, trial) in responses.axis_iter_mut(Axis(0)).zip(&order) {
            let rows = &shown[&trial.image];
            for (n, to) in to.iter_mut().enumerate() {
                let all = rows.iter().map(|&row| self.responses[(row, n)]);
                let known: Vec<f64> = all.filter(|r| !r.is_nan()).map(f64::from).collect();
                // Of nothing it is NaN.
                *to = (known.iter().sum::<f64>() / known.len() as f64) as f32;
            }
        }
        for (mut to, (row, _)) in responses
            .axis_iter_mut(Axis(0))
            .skip(order.len())
            .zip(&tested)
        {
            to.assign(&self.responses.row(*row));
        }
        order.extend(tested.into_iter().map(|(_, trial)| trial));
        Self {
            responses,
            trials: order,
            trial_columns: None,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    #[test]
    fn repeats_become_their_mean_and_test_trials_stay() {
        let nan = f32::NAN;
        let trial = |image, tier| Trial { image, tier };
        let recording = Recording {
            name: "r".into(),
            images: Array3::zeros((4, 1, 1)),
            responses: array![
                [9.0, 1.0],
                [1.0, nan],
                [5.0, 7.0],
                [2.0, nan],
                [-4.0, 4.0],
                [6.0, 8.0]
            ],
            trials: vec![
                trial(3, Tier::Test),
                trial(1, Tier::Train),
                trial(0, Tier::Validation),
                trial(1, Tier::Train),
                trial(3, Tier::Test),
                trial(0, Tier::Validation),
            ],
            neurons: None,
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        };
        let averaged = recording.averaged();
        let images: Vec<usize> = averaged.trials.iter().map(|t| t.image).collect();
        assert_eq!(images, [1, 0, 3, 3]);
        assert_eq!(averaged.trials[1].tier, Tier::Validation);
        assert!(averaged.responses[(0, 0)] == 1.5 && averaged.responses[(0, 1)].is_nan());
        assert_eq!(averaged.responses.row(1), array![5.5, 7.5]);
        assert_eq!(averaged.responses.row(3), array![-4.0, 4.0]);
    }
}
