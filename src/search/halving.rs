//! Successive halving (Jamieson & Talwalkar 2016): all draws of a system take a few steps, the best go on to more, until few
//! are trained to their end. Who goes on is decided when all have come to the same step, so that neither the number of
//! processes nor a kill changes it.

use super::plan::Kind;
use super::{End, Finished, Job, Place, Plan};
use crate::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[halving]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halving {
    /// Steps after which draws are first compared.
    pub steps: u64,
    /// One draw of so many goes on, to so many times the steps.
    #[serde(default = "third")]
    pub factor: u64,
}

fn third() -> u64 {
    3
}

impl Halving {
    /// Steps of the comparison `rung`, if it comes before the end of a fit of `max_steps`.
    pub fn limit(&self, rung: u32, max_steps: u64) -> Option<u64> {
        let steps = self
            .factor
            .checked_pow(rung)
            .and_then(|f| f.checked_mul(self.steps));
        steps.filter(|steps| *steps < max_steps)
    }
}

/// What is next for a fit that has no result yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To its end.
    Whole,
    /// To a comparison, after so many steps.
    Compare { rung: u32, steps: u64 },
    /// Others have to come to the comparison first.
    Wait,
    /// Nothing more: it lost this comparison.
    Stop { rung: u32 },
}

/// What is next for each fit without a result.
///
/// # Errors
/// Names the file that makes no sense.
pub(super) fn next(place: &Place, plan: &Plan) -> Result<BTreeMap<Job, Next>> {
    let mut all = BTreeMap::new();
    for job in plan.jobs() {
        if place.finished(plan, &job)?.is_none() {
            all.insert(job, Next::Whole);
        }
    }
    let Some(halving) = plan.search.halving else {
        return Ok(all);
    };
    let systems = plan.search.systems.iter().enumerate();
    for (system, _) in systems.filter(|(_, s)| s.kind == Kind::Network) {
        compare(place, plan, system, &halving, &mut all)?;
    }
    Ok(all)
}

/// What is next for the fits of a system: comparison after comparison, until one is not complete.
fn compare(
    place: &Place,
    plan: &Plan,
    system: usize,
    halving: &Halving,
    all: &mut BTreeMap<Job, Next>,
) -> Result<()> {
    let mut most = 0;
    for job in plan.jobs().iter().filter(|job| job.system == system) {
        most = most.max(plan.config(job)?.training.max_steps);
    }
    let mut left: Vec<usize> = (0..plan.draws(system)).collect();
    for rung in 0.. {
        let Some(steps) = halving.limit(rung, most) else {
            break;
        };
        let losses: Vec<Option<f64>> = left
            .iter()
            .map(|&draw| loss(place, plan, system, draw, rung))
            .collect::<Result<_>>()?;
        let is_complete = losses.iter().all(Option::is_some);
        let (on, off) = match is_complete {
            true => parted(&left, &losses, halving.factor),
            false => (Vec::new(), Vec::new()),
        };
        let here = |job: &Job, next: &Next| job.system == system && *next == Next::Whole;
        for (job, next) in all.iter_mut().filter(|(job, next)| here(job, next)) {
            if off.contains(&job.draw) {
                *next = Next::Stop { rung };
            } else if !is_complete && left.contains(&job.draw) {
                *next = match place.compared(plan, job, rung)? {
                    Some(_) => Next::Wait,
                    None => Next::Compare { rung, steps },
                };
            }
        }
        if !is_complete {
            break;
        }
        left = on;
    }
    Ok(())
}

/// The mean over its seeds of a draw's validation losses at a comparison; none if one is not there yet. What ended before has its
/// last loss; what failed, or was never validated, the largest.
fn loss(place: &Place, plan: &Plan, system: usize, draw: usize, rung: u32) -> Result<Option<f64>> {
    let mut sum = 0.0;
    for seed in 1..=plan.seeds(system) {
        let job = Job { system, draw, seed };
        let at = match place.compared(plan, &job, rung)? {
            Some(at) => at,
            None => match place.finished(plan, &job)? {
                Some(finished) => finished,
                None => return Ok(None),
            },
        };
        let failed = matches!(at.status, End::Diverged | End::Failed);
        let loss = at.validation_loss.filter(|_| !failed);
        sum += loss.unwrap_or(f64::INFINITY);
    }
    Ok(Some(sum / plan.seeds(system) as f64))
}

