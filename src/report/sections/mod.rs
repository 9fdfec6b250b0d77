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

/// All sections of a run; those about clusters where there can be any.
pub fn all(run: &Source) -> Vec<Section> {
    let of_clusters = run.has_bar_codes();
    let all = [
        Some(fit::section(run)),
        Some(masks::section(run)),
        Some(core::section(run)),
        of_clusters.then(|| map::section(run)),
        Some(galleries::section(run)),
        of_clusters.then(|| barcodes::section(run)),
        Some(tuning::section(run)),
        Some(indices::section(run)),
        Some(fields::section(run)),
        Some(comparison::section(run)),
        Some(synthesis::selected(run)),
        Some(synthesis::section(run)),
        Some(search::section(run)),
        of_clusters.then(|| consistency::section(run)),
        Some(planted::section(run)),
        Some(provenance::section(run)),
    ];
    all.into_iter().flatten().collect()
}

pub use galleries::{image_size, lost};
pub use images::{Gallery, Tile};
pub use shared::{Coloured, Scatter, bins, count, histogram};
pub use summary::{Number, numbers};
