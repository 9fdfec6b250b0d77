//! Tuning experiments on a twin whose answers are known: curves and indices, on the CPU, through the kernels and from the
//! command line.

mod common;
#[path = "common/small.rs"]
mod small;
#[path = "common/units.rs"]
mod units;

use common::{assert_close, widen};
use ndarray::{Array2, Array3};
use small::striate;
use std::f64::consts::{FRAC_PI_2, PI, TAU};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use striate::device::emulator::{Emulator, Order};
use striate::device::{Device, Precision};
use striate::insilico::tuning::energy::{self, Kind, LEVELS};
use striate::insilico::tuning::{Curve, Indices, Tuning, tune};
use striate::insilico::{Watch, show};
use striate::model::Model;
use striate::npy::Archive;
use striate::recording::{Recording, Tier, Trial};
use striate::stimuli::{DifferenceOfGaussians, Gabor};
use striate::table::Table;
use units::{gabor, liked, response};

const ALL: [usize; 4] = [0, 1, 2, 3];

/// The curves of a neuron in float64, and the indices that they come to, by formulas of their own.
struct Known {
    curves: [Vec<f64>; 4],
    indices: [f64; 5],
}

fn known(n: usize, output: &str) -> Known {
    let one = |g: Gabor| response(n, output, &gabor(&g));
    let liked = liked(n);
    let orientation: Vec<f64> = (0..24)
        .map(|k| f64::from(k) * PI / 24.0)
        .map(|orientation| {
            one(Gabor {
                orientation,
                ..liked
            })
        })
        .collect();
    let phase: Vec<f64> = (0..12)
        .map(|k| f64::from(k) * TAU / 12.0)
        .map(|phase| one(Gabor { phase, ..liked }))
        .collect();
    let mut size_contrast = Vec::new();
    for i in 0..12 {
        for j in 0..12 {
            size_contrast.push(one(Gabor {
                size: 8.0 * 1.2f64.powi(i),
                contrast: 2f64.powf(-3.5 + f64::from(j) / 2.0),
                ..liked
            }));
        }
    }
    let of_plaid = |k: i32| match k {
        0 => 0.0,
        k => 2f64.powf(-3.0 + f64::from(k - 1) / 2.0),
    };
    let mut plaid = Vec::new();
    for o in 0..10 {
        for p in 0..10 {
            let preferred = Gabor {
                contrast: of_plaid(p),
                ..liked
            };
            let orthogonal = Gabor {
                contrast: of_plaid(o),
                orientation: liked.orientation + FRAC_PI_2,
                ..liked
            };
            plaid.push(response(
                n,
                output,
                &(gabor(&preferred) + gabor(&orthogonal)),
            ));
        }
    }
    let harmonic = |r: &[f64], step: f64| {
        let cosine: f64 = r
            .iter()
            .enumerate()
            .map(|(j, r)| r * (step * j as f64).cos())
            .sum();
        let sine: f64 = r
            .iter()
            .enumerate()
            .map(|(j, r)| r * (step * j as f64).sin())
            .sum();
        cosine.hypot(sine) / r.iter().sum::<f64>()
    };
    let lost = |r: &[f64]| {
        let largest = r.iter().copied().fold(f64::MIN, f64::max);
        (largest - r[r.len() - 1]) / largest
    };
    let every = |r: &[f64], first: usize, step: usize| -> Vec<f64> {
        r.iter().skip(first).step_by(step).copied().collect()
    };
    let indices = [
        harmonic(&orientation, TAU / 24.0),
        harmonic(&phase, TAU / 12.0),
        lost(&every(&size_contrast, 11, 12)),
        lost(&size_contrast[132..]),
        lost(&every(&plaid, 9, 10)),
    ];
    Known {
        curves: [orientation, phase, size_contrast, plaid],
        indices,
    }
}

fn numbers(i: &Indices) -> [f64; 5] {
    [i.orientation, i.phase, i.suppression, i.contrast, i.plaid]
}

fn tuned(device: &Device, output: &str, neurons: &[usize]) -> Tuning {
    let folder = tempfile::tempdir().unwrap();
    units::write(folder.path(), output);
    let mut model = Model::open(folder.path(), device).unwrap();
    let groups = show::exact(&mut model, 0, neurons).unwrap();
    let optimal: Vec<Option<Gabor>> = neurons.iter().map(|&n| Some(liked(n))).collect();
    tune(&mut model, &groups, &optimal, &mut Watch::hidden()).unwrap()
}

