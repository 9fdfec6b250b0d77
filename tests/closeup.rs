//! A neuron's crop tells what the whole image tells: rates and gradients, in the middle and over the border, padded and
//! valid, on the CPU and through the kernels.

mod common;
#[path = "common/masked.rs"]
mod masked;

use common::{narrow, noise, relative, widen};
use masked::{IMAGE, SEEN, model};
use ndarray::{Array2, Array3, s};
use striate::device::emulator::{Emulator, Order};
use striate::device::{Device, Precision};
use striate::model::closeup::{self, Closeup, Tail, Window};
use striate::model::{ImageGradient, Model};
use striate::ops::activation::Output;

/// What float32 leaves: the filters of the last layer and the readout are rounded once more than the layer itself. (Sums in
/// float64 and a bias in two parts leave the same.)
const DRIFT: f64 = 3e-5;

/// How often each neuron sees the two images in turns: whole lanes of them, and some more.
const SHOWN: usize = 18;

fn crop(image: &Array2<f32>, (row, column): (i64, i64), (h, w): (usize, usize)) -> Vec<f32> {
    let at = |i: i64, j: i64| {
        let inside = i >= 0 && j >= 0 && i < IMAGE.0 as i64 && j < IMAGE.1 as i64;
        // What lies outside must be forgotten.
        if inside {
            image[(i as usize, j as usize)]
        } else {
            7.0
        }
    };
    let pixels = (0..h as i64).flat_map(|i| (0..w as i64).map(move |j| (i, j)));
    pixels.map(|(i, j)| at(row + i, column + j)).collect()
}

