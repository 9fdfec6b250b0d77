//! The loop of a process: takes a fit that nobody is at, fits it, writes down what it came to; until none is left.

use super::claim::Claim;
use super::glm;
use super::halving::{self, Next};
use super::tables::{self, Status};
use super::{End, Finished, Job, Kind, Place, Plan};
use crate::device::Device;
use crate::lock::Lock;
use crate::model::checkpoint::{CONFIG, MODEL};
use crate::recording::Recording;
use crate::table::Table;
use crate::training::{self, Interrupts, Options, Progress, Trainer};
use crate::{Error, Result, files, results, say, scoring};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Between two looks at what others have finished.
const PAUSE: Duration = Duration::from_millis(500);

/// How a process works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Without a heartbeat for so long a fit is taken over.
    pub stale: Duration,
    /// Fits at a time.
    pub jobs: usize,
}

/// Recordings as they were read last, by their paths.
type Recordings = Mutex<Option<(Vec<PathBuf>, Arc<Vec<Recording>>)>>;

/// What all workers of a process share.
struct Shared<'a> {
    place: &'a Place,
    plan: &'a Plan,
    device: &'a Device,
    settings: Settings,
    interrupts: &'a Interrupts,
    recordings: Recordings,
    /// One table at a time.
    writing: Mutex<()>,
    started: Instant,
}

/// Fits what is left, until every fit of the plan has a result: this process's or another's.
///
/// # Errors
/// [`Error::Paused`] after a signal; or the directory that cannot be written.
pub fn run(
    place: &Place,
    plan: &Plan,
    device: &Device,
    settings: Settings,
    interrupts: &Interrupts,
) -> Result<()> {
    place.begin(plan)?;
    let shared = Shared {
        place,
        plan,
        device,
        settings,
        interrupts,
        recordings: Mutex::new(None),
        writing: Mutex::new(()),
        started: Instant::now(),
    };
    let ended = match settings.jobs {
        1 => shared.work(),
        jobs => shared.side_by_side(jobs),
    };
    shared.write()?;
    ended
}

/// What training left.
enum Stands {
    /// A fit that ended.
    End(Finished),
    /// One that can take more steps.
    Between(Finished),
}

fn shown(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| format!("{v:.4}"))
}

