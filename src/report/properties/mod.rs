//! One table per neuron of all that is known of it: `striate export RUN --properties OUT`.

mod file;

use crate::report::sections::{image_size, lost};
use crate::report::source::{Found, Lack, Source};
use crate::results::{ARRAY_HASH, MADE_WITH, MODEL_HASH, RECORDING_HASH};
use crate::table::{Column, Table};
use crate::{Error, Result, files};
use std::f64::consts::TAU;
use std::path::Path;

/// Tables of a run, and what their columns are called in front: columns that mean something only beside their table's name.
const TABLES: [(&str, &str); 8] = [
    ("evaluation.csv", ""),
    ("gabors.csv", "gabor_"),
    ("dogs.csv", "dog_"),
    ("meis.csv", "mei_"),
    ("tuning.csv", ""),
    ("clusters.csv", ""),
    ("readout_sparsity.csv", ""),
    ("tuning_comparison.csv", "in_vivo_"),
];

/// Columns that are about a table, not about a neuron.
const ASIDE: [&str; 6] = [
    "neuron",
    "recording",
    MODEL_HASH,
    ARRAY_HASH,
    MADE_WITH,
    RECORDING_HASH,
];

/// The table: a row per neuron of every readout; columns of the recording's `neurons.csv`, scores, optimal stimuli, indices,
/// cluster, where the readout looks, and the model's hash. What no command has made yet has no column.
///
/// # Errors
/// When the run has no model, or a table of it cannot be read or was made by another model.
pub fn table(run: &Source) -> Result<Table> {
    let Some(model) = &run.model else {
        let what = "does not exist: a run without a model has no neurons";
        return Err(Error::file(run.directory.join("model.safetensors"), what));
    };
    let all = run.all();
    let mut table = run.who(&all);
    table = neurons(run, table)?;
    table = places(run, table)?;
    for (name, prefix) in TABLES {
        match run.table(name) {
            Ok(found) => table = with(table, &found, prefix, numeric),
            Err(Lack::Missing) => {}
            Err(Lack::Unusable(why)) => return Err(Error::Other(why)),
        }
        if name == "tuning.csv" {
            table = selectivity(run, table)?;
        }
    }
    let hashes = vec![model.hash.clone(); all.len()];
    Ok(table.with(MODEL_HASH, Column::Text(hashes)))
}

/// Whether a column of this program's own tables holds numbers that are only by chance whole ones, so that its kind is the
/// same in every run.
fn numeric(column: &str) -> bool {
    const PARTS: [&str; 24] = [
        "correlation",
        "oracle",
        "fev",
        "cc_",
        "index",
        "gabor_",
        "dog_",
        "_vs_",
        "response",
        "norm",
        "rotation",
        "tsne",
        "share",
        "agreement",
        "x",
        "y",
        "size",
        "frequency",
        "orientation",
        "phase",
        "contrast",
        "sigma",
        "true_",
        "mass",
    ];
    const WHOLE: [&str; 3] = ["cluster", "mei_steps", "dominant_feature"];
    !WHOLE.contains(&column)
        && PARTS.iter().any(|part| match part.len() {
            1 => column == *part || column.ends_with(&format!("_{part}")),
            _ => column.contains(part),
        })
}

/// Adds the columns of a table that are not there yet, as numbers where that is meant, else letter by letter.
fn with(mut table: Table, found: &Found, prefix: &str, number: impl Fn(&str) -> bool) -> Table {
    let names: Vec<String> = found.table.names().map(String::from).collect();
    for name in names.iter().filter(|n| !ASIDE.contains(&n.as_str())) {
        let own = format!("{prefix}{name}");
        if let (None, Some(words)) = (table.column(&own), found.words(name)) {
            let values = found.values(name).filter(|_| number(&own));
            table = table.with(&own, values.map_or(Column::Text(words), Column::Number));
        }
    }
    table
}

/// Adds what the recordings say of their neurons.
fn neurons(run: &Source, table: Table) -> Result<Table> {
    let mut parts = Vec::new();
    for (readout, (name, _)) in run.readouts.iter().enumerate() {
        let path = run.recording_of(readout).map(|p| p.join("neurons.csv"));
        if let Some(path) = path.filter(|p| p.exists()) {
            let table = Table::read_csv(&path)?;
            parts.push((name.clone(), run.fitted(table)));
        }
    }
    if parts.is_empty() {
        return Ok(table);
    }
    // A column of that name in the recording is the lab's own.
    let parts = parts
        .into_iter()
        .map(|(name, t)| (name, t.renamed("recording", "neurons.recording")));
    let stacked = Table::stacked(parts.collect(), run.several().then_some("recording"));
    let found = run.found(stacked);
    Ok(with(table, &found, "", |_| false))
}

