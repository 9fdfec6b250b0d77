//! Images that one neuron sees each.

use super::{Case, Cost, Output, Trial, both, filled};
use crate::common::noise;
use striate::ops::closeup::{Shape, backward_input, clear_outside, forward, reference};

pub fn cases() -> Vec<Case> {
    let shape = |batch, inputs, neurons| Shape {
        batch,
        inputs,
        neurons,
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
    let (ax, x) = both(on, &noise(s.batch * s.inputs, 1));
    let (afilters, filters) = both(on, &noise(s.neurons * s.inputs, 2));
    let (abias, bias) = both(on, &noise(s.neurons, 4));
    let (adh, dh) = both(on, &noise(s.batch, 5));
    let seats = seats(s.batch, s.neurons);
    let aseats = on.upload(&seats, &[s.batch]);
    let mut ah = filled(on, f32::NAN, s.batch);
    let mut adx = filled(on, f32::NAN, x.len());
    let cost = Cost::words(2 * x.len()).products(x.len());
    on.pass("forward", cost, || {
        let (weights, h) = ((afilters.view(), abias.view()), ah.view_mut());
        forward(on, s, ax.view(), aseats.view(), weights, h);
    });
    on.pass("backward input", cost, || {
        let dx = adx.view_mut();
        backward_input(on, s, aseats.view(), afilters.view(), adh.view(), dx);
    });
    let (mut h, mut dx) = (Vec::new(), vec![0.0; x.len()]);
    for (b, &seat) in seats.iter().enumerate() {
        let filter = &filters[seat as usize * s.inputs..][..s.inputs];
        let map = b * s.inputs..(b + 1) * s.inputs;
        h.push(bias[seat as usize] + reference::drive(&x[map.clone()], filter));
        reference::gradient(dh[b], filter, &mut dx[map]);
    }
    vec![Output::new("h", &ah, h), Output::new("dx", &adx, dx)]
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
    let (mut maps, values) = both(on, &noise(seats.len() * channels * height * width, 1));
    let aframes = on.upload(&frames.concat(), &[frames.len(), 4]);
    let aseats = on.upload(&seats, &[seats.len()]);
    let size = (channels, height, width);
    on.pass("clear outside", Cost::words(maps.len()), || {
        clear_outside(on, size, aseats.view(), aframes.view(), maps.view_mut());
    });
    let mut wanted = values;
    let image = channels * height * width;
    for (map, &seat) in wanted.chunks_exact_mut(image).zip(&seats) {
        for map in map.chunks_exact_mut(height * width) {
            reference::clear_outside(&frames[seat as usize], width, map);
        }
    }
    vec![Output::new("maps", &maps, wanted)]
}