impl Shared<'_> {
    /// Several workers, each with its share of the processors.
    fn side_by_side(&self, jobs: usize) -> Result<()> {
        let threads = rayon::current_num_threads().div_ceil(jobs);
        std::thread::scope(|scope| {
            let worker = || -> Result<()> {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let pool = pool.map_err(|e| Error::Other(format!("cannot start threads: {e}")))?;
                pool.install(|| self.work())
            };
            let all: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
            let ends = all.into_iter().map(|w| w.join());
            let ends = ends.map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            ends.collect::<Vec<Result<()>>>().into_iter().collect()
        })
    }

    fn work(&self) -> Result<()> {
        loop {
            let (mut worked, mut left) = (false, false);
            for (job, next) in halving::next(self.place, self.plan)? {
                if let Some(signal) = self.interrupts.signal() {
                    return Err(Error::Paused(signal));
                }
                if self.place.finished(self.plan, &job)?.is_some() {
                    continue;
                }
                left = true;
                if next == Next::Wait {
                    continue;
                }
                let claims = self.place.claims(self.plan, &job);
                let Some(claim) = Claim::take(&claims, self.settings.stale)? else {
                    continue;
                };
                // It may have come so far since it was looked at.
                if !self.is_done(&job, next)? {
                    worked |= self.go_on(&job, next)?;
                }
                drop(claim);
                if self.place.finished(self.plan, &job)?.is_some() {
                    // Nobody needs to ask who is at it any more.
                    let _ = std::fs::remove_dir_all(&claims);
                }
            }
            match (worked, left) {
                (_, false) => return Ok(()),
                (false, true) => std::thread::sleep(PAUSE),
                (true, true) => {}
            }
        }
    }

    fn is_done(&self, job: &Job, next: Next) -> Result<bool> {
        if self.place.finished(self.plan, job)?.is_some() {
            return Ok(true);
        }
        match next {
            Next::Compare { rung, .. } => {
                let compared = self.place.compared(self.plan, job, rung)?;
                Ok(compared.is_some())
            }
            _ => Ok(false),
        }
    }

    /// Whether it is farther now.
    fn go_on(&self, job: &Job, next: Next) -> Result<bool> {
        let steps = match next {
            Next::Compare { steps, .. } => Some(steps),
            Next::Whole => None,
            Next::Wait => return Ok(false),
            Next::Stop { rung } => {
                let at = self.place.compared(self.plan, job, rung)?;
                let halving = self.plan.search.halving;
                if let (Some(at), Some(halving)) = (at, &halving) {
                    let finished = halving::stopped(at, rung, halving);
                    self.place.finish(self.plan, job, &finished)?;
                }
                return Ok(true);
            }
        };
        let run = self.place.run(self.plan, job);
        let name = self.plan.run(job);
        files::create_directory(&run)?;
        // A disk that takes nothing is no reason to wait.
        files::check_writable(&run.join(MODEL))?;
        // A worker that was taken for dead and is not.
        if Lock::whole(&run, "search").is_err() {
            return Ok(false);
        }
        match run.join(CONFIG).exists() {
            true => say(format_args!("{}: goes on", name.display())),
            false => say(format_args!("{}: begins", name.display())),
        }
        let stands = match self.fitted(job, steps) {
            Ok(stands) => stands,
            Err(Error::Interrupted(signal) | Error::Stopped(signal)) => {
                return Err(Error::Paused(signal));
            }
            Err(e) => Stands::End(Finished {
                status: End::Failed,
                reason: Some(e.to_string()),
                ..Finished::default()
            }),
        };
        let finished = match (stands, next) {
            (Stands::Between(at), Next::Compare { rung, .. }) => {
                self.place.compare(self.plan, job, rung, &at)?;
                let loss = shown(at.validation_loss);
                let steps = at.steps.unwrap_or(0);
                say(format_args!(
                    "{}: validation loss {loss} after {steps} steps",
                    name.display()
                ));
                return Ok(true);
            }
            (Stands::Between(finished) | Stands::End(finished), _) => finished,
        };
        self.place.finish(self.plan, job, &finished)?;
        self.write()?;
        self.tell(job, &finished)?;
        Ok(true)
    }

    /// To its end, or as many steps as are given.
    fn fitted(&self, job: &Job, steps: Option<u64>) -> Result<Stands> {
        let mut config = self.plan.config(job)?;
        let all = config.training.max_steps;
        config.training.max_steps = steps.map_or(all, |steps| steps.min(all));
        let recordings =
            self.recordings(&config.recordings, || training::open_recordings(&config))?;
        if self.plan.search.systems[job.system].kind == Kind::Glm {
            let out = self.place.run(self.plan, job);
            let is_shown = self.settings.jobs == 1;
            let finished = glm::fitted(&out, &config, &recordings, self.interrupts, is_shown)?;
            return Ok(Stands::End(finished));
        }
        let options = Options {
            out: self.place.run(self.plan, job),
            resume: true,
            // Nothing but an earlier attempt of a search can lie here.
            overwrite: true,
            ..Options::default()
        };
        let mut trainer = Trainer::new(self.device, &config, &recordings, &options)?;
        let mut progress = match self.settings.jobs {
            1 => Progress::stderr(),
            _ => Progress::named(self.plan.run(job).display().to_string()),
        };
        let outcome = trainer.run(self.interrupts, &mut progress)?;
        let mut finished = Finished {
            status: End::Done,
            steps: Some(outcome.steps),
            seconds: Some(outcome.seconds),
            validation_loss: outcome.best_validation_loss,
            validation_correlation: outcome.best_validation_correlation,
            ..Finished::default()
        };
        if outcome.end == training::End::Diverged {
            finished.status = End::Diverged;
            let told = "the loss is no longer a number; try a lower training.learning_rate";
            finished.reason = Some(told.into());
            return Ok(Stands::End(finished));
        }
        if outcome.end == training::End::OutOfSteps && config.training.max_steps < all {
            return Ok(Stands::Between(finished));
        }
        let mut model = trainer.into_best();
        let hash = files::hash_of(&options.out.join(MODEL))?;
        model.hash = results::shown(&hash);
        let scores = scoring::score_own(&mut model, &recordings)?;
        finished.score(&scores);
        let origin = model.origin(results::USUAL.into());
        let names: Vec<String> = model.readouts.iter().map(|r| r.name.clone()).collect();
        results::Results::open(&options.out, ("evaluation.csv", &[]), origin, &names, None)?
            .write(&scores, Vec::new())?;
        Ok(Stands::End(finished))
    }

    /// The recordings at these paths: read once, as long as fits ask for the same.
    fn recordings(
        &self,
        paths: &[PathBuf],
        read: impl FnOnce() -> Result<Vec<Recording>>,
    ) -> Result<Arc<Vec<Recording>>> {
        let mut last = self.recordings.lock().unwrap_or_else(|e| e.into_inner());
        if let Some((of, recordings)) = &*last
            && of == paths
        {
            return Ok(Arc::clone(recordings));
        }
        let recordings = Arc::new(read()?);
        *last = Some((paths.to_vec(), Arc::clone(&recordings)));
        Ok(recordings)
    }

    /// Both tables, as things stand.
    fn write(&self) -> Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(|e| e.into_inner());
        let fits = tables::fits(self.place, self.plan, self.settings.stale)?;
        let table = |name: &str, table: &Table| table.write_csv(&self.place.directory().join(name));
        table("search.csv", &tables::table(self.plan, &fits))?;
        table("comparison.csv", &tables::comparison(self.plan, &fits))
    }

    fn tell(&self, job: &Job, finished: &Finished) -> Result<()> {
        let fits = tables::fits(self.place, self.plan, self.settings.stale)?;
        let is_finished = |(_, status): &&(Job, Status)| matches!(status, Status::Finished(_));
        let (all, done) = (
            self.plan.jobs().len(),
            fits.iter().filter(is_finished).count(),
        );
        let what = match finished.status {
            End::Done => format!(
                "validation loss {}, test correlation {}",
                shown(finished.validation_loss),
                shown(finished.test_correlation)
            ),
            End::Diverged => "diverged".into(),
            End::Failed | End::Stopped => finished.reason.clone().unwrap_or_default(),
        };
        say(format_args!(
            "{}: {what}; {done} of {all} fits after {}",
            self.plan.run(job).display(),
            indicatif::HumanDuration(self.started.elapsed())
        ));
        Ok(())
    }
}
