//! The configuration: TOML, defaults of Ecker et al. 2019 and of other kinds of core, unknown keys refused.

mod check;
mod kinds;
mod precision;
mod text;

use crate::ops::activation::{Activation, Output};
pub use crate::ops::loss::Loss;
use documented::DocumentedFields;
pub use precision::Precision;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything that `train` needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Directories of the recordings, one or more; one readout each, one shared core.
    /// A relative path is looked up beside this file, then in the working directory.
    pub recordings: Vec<PathBuf>,
    /// The convolutional core that all neurons share.
    pub core: Core,
    /// What carries the core's output to each neuron.
    pub readout: Readout,
    /// Weights of the regularisation terms. The Poisson loss sums over neurons: for N neurons instead of the 6005 of
    /// Ecker et al. start from the core's weights times N / 6005.
    pub penalties: Penalties,
    /// How the parameters are fitted.
    pub training: Training,
}

/// `[core]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Core {
    /// "rotation-equivariant", "convolutional" (plain CNN), "kindel" (Kindel et al. 2017: convolutions, max-pooling, a dense
    /// layer) or "linear" (a filter per neuron); the last two bring defaults of their own.
    pub kind: CoreKind,
    /// Number of filter orientations over the full turn (rotation-equivariant).
    pub orientations: usize,
    /// Filter width of each layer in pixels, odd.
    pub filter_sizes: Vec<usize>,
    /// Features of each layer: per orientation (rotation-equivariant), or channels (convolutional).
    pub features: Vec<usize>,
    /// "same" (zero padding) or "valid" (maps shrink).
    pub padding: Padding,
    /// Between layers: "softplus", "relu" or "none"; the last layer has none, but for "kindel".
    pub activation: Activation,
    /// One set of normalisation statistics for all orientations: makes the trained core exactly equivariant.
    pub shared_norm: bool,
    /// Rows and columns of the windows of which the largest number is taken after each convolution (kindel).
    pub pool_size: usize,
    /// Pixels from one such window to the next; windows lie wholly inside the map (kindel).
    pub pool_stride: usize,
    /// Units of the dense layer (kindel).
    pub dense: usize,
    /// Share of these units that a training step keeps, divided by it; predictions keep all (kindel).
    pub dropout_keep: f64,
}

/// `core.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoreKind {
    /// Steerable filters at several orientations (Ecker et al. 2019).
    RotationEquivariant,
    /// Plain CNN.
    Convolutional,
    /// Conv-pool-dense (Kindel et al. 2017).
    Kindel,
    /// One filter per neuron.
    Linear,
}

/// `core.padding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Zeros at the border: maps keep the image's size.
    Same,
    /// None: maps shrink by the filter width minus 1.
    Valid,
}

/// `[readout]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Readout {
    /// "factorised": one spatial mask and one feature vector per neuron; or "gaussian": one place on the map and one feature
    /// vector, the place sampled around its mean in training (Lurz et al. 2021).
    pub kind: ReadoutKind,
    /// Whether feature weights count by their absolute value.
    pub positive_features: bool,
    /// "l1-joint", "adaptive-log-norm" (its strength learned by each neuron, Turishcheva et al. 2024), or "l2" (sparse masks, dense
    /// features): what of the readout is penalised.
    pub features_penalty: FeaturesPenalty,
    /// "softplus", "elu+1", "exponential" or "linear".
    pub output: Output,
    /// Side in pixels of the window of the core's last map that each neuron looks through; its mask is exactly 0 elsewhere,
    /// which saves most of the work. 0: all of the map, as published.
    pub window: usize,
    /// Steps with whole masks before the windows are put where the masks hold most. 0: from the first step on, put where the
    /// responses follow the images' local luminance and contrast.
    pub window_after: u64,
    /// A neuron whose window would hold less than this share of its mask's squares gets one of twice the side, then the whole map.
    pub window_mass: f64,
    /// Gaussian: "full", places are sampled with a 2 x 2 matrix per neuron; "isotropic", with one number.
    pub spread: Spread,
    /// Gaussian: the spread starts as this times the identity; the map reaches from -1 to 1.
    pub initial_spread: f64,
    /// Gaussian: places start uniform within this of the map's middle.
    pub initial_range: f64,
    /// Gaussian: "uniform", or "cortex": places start as the columns x and y of each recording's neurons.csv, centred, divided by
    /// their largest absolute deviation, times `initial_range`.
    pub initial_positions: Positions,
}

/// `readout.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadoutKind {
    /// Mask times features (Klindt et al. 2017).
    Factorised,
    /// Sampled position (Lurz et al. 2021).
    Gaussian,
}

/// `readout.features_penalty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeaturesPenalty {
    /// Sum of the mask times sum of the absolute features (Ecker et al. 2019).
    L1Joint,
    /// The same, times a factor of each neuron with a log-normal prior.
    AdaptiveLogNorm,
    /// Sum of the mask, and sum of the squared features.
    L2,
}

