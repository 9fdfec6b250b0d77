//! Rows and centres: tails of tiles in rows, centres and width, centres that are rows, centres twice, labels without rows.

use super::{Case, Cost, Output, filled};
use crate::common::{narrow, noise, widen};
use striate::device::{Array, Device};
use striate::ops::nearest::{self, Shape, reference};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, centres, width) in [
        (1, 1, 1),
        (3, 7, 5),
        (64, 64, 16),
        (65, 50, 33),
        (131, 129, 17),
        (25, 3, 128),
        (1030, 9, 4),
    ] {
        let s = Shape {
            rows,
            centres,
            width,
        };
        cases.extend([assign(s), follow(s), distances(s), totals(s)]);
    }
    cases
}

/// Rows, and centres of which the first is the last row and the last is the first again.
fn both(device: &Device, s: &Shape) -> (Array, Vec<f64>, Array, Vec<f64>) {
    let rows = narrow(&noise(s.rows * s.width, 1));
    let mut centres = narrow(&noise(s.centres * s.width, 2));
    centres[..s.width].copy_from_slice(&rows[(s.rows - 1) * s.width..]);
    centres.copy_within(..s.width, (s.centres - 1) * s.width);
    (
        device.upload(&rows, &[s.rows, s.width]),
        widen(&rows),
        device.upload(&centres, &[s.centres, s.width]),
        widen(&centres),
    )
}

/// Whole numbers, exact in float32.
fn numbers(name: &'static str, got: &Array<u32>, wanted: Vec<usize>) -> Output {
    Output {
        name,
        got: got.download().iter().map(|&v| v as f32).collect(),
        wanted: wanted.into_iter().map(|v| v as f64).collect(),
        tensor: false,
        stored: false,
        handed_on: false,
    }
}

fn assign(s: Shape) -> Case {
    Case::new(format!("nearest centres {s:?}"), move |on| {
        let (ax, x, ac, c) = both(on, &s);
        let mut labels = on.upload(&vec![u32::MAX; s.rows], &[s.rows]);
        let mut found = filled(on, f32::NAN, s.rows);
        let cost =
            Cost::words(x.len() + c.len() + 2 * s.rows).products(s.rows * s.centres * s.width);
        on.pass("assign", cost, || {
            let (labels, found) = (labels.view_mut(), found.view_mut());
            nearest::assign(on, &s, ax.view(), ac.view(), labels, found);
        });
        let (wanted_labels, wanted) = reference::assign(&s, &x, &c);
        let last = Output {
            name: "distance of a row to itself",
            got: vec![1.0 + found.download()[s.rows - 1] * 1e30],
            wanted: vec![1.0],
            tensor: false,
            stored: false,
            handed_on: false,
        };
        vec![
            numbers("labels", &labels, wanted_labels),
            Output::new("distances", &found, wanted),
            last,
        ]
    })
}

/// Centres move, less and less, one of them far; every call has the labels of its own centres.
fn follow(s: Shape) -> Case {
    Case::new(format!("nearest centres followed {s:?}"), move |on| {
        let (ax, x, _, mut c) = both(on, &s);
        let mut labels = on.upload(&vec![u32::MAX; s.rows], &[s.rows]);
        let mut memory = nearest::Memory::default();
        let names = ["call 0", "call 1", "call 2", "call 3"];
        let calls = names.into_iter().enumerate();
        calls
            .map(|(call, name)| {
                let step = noise(c.len(), 10 + call as u64);
                for (i, (c, step)) in c.iter_mut().zip(step).enumerate() {
                    let far = if i / s.width == call { 0.5 } else { 0.05 };
                    *c += far * step / (1 + call) as f64;
                }
                let ac = on.upload(&narrow(&c), &[s.centres, s.width]);
                c = widen(&ac.download());
                let cost =
                    Cost::words(x.len() + c.len() + s.rows).products(s.rows * s.centres * s.width);
                on.pass("follow", cost, || {
                    let (rows, centres) = (ax.view(), ac.view());
                    nearest::follow(on, &s, rows, centres, &mut memory, labels.view_mut());
                });
                numbers(name, &labels, reference::assign(&s, &x, &c).0)
            })
            .collect()
    })
}

fn distances(s: Shape) -> Case {
    Case::new(format!("distances {s:?}"), move |on| {
        let (ax, x, ac, c) = both(on, &s);
        let mut norms = filled(on, f32::NAN, s.rows);
        on.pass("norms", Cost::words(x.len() + s.rows), || {
            nearest::norms(on, s.width, ax.view(), norms.view_mut());
        });
        let mut found = filled(on, f32::NAN, s.rows * s.centres);
        let cost = Cost::words(x.len() + c.len() + s.rows * (1 + s.centres))
            .products(s.rows * s.centres * s.width);
        on.pass("distances", cost, || {
            let (norms, to) = (norms.view(), found.view_mut());
            nearest::distances(on, &s, ax.view(), norms, ac.view(), to);
        });
        // Far below what rounding would leave.
        let last = Output {
            name: "distance of a row to itself",
            got: vec![1.0 + found.download()[(s.rows - 1) * s.centres] * 1e30],
            wanted: vec![1.0],
            tensor: false,
            stored: false,
            handed_on: false,
        };
        let squares = |x: &[f64]| x.iter().map(|v| v * v).sum();
        let wanted = x.chunks_exact(s.width).map(squares).collect();
        vec![
            Output::new("norms", &norms, wanted),
            Output::new("distances", &found, reference::distances(&s, &x, &c)),
            last,
        ]
    })
}

/// The last label has no rows where there are others.
fn totals(s: Shape) -> Case {
    Case::new(format!("totals {s:?}"), move |on| {
        let (ax, x, _, _) = both(on, &s);
        let most = s.centres.saturating_sub(1).max(1);
        let labels: Vec<usize> = (0..s.rows).map(|i| i * i % most).collect();
        let given: Vec<u32> = labels.iter().map(|&l| l as u32).collect();
        let given = on.upload(&given, &[s.rows]);
        let mut sums = filled(on, f32::NAN, s.centres * s.width);
        let mut counts = on.upload(&vec![u32::MAX; s.centres], &[s.centres]);
        let cost = Cost::words(x.len() + s.rows + sums.len() + s.centres);
        on.pass("totals", cost, || {
            let (sums, counts) = (sums.view_mut(), counts.view_mut());
            nearest::totals(on, &s, ax.view(), given.view(), sums, counts);
        });
        let (wanted, wanted_counts) = reference::totals(&s, &x, &labels);
        vec![
            Output::new("sums", &sums, wanted),
            numbers("counts", &counts, wanted_counts),
        ]
    })
}
