//! One simulated neuron: its parameters, its filters, its response to any image.

use super::filters::{Window, dot};
use crate::{Error, Result};
use ndarray::ArrayView2;
use std::f64::consts::{PI, TAU};
use std::fmt;
use std::str::FromStr;

/// Orientations whose energies a cross-orientation suppressed neuron pools, its own included.
pub const POOLED_ORIENTATIONS: usize = 6;

/// Places around a surround-suppressed neuron whose energies it pools.
pub const POOLED_PLACES: usize = 8;

/// Slope of the rectifying softplus; larger is closer to a corner.
const SHARPNESS: f64 = 4.0;

/// What a neuron computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellType {
    /// One Gabor, rectified: prefers an orientation and a phase.
    Simple,
    /// Root of the energy of a quadrature pair: prefers an orientation, any phase.
    Complex,
    /// Difference of Gaussians, rectified: prefers no orientation.
    CentreSurround,
    /// Gabor or energy, divided by the mean energy of the same Gabor in an annulus around it. (Not by that of one Gabor
    /// with the annulus as envelope: it is tuned more sharply than the centre, which then prefers another orientation.)
    SurroundSuppressed,
    /// Gabor or energy, divided by the mean energy of all orientations in the same place.
    CrossOrientationSuppressed,
}

impl CellType {
    /// All types, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::Simple,
        Self::Complex,
        Self::CentreSurround,
        Self::SurroundSuppressed,
        Self::CrossOrientationSuppressed,
    ];

    /// The word that stands for it in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Complex => "complex",
            Self::CentreSurround => "centre-surround",
            Self::SurroundSuppressed => "surround-suppressed",
            Self::CrossOrientationSuppressed => "cross-orientation-suppressed",
        }
    }

    /// Whether it prefers an orientation.
    pub fn is_oriented(self) -> bool {
        self != Self::CentreSurround
    }

    /// Whether it has a surround of its own size.
    pub fn has_surround(self) -> bool {
        matches!(self, Self::CentreSurround | Self::SurroundSuppressed)
    }

    /// Whether its drive is divided by the energy of a pool.
    pub fn is_normalised(self) -> bool {
        matches!(
            self,
            Self::SurroundSuppressed | Self::CrossOrientationSuppressed
        )
    }
}

impl fmt::Display for CellType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CellType {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|t| t.name() == word)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|t| t.name()).collect();
                Error::bad(
                    "cell type",
                    "the word",
                    word,
                    format!("one of {}", known.join(", ")),
                )
            })
    }
}

/// Everything that defines a neuron. Lengths are in pixels, angles in radians; Gabors follow the convention
/// `exp(-r^2 / (2 (size/4)^2)) cos(2 pi frequency x' + phase)`, x' = cos(orientation) dx - sin(orientation) dy with
/// dx to the right and dy down, so that a growing orientation turns the pattern counter-clockwise on the screen.
///
/// The expected response is `gain * softplus(4 (u - threshold)) / 4` with
/// `u = feature / (1 + suppression * pool / pool_scale) / scale`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// What it computes.
    pub cell_type: CellType,
    /// Column of its centre; the first pixel's centre is 0.
    pub x: f64,
    /// Row of its centre; the first pixel's centre is 0.
    pub y: f64,
    /// Preferred orientation in [0, pi); none for centre-surround.
    pub orientation: Option<f64>,
    /// Preferred phase in [0, 2 pi); none where the numerator is an energy. Centre-surround: 0 for ON, pi for OFF.
    pub phase: Option<f64>,
    /// 4 SD of its envelope (of the centre's Gaussian for centre-surround).
    pub size: f64,
    /// Cycles per pixel; none for centre-surround.
    pub frequency: Option<f64>,
    /// 4 SD of the surround: the Gaussian of centre-surround, the outer rim of the annulus of surround-suppressed.
    pub surround_size: Option<f64>,
    /// Centre-surround: sum of the surround over sum of the centre. Suppressed types: strength of the division.
    pub suppression: Option<f64>,
    /// Mean of the pool's energy over the training images; none without a pool.
    pub pool_scale: Option<f64>,
    /// Root mean square of the (divided) feature over the training images.
    pub scale: f64,
    /// Threshold of rectification in units of `scale`.
    pub threshold: f64,
    /// Spikes per unit above threshold.
    pub gain: f64,
}

