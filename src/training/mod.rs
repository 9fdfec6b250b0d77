//! Fitting: Adam or SGD in phases with early stopping (Ecker et al. 2019), resumable bit for bit.

mod batches;
mod controls;
mod cortex;
mod earlier;
mod history;
mod progress;
mod resume;
mod run;
mod schedule;
mod signals;
mod step;
mod validation;
mod windows;

pub(crate) use controls::seen;
pub use history::History;
pub use progress::{PAUSE, Progress};
pub use run::{locate, open_recordings};
pub use signals::Interrupts;

use crate::device::{Array, Device, Graph};
use crate::lock::Lock;
use crate::model::checkpoint::Start;
use crate::model::config::{Loss, Positions, ReadoutKind};
use crate::model::params::Arena;
use crate::model::{Config, Model, Population, Workspace, core, readout};
use crate::recording::preprocess::{self, Preprocessing};
use crate::recording::{Recording, Tier, fingerprint};
use crate::{Error, Result, say};
use batches::{Data, Order};
use earlier::Earlier;
use schedule::Schedule;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use windows::Looks;

/// Between two writings of what resuming needs, which for large populations is hundreds of megabytes. A signal and
/// the end write it at once; only a killed process falls back to the last writing.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// Where a run goes and what it starts from.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The run directory.
    pub out: PathBuf,
    /// Continue what lies there.
    pub resume: bool,
    /// A run or a `.safetensors` file to start from.
    pub init: Option<PathBuf>,
    /// Replace the fit that lies there, when the first weights of this one are written.
    pub overwrite: bool,
}

/// How a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Early stopping ended the last phase.
    Converged,
    /// `max_steps` reached.
    OutOfSteps,
    /// The loss is no longer a number.
    Diverged,
}

/// What a fit reports.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// Steps taken, those undone by early stopping included.
    pub steps: u64,
    /// Seconds that they took, those of earlier sessions included.
    pub seconds: f64,
    /// Lowest validation loss, if validated.
    pub best_validation_loss: Option<f64>,
    /// Its step.
    pub best_step: u64,
    /// Mean validation correlation there (single trials).
    pub best_validation_correlation: Option<f64>,
    /// Validation loss of each neuron's mean training response as its rate, if validated.
    pub constant_loss: Option<f64>,
    /// Whether no neuron's rate depends on the image.
    pub dead: bool,
}

impl Outcome {
    /// Whether the model explains no more than each neuron's mean response does.
    pub fn is_worse_than_the_mean(&self) -> bool {
        match (self.best_validation_loss, self.constant_loss) {
            (Some(loss), Some(constant)) => loss >= constant,
            _ => false,
        }
    }

    /// Whether the answer is bad: diverged, dead, or at its end no better than the mean response. A fit that `max_steps`
    /// ended may yet become better.
    pub fn is_bad(&self) -> bool {
        let at_its_end = self.end == End::Converged && self.is_worse_than_the_mean();
        self.end == End::Diverged || self.dead || at_its_end
    }
}

/// Everything that changes from step to step, besides the model.
#[derive(Clone, Debug)]
struct State {
    /// Counts towards `max_steps`; early stopping turns it back.
    step: u64,
    /// Steps taken in all: decides the batches.
    taken: u64,
    phase: u32,
    /// Validations in a row without improvement.
    worse: u64,
    /// Adam's step count.
    t: u64,
    best: Option<Best>,
    /// Sum and number of the batch losses since the last validation.
    recent: (f64, u64),
    /// Seconds spent in earlier sessions.
    seconds: f64,
    done: Option<End>,
}

#[derive(Clone, Debug)]
struct Best {
    loss: f64,
    correlation: f64,
    /// Whether no rate depended on the image.
    dead: bool,
    taken: u64,
    t: u64,
    snapshot: Snapshot,
}

#[derive(Clone, Debug)]
struct Snapshot {
    params: Arena,
    statistics: Arena,
    first: Arena,
    second: Arena,
}

/// A fit in progress.
#[derive(Debug)]
pub struct Trainer {
    model: Model,
    data: Vec<Data>,
    orders: Vec<Order>,
    spaces: Vec<Workspace>,
    /// Workspace of each recording: those of one image size share one.
    space_of: Vec<usize>,
    buffers: Vec<readout::Buffers>,
    gradients: Arena,
    first: Arena,
    second: Arena,
    /// Running statistics before the step in progress.
    before_step: Array,
    schedule: Schedule,
    /// Whether a step has been taken, after which one can be recorded.
    warm: bool,
    /// One step as the device repeats it.
    graph: Option<Graph>,
    state: State,
    /// Where the neurons look, once their windows are put.
    looks: Option<Looks>,
    history: History,
    out: PathBuf,
    /// Of the recordings, so that a run is not resumed on others.
    fingerprint: u64,
    /// What becomes of the fit that lies in `out`, once this one has something to write.
    earlier: Earlier,
    /// What was taken from `init`.
    start: Option<Start>,
    /// Held from when the run directory is touched.
    lock: Option<Lock>,
}

