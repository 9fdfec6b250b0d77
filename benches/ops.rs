//! Every heavy op at the sizes of the standard model on any device, with the ladder of its variants, beside the device's roof.
//!
//!     cargo bench --bench ops
//!     STRIATE_DEVICE=cuda STRIATE_ROOF=roof.json cargo bench --bench ops
//!
//! Criterion measures; the table at the end has, per op and precision, the time, what moves and is multiplied per second
//! (of the dense form, so that the orientation-Fourier form and the direct one compare at sight), the share of the roof,
//! and how many times as fast as the plainest rung it is. The roof is a large copy and a large matrix product, measured:
//! on a CPU here, on a card by `benches/peers/roof.py`.

use criterion::Criterion;
use std::time::{Duration, Instant};
use striate::device::{Array, Device, Precision};
use striate::ops::activation::Activation;
use striate::ops::{conv, group_conv, loss, norm, optimiser, readout};
use striate::stimuli::{Canvas, Gabor, gabor};

/// One thing to measure.
struct Work<'a> {
    group: &'static str,
    name: &'static str,
    /// Multiply-adds of the dense form.
    products: usize,
    /// Bytes that must move at least.
    bytes: usize,
    run: Box<dyn FnMut() + 'a>,
}

struct Row {
    group: &'static str,
    name: &'static str,
    precision: Precision,
    seconds: f64,
    products: usize,
    bytes: usize,
}

/// What the device can do at most.
struct Roof {
    bytes_per_second: f64,
    flops: [f64; 3],
}

fn main() {
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let name = std::env::var("STRIATE_DEVICE").unwrap_or_else(|_| "cpu".into());
    let device = match Device::open(&name) {
        Ok(device) => device,
        Err(e) => return println!("skipped: {e}"),
    };
    println!("device: {}", device.describe());
    let on_card = matches!(device, Device::Cuda(_));
    let roof = roof(&device);
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(if on_card { 500 } else { 2000 }))
        .configure_from_args();
    let mut rows = Vec::new();
    let precisions = if on_card {
        &Precision::ALL[..]
    } else {
        &Precision::ALL[..1]
    };
    for &precision in precisions {
        let device = device.with_precision(precision);
        let batch = if on_card { 256 } else { 8 };
        convolutions(&mut criterion, &mut rows, &device, batch);
        readouts(
            &mut criterion,
            &mut rows,
            &device,
            batch,
            if on_card { 6005 } else { 500 },
        );
        if precision == Precision::F32 {
            pointwise(&mut criterion, &mut rows, &device, batch);
            drawing(&mut criterion, &mut rows, &device, batch);
        }
    }
    criterion.final_summary();
    if let Err(e) = device.check() {
        println!("FAILED: {e}");
        std::process::exit(1);
    }
    table(&rows, roof.as_ref());
}

fn measure(c: &mut Criterion, rows: &mut Vec<Row>, device: &Device, works: Vec<Work>) {
    let precision = device.precision();
    for mut work in works {
        let mut best = f64::INFINITY;
        let mut group = c.benchmark_group(format!("{}, {precision:?}", work.group));
        group.bench_function(work.name, |b| {
            b.iter_custom(|repeats| {
                let start = device.mark();
                for _ in 0..repeats {
                    (work.run)();
                }
                let seconds = start.seconds_until(&device.mark());
                best = best.min(seconds / repeats as f64);
                Duration::from_secs_f64(seconds.max(1e-9))
            });
        });
        group.finish();
        if best.is_finite() {
            let Work {
                group,
                name,
                products,
                bytes,
                ..
            } = work;
            rows.push(Row {
                group,
                name,
                precision,
                seconds: best,
                products,
                bytes,
            });
        }
    }
}

fn noise(device: &Device, n: usize) -> Array {
    let value = |i: usize| ((i * 7919 % 1000) as f32 - 500.0) / 500.0;
    device.upload(&(0..n).map(value).collect::<Vec<f32>>(), &[n])
}