/// Rates within this of the whole image's, and gradients.
fn check(mut model: Model, (rate, slope): (f64, f64)) {
    let device = model.device.clone();
    let what = format!(
        "{:?} {:?}",
        model.config.core.kind, model.config.core.padding
    );
    if device.precision() == Precision::Bf16 {
        // What a steep nonlinearity makes of rounding says nothing about crops.
        model.config.readout.output = Output::Linear;
    }
    let neurons = [3, 0, 2, 4, 1];
    let pixels = noise(2 * IMAGE.0 * IMAGE.1, 6);
    let images = Array3::from_shape_vec((2, IMAGE.0, IMAGE.1), narrow(&pixels)).unwrap();
    let rates = model.rates(0, images.view()).unwrap();
    let windows = closeup::windows(&model, 0, &neurons, Tail::Mass(0.0));
    let groups = closeup::groups(&mut model, 0, &neurons, &windows).unwrap();
    assert!(groups.len() >= 2, "{groups:?}");
    let mut seen = Vec::new();
    for group in &groups {
        let count = SHOWN * group.neurons.len();
        let seats: Vec<u32> = (0..count).map(|i| (i / SHOWN) as u32).collect();
        let crops: Vec<f32> = (0..count)
            .flat_map(|i| {
                let image = images.slice(s![i % 2, .., ..]).to_owned();
                crop(&image, group.origins[i / SHOWN], group.size)
            })
            .collect();
        let gradients: Vec<ImageGradient> = group
            .neurons
            .iter()
            .map(|&n| {
                let mut weights = Array2::zeros((2, SEEN.len()));
                weights.column_mut(n).fill(1.0);
                model.image_gradient(0, images.view(), &weights).unwrap()
            })
            .collect();
        let mut eye = Closeup::new(&mut model, group, count, true).unwrap();
        eye.images(count).fill_from(&crops);
        eye.forward(&seats);
        eye.backward(count);
        let (got, gradient) = (eye.rates(count).download(), eye.gradient(count).download());
        // The whole images on the same way: it stores what the other does not.
        let wanted: Vec<f64> = (0..count)
            .map(|i| gradients[i / SHOWN].values[i % 2])
            .collect();
        let error = relative(&widen(&got), &wanted);
        assert!(error <= rate, "{what} {group:?}: rates off by {error:e}");
        for (i, gradient) in gradient.chunks_exact(crops.len() / count).enumerate() {
            let mut back = vec![0.0; IMAGE.0 * IMAGE.1];
            group.paste(i / SHOWN, gradient, &mut back);
            assert_eq!(group.cut(i / SHOWN, &back), gradient);
            let whole = gradients[i / SHOWN]
                .gradient
                .slice(s![i % 2, .., ..])
                .to_owned();
            let wanted: Vec<f64> = whole.iter().map(|&v| f64::from(v)).collect();
            let back = widen(&back);
            let error = relative(&back, &wanted);
            assert!(
                error <= slope,
                "{what} {group:?}: gradient off by {error:e}"
            );
            let outside = crop(&Array2::ones(IMAGE), group.origins[i / SHOWN], group.size);
            let kept = outside
                .iter()
                .zip(gradient)
                .all(|(o, g)| *o == 1.0 || *g == 0.0);
            assert!(kept, "a gradient outside of the image");
        }
        // Without gradients the layers take another path.
        let wanted: Vec<f64> = (0..count)
            .map(|i| f64::from(rates[(i % 2, group.neurons[i / SHOWN])]))
            .collect();
        let mut eye = Closeup::new(&mut model, group, count, false).unwrap();
        eye.images(count).fill_from(&crops);
        eye.forward(&seats);
        let error = relative(&widen(&eye.rates(count).download()), &wanted);
        assert!(error <= rate, "{what}: rates alone off by {error:e}");
        seen.extend(group.places.iter().map(|&p| neurons[p]));
    }
    device.check().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[test]
fn a_crop_tells_what_the_whole_image_tells() {
    for kind in ["rotation-equivariant", "convolutional"] {
        for padding in ["same", "valid"] {
            check(model(&Device::Cpu, kind, padding), (DRIFT, 1e-4));
        }
    }
}

#[test]
fn and_so_it_does_through_the_kernels() {
    for (precision, within) in [
        (Precision::F32, (DRIFT, 1e-4)),
        // Sums in another order, each map rounded to 8 bits after them.
        (Precision::Bf16, (2e-3, 4e-2)),
    ] {
        let device = Device::Emulated(Emulator::new(Order::Shuffled, precision));
        check(model(&device, "rotation-equivariant", "same"), within);
        check(model(&device, "convolutional", "valid"), within);
    }
}

/// As it is read from a file that somebody wrote.
fn read(model: &Model) -> Model {
    let run = tempfile::tempdir().unwrap();
    model.write(&run.path().join("model.safetensors")).unwrap();
    let config = model.config.to_toml().unwrap();
    std::fs::write(run.path().join("config.toml"), config).unwrap();
    Model::open(run.path(), &model.device).unwrap()
}

#[test]
fn masks_with_zeros_outside_of_a_window_are_found_out_and_tell_the_same() {
    let emulated = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
    for device in [Device::Cpu, emulated] {
        for padding in ["same", "valid"] {
            let mut whole = model(&device, "rotation-equivariant", padding);
            let mut found = read(&whole);
            let windows = found.readouts[0].windows.clone().unwrap();
            let (readout, neurons) = (whole.readouts[0].clone(), [0, 1, 2, 3, 4]);
            assert!(windows.mask_len() < SEEN.len() * readout.map.0 * readout.map.1 * 6 / 10);
            for n in neurons {
                assert_eq!(found.mask(0, n), whole.mask(0, n));
            }
            let images = narrow(&noise(3 * IMAGE.0 * IMAGE.1, 6));
            let images = Array3::from_shape_vec((3, IMAGE.0, IMAGE.1), images).unwrap();
            let weights = Array2::from_shape_fn((3, SEEN.len()), |(i, n)| (i + n) as f32);
            let mut told = [&mut whole, &mut found].map(|m| {
                let rates = m.rates(0, images.view()).unwrap();
                let back = m.image_gradient(0, images.view(), &weights).unwrap();
                let widened = |v: Vec<f32>| widen(&v);
                let (rates, _) = rates.into_raw_vec_and_offset();
                let (gradient, _) = back.gradient.into_raw_vec_and_offset();
                (widened(rates), widened(gradient))
            });
            let (wanted, got) = (std::mem::take(&mut told[0]), std::mem::take(&mut told[1]));
            let (rates, gradient) = (relative(&got.0, &wanted.0), relative(&got.1, &wanted.1));
            assert!(rates <= 1e-6 && gradient <= 1e-5, "{rates:e} {gradient:e}");
            // Views are the masks themselves: nothing is left out.
            let seen = closeup::looked_at(&found, 0, &neurons);
            assert_eq!(
                seen[..4],
                closeup::windows(&whole, 0, &neurons, Tail::Mass(0.0))[..4]
            );
        }
    }
}

#[test]
fn a_crop_of_a_model_that_looks_through_windows_tells_the_same() {
    check(
        read(&model(&Device::Cpu, "rotation-equivariant", "same")),
        (DRIFT, 1e-4),
    );
}

#[test]
fn what_a_window_leaves_out_counts_as_for_a_blank_image() {
    let mut model = model(&Device::Cpu, "rotation-equivariant", "same");
    let blank = Array3::zeros((1, IMAGE.0, IMAGE.1));
    let wanted = model.rates(0, blank.view()).unwrap()[(0, 4)];
    let windows = closeup::windows(&model, 0, &[4], Tail::Energy(0.9));
    assert!(windows[0].height * windows[0].width < IMAGE.0 * IMAGE.1 / 2);
    let group = &closeup::groups(&mut model, 0, &[4], &windows).unwrap()[0];
    let mut eye = Closeup::new(&mut model, group, 1, false).unwrap();
    eye.images(1).fill(0.0);
    eye.forward(&[0]);
    let got = eye.rates(1).download()[0];
    assert!(
        (got - wanted).abs() <= 1e-5 * wanted,
        "{got}, wanted {wanted}"
    );
}

#[test]
fn a_crop_tells_the_same_bits_whoever_else_is_asked_on_any_number_of_threads() {
    let mut model = model(&Device::Cpu, "rotation-equivariant", "same");
    let neurons = [0, 1, 2, 3];
    let windows = closeup::windows(&model, 0, &neurons, Tail::Mass(0.0));
    let pixels = narrow(&noise(IMAGE.0 * IMAGE.1, 6));
    let mut told = |neurons: &[usize], windows: &[Window], times: usize| {
        let groups = closeup::groups(&mut model, 0, neurons, windows).unwrap();
        let mut told = vec![Vec::new(); neurons.len()];
        for group in &groups {
            let count = times * group.neurons.len();
            let seats: Vec<u32> = (0..count).map(|i| (i / times) as u32).collect();
            let crops: Vec<f32> = (0..group.neurons.len())
                .flat_map(|seat| group.cut(seat, &pixels).repeat(times))
                .collect();
            let mut eye = Closeup::new(&mut model, group, count, true).unwrap();
            eye.images(count).fill_from(&crops);
            eye.forward(&seats);
            eye.backward(count);
            let (rates, gradient) = (eye.rates(count).download(), eye.gradient(count).download());
            let image = gradient.len() / count;
            for (i, &seat) in seats.iter().enumerate() {
                let mut bits = vec![rates[i].to_bits()];
                bits.extend(gradient[i * image..][..image].iter().map(|g| g.to_bits()));
                told[group.places[seat as usize]].push(bits);
            }
        }
        told
    };
    let mut on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| told(&neurons, &windows, 21))
    };
    let all = on(1);
    assert_eq!(all, on(7));
    for (i, &n) in neurons.iter().enumerate() {
        let alone = told(&[n], &windows[i..=i], 1);
        assert!(all[i].iter().all(|bits| *bits == alone[0][0]), "neuron {n}");
    }
}
