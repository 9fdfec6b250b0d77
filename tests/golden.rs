//! Numbers computed by an independent derivation: basis, filters, penalties, forward pass, stimuli.

mod common;
use common::*;
use std::f64::consts::{FRAC_PI_4, FRAC_PI_6, PI, TAU};
use striate::device::emulator::{Emulator, Order};
use striate::device::{Device, Precision};
use striate::insilico::harmonics::{angles, relative_harmonic};
use striate::insilico::preconditioner;
use striate::ops::activation::{Output, softplus};
use striate::ops::align;
use striate::ops::basis::Basis;
use striate::ops::group_conv::{self, Layer, Shape, reference};
use striate::ops::loss;
use striate::ops::penalty::{self, Metric, Strength};
use striate::stimuli::{self, Canvas, Gabor};

const S: Strength = Strength {
    smoothness: 1.0,
    group_sparsity: 0.0,
};
const G: Strength = Strength {
    smoothness: 0.0,
    group_sparsity: 1.0,
};

/// Half a unit of the last printed digit.
#[track_caller]
fn assert_digits(got: f64, wanted: f64, digits: i32) {
    assert!(
        (got - wanted).abs() <= 0.5001 * 10f64.powi(-digits),
        "{got}, wanted {wanted} to {digits} digits"
    );
}

/// 0.1 sin(1 + index).
fn coefficients(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.1 * (1.0 + i as f64).sin()).collect()
}

fn first(kernel: usize, out_features: usize) -> Shape {
    Shape {
        batch: 1,
        orientations: 8,
        in_features: 1,
        out_features,
        oriented_input: false,
        height: 8,
        width: 9,
        kernel,
        padding: kernel / 2,
    }
}

fn layer_a() -> Shape {
    first(5, 2)
}

fn layer_b() -> Shape {
    Shape {
        in_features: 2,
        out_features: 3,
        oriented_input: true,
        ..layer_a()
    }
}

#[test]
fn the_basis_has_the_published_values() {
    let b = Basis::new(5);
    let wanted = [
        0.0651862769,
        0.1457677337,
        -0.0874606402,
        0.1565317297,
        0.1043544869,
        -0.1955770433,
        0.1447174483,
        -0.0868304690,
        -0.0119175612,
        -0.2359677127,
        -0.0013209039,
        0.0245034560,
        -0.0453316752,
        -0.1217996345,
        -0.1813268311,
    ];
    assert_eq!(b.len(), wanted.len());
    for (j, wanted) in wanted.into_iter().enumerate() {
        assert_digits(b.sampled[j * 100 + 37], wanted, 10);
    }
    let b = Basis::new(13);
    assert_eq!(b.len(), 91);
    for (j, wanted) in [
        (0, 0.0336116880),
        (9, -0.1004138896),
        (18, 0.0115862201),
        (27, 0.0948631051),
        (36, 0.0421705613),
        (45, 0.0621301427),
        (54, -0.0218650687),
        (72, 0.0753891263),
        (81, 0.0858351312),
    ] {
        assert_digits(b.sampled[j * 26 * 26 + 9 * 26 + 16], wanted, 10);
    }
}

#[test]
fn filters_5_wide_have_the_published_values() {
    let (shape, basis) = (first(5, 1), Basis::new(5));
    let w = reference::filters(&shape, &basis, &coefficients(15));
    #[rustfmt::skip]
    let upright = [
        -0.0330073, -0.0958268, -0.0250283, -0.0594177, -0.0387480,
        -0.0958290, -0.1472672,  0.1267780, -0.0176914, -0.0993501,
        -0.1548678, -0.0523407,  0.1042974,  0.1465505,  0.0068445,
        -0.1724375, -0.0845209,  0.1686254, -0.0309766, -0.0141089,
        -0.0368021,  0.0201108,  0.1541449,  0.0007167, -0.0144916,
    ];
    #[rustfmt::skip]
    let turned = [
        -0.0066594, -0.0349411, -0.1294409, -0.0717966, -0.0073804,
        -0.0719648,  0.0298168,  0.1471262,  0.0923710,  0.0007579,
        -0.1548692, -0.0201736,  0.1072669,  0.0057545, -0.0481387,
        -0.0897409, -0.1595032,  0.0161729,  0.2263517,  0.0374807,
        -0.0320023, -0.1658456, -0.1356229,  0.0694507,  0.0248449,
    ];
    for p in 0..25 {
        assert_digits(w[p], upright[p], 7);
        assert_digits(w[25 + p], turned[p], 7);
    }
    for (got, wanted) in w[50..55]
        .iter()
        .zip([-0.0387480, -0.0993501, 0.0068445, -0.0141089, -0.0144916])
    {
        assert_digits(*got, wanted, 7);
    }
}