impl Trainer {
    /// Prepares a fit of `recordings` into `options.out`, fresh or resumed.
    ///
    /// # Errors
    /// When recordings and configuration do not fit together, or the run directory cannot be used.
    pub fn new(
        device: &Device,
        config: &Config,
        recordings: &[Recording],
        options: &Options,
    ) -> Result<Self> {
        run::check_names(recordings)?;
        let whole = recordings;
        let seen = seen(&config.training, whole)?;
        let recordings = &seen[..];
        let preprocessing = Preprocessing::images(recordings)?;
        let resumes = options.resume && options.out.join(resume::FILE).exists();
        let windows_first = config.readout.window_after == 0 && !resumes;
        let mut populations = Vec::new();
        let mut data = Vec::new();
        let mut means = Vec::new();
        let mut looks: Looks = Vec::new();
        for recording in recordings {
            let scale = preprocess::response_scale(recording);
            let responses = match config.training.loss {
                Loss::Poisson => preprocess::normalised_responses(recording, scale.view()),
                Loss::VarianceScaledMse => preprocess::scaled_responses(recording, scale.view()),
            };
            let mean = preprocess::mean_training_response(recording, responses.view()).to_vec();
            let image = (recording.height(), recording.width());
            let map = core::output_size(config, image.0, image.1)?;
            let puts = windows_first && windows::is_smaller(&config.readout, map);
            looks.push(puts.then(|| {
                let z = preprocessing.z_score(recording.images.view());
                let trials = recording.trials_of(Tier::Train);
                let trials: Vec<(usize, usize)> = trials
                    .into_iter()
                    .map(|t| (t, recording.trials[t].image))
                    .collect();
                windows::follow(z.view(), &trials, responses.view(), map, &config.readout)
            }));
            data.push(Data::new(
                device,
                recording,
                &preprocessing,
                (responses, &mean),
                config.training.loss,
            ));
            means.push(mean);
            populations.push(Population {
                name: recording.name.clone(),
                height: recording.height(),
                width: recording.width(),
                response_scale: scale.to_vec(),
            });
        }
        let mut model = Model::zeros(device, config, preprocessing, &populations)?;
        model.initialise(&means);
        let settings = &config.readout;
        if settings.kind == ReadoutKind::Gaussian && settings.initial_positions == Positions::Cortex
        {
            for (index, recording) in recordings.iter().enumerate() {
                let places = cortex::places(recording, settings.initial_range)?;
                model.put_places(index, &places);
            }
        }
        let seed = config.training.seed;
        let orders: Vec<Order> = data
            .iter()
            .enumerate()
            .map(|(i, d)| Order::new(d.training.len(), config.training.batch_size, seed, i as u64))
            .collect();
        for (readout, order) in model.readouts.iter().zip(&orders) {
            run::check_normalisation(config, readout, order)?;
        }
        let mut bytes = 8 * model.params.layout.len() as u128 * size_of::<f32>() as u128;
        let mut sizes = HashSet::new();
        for (d, o) in data.iter().zip(&orders) {
            if sizes.insert((d.image, o.batch)) {
                bytes += Workspace::bytes(&model.device, config, d.image, o.batch, true);
            }
        }
        device.require("training: parameters and the maps of a batch", bytes)?;
        let (mut spaces, mut space_of) = (Vec::<Workspace>::new(), Vec::new());
        for (d, o) in data.iter().zip(&orders) {
            let fits = |s: &Workspace| s.image == d.image && s.batch == o.batch;
            space_of.push(spaces.iter().position(fits).unwrap_or_else(|| {
                spaces.push(Workspace::new(&model, d.image, o.batch, true));
                spaces.len() - 1
            }));
        }
        let nothing = Arena::zeros(device, &Arc::default());
        let mut trainer = Self {
            before_step: model.statistics.values.clone(),
            schedule: Schedule::new(device, orders.iter().map(|o| o.batch)),
            warm: false,
            graph: None,
            gradients: nothing.clone(),
            first: nothing.clone(),
            second: nothing,
            looks: None,
            state: State {
                step: 0,
                taken: 0,
                phase: 0,
                worse: 0,
                t: 0,
                best: None,
                recent: (0.0, 0),
                seconds: 0.0,
                done: None,
            },
            history: History::default(),
            out: options.out.clone(),
            fingerprint: fingerprint(whole),
            earlier: Earlier::None,
            start: None,
            lock: None,
            model,
            data,
            orders,
            spaces,
            space_of,
            buffers: Vec::new(),
        };
        for recording in whole {
            let hash = recording.hash();
            trainer
                .model
                .recordings
                .insert(recording.name.clone(), hash);
        }
        device.check()?;
        trainer.require_space()?;
        if resumes {
            trainer.lock = Some(run::claim(&options.out)?);
            trainer.restore_run()?;
        } else {
            if let Some(init) = &options.init {
                trainer.start = Some(trainer.model.start_from(init)?);
            }
            trainer.check_frozen()?;
            if windows_first {
                trainer.put_first_windows(looks);
            }
            let zeros = Arena::zeros(device, &trainer.model.params.layout);
            (trainer.first, trainer.second) = (zeros.clone(), zeros);
            trainer.lock = Some(run::claim(&options.out)?);
            trainer.earlier = trainer.look_for_earlier(options.overwrite)?;
            trainer.begin_run()?;
        }
        trainer.gradients = Arena::zeros(device, &trainer.model.params.layout);
        trainer.make_buffers();
        Ok(trainer)
    }