impl Parameters {
    /// Expected spikes for a feature and its pool.
    pub(super) fn rate(&self, feature: Feature) -> f64 {
        let x = SHARPNESS * (self.divided(feature) / self.scale - self.threshold);
        self.gain * (x.max(0.0) + (-x.abs()).exp().ln_1p()) / SHARPNESS
    }

    /// The feature after division by its pool.
    pub(super) fn divided(&self, feature: Feature) -> f64 {
        match (self.suppression, self.pool_scale) {
            (Some(k), Some(scale)) => feature.value / (1.0 + k * feature.pool / scale),
            _ => feature.value,
        }
    }

    /// Distance from the centre of the places that a surround-suppressed neuron pools: one SD inside the outer rim.
    fn ring(&self) -> f64 {
        match (self.cell_type, self.surround_size) {
            (CellType::SurroundSuppressed, Some(rim)) => 0.5 * rim - 0.25 * self.size,
            _ => 0.0,
        }
    }

    /// Checks that each parameter the type needs is there and usable, and that the others are absent.
    fn check(&self, height: usize, width: usize) -> Result<()> {
        let kind = self.cell_type;
        let place = format!("{kind} neuron");
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let require = |ok: bool, what: &str, got: &dyn fmt::Debug, wanted: &str| {
            if ok {
                Ok(())
            } else {
                Err(Error::bad(&place, what, format!("{got:?}"), wanted))
            }
        };
        let optional =
            |needed: bool, what: &str, got: Option<f64>, usable: &dyn Fn(f64) -> bool| {
                let ok = if needed {
                    got.is_some_and(usable)
                } else {
                    got.is_none()
                };
                require(
                    ok,
                    what,
                    &got,
                    if needed { "a usable value" } else { "none" },
                )
            };
        require(
            inside(self.x, width),
            "x",
            &self.x,
            &format!("inside {width} columns"),
        )?;
        require(
            inside(self.y, height),
            "y",
            &self.y,
            &format!("inside {height} rows"),
        )?;
        require(positive(self.size), "size", &self.size, "a positive number")?;
        require(
            positive(self.scale),
            "scale",
            &self.scale,
            "a positive number",
        )?;
        require(positive(self.gain), "gain", &self.gain, "a positive number")?;
        require(
            self.threshold.is_finite(),
            "threshold",
            &self.threshold,
            "a number",
        )?;
        optional(
            kind.is_oriented(),
            "orientation",
            self.orientation,
            &f64::is_finite,
        )?;
        optional(kind.is_oriented(), "frequency", self.frequency, &positive)?;
        let wider = |s: f64| s.is_finite() && s > self.size;
        optional(
            kind.has_surround(),
            "surround_size",
            self.surround_size,
            &wider,
        )?;
        let suppressed = kind.has_surround() || kind.is_normalised();
        let strength = |k: f64| k.is_finite() && k >= 0.0;
        optional(suppressed, "suppression", self.suppression, &strength)?;
        optional(
            kind.is_normalised(),
            "pool_scale",
            self.pool_scale,
            &positive,
        )?;
        match kind {
            CellType::Complex => optional(false, "phase", self.phase, &f64::is_finite),
            CellType::Simple | CellType::CentreSurround => {
                optional(true, "phase", self.phase, &f64::is_finite)
            }
            _ => require(
                self.phase.is_none_or(f64::is_finite),
                "phase",
                &self.phase,
                "a number",
            ),
        }
    }
}

/// Whether a place lies on one of so many pixels.
fn inside(x: f64, side: usize) -> bool {
    x >= -0.5 && x <= side as f64 - 0.5
}

/// What the filters see in an image, before scales, threshold and gain.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Feature {
    /// Signed for a phase, an energy's root otherwise.
    pub value: f64,
    /// Mean root energy of the pool; 0 without one.
    pub pool: f64,
}

/// A neuron ready to see images: its filters are laid out once.
#[derive(Clone, Debug)]
pub struct Neuron {
    parameters: Parameters,
    height: usize,
    width: usize,
    window: Window,
    /// Centre-surround: one filter. Others: quadrature pairs, the neuron's own first, then its pool's.
    filters: Vec<Vec<f64>>,
}

