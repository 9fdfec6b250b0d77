//! Images in, rates out; and the gradient of rates at the images.

use super::{Mode, Model, Workspace, core, readout};
use crate::device::{Device, ViewMut};
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView3, Axis};

/// Images per batch.
const BATCH: usize = 32;
/// On a card, which has more to do at once.
const CARD_BATCH: usize = 256;

/// A rate and its gradient for each of several images.
#[derive(Clone, Debug)]
pub struct ImageGradient {
    /// Sum over neurons of weight times normalised rate, per image.
    pub values: Vec<f64>,
    /// Its gradient with respect to z-scored grey levels, (images, height, width).
    pub gradient: Array3<f32>,
}

/// A model with the buffers of its predictions.
#[derive(Debug)]
pub struct Predictor<'m> {
    model: &'m mut Model,
    index: usize,
    space: Workspace,
    buffers: readout::Buffers,
}

impl Predictor<'_> {
    /// Rates for z-scored images (images, height, width): (images, neurons), normalised.
    ///
    /// # Errors
    /// When the images have another size than the readout's.
    pub fn rates(&mut self, images: ArrayView3<f32>) -> Result<Array2<f32>> {
        self.model.check_size(self.index, images)?;
        let (n, neurons) = (
            images.len_of(Axis(0)),
            self.model.readouts[self.index].neurons,
        );
        let mut rates = Vec::with_capacity(n * neurons);
        let (device, batch) = (self.model.device.clone(), self.space.batch);
        // Two of each, so that the host fills and empties one while the device is at work on the other.
        let area = images.len() / n.max(1);
        let mut shown = [(); 2].map(|()| device.transfer(batch * area));
        let mut answers = [(); 2].map(|()| device.transfer(batch * neurons));
        let mut before = None;
        for (i, chunk) in images.axis_chunks_iter(Axis(0), batch).enumerate() {
            let count = chunk.len_of(Axis(0));
            let to = self.space.images.slice_mut(0..count * area);
            shown[i % 2].send(to, |pixels| {
                pixels
                    .iter_mut()
                    .zip(&chunk)
                    .for_each(|(to, &from)| *to = from);
            });
            self.run(count);
            readout::rates(self.model, self.index, &mut self.buffers, count);
            answers[i % 2].fetch(self.buffers.rates.slice(0..count * neurons));
            if let Some((i, len)) = before.replace((i, count * neurons)) {
                rates.extend_from_slice(answers[i % 2].values(len));
            }
        }
        if let Some((i, len)) = before {
            rates.extend_from_slice(answers[i % 2].values(len));
        }
        device.check()?;
        Array2::from_shape_vec((n, neurons), rates)
            .map_err(|e| Error::Other(format!("predictions: {e}")))
    }

    /// Images that fit.
    pub fn batch(&self) -> usize {
        self.space.batch
    }

    /// Normalised rates (count, neurons) for z-scored images (count, height, width) that `draw` writes where the model
    /// lives; whether the device went well is asked by [`crate::device::Device::check`].
    pub fn drawn(&mut self, count: usize, draw: impl FnOnce(ViewMut)) -> Vec<f32> {
        self.forward(count, draw);
        readout::rates(self.model, self.index, &mut self.buffers, count);
        let neurons = self.model.readouts[self.index].neurons;
        self.buffers.rates.slice(0..count * neurons).download()
    }

    /// As [`Predictor::drawn`], the drives before the output nonlinearity.
    pub fn drives(&mut self, count: usize, draw: impl FnOnce(ViewMut)) -> Vec<f32> {
        self.forward(count, draw);
        let neurons = self.model.readouts[self.index].neurons;
        self.buffers.h.slice(0..count * neurons).download()
    }

    fn forward(&mut self, count: usize, draw: impl FnOnce(ViewMut)) {
        let (height, width) = self.space.image;
        draw(self.space.images.slice_mut(0..count * height * width));
        self.run(count);
    }

    /// From the first `count` images to the drives of their rates.
    fn run(&mut self, count: usize) {
        let (model, space) = (&mut *self.model, &mut self.space);
        core::forward(model, space, count, Mode::Prediction);
        let (buffers, mode) = (&mut self.buffers, Mode::Prediction);
        readout::forward(model, self.index, space, buffers, count, mode);
    }
}

impl Model {
    /// Rates for grey-level images (images, height, width): (images, neurons), in the recording's unit.
    ///
    /// # Errors
    /// When the images have another size than the readout's.
    pub fn predict(&mut self, index: usize, images: ArrayView3<f32>) -> Result<Array2<f32>> {
        let z = self.preprocessing.z_score(images);
        let mut rates = self.rates(index, z.view())?;
        for mut row in rates.rows_mut() {
            row.iter_mut()
                .zip(&self.readouts[index].response_scale)
                .for_each(|(r, s)| *r *= s);
        }
        Ok(rates)
    }

