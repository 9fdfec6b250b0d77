//! What a scan says of its trials and neurons.

use super::tree::Tree;
use crate::npy::shown;
use crate::recording::Tier;
use crate::table::{Column, Table};
use crate::{Error, Result};

/// A file of a tier per trial.
pub(super) const TIERS: &str = "meta/trials/tiers.npy";

/// Tier of every trial, and the word that says so; none where the trial is left out.
pub(super) fn tiers(tree: &Tree) -> Result<Vec<(String, Option<Tier>)>> {
    if !tree.has(TIERS) {
        let what = "does not exist, wanted the tier of every trial";
        return Err(Error::file(tree.place(TIERS), what));
    }
    let array = tree.array(TIERS)?;
    let cells = array.cells()?;
    array.check_shape(&[cells.len()], "one axis")?;
    let tier = |(row, word): (usize, String)| {
        let word = word.trim().to_string();
        let tier = match word.to_lowercase().as_str() {
            "train" => Some(Tier::Train),
            "validation" => Some(Tier::Validation),
            "test" | "final_test" => Some(Tier::Test),
            "none" => None,
            _ => {
                return Err(Error::bad(
                    tree.place(TIERS).display(),
                    format!("tier in row {row}"),
                    format!("\"{word}\""),
                    "train, validation, test, final_test or none",
                ));
            }
        };
        Ok((word, tier))
    };
    cells.into_iter().enumerate().map(tier).collect()
}

/// A column per array of a folder, of so many rows; those of several numbers per row become several. `own` are names that the
/// recording needs for itself.
pub(super) fn columns(
    tree: &Tree,
    folder: &str,
    rows: usize,
    own: &[&str],
) -> Result<Vec<(String, Vec<String>)>> {
    let mut columns = Vec::new();
    for file in tree.arrays(folder)?.unwrap_or_default() {
        let path = format!("{folder}/{file}");
        if path == TIERS {
            continue;
        }
        let array = tree.array(&path)?;
        let cells = array.cells()?;
        let shape = array.header().shape.clone();
        let stem = file.trim_end_matches(".npy");
        let name = match own.contains(&stem) {
            true => format!("source_{stem}"),
            false => stem.to_string(),
        };
        match *shape {
            [] => columns.push((name, vec![cells[0].clone(); rows])),
            [n] | [n, 1] if n == rows => columns.push((name, cells)),
            [n, several] if n == rows => {
                for column in 0..several {
                    let cells = cells.iter().skip(column).step_by(several).cloned();
                    columns.push((part_name(&name, column, several), cells.collect()));
                }
            }
            _ => {
                return Err(Error::bad(
                    array.place().display(),
                    "shape",
                    shown(&shape),
                    format!("({rows},) or ({rows}, several)"),
                ));
            }
        }
    }
    Ok(columns)
}

/// What a column of several is called.
pub(in crate::recording::import) fn part_name(name: &str, column: usize, several: usize) -> String {
    match (name, several) {
        ("cell_motor_coordinates", 3) => ["x", "y", "z"][column].to_string(),
        _ => format!("{name}_{column}"),
    }
}

/// A table of these columns, a row for each of `rows`.
pub(super) fn table(columns: &[(String, Vec<String>)], rows: &[usize]) -> Table {
    columns.iter().fold(Table::new(), |table, (name, cells)| {
        let cells = rows.iter().map(|row| cells[*row].clone()).collect();
        table.with(name, Column::Text(cells))
    })
}

/// Which neurons are in an area and a layer, where those are asked for.
pub(super) fn chosen(
    tree: &Tree,
    columns: &[(String, Vec<String>)],
    neurons: usize,
    wanted: [(&str, Option<&str>); 2],
) -> Result<Vec<usize>> {
    let mut rows: Vec<usize> = (0..neurons).collect();
    for (name, wanted) in wanted {
        let Some(wanted) = wanted else { continue };
        let place = tree.place(&format!("meta/neurons/{name}.npy"));
        let Some((_, cells)) = columns.iter().find(|(n, _)| n == name) else {
            let what = format!("does not exist, and --{name} needs it");
            return Err(Error::file(place, what));
        };
        rows.retain(|row| cells[*row].trim() == wanted);
        if rows.is_empty() {
            let mut known: Vec<&str> = cells.iter().map(|c| c.trim()).collect();
            known.sort_unstable();
            known.dedup();
            known.truncate(12);
            return Err(Error::bad(
                place.display(),
                format!("number of neurons of --{name} {wanted}"),
                0,
                format!("at least 1: there are {}", known.join(", ")),
            ));
        }
    }
    Ok(rows)
}
