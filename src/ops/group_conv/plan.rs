//! The tables of the orientation-Fourier form.
//!
//! Packed real DFT over O orientations, orthonormal: component 0 is frequency 0, components 2u-1 and 2u are the real
//! and imaginary parts of frequency u < O/2, component O-1 is frequency O/2 (O even). For a pair of basis functions of
//! angular order m take z = c_r + i c_i and D = B_r - i B_i (B: the input's responses to the basis). Then
//!
//! `Y^[k] = sum_{m=0} C^[-k] B^[k] + 1/2 sum_pairs ( Z[-(k+m)] D^[k+m] + conj(Z[k-m]) Dc^[k-m] )`, Dc = conj(D),
//!
//! so each complex number of D^ and Dc^, made from two or four numbers of B^ (an [`Entry`]), enters one frequency k.
//! For an image, which has no orientations, y[q] = Re(exp(-i m phi_q) z D).
//!
//! A frequency 0 or O/2 is real: one [`Product`] of weights and numbers. Any other is a sum of complex products A D,
//! for which three real ones do (Gauss):
//!
//! `S1 = A_r (D_r + D_i)`, `S2 = (A_i - A_r) D_r`, `S3 = (A_r + A_i) D_i`; `Y_r = S1 - S3`, `Y_i = S1 + S2`.
//!
//! The recombination is linear in the S and is merged into the inverse DFT ([`Plan::synthesis`]). Gradients follow by
//! transposition: that of S from the output's by the transposed synthesis, that of the weights of each product from
//! these and the same numbers, and that of the coefficients by the adjoint of [`Plan::weights`].

use super::Shape;
use super::factors::{Combination, Factor, Single, Source, image, oriented};
use super::frequency::{self, Matrix, packed};
use crate::ops::basis::{Basis, Kind};
use crate::ops::panel::{self, Geometry, ROWS};
use std::f64::consts::TAU;

/// A real matrix product: one row of output per feature, one column of weights per number that enters.
#[derive(Clone, Debug)]
pub struct Product {
    /// What each column's weights are the sum of.
    columns: Vec<Vec<Source>>,
    /// First of an input feature's panel rows that enter.
    pub start: usize,
}

impl Product {
    /// Numbers of each input feature that enter.
    pub fn depth(&self) -> usize {
        self.columns.len()
    }
}

/// A number of the expansion and its places among an input feature's panel rows.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub real: Combination,
    pub real_row: usize,
    pub imaginary: Option<(Combination, usize)>,
    /// Row of the real part plus the imaginary part times a sign, where Gauss' trick needs it.
    pub sum: Option<(usize, f32)>,
}

/// Numbers made from the responses of the same input components (one, or a real and an imaginary part).
#[derive(Clone, Debug)]
pub struct Group {
    pub components: Vec<usize>,
    pub entries: Vec<Entry>,
}

/// Tables of one layer in one direction.
#[derive(Clone, Debug)]
pub struct Plan {
    pub shape: Shape,
    /// L: images that are interleaved.
    pub lanes: usize,
    /// Input components: O, or 1 for an image.
    pub components: usize,
    pub products: Vec<Product>,
    pub groups: Vec<Group>,
    /// Orientations to packed components.
    pub transform: Matrix,
    /// Products to orientations.
    pub synthesis: Matrix,
    /// Its transpose.
    pub analysis: Matrix,
    /// (k, k) and (M, k): the basis' factors.
    pub separable: Vec<f32>,
    pub polar: Vec<f32>,
    /// Rank of each basis function, and whether it is a sine.
    pub functions: Vec<(usize, bool)>,
    /// Index of the basis function, or of the cosine and the sine.
    spectra: Vec<(usize, Option<usize>)>,
}

/// Collects the products of the output frequencies.
struct Builder {
    products: Vec<Product>,
    groups: Vec<Group>,
    rows: usize,
}

impl Builder {
    fn new(components: usize) -> Self {
        let groups = (0..=components / 2)
            .map(|u| {
                let input = packed(components, u);
                let mut members = vec![input.real];
                members.extend(input.imaginary.map(|(c, _)| c));
                Group {
                    components: members,
                    entries: Vec::new(),
                }
            })
            .collect();
        Self {
            products: Vec::new(),
            groups,
            rows: 0,
        }
    }

    /// Starts a product of `depth` numbers per input feature.
    fn product(&mut self, columns: Vec<Vec<Source>>) -> usize {
        let start = self.rows;
        self.rows += columns.len();
        self.products.push(Product { columns, start });
        start
    }

