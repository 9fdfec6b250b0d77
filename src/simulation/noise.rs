//! Spike counts: Poisson around the expected response.

use super::population::table_of;
use super::random::{Purpose, stream};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};
use rand_distr::{Distribution, Poisson};
use rayon::prelude::*;

/// One Poisson count per trial and neuron, (trials, neurons); trial `t` shows image `images[t]` of
/// `rates` (images, neurons), whose numbers must be rows of `rates`. A count depends on seed, trial, neuron and
/// rate only.
///
/// # Errors
/// When a rate is not a number or too large to count.
pub(super) fn poisson(rates: ArrayView2<f64>, images: &[usize], seed: u64) -> Result<Array2<f32>> {
    let neurons = rates.ncols();
    let counts: Result<Vec<Vec<f32>>> = images
        .par_iter()
        .enumerate()
        .map(|(trial, &image)| {
            let row = rates.row(image);
            let count = |(neuron, &rate): (usize, &f64)| {
                if rate == 0.0 {
                    return Ok(0.0);
                }
                let distribution = Poisson::new(rate).map_err(|e| {
                    Error::bad("simulate", format!("rate of neuron {neuron}"), rate, e)
                })?;
                let index = (trial as u64) << 32 | neuron as u64;
                let mut rng = stream(seed, Purpose::Noise, index);
                Ok(distribution.sample(&mut rng) as f32)
            };
            row.iter().enumerate().map(count).collect()
        })
        .collect();
    table_of(counts?.concat(), images.len(), neurons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn counts_are_poisson() {
        let rates = array![[0.0, 0.5, 20.0]];
        let counts = poisson(rates.view(), &vec![0; 20_000], 5).unwrap();
        for (neuron, &rate) in rates.iter().enumerate() {
            let column = counts.column(neuron).mapv(f64::from);
            let mean = column.mean().unwrap();
            let variance = column.var(0.0);
            assert!(
                (mean - rate).abs() < 0.02 * (1.0 + rate),
                "mean {mean} of {rate}"
            );
            assert!(
                (variance - rate).abs() < 0.04 * (1.0 + rate),
                "variance {variance} of {rate}"
            );
        }
    }

    #[test]
    fn a_count_does_not_depend_on_its_neighbours() {
        let wide = poisson(array![[3.0, 4.0], [5.0, 6.0]].view(), &[0, 1, 1], 2).unwrap();
        let narrow = poisson(array![[3.0], [5.0]].view(), &[0, 1], 2).unwrap();
        assert_eq!(
            wide.column(0).as_standard_layout().as_slice().unwrap()[..2],
            narrow.into_raw_vec_and_offset().0
        );
        assert!(poisson(array![[f64::NAN]].view(), &[0], 2).is_err());
    }
}