#[test]
fn every_second_orientation_is_a_quarter_turn_counter_clockwise() {
    for k in [5, 13] {
        let (shape, basis) = (first(k, 1), Basis::new(k));
        let w = reference::filters(&shape, &basis, &coefficients(basis.len()));
        let area = k * k;
        for q in 0..8 {
            let (now, next) = (&w[q * area..][..area], &w[(q + 2) % 8 * area..][..area]);
            for p in 0..area {
                assert!((next[p] - now[p % k * k + k - 1 - p / k]).abs() <= 1e-14);
            }
        }
    }
}

#[test]
fn filters_13_wide_have_the_published_values() {
    let (shape, basis) = (first(13, 1), Basis::new(13));
    let w = reference::filters(&shape, &basis, &coefficients(91));
    let at = |q: usize, i: usize, j: usize| w[(q * 13 + i) * 13 + j];
    let sum = |q: usize| w[q * 169..][..169].iter().sum::<f64>();
    let norm = |q: usize| dot(&w[q * 169..][..169], &w[q * 169..][..169]).sqrt();
    for (got, wanted) in [
        (at(0, 6, 6), 0.02657941),
        (at(0, 0, 0), -0.00012087),
        (at(0, 3, 9), -0.01972333),
        (sum(0), -2.25508764),
        (norm(0), 1.10529220),
        (at(1, 6, 6), 0.02744182),
        (at(1, 3, 9), 0.05226790),
        (sum(1), -2.14700294),
        (norm(1), 1.11318730),
        (at(3, 3, 9), 0.05265948),
        (sum(3), -2.14700294),
        (norm(3), 1.11318730),
    ] {
        assert_digits(got, wanted, 8);
    }
}

#[test]
fn the_penalties_have_the_published_values() {
    for (shape, wanted_s, wanted_g) in [
        (layer_a(), 114.20248556905784, 15.99999962420978),
        (layer_b(), 214.73645204428607, 95.9707630210093),
    ] {
        let basis = Basis::new(5);
        let c = coefficients(shape.coefficients());
        let w = reference::filters(&shape, &basis, &c);
        let c32 = narrow(&c);
        for (strength, wanted) in [(S, wanted_s), (G, wanted_g)] {
            let mut dw = vec![0.0; w.len()];
            let per_output = shape.in_channels() * 25;
            let total: f64 = w
                .chunks_exact(per_output)
                .zip(dw.chunks_exact_mut(per_output))
                .map(|(w, dw)| penalty::reference::filter(5, strength, w, dw))
                .sum();
            assert!((total - wanted).abs() <= 1e-12 * wanted, "{total} {wanted}");
            let metric = Metric::new(&Device::Cpu, &basis, 8);
            let fast = penalty::steerable_value(&metric, shape.out_features, strength, &c32);
            assert!((fast - wanted).abs() <= 1e-6 * wanted, "{fast} {wanted}");
        }
    }
    let shape = layer_b();
    let w = reference::filters(&shape, &Basis::new(5), &coefficients(shape.coefficients()));
    let weight = w[(10 * 16 + 5) * 25 + 2 * 5 + 1];
    assert!((weight - 0.28361355492580553).abs() <= 1e-15, "{weight}");
}

/// (channel, row, column, value, digits) and the sum over everything.
type Wanted<'a> = (&'a [(usize, usize, usize, f64)], f64);
const HIDDEN: Wanted = (
    &[(0, 0, 0, 0.854723148), (7, 3, 4, 0.402370185)],
    775.8600590,
);
const OUT: Wanted = (
    &[
        (0, 0, 0, 0.099294009),
        (10, 4, 5, 0.180120510),
        (23, 7, 8, -0.328706830),
    ],
    200.1214743,
);

