//! The dense form on the CPU: the filters of all orientations, then a convolution over tiles of the images in the Fourier domain. What
//! it costs does not grow with the basis: for wide filters that is less than the orientation-Fourier form.

use super::Shape;
use super::plan::Plan;
use crate::ops::basis::Basis;
use crate::ops::conv::fourier;
use crate::ops::matmul::{Matrix, multiply};
use rayon::prelude::*;

/// Constants of a layer.
#[derive(Clone, Debug)]
pub struct Dense {
    shape: Shape,
    /// What coefficient j adds to a tap of the filters of orientation q, (O, k k, M).
    rotated: Vec<f32>,
    functions: usize,
    forward: fourier::Plan,
    backward: fourier::Plan,
}

impl Dense {
    /// None where the other form has less to do.
    pub fn of(shape: Shape, basis: &Basis, plan: &Plan) -> Option<Self> {
        let dense = Self::new(shape, basis)?;
        (shape.oriented_input && dense.forward.count < plan.cost()).then_some(dense)
    }

    /// None where no tile is wider than the filter.
    fn new(shape: Shape, basis: &Basis) -> Option<Self> {
        let direct = shape.direct();
        let (m, area) = (basis.len(), shape.kernel * shape.kernel);
        let rotated = basis.rotated(shape.orientations);
        let by_tap = (0..shape.orientations * area * m)
            .map(|i| rotated[(i / (area * m) * m + i % m) * area + i / m % area]);
        Some(Self {
            shape,
            rotated: by_tap.collect(),
            functions: m,
            forward: fourier::Plan::cheapest(&direct)?,
            backward: fourier::Plan::cheapest(&direct.transposed())?,
        })
    }

    /// Rows of the filter bank, (q, tap), and its columns, (base input channel, output feature).
    fn sizes(&self) -> (usize, usize) {
        let s = &self.shape;
        let rows = s.orientations * s.kernel * s.kernel;
        (rows, s.in_channels() * s.out_features)
    }

    /// Where the bank keeps a tap of the filter from channel c to channel o.
    fn place(&self, o: usize, c: usize, tap: usize) -> usize {
        let s = &self.shape;
        let (q, g) = (o / s.out_features, o % s.out_features);
        // Base channel (s, f) lies at input orientation s + q.
        let shift = q * if s.oriented_input { s.in_features } else { 0 };
        let i = if c >= shift {
            c - shift
        } else {
            c + s.in_channels() - shift
        };
        let row = q * s.kernel * s.kernel + tap;
        (row * s.in_channels() + i) * s.out_features + g
    }

    fn bank(&self, c: &[f32]) -> Vec<f32> {
        let ((rows, columns), m) = (self.sizes(), self.functions);
        let mut bank = vec![0.0; rows * columns];
        let (rotated, c) = (Matrix::new(&self.rotated, m), Matrix::new(c, columns));
        multiply((rows, columns, m), rotated, c, &mut bank, false);
        bank
    }

    /// Writes y.
    pub fn forward(&self, x: &[f32], c: &[f32], y: &mut [f32]) {
        let bank = self.bank(c);
        let tap = |o: usize, c: usize, tap: usize| bank[self.place(o, c, tap)];
        fourier::correlate(&self.forward, x, tap, y);
    }

    /// Writes dx.
    pub fn backward_input(&self, c: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (bank, last) = (self.bank(c), self.shape.kernel * self.shape.kernel - 1);
        let turned = |c: usize, o: usize, tap: usize| bank[self.place(o, c, last - tap)];
        fourier::correlate(&self.backward, dy, turned, dx);
    }

