//! Experiments on the true neurons, and what a simulated recording promises.

use super::*;
use crate::insilico::harmonics::{angles, relative_harmonic};
use crate::stimuli::Gabor;
use approx::assert_relative_eq;
use std::f64::consts::{PI, TAU};

fn small(mix: Mix) -> Settings {
    Settings {
        neurons: 6,
        train: 300,
        validation: 10,
        test: 5,
        repeats: 2,
        height: 40,
        width: 48,
        mix,
        ..Settings::default()
    }
}

fn neurons_of(cell_type: CellType) -> Vec<Neuron> {
    let (_, truth) = simulate(&small(Mix::only(cell_type)), None).unwrap();
    Population::from_truth(&truth, 40, 48)
        .unwrap()
        .neurons()
        .to_vec()
}

/// A Gabor of unit amplitude at the neuron's place.
fn gabor(p: &Parameters, size: f64, frequency: f64, orientation: f64, phase: f64) -> Array2<f32> {
    let (x, y) = (p.x, p.y);
    let patch = Gabor {
        x,
        y,
        size,
        frequency,
        contrast: 2.0,
        orientation,
        phase,
    };
    patch.draw(40, 48).mapv(|v| v as f32)
}

fn modulation(curve: &[f64], k: u32, period: f64) -> f64 {
    relative_harmonic(curve, &angles(curve.len(), period), k)
}

fn phase_index(neuron: &Neuron) -> f64 {
    let p = neuron.parameters();
    let curve: Vec<f64> = (0..12)
        .map(|j| {
            let phase = TAU * f64::from(j) / 12.0;
            let stimulus = gabor(
                p,
                p.size,
                p.frequency.unwrap(),
                p.orientation.unwrap(),
                phase,
            );
            neuron.drive(stimulus.view())
        })
        .collect();
    modulation(&curve, 1, TAU)
}

#[test]
fn a_simple_cell_prefers_its_orientation_and_phase() {
    for neuron in neurons_of(CellType::Simple) {
        let p = neuron.parameters();
        let (mut best, mut most) = ((0.0, 0.0), f64::MIN);
        for (a, b) in (0..24).flat_map(|a| (0..16).map(move |b| (a, b))) {
            let (orientation, phase) = (PI * f64::from(a) / 24.0, TAU * f64::from(b) / 16.0);
            let stimulus = gabor(p, p.size, p.frequency.unwrap(), orientation, phase);
            let drive = neuron.drive(stimulus.view());
            if drive > most {
                (best, most) = ((orientation, phase), drive);
            }
        }
        // the same Gabor: (orientation + pi, -phase)
        let apart = |turn: f64, phase: f64| {
            let orientation = p.orientation.unwrap() + turn - best.0;
            let phase = (phase - best.1 + 3.0 * PI).rem_euclid(TAU) - PI;
            (orientation.abs(), phase.abs())
        };
        let phase = p.phase.unwrap();
        let close = [apart(0.0, phase), apart(PI, -phase), apart(-PI, -phase)]
            .iter()
            .any(|&(o, t)| o <= PI / 24.0 && t <= TAU / 16.0);
        assert!(close, "{best:?} for {p:?}");
        assert!(phase_index(&neuron) > 0.5, "{}", phase_index(&neuron));
    }
}

#[test]
fn a_complex_cell_ignores_phase_and_prefers_its_orientation() {
    for neuron in neurons_of(CellType::Complex) {
        assert!(phase_index(&neuron) < 0.1, "{}", phase_index(&neuron));
        let p = neuron.parameters();
        let at = |turn: f64| {
            let orientation = p.orientation.unwrap() + turn;
            neuron.drive(gabor(p, p.size, p.frequency.unwrap(), orientation, 0.3).view())
        };
        assert!(at(0.0) > at(0.2) && at(0.0) > at(-0.2));
        assert!(at(0.0) > 2.0 * at(PI / 2.0), "{} {}", at(0.0), at(PI / 2.0));
    }
}

