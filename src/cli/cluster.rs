//! `striate cluster`

use super::Global;
use super::common::{Chosen, Place, Report, numbers, open_factorised, options, warn};
use super::planted::{Planted, Tuned, truth_of};
use ndarray::{Array3, Axis};
use std::path::{Path, PathBuf};
use striate::insilico::Watch;
use striate::insilico::found::Found;
use striate::model::Model;
use striate::population::clusters::{Sweep, blocks, sweep};
use striate::population::confusion::{Hypothetical, confusion};
use striate::population::grouping::{Grouping, Settings, group};
use striate::population::measures::{self, TUNING};
use striate::population::{BarCodes, clusters, tables};
use striate::recording::{Tier, read_images};
use striate::results::Together;
use striate::scoring::own_recording;
use striate::simulation::standardised_leaves;
use striate::training::Interrupts;
use striate::{Error, Result};

/// Images that hypothetical neurons see, at most.
const IMAGES: usize = 2000;
/// Correlation of responses above which clusters belong to one block (Ustyuzhaninov et al. 2020).
const BLOCK: f64 = 0.5;

const FILES: [&str; 6] = [
    "clusters.csv",
    "aligned.npy",
    "alignment.csv",
    "cluster_confusion.npy",
    "clusters_summary.csv",
    "cluster_counts.csv",
];

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run
    run: PathBuf,
    /// Number of clusters
    #[arg(long, default_value_t = 50, value_name = "K")]
    clusters: usize,
    /// Cluster neurons by what they do instead of by their bar codes: by these columns of the run's tuning.csv; "tuning" means all
    /// its indices
    #[arg(
        long,
        value_name = "INDICES",
        value_delimiter = ',',
        conflicts_with = "others"
    )]
    by: Vec<String>,
    /// Other runs whose neurons join, fitted with the same core; may be repeated
    #[arg(long = "with", value_name = "RUN")]
    others: Vec<PathBuf>,
    /// Also compare these numbers of clusters: held-out likelihood of a mixture, inertia, agreement over seeds
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sweep: Vec<usize>,
    /// Penalties of the alignment [default: 20 from 0.001 to 10]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    penalties: Vec<f64>,
    /// Keep the length of the bar codes instead of making all 1
    #[arg(long)]
    no_normalise: bool,
    /// Keep the turns of the alignment: no refinement against the clusters
    #[arg(long)]
    no_refine: bool,
    /// Random starts of k-means, of which the best is kept
    #[arg(long, default_value_t = clusters::Settings::default().restarts, value_name = "N")]
    restarts: usize,
    /// Neighbours that the map looks at (t-SNE's perplexity)
    #[arg(long, default_value_t = 30.0, value_name = "P")]
    perplexity: f64,
    /// Grey-level images for the cluster confusion [default: the training images of the recording]
    #[arg(long, value_name = "IMAGES.npy")]
    images: Option<PathBuf>,
    /// The readout, where the run has several [default: all]
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    /// The truth.csv of `simulate`: how clusters agree with the types of the simulated neurons
    #[arg(long, value_name = "TRUTH.csv", conflicts_with = "others")]
    truth: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Arguments {
    fn settings(&self, seed: u64) -> Result<Settings> {
        let mut settings = Settings::default();
        if self.clusters == 0 {
            return Err(Error::bad("--clusters", "the number", 0, "at least 1"));
        }
        if self.restarts == 0 {
            return Err(Error::bad("--restarts", "the number", 0, "at least 1"));
        }
        if !(self.perplexity > 1.0 && self.perplexity.is_finite()) {
            let wanted = "a number above 1";
            return Err(Error::bad(
                "--perplexity",
                "the number",
                self.perplexity,
                wanted,
            ));
        }
        if let Some(bad) = self
            .penalties
            .iter()
            .find(|p| !(**p > 0.0 && p.is_finite()))
        {
            return Err(Error::bad(
                "--penalties",
                "a penalty",
                bad,
                "numbers above 0",
            ));
        }
        if let Some(bad) = self.sweep.iter().find(|k| **k == 0) {
            return Err(Error::bad("--sweep", "a number", bad, "at least 1"));
        }
        if !self.penalties.is_empty() {
            settings.alignment.penalties.clone_from(&self.penalties);
        }
        settings.alignment.normalise = !self.no_normalise;
        settings.alignment.seed = seed;
        settings.clusters.clusters = self.clusters;
        settings.clusters.restarts = self.restarts;
        settings.clusters.seed = seed;
        settings.embedding.perplexity = self.perplexity;
        settings.embedding.seed = seed;
        settings.relaxed = self.no_refine;
        Ok(settings)
    }

    /// As the options of the tables.
    fn made_with(&self, settings: &Settings, others: &[Model]) -> String {
        let usual = Settings::default();
        let others: Vec<&str> = others.iter().map(|m| m.hash.as_str()).collect();
        let text = |o: &Option<String>| o.clone().unwrap_or_default().replace(',', " ");
        let flag = |f: bool| f.to_string();
        options(&[
            ("clusters", self.clusters.to_string(), "50".into()),
            (
                "penalties",
                numbers(&settings.alignment.penalties),
                numbers(&usual.alignment.penalties),
            ),
            ("no-normalise", flag(self.no_normalise), flag(false)),
            ("no-refine", flag(self.no_refine), flag(false)),
            (
                "restarts",
                self.restarts.to_string(),
                usual.clusters.restarts.to_string(),
            ),
            ("perplexity", self.perplexity.to_string(), "30".into()),
            ("seed", settings.clusters.seed.to_string(), "1".into()),
            ("by", self.by.join(" "), String::new()),
            ("with", others.join(" "), String::new()),
            ("readout", text(&self.readout), String::new()),
            ("neurons", text(&self.neurons), String::new()),
        ])
    }
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let seed = global.seed.unwrap_or(1);
    let mut settings = arguments.settings(seed)?;
    let interrupts = Interrupts::listen()?;
    let model = open_factorised(global, &arguments.run)?;
    let others = others(global, arguments, &model)?;
    let choice = arguments.neurons.as_deref();
    let chosen = Chosen::new(&model, arguments.readout.as_deref(), choice)?;
    let truth = match &arguments.truth {
        Some(path) => {
            let indices: Vec<usize> = chosen.parts.iter().map(|p| p.0).collect();
            let truth = truth_of(path, &model, &indices)?;
            let needed = ["type", "orientation", "phase"];
            if let Some(missing) = needed.iter().find(|name| truth.column(name).is_none()) {
                return Err(Error::bad(path.display(), "the column", "none", missing));
            }
            Some(truth.select(&chosen.parts[0].1))
        }
        None => None,
    };
    let codes = |(index, rows): &(usize, Vec<usize>)| BarCodes::of(&model, *index, rows);
    let mut parts: Vec<BarCodes> = chosen.parts.iter().map(codes).collect();
    for other in &others {
        let all = |index: usize| (0..other.readouts[index].neurons).collect::<Vec<_>>();
        let codes = (0..other.readouts.len()).map(|i| BarCodes::of(other, i, &all(i)));
        parts.extend(codes);
    }
    let several = model.readouts.len() > 1 || parts.len() > 1;
    let codes = BarCodes::pooled(parts);
    warn_of_empty(&codes);
    let output = arguments.place.open(&arguments.run, "cluster")?;
    let origin = model.origin(arguments.made_with(&settings, &others));
    let mut files = Together::open(output.directory(), origin, &FILES)?;
    let path = output.find("tuning.csv");
    let tuning = match truth.is_some() || !arguments.by.is_empty() {
        true => Found::open(&path, &model)?,
        false => None,
    };
    let column = |name: &str| tuning_column(tuning.as_ref(), (&path, name), &model, &chosen.parts);
    if !arguments.by.is_empty() {
        let names = arguments.by.iter().flat_map(|name| match name.as_str() {
            "tuning" => TUNING.to_vec(),
            name => vec![name],
        });
        let columns = names.map(&column).collect::<Result<_>>()?;
        settings.by = Some(measures::rows(columns));
    }
    let tuned = match &tuning {
        Some(found) if truth.is_some() && found.has("true_orientation_index") => {
            Some(Tuned::of(column)?)
        }
        _ => None,
    };
    let index = chosen.parts[0].0;
    let images = images(arguments, &model, index, seed)?;
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let found = group(&model.device, codes.codes.view(), &settings, &mut watch)?;
    let counts = match arguments.sweep.is_empty() {
        true => None,
        false => {
            let how = Sweep {
                seed,
                ..Sweep::default()
            };
            Some(sweep(
                &model.device,
                found.clustered.view(),
                &arguments.sweep,
                &how,
                &mut watch,
            )?)
        }
    };
    let (_, features, orientations) = codes.codes.dim();
    let turned = found
        .aligned
        .to_shape((codes.len(), features, orientations));
    let turned: Array3<f32> = turned.map_err(|e| Error::Other(e.to_string()))?.to_owned();
    let clusters = arguments.clusters;
    let of = Hypothetical::of(&codes, turned.view(), &found.labels, clusters);
    let alike = confusion(&model, index, &of, images.view(), &mut watch)?;
    watch.finish();
    let blocks = blocks(alike.view(), BLOCK)?;

    files.array("aligned.npy", &found.aligned.clone().into_dyn())?;
    let table = tables::clusters(&codes, &found, several);
    files.table("clusters.csv", table, Some("aligned.npy"))?;
    match &found.alignment {
        Some(fit) => files.table("alignment.csv", tables::alignment(fit), None)?,
        None => files.without("alignment.csv"),
    }
    match &counts {
        Some(counts) => files.table("cluster_counts.csv", tables::counts(counts), None)?,
        None => files.without("cluster_counts.csv"),
    }
    files.array(
        "cluster_confusion.npy",
        &alike.mapv(|r| r as f32).into_dyn(),
    )?;
    let summary = tables::summary(&codes, &found, clusters, &blocks, several);
    files.table(
        "clusters_summary.csv",
        summary,
        Some("cluster_confusion.npy"),
    )?;
    files.commit()?;
    let report = report(arguments, &codes, &found, &blocks, output.directory());
    match truth {
        Some(truth) => {
            let planted = Planted::of(&truth, &found.labels, tuned.as_ref())?;
            report.line(&planted.to_string()).facts(&planted)
        }
        None => Ok(report),
    }
}

