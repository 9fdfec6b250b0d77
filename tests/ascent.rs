//! Most exciting images and synthesised images of twins whose answer is known.

mod common;
#[path = "common/twin.rs"]
mod twin;

use common::{dot, relative};
use ndarray::{Array3, Axis};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_3, FRAC_PI_4};
use std::path::Path;
use striate::Error;
use striate::device::Device;
use striate::device::Precision;
use striate::device::emulator::{Emulator, Order};
use striate::insilico::Watch;
use striate::insilico::ascent::{Goal, Meis, Method, Recipe, Synthesis, meis, synthesise};
use striate::insilico::preconditioner;
use striate::ops::ascent::Outcome;
use striate::ops::penalty::LAPLACIAN;
use tempfile::tempdir;
use twin::{Cell, IMAGE, WIDTH, gabors, member, seen};

const CELLS: [Cell; 6] = [
    cell(0, 12, 15, 1.0),
    cell(1, 11, 14, 0.5),
    cell(2, 6, 20, 2.0),
    // The corners, and a border.
    cell(0, 0, 0, 1.0),
    cell(1, 23, 29, 1.0),
    cell(2, 23, 10, 1.0),
];

const fn cell(filter: usize, row: usize, column: usize, gain: f32) -> Cell {
    Cell {
        filter,
        row,
        column,
        gain,
    }
}

fn filters() -> Vec<f32> {
    gabors(&[(0.0, 0.0), (FRAC_PI_3, 1.0), (2.1, FRAC_PI_2)])
}

fn linear(run: &Path) {
    twin::write(run, "linear", &filters(), &CELLS, 0.25);
}

fn few() -> Recipe {
    Recipe {
        starts: 3,
        ..Recipe::default()
    }
}

fn seek(run: &Path, neurons: &[usize], recipe: &Recipe) -> Meis {
    let mut members = [member(run, &Device::Cpu)];
    meis(&mut members, neurons, recipe, &mut Watch::hidden()).unwrap()
}

