//! NWB files, version 2 and the Allen Institute's version 1: one rule for all.
//!
//! A trial is one presentation of a stimulus: a row of a table in `/intervals`, whose column `frame` or `frame_index` numbers
//! the image, or an element of an `IndexSeries` in `/stimulus/presentation`. Its responses are spikes of `/units`, counted in a
//! window after the onset, or the samples of a series of traces in that window. A window is from its first time up to, and
//! without, its last. Images are those that the series links to, those of `/stimulus/templates`, or an `.npy` file.

mod find;
mod list;
mod pictures;
mod stimulus;
mod traces;
mod units;

pub use list::offers;

use super::assemble::{Fill, Kept, Leaks, Plan, assemble};
use super::hdf5::tables;
use super::made::Tiering;
use crate::hdf5::File;
use crate::recording::name_of;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::ResponseFile;
use crate::recording::split::Shares;
use crate::recording::summary::Summary;
use crate::table::{Column, Table};
use crate::{Error, Result};
use pictures::Images;
use std::path::Path;
use std::str::FromStr;
use stimulus::Stimulus;
use traces::Traces;
use units::Units;

/// What of a file is imported, and how.
#[derive(Clone, Debug)]
pub struct Nwb {
    /// The stimulus: its name or path.
    pub stimulus: Option<String>,
    /// The column that numbers the images.
    pub column: Option<String>,
    /// `units`, or the path of a series of traces.
    pub responses: Option<String>,
    /// When responses are looked at.
    pub window: Window,
    /// Whether responses are summed over the window; spikes are counted then. Else they are averaged: spikes per second.
    pub sum: bool,
    /// The number that means that no image was shown.
    pub blank: f64,
    /// The images: a path in the file, or an `.npy` file.
    pub images: Option<String>,
    /// How tiers are drawn.
    pub shares: Shares,
    /// Draws them.
    pub seed: u64,
}

/// Seconds after the onset: from, and up to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// The first time in it.
    pub from: f64,
    /// The first time behind it.
    pub to: f64,
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("\"{text}\" is no window, wanted FROM-TO in seconds, as in 0.05-0.25");
        let sign = usize::from(text.starts_with('-'));
        let (from, to) = text[sign..].split_once('-').ok_or_else(bad)?;
        let number = |t: &str| t.trim().parse::<f64>().ok().filter(|x| x.is_finite());
        let (from, to) = number(from).zip(number(to)).ok_or_else(bad)?;
        let from = if sign == 1 { -from } else { from };
        match from < to {
            true => Ok(Self { from, to }),
            false => Err(bad()),
        }
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

/// Where responses are.
enum Responses {
    Units(Units),
    Traces(Traces),
}

impl Responses {
    fn neurons(&self) -> usize {
        match self {
            Self::Units(units) => units.count(),
            Self::Traces(traces) => traces.count(),
        }
    }

    /// Whether a window from an onset on lies within what was recorded.
    fn covers(&self, onset: f64, window: Window) -> bool {
        match self {
            Self::Units(units) => units.covers(onset, window),
            Self::Traces(traces) => traces.covers(onset, window),
        }
    }
}