#[test]
fn a_surround_suppressed_cell_prefers_a_small_grating() {
    for neuron in neurons_of(CellType::SurroundSuppressed) {
        let p = neuron.parameters();
        let curve: Vec<f64> = (0..12)
            .map(|k| {
                let size = 4.0 * 1.25f64.powi(k);
                let (frequency, orientation) = (p.frequency.unwrap(), p.orientation.unwrap());
                let phase = p.phase.unwrap_or(0.0);
                neuron.drive(gabor(p, size, frequency, orientation, phase).view())
            })
            .collect();
        let best = curve.iter().copied().fold(f64::MIN, f64::max);
        let index = (best - curve[11]) / best;
        assert!(index > 0.2, "suppression {index} of {p:?}: {curve:?}");
    }
    for neuron in neurons_of(CellType::Complex) {
        let p = neuron.parameters();
        let at = |size| {
            neuron.drive(gabor(p, size, p.frequency.unwrap(), p.orientation.unwrap(), 0.0).view())
        };
        assert!(at(46.0) > 0.97 * at(p.size));
    }
}

#[test]
fn a_surround_over_the_border_is_the_part_on_the_image() {
    for neuron in neurons_of(CellType::SurroundSuppressed) {
        let mut corner = neuron.parameters().clone();
        (corner.x, corner.y) = (0.0, 39.0);
        let corner = Neuron::new(corner, 40, 48).unwrap();
        let p = corner.parameters();
        let (frequency, orientation) = (p.frequency.unwrap(), p.orientation.unwrap());
        let phase = p.phase.unwrap_or(0.0);
        let image = gabor(p, p.size, frequency, orientation, phase);
        let free = Parameters {
            suppression: Some(0.0),
            ..p.clone()
        };
        let free = Neuron::new(free, 40, 48).unwrap().drive(image.view());
        let suppressed = corner.drive(image.view());
        assert!(suppressed > 0.0 && suppressed < free, "{suppressed} {free}");
    }
}

#[test]
fn a_plaid_drives_a_cross_orientation_suppressed_cell_less() {
    for neuron in neurons_of(CellType::CrossOrientationSuppressed) {
        let p = neuron.parameters();
        let phase = p.phase.unwrap_or(0.0);
        let grating = |turn: f64| {
            gabor(
                p,
                p.size,
                p.frequency.unwrap(),
                p.orientation.unwrap() + turn,
                phase,
            )
        };
        let preferred = grating(0.0);
        let plaid = &preferred + &grating(PI / 2.0);
        let (alone, both) = (neuron.drive(preferred.view()), neuron.drive(plaid.view()));
        assert!(both < 0.9 * alone, "{both} {alone} {p:?}");
    }
}

#[test]
fn a_centre_surround_cell_has_no_orientation() {
    for neuron in neurons_of(CellType::CentreSurround) {
        let p = neuron.parameters();
        let phase = p.phase.unwrap();
        let curve: Vec<f64> = (0..12)
            .map(|j| {
                let orientation = PI * f64::from(j) / 12.0;
                neuron.drive(gabor(p, 3.0 * p.size, 0.5 / p.size, orientation, phase).view())
            })
            .collect();
        let index = modulation(&curve, 2, PI);
        assert!(index < 0.05, "{index}");
        let spot = |phase| neuron.drive(gabor(p, p.size, 1e-9, 0.0, phase).view());
        assert!(spot(phase) > spot(phase + PI));
    }
}