    /// Rates for z-scored images (images, height, width): (images, neurons), normalised.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn rates(&mut self, index: usize, images: ArrayView3<f32>) -> Result<Array2<f32>> {
        let batch = self.prediction_batch(index, images.len_of(Axis(0)));
        self.predictor(index, batch)?.rates(images)
    }

    /// Images of a batch if there are `count`: as many as a card is best at, if its memory holds them.
    fn prediction_batch(&self, index: usize, count: usize) -> usize {
        let most = match self.device {
            Device::Cuda(_) => CARD_BATCH,
            _ => BATCH,
        };
        let fits = |batch: &usize| {
            let image = self.readouts[index].image;
            let bytes = Workspace::bytes(&self.device, &self.config, image, *batch, false);
            self.device.require("prediction", 2 * bytes).is_ok()
        };
        let halves = std::iter::successors(Some(most), |&batch| Some(batch / 2));
        let mut larger = halves.take_while(|&batch| batch > BATCH);
        larger.find(fits).unwrap_or(BATCH).min(count.max(1))
    }

    /// Buffers for one prediction after another, of readout `index`, `batch` images at a time.
    ///
    /// # Errors
    /// When they do not fit into memory.
    pub fn predictor(&mut self, index: usize, batch: usize) -> Result<Predictor<'_>> {
        let image = self.readouts[index].image;
        let bytes = Workspace::bytes(&self.device, &self.config, image, batch, false);
        self.device.require("prediction: the core's maps", bytes)?;
        Ok(Predictor {
            space: Workspace::new(self, image, batch, false),
            buffers: readout::Buffers::new(self, &self.readouts[index], batch, false),
            model: self,
            index,
        })
    }

    /// For each z-scored image, the rates summed with `weights` (images, neurons) and the gradient at the image.
    ///
    /// # Errors
    /// When images or weights have another size than the readout's.
    pub fn image_gradient(
        &mut self,
        index: usize,
        images: ArrayView3<f32>,
        weights: &Array2<f32>,
    ) -> Result<ImageGradient> {
        self.check_size(index, images)?;
        let (n, neurons) = (images.len_of(Axis(0)), self.readouts[index].neurons);
        if weights.dim() != (n, neurons) {
            let (got, wanted) = (
                format!("{:?}", weights.dim()),
                format!("{:?}", (n, neurons)),
            );
            return Err(Error::bad(
                "image gradient",
                "the weights' shape",
                got,
                wanted,
            ));
        }
        let batch = BATCH.min(n.max(1));
        let output = self.config.readout.output;
        let mut space = Workspace::new(self, self.readouts[index].image, batch, true);
        let mut buffers = readout::Buffers::new(self, &self.readouts[index], batch, false);
        let (mut values, mut gradient) = (Vec::with_capacity(n), Vec::with_capacity(images.len()));
        let chunks = images.axis_chunks_iter(Axis(0), batch);
        for (chunk, weights) in chunks.zip(weights.axis_chunks_iter(Axis(0), batch)) {
            let count = chunk.len_of(Axis(0));
            let pixels: Vec<f32> = chunk.iter().copied().collect();
            space.images.slice_mut(0..pixels.len()).fill_from(&pixels);
            core::forward(self, &mut space, count, Mode::Prediction);
            readout::forward(self, index, &space, &mut buffers, count, Mode::Prediction);
            let h = buffers.h.slice(0..count * neurons).download();
            let mut dh = vec![0.0; h.len()];
            for (b, row) in weights.rows().into_iter().enumerate() {
                let mut value = 0.0;
                for (i, &weight) in row.iter().enumerate() {
                    let h = h[b * neurons + i];
                    value += f64::from(weight) * f64::from(output.value(h));
                    dh[b * neurons + i] = weight * output.slope(h);
                }
                values.push(value);
            }
            let dh = self.device.upload(&dh, &[count, neurons]);
            readout::backward_images(self, index, &mut space, &dh, count);
            core::backward_images(self, &mut space, count);
            gradient.extend(space.image_gradient(count).download());
        }
        self.device.check()?;
        let gradient = Array3::from_shape_vec(images.dim(), gradient)
            .map_err(|e| Error::Other(format!("image gradient: {e}")))?;
        Ok(ImageGradient { values, gradient })
    }

    fn check_size(&self, index: usize, images: ArrayView3<f32>) -> Result<()> {
        let (_, h, w) = images.dim();
        let (wanted_h, wanted_w) = self.readouts[index].image;
        if (h, w) == (wanted_h, wanted_w) {
            return Ok(());
        }
        Err(Error::bad(
            format!("readout {}", self.readouts[index].name),
            "the images' size",
            format!("{h} x {w}"),
            format!("{wanted_h} x {wanted_w} (height x width)"),
        ))
    }
}
