//! `search.csv` and `comparison.csv`.

use super::claim::Claim;
use super::{End, Finished, Job, Place, Plan};
use crate::Result;
use crate::statistics::{mean, mean_of_known, variance};
use crate::table::{Column, Table};
use std::time::Duration;

/// Draws whose mean is told.
const BEST: usize = 5;

/// A fit that was begun.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Somebody is at it.
    Running,
    /// It has a result.
    Finished(Finished),
}

/// All fits that were begun, by system, draw, seed; claims older than `stale` are none.
///
/// # Errors
/// Names the file that makes no sense.
pub fn fits(place: &Place, plan: &Plan, stale: Duration) -> Result<Vec<(Job, Status)>> {
    let mut all = Vec::new();
    for job in plan.jobs() {
        if let Some(finished) = place.finished(plan, &job)? {
            all.push((job, Status::Finished(finished)));
        } else if Claim::is_held(&place.claims(plan, &job), stale)? {
            all.push((job, Status::Running));
        }
    }
    Ok(all)
}

/// `search.csv`: one row per fit.
pub(super) fn table(plan: &Plan, fits: &[(Job, Status)]) -> Table {
    let nothing = Finished::default();
    let of = |status: &'_ Status| match status {
        Status::Finished(finished) => finished.clone(),
        Status::Running => nothing.clone(),
    };
    let finished: Vec<Finished> = fits.iter().map(|(_, s)| of(s)).collect();
    let status = fits.iter().map(|(_, status)| match status {
        Status::Running => "running",
        Status::Finished(f) => match f.status {
            End::Done => "done",
            End::Diverged => "diverged",
            End::Stopped => "stopped",
            End::Failed => "failed",
        },
    });
    let system = fits
        .iter()
        .map(|(job, _)| plan.search.systems[job.system].name.clone());
    let number = |f: fn(&Finished) -> Option<f64>| {
        Column::Number(finished.iter().map(|x| f(x).unwrap_or(f64::NAN)).collect())
    };
    let mut table = Table::new()
        .with("system", Column::Text(system.collect()))
        .with(
            "draw",
            Column::Integer(fits.iter().map(|(job, _)| job.draw as i64).collect()),
        )
        .with(
            "seed",
            Column::Integer(fits.iter().map(|(job, _)| job.seed as i64).collect()),
        )
        .with("status", Column::Text(status.map(String::from).collect()));
    for key in plan.keys() {
        let values = fits.iter().map(|(job, _)| match plan.drawn(job).get(key) {
            Some(toml::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        });
        table = table.with(key, Column::Text(values.collect()));
    }
    table
        .with("steps", number(|f| f.steps.map(|s| s as f64)))
        .with("seconds", number(|f| f.seconds))
        .with("validation_loss", number(|f| f.validation_loss))
        .with(
            "validation_correlation",
            number(|f| f.validation_correlation),
        )
        .with("test_correlation", number(|f| f.test_correlation))
        .with(
            "single_trial_correlation",
            number(|f| f.single_trial_correlation),
        )
}

/// A draw whose seeds are all done: means over them.
#[derive(Clone, Copy, Debug)]
struct Draw {
    draw: usize,
    validation_loss: f64,
    test_correlation: f64,
    ceiling: f64,
}

/// `comparison.csv`: one row per system.
pub fn comparison(plan: &Plan, fits: &[(Job, Status)]) -> Table {
    let rows: Vec<Vec<Draw>> = (0..plan.search.systems.len())
        .map(|system| draws(plan, system, fits))
        .collect();
    let names = plan.search.systems.iter().map(|s| s.name.clone());
    let number =
        |f: &dyn Fn(&[Draw]) -> f64| Column::Number(rows.iter().map(|draws| f(draws)).collect());
    let first = |f: fn(&Draw) -> f64| move |draws: &[Draw]| draws.first().map_or(f64::NAN, f);
    let best = |draws: &[Draw]| -> Vec<f64> {
        draws
            .iter()
            .take(BEST)
            .map(|d| d.test_correlation)
            .collect()
    };
    Table::new()
        .with("system", Column::Text(names.collect()))
        .with(
            "draws",
            Column::Integer(rows.iter().map(|d| d.len() as i64).collect()),
        )
        .with("best_draw", number(&first(|d| d.draw as f64)))
        .with("validation_loss", number(&first(|d| d.validation_loss)))
        .with("test_correlation", number(&first(|d| d.test_correlation)))
        .with("mean_of_best_5", number(&|d| mean(&best(d))))
        .with("sd_of_best_5", number(&|d| variance(&best(d), 1).sqrt()))
        .with(
            "share_of_ceiling",
            number(&first(|d| d.test_correlation / d.ceiling)),
        )
}

