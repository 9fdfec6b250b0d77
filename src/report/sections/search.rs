//! The run beside the others of its search.

use super::dots::Dots;
use super::shared::count;
use crate::report::figure::{Block, Figure, Section};
use crate::report::plot::{Axis, Frame, Svg, WIDTH, category, hex, legend};
use crate::report::source::{Lack, Source};
use crate::table::{Column, Table};

/// Colours that a legend can tell apart.
const COLOURS: usize = 7;

/// The section.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "Search and comparison",
        "The run beside the others of its search, and beside other systems.",
    );
    let Some(own) = own(run) else {
        section.note(
            "This run belongs to no search: `striate search SEARCH.toml --out DIR` makes one.",
        );
        return section;
    };
    match read(run, "search.csv") {
        Ok(fits) => {
            section.draw_some(systems(&fits, &own));
            section.draw_some(losses(&fits));
        }
        Err(lack) => section.lack("The search", &lack, "search SEARCH.toml --out DIR"),
    }
    match read(run, "comparison.csv") {
        Ok(table) => section.blocks.push(Block::whole(&table)),
        Err(lack) => section.lack("Systems", &lack, "search SEARCH.toml --out DIR"),
    }
    section
}

/// A table of the search: a run is `DIR/<system>/draw-000`.
fn read(run: &Source, name: &str) -> Result<Table, Lack> {
    let path = run.directory.join("../..").join(name);
    if !path.exists() {
        return Err(Lack::Missing);
    }
    Table::read_csv(&path).map_err(|e| Lack::Unusable(e.to_string()))
}

/// System, draw and seed.
type Own = (String, String, String);

/// Those of this run, by the names of its directories.
fn own(run: &Source) -> Option<Own> {
    let place = run.directory.canonicalize().ok()?;
    let system = place.parent()?.file_name()?.to_str()?.to_string();
    let name = place.file_name()?.to_str()?.strip_prefix("draw-")?;
    let (draw, seed) = name.split_once("-seed-").unwrap_or((name, "1"));
    let draw: usize = draw.parse().ok()?;
    Some((system, draw.to_string(), seed.to_string()))
}

/// Test correlations of every fit, system by system.
fn systems(fits: &Table, (system, draw, seed): &Own) -> Option<Figure> {
    let names = fits.text("system")?;
    let (draws, seeds) = (fits.text("draw")?, fits.text("seed")?);
    let test = fits.numbers("test_correlation")?;
    let mut groups: Vec<(String, Vec<f64>)> = Vec::new();
    for (name, value) in names.iter().zip(test.iter()) {
        match groups.iter_mut().find(|g| g.0 == *name) {
            Some(group) => group.1.push(*value),
            None => groups.push((name.clone(), vec![*value])),
        }
    }
    let is_own = |&r: &usize| names[r] == *system && draws[r] == *draw && seeds[r] == *seed;
    let row = (0..names.len()).find(is_own);
    let ring = row.and_then(|row| {
        let group = groups.iter().position(|g| g.0 == *system)?;
        Some((group, test[row]))
    });
    let ringed = match ring {
        Some(_) => " The ring: this run.",
        None => "",
    };
    let see = format!("Mean test correlation of every fit of each system.{ringed}");
    Dots {
        words: ["search-systems", "Systems of the search", &see],
        axis: "test correlation",
        columns: ["system", "test_correlation"],
        unit: ["fit", "fits"],
        groups: &groups,
        own: ring,
        ..Dots::default()
    }
    .draw()
}

/// Whether the loss that chooses a draw also chooses what predicts best.
fn losses(fits: &Table) -> Option<Figure> {
    let names = fits.text("system")?;
    let loss = fits.numbers("validation_loss")?;
    let test = fits.numbers("test_correlation")?;
    let known: Vec<usize> = (0..names.len())
        .filter(|&r| loss[r].is_finite() && test[r].is_finite())
        .collect();
    if known.is_empty() {
        return None;
    }
    let mut systems: Vec<&str> = Vec::new();
    for &r in &known {
        if !systems.contains(&names[r].as_str()) {
            systems.push(&names[r]);
        }
    }
    let system = |r: usize| systems.iter().position(|s| *s == names[r]).unwrap_or(0);
    let mut svg = Svg::new(288.0);
    let mut top = 10.0;
    if systems.len() > 1 {
        let entries: Vec<(String, String)> = systems
            .iter()
            .take(COLOURS)
            .enumerate()
            .map(|(k, s)| (hex(category(k)), (*s).to_string()))
            .collect();
        top += legend(&mut svg, (56.0, 4.0, WIDTH - 10.0), &entries);
    }
    let pick = |v: &[f64]| -> Vec<f64> { known.iter().map(|&r| v[r]).collect() };
    let (x, y) = (pick(&loss), pick(&test));
    let frame = Frame::new(
        [56.0, top, WIDTH - 72.0, 248.0 - top],
        Axis::around("validation loss", &x),
        Axis::around("test correlation", &y),
    );
    frame.axes(&mut svg);
    frame.points(&mut svg, &x, &y, |i| category(system(known[i])));
    let title = "Loss and correlation of the fits";
    let caption = format!(
        "Each fit\u{2019}s validation loss, by which the best draw is chosen, and its test correlation: the choice is good if points fall from left to right. {}.",
        count(known.len(), "fit", "fits")
    );
    let own = known.iter().map(|&r| names[r].clone()).collect();
    let data = Table::new()
        .with("system", Column::Text(own))
        .with("validation_loss", Column::Number(x))
        .with("test_correlation", Column::Number(y));
    Some(Figure::new(
        "search-losses",
        title,
        caption,
        svg.finish(title),
        data,
    ))
}
