//! `striate meis`

use super::Global;
use super::common::{Chosen, Place, Report, neurons, of_name, options, warn_of_flat};
use std::path::{Path, PathBuf};
use striate::device::Device;
use striate::insilico::Watch;
use striate::insilico::ascent::{Meis, Member, Method, Recipe, meis};
use striate::model::Model;
use striate::ops::ascent::Outcome;
use striate::results::Arrays;
use striate::statistics::median;
use striate::table::Table;
use striate::training::Interrupts;
use striate::{Error, Result, files};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run, where meis.npy and meis.csv go
    run: PathBuf,
    /// Other runs with the same neurons: the mean of all responses is sought; may be repeated
    #[arg(long = "with", value_name = "RUN")]
    others: Vec<PathBuf>,
    /// Whose steps: ecker, or walker (whole images within grey levels 0 to 255, 1000 steps)
    #[arg(long, default_value = "ecker", value_name = "NAME")]
    recipe: String,
    /// Norm of the images, in z-scores [default: 12]
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    norm: Option<f64>,
    /// Random starts per neuron, of which the best is kept
    #[arg(long, default_value_t = Recipe::default().starts, value_name = "N")]
    starts: usize,
    /// Most steps [default: 2000]
    #[arg(long, value_name = "N")]
    steps: Option<u32>,
    /// Weight of the sum of squares of the images' Laplacian [default: 0.005]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    smoothness: Option<f64>,
    /// Also write the images of all starts (n, starts, height, width): meis_all.npy
    #[arg(long)]
    all_starts: bool,
    /// The readout, where the run has several
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Arguments {
    fn recipe(&self, seed: u64) -> Result<Recipe> {
        let usual = Recipe::default();
        let bad = |option: &str, what: &str, got: &dyn std::fmt::Display, wanted: &str| {
            Err(Error::bad(option, what, got, wanted))
        };
        let method = match self.recipe.as_str() {
            "ecker" => Method::Ecker,
            "walker" => Method::Walker,
            other => return bad("--recipe", "the recipe", &other, "ecker or walker"),
        };
        if method == Method::Walker {
            for (option, given) in [("--norm", self.norm), ("--smoothness", self.smoothness)] {
                if let Some(given) = given {
                    return bad(
                        option,
                        "with --recipe walker",
                        &given,
                        "none: it has no such term",
                    );
                }
            }
        }
        let (norm, smoothness) = (
            self.norm.unwrap_or(usual.norm),
            self.smoothness.unwrap_or(usual.smoothness),
        );
        if !(norm > 0.0 && norm.is_finite()) {
            return bad("--norm", "the norm", &norm, "a number above 0");
        }
        if !(smoothness >= 0.0 && smoothness.is_finite()) {
            let wanted = "a number that is not negative";
            return bad("--smoothness", "the weight", &smoothness, wanted);
        }
        if !(1..=10_000).contains(&self.starts) {
            return bad("--starts", "the number", &self.starts, "from 1 to 10000");
        }
        let steps = self.steps.unwrap_or(match method {
            Method::Ecker => usual.steps,
            Method::Walker => 1000,
        });
        if !(1..=1_000_000).contains(&steps) {
            return bad("--steps", "the number", &steps, "from 1 to 1000000");
        }
        Ok(Recipe {
            method,
            norm,
            starts: self.starts,
            steps,
            smoothness,
            keep_all: self.all_starts,
            seed,
            ..usual
        })
    }
}

