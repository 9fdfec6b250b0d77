//! The stimuli that are tried: shapes, and places for each of them.

use crate::insilico::Family;
use crate::ops::scan::Places;
use crate::stimuli::{DifferenceOfGaussians, Gabor};
use std::f64::consts::{PI, TAU};

/// Every shape at every place. Numbered places first (down the columns, first column first), then shapes.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What the parameters mean.
    pub family: Family,
    /// Parameters of each shape, its place 0.
    pub shapes: Vec<Vec<f32>>,
    /// How many values each parameter that shapes differ in has, the slowest first.
    pub axes: Vec<usize>,
    /// Pixels around its centre outside of which each shape is blank (below a few thousandths of its contrast).
    pub radii: Vec<f64>,
    /// The centres.
    pub places: Places,
    /// Whether a neuron that looks at a padded border is shown all of them: estimates ignore the border. Without masks: whether
    /// all places are tried.
    pub exhaustive: bool,
}

/// The Gabors of Ecker et al. 2019's search, places apart: 18,432.
#[derive(Clone, Debug, PartialEq)]
pub struct Gabors {
    /// 4 SD of the envelope, pixels.
    pub sizes: Vec<f64>,
    /// Cycles per size.
    pub cycles: Vec<f64>,
    /// a.
    pub contrasts: Vec<f64>,
    /// How many in [0, pi).
    pub orientations: usize,
    /// How many in [0, 2 pi).
    pub phases: usize,
}

/// Differences of Gaussians, places apart. The literature names no grid (Ustyuzhaninov et al. 2022): centres have the
/// SDs of the Gabors' envelopes, contrasts both signs: 1,920.
#[derive(Clone, Debug, PartialEq)]
pub struct Differences {
    /// SD of the centre, pixels.
    pub sigmas: Vec<f64>,
    /// SD of the surround over that of the centre.
    pub ratios: Vec<f64>,
    /// a_c.
    pub contrasts: Vec<f64>,
    /// a_s.
    pub surround_contrasts: Vec<f64>,
}

fn powers(base: f64, first: i32, count: usize) -> Vec<f64> {
    (0..count as i32).map(|k| base.powi(first + k)).collect()
}

impl Default for Gabors {
    fn default() -> Self {
        Self {
            sizes: powers(1.25, 0, 8).iter().map(|p| 8.0 * p).collect(),
            cycles: powers(1.3, -1, 4),
            contrasts: powers(2.0, -3, 6),
            orientations: 12,
            phases: 8,
        }
    }
}

impl Default for Differences {
    fn default() -> Self {
        let contrasts = powers(2.0, -3, 6);
        Self {
            sigmas: powers(1.25, 0, 8).iter().map(|p| 2.0 * p).collect(),
            ratios: vec![1.25, 1.6, 2.0, 3.0],
            contrasts: contrasts.iter().flat_map(|&c| [c, -c]).collect(),
            surround_contrasts: vec![0.0, 0.25, 0.5, 1.0, 2.0],
        }
    }
}

impl Gabors {
    /// With these places.
    pub fn grid(&self, places: Places) -> Grid {
        let mut shapes = Vec::new();
        let mut radii = Vec::new();
        for &size in &self.sizes {
            for &cycles in &self.cycles {
                for &contrast in &self.contrasts {
                    for orientation in 0..self.orientations {
                        for phase in 0..self.phases {
                            let gabor = Gabor {
                                x: 0.0,
                                y: 0.0,
                                size,
                                frequency: cycles / size,
                                contrast,
                                orientation: PI * orientation as f64 / self.orientations as f64,
                                phase: TAU * phase as f64 / self.phases as f64,
                            };
                            shapes.push(gabor.parameters().to_vec());
                            radii.push(size);
                        }
                    }
                }
            }
        }
        Grid {
            family: Family::Gabors,
            shapes,
            axes: vec![
                self.sizes.len(),
                self.cycles.len(),
                self.contrasts.len(),
                self.orientations,
                self.phases,
            ],
            radii,
            places,
            exhaustive: false,
        }
    }
}

impl Differences {
    /// With these places.
    pub fn grid(&self, places: Places) -> Grid {
        let mut shapes = Vec::new();
        let mut radii = Vec::new();
        for &sigma_centre in &self.sigmas {
            for &ratio in &self.ratios {
                for &contrast in &self.contrasts {
                    for &surround_contrast in &self.surround_contrasts {
                        let difference = DifferenceOfGaussians {
                            x: 0.0,
                            y: 0.0,
                            sigma_centre,
                            sigma_surround: sigma_centre * ratio,
                            contrast,
                            surround_contrast,
                        };
                        shapes.push(difference.parameters().to_vec());
                        radii.push(4.0 * sigma_centre * ratio.max(1.0));
                    }
                }
            }
        }
        Grid {
            family: Family::Differences,
            shapes,
            axes: vec![
                self.sigmas.len(),
                self.ratios.len(),
                self.contrasts.len(),
                self.surround_contrasts.len(),
            ],
            radii,
            places,
            exhaustive: false,
        }
    }
}

impl Grid {
    /// The stimulus of this shape at this place, in the image's coordinates.
    pub fn stimulus(&self, shape: usize, place: usize) -> Vec<f32> {
        let (row, column) = self.places.at(place);
        self.family
            .moved(&self.shapes[shape], column as f32, row as f32)
    }

    /// The shapes that differ from this one in one or two parameters.
    pub fn related(&self, shape: usize) -> Vec<usize> {
        let differ = |mut other: usize| {
            let (mut own, mut count) = (shape, 0);
            for &n in self.axes.iter().rev() {
                count += usize::from(own % n != other % n);
                (own, other) = (own / n, other / n);
            }
            count
        };
        let related = (0..self.shapes.len()).filter(|&s| (1..=2).contains(&differ(s)));
        related.collect()
    }

    /// How many stimuli there are.
    pub fn len(&self) -> usize {
        self.shapes.len() * self.places.count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn related_shapes_differ_in_one_or_two_parameters() {
        let place = Places {
            row: 0,
            rows: 1,
            column: 0,
            columns: 1,
        };
        let grid = Gabors {
            sizes: vec![8.0, 10.0, 12.0],
            cycles: vec![1.0],
            contrasts: vec![0.5, 1.0],
            orientations: 3,
            phases: 4,
        }
        .grid(place);
        let index = |g: &[f32]| -> Vec<u32> { g.iter().map(|v| v.to_bits()).collect() };
        for shape in [0, 17, 40, 71] {
            let mut related = grid.related(shape);
            related.sort_unstable();
            let mut wanted = Vec::new();
            for (other, parameters) in grid.shapes.iter().enumerate() {
                let own = index(&grid.shapes[shape]);
                // The frequency follows the size.
                let pairs = own.iter().zip(index(parameters)).enumerate();
                let differ = pairs.filter(|(i, (a, b))| *i != 3 && **a != *b).count();
                if (1..=2).contains(&differ) {
                    wanted.push(other);
                }
            }
            assert_eq!(related, wanted);
        }
    }

    #[test]
    fn the_published_grid_has_9_326_592_gabors() {
        let places = Places {
            row: 5,
            rows: 23,
            column: 27,
            columns: 22,
        };
        let grid = Gabors::default().grid(places);
        assert_eq!(grid.len(), 9_326_592);
        assert_eq!(grid.places.at(0), (5, 27));
        assert_eq!(grid.places.at(505), (27, 48));
        let last = grid.shapes.last().unwrap();
        assert!(
            (last[2] - 38.1470).abs() < 1e-4 && last[4] == 4.0,
            "{last:?}"
        );
    }
}
