//! `trials.csv`: the image of every trial, its tier, and whatever else is known of it.

use super::{Tier, Trial};
use crate::table::{Column, Table, check_separator};
use crate::{Error, Result, files};
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// The columns that every recording has.
pub(super) const OWN: [&str; 2] = ["image", "tier"];

/// What to do about the column `tier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tiers {
    /// It must be there, and say a tier in every row.
    Wanted,
    /// It may be missing; what it says does not matter.
    Ignored,
}

/// What `trials.csv` holds.
#[derive(Debug)]
pub(super) struct Listing {
    /// All train where tiers are ignored.
    pub(super) trials: Vec<Trial>,
    /// Columns after `image` and `tier`, if there are any.
    pub(super) columns: Option<Table>,
}

impl Listing {
    pub(super) fn read(file: &Path, tiers: Tiers) -> Result<Self> {
        let text = files::read_text(file)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| Error::file(file, e))?.clone();
        check_separator(file, &header)?;
        let names: Vec<&str> = header.iter().map(str::trim).collect();
        let own = own_columns(file, &names, tiers)?;
        let mut trials = Vec::new();
        let mut cells: Vec<Vec<String>> = vec![Vec::new(); names.len() - own];
        for record in reader.records() {
            let record = record.map_err(|e| Error::file(file, e))?;
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            let row = trials.len();
            let place = || match record.position() {
                Some(p) => format!("{}, line {} (trial {row})", file.display(), p.line()),
                None => format!("{}, trial {row}", file.display()),
            };
            if record.len() != names.len() {
                let wanted = format!("{}: {}", names.len(), names.join(","));
                return Err(Error::bad(place(), "number of cells", record.len(), wanted));
            }
            let bad =
                |what, got: &str, wanted| Error::bad(place(), what, format!("\"{got}\""), wanted);
            let image = record[0].trim();
            trials.push(Trial {
                image: image
                    .parse()
                    .map_err(|_| bad("image", image, "a row number of images.npy"))?,
                tier: match tiers {
                    Tiers::Ignored => Tier::Train,
                    Tiers::Wanted => {
                        let tier = record[1].trim();
                        Tier::from_name(tier)
                            .ok_or_else(|| bad("tier", tier, "train, validation or test"))?
                    }
                },
            });
            for (column, cell) in cells.iter_mut().zip(record.iter().skip(own)) {
                column.push(cell.to_string());
            }
        }
        let columns = names[own..].iter().zip(cells);
        let columns = columns.fold(Table::new(), |table, (name, cells)| {
            table.with(name, Column::Text(cells))
        });
        Ok(Self {
            trials,
            columns: (names.len() > own).then_some(columns),
        })
    }
}

/// How many of the first columns are the recording's own.
fn own_columns(file: &Path, names: &[&str], tiers: Tiers) -> Result<usize> {
    let tierless = tiers == Tiers::Ignored && !names.contains(&OWN[1]);
    let wanted = if tierless { &OWN[..1] } else { &OWN[..] };
    if !names.starts_with(wanted) {
        let got = format!("\"{}\"", names.join(","));
        let wanted = "\"image,tier\", with or without further columns";
        return Err(Error::bad(file.display(), "header", got, wanted));
    }
    check_names(names.iter().copied(), file)?;
    Ok(wanted.len())
}

/// Refuses a name that stands twice in a header.
pub(super) fn check_names<'a>(names: impl Iterator<Item = &'a str>, file: &Path) -> Result<()> {
    let mut seen = HashSet::new();
    let mut names = names;
    match names.find(|n| !seen.insert(*n)) {
        Some(twice) => Err(Error::bad(
            file.display(),
            "header",
            format!("\"{twice}\" twice"),
            "every name once",
        )),
        None => Ok(()),
    }
}

/// Writes trials with their further columns.
pub(super) fn fill(
    w: &mut dyn Write,
    trials: &[Trial],
    columns: Option<&Table>,
) -> std::io::Result<()> {
    let mut table = Table::new()
        .with(
            OWN[0],
            Column::Integer(trials.iter().map(|t| t.image as i64).collect()),
        )
        .with(
            OWN[1],
            Column::Text(trials.iter().map(|t| t.tier.name().to_string()).collect()),
        );
    if let Some(columns) = columns {
        table = table.beside(columns.clone());
    }
    table.fill(w)
}