fn image(meis: &Meis, i: usize) -> Vec<f64> {
    let image = meis.images.index_axis(Axis(0), i);
    image.iter().map(|&v| f64::from(v)).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Responses of the whole model to each image, through its grey levels.
fn predicted(run: &Path, neurons: &[usize], images: &Array3<f32>) -> Vec<f64> {
    let mut model = member(run, &Device::Cpu).model;
    let grey = images * 50.0 + 110.0;
    let responses = model.predict(0, grey.view()).unwrap();
    let pairs = neurons.iter().enumerate();
    pairs.map(|(i, &n)| f64::from(responses[(i, n)])).collect()
}

/// Laplacian of an image (H, W) with zeros around it.
fn laplacian(image: &[f64]) -> Vec<f64> {
    let (h, w) = IMAGE;
    let at = |p: usize| {
        let mut sum = 0.0;
        for (u, weights) in LAPLACIAN.iter().enumerate() {
            for (v, weight) in weights.iter().enumerate() {
                let (row, column) = ((p / w + u).wrapping_sub(1), (p % w + v).wrapping_sub(1));
                if row < h && column < w {
                    sum += weight * image[row * w + column];
                }
            }
        }
        sum
    };
    (0..h * w).map(at).collect()
}

fn with_norm(mut image: Vec<f64>, norm: f64) -> Vec<f64> {
    let factor = norm / dot(&image, &image).sqrt();
    image.iter_mut().for_each(|v| *v *= factor);
    image
}

/// Minus the loss of a linear neuron's image, without the bias.
fn worth(filter: &[f64], gain: f64, smoothness: f64, image: &[f64]) -> f64 {
    let edges = laplacian(image);
    gain * dot(filter, image) - smoothness * dot(&edges, &edges)
}

/// Where the published ascent of a linear neuron comes to rest: the image along which its damped gradient points, among
/// the pixels that the filter sees. It is found by following that gradient in small steps of equal size, without Adam.
fn rest(cell: &Cell, smoothness: f64) -> Vec<f64> {
    let (h, w) = IMAGE;
    let filter = seen(&filters(), cell);
    let (gain, half) = (f64::from(cell.gain), WIDTH / 2);
    let near = |p: usize| p / w <= cell.row + half && p % w <= cell.column + half;
    let after = |p: usize| p / w + half >= cell.row && p % w + half >= cell.column;
    let crop: Vec<usize> = (0..h * w).filter(|&p| near(p) && after(p)).collect();
    let table = preconditioner::convolution(&preconditioner::transfer(h, w));
    let mut image = with_norm(filter.clone(), 12.0);
    for _ in 0..400 {
        let twice = laplacian(&laplacian(&image));
        let gradient = |p: usize| gain * filter[p] - 2.0 * smoothness * twice[p];
        let gradient: Vec<f64> = crop.iter().map(|&p| gradient(p)).collect();
        let mut next = image.clone();
        for &p in &crop {
            let of = |(&q, g): (&usize, &f64)| {
                table[((p / w).abs_diff(q / w), (p % w).abs_diff(q % w))] * g
            };
            next[p] += crop.iter().zip(&gradient).map(of).sum::<f64>();
        }
        image = with_norm(next, 12.0);
    }
    image
}

#[test]
fn a_linear_neuron_likes_its_filter_most_wherever_it_looks() {
    // As far as the recipe lets it: damping and smoothness keep the image from the filter, smoothness the more, the less
    // of the filter a corner leaves. So the corners are held to the recipe's own answer, like all others.
    let f = tempdir().unwrap();
    linear(f.path());
    let neurons = [0, 1, 2, 3, 4, 5];
    for (smoothness, [least_inside, least_cut]) in [
        (Recipe::default().smoothness, [0.94, 0.92]),
        (0.0, [0.965, 0.965]),
    ] {
        let recipe = Recipe {
            smoothness,
            ..few()
        };
        let found = seek(f.path(), &neurons, &recipe);
        for (i, (mei, cell)) in found.found.iter().zip(&CELLS).enumerate() {
            let (best, image) = (seen(&filters(), cell), image(&found, i));
            let scale = 1.5 + 0.25 * i as f64;
            let highest = (12.0 * f64::from(cell.gain) * dot(&best, &best).sqrt() + 0.25) * scale;
            let least = if i < 3 { least_inside } else { least_cut };
            assert!(
                mei.response >= least * highest && mei.response <= highest * (1.0 + 1e-5),
                "{mei:?}, at most {highest}"
            );
            if smoothness > 0.0 {
                assert!(cosine(&best, &image) >= least, "{}", cosine(&best, &image));
            }
            let rest = rest(cell, smoothness);
            let value = |x: &[f64]| worth(&best, f64::from(cell.gain), smoothness, x);
            let (got, wanted) = (value(&image), value(&rest));
            assert!(got >= wanted * (1.0 - 1e-3), "{i}: {got}, at rest {wanted}");
            let alike = cosine(&rest, &image);
            assert!(alike >= 0.995, "{i}: {alike}");
            assert!((mei.norm - 12.0).abs() <= 1e-4, "{mei:?}");
            assert!((dot(&image, &image).sqrt() - 12.0).abs() <= 1e-4);
            assert_eq!(mei.outcome, Outcome::Converged);
            assert!(mei.steps >= 100 && mei.steps < 2000);
        }
        let reported: Vec<f64> = found.found.iter().map(|m| m.response).collect();
        let error = relative(&reported, &predicted(f.path(), &neurons, &found.images));
        assert!(error <= 1e-4, "{error:e}");
    }
}

#[test]
fn without_smoothness_the_image_is_on_the_way_to_the_damped_filter() {
    // The gradient is the same everywhere: the damped filter is where none of it is left across the image. It is not the
    // image of the highest rate, which is kept where the way leads past it.
    let f = tempdir().unwrap();
    linear(f.path());
    let recipe = Recipe {
        smoothness: 0.0,
        whole: true,
        ..few()
    };
    let found = seek(f.path(), &[0, 4], &recipe);
    let (h, w) = IMAGE;
    let table = preconditioner::convolution(&preconditioner::transfer(h, w));
    for (i, cell) in [CELLS[0], CELLS[4]].iter().enumerate() {
        let filter = seen(&filters(), cell);
        let damped: Vec<f64> = (0..h * w)
            .map(|p| {
                let of = |(q, v): (usize, &f64)| {
                    table[((p / w).abs_diff(q / w), (p % w).abs_diff(q % w))] * v
                };
                filter.iter().enumerate().map(of).sum()
            })
            .collect();
        let image = image(&found, i);
        let (to_damped, to_filter) = (cosine(&damped, &image), cosine(&filter, &image));
        assert!(to_damped >= 0.99, "{to_damped}");
        assert!(to_filter >= cosine(&filter, &damped), "{to_filter}");
    }
}

#[test]
fn an_energy_neuron_is_driven_as_by_the_best_of_its_phases() {
    let f = tempdir().unwrap();
    let pair = gabors(&[(FRAC_PI_4, 0.0), (FRAC_PI_4, FRAC_PI_2)]);
    let cells = [cell(0, 12, 15, 1.0), cell(0, 1, 28, 1.0)];
    twin::write_energy(f.path(), &pair, &cells);
    let found = seek(f.path(), &[0, 1], &few());
    for (i, (mei, at)) in found.found.iter().zip(&cells).enumerate() {
        let even = seen(&pair, at);
        let odd = seen(&pair, &Cell { filter: 1, ..*at });
        // |even . x| + |odd . x| is highest along their sum or difference.
        let along = |sign: f64| {
            let sum: Vec<f64> = even.iter().zip(&odd).map(|(e, o)| e + sign * o).collect();
            dot(&sum, &sum).sqrt()
        };
        let highest = 12.0 * along(1.0).max(along(-1.0)) * (1.5 + 0.25 * i as f64);
        assert!(
            mei.response >= 0.95 * highest && mei.response <= highest * (1.0 + 1e-5),
            "{mei:?}, at most {highest}"
        );
    }
}

#[test]
fn the_same_seed_finds_the_same_images_whoever_else_is_asked() {
    let f = tempdir().unwrap();
    twin::write(f.path(), "softplus", &filters(), &CELLS, -0.5);
    let recipe = Recipe {
        steps: 150,
        ..Recipe::default()
    };
    let all = seek(f.path(), &[0, 1, 2, 3, 4, 5], &recipe);
    let again = seek(f.path(), &[0, 1, 2, 3, 4, 5], &recipe);
    assert_eq!((&all.images, &all.found), (&again.images, &again.found));
    for (i, neurons) in [&[4][..], &[5, 1], &[3, 2, 0]].into_iter().enumerate() {
        let few = seek(f.path(), neurons, &recipe);
        for (j, &n) in neurons.iter().enumerate() {
            assert_eq!(few.found[j], all.found[n], "choice {i}");
            let (one, same) = (
                few.images.index_axis(Axis(0), j),
                all.images.index_axis(Axis(0), n),
            );
            assert_eq!(one, same, "choice {i}");
        }
    }
    let other = Recipe { seed: 2, ..recipe };
    assert_ne!(
        seek(f.path(), &[0], &other).images.index_axis(Axis(0), 0),
        all.images.index_axis(Axis(0), 0)
    );
}

#[test]
fn crops_find_what_whole_images_find() {
    let f = tempdir().unwrap();
    twin::write(f.path(), "softplus", &filters(), &CELLS, 0.0);
    let crops = seek(f.path(), &[0, 1, 2, 3, 4, 5], &few());
    let whole = Recipe {
        whole: true,
        ..few()
    };
    let whole = seek(f.path(), &[0, 1, 2, 3, 4, 5], &whole);
    for (i, (crop, whole_image)) in crops.found.iter().zip(&whole.found).enumerate() {
        // Nothing of a crop's norm goes where the neuron does not look.
        let gain = crop.response / whole_image.response;
        assert!((0.999..1.05).contains(&gain), "{crop:?} {whole_image:?}");
        let alike = cosine(&image(&crops, i), &image(&whole, i));
        assert!(alike >= 0.95, "{i}: {alike}");
    }
}

#[test]
fn several_runs_are_excited_by_what_excites_their_mean() {
    let (f, g) = (tempdir().unwrap(), tempdir().unwrap());
    linear(f.path());
    let others = CELLS.map(|c| Cell {
        filter: (c.filter + 1) % 3,
        ..c
    });
    twin::write(g.path(), "linear", &filters(), &others, -0.5);
    let mut members = [
        member(f.path(), &Device::Cpu),
        member(g.path(), &Device::Cpu),
    ];
    let neurons = [0, 3];
    let found = meis(&mut members, &neurons, &few(), &mut Watch::hidden()).unwrap();
    let (first, second) = (
        predicted(f.path(), &neurons, &found.images),
        predicted(g.path(), &neurons, &found.images),
    );
    for (i, &n) in neurons.iter().enumerate() {
        let (a, b) = (seen(&filters(), &CELLS[n]), seen(&filters(), &others[n]));
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let alike = cosine(&sum, &image(&found, i));
        assert!(alike >= 0.93, "{alike}");
        let mean = 0.5 * (first[i] + second[i]);
        assert!((found.found[i].response - mean).abs() <= 1e-4 * mean.abs());
    }
    // Another number of neurons.
    twin::write(g.path(), "linear", &filters(), &others[..5], 0.0);
    members[1] = member(g.path(), &Device::Cpu);
    let refused = meis(&mut members, &[0], &few(), &mut Watch::hidden());
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("5 neurons") && message.contains("6 neurons"),
        "{message}"
    );
}

