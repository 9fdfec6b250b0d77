//! The core of Kindel et al. 2017: convolution, activation and max-pooling, layer after layer, then a dense layer, its
//! activation and dropout. Its output is one vector per image, of which each neuron is a linear unit.
//!
//! Bias and activation never fall as a number grows, so that the largest number stays the largest: maps are pooled before them, which
//! gives the same with a few of the numbers.
//!
//! The dense layer sees the last pooled map whole, so that all images of a model have one size.

use super::config::{Config, Padding};
use super::params::{Arena, Layout};
use super::workspace::{Workspace, first_input};
use super::{Mode, Model};
use crate::device::{Array, Device, Maps};
use crate::ops::{bias, conv, dense, dropout, maps, pool};
use crate::{Error, Result};

/// One convolution and what follows it, for one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    conv: conv::Shape,
    pool: pool::Shape,
    bias: bias::Shape,
}

/// Sizes of everything, for one image.
#[derive(Clone, Debug)]
pub(super) struct Sizes {
    stages: Vec<Stage>,
    dense: dense::Shape,
    hidden: bias::Shape,
}

/// Where the core's numbers lie.
#[derive(Clone, Debug)]
pub struct Kindel {
    sizes: Sizes,
    /// Slot of each convolution's weights (out, in, k, k); the biases (out) follow.
    convolutions: Vec<usize>,
    /// Slot of the dense layer's weights (units, C H W); the biases (units) follow.
    dense: usize,
    keep: f64,
}

/// The buffers of its passes.
#[derive(Debug)]
pub(super) struct Space {
    /// Per stage: the convolution's output, pooled, after bias and activation.
    maps: Vec<[Maps; 3]>,
    /// The dense layer's output, and its gradient (B, units).
    pub hidden: Array,
    /// What units are dropped by, see [`dropout::draw`] (4).
    pub draw: Array<u32>,
}

impl Sizes {
    /// For images of this size.
    ///
    /// # Errors
    /// When a convolution or a pooling leaves nothing of them.
    pub fn of(config: &Config, (height, width): (usize, usize)) -> Result<Self> {
        let c = &config.core;
        let (mut channels, mut h, mut w) = (1, height, width);
        let mut stages = Vec::new();
        for (&kernel, &features) in c.filter_sizes.iter().zip(&c.features) {
            let lost = match c.padding {
                Padding::Same => 0,
                Padding::Valid => kernel - 1,
            };
            if h.min(w) < lost + c.pool_size {
                let got = format!("{height} x {width} pixels");
                let wanted = "larger: its maps become smaller than core.pool_size, or nothing";
                return Err(Error::bad(
                    "core.kind = \"kindel\"",
                    "the image",
                    got,
                    wanted,
                ));
            }
            let conv = conv::Shape {
                batch: 1,
                in_channels: channels,
                out_channels: features,
                height: h,
                width: w,
                kernel,
                padding: (kernel - 1 - lost) / 2,
            };
            let pool = pool::Shape {
                batch: 1,
                channels: features,
                height: conv.out_height(),
                width: conv.out_width(),
                size: c.pool_size,
                stride: c.pool_stride,
            };
            (channels, h, w) = (features, pool.out_height(), pool.out_width());
            let bias = bias::Shape {
                batch: 1,
                channels,
                pixels: h * w,
                activation: c.activation,
            };
            stages.push(Stage { conv, pool, bias });
        }
        Ok(Self {
            stages,
            dense: dense::Shape {
                batch: 1,
                inputs: channels * h * w,
                units: c.dense,
            },
            hidden: bias::Shape {
                batch: 1,
                channels: c.dense,
                pixels: 1,
                activation: c.activation,
            },
        })
    }

    /// Numbers of all maps of one image.
    pub fn maps(&self) -> usize {
        let stage = |s: &Stage| s.conv.lengths().2 + 2 * s.bias.len();
        self.stages.iter().map(stage).sum::<usize>() + 2 * self.dense.units
    }

    /// Numbers of the largest of them.
    pub fn largest(&self) -> usize {
        let maps = self.stages.iter().map(|s| s.conv.lengths().2);
        maps.chain([self.dense.inputs, self.dense.units])
            .max()
            .unwrap_or(0)
    }

