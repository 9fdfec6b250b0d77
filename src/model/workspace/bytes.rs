//! What a workspace takes, before it is made.

use super::Workspace;
use crate::device::Device;
use crate::model::config::{Config, CoreKind, Padding};
use crate::model::kindel::Sizes;

impl Workspace {
    /// Bytes that [`Workspace::new`] takes at least.
    pub fn bytes(
        device: &Device,
        config: &Config,
        image: (usize, usize),
        batch: usize,
        gradients: bool,
    ) -> u128 {
        let depth = config.core.features.len();
        Self::bytes_of(device, config, depth, image, batch, gradients)
    }

    /// The same for the first `depth` layers alone.
    pub(in crate::model) fn bytes_of(
        device: &Device,
        config: &Config,
        depth: usize,
        (height, width): (usize, usize),
        batch: usize,
        gradients: bool,
    ) -> u128 {
        let (mut h, mut w) = (height as u128, width as u128);
        let image = h * w;
        let (mut sum, mut largest) = (0, 0);
        let depth = if config.is_unfactorised() { 0 } else { depth };
        let layers = config.core.filter_sizes.iter().zip(&config.core.features);
        for (kernel, features) in layers.take(depth) {
            if config.core.padding == Padding::Valid {
                let lost = *kernel as u128 - 1;
                (h, w) = (h.saturating_sub(lost), w.saturating_sub(lost));
            }
            let map = config.orientations() as u128 * *features as u128 * h * w;
            sum += map;
            largest = map.max(largest);
        }
        // An image that is too small is refused elsewhere.
        let kindel = match config.core.kind {
            CoreKind::Kindel => Sizes::of(config, (height, width)).ok(),
            _ => None,
        };
        let kindel = kindel.map(|s| (s.maps() as u128, s.largest() as u128, s.units()));
        let maps = match (kindel, gradients) {
            (Some((maps, largest, _)), true) => maps + 2 * largest.max(image),
            (Some((maps, _, _)), false) => maps,
            (None, true) => 2 * sum + 2 * largest.max(image),
            (None, false) => 2 * largest,
        };
        let (word, half) = (size_of::<f32>(), device.precision().map_bytes());
        let at_images = match (half == word, gradients) {
            (true, _) => word,
            (false, true) => 2 * word + half,
            (false, false) => word + half,
        };
        let hidden = kindel.map_or(0, |(_, _, units)| (units * word) as u128);
        batch as u128 * (image * at_images as u128 + maps * half as u128 + hidden)
    }
}

#[cfg(all(test, feature = "emulator"))]
mod tests {
    use super::*;
    use crate::device::emulator::Order;
    use crate::device::{Array, Emulator, Maps, Precision};
    use crate::model::{Model, Population, Preprocessing};

    #[test]
    fn the_bytes_foretold_are_the_bytes_taken() {
        let all = [
            CoreKind::RotationEquivariant,
            CoreKind::Kindel,
            CoreKind::Linear,
        ];
        all.into_iter().for_each(foretold);
    }

    fn foretold(kind: CoreKind) {
        let mut config = Config::default();
        config.core.kind = kind;
        config.core.filter_sizes = vec![5, 3];
        config.core.features = vec![2, 3];
        config.core.dense = 7;
        for precision in Precision::ALL {
            config.training.precision = precision.into();
            let device = Device::Emulated(Emulator::new(Order::Forward, precision));
            let population = Population {
                name: "r".into(),
                height: 9,
                width: 11,
                response_scale: vec![1.0],
            };
            let preprocessing = Preprocessing {
                image_mean: 0.0,
                image_sd: 1.0,
            };
            let model = Model::zeros(&device, &config, preprocessing, &[population]).unwrap();
            for gradients in [false, true] {
                let space = Workspace::new(&model, (9, 11), 3, gradients);
                let maps = (space.before.iter().chain(&space.after))
                    .chain(&space.gradient)
                    .chain(&space.stored_images);
                let maps = maps.chain(space.kindel.iter().flat_map(|k| k.all_maps()));
                let images = std::iter::once(&space.images).chain(&space.image_gradient);
                let images = images.chain(space.kindel.iter().map(|k| &k.hidden));
                let taken = maps.map(Maps::len).sum::<usize>() * precision.map_bytes()
                    + images.map(Array::len).sum::<usize>() * size_of::<f32>();
                let foretold = Workspace::bytes(&device, &config, (9, 11), 3, gradients);
                assert_eq!(
                    taken as u128, foretold,
                    "{kind:?} {precision:?} {gradients}"
                );
            }
        }
    }
}
