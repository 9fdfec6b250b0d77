//! `striate tune`: what it reads, writes and refuses.

use super::common::assert_close;
use super::curves::known;
use super::energy::{DOG, at_levels, difference, mean_ratio, picture};
use super::small::{self, striate};
use super::units::{self, gabor, liked};
use super::{ALL, array};
use std::f64::consts::{PI, TAU};
use std::fs;
use std::time::{Duration, Instant};
use striate::stimuli::Gabor;
use striate::table::Table;

/// A run with everything that `tune` reads; neuron 3 has no optimal Gabor.
fn furnished() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    units::write(&run, "softplus");
    let path = run.join("gabors.csv");
    units::write_gabors(&path, &ALL.map(liked)[..3]);
    let text = fs::read_to_string(&path).unwrap() + "3,,,,,,,,0\n";
    fs::write(&path, text).unwrap();
    let dog = "neuron,x,y,sigma_centre,sigma_surround,contrast,surround_contrast,response\n\
               1,19.5,12,1.5,4,1,0.4,1\n";
    fs::write(run.join("dogs.csv"), dog).unwrap();
    let meis = "neuron,response,norm,steps,converged\n1,1,12,100,true\n";
    fs::write(run.join("meis.csv"), meis).unwrap();
    let image = picture().insert_axis(ndarray::Axis(0));
    striate::npy::write(&run.join("meis.npy"), image.view()).unwrap();
    let scores = "neuron,correlation_to_average\n0,0.6\n1,0.5\n2,\n3,0.2\n";
    fs::write(run.join("evaluation.csv"), scores).unwrap();
    fs::create_dir(run.join("glm")).unwrap();
    let glm = "neuron,penalty,intercept,test_correlation,converged\n1,1,0,0.4,true\n0,1,0,0.3,true\n2,1,0,0.3,true\n3,1,0,-0.1,true\n";
    fs::write(run.join("glm/glm.csv"), glm).unwrap();
    folder
}

#[test]
fn the_command_writes_curves_axes_and_indices() {
    let f = furnished();
    let told = striate(f.path(), "tune run --device cpu").ok();
    assert!(told.contains("orientation_index"), "{told}");
    let text = fs::read_to_string(f.path().join("run/tuning.csv")).unwrap();
    let header = "neuron,orientation_index,phase_index,suppression_index,contrast_index,plaid_index,circular_variance,gabor_vs_dog,\
                  gabor_vs_mei,dog_vs_mei,nonlinearity_index,model_hash,array_hash,made_with";
    assert_eq!(text.lines().next().unwrap(), header);
    // No optimal Gabor, no difference, no image; a GLM worse than nothing.
    assert_eq!(text.lines().last().unwrap(), "3,,,,,,,,,,,,,");
    let table = Table::read_csv(&f.path().join("run/tuning.csv")).unwrap();
    let column = |name: &str| table.numbers(name).unwrap().to_vec();
    let nonlinearity = column("nonlinearity_index");
    assert!((nonlinearity[0] - 2.0).abs() <= 1e-8 && (nonlinearity[1] - 1.25).abs() <= 1e-8);
    assert!(nonlinearity[2].is_nan());
    let (one, dog, mei) = (
        at_levels(&gabor(&liked(1))),
        at_levels(&difference(&DOG)),
        at_levels(&picture().mapv(f64::from)),
    );
    for (name, wanted) in [
        ("gabor_vs_dog", mean_ratio(&one, &dog)),
        ("gabor_vs_mei", mean_ratio(&one, &mei)),
        ("dog_vs_mei", mean_ratio(&dog, &mei)),
    ] {
        let found = column(name);
        assert!(
            (found[1] - wanted).abs() <= 1e-4 * wanted,
            "{name} {found:?} {wanted}"
        );
        assert!(found[0].is_nan() && found[2].is_nan(), "{name} {found:?}");
    }
    let names = [
        "orientation_index",
        "phase_index",
        "suppression_index",
        "contrast_index",
        "plaid_index",
    ];
    let npz = f.path().join("run/tuning.npz");
    let shapes: [(&str, &[usize]); 4] = [
        ("orientation", &[4, 24]),
        ("phase", &[4, 12]),
        ("size_contrast", &[4, 12, 12]),
        ("plaid", &[4, 10, 10]),
    ];
    for n in 0..3 {
        let known = known(n, "softplus");
        for (name, wanted) in names.iter().zip(known.indices) {
            let got = column(name)[n];
            assert!((got - wanted).abs() <= 1e-4, "{name} {n}: {got} {wanted}");
        }
        for ((name, wanted_shape), wanted) in shapes.iter().zip(&known.curves) {
            let (shape, values) = array(&npz, name);
            assert_eq!(shape, *wanted_shape, "{name}");
            let each = wanted.len();
            assert_close(name, &values[n * each..(n + 1) * each], wanted, 1e-4);
            assert!(values[3 * each..].iter().all(|v| v.is_nan()), "{name}");
        }
    }
    for (name, length, last) in [
        ("orientation_angles", 24, 23.0 * PI / 24.0),
        ("phase_phases", 12, 11.0 * TAU / 12.0),
        ("size_contrast_sizes", 12, 8.0 * 1.2f64.powi(11)),
        ("size_contrast_contrasts", 12, 4.0),
        ("plaid_orthogonal", 10, 2.0),
        ("plaid_preferred", 10, 2.0),
    ] {
        let (shape, values) = array(&npz, name);
        assert_eq!(shape, [length], "{name}");
        assert!(
            (values[length - 1] - last).abs() <= 1e-5,
            "{name} {values:?}"
        );
    }
    // Some neurons, in their order.
    striate(f.path(), "tune run --device cpu --neurons 2,0 --out some").ok();
    let some = fs::read_to_string(f.path().join("some/tuning.csv")).unwrap();
    let line = |text: &str, n: usize| {
        let line = text.lines().nth(n).unwrap();
        line.split(",sha256:").next().unwrap().to_string()
    };
    assert_eq!(line(&some, 1), line(&text, 3));
    assert_eq!(line(&some, 2), line(&text, 1));
    let npz = f.path().join("some/tuning.npz");
    assert_eq!(array(&npz, "plaid").0, [2, 10, 10]);
}

