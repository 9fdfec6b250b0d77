//! `striate import`

mod experanto;
mod hdf5;
mod mat;
mod nwb;
mod options;
mod pvc8;
mod stringer;
mod suite2p;

use super::Global;
use super::common::{Report, warn};
use super::progress::watched;
use std::ops::Range;
use std::path::{Path, PathBuf};
use striate::recording::import::{Minimodel, Rescale, Sensorium};
use striate::recording::{Summary, describe, import};
use striate::training::Interrupts;
use striate::{Error, Result};

/// Where the recording is that a dry run makes.
const ONLY_LOOKED_AT: &str = "none, only looked at (--dry-run)";

#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    layout: Layout,
}

#[derive(Debug, clap::Subcommand)]
enum Layout {
    /// A folder of .npy files or an .npz: images, responses, and optionally image_ids, tiers, or one pair per tier
    Npy {
        /// The folder or .npz file
        source: PathBuf,
        /// The recording to write
        #[arg(long, value_name = "REC", required_unless_present = "dry_run")]
        out: Option<PathBuf>,
        /// Read everything and tell what would be imported, but write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Scans of Sensorium 2022 and its family: folders with a file per trial, or their zips
    Sensorium(Scans),
    /// A session of Janelia's minimodel data: an .npz of responses, and an .npy or .mat of all images
    Minimodel(Session),
    /// A MATLAB file of version 5: images and responses by variable and field, as in stim.resp
    Mat(mat::Arguments),
    /// A session of Stringer et al. 2019 (natimg2800_*.mat), and the file of its images
    Stringer(stringer::Arguments),
    /// A session of CRCNS pvc-8: 01.mat to 10.mat
    Pvc8(pvc8::Arguments),
    /// suite2p's folders, with the onsets and the order of the images
    Suite2p(Box<suite2p::Arguments>),
    /// A recording of experanto: a folder with screen and responses
    Experanto(experanto::Arguments),
    /// HDF5 files: cnn-sys-ident, openretina, or any by the paths of images and responses; MATLAB 7.3 too
    Hdf5(hdf5::Arguments),
    /// NWB files: spikes or traces in a window after each image
    Nwb(nwb::Arguments),
}

#[derive(Debug, clap::Args)]
struct Scans {
    /// The folder or zip of a scan; several make several recordings
    #[arg(required = true, num_args = 1.., value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The recording to write; of several scans the directory that theirs go into
    #[arg(long, value_name = "REC", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Make images smaller: 0.25 (mean of the central 2 x 2 of every 4 x 4 pixels, as published) or area:K (mean of K x K)
    #[arg(long, value_name = "HOW")]
    rescale: Option<Rescale>,
    /// Keep neurons of this area only
    #[arg(long, value_name = "NAME")]
    area: Option<String>,
    /// Keep neurons of this layer only
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Read everything and tell what would be imported, but write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Session {
    /// The .npz of the session
    source: PathBuf,
    /// All images: an .npy of (images, height, width), or a MATLAB file such as nat60k_text16.mat
    #[arg(long, value_name = "FILE")]
    images: PathBuf,
    /// The recording to write
    #[arg(long, value_name = "REC", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Columns of the images to keep: the first, and the first that is left out
    #[arg(long, value_name = "A:B", value_parser = columns)]
    crop: Option<Range<usize>>,
    /// Make images smaller: 0.25 (mean of the central 2 x 2 of every 4 x 4 pixels) or area:K (mean of K x K)
    #[arg(long, value_name = "HOW")]
    rescale: Option<Rescale>,
    /// Read everything and tell what would be imported, but write nothing
    #[arg(long)]
    dry_run: bool,
}

fn columns(text: &str) -> std::result::Result<Range<usize>, String> {
    let range = text.split_once(':');
    let range = range.and_then(|(a, b)| Some(a.trim().parse().ok()?..b.trim().parse().ok()?));
    range.ok_or_else(|| format!("\"{text}\" is no range of columns, wanted A:B, as in 0:130"))
}

pub fn run(global: &Global, arguments: &Arguments) -> Result<Report> {
    let made = match &arguments.layout {
        Layout::Npy {
            source,
            out,
            dry_run,
        } => npy(global, source, out.as_deref().filter(|_| !dry_run)),
        Layout::Sensorium(scans) => sensorium(scans),
        Layout::Minimodel(session) => minimodel(session),
        Layout::Mat(arguments) => mat::run(global, arguments),
        Layout::Stringer(arguments) => stringer::run(global, arguments),
        Layout::Pvc8(arguments) => pvc8::run(global, arguments),
        Layout::Suite2p(arguments) => suite2p::run(global, arguments),
        Layout::Experanto(arguments) => experanto::run(arguments),
        Layout::Hdf5(arguments) => hdf5::run(global, arguments),
        Layout::Nwb(arguments) => nwb::run(global, arguments),
    };
    let (kind, source) = arguments.layout.told();
    made.map_err(|e| suggested(e, kind, source))
}

impl Layout {
    /// The kind that the source is said to be of, and where it is.
    fn told(&self) -> (&'static str, Option<&Path>) {
        match self {
            Self::Npy { source, .. } => ("npy", Some(source)),
            Self::Sensorium(scans) => ("sensorium", scans.sources.first().map(PathBuf::as_path)),
            Self::Minimodel(session) => ("minimodel", Some(&session.source)),
            Self::Mat(arguments) => ("mat", Some(arguments.source())),
            Self::Stringer(arguments) => ("stringer", Some(arguments.source())),
            Self::Pvc8(arguments) => ("pvc8", Some(arguments.source())),
            Self::Suite2p(arguments) => ("suite2p", arguments.source()),
            Self::Experanto(arguments) => ("experanto", Some(arguments.source())),
            Self::Hdf5(arguments) => ("hdf5", arguments.source()),
            Self::Nwb(arguments) => ("nwb", arguments.source()),
        }
    }
}

/// An error about a source, with the kind that it seems to be of if it is another one.
fn suggested(error: Error, kind: &str, source: Option<&Path>) -> Error {
    let stopped = matches!(error, Error::Stopped(_) | Error::Interrupted(_));
    let text = error.to_string();
    let Some(other) = source.and_then(import::kind_of) else {
        return error;
    };
    // MATLAB files are HDF5 since 7.3.
    let same = other == kind || (kind, other) == ("mat", "hdf5");
    if stopped || same || text.contains("striate import") {
        return error;
    }
    Error::Other(format!(
        "{text}; it seems to be another kind of source: try `striate import {other}`"
    ))
}

fn npy(global: &Global, source: &Path, out: Option<&Path>) -> Result<Report> {
    let (recording, digits) = import::npy_with_digits(source, global.seed.unwrap_or(1))?;
    let description = describe(&recording);
    let Some(out) = out else {
        let text = format!("{description}\nrecording: {ONLY_LOOKED_AT}");
        return Report::new(text).facts(&description);
    };
    let interrupts = Interrupts::listen()?;
    recording.write_with_digits(out, digits.as_ref(), &|| interrupts.signal())?;
    drop(interrupts);
    let text = format!("{description}\nrecording: {}", out.display());
    Ok(Report::new(text)
        .facts(&description)?
        .fact("recording", out.display().to_string()))
}

fn sensorium(scans: &Scans) -> Result<Report> {
    let options = Sensorium {
        rescale: scans.rescale,
        area: scans.area.clone(),
        layer: scans.layer.clone(),
    };
    let out = scans.out.as_deref().filter(|_| !scans.dry_run);
    let made = watched(|progress| import::sensorium(&scans.sources, out, &options, progress))?;
    told(&made)
}

fn minimodel(session: &Session) -> Result<Report> {
    let options = Minimodel {
        images: session.images.clone(),
        crop: session.crop.clone(),
        rescale: session.rescale,
    };
    let out = session.out.as_deref().filter(|_| !session.dry_run);
    let source = &session.source;
    let summary = watched(|progress| import::minimodel(source, out, &options, progress))?;
    told(&[(summary, out.map(std::path::Path::to_path_buf))])
}

/// What was made, and where.
fn told(made: &[(Summary, Option<PathBuf>)]) -> Result<Report> {
    let (mut text, mut facts) = (String::new(), Vec::new());
    for (summary, place) in made {
        summary.warnings.iter().for_each(|w| warn(w));
        let fact = Report::new(String::new()).facts(summary)?;
        let (told, fact) = match place.as_ref().map(|p| p.display().to_string()) {
            Some(place) => (place.clone(), fact.fact("recording", place)),
            None => (ONLY_LOOKED_AT.to_string(), fact),
        };
        text.push_str(&format!("{summary}\nrecording: {told}\n"));
        facts.push(fact);
    }
    let facts: Vec<_> = facts.into_iter().map(Report::into_facts).collect();
    let report = Report::new(text);
    match <[_; 1]>::try_from(facts) {
        Ok([one]) => report.facts(&one),
        Err(several) => Ok(report.fact("recordings", several)),
    }
}
