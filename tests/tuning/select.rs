//! `striate select-gabors`.

use super::small::striate;
use super::units::{self, gabor, liked, response};
use super::{ALL, array};
use std::f64::consts::{PI, TAU};
use std::fs;
use striate::stimuli::Gabor;
use striate::table::Table;

/// The same choice by counting afresh at every pick.
fn picked(reached: &[[bool; 4]], count: usize) -> Vec<(usize, usize)> {
    let (mut left, mut picks) = (vec![0, 1, 2, 3], Vec::new());
    while picks.len() < count {
        let gain = |s: &[bool; 4]| left.iter().filter(|&&n| s[n]).count();
        let most = reached.iter().map(gain).max().unwrap();
        if most == 0 {
            break;
        }
        let stimulus = reached.iter().position(|s| gain(s) == most).unwrap();
        left.retain(|&n| !reached[stimulus][n]);
        picks.push((stimulus, most));
    }
    picks
}

#[test]
fn gabors_in_the_middle_are_picked_for_many_neurons() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    units::write(&run, "softplus");
    let mut text = "neuron,x,y,size,frequency,orientation,phase,contrast,response\n".to_string();
    let best = ALL.map(|n| 1.2 * response(n, "softplus", &gabor(&liked(n))));
    for (n, best) in best.iter().enumerate() {
        text += &format!("{n},1,1,8,0.1,0,0,1,{best}\n");
    }
    fs::write(run.join("gabors.csv"), text).unwrap();
    // Large Gabors reach the neuron near the border, and suppress another one.
    let mut stimuli = Vec::new();
    for size in [10.0, 40.0] {
        for cycles in [1.7, 6.8] {
            for contrast in [1.0, 8.0] {
                for orientation in 0..4 {
                    for phase in 0..4 {
                        stimuli.push(Gabor {
                            x: 17.5,
                            y: 14.5,
                            size,
                            frequency: cycles / size,
                            contrast,
                            orientation: PI * f64::from(orientation) / 4.0,
                            phase: TAU * f64::from(phase) / 4.0,
                        });
                    }
                }
            }
        }
    }
    let responses: Vec<[f64; 4]> = stimuli
        .iter()
        .map(|s| ALL.map(|n| response(n, "softplus", &gabor(s))))
        .collect();
    let at = |percent: f64| {
        let reached: Vec<[bool; 4]> = responses
            .iter()
            .map(|r| ALL.map(|n| r[n] >= percent / 100.0 * best[n]))
            .collect();
        picked(&reached, 3)
    };
    let grid = "--sizes 10,40 --cycles 1.7,6.8 --contrasts 1,8 --orientations 4 --phases 4";
    let line = format!("select-gabors run {grid} --count 3 --percent 85 --device cpu");
    striate(f.path(), &line).ok();
    let table = Table::read_csv(&run.join("selected_gabors.csv")).unwrap();
    let names: Vec<&str> = table.names().collect();
    let wanted = [
        "pick",
        "x",
        "y",
        "size",
        "frequency",
        "orientation",
        "phase",
        "contrast",
        "newly_reached",
        "cumulative_share",
        "model_hash",
        "made_with",
    ];
    assert_eq!(names, wanted);
    let column = |name: &str| table.column(name).unwrap().as_numbers().unwrap();
    let wanted = at(85.0);
    assert!(wanted.len() >= 2, "{wanted:?}");
    assert_eq!(table.rows(), wanted.len());
    let mut sum = 0;
    for (row, (stimulus, newly)) in wanted.into_iter().enumerate() {
        let s = &stimuli[stimulus];
        sum += newly;
        for (name, wanted) in [
            ("x", s.x),
            ("y", s.y),
            ("size", s.size),
            ("frequency", s.frequency),
            ("orientation", s.orientation),
            ("phase", s.phase),
            ("contrast", s.contrast),
            ("newly_reached", newly as f64),
            ("cumulative_share", sum as f64 / 4.0),
        ] {
            let got = column(name)[row];
            assert!((got - wanted).abs() <= 1e-6, "{row} {name} {got} {wanted}");
        }
    }
    let npz = run.join("selection.npz");
    let (shape, shares) = array(&npz, "share");
    assert_eq!(shape, [10, 3]);
    for (row, percent) in array(&npz, "percent").1.into_iter().enumerate() {
        assert_eq!(percent, 10.0 * (row + 1) as f64);
        let picks = at(percent);
        for (i, share) in shares[3 * row..3 * row + 3].iter().enumerate() {
            let reached: usize = picks.iter().take(i + 1).map(|p| p.1).sum();
            assert_eq!(*share, reached as f64 / 4.0, "{percent} {i}");
        }
    }
    for (line, part) in [
        ("select-gabors run --percent 0", "--percent"),
        ("select-gabors run --count 0", "--count"),
        ("select-gabors run --sizes=-1", "--sizes"),
        ("select-gabors nowhere", "nowhere"),
    ] {
        let done = striate(f.path(), line);
        assert_eq!(done.code, 2);
        assert!(done.err.contains(part), "{}", done.err);
    }
}
