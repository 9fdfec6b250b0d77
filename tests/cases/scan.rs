//! Masks moved over canvases: windows that reach over the places and windows that do not, lists longer than a block holds.

use super::{Case, Cost, Output, Trial, both_maps, filled};
use crate::common::{narrow, noise};
use striate::ops::scan::{Masks, Places, Window, best, reference};

pub fn cases() -> Vec<Case> {
    let window = |top, left, height, width| Window {
        top,
        left,
        height,
        width,
    };
    let places = |row, rows, column, columns| Places {
        row,
        rows,
        column,
        columns,
    };
    [
        (window(0, 0, 1, 1), places(0, 1, 0, 1), (1, 1)),
        (window(-3, -4, 7, 9), places(0, 6, 0, 8), (6, 8)),
        (window(-2, -9, 9, 4), places(-1, 7, 2, 37), (5, 9)),
        (window(-30, -41, 50, 70), places(3, 11, 7, 13), (24, 33)),
    ]
    .into_iter()
    .map(|(window, places, map)| {
        Case::new(format!("scan {window:?} {places:?}"), move |on| {
            run(on, &window, &places, map)
        })
    })
    .collect()
}

fn run(
    on: &Trial,
    window: &Window,
    places: &Places,
    (height, width): (usize, usize),
) -> Vec<Output> {
    const BATCH: usize = 2;
    const NEURONS: usize = 3;
    // Every pixel, some, one.
    let lists: Vec<Vec<((usize, usize), f32)>> = (0..NEURONS)
        .map(|n| {
            let weights = narrow(&noise(height * width, 7 + n as u64));
            let step = [1, 3, height * width][n];
            let all = weights.into_iter().enumerate().step_by(step);
            all.map(|(p, m)| ((p / width, p % width), m)).collect()
        })
        .collect();
    let size = window.height * window.width;
    let (ag, g) = both_maps(on, &noise(BATCH * NEURONS * size, 1));
    let blank = narrow(&noise(NEURONS, 2));
    let masks = Masks::new(on, &lists, &blank);
    let mut values = filled(on, f32::NAN, BATCH * NEURONS);
    let mut at = on.zeros::<u32>(&[BATCH * NEURONS]);
    let entries: usize = lists.iter().map(Vec::len).sum();
    let cost = Cost::words(2 * entries)
        .maps(on, g.len())
        .products(BATCH * entries * places.count());
    on.pass("best", cost, || {
        let to = values.view_mut();
        best(on, (window, places), &masks, ag.view(), to, at.view_mut());
    });
    let (mut wanted, mut wanted_at) = (Vec::new(), Vec::new());
    for (i, g) in g.chunks_exact(size).enumerate() {
        let n = i % NEURONS;
        let list = lists[n].iter().map(|&(p, m)| (p, f64::from(m)));
        let list: Vec<_> = list.collect();
        let all = reference::responses(window, places, &list, g, f64::from(blank[n]));
        let (value, place) = reference::best(&all);
        wanted.push(value);
        wanted_at.push(place as f64);
    }
    let places = Output {
        got: at.download().iter().map(|&p| p as f32).collect(),
        wanted: wanted_at,
        ..Output::new("places", &values, Vec::new())
    };
    vec![Output::new("values", &values, wanted), places]
}
