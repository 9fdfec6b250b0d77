//! `striate simulate`

use super::Global;
use super::common::Report;
use std::path::PathBuf;
use striate::Result;
use striate::device::Device;
use striate::recording::{describe, name_of, read_images};
use striate::simulation::{Settings, simulate};
use striate::training::Interrupts;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The recording to write, with the truth in truth.csv
    #[arg(long, value_name = "REC")]
    out: PathBuf,
    /// Number of neurons, of all five types in equal shares
    #[arg(long, default_value_t = Settings::default().neurons)]
    neurons: usize,
    /// Training images, one trial each
    #[arg(long, default_value_t = Settings::default().train)]
    train: usize,
    /// Validation images, one trial each
    #[arg(long, default_value_t = Settings::default().validation)]
    validation: usize,
    /// Test images
    #[arg(long, default_value_t = Settings::default().test)]
    test: usize,
    /// Trials of each test image
    #[arg(long, default_value_t = Settings::default().repeats)]
    repeats: usize,
    /// Image height in pixels (without --images)
    #[arg(long, default_value_t = Settings::default().height)]
    height: usize,
    /// Image width in pixels (without --images)
    #[arg(long, default_value_t = Settings::default().width)]
    width: usize,
    /// Share of a single trial's variance that the stimulus explains; 1 is noise-free
    #[arg(long, default_value_t = Settings::default().reliability)]
    reliability: f64,
    /// Share of the training and validation images that are seen through a round aperture of random place and size
    #[arg(long, default_value_t = Settings::default().apertures)]
    apertures: f64,
    /// Grey-level images (images, height, width), .npy, instead of dead leaves
    #[arg(long, value_name = "FILE.npy")]
    images: Option<PathBuf>,
}

pub fn run(global: &Global, a: &Arguments) -> Result<Report> {
    let images = match &a.images {
        Some(path) => Some(read_images(path)?),
        None => None,
    };
    let settings = Settings {
        name: name_of(&a.out)?,
        neurons: a.neurons,
        train: a.train,
        validation: a.validation,
        test: a.test,
        repeats: a.repeats,
        height: a.height,
        width: a.width,
        reliability: a.reliability,
        apertures: a.apertures,
        seed: global.seed.unwrap_or(1),
        ..Settings::default()
    };
    if images.is_none() {
        let bytes = [
            settings.images(),
            settings.height,
            settings.width,
            size_of::<f32>(),
        ];
        let bytes = bytes
            .iter()
            .fold(1u128, |product, n| product.saturating_mul(*n as u128));
        Device::open(&global.device)?.require("simulate: the images", bytes)?;
    }
    let (recording, truth) = simulate(&settings, images)?;
    let interrupts = Interrupts::listen()?;
    recording.write_with(&a.out, &[("truth.csv", &truth)], &|| interrupts.signal())?;
    drop(interrupts);
    let description = describe(&recording);
    let text = format!(
        "{description}\nrecording: {0}\ntruth: {0}/truth.csv",
        a.out.display()
    );
    Ok(Report::new(text)
        .facts(&description)?
        .fact("recording", a.out.display().to_string()))
}