#[test]
fn a_neuron_that_sees_nothing_has_no_optimum() {
    let f = tempdir().unwrap();
    twin::write(f.path(), "softplus", &filters(), &[cell(0, 3, 3, 0.0)], 1.0);
    let recipe = Recipe {
        steps: 120,
        ..few()
    };
    let found = seek(f.path(), &[0], &recipe);
    assert!(found.found[0].norm.is_nan() && found.found[0].response.is_nan());
    assert!(found.images.iter().all(|z| *z == 0.0));
}

#[test]
fn the_other_recipe_stays_within_what_a_screen_shows() {
    let f = tempdir().unwrap();
    linear(f.path());
    let recipe = Recipe {
        method: Method::Walker,
        starts: 2,
        steps: 300,
        ..Recipe::default()
    };
    let neurons = [0, 5];
    let found = seek(f.path(), &neurons, &recipe);
    for (i, &n) in neurons.iter().enumerate() {
        let (image, filter) = (image(&found, i), seen(&filters(), &CELLS[n]));
        let grey = image.iter().map(|z| 50.0 * z + 110.0);
        assert!(grey.clone().all(|g| (-1e-3..=255.001).contains(&g)));
        let mean = image.iter().sum::<f64>() / image.len() as f64;
        let about: Vec<f64> = image.iter().map(|z| z - mean).collect();
        let alike = cosine(&filter, &about);
        assert!(alike >= 0.6, "{alike}");
        assert_eq!(found.found[i].steps, 300);
        assert_eq!(found.found[i].outcome, Outcome::Converged);
    }
    let reported: Vec<f64> = found.found.iter().map(|m| m.response).collect();
    let error = relative(&reported, &predicted(f.path(), &neurons, &found.images));
    assert!(error <= 1e-4, "{error:e}");
}

