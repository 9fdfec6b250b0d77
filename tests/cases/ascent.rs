//! Ascent on images: norm, smoothness, frequency factor, the course of losses, and steps that stop where they must.

use super::{Case, Cost, Output, both, filled};
use crate::common::{noise, widen};
use striate::device::{Array, Device};
use striate::ops::ascent::{self, AVERAGES, Aim, COUNTERS, Follow, Patience, Shape, reference};
use striate::ops::optimiser::adam_rate;

const SIZES: [(usize, usize, usize); 6] = [
    (1, 1, 1),
    (3, 2, 5),
    (2, 9, 7),
    (9, 12, 11),
    (1, 1, 300),
    (17, 21, 25),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, height, width) in SIZES {
        let shape = Shape {
            batch,
            height,
            width,
        };
        cases.extend([
            constrain(shape),
            smooth(shape),
            add(shape),
            precondition(shape),
            track(shape),
            advance(shape),
            aim(shape),
            walk(shape),
        ]);
    }
    cases
}

/// Crops inside of their image, over each of its borders, and larger than it.
fn frames(shape: &Shape) -> Vec<u32> {
    let (h, w) = (shape.height as i64, shape.width as i64);
    let places = [
        ((5, 5), (h + 20, w + 20)),
        ((-1, 2), (h + 20, w + 20)),
        ((3, -2), (h + 4, w - 1)),
        ((1, 0), (h, w)),
        ((0, 0), (h, w)),
        ((0, 1), (h + 1, w + 1)),
    ];
    (0..shape.batch)
        .flat_map(|b| {
            let (origin, (rows, columns)) = places[b % places.len()];
            let image = (rows.max(1) as usize, columns.max(1) as usize);
            ascent::frame((shape.height, shape.width), origin, image)
        })
        .collect()
}

fn of<'a, T>(values: &'a [T], b: usize, shape: &Shape) -> &'a [T] {
    &values[b * shape.pixels()..][..shape.pixels()]
}

fn of_mut<'a, T>(values: &'a mut [T], b: usize, shape: &Shape) -> &'a mut [T] {
    &mut values[b * shape.pixels()..][..shape.pixels()]
}

fn constrain(shape: Shape) -> Case {
    Case::new(format!("ascent constrain {shape:?}"), move |on| {
        let mut z = noise(shape.len(), 1);
        if shape.batch > 2 {
            of_mut(&mut z, 1, &shape).fill(0.0);
        }
        let (az, z) = both(on, &z);
        let mut ax = filled(on, f32::NAN, shape.len());
        let mut alengths = filled(on, f32::NAN, shape.batch);
        on.pass("constrain", Cost::words(2 * shape.len()), || {
            ascent::constrain(
                on,
                &shape,
                12.0,
                az.view(),
                ax.view_mut(),
                alengths.view_mut(),
            );
        });
        let mut x = vec![f64::NAN; shape.len()];
        let lengths = (0..shape.batch)
            .map(|b| reference::constrain(12.0, of(&z, b, &shape), of_mut(&mut x, b, &shape)))
            .collect();
        vec![
            Output::new("x", &ax, x),
            Output::new("lengths", &alengths, lengths),
        ]
    })
}

fn smooth(shape: Shape) -> Case {
    Case::new(format!("ascent smoothness {shape:?}"), move |on| {
        let (ax, x) = both(on, &noise(shape.len(), 1));
        let frames = frames(&shape);
        let aframes = on.upload(&frames, &[frames.len()]);
        let mut agradient = filled(on, f32::NAN, shape.len());
        let mut avalues = filled(on, f32::NAN, shape.batch);
        on.pass("smooth", Cost::words(2 * shape.len()), || {
            ascent::smooth(
                on,
                &shape,
                0.3,
                aframes.view(),
                ax.view(),
                (agradient.view_mut(), avalues.view_mut()),
            );
        });
        let mut gradient = vec![f64::NAN; shape.len()];
        let size = (shape.height, shape.width);
        let values = (0..shape.batch)
            .map(|b| {
                let (x, g) = (of(&x, b, &shape), of_mut(&mut gradient, b, &shape));
                reference::smooth(size, &frames[4 * b..][..4], 0.3, x, g)
            })
            .collect();
        vec![
            Output::new("gradient", &agradient, gradient),
            Output::new("values", &avalues, values),
        ]
    })
}

