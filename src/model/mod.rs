//! A digital twin: a core that all neurons share, and one readout per recording.

pub mod checkpoint;
pub mod closeup;
pub mod config;
pub mod core;
pub mod init;
pub mod kindel;
pub mod params;
mod predict;
pub mod projector;
pub mod readout;
pub mod windows;
mod workspace;

pub use closeup::Closeup;
pub use config::Config;
pub use core::Mode;
pub use predict::{ImageGradient, Predictor};
pub use projector::Projector;
pub use workspace::Workspace;

use crate::device::Device;
use crate::ops::readout::most_channels;
use crate::recording::Recording;
use crate::recording::preprocess::{BASELINE, Preprocessing};
use crate::results::Origin;
use crate::{Error, Result};
use config::CoreKind;
use params::{Arena, Layout};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A trained or fresh model on a device.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it was built from.
    pub config: Config,
    /// Where its numbers live.
    pub device: Device,
    /// Parameters that training moves.
    pub params: Arena,
    /// Running means and variances of the normalisations.
    pub statistics: Arena,
    /// Layers of the core, where they have a normalisation each.
    pub layers: Vec<core::Layer>,
    /// The core of Kindel et al. 2017, where the model has that one.
    pub kindel: Option<kindel::Kindel>,
    /// One per recording.
    pub readouts: Vec<readout::Readout>,
    /// Grey levels to z-scores.
    pub preprocessing: Preprocessing,
    /// Hash of the file that it was read from, as tables show it; empty for one that was made here.
    pub hash: String,
    /// Hash of the recording that each readout was fitted to, by the readout's name, where that is known.
    pub recordings: BTreeMap<String, String>,
}

/// What a model must know of a recording before it can be built.
#[derive(Clone, Debug)]
pub struct Population {
    /// The readout's name.
    pub name: String,
    /// Height of its images, in pixels.
    pub height: usize,
    /// Width of its images.
    pub width: usize,
    /// SD by which each neuron's responses are divided; its length is the number of neurons.
    pub response_scale: Vec<f32>,
}

/// Height and width of all populations' images.
fn one_size(populations: &[Population]) -> Result<(usize, usize)> {
    let size = |p: &Population| (p.height, p.width);
    let first = populations.first().map_or((0, 0), size);
    match populations.iter().find(|p| size(p) != first) {
        None => Ok(first),
        Some(other) => Err(Error::bad(
            format!("recording {}", other.name),
            "image size",
            format!("{} x {}", other.height, other.width),
            format!(
                "{} x {} as in {}: core.kind = \"kindel\" has one dense layer for all images",
                first.0, first.1, populations[0].name
            ),
        )),
    }
}

impl Model {
    /// A model whose parameters are all zero.
    ///
    /// # Errors
    /// When the images are too small for the filters, or differ in size where the core wants one, or when the device's memory or
    /// kernels are too small for the model.
    pub fn zeros(
        device: &Device,
        config: &Config,
        preprocessing: Preprocessing,
        populations: &[Population],
    ) -> Result<Self> {
        let device = &device.with_precision(config.training.precision.on(device));
        let (mut params, mut statistics) = (Layout::default(), Layout::default());
        let layers = core::declare(device, config, &mut params, &mut statistics);
        let kindel = match config.core.kind {
            CoreKind::Kindel => {
                let image = one_size(populations)?;
                Some(kindel::Kindel::declare(config, image, &mut params)?)
            }
            _ => None,
        };
        let readouts = populations
            .iter()
            .map(|p| readout::Readout::declare(config, p, &mut params))
            .collect::<Result<Vec<_>>>()?;
        check_sizes(config, &readouts)?;
        check_channels(device, &readouts)?;
        let numbers = params.len() as u128 + statistics.len() as u128;
        device.require("the model's parameters", numbers * size_of::<f32>() as u128)?;
        Ok(Self {
            config: config.clone(),
            device: device.clone(),
            params: Arena::zeros(device, &Arc::new(params)),
            statistics: Arena::zeros(device, &Arc::new(statistics)),
            layers,
            kindel,
            readouts,
            preprocessing,
            hash: String::new(),
            recordings: BTreeMap::new(),
        })
    }

