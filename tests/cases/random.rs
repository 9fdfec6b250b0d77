//! Normal numbers of a counter: those of one step, whatever the table of numbers holds before and after.

use super::{Case, Cost, Output, filled};
use striate::ops::random::{key, normal_pairs, reference};

pub fn cases() -> Vec<Case> {
    [(1, 1), (3, 5), (7, 131)]
        .into_iter()
        .flat_map(|sizes| [(1, 0), (0xfeed_0000_0001, 3)].map(|of| case(sizes, of)))
        .collect()
}

fn case((rows, items): (usize, usize), (seed, stream): (u64, u32)) -> Case {
    let name = format!("normal numbers {rows} x {items}, seed {seed}, stream {stream}");
    Case::new(name, move |on| {
        let numbers = on.upload(&[4u32, 9, 1 << 31], &[3]);
        let own = key(on, seed, stream);
        let draw = |line: u32| {
            let step = on.upload(&[line], &[1]);
            let mut out = filled(on, f32::NAN, 2 * rows * items);
            on.pass("normal numbers", Cost::words(out.len()), || {
                let counter = (numbers.view(), step.view());
                normal_pairs(on, (rows, items), own.view(), counter, out.view_mut());
            });
            out
        };
        let (second, third) = (draw(1), draw(2));
        on.outputs(|| {
            let wanted = |number: u32| -> Vec<f64> {
                let counters = (0..rows as u32)
                    .flat_map(|row| (0..items as u32).map(move |i| [i, row, number, stream]));
                let words = [seed as u32, (seed >> 32) as u32];
                let pairs = counters.map(|c| reference::normal_pair::<f64>(c, words));
                pairs.flatten().collect()
            };
            vec![
                Output::new("second line", &second, wanted(9)),
                Output::new("third line", &third, wanted(1 << 31)),
            ]
        })
    })
}