fn convolutions(c: &mut Criterion, rows: &mut Vec<Row>, device: &Device, batch: usize) {
    for (group, oriented_input, in_features, kernel) in [
        ("layer 1 (13, 1 to 16)", false, 1, 13),
        ("layer 2 (5, 16 to 16)", true, 16, 5),
    ] {
        let shape = group_conv::Shape {
            batch,
            orientations: 8,
            in_features,
            out_features: 16,
            oriented_input,
            height: 36,
            width: 64,
            kernel,
            padding: kernel / 2,
        };
        let layer = group_conv::Layer::new(device, shape);
        let direct = shape.direct();
        let (nx, nw, ny) = direct.lengths();
        let (x, w, dy) = (noise(device, nx), noise(device, nw), noise(device, ny));
        let coefficients = noise(device, shape.coefficients());
        let zeros = |n: usize| device.zeros::<f32>(&[n]);
        let (mut y, mut dx, mut dc, mut dw) =
            (zeros(ny), zeros(nx), zeros(shape.coefficients()), zeros(nw));
        let (mut y2, mut y3, mut y4, mut dx2) = (zeros(ny), zeros(ny), zeros(ny), zeros(nx));
        let products = ny * direct.in_channels * kernel * kernel;
        let backward = if oriented_input {
            2 * products
        } else {
            products
        };
        let bytes = 4 * (nx + ny);
        let work = |name, products, run| Work {
            group,
            name,
            products,
            bytes,
            run,
        };
        let mut works = vec![
            work(
                "forward, orientation-Fourier",
                products,
                Box::new(|| {
                    let (x, c) = (x.view(), coefficients.view());
                    group_conv::forward(device, &layer, batch, x, c, y.view_mut());
                }) as Box<dyn FnMut()>,
            ),
            work(
                "forward, direct",
                products,
                Box::new(|| conv::forward(device, &direct, x.view(), w.view(), y2.view_mut())),
            ),
            work(
                "backward, orientation-Fourier",
                backward,
                Box::new(|| {
                    let (x, c, dy) = (x.view(), coefficients.view(), dy.view());
                    if oriented_input {
                        let (dx, dc) = (dx.view_mut(), dc.view_mut());
                        group_conv::backward(device, &layer, batch, (x, c), dy, dx, dc);
                    } else {
                        group_conv::backward_coefficients(
                            device,
                            &layer,
                            batch,
                            x,
                            dy,
                            dc.view_mut(),
                        );
                    }
                }),
            ),
            work(
                "backward, direct",
                backward,
                Box::new(|| {
                    conv::backward_weights(device, &direct, x.view(), dy.view(), dw.view_mut());
                    if oriented_input {
                        conv::backward_input(device, &direct, w.view(), dy.view(), dx2.view_mut());
                    }
                }),
            ),
        ];
        if !matches!(device, Device::Cpu) && device.precision() == Precision::F32 {
            works.push(work(
                "forward, plain rung",
                products,
                Box::new(|| {
                    conv::ladder::plain(device, &direct, x.view(), w.view(), y3.view_mut())
                }),
            ));
            works.push(work(
                "forward, tiled rung",
                products,
                Box::new(|| {
                    conv::ladder::tiled(device, &direct, x.view(), w.view(), y4.view_mut())
                }),
            ));
        }
        measure(c, rows, device, works);
    }
}

fn readouts(c: &mut Criterion, rows: &mut Vec<Row>, device: &Device, batch: usize, neurons: usize) {
    let (channels, pixels) = (128, 2304);
    let shape = readout::Shape {
        batch,
        channels,
        pixels,
        neurons,
        positive_features: false,
    };
    let x = noise(device, batch * channels * pixels);
    let (mask, features) = (
        noise(device, neurons * pixels),
        noise(device, neurons * channels),
    );
    let (bias, dh) = (noise(device, neurons), noise(device, batch * neurons));
    let weights = || readout::Weights {
        mask: mask.view(),
        features: features.view(),
        bias: bias.view(),
    };
    let zeros = |n: usize| device.zeros::<f32>(&[n]);
    let (mut h, mut h2, mut h3) = (
        zeros(batch * neurons),
        zeros(batch * neurons),
        zeros(batch * neurons),
    );
    let (mut dx, mut dx2) = (zeros(x.len()), zeros(x.len()));
    let mut d = [zeros(mask.len()), zeros(features.len()), zeros(neurons)];
    let group = "readout";
    let products = batch * channels * pixels * neurons;
    let bytes = 4 * (x.len() + mask.len());
    let work = |name, products, run| Work {
        group,
        name,
        products,
        bytes,
        run,
    };
    let mut works = vec![
        work(
            "forward",
            products,
            Box::new(|| readout::forward(device, &shape, x.view(), weights(), h.view_mut(), None))
                as Box<dyn FnMut()>,
        ),
        work(
            "backward to the maps",
            products,
            Box::new(|| {
                readout::backward_input(device, &shape, weights(), dh.view(), dx2.view_mut());
            }),
        ),
        work(
            "backward",
            2 * products,
            Box::new(|| {
                let [mask, features, bias] = &mut d;
                let gradients = readout::Gradients {
                    mask: mask.view_mut(),
                    features: features.view_mut(),
                    bias: bias.view_mut(),
                };
                let out = (dx.view_mut(), gradients);
                readout::backward(device, &shape, x.view(), weights(), dh.view(), out, None);
            }),
        ),
    ];
    if !matches!(device, Device::Cpu) && device.precision() == Precision::F32 {
        works.push(work(
            "forward, plain rung",
            products,
            Box::new(|| readout::ladder::plain(device, &shape, x.view(), weights(), h2.view_mut())),
        ));
        works.push(work(
            "forward, tiled rung",
            products,
            Box::new(|| readout::ladder::tiled(device, &shape, x.view(), weights(), h3.view_mut())),
        ));
    }
    measure(c, rows, device, works);
}

