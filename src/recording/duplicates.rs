//! Cells that were recorded twice: in neighbouring planes of one scan, where a cell is thicker than the planes are apart.
//!
//! Two neurons are one cell where their positions lie within 4 micrometres in x and y in adjacent planes, or are the same,
//! and their responses correlate above 0.8 over the trials that both have (Goettingen 2026). Pairs are joined
//! to groups. The thresholds have not been checked against anatomy: this is a report, nothing is left out.

use super::Recording;
use crate::table::{Column, Table};
use crate::{Error, Result};
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashMap;

/// Column of the group that a neuron belongs to, by its lowest neuron.
pub const DUPLICATE_OF: &str = "duplicate_of";
/// Pairs per neuron that lie close, on average, from which positions are taken for placeholders.
const MOST_PAIRS: usize = 200;

/// What counts as one cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Thresholds {
    /// Largest difference of x, and of y, in micrometres.
    pub distance: f64,
    /// Least correlation of responses.
    pub correlation: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            distance: 4.0,
            correlation: 0.8,
        }
    }
}

/// Who is whose duplicate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Duplicates {
    /// Cells: groups, and neurons that are in none.
    pub distinct_cells: usize,
    /// Groups of two and more.
    pub groups: usize,
    /// Neurons in them.
    pub neurons_in_groups: usize,
    /// Pairs of neurons that lie close enough.
    pub close_pairs: usize,
    /// What counted as one cell.
    pub thresholds: Thresholds,
    /// For every neuron the lowest of its group: itself where it is in none.
    #[serde(skip)]
    pub of: Vec<usize>,
}

/// Where a neuron lies: scan, plane, x, y.
struct Position {
    scan: String,
    plane: i64,
    x: f64,
    y: f64,
}

/// Looks for duplicates; `None` where `neurons.csv` has no columns `x` and `y`.
///
/// The plane is column `plane`, else the rank of `z`, else all are in one; neurons of different `recording`s (a pool)
/// are never one cell. Neurons without a position are in no group.
///
/// # Errors
/// When the positions are so crowded that they cannot be cells'.
pub fn duplicates(recording: &Recording, thresholds: Thresholds) -> Result<Option<Duplicates>> {
    let Some(positions) = recording.neurons.as_ref().and_then(positions) else {
        return Ok(None);
    };
    let pairs = close(&positions, thresholds.distance, &recording.name)?;
    let alike = correlations(recording.responses.view(), &pairs);
    let mut of: Vec<usize> = (0..positions.len()).collect();
    for (&(a, b), correlation) in pairs.iter().zip(alike) {
        if correlation > thresholds.correlation {
            let (a, b) = (root(&of, a), root(&of, b));
            of[a.max(b)] = a.min(b);
        }
    }
    for n in 0..of.len() {
        of[n] = root(&of, n);
    }
    let mut sizes = vec![0; of.len()];
    of.iter().for_each(|&n| sizes[n] += 1);
    Ok(Some(Duplicates {
        distinct_cells: sizes.iter().filter(|s| **s > 0).count(),
        groups: sizes.iter().filter(|s| **s > 1).count(),
        neurons_in_groups: sizes.iter().filter(|s| **s > 1).sum(),
        close_pairs: pairs.len(),
        thresholds,
        of,
    }))
}

/// `neurons.csv` with the column [`DUPLICATE_OF`].
pub fn with_column(neurons: Table, found: &Duplicates) -> Table {
    let of = found.of.iter().map(|&n| n as i64).collect();
    neurons
        .dropped(DUPLICATE_OF)
        .with(DUPLICATE_OF, Column::Integer(of))
}

fn root(of: &[usize], mut n: usize) -> usize {
    while of[n] != n {
        n = of[n];
    }
    n
}

fn positions(neurons: &Table) -> Option<Vec<Option<Position>>> {
    let (x, y) = (neurons.numbers("x")?, neurons.numbers("y")?);
    let plane = match (neurons.numbers("plane"), neurons.numbers("z")) {
        (Some(plane), _) => plane.to_vec(),
        (None, Some(z)) => {
            let mut depths = z.to_vec();
            depths.retain(|d| !d.is_nan());
            depths.sort_unstable_by(f64::total_cmp);
            depths.dedup();
            let rank = |d: &f64| match d.is_nan() {
                true => f64::NAN,
                false => depths.partition_point(|other| other < d) as f64,
            };
            z.iter().map(rank).collect()
        }
        (None, None) => vec![0.0; x.len()],
    };
    let scans = neurons.text("recording");
    let one = |n: usize| {
        let known = x[n].is_finite() && y[n].is_finite() && plane[n].is_finite();
        known.then(|| Position {
            scan: scans.as_ref().map_or(String::new(), |s| s[n].clone()),
            plane: plane[n] as i64,
            x: x[n],
            y: y[n],
        })
    };
    Some((0..x.len()).map(one).collect())
}

