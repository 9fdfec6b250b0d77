//! What is varied in each experiment, and over which values (Ecker et al. 2019's grids).

use crate::insilico::Family;
use crate::insilico::harmonics::angles;
use crate::stimuli::Gabor;
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// One experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// The orientation alone.
    Orientation,
    /// The phase alone.
    Phase,
    /// Size and contrast; frequency in cycles per pixel, orientation, phase and place stay.
    SizeContrast,
    /// The Gabor, and a second one at a right angle and with the same phase, each with a contrast of its own.
    Plaid,
}

/// Values of one thing that is varied.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Its name in `tuning.npz`, behind the curve's.
    pub name: &'static str,
    /// Radians, pixels or contrasts.
    pub values: Vec<f64>,
}

impl Curve {
    /// All experiments.
    pub const ALL: [Self; 4] = [
        Self::Orientation,
        Self::Phase,
        Self::SizeContrast,
        Self::Plaid,
    ];

    /// Its name in `tuning.npz`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orientation => "orientation",
            Self::Phase => "phase",
            Self::SizeContrast => "size_contrast",
            Self::Plaid => "plaid",
        }
    }

    /// What is varied, slowest first.
    pub fn axes(self) -> Vec<Axis> {
        let axis = |name, values| Axis { name, values };
        let contrasts =
            |first: f64, n: u32| (0..n).map(move |k| (first + f64::from(k) / 2.0).exp2());
        let of_plaid = || std::iter::once(0.0).chain(contrasts(-3.0, 9)).collect();
        match self {
            Self::Orientation => vec![axis("angles", angles(24, PI))],
            Self::Phase => vec![axis("phases", angles(12, TAU))],
            Self::SizeContrast => vec![
                axis("sizes", (0..12).map(|k| 8.0 * 1.2f64.powi(k)).collect()),
                axis("contrasts", contrasts(-3.5, 12).collect()),
            ],
            Self::Plaid => vec![
                axis("orthogonal", of_plaid()),
                axis("preferred", of_plaid()),
            ],
        }
    }

    /// Values along the axes in every condition, the last axis fastest.
    pub fn conditions(self) -> Vec<Vec<f64>> {
        self.axes().iter().fold(vec![Vec::new()], |all, axis| {
            let longer = |c: &Vec<f64>| {
                let with = |v: &f64| [&c[..], &[*v]].concat();
                axis.values.iter().map(with).collect::<Vec<_>>()
            };
            all.iter().flat_map(longer).collect()
        })
    }

    /// What it is called while it runs.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Orientation => "orientations",
            Self::Phase => "phases",
            Self::SizeContrast => "sizes and contrasts",
            Self::Plaid => "plaids",
        }
    }

    /// What its images are.
    pub(super) fn family(self) -> Family {
        match self {
            Self::Plaid => Family::Plaids,
            _ => Family::Gabors,
        }
    }

    /// The image of one condition: the optimal Gabor with these values along the axes.
    pub(super) fn stimulus(self, optimal: &Gabor, values: &[f64]) -> Vec<Gabor> {
        let components = if self == Self::Plaid { 2 } else { 1 };
        let mut shown = vec![*optimal; components];
        match self {
            Self::Orientation => shown[0].orientation = values[0],
            Self::Phase => shown[0].phase = values[0],
            Self::SizeContrast => (shown[0].size, shown[0].contrast) = (values[0], values[1]),
            Self::Plaid => {
                shown[0].orientation += FRAC_PI_2;
                (shown[0].contrast, shown[1].contrast) = (values[0], values[1]);
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grids_have_the_published_ends() {
        let ends = |curve: Curve, axis: usize| {
            let values = &curve.axes()[axis].values;
            (values.len(), values[0], values[values.len() - 1])
        };
        let close = |(n, a, b): (usize, f64, f64), wanted: (usize, f64, f64)| {
            n == wanted.0 && (a - wanted.1).abs() <= 5e-3 && (b - wanted.2).abs() <= 5e-3
        };
        assert!(close(ends(Curve::SizeContrast, 0), (12, 8.0, 59.44)));
        assert!(close(ends(Curve::SizeContrast, 1), (12, 0.088, 4.0)));
        assert!(close(ends(Curve::Plaid, 0), (10, 0.0, 2.0)));
        assert!(close(ends(Curve::Plaid, 1), (10, 0.0, 2.0)));
        assert!(close(
            ends(Curve::Orientation, 0),
            (24, 0.0, PI * 23.0 / 24.0)
        ));
        assert!(close(ends(Curve::Phase, 0), (12, 0.0, TAU * 11.0 / 12.0)));
    }

    #[test]
    fn the_last_axis_is_the_fastest() {
        let plaid = Curve::Plaid.conditions();
        assert_eq!(plaid.len(), 100);
        assert_eq!(plaid[3], [0.0, 0.25]);
        assert_eq!(plaid[30], [0.25, 0.0]);
    }
}
