//! The report: one page with every figure that the saved tables of a run, or a recording, allow.
//!
//! A figure is a function from a table to an SVG and the numbers in it ([`figure::Figure`]); a section is a list of figures,
//! and of sentences that say which command makes what is not there yet. Nothing here reads a recording's responses or runs a
//! model, but for [`recording`], whose page is about just that.

pub mod figure;
pub mod page;
pub mod plot;
pub mod properties;
pub mod recording;
mod sections;
mod source;
mod tensors;

pub use source::Source;

use crate::Result;
use crate::files::{self, Prepared};
use crate::results::{FIGURES, clear_figures};
use page::{Known, Page};
use std::path::{Path, PathBuf};

/// p-value below which a cluster counts as different.
pub const ALPHA: f64 = 0.01;

/// The page's file in a run.
pub const FILE: &str = "report.html";

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// Where its figures are.
    pub figures: PathBuf,
    /// How many.
    pub count: usize,
    /// What is missing, in the page's words.
    pub missing: Vec<String>,
}

/// Writes the page of a run into `out` (by default into the run) and its figures into the run.
///
/// # Errors
/// When it is no run, or a file cannot be written. What is wrong with a table is said on the page.
pub fn report(run: &Path, out: Option<&Path>, glm: Option<&Path>) -> Result<Written> {
    let mut source = Source::open(run)?;
    source.glm = glm.map(|g| {
        if g.is_dir() {
            g.join("glm.csv")
        } else {
            g.to_path_buf()
        }
    });
    let name = run.canonicalize().ok();
    let name = name
        .as_deref()
        .and_then(Path::file_name)
        .map(|n| n.to_string_lossy().into_owned());
    let of = |name: &str| match name {
        "evaluation.csv" | "clusters.csv" => source.table(name).ok(),
        _ => None,
    };
    let mut columns = Vec::new();
    for (file, column, words) in [
        ("evaluation.csv", "correlation_to_average", "correlation"),
        ("evaluation.csv", "maximum_correlation", "noise ceiling"),
        ("clusters.csv", "cluster", "cluster"),
    ] {
        if let Some(values) = of(file).and_then(|f| f.values(column)) {
            columns.push((words.to_string(), values));
        }
    }
    let page = Page {
        title: format!(
            "striate: {}",
            name.unwrap_or_else(|| run.display().to_string())
        ),
        about: about(&source),
        numbers: sections::numbers(&source),
        sections: sections::all(&source),
        known: Known {
            names: source.readouts.iter().map(|r| r.0.clone()).collect(),
            neurons: source.neurons.clone(),
            columns,
        },
        files: None,
    };
    write(page, run, out)
}

fn about(of: &Source) -> String {
    let neurons = of.neurons.len();
    match (&of.model, of.readouts.len()) {
        (None, _) => "A run without a model yet.".into(),
        (Some(model), 1) => format!(
            "A twin of {neurons} neurons of {}; model {}. Point at a neuron in a figure to see its number, scores and cluster.",
            of.readouts[0].0, model.hash
        ),
        (Some(model), n) => format!(
            "A twin of {neurons} neurons of {n} recordings; model {}. Point at a neuron in a figure to see its number, scores and cluster.",
            model.hash
        ),
    }
}

/// Writes a page and its figures: the figures first, the page, which shows them, last.
pub(crate) fn write(mut page: Page, home: &Path, out: Option<&Path>) -> Result<Written> {
    let figures = home.join(FIGURES);
    let target = out.map_or_else(|| home.join(FILE), Path::to_path_buf);
    files::check_writable(&target)?;
    files::create_directory(&figures)?;
    let beside = files::directory_of(&target).canonicalize().ok();
    page.files =
        (beside.is_some() && beside == home.canonicalize().ok()).then(|| FIGURES.to_string());
    let mut ready = Vec::new();
    for figure in page.figures() {
        let svg = figures.join(format!("{}.svg", figure.name));
        ready.push(Prepared::new(&svg, |w| w.write_all(figure.svg.as_bytes()))?);
        ready.push(figure.data.prepare(&svg.with_extension("csv"))?);
    }
    let html = page.html();
    let count = page.figures().count();
    let last = target.is_file() || !target.exists();
    if last {
        ready.push(Prepared::new(&target, |w| w.write_all(html.as_bytes()))?);
    }
    clear_figures(&figures, |name| page.figures().any(|f| f.name == name))?;
    ready.into_iter().try_for_each(Prepared::commit)?;
    if !last {
        files::write(&target, |w| w.write_all(html.as_bytes()))?;
    }
    let notes = page
        .sections
        .iter()
        .flat_map(|s| &s.blocks)
        .filter_map(|b| match b {
            figure::Block::Lack(text) => Some(text.clone()),
            _ => None,
        });
    Ok(Written {
        page: target,
        figures,
        count,
        missing: notes.collect(),
    })
}