/// Pairs of neurons, lower one first, in order, that could be one cell.
fn close(positions: &[Option<Position>], distance: f64, name: &str) -> Result<Vec<(usize, usize)>> {
    // A threshold of 0 leaves the same place in adjacent planes.
    let side = distance.max(1e-3);
    let cell = |p: &Position| ((p.x / side).floor() as i64, (p.y / side).floor() as i64);
    let mut cells: HashMap<(&str, i64, i64, i64), Vec<usize>> = HashMap::new();
    let known = || {
        let all = positions.iter().enumerate();
        all.filter_map(|(n, p)| Some((n, p.as_ref()?)))
    };
    for (n, p) in known() {
        let (column, row) = cell(p);
        cells
            .entry((&p.scan, p.plane, column, row))
            .or_default()
            .push(n);
    }
    let most = MOST_PAIRS * positions.len();
    let mut pairs = Vec::new();
    for (n, p) in known() {
        let (column, row) = cell(p);
        for plane in [p.plane - 1, p.plane, p.plane + 1] {
            for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
                let there = cells.get(&(&*p.scan, plane, column + dx, row + dy));
                for &other in there.into_iter().flatten().filter(|&&other| other > n) {
                    let Some(q) = &positions[other] else { continue };
                    let (dx, dy) = ((p.x - q.x).abs(), (p.y - q.y).abs());
                    let near = match plane == p.plane {
                        true => dx == 0.0 && dy == 0.0,
                        false => dx <= distance && dy <= distance,
                    };
                    if near {
                        pairs.push((n, other));
                    }
                }
            }
        }
        if pairs.len() > most {
            return Err(Error::bad(
                format!("neurons.csv of {name}"),
                "positions x, y",
                format!("more than {most} pairs of neurons that lie within {distance} um"),
                "positions of cells, in micrometres",
            ));
        }
    }
    pairs.sort_unstable();
    Ok(pairs)
}

/// Sums over the trials that both neurons of a pair have.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: f64,
    means: (f64, f64),
    aa: f64,
    bb: f64,
    ab: f64,
}

impl Sums {
    /// Pearson; 0 where a side does not vary.
    fn correlation(&self) -> f64 {
        let rounding = |mean: f64| 1e-14 * mean * mean * self.n;
        let varies = self.aa > rounding(self.means.0) && self.bb > rounding(self.means.1);
        match self.n >= 3.0 && varies {
            true => self.ab / (self.aa * self.bb).sqrt(),
            false => 0.0,
        }
    }
}

