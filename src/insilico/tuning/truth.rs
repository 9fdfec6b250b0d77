//! The same experiments on simulated neurons, and how far a twin's agree with them.

use super::{Curve, Indices, Tuning};
use crate::device::Device;
use crate::insilico::search::Gabors;
use crate::ops::scan::Places;
use crate::simulation::{CellType, Neuron, Population};
use crate::statistics::{area_under_curve, spearman};
use crate::stimuli::{Canvas, Gabor, gabor};
use ndarray::ArrayView2;
use rayon::prelude::*;
use std::f64::consts::PI;
use std::fmt;

/// Orientations that count as the same, in radians: 15 degrees.
const SAME: f64 = PI / 12.0;

/// A simulated population's own answers.
#[derive(Clone, Debug)]
pub struct Truth {
    types: Vec<CellType>,
    orientations: Vec<Option<f64>>,
    /// Each neuron's own optimal Gabor.
    pub optimal: Vec<Gabor>,
    /// Of each neuron's curves with it.
    pub indices: Vec<Indices>,
}

/// How well a twin's experiments tell what the neurons are.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Agreement {
    /// Share of the oriented neurons whose optimal Gabor is within 15 degrees of their orientation.
    pub orientation_within_15_degrees: f64,
    /// Area under the ROC curve of simple against complex cells by F1/F0.
    pub simple_against_complex_auc: f64,
    /// Rank correlation of the suppression indices with the true neurons'.
    pub suppression_rank_correlation: f64,
    /// Rank correlation of the plaid indices with the true neurons'.
    pub plaid_rank_correlation: f64,
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "experiments on the twin against the same on the neurons themselves\n\
             orientation of the optimal Gabor within 15 degrees   {:>5.0} % of oriented neurons\n\
             simple against complex by F1/F0                      {:>5.3} area under the ROC curve\n\
             surround suppression                                 {:>5.3} rank correlation\n\
             cross-orientation inhibition                         {:>5.3} rank correlation\n",
            100.0 * self.orientation_within_15_degrees,
            self.simple_against_complex_auc,
            self.suppression_rank_correlation,
            self.plaid_rank_correlation,
        )
    }
}

impl Truth {
    /// Finds each neuron's optimal Gabor among these, centred on the pixel next to the neuron's centre, and runs the tuning
    /// experiments with it.
    pub fn of(population: &Population, grid: &Gabors) -> Self {
        let (height, width) = population.image_size();
        let experiments = |neuron: &Neuron| {
            let p = neuron.parameters();
            let place = Places {
                row: p.y.round() as i64,
                rows: 1,
                column: p.x.round() as i64,
                columns: 1,
            };
            let grid = grid.grid(place);
            let show = |stimuli: &[Vec<f32>], components: usize| {
                responses(neuron, (height, width), stimuli, components)
            };
            let shapes: Vec<Vec<f32>> = (0..grid.shapes.len())
                .map(|s| grid.stimulus(s, 0))
                .collect();
            let best = show(&shapes, 1)
                .into_iter()
                .enumerate()
                .reduce(|a, b| if b.1 > a.1 { b } else { a });
            let optimal = best.map_or(shapes[0].clone(), |(i, _)| shapes[i].clone());
            let optimal = Gabor::from_parameters(&optimal);
            let curves = Curve::ALL.map(|curve| {
                let conditions = curve.conditions();
                let stimuli: Vec<Vec<f32>> = conditions
                    .iter()
                    .map(|c| {
                        let parts = curve.stimulus(&optimal, c);
                        parts.iter().flat_map(Gabor::parameters).collect()
                    })
                    .collect();
                let components = stimuli[0].len() / gabor::PARAMETERS;
                show(&stimuli, components)
            });
            (optimal, Indices::of(&curves))
        };
        let neurons = population.neurons();
        let (optimal, indices) = neurons.par_iter().map(experiments).unzip();
        Self {
            types: neurons.iter().map(|n| n.parameters().cell_type).collect(),
            orientations: neurons.iter().map(|n| n.parameters().orientation).collect(),
            optimal,
            indices,
        }
    }

