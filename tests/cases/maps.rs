//! Between float32 and maps as they are stored: whole words and halves of one, more than a block.

use super::{Case, Cost, Output, both, both_maps, empty_maps, filled};
use crate::common::noise;
use striate::ops::maps::{load, store};

pub fn cases() -> Vec<Case> {
    [1, 2, 37, 256, 1001].map(case).into()
}

fn case(n: usize) -> Case {
    Case::new(format!("maps of {n}"), move |on| {
        let (from, values) = both(on, &noise(n, 1));
        let (stored, held) = both_maps(on, &noise(n, 2));
        let (mut to, mut loaded) = (empty_maps(on, n), filled(on, f32::NAN, n));
        let cost = Cost::words(n).maps(on, n);
        on.pass("store", cost, || store(on, from.view(), to.view_mut()));
        on.pass("load", cost, || load(on, stored.view(), loaded.view_mut()));
        vec![
            Output::maps("stored", &to, values),
            Output::new("loaded", &loaded, held),
        ]
    })
}