#[test]
fn what_cannot_be_tuned_is_refused_and_leaves_nothing() {
    let run = |file: &str, content: &str, line: &str| {
        let f = furnished();
        match file {
            "" => {}
            file => fs::write(f.path().join("run").join(file), content).unwrap(),
        }
        let done = striate(f.path(), line);
        assert_eq!(done.code, 2, "{}", done.err);
        assert!(!f.path().join("run/tuning.csv").exists());
        assert!(!f.path().join("run/tuning.npz").exists());
        done.err
    };
    let gabors = "neuron,x,y,size,frequency,orientation,phase,contrast,response\n";
    let row = |text: &str| format!("{gabors}{text}\n");
    let line = "tune run --neurons 0 --device cpu";
    for (file, content, line, parts) in [
        (
            "gabors.csv",
            row("1,1,1,8,0.1,0,0,1,1"),
            line,
            ["the row of neuron 0", "missing"],
        ),
        (
            "gabors.csv",
            row("0,1,1,-8,0.1,0,0,1,1"),
            line,
            ["size is -8", "above 0"],
        ),
        (
            "gabors.csv",
            row("0,1,1,8,0.1,0,inf,1,1"),
            line,
            ["phase is inf", "finite"],
        ),
        (
            "gabors.csv",
            "neuron,x\n0,1\n".into(),
            line,
            ["no column y", "gabors.csv"],
        ),
        (
            "gabors.csv",
            row("0,1,1,8,0.1,0,0,1,1\n0,1,1,8,0.1,0,0,1,1"),
            line,
            ["0 again", "row 3"],
        ),
        (
            "gabors.csv",
            row("1.5,1,1,8,0.1,0,0,1,1"),
            line,
            ["no column neuron", "row numbers"],
        ),
        (
            "dogs.csv",
            "neuron,x\n0,1\n".into(),
            line,
            ["dogs.csv", "no column y"],
        ),
        (
            "meis.csv",
            "neuron,response\n0,1\n1,1\n".into(),
            line,
            ["[2, 30, 36]", "meis.npy"],
        ),
        (
            "glm/glm.csv",
            "neuron,x\n0,1\n".into(),
            line,
            ["glm.csv", "test_correlation"],
        ),
        (
            "",
            String::new(),
            "tune run --glm nowhere --device cpu",
            ["nowhere", "does not exist"],
        ),
        (
            "",
            String::new(),
            "tune run --neurons 0-4 --device cpu",
            ["--neurons", "0 to 3"],
        ),
    ] {
        let told = run(file, &content, line);
        for part in parts {
            assert!(told.contains(part), "{file}: {told}");
        }
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn readouts_are_stacked_and_named() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    units::write_populations(&run, "softplus", &["a", "b"], 4);
    units::write_gabors(&run.join("gabors.csv"), &ALL.map(liked));
    let told = striate(f.path(), "tune run --device cpu --neurons 1,2");
    assert_eq!(told.code, 2);
    assert!(told.err.contains("no column recording"), "{}", told.err);
    let text = fs::read_to_string(run.join("gabors.csv")).unwrap();
    let named: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(i, l)| {
            let name = if i == 0 { "recording" } else { "b" };
            format!("{name},{l}\n")
        })
        .collect();
    // Neuron 1 of `a` likes what is shown to neuron 2 of `b`.
    let others = named[3].replace("b,2", "a,1") + &named[3].replace("b,2", "a,2");
    fs::write(run.join("gabors.csv"), named.concat() + &others).unwrap();
    striate(f.path(), "tune run --device cpu --neurons 1,2").ok();
    let text = fs::read_to_string(run.join("tuning.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("recording,neuron,orientation_index,"),
        "{text}"
    );
    let starts: Vec<&str> = lines[1..].iter().map(|l| &l[..4]).collect();
    assert_eq!(starts, ["a,1,", "a,2,", "b,1,", "b,2,"]);
    assert_eq!(lines[2][1..], lines[4][1..]);
    assert_ne!(lines[1][1..], lines[3][1..]);
    assert_eq!(
        array(&run.join("tuning.npz"), "size_contrast").0,
        [4, 12, 12]
    );
    striate(
        f.path(),
        "tune run --device cpu --readout b --neurons 2 --out one",
    )
    .ok();
    let one = fs::read_to_string(f.path().join("one/tuning.csv")).unwrap();
    let measured = |line: &str| line.split(",sha256:").next().unwrap().to_string();
    assert_eq!(measured(one.lines().nth(1).unwrap()), measured(lines[4]));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_within_seconds_and_leaves_nothing() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    units::write_populations(&run, "softplus", &["hand"], 4000);
    let gabors: Vec<Gabor> = (0..4000).map(|n| liked(n % 4)).collect();
    units::write_gabors(&run.join("gabors.csv"), &gabors);
    let before = small::everything(f.path());
    let mut child = small::command(f.path(), "tune run --device cpu")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(3000));
    small::signal(&child, "TERM");
    let asked = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(asked.elapsed() <= Duration::from_secs(20), "{asked:?}");
    assert_eq!(small::everything(f.path()), before);
}

