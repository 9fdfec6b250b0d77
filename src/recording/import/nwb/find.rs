//! What a file offers: stimuli, responses and images.

use crate::hdf5::{Dataset, Element, File};
use crate::npy::Kind;
use crate::{Error, Result};

/// The table of spike times.
pub(super) const UNITS: &str = "units";
/// Columns that number images, as files call them.
const NUMBERS: [&str; 2] = ["frame", "frame_index"];
/// Groups within groups of `/processing` that are looked at.
const DEEPEST: usize = 5;

/// A stimulus that a file offers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Offered {
    pub(super) path: String,
    /// The column that numbers images; none of an `IndexSeries`.
    pub(super) column: Option<String>,
}

/// The column of a table that numbers the images.
pub(super) fn column(file: &File, path: &str, wanted: Option<&str>) -> Result<Option<String>> {
    let names: Vec<&str> = wanted.map_or(NUMBERS.to_vec(), |w| vec![w]);
    for name in names {
        if file.find(&format!("{path}/{name}"))?.is_some() {
            return Ok(Some(name.to_string()));
        }
    }
    Ok(None)
}

/// All tables with a column that numbers images, and all series of numbers of images.
pub(super) fn stimuli(file: &File, wanted: Option<&str>) -> Result<Vec<Offered>> {
    let mut all = Vec::new();
    for name in file.members("/intervals")?.0 {
        let path = format!("/intervals/{name}");
        if file.find(&format!("{path}/start_time"))?.is_none() {
            continue;
        }
        if let Some(column) = column(file, &path, wanted)? {
            all.push(Offered {
                path,
                column: Some(column),
            });
        }
    }
    for name in file.members("/stimulus/presentation")?.0 {
        let path = format!("/stimulus/presentation/{name}");
        if is_index(file, &path)? {
            all.push(Offered { path, column: None });
        }
    }
    Ok(all)
}

/// Whether a group is a series of whole numbers with times.
fn is_index(file: &File, path: &str) -> Result<bool> {
    let Some(data) = file.find(&format!("{path}/data"))? else {
        return Ok(false);
    };
    let whole = matches!(data.element(), Element::Number(d) if d.kind != Kind::Float);
    let named = file.attributes(path)?.word("neurodata_type");
    let series = named.as_deref() == Some("IndexSeries") || whole;
    Ok(series && data.shape().len() == 1 && has_times(file, path)?)
}

fn has_times(file: &File, path: &str) -> Result<bool> {
    Ok(file.find(&format!("{path}/timestamps"))?.is_some()
        || file.find(&format!("{path}/starting_time"))?.is_some())
}

/// The path of the stimulus of that name, or of the only one.
pub(super) fn stimulus(file: &File, name: Option<&str>, wanted: Option<&str>) -> Result<Offered> {
    let all = stimuli(file, wanted)?;
    let told: Vec<&str> = all.iter().map(|o| o.path.as_str()).collect();
    let told = match told.len() {
        0 => "the file offers no stimulus with numbers of images".to_string(),
        _ => format!("the file offers {}", told.join(", ")),
    };
    let Some(name) = name else {
        return match <[Offered; 1]>::try_from(all) {
            Ok([one]) => Ok(one),
            Err(all) => Err(Error::bad(
                file.path().display(),
                "number of stimuli",
                all.len(),
                format!("one, or its name by --stimulus; {told}"),
            )),
        };
    };
    let paths = match name.starts_with('/') {
        true => vec![name.trim_end_matches('/').to_string()],
        false => ["/intervals", "/stimulus/presentation"]
            .into_iter()
            .flat_map(|g| [format!("{g}/{name}"), format!("{g}/{name}_presentations")])
            .collect(),
    };
    if let Some(found) = all.into_iter().find(|o| paths.contains(&o.path)) {
        return Ok(found);
    }
    for path in paths {
        if !file.has_group(&path) {
            continue;
        }
        let (_, columns) = file.members(&path)?;
        let what = match wanted {
            Some(column) => format!("has no column `{column}`"),
            None => "has no column `frame` or `frame_index`: name it by --column".to_string(),
        };
        let what = format!("{what}; it has {}", columns.join(", "));
        return Err(Error::file(file.place(&path), what));
    }
    let what = format!("has no stimulus \"{name}\"; {told}");
    Err(Error::file(file.path(), what))
}

