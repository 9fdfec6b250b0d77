//! The command line: parse, one call into the library, print the summary.

mod cluster;
mod cluster_stimuli;
mod common;
mod compare;
mod consistency;
mod demo;
mod evaluate;
mod export;
mod glm;
mod import;
mod info;
mod inspect;
mod meis;
mod optima;
mod organise;
mod planted;
mod pool;
mod predict;
mod progress;
mod report;
mod search;
mod select;
mod simulate;
mod split;
mod synthesize;
mod threads;
mod train;
mod tune;
mod verify;

use clap::{Args, Parser, Subcommand};
use common::Report;
use striate::Result;

/// Digital twins of visual cortex: from a recording to a rotation-equivariant model of every neuron.
#[derive(Debug, Parser)]
#[command(name = "striate", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Seed of everything random in this command [default: 1, or the configuration's]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Print the summary as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole pipeline on a simulated population and score it against the known answer
    Demo(demo::Arguments),
    /// Write a recording of a simulated population with known cell types
    Simulate(simulate::Arguments),
    /// Turn another layout into a recording
    Import(import::Arguments),
    /// Give a recording other tiers, by image
    Split(split::Arguments),
    /// Make one recording of several of one image set
    Pool(pool::Arguments),
    /// Show what a recording or a run holds
    Inspect(inspect::Arguments),
    /// Fit a model
    Train(train::Arguments),
    /// Fit many models: random draws, grids and systems side by side; several processes may share the work
    Search(search::Arguments),
    /// Score a run on the test tier
    Evaluate(evaluate::Arguments),
    /// Predict responses to images
    Predict(predict::Arguments),
    /// Measure how far the core's maps are from turning with the image
    VerifyEquivariance(verify::Arguments),
    /// Find the image that excites each neuron most
    Meis(meis::Arguments),
    /// Find images that drive each neuron to given responses
    Synthesize(synthesize::Arguments),
    /// Fit a Poisson GLM with a log link to every neuron
    Glm(glm::Arguments),
    /// Find each neuron's optimal Gabor
    Gabors(optima::GaborArguments),
    /// Find each neuron's optimal difference of Gaussians
    Dogs(optima::DifferenceArguments),
    /// Pick few Gabors that drive many neurons
    SelectGabors(select::Arguments),
    /// Run the tuning experiments with every neuron's optimal Gabor
    Tune(tune::Arguments),
    /// Sort neurons into clusters by what their readouts take from the core, wherever they look and whatever their
    /// orientation
    Cluster(cluster::Arguments),
    /// Find the Gabor, difference of Gaussians and most exciting image that each cluster of neurons shares
    ClusterStimuli(cluster_stimuli::Arguments),
    /// Test how tuning indices are spread over clusters
    Organise(organise::Arguments),
    /// Show what several fits of the same neurons agree on, and whether there are clusters or a continuum
    Consistency(consistency::Arguments),
    /// Compare predicted with recorded responses to the stimuli of a tuning experiment
    CompareTuning(compare::Arguments),
    /// Draw everything that was measured of a run: one page, and its figures as SVG and CSV
    Report(report::Arguments),
    /// Write what is known of every neuron as one table
    Export(export::Arguments),
    /// Print the default configuration, explained
    Config,
    /// Show version and devices
    Info,
}

/// Runs the command and prints its summary; true unless the answer is bad.
pub fn run(cli: &Cli) -> Result<bool> {
    threads::limit()?;
    // Among the threads that share the work: each piece of it would have to wake them from without.
    let report = rayon::scope(|_| done(cli))?;
    report.print(cli.global.json)?;
    Ok(report.good)
}

/// Runs the command.
fn done(cli: &Cli) -> Result<Report> {
    let global = &cli.global;
    Ok(match &cli.command {
        Command::Demo(a) => demo::run(global, a)?,
        Command::Simulate(a) => simulate::run(global, a)?,
        Command::Import(a) => import::run(global, a)?,
        Command::Split(a) => split::run(global, a)?,
        Command::Pool(a) => pool::run(a)?,
        Command::Inspect(a) => inspect::run(global, a)?,
        Command::Train(a) => train::run(global, a)?,
        Command::Search(a) => search::run(global, a)?,
        Command::Evaluate(a) => evaluate::run(global, a)?,
        Command::Predict(a) => predict::run(global, a)?,
        Command::VerifyEquivariance(a) => verify::run(global, a)?,
        Command::Meis(a) => meis::run(global, a)?,
        Command::Synthesize(a) => synthesize::run(global, a)?,
        Command::Glm(a) => glm::run(global, a)?,
        Command::Gabors(a) => optima::gabors(global, a)?,
        Command::Dogs(a) => optima::differences(global, a)?,
        Command::SelectGabors(a) => select::run(global, a)?,
        Command::Tune(a) => tune::run(global, a)?,
        Command::Cluster(a) => cluster::run(global, a)?,
        Command::ClusterStimuli(a) => cluster_stimuli::run(global, a)?,
        Command::Organise(a) => organise::run(global, a)?,
        Command::Consistency(a) => consistency::run(global, a)?,
        Command::CompareTuning(a) => compare::run(global, a)?,
        Command::Report(a) => report::run(a)?,
        Command::Export(a) => export::run(a)?,
        Command::Config => Report::text(striate::model::Config::default().explained()?),
        Command::Info => info::run(global)?,
    })
}