    /// A real frequency: the factors' real parts, and products with a response alone.
    fn real_frequency(&mut self, single: &[Single], factors: &[Factor]) {
        let mut columns: Vec<Vec<Source>> = single.iter().map(|s| vec![s.2]).collect();
        for f in factors {
            columns.push(vec![f.real]);
            columns.push(vec![f.imaginary.times(f64::from(-f.number.flip))]);
        }
        let start = self.product(columns);
        for (i, &(group, response, _)) in single.iter().enumerate() {
            self.groups[group].entries.push(Entry {
                real: Combination {
                    first: response,
                    second: None,
                },
                real_row: start + i,
                imaginary: None,
                sum: None,
            });
        }
        for (i, f) in factors.iter().enumerate() {
            let row = start + single.len() + 2 * i;
            self.groups[f.number.group].entries.push(Entry {
                real: f.number.real,
                real_row: row,
                imaginary: Some((f.number.imaginary, row + 1)),
                sum: None,
            });
        }
    }

    /// A complex frequency: three products by Gauss' trick.
    fn complex_frequency(&mut self, factors: &[Factor]) {
        let columns =
            |weights: &dyn Fn(&Factor) -> Vec<Source>| factors.iter().map(weights).collect();
        let sum = self.product(columns(&|f| vec![f.real]));
        let real = self.product(columns(&|f| vec![f.imaginary, f.real.times(-1.0)]));
        let imaginary = self.product(columns(&|f| {
            let flip = f64::from(f.number.flip);
            vec![f.real.times(flip), f.imaginary.times(flip)]
        }));
        for (i, f) in factors.iter().enumerate() {
            self.groups[f.number.group].entries.push(Entry {
                real: f.number.real,
                real_row: real + i,
                imaginary: Some((f.number.imaginary, imaginary + i)),
                sum: Some((sum + i, f.number.flip)),
            });
        }
    }
}

impl Plan {
    pub fn new(shape: Shape, lanes: usize, basis: &Basis) -> Self {
        let o = shape.orientations;
        let spectra: Vec<(usize, Option<usize>)> = basis
            .functions
            .iter()
            .enumerate()
            .filter_map(|(j, f)| match f.kind {
                Kind::Round => Some((j, None)),
                Kind::Cosine => Some((j, Some(j + 1))),
                Kind::Sine => None,
            })
            .collect();
        let components = if shape.oriented_input { o } else { 1 };
        let mut builder = Builder::new(components);
        for k in 0..=o / 2 {
            let (mut single, mut factors) = (Vec::new(), Vec::new());
            for (p, &functions) in spectra.iter().enumerate() {
                let order = basis.functions[functions.0].order;
                if shape.oriented_input {
                    oriented(
                        o,
                        k,
                        p,
                        functions,
                        order,
                        basis.len(),
                        &mut single,
                        &mut factors,
                    );
                } else {
                    image(o, k, p, functions, order, &mut single, &mut factors);
                }
            }
            if packed(o, k).imaginary.is_none() {
                builder.real_frequency(&single, &factors);
            } else {
                builder.complex_frequency(&factors);
            }
        }
        let transform = frequency::transform(o);
        let synthesis = frequency::synthesis(o, &transform);
        Self {
            shape,
            lanes,
            components,
            groups: builder.groups,
            products: builder.products,
            transform: Matrix::new(o, o, |c, q| transform[c * o + q]),
            synthesis: Matrix::new(o, synthesis.len() / o, |q, i| synthesis[i * o + q]),
            analysis: Matrix::new(synthesis.len() / o, o, |i, q| synthesis[i * o + q]),
            separable: basis.separable.iter().map(|&v| v as f32).collect(),
            polar: basis.polar.iter().map(|&v| v as f32).collect(),
            functions: basis
                .functions
                .iter()
                .map(|f| (f.rank, f.kind == Kind::Sine))
                .collect(),
            spectra,
        }
    }

    /// Where the pixels of L images lie.
    pub fn geometry(&self) -> Geometry {
        let s = &self.shape;
        Geometry {
            height: s.height,
            width: s.width,
            kernel: s.kernel,
            padding: s.padding,
            lanes: self.lanes,
        }
    }

    /// What an image costs on this machine's CPU, in multiply-adds of a dense product. With 16 registers, as before AVX-512, the expansion
    /// runs at half of the roof (measured).
    pub fn cost(&self) -> usize {
        let (s, g) = (&self.shape, self.geometry());
        let k = s.kernel;
        // Columns, rows, polar functions.
        let expansion = k * k + k * k * (k + 1) / 2 + self.polar.len() / 2;
        let mixing = self.panel_rows() * s.out_features;
        let count = s.in_features * (self.components * expansion + mixing);
        let slow = if panel::lanes() < 16 { 2 } else { 1 };
        slow * count * g.out_height() * g.out_width()
    }

