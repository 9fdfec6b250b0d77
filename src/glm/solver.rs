//! The batch: columns of all neurons, folds and penalties share two products with the design per iteration.
//!
//! A *chain* is one neuron and one fold along all penalties. Some hundred chains are in the batch at a time, one column
//! each; a column that has converged leaves its result and goes on to the next penalty, and after the last penalty the
//! next chain takes its place. So no column waits for another. argmin's executor runs the batch as one
//! problem whose cost is the number of columns that are left; it ends at the target 0.

use super::column::{Column, Progress};
use super::design::Design;
use super::trials::Trials;
use crate::ops::Real;
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Error as Failure, Executor, IterState, KV, Problem, Solver, State};
use argmin::core::{TerminationReason, TerminationStatus};
use rayon::prelude::*;

use crate::{Error, Result};

/// Columns in the batch at a time.
const COLUMNS: usize = 512;

/// One neuron, one fold held out, all penalties, strongest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain<'a> {
    /// Column of the responses.
    pub neuron: usize,
    /// The images that are held out.
    pub fold: Option<usize>,
    /// In falling order.
    pub penalties: &'a [f64],
}

/// How a column ended.
#[derive(Clone, Debug)]
pub(super) struct Solved<T> {
    /// Its chain.
    pub chain: usize,
    /// Which penalty of the chain.
    pub at: usize,
    /// Whether the gradient became small enough.
    pub converged: bool,
    /// Norm of the gradient over that of the model without weights.
    pub relative: f64,
    /// Negative log-likelihood of the trials held out.
    pub held_out: f64,
    /// Weights in the coordinates of the design, the intercept last.
    pub weights: Vec<T>,
}

/// When a column counts as solved, and when it is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Norm of the gradient over that of the model without weights.
    pub tolerance: f64,
    /// Iterations per column.
    pub iterations: usize,
}

/// The weights of the batch, (columns, width).
type Batch<T> = IterState<Vec<T>, (), (), (), (), f64>;

/// Runs chains to their ends; `harvest` takes every column as it ends, in an order that does not depend on threads.
/// Gives the number of iterations, those of all columns together.
///
/// # Errors
/// [`Error::Stopped`] when `stop` gives a signal.
pub(super) fn solve<T: Real>(
    design: &Design<T>,
    trials: &Trials<'_>,
    chains: &[Chain<'_>],
    limits: Limits,
    observer: impl Observe<Batch<T>> + 'static,
    stop: &dyn Fn() -> Option<i32>,
    harvest: &mut dyn FnMut(Solved<T>),
) -> Result<u64> {
    let (width, rows) = (design.width, design.rows);
    let columns = COLUMNS.min(chains.len());
    let left: usize = chains.iter().map(|c| c.penalties.len()).sum();
    let conveyor = Conveyor {
        trials,
        chains,
        limits,
        stop,
        harvest,
        next: 0,
        left,
        iterations: 0,
        columns: Vec::with_capacity(columns),
        directions: vec![T::zero(); columns * width],
        sums: vec![T::zero(); columns * width],
        changes: vec![T::zero(); columns * rows],
        residuals: vec![T::zero(); columns * rows],
    };
    // Every column ends by itself; this is a stop for what cannot happen.
    let most = (left as u64).saturating_mul(limits.iterations as u64 + 2) + 2;
    let ended = Executor::new(design, conveyor)
        .configure(|state| {
            state
                .param(vec![T::zero(); columns * width])
                .cost(left as f64)
                .target_cost(0.0)
                .max_iters(most)
        })
        .timer(false)
        .add_observer(observer, ObserverMode::Always)
        .run()
        .map_err(|e| Error::Other(format!("glm: {e}")))?;
    match (ended.state.get_termination_reason(), stop()) {
        (Some(TerminationReason::TargetCostReached), _) => (),
        (Some(TerminationReason::Interrupt), Some(signal)) => return Err(Error::Stopped(signal)),
        (reason, _) => {
            return Err(Error::Other(format!(
                "glm: the solver ended with {reason:?}"
            )));
        }
    }
    Ok(ended.solver.iterations)
}

/// The solver: see the module.
struct Conveyor<'a, T> {
    trials: &'a Trials<'a>,
    chains: &'a [Chain<'a>],
    limits: Limits,
    stop: &'a dyn Fn() -> Option<i32>,
    harvest: &'a mut dyn FnMut(Solved<T>),
    /// The chain that enters next.
    next: usize,
    /// Columns that have not ended.
    left: usize,
    /// Of all columns together.
    iterations: u64,
    columns: Vec<Column<T>>,
    directions: Vec<T>,
    sums: Vec<T>,
    changes: Vec<T>,
    residuals: Vec<T>,
}