#[test]
fn curves_and_indices_are_those_of_the_known_neurons() {
    for output in ["exponential", "softplus"] {
        let neurons = [2, 0, 3, 1];
        let tuning = tuned(&Device::Cpu, output, &neurons);
        for (place, (&n, found)) in neurons.iter().zip(tuning.indices()).enumerate() {
            let known = known(n, output);
            for (curve, wanted) in Curve::ALL.into_iter().zip(&known.curves) {
                let got = tuning.curves[curve as usize].row(place).to_vec();
                assert_close(&format!("{output} {n} {curve:?}"), &got, wanted, 1e-4);
            }
            for (got, wanted) in numbers(&found).iter().zip(known.indices) {
                assert!(
                    (got - wanted).abs() <= 1e-4,
                    "{output} {n}: {found:?} {wanted}"
                );
            }
        }
    }
}

#[test]
fn the_kernels_draw_and_see_the_same() {
    let device = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
    let (emulated, here) = (
        tuned(&device, "softplus", &[3]),
        tuned(&Device::Cpu, "softplus", &[3]),
    );
    device.check().unwrap();
    for (a, b) in emulated.curves.iter().zip(&here.curves) {
        assert_close("curve", a.as_slice().unwrap(), b.as_slice().unwrap(), 1e-4);
    }
}

#[test]
fn indices_tell_what_the_neurons_were_made_to_do() {
    let tuning = tuned(&Device::Cpu, "linear", &ALL);
    let found = tuning.indices();
    let [linear, energy, surround, crossed] = &found[..] else {
        panic!("{found:?}");
    };
    // A linear neuron's phase curve is a sine about the response to nothing.
    let row = tuning.curves[Curve::Phase as usize].row(0).to_vec();
    let amplitude = row.iter().copied().fold(f64::MIN, f64::max) - units::BIAS * units::SCALES[0];
    let wanted = amplitude / (2.0 * units::BIAS * units::SCALES[0]);
    assert!((linear.phase - wanted).abs() <= 1e-4, "{linear:?} {wanted}");
    assert!(linear.phase >= 0.15 && energy.phase <= 0.02, "{found:?}");
    assert!(
        surround.suppression >= 0.3 && energy.suppression <= 0.1,
        "{found:?}"
    );
    assert!(crossed.plaid >= 0.3 && energy.plaid <= 0.1, "{found:?}");
    assert!(
        energy.contrast.abs() <= 1e-6 && surround.contrast >= 0.3,
        "{found:?}"
    );
    for (n, found) in found.iter().enumerate() {
        for (got, wanted) in numbers(found).iter().zip(known(n, "linear").indices) {
            assert!((got - wanted).abs() <= 1e-4, "{n}: {found:?} {wanted}");
        }
    }
}

const DOG: DifferenceOfGaussians = DifferenceOfGaussians {
    x: 19.5,
    y: 12.0,
    sigma_centre: 1.5,
    sigma_surround: 4.0,
    contrast: 1.0,
    surround_contrast: 0.4,
};

fn difference(d: &DifferenceOfGaussians) -> Array2<f64> {
    Array2::from_shape_fn(units::IMAGE, |(i, j)| {
        let square = (j as f64 - d.x).powi(2) + (i as f64 - d.y).powi(2);
        let gaussian = |sd: f64| (-square / (2.0 * sd * sd)).exp();
        let centre = (1.0 + d.surround_contrast) * gaussian(d.sigma_centre);
        d.contrast * (centre - d.surround_contrast * gaussian(d.sigma_surround))
    })
}

fn picture() -> Array2<f32> {
    let (h, w) = units::IMAGE;
    let noise = common::narrow(&common::noise(h * w, 8));
    Array2::from_shape_vec((h, w), noise).unwrap()
}

/// Responses of neuron 1 at every level.
fn at_levels(image: &Array2<f64>) -> Vec<f64> {
    let norm = image.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scaled = |level: &f64| response(1, "softplus", &(image * (level / norm)));
    LEVELS.iter().map(scaled).collect()
}