    /// Panel rows of one input feature.
    pub fn panel_rows(&self) -> usize {
        self.products.last().map_or(0, |p| p.start + p.depth())
    }

    /// Rows of each product, padded to whole row blocks.
    pub fn product_rows(&self) -> usize {
        self.shape.out_features.next_multiple_of(ROWS)
    }

    /// Length of one input feature's weights.
    pub fn feature_weights(&self) -> usize {
        self.panel_rows() * self.product_rows()
    }

    /// Where [`Plan::weights`] keeps that of a product's column to output feature g, within the input feature's.
    pub fn weight_index(&self, product: &Product, column: usize, g: usize) -> usize {
        let block = product.start * self.product_rows() + g / ROWS * ROWS * product.depth();
        block + column * ROWS + g % ROWS
    }

    /// Length of one input feature's weight gradients.
    pub fn feature_sums(&self) -> usize {
        self.panel_rows() * panel::padded_rows(self.shape.out_features)
    }

    /// The mixing weights: for each input feature and product, packed for [`panel::product`].
    pub fn weights(&self, coefficients: &[f64]) -> Vec<f32> {
        let spectra = self.spectra(coefficients);
        let features = self.shape.out_features;
        let mut weights = vec![0.0; self.shape.in_features * self.feature_weights()];
        for (f, weights) in weights.chunks_exact_mut(self.feature_weights()).enumerate() {
            for product in &self.products {
                for (column, sources) in product.columns.iter().enumerate() {
                    for g in 0..features {
                        let weight: f64 = sources
                            .iter()
                            .map(|s| s.factor * spectra[self.at(s, f, g)])
                            .sum();
                        weights[self.weight_index(product, column, g)] = weight as f32;
                    }
                }
            }
        }
        weights
    }

    /// Adds to dc what the weights' gradients mean: the adjoint of [`Plan::weights`].
    /// `sums` is (input feature, panel row, padded output features), as [`panel::outer`] leaves it.
    pub fn backward_weights(&self, sums: &[f32], dc: &mut [f64]) {
        let (features, padded) = (
            self.shape.out_features,
            panel::padded_rows(self.shape.out_features),
        );
        let size = self.shape.in_features * features;
        let mut spectra = vec![0.0; self.spectra.len() * self.components * 2 * size];
        for (f, sums) in sums.chunks_exact(self.feature_sums()).enumerate() {
            let columns = self.products.iter().flat_map(|p| &p.columns);
            for (sources, sums) in columns.zip(sums.chunks_exact(padded)) {
                for source in sources {
                    for (g, &sum) in sums[..features].iter().enumerate() {
                        spectra[self.at(source, f, g)] += source.factor * f64::from(sum);
                    }
                }
            }
        }
        self.backward_spectra(&spectra, dc);
    }

    fn at(&self, source: &Source, f: usize, g: usize) -> usize {
        let part = usize::from(source.imaginary);
        let plane = (source.spectrum * self.components + source.frequency) * 2 + part;
        (plane * self.shape.in_features + f) * self.shape.out_features + g
    }

    /// DFT of each spectrum's (complex) coefficients over the input orientations:
    /// (spectra, frequencies, 2, F_in, F_out).
    fn spectra(&self, coefficients: &[f64]) -> Vec<f64> {
        let size = self.shape.in_features * self.shape.out_features;
        let mut out = vec![0.0; self.spectra.len() * self.components * 2 * size];
        self.visit(|from, to, weight| {
            for i in 0..size {
                out[to * size + i] += weight * coefficients[from * size + i];
            }
        });
        out
    }

    fn backward_spectra(&self, spectra: &[f64], dc: &mut [f64]) {
        let size = self.shape.in_features * self.shape.out_features;
        self.visit(|from, to, weight| {
            for i in 0..size {
                dc[from * size + i] += weight * spectra[to * size + i];
            }
        });
    }

    /// The entries of the DFT matrix: (coefficient block (j, s), spectrum block (p, u, part), weight).
    fn visit(&self, mut visit: impl FnMut(usize, usize, f64)) {
        let n = self.components;
        for (p, &(real, imaginary)) in self.spectra.iter().enumerate() {
            for u in 0..n {
                for s in 0..n {
                    let (sin, cos) = (TAU * (u * s % n) as f64 / n as f64).sin_cos();
                    let to = (p * n + u) * 2;
                    visit(real * n + s, to, cos);
                    visit(real * n + s, to + 1, -sin);
                    if let Some(imaginary) = imaginary {
                        visit(imaginary * n + s, to, sin);
                        visit(imaginary * n + s, to + 1, cos);
                    }
                }
            }
        }
    }
}
