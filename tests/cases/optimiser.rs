//! Steps of Adam and of gradient descent with rates from a table.

use super::{Case, Output, both, filled};
use crate::common::noise;
use striate::ops::{optimiser, schedule};

const STEPS: u64 = 4;

pub fn cases() -> Vec<Case> {
    // Tails, and more than two of the chunks that a CPU's threads take.
    let sizes = [1, 2, 5, 1023, 40_003];
    let both = |n| [adam(n, 0), sgd(n)];
    let mut cases: Vec<Case> = sizes.into_iter().flat_map(both).collect();
    // Gradients that begin between two pairs.
    cases.push(adam(300, 1));
    cases
}

fn adam(n: usize, start: usize) -> Case {
    Case::new(format!("adam on {n} from {start}"), move |device| {
        let (mut values, mut v) = both(device, &noise(n, 1));
        let (mut first, mut m) = (filled(device, 0.0, n), vec![0.0; n]);
        let (mut second, mut s) = (filled(device, 0.0, n), vec![0.0; n]);
        let rates: Vec<f32> = (1..=STEPS).map(|t| optimiser::adam_rate(0.01, t)).collect();
        let rates = device.upload(&rates, &[rates.len()]);
        let mut step = device.zeros::<u32>(&[1]);
        for t in 1..=STEPS {
            let (gradients, g) = both(device, &noise(start + n, 10 + t));
            let moments = (first.view_mut(), second.view_mut());
            let rate = (rates.view(), step.view());
            let gradients = gradients.slice(start..start + n);
            optimiser::adam(device, rate, values.view_mut(), gradients, moments);
            schedule::advance(device, step.view_mut());
            optimiser::reference::adam(0.01, t, &mut v, &g[start..], &mut m, &mut s);
        }
        vec![
            Output::new("values", &values, v),
            Output::new("first", &first, m),
            Output::new("second", &second, s),
        ]
    })
}

fn sgd(n: usize) -> Case {
    Case::new(format!("descent on {n}"), move |device| {
        let (mut values, v) = both(device, &noise(n, 1));
        let (gradients, g) = both(device, &noise(n, 2));
        let (rates, rate) = both(device, &[0.3, 0.05, 0.7]);
        let step = device.upload(&[1u32], &[1]);
        let table = (rates.view(), step.view());
        optimiser::sgd(device, table, values.view_mut(), gradients.view());
        let wanted = v.iter().zip(&g).map(|(v, g)| v - rate[1] * g).collect();
        vec![Output::new("values", &values, wanted)]
    })
}