#[test]
fn all_starts_are_kept_on_request_and_the_best_is_one_of_them() {
    let f = tempdir().unwrap();
    linear(f.path());
    let recipe = Recipe {
        keep_all: true,
        steps: 60,
        ..few()
    };
    let found = seek(f.path(), &[5, 0], &recipe);
    let all = found.all.unwrap();
    assert_eq!(all.dim(), (2, 3, IMAGE.0, IMAGE.1));
    for (images, best) in all.outer_iter().zip(found.images.outer_iter()) {
        assert!(images.outer_iter().any(|image| image == best));
        for image in images.outer_iter() {
            let norm: f64 = image.iter().map(|v| f64::from(*v).powi(2)).sum();
            assert!((norm.sqrt() - 12.0).abs() <= 1e-4);
        }
        assert_ne!(images.index_axis(Axis(0), 0), images.index_axis(Axis(0), 1));
    }
    assert!(
        found
            .found
            .iter()
            .all(|m| m.outcome == Outcome::OutOfSteps && m.steps == 60)
    );
}

#[test]
fn a_card_climbs_as_the_processor_does() {
    let f = tempdir().unwrap();
    twin::write(f.path(), "softplus", &filters(), &CELLS[2..4], 0.0);
    let recipe = Recipe {
        starts: 1,
        steps: 12,
        ..Recipe::default()
    };
    let wanted = seek(f.path(), &[0, 1], &recipe);
    let device = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
    let mut members = [member(f.path(), &device)];
    let found = meis(&mut members, &[0, 1], &recipe, &mut Watch::hidden()).unwrap();
    for i in 0..2 {
        let error = relative(&image(&found, i), &image(&wanted, i));
        assert!(error <= 1e-3, "{error:e}");
        let (got, wanted) = (found.found[i].response, wanted.found[i].response);
        assert!((got - wanted).abs() <= 1e-4 * wanted);
    }
}