impl Arguments {
    /// As the options of the table.
    fn settings(&self, recipe: &Recipe, members: &[Member]) -> String {
        let usual = Recipe::default();
        let others: Vec<&str> = members[1..].iter().map(|m| m.model.hash.as_str()).collect();
        options(&[
            ("recipe", self.recipe.clone(), "ecker".into()),
            ("norm", recipe.norm.to_string(), usual.norm.to_string()),
            (
                "starts",
                recipe.starts.to_string(),
                usual.starts.to_string(),
            ),
            ("steps", recipe.steps.to_string(), usual.steps.to_string()),
            (
                "smoothness",
                recipe.smoothness.to_string(),
                usual.smoothness.to_string(),
            ),
            ("seed", recipe.seed.to_string(), "1".into()),
            ("all-starts", recipe.keep_all.to_string(), false.to_string()),
            ("with", others.join(" "), String::new()),
        ])
    }
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let recipe = arguments.recipe(global.seed.unwrap_or(1))?;
    let interrupts = Interrupts::listen()?;
    let device = Device::open(&global.device)?;
    let model = Model::open(&arguments.run, &device)?;
    let index = model.readout(arguments.readout.as_deref())?;
    let rows = neurons(arguments.neurons.as_deref(), model.readouts[index].neurons)?;
    check_grey(&arguments.run, &model, &recipe)?;
    let name = model.readouts[index].name.clone();
    let mut members = vec![member(&arguments.run, model, index)];
    for path in &arguments.others {
        let model = Model::open(path, &device)?;
        let index = of_name(path, &model, &name)?;
        members.push(member(path, model, index));
    }
    let output = arguments.place.open(&arguments.run, "meis")?;
    let file = |name: &str| output.directory().join(name);
    let [images, table, all] = [file("meis.npy"), file("meis.csv"), file("meis_all.npy")];
    let model = &members[0].model;
    let chosen = Chosen::of(model, &[index], arguments.neurons.as_deref())?;
    let made_with = arguments.settings(&recipe, &members);
    let arrays = ["meis.npy", "meis_all.npy"];
    let file = ("meis.csv", &arrays[..1 + usize::from(arguments.all_starts)]);
    let results = output.results(file, made_with, model, chosen.names())?;
    let (height, width) = model.readouts[index].image;
    let starts = if arguments.all_starts {
        recipe.starts
    } else {
        0
    };
    let pixels = rows.len() * (1 + starts) * height * width;
    files::require_space(&images, pixels as u128 * size_of::<f32>() as u128)?;
    let several = model.readouts.len() > 1;
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let found = meis(&mut members, &rows, &recipe, &mut watch)?;
    watch.finish();
    let rows = Table::stacked(vec![(name, found.table())], several.then_some("recording"));
    let mut arrays = vec![Arrays::One(found.images.clone().into_dyn())];
    match &found.all {
        Some(starts) => arrays.push(Arrays::One(starts.clone().into_dyn())),
        None => files::remove(&all)?,
    }
    results.write(&rows, arrays)?;
    Ok(summary(&found, &recipe, &images, &table))
}

/// Walker's recipe is in the grey levels of a screen.
fn check_grey(path: &Path, model: &Model, recipe: &Recipe) -> Result<()> {
    let p = model.preprocessing;
    let screen = p.image_mean > 0.0 && p.image_mean < 255.0 && p.image_sd >= 1.0;
    if recipe.method == Method::Ecker || screen {
        return Ok(());
    }
    Err(Error::bad(
        path.display(),
        "input.mean and input.sd",
        format!("{} and {}", p.image_mean, p.image_sd),
        "grey levels of 0 to 255 with --recipe walker",
    ))
}

fn member(path: &Path, model: Model, index: usize) -> Member {
    Member {
        place: path.display().to_string(),
        model,
        index,
    }
}

/// The readout of this name in another run.
fn summary(found: &Meis, recipe: &Recipe, images: &Path, table: &Path) -> Report {
    let of = |outcome: Outcome| -> Vec<usize> {
        let all = found.found.iter();
        let all = all.filter(|m| m.outcome == outcome && !m.is_flat());
        all.map(|m| m.neuron).collect()
    };
    let (converged, out, diverged) = (
        of(Outcome::Converged).len(),
        of(Outcome::OutOfSteps).len(),
        of(Outcome::Diverged),
    );
    if !diverged.is_empty() {
        let named: Vec<String> = diverged.iter().take(20).map(ToString::to_string).collect();
        let more = if diverged.len() > 20 { ", ..." } else { "" };
        striate::say(format_args!(
            "striate: the responses of {} of {} neurons are no longer numbers: {}{more}",
            diverged.len(),
            found.found.len(),
            named.join(", ")
        ));
    }
    let flat = found.found.iter().filter(|m| m.is_flat());
    let flat: Vec<usize> = flat.map(|m| m.neuron).collect();
    warn_of_flat(&flat, found.found.len());
    let responses: Vec<f64> = found.found.iter().map(|m| m.response).collect();
    let response = median(&responses);
    let text = format!(
        "{} neurons, {} starts each: {converged} converged, {out} still rising after {} steps, {} diverged, {} without an answer\n\
         median response {response:.4}\nimages: {}\ntable: {}",
        found.found.len(),
        recipe.starts,
        recipe.steps,
        diverged.len(),
        flat.len(),
        images.display(),
        table.display()
    );
    Report::new(text)
        .fact("neurons", found.found.len())
        .fact("converged", converged)
        .fact("out_of_steps", out)
        .fact("diverged", diverged.clone())
        .fact("without_answer", flat)
        .fact("median_response", response)
        .fact("images", images.display().to_string())
        .fact("table", table.display().to_string())
        .good(diverged.is_empty())
}
