//! Gradient descent with momentum and a gain for every coordinate.

use super::affinities::Affinities;
use super::mesh::Mesh;
use super::{Embedding, Settings, forces};
use crate::insilico::Watch;
use crate::{Error, Result};
use ndarray::Array2;

/// Up to so many points every pair is cheaper than the mesh.
const PAIRS: usize = 1000;

/// Runs the descent from `points`.
pub fn descend(
    mut points: Vec<[f64; 2]>,
    p: &Affinities,
    settings: &Settings,
    watch: &mut Watch,
) -> Result<Embedding> {
    let n = p.rows();
    let rate = (n as f64 / settings.exaggeration / 4.0).max(50.0);
    let rate = settings.learning_rate.unwrap_or(rate);
    let mut pull = vec![[0.0; 2]; n];
    let mut push = vec![[0.0; 2]; n];
    let mut pace = vec![[0.0; 2]; n];
    let mut gains = vec![[1.0; 2]; n];
    let mut repulsion = Repulsion::new(n);
    watch.begin("t-SNE");
    for step in 0..settings.steps {
        if step == settings.exaggerated_steps {
            pace.fill([0.0; 2]);
            gains.fill([1.0; 2]);
        }
        let (exaggeration, momentum) = match step < settings.exaggerated_steps {
            true => (settings.exaggeration, 0.5),
            false => (1.0, 0.8),
        };
        let (z, ()) = rayon::join(
            || repulsion.of(&points, &mut push),
            || forces::attraction(&points, p, &mut pull),
        );
        for i in 0..n {
            for c in 0..2 {
                let slope = 4.0 * (exaggeration * pull[i][c] - push[i][c] / z);
                let (pace, gain) = (&mut pace[i][c], &mut gains[i][c]);
                let onwards = *pace * slope < 0.0;
                *gain = if onwards {
                    *gain + 0.2
                } else {
                    (*gain * 0.8_f64).max(0.01)
                };
                *pace = momentum * *pace - rate * *gain * slope;
                points[i][c] += *pace;
            }
        }
        watch.tick(step + 1, settings.steps)?;
    }
    watch.finish();
    if let Some(lost) = points
        .iter()
        .position(|p| !(p[0].is_finite() && p[1].is_finite()))
    {
        let what = format!("point {lost} after learning at the rate {rate}");
        return Err(Error::bad(
            "t-SNE",
            what,
            "not finite",
            "a smaller learning rate",
        ));
    }
    let z = repulsion.of(&points, &mut push);
    Ok(Embedding {
        points: Array2::from_shape_fn((n, 2), |(i, c)| points[i][c] as f32),
        divergence: forces::divergence(&points, p, z),
    })
}

enum Repulsion {
    Pairs,
    Mesh(Box<Mesh>),
}

impl Repulsion {
    fn new(n: usize) -> Self {
        match n {
            ..=PAIRS => Self::Pairs,
            _ => Self::Mesh(Box::default()),
        }
    }

    /// Writes sum_j q_ij^2 (y_i - y_j) and returns Z.
    fn of(&mut self, points: &[[f64; 2]], out: &mut [[f64; 2]]) -> f64 {
        match self {
            Self::Pairs => forces::repulsion(points, out),
            Self::Mesh(mesh) => mesh.repulsion(points, out),
        }
    }
}
