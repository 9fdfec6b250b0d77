//! The tables of the orientation-Fourier form.
//!
//! Packed real DFT over O orientations, orthonormal: component 0 is frequency 0, components 2u-1 and 2u are the real
//! and imaginary parts of frequency u < O/2, component O-1 is frequency O/2 (O even). For a pair of basis functions of
//! angular order m take z = c_r + i c_i and D = B_r - i B_i (B: the input's responses to the basis). Then
//!
//! `Y^[k] = sum_{m=0} C^[-k] B^[k] + 1/2 sum_pairs ( Z[-(k+m)] D^[k+m] + conj(Z[k-m]) Dc^[k-m] )`, Dc = conj(D),
//!
//! so each real number of D^ and Dc^, a sum or difference of two numbers of B^ (a [`Column`]), enters one frequency k
//! (a [`Block`]). For an image, which has no orientations, y[q] = Re(exp(-i m phi_q) z D).

use super::Shape;
use crate::ops::basis::{Basis, Kind};
use crate::ops::panel;
use std::f64::consts::TAU;

/// One number of the expansion: response of an input component to a basis function.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub component: usize,
    pub function: usize,
    /// Only the second term of a column may be negative.
    pub sign: f32,
}

/// A part of one frequency of one coefficient spectrum, times a factor: one weight.
#[derive(Clone, Copy, Debug)]
struct Source {
    spectrum: usize,
    frequency: usize,
    imaginary: bool,
    factor: f64,
}

/// One input of a block: a number or a sum or difference of two, and its weight to each row.
#[derive(Clone, Debug)]
pub struct Column {
    pub first: Term,
    pub second: Option<Term>,
    sources: Vec<Source>,
}

/// Everything that reaches one output frequency.
#[derive(Clone, Debug)]
pub struct Block {
    /// Packed output components: one (real) or two (real, imaginary).
    pub components: Vec<usize>,
    pub columns: Vec<Column>,
    /// First panel row of this block; feature f's columns start at `start + f * columns.len()`.
    pub start: usize,
}

/// A column's place in the panel, listed under the input frequency that it is made from.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub first: Term,
    pub second: Option<Term>,
    pub block: usize,
    pub column: usize,
}

/// Tables of one layer in one direction.
#[derive(Clone, Debug)]
pub struct Plan {
    pub shape: Shape,
    /// Input components: O, or 1 for an image.
    pub components: usize,
    pub blocks: Vec<Block>,
    /// Groups of input components (one or two) with the columns made from them.
    pub groups: Vec<(Vec<usize>, Vec<Entry>)>,
    /// (O, O): packed component by orientation.
    pub transform: Vec<f32>,
    /// (k, k) and (M, k): the basis' factors.
    pub separable: Vec<f32>,
    pub polar: Vec<f32>,
    /// Rank of each basis function, and whether it is a sine.
    pub functions: Vec<(usize, bool)>,
    /// Index of the basis function, or of the cosine and the sine.
    spectra: Vec<(usize, Option<usize>)>,
}

/// Frequency u of a real signal over n orientations, from its packed components.
struct Packed {
    real: usize,
    /// Component of the imaginary part and its sign; none for frequencies 0 and n/2.
    imaginary: Option<(usize, f32)>,
    /// True spectrum = scale * packed.
    scale: f64,
}

fn packed(n: usize, u: usize) -> Packed {
    let (n_f, folded) = (n as f64, u.min(n - u));
    if folded == 0 {
        Packed { real: 0, imaginary: None, scale: n_f.sqrt() }
    } else if 2 * folded == n {
        Packed { real: n - 1, imaginary: None, scale: n_f.sqrt() }
    } else {
        let sign = if u == folded { 1.0 } else { -1.0 };
        Packed {
            real: 2 * folded - 1,
            imaginary: Some((2 * folded, sign)),
            scale: (n_f / 2.0).sqrt(),
        }
    }
}

