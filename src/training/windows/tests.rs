use super::*;
use crate::device::Device;
use crate::model::Config;
use crate::model::checkpoint::MODEL;
use crate::recording::{Recording, Tier, Trial};
use crate::training::{Interrupts, Options, Progress, Trainer};
use ndarray::{Array2, Array3};

const MAP: (usize, usize) = (13, 14);

fn trainer(out: &std::path::Path, set: &[&str], resume: bool) -> Trainer {
    let grey = |(i, y, x)| ((i * 7 + y * 5 + x * 3 + i * y * x) % 11) as f32;
    let recording = Recording {
        name: "r".into(),
        images: Array3::from_shape_fn((14, MAP.0, MAP.1), grey),
        responses: Array2::from_shape_fn((14, 3), |(t, n)| ((t * 3 + n * 2) % 5) as f32),
        trials: (0..14)
            .map(|image| Trial {
                image,
                tier: match image {
                    0..10 => Tier::Train,
                    10..12 => Tier::Validation,
                    _ => Tier::Test,
                },
            })
            .collect(),
        neurons: None,
        trial_columns: None,
        degrees_per_pixel: None,
        response_unit: None,
        source: None,
    };
    let text = "[core]\norientations = 4\nfilter_sizes = [3, 3]\nfeatures = [2, 2]\n\
                [readout]\nwindow_after = 3\n\
                [training]\nbatch_size = 4\nvalidate_every = 2\nmax_steps = 8\n";
    let set: Vec<String> = set.iter().map(|s| (*s).to_string()).collect();
    let config = Config::parse(text, "test", &set).unwrap();
    let options = Options {
        out: out.into(),
        resume,
        ..Options::default()
    };
    Trainer::new(&Device::Cpu, &config, &[recording], &options).unwrap()
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| v.to_bits()).collect()
}

fn everything(t: &Trainer) -> Vec<Vec<u32>> {
    [&t.model.params, &t.model.statistics, &t.first, &t.second]
        .map(|arena| bits(&arena.values.download()))
        .to_vec()
}

#[test]
fn windows_as_large_as_the_map_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let fit = |name: &str, set: &[&str]| {
        let mut trainer = trainer(&folder.path().join(name), set, false);
        let losses = trainer.steps(6);
        (bits(&losses), everything(&trainer))
    };
    let whole = fit("whole", &[]);
    assert!(whole == fit("large", &["readout.window=14"]));
    assert!(whole == fit("first", &["readout.window=99", "readout.window_after=0"]));
}

#[test]
fn masks_are_exactly_zero_outside_from_the_step_on_that_puts_the_windows() {
    let folder = tempfile::tempdir().unwrap();
    for (name, after, set) in [
        (
            "later",
            3,
            &["readout.window=4", "readout.window_mass=0"][..],
        ),
        (
            "first",
            0,
            &[
                "readout.window=4",
                "readout.window_after=0",
                "readout.window_mass=0",
            ],
        ),
    ] {
        let mut trainer = trainer(&folder.path().join(name), set, false);
        trainer.steps(after);
        assert_eq!(trainer.looks.is_some(), after == 0);
        trainer.steps(4);
        let windows = trainer.model.readouts[0].windows.clone().unwrap();
        assert_eq!(windows.mask_len(), 3 * 16);
        for neuron in 0..3 {
            let (mask, w) = (trainer.model.mask(0, neuron), windows.of(neuron));
            assert_eq!((w.height, w.width, w.top % 4, w.left % 4), (4, 4, 0, 0));
            let inside: Vec<usize> = w.rows(MAP.1).flatten().collect();
            for (p, m) in mask.iter().enumerate() {
                assert_eq!(*m != 0.0, inside.contains(&p), "{neuron} {p}");
            }
        }
    }
}

#[test]
fn putting_windows_keeps_what_is_inside_with_its_moments() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(folder.path(), &["readout.window=4"], false);
    trainer.steps(3);
    let readout = trainer.model.readouts[0].clone();
    let whole = |t: &Trainer| {
        let readout = &t.model.readouts[0];
        let slot = readout.masks().unwrap();
        [&t.model.params, &t.first, &t.second].map(|a| readout.whole_masks(slot, a))
    };
    let features = |t: &Trainer| t.first.view(readout.features).download();
    let (before, before_features) = (whole(&trainer), features(&trainer));
    trainer.put_windows();
    assert_eq!(features(&trainer), before_features);
    let windows = trainer.model.readouts[0].windows.clone().unwrap();
    for (before, after) in before.iter().zip(whole(&trainer)) {
        assert_eq!(windows.inside(before), windows.inside(&after));
    }
}

#[test]
fn a_fit_resumes_on_either_side_of_the_windows_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let set = ["readout.window=4"];
    let mut straight = trainer(&folder.path().join("straight"), &set, false);
    straight.steps(7);
    for stop in [2, 3, 5] {
        let place = folder.path().join(format!("stopped-{stop}"));
        let mut stopped = trainer(&place, &set, false);
        stopped.steps(stop);
        stopped.save().unwrap();
        drop(stopped);
        let mut resumed = trainer(&place, &set, true);
        resumed.steps(7 - stop);
        assert!(everything(&straight) == everything(&resumed), "{stop}");
        // Not a number is not equal to itself.
        let told = |t: &Trainer| format!("{:?}", t.looks);
        assert_eq!(told(&straight), told(&resumed));
    }
}

#[test]
fn a_run_says_where_its_neurons_look_and_keeps_whole_masks() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut trainer = trainer(&out, &["readout.window=4", "readout.window_mass=0"], false);
    trainer
        .run(&Interrupts::none(), &mut Progress::hidden())
        .unwrap();
    let table = Table::read_csv(&out.join(FILE)).unwrap();
    let names: Vec<&str> = table.names().collect();
    assert_eq!(names, ["neuron", "row", "column", "side", "mass"]);
    let column = |name: &str| table.numbers(name).unwrap().into_owned();
    let best = trainer.into_best();
    let saved = crate::model::checkpoint::Tensors::read(&out.join(MODEL)).unwrap();
    let (shape, masks) = &saved.tensors["readout.r.mask"];
    assert_eq!(*shape, [3, MAP.0, MAP.1]);
    let read = crate::model::Model::open(&out, &Device::Cpu).unwrap();
    for n in 0..3 {
        let (row, left) = (column("row")[n] as usize, column("column")[n] as usize);
        let own = &masks[n * MAP.0 * MAP.1..][..MAP.0 * MAP.1];
        assert_eq!(own, best.mask(0, n));
        assert_eq!(own, read.mask(0, n));
        let window = read.readouts[0].windows.as_ref().unwrap().of(n);
        assert_eq!((window.top, window.left, window.pixels()), (row, left, 16));
        assert!((0.0..=1.0).contains(&column("mass")[n]) && column("side")[n] == 4.0);
    }
    let images = Array3::from_shape_fn((5, MAP.0, MAP.1), |(i, y, x)| ((i + y * x) % 7) as f32);
    let (mut best, mut read) = (best, read);
    assert_eq!(
        best.predict(0, images.view()).unwrap(),
        read.predict(0, images.view()).unwrap()
    );
}
