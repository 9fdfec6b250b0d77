//! Stimuli of equal energy.

use super::common::{self, assert_close};
use super::units::{self, gabor, liked, response};
use ndarray::Array2;
use striate::device::Device;
use striate::insilico::tuning::energy::{self, Kind, LEVELS};
use striate::insilico::{Watch, show};
use striate::model::Model;
use striate::stimuli::{DifferenceOfGaussians, Gabor};

pub const DOG: DifferenceOfGaussians = DifferenceOfGaussians {
    x: 19.5,
    y: 12.0,
    sigma_centre: 1.5,
    sigma_surround: 4.0,
    contrast: 1.0,
    surround_contrast: 0.4,
};

pub fn difference(d: &DifferenceOfGaussians) -> Array2<f64> {
    Array2::from_shape_fn(units::IMAGE, |(i, j)| {
        let square = (j as f64 - d.x).powi(2) + (i as f64 - d.y).powi(2);
        let gaussian = |sd: f64| (-square / (2.0 * sd * sd)).exp();
        let centre = (1.0 + d.surround_contrast) * gaussian(d.sigma_centre);
        d.contrast * (centre - d.surround_contrast * gaussian(d.sigma_surround))
    })
}

pub fn picture() -> Array2<f32> {
    let (h, w) = units::IMAGE;
    let noise = common::narrow(&common::noise(h * w, 8));
    Array2::from_shape_vec((h, w), noise).unwrap()
}

/// Responses of neuron 1 at every level.
pub fn at_levels(image: &Array2<f64>) -> Vec<f64> {
    let norm = image.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scaled = |level: &f64| response(1, "softplus", &(image * (level / norm)));
    LEVELS.iter().map(scaled).collect()
}

pub fn mean_ratio(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a / b).sum::<f64>() / 5.0
}

#[test]
fn stimuli_of_equal_energy_compare_as_they_do_in_float64() {
    let folder = tempfile::tempdir().unwrap();
    units::write(folder.path(), "softplus");
    let mut model = Model::open(folder.path(), &Device::Cpu).unwrap();
    let groups = show::exact(&mut model, 0, &[0, 1]).unwrap();
    let blank = Some(Gabor {
        contrast: 0.0,
        ..liked(0)
    });
    for (kind, image) in [
        (Kind::Gabors(vec![blank, Some(liked(1))]), gabor(&liked(1))),
        (Kind::Differences(vec![None, Some(DOG)]), difference(&DOG)),
        (
            Kind::Images(vec![None, Some(picture())]),
            picture().mapv(f64::from),
        ),
    ] {
        let found = energy::responses(&mut model, &groups, &kind, &mut Watch::hidden()).unwrap();
        assert!(found.row(0).iter().all(|r| r.is_nan()), "{found:?}");
        assert_close(
            "responses",
            &found.row(1).to_vec(),
            &at_levels(&image),
            1e-4,
        );
    }
}