fn mean_ratio(a: &[f64], b: &[f64]) -> f64 {
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

fn array(path: &Path, name: &str) -> (Vec<usize>, Vec<f64>) {
    let array = Archive::open(path)
        .unwrap()
        .array(name)
        .unwrap()
        .numbers()
        .unwrap();
    let shape = array.shape().to_vec();
    (shape, widen(&array.into_iter().collect::<Vec<f32>>()))
}

/// A run with everything that `tune` reads; neuron 3 has no optimal Gabor.
fn furnished() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    units::write(&run, "softplus");
    let path = run.join("gabors.csv");
    units::write_gabors(&path, &ALL.map(liked)[..3]);
    let text = fs::read_to_string(&path).unwrap() + "3,,,,,,,,0\n";
    fs::write(&path, text).unwrap();
    let dog = "neuron,x,y,sigma_centre,sigma_surround,contrast,surround_contrast,response\n\
               1,19.5,12,1.5,4,1,0.4,1\n";
    fs::write(run.join("dogs.csv"), dog).unwrap();
    let meis = "neuron,response,norm,steps,converged\n1,1,12,100,true\n";
    fs::write(run.join("meis.csv"), meis).unwrap();
    let image = picture().insert_axis(ndarray::Axis(0));
    striate::npy::write(&run.join("meis.npy"), image.view()).unwrap();
    let scores = "neuron,correlation_to_average\n0,0.6\n1,0.5\n2,\n3,0.2\n";
    fs::write(run.join("evaluation.csv"), scores).unwrap();
    fs::create_dir(run.join("glm")).unwrap();
    let glm = "neuron,penalty,intercept,test_correlation,converged\n1,1,0,0.4,true\n0,1,0,0.3,true\n2,1,0,0.3,true\n3,1,0,-0.1,true\n";
    fs::write(run.join("glm/glm.csv"), glm).unwrap();
    folder
}

#[test]
fn the_command_writes_curves_axes_and_indices() {
    let f = furnished();
    let told = striate(f.path(), "tune run --device cpu").ok();
    assert!(told.contains("orientation_index"), "{told}");
    let text = fs::read_to_string(f.path().join("run/tuning.csv")).unwrap();
    let header = "neuron,orientation_index,phase_index,suppression_index,contrast_index,plaid_index,gabor_vs_dog,\
                  gabor_vs_mei,dog_vs_mei,nonlinearity_index";
    assert_eq!(text.lines().next().unwrap(), header);
    // No optimal Gabor, no difference, no image; a GLM worse than nothing.
    assert_eq!(text.lines().last().unwrap(), "3,,,,,,,,,");
    let table = Table::read_csv(&f.path().join("run/tuning.csv")).unwrap();
    let column = |name: &str| table.numbers(name).unwrap().to_vec();
    let nonlinearity = column("nonlinearity_index");
    assert!((nonlinearity[0] - 2.0).abs() <= 1e-8 && (nonlinearity[1] - 1.25).abs() <= 1e-8);
    assert!(nonlinearity[2].is_nan());
    let (one, dog, mei) = (
        at_levels(&gabor(&liked(1))),
        at_levels(&difference(&DOG)),
        at_levels(&picture().mapv(f64::from)),
    );
    for (name, wanted) in [
        ("gabor_vs_dog", mean_ratio(&one, &dog)),
        ("gabor_vs_mei", mean_ratio(&one, &mei)),
        ("dog_vs_mei", mean_ratio(&dog, &mei)),
    ] {
        let found = column(name);
        assert!(
            (found[1] - wanted).abs() <= 1e-4 * wanted,
            "{name} {found:?} {wanted}"
        );
        assert!(found[0].is_nan() && found[2].is_nan(), "{name} {found:?}");
    }
    let names = [
        "orientation_index",
        "phase_index",
        "suppression_index",
        "contrast_index",
        "plaid_index",
    ];
    let npz = f.path().join("run/tuning.npz");
    let shapes: [(&str, &[usize]); 4] = [
        ("orientation", &[4, 24]),
        ("phase", &[4, 12]),
        ("size_contrast", &[4, 12, 12]),
        ("plaid", &[4, 10, 10]),
    ];
    for n in 0..3 {
        let known = known(n, "softplus");
        for (name, wanted) in names.iter().zip(known.indices) {
            let got = column(name)[n];
            assert!((got - wanted).abs() <= 1e-4, "{name} {n}: {got} {wanted}");
        }
        for ((name, wanted_shape), wanted) in shapes.iter().zip(&known.curves) {
            let (shape, values) = array(&npz, name);
            assert_eq!(shape, *wanted_shape, "{name}");
            let each = wanted.len();
            assert_close(name, &values[n * each..(n + 1) * each], wanted, 1e-4);
            assert!(values[3 * each..].iter().all(|v| v.is_nan()), "{name}");
        }
    }
    for (name, length, last) in [
        ("orientation_angles", 24, 23.0 * PI / 24.0),
        ("phase_phases", 12, 11.0 * TAU / 12.0),
        ("size_contrast_sizes", 12, 8.0 * 1.2f64.powi(11)),
        ("size_contrast_contrasts", 12, 4.0),
        ("plaid_orthogonal", 10, 2.0),
        ("plaid_preferred", 10, 2.0),
    ] {
        let (shape, values) = array(&npz, name);
        assert_eq!(shape, [length], "{name}");
        assert!(
            (values[length - 1] - last).abs() <= 1e-5,
            "{name} {values:?}"
        );
    }
    // Some neurons, in their order.
    striate(f.path(), "tune run --device cpu --neurons 2,0").ok();
    let some = fs::read_to_string(f.path().join("run/tuning.csv")).unwrap();
    let line = |text: &str, n: usize| text.lines().nth(n).unwrap().to_string();
    assert_eq!(line(&some, 1), line(&text, 3));
    assert_eq!(line(&some, 2), line(&text, 1));
    assert_eq!(array(&npz, "plaid").0, [2, 10, 10]);
}