/// A column of the run's `tuning.csv`, of all chosen neurons; NaN where it has none.
fn tuning_column(
    tuning: Option<&Found>,
    (path, name): (&Path, &str),
    model: &Model,
    parts: &[(usize, Vec<usize>)],
) -> Result<Vec<f64>> {
    let missing = || Error::file(path, "does not exist; `striate tune` writes it");
    let tuning = tuning.ok_or_else(missing)?;
    let mut all = Vec::new();
    for (index, rows) in parts {
        all.extend(tuning.values(name, &tuning.rows(model, *index, rows)?)?);
    }
    Ok(all)
}

/// The other runs, whose cores must be this one's.
fn others(global: &Global, arguments: &Arguments, model: &Model) -> Result<Vec<Model>> {
    let mut names: Vec<String> = model.readouts.iter().map(|r| r.name.clone()).collect();
    let mut others = Vec::new();
    for path in &arguments.others {
        let other = open_factorised(global, path)?;
        let shape = |m: &Model| (m.config.orientations(), m.readouts[0].channels);
        if shape(&other) != shape(model) {
            let text = |(o, c): (usize, usize)| format!("{} features at {o} orientations", c / o);
            return Err(Error::bad(
                path.display(),
                "the core's output",
                text(shape(&other)),
                format!("{}, as of {}", text(shape(model)), arguments.run.display()),
            ));
        }
        if let Some(twice) = other.readouts.iter().find(|r| names.contains(&r.name)) {
            let wanted = "readouts of other names than those before";
            return Err(Error::bad(path.display(), "a readout", &twice.name, wanted));
        }
        names.extend(other.readouts.iter().map(|r| r.name.clone()));
        if core_of(&other) != core_of(model) {
            warn(&format!(
                "{}: its core is not that of {}: a feature of one need not be a feature of the other",
                path.display(),
                arguments.run.display()
            ));
        }
        others.push(other);
    }
    Ok(others)
}

