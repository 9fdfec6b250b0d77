//! The sections of a run's page, in their order. Each figure is one function from a table to a drawing.

mod barcodes;
mod comparison;
mod consistency;
mod core;
mod differences;
mod dots;
mod fields;
mod fit;
mod galleries;
mod images;
mod indices;
mod map;
mod masks;
mod planted;
mod provenance;
mod search;
mod shared;
mod summary;
mod surfaces;
mod synthesis;
mod tuning;

use super::figure::Section;
use super::source::Source;

/// All sections of a run.
pub fn all(run: &Source) -> Vec<Section> {
    vec![
        fit::section(run),
        masks::section(run),
        core::section(run),
        map::section(run),
        galleries::section(run),
        barcodes::section(run),
        tuning::section(run),
        indices::section(run),
        fields::section(run),
        comparison::section(run),
        synthesis::selected(run),
        synthesis::section(run),
        search::section(run),
        consistency::section(run),
        planted::section(run),
        provenance::section(run),
    ]
}

pub use galleries::{image_size, lost};
pub use images::{Gallery, Tile};
pub use shared::{Coloured, Scatter, bins, count, histogram};
pub use summary::{Number, numbers};