const FEW: &str =
    "--sizes 8,10 --cycles 1.7 --contrasts 1,2 --orientations 4 --phases 4 --device cpu";

#[test]
fn without_optimal_gabors_they_are_searched_for() {
    let f = tempfile::tempdir().unwrap();
    for run in ["run", "other"] {
        units::write(&f.path().join(run), "softplus");
    }
    let search = format!("{FEW} --x 13-22 --y 10-17 --no-refine --neurons 2,0");
    striate(f.path(), &format!("gabors other {search}")).ok();
    striate(f.path(), "tune other --neurons 2,0 --device cpu").ok();
    striate(f.path(), &format!("tune run {search}")).ok();
    for file in ["gabors.csv", "tuning.csv", "tuning.npz"] {
        let read = |run: &str| fs::read(f.path().join(run).join(file)).unwrap();
        assert!(read("run") == read("other"), "{file}");
    }
    let done = striate(f.path(), &format!("tune run {search}"));
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("gabors.csv: there already"),
        "{}",
        done.err
    );
    fs::remove_file(f.path().join("run/gabors.csv")).unwrap();
    let done = striate(f.path(), "tune run --x 0-36 --device cpu");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("--x"), "{}", done.err);
    assert!(!f.path().join("run/gabors.csv").exists());
}

#[test]
fn the_search_covers_all_readouts() {
    let f = tempfile::tempdir().unwrap();
    let run = f.path().join("run");
    units::write_populations(&run, "softplus", &["a", "b"], 4);
    let search = format!("{FEW} --x 15-18 --y 13-15 --neurons 2,1");
    striate(f.path(), &format!("tune run {search}")).ok();
    for file in ["gabors.csv", "tuning.csv"] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        let starts: Vec<&str> = text.lines().skip(1).map(|l| &l[..4]).collect();
        assert_eq!(starts, ["a,2,", "a,1,", "b,2,", "b,1,"], "{text}");
    }
    let before = fs::read(run.join("tuning.csv")).unwrap();
    striate(f.path(), "tune run --neurons 2,1 --device cpu").ok();
    assert!(fs::read(run.join("tuning.csv")).unwrap() == before);
    // A neuron that was not searched for.
    let done = striate(f.path(), "tune run --device cpu");
    assert_eq!(done.code, 2);
    assert!(done.err.contains("the row of neuron 0"), "{}", done.err);
}
