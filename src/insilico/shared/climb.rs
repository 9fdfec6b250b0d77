//! A climb in many numbers: BFGS with limited memory, steps halved until they gain what the slope promises (Armijo).
//!
//! Who climbs is asked where to look (`next`) and told the height and slope there (`absorb`), so that many climb in one batch.

use crate::ops::ascent::Outcome;
use std::collections::VecDeque;

/// Changes of place and slope that are remembered.
const MEMORY: usize = 12;
/// Gain of a step over the one that its slope promises.
const ARMIJO: f64 = 1e-4;
/// Length of the first step.
const FIRST: f64 = 0.1;
/// Of the longest.
const LONGEST: f64 = 0.5;
/// Below which a step is none.
const SHORTEST: f64 = 1e-5;
/// Gain over the height that counts as none.
const GAIN: f64 = 1e-5;
/// So many of those in a row end the climb.
const PATIENCE: usize = 3;

#[derive(Clone, Debug)]
pub(super) struct Climb {
    at: Vec<f64>,
    height: Option<f64>,
    slope: Vec<f64>,
    direction: Vec<f64>,
    length: f64,
    memory: VecDeque<(Vec<f64>, Vec<f64>)>,
    small: usize,
    most: u32,
    /// Places looked at.
    pub steps: u32,
    pub outcome: Outcome,
}

impl Climb {
    /// From here, in at most so many steps.
    pub fn new(start: Vec<f64>, most: u32) -> Self {
        Self {
            height: None,
            slope: vec![0.0; start.len()],
            direction: vec![0.0; start.len()],
            at: start,
            length: 0.0,
            memory: VecDeque::new(),
            small: 0,
            most,
            steps: 0,
            outcome: Outcome::Running,
        }
    }

    /// Goes on from another place, with what remains of the steps.
    pub fn restart(&mut self, start: Vec<f64>) {
        *self = Self {
            steps: self.steps,
            ..Self::new(start, self.most)
        };
    }

    /// Where to look next.
    pub fn next(&self) -> Vec<f64> {
        let pairs = self.at.iter().zip(&self.direction);
        pairs.map(|(a, d)| a + self.length * d).collect()
    }

    /// The highest place so far.
    pub fn at(&self) -> &[f64] {
        &self.at
    }

    /// Its height.
    pub fn height(&self) -> f64 {
        self.height.unwrap_or(f64::NEG_INFINITY)
    }

    pub fn is_running(&self) -> bool {
        self.outcome == Outcome::Running
    }

    /// Takes height and slope at `next`.
    pub fn absorb(&mut self, height: f64, slope: Vec<f64>) {
        self.steps += 1;
        let finite = height.is_finite() && slope.iter().all(|s| s.is_finite());
        let Some(before) = self.height else {
            if !finite {
                self.outcome = Outcome::Diverged;
                return;
            }
            (self.height, self.slope) = (Some(height), slope);
            return self.turn();
        };
        let promised = self.length * dot(&self.slope, &self.direction);
        if finite && height > before && height - before >= ARMIJO * promised {
            let gain = (height - before) / before.abs().max(1e-12);
            self.small = if gain < GAIN { self.small + 1 } else { 0 };
            let moved = self.direction.iter().map(|d| self.length * d).collect();
            let change: Vec<f64> = self.slope.iter().zip(&slope).map(|(a, b)| a - b).collect();
            self.at = self.next();
            self.remember(moved, change);
            (self.height, self.slope) = (Some(height), slope);
            match self.small >= PATIENCE {
                true => self.outcome = Outcome::Converged,
                false => self.turn(),
            }
        } else {
            self.length *= 0.5;
            if self.length * dot(&self.direction, &self.direction).sqrt() < SHORTEST {
                // What was remembered may mislead; the slope itself never does.
                match self.memory.is_empty() {
                    true => self.outcome = Outcome::Converged,
                    false => {
                        self.memory.clear();
                        self.turn();
                    }
                }
            }
        }
        if self.is_running() && self.steps >= self.most {
            self.outcome = Outcome::OutOfSteps;
        }
    }

    fn remember(&mut self, moved: Vec<f64>, change: Vec<f64>) {
        if dot(&moved, &change) <= 1e-10 * dot(&moved, &moved) {
            return;
        }
        if self.memory.len() == MEMORY {
            self.memory.pop_front();
        }
        self.memory.push_back((moved, change));
    }

    /// A new direction: the slope, times the inverse curvature as far as it is remembered.
    fn turn(&mut self) {
        let mut d = self.slope.clone();
        let mut shares = Vec::with_capacity(self.memory.len());
        for (moved, change) in self.memory.iter().rev() {
            let share = dot(moved, &d) / dot(moved, change);
            add(&mut d, -share, change);
            shares.push(share);
        }
        if let Some((moved, change)) = self.memory.back() {
            let scale = dot(moved, change) / dot(change, change);
            d.iter_mut().for_each(|d| *d *= scale);
        }
        for ((moved, change), share) in self.memory.iter().zip(shares.iter().rev()) {
            let back = dot(change, &d) / dot(moved, change);
            add(&mut d, share - back, moved);
        }
        let rises = dot(&d, &self.slope) > 0.0;
        if !rises {
            self.memory.clear();
            d.clone_from(&self.slope);
        }
        let size = dot(&d, &d).sqrt();
        if !(size > 0.0 && size.is_finite()) {
            // Flat: nothing is higher nearby.
            self.outcome = Outcome::Converged;
            return;
        }
        let wanted = match self.memory.is_empty() {
            true => FIRST,
            false => size.min(LONGEST),
        };
        self.direction = d;
        self.length = wanted / size;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, of: &[f64]) {
    to.iter_mut().zip(of).for_each(|(t, o)| *t += factor * o);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: Vec<f64>, most: u32, hill: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> Climb {
        let mut climb = Climb::new(start, most);
        while climb.is_running() {
            let (height, slope) = hill(&climb.next());
            climb.absorb(height, slope);
        }
        climb
    }

    #[test]
    fn a_long_ridge_is_climbed_to_its_top() {
        // Curvatures from 1 to 400, top at (1, 2, .., 20) / 20.
        let curvature = |i: usize| 1.0 + (i * i) as f64;
        let top = |i: usize| (i + 1) as f64 / 20.0;
        let found = run(vec![0.0; 20], 500, |x| {
            let away = |i: usize| x[i] - top(i);
            let loss = (0..20)
                .map(|i| 0.5 * curvature(i) * away(i).powi(2))
                .sum::<f64>();
            (
                1.0 - loss,
                (0..20).map(|i| -curvature(i) * away(i)).collect(),
            )
        });
        assert_eq!(found.outcome, Outcome::Converged);
        assert!(found.steps < 120, "{}", found.steps);
        for (i, x) in found.at().iter().enumerate() {
            assert!((x - top(i)).abs() <= 0.02, "{i}: {x}");
        }
    }

    #[test]
    fn a_plain_ends_at_once_and_a_cliff_says_so() {
        let flat = run(vec![1.0, 2.0], 50, |_| (3.0, vec![0.0, 0.0]));
        assert_eq!((flat.outcome, flat.steps), (Outcome::Converged, 1));
        let nothing = run(vec![1.0], 50, |_| (f64::NAN, vec![1.0]));
        assert_eq!(nothing.outcome, Outcome::Diverged);
        let endless = run(vec![0.0], 5, |x| (x[0], vec![1.0]));
        assert_eq!((endless.outcome, endless.steps), (Outcome::OutOfSteps, 5));
    }
}