/// `readout.spread`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// A 2 x 2 matrix.
    Full,
    /// One number.
    Isotropic,
}

/// `readout.initial_positions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// Drawn.
    Uniform,
    /// As the cells lie in the recording.
    Cortex,
}

/// `[penalties]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Penalties {
    /// Laplacian of the filters, relative to their norm.
    pub smoothness: f64,
    /// Factor of each layer; by default 1 for the first and 0.5 for the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub smoothness_per_layer: Vec<f64>,
    /// Sparsity over the input channels of each filter.
    pub group_sparsity: f64,
    /// Factor of each layer; by default 0 for the first and 1 for the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_sparsity_per_layer: Vec<f64>,
    /// Sum over neurons of (sum of the mask) times (sum of the absolute feature weights); with a Gaussian readout the first is 1.
    pub readout_sparsity: f64,
    /// With readout.features_penalty = "l2": sum of the squared feature weights; `readout_sparsity` then weighs the masks alone.
    pub features_ridge: f64,
    /// With readout.features_penalty = "adaptive-log-norm": SD of the prior of the logarithms of the neurons' factors.
    pub log_norm_sd: f64,
    /// Sum of the squared weights (linear).
    pub pixel_ridge: f64,
}

/// `[training]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Of the initial weights and of the order of trials.
    pub seed: u64,
    /// "poisson" or "variance-scaled-mse" (Kindel et al. 2017; responses are not rectified for it).
    pub loss: Loss,
    /// "adam" (in TensorFlow's form) or "sgd".
    pub optimiser: Optimiser,
    /// Of the first phase.
    pub learning_rate: f64,
    /// Replaces the training and the validation trials of each image by their mean; test trials stay.
    pub average_repeats: bool,
    /// Trials of each recording per step; the last incomplete batch of an epoch is dropped.
    pub batch_size: usize,
    /// Steps of all phases together.
    pub max_steps: u64,
    /// Steps between validations.
    pub validate_every: u64,
    /// Validations without improvement that end a phase.
    pub patience: u64,
    /// Phases of decreasing learning rate; each starts from the best weights so far.
    pub phases: u32,
    /// The learning rate is divided by this after each phase.
    pub decay: f64,
    /// "f32", "tf32" or "bf16": the numbers that a GPU multiplies, and with "bf16" keeps the core's maps in; sums and weights
    /// are float32 in all of them. "auto" is "tf32". A CPU always uses f32.
    pub precision: Precision,
    /// Parts that stay as --init gave them: "core", whose normalisation keeps its statistics, too.
    pub frozen: Vec<Frozen>,
    /// Share of the training images that are trained on, with all their trials; smaller shares lie in larger ones.
    pub trial_fraction: f64,
    /// Neurons of each recording that are fitted, as in "0-99,250" or "0-6004:2" (every second one); "" for all.
    pub neurons: String,
}

/// `training.frozen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frozen {
    /// Parameters and normalisation statistics of the core.
    Core,
}

/// `training.optimiser`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// Kingma and Ba 2015, in TensorFlow's form.
    Adam,
    /// Plain gradient descent.
    Sgd,
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self::of_kind(CoreKind::RotationEquivariant);
        config.fill_layers();
        config
    }
}

impl Default for Core {
    fn default() -> Self {
        Self {
            kind: CoreKind::RotationEquivariant,
            orientations: 8,
            filter_sizes: vec![13, 5, 5],
            features: vec![16, 16, 16],
            padding: Padding::Same,
            activation: Activation::Softplus,
            shared_norm: false,
            pool_size: 3,
            pool_stride: 2,
            dense: 300,
            dropout_keep: 0.55,
        }
    }
}

impl Default for Readout {
    fn default() -> Self {
        Self {
            kind: ReadoutKind::Factorised,
            positive_features: false,
            features_penalty: FeaturesPenalty::L1Joint,
            output: Output::Softplus,
            window: 0,
            window_after: 200,
            window_mass: 0.8,
            spread: Spread::Full,
            initial_spread: 0.1,
            initial_range: 0.3,
            initial_positions: Positions::Uniform,
        }
    }
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            smoothness: 0.024_969_2,
            smoothness_per_layer: Vec::new(),
            group_sparsity: 0.015_248_2,
            group_sparsity_per_layer: Vec::new(),
            readout_sparsity: 0.017_069_6,
            features_ridge: 0.3,
            log_norm_sd: 0.25,
            pixel_ridge: 0.0,
        }
    }
}

impl Default for Training {
    fn default() -> Self {
        Self {
            seed: 1,
            loss: Loss::Poisson,
            optimiser: Optimiser::Adam,
            learning_rate: 0.002,
            average_repeats: false,
            batch_size: 256,
            max_steps: 10_000,
            validate_every: 50,
            patience: 5,
            phases: 2,
            decay: 10.0,
            precision: Precision::Auto,
            frozen: Vec::new(),
            trial_fraction: 1.0,
            neurons: String::new(),
        }
    }
}
