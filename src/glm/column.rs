//! One column of the batch: one neuron, one fold, one penalty at a time, along the penalties from strong to weak.
//!
//! With count c_i and response sum s_i of image i, n trials, and drive eta = X w + b, it minimises
//!
//! ```text
//! f(w, b) = 1/n sum_i (c_i exp(eta_i) - s_i eta_i) + alpha/2 |w|^2
//! ```
//!
//! by L-BFGS. The first guess of the inverse Hessian is diagonal, 1 / (mean rate x mean square of the coordinate +
//! alpha), which is nearly exact in the coordinates of the design. The line search minimises f along the direction:
//! the drive is linear in the step, so that no product with the design is needed. When the penalty changes from alpha
//! to beta, gradient and pairs (s, y) of L-BFGS are known exactly: g + (beta - alpha) w and y + (beta - alpha) s; and
//! the first direction leads to where the solutions for the last three penalties point.

use super::design::Design;
use super::number::{add, dot};
use super::trials::Responses;
use crate::ops::Real;
use std::collections::VecDeque;

/// Pairs of L-BFGS.
const MEMORY: usize = 5;
/// Trial steps of a line search.
const TRIALS: usize = 30;
/// A step is good when the slope is this much flatter than at the start.
const FLATTER: f64 = 0.2;

/// A change of the weights and the change of the gradient that it made.
#[derive(Clone, Debug)]
struct Pair<T> {
    step: Vec<T>,
    change: Vec<T>,
    product: f64,
}

/// The state of one column besides its weights.
#[derive(Clone, Debug)]
pub(super) struct Column<T> {
    /// Which chain of penalties this is.
    pub chain: usize,
    /// Where in the chain it is.
    pub at: usize,
    /// Iterations at this penalty.
    pub iterations: usize,
    /// Norm of the gradient over that of the model without weights.
    pub relative: f64,
    penalty: f64,
    responses: Responses<T>,
    drive: Vec<T>,
    rate: Vec<T>,
    gradient: Vec<T>,
    /// Norm of the gradient without weights, once known.
    start: Option<f64>,
    /// Newest first.
    pairs: VecDeque<Pair<T>>,
    /// Solutions for the stronger penalties, newest first.
    earlier: VecDeque<Vec<T>>,
    /// Of the objective along the direction.
    slope: f64,
    /// Length of the last step.
    taken: f64,
    value: f64,
    /// Whether the last direction was that of the diagonal guess alone.
    plain: bool,
    stuck: bool,
}

/// What to do with a column after an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Goes on.
    Moving,
    /// The gradient is small enough.
    Converged,
    /// No step lowers the objective, to rounding.
    Stuck,
}

impl<T: Real> Column<T> {
    /// A column without weights; `weights` is its row of the batch.
    pub(super) fn new(
        chain: usize,
        responses: Responses<T>,
        penalty: f64,
        weights: &mut [T],
    ) -> Self {
        let width = weights.len();
        let rows = responses.counts.len();
        let intercept = T::of(responses.mean.ln());
        weights.fill(T::zero());
        weights[width - 1] = intercept;
        Self {
            chain,
            at: 0,
            iterations: 0,
            relative: 1.0,
            penalty,
            drive: vec![intercept; rows],
            rate: vec![T::zero(); rows],
            gradient: vec![T::zero(); width],
            responses,
            start: None,
            pairs: VecDeque::new(),
            earlier: VecDeque::new(),
            slope: 0.0,
            taken: 0.0,
            value: f64::INFINITY,
            plain: true,
            stuck: false,
        }
    }

    /// Where to go from `weights`; nowhere before the first gradient is known.
    pub(super) fn direction(&mut self, design: &Design<T>, weights: &[T], out: &mut [T]) {
        if self.start.is_none() {
            out.fill(T::zero());
            self.slope = 0.0;
            return;
        }
        if self.iterations == 0 && self.at > 0 {
            let leads_down = self.extrapolate(weights, out);
            self.earlier.truncate(1);
            self.earlier.push_front(weights.to_vec());
            if leads_down {
                self.plain = false;
                return;
            }
        }
        self.descend(design, out);
        if self.slope >= 0.0 || self.slope.is_nan() {
            self.pairs.clear();
            self.descend(design, out);
        }
    }