/// Adds where each readout looks: its place or the centre of mass of its mask, from -1 (left, bottom) to 1 (right, top) of the image.
fn places(run: &Source, table: Table) -> Result<Table> {
    let (Some(model), Some((height, width))) = (&run.model, image_size(run)) else {
        return Ok(table);
    };
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for (name, count) in &run.readouts {
        let position = format!("readout.{name}.position");
        if model.shape(&position).is_some() {
            // From the centre of the first pixel of the last map to that of the last.
            let lost = lost(run) + 1;
            let along = |at: f64, size: usize| at * size.saturating_sub(lost) as f64 / size as f64;
            for place in model.rows(&position, 0, *count)?.chunks_exact(2) {
                xs.push(along(place[0].clamp(-1.0, 1.0), width));
                ys.push(-along(place[1].clamp(-1.0, 1.0), height));
            }
            continue;
        }
        let mask = format!("readout.{name}.mask");
        let Some(&[_, h, w]) = model.shape(&mask) else {
            return Ok(table);
        };
        let (top, left) = ((height - h) as f64 / 2.0, (width - w) as f64 / 2.0);
        let block = (1 << 22) / (h * w).max(1) + 1;
        for first in (0..*count).step_by(block) {
            let last = (first + block).min(*count);
            let values = model.rows(&mask, first, last)?;
            for mask in values.chunks_exact((h * w).max(1)) {
                let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
                for (i, m) in mask.iter().enumerate() {
                    mass += m.abs();
                    x += m.abs() * (i % w) as f64;
                    y += m.abs() * (i / w) as f64;
                }
                let (x, y) = (x / mass + left + 0.5, y / mass + top + 0.5);
                xs.push(2.0 * x / width as f64 - 1.0);
                ys.push(1.0 - 2.0 * y / height as f64);
            }
        }
    }
    Ok(table
        .with("readout_loc_x", Column::Number(xs))
        .with("readout_loc_y", Column::Number(ys)))
}

/// Adds `OSI`, `gOSI` and `pref_ori` (degrees from 0 to 180, 0: vertical bars, counter-clockwise) of the orientation curves.
///
/// OSI is (preferred - orthogonal) / (preferred + orthogonal), gOSI the length of the mean of exp(2 i angle), weighted by the
/// response.
fn selectivity(run: &Source, table: Table) -> Result<Table> {
    let (Ok(found), Ok(mut archive)) = (run.table("tuning.csv"), run.archive("tuning.npz")) else {
        return Ok(table);
    };
    let curves = archive.array("orientation")?.numbers()?;
    let angles = archive.array("orientation_angles")?.numbers()?;
    let angles: Vec<f64> = angles.iter().map(|a| f64::from(*a)).collect();
    let n = angles.len();
    let all = curves.as_slice().unwrap_or_default();
    if n == 0 || all.len() != n * found.table.rows() {
        return Ok(table);
    }
    let of = |neuron: usize| -> [f64; 3] {
        let Some(row) = found.row(neuron) else {
            return [f64::NAN; 3];
        };
        let curve: Vec<f64> = all[row * n..(row + 1) * n]
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        selectivity_of(&curve, &angles)
    };
    let values: Vec<[f64; 3]> = run.all().into_iter().map(of).collect();
    let column = |i: usize| Column::Number(values.iter().map(|v| v[i]).collect());
    Ok(table
        .with("OSI", column(0))
        .with("gOSI", column(1))
        .with("pref_ori", column(2)))
}

/// OSI, gOSI and preferred orientation of one curve.
fn selectivity_of(curve: &[f64], angles: &[f64]) -> [f64; 3] {
    let best = (0..curve.len()).max_by(|a, b| curve[*a].total_cmp(&curve[*b]));
    let Some(best) = best.filter(|b| curve[*b].is_finite()) else {
        return [f64::NAN; 3];
    };
    // The sampled angle next to a quarter turn from the preferred one, as orientations.
    let away = |i: usize| {
        let d = (angles[i] - angles[best] - TAU / 4.0).rem_euclid(TAU / 2.0);
        d.min(TAU / 2.0 - d)
    };
    let across = (0..curve.len())
        .min_by(|a, b| away(*a).total_cmp(&away(*b)))
        .unwrap_or(best);
    let (preferred, orthogonal) = (curve[best], curve[across]);
    let (mut c, mut s, mut sum) = (0.0, 0.0, 0.0);
    for (r, a) in curve.iter().zip(angles) {
        c += r * (2.0 * a).cos();
        s += r * (2.0 * a).sin();
        sum += r;
    }
    [
        (preferred - orthogonal) / (preferred + orthogonal),
        c.hypot(s) / sum,
        angles[best].to_degrees().rem_euclid(180.0),
    ]
}

/// Writes a table as Parquet where the name ends in `.parquet`, else as CSV.
///
/// # Errors
/// Names the file; also where its name ends in neither.
pub fn write(table: &Table, path: &Path) -> Result<()> {
    check(path)?;
    match path.extension().is_some_and(|e| e == "parquet") {
        false => table.write_csv(path),
        true => {
            let bytes = file::bytes(table).map_err(|e| Error::file(path, e))?;
            files::write(path, |w| w.write_all(&bytes))
        }
    }
}

/// Refuses a name that says neither of the two kinds of file.
///
/// # Errors
/// Says what was wanted.
pub fn check(path: &Path) -> Result<()> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("csv" | "parquet") => Ok(()),
        _ => Err(Error::bad(
            "--properties",
            "the name of the file",
            path.display(),
            "a name that ends in .csv or .parquet",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectivity_of_a_perfectly_tuned_neuron_is_one() {
        let angles: Vec<f64> = (0..24).map(|i| f64::from(i) * TAU / 48.0).collect();
        let curve: Vec<f64> = angles
            .iter()
            .map(|a| 1.0 + (2.0 * (a - TAU / 8.0)).cos())
            .collect();
        let [osi, global, preferred] = selectivity_of(&curve, &angles);
        assert!((osi - 1.0).abs() < 1e-9, "{osi}");
        assert!((global - 0.5).abs() < 1e-9, "{global}");
        assert!((preferred - 45.0).abs() < 1e-9, "{preferred}");
    }
}
