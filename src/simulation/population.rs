//! Simulated neurons that look at the same images, and the table that holds the truth about them.

use super::neuron::{CellType, Feature, Neuron, Parameters};
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;

/// Neurons with a known answer, and the grey levels they are adapted to.
#[derive(Clone, Debug)]
pub struct Population {
    pub(super) neurons: Vec<Neuron>,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) image_mean: f64,
    pub(super) image_sd: f64,
}

impl Population {
    /// In the order of the readout.
    pub fn neurons(&self) -> &[Neuron] {
        &self.neurons
    }

    /// Height and width of the images they see, in pixels.
    pub fn image_size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Mean and SD of the grey levels of the training images.
    pub fn grey_levels(&self) -> (f64, f64) {
        (self.image_mean, self.image_sd)
    }

    /// Grey levels as the neurons see them: (x - image_mean) / image_sd, any shape.
    pub fn standardise(&self, images: ArrayView3<f32>) -> Array3<f32> {
        images.mapv(|x| ((f64::from(x) - self.image_mean) / self.image_sd) as f32)
    }

    /// Expected responses in spikes, without noise, to z-scored images: (images, neurons). Raw grey levels go
    /// through [`Population::standardise`] first.
    ///
    /// # Errors
    /// When the images have another height or width than the population's.
    pub fn drive(&self, images: ArrayView3<f32>) -> Result<Array2<f64>> {
        self.rates(&self.features(images)?)
    }

    /// Expected responses from [`Population::features`].
    pub(super) fn rates(&self, features: &[Feature]) -> Result<Array2<f64>> {
        let count = self.neurons.len().max(1);
        let rates: Vec<f64> = features
            .iter()
            .enumerate()
            .map(|(i, &f)| self.neurons[i % count].parameters().rate(f))
            .collect();
        table_of(rates, features.len() / count, self.neurons.len())
    }

    /// Features of z-scored images, one row of neurons after the other.
    pub(super) fn features(&self, images: ArrayView3<f32>) -> Result<Vec<Feature>> {
        let (_, height, width) = images.dim();
        if (height, width) != (self.height, self.width) {
            return Err(Error::bad(
                "simulated population",
                "the image",
                format!("{height} x {width}"),
                format!("{} x {}", self.height, self.width),
            ));
        }
        let images = images.as_standard_layout();
        let pixels = images.as_slice().unwrap_or_default();
        if self.neurons.is_empty() || pixels.is_empty() {
            return Ok(Vec::new());
        }
        let count = self.neurons.len();
        let mut features = vec![Feature::default(); images.dim().0 * count];
        features
            .par_chunks_mut(count)
            .zip(pixels.par_chunks(height * width))
            .for_each_init(Vec::new, |patch, (row, image)| {
                for (feature, neuron) in row.iter_mut().zip(&self.neurons) {
                    *feature = neuron.feature(image, patch);
                }
            });
        Ok(features)
    }

    /// One row per neuron, with everything that [`Population::from_truth`] needs; empty where it does not apply.
    pub fn truth(&self) -> Table {
        let each = |f: &dyn Fn(&Parameters) -> f64| {
            Column::Number(self.neurons.iter().map(|n| f(n.parameters())).collect())
        };
        let some = |f: &dyn Fn(&Parameters) -> Option<f64>| each(&|p| f(p).unwrap_or(f64::NAN));
        let types = self
            .neurons
            .iter()
            .map(|n| n.parameters().cell_type.to_string())
            .collect();
        Table::new()
            .with(
                "neuron",
                Column::Integer((0..self.neurons.len() as i64).collect()),
            )
            .with("type", Column::Text(types))
            .with("x", each(&|p| p.x))
            .with("y", each(&|p| p.y))
            .with("orientation", some(&|p| p.orientation))
            .with("phase", some(&|p| p.phase))
            .with("size", each(&|p| p.size))
            .with("frequency", some(&|p| p.frequency))
            .with("surround_size", some(&|p| p.surround_size))
            .with("suppression", some(&|p| p.suppression))
            .with("pool_scale", some(&|p| p.pool_scale))
            .with("scale", each(&|p| p.scale))
            .with("threshold", each(&|p| p.threshold))
            .with("gain", each(&|p| p.gain))
            .with("image_mean", each(&|_| self.image_mean))
            .with("image_sd", each(&|_| self.image_sd))
    }

