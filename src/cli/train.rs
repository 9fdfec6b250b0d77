//! `striate train`

use super::Global;
use super::common::{Report, warn};
use std::path::PathBuf;
use std::time::Duration;
use striate::device::Device;
use striate::model::Config;
use striate::recording::warnings;
use striate::training::{
    End, Interrupts, Options, Outcome, PAUSE, Progress, Trainer, locate, open_recordings,
};
use striate::{Error, Result};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The configuration (TOML); `striate config` prints one
    config: PathBuf,
    /// Override a key of the configuration, as in training.max_steps=100; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// The run directory [default: runs/ and the configuration's name]
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Continue the run in --out where it stopped; starts fresh where there is none
    #[arg(long)]
    resume: bool,
    /// Start from the weights of a run or a .safetensors file, matched by name and shape
    #[arg(long, value_name = "MODEL")]
    init: Option<PathBuf>,
    /// Fit anew where a fit lies already; the old one goes when the first weights of the new one are written
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Longest time without a line on standard error, where that is no terminal
    #[arg(long, value_name = "SECONDS", default_value_t = PAUSE.as_secs_f64())]
    progress_every: f64,
    /// Progress as JSON, an object per line; warnings and other messages stay text
    #[arg(long)]
    log_json: bool,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let every = arguments.progress_every;
    if !(every > 0.0 && every <= 1e9) {
        let wanted = "seconds above 0";
        return Err(Error::bad("--progress-every", "the number", every, wanted));
    }
    let progress = Progress::stderr().every(Duration::from_secs_f64(every), arguments.log_json);
    let device = Device::open(&global.device)?;
    let mut overrides = arguments.overrides.clone();
    overrides.extend(global.seed.map(|s| format!("training.seed={s}")));
    let config = locate(&arguments.config, &overrides)?;
    let out = arguments.out.clone().unwrap_or_else(|| {
        let name = arguments.config.file_stem().unwrap_or_default();
        PathBuf::from("runs").join(name)
    });
    let options = Options {
        out,
        resume: arguments.resume,
        init: arguments.init.clone(),
        overwrite: arguments.overwrite,
    };
    let outcome = fit(&device, &config, &options, progress)?;
    if let Some(told) = verdict(&outcome) {
        warn(&told);
    }
    Ok(summary(&outcome, &options))
}

fn fit(
    device: &Device,
    config: &Config,
    options: &Options,
    mut progress: Progress,
) -> Result<Outcome> {
    let interrupts = Interrupts::listen()?;
    let recordings = open_recordings(config)?;
    warnings::of_fit(&recordings).iter().for_each(|w| warn(w));
    let mut trainer = Trainer::new(device, config, &recordings, options)?;
    let readouts = trainer.model().readouts.iter();
    for ((recording, readout), batch) in recordings.iter().zip(readouts).zip(trainer.batch_sizes())
    {
        striate::say(format_args!(
            "{}: {} neurons, {} images of {} x {}, batches of {batch}",
            recording.name,
            readout.neurons,
            recording.images.dim().0,
            recording.height(),
            recording.width(),
        ));
    }
    if let (Some(start), Some(init)) = (trainer.start(), &options.init) {
        let all = start.taken.len() + start.fresh.len();
        let fresh = match start.fresh.is_empty() {
            true => String::new(),
            false => format!("; fresh: {}", start.fresh.join(", ")),
        };
        striate::say(format_args!(
            "--init: {} of {all} tensors start from {}{fresh}",
            start.taken.len(),
            init.display()
        ));
    }
    trainer.run(&interrupts, &mut progress)
}

fn summary(outcome: &Outcome, options: &Options) -> Report {
    let end = match outcome.end {
        End::Converged => "converged",
        End::OutOfSteps => "stopped at max_steps",
        End::Diverged => {
            "diverged: the loss is no longer a number; try a lower training.learning_rate"
        }
    };
    let best = match (
        outcome.best_validation_loss,
        outcome.best_validation_correlation,
    ) {
        (Some(loss), Some(r)) => format!(
            "best validation loss {loss:.5} at step {} (correlation {r:.4})\n",
            outcome.best_step
        ),
        _ if outcome.end == End::Diverged => "no model was written\n".to_string(),
        _ => "not validated: the last weights are kept\n".to_string(),
    };
    let run = options.out.display();
    let verdict = verdict(outcome).map_or(String::new(), |v| format!("{v}\n"));
    Report::new(format!(
        "{end} after {} steps\n{best}{verdict}run: {run}\nlook at it: striate report {run}",
        outcome.steps
    ))
    .fact("end", format!("{:?}", outcome.end).to_lowercase())
    .fact("steps", outcome.steps)
    .fact("best_step", outcome.best_step)
    .fact("best_validation_loss", outcome.best_validation_loss)
    .fact(
        "best_validation_correlation",
        outcome.best_validation_correlation,
    )
    .fact("constant_loss", outcome.constant_loss)
    .fact("dead", outcome.dead)
    .fact("run", run.to_string())
    .good(!outcome.is_bad())
}

/// What is bad about a model that is there.
fn verdict(outcome: &Outcome) -> Option<String> {
    if outcome.end == End::Diverged {
        return None;
    }
    if outcome.dead {
        let told = "the model is dead: no neuron's rate depends on the image; try a lower training.learning_rate";
        return Some(told.to_string());
    }
    let constant = outcome
        .constant_loss
        .filter(|_| outcome.is_worse_than_the_mean())?;
    let advice = match outcome.end {
        End::OutOfSteps => "train for more steps, or try a lower training.learning_rate",
        _ => "try a lower training.learning_rate",
    };
    Some(format!(
        "no better than each neuron's mean training response (validation loss {constant:.5}): {advice}"
    ))
}
