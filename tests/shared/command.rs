//! `cluster-stimuli` on runs written by hand: its files against `predict`, and what it refuses.

use super::small::{command, everything, signal, striate};
use super::templates::errors;
use super::twin::{IMAGE, member as asked};
use super::{CELLS, TURNS, write};
use ndarray::{Array2, Array3, Axis, Ix3};
use std::f64::consts::TAU;
use std::fs;
use std::path::Path;
use striate::device::Device;
use striate::model::checkpoint::Tensors;
use striate::npy;
use striate::ops::basis::Basis;
use striate::stimuli::{DifferenceOfGaussians, Gabor};
use striate::table::Table;
use tempfile::{TempDir, tempdir};

/// Grids small enough for a test.
const SMALL: &str = "--sizes 6,9 --cycles 0.9,1.2 --contrasts 1 --sigmas 1.5,3 --ratios 1.6 --dog-contrasts -1,1 \
     --surround-contrasts 0,0.5";
/// The second cluster has one member more, that answers to nothing; the third has one; nobody of the fourth answers.
const CLUSTERS: &str = "neuron,cluster,rotation\n0,0,0.1\n1,0,0.2\n2,0,0.3\n3,0,0.4\n4,1,0\n5,1,0\n6,1,0\n7,1,0\n8,2,0\n9,3,0\n10,,\n";

/// A folder with `run`: a configuration, a model and clusters, all written by hand.
fn folder() -> TempDir {
    let f = tempdir().unwrap();
    write(&f.path().join("run"), "softplus");
    fs::write(f.path().join("run/clusters.csv"), CLUSTERS).unwrap();
    f
}

fn table(file: &Path) -> Table {
    Table::read_csv(file).unwrap()
}

fn column(table: &Table, name: &str) -> Vec<f64> {
    table.numbers(name).unwrap().to_vec()
}

/// Responses of a run's readout to z-scored images, one neuron each.
fn predicted(run: &Path, neurons: &[usize], z: &[Array2<f64>]) -> Vec<f64> {
    let views: Vec<_> = z.iter().map(|z| z.view()).collect();
    let z = ndarray::stack(Axis(0), &views).unwrap();
    let grey: Array3<f32> = z.mapv(|z| (50.0 * z + 110.0) as f32);
    let mut model = asked(run, &Device::Cpu).model;
    let responses = model.predict(0, grey.view()).unwrap();
    let pairs = neurons.iter().enumerate();
    pairs.map(|(i, &n)| f64::from(responses[(i, n)])).collect()
}

#[track_caller]
fn assert_means(got: f64, responses: &[f64], own: &[f64], share: f64) {
    let mean = responses.iter().sum::<f64>() / responses.len() as f64;
    assert!(
        (got - mean).abs() <= 1e-3 * mean,
        "{got}, predict says {mean}"
    );
    let shares = responses.iter().zip(own).map(|(r, o)| r / o);
    let wanted = shares.sum::<f64>() / responses.len() as f64;
    assert!(
        (share - wanted).abs() <= 2e-3 * wanted,
        "{share}, wanted {wanted}"
    );
}

/// Coefficients of a template, from its pixels: conjugate gradients on the functions' products.
fn coefficients(basis: &Basis, template: &[f64]) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let all: Vec<&[f64]> = basis.filters.chunks_exact(template.len()).collect();
    let synthesis = |c: &[f64]| -> Vec<f64> {
        (0..template.len())
            .map(|p| all.iter().zip(c).map(|(f, c)| c * f[p]).sum())
            .collect()
    };
    let analysis = |image: &[f64]| -> Vec<f64> { all.iter().map(|f| dot(f, image)).collect() };
    let mut c = vec![0.0; all.len()];
    let mut rest = analysis(template);
    let mut along = rest.clone();
    for _ in 0..60 {
        let square = dot(&rest, &rest);
        if square < 1e-18 {
            break;
        }
        let turned = analysis(&synthesis(&along));
        let step = square / dot(&along, &turned);
        for i in 0..c.len() {
            c[i] += step * along[i];
            rest[i] -= step * turned[i];
        }
        let share = dot(&rest, &rest) / square;
        for i in 0..c.len() {
            along[i] = rest[i] + share * along[i];
        }
    }
    c
}

/// A patch (k, k) about a pixel of an image.
fn placed(patch: &[f64], k: usize, (column, row): (i64, i64)) -> Array2<f64> {
    let (h, w) = IMAGE;
    Array2::from_shape_fn((h, w), |(i, j)| {
        let (y, x) = (
            i as i64 - row + k as i64 / 2,
            j as i64 - column + k as i64 / 2,
        );
        let inside = (0..k as i64).contains(&y) && (0..k as i64).contains(&x);
        if inside {
            patch[y as usize * k + x as usize]
        } else {
            0.0
        }
    })
}