fn goals(targets: &[(usize, f64)]) -> Vec<Goal> {
    let goal = |&(neuron, target): &(usize, f64)| Goal {
        neuron,
        percentile: 50.0,
        target,
    };
    targets.iter().map(goal).collect()
}

#[test]
fn synthesised_images_have_the_rates_they_were_made_for() {
    let f = tempdir().unwrap();
    twin::write(f.path(), "softplus", &filters(), &CELLS, 0.0);
    let wanted = goals(&[
        (0, 0.1),
        (0, 5.0),
        (3, 2.0),
        (4, 0.02),
        (5, 40.0),
        (1, f64::NAN),
        // No response is negative.
        (2, -1.0),
    ]);
    let mut one = member(f.path(), &Device::Cpu);
    let settings = Synthesis {
        steps: 300,
        ..Synthesis::default()
    };
    let found = synthesise(&mut one, &wanted, &settings, &mut Watch::hidden()).unwrap();
    assert_eq!(
        found.converged,
        [true, true, true, true, true, false, false]
    );
    let neurons: Vec<usize> = wanted.iter().map(|g| g.neuron).collect();
    let responses = predicted(f.path(), &neurons, &found.images);
    for (i, goal) in wanted.iter().enumerate().take(5) {
        let scale = 1.5 + 0.25 * goal.neuron as f64;
        let tolerance = 1e-3 * goal.target.max(0.01 * scale);
        assert!(
            (found.responses[i] - goal.target).abs() <= tolerance,
            "{goal:?}"
        );
        assert!(
            (responses[i] - goal.target).abs() <= 1.1 * tolerance,
            "{goal:?}"
        );
    }
    // Noise all over, and its own for each goal.
    let (first, second) = (
        found.images.index_axis(Axis(0), 0),
        found.images.index_axis(Axis(0), 1),
    );
    assert!(first.iter().all(|v| *v != 0.0));
    assert_ne!(first[(23, 29)], second[(23, 29)]);
    // Reported, not hidden.
    assert!(found.responses[5].is_nan());
    assert!(
        found
            .images
            .index_axis(Axis(0), 5)
            .iter()
            .all(|v| *v == 0.0)
    );
    assert!(found.responses[6] >= 0.0 && found.responses[6] < 0.1);
    let error = relative(&found.responses[6..], &responses[6..]);
    assert!(error <= 1e-3, "{error:e}");
}

#[test]
fn a_signal_ends_both() {
    let f = tempdir().unwrap();
    linear(f.path());
    let mut members = [member(f.path(), &Device::Cpu)];
    let stopped = meis(&mut members, &[0], &few(), &mut Watch::stderr(&|| Some(15)));
    assert!(matches!(stopped, Err(Error::Stopped(15))));
    let [mut one] = members;
    let settings = Synthesis::default();
    let wanted = goals(&[(0, 1.0)]);
    let stopped = synthesise(
        &mut one,
        &wanted,
        &settings,
        &mut Watch::stderr(&|| Some(2)),
    );
    assert!(matches!(stopped, Err(Error::Stopped(2))));
}