    /// Towards where the solutions so far point, if that leads down.
    fn extrapolate(&mut self, weights: &[T], out: &mut [T]) -> bool {
        let (two, three) = (T::of(2.0), T::of(3.0));
        match (self.earlier.front(), self.earlier.get(1)) {
            (Some(a), Some(b)) => {
                for (((o, w), a), b) in out.iter_mut().zip(weights).zip(a).zip(b) {
                    *o = two * *w - three * *a + *b;
                }
            }
            (Some(a), None) => {
                for ((o, w), a) in out.iter_mut().zip(weights).zip(a) {
                    *o = *w - *a;
                }
            }
            _ => return false,
        }
        self.slope = dot(&self.gradient, out);
        self.slope < 0.0
    }

    /// The direction of L-BFGS.
    fn descend(&mut self, design: &Design<T>, out: &mut [T]) {
        self.plain = self.pairs.is_empty();
        out.copy_from_slice(&self.gradient);
        let mut along = Vec::with_capacity(MEMORY);
        for pair in &self.pairs {
            let a = dot(&pair.step, out) / pair.product;
            add(out, -a, &pair.change);
            along.push(a);
        }
        let last = out.len() - 1;
        let mean = self.responses.mean;
        for (i, (o, c)) in out.iter_mut().zip(&design.curvature).enumerate() {
            let penalty = if i == last { 0.0 } else { self.penalty };
            *o *= T::of(-1.0 / (mean * c + penalty));
        }
        // The sign is turned already: so is that of every correction.
        for (pair, a) in self.pairs.iter().zip(&along).rev() {
            let b = dot(&pair.change, out) / pair.product;
            add(out, -(a + b), &pair.step);
        }
        self.slope = dot(&self.gradient, out);
    }

    /// Minimises the objective along `direction`, whose drive is `change`; moves `weights`; fills the residuals.
    pub(super) fn search(
        &mut self,
        weights: &mut [T],
        direction: &[T],
        change: &[T],
        residuals: &mut [T],
    ) {
        let free = direction.len() - 1;
        let (direction_w, weights_w) = (&direction[..free], &weights[..free]);
        let along = Along {
            cross: dot(direction_w, weights_w),
            square: dot(direction_w, direction_w),
            norm: dot(weights_w, weights_w),
            penalty: self.penalty,
        };
        self.taken = 0.0;
        if self.slope < 0.0 {
            self.taken = self.step(change, &along);
        }
        if self.taken == 0.0 {
            self.stuck = self.start.is_some();
            let (value, ..) = self.evaluate(0.0, change, &along);
            self.value = value;
        } else {
            self.stuck = false;
            add(weights, self.taken, direction);
            add(&mut self.drive, self.taken, change);
        }
        let scale = T::of(1.0 / self.responses.total);
        let of = &self.responses;
        for (((r, mu), c), s) in residuals
            .iter_mut()
            .zip(&self.rate)
            .zip(&of.counts)
            .zip(&of.sums)
        {
            *r = (*c * *mu - *s) * scale;
        }
    }

    /// The step length, 0 if none lowers the objective. The slope along a line rises, for the objective is convex:
    /// Newton's steps towards where it vanishes, kept between a point before and a point behind.
    fn step(&mut self, change: &[T], along: &Along) -> f64 {
        let (mut before, mut behind) = (0.0_f64, f64::INFINITY);
        let mut t = 1.0_f64;
        // Near the solution values differ by less than their rounding: they are differences of sums as large as the rate.
        let rounding = 16.0 * T::epsilon().f64() * (self.value.abs() + self.responses.mean);
        let highest = self.value + rounding;
        for _ in 0..TRIALS {
            let (value, slope, curvature) = self.evaluate(t, change, along);
            if slope.abs() <= FLATTER * -self.slope && value <= highest {
                self.value = value;
                return t;
            }
            let low = value <= highest;
            if slope < 0.0 && low {
                before = t;
            } else {
                behind = t;
            }
            let next = t - slope / curvature;
            // Where the rates have exploded Newton's steps take the drive back by one only.
            t = if !low {
                before + 0.25 * (behind - before)
            } else if next > before && next < behind && next.is_finite() {
                next.min(10.0 * t)
            } else if behind.is_finite() {
                0.5 * (before + behind)
            } else {
                2.0 * t
            };
            if behind - before <= 1e-9 * before {
                break;
            }
        }
        0.0
    }

