//! The cases in which the emulator looks at every access to memory: each kernel at each precision, in sizes of several warps and
//! blocks that take little time.

use super::Case;

const NAMES: &[&str] = &[
    "align N 70 F 1 O 8 J 3, cap None, t 1",
    "align N 64 F 16 O 8 J 2, cap None, t 1",
    "ascent precondition Shape { batch: 1, height: 1, width: 300 }",
    "ascent constrain Shape { batch: 17, height: 21, width: 25 }",
    "ascent smoothness Shape { batch: 17, height: 21, width: 25 }",
    "ascent add Shape { batch: 17, height: 21, width: 25 }",
    "ascent track Shape { batch: 17, height: 21, width: 25 }",
    "ascent advance Shape { batch: 17, height: 21, width: 25 }",
    "ascent aim Shape { batch: 17, height: 21, width: 25 }",
    "ascent walk Shape { batch: 17, height: 21, width: 25 }",
    "bias Shape { batch: 9, channels: 301, pixels: 1, activation: Relu }",
    "closeup Shape { batch: 2, inputs: 4099, neurons: 9, lanes: 1 }",
    "frame (2, 31, 17)",
    "conv Shape { batch: 2, in_channels: 3, out_channels: 131, height: 6, width: 7, kernel: 3, padding: 0 }",
    "conv Shape { batch: 1, in_channels: 20, out_channels: 4, height: 4, width: 3, kernel: 1, padding: 0 }",
    "conv Shape { batch: 1, in_channels: 70, out_channels: 66, height: 3, width: 4, kernel: 3, padding: 1 }",
    "conv Shape { batch: 140, in_channels: 1, out_channels: 2, height: 4, width: 4, kernel: 3, padding: 1 }",
    "conv Shape { batch: 5, in_channels: 1, out_channels: 2, height: 8, width: 9, kernel: 7, padding: 6 }",
    "dense Shape { batch: 70, inputs: 20, units: 66 }, bias true",
    "dropout Shape { batch: 3, units: 300, keep: 0.55 } of step 0, 0, 1",
    "gather rows of 4100 from 0",
    "gather scheduled rows of 4100",
    "gaussian readout, sampled, Shape { batch: 2, channels: 35, height: 9, width: 16, neurons: 40, isotropic: false }",
    "gaussian readout, at the position, Shape { batch: 2, channels: 5, height: 7, width: 11, neurons: 300, isotropic: false }",
    "positions clamped to the map",
    "group_conv Shape { batch: 2, orientations: 8, in_features: 3, out_features: 2, oriented_input: true, height: 4, width: 9, kernel: 3, padding: 0 }",
    "group_conv Shape { batch: 1, orientations: 8, in_features: 2, out_features: 2, oriented_input: true, height: 4, width: 18, kernel: 3, padding: 1 }",
    "group_conv Shape { batch: 1, orientations: 8, in_features: 5, out_features: 2, oriented_input: true, height: 4, width: 18, kernel: 5, padding: 2 }",
    "group_conv Shape { batch: 1, orientations: 5, in_features: 1, out_features: 2, oriented_input: true, height: 8, width: 9, kernel: 7, padding: 0 }",
    "group_conv Shape { batch: 1, orientations: 7, in_features: 1, out_features: 3, oriented_input: true, height: 5, width: 9, kernel: 5, padding: 1 }",
    "group_conv Shape { batch: 1, orientations: 8, in_features: 3, out_features: 2, oriented_input: true, height: 2, width: 3, kernel: 1, padding: 0 }",
    "group_conv Shape { batch: 1, orientations: 4, in_features: 1, out_features: 2, oriented_input: true, height: 3, width: 4, kernel: 9, padding: 4 }",
    "group_conv Shape { batch: 2, orientations: 3, in_features: 3, out_features: 2, oriented_input: true, height: 3, width: 9, kernel: 5, padding: 2 }",
    "loss total of 300",
    "Poisson Shape { batch: 2, neurons: 4099, output: Softplus }, spread 4, gradient false",
    "Poisson Shape { batch: 2, neurons: 4099, output: Softplus }, spread 4, gradient true",
    "maps of 1001",
    "distances Shape { rows: 131, centres: 129, width: 17 }",
    "totals Shape { rows: 131, centres: 129, width: 17 }",
    "nearest centres followed Shape { rows: 25, centres: 3, width: 128 }",
    "norm statistics, mean 0.5, Shape { batch: 2, channels: 6, groups: 6, pixels: 37 }",
    "norm backward With { shape: Shape { batch: 2, channels: 6, groups: 6, pixels: 37 }, activation: Softplus, with_gain: true }",
    "norm statistics, mean 0.5, Shape { batch: 3, channels: 8, groups: 2, pixels: 64 }",
    "norm forward With { shape: Shape { batch: 5, channels: 4, groups: 1, pixels: 131 }, activation: Softplus, with_gain: true }",
    "norm backward With { shape: Shape { batch: 5, channels: 4, groups: 1, pixels: 131 }, activation: Softplus, with_gain: true }",
    "adam on 40003 from 0",
    "descent on 40003",
    "adam on 2 groups, 5 at a time, 301 times",
    "steerable Strength { smoothness: 1.0, group_sparsity: 0.0 } Shape { batch: 1, orientations: 8, in_features: 3, out_features: 2, oriented_input: true, height: 8, width: 8, kernel: 5, padding: 2 }",
    "steerable Strength { smoothness: 1.0, group_sparsity: 0.0 } Shape { batch: 1, orientations: 8, in_features: 1, out_features: 2, oriented_input: false, height: 8, width: 8, kernel: 13, padding: 2 }",
    "filters 17 11 3 Strength { smoothness: 1.0, group_sparsity: 0.0 }",
    "readout penalty 33 64 16",
    "readout penalty through windows",
    "penalty of absolutes",
    "penalty of squares",
    "adaptive readout penalty, windows false",
    "adaptive readout penalty, windows true",
    "pool Shape { batch: 2, channels: 3, height: 9, width: 12, size: 3, stride: 2 }",
    "normal numbers 7 x 131, seed 1, stream 0",
    "readout Shape { batch: 3, channels: 7, pixels: 37, neurons: 11, positive_features: true }",
    "readout Shape { batch: 1, channels: 270, pixels: 390, neurons: 3, positive_features: false }",
    "readout Shape { batch: 260, channels: 6, pixels: 33, neurons: 5, positive_features: true }",
    "readout through windows Shape { batch: 3, channels: 7, pixels: 63, neurons: 5, positive_features: true }",
    "readout through windows Shape { batch: 2, channels: 3, pixels: 96, neurons: 360, positive_features: false }",
    "scan Window { top: -30, left: -41, height: 50, width: 70 } Places { row: 3, rows: 11, column: 7, columns: 13 }",
    "stimuli: 2 waves, Canvas { count: 2, height: 36, width: 64 }",
    "stimuli: differences of Gaussians, Canvas { count: 2, height: 36, width: 64 }",
    "stimuli: steerable patches of 13, 13 ranks, Canvas { count: 3, height: 36, width: 31 }",
];

/// All of them.
pub fn cases() -> Vec<Case> {
    let cases: Vec<Case> = super::all()
        .into_iter()
        .filter(|case| NAMES.contains(&case.name.as_str()))
        .collect();
    for name in NAMES {
        assert!(
            cases.iter().any(|c| c.name == *name),
            "no case is called {name}"
        );
    }
    cases
}