/// Turns a file into a recording in `out`; without it all is read and nothing is written.
///
/// # Errors
/// Names the object of the file and what is wrong with it, or what there is to choose from; nothing is left behind then.
pub fn nwb(
    source: &Path,
    out: Option<&Path>,
    options: &Nwb,
    progress: &mut Progress,
) -> Result<Summary> {
    let file = File::open(source)?;
    let stimulus = Stimulus::open(
        &file,
        options.stimulus.as_deref(),
        options.column.as_deref(),
    )?;
    let responses = match find::responses(&file, options.responses.as_deref())? {
        path if path == find::UNITS => Responses::Units(Units::open(&file, progress)?),
        path => Responses::Traces(Traces::open(&file, &path)?),
    };
    let (mut shown, mut rows) = (Vec::new(), Vec::new());
    let (mut blank, mut outside) = (0, 0);
    for (row, number) in stimulus.numbers.iter().enumerate() {
        if *number == options.blank || number.is_nan() {
            blank += 1;
        } else if !responses.covers(stimulus.onsets[row], options.window) {
            outside += 1;
        } else {
            shown.push(stimulus.number(row)?);
            rows.push(row);
        }
    }
    let place = source.display();
    let mut warnings = Vec::new();
    if blank > 0 {
        warnings.push(format!(
            "{place}: {blank} presentations without an image are left out"
        ));
    }
    if outside > 0 {
        warnings.push(format!(
            "{place}: {outside} presentations are left out, whose window leaves the recording or has no sample"
        ));
    }
    if rows.is_empty() {
        let wanted = format!(
            "at least 1 whose window {} s lies within the recording",
            options.window
        );
        let place = file.place(&stimulus.path);
        return Err(Error::bad(
            place.display(),
            "number of presentations",
            0,
            wanted,
        ));
    }
    let most = shown.iter().max().copied().unwrap_or(0);
    let mut images = Images::open(&file, options.images.as_deref(), &stimulus, most)?;
    let onsets: Vec<f64> = rows.iter().map(|row| stimulus.onsets[*row]).collect();
    let name = name_of(source)?;
    let stem = Path::new(&name).file_stem().and_then(|s| s.to_str());
    let unit = match (&responses, options.sum) {
        (Responses::Units(_), true) => Some("spikes".to_string()),
        (Responses::Units(_), false) => Some("spikes/s".to_string()),
        (Responses::Traces(traces), _) => traces.unit(),
    };
    let plan = Plan {
        source,
        name: stem.unwrap_or(&name).to_string(),
        described: described(source, options, &stimulus.path),
        response_unit: unit,
        columns: columns(&stimulus, &rows),
        shown,
        tiering: Tiering::drawn(options.shares, options.seed),
        leaks: Leaks::Refused,
        neurons: responses.neurons(),
        properties: match &responses {
            Responses::Units(units) => units.properties(&file)?,
            Responses::Traces(traces) => traces.properties(&file)?,
        },
        wide: matches!(&responses, Responses::Traces(traces) if traces.wide()),
        warnings,
    };
    let mut fill = |kept: &Kept<'_>,
                    file: &ResponseFile,
                    recorded: &mut Recorded,
                    progress: &mut Progress| match &responses {
        Responses::Units(units) => units.fill(kept, &onsets, options, file, recorded, progress),
        Responses::Traces(traces) => traces.fill(kept, &onsets, options, file, recorded, progress),
    };
    let fill: &mut Fill<'_> = &mut fill;
    assemble(plan, &mut images, fill, out, progress)
}

/// Further columns of the trials that are kept.
fn columns(stimulus: &Stimulus, rows: &[usize]) -> Table {
    let table = Table::new();
    stimulus.columns.iter().fold(table, |table, (name, cells)| {
        let cells = rows.iter().map(|row| cells[*row].clone()).collect();
        table.with(name, Column::Text(cells))
    })
}

fn described(source: &Path, options: &Nwb, stimulus: &str) -> String {
    let mut text = format!("NWB {}, stimulus {stimulus}", source.display());
    let given = [
        ("column", &options.column),
        ("responses", &options.responses),
        ("images", &options.images),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value}"));
        }
    }
    let how = if options.sum { "sum" } else { "mean" };
    text.push_str(&format!(
        ", window {} s, {how}, blank {}, split by image: {}, seed {}",
        options.window, options.blank, options.shares, options.seed
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn windows_are_read_and_written() {
        let window: Window = "0.05-0.25".parse().unwrap();
        assert_eq!((window.from, window.to), (0.05, 0.25));
        assert_eq!(window.to_string(), "0.05-0.25");
        let before: Window = "-0.1-0".parse().unwrap();
        assert_eq!((before.from, before.to), (-0.1, 0.0));
        for wrong in [
            "", "0.2", "0.2-0.1", "0.1-0.1", "a-b", "0-inf", "nan-1", "--1-2",
        ] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
    }
}