/// The draws of a system that are done, lowest validation loss first; those without one come last.
fn draws(plan: &Plan, system: usize, fits: &[(Job, Status)]) -> Vec<Draw> {
    let seeds = plan.seeds(system) as usize;
    let mut draws = Vec::new();
    for draw in 0..plan.draws(system) {
        let own = fits
            .iter()
            .filter(|(job, _)| (job.system, job.draw) == (system, draw));
        let done: Vec<&Finished> = own
            .filter_map(|(_, status)| match status {
                Status::Finished(f) if f.status == End::Done => Some(f),
                _ => None,
            })
            .collect();
        if done.len() < seeds {
            continue;
        }
        let over = |f: fn(&Finished) -> Option<f64>| {
            let known: Vec<f64> = done.iter().map(|d| f(d).unwrap_or(f64::NAN)).collect();
            mean_of_known(&known)
        };
        draws.push(Draw {
            draw,
            validation_loss: over(|f| f.validation_loss),
            test_correlation: over(|f| f.test_correlation),
            ceiling: over(|f| f.maximum_correlation),
        });
    }
    // Not a number is larger than all; equal losses keep their order.
    draws.sort_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss));
    draws
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Search, Seeds};

    #[test]
    fn the_best_draw_has_the_lowest_loss_over_its_seeds_and_unfinished_ones_do_not_count() {
        let mut search: Search = toml::from_str(
            "base = \"b\"\ndraws = 4\n[choice]\n\"core.features\" = [[4, 4]]\n[[system]]\nname = \"s\"\n[[system]]\nname = \"t\"\n",
        )
        .unwrap();
        search.seeds = Some(Seeds { count: 2 });
        let plan = Plan::of(search, "");
        let finished = |loss: f64, test: f64| {
            Status::Finished(Finished {
                status: End::Done,
                validation_loss: Some(loss),
                test_correlation: Some(test),
                maximum_correlation: Some(0.8),
                ..Finished::default()
            })
        };
        let job = |draw, seed| Job {
            system: 0,
            draw,
            seed,
        };
        let diverged = Status::Finished(Finished {
            status: End::Diverged,
            ..Finished::default()
        });
        let fits = [
            (job(0, 1), finished(3.0, 0.2)),
            (job(0, 2), finished(1.0, 0.4)),
            (job(1, 1), finished(1.5, 0.6)),
            (job(1, 2), finished(1.5, 0.6)),
            (job(2, 1), finished(0.1, 0.9)),
            (job(2, 2), diverged),
            (job(3, 1), finished(0.1, 0.9)),
            (job(3, 2), Status::Running),
        ];
        let table = comparison(&plan, &fits);
        let of = |name: &str| table.numbers(name).unwrap().to_vec();
        assert_eq!(table.column("draws"), Some(&Column::Integer(vec![2, 0])));
        assert_eq!(of("best_draw")[0], 1.0);
        assert_eq!(of("validation_loss")[0], 1.5);
        assert!((of("mean_of_best_5")[0] - 0.45).abs() < 1e-12);
        assert!((of("sd_of_best_5")[0] - 0.15 * 2.0f64.sqrt()).abs() < 1e-12);
        assert!((of("share_of_ceiling")[0] - 0.75).abs() < 1e-12);
        assert!(of("best_draw")[1].is_nan() && of("mean_of_best_5")[1].is_nan());
        let rows = super::table(&plan, &fits);
        assert_eq!(rows.rows(), 8);
        assert_eq!(
            rows.text("status").unwrap()[5..],
            ["diverged", "done", "running"]
        );
        assert_eq!(rows.text("core.features").unwrap()[0], "[4, 4]");
    }
}
