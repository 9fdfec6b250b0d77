//! The most exciting image of a cluster.

use super::twin::{self, Cell, gabors, member as asked, seen};
use super::{CELLS, PHASES, TURNS, cell, filters, member, scale, write};
use crate::common::dot;
use std::f64::consts::{FRAC_PI_2, PI, TAU};
use std::path::Path;
use striate::Error;
use striate::device::emulator::{Emulator, Order};
use striate::device::{Device, Precision};
use striate::insilico::Watch;
use striate::insilico::ascent;
use striate::insilico::shared::{Image, Member, Recipe, Shared, meis};
use striate::ops::ascent::Outcome;
use striate::stimuli::Gabor;
use tempfile::tempdir;

fn seek(
    run: &Path,
    members: &[Member],
    gabors: &[Option<Gabor>],
    recipe: &Recipe,
) -> Vec<Option<Shared>> {
    let count = 1 + members.iter().map(|m| m.cluster).max().unwrap();
    let mut clusters = vec![Vec::new(); count];
    members
        .iter()
        .enumerate()
        .for_each(|(i, m)| clusters[m.cluster].push(i));
    let mut model = asked(run, &Device::Cpu).model;
    let none = vec![None; count];
    let gabors = if gabors.is_empty() { &none } else { gabors };
    meis(
        &mut model,
        members,
        &clusters,
        gabors,
        recipe,
        &mut Watch::hidden(),
    )
    .unwrap()
}

/// Degrees between the angles of members and where they are planted, up to one offset and turns by `symmetry`.
pub fn errors(found: &[f64], planted: &[f64], symmetry: f64) -> Vec<f64> {
    let folds = TAU / symmetry;
    let away = |(f, p): (&f64, &f64)| folds * (f - p);
    let all: Vec<f64> = found.iter().zip(planted).map(away).collect();
    let (s, c) = all
        .iter()
        .fold((0.0, 0.0), |(s, c), a| (s + a.sin(), c + a.cos()));
    let mean = f64::atan2(s, c);
    let degrees = |a: &f64| ((a - mean + PI).rem_euclid(TAU) - PI).abs().to_degrees() / folds;
    all.iter().map(degrees).collect()
}

fn angles(shared: &Shared) -> Vec<f64> {
    shared.seen.iter().map(|s| s.0).collect()
}

/// The first eight cells in their two clusters, all of whom say that they lie alike.
fn two() -> Vec<Member> {
    let all = CELLS.iter().enumerate().take(8);
    all.map(|(n, c)| member(n, n / 4, c, 0.0)).collect()
}

#[test]
fn planted_clusters_get_their_best_image_and_their_turns() {
    let f = tempdir().unwrap();
    write(f.path(), "linear");
    let found = seek(f.path(), &two(), &[], &Recipe::default());
    for (k, shared) in found.iter().enumerate() {
        let shared = shared.as_ref().unwrap();
        let cells = &CELLS[4 * k..4 * k + 4];
        // Filters have norm 1: nothing of norm 12 drives them more than they themselves.
        let gain: f64 = cells.iter().map(|c| f64::from(c.gain)).sum();
        let highest = 12.0 * gain / 4.0 + 0.25;
        let mean = shared.seen.iter().map(|s| s.1).sum::<f64>() / 4.0;
        assert!(
            mean >= 0.95 * highest && mean <= 1.02 * highest,
            "{k}: {mean} of {highest}"
        );
        let errors = errors(&angles(shared), &TURNS, TAU);
        assert!(errors.iter().all(|e| *e <= 5.0), "{k}: {errors:?}");
        assert!((shared.norm - 12.0).abs() <= 1e-4);
        let square: f64 = shared.template.iter().map(|v| f64::from(*v).powi(2)).sum();
        assert!((square.sqrt() - 12.0).abs() <= 1e-4);
        assert_eq!(shared.outcome, Outcome::Converged);
        assert!(shared.steps > 5 && shared.steps < 500);
    }
}

#[test]
fn an_energy_cluster_is_driven_as_by_the_best_of_its_phases() {
    let f = tempdir().unwrap();
    let pairs = TURNS.map(|t| [(t, 0.0), (t, FRAC_PI_2)]).concat();
    let filters = gabors(&pairs);
    let cells: Vec<Cell> = CELLS[..4].to_vec();
    twin::write_energy(f.path(), &filters, &cells);
    let members: Vec<Member> = cells
        .iter()
        .enumerate()
        .map(|(n, c)| member(n, 0, c, 0.0))
        .collect();
    let found = seek(f.path(), &members, &[], &Recipe::default());
    let shared = found[0].as_ref().unwrap();
    let mut highest = 0.0;
    for cell in &cells {
        let part = |i: usize| {
            seen(
                &filters,
                &Cell {
                    filter: 2 * cell.filter + i,
                    ..*cell
                },
            )
        };
        let (even, odd) = (part(0), part(1));
        // |even . x| + |odd . x| is highest along their sum or difference.
        let along = |sign: f64| {
            let sum: Vec<f64> = even.iter().zip(&odd).map(|(e, o)| e + sign * o).collect();
            dot(&sum, &sum).sqrt()
        };
        highest += 12.0 * f64::from(cell.gain) * along(1.0).max(along(-1.0)) / 4.0;
    }
    let mean = shared.seen.iter().map(|s| s.1).sum::<f64>() / 4.0;
    assert!(
        mean >= 0.95 * highest && mean <= 1.02 * highest,
        "{mean} of {highest}"
    );
    let errors = errors(&angles(shared), &TURNS, PI);
    assert!(errors.iter().all(|e| *e <= 5.0), "{errors:?}");
}

