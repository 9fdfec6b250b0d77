//! What a file offers, for people.

use super::find;
use crate::Result;
use crate::hdf5::File;
use crate::npy::shown;
use std::fmt::Write;
use std::path::Path;

/// The stimuli, responses and images that [`super::nwb`] can take from a file, a line each.
///
/// # Errors
/// Names the file, or the part of it that makes no sense.
pub fn offers(source: &Path) -> Result<String> {
    let file = File::open(source)?;
    let mut text = String::new();
    let mut line = |told: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{told}");
    };
    line("stimuli (--stimulus)");
    for found in find::stimuli(&file, None)? {
        let (of, column) = match &found.column {
            Some(column) => ("start_time", format!(", column {column}")),
            None => ("data", String::new()),
        };
        let count = file.dataset(&format!("{}/{of}", found.path))?;
        let count = count.shape().iter().product::<usize>();
        line(&format!("  {}: {count} presentations{column}", found.path));
    }
    for name in file.members("/intervals")?.0 {
        let path = format!("/intervals/{name}");
        if find::column(&file, &path, None)?.is_none() {
            let columns = file.members(&path)?.1.join(", ");
            line(&format!(
                "  {path}: no column frame or frame_index; --column takes one of {columns}"
            ));
        }
    }
    line("responses (--responses)");
    if file.find("/units/spike_times")?.is_some() {
        let index = file.dataset("/units/spike_times_index")?;
        let count = index.shape().iter().product::<usize>();
        line(&format!("  {}: {count} units", find::UNITS));
    }
    for path in find::series(&file)? {
        let data = file.dataset(&format!("{path}/data"))?;
        line(&format!(
            "  {path}: {} {}",
            data.element(),
            shown(data.shape())
        ));
    }
    line("images (--images)");
    for path in find::templates(&file)? {
        let told = match file.find(&format!("{path}/data"))? {
            Some(data) => format!("{} {}", data.element(), shown(data.shape())),
            None => {
                let names = file.members(&path)?.1;
                let images = names.iter().filter(|n| *n != "order_of_images").count();
                format!("{images} single images")
            }
        };
        line(&format!("  {path}: {told}"));
    }
    Ok(text)
}