#[test]
fn the_forward_pass_has_the_published_values() {
    let (a, b, basis) = (layer_a(), layer_b(), Basis::new(5));
    let (ca, cb) = (
        coefficients(a.coefficients()),
        coefficients(b.coefficients()),
    );
    let x: Vec<f64> = (0..72).map(|i| (0.7 * f64::from(i)).cos()).collect();
    let (mut h, mut y) = (vec![0.0; 16 * 72], vec![0.0; 24 * 72]);
    reference::forward(&a, &basis, &x, &ca, &mut h);
    h.iter_mut().for_each(|h| *h = softplus(*h));
    reference::forward(&b, &basis, &h, &cb, &mut y);
    for (map, (values, sum)) in [(&h, HIDDEN), (&y, OUT)] {
        for &(c, i, j, wanted) in values {
            assert_digits(map[c * 72 + i * 9 + j], wanted, 9);
        }
        assert_digits(map.iter().sum(), sum, 7);
    }

    let device = Device::Cpu;
    let upload = |v: &[f64]| device.upload(&narrow(v), &[v.len()]);
    let mut maps = [
        device.upload(&vec![f32::NAN; h.len()], &[h.len()]),
        upload(&y),
    ];
    group_conv::forward(
        &device,
        &Layer::new(&Device::Cpu, a),
        1,
        upload(&x).view().into(),
        upload(&ca).view(),
        maps[0].view_mut().into(),
    );
    let hidden: Vec<f32> = maps[0].download().into_iter().map(softplus).collect();
    maps[0].fill_from(&hidden);
    let (hidden, out) = maps.split_at_mut(1);
    group_conv::forward(
        &device,
        &Layer::new(&Device::Cpu, b),
        1,
        hidden[0].view().into(),
        upload(&cb).view(),
        out[0].view_mut().into(),
    );
    for (map, (values, sum)) in maps.iter().zip([HIDDEN, OUT]) {
        let map = widen(&map.download());
        for &(c, i, j, wanted) in values {
            let got = map[c * 72 + i * 9 + j];
            assert!((got - wanted).abs() <= 1e-5, "{got} {wanted}");
        }
        let got: f64 = map.iter().sum();
        assert!((got - sum).abs() <= 1e-5 * sum, "{got} {sum}");
    }
}

#[test]
fn the_gabor_has_the_published_values() {
    let gabor = Gabor {
        x: 30.0,
        y: 12.0,
        size: 10.0,
        frequency: 0.1,
        contrast: 1.0,
        orientation: FRAC_PI_6,
        phase: FRAC_PI_4,
    };
    let image = gabor.draw(36, 64);
    assert_digits(image[(12, 30)], 0.353553391, 9);
    assert_digits(image[(12, 33)], -0.182364449, 9);
    assert_digits(image[(15, 30)], 0.240379764, 9);
    assert_digits(
        image.iter().map(|v| v * v).sum::<f64>().sqrt(),
        1.566642672,
        9,
    );
}

/// The device's own drawing: in float32 here, by the kernel in the emulator.
#[test]
fn the_gabor_has_the_published_values_on_devices() {
    let gabor = Gabor {
        x: 30.0,
        y: 12.0,
        size: 10.0,
        frequency: 0.1,
        contrast: 1.0,
        orientation: FRAC_PI_6,
        phase: FRAC_PI_4,
    };
    let emulator = Emulator::new(Order::Forward, Precision::F32);
    for device in [Device::Cpu, Device::Emulated(emulator)] {
        let canvas = Canvas {
            count: 1,
            height: 36,
            width: 64,
        };
        let parameters = device.upload(&gabor.parameters(), &[1, 7]);
        let mut image = device.zeros(&[1, 36, 64]);
        stimuli::gabor::draw(&device, &canvas, 1, parameters.view(), image.view_mut());
        device.check().unwrap();
        let image = widen(&image.download());
        for ((i, j), wanted) in [
            ((12, 30), 0.353553391),
            ((12, 33), -0.182364449),
            ((15, 30), 0.240379764),
        ] {
            let got = image[i * 64 + j];
            assert!((got - wanted).abs() <= 1e-6, "{got} {wanted}");
        }
        assert!((dot(&image, &image).sqrt() - 1.566642672).abs() <= 1e-6);
    }
}

