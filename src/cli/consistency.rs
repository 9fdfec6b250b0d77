//! `striate consistency`

use super::Global;
use super::common::{Report, open_factorised, warn};
use std::path::{Path, PathBuf};
use striate::insilico::Watch;
use striate::model::Model;
use striate::population::consistency::{
    Continuum, Fit, Pair, compare, continuum, continuum_table, ensemble_table, pairs_table, read,
};
use striate::recording::Recording;
use striate::scoring::own_recording;
use striate::statistics::mean_of_known;
use striate::training::Interrupts;
use striate::{Error, Result, files};

const FILES: [&str; 3] = ["consistency.csv", "continuum.csv", "ensemble.csv"];
/// Numbers of clusters that are looked at.
const CLUSTERS: [usize; 4] = [5, 10, 20, 50];

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Two or more runs that read out the same neurons
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where the tables go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Numbers of clusters [default: 5,10,20,50]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    clusters: Vec<usize>,
    /// The readout, where runs have several [default: all]
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
}

/// Readouts that are compared: names and neurons.
type Readouts = Vec<(String, usize)>;

pub fn run(global: &Global, a: &Arguments) -> Result<Report> {
    let seed = global.seed.unwrap_or(1);
    let interrupts = Interrupts::listen()?;
    files::create_directory(&a.out)?;
    for name in FILES {
        files::check_writable(&a.out.join(name))?;
    }
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let (mut fits, mut same) = (
        Vec::<Fit>::new(),
        None::<(Readouts, Option<Vec<Recording>>)>,
    );
    let mut device = None;
    for path in &a.runs {
        let mut model = open_factorised(global, path)?;
        let indices = match &a.readout {
            Some(name) => vec![model.readout(Some(name))?],
            None => (0..model.readouts.len()).collect(),
        };
        let own = readouts(&model, &indices);
        let recordings = match &same {
            None => {
                let recordings = recordings(&model, &indices);
                same = Some((own, recordings));
                same.as_ref().and_then(|s| s.1.as_deref())
            }
            Some((wanted, recordings)) => {
                if own != *wanted {
                    let what = "its readouts (and their neurons)";
                    let wanted = format!("{}, as of {}", told(wanted), a.runs[0].display());
                    return Err(Error::bad(path.display(), what, told(&own), wanted));
                }
                recordings.as_deref()
            }
        };
        let name = path.display().to_string();
        fits.push(read(
            (path, name),
            &mut model,
            &indices,
            recordings,
            seed,
            &mut watch,
        )?);
        device = Some(model.device.clone());
    }
    let (Some((readouts, recordings)), Some(device)) = (same, device) else {
        unreachable!("clap asks for two runs");
    };
    let counts = counts(a, &fits)?;
    let pairs = compare(&device, &fits, &counts, seed, &mut watch)?;
    let cloud = continuum(
        &device,
        fits[0].own_codes().view(),
        &counts,
        seed,
        &mut watch,
    )?;
    watch.finish();
    let ensemble = ensemble_table(&fits, &readouts, recordings.as_deref())?;
    let tables = [pairs_table(&pairs), continuum_table(&cloud), ensemble];
    let ready = FILES.iter().zip(&tables);
    let ready = ready.map(|(name, table)| table.prepare(&a.out.join(name)));
    let ready: Vec<files::Prepared> = ready.collect::<Result<_>>()?;
    ready.into_iter().try_for_each(files::Prepared::commit)?;
    Ok(report(&fits, &pairs, &cloud, &a.out))
}

fn readouts(model: &Model, indices: &[usize]) -> Readouts {
    let of = indices.iter().map(|&i| &model.readouts[i]);
    of.map(|r| (r.name.clone(), r.neurons)).collect()
}

fn told(readouts: &Readouts) -> String {
    let all = readouts.iter().map(|(name, n)| format!("{name} ({n})"));
    all.collect::<Vec<_>>().join(", ")
}

/// The recordings that the first run was trained on, if they are there.
fn recordings(model: &Model, indices: &[usize]) -> Option<Vec<Recording>> {
    let all: Result<Vec<Recording>> = indices.iter().map(|&i| own_recording(model, i)).collect();
    let told = |e: &Error| warn(&format!("predictions are not compared: {e}"));
    all.inspect_err(told).ok()
}

/// The numbers of clusters that there are neurons for.
fn counts(a: &Arguments, fits: &[Fit]) -> Result<Vec<usize>> {
    let most = fits[0].own_codes().nrows();
    if a.clusters.is_empty() {
        let some: Vec<usize> = CLUSTERS.into_iter().filter(|k| 2 * k <= most).collect();
        return match some.is_empty() {
            true => Err(Error::bad(
                "--clusters",
                "the default, 5,",
                5,
                "a number that suits so few neurons",
            )),
            false => Ok(some),
        };
    }
    match a.clusters.iter().find(|k| **k < 2 || **k > most) {
        Some(bad) => Err(Error::bad(
            "--clusters",
            "a number",
            bad,
            format!("2 to {most}"),
        )),
        None => Ok(a.clusters.clone()),
    }
}

fn report(fits: &[Fit], pairs: &[Pair], cloud: &[Continuum], out: &Path) -> Report {
    let mean = |f: &dyn Fn(&Pair) -> f64| mean_of_known(&pairs.iter().map(f).collect::<Vec<_>>());
    let overlap = mean(&|p| p.knn_overlap);
    let (alignment, rates) = (mean(&|p| p.cka), mean(&|p| p.prediction_correlation));
    let mut text = format!(
        "{} fits of {} neurons\n\
         neighbours in common {overlap:.3}, kernel alignment {alignment:.3}, predictions correlate {rates:.3}\n\
         clusters  index between fits  between seeds (without clusters)  silhouette (without clusters)\n",
        fits.len(),
        fits[0].codes.nrows(),
    );
    for of in cloud {
        let own: Vec<f64> = pairs
            .iter()
            .filter(|p| p.clusters == of.clusters)
            .map(|p| p.ari)
            .collect();
        text.push_str(&format!(
            "{:>8} {:>19.3} {:>14.3} ({:.3}, SD {:.3}) {:>13.3} ({:.3}, SD {:.3})\n",
            of.clusters,
            mean_of_known(&own),
            of.ari,
            of.null_ari.0,
            of.null_ari.1,
            of.silhouette,
            of.null_silhouette.0,
            of.null_silhouette.1,
        ));
    }
    let clustered: Vec<String> = cloud
        .iter()
        .filter(|c| c.is_clustered())
        .map(|c| c.clusters.to_string())
        .collect();
    let verdict = match clustered.is_empty() {
        true => "a continuum: no number of clusters stands out from a cloud with the same mean and covariance".to_string(),
        false => format!(
            "clusters: with {} of them the bar codes fall apart more clearly than a cloud with the same mean and covariance",
            clustered.join(", ")
        ),
    };
    let made = fits.iter().filter(|f| !f.found).count();
    if made > 0 {
        text.push_str(&format!(
            "bar codes of {made} fits were aligned anew: no aligned.npy of their model\n"
        ));
    }
    text.push_str(&format!("{verdict}\ntables: {}", out.display()));
    Report::new(text)
        .fact("fits", fits.len())
        .fact("neurons", fits[0].codes.nrows())
        .fact("knn_overlap", overlap)
        .fact("cka", alignment)
        .fact("prediction_correlation", rates)
        .fact("ari", mean(&|p| p.ari))
        .fact("clustered", !clustered.is_empty())
        .fact("verdict", verdict)
        .fact("directory", out.display().to_string())
}
