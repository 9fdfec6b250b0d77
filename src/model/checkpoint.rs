//! `model.safetensors` and `config.toml`: all that a prediction needs.
//!
//! Tensors, float32, for layer l from 0 and readout r (n_in = 1, then O F, orientation-major):
//!
//! | name | shape |
//! |---|---|
//! | `input.mean`, `input.sd` | (1): z = (grey level - mean) / sd |
//! | `core.{l}.coefficients` | (M, n_in, F) Hermite coefficients, in the order of [`crate::ops::basis`] |
//! | `core.{l}.weights` | (out, in, k, k), plain CNN |
//! | `core.{l}.norm.gain`, `.offset`, `.mean`, `.variance` | (O F), or (F) with shared normalisation; no gain in the last layer and in plain CNNs |
//! | `readout.{r}.mask` | (N, H, W) of the last map, before the absolute value |
//! | `readout.{r}.position` | (N, 2), in place of the mask with Gaussian readouts: x to the right and y down, -1 and 1 the centres of the outermost pixels of the last map |
//! | `readout.{r}.spread` | (N, 2, 2), or (N) where it is isotropic |
//! | `readout.{r}.log_norm` | (N), with readout.features_penalty = "adaptive-log-norm" |
//! | `input.size` | (2): height and width of the images, where neither masks nor weights tell them |
//! | `readout.{r}.features` | (N, O F) |
//! | `core.{l}.weights`, `.bias` | (out, in, k, k), (out), Kindel et al.'s network |
//! | `core.dense.weights`, `.bias` | (units, C H W) of the last pooled map, C outermost, (units), the same |
//! | `readout.{r}.features` | (N, units), the same |
//! | `readout.{r}.weights` | (N, H, W), the linear model |
//! | `readout.{r}.bias`, `.response_scale` | (N); predictions are multiplied by the scale |

mod placed;
mod sources;

use super::config::{CoreKind, ReadoutKind};
use super::params::{Arena, Slot};
use super::readout::Spatial;
use super::{Config, Model, Population, core};
use crate::device::Device;
use crate::files;
use crate::recording::Recording;
use crate::recording::preprocess::Preprocessing;
use crate::{Error, Result, results};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
pub use sources::Sources;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// File of the best weights in a run.
pub const MODEL: &str = "model.safetensors";
/// File of the resolved configuration in a run.
pub const CONFIG: &str = "config.toml";
/// Key of the metadata that holds the [`Fit`]: one, since the order of several would not be that of the last time.
const FIT: &str = "striate";

/// What weights are for, and where they come from.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Fit {
    /// The sections of the configuration which the weights are for.
    architecture: String,
    /// Hash of each readout's recording.
    recordings: BTreeMap<String, String>,
    /// Which neurons of it were fitted, as `training.neurons` says.
    #[serde(skip_serializing_if = "String::is_empty")]
    neurons: String,
}

/// What a file says of its fit; hand-written ones do not.
fn fit_of(tensors: &Tensors) -> Option<Fit> {
    serde_json::from_str(tensors.metadata.get(FIT)?).ok()
}

/// Named tensors of a file, as 32-bit floats.
#[derive(Clone, Debug, Default)]
pub struct Tensors {
    /// Shape and values by name.
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    /// Text beside them.
    pub metadata: HashMap<String, String>,
    /// Hash of the file that they were read from; empty for those that were made here.
    pub hash: String,
}

