//! What a simulation is to be like.

use super::neuron::CellType;
use crate::{Error, Result};
use std::fmt::Display;

/// Relative frequencies of the cell types; they need not sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// Of [`CellType::Simple`].
    pub simple: f64,
    /// Of [`CellType::Complex`].
    pub complex: f64,
    /// Of [`CellType::CentreSurround`].
    pub centre_surround: f64,
    /// Of [`CellType::SurroundSuppressed`].
    pub surround_suppressed: f64,
    /// Of [`CellType::CrossOrientationSuppressed`].
    pub cross_orientation_suppressed: f64,
}

impl Default for Mix {
    /// As many of each type.
    fn default() -> Self {
        Self {
            simple: 0.2,
            complex: 0.2,
            centre_surround: 0.2,
            surround_suppressed: 0.2,
            cross_orientation_suppressed: 0.2,
        }
    }
}

impl Mix {
    /// Neurons of one type only.
    pub fn only(cell_type: CellType) -> Self {
        let weight = |t| if t == cell_type { 1.0 } else { 0.0 };
        Self {
            simple: weight(CellType::Simple),
            complex: weight(CellType::Complex),
            centre_surround: weight(CellType::CentreSurround),
            surround_suppressed: weight(CellType::SurroundSuppressed),
            cross_orientation_suppressed: weight(CellType::CrossOrientationSuppressed),
        }
    }

    /// In the order of [`CellType::ALL`].
    pub fn weights(&self) -> [f64; 5] {
        [
            self.simple,
            self.complex,
            self.centre_surround,
            self.surround_suppressed,
            self.cross_orientation_suppressed,
        ]
    }

    /// How many of `neurons` are of each type, in the order of [`CellType::ALL`]: largest remainders.
    pub(super) fn counts(&self, neurons: usize) -> [usize; 5] {
        let weights = self.weights();
        let total: f64 = weights.iter().sum();
        let exact = weights.map(|w| w / total * neurons as f64);
        let mut counts = exact.map(|x| x.floor() as usize);
        let mut order = [0, 1, 2, 3, 4];
        order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
        let left = neurons.saturating_sub(counts.iter().sum());
        for &i in order
            .iter()
            .filter(|&&i| weights[i] > 0.0)
            .cycle()
            .take(left)
        {
            counts[i] += 1;
        }
        counts
    }
}

/// What [`simulate`](super::simulate) makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Name of the recording.
    pub name: String,
    /// Neurons.
    pub neurons: usize,
    /// Images that fit the model, one trial each; at least 10, from which thresholds and gains are set.
    pub train: usize,
    /// Images that stop the fit, one trial each.
    pub validation: usize,
    /// Images that score the model.
    pub test: usize,
    /// Trials of each test image.
    pub repeats: usize,
    /// Rows of the images; unused when images are given.
    pub height: usize,
    /// Columns of the images; unused when images are given.
    pub width: usize,
    /// Expected signal variance over total variance of single trials, over the training images, in (0, 1]; the
    /// signal is the expected response to an image. 1 is without noise. With Poisson counts the mean response is
    /// about reliability / (1 - reliability) spikes.
    pub reliability: f64,
    /// Share of the training and validation images that are seen through a round aperture of random place and size.
    pub apertures: f64,
    /// Decides everything that is random.
    pub seed: u64,
    /// Which cell types.
    pub mix: Mix,
    /// Smallest and largest size of a Gabor: 4 SD of its envelope in pixels.
    pub size: [f64; 2],
    /// Fewest and most cycles of a Gabor per size.
    pub cycles: [f64; 2],
    /// Largest surround: 4 SD in pixels, at least 1.25 times the largest size.
    pub largest_surround: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "simulated".to_string(),
            neurons: 200,
            train: 4000,
            validation: 400,
            test: 100,
            repeats: 10,
            height: 36,
            width: 64,
            reliability: 0.5,
            apertures: 0.0,
            seed: 1,
            mix: Mix::default(),
            size: [8.0, 14.0],
            cycles: [1.2, 1.6],
            largest_surround: 20.0,
        }
    }
}

impl Settings {
    /// Images wanted: each tier's, repeats not counted.
    pub fn images(&self) -> usize {
        self.train
            .saturating_add(self.validation)
            .saturating_add(self.test)
    }

    /// Refuses what cannot be simulated on images of `height` x `width` pixels.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub(super) fn check(&self, height: usize, width: usize) -> Result<()> {
        at_least(self.neurons, 1, "neurons")?;
        at_least(self.train, 10, "train")?;
        at_least(self.validation, 1, "validation")?;
        at_least(self.test, 1, "test")?;
        at_least(self.repeats, 1, "repeats")?;
        let most = u32::MAX as usize;
        let trials = self
            .images()
            .saturating_add(self.test.saturating_mul(self.repeats));
        require(
            self.neurons <= most,
            "neurons",
            self.neurons,
            "at most 2^32 - 1",
        )?;
        require(
            trials <= most,
            "number of trials",
            trials,
            "at most 2^32 - 1",
        )?;
        let reliable = self.reliability > 0.0 && self.reliability <= 1.0;
        require(
            reliable,
            "reliability",
            self.reliability,
            "above 0 and at most 1",
        )?;
        require(
            (0.0..=1.0).contains(&self.apertures),
            "apertures",
            self.apertures,
            "0 to 1",
        )?;
        let weights = self.mix.weights();
        let total: f64 = weights.iter().sum();
        let mixed = weights.iter().all(|&w| w >= 0.0) && total > 0.0 && total.is_finite();
        require(
            mixed,
            "mix",
            format!("{weights:?}"),
            "numbers from 0 up, not all 0",
        )?;
        interval(
            self.size,
            4.0,
            f64::MAX,
            "size",
            "two increasing numbers from 4 up",
        )?;
        interval(
            self.cycles,
            0.5,
            2.0,
            "cycles",
            "two increasing numbers from 0.5 to 2",
        )?;
        let wide =
            self.largest_surround >= 1.25 * self.size[1] && self.largest_surround.is_finite();
        let wanted = format!(
            "at least {}, 1.25 times the largest size",
            1.25 * self.size[1]
        );
        require(wide, "largest_surround", self.largest_surround, wanted)?;
        let extent = self.largest_extent();
        let side = extent.ceil() + 1.0;
        let wanted = format!("at least {side} pixels for filters of up to {extent} pixels");
        require(height as f64 >= side, "image height", height, &wanted)?;
        require(width as f64 >= side, "image width", width, &wanted)
    }

    /// 4 SD of the largest filter that the mix may contain.
    fn largest_extent(&self) -> f64 {
        let counts = self.mix.counts(self.neurons);
        let surround = CellType::ALL
            .iter()
            .zip(counts)
            .any(|(t, count)| t.has_surround() && count > 0);
        if surround {
            self.largest_surround
        } else {
            self.size[1]
        }
    }
}

fn require(ok: bool, what: &str, got: impl Display, wanted: impl Display) -> Result<()> {
    if ok {
        Ok(())
    } else {
        Err(Error::bad("simulate", what, got, wanted))
    }
}

fn at_least(got: usize, least: usize, what: &str) -> Result<()> {
    require(got >= least, what, got, format!("at least {least}"))
}

fn interval(got: [f64; 2], least: f64, most: f64, what: &str, wanted: &str) -> Result<()> {
    let ok = got[0] >= least && got[0] <= got[1] && got[1] <= most;
    require(ok, what, format!("{got:?}"), wanted)
}
