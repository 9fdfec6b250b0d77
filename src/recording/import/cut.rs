//! What is kept of each image.

use super::Rescale;
use crate::recording::sink::Pixels;
use crate::{Error, Result};
use std::ops::Range;
use std::path::Path;

/// Columns that are kept, and how images are made smaller after that.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut {
    pub(super) crop: Option<Range<usize>>,
    pub(super) rescale: Option<Rescale>,
}

impl Cut {
    /// Size of what is left of images of a size; `place` is what to name.
    pub(super) fn size(&self, (h, w): (usize, usize), place: &Path) -> Result<(usize, usize)> {
        let crop = self.crop.clone().unwrap_or(0..w);
        if crop.is_empty() || crop.end > w {
            let got = format!("{}:{}", crop.start, crop.end);
            let wanted = format!("columns from 0:{w}");
            return Err(Error::bad(place.display(), "--crop", got, wanted));
        }
        let (w, k) = (crop.len(), self.rescale.map_or(1, Rescale::factor));
        if h % k == 0 && w % k == 0 && h > 0 {
            return Ok((h / k, w / k));
        }
        Err(Error::bad(
            place.display(),
            "image size",
            format!("{h} x {w}"),
            format!("multiples of {k}, for --rescale"),
        ))
    }

    /// What is left of an image whose pixels lie row by row.
    pub(super) fn apply(&self, values: Vec<f64>, (h, w): (usize, usize)) -> Pixels {
        let crop = self.crop.clone().unwrap_or(0..w);
        let values = match crop.len() == w {
            true => values,
            false => {
                let rows = values.chunks_exact(w);
                rows.flat_map(|r| &r[crop.clone()]).copied().collect()
            }
        };
        match self.rescale {
            Some(rescale) => rescale.apply(&values, (h, crop.len())),
            None => Pixels::of(values.iter().map(|x| *x as f32).collect()),
        }
    }

    /// As options, for where a recording comes from.
    pub(super) fn described(&self) -> String {
        let mut text = String::new();
        if let Some(crop) = &self.crop {
            text.push_str(&format!(", crop {}:{}", crop.start, crop.end));
        }
        if let Some(rescale) = self.rescale {
            text.push_str(&format!(", rescale {rescale}"));
        }
        text
    }
}