    /// Writes dx and adds to dc.
    pub fn backward(&self, (x, c): (&[f32], &[f32]), dy: &[f32], dx: &mut [f32], dc: &mut [f32]) {
        let (bank, direct) = (self.bank(c), self.shape.direct());
        let (channels, area) = (direct.in_channels, direct.kernel * direct.kernel);
        let turned = |c: usize, o: usize, tap: usize| bank[self.place(o, c, area - 1 - tap)];
        let place = |c: usize, o: usize, tap: usize| (o * channels + c + 1) * area - 1 - tap;
        let mut dw = vec![0.0; direct.lengths().1];
        fourier::backward(&self.backward, x, dy, turned, dx, place, &mut dw);
        self.of_filters(&dw, dc);
    }

    /// Adds to dc.
    pub fn backward_coefficients(&self, x: &[f32], dy: &[f32], dc: &mut [f32]) {
        let direct = self.shape.direct();
        let (channels, area) = (direct.in_channels, direct.kernel * direct.kernel);
        let mut dw = vec![0.0; direct.lengths().1];
        let place = |o: usize, c: usize, tap: usize| (o * channels + c) * area + tap;
        fourier::backward_weights(&self.forward, x, dy, place, &mut dw);
        self.of_filters(&dw, dc);
    }

    /// Adds to dc what the gradient of the expanded filters says.
    fn of_filters(&self, dw: &[f32], dc: &mut [f32]) {
        let direct = self.shape.direct();
        let (channels, area) = (direct.in_channels, direct.kernel * direct.kernel);
        let ((rows, columns), m) = (self.sizes(), self.functions);
        let mut bank = vec![0.0; rows * columns];
        let features = self.shape.out_features;
        let of_orientations = bank.par_chunks_exact_mut(area * columns).enumerate();
        of_orientations.for_each(|(q, bank)| {
            let first = q * area * columns;
            for o in q * features..(q + 1) * features {
                for c in 0..channels {
                    for tap in 0..area {
                        bank[self.place(o, c, tap) - first] = dw[(o * channels + c) * area + tap];
                    }
                }
            }
        });
        let rotated = Matrix::new(&self.rotated, m).transposed();
        multiply(
            (m, columns, rows),
            rotated,
            Matrix::new(&bank, columns),
            dc,
            true,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Layer, backward, backward_coefficients, backward_input};
    use super::super::{forward, forward_finished, reference};
    use super::*;
    use crate::device::Device;
    use crate::ops::activation::Activation;
    use crate::ops::norm::{Affine, Finish};

    /// Where it would be chosen and where not.
    #[test]
    fn agrees_with_the_definition() {
        for (orientations, oriented_input, features, size, kernel, padding) in [
            (8, true, (2, 3), (11, 17), 5, 2),
            (4, true, (5, 9), (9, 8), 3, 0),
            (6, true, (1, 4), (14, 10), 7, 3),
            (5, false, (2, 3), (12, 13), 5, 4),
        ] {
            let shape = Shape {
                batch: 3,
                orientations,
                in_features: features.0,
                out_features: features.1,
                oriented_input,
                height: size.0,
                width: size.1,
                kernel,
                padding,
            };
            let basis = Basis::new(kernel);
            let dense = Dense::new(shape, &basis).unwrap();
            let values = |n: usize, seed: f64| -> Vec<f64> {
                (0..n)
                    .map(|i| f64::from((i as f64 * seed).sin() as f32))
                    .collect()
            };
            let narrow = |v: &[f64]| v.iter().map(|&v| v as f32).collect::<Vec<_>>();
            let (x_len, _, y_len) = shape.direct().lengths();
            let (x, c) = (values(x_len, 0.37), values(shape.coefficients(), 0.73));
            let dy = values(y_len, 1.1);
            let [mut y, mut dx, mut dc] = [y_len, x_len, c.len()].map(|n| vec![0.0f64; n]);
            reference::forward(&shape, &basis, &x, &c, &mut y);
            reference::backward_input(&shape, &basis, &c, &dy, &mut dx);
            reference::backward_coefficients(&shape, &basis, &x, &dy, &mut dc);
            let wanted = [y, dx, dc];
            let [mut y, mut dx, mut dc] = [y_len, x_len, c.len()].map(|n| vec![0.0f32; n]);
            let (x, c, dy) = (narrow(&x), narrow(&c), narrow(&dy));
            dense.forward(&[], &c, &mut []);
            dense.forward(&x, &c, &mut y);
            dense.backward_input(&c, &dy, &mut dx);
            // Adds.
            dc.fill(0.5);
            dense.backward_coefficients(&x, &dy, &mut dc);
            let (mut both_dx, mut both_dc) = (vec![0.0f32; x_len], vec![0.5; c.len()]);
            dense.backward((&x, &c), &dy, &mut both_dx, &mut both_dc);
            for dc in [&mut dc, &mut both_dc] {
                dc.iter_mut().for_each(|v| *v -= 0.5);
            }
            let [wanted_y, wanted_dx, wanted_dc] = &wanted;
            for (found, wanted) in [
                (y, wanted_y),
                (dx, wanted_dx),
                (dc, wanted_dc),
                (both_dx, wanted_dx),
                (both_dc, wanted_dc),
            ] {
                let size = wanted.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                for (&a, b) in found.iter().zip(wanted) {
                    let off = (f64::from(a) - b).abs();
                    assert!(off <= 1e-5 * size, "{shape:?}: {a} is not {b}");
                }
            }
        }
    }

    #[test]
    fn every_pass_of_a_layer_takes_the_cheaper_form() {
        let device = Device::Cpu;
        let shape = Shape {
            batch: 2,
            orientations: 8,
            in_features: 12,
            out_features: 12,
            oriented_input: true,
            height: 24,
            width: 24,
            kernel: 9,
            padding: 4,
        };
        let layer = Layer::new(&device, shape);
        assert!(layer.dense.is_some());
        let small = Shape {
            kernel: 3,
            padding: 1,
            ..shape
        };
        assert!(Layer::new(&device, small).dense.is_none());
        let batch = shape.batch;
        let (maps, c_len) = (shape.direct().lengths().0, shape.coefficients());
        let values = |n: usize, seed: f32| {
            let v: Vec<f32> = (0..n).map(|i| (i as f32 * seed).sin()).collect();
            device.upload(&v, &[n])
        };
        let (x, c, dy) = (values(maps, 0.37), values(c_len, 0.73), values(maps, 1.1));
        let (mean, variance) = (values(12, 0.2), device.upload(&[2.0; 12], &[12]));
        let finish = Finish {
            statistics: (mean.view(), variance.view()),
            affine: Affine {
                gain: None,
                offset: mean.view(),
            },
            activation: Activation::Softplus,
        };
        let pass = |layer: &Layer| {
            let mut maps = [(); 4].map(|()| device.zeros(&[maps]));
            let mut gradients = [(); 2].map(|()| device.zeros(&[c_len]));
            let [y, z, dx, dx_alone] = &mut maps;
            let [dc, dc_alone] = &mut gradients;
            let (x, dy, c) = (x.view(), dy.view(), c.view());
            forward(&device, layer, batch, x.into(), c, y.view_mut().into());
            let to = z.view_mut().into();
            forward_finished(&device, layer, batch, (x.into(), c), &finish, to);
            let to = (dx.view_mut().into(), dc.view_mut());
            backward(&device, layer, batch, (x.into(), c), dy.into(), to.0, to.1);
            let to = dx_alone.view_mut().into();
            backward_input(&device, layer, batch, c, dy.into(), to);
            let to = dc_alone.view_mut();
            backward_coefficients(&device, layer, batch, x.into(), dy.into(), to);
            maps.into_iter().chain(gradients).map(|a| a.download())
        };
        let other = pass(&layer.clone().oriented());
        for (i, (found, wanted)) in pass(&layer).zip(other).enumerate() {
            let size = wanted.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (a, b) in found.iter().zip(&wanted) {
                assert!((a - b).abs() <= 1e-5 * size, "pass {i}: {a} is not {b}");
            }
        }
    }
}
