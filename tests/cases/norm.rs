//! Normalisation: batches, groups and planes of all kinds, float4 and not, and more images than a slice takes.

use super::{Case, Cost, Output, both, both_maps, empty_maps, filled, plus_one};
use crate::common::noise;
use striate::device::{Array, Device};
use striate::ops::activation::Activation;
use striate::ops::norm::{self, Affine, Finish, Shape};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes = [
        (2, 6, 6, 37),
        (3, 8, 2, 64),
        (1, 1, 1, 5),
        (1, 12, 3, 1),
        (5, 4, 1, 131),
        (2, 3, 3, 16 * 17),
        (2, 2, 1, 1028),
    ];
    for (batch, channels, groups, pixels) in shapes {
        let shape = Shape {
            batch,
            channels,
            groups,
            pixels,
        };
        cases.push(statistics(shape, 0.5));
        // A mean far from 0 leaves no trace in the variance.
        cases.push(statistics(shape, 200.0));
        for activation in [Activation::Softplus, Activation::Relu, Activation::None] {
            for with_gain in [false, true] {
                let fixed = With {
                    shape,
                    activation,
                    with_gain,
                };
                cases.push(fixed.forward());
                cases.push(fixed.backward());
            }
        }
    }
    // Slices of two images and a last one of one.
    let many = Shape {
        batch: 5,
        channels: 900,
        groups: 9,
        pixels: 3,
    };
    cases.push(statistics(many, 0.5));
    let many = With {
        shape: many,
        activation: Activation::Softplus,
        with_gain: true,
    };
    cases.push(many.backward());
    cases
}

fn map(shape: &Shape, mean: f64) -> Vec<f64> {
    let n = shape.batch * shape.channels * shape.pixels;
    noise(n, 1).iter().map(|y| mean + 3.0 * y).collect()
}

fn count(shape: &Shape) -> f64 {
    (shape.batch * shape.pixels * shape.channels / shape.groups) as f64
}

pub fn statistics(shape: Shape, mean: f64) -> Case {
    Case::new(
        format!("norm statistics, mean {mean}, {shape:?}"),
        move |on| {
            let groups = shape.groups;
            let (ay, y) = both_maps(on, &map(&shape, mean));
            let (mut moving_mean, old_mean) = both(on, &noise(groups, 5));
            let (mut moving_variance, old_variance) = both(on, &vec![0.8; groups]);
            let mut mean = filled(on, f32::NAN, groups);
            let mut variance = filled(on, f32::NAN, groups);
            on.pass(
                "statistics",
                Cost::words(6 * groups).maps(on, y.len()),
                || {
                    let batch = (mean.view_mut(), variance.view_mut());
                    let moving = (moving_mean.view_mut(), moving_variance.view_mut());
                    norm::statistics(on, &shape, ay.view(), 0.9, batch, moving);
                },
            );
            on.outputs(|| {
                let wanted = norm::reference::statistics(&shape, &y);
                let n = count(&shape);
                let correction = if n > 1.0 { n / (n - 1.0) } else { 1.0 };
                let moved = |old: &[f64], new: &[f64], factor: f64| -> Vec<f64> {
                    let pairs = old.iter().zip(new);
                    pairs.map(|(o, n)| 0.9 * o + 0.1 * factor * n).collect()
                };
                vec![
                    Output::new("mean", &mean, wanted.0.clone()),
                    Output::new("variance", &variance, wanted.1.clone()),
                    Output::new(
                        "moving mean",
                        &moving_mean,
                        moved(&old_mean, &wanted.0, 1.0),
                    ),
                    Output::new(
                        "moving variance",
                        &moving_variance,
                        moved(&old_variance, &wanted.1, correction),
                    ),
                ]
            })
        },
    )
}

#[derive(Clone, Copy, Debug)]
pub struct With {
    pub shape: Shape,
    pub activation: Activation,
    pub with_gain: bool,
}

/// Arrays of one group of parameters and the same numbers in float64.
struct Parameters {
    gain: (Array, Vec<f64>),
    offset: (Array, Vec<f64>),
    mean: (Array, Vec<f64>),
    variance: (Array, Vec<f64>),
}

