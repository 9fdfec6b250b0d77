//! Many fits in one directory: random draws, grids, systems side by side, seeds. Any number of processes may share the work.
//!
//! `DIR/SYSTEM/draw-000` is a run each, with `draw.toml` when it is finished; `DIR/search.csv` has a row per fit,
//! `DIR/comparison.csv` one per system. `DIR/.search` holds the plan, and who is at what.

mod claim;
mod glm;
mod halving;
mod plan;
mod tables;
mod worker;

pub use halving::Halving;
pub use plan::{Job, Kind, Plan, Search, Seeds, System};
pub use tables::{Status, comparison, fits};
pub use worker::{Settings, run};

use crate::statistics::mean_of_known;
use crate::table::Table;
use crate::{Error, Result, files};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a fit came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// How it ended.
    pub status: End,
    /// Why, where it failed or diverged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Steps taken.
    pub steps: Option<u64>,
    /// Of training, those of earlier sessions included.
    pub seconds: Option<f64>,
    /// Lowest.
    pub validation_loss: Option<f64>,
    /// There.
    pub validation_correlation: Option<f64>,
    /// Mean over neurons of `correlation_to_average`.
    pub test_correlation: Option<f64>,
    /// Mean over neurons.
    pub single_trial_correlation: Option<f64>,
    /// Mean over neurons: the noise ceiling.
    pub maximum_correlation: Option<f64>,
}

impl Finished {
    /// Takes the means over neurons of an `evaluation.csv`.
    fn score(&mut self, scores: &Table) {
        let column = |name: &str| {
            let mean = mean_of_known(&scores.numbers(name).unwrap_or_default());
            mean.is_finite().then_some(mean)
        };
        self.test_correlation = column("correlation_to_average");
        self.single_trial_correlation = column("single_trial_correlation");
        self.maximum_correlation = column("maximum_correlation");
    }
}

/// How a fit ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// With a model.
    Done,
    /// The loss is no longer a number.
    Diverged,
    /// Others were better after as many steps.
    Stopped,
    /// It could not be made.
    #[default]
    Failed,
}

/// The directory of a search.
#[derive(Clone, Debug)]
pub struct Place {
    directory: PathBuf,
}

impl Place {
    /// For a search in `directory`.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn hidden(&self) -> PathBuf {
        self.directory.join(".search")
    }

    fn plan_file(&self) -> PathBuf {
        self.hidden().join("plan.toml")
    }

    /// The run of a fit.
    pub fn run(&self, plan: &Plan, job: &Job) -> PathBuf {
        self.directory.join(plan.run(job))
    }

    fn claims(&self, plan: &Plan, job: &Job) -> PathBuf {
        self.hidden().join("claims").join(plan.run(job))
    }

    /// What a fit came to, if it is finished.
    ///
    /// # Errors
    /// Names the file that makes no sense.
    pub fn finished(&self, plan: &Plan, job: &Job) -> Result<Option<Finished>> {
        read(&self.run(plan, job).join(FINISHED))
    }

    fn finish(&self, plan: &Plan, job: &Job, finished: &Finished) -> Result<()> {
        write(&self.run(plan, job).join(FINISHED), finished)
    }

    fn comparison(&self, plan: &Plan, job: &Job, rung: u32) -> PathBuf {
        let of = self.hidden().join("halving").join(plan.run(job));
        of.join(format!("{rung}.toml"))
    }

    /// How a fit stood at a comparison of [`Halving`], if it has come so far.
    fn compared(&self, plan: &Plan, job: &Job, rung: u32) -> Result<Option<Finished>> {
        read(&self.comparison(plan, job, rung))
    }

    fn compare(&self, plan: &Plan, job: &Job, rung: u32, stands: &Finished) -> Result<()> {
        write(&self.comparison(plan, job, rung), stands)
    }

    /// The plan of the search that lies here.
    ///
    /// # Errors
    /// When there is none.
    pub fn plan(&self) -> Result<Plan> {
        let path = self.plan_file();
        if !path.exists() {
            return Err(Error::file(
                &self.directory,
                "is not the directory of a search",
            ));
        }
        let text = files::read_text(&path)?;
        toml::from_str(&text)
            .map_err(|e| Error::file(&path, format!("not the plan of a search: {e}")))
    }

    /// Leaves the plan where others find it.
    ///
    /// # Errors
    /// When another search lies here, or the directory cannot be written.
    pub fn begin(&self, plan: &Plan) -> Result<()> {
        files::create_directory(&self.hidden())?;
        if self.plan_file().exists() {
            let before = self.plan()?;
            if before == *plan {
                return Ok(());
            }
            if !before.grows_into(plan) {
                let what = "holds another search: other keys, values, systems or base, or more draws; give another --out";
                return Err(Error::file(&self.directory, what));
            }
        }
        let text = toml::to_string(plan).map_err(|e| Error::Other(e.to_string()))?;
        files::write(&self.plan_file(), |w| w.write_all(text.as_bytes()))
    }
}

fn read(path: &Path) -> Result<Option<Finished>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = files::read_text(path)?;
    toml::from_str(&text)
        .map(Some)
        .map_err(|e| Error::file(path, format!("not the result of a fit: {e}")))
}

fn write(path: &Path, finished: &Finished) -> Result<()> {
    let text = toml::to_string(finished).map_err(|e| Error::Other(e.to_string()))?;
    files::create_directory(path.parent().unwrap_or(Path::new("")))?;
    files::write(path, |w| w.write_all(text.as_bytes()))
}

/// In the run of a finished fit.
const FINISHED: &str = "draw.toml";
