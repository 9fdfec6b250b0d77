//! From the best of a grid to the top of the hill: the continuous parameters follow the gradient through the twin.
//!
//! All neurons climb in one batch, each with a BFGS of its own in the parameters divided by their natural steps, within
//! the grid's range: a parameter at its limit stays there while the gradient points outwards. A step is taken if it gains
//! what the slope promises (Armijo), else halved. argmin's executor runs the batch as one problem whose cost is the
//! number of neurons that still climb.

use super::climber::{Climber, natural_steps};
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

/// Steps per neuron.
const STEPS: u64 = 60;

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
    let climbers = optima.iter().map(|o| climber(grid, o)).collect();
    let answers = vec![None; optima.len()];
    let party = Party {
        climbers,
        answers,
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
        .zip(ended.solver.answers)
        .map(|(c, answer)| optimum(grid.family, &c, answer))
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
    /// At the last step taken.
    answers: Vec<Option<Answer>>,
    family: Family,
}

impl Party {
    fn left(&self) -> f64 {
        self.climbers.iter().filter(|c| !c.is_done()).count() as f64
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
            self.climbers.iter_mut().for_each(Climber::stop);
            return Ok((state.cost(0.0), None));
        };
        let climbers = self.climbers.iter_mut().zip(&mut self.answers);
        for ((climber, best), found) in climbers.zip(found) {
            if let Some((answer, gradient)) = found.into_iter().next() {
                let gradient: Vec<f64> = gradient.into_iter().map(f64::from).collect();
                if climber.absorb(f64::from(answer.rate), &gradient) {
                    *best = Some(answer);
                }
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

fn climber(grid: &Grid, from: &Optimum) -> Climber {
    let steps = natural_steps(grid.family, &from.stimulus);
    let mut climber = Climber::within(from.stimulus.clone(), steps, &ranges(grid));
    if !from.answer.rate.is_finite() {
        climber.stop();
    }
    climber
}

fn optimum(family: Family, climber: &Climber, answer: Option<Answer>) -> Optimum {
    let mut stimulus = climber.reached();
    if family == Family::Gabors {
        turn_back(&mut stimulus);
    }
    Optimum {
        stimulus,
        answer: answer.unwrap_or(Answer {
            drive: f32::NAN,
            rate: f32::NAN,
        }),
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
