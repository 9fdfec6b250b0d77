//! Neurons with nothing to answer with: without mask or features, behind a dead core, never above their threshold. Whatever
//! they are shown, their response is the same, so that what a search ends on is no optimum.

use super::ascent::noise::white;
use crate::Result;
use crate::model::Model;
use ndarray::{Array2, Array3};

/// Noise images that are shown besides the blank one, and their SDs.
const SDS: [f32; 7] = [0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 8.0];
/// Change of a rate, in SDs of the neuron's responses or as a share of the rate, below which it counts as none.
const NONE: f64 = 1e-5;

/// What neurons answer to anything, where that is one and the same.
#[derive(Clone, Debug)]
pub struct Flat {
    /// The response in the recording's unit and how far another may be from it, by place in the list of neurons.
    answers: Vec<Option<(f64, f64)>>,
}

impl Flat {
    /// Shows a blank image and noise to neurons (rows of readout `index`).
    ///
    /// # Errors
    /// When the maps do not fit into memory, or the device fails.
    pub fn of(model: &mut Model, index: usize, neurons: &[usize]) -> Result<Self> {
        let (height, width) = model.readouts[index].image;
        let mut images = Array3::zeros((SDS.len() + 1, height, width));
        for (i, (mut image, sd)) in images.outer_iter_mut().skip(1).zip(SDS).enumerate() {
            let noise = white(1, 0, i, height * width);
            image.iter_mut().zip(noise).for_each(|(z, v)| *z = sd * v);
        }
        let rates = model
            .predictor(index, SDS.len() + 1)?
            .rates(images.view())?;
        let scales = &model.readouts[index].response_scale;
        let answer = |&n: &usize| {
            let (first, scale) = (f64::from(rates[(0, n)]), f64::from(scales[n]));
            let near = NONE * first.abs().max(1.0);
            let same = |r: &f32| (f64::from(*r) - first).abs() <= near;
            rates
                .column(n)
                .iter()
                .all(same)
                .then_some((scale * first, scale * near))
        };
        Ok(Self {
            answers: neurons.iter().map(answer).collect(),
        })
    }

    /// Of the mean over several models with the same neurons: flat where all are.
    pub fn mean(of: &[Self]) -> Self {
        let count = of.len() as f64;
        let share = |answer: Option<(f64, f64)>| {
            let (response, near) = answer?;
            Some((response / count, near / count))
        };
        let add = |(a, b)| Some((a?, b?)).map(|((r, n), (s, m)): ((f64, f64), _)| (r + s, n + m));
        let shares = of
            .iter()
            .map(|f| f.answers.iter().map(|a| share(*a)).collect());
        let sum = |a: Vec<_>, b: Vec<_>| a.into_iter().zip(b).map(add).collect();
        Self {
            answers: shares.reduce(sum).unwrap_or_default(),
        }
    }

    /// Whether a response of the neuron at this place is no answer: not a number, or what it says to anything.
    pub fn explains(&self, place: usize, response: f64) -> bool {
        let flat = self.answers.get(place).copied().flatten();
        !response.is_finite() || flat.is_some_and(|(r, near)| (response - r).abs() <= near)
    }

    /// Empties the rows (by place) that hold no answer at all.
    pub fn clear(&self, responses: &mut Array2<f64>) {
        for (place, mut row) in responses.rows_mut().into_iter().enumerate() {
            if row.iter().all(|r| self.explains(place, *r)) {
                row.fill(f64::NAN);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn flat(answers: &[Option<(f64, f64)>]) -> Flat {
        Flat {
            answers: answers.to_vec(),
        }
    }

    #[test]
    fn only_the_answer_to_anything_is_explained() {
        let of = flat(&[Some((2.0, 0.1)), None]);
        assert!(of.explains(0, 2.05) && of.explains(0, f64::INFINITY) && of.explains(1, f64::NAN));
        assert!(!of.explains(0, 2.2) && !of.explains(1, 2.0));
        let mut responses = array![[2.0, 2.0], [2.0, 2.0]];
        of.clear(&mut responses);
        assert!(responses.row(0).iter().all(|r| r.is_nan()));
        assert_eq!(responses.row(1), array![2.0, 2.0]);
    }

    #[test]
    fn a_mean_is_flat_where_all_are() {
        let of = [
            flat(&[Some((2.0, 0.1)), None]),
            flat(&[Some((4.0, 0.1)), Some((1.0, 0.1))]),
        ];
        let mean = Flat::mean(&of);
        assert!(mean.explains(0, 3.0) && !mean.explains(0, 2.0) && !mean.explains(1, 1.0));
    }
}
