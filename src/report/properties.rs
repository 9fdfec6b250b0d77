//! One table per neuron of all that is known of it: `striate export RUN --properties OUT`.

use super::sections::image_size;
use super::source::{Found, Lack, Source};
use crate::results::{ARRAY_HASH, MADE_WITH, MODEL_HASH, RECORDING_HASH};
use crate::table::{Column, Table};
use crate::{Error, Result, files};
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::f64::consts::TAU;
use std::path::Path;
use std::sync::Arc;

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
            parts.push((name.clone(), Table::read_csv(&path)?));
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

/// Adds where each readout looks: the centre of mass of its mask, from -1 (left, bottom) to 1 (right, top) of the image.
fn places(run: &Source, table: Table) -> Result<Table> {
    let (Some(model), Some((height, width))) = (&run.model, image_size(run)) else {
        return Ok(table);
    };
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for (name, count) in &run.readouts {
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
            let bytes = parquet(table).map_err(|e| Error::file(path, e))?;
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

/// A column in the narrowest kind that gives its cells back: whole numbers, numbers, truths, or text.
enum Cells {
    Whole(Vec<Option<i64>>),
    Number(Vec<Option<f64>>),
    Truth(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
}

impl Cells {
    fn of(column: &Column) -> Self {
        let cells = match column {
            Column::Integer(v) => return Self::Whole(v.iter().map(|v| Some(*v)).collect()),
            Column::Number(v) => {
                return Self::Number(v.iter().map(|v| (!v.is_nan()).then_some(*v)).collect());
            }
            Column::Boolean(v) => return Self::Truth(v.iter().map(|v| Some(*v)).collect()),
            Column::Text(cells) => cells,
        };
        // An identifier with leading zeros or more digits than a number holds stays as it is.
        let whole = |c: &str| c.parse::<i64>().ok().filter(|n| n.to_string() == c);
        let number = |c: &str| c.parse::<f64>().ok().filter(|_| plain(c));
        let truth = |c: &str| match c {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        fn all<T>(cells: &[String], of: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
            let cell = |c: &String| match c.is_empty() {
                true => Some(None),
                false => of(c).map(Some),
            };
            let filled = cells.iter().any(|c| !c.is_empty());
            cells
                .iter()
                .map(cell)
                .collect::<Option<Vec<_>>>()
                .filter(|_| filled)
        }
        if let Some(v) = all(cells, whole) {
            Self::Whole(v)
        } else if let Some(v) = all(cells, number) {
            Self::Number(v)
        } else if let Some(v) = all(cells, truth) {
            Self::Truth(v)
        } else {
            let text = cells.iter().map(|c| (!c.is_empty()).then(|| c.clone()));
            Self::Text(text.collect())
        }
    }

    fn field(&self, name: &str) -> std::result::Result<Type, ParquetError> {
        let (physical, converted) = match self {
            Self::Whole(_) => (Physical::INT64, ConvertedType::NONE),
            Self::Number(_) => (Physical::DOUBLE, ConvertedType::NONE),
            Self::Truth(_) => (Physical::BOOLEAN, ConvertedType::NONE),
            Self::Text(_) => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_converted_type(converted)
            .build()
    }

    fn write(
        self,
        group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    ) -> std::result::Result<(), ParquetError> {
        match self {
            Self::Whole(v) => column::<Int64Type>(group, v),
            Self::Number(v) => column::<DoubleType>(group, v),
            Self::Truth(v) => column::<BoolType>(group, v),
            Self::Text(v) => {
                let bytes = v
                    .into_iter()
                    .map(|c| c.map(|c| ByteArray::from(c.into_bytes())));
                column::<ByteArrayType>(group, bytes.collect())
            }
        }
    }
}

/// Whether a cell is a number as this program writes it, and not one that only looks like it.
fn plain(cell: &str) -> bool {
    let digits = cell.trim_start_matches('-');
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let word = digits
        .chars()
        .any(|c| c.is_ascii_alphabetic() && c != 'e' && c != 'E');
    let bare_exponent = digits.contains(['e', 'E']) && !digits.contains('.');
    let long = digits.chars().filter(char::is_ascii_digit).count() > 17;
    !(padded || word || bare_exponent || long || cell.starts_with('+'))
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    cells: Vec<Option<T::T>>,
) -> std::result::Result<(), ParquetError> {
    let Some(mut writer) = group.next_column()? else {
        return Err(ParquetError::General(
            "more columns than the schema has".into(),
        ));
    };
    let levels: Vec<i16> = cells.iter().map(|c| i16::from(c.is_some())).collect();
    let values: Vec<T::T> = cells.into_iter().flatten().collect();
    writer
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)?;
    writer.close()
}

/// The file's bytes.
fn parquet(table: &Table) -> std::result::Result<Vec<u8>, ParquetError> {
    let names: Vec<&str> = table.names().collect();
    let columns: Vec<Cells> = names
        .iter()
        .filter_map(|n| table.column(n))
        .map(Cells::of)
        .collect();
    let fields = names
        .iter()
        .zip(&columns)
        .map(|(n, c)| Ok(Arc::new(c.field(n)?)));
    let fields = fields.collect::<std::result::Result<Vec<_>, ParquetError>>()?;
    let schema = Arc::new(
        Type::group_type_builder("neurons")
            .with_fields(fields)
            .build()?,
    );
    let properties = WriterProperties::builder()
        .set_created_by(concat!("striate ", env!("CARGO_PKG_VERSION")).into())
        .build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for cells in columns {
        cells.write(&mut group)?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
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

    #[test]
    fn identifiers_keep_their_letters_and_numbers_become_numbers() {
        let kind = |cells: &[&str]| match Cells::of(&Column::Text(
            cells.iter().map(|c| (*c).into()).collect(),
        )) {
            Cells::Whole(_) => "whole",
            Cells::Number(_) => "number",
            Cells::Truth(_) => "truth",
            Cells::Text(_) => "text",
        };
        assert_eq!(kind(&["1", "", "864691135474648896"]), "whole");
        assert_eq!(kind(&["0.25", "", "1.5e-7"]), "number");
        assert_eq!(kind(&["0012", "0013"]), "text");
        assert_eq!(kind(&["1e5", "2e7"]), "text");
        assert_eq!(kind(&["true", "false"]), "truth");
        assert_eq!(kind(&["", ""]), "text");
    }
}