/// All numbers of a model's core.
fn core_of(model: &Model) -> Vec<Vec<f32>> {
    let slots = model.params.layout.slots.iter().enumerate();
    let core = slots.filter(|(_, slot)| slot.name.starts_with("core."));
    core.map(|(i, _)| model.params.view(i).download()).collect()
}

fn warn_of_empty(codes: &BarCodes) {
    let filled: std::collections::HashSet<usize> = codes.filled().into_iter().collect();
    let empty: Vec<usize> = (0..codes.len()).filter(|r| !filled.contains(r)).collect();
    if empty.is_empty() {
        return;
    }
    let named: Vec<String> = empty
        .iter()
        .take(20)
        .map(|&r| codes.who[r].neuron.to_string())
        .collect();
    let more = if empty.len() > 20 { ", ..." } else { "" };
    warn(&format!(
        "{} of {} neurons have a readout that is all zero, and no cluster: {}{more}",
        empty.len(),
        codes.len(),
        named.join(", ")
    ));
}

/// z-scored images for the cluster confusion.
fn images(arguments: &Arguments, model: &Model, index: usize, seed: u64) -> Result<Array3<f32>> {
    let (height, width) = model.readouts[index].image;
    let given = |path: &Path| -> Result<Array3<f32>> {
        let images = read_images(path)?;
        let (_, h, w) = images.dim();
        if (h, w) != (height, width) {
            let wanted = format!("{height} x {width} (height x width)");
            return Err(Error::bad(
                path.display(),
                "the images' size",
                format!("{h} x {w}"),
                wanted,
            ));
        }
        Ok(images)
    };
    let images = match &arguments.images {
        Some(path) => given(path)?,
        None => match own_recording(model, index) {
            Ok(recording) => {
                let rows = recording.images_of(Tier::Train);
                recording.images.select(Axis(0), &rows)
            }
            Err(e) => {
                warn(&format!(
                    "no training images for the cluster confusion ({e}): simulated natural images instead; --images gives others"
                ));
                return Ok(standardised_leaves(IMAGES, height, width, seed));
            }
        },
    };
    let step = images.dim().0.div_ceil(IMAGES).max(1);
    let rows: Vec<usize> = (0..images.dim().0).step_by(step).collect();
    Ok(model
        .preprocessing
        .z_score(images.select(Axis(0), &rows).view()))
}