    fn make_buffers(&mut self) {
        let readouts = self.model.readouts.iter().zip(&self.orders);
        self.buffers = readouts
            .map(|(r, o)| readout::Buffers::new(&self.model, r, o.batch, true))
            .collect();
    }

    /// What was taken from `init`, and what not.
    pub fn start(&self) -> Option<&Start> {
        self.start.as_ref()
    }

    /// The model as it stands.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Trials of each recording in a step; smaller than configured where a recording has fewer.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.orders.iter().map(|o| o.batch).collect()
    }

    /// Runs until early stopping, `max_steps`, divergence or a signal, and leaves a complete run directory.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after a signal, with the run resumable; or a file that cannot be written.
    pub fn run(&mut self, interrupts: &Interrupts, progress: &mut Progress) -> Result<Outcome> {
        let started = Instant::now();
        let mut saved = started;
        let before = self.state.seconds;
        let settings = self.model.config.training.clone();
        let extends =
            self.state.done == Some(End::OutOfSteps) && self.state.step < settings.max_steps;
        if extends {
            self.state.done = None;
        }
        progress.start(&settings, self.state.step);
        while self.state.done.is_none() {
            self.state.seconds = before + started.elapsed().as_secs_f64();
            if let Some(signal) = interrupts.signal() {
                self.save()?;
                progress.finish();
                return Err(Error::Interrupted(signal));
            }
            let due =
                self.state.recent.1 > 0 && self.state.step.is_multiple_of(settings.validate_every);
            if due {
                // A signal leaves the validation for the run that resumes.
                let Some(scores) = self.score_validation(interrupts) else {
                    continue;
                };
                self.validated(scores, progress);
            }
            if self.state.done.is_none() && self.state.step >= settings.max_steps {
                self.state.done = Some(End::OutOfSteps);
            }
            if self.state.done.is_some() {
                break;
            }
            if due && saved.elapsed() >= SAVE_EVERY {
                self.save()?;
                saved = Instant::now();
            } else if due && self.earlier == Earlier::None {
                self.history.write(&self.out.join(history::FILE))?;
            }
            let to_validation = settings.validate_every - self.state.step % settings.validate_every;
            let to_end = settings.max_steps - self.state.step;
            self.advance(to_validation.min(to_end), interrupts, progress);
            self.model.device.check()?;
            if !self.state.recent.0.is_finite() {
                self.state.seconds = before + started.elapsed().as_secs_f64();
                self.diverged(progress);
            }
        }
        self.state.seconds = before + started.elapsed().as_secs_f64();
        self.save()?;
        progress.finish();
        if self.state.done != Some(End::Diverged) && self.steps_to_windows().is_some() {
            say(format_args!(
                "readout.window: the fit ended after {} steps, no later than readout.window_after = {}: its masks are whole",
                self.state.taken, self.model.config.readout.window_after
            ));
        }
        Ok(self.outcome())
    }

    fn outcome(&mut self) -> Outcome {
        let unvalidated = self.state.best.is_none() && self.state.done != Some(End::Diverged);
        let dead_unseen = unvalidated && self.is_dead_on_training();
        let best = self.state.best.as_ref();
        Outcome {
            end: self.state.done.unwrap_or(End::OutOfSteps),
            steps: self.state.taken,
            seconds: self.state.seconds,
            best_validation_loss: best.map(|b| b.loss),
            best_step: best.map_or(self.state.taken, |b| b.taken),
            best_validation_correlation: best.map(|b| b.correlation),
            constant_loss: best.map(|_| self.data.iter().map(|d| d.constant_loss).sum()),
            dead: best.map_or(dead_unseen, |b| b.dead),
        }
    }

    fn learning_rate(&self) -> f64 {
        let t = &self.model.config.training;
        t.learning_rate / t.decay.powi(self.state.phase as i32)
    }

    /// The best model so far.
    pub fn into_best(mut self) -> Model {
        if let Some(best) = self.state.best {
            self.model.params = best.snapshot.params;
            self.model.statistics = best.snapshot.statistics;
        }
        self.model
    }
}

/// Sum in float64.
fn total(losses: &[f32]) -> f64 {
    losses.iter().map(|&l| f64::from(l)).sum()
}