impl<T: Real> Conveyor<'_, T> {
    /// The next chain that has anything to fit. Without a response above zero the likelihood rises for ever as the
    /// intercept falls: all columns of such a chain end here, unconverged.
    fn enter(&mut self, weights: &mut [T]) -> Option<Column<T>> {
        while let Some(chain) = self.chains.get(self.next) {
            let index = self.next;
            self.next += 1;
            let responses = self.trials.responses(chain.neuron, chain.fold);
            if responses.mean > 0.0
                && let Some(&first) = chain.penalties.first()
            {
                return Some(Column::new(index, responses, first, weights));
            }
            for at in 0..chain.penalties.len() {
                self.left -= 1;
                (self.harvest)(Solved {
                    chain: index,
                    at,
                    converged: false,
                    relative: f64::NAN,
                    held_out: 0.0,
                    weights: Vec::new(),
                });
            }
        }
        None
    }

    /// Fills the batch.
    fn fill(&mut self, weights: &mut [T], width: usize) {
        while (self.columns.len() + 1) * width <= weights.len() {
            let at = self.columns.len() * width;
            match self.enter(&mut weights[at..at + width]) {
                Some(column) => self.columns.push(column),
                None => break,
            }
        }
    }

    /// One step of every column.
    fn iterate(
        &mut self,
        problem: &mut Problem<&Design<T>>,
        weights: &mut [T],
    ) -> Result<(), Failure> {
        let count = self.columns.len();
        let limits = self.limits;
        self.iterations += count as u64;
        let Self {
            columns,
            directions,
            sums,
            changes,
            residuals,
            ..
        } = self;
        let progress = problem.problem("products", |design| {
            let (width, rows) = (design.width, design.rows);
            columns
                .par_iter_mut()
                .zip(weights.par_chunks(width))
                .zip(directions.par_chunks_mut(width))
                .for_each(|((column, w), d)| column.direction(design, w, d));
            design.drive(count, directions, changes);
            columns
                .par_iter_mut()
                .zip(weights.par_chunks_mut(width))
                .zip(directions.par_chunks(width))
                .zip(changes.par_chunks(rows))
                .zip(residuals.par_chunks_mut(rows))
                .for_each(|((((column, w), d), c), r)| column.search(w, d, c, r));
            design.collect(count, residuals, sums);
            let progress: Vec<Progress> = columns
                .par_iter_mut()
                .zip(weights.par_chunks(width))
                .zip(directions.par_chunks(width))
                .zip(sums.par_chunks(width))
                .map(|(((column, w), d), s)| column.absorb(design, w, d, s, limits.tolerance))
                .collect();
            Ok(progress)
        })?;
        let width = problem.problem("width", |design| Ok(design.width))?;
        // From the last one, so that what replaces a finished column has been looked at already.
        for i in (0..count).rev() {
            let spent = self.columns[i].iterations >= limits.iterations;
            if progress[i] != Progress::Moving || spent {
                self.end(i, progress[i] == Progress::Converged, weights, width);
            }
        }
        Ok(())
    }

    /// Hands on the result of a column, and lets it go on or another take its place.
    fn end(&mut self, i: usize, converged: bool, weights: &mut [T], width: usize) {
        let column = &mut self.columns[i];
        let own = &mut weights[i * width..(i + 1) * width];
        (self.harvest)(Solved {
            chain: column.chain,
            at: column.at,
            converged,
            relative: column.relative,
            held_out: column.held_out_loss(),
            weights: own.to_vec(),
        });
        self.left -= 1;
        let penalties = self.chains[column.chain].penalties;
        if let Some(&penalty) = penalties.get(column.at + 1) {
            column.advance(own, penalty);
            return;
        }
        if let Some(next) = self.enter(&mut weights[i * width..(i + 1) * width]) {
            self.columns[i] = next;
            return;
        }
        let last = self.columns.len() - 1;
        self.columns.swap_remove(i);
        weights.copy_within(last * width..(last + 1) * width, i * width);
    }
}

impl<T: Real> Solver<&Design<T>, Batch<T>> for Conveyor<'_, T> {
    fn name(&self) -> &str {
        "batched L-BFGS"
    }

    fn init(
        &mut self,
        problem: &mut Problem<&Design<T>>,
        mut state: Batch<T>,
    ) -> Result<(Batch<T>, Option<KV>), Failure> {
        let width = problem.problem("width", |design| Ok(design.width))?;
        let mut weights = state.take_param().unwrap_or_default();
        self.fill(&mut weights, width);
        Ok((state.param(weights).cost(self.left as f64), None))
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<&Design<T>>,
        mut state: Batch<T>,
    ) -> Result<(Batch<T>, Option<KV>), Failure> {
        let mut weights = state.take_param().unwrap_or_default();
        self.iterate(problem, &mut weights)?;
        Ok((state.param(weights).cost(self.left as f64), None))
    }

    fn terminate(&mut self, _: &Batch<T>) -> TerminationStatus {
        match (self.stop)() {
            Some(_) => TerminationStatus::Terminated(TerminationReason::Interrupt),
            None => TerminationStatus::NotTerminated,
        }
    }
}