fn column(first: Term, second: Option<Term>, mut sources: Vec<Source>) -> Column {
    let flip = first.sign;
    if flip < 0.0 {
        sources.iter_mut().for_each(|s| s.factor = -s.factor);
    }
    Column {
        first: Term { sign: 1.0, ..first },
        second: second.map(|t| Term { sign: t.sign * flip, ..t }),
        sources,
    }
}

impl Plan {
    pub fn new(shape: Shape, basis: &Basis) -> Self {
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
        let orders: Vec<usize> = spectra.iter().map(|s| basis.functions[s.0].order).collect();
        let mut blocks = Vec::new();
        let mut start = 0;
        for k in 0..=o / 2 {
            let columns: Vec<Column> = (0..spectra.len())
                .flat_map(|p| {
                    if shape.oriented_input {
                        oriented_columns(o, k, p, spectra[p], orders[p])
                    } else {
                        image_columns(o, k, p, spectra[p], orders[p])
                    }
                })
                .collect();
            let out = packed(o, k);
            let mut components = vec![out.real];
            components.extend(out.imaginary.map(|(c, _)| c));
            let rows = columns.len() * shape.in_features;
            blocks.push(Block { components, columns, start });
            start += rows;
        }
        let components = if shape.oriented_input { o } else { 1 };
        Self {
            shape,
            components,
            groups: groups(components, &blocks),
            blocks,
            transform: transform(o),
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

    /// Rows of the panel that all blocks together read.
    pub fn panel_rows(&self) -> usize {
        self.blocks
            .last()
            .map_or(0, |b| b.start + b.columns.len() * self.shape.in_features)
    }

    /// The mixing weights of each block, packed for [`panel::product`]: rows (part, g), depth (f, column).
    pub fn weights(&self, coefficients: &[f64]) -> Vec<Vec<f32>> {
        let spectra = self.spectra(coefficients);
        let (g, f_in) = (self.shape.out_features, self.shape.in_features);
        self.blocks
            .iter()
            .map(|block| {
                let n = block.columns.len();
                panel::pack(block.components.len() * g, n * f_in, |row, k| {
                    let source = &block.columns[k % n].sources[row / g];
                    (source.factor * spectra[self.at(source, k / n, row % g)]) as f32
                })
            })
            .collect()
    }

    /// Adds to dc what the blocks' weight gradients mean: the adjoint of [`Plan::weights`].
    /// `sums[block]` is (depth, padded rows), as [`panel::outer`] leaves it.
    pub fn backward_weights(&self, sums: &[Vec<f32>], dc: &mut [f64]) {
        let (g, f_in) = (self.shape.out_features, self.shape.in_features);
        let mut spectra = vec![0.0; self.spectra.len() * self.components * 2 * f_in * g];
        for (block, sums) in self.blocks.iter().zip(sums) {
            let n = block.columns.len();
            let rows = block.components.len() * g;
            for (k, sums) in sums.chunks_exact(panel::padded_rows(rows)).enumerate() {
                for (row, &sum) in sums[..rows].iter().enumerate() {
                    let source = &block.columns[k % n].sources[row / g];
                    spectra[self.at(source, k / n, row % g)] += source.factor * f64::from(sum);
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

/// Inputs of output frequency k from one spectrum, oriented input.
fn oriented_columns(
    o: usize,
    k: usize,
    spectrum: usize,
    (real, imaginary): (usize, Option<usize>),
    order: usize,
) -> Vec<Column> {
    let out = packed(o, k);
    // Packed = true spectrum / scale, on the output side.
    let row = 1.0 / out.scale;
    let self_conjugate = out.imaginary.is_none();
    let source = |frequency, imaginary, factor| Source { spectrum, frequency, imaginary, factor };
    let term = |component, function, sign| Term { component, function, sign };
    let Some(sine) = imaginary else {
        let (v, f) = ((o - k) % o, row * out.scale);
        let Some((part, _)) = out.imaginary else {
            return vec![column(term(out.real, real, 1.0), None, vec![source(v, false, f)])];
        };
        return vec![
            column(
                term(out.real, real, 1.0),
                None,
                vec![source(v, false, f), source(v, true, f)],
            ),
            column(
                term(part, real, 1.0),
                None,
                vec![source(v, true, -f), source(v, false, f)],
            ),
        ];
    };
    let mut columns = Vec::with_capacity(4);
    // D = B_r - i B_i at frequency u (direction -1) or its conjugate's spectrum B_r + i B_i (direction +1).
    let mut pair = |u: usize, direction: f32, sources: [Vec<Source>; 2]| {
        let input = packed(o, u);
        let [to_real, to_imaginary] = sources;
        let (second, imaginary_first) = match input.imaginary {
            Some((c, sign)) => (
                Some(term(c, sine, -direction * sign)),
                Some(term(c, real, sign)),
            ),
            None => (None, None),
        };
        columns.push(column(term(input.real, real, 1.0), second, to_real));
        let sine_term = term(input.real, sine, direction);
        columns.push(match imaginary_first {
            Some(first) => column(first, Some(sine_term), to_imaginary),
            None => column(sine_term, None, to_imaginary),
        });
    };
    let u = (k + order) % o;
    let v = (o - u) % o;
    let f = row * packed(o, u).scale;
    if self_conjugate {
        pair(u, -1.0, [vec![source(v, false, f)], vec![source(v, true, -f)]]);
    } else {
        let f = f / 2.0;
        pair(
            u,
            -1.0,
            [
                vec![source(v, false, f), source(v, true, f)],
                vec![source(v, true, -f), source(v, false, f)],
            ],
        );
        let w = (k + o * order - order) % o;
        let f = row * packed(o, w).scale / 2.0;
        pair(
            w,
            1.0,
            [
                vec![source(w, false, f), source(w, true, -f)],
                vec![source(w, true, f), source(w, false, f)],
            ],
        );
    }
    columns
}

/// Inputs of output frequency k from one spectrum, an image as input.
fn image_columns(
    o: usize,
    k: usize,
    spectrum: usize,
    (real, imaginary): (usize, Option<usize>),
    order: usize,
) -> Vec<Column> {
    let m = order % o;
    if m.min(o - m) != k {
        return Vec::new();
    }
    let out = packed(o, k);
    let f = out.scale;
    let source = |imaginary, factor| Source { spectrum, frequency: 0, imaginary, factor };
    let term = |function| Term { component: 0, function, sign: 1.0 };
    // Frequency k takes conj(z D) where m = k, z D where m = -k, and twice the real part where both hold.
    let direction = if m == k { -1.0 } else { 1.0 };
    let rows = |real: Source, imaginary: Source| match out.imaginary {
        Some(_) => vec![real, imaginary],
        None => vec![real],
    };
    let mut columns = vec![column(
        term(real),
        None,
        rows(source(false, f), source(true, direction * f)),
    )];
    if let Some(sine) = imaginary {
        columns.push(column(
            term(sine),
            None,
            rows(source(true, f), source(false, -direction * f)),
        ));
    }
    columns
}

fn groups(components: usize, blocks: &[Block]) -> Vec<(Vec<usize>, Vec<Entry>)> {
    (0..=components / 2)
        .map(|u| {
            let input = packed(components, u);
            let mut members = vec![input.real];
            members.extend(input.imaginary.map(|(c, _)| c));
            let mut entries = Vec::new();
            for (block, b) in blocks.iter().enumerate() {
                for (column, c) in b.columns.iter().enumerate() {
                    if members.contains(&c.first.component) {
                        let (first, second) = (c.first, c.second);
                        entries.push(Entry { first, second, block, column });
                    }
                }
            }
            (members, entries)
        })
        .collect()
}

/// Orthonormal real DFT over n points, (component, point); its transpose is its inverse.
fn transform(n: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; n * n];
    for u in 0..=n / 2 {
        let p = packed(n, u);
        for s in 0..n {
            let (sin, cos) = (TAU * (u * s % n) as f64 / n as f64).sin_cos();
            matrix[p.real * n + s] = (cos / p.scale) as f32;
            if let Some((c, _)) = p.imaginary {
                matrix[c * n + s] = (-sin / p.scale) as f32;
            }
        }
    }
    matrix
}