    /// Objective, slope and curvature at step `t`; leaves the rates there.
    fn evaluate(&mut self, t: f64, change: &[T], along: &Along) -> (f64, f64, f64) {
        let step = T::of(t);
        let of = &self.responses;
        let (mut value, mut slope, mut curvature) = (0.0, 0.0, 0.0);
        let rows = of.counts.iter().zip(&of.sums).zip(&self.drive).zip(change);
        for ((((c, s), eta), d), mu) in rows.zip(&mut self.rate) {
            // Held out: its rate may be anything, and must not touch the sums.
            if *c == T::zero() {
                *mu = T::zero();
                continue;
            }
            let drive = *eta + step * *d;
            *mu = drive.exp();
            let (mass, s, d) = ((*c * *mu).f64(), s.f64(), d.f64());
            value += mass - s * drive.f64();
            slope += (mass - s) * d;
            curvature += mass * d * d;
        }
        let n = of.total;
        (
            value / n + along.value(t),
            slope / n + along.penalty * (along.cross + t * along.square),
            curvature / n + along.penalty * along.square,
        )
    }

    /// Takes the gradient of the data's part at the new weights.
    pub(super) fn absorb(
        &mut self,
        design: &Design<T>,
        weights: &[T],
        direction: &[T],
        sums: &[T],
        tolerance: f64,
    ) -> Progress {
        let free = weights.len() - 1;
        let mut gradient = sums.to_vec();
        add(&mut gradient[..free], self.penalty, &weights[..free]);
        let norm = norm(&gradient, &design.mean);
        let start = match self.start {
            Some(start) => {
                self.iterations += 1;
                if self.taken > 0.0 {
                    self.remember(direction, &gradient);
                }
                start
            }
            None => {
                // A neuron that always does the same has no gradient to begin with, but for rounding.
                let power: f64 = design.curvature.iter().sum();
                let rounding = 16.0 * T::epsilon().f64() * self.responses.mean * power.sqrt();
                let start = norm.max(rounding / tolerance);
                self.start = Some(start);
                start
            }
        };
        self.gradient = gradient;
        self.relative = norm / start;
        if self.relative <= tolerance {
            Progress::Converged
        } else if self.stuck && self.plain {
            Progress::Stuck
        } else {
            if self.stuck {
                self.pairs.clear();
            }
            Progress::Moving
        }
    }

    fn remember(&mut self, direction: &[T], gradient: &[T]) {
        let taken = T::of(self.taken);
        let step: Vec<T> = direction.iter().map(|d| *d * taken).collect();
        let change: Vec<T> = gradient
            .iter()
            .zip(&self.gradient)
            .map(|(a, b)| *a - *b)
            .collect();
        let product = dot(&step, &change);
        if product > 1e-12 * dot(&step, &step) {
            self.pairs.truncate(MEMORY - 1);
            self.pairs.push_front(Pair {
                step,
                change,
                product,
            });
        }
    }

    /// Goes on to the next penalty from here.
    pub(super) fn advance(&mut self, weights: &[T], penalty: f64) {
        let shift = penalty - self.penalty;
        let free = weights.len() - 1;
        for pair in &mut self.pairs {
            add(&mut pair.change[..free], shift, &pair.step[..free]);
            pair.product += shift * dot(&pair.step[..free], &pair.step[..free]);
        }
        self.pairs.retain(|pair| pair.product > 0.0);
        add(&mut self.gradient[..free], shift, &weights[..free]);
        self.value += 0.5 * shift * dot(&weights[..free], &weights[..free]);
        self.penalty = penalty;
        self.at += 1;
        self.iterations = 0;
        self.stuck = false;
    }

    /// Negative log-likelihood of the trials held out, summed, without the terms that no weight changes.
    pub(super) fn held_out_loss(&self) -> f64 {
        let held = self.responses.held_out.iter();
        held.map(|(row, count, sum)| {
            let drive = self.drive[*row].f64();
            count * drive.exp() - sum * drive
        })
        .sum()
    }
}

/// The penalty's part of the objective along a line.
struct Along {
    cross: f64,
    square: f64,
    norm: f64,
    penalty: f64,
}

impl Along {
    fn value(&self, t: f64) -> f64 {
        0.5 * self.penalty * (self.norm + t * (2.0 * self.cross + t * self.square))
    }
}

/// Norm of the gradient with respect to weights and intercept on pixels that are not centred by image: what anybody
/// would calculate from the recording.
fn norm<T: Real>(gradient: &[T], mean: &[f64]) -> f64 {
    let Some(intercept) = gradient.last().map(|g| g.f64()) else {
        return 0.0;
    };
    let pixels: f64 = gradient
        .iter()
        .zip(mean)
        .take(mean.len() - 1)
        .map(|(g, m)| (g.f64() + m * intercept).powi(2))
        .sum();
    (pixels + intercept * intercept).sqrt()
}
