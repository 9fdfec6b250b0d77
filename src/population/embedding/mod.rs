//! A population in the plane: t-SNE (van der Maaten and Hinton 2008) of rows of numbers, such as bar codes.
//!
//! Neighbours are exact; a row's affinity to its 3 x perplexity nearest is Gaussian with the width that gives the wanted
//! perplexity; P is its symmetric mean. The points minimise KL(P | Q), Q_ij = q_ij / Z, q_ij = 1 / (1 + |y_i - y_j|^2), by
//! gradient descent with momentum and gains from the principal components:
//!
//! `dKL/dy_i = 4 (sum_j P_ij q_ij (y_i - y_j) - 1/Z sum_j q_ij^2 (y_i - y_j))`
//!
//! The first sum runs over neighbours, the second over all pairs, on a mesh. The recipe and its defaults are
//! scikit-learn's. The same rows and settings give the same bits for any number of threads.

mod affinities;
mod descent;
mod forces;
mod fourier;
mod mesh;
pub(super) mod neighbours;
mod start;
#[cfg(test)]
mod tests;
mod trustworthiness;

pub use trustworthiness::trustworthiness;

use crate::insilico::Watch;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};

/// How [`t_sne`] goes about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Effective number of neighbours of a row; at least 1. With n rows, at most (n - 1) / 3 of it is used.
    pub perplexity: f64,
    /// Steps of gradient descent, exaggerated ones included.
    pub steps: usize,
    /// What affinities are multiplied by in the first steps.
    pub exaggeration: f64,
    /// How many steps that are.
    pub exaggerated_steps: usize,
    /// Length of a step; `None`: n / exaggeration / 4, at least 50.
    pub learning_rate: Option<f64>,
    /// Of the search for principal components, and of the start of rows that are all equal.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            steps: 1000,
            exaggeration: 12.0,
            exaggerated_steps: 250,
            learning_rate: None,
            seed: 0,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        let at_least = |what: &str, got: f64, least: f64| match got.is_finite() && got >= least {
            true => Ok(()),
            false => Err(Error::bad("t-SNE", what, got, format!("at least {least}"))),
        };
        at_least("perplexity", self.perplexity, 1.0)?;
        at_least("exaggeration", self.exaggeration, 1.0)?;
        match self.learning_rate {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                Err(Error::bad("t-SNE", "learning rate", rate, "above 0"))
            }
            _ => Ok(()),
        }
    }
}

/// Rows as points of the plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// (n, 2).
    pub points: Array2<f32>,
    /// KL(P | Q) in nats; 0 of a single row.
    pub divergence: f64,
}

/// Embeds `rows` (n, d) in the plane. Equal rows, and fewer rows than neighbours, are fine; where the perplexity has to
/// be reduced it is said.
///
/// # Errors
/// A setting out of range, a number that is not finite, [`Error::Stopped`] when a signal has come.
pub fn t_sne(rows: ArrayView2<f32>, settings: &Settings, watch: &mut Watch) -> Result<Embedding> {
    settings.check()?;
    let (n, columns) = rows.dim();
    if let Some(((row, column), value)) = rows.indexed_iter().find(|(_, v)| !v.is_finite()) {
        let what = format!("row {row}, column {column}");
        return Err(Error::bad("t-SNE", what, value, "a finite number"));
    }
    if n < 2 || columns == 0 {
        return Ok(Embedding {
            points: Array2::zeros((n, 2)),
            divergence: 0.0,
        });
    }
    let most = ((n - 1) as f64 / 3.0).max(1.0);
    let perplexity = settings.perplexity.min(most);
    if perplexity < settings.perplexity {
        crate::say(format_args!(
            "t-SNE: {n} rows are few for a perplexity of {}: {perplexity:.1} is used",
            settings.perplexity
        ));
    }
    let centred = neighbours::centred(rows);
    let count = (n - 1).min((3.0 * perplexity) as usize + 1);
    watch.begin("neighbours");
    let near = neighbours::nearest(centred.view(), count, watch)?;
    let p = affinities::Affinities::new(&near, perplexity);
    let points = start::principal(centred.view(), settings.seed);
    descent::descend(points, &p, settings, watch)
}
