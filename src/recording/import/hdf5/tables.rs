//! Columns of numbers or words.

use crate::Result;
use crate::hdf5::{Element, File};

/// A column for every dataset of a group that has so many rows; one with several numbers per row becomes several. `own` are
/// names that the recording needs for itself. What is no table is passed over.
pub(in crate::recording::import) fn columns(
    file: &File,
    group: &str,
    rows: usize,
    own: &[&str],
) -> Result<Vec<(String, Vec<String>)>> {
    let (_, names) = file.members(group)?;
    let mut columns = Vec::new();
    for name in names {
        let path = format!("{group}/{name}");
        let called = match own.contains(&name.as_str()) {
            true => format!("source_{name}"),
            false => name,
        };
        columns.extend(spread_as(file, &path, &called, rows)?);
    }
    let place = |name: &str| ["x", "y", "z"].iter().position(|n| *n == name).unwrap_or(3);
    columns.sort_by_key(|(name, _)| place(name));
    Ok(columns)
}

/// The columns of one dataset, if it is there.
pub(super) fn spread(file: &File, name: &str, rows: usize) -> Result<Vec<(String, Vec<String>)>> {
    spread_as(file, name, name, rows)
}

fn spread_as(
    file: &File,
    path: &str,
    name: &str,
    rows: usize,
) -> Result<Vec<(String, Vec<String>)>> {
    let Some(dataset) = file.find(path)? else {
        return Ok(Vec::new());
    };
    if !matches!(dataset.element(), Element::Number(_) | Element::Word) {
        return Ok(Vec::new());
    }
    let several = match *dataset.shape() {
        [n] | [n, 1] if n == rows => 1,
        [1, n] if n == rows => 1,
        [n, several] if n == rows && several <= 64 => several,
        _ => return Ok(Vec::new()),
    };
    let cells = dataset.cells()?;
    let column = |at: usize| cells.iter().skip(at).step_by(several).cloned().collect();
    let called = |at: usize| match (name, several) {
        (name, 1) => name.to_string(),
        ("cell_motor_coordinates", 3) => ["x", "y", "z"][at].to_string(),
        ("pupil_center", 2) => ["pupil_x", "pupil_y"][at].to_string(),
        ("behavior", 3) => {
            ["pupil_dilation", "pupil_dilation_change", "running_speed"][at].to_string()
        }
        (name, _) => format!("{name}_{at}"),
    };
    Ok((0..several).map(|at| (called(at), column(at))).collect())
}