/// Stimuli on whole images, each with parameters of its own.
fn drawing(c: &mut Criterion, rows: &mut Vec<Row>, device: &Device, batch: usize) {
    let canvas = Canvas {
        count: batch,
        height: 36,
        width: 64,
    };
    let gabor = Gabor {
        x: 32.0,
        y: 18.0,
        size: 20.0,
        frequency: 0.1,
        contrast: 1.0,
        orientation: 0.3,
        phase: 0.7,
    };
    let repeated =
        |one: &[f32], times: usize| device.upload(&one.repeat(times), &[times * one.len()]);
    let (one, two) = (
        repeated(&gabor.parameters(), batch),
        repeated(&gabor.parameters(), 2 * batch),
    );
    let dimages = noise(device, canvas.len());
    let mut images = [device.zeros(&[canvas.len()]), device.zeros(&[canvas.len()])];
    let [first, second] = &mut images;
    let mut slopes = device.zeros(&[one.len()]);
    let work = |name, run| Work {
        group: "stimuli",
        name,
        products: 0,
        bytes: 4 * canvas.len(),
        run,
    };
    let works = vec![
        work(
            "Gabors",
            Box::new(|| gabor::draw(device, &canvas, 1, one.view(), first.view_mut()))
                as Box<dyn FnMut()>,
        ),
        work(
            "plaids",
            Box::new(|| gabor::draw(device, &canvas, 2, two.view(), second.view_mut())),
        ),
        work(
            "Gabors: backward",
            Box::new(|| {
                let (p, d) = (one.view(), dimages.view());
                gabor::backward(device, &canvas, 1, p, d, slopes.view_mut());
            }),
        ),
    ];
    measure(c, rows, device, works);
}

fn pointwise(c: &mut Criterion, rows: &mut Vec<Row>, device: &Device, batch: usize) {
    let shape = norm::Shape {
        batch,
        channels: 128,
        groups: 128,
        pixels: 2304,
    };
    let n = batch * 128 * 2304;
    let y = noise(device, n);
    let (gain, offset) = (noise(device, 128), noise(device, 128));
    let zeros = |n: usize| device.zeros::<f32>(&[n]);
    let (mut mean, mut variance) = (zeros(128), zeros(128));
    let (mut running_mean, mut running_variance) = (zeros(128), zeros(128));
    let (fixed_mean, fixed_variance) = (noise(device, 128), device.upload(&[1.0; 128], &[128]));
    let finish = norm::Finish {
        statistics: (fixed_mean.view(), fixed_variance.view()),
        affine: norm::Affine {
            gain: Some(gain.view()),
            offset: offset.view(),
        },
        activation: Activation::Softplus,
    };
    let (mut z, mut d) = (zeros(n), zeros(n));
    let (mut dgain, mut doffset) = (zeros(128), zeros(128));
    let losses = loss::Shape {
        batch,
        neurons: 6005,
        output: striate::ops::activation::Output::Softplus,
    };
    let per_neuron = batch * 6005;
    let (h, responses) = (noise(device, per_neuron), noise(device, per_neuron));
    let (mut dh, mut of_images) = (zeros(per_neuron), zeros(batch));
    let parameters = 6005 * (2304 + 128);
    let gradients = noise(device, parameters);
    let (mut values, mut first, mut second) =
        (zeros(parameters), zeros(parameters), zeros(parameters));
    let (rates, step) = (device.upload(&[1e-3f32], &[1]), device.zeros::<u32>(&[1]));
    let group = "pointwise and sums";
    let work = |name, bytes, run| Work {
        group,
        name,
        products: 0,
        bytes,
        run,
    };
    let works = vec![
        work(
            "normalisation: statistics",
            4 * n,
            Box::new(|| {
                let batch = (mean.view_mut(), variance.view_mut());
                let running = (running_mean.view_mut(), running_variance.view_mut());
                norm::statistics(device, &shape, y.view(), 0.9, batch, running);
            }) as Box<dyn FnMut()>,
        ),
        work(
            "normalisation and softplus",
            8 * n,
            Box::new(|| norm::forward(device, &shape, y.view(), &finish, z.view_mut())),
        ),
        work(
            "normalisation: backward",
            20 * n,
            Box::new(|| {
                let sums = (Some(dgain.view_mut()), doffset.view_mut());
                norm::backward(device, &shape, y.view(), &finish, d.view_mut(), sums);
            }),
        ),
        work(
            "Poisson loss and gradient",
            12 * per_neuron,
            Box::new(|| {
                let dh = Some(dh.view_mut());
                loss::poisson(
                    device,
                    &losses,
                    h.view(),
                    responses.view(),
                    dh,
                    of_images.view_mut(),
                );
            }),
        ),
        work(
            "Adam",
            28 * parameters,
            Box::new(|| {
                let rate = (rates.view(), step.view());
                let moments = (first.view_mut(), second.view_mut());
                optimiser::adam(device, rate, values.view_mut(), gradients.view(), moments);
            }),
        ),
    ];
    measure(c, rows, device, works);
}