/// Paths of all series of traces in `/processing`.
pub(super) fn series(file: &File) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut waiting = vec![("/processing".to_string(), 0)];
    while let Some((path, depth)) = waiting.pop() {
        let (groups, datasets) = file.members(&path)?;
        if datasets.iter().any(|d| d == "data") && has_times(file, &path)? {
            let data = file.find(&format!("{path}/data"))?;
            if data.is_some_and(|d| is_matrix(&d)) {
                all.push(path.clone());
            }
        }
        if depth < DEEPEST {
            waiting.extend(
                groups
                    .into_iter()
                    .map(|g| (format!("{path}/{g}"), depth + 1)),
            );
        }
    }
    all.sort();
    Ok(all)
}

fn is_matrix(data: &Dataset) -> bool {
    data.shape().len() == 2 && matches!(data.element(), Element::Number(_))
}

/// `units`, or the path of a series of traces.
pub(super) fn responses(file: &File, wanted: Option<&str>) -> Result<String> {
    let units = file.find("/units/spike_times")?.is_some();
    if let Some(wanted) = wanted {
        let path = wanted.trim_end_matches('/');
        if path == UNITS || path == "/units" {
            return match units {
                true => Ok(UNITS.to_string()),
                false => Err(Error::file(
                    file.place("/units"),
                    format!("has no spike times; {}", told(file)?),
                )),
            };
        }
        if file.find(&format!("{path}/data"))?.is_none() {
            let what = format!("has no series of traces; {}", told(file)?);
            return Err(Error::file(file.place(path), what));
        }
        return Ok(path.to_string());
    }
    if units {
        return Ok(UNITS.to_string());
    }
    match <[String; 1]>::try_from(series(file)?) {
        Ok([one]) => Ok(one),
        Err(all) => Err(Error::bad(
            file.path().display(),
            "number of series of traces",
            all.len(),
            format!(
                "units or one series, or its path by --responses; {}",
                told(file)?
            ),
        )),
    }
}

fn told(file: &File) -> Result<String> {
    let mut all = series(file)?;
    if file.find("/units/spike_times")?.is_some() {
        all.insert(0, UNITS.to_string());
    }
    Ok(match all.len() {
        0 => "the file offers neither units nor traces in /processing".to_string(),
        _ => format!("the file offers {}", all.join(", ")),
    })
}

/// Groups of `/stimulus/templates` that hold images.
pub(super) fn templates(file: &File) -> Result<Vec<String>> {
    let names = file.members("/stimulus/templates")?.0;
    Ok(names
        .into_iter()
        .map(|n| format!("/stimulus/templates/{n}"))
        .collect())
}

/// Times of a series: its timestamps, or those of its rate.
pub(super) fn times(file: &File, path: &str, count: Option<usize>) -> Result<Times> {
    if let Some(stamps) = file.find(&format!("{path}/timestamps"))? {
        stamps.check_line()?;
        let all: Vec<f64> = stamps.numbers()?;
        let place = stamps.place();
        if let Some(at) = all.iter().position(|t| !t.is_finite()) {
            return Err(Error::bad(
                place.display(),
                format!("time at {at}"),
                all[at],
                "a finite number",
            ));
        }
        return Ok(Times::Stamps(all));
    }
    let place = format!("{path}/starting_time");
    let start = file.dataset(&place)?;
    let first = start.numbers::<f64>()?.first().copied().unwrap_or(f64::NAN);
    let rate = start.attributes().number("rate").unwrap_or(f64::NAN);
    if !(first.is_finite() && rate > 0.0 && rate.is_finite()) {
        let got = format!("{first} s at {rate} per second");
        let wanted = "a finite time and a positive rate";
        return Err(Error::bad(start.place().display(), "start", got, wanted));
    }
    Ok(Times::Rate { first, rate, count })
}

/// When samples were taken.
pub(super) enum Times {
    Stamps(Vec<f64>),
    Rate {
        first: f64,
        rate: f64,
        count: Option<usize>,
    },
}

impl Times {
    /// How many there are, if that is known.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Self::Stamps(all) => Some(all.len()),
            Self::Rate { count, .. } => *count,
        }
    }

    /// Each of them, of so many.
    pub(super) fn all(&self, count: usize) -> Vec<f64> {
        match self {
            Self::Stamps(all) => all.clone(),
            Self::Rate { first, rate, .. } => (0..count).map(|i| first + i as f64 / rate).collect(),
        }
    }
}