fn add(shape: Shape) -> Case {
    Case::new(format!("ascent add {shape:?}"), move |on| {
        let (scales, s) = both(on, &noise(shape.batch, 1));
        let (source, x) = both(on, &noise(shape.len(), 2));
        let (mut out, mut y) = both(on, &noise(shape.len(), 3));
        on.pass("add", Cost::words(3 * shape.len()), || {
            ascent::add(on, -2.0, scales.view(), source.view(), out.view_mut());
        });
        for (i, y) in y.iter_mut().enumerate() {
            *y -= 2.0 * s[i / shape.pixels()] * x[i];
        }
        vec![Output::new("sum", &out, y)]
    })
}

fn precondition(shape: Shape) -> Case {
    Case::new(format!("ascent precondition {shape:?}"), move |on| {
        let (table, t) = both(on, &noise(shape.pixels(), 1));
        let (gradient, g) = both(on, &noise(shape.len(), 2));
        let mut out = filled(on, f32::NAN, shape.len());
        on.pass(
            "precondition",
            Cost::words(2 * shape.len()).products(shape.len() * shape.pixels()),
            || {
                ascent::precondition(on, &shape, table.view(), gradient.view(), out.view_mut());
            },
        );
        let mut wanted = vec![f64::NAN; shape.len()];
        for b in 0..shape.batch {
            let (g, out) = (of(&g, b, &shape), of_mut(&mut wanted, b, &shape));
            reference::precondition(shape.width, &t, g, out);
        }
        vec![Output::new("product", &out, wanted)]
    })
}

/// How far images are, here and on the device.
struct Followed {
    follow: Follow,
    best: Vec<f64>,
    averages: Vec<f64>,
    counters: Vec<u32>,
}

impl Followed {
    fn new(device: &Device, shape: &Shape) -> Self {
        let mut follow = Follow::new(device, shape);
        follow.best.view_mut().fill(f32::NAN);
        follow.averages.view_mut().fill(f32::NAN);
        Self {
            follow,
            best: vec![f64::NAN; shape.len()],
            averages: vec![f64::NAN; shape.batch * AVERAGES],
            counters: vec![0; shape.batch * COUNTERS],
        }
    }

    fn outputs(self, device: &Device) -> Vec<Output> {
        let counters = |values: &[u32]| -> Vec<f64> { values.iter().map(|&c| c.into()).collect() };
        let got: Vec<f32> = self
            .follow
            .counters
            .download()
            .iter()
            .map(|&c| c as f32)
            .collect();
        vec![
            Output::new("best", &self.follow.best, self.best),
            Output::new("averages", &self.follow.averages, self.averages),
            Output::new(
                "counters",
                &device.upload(&got, &[got.len()]),
                counters(&self.counters),
            ),
        ]
    }
}

/// Losses that fall and then rise; every third image runs out of steps first.
fn track(shape: Shape) -> Case {
    const LOSSES: [f64; 9] = [5.0, 4.0, 6.0, 1.0, 7.0, 9.0, 8.0, 12.0, 0.0];
    Case::new(format!("ascent track {shape:?}"), move |on| {
        let rule = Patience {
            steps: 7,
            patience: 4,
        };
        let mut at = Followed::new(on, &shape);
        for (step, loss) in LOSSES.iter().enumerate() {
            let (ax, x) = both(on, &noise(shape.len(), 10 + step as u64));
            let smoothness: Vec<f64> = (0..shape.batch)
                .map(|b| match b % 3 {
                    0 => *loss,
                    1 => 20.0 - step as f64,
                    // Not a number after three steps.
                    _ if step == 3 => f64::INFINITY,
                    _ => 3.0,
                })
                .collect();
            let (arates, rates) = both(on, &vec![0.5; shape.batch]);
            let (asmoothness, smoothness) = both(on, &smoothness);
            on.pass("track", Cost::words(2 * shape.len()), || {
                ascent::track(
                    on,
                    &shape,
                    &rule,
                    (arates.view(), asmoothness.view()),
                    ax.view(),
                    &mut at.follow,
                );
            });
            for b in 0..shape.batch {
                reference::track(
                    &rule,
                    smoothness[b] - rates[b],
                    of(&x, b, &shape),
                    of_mut(&mut at.best, b, &shape),
                    &mut at.averages[AVERAGES * b..][..AVERAGES],
                    &mut at.counters[COUNTERS * b..][..COUNTERS],
                );
            }
            // What `advance` does.
            let mut counters = at.follow.counters.download();
            for all in [&mut counters, &mut at.counters] {
                for one in all.chunks_exact_mut(COUNTERS).filter(|c| c[2] == 0) {
                    one[0] += 1;
                }
            }
            at.follow.counters.view_mut().fill_from(&counters);
        }
        at.outputs(on)
    })
}