#[test]
fn what_the_tables_say_is_what_predict_says_of_the_stimuli_rebuilt_from_them() {
    let f = folder();
    let run = f.path().join("run");
    let out = striate(f.path(), &format!("cluster-stimuli run {SMALL} --starts 2")).ok();
    assert!(out.contains("4 clusters, 10 neurons"), "{out}");
    assert!(out.contains("1 clusters have no neuron"), "{out}");
    let own: [Table; 3] = ["gabors", "dogs", "meis"].map(|n| table(&run.join(format!("{n}.csv"))));
    let [of_gabors, of_dogs, of_meis] =
        ["gabors", "dogs", "meis"].map(|n| table(&run.join(format!("cluster_{n}.csv"))));
    let turns = table(&run.join("cluster_turns.csv"));
    let start = |t: &Table, n: usize| t.names().take(n).collect::<Vec<_>>().join(",");
    assert_eq!(
        start(&of_gabors, 7),
        "cluster,size,frequency,phase,contrast,mean_response,share_of_own"
    );
    assert_eq!(
        start(&of_dogs, 7),
        "cluster,sigma_centre,sigma_surround,contrast,surround_contrast,mean_response,share_of_own"
    );
    assert_eq!(
        start(&of_meis, 9),
        "cluster,norm,mean_response,share_of_own,steps,converged,model_hash,array_hash,made_with"
    );
    assert_eq!(
        start(&turns, 4),
        "neuron,cluster,gabor_orientation,mei_orientation"
    );
    assert_eq!(
        [
            of_gabors.rows(),
            of_dogs.rows(),
            of_meis.rows(),
            turns.rows()
        ],
        [4, 4, 4, 11]
    );
    let (templates, _) = npy::read(&run.join("cluster_meis.npy")).unwrap();
    let templates = templates.into_dimensionality::<Ix3>().unwrap();
    assert_eq!(templates.dim(), (4, 27, 27));
    let (h, w) = IMAGE;
    let (x, y) = (column(&own[0], "x"), column(&own[0], "y"));
    let orientations = column(&turns, "gabor_orientation");
    let angles = column(&turns, "mei_orientation");
    let basis = Basis::with_ranks(13, 27);
    for (k, members) in [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8]]
        .iter()
        .enumerate()
    {
        let optimum = |t: &Table, name: &str| -> Vec<f64> {
            let all = column(t, name);
            members.iter().map(|&n| all[n]).collect()
        };
        for prefix in ["", "refined_"] {
            let cell = |t: &Table, name: &str| column(t, &format!("{prefix}{name}"))[k];
            let gabor = |&n: &usize| {
                let gabor = Gabor {
                    x: x[n],
                    y: y[n],
                    size: cell(&of_gabors, "size"),
                    frequency: cell(&of_gabors, "frequency"),
                    contrast: cell(&of_gabors, "contrast"),
                    orientation: orientations[n],
                    phase: cell(&of_gabors, "phase"),
                };
                gabor.draw(h, w)
            };
            let responses = predicted(
                &run,
                members,
                &members.iter().map(gabor).collect::<Vec<_>>(),
            );
            let (mean, share) = (
                cell(&of_gabors, "mean_response"),
                cell(&of_gabors, "share_of_own"),
            );
            assert_means(
                mean,
                &responses,
                &optimum(&own[0], &format!("{prefix}response")),
                share,
            );
            assert!(share > 0.8 && share <= 1.02, "{share}");

            let (x, y) = (column(&own[1], "x"), column(&own[1], "y"));
            let difference = |&n: &usize| {
                let difference = DifferenceOfGaussians {
                    x: x[n],
                    y: y[n],
                    sigma_centre: cell(&of_dogs, "sigma_centre"),
                    sigma_surround: cell(&of_dogs, "sigma_surround"),
                    contrast: cell(&of_dogs, "contrast"),
                    surround_contrast: cell(&of_dogs, "surround_contrast"),
                };
                difference.draw(h, w)
            };
            let responses = predicted(
                &run,
                members,
                &members.iter().map(difference).collect::<Vec<_>>(),
            );
            let (mean, share) = (
                cell(&of_dogs, "mean_response"),
                cell(&of_dogs, "share_of_own"),
            );
            assert_means(
                mean,
                &responses,
                &optimum(&own[1], &format!("{prefix}response")),
                share,
            );
            assert!(share > 0.0 && share <= 1.02, "{share}");
        }
        let template: Vec<f64> = templates
            .index_axis(Axis(0), k)
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        let norm = template.iter().map(|v| v * v).sum::<f64>().sqrt();
        assert!((norm - 12.0).abs() <= 1e-3 && (column(&of_meis, "norm")[k] - 12.0).abs() <= 1e-3);
        let c = coefficients(&basis, &template);
        let image = |&n: &usize| {
            let turned = basis.rotate(&c, angles[n]);
            let mut patch = vec![0.0; 27 * 27];
            for (f, c) in basis.filters.chunks_exact(27 * 27).zip(&turned) {
                patch.iter_mut().zip(f).for_each(|(v, f)| *v += c * f);
            }
            placed(&patch, 27, (x[n].round() as i64, y[n].round() as i64))
        };
        let responses = predicted(
            &run,
            members,
            &members.iter().map(image).collect::<Vec<_>>(),
        );
        // The filters' turns up to one offset, with the places of the Gabors that were found.
        if members.len() == TURNS.len() {
            let found: Vec<f64> = members.iter().map(|&n| angles[n]).collect();
            let away = errors(&found, &TURNS, TAU);
            assert!(away.iter().all(|e| *e <= 5.0), "{k}: {away:?}");
        }
        let (mean, share) = (
            column(&of_meis, "mean_response")[k],
            column(&of_meis, "share_of_own")[k],
        );
        assert_means(mean, &responses, &optimum(&own[2], "response"), share);
        // Own images are damped on their way, templates are not.
        assert!(share > 0.9 && share <= 1.08, "{share}");
    }
    for (t, name) in [
        (&of_gabors, "size"),
        (&of_dogs, "contrast"),
        (&of_meis, "norm"),
        (&of_meis, "share_of_own"),
    ] {
        assert!(column(t, name)[3].is_nan(), "{name}");
    }
    assert!(templates.index_axis(Axis(0), 3).iter().all(|v| *v == 0.0));
    for n in [9, 10] {
        assert!(orientations[n].is_nan() && angles[n].is_nan());
    }
    assert!(column(&turns, "cluster")[10].is_nan());

    // The same again; then of some neurons, which the tables say.
    let before = everything(&run);
    striate(f.path(), &format!("cluster-stimuli run {SMALL} --starts 2")).ok();
    let after = everything(&run);
    for name in ["cluster_meis.npy", "cluster_turns.csv"] {
        let strip = |all: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
            let text = String::from_utf8_lossy(&all[&run.join(name)]).into_owned();
            text.lines()
                .map(|l| l.split(",sha256").next().unwrap_or(l).to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(strip(&before), strip(&after), "{name}");
    }
    let line = format!(
        "cluster-stimuli run {SMALL} --starts 1 --neurons 0-1,5 --no-meis --no-refine --out some"
    );
    striate(f.path(), &line).ok();
    let some = table(&f.path().join("some/cluster_turns.csv"));
    assert_eq!(column(&some, "neuron"), [0.0, 1.0, 5.0]);
    let made_with = some.text("made_with").unwrap();
    assert!(
        made_with[0].contains("neurons=0-1 5") && made_with[0].contains("no-meis=true"),
        "{made_with:?}"
    );
    let some = table(&f.path().join("some/cluster_meis.csv"));
    assert!(column(&some, "share_of_own").iter().all(|s| s.is_nan()));
    assert!(
        column(&some, "mean_response")[0].is_finite() && column(&some, "mean_response")[2].is_nan()
    );
    assert!(!f.path().join("some/gabors.csv").exists());
}