#[test]
fn what_cannot_be_tuned_is_refused_and_leaves_nothing() {
    let run = |file: &str, content: &str, line: &str| {
        let f = furnished();
        match file {
            "" => {}
            file => fs::write(f.path().join("run").join(file), content).unwrap(),
        }
        let done = striate(f.path(), line);
        assert_eq!(done.code, 2, "{}", done.err);
        assert!(!f.path().join("run/tuning.csv").exists());
        assert!(!f.path().join("run/tuning.npz").exists());
        done.err
    };
    let gabors = "neuron,x,y,size,frequency,orientation,phase,contrast,response\n";
    let row = |text: &str| format!("{gabors}{text}\n");
    let line = "tune run --neurons 0 --device cpu";
    for (file, content, line, parts) in [
        (
            "gabors.csv",
            row("1,1,1,8,0.1,0,0,1,1"),
            line,
            ["the row of neuron 0", "missing"],
        ),
        (
            "gabors.csv",
            row("0,1,1,-8,0.1,0,0,1,1"),
            line,
            ["size is -8", "above 0"],
        ),
        (
            "gabors.csv",
            row("0,1,1,8,0.1,0,inf,1,1"),
            line,
            ["phase is inf", "finite"],
        ),
        (
            "gabors.csv",
            "neuron,x\n0,1\n".into(),
            line,
            ["no column y", "gabors.csv"],
        ),
        (
            "gabors.csv",
            row("0,1,1,8,0.1,0,0,1,1\n0,1,1,8,0.1,0,0,1,1"),
            line,
            ["0 again", "row 3"],
        ),
        (
            "gabors.csv",
            row("1.5,1,1,8,0.1,0,0,1,1"),
            line,
            ["no column neuron", "row numbers"],
        ),
        (
            "dogs.csv",
            "neuron,x\n0,1\n".into(),
            line,
            ["dogs.csv", "no column y"],
        ),
        (
            "meis.csv",
            "neuron,response\n0,1\n1,1\n".into(),
            line,
            ["[2, 30, 36]", "meis.npy"],
        ),
        (
            "glm/glm.csv",
            "neuron,x\n0,1\n".into(),
            line,
            ["glm.csv", "test_correlation"],
        ),
        (
            "",
            String::new(),
            "tune run --glm nowhere --device cpu",
            ["nowhere", "does not exist"],
        ),
        (
            "",
            String::new(),
            "tune run --neurons 0-4 --device cpu",
            ["--neurons", "0 to 3"],
        ),
    ] {
        let told = run(file, &content, line);
        for part in parts {
            assert!(told.contains(part), "{file}: {told}");
        }
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn readouts_are_stacked_and_named() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    units::write_populations(&run, "softplus", &["a", "b"], 4);
    units::write_gabors(&run.join("gabors.csv"), &ALL.map(liked));
    let told = striate(f.path(), "tune run --device cpu --neurons 1,2");
    assert_eq!(told.code, 2);
    assert!(told.err.contains("no column recording"), "{}", told.err);
    let text = fs::read_to_string(run.join("gabors.csv")).unwrap();
    let named: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(i, l)| {
            let name = if i == 0 { "recording" } else { "b" };
            format!("{name},{l}\n")
        })
        .collect();
    // Neuron 1 of `a` likes what is shown to neuron 2 of `b`.
    let others = named[3].replace("b,2", "a,1") + &named[3].replace("b,2", "a,2");
    fs::write(run.join("gabors.csv"), named.concat() + &others).unwrap();
    striate(f.path(), "tune run --device cpu --neurons 1,2").ok();
    let text = fs::read_to_string(run.join("tuning.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("recording,neuron,orientation_index,"),
        "{text}"
    );
    let starts: Vec<&str> = lines[1..].iter().map(|l| &l[..4]).collect();
    assert_eq!(starts, ["a,1,", "a,2,", "b,1,", "b,2,"]);
    assert_eq!(lines[2][1..], lines[4][1..]);
    assert_ne!(lines[1][1..], lines[3][1..]);
    assert_eq!(
        array(&run.join("tuning.npz"), "size_contrast").0,
        [4, 12, 12]
    );
    striate(f.path(), "tune run --device cpu --readout b --neurons 2").ok();
    let one = fs::read_to_string(run.join("tuning.csv")).unwrap();
    assert_eq!(one.lines().nth(1).unwrap(), lines[4]);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_within_seconds_and_leaves_nothing() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    units::write_populations(&run, "softplus", &["hand"], 4000);
    let gabors: Vec<Gabor> = (0..4000).map(|n| liked(n % 4)).collect();
    units::write_gabors(&run.join("gabors.csv"), &gabors);
    let before = small::everything(f.path());
    let mut child = small::command(f.path(), "tune run --device cpu")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(3000));
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let asked = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(asked.elapsed() <= Duration::from_secs(20), "{asked:?}");
    assert_eq!(small::everything(f.path()), before);
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (x, y) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| f(a - x, b - y)).sum()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Sizes of a Gabor in two contrasts, shown four times each in all tiers; and the noisy answers of neuron 2; the
/// others always do the same.
#[test]
fn recorded_tuning_is_compared_with_the_twins() {
    let f = tempfile::tempdir().unwrap();
    units::write(&f.path().join("run"), "softplus");
    let stimuli: Vec<Array2<f64>> = (0..10)
        .map(|i| {
            gabor(&Gabor {
                size: 8.0 * 1.65f64.powi(i / 2),
                contrast: if i % 2 == 0 { 1.0 } else { 3.0 },
                ..liked(2)
            })
        })
        .collect();
    let (h, w) = units::IMAGE;
    let images = Array3::from_shape_fn((10, h, w), |(n, i, j)| {
        (100.0 + 40.0 * stimuli[n][(i, j)]) as f32
    });
    let tiers = [Tier::Train, Tier::Validation, Tier::Test];
    let trials: Vec<Trial> = (0..40)
        .map(|t| Trial {
            image: t % 10,
            tier: tiers[t % 10 % 3],
        })
        .collect();
    let clean: Vec<f64> = stimuli.iter().map(|s| response(2, "softplus", s)).collect();
    let noise = common::noise(40, 3);
    let measured: Vec<f64> = (0..40).map(|t| clean[t % 10] + 0.8 + noise[t]).collect();
    let responses = Array2::from_shape_fn(
        (40, 4),
        |(t, n)| {
            if n == 2 { measured[t] as f32 } else { 1.0 }
        },
    );
    let recording = Recording {
        name: "sizes".into(),
        images,
        responses,
        trials,
        neurons: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    };
    recording.write(&f.path().join("sizes")).unwrap();
    let line = "compare-tuning run --recording sizes --device cpu";
    striate(f.path(), line).ok();
    let path = f.path().join("run/tuning_comparison.csv");
    let text = fs::read_to_string(&path).unwrap();
    let header = "neuron,correlation_to_average,single_trial_correlation,oracle_correlation,maximum_correlation,\
                  share_of_oracle,share_of_maximum";
    assert_eq!(text.lines().next().unwrap(), header);
    assert_eq!(text.lines().nth(1).unwrap(), "0,0,0,,,,");
    let of_image = |i: usize| (0..4).map(|r| measured[10 * r + i]).collect::<Vec<f64>>();
    let averages: Vec<f64> = (0..10)
        .map(|i| of_image(i).iter().sum::<f64>() / 4.0)
        .collect();
    let others: Vec<f64> = (0..40)
        .map(|t| (4.0 * averages[t % 10] - measured[t]) / 3.0)
        .collect();
    let average = correlation(&clean, &averages);
    let oracle = correlation(&others, &measured);
    let table = Table::read_csv(&path).unwrap();
    for (name, wanted) in [
        ("correlation_to_average", average),
        ("oracle_correlation", oracle),
        ("share_of_oracle", average / oracle),
    ] {
        let got = table.numbers(name).unwrap()[2];
        assert!((got - wanted).abs() <= 1e-4, "{name} {got} {wanted}");
    }
    assert!(average >= 0.5 && oracle <= 0.99, "{average} {oracle}");
    let other = small::recording("rec", 5, 1);
    other.write(&f.path().join("rec")).unwrap();
    let done = striate(f.path(), "compare-tuning run --recording rec --device cpu");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("4 as in readout hand"), "{}", done.err);
}

