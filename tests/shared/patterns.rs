//! The Gabor and the difference of Gaussians of a cluster, against trying everything.

use super::twin::{IMAGE, member as asked};
use super::{CELLS, PHASES, TURNS, member, write};
use ndarray::Array3;
use std::f64::consts::{PI, TAU};
use std::path::Path;
use striate::device::Device;
use striate::insilico::Watch;
use striate::insilico::search::{Differences, Gabors, Grid};
use striate::insilico::shared::{Member, Patterns, Seat, groups, patterns};
use striate::ops::scan::Places;
use striate::stimuli::{DifferenceOfGaussians, Gabor};
use tempfile::tempdir;

const ANYWHERE: Places = Places {
    row: 0,
    rows: 1,
    column: 0,
    columns: 1,
};

fn few() -> Gabors {
    Gabors {
        sizes: vec![6.0, 8.0, 11.0],
        cycles: vec![0.8, 1.1],
        contrasts: vec![0.5, 1.0],
        orientations: 12,
        phases: 8,
    }
}

/// The first eight cells in their two clusters, with what bounds their rates.
fn members() -> Vec<Member> {
    let all = CELLS.iter().enumerate().take(8);
    all.map(|(n, c)| member(n, n / 4, c, TURNS[n % 4]))
        .collect()
}

const CLUSTERS: [[usize; 4]; 2] = [[0, 1, 2, 3], [4, 5, 6, 7]];

fn seats(highest: &[f64]) -> Vec<Option<Seat>> {
    let seat = |(m, &highest): (Member, &f64)| {
        m.gabor.map(|g| Seat {
            x: g.stimulus.x as f32,
            y: g.stimulus.y as f32,
            orientation: g.stimulus.orientation as f32,
            highest,
        })
    };
    members().into_iter().zip(highest).map(seat).collect()
}

fn found(run: &Path, grid: &Grid, highest: &[f64], bounded: bool, refine: bool) -> Patterns {
    let mut model = asked(run, &Device::Cpu).model;
    let all: Vec<usize> = (0..8).collect();
    let groups = groups(&mut model, &members(), &all, true).unwrap();
    let clusters = CLUSTERS.map(Vec::from);
    let who = (&seats(highest)[..], &clusters[..]);
    let watch = &mut Watch::hidden();
    patterns(&mut model, &groups, who, grid, (refine, bounded), watch).unwrap()
}

/// Normalised rates of the whole model: of each image (n, H, W) those of its neuron.
fn rates(run: &Path, neurons: &[usize], images: &Array3<f32>) -> Vec<f64> {
    let mut model = asked(run, &Device::Cpu).model;
    let rates = model.predictor(0, images.len_of(ndarray::Axis(0))).unwrap();
    let mut rates = rates;
    let rates = rates.rates(images.view()).unwrap();
    let pairs = neurons.iter().enumerate();
    pairs.map(|(i, &n)| f64::from(rates[(i, n)])).collect()
}

fn drawn(stimuli: impl Iterator<Item = ndarray::Array2<f64>>) -> Array3<f32> {
    let all: Vec<_> = stimuli.map(|s| s.mapv(|v| v as f32)).collect();
    let views: Vec<_> = all.iter().map(|z| z.view()).collect();
    ndarray::stack(ndarray::Axis(0), &views).unwrap()
}