impl Neuron {
    /// Lays out the filters for images of `height` x `width` pixels; what reaches over the border is cut off, and pooled
    /// places off the image are left out.
    ///
    /// # Errors
    /// Names the parameter that is missing, out of range or not part of this type.
    pub fn new(parameters: Parameters, height: usize, width: usize) -> Result<Self> {
        parameters.check(height, width)?;
        let p = &parameters;
        let largest = match p.cell_type {
            CellType::CentreSurround => p.size.max(p.surround_size.unwrap_or(0.0)),
            _ => p.size,
        };
        let window = Window::around(p.x, p.y, p.ring(), largest, height, width);
        let centre = window.gaussian(p.size);
        let mut filters = Vec::new();
        match (p.orientation, p.frequency) {
            (Some(orientation), Some(frequency)) => {
                filters.extend(window.quadrature(&centre, orientation, frequency));
                if p.cell_type == CellType::SurroundSuppressed {
                    for k in 0..POOLED_PLACES {
                        let (dy, dx) = (TAU * k as f64 / POOLED_PLACES as f64).sin_cos();
                        let (x, y) = (p.x + p.ring() * dx, p.y + p.ring() * dy);
                        if inside(x, width) && inside(y, height) {
                            let place = window.centred(x, y);
                            let copy = place.gaussian(p.size);
                            filters.extend(place.quadrature(&copy, orientation, frequency));
                        }
                    }
                }
                if p.cell_type == CellType::CrossOrientationSuppressed {
                    for k in 1..POOLED_ORIENTATIONS {
                        let turned = orientation + PI * k as f64 / POOLED_ORIENTATIONS as f64;
                        filters.extend(window.quadrature(&centre, turned, frequency));
                    }
                }
            }
            _ => {
                let (surround, weight) = (
                    p.surround_size.unwrap_or(p.size),
                    p.suppression.unwrap_or(0.0),
                );
                let mut filter = window.difference_of_gaussians(p.size, surround, weight);
                let sign = p.phase.unwrap_or(0.0).cos().signum();
                filter.iter_mut().for_each(|f| *f *= sign);
                filters.push(filter);
            }
        }
        if filters.iter().flatten().any(|f| !f.is_finite()) {
            let wanted = "filters that cover several pixels and change sign within them";
            let got = format!("size {}, frequency {:?}", p.size, p.frequency);
            return Err(Error::bad(
                format!("{} neuron", p.cell_type),
                "the filter",
                got,
                wanted,
            ));
        }
        Ok(Self {
            parameters,
            height,
            width,
            window,
            filters,
        })
    }

    /// What defines it.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Expected response in spikes, without noise, to a z-scored image of the neuron's height and width: natural,
    /// grating, plaid, anything. NaN for an image of another shape.
    pub fn drive(&self, image: ArrayView2<f32>) -> f64 {
        if image.dim() != (self.height, self.width) {
            return f64::NAN;
        }
        let image = image.as_standard_layout();
        match image.as_slice() {
            Some(pixels) => self.parameters.rate(self.feature(pixels, &mut Vec::new())),
            None => f64::NAN,
        }
    }

    /// Filters a C-order image of the neuron's height and width; `patch` is scratch.
    pub(super) fn feature(&self, pixels: &[f32], patch: &mut Vec<f64>) -> Feature {
        self.window.copy(pixels, self.width, patch);
        let mut pairs = self.filters.chunks_exact(2);
        let Some(own) = pairs.next() else {
            let value = self
                .filters
                .first()
                .map_or(0.0, |filter| dot(filter, patch));
            return Feature { value, pool: 0.0 };
        };
        let (even, odd) = (dot(&own[0], patch), dot(&own[1], patch));
        let value = match self.parameters.phase {
            Some(phase) => phase.cos() * even - phase.sin() * odd,
            None => even.hypot(odd),
        };
        let (mut sum, mut count) = (0.0, 0.0);
        if self.parameters.cell_type == CellType::CrossOrientationSuppressed {
            (sum, count) = (even.hypot(odd), 1.0);
        }
        for pair in pairs {
            sum += dot(&pair[0], patch).hypot(dot(&pair[1], patch));
            count += 1.0;
        }
        let pool = if count > 0.0 { sum / count } else { 0.0 };
        Feature { value, pool }
    }

    /// The same neuron with other scales, threshold and gain.
    pub(super) fn with_parameters(mut self, parameters: Parameters) -> Self {
        self.parameters = parameters;
        self
    }
}