    /// Compares a twin's optimal Gabors and curves, one per neuron in the population's order.
    ///
    /// # Panics
    /// When there are not as many as neurons: that is a bug, not input.
    pub fn agreement(&self, optimal: &[Option<Gabor>], tuning: &Tuning) -> Agreement {
        let found = tuning.indices();
        assert_eq!(
            (optimal.len(), found.len()),
            (self.types.len(), self.types.len())
        );
        let oriented: Vec<bool> = self
            .orientations
            .iter()
            .zip(optimal)
            .filter_map(|(truth, found)| {
                let truth = (*truth)?;
                Some(found.is_some_and(|g| apart(g.orientation, truth) <= SAME))
            })
            .collect();
        let of = |t: CellType| -> Vec<f64> {
            let own = found.iter().zip(&self.types).filter(|(_, own)| **own == t);
            own.map(|(i, _)| i.phase).collect()
        };
        let ranks = |pick: fn(&Indices) -> f64| {
            let column = |i: &[Indices]| i.iter().map(pick).collect::<Vec<_>>();
            spearman(&column(&found), &column(&self.indices))
        };
        Agreement {
            orientation_within_15_degrees: oriented.iter().filter(|same| **same).count() as f64
                / oriented.len() as f64,
            simple_against_complex_auc: area_under_curve(
                &of(CellType::Simple),
                &of(CellType::Complex),
            ),
            suppression_rank_correlation: ranks(|i| i.suppression),
            plaid_rank_correlation: ranks(|i| i.plaid),
        }
    }
}

/// Angle between two orientations.
fn apart(a: f64, b: f64) -> f64 {
    let d = (a - b).rem_euclid(PI);
    d.min(PI - d)
}

fn responses(
    neuron: &Neuron,
    (height, width): (usize, usize),
    stimuli: &[Vec<f32>],
    components: usize,
) -> Vec<f64> {
    let canvas = Canvas {
        count: 1,
        height,
        width,
    };
    let device = Device::Cpu;
    let mut image = device.zeros(&[height, width]);
    let mut respond = |stimulus: &Vec<f32>| {
        let parameters = device.upload(stimulus, &[stimulus.len()]);
        gabor::draw(
            &device,
            &canvas,
            components,
            parameters.view(),
            image.view_mut(),
        );
        let pixels = image.view().host();
        ArrayView2::from_shape((height, width), pixels)
            .map_or(f64::NAN, |image| neuron.drive(image))
    };
    stimuli.iter().map(&mut respond).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::{Settings, simulate};
    use ndarray::Array2;

    fn truth(grid: &Gabors) -> Truth {
        let settings = Settings {
            neurons: 20,
            train: 200,
            validation: 2,
            test: 2,
            height: 28,
            width: 36,
            ..Settings::default()
        };
        let (_, table) = simulate(&settings, None).unwrap();
        let population = Population::from_truth(&table, 28, 36).unwrap();
        Truth::of(&population, grid)
    }

    fn of_size_10() -> Gabors {
        Gabors {
            sizes: vec![10.0],
            contrasts: vec![1.0],
            ..Gabors::default()
        }
    }

    #[test]
    fn the_neurons_optimal_gabors_have_their_orientation() {
        let published = Gabors::default();
        let truth = truth(&Gabors {
            sizes: published.sizes[..4].to_vec(),
            ..published
        });
        for (i, own) in truth.orientations.iter().enumerate() {
            let Some(own) = *own else { continue };
            let (kind, best) = (truth.types[i], truth.optimal[i]);
            let off = apart(best.orientation, own);
            assert!(off <= SAME, "{kind} neuron of orientation {own}: {best:?}");
        }
    }

    #[test]
    fn simulated_neurons_do_what_their_type_says() {
        let truth = truth(&of_size_10());
        let of = |t: CellType, pick: fn(&Indices) -> f64| -> Vec<f64> {
            let own = truth
                .types
                .iter()
                .zip(&truth.indices)
                .filter(|(own, _)| **own == t);
            own.map(|(_, i)| pick(i)).collect()
        };
        assert!(of(CellType::Simple, |i| i.phase).iter().all(|&i| i > 0.4));
        assert!(of(CellType::Complex, |i| i.phase).iter().all(|&i| i < 0.05));
        assert!(
            of(CellType::Simple, |i| i.suppression)
                .iter()
                .all(|&i| i < 0.01)
        );
        let suppressed = of(CellType::SurroundSuppressed, |i| i.suppression);
        assert!(suppressed.iter().any(|&i| i > 0.1), "{suppressed:?}");
        let crossed = of(CellType::CrossOrientationSuppressed, |i| i.plaid);
        assert!(crossed.iter().all(|&i| i > 0.1), "{crossed:?}");
    }

    #[test]
    fn a_twin_without_answers_agrees_with_nothing() {
        let truth = truth(&of_size_10());
        let silent = Tuning {
            curves: Curve::ALL.map(|c| Array2::zeros((20, c.conditions().len()))),
        };
        let found = truth.agreement(&[None; 20], &silent);
        assert_eq!(found.orientation_within_15_degrees, 0.0);
        assert!(found.simple_against_complex_auc.is_nan());
        assert!(found.suppression_rank_correlation.is_nan());
    }
}