    /// Rebuilds a population from its truth table (also one read back from CSV) for images of `height` x `width`
    /// pixels, which must be those of the simulation where a filter reaches over the border.
    ///
    /// # Errors
    /// Names the column that is missing or not numeric, and the row whose values make no neuron.
    pub fn from_truth(truth: &Table, height: usize, width: usize) -> Result<Self> {
        let rows = truth.rows();
        let Some(Column::Text(types)) = truth.column("type") else {
            return Err(missing("type", "a column of cell types"));
        };
        let numbers = |name: &str| {
            let numbers = truth.column(name).and_then(Column::as_numbers);
            numbers.ok_or_else(|| missing(name, "a column of numbers"))
        };
        let (x, y, size) = (numbers("x")?, numbers("y")?, numbers("size")?);
        let (orientation, phase) = (numbers("orientation")?, numbers("phase")?);
        let (frequency, surround_size) = (numbers("frequency")?, numbers("surround_size")?);
        let (suppression, pool_scale) = (numbers("suppression")?, numbers("pool_scale")?);
        let (scale, threshold, gain) = (numbers("scale")?, numbers("threshold")?, numbers("gain")?);
        let common = |name: &str| -> Result<f64> {
            let values = numbers(name)?;
            match values.first() {
                Some(&first) if first.is_finite() && values.iter().all(|&v| v == first) => {
                    Ok(first)
                }
                _ => Err(missing(name, "one number, the same in every row")),
            }
        };
        let (image_mean, image_sd) = (common("image_mean")?, common("image_sd")?);
        if image_sd <= 0.0 {
            return Err(Error::bad(
                "truth table",
                "image_sd",
                image_sd,
                "a positive number",
            ));
        }
        let filled = |v: f64| (!v.is_nan()).then_some(v);
        let build = |i: usize| {
            let parameters = Parameters {
                cell_type: types[i].trim().parse()?,
                x: x[i],
                y: y[i],
                orientation: filled(orientation[i]),
                phase: filled(phase[i]),
                size: size[i],
                frequency: filled(frequency[i]),
                surround_size: filled(surround_size[i]),
                suppression: filled(suppression[i]),
                pool_scale: filled(pool_scale[i]),
                scale: scale[i],
                threshold: threshold[i],
                gain: gain[i],
            };
            Neuron::new(parameters, height, width)
        };
        let neurons: Result<Vec<Neuron>> = (0..rows)
            .map(|i| build(i).map_err(|e| Error::Other(format!("truth table, row {i}: {e}"))))
            .collect();
        Ok(Self {
            neurons: neurons?,
            height,
            width,
            image_mean,
            image_sd,
        })
    }

    /// Neurons of one type, as their numbers.
    pub fn of_type(&self, cell_type: CellType) -> Vec<usize> {
        (0..self.neurons.len())
            .filter(|&i| self.neurons[i].parameters().cell_type == cell_type)
            .collect()
    }
}

fn missing(column: &str, wanted: &str) -> Error {
    Error::bad(
        "truth table",
        format!("column {column}"),
        "absent or of another kind",
        wanted,
    )
}

/// Values in rows of `columns`.
pub(super) fn table_of<T>(values: Vec<T>, rows: usize, columns: usize) -> Result<Array2<T>> {
    Array2::from_shape_vec((rows, columns), values)
        .map_err(|e| Error::Other(format!("simulated population: {e}")))
}