#[test]
fn the_preconditioner_has_the_published_values() {
    let t = preconditioner::transfer(36, 64);
    for (at, wanted) in [
        ((0, 0), 3.9969094334841673),
        ((1, 0), 3.9969094334841673),
        ((0, 2), 2.8262417642051365),
        ((18, 32), 0.6596321802140581),
    ] {
        assert!(
            (t[at] - wanted).abs() <= 1e-13 * wanted,
            "{} {wanted}",
            t[at]
        );
    }
    // Frequency 0 has t = 1.
    assert!((1.0 / t[(0, 0)] - 0.25019330976641235).abs() <= 1e-14);
}

#[test]
fn the_loss_and_the_first_bias_have_the_published_values() {
    let total: f64 = [([0.5, 1.0], [1.0, 0.0]), ([2.0, 0.1], [3.0, 0.5])]
        .iter()
        .map(|(rates, r)| {
            loss::reference::image(
                loss::Loss::Poisson,
                Output::Linear,
                0.5,
                rates,
                r,
                &mut [0.0; 2],
            )
        })
        .sum();
    assert!((total - 1.6824565940572311).abs() <= 1e-14, "{total}");
    let bias = 0.5 * Output::Softplus.inverse(0.8);
    assert!((bias - 0.10169116040551239).abs() <= 1e-15, "{bias}");
}

#[test]
fn the_tuning_indices_have_the_published_values() {
    let phases = angles(12, TAU);
    let curve: Vec<f64> = phases.iter().map(|s| 1.0 + 0.5 * (s - 0.4).cos()).collect();
    assert!((relative_harmonic(&curve, &phases, 1) - 0.25).abs() <= 1e-14);
    let orientations = angles(12, PI);
    let curve: Vec<f64> = orientations
        .iter()
        .map(|s| 1.0 + 0.8 * (2.0 * (s - 0.3)).cos())
        .collect();
    assert!((relative_harmonic(&curve, &orientations, 2) - 0.4).abs() <= 1e-14);
}

#[test]
fn an_alignment_has_the_published_methods_loss() {
    let (n, features, o) = (5, 2, 8);
    let mut codes = vec![0.0; n * features * o];
    for (neuron, code) in codes.chunks_exact_mut(features * o).enumerate() {
        for at in 0..features * o {
            // Given orientation-major.
            let (q, f) = (at / features, at % features);
            let flat = (neuron * features * o + at) as f64;
            code[f * o + q] = (0.9 * flat + 0.3).sin();
        }
        let norm = code.iter().map(|v| v * v).sum::<f64>().sqrt();
        code.iter_mut().for_each(|v| *v /= norm);
    }
    let angles = [0.2, 1.1, 2.9, 4.0, 5.5];
    let logits: Vec<f64> = angles.iter().map(|a| (a / (TAU - a)).ln()).collect();
    let fit = align::reference::Fit {
        features,
        orientations: o,
        temperature: align::Temperature { cap: None },
        codes: &codes,
        logits: &logits,
        t: 1.2f64.ln(),
    };
    let (energy, reconstruction, _) = align::reference::forward(&fit);
    let wanted = [
        0.069_508_002_536_544_86,
        0.729_718_285_634_662_6,
        1.164_085_430_988_538_7,
    ];
    let loss = energy + 1.5 * reconstruction;
    assert_close(
        "E, Rec, loss",
        &[energy, reconstruction, loss],
        &wanted,
        1e-12,
    );
    let taps = |angle: f64, t: f64| -> Vec<f64> {
        let [c, ..] = align::reference::taps(o, angle, t);
        c
    };
    let second = align::reference::relaxed(&codes[features * o..2 * features * o], &taps(1.1, 1.2));
    for (got, wanted) in second
        .iter()
        .zip([0.107_988_32, 0.121_818_43, 0.035_958_92])
    {
        assert_digits(*got, wanted, 8);
    }
    let wanted = [
        0.290_735_29,
        0.243_842_84,
        0.113_833_46,
        0.046_214_6,
        0.027_667_36,
        0.032_987_96,
        0.070_663_57,
        0.174_054_92,
    ];
    for (got, wanted) in taps(0.2, 1.2).iter().zip(wanted) {
        assert_digits(*got, wanted, 8);
    }
    for (t, wanted) in [
        (1.5, &[0.3402, 0.2192, 0.0759, 0.0263, 0.0169][..]),
        (5.0, &[0.6774, 0.1566, 0.0046]),
        (10.0, &[0.9033, 0.0483]),
    ] {
        for (got, wanted) in taps(0.0, t).iter().zip(wanted) {
            assert_digits(*got, *wanted, 4);
        }
    }
}