    /// Numbers of the dense layer's output.
    pub fn units(&self) -> usize {
        self.dense.units
    }
}

impl Stage {
    fn at(&self, batch: usize) -> Self {
        Self {
            conv: conv::Shape { batch, ..self.conv },
            pool: pool::Shape { batch, ..self.pool },
            bias: bias::Shape { batch, ..self.bias },
        }
    }
}

impl Kindel {
    /// Declares its tensors.
    ///
    /// # Errors
    /// As [`Sizes::of`].
    pub(super) fn declare(
        config: &Config,
        image: (usize, usize),
        params: &mut Layout,
    ) -> Result<Self> {
        let sizes = Sizes::of(config, image)?;
        let mut convolutions = Vec::new();
        for (l, stage) in sizes.stages.iter().enumerate() {
            let s = &stage.conv;
            let shape = vec![s.out_channels, s.in_channels, s.kernel, s.kernel];
            convolutions.push(params.declare_aligned(format!("core.{l}.weights"), shape));
            params.declare(format!("core.{l}.bias"), vec![s.out_channels]);
        }
        let (units, inputs) = (sizes.dense.units, sizes.dense.inputs);
        let dense = params.declare_aligned("core.dense.weights".into(), vec![units, inputs]);
        params.declare("core.dense.bias".into(), vec![units]);
        Ok(Self {
            sizes,
            convolutions,
            dense,
            keep: config.core.dropout_keep,
        })
    }

    pub(super) fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    fn dropout(&self, batch: usize) -> dropout::Shape {
        dropout::Shape {
            batch,
            units: self.sizes.dense.units,
            keep: self.keep,
        }
    }
}

impl Space {
    pub fn new(device: &Device, sizes: &Sizes, batch: usize) -> Self {
        let stage = |s: &Stage| {
            let (whole, pooled) = s.pool.lengths();
            [whole, pooled, pooled].map(|n| device.maps(&[batch, n]))
        };
        Self {
            maps: sizes.stages.iter().map(stage).collect(),
            hidden: device.zeros(&[batch, sizes.dense.units]),
            draw: device.zeros(&[4]),
        }
    }

    #[cfg(all(test, feature = "emulator"))]
    pub fn all_maps(&self) -> impl Iterator<Item = &Maps> {
        self.maps.iter().flatten()
    }
}

/// Runs `batch` of the workspace's images through the core.
pub(super) fn forward(
    model: &Model,
    core: &Kindel,
    space: &mut Workspace,
    batch: usize,
    mode: Mode,
) {
    let (device, params) = (&model.device, &model.params);
    space.take_images(device, batch);
    let Workspace {
        kindel: Some(own),
        images,
        stored_images,
        before,
        after,
        ..
    } = space
    else {
        unreachable!("a workspace of this model");
    };
    for (l, (stage, &slot)) in core.sizes.stages.iter().zip(&core.convolutions).enumerate() {
        let stage = stage.at(batch);
        let (in_len, _, out_len) = stage.conv.lengths();
        let (below, here) = own.maps.split_at_mut(l);
        let [y, pooled, z] = &mut here[0];
        let x = match below.last() {
            None => first_input(images, stored_images, in_len),
            Some([_, _, z]) => z.slice(0..in_len),
        };
        let weights = params.view(slot);
        conv::forward(device, &stage.conv, x, weights, y.slice_mut(0..out_len));
        let len = stage.bias.len();
        let to = pooled.slice_mut(0..len);
        pool::forward(device, &stage.pool, y.slice(0..out_len), to);
        let (pooled, biases) = (pooled.slice(0..len), params.view(slot + 1));
        bias::forward(device, &stage.bias, pooled, biases, z.slice_mut(0..len));
    }
    let shape = dense::Shape {
        batch,
        ..core.sizes.dense
    };
    let (in_len, _, out_len) = shape.lengths();
    let Some([_, _, z]) = own.maps.last() else {
        unreachable!("one layer at least");
    };
    let (x, weights) = (z.slice(0..in_len), params.view(core.dense));
    let hidden = own.hidden.slice_mut(0..out_len);
    dense::forward(device, &shape, x, weights, None, hidden);
    let y = before[0].slice_mut(0..out_len);
    maps::store(device, own.hidden.slice(0..out_len), y);
    let shape = bias::Shape {
        batch,
        ..core.sizes.hidden
    };
    let (y, biases) = (before[0].slice(0..out_len), params.view(core.dense + 1));
    bias::forward(device, &shape, y, biases, after[0].slice_mut(0..out_len));
    if mode == Mode::Training {
        let z = after[0].slice_mut(0..out_len);
        dropout::apply(device, &core.dropout(batch), own.draw.view(), z);
    }
}