const FEW: &str =
    "--sizes 8,10 --cycles 1.7 --contrasts 1,2 --orientations 4 --phases 4 --device cpu";

#[test]
fn without_optimal_gabors_they_are_searched_for() {
    let f = tempfile::tempdir().unwrap();
    for run in ["run", "other"] {
        units::write(&f.path().join(run), "softplus");
    }
    let search = format!("{FEW} --x 13-22 --y 10-17 --no-refine --neurons 2,0");
    striate(f.path(), &format!("gabors other {search}")).ok();
    striate(f.path(), "tune other --neurons 2,0 --device cpu").ok();
    striate(f.path(), &format!("tune run {search}")).ok();
    for file in ["gabors.csv", "tuning.csv", "tuning.npz"] {
        let read = |run: &str| fs::read(f.path().join(run).join(file)).unwrap();
        assert!(read("run") == read("other"), "{file}");
    }
    let done = striate(f.path(), &format!("tune run {search}"));
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("gabors.csv: there already"),
        "{}",
        done.err
    );
    fs::remove_file(f.path().join("run/gabors.csv")).unwrap();
    let done = striate(f.path(), "tune run --x 0-36 --device cpu");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("--x"), "{}", done.err);
    assert!(!f.path().join("run/gabors.csv").exists());
}