impl Tensors {
    /// Reads a `.safetensors` file of 32- or 64-bit floats.
    ///
    /// # Errors
    /// Names the file and the tensor that cannot be used: another type, NaN or infinity.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::file(path, "a directory, wanted a safetensors file"));
        }
        let bytes =
            std::fs::read(path).map_err(|e| Error::file(path, format!("cannot read: {e}")))?;
        let corrupt =
            |e: &dyn std::fmt::Display| Error::file(path, format!("not a safetensors file: {e}"));
        let file = SafeTensors::deserialize(&bytes).map_err(|e| corrupt(&e))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| corrupt(&e))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let values = numbers(&view).ok_or_else(|| {
                let got = format!("{:?}", view.dtype());
                Error::bad(
                    path.display(),
                    format!("the type of {name}"),
                    got,
                    "F32 or F64",
                )
            })?;
            if let Some(i) = values.iter().position(|v| !v.is_finite()) {
                let what = format!("element {i} of {name}");
                return Err(Error::bad(
                    path.display(),
                    what,
                    values[i],
                    "a finite number",
                ));
            }
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        Ok(Self {
            tensors,
            metadata: header.metadata().clone().unwrap_or_default(),
            hash: files::hash(&bytes),
        })
    }

    /// Writes the file through a temporary one; returns its hash.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path) -> Result<String> {
        let mut sources = Sources::beside(self.metadata.clone());
        for (name, (shape, values)) in &self.tensors {
            sources.lend(name.clone(), shape, values);
        }
        sources.write(path)
    }

    /// Adds a tensor.
    pub fn insert(&mut self, name: String, shape: &[usize], values: Vec<f32>) {
        self.tensors.insert(name, (shape.to_vec(), values));
    }

    /// Fills an arena with tensors of its layout.
    ///
    /// # Errors
    /// Names the tensor that is missing or has another shape.
    pub fn fill_arena(&self, place: &Path, prefix: &str, arena: &mut Arena) -> Result<()> {
        for (i, slot) in arena.layout.clone().slots.iter().enumerate() {
            let values = self.of_slot(place, prefix, slot)?;
            arena.view_mut(i).fill_from(values);
        }
        Ok(())
    }

    fn of_slot(&self, place: &Path, prefix: &str, slot: &Slot) -> Result<&[f32]> {
        self.shaped(place, &format!("{prefix}{}", slot.name), &slot.shape)
    }

    fn shaped(&self, place: &Path, name: &str, wanted: &[usize]) -> Result<&[f32]> {
        let Some((shape, values)) = self.tensors.get(name) else {
            return Err(Error::file(
                place,
                format!("tensor {name} {wanted:?} is missing"),
            ));
        };
        if shape != wanted {
            let what = format!("the shape of {name}");
            let (got, wanted) = (format!("{shape:?}"), format!("{wanted:?}"));
            return Err(Error::bad(place.display(), what, got, wanted));
        }
        Ok(values)
    }
}

fn numbers(view: &TensorView) -> Option<Vec<f32>> {
    match view.dtype() {
        Dtype::F32 => Some(bytemuck::pod_collect_to_vec(view.data())),
        Dtype::F64 => {
            let wide: Vec<f64> = bytemuck::pod_collect_to_vec(view.data());
            Some(wide.into_iter().map(|v| v as f32).collect())
        }
        _ => None,
    }
}

impl Model {
    /// Reads a run directory, of which only `config.toml` and `model.safetensors` are needed.
    ///
    /// # Errors
    /// Names the file, and the key or tensor that does not fit.
    pub fn open(run: &Path, device: &Device) -> Result<Self> {
        Self::open_for(run, device, None)
    }