    /// Draws fresh parameters: `mean_responses` are the mean normalised training responses of each readout's neurons,
    /// from which the biases start: half the inverse of the output at the mean, as published, and all of it above
    /// [`BASELINE`], where the core would have to make up for the other half.
    pub fn initialise(&mut self, mean_responses: &[Vec<f32>]) {
        let seed = self.config.training.seed;
        let slots = self.params.layout.slots.clone();
        for (i, slot) in slots.iter().enumerate() {
            let n = slot.range().len();
            let draw = |sd| init::truncated_normal(n, sd, seed, i as u64);
            let readout = &self.config.readout;
            let last = slot.name.rsplit('.').next().unwrap_or_default();
            let values = match last {
                "coefficients" => draw(init::COEFFICIENTS),
                "weights" if self.kindel.is_some() => draw(init::rectified(&slot.shape)),
                // The linear model's, of which nothing has to be told apart.
                "weights" if slot.name.starts_with("readout.") => continue,
                "weights" | "mask" | "features" => draw(init::WEIGHTS),
                "gain" => vec![1.0; n],
                "position" => init::uniform(n, readout.initial_range, seed, i as u64),
                "spread" => readout::gaussian::spread(n, slot.shape[0], readout.initial_spread),
                _ => continue,
            };
            self.params.view_mut(i).fill_from(&values);
        }
        for (readout, means) in self.readouts.iter().zip(mean_responses) {
            let output = self.config.readout.output;
            let share = |m: f32| if m > BASELINE { 1.0 } else { 0.5 };
            let biases: Vec<f32> = means
                .iter()
                .map(|&m| (share(m) * output.inverse(f64::from(m))) as f32)
                .collect();
            self.params.view_mut(readout.bias).fill_from(&biases);
        }
        for layer in &self.layers {
            let ones = vec![1.0; layer.groups];
            self.statistics.view_mut(layer.variance).fill_from(&ones);
        }
    }

    /// Where a table of this model's comes from.
    pub fn origin(&self, options: String) -> Origin {
        Origin {
            model: self.hash.clone(),
            options,
            recorded: self.config.chosen_neurons(),
        }
    }

    /// The part of a readout's recording that it was fitted to: of all of its neurons, those that `training.neurons` chooses.
    ///
    /// # Errors
    /// When the recording has too few.
    pub fn fitted<'a>(&self, recording: &'a Recording) -> Result<Cow<'a, Recording>> {
        match self.config.training.neurons.as_str() {
            "" => Ok(Cow::Borrowed(recording)),
            choice => recording.of_neurons(choice).map(Cow::Owned),
        }
    }

    /// Index of the readout of this name; without one, of the only readout.
    ///
    /// # Errors
    /// Names the readouts there are.
    pub fn readout(&self, name: Option<&str>) -> Result<usize> {
        let names: Vec<&str> = self.readouts.iter().map(|r| r.name.as_str()).collect();
        let among = names.join(", ");
        match name {
            Some(name) => names.iter().position(|n| *n == name).ok_or_else(|| {
                Error::bad("--readout", "the readout", name, format!("one of {among}"))
            }),
            None if names.len() == 1 => Ok(0),
            None => Err(Error::bad(
                "--readout",
                "the readout",
                "not given",
                format!("one of {among}"),
            )),
        }
    }
}

/// Refuses images of several sizes where no tensor of a readout tells its own: the file has one `input.size`.
fn check_sizes(config: &Config, readouts: &[readout::Readout]) -> Result<()> {
    let Some(first) = readouts
        .first()
        .filter(|r| r.masks().is_none() && !r.is_whole())
    else {
        return Ok(());
    };
    let Some(other) = readouts.iter().find(|r| r.image != first.image) else {
        return Ok(());
    };
    let shown = |r: &readout::Readout| format!("{} x {} in {}", r.image.0, r.image.1, r.name);
    Err(crate::Error::bad(
        format!("readout.kind = {:?}", config.readout.kind),
        "the size of the images",
        shown(other),
        format!("{}, for all recordings", shown(first)),
    ))
}

/// Refuses more channels than the device's kernels count with.
fn check_channels(device: &Device, readouts: &[readout::Readout]) -> Result<()> {
    let most = most_channels(device);
    let mut masked = readouts.iter().filter(|r| r.masks().is_some());
    match masked.find(|r| r.channels > most) {
        None => Ok(()),
        Some(r) => Err(Error::bad(
            "core.features",
            "the number of channels (features of the last layer at all orientations)",
            r.channels,
            format!("at most {most} on this device"),
        )),
    }
}

#[cfg(all(test, feature = "emulator"))]
mod tests {
    use super::*;
    use crate::device::emulator::Order;
    use crate::device::{Emulator, Precision};

    #[test]
    fn more_channels_than_kernels_count_with_are_refused() {
        let mut config = Config::default();
        config.core.filter_sizes = vec![3];
        config.core.features = vec![2049];
        let mut built = |precision: Precision| {
            config.training.precision = precision.into();
            let device = Device::Emulated(Emulator::new(Order::Forward, precision));
            let population = Population {
                name: "r".into(),
                height: 3,
                width: 3,
                response_scale: vec![1.0],
            };
            let preprocessing = Preprocessing {
                image_mean: 0.0,
                image_sd: 1.0,
            };
            Model::zeros(&device, &config, preprocessing, &[population]).map_err(|e| e.to_string())
        };
        for model in Precision::ALL.map(&mut built) {
            assert_eq!(
                model.unwrap_err(),
                "core.features: the number of channels (features of the last layer at all orientations) is 16392, wanted at most 16384 \
                 on this device"
            );
        }
    }
}