#[test]
fn readouts_are_pooled_or_chosen() {
    let f = folder();
    let run = f.path().join("run");
    // The same readout twice.
    let file = run.join("model.safetensors");
    let mut tensors = Tensors::read(&file).unwrap();
    for (name, (shape, values)) in tensors.tensors.clone() {
        if let Some(rest) = name.strip_prefix("readout.r.") {
            tensors.insert(format!("readout.s.{rest}"), &shape, values);
        }
    }
    tensors.write(&file).unwrap();
    let mut lines = String::from("recording,neuron,cluster,rotation\n");
    for name in ["r", "s"] {
        for line in CLUSTERS.lines().skip(1) {
            lines.push_str(&format!("{name},{line}\n"));
        }
    }
    fs::write(run.join("clusters.csv"), lines).unwrap();
    let line = format!("cluster-stimuli run {SMALL} --starts 1 --no-meis --steps 20 --no-refine");
    striate(f.path(), &line).ok();
    let pooled = table(&run.join("cluster_gabors.csv"));
    let turns = table(&run.join("cluster_turns.csv"));
    assert_eq!(
        (turns.names().next(), turns.rows()),
        (Some("recording"), 22)
    );
    let angles = column(&turns, "gabor_orientation");
    for n in 0..9 {
        assert_eq!(angles[n], angles[11 + n]);
    }
    striate(f.path(), &format!("{line} --readout s")).ok();
    let chosen = table(&run.join("cluster_gabors.csv"));
    for name in ["size", "phase", "mean_response"] {
        let pairs = column(&pooled, name).into_iter().zip(column(&chosen, name));
        for (a, b) in pairs.take(3) {
            assert!((a - b).abs() <= 1e-6 * b.abs(), "{name}: {a} {b}");
        }
    }
    let made_with = chosen.text("made_with").unwrap();
    assert!(made_with[0].contains("readout=s"), "{made_with:?}");
    assert_eq!(table(&run.join("cluster_turns.csv")).rows(), 11);
}

