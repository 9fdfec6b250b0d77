//! Units dropped by chance, by draws that use all their bits.

use super::{Case, Cost, Output};
use striate::ops::dropout::{Shape, apply, draw, reference};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, units, keep) in [(1, 1, 0.5), (3, 300, 0.55), (2, 129, 1.0), (5, 64, 0.01)] {
        for (step, recording, seed) in [(0, 0, 1), (70_000, 3, u64::MAX / 3)] {
            let shape = Shape { batch, units, keep };
            let name = format!("dropout {shape:?} of step {step}, {recording}, {seed}");
            cases.push(Case::new(name, move |on| {
                let n = batch * units;
                let (mut values, mut x) = on.noise_maps(n, 1);
                let drawn = draw(step, recording, seed);
                let by = on.upload(&drawn, &[4]);
                on.pass("apply", Cost::default().maps(on, 2 * n), || {
                    apply(on, &shape, by.view(), values.view_mut());
                });
                on.outputs(|| {
                    reference::apply(&shape, &drawn, &mut x);
                    vec![Output::maps("x", &values, x)]
                })
            }));
        }
    }
    cases
}