fn advance(shape: Shape) -> Case {
    Case::new(format!("ascent advance {shape:?}"), move |on| {
        let norm = 3.0;
        let rates: Vec<f64> = (1..=3).map(|t| adam_rate(0.1, t).into()).collect();
        let (arates, rates) = both(on, &rates);
        let frames = frames(&shape);
        let aframes = on.upload(&frames, &[frames.len()]);
        let (mut az, mut z) = both(on, &noise(shape.len(), 1));
        let (mut am, mut m) = both(on, &vec![0.0; shape.len()]);
        let (mut av, mut v) = both(on, &vec![0.0; shape.len()]);
        let mut counters = vec![0u32; shape.batch * COUNTERS];
        // One image is done.
        counters[(shape.batch - 1) * COUNTERS + 2] = u32::from(shape.batch > 1);
        let mut acounters = on.upload(&counters, &[counters.len()]);
        for step in 0..3 {
            let (ax, x) = both(on, &noise(shape.len(), 2 + step));
            let (ag, g) = both(on, &noise(shape.len(), 12 + step));
            let (alengths, lengths) = both(on, &vec![1.7; shape.batch]);
            on.pass("advance", Cost::words(8 * shape.len()), || {
                // A step counts itself, and the table of rates ends.
                acounters.view_mut().fill_from(&counters);
                ascent::advance(
                    on,
                    &shape,
                    (norm, arates.view()),
                    aframes.view(),
                    (ax.view(), ag.view(), alengths.view()),
                    (az.view_mut(), am.view_mut(), av.view_mut()),
                    acounters.view_mut(),
                );
            });
            for b in 0..shape.batch {
                reference::advance(
                    norm,
                    (shape.width, &frames[4 * b..][..4]),
                    &rates,
                    (of(&x, b, &shape), of(&g, b, &shape), lengths[b]),
                    of_mut(&mut z, b, &shape),
                    (of_mut(&mut m, b, &shape), of_mut(&mut v, b, &shape)),
                    &mut counters[COUNTERS * b..][..COUNTERS],
                );
            }
        }
        assert_eq!(acounters.download(), counters);
        let output = |name, got: &Array, wanted| Output::new(name, got, wanted);
        vec![
            output("z", &az, z),
            output("first", &am, m),
            output("second", &av, v),
        ]
    })
}