/// Carries the gradient at the core's output down: to the parameters, whose gradients it adds to, after a pass in training
/// mode; without them to the images, after one in prediction mode.
pub(super) fn backward(
    model: &Model,
    core: &Kindel,
    space: &mut Workspace,
    batch: usize,
    mut gradients: Option<&mut Arena>,
) {
    let (device, params) = (&model.device, &model.params);
    let to_images = gradients.is_none();
    let Workspace {
        kindel: Some(own),
        images,
        stored_images,
        before,
        gradient,
        ..
    } = space
    else {
        unreachable!("a workspace of this model");
    };
    let shape = dense::Shape {
        batch,
        ..core.sizes.dense
    };
    let (in_len, _, out_len) = shape.lengths();
    if !to_images {
        let dz = gradient[0].slice_mut(0..out_len);
        dropout::apply(device, &core.dropout(batch), own.draw.view(), dz);
    }
    let of_hidden = bias::Shape {
        batch,
        ..core.sizes.hidden
    };
    let (y, biases) = (before[0].slice(0..out_len), params.view(core.dense + 1));
    let dz = gradient[0].slice_mut(0..out_len);
    match &mut gradients {
        Some(g) => bias::backward(
            device,
            &of_hidden,
            y,
            biases,
            dz,
            g.view_mut(core.dense + 1),
        ),
        None => bias::backward_input(device, &of_hidden, y, biases, dz),
    }
    let hidden = own.hidden.slice_mut(0..out_len);
    maps::load(device, gradient[0].slice(0..out_len), hidden);
    let Some([_, _, z]) = own.maps.last() else {
        unreachable!("one layer at least");
    };
    let dy = own.hidden.slice(0..out_len);
    if let Some(g) = &mut gradients {
        let (x, dw) = (z.slice(0..in_len), g.view_mut(core.dense));
        dense::backward_weights(device, &shape, x, dy, dw, None);
    }
    let (weights, dx) = (params.view(core.dense), gradient[0].slice_mut(0..in_len));
    dense::backward_input(device, &shape, weights, dy, dx);
    for l in (0..core.sizes.stages.len()).rev() {
        let (stage, slot) = (core.sizes.stages[l].at(batch), core.convolutions[l]);
        let (in_len, _, out_len) = stage.conv.lengths();
        let [y, pooled, _] = &own.maps[l];
        let [dz, dy] = &mut *gradient;
        let len = stage.bias.len();
        let (pooled, biases) = (pooled.slice(0..len), params.view(slot + 1));
        let at = dz.slice_mut(0..len);
        match &mut gradients {
            Some(g) => bias::backward(
                device,
                &stage.bias,
                pooled,
                biases,
                at,
                g.view_mut(slot + 1),
            ),
            None => bias::backward_input(device, &stage.bias, pooled, biases, at),
        }
        let (y, to) = (y.slice(0..out_len), dy.slice_mut(0..out_len));
        pool::backward(device, &stage.pool, y, dz.slice(0..len), to);
        let (dy, weights) = (dy.slice(0..out_len), params.view(slot));
        let dx = dz.slice_mut(0..in_len);
        let x = match l {
            0 => first_input(images, stored_images, in_len),
            _ => own.maps[l - 1][2].slice(0..in_len),
        };
        match &mut gradients {
            Some(g) if l > 0 => {
                let dw = g.view_mut(slot);
                conv::backward(device, &stage.conv, (x, weights), dy, dx, dw);
            }
            Some(g) => conv::backward_weights(device, &stage.conv, x, dy, g.view_mut(slot)),
            None => conv::backward_input(device, &stage.conv, weights, dy, dx),
        }
    }
}