#[test]
fn what_each_member_says_is_what_the_whole_model_says_alone_or_among_others() {
    let f = tempdir().unwrap();
    write(f.path(), "softplus");
    let all = seek(f.path(), &two(), &[], &few());
    let second: Vec<Member> = two().into_iter().skip(4).collect();
    let alone = seek(f.path(), &second, &[], &few());
    assert_eq!(all[1], alone[1]);
    assert!(alone[0].is_none());
}

fn few() -> Recipe {
    Recipe {
        starts: 2,
        steps: 30,
        ..Recipe::default()
    }
}

#[test]
fn starts_from_gabors_and_own_images_are_taken_and_turn_alike() {
    let f = tempdir().unwrap();
    write(f.path(), "linear");
    let recipe = ascent::Recipe {
        starts: 1,
        steps: 150,
        ..ascent::Recipe::default()
    };
    let rows: Vec<usize> = (0..4).collect();
    let mut one = [asked(f.path(), &Device::Cpu)];
    let own = ascent::meis(&mut one, &rows, &recipe, &mut Watch::hidden()).unwrap();
    let mut members: Vec<Member> = two().into_iter().take(4).collect();
    for (member, (image, mei)) in members
        .iter_mut()
        .zip(own.images.outer_iter().zip(&own.found))
    {
        let image = Some(image.to_owned());
        member.image = Some(Image {
            image,
            response: mei.response,
        });
    }
    let gabor = Gabor {
        x: 0.0,
        y: 0.0,
        size: 8.0,
        frequency: 0.14,
        contrast: 1.0,
        orientation: 0.0,
        phase: PHASES[0],
    };
    for (gabors, starts) in [(vec![Some(gabor)], 1), (Vec::new(), 1)] {
        let recipe = Recipe {
            starts,
            ..Recipe::default()
        };
        let found = seek(f.path(), &members, &gabors, &recipe);
        let shared = found[0].as_ref().unwrap();
        let errors = errors(&angles(shared), &TURNS, TAU);
        assert!(errors.iter().all(|e| *e <= 5.0), "{errors:?}");
        for ((_, rate), (n, mei)) in shared.seen.iter().zip(own.found.iter().enumerate()) {
            let share = rate * scale(n) / mei.response;
            assert!((0.95..1.1).contains(&share), "{n}: {share}");
        }
    }
}

#[test]
fn any_number_of_threads_finds_the_same_bits() {
    let f = tempdir().unwrap();
    write(f.path(), "softplus");
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| seek(f.path(), &two(), &[], &few()))
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn a_card_climbs_as_the_processor_does() {
    let f = tempdir().unwrap();
    write(f.path(), "softplus");
    let members: Vec<Member> = two().into_iter().take(2).collect();
    let recipe = Recipe {
        ranks: 5,
        width: 11,
        starts: 1,
        steps: 4,
        angles: 4,
        ..Recipe::default()
    };
    let wanted = seek(f.path(), &members, &[], &recipe);
    let device = Device::Emulated(Emulator::new(Order::Shuffled, Precision::F32));
    let mut model = asked(f.path(), &device).model;
    let (clusters, watch) = ([vec![0, 1]], &mut Watch::hidden());
    let found = meis(&mut model, &members, &clusters, &[None], &recipe, watch).unwrap();
    let (found, wanted) = (found[0].as_ref().unwrap(), wanted[0].as_ref().unwrap());
    for (a, b) in found.template.iter().zip(&wanted.template) {
        assert!((a - b).abs() <= 1e-3, "{a} {b}");
    }
    for (a, b) in found.seen.iter().zip(&wanted.seen) {
        assert!((a.0 - b.0).abs() <= 1e-3 && (a.1 - b.1).abs() <= 1e-3 * b.1);
    }
}

#[test]
fn where_nothing_is_seen_nothing_is_not_a_number_and_a_signal_ends_it() {
    let f = tempdir().unwrap();
    let blind = [cell(0, 12, 12, 0.0), cell(1, 10, 10, 0.0)];
    twin::write(f.path(), "softplus", &filters(), &blind, 1.0);
    let members: Vec<Member> = blind
        .iter()
        .enumerate()
        .map(|(n, c)| member(n, 0, c, 0.3))
        .collect();
    let found = seek(f.path(), &members, &[], &few());
    let shared = found[0].as_ref().unwrap();
    let numbers = shared.seen.iter().flat_map(|s| [s.0, s.1]);
    assert!(numbers.chain([shared.norm]).all(f64::is_finite));

    let mut model = asked(f.path(), &Device::Cpu).model;
    let (clusters, watch) = ([vec![0, 1]], &mut Watch::stderr(&|| Some(15)));
    let stopped = meis(&mut model, &members, &clusters, &[None], &few(), watch);
    assert!(matches!(stopped, Err(Error::Stopped(15))));
}