#[test]
fn the_best_gabor_of_a_cluster_is_what_trying_all_of_them_finds() {
    let f = tempdir().unwrap();
    write(f.path(), "softplus");
    let settings = few();
    let (neurons, (h, w)): (Vec<usize>, _) = ((0..8).collect(), IMAGE);
    // Every shape at every neuron's place and orientation, both ways round.
    let mut best = [(f64::MIN, [0.0; 4]); 2];
    let mut highest = vec![0.0f64; 8];
    for &size in &settings.sizes {
        for &cycles in &settings.cycles {
            for &contrast in &settings.contrasts {
                for phase in 0..settings.phases {
                    let phase = TAU * phase as f64 / settings.phases as f64;
                    let gabor = |n: usize, turn: f64| Gabor {
                        x: CELLS[n].column as f64,
                        y: CELLS[n].row as f64,
                        size,
                        frequency: cycles / size,
                        contrast,
                        orientation: TURNS[n % 4] + turn,
                        phase,
                    };
                    let shown = |turn| {
                        rates(
                            f.path(),
                            &neurons,
                            &drawn((0..8).map(|n| gabor(n, turn).draw(h, w))),
                        )
                    };
                    let (one, other) = (shown(0.0), shown(PI));
                    let better: Vec<f64> = one.iter().zip(&other).map(|(a, b)| a.max(*b)).collect();
                    for (most, rate) in highest.iter_mut().zip(&better) {
                        *most = most.max(*rate);
                    }
                    for (k, best) in best.iter_mut().enumerate() {
                        let mean = better[4 * k..4 * k + 4].iter().sum::<f64>() / 4.0;
                        if mean > best.0 + 1e-6 {
                            *best = (mean, [size, cycles / size, contrast, phase]);
                        }
                    }
                }
            }
        }
    }
    for bounded in [false, true] {
        let found = found(f.path(), &settings.grid(ANYWHERE), &highest, bounded, false);
        assert!(found.refined.is_none());
        for (k, pattern) in found.grid.iter().enumerate() {
            let pattern = pattern.as_ref().unwrap();
            let mean = pattern.seen.iter().map(|l| f64::from(l.rate)).sum::<f64>() / 4.0;
            let (wanted, shape) = best[k];
            assert!(
                (mean - wanted).abs() <= 1e-4 * wanted,
                "{k}: {mean} {wanted}"
            );
            let got = [2, 3, 4, 6].map(|i| f64::from(pattern.shape[i]));
            for (got, wanted) in got.iter().zip(shape) {
                assert!((got - wanted).abs() <= 1e-5, "{k}: {got} {wanted}");
            }
        }
    }
}

#[test]
fn a_climb_finds_the_planted_phase_and_gains() {
    let f = tempdir().unwrap();
    write(f.path(), "softplus");
    let found = found(f.path(), &few().grid(ANYWHERE), &[f64::NAN; 8], true, true);
    let refined = found.refined.unwrap();
    let phases = PHASES.iter();
    for ((grid, refined), phase) in found.grid.iter().zip(&refined).zip(phases) {
        let (grid, refined) = (grid.as_ref().unwrap(), refined.as_ref().unwrap());
        let mean =
            |p: &striate::insilico::shared::Pattern| p.seen.iter().map(|l| l.rate).sum::<f32>();
        assert!(mean(refined) >= mean(grid));
        // Up to the way round, which all members share.
        let got = f64::from(refined.shape[6]);
        let away = (got.cos() - phase.cos()).abs() + (got.sin().abs() - phase.sin().abs()).abs();
        assert!(away <= 0.15, "{got} {phase}");
        let way = grid.seen[0].reversed;
        assert!(refined.seen.iter().all(|l| l.reversed == way));
        assert!(refined.shape[5] == 0.0 && refined.shape[0] == 0.0);
    }
}

#[test]
fn the_best_difference_of_gaussians_is_what_trying_all_of_them_finds() {
    let f = tempdir().unwrap();
    write(f.path(), "softplus");
    let settings = Differences {
        sigmas: vec![1.5, 2.5],
        ratios: vec![1.6, 3.0],
        contrasts: vec![-1.0, 1.0],
        surround_contrasts: vec![0.0, 0.5, 1.0],
    };
    let grid = settings.grid(ANYWHERE);
    let (neurons, (h, w)): (Vec<usize>, _) = ((0..8).collect(), IMAGE);
    let mut best = [(f64::MIN, 0); 2];
    for (s, shape) in grid.shapes.iter().enumerate() {
        let at = |n: usize| DifferenceOfGaussians {
            x: CELLS[n].column as f64,
            y: CELLS[n].row as f64,
            sigma_centre: f64::from(shape[2]),
            sigma_surround: f64::from(shape[3]),
            contrast: f64::from(shape[4]),
            surround_contrast: f64::from(shape[5]),
        };
        let rates = rates(f.path(), &neurons, &drawn((0..8).map(|n| at(n).draw(h, w))));
        for (k, best) in best.iter_mut().enumerate() {
            let mean = rates[4 * k..4 * k + 4].iter().sum::<f64>() / 4.0;
            if mean > best.0 + 1e-6 {
                *best = (mean, s);
            }
        }
    }
    let found = found(f.path(), &grid, &[f64::NAN; 8], false, false);
    for (k, (pattern, (wanted, shape))) in found.grid.iter().zip(best).enumerate() {
        let pattern = pattern.as_ref().unwrap();
        let mean = pattern.seen.iter().map(|l| f64::from(l.rate)).sum::<f64>() / 4.0;
        assert!((mean - wanted).abs() <= 1e-4 * wanted);
        // To the second cluster's odd filters whatever is round is nothing.
        if k == 0 {
            assert_eq!(pattern.shape, grid.shapes[shape]);
        }
        assert!(
            pattern
                .seen
                .iter()
                .all(|l| l.orientation == 0.0 && !l.reversed)
        );
    }
}