/// A linear rate from above and from below, one that overshoots, one out of reach and one without slope.
fn aim(shape: Shape) -> Case {
    Case::new(format!("ascent aim {shape:?}"), move |on| {
        let rule = Aim {
            steps: 4,
            longest: 0.25,
        };
        let mut at = Followed::new(on, &shape);
        let (mut ax, mut x) = both(on, &noise(shape.len(), 1));
        let (atargets, targets) = both(on, &vec![0.5; shape.batch]);
        let (atolerances, tolerances) = both(on, &vec![0.01; shape.batch]);
        // Of five images, step by step.
        const RATES: [[f64; 5]; 5] = [
            [2.0, 0.1, 0.1, 0.1, 0.2],
            [1.0, 0.3, 0.9, 0.2, 0.2],
            [0.7, 0.505, -0.3, f64::NAN, 0.2],
            [0.6, 9.0, 0.7, 0.5, 0.2],
            [0.4, 9.0, 0.8, 0.5, 0.2],
        ];
        for (step, of_images) in RATES.iter().enumerate() {
            let rates: Vec<f64> = (0..shape.batch).map(|b| of_images[b % 5]).collect();
            let (arates, rates) = both(on, &rates);
            let mut gradient = noise(shape.len(), 10 + step as u64);
            (4..shape.batch)
                .step_by(5)
                .for_each(|b| of_mut(&mut gradient, b, &shape).fill(0.0));
            let (agradient, gradient) = both(on, &gradient);
            on.pass("aim", Cost::words(3 * shape.len()), || {
                ascent::aim(
                    on,
                    &shape,
                    &rule,
                    (arates.view(), atargets.view(), atolerances.view()),
                    agradient.view(),
                    ax.view_mut(),
                    &mut at.follow,
                );
            });
            for b in 0..shape.batch {
                reference::aim(
                    &rule,
                    (rates[b], targets[b], tolerances[b]),
                    of(&gradient, b, &shape),
                    of_mut(&mut x, b, &shape),
                    of_mut(&mut at.best, b, &shape),
                    &mut at.averages[AVERAGES * b..][..AVERAGES],
                    &mut at.counters[COUNTERS * b..][..COUNTERS],
                );
            }
        }
        assert!(widen(&ax.download()).iter().all(|v| v.is_finite()));
        let mut outputs = at.outputs(on);
        outputs.push(Output::new("x", &ax, x));
        outputs
    })
}

/// Steps of one image from its first, of others from later ones; every fourth is done.
fn walk(shape: Shape) -> Case {
    Case::new(format!("ascent walk {shape:?}"), move |on| {
        let (range, taps) = ((-0.6f32, 0.75f32), 4);
        let (asizes, sizes) = both(on, &[0.3, 0.2, 0.1]);
        let (aweights, weights) = both(on, &noise(3 * taps, 5));
        let (mut ax, mut x) = both(on, &noise(shape.len(), 1));
        let (agradient, gradient) = both(on, &noise(shape.len(), 2));
        let mut counters: Vec<u32> = (0..shape.batch as u32)
            .flat_map(|b| [b % 3, 0, u32::from(b % 4 == 3)])
            .collect();
        let mut acounters = on.upload(&counters, &[counters.len()]);
        on.pass("walk", Cost::words(3 * shape.len()), || {
            acounters.view_mut().fill_from(&counters);
            ascent::walk(
                on,
                &shape,
                asizes.view(),
                range,
                agradient.view(),
                ax.view_mut(),
                acounters.view_mut(),
            );
        });
        let (mut arows, mut acolumns) = (
            filled(on, f32::NAN, shape.len()),
            filled(on, f32::NAN, shape.len()),
        );
        for (down, from, to) in [(true, &ax, &mut acolumns), (false, &ax, &mut arows)] {
            on.pass("blur", Cost::words(2 * shape.len()), || {
                ascent::blur(
                    on,
                    &shape,
                    (aweights.view(), taps),
                    down,
                    from.view(),
                    to.view_mut(),
                    acounters.view(),
                );
            });
        }
        let (mut rows, mut columns) = (vec![f64::NAN; shape.len()], vec![f64::NAN; shape.len()]);
        for b in 0..shape.batch {
            let own = &mut counters[COUNTERS * b..][..COUNTERS];
            let (x, g) = (of_mut(&mut x, b, &shape), of(&gradient, b, &shape));
            reference::walk(&sizes, range, g, x, own);
            let size = (shape.height, shape.width);
            for (down, to) in [(true, &mut columns), (false, &mut rows)] {
                let to = of_mut(to, b, &shape);
                reference::blur(size, (&weights, taps), down, x, to, own);
            }
        }
        assert_eq!(acounters.download(), counters);
        vec![
            Output::new("x", &ax, x),
            Output::new("rows", &arows, rows),
            Output::new("columns", &acolumns, columns),
        ]
    })
}
