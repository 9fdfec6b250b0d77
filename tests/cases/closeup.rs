//! Images that one neuron sees each.

use super::{Case, Cost, Output, Trial, both, both_maps, empty_maps, filled};
use crate::common::noise;
use striate::ops::closeup::{Shape, backward_input, clear_outside, forward, reference, scale};

pub fn cases() -> Vec<Case> {
    let shape = |batch, inputs, neurons| Shape {
        batch,
        inputs,
        neurons,
        lanes: 1,
    };
    let readouts = [
        shape(1, 1, 1),
        shape(3, 245, 2),
        shape(7, 900, 4),
        shape(2, 4099, 9),
    ];
    let readouts = readouts
        .into_iter()
        .map(|s| Case::new(format!("closeup {s:?}"), move |on| readout(on, &s)));
    let frames = [(1, 1, 1), (3, 5, 9), (2, 31, 17)];
    let frames = frames.map(|size| Case::new(format!("frame {size:?}"), move |on| frame(on, size)));
    readouts.chain(frames).collect()
}

fn seats(batch: usize, neurons: usize) -> Vec<u32> {
    (0..batch).map(|b| ((b * 5 + 1) % neurons) as u32).collect()
}

fn readout(on: &Trial, s: &Shape) -> Vec<Output> {
    let (ax, x) = both_maps(on, &noise(s.batch * s.inputs, 1));
    let (afilters, filters) = both(on, &noise(s.neurons * s.inputs, 2));
    let (abias, bias) = both(on, &noise(s.neurons, 4));
    let (afactors, factors) = both(on, &noise(s.batch, 5));
    let (asource, source) = both(on, &noise(s.batch * s.inputs, 6));
    let mut ascaled = filled(on, f32::NAN, source.len());
    let seats = seats(s.batch, s.neurons);
    let aseats = on.upload(&seats, &[s.batch]);
    let mut ah = filled(on, f32::NAN, s.batch);
    let mut adx = empty_maps(on, x.len());
    let cost = Cost::words(x.len());
    let cost = cost.maps(on, x.len()).products(x.len());
    on.pass("forward", cost, || {
        let (weights, h) = ((afilters.view(), abias.view()), ah.view_mut());
        forward(on, s, ax.view(), aseats.view(), weights, h);
    });
    on.pass("backward input", cost, || {
        let dx = adx.view_mut();
        backward_input(on, s, aseats.view(), afilters.view(), dx);
    });
    on.pass("copy and scale", Cost::words(4 * x.len()), || {
        ascaled.view_mut().copy_from(asource.view());
        scale(on, afactors.view(), ascaled.view_mut());
    });
    let (mut h, mut dx) = (Vec::new(), Vec::new());
    for (b, &seat) in seats.iter().enumerate() {
        let filter = &filters[seat as usize * s.inputs..][..s.inputs];
        let map = &x[b * s.inputs..][..s.inputs];
        h.push(bias[seat as usize] + reference::drive(map, filter));
        dx.extend(filter);
    }
    let factor = |i: usize| factors[i / s.inputs];
    let scaled = source.iter().enumerate().map(|(i, v)| v * factor(i));
    vec![
        Output::new("h", &ah, h),
        Output::maps("dx", &adx, dx),
        Output::new("scaled", &ascaled, scaled.collect()),
    ]
}

fn frame(on: &Trial, (channels, height, width): (usize, usize, usize)) -> Vec<Output> {
    let (h, w) = (height as u32, width as u32);
    // All of it, a part, a corner, nothing.
    let frames = [
        [0, h, 0, w],
        [h / 3, h, 0, w - w / 3],
        [0, 1, w - 1, w],
        [0, 0, 0, 0],
    ];
    let seats = [1, 0, 3, 2, 1];
    let (mut maps, values) = both_maps(on, &noise(seats.len() * channels * height * width, 1));
    let aframes = on.upload(&frames.concat(), &[frames.len(), 4]);
    let aseats = on.upload(&seats, &[seats.len()]);
    let size = (channels, height, width);
    on.pass("clear outside", Cost::words(0).maps(on, maps.len()), || {
        clear_outside(on, size, 1, aseats.view(), aframes.view(), maps.view_mut());
    });
    let mut wanted = values;
    let image = channels * height * width;
    for (map, &seat) in wanted.chunks_exact_mut(image).zip(&seats) {
        for map in map.chunks_exact_mut(height * width) {
            reference::clear_outside(&frames[seat as usize], width, map);
        }
    }
    vec![Output::maps("maps", &maps, wanted)]
}