/// Who goes on, and who does not: one of `factor`, and at least one. Of equals the first.
fn parted(draws: &[usize], losses: &[Option<f64>], factor: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<(f64, usize)> = losses
        .iter()
        .zip(draws)
        .map(|(loss, draw)| (loss.unwrap_or(f64::INFINITY), *draw))
        .collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let kept = draws.len().div_ceil(factor as usize).max(1);
    let draws = |part: &[(f64, usize)]| part.iter().map(|(_, draw)| *draw).collect();
    let kept = kept.min(order.len());
    (draws(&order[..kept]), draws(&order[kept..]))
}

/// A fit that came to a comparison and goes no farther.
pub(super) fn stopped(at: Finished, rung: u32, halving: &Halving) -> Finished {
    let steps = halving.limit(rung, u64::MAX).unwrap_or(u64::MAX);
    Finished {
        status: End::Stopped,
        reason: Some(format!(
            "not among the best 1 of {} after {steps} steps",
            halving.factor
        )),
        test_correlation: None,
        single_trial_correlation: None,
        maximum_correlation: None,
        ..at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Search;

    fn plan(draws: usize, seeds: u64) -> Plan {
        let text = format!(
            "base = \"b\"\ndraws = {draws}\n[log_uniform]\n\"penalties.smoothness\" = [0.001, 0.1]\n\
             [halving]\nsteps = 10\n[seeds]\ncount = {seeds}\n[[system]]\nname = \"s\"\n"
        );
        let search: Search = toml::from_str(&text).unwrap();
        Plan::of(
            search,
            "recordings = [\"r\"]\n[training]\nmax_steps = 100\n",
        )
    }

    fn at(loss: f64) -> Finished {
        Finished {
            status: End::Done,
            steps: Some(10),
            validation_loss: Some(loss),
            test_correlation: Some(0.5),
            ..Finished::default()
        }
    }

    fn job(draw: usize, seed: u64) -> Job {
        Job {
            system: 0,
            draw,
            seed,
        }
    }

    #[test]
    fn nobody_goes_on_before_all_are_there_and_then_the_best_do() {
        let folder = tempfile::tempdir().unwrap();
        let (place, plan) = (Place::new(folder.path()), plan(7, 2));
        let first = Next::Compare { rung: 0, steps: 10 };
        for draw in 0..7 {
            for seed in [1, 2] {
                let next = next(&place, &plan).unwrap();
                assert_eq!(next[&job(draw, seed)], first);
                assert!(draw == 0 || next[&job(0, 1)] == Next::Wait);
                // The first seed alone would choose others.
                let loss = [draw as f64, -3.0 * draw as f64][seed as usize - 1];
                if (draw, seed) != (6, 2) {
                    place
                        .compare(&plan, &job(draw, seed), 0, &at(loss))
                        .unwrap();
                }
            }
        }
        // One that has diverged waits for nobody, and is the worst.
        let diverged = Finished {
            status: End::Diverged,
            ..Finished::default()
        };
        place.finish(&plan, &job(6, 2), &diverged).unwrap();
        let after = next(&place, &plan).unwrap();
        for draw in 0..7 {
            let wanted = match draw {
                3..=5 => Next::Compare { rung: 1, steps: 30 },
                _ => Next::Stop { rung: 0 },
            };
            assert_eq!(after[&job(draw, 1)], wanted, "{draw}");
        }
        for draw in 3..=5 {
            for seed in [1, 2] {
                place.compare(&plan, &job(draw, seed), 1, &at(1.0)).unwrap();
            }
        }
        // Of equals the first goes on; 90 steps are before 100.
        let after = next(&place, &plan).unwrap();
        assert_eq!(after[&job(3, 2)], Next::Compare { rung: 2, steps: 90 });
        assert_eq!(after[&job(4, 2)], Next::Stop { rung: 1 });
        for seed in [1, 2] {
            place.compare(&plan, &job(3, seed), 2, &at(1.0)).unwrap();
        }
        assert_eq!(next(&place, &plan).unwrap()[&job(3, 1)], Next::Whole);
    }

    #[test]
    fn a_stopped_draw_says_when_and_has_no_score() {
        let halving = Halving {
            steps: 10,
            factor: 3,
        };
        let stopped = stopped(at(2.0), 1, &halving);
        assert_eq!(stopped.status, End::Stopped);
        assert_eq!(
            (stopped.steps, stopped.validation_loss),
            (Some(10), Some(2.0))
        );
        assert!(stopped.test_correlation.is_none());
        assert_eq!(
            stopped.reason.unwrap(),
            "not among the best 1 of 3 after 30 steps"
        );
    }
}
