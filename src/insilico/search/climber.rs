//! A BFGS in few parameters within limits: a parameter at its limit stays there while the gradient points outwards. A step is
//! taken if it gains what the slope promises (Armijo), else halved.

use crate::insilico::Family;

/// Gain of a step over the one that its slope promises.
const ARMIJO: f64 = 1e-4;
/// Shortest step, in natural ones.
const SHORTEST: f64 = 1e-3;
/// Gain below which a climb ends, over the rate.
const GAIN: f64 = 1e-5;
/// The parameters' natural steps: a pixel, an eighth of a length or frequency, a few degrees.
pub fn natural_steps(family: Family, stimulus: &[f32]) -> Vec<f64> {
    let relative = |v: f32| f64::from(v.abs().max(0.05)) / 8.0;
    let each: Vec<f64> = match family {
        Family::Gabors | Family::Plaids => stimulus
            .chunks_exact(7)
            .flat_map(|p| {
                [
                    1.0,
                    1.0,
                    relative(p[2]),
                    relative(p[3]),
                    relative(p[4]),
                    0.1,
                    0.3,
                ]
            })
            .collect(),
        Family::Differences => stimulus
            .iter()
            .enumerate()
            .map(|(i, &v)| if i < 2 { 1.0 } else { relative(v) })
            .collect(),
    };
    each
}

/// One stimulus on its way up, in natural steps from where it began.
#[derive(Debug)]
pub struct Climber {
    start: Vec<f32>,
    steps: Vec<f64>,
    /// In natural steps.
    lower: Vec<f64>,
    upper: Vec<f64>,
    at: Vec<f64>,
    /// Where to look next.
    next: Vec<f64>,
    rate: Option<f64>,
    gradient: Vec<f64>,
    /// Inverse Hessian of minus the rate over its first value, row by row.
    inverse: Vec<f64>,
    first: f64,
    direction: Vec<f64>,
    length: f64,
    done: bool,
}

impl Climber {
    /// From these parameters, with their natural steps and limits.
    pub fn within(start: Vec<f32>, steps: Vec<f64>, limits: &[(f32, f32)]) -> Self {
        let n = start.len();
        let limit = |pick: fn(&(f32, f32)) -> f32| -> Vec<f64> {
            (0..n)
                .map(|i| (f64::from(pick(&limits[i])) - f64::from(start[i])) / steps[i])
                .collect()
        };
        let mut inverse = vec![0.0; n * n];
        (0..n).for_each(|i| inverse[i * n + i] = 1.0);
        Self {
            lower: limit(|r| r.0),
            upper: limit(|r| r.1),
            steps,
            at: vec![0.0; n],
            next: vec![0.0; n],
            rate: None,
            gradient: vec![0.0; n],
            inverse,
            first: 1.0,
            direction: vec![0.0; n],
            length: 1.0,
            done: false,
            start,
        }
    }

    /// Whether the climb is over.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Ends the climb.
    pub fn stop(&mut self) {
        self.done = true;
    }

    /// The highest parameters so far.
    pub fn reached(&self) -> Vec<f32> {
        self.stimulus(&self.at)
    }

    fn stimulus(&self, at: &[f64]) -> Vec<f32> {
        let moved = self.start.iter().zip(at.iter().zip(&self.steps));
        moved
            .map(|(&s, (a, step))| (f64::from(s) + a * step) as f32)
            .collect()
    }

    /// The parameters to be answered next; none at the end.
    pub fn tries(&self) -> Vec<f32> {
        match self.done {
            true => Vec::new(),
            false => self.stimulus(&self.next),
        }
    }

    /// Takes the rate at `next` and its gradient and decides where to look then; says whether the step is taken.
    pub fn absorb(&mut self, rate: f64, gradient: &[f64]) -> bool {
        let Some(before) = self.rate else {
            self.first = rate.abs().max(1e-12);
            self.rate = Some(rate);
            self.gradient = self.scaled(gradient);
            self.turn(true);
            return true;
        };
        let gain = (rate - before) / self.first;
        let moved: Vec<f64> = self.next.iter().zip(&self.at).map(|(a, b)| a - b).collect();
        let promised = dot(&self.gradient, &moved);
        let taken = gain >= ARMIJO * promised && gain > 0.0;
        if !taken {
            self.length *= 0.5;
            if self.length * largest(&self.direction) < SHORTEST {
                self.done = true;
            }
            self.step();
            return false;
        }
        let new = self.scaled(gradient);
        self.learn(&moved, &new);
        self.at = self.next.clone();
        self.gradient = new;
        self.rate = Some(rate);
        if gain < GAIN {
            self.done = true;
        }
        self.turn(false);
        true
    }

    fn scaled(&self, gradient: &[f64]) -> Vec<f64> {
        let each = gradient.iter().zip(&self.steps);
        each.map(|(g, step)| g * step / self.first).collect()
    }

    /// BFGS of minus the rate: the change of its gradient is old minus new.
    fn learn(&mut self, moved: &[f64], new: &[f64]) {
        let n = moved.len();
        let change: Vec<f64> = self.gradient.iter().zip(new).map(|(a, b)| a - b).collect();
        let product = dot(&change, moved);
        if product <= 1e-10 * dot(moved, moved) {
            return;
        }
        let times: Vec<f64> = (0..n)
            .map(|i| dot(&self.inverse[i * n..(i + 1) * n], &change))
            .collect();
        let scale = (1.0 + dot(&change, &times) / product) / product;
        for i in 0..n {
            for j in 0..n {
                self.inverse[i * n + j] += scale * moved[i] * moved[j]
                    - (times[i] * moved[j] + moved[i] * times[j]) / product;
            }
        }
    }

    /// A new direction.
    fn turn(&mut self, first: bool) {
        let n = self.at.len();
        let outward = |i: usize| {
            (self.at[i] <= self.lower[i] && self.gradient[i] < 0.0)
                || (self.at[i] >= self.upper[i] && self.gradient[i] > 0.0)
        };
        let held: Vec<bool> = (0..n).map(outward).collect();
        let free: Vec<f64> = (0..n)
            .map(|i| if held[i] { 0.0 } else { self.gradient[i] })
            .collect();
        let along = |i: usize| dot(&self.inverse[i * n..(i + 1) * n], &free);
        let mut direction: Vec<f64> = (0..n)
            .map(|i| if held[i] { 0.0 } else { along(i) })
            .collect();
        if dot(&direction, &free) <= 0.0 {
            direction.clone_from(&free);
        }
        let largest = largest(&direction);
        if !(largest > 0.0 && largest.is_finite()) {
            self.done = true;
            return;
        }
        // No parameter moves by more than two natural steps, nor by more than one at first.
        let most = if first { 1.0 } else { 2.0 };
        if first || largest > most {
            direction.iter_mut().for_each(|d| *d *= most / largest);
        }
        self.direction = direction;
        self.length = 1.0;
        self.step();
    }

    fn step(&mut self) {
        for i in 0..self.at.len() {
            let to = self.at[i] + self.length * self.direction[i];
            self.next[i] = to.clamp(self.lower[i], self.upper[i]);
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |most: f64, v| most.max(v.abs()))
}