    /// The same for images of this height and width, which are looked at where neither the file nor a recording tells the size.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open_for(run: &Path, device: &Device, size: Option<(usize, usize)>) -> Result<Self> {
        if !run.is_dir() {
            let what = if run.exists() {
                "not a directory"
            } else {
                "does not exist"
            };
            let wanted = "wanted a run: a directory with config.toml and model.safetensors";
            return Err(Error::file(run, format!("{what}, {wanted}")));
        }
        let config = Config::open(&run.join(CONFIG), &[])?;
        let path = run.join(MODEL);
        let tensors = Tensors::read(&path)?;
        check_architecture(run, &config, &tensors)?;
        let populations = match config.readout.kind {
            ReadoutKind::Factorised => populations(&config, &path, &tensors, size)?,
            ReadoutKind::Gaussian => placed::populations(&config, &path, &tensors, size)?,
        };
        let scalar = |name: &str| tensors.shaped(&path, name, &[1]).map(|v| v[0]);
        let preprocessing = Preprocessing {
            image_mean: scalar("input.mean")?,
            image_sd: scalar("input.sd")?,
        };
        if preprocessing.image_sd <= 0.0 {
            return Err(Error::bad(
                path.display(),
                "input.sd",
                preprocessing.image_sd,
                "a number above 0",
            ));
        }
        check_chosen(run, &config, &populations)?;
        let mut model = Self::zeros(device, &config, preprocessing, &populations)?;
        tensors.fill_arena(&path, "", &mut model.params)?;
        tensors.fill_arena(&path, "", &mut model.statistics)?;
        model.check_variances(&path)?;
        model.clamp_places();
        model.hash = results::shown(&tensors.hash);
        model.recordings = fit_of(&tensors).map(|f| f.recordings).unwrap_or_default();
        // Masks exist once more while windows are made of them.
        drop(tensors);
        model.find_windows();
        Ok(model)
    }

    fn check_variances(&self, path: &Path) -> Result<()> {
        for (i, slot) in self.statistics.layout.slots.iter().enumerate() {
            let values = self.statistics.view(i).download();
            if slot.name.ends_with("variance")
                && let Some(n) = values.iter().position(|v| *v < 0.0)
            {
                let what = format!("element {n} of {}", slot.name);
                return Err(Error::bad(
                    path.display(),
                    what,
                    values[n],
                    "no negative variance",
                ));
            }
        }
        Ok(())
    }

    /// What stands beside the tensors of `model.safetensors`.
    pub(crate) fn metadata(&self) -> HashMap<String, String> {
        let fit = Fit {
            architecture: self.config.architecture().unwrap_or_default(),
            recordings: self.recordings.clone(),
            neurons: self.config.training.neurons.clone(),
        };
        let text = serde_json::to_string(&fit).ok();
        text.map(|text| (FIT.into(), text)).into_iter().collect()
    }

    /// `model.safetensors` with these parameters and statistics, masks whole.
    pub(crate) fn sources<'a>(&'a self, params: &'a Arena, statistics: &'a Arena) -> Sources<'a> {
        let mut out = Sources::beside(self.metadata());
        let Preprocessing {
            image_mean,
            image_sd,
        } = self.preprocessing;
        out.hold("input.mean".into(), &[1], vec![image_mean]);
        out.hold("input.sd".into(), &[1], vec![image_sd]);
        out.lend_arena("", params);
        out.lend_arena("", statistics);
        for r in &self.readouts {
            let name = format!("readout.{}.response_scale", r.name);
            out.lend(name, &[r.neurons], &r.response_scale);
            match r.spatial {
                Spatial::Masks(slot) if r.windows.is_some() => {
                    let name = params.layout.slots[slot].name.clone();
                    let shape = [r.neurons, r.map.0, r.map.1];
                    out.make(name, &shape, move || r.whole_masks(slot, params));
                }
                Spatial::Masks(_) => {}
                // The linear model's weights have the images' size.
                Spatial::Whole if self.kindel.is_none() => {}
                Spatial::Places(_) | Spatial::Whole => {
                    let size = vec![r.image.0 as f32, r.image.1 as f32];
                    out.hold("input.size".into(), &[2], size);
                }
            }
        }
        out
    }

    /// Writes `model.safetensors`; returns its hash.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path) -> Result<String> {
        self.sources(&self.params, &self.statistics).write(path)
    }

    /// Overwrites every tensor that `from` (a run directory or a `.safetensors` file) holds under the same name and
    /// shape; tells which did and which did not. Pre-processing stays. Readouts of other neurons (`training.neurons`) are not taken.
    ///
    /// # Errors
    /// Names the file when it cannot be read, or when nothing in it fits.
    pub fn start_from(&mut self, from: &Path) -> Result<Start> {
        let path = if from.is_dir() {
            from.join(MODEL)
        } else {
            from.to_path_buf()
        };
        let tensors = Tensors::read(&path)?;
        let mut start = Start::default();
        // Readouts of other neurons are no start, however many there are.
        let fitted = &self.config.training.neurons;
        let others = fit_of(&tensors).is_some_and(|f| f.neurons != *fitted);
        for arena in [&mut self.params, &mut self.statistics] {
            for (i, slot) in arena.layout.clone().slots.iter().enumerate() {
                if others && slot.name.starts_with("readout.") {
                    start
                        .fresh
                        .push(format!("{} (of other neurons)", slot.name));
                    continue;
                }
                match tensors.of_slot(&path, "", slot) {
                    Ok(values) => {
                        arena.view_mut(i).fill_from(values);
                        start.taken.push(slot.name.clone());
                    }
                    Err(_) => {
                        let there = tensors.tensors.get(&slot.name);
                        let why = there.map_or("not there".into(), |(shape, _)| {
                            format!("{shape:?} there, {:?} here", slot.shape)
                        });
                        start.fresh.push(format!("{} ({why})", slot.name));
                    }
                }
            }
        }
        if start.taken.is_empty() {
            return Err(Error::file(
                &path,
                "--init: no tensor here has a name and shape of this model",
            ));
        }
        self.check_variances(&path)?;
        self.clamp_places();
        Ok(start)
    }
}

/// What a model took from a file to start from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Names of the tensors that were taken.
    pub taken: Vec<String>,
    /// Names of those that were not, and why.
    pub fresh: Vec<String>,
}

