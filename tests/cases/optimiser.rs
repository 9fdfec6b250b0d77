//! Steps of Adam and of gradient descent with rates from a table.

use super::{Case, Cost, Output, both, filled};
use striate::ops::{optimiser, schedule};

const STEPS: u64 = 4;

pub fn cases() -> Vec<Case> {
    // Tails, and more than two of the chunks that a CPU's threads take.
    let sizes = [1, 2, 5, 1023, 40_003];
    let both = |n| [adam(n, 0), sgd(n)];
    let mut cases: Vec<Case> = sizes.into_iter().flat_map(both).collect();
    // Gradients that begin between two pairs.
    cases.push(adam(300, 1));
    cases.extend([(1, 1, 3), (3, 64, 2), (2, 5, 301)].map(adam_by_group));
    cases
}

/// Groups that take turns, pieces of each, and rounds.
fn adam_by_group((groups, run, rounds): (usize, usize, usize)) -> Case {
    let name = format!("adam on {groups} groups, {run} at a time, {rounds} times");
    Case::new(name, move |on| {
        let n = groups * run * rounds;
        let (mut values, mut v) = on.noise(n, 1);
        let (gradients, g) = on.noise(n, 2);
        let (mut first, mut second) = (filled(on, 0.0, n), filled(on, 0.0, n));
        // Another step's rates, then this one's.
        let rate = |row: usize, group: usize| 0.01 * (1.0 + 3.0 * row as f64 + group as f64);
        let table: Vec<f32> = (0..2 * groups)
            .map(|i| optimiser::adam_rate(rate(i / groups, i % groups), 1))
            .collect();
        let rates = on.upload(&table, &[table.len()]);
        let step = on.upload(&[1u32], &[1]);
        on.pass("step", Cost::words(7 * n), || {
            optimiser::adam_by_group(
                on,
                (rates.view(), step.view()),
                (groups, run),
                values.view_mut(),
                gradients.view(),
                (first.view_mut(), second.view_mut()),
            );
        });
        on.outputs(|| {
            let (mut m, mut s) = (vec![0.0; n], vec![0.0; n]);
            for (i, g) in g.iter().enumerate() {
                let (own, at) = (rate(1, i / run % groups), i..i + 1);
                let (v, m, s) = (&mut v[at.clone()], &mut m[at.clone()], &mut s[at]);
                optimiser::reference::adam(own, 1, v, &[*g], m, s);
            }
            vec![
                Output::new("values", &values, v),
                Output::new("first", &first, m),
                Output::new("second", &second, s),
            ]
        })
    })
}

pub fn adam(n: usize, start: usize) -> Case {
    Case::new(format!("adam on {n} from {start}"), move |on| {
        let (mut values, mut v) = on.noise(n, 1);
        let (mut first, mut second) = (filled(on, 0.0, n), filled(on, 0.0, n));
        let rates: Vec<f32> = (1..=STEPS).map(|t| optimiser::adam_rate(0.01, t)).collect();
        let rates = on.upload(&rates, &[rates.len()]);
        let mut step = on.zeros::<u32>(&[1]);
        let mut of_steps = Vec::new();
        for t in 1..=STEPS {
            let (gradients, g) = on.noise(start + n, 10 + t);
            of_steps.push(g);
            on.pass("step", Cost::words(7 * n), || {
                let moments = (first.view_mut(), second.view_mut());
                let rate = (rates.view(), step.view());
                let gradients = gradients.slice(start..start + n);
                optimiser::adam(on, rate, values.view_mut(), gradients, moments);
            });
            schedule::advance(on, step.view_mut());
        }
        on.outputs(|| {
            let (mut m, mut s) = (vec![0.0; n], vec![0.0; n]);
            for (t, g) in (1..).zip(of_steps) {
                optimiser::reference::adam(0.01, t, &mut v, &g[start..], &mut m, &mut s);
            }
            vec![
                Output::new("values", &values, v),
                Output::new("first", &first, m),
                Output::new("second", &second, s),
            ]
        })
    })
}

fn sgd(n: usize) -> Case {
    Case::new(format!("descent on {n}"), move |on| {
        let (mut values, v) = on.noise(n, 1);
        let (gradients, g) = on.noise(n, 2);
        let (rates, rate) = both(on, &[0.3, 0.05, 0.7]);
        let step = on.upload(&[1u32], &[1]);
        on.pass("step", Cost::words(3 * n), || {
            let table = (rates.view(), step.view());
            optimiser::sgd(on, table, values.view_mut(), gradients.view());
        });
        on.outputs(|| {
            let wanted = v.iter().zip(&g).map(|(v, g)| v - rate[1] * g).collect();
            vec![Output::new("values", &values, wanted)]
        })
    })
}
