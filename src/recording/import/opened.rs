//! The file of all images that goes with responses: an `.npy`, or a MATLAB file.

use super::cut::Cut;
use super::layout::Layout;
use super::stack::Stack;
use crate::matlab::{self, Class, Version};
use crate::recording::part::Progress;
use crate::{Error, Result};
use std::path::Path;

/// A file of images, looked at but not read.
pub(super) enum Opened {
    /// (images, height, width).
    Npy(Stack),
    /// A variable of it.
    Mat(matlab::File, Layout, Cut),
}

impl Opened {
    /// Of a MATLAB file the first of these variables, or the only one that can be images; `fits` says of a number of images
    /// whether it is enough.
    pub(super) fn open(
        place: &Path,
        names: &[&str],
        cut: &Cut,
        fits: &dyn Fn(usize) -> bool,
    ) -> Result<Self> {
        // What is said of an .npy file is better said by what reads it.
        let is_mat = place
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("mat"));
        if !is_mat || matlab::version(place)? == Version::Other {
            return Stack::npy(place, cut).map(Self::Npy);
        }
        let file = matlab::File::open(place)?;
        let address = match names.iter().find(|n| file.has(n)) {
            Some(name) => (*name).to_string(),
            None => only(&file, names)?,
        };
        let layout = Layout::open(&file, &address, None, fits)?;
        layout.size(cut)?;
        Ok(Self::Mat(file, layout, cut.clone()))
    }

    /// Images there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Npy(stack) => stack.count,
            Self::Mat(_, layout, _) => layout.count,
        }
    }

    /// Height and width of what is kept of them.
    pub(super) fn size(&self) -> Result<(usize, usize)> {
        match self {
            Self::Npy(stack) => Ok(stack.size),
            Self::Mat(_, layout, cut) => layout.size(cut),
        }
    }

    /// The images of these numbers.
    pub(super) fn load(
        self,
        wanted: &[usize],
        beside: Option<&Path>,
        progress: &mut Progress,
    ) -> Result<Stack> {
        match self {
            Self::Npy(stack) => Ok(stack),
            Self::Mat(file, layout, cut) => layout.load(&file, wanted, &cut, beside, progress),
        }
    }
}

/// The only variable that can be images.
fn only(file: &matlab::File, names: &[&str]) -> Result<String> {
    let listed = file.list();
    let can = |l: &&matlab::Listed| (l.numbers && l.shape.len() >= 3) || l.class == Class::Cell;
    let all: Vec<&matlab::Listed> = listed.iter().filter(can).collect();
    if let [one] = *all {
        return Ok(one.address.clone());
    }
    let told: Vec<String> = listed.iter().take(12).map(ToString::to_string).collect();
    let wanted = format!(
        "one variable of height x width x images, as `{}`",
        names.join("` or `")
    );
    Err(Error::bad(
        file.place().display(),
        "content",
        told.join(", "),
        wanted,
    ))
}