fn report(
    arguments: &Arguments,
    codes: &BarCodes,
    found: &Grouping,
    blocks: &[usize],
    directory: &Path,
) -> Report {
    let mut text = format!(
        "{} neurons in {} clusters",
        found.filled.len(),
        blocks.len()
    );
    let left = codes.len() - found.filled.len();
    if left > 0 {
        let what = match arguments.by.is_empty() {
            true => "a bar code",
            false => "a bar code or an index",
        };
        text.push_str(&format!(", {left} without {what}"));
    }
    let mut report = Report::new(String::new())
        .fact("neurons", codes.len())
        .fact("clustered", found.filled.len())
        .fact("clusters", blocks.len())
        .fact("inertia", found.found.inertia);
    let fits = found.alignment.as_ref().map(|a| &a.fits[..]);
    if let Some(chosen) = fits.unwrap_or_default().iter().find(|f| f.chosen) {
        text.push_str(&format!(
            "\nalignment: penalty {:.4}, temperature {:.2}, energy {:.4}",
            chosen.penalty, chosen.temperature, chosen.energy
        ));
        report = report
            .fact("penalty", chosen.penalty)
            .fact("temperature", chosen.temperature)
            .fact("energy", chosen.energy);
    }
    let count = blocks.iter().max().map_or(0, |most| most + 1);
    text.push_str(&format!(
        "\n{count} blocks of clusters whose responses correlate above {BLOCK}\nmap: KL divergence {:.3}\nper neuron: {}\nper cluster: {}",
        found.embedding.divergence,
        directory.join("clusters.csv").display(),
        directory.join("clusters_summary.csv").display()
    ));
    let facts = report.into_facts();
    facts
        .into_iter()
        .fold(Report::new(text), |r, (name, value)| r.fact(&name, value))
        .fact("blocks", count)
        .fact("divergence", found.embedding.divergence)
        .fact(
            "table",
            directory.join("clusters.csv").display().to_string(),
        )
}
