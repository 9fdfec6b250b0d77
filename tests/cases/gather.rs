//! Rows picked out, by a list and by a line of a table; the counter that chooses the line.

use super::{Case, Cost, Output, both, filled};
use crate::common::noise;
use striate::ops::{gather, schedule};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for width in [1, 5, 64, 2049, 4100] {
        cases.push(rows(width, 0));
        cases.push(scheduled_rows(width));
    }
    // Rows that begin off the 16 bytes.
    cases.push(rows(64, 3));
    cases
}

const ROWS: [u32; 6] = [8, 0, 3, 3, 7, 1];

fn picked(values: &[f64], width: usize, rows: &[u32]) -> Vec<f64> {
    let row = |&r: &u32| values[r as usize * width..][..width].to_vec();
    rows.iter().flat_map(row).collect()
}

fn rows(width: usize, start: usize) -> Case {
    Case::new(format!("gather rows of {width} from {start}"), move |on| {
        let (source, values) = both(on, &noise(start + 9 * width, 1));
        let from = source.slice(start..source.len());
        let rows = on.upload(&ROWS, &[ROWS.len()]);
        let mut out = filled(on, f32::NAN, ROWS.len() * width);
        let cost = Cost::words(2 * out.len());
        on.pass("rows", cost, || {
            gather::rows(on, width, from, rows.view(), out.view_mut());
        });
        let wanted = picked(&values[start..], width, &ROWS);
        vec![Output::new("rows", &out, wanted)]
    })
}

/// A table of three steps of two rows.
fn scheduled_rows(width: usize) -> Case {
    Case::new(format!("gather scheduled rows of {width}"), move |on| {
        let (source, values) = both(on, &noise(9 * width, 1));
        let rows = on.upload(&ROWS, &[3, 2]);
        let mut step = on.zeros::<u32>(&[1]);
        let names = ["step 0", "step 1", "step 2"];
        let steps = names.iter().zip(ROWS.chunks_exact(2));
        steps
            .map(|(name, wanted)| {
                let mut out = filled(on, f32::NAN, 2 * width);
                let (from, table) = (source.view(), rows.view());
                on.pass("scheduled rows", Cost::words(4 * width), || {
                    let (step, out) = (step.view(), out.view_mut());
                    gather::scheduled_rows(on, width, from, table, step, out);
                });
                schedule::advance(on, step.view_mut());
                Output::new(name, &out, picked(&values, width, wanted))
            })
            .collect()
    })
}