#[test]
fn the_search_covers_all_readouts() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    units::write_populations(&run, "softplus", &["a", "b"], 4);
    let search = format!("{FEW} --x 15-18 --y 13-15 --neurons 2,1");
    striate(f.path(), &format!("tune run {search}")).ok();
    for file in ["gabors.csv", "tuning.csv"] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        let starts: Vec<&str> = text.lines().skip(1).map(|l| &l[..4]).collect();
        assert_eq!(starts, ["a,2,", "a,1,", "b,2,", "b,1,"], "{text}");
    }
    let before = fs::read(run.join("tuning.csv")).unwrap();
    striate(f.path(), "tune run --neurons 2,1 --device cpu").ok();
    assert!(fs::read(run.join("tuning.csv")).unwrap() == before);
    // A neuron that was not searched for.
    let done = striate(f.path(), "tune run --device cpu");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("the row of neuron 0"), "{}", done.err);
}

/// The same choice by counting afresh at every pick.
fn picked(reached: &[[bool; 4]], count: usize) -> Vec<(usize, usize)> {
    let (mut left, mut picks) = (vec![0, 1, 2, 3], Vec::new());
    while picks.len() < count {
        let gain = |s: &[bool; 4]| left.iter().filter(|&&n| s[n]).count();
        let most = reached.iter().map(gain).max().unwrap();
        if most == 0 {
            break;
        }
        let stimulus = reached.iter().position(|s| gain(s) == most).unwrap();
        left.retain(|&n| !reached[stimulus][n]);
        picks.push((stimulus, most));
    }
    picks
}