/// Of each pair, over the trials that both have. Trials are gone through one by one, so that no neuron's are gathered.
fn correlations(responses: ArrayView2<'_, f32>, pairs: &[(usize, usize)]) -> Vec<f64> {
    let of_chunk = |pairs: &[(usize, usize)]| -> Vec<f64> {
        let mut sums = vec![Sums::default(); pairs.len()];
        let each = |sums: &mut Vec<Sums>, add: fn(&mut Sums, f64, f64)| {
            for trial in responses.axis_iter(Axis(0)) {
                for (sum, &(a, b)) in sums.iter_mut().zip(pairs) {
                    let (a, b) = (f64::from(trial[a]), f64::from(trial[b]));
                    if !(a.is_nan() || b.is_nan()) {
                        add(sum, a, b);
                    }
                }
            }
        };
        each(&mut sums, |s, a, b| {
            s.n += 1.0;
            s.means.0 += a;
            s.means.1 += b;
        });
        for s in &mut sums {
            s.means = (s.means.0 / s.n, s.means.1 / s.n);
        }
        each(&mut sums, |s, a, b| {
            let (a, b) = (a - s.means.0, b - s.means.1);
            s.aa += a * a;
            s.bb += b * b;
            s.ab += a * b;
        });
        sums.iter().map(Sums::correlation).collect()
    };
    pairs.par_chunks(1 << 12).flat_map_iter(of_chunk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Tier, Trial};
    use ndarray::{Array2, Array3};
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    /// Neurons at these places (x, y, z); those with the same letter respond alike.
    fn recording(places: &[(f64, f64, f64, char)]) -> Recording {
        let trials = 200;
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut normal = || -> f32 { StandardNormal.sample(&mut random) };
        let drives: Vec<Vec<f32>> = ('a'..='f')
            .map(|_| (0..trials).map(|_| normal()).collect())
            .collect();
        let responses = Array2::from_shape_fn((trials, places.len()), |(t, n)| {
            1000.0 + drives[places[n].3 as usize - 'a' as usize][t] + 0.2 * normal()
        });
        let column =
            |f: fn(&(f64, f64, f64, char)) -> f64| Column::Number(places.iter().map(f).collect());
        let numbers = (0..places.len() as i64).collect();
        let neurons = Table::new()
            .with("neuron", Column::Integer(numbers))
            .with("x", column(|p| p.0))
            .with("y", column(|p| p.1))
            .with("z", column(|p| p.2));
        let tier = Tier::Train;
        Recording {
            name: "scan".into(),
            images: Array3::zeros((trials, 1, 1)),
            responses,
            trials: (0..trials).map(|image| Trial { image, tier }).collect(),
            neurons: Some(neurons),
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        }
    }

    fn found(recording: &Recording) -> Duplicates {
        duplicates(recording, Thresholds::default())
            .unwrap()
            .unwrap()
    }

    #[test]
    fn a_cell_through_three_planes_is_one_group_under_its_lowest_neuron() {
        let r = recording(&[
            (10.0, 10.0, 300.0, 'b'),
            (50.0, 10.0, 200.0, 'a'),
            (53.0, 13.0, 220.0, 'a'),
            (56.0, 10.0, 300.0, 'a'),
            (90.0, 90.0, 200.0, 'c'),
        ]);
        let found = found(&r);
        assert_eq!(found.of, [0, 1, 1, 1, 4]);
        assert_eq!((found.distinct_cells, found.groups), (3, 1));
        assert_eq!(found.neurons_in_groups, 3);
    }

    #[test]
    fn what_is_far_or_in_the_same_or_a_distant_plane_or_unlike_is_two_cells() {
        let one = (50.0, 10.0, 200.0, 'a');
        let planes = (0.0, 0.0, 220.0, 'f');
        for other in [
            (54.5, 10.0, 220.0, 'a'),
            (50.0, 5.5, 220.0, 'a'),
            (53.0, 10.0, 200.0, 'a'),
            (50.0, 10.0, 300.0, 'a'),
            (50.0, 10.0, 220.0, 'b'),
        ] {
            let found = found(&recording(&[one, other, planes]));
            assert_eq!(found.of, [0, 1, 2], "{other:?}");
        }
        // The same place in one plane is one cell.
        assert_eq!(found(&recording(&[one, one, planes])).of, [0, 0, 2]);
    }

    #[test]
    fn planes_by_name_and_scans_of_a_pool_count() {
        let places = [(50.0, 10.0, 200.0, 'a'), (50.0, 10.0, 220.0, 'a')];
        let mut r = recording(&places);
        let neurons = r.neurons.take().unwrap();
        let plane = |b| neurons.clone().with("plane", Column::Integer(vec![0, b]));
        r.neurons = Some(plane(1));
        assert_eq!(found(&r).distinct_cells, 1);
        r.neurons = Some(plane(2));
        assert_eq!(found(&r).distinct_cells, 2);
        let scans = Column::Text(vec!["m1".into(), "m2".into()]);
        r.neurons = Some(plane(1).with("recording", scans));
        assert_eq!(found(&r).distinct_cells, 2);
        r.neurons = None;
        assert_eq!(duplicates(&r, Thresholds::default()).unwrap(), None);
    }

    #[test]
    fn trials_that_one_of_them_lacks_are_left_out() {
        let mut r = recording(&[(50.0, 10.0, 200.0, 'a'), (50.0, 10.0, 220.0, 'a')]);
        for t in 0..50 {
            r.responses[(t, t % 2)] = f32::NAN;
            r.responses[(t, (t + 1) % 2)] = 1e6;
        }
        assert_eq!(found(&r).distinct_cells, 1);
    }

    #[test]
    fn placeholders_instead_of_positions_are_refused() {
        let places = vec![(0.0, 0.0, 0.0, 'a'); 500];
        let told = duplicates(&recording(&places), Thresholds::default());
        assert!(told.unwrap_err().to_string().contains("positions of cells"));
    }
}
