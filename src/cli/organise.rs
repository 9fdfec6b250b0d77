//! `striate organise`

use super::Global;
use super::common::{Chosen, Output, Place, Report, open_factorised, warn};
use std::path::PathBuf;
use striate::Result;
use striate::population::differences::{ALPHA, different};
use striate::population::organise::{FILES, Inputs, Organisation};
use striate::results::Together;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run, with the clusters.csv of `cluster` and the tuning.csv of `tune`
    run: PathBuf,
    /// The readout, where the run has several [default: all]
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let seed = global.seed.unwrap_or(1);
    let model = open_factorised(global, &arguments.run)?;
    let choice = arguments.neurons.as_deref();
    let chosen = Chosen::new(&model, arguments.readout.as_deref(), choice)?;
    let output = arguments.place.open(&arguments.run, "organise")?;
    let files = [output.find("clusters.csv"), output.find("tuning.csv")];
    let inputs = Inputs::read(&files, &model, &chosen.parts)?;
    let mut made_with = inputs.made_with[0].split("; ");
    if made_with.any(|option| option.starts_with("by=")) {
        warn(
            "clusters.csv was made of tuning indices: that clusters differ in these says nothing about the neurons",
        );
    }
    let names = [("seed", seed.to_string(), "1".to_string())];
    let own = [
        ("readout", arguments.readout.clone().unwrap_or_default()),
        ("neurons", choice.unwrap_or_default().replace(',', " ")),
        ("clusters", inputs.made_with[0].clone()),
        ("tuning", inputs.made_with[1].clone()),
    ];
    let own = own.map(|(name, text)| (name, text, String::new()));
    let origin = model.origin(super::common::options(&[&names[..], &own[..]].concat()));
    let found = Organisation::of(&inputs, seed);
    let mut files = Together::open(output.directory(), origin, &FILES)?;
    found.add_to(&mut files, &inputs)?;
    files.commit()?;
    Ok(report(&found, &inputs, &output))
}

/// The summary.
fn report(of: &Organisation, inputs: &Inputs, output: &Output) -> Report {
    let ((some, all), (random_some, random_all)) = (different(&of.tests), different(&of.random));
    let clustered = inputs.labels.iter().flatten().count();
    let mut text = format!(
        "{clustered} neurons in {} clusters, {} indices\n\
         clusters that differ from the other neurons (p < {ALPHA}) in one index or more: {some}, in all: {all}\n\
         the same with shuffled labels: {random_some} and {random_all}\n\
         neurons with more than half of their readout in one feature: {:.1} %",
        inputs.clusters,
        inputs.indices.len(),
        100.0 * of.sparse_share
    );
    let mut report = Report::new(String::new())
        .fact("neurons", clustered)
        .fact("clusters", inputs.clusters)
        .fact("indices", inputs.indices.len())
        .fact("different_in_one", some)
        .fact("different_in_all", all)
        .fact("random_different_in_one", random_some)
        .fact("random_different_in_all", random_all)
        .fact("one_feature_share", of.sparse_share);
    match &of.combinations {
        Some((found, at)) => {
            let occur = found.iter().filter(|c| c.clusters > 0).count();
            let clusters: usize = found.iter().map(|c| c.clusters).sum();
            let like = match of.gabor_like {
                true => format!(
                    "whose mean gabor_vs_mei is above the population's, {:.4}",
                    at.gabor
                ),
                false => {
                    "(all: without gabor_vs_mei in tuning.csv none can be told to be Gabor-like)"
                        .into()
                }
            };
            text.push_str(&format!(
                "\n{occur} of 8 combinations occur among {clusters} clusters {like}\n\
                 thresholds, the population's means: phase_index {:.4} (below: invariant), suppression_index {:.4}, plaid_index {:.4}",
                at.phase, at.suppression, at.plaid
            ));
            report = report
                .fact("combinations", occur)
                .fact("gabor_like_clusters", clusters)
                .fact("gabor_like_known", of.gabor_like)
                .fact("phase_threshold", at.phase)
                .fact("suppression_threshold", at.suppression)
                .fact("plaid_threshold", at.plaid)
                .fact("gabor_threshold", at.gabor);
        }
        None => warn(
            "tuning.csv lacks phase_index, suppression_index or plaid_index: no combinations.csv",
        ),
    }
    text.push_str(&format!("\ntables: {}", output.directory().display()));
    let facts = report.into_facts();
    facts
        .into_iter()
        .fold(Report::new(text), |r, (name, value)| r.fact(&name, value))
        .fact("directory", output.directory().display().to_string())
}
