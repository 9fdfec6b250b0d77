//! Images that recordings call by one name: the same stimulus, where pixels differ by what a rig did to them.

use super::part::Part;
use crate::{Error, Result};
use std::collections::HashMap;

/// For every image of several recordings, one after the other, the first with its name: the cell in this column of
/// `trials.csv` of the trials that show it. An image that no trial shows is itself.
pub(super) fn first_named(parts: &[Part], column: &str) -> Result<Vec<usize>> {
    let mut first_of: HashMap<String, usize> = HashMap::new();
    let mut first = Vec::new();
    for part in parts {
        let offset = first.len();
        for (row, name) in names(part, column)?.into_iter().enumerate() {
            let index = offset + row;
            let Some(name) = name else {
                first.push(index);
                continue;
            };
            let known = *first_of.entry(name.clone()).or_insert(index);
            if known >= offset && known != index {
                return Err(Error::bad(
                    place(part),
                    format!("{column} of images {} and {row}", known - offset),
                    format!("\"{name}\""),
                    "another name for another image",
                ));
            }
            first.push(known);
        }
    }
    Ok(first)
}

fn place(part: &Part) -> String {
    part.directory.join("trials.csv").display().to_string()
}

/// What each image is called.
fn names(part: &Part, column: &str) -> Result<Vec<Option<String>>> {
    let cells = part.columns.as_ref().and_then(|t| t.text(column));
    let cells = cells.ok_or_else(|| {
        let there: Vec<&str> = part.columns.iter().flat_map(|t| t.names()).collect();
        let wanted = match there.is_empty() {
            true => "a column that names images, as --image-id says".to_string(),
            false => format!("one of {}", there.join(", ")),
        };
        Error::bad(place(part), format!("column {column}"), "missing", wanted)
    })?;
    let mut names: Vec<Option<String>> = vec![None; part.images.count()];
    for (row, (trial, cell)) in part.trials.iter().zip(cells).enumerate() {
        let bad = |got: String, wanted: String| {
            let what = format!("{column} in row {}", row + 2);
            Err(Error::bad(place(part), what, got, wanted))
        };
        if cell.is_empty() {
            return bad("nothing".into(), "the name of its image".into());
        }
        match &names[trial.image] {
            Some(name) if *name != cell => {
                let wanted = format!("\"{name}\", as image {} has in another row", trial.image);
                return bad(format!("\"{cell}\""), wanted);
            }
            _ => names[trial.image] = Some(cell),
        }
    }
    Ok(names)
}