/// Refuses a `config.toml` whose core or readout are not those that the weights were trained with. Hand-written files do not
/// say, and pass.
fn check_architecture(run: &Path, config: &Config, tensors: &Tensors) -> Result<()> {
    let Some(Fit { architecture, .. }) = fit_of(tensors) else {
        return Ok(());
    };
    let path = run.join(CONFIG);
    let (trained, now) = (
        Config::architecture_of(&architecture)?,
        config.architecture()?,
    );
    if now == trained {
        return Ok(());
    }
    let differ = |(a, b): &(&str, &str)| a != b;
    let lines = trained.lines().zip(now.lines()).find(differ);
    let (was, is) = lines.unwrap_or(("something else", "this"));
    Err(Error::file(
        &path,
        format!(
            "says `{is}`, but {MODEL} beside it was trained with `{was}`: they are not of one fit"
        ),
    ))
}

/// Refuses readouts of another number of neurons than `training.neurons` chooses.
fn check_chosen(run: &Path, config: &Config, populations: &[Population]) -> Result<()> {
    let Some(chosen) = config.chosen_neurons() else {
        return Ok(());
    };
    let other = |p: &&Population| p.response_scale.len() != chosen.len();
    let Some(other) = populations.iter().find(other) else {
        return Ok(());
    };
    Err(Error::bad(
        run.join(CONFIG).display(),
        "the number of neurons that training.neurons chooses",
        chosen.len(),
        format!(
            "{} as in readout {}",
            other.response_scale.len(),
            other.name
        ),
    ))
}

/// The readouts that a file's tensors describe.
fn populations(
    config: &Config,
    path: &Path,
    tensors: &Tensors,
    image: Option<(usize, usize)>,
) -> Result<Vec<Population>> {
    // Core and readout tensors are checked against the layout later; here only what sizes are read from.
    let mut found = Vec::new();
    let (ending, axes) = match config.core.kind {
        CoreKind::Kindel => (".features", "(neurons, units)"),
        CoreKind::Linear => (".weights", "(neurons, height, width)"),
        _ => (".mask", "(neurons, height, width)"),
    };
    for (name, (shape, _)) in &tensors.tensors {
        let Some(readout) = name
            .strip_prefix("readout.")
            .and_then(|n| n.strip_suffix(ending))
        else {
            continue;
        };
        let (neurons, map) = match (config.core.kind, &shape[..]) {
            (CoreKind::Kindel, &[neurons, _]) => (neurons, None),
            (kind, &[neurons, h, w]) if kind != CoreKind::Kindel => (neurons, Some((h, w))),
            _ => {
                let got = format!("{shape:?}");
                let what = format!("the shape of {name}");
                return Err(Error::bad(path.display(), what, got, axes));
            }
        };
        if shape.contains(&0) {
            let got = format!("{shape:?}");
            return Err(Error::bad(
                path.display(),
                format!("the shape of {name}"),
                got,
                "no empty axis",
            ));
        }
        let (height, width) = match map {
            // Valid padding: the image is larger than the map by what the filters cut off.
            Some((rows, columns)) => {
                let big = 1 << 20;
                let (h, w) = core::output_size(config, big, big)?;
                (rows + big - h, columns + big - w)
            }
            None => placed::image_size_of(config, path, tensors, (readout, image))?,
        };
        let response_scale = response_scale(path, tensors, readout, neurons)?;
        found.push(Population {
            name: readout.to_string(),
            height,
            width,
            response_scale,
        });
    }
    if found.is_empty() {
        return Err(Error::file(
            path,
            format!("no tensor readout.<name>{ending}: a model has at least one readout"),
        ));
    }
    in_order(config, &mut found);
    Ok(found)
}

/// The SDs by which a readout's responses were divided.
fn response_scale(
    path: &Path,
    tensors: &Tensors,
    readout: &str,
    neurons: usize,
) -> Result<Vec<f32>> {
    let scale = format!("readout.{readout}.response_scale");
    let values = tensors.shaped(path, &scale, &[neurons])?.to_vec();
    let Some(n) = values.iter().position(|s| *s <= 0.0) else {
        return Ok(values);
    };
    let what = format!("element {n} of {scale}");
    Err(Error::bad(
        path.display(),
        what,
        values[n],
        "a number above 0",
    ))
}

/// In the order of the configuration's recordings where their names tell, else by name.
fn in_order(config: &Config, found: &mut [Population]) {
    let place = |name: &str| {
        config
            .recordings
            .iter()
            .position(|r| Recording::name_at(r) == name)
    };
    found.sort_by_key(|p| (place(&p.name).unwrap_or(usize::MAX), p.name.clone()));
}