impl With {
    /// With these statistics.
    fn parameters(&self, device: &Device, mean: &[f64], variance: &[f64]) -> Parameters {
        Parameters {
            gain: both(device, &noise(self.shape.groups, 3)),
            offset: both(device, &noise(self.shape.groups, 4)),
            mean: both(device, mean),
            variance: both(device, variance),
        }
    }

    fn finish<'a>(&self, p: &'a Parameters) -> Finish<'a> {
        Finish {
            statistics: (p.mean.0.view(), p.variance.0.view()),
            affine: Affine {
                gain: self.with_gain.then(|| p.gain.0.view()),
                offset: p.offset.0.view(),
            },
            activation: self.activation,
        }
    }

    /// With fixed statistics: y to z, in place too, and the way back.
    pub fn forward(self) -> Case {
        Case::new(format!("norm forward {self:?}"), move |on| {
            let (shape, groups) = (self.shape, self.shape.groups);
            let (ay, y) = both_maps(on, &map(&shape, 0.5));
            let (adz, dz) = both_maps(on, &noise(y.len(), 2));
            let spread: Vec<f64> = noise(groups, 6).iter().map(|v| 1.7 + v).collect();
            let p = self.parameters(on, &noise(groups, 5), &spread);
            let finish = self.finish(&p);
            let (mut az, mut in_place, mut d) = (empty_maps(on, y.len()), ay.clone(), adz.clone());
            on.pass("forward", Cost::words(0).maps(on, 2 * y.len()), || {
                norm::forward(on, &shape, ay.view(), &finish, az.view_mut());
            });
            on.pass(
                "forward in place",
                Cost::words(0).maps(on, 2 * y.len()),
                || {
                    norm::finish(on, &shape, &finish, in_place.view_mut());
                },
            );
            on.pass(
                "backward, statistics fixed",
                Cost::words(0).maps(on, 3 * y.len()),
                || {
                    norm::backward_fixed(on, &shape, ay.view(), &finish, d.view_mut());
                },
            );
            on.outputs(|| {
                let kind = (&shape, self.activation);
                let fixed = (&p.mean.1[..], &p.variance.1[..]);
                let gain = self.with_gain.then_some(&p.gain.1[..]);
                let offset = &p.offset.1;
                let z = norm::reference::forward(kind, &y, fixed, gain, offset);
                let dy = norm::reference::backward_fixed(kind, &y, fixed, gain, offset, &dz);
                vec![
                    Output::handed_on("z", &az, z.clone()),
                    Output::handed_on("z in place", &in_place, z),
                    Output::maps("dy", &d, dy),
                ]
            })
        })
    }

    /// Through the batch's own statistics.
    pub fn backward(self) -> Case {
        Case::new(format!("norm backward {self:?}"), move |on| {
            let (shape, groups) = (self.shape, self.shape.groups);
            let (ay, y) = both_maps(on, &map(&shape, 0.5));
            let (mut d, dz) = both_maps(on, &noise(y.len(), 2));
            let (mean, variance) = norm::reference::statistics(&shape, &y);
            let p = self.parameters(on, &mean, &variance);
            let finish = self.finish(&p);
            let mut again = filled(on, 1.0, groups);
            let mut aoffset = filled(on, 1.0, groups);
            // Both maps are read for the sums before the first number can be written.
            on.pass("backward", Cost::words(0).maps(on, 5 * y.len()), || {
                let gain = self.with_gain.then(|| again.view_mut());
                let sums = (gain, aoffset.view_mut());
                norm::backward(on, &shape, ay.view(), &finish, d.view_mut(), sums);
            });
            on.outputs(|| {
                let kind = (&shape, self.activation);
                let gain = self.with_gain.then_some(&p.gain.1[..]);
                let (dy, dgain, doffset) =
                    norm::reference::backward(kind, &y, gain, &p.offset.1, &dz);
                let mut outputs: Vec<Output> =
                    vec![Output::new("doffset", &aoffset, plus_one(&doffset))];
                // What is left of one sample after its own mean and variance is rounding.
                if count(&shape) > 2.0 {
                    let dgain = if self.with_gain {
                        plus_one(&dgain)
                    } else {
                        vec![1.0; groups]
                    };
                    outputs.push(Output::maps("dy", &d, dy));
                    outputs.push(Output::new("dgain", &again, dgain));
                }
                outputs
            })
        })
    }
}
