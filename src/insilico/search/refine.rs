//! From the best of a grid to the top of the hill: the continuous parameters follow the gradient through the twin.
//!
//! All neurons climb in one batch, each with a BFGS of its own in the parameters divided by their natural steps, within
//! the grid's range: a parameter at its limit stays there while the gradient points outwards. A step is taken if it gains
//! what the slope promises (Armijo), else halved. argmin's executor runs the batch as one problem whose cost is the
//! number of neurons that still climb.

use super::{Grid, Optimum, ranges};
use crate::insilico::show::{Answer, gradients};
use crate::insilico::{Family, Watch};
use crate::model::Model;
use crate::model::closeup::Group;
use crate::{Error, Result};
use argmin::core::{Error as Failure, Executor, IterState, KV, Problem, Solver};
use argmin::core::{TerminationReason, TerminationStatus};
use std::cell::RefCell;
use std::f32::consts::{PI, TAU};

/// Gain of a step over the one that its slope promises.
const ARMIJO: f64 = 1e-4;
/// Shortest step, in natural ones.
const SHORTEST: f64 = 1e-3;
/// Gain below which a climb ends, over the rate.
const GAIN: f64 = 1e-5;
/// Steps per neuron.
const STEPS: u64 = 60;

/// The parameters' natural steps: a pixel, an eighth of a length or frequency, a few degrees.
fn steps(family: Family, stimulus: &[f32]) -> Vec<f64> {
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

/// Climbs from the optima of a grid; where nothing is gained the optimum stays. Contrasts stay within the grid's.
///
/// # Errors
/// When the maps do not fit into memory, or a signal has come.
pub fn refine(
    model: &mut Model,
    groups: &[Group],
    grid: &Grid,
    optima: &[Optimum],
    watch: &mut Watch,
) -> Result<Vec<Optimum>> {
    watch.begin("climbing from the grid");
    let climbers = optima.iter().map(|o| Climber::new(grid, o)).collect();
    let party = Party {
        climbers,
        family: grid.family,
    };
    let twin = Twin {
        inner: RefCell::new(Inner {
            model,
            groups,
            watch,
            stopped: None,
        }),
    };
    let ended = Executor::new(&twin, party)
        .configure(|state: Batch| {
            let all = optima.len() as f64;
            state.param(()).cost(all).target_cost(0.0).max_iters(STEPS)
        })
        .timer(false)
        .run();
    if let Some(error) = twin.inner.borrow_mut().stopped.take() {
        return Err(error);
    }
    let ended = ended.map_err(|e| Error::Other(format!("refinement: {e}")))?;
    Ok(ended
        .solver
        .climbers
        .into_iter()
        .map(|c| c.optimum(grid.family))
        .collect())
}

type Batch = IterState<(), (), (), (), (), f64>;

/// What argmin calls the problem: the model and its neurons.
struct Twin<'a, 'w> {
    inner: RefCell<Inner<'a, 'w>>,
}

struct Inner<'a, 'w> {
    model: &'a mut Model,
    groups: &'a [Group],
    watch: &'a mut Watch<'w>,
    stopped: Option<Error>,
}

/// All climbers: the solver.
struct Party {
    climbers: Vec<Climber>,
    family: Family,
}

impl Party {
    fn left(&self) -> f64 {
        self.climbers.iter().filter(|c| !c.done).count() as f64
    }
}

impl Solver<&Twin<'_, '_>, Batch> for Party {
    fn name(&self) -> &str {
        "batched BFGS"
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<&Twin<'_, '_>>,
        state: Batch,
    ) -> std::result::Result<(Batch, Option<KV>), Failure> {
        let tries: Vec<Vec<f32>> = self.climbers.iter().map(Climber::tries).collect();
        let family = self.family;
        let found = problem.problem("gradients", |twin| {
            let inner = &mut *twin.inner.borrow_mut();
            match gradients(inner.model, inner.groups, family, &tries, inner.watch) {
                Ok(found) => Ok(Some(found)),
                Err(error) => {
                    inner.stopped = Some(error);
                    Ok(None)
                }
            }
        })?;
        let Some(found) = found else {
            self.climbers.iter_mut().for_each(|c| c.done = true);
            return Ok((state.cost(0.0), None));
        };
        for (climber, found) in self.climbers.iter_mut().zip(found) {
            if let Some((answer, gradient)) = found.into_iter().next() {
                climber.absorb(answer, &gradient);
            }
        }
        let left = self.left();
        Ok((state.cost(left), None))
    }

    fn terminate(&mut self, state: &Batch) -> TerminationStatus {
        match state.get_cost() {
            0.0 => TerminationStatus::Terminated(TerminationReason::TargetCostReached),
            _ => TerminationStatus::NotTerminated,
        }
    }
}

/// One neuron on its way up, in natural steps from where it began.
struct Climber {
    start: Vec<f32>,
    steps: Vec<f64>,
    /// In natural steps.
    lower: Vec<f64>,
    upper: Vec<f64>,
    at: Vec<f64>,
    /// Where to look next.
    next: Vec<f64>,
    answer: Option<Answer>,
    gradient: Vec<f64>,
    /// Inverse Hessian of minus the rate over its first value, row by row.
    inverse: Vec<f64>,
    first: f64,
    direction: Vec<f64>,
    length: f64,
    done: bool,
}

impl Climber {
    fn new(grid: &Grid, from: &Optimum) -> Self {
        let start = from.stimulus.clone();
        let steps = steps(grid.family, &start);
        let n = start.len();
        let limit = |pick: fn(&(f32, f32)) -> f32| -> Vec<f64> {
            let ranges = ranges(grid);
            (0..n)
                .map(|i| (f64::from(pick(&ranges[i])) - f64::from(start[i])) / steps[i])
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
            answer: None,
            gradient: vec![0.0; n],
            inverse,
            first: 1.0,
            direction: vec![0.0; n],
            length: 1.0,
            done: !from.answer.rate.is_finite(),
            start,
        }
    }

    fn stimulus(&self, at: &[f64]) -> Vec<f32> {
        let moved = self.start.iter().zip(at.iter().zip(&self.steps));
        moved
            .map(|(&s, (a, step))| (f64::from(s) + a * step) as f32)
            .collect()
    }

    fn tries(&self) -> Vec<f32> {
        match self.done {
            true => Vec::new(),
            false => self.stimulus(&self.next),
        }
    }

    /// Takes the answer to `next` and decides where to look then.
    fn absorb(&mut self, answer: Answer, gradient: &[f32]) {
        let Some(before) = self.answer else {
            self.first = f64::from(answer.rate).abs().max(1e-12);
            self.answer = Some(answer);
            self.gradient = self.scaled(gradient);
            return self.turn(true);
        };
        let gain = (f64::from(answer.rate) - f64::from(before.rate)) / self.first;
        let moved: Vec<f64> = self.next.iter().zip(&self.at).map(|(a, b)| a - b).collect();
        let promised = dot(&self.gradient, &moved);
        let taken = gain >= ARMIJO * promised && gain > 0.0;
        if !taken {
            self.length *= 0.5;
            if self.length * largest(&self.direction) < SHORTEST {
                self.done = true;
            }
            return self.step();
        }
        let new = self.scaled(gradient);
        self.learn(&moved, &new);
        self.at = self.next.clone();
        self.gradient = new;
        self.answer = Some(answer);
        if gain < GAIN {
            self.done = true;
        }
        self.turn(false);
    }

    fn scaled(&self, gradient: &[f32]) -> Vec<f64> {
        let each = gradient.iter().zip(&self.steps);
        each.map(|(&g, step)| f64::from(g) * step / self.first)
            .collect()
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

    fn optimum(self, family: Family) -> Optimum {
        let mut stimulus = self.stimulus(&self.at);
        if family == Family::Gabors {
            turn_back(&mut stimulus);
        }
        Optimum {
            stimulus,
            answer: self.answer.unwrap_or(Answer {
                drive: f32::NAN,
                rate: f32::NAN,
            }),
        }
    }
}

/// Orientation into [0, pi), which reverses the phase with every half turn; phase into [0, 2 pi).
fn turn_back(gabor: &mut [f32]) {
    let turns = (gabor[5] / PI).floor();
    gabor[5] -= turns * PI;
    if turns.rem_euclid(2.0) == 1.0 {
        gabor[6] = -gabor[6];
    }
    gabor[6] = gabor[6].rem_euclid(TAU);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |most: f64, v| most.max(v.abs()))
}