#[test]
fn what_cannot_work_is_refused_in_one_line() {
    let f = folder();
    let run = f.path().join("run");
    let clusters = run.join("clusters.csv");
    let check = |line: &str, parts: &[&str]| {
        let before = everything(f.path());
        let done = striate(f.path(), line);
        let told = parts.iter().all(|p| done.err.contains(p));
        assert!(done.code == 2 && told, "{line}: {} {}", done.code, done.err);
        assert!(everything(f.path()) == before, "{line}");
    };
    for (line, parts) in [
        ("cluster-stimuli gone", &["gone", "does not exist"][..]),
        ("cluster-stimuli run --width 26", &["--width", "26", "odd"]),
        ("cluster-stimuli run --width 9", &["--width", "9", "13"]),
        ("cluster-stimuli run --starts 0", &["--starts", "0"]),
        ("cluster-stimuli run --sizes 0", &["--sizes", "is 0"]),
        (
            "cluster-stimuli run --dog-contrasts 0",
            &["--dog-contrasts", "is 0"],
        ),
        (
            "cluster-stimuli run --neurons 11",
            &["--neurons", "0 to 10"],
        ),
        (
            "cluster-stimuli run --neurons 10",
            &["clusters.csv", "none of the neurons"],
        ),
        ("cluster-stimuli run --readout x", &["--readout", "x"]),
    ] {
        check(line, parts);
    }
    for (text, parts) in [
        (
            "neuron,cluster\n0,1.5\n",
            &["clusters.csv", "1.5", "whole number"][..],
        ),
        ("neuron,cluster\n0,-1\n", &["clusters.csv", "-1"]),
        ("neuron,cluster\n0,\n", &["clusters.csv", "no neuron"]),
        (
            "neuron,rotation\n0,1\n",
            &["clusters.csv", "no column cluster"],
        ),
        (
            "neuron,cluster,model_hash\n0,0,sha256:0123456789abcdef\n",
            &["clusters.csv", "sha256:0123456789abcdef", "model"],
        ),
    ] {
        fs::write(&clusters, text).unwrap();
        check("cluster-stimuli run", parts);
    }
    fs::remove_file(&clusters).unwrap();
    check("cluster-stimuli run", &["clusters.csv", "striate cluster"]);
    fs::write(&clusters, CLUSTERS).unwrap();
    fs::write(run.join("meis.csv"), "neuron,response,norm\n0,3,5\n").unwrap();
    check(
        "cluster-stimuli run",
        &["meis.csv", "norm", "5", "--no-meis"],
    );
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_no_half_of_it() {
    let f = folder();
    let line = format!("cluster-stimuli run {SMALL} --no-meis --starts 1000 --steps 100000");
    striate(f.path(), "gabors run --sizes 6 --cycles 1 --contrasts 1").ok();
    striate(
        f.path(),
        "dogs run --sigmas 2 --ratios 2 --contrasts 1 --surround-contrasts 0",
    )
    .ok();
    let before = everything(f.path());
    let mut child = command(f.path(), &line)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(everything(f.path()) == before);
}

#[test]
fn planted_turns_come_back_in_the_tables() {
    let f = folder();
    // Written by hand: everybody's place, and one orientation for all.
    let mut gabors =
        String::from("neuron,x,y,size,frequency,orientation,phase,contrast,response\n");
    for (n, cell) in CELLS.iter().enumerate() {
        let (x, y) = (cell.column, cell.row);
        gabors.push_str(&format!("{n},{x},{y},8,0.14,0,0,1,10\n"));
    }
    fs::write(f.path().join("run/gabors.csv"), gabors).unwrap();
    let line = format!("cluster-stimuli run {SMALL} --no-meis --starts 2");
    striate(f.path(), &line).ok();
    let turns = column(
        &table(&f.path().join("run/cluster_turns.csv")),
        "mei_orientation",
    );
    for members in [[0, 1, 2, 3], [4, 5, 6, 7]] {
        for (i, &n) in members.iter().enumerate() {
            let away = turns[n] - turns[members[0]] - (TURNS[i] - TURNS[0]);
            let degrees = away.sin().atan2(away.cos()).to_degrees().abs();
            assert!(degrees <= 5.0, "neuron {n}: {degrees}");
        }
    }
}