#[test]
fn the_truth_rebuilds_the_population() {
    let settings = small(Mix::default());
    let (recording, truth) = simulate(
        &Settings {
            reliability: 1.0,
            ..settings
        },
        None,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.csv");
    truth.write_csv(&path).unwrap();
    for table in [truth, Table::read_csv(&path).unwrap()] {
        let population = Population::from_truth(&table, 40, 48).unwrap();
        let images = population.standardise(recording.images.view());
        let drive = population.drive(images.view()).unwrap();
        for (trial, row) in recording.trials.iter().zip(recording.responses.rows()) {
            for (neuron, &response) in row.iter().enumerate() {
                let rate = drive[[trial.image, neuron]];
                assert_relative_eq!(
                    rate,
                    f64::from(response),
                    epsilon = 1e-6,
                    max_relative = 1e-6
                );
            }
        }
        let image = images.index_axis(Axis(0), 3);
        assert_eq!(population.neurons()[2].drive(image), drive[[3, 2]]);
        assert!(
            population.neurons()[2]
                .drive(image.slice(s![1.., ..]))
                .is_nan()
        );
        assert!(population.drive(images.slice(s![.., 1.., ..])).is_err());
    }
    let empty = Table::new().with("type", Column::Text(vec!["simple".to_string()]));
    let message = Population::from_truth(&empty, 40, 48)
        .unwrap_err()
        .to_string();
    assert!(message.contains("column x"), "{message}");
}

#[test]
fn rates_are_sparse_and_reliable_as_chosen() {
    let settings = Settings {
        neurons: 20,
        train: 600,
        test: 600,
        repeats: 8,
        reliability: 0.4,
        ..small(Mix::default())
    };
    let (recording, truth) = simulate(&settings, None).unwrap();
    for (&expected, &rate) in truth
        .numbers("reliability")
        .unwrap()
        .iter()
        .zip(truth.numbers("mean_rate").unwrap().iter())
    {
        assert_relative_eq!(expected, 0.4, epsilon = 1e-6);
        assert_relative_eq!(rate, 0.4 / 0.6, epsilon = 1e-3);
    }
    let test = recording.responses.slice(s![610.., ..]).mapv(f64::from);
    assert_eq!(test.nrows(), 600 * 8);
    let mut sum = 0.0;
    for column in test.columns() {
        let (mut noise, mut means) = (0.0, Vec::new());
        for repeats in column.exact_chunks(8) {
            noise += repeats.var(1.0) / 600.0;
            means.push(repeats.mean().unwrap());
        }
        let signal = ndarray::Array1::from(means).var(1.0) - noise / 8.0;
        let measured = signal / (signal + noise);
        assert!((measured - 0.4).abs() < 0.12, "{measured}");
        sum += measured;
    }
    assert!((sum / 20.0 - 0.4).abs() < 0.03, "{}", sum / 20.0);
}

#[test]
fn a_recording_is_the_same_on_any_number_of_threads() {
    let run = |threads, seed| {
        let settings = Settings {
            seed,
            ..small(Mix::default())
        };
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| simulate(&settings, None).unwrap())
    };
    let ((one, one_truth), (two, two_truth)) = (run(1, 4), run(2, 4));
    assert_eq!(one.images, two.images);
    assert_eq!(one.responses, two.responses);
    assert_eq!(one.trials, two.trials);
    let bits = |t: &Table, name: &str| -> Vec<u64> {
        t.numbers(name)
            .unwrap()
            .iter()
            .map(|x| x.to_bits())
            .collect()
    };
    for name in one_truth
        .names()
        .filter(|n| !["neuron", "type"].contains(n))
    {
        assert_eq!(bits(&one_truth, name), bits(&two_truth, name), "{name}");
    }
    let (other, other_truth) = run(2, 5);
    assert_ne!(one.images, other.images);
    assert_ne!(one.responses, other.responses);
    assert_ne!(one_truth.numbers("x"), other_truth.numbers("x"));
}

#[test]
fn given_images_are_shuffled_and_split() {
    let images = dead_leaves(400, 40, 48, 99);
    let settings = small(Mix::default());
    let (recording, _) = simulate(&settings, Some(images.clone())).unwrap();
    assert_eq!(recording.images.dim(), (315, 40, 48));
    assert_ne!(
        recording.images.slice(s![..20, .., ..]),
        images.slice(s![..20, .., ..])
    );
    assert_eq!(recording.trials.len(), 300 + 10 + 5 * 2);
    let tiers = |tier| recording.trials.iter().filter(|t| t.tier == tier).count();
    assert_eq!(
        (
            tiers(Tier::Train),
            tiers(Tier::Validation),
            tiers(Tier::Test)
        ),
        (300, 10, 10)
    );
    assert_eq!(
        recording.trials[319],
        Trial {
            image: 314,
            tier: Tier::Test
        }
    );
    let mut used: Vec<Vec<u32>> = recording
        .images
        .outer_iter()
        .map(|image| image.iter().map(|x| x.to_bits()).collect())
        .collect();
    used.sort();
    used.dedup();
    assert_eq!(used.len(), 315);
}