/// From the file named by `STRIATE_ROOF`, or measured where that can be done without another program.
fn roof(device: &Device) -> Option<Roof> {
    if let Ok(path) = std::env::var("STRIATE_ROOF") {
        let text = std::fs::read_to_string(&path).ok()?;
        let report: serde_json::Value = serde_json::from_str(&text).ok()?;
        let number = |key: &str| report[key].as_f64();
        return Some(Roof {
            bytes_per_second: number("bytes_per_second")?,
            flops: [
                number("f32_flops")?,
                number("tf32_flops")?,
                number("bf16_flops")?,
            ],
        });
    }
    if !matches!(device, Device::Cpu) {
        println!("no roof: STRIATE_ROOF names none (benches/peers/roof.py writes one)");
        return None;
    }
    let words = 1 << 26;
    let (from, mut to) = (noise(device, words), device.zeros::<f32>(&[words]));
    let copy = fastest(|| to.copy_from(&from));
    // The direct convolution of a plain layer runs as one matrix product.
    let shape = readout::Shape {
        batch: 8,
        channels: 128,
        pixels: 2304,
        neurons: 512,
        positive_features: false,
    };
    let (x, mask) = (noise(device, 8 * 128 * 2304), noise(device, 512 * 2304));
    let (features, bias, mut h) = (
        noise(device, 512 * 128),
        noise(device, 512),
        device.zeros::<f32>(&[8 * 512]),
    );
    let product = fastest(|| {
        let weights = readout::Weights {
            mask: mask.view(),
            features: features.view(),
            bias: bias.view(),
        };
        readout::forward(device, &shape, x.view(), weights, h.view_mut(), None);
    });
    let flops = 2.0 * (8 * 128 * 2304 * 512) as f64 / product;
    Some(Roof {
        bytes_per_second: 8.0 * words as f64 / copy,
        flops: [flops; 3],
    })
}

fn fastest(mut work: impl FnMut()) -> f64 {
    (0..30)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn table(rows: &[Row], roof: Option<&Roof>) {
    if let Some(r) = roof {
        println!(
            "\nroof: copy {:.0} GB/s; products {:.2} (F32), {:.2} (Tf32), {:.2} (Bf16) TFLOP/s",
            r.bytes_per_second / 1e9,
            r.flops[0] / 1e12,
            r.flops[1] / 1e12,
            r.flops[2] / 1e12
        );
    }
    println!(
        "\n{:<24} {:<30} {:>5} {:>11} {:>8} {:>9} {:>6} {:>9}",
        "op", "pass", "", "us", "GB/s", "TFLOP/s", "roof", "x plain"
    );
    for row in rows {
        let plain = rows
            .iter()
            .find(|r| r.group == row.group && r.name == "forward, plain rung")
            .filter(|_| row.name.starts_with("forward"))
            .map_or(String::new(), |p| format!("{:.1}", p.seconds / row.seconds));
        let share = roof.map_or(String::new(), |r| {
            let flops = r.flops[row.precision as usize];
            let least =
                (row.bytes as f64 / r.bytes_per_second).max(2.0 * row.products as f64 / flops);
            format!("{:.0} %", 100.0 * least / row.seconds)
        });
        println!(
            "{:<24} {:<30} {:>5} {:>11.1} {:>8.0} {:>9.2} {share:>6} {plain:>9}",
            row.group,
            row.name,
            format!("{:?}", row.precision),
            1e6 * row.seconds,
            row.bytes as f64 / row.seconds / 1e9,
            2.0 * row.products as f64 / row.seconds / 1e12,
        );
    }
}