#[test]
fn gabors_in_the_middle_are_picked_for_many_neurons() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    units::write(&run, "softplus");
    let mut text = "neuron,x,y,size,frequency,orientation,phase,contrast,response\n".to_string();
    let best = ALL.map(|n| 1.2 * response(n, "softplus", &gabor(&liked(n))));
    for (n, best) in best.iter().enumerate() {
        text += &format!("{n},1,1,8,0.1,0,0,1,{best}\n");
    }
    fs::write(run.join("gabors.csv"), text).unwrap();
    // Large Gabors reach the neuron near the border, and suppress another one.
    let mut stimuli = Vec::new();
    for size in [10.0, 40.0] {
        for cycles in [1.7, 6.8] {
            for contrast in [1.0, 8.0] {
                for orientation in 0..4 {
                    for phase in 0..4 {
                        stimuli.push(Gabor {
                            x: 17.5,
                            y: 14.5,
                            size,
                            frequency: cycles / size,
                            contrast,
                            orientation: PI * f64::from(orientation) / 4.0,
                            phase: TAU * f64::from(phase) / 4.0,
                        });
                    }
                }
            }
        }
    }
    let responses: Vec<[f64; 4]> = stimuli
        .iter()
        .map(|s| ALL.map(|n| response(n, "softplus", &gabor(s))))
        .collect();
    let at = |percent: f64| {
        let reached: Vec<[bool; 4]> = responses
            .iter()
            .map(|r| ALL.map(|n| r[n] >= percent / 100.0 * best[n]))
            .collect();
        picked(&reached, 3)
    };
    let grid = "--sizes 10,40 --cycles 1.7,6.8 --contrasts 1,8 --orientations 4 --phases 4";
    let line = format!("select-gabors run {grid} --count 3 --percent 85 --device cpu");
    striate(f.path(), &line).ok();
    let table = Table::read_csv(&run.join("selected_gabors.csv")).unwrap();
    let names: Vec<&str> = table.names().collect();
    let wanted = [
        "pick",
        "x",
        "y",
        "size",
        "frequency",
        "orientation",
        "phase",
        "contrast",
        "newly_reached",
        "cumulative_share",
    ];
    assert_eq!(names, wanted);
    let column = |name: &str| table.column(name).unwrap().as_numbers().unwrap();
    let wanted = at(85.0);
    assert!(wanted.len() >= 2, "{wanted:?}");
    assert_eq!(table.rows(), wanted.len());
    let mut sum = 0;
    for (row, (stimulus, newly)) in wanted.into_iter().enumerate() {
        let s = &stimuli[stimulus];
        sum += newly;
        for (name, wanted) in [
            ("x", s.x),
            ("y", s.y),
            ("size", s.size),
            ("frequency", s.frequency),
            ("orientation", s.orientation),
            ("phase", s.phase),
            ("contrast", s.contrast),
            ("newly_reached", newly as f64),
            ("cumulative_share", sum as f64 / 4.0),
        ] {
            let got = column(name)[row];
            assert!((got - wanted).abs() <= 1e-6, "{row} {name} {got} {wanted}");
        }
    }
    let npz = run.join("selection.npz");
    let (shape, shares) = array(&npz, "share");
    assert_eq!(shape, [10, 3]);
    for (row, percent) in array(&npz, "percent").1.into_iter().enumerate() {
        assert_eq!(percent, 10.0 * (row + 1) as f64);
        let picks = at(percent);
        for (i, share) in shares[3 * row..3 * row + 3].iter().enumerate() {
            let reached: usize = picks.iter().take(i + 1).map(|p| p.1).sum();
            assert_eq!(*share, reached as f64 / 4.0, "{percent} {i}");
        }
    }
    for (line, part) in [
        ("select-gabors run --percent 0", "--percent"),
        ("select-gabors run --count 0", "--count"),
        ("select-gabors run --sizes=-1", "--sizes"),
        ("select-gabors nowhere", "nowhere"),
    ] {
        let done = striate(f.path(), line);
        assert_eq!(done.code, 2);
        assert!(done.err.contains(part), "{}", done.err);
    }
}