#[test]
fn the_impossible_is_refused_by_name() {
    let good = || small(Mix::default());
    let refused = |settings: Settings, images: Option<Array3<f32>>, words: &str| {
        let message = simulate(&settings, images).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    refused(
        Settings {
            neurons: 0,
            ..good()
        },
        None,
        "neurons is 0",
    );
    refused(Settings { train: 9, ..good() }, None, "train is 9");
    refused(
        Settings {
            validation: 0,
            ..good()
        },
        None,
        "validation is 0",
    );
    refused(Settings { test: 0, ..good() }, None, "test is 0");
    for apertures in [-0.1, 1.5, f64::NAN] {
        let settings = Settings {
            apertures,
            ..good()
        };
        refused(settings, None, &format!("apertures is {apertures}"));
    }
    refused(
        Settings {
            repeats: 0,
            ..good()
        },
        None,
        "repeats is 0",
    );
    for reliability in [0.0, -0.1, 1.1, f64::NAN] {
        refused(
            Settings {
                reliability,
                ..good()
            },
            None,
            "reliability is",
        );
    }
    let none = Mix {
        simple: 0.0,
        ..Mix::only(CellType::Simple)
    };
    refused(
        Settings {
            mix: none,
            ..good()
        },
        None,
        "mix is",
    );
    refused(
        Settings {
            size: [9.0, 8.0],
            ..good()
        },
        None,
        "size is",
    );
    refused(
        Settings {
            cycles: [0.0, 1.0],
            ..good()
        },
        None,
        "cycles is",
    );
    refused(
        Settings {
            largest_surround: 15.0,
            ..good()
        },
        None,
        "largest_surround is 15",
    );
    refused(
        Settings {
            height: 20,
            ..good()
        },
        None,
        "image height is 20, wanted at least 21",
    );
    refused(
        good(),
        Some(Array3::zeros((400, 40, 12))),
        "image width is 12",
    );
    refused(
        good(),
        Some(Array3::zeros((100, 40, 48))),
        "number of images is 100, wanted at least 315",
    );
    refused(
        good(),
        Some(Array3::zeros((400, 40, 48))),
        "SD of the training images is 0",
    );
    let mut holed = dead_leaves(400, 40, 48, 1);
    holed[[7, 2, 3]] = f32::NAN;
    refused(good(), Some(holed), "pixel (2, 3) of image 7");
    let mut narrow = dead_leaves(315, 40, 200, 1);
    narrow.slice_mut(s![.., .., 30..]).fill(128.0);
    refused(good(), Some(narrow), "without contrast");
    let tight = Settings {
        height: 21,
        width: 21,
        ..good()
    };
    assert!(simulate(&tight, None).is_ok());
}

#[test]
fn cell_types_are_mixed_as_asked() {
    let mix = Mix {
        simple: 3.0,
        complex: 1.0,
        ..Mix::only(CellType::Simple)
    };
    let (_, truth) = simulate(
        &Settings {
            neurons: 8,
            mix,
            ..small(Mix::default())
        },
        None,
    )
    .unwrap();
    let population = Population::from_truth(&truth, 40, 48).unwrap();
    assert_eq!(population.of_type(CellType::Simple).len(), 6);
    assert_eq!(population.of_type(CellType::Complex).len(), 2);
    for cell_type in CellType::ALL {
        assert_eq!(cell_type.name().parse::<CellType>().unwrap(), cell_type);
    }
    assert!("hypercomplex".parse::<CellType>().is_err());
}
