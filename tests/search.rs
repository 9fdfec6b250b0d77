//! The search for optimal stimuli finds what trying every stimulus on every image finds, and climbs from there.

mod common;
#[path = "common/masked.rs"]
mod masked;

use masked::{IMAGE, SEEN, model};
use ndarray::Array3;
use striate::device::emulator::{Emulator, Order};
use striate::device::{Device, Precision};
use striate::insilico::search::{Differences, Gabors, Grid, Optimum, refine, search};
use striate::insilico::{Watch, optima, show};
use striate::model::Model;
use striate::ops::activation::Output;
use striate::ops::scan::Places;
use striate::stimuli::Canvas;

const ALL: [usize; 5] = [0, 1, 2, 3, 4];

fn gabors(places: Places) -> Grid {
    let grid = Gabors {
        sizes: vec![5.0, 8.0],
        cycles: vec![1.2],
        contrasts: vec![0.3],
        orientations: 3,
        phases: 2,
    };
    grid.grid(places)
}

fn differences(places: Places) -> Grid {
    let grid = Differences {
        sigmas: vec![1.0, 1.8],
        ratios: vec![1.5],
        contrasts: vec![0.3, -0.3],
        surround_contrasts: vec![0.0, 1.0],
    };
    grid.grid(places)
}

const EVERYWHERE: Places = Places {
    row: 0,
    rows: IMAGE.0,
    column: 0,
    columns: IMAGE.1,
};

/// Images of all stimuli of a grid, places first.
fn images(device: &Device, grid: &Grid) -> Array3<f32> {
    let pairs = (0..grid.places.count()).flat_map(|p| (0..grid.shapes.len()).map(move |s| (s, p)));
    let stimuli: Vec<f32> = pairs.flat_map(|(s, p)| grid.stimulus(s, p)).collect();
    let canvas = Canvas {
        count: grid.len(),
        height: IMAGE.0,
        width: IMAGE.1,
    };
    let n = grid.family.parameters();
    let parameters = device.upload(&stimuli, &[grid.len(), n]);
    let mut images = device.zeros(&[grid.len(), IMAGE.0, IMAGE.1]);
    grid.family
        .draw(device, &canvas, parameters.view(), images.view_mut());
    Array3::from_shape_vec((grid.len(), IMAGE.0, IMAGE.1), images.download()).unwrap()
}

fn found(model: &mut Model, grid: &Grid) -> (Vec<Optimum>, Vec<Optimum>) {
    let groups = show::exact(model, 0, &ALL).unwrap();
    let watch = &mut Watch::hidden();
    let best = search(model, 0, &ALL, &groups, grid, watch).unwrap();
    let refined = refine(model, &groups, grid, &best, watch).unwrap();
    (best, refined)
}

fn check(kind: &str, padding: &str, grid: &Grid) {
    for exhaustive in [false, true] {
        let grid = Grid {
            exhaustive,
            ..grid.clone()
        };
        check_one(kind, padding, &grid);
    }
}

fn check_one(kind: &str, padding: &str, grid: &Grid) {
    let mut model = model(&Device::Cpu, kind, padding);
    // Random twins drive some neurons far below what softplus tells apart.
    model.config.readout.output = Output::Linear;
    let (best, refined) = found(&mut model, grid);
    let rates = model.rates(0, images(&Device::Cpu, grid).view()).unwrap();
    for n in ALL {
        let (mut most, mut least, mut at) = (f32::NEG_INFINITY, f32::INFINITY, 0);
        for (i, &rate) in rates.column(n).iter().enumerate() {
            least = least.min(rate);
            if rate > most {
                (most, at) = (rate, i);
            }
        }
        let (place, shape) = (at / grid.shapes.len(), at % grid.shapes.len());
        let what = format!(
            "{kind} {padding} {:?} exhaustive {} neuron {n} {:?}",
            grid.family, grid.exhaustive, SEEN[n]
        );
        // A mask all over a padded map: its estimates are coarse where the core reaches over the border.
        if n == 4 && padding == "same" && !grid.exhaustive {
            let lost = (most - best[n].answer.rate) / (most - least);
            assert!(lost <= 0.025, "{what}: {lost} of the range lost");
            continue;
        }
        let close = (best[n].answer.rate - most).abs() <= 1e-5 * most.abs();
        assert!(close, "{what}: {:?}, wanted {most}", best[n].answer);
        assert_eq!(best[n].stimulus, grid.stimulus(shape, place), "{what}");
        let gain = refined[n].answer.rate - best[n].answer.rate;
        assert!(
            gain >= -1e-5 * most.abs(),
            "{what}: refinement loses {gain}"
        );
    }
}

#[test]
fn the_best_of_a_grid_is_found() {
    for padding in ["same", "valid"] {
        check("rotation-equivariant", padding, &gabors(EVERYWHERE));
        check("convolutional", padding, &differences(EVERYWHERE));
    }
}

#[test]
fn and_among_a_few_places() {
    let places = Places {
        row: 7,
        rows: 4,
        column: 3,
        columns: 12,
    };
    check("convolutional", "same", &gabors(places));
}

#[test]
fn the_kernels_find_the_same() {
    let places = Places {
        row: 8,
        rows: 3,
        column: 9,
        columns: 4,
    };
    let grid = gabors(places);
    let device = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
    let mut on_kernels = model(&device, "convolutional", "same");
    let mut on_cpu = model(&Device::Cpu, "convolutional", "same");
    let groups = show::exact(&mut on_kernels, 0, &[1]).unwrap();
    let watch = &mut Watch::hidden();
    let emulated = search(&mut on_kernels, 0, &[1], &groups, &grid, watch).unwrap();
    let groups = show::exact(&mut on_cpu, 0, &[1]).unwrap();
    let plain = search(&mut on_cpu, 0, &[1], &groups, &grid, watch).unwrap();
    assert_eq!(emulated[0].stimulus, plain[0].stimulus);
    device.check().unwrap();
}

#[test]
fn a_neuron_without_a_finite_answer_has_an_empty_row() {
    let mut model = model(&Device::Cpu, "convolutional", "same");
    let bias = model.readouts[0].bias;
    model.params.view_mut(bias).fill_from(&[f32::NAN; 5]);
    let places = Places {
        row: 8,
        rows: 3,
        column: 9,
        columns: 4,
    };
    let watch = &mut Watch::hidden();
    let table = optima::table(&mut model, 0, &[1, 2], &gabors(places), true, watch).unwrap();
    for name in ["x", "response", "refined_size", "refined_response"] {
        let values = table.numbers(name).unwrap();
        assert!(values.iter().all(|v| v.is_nan()), "{name}: {values:?}");
    }
}
