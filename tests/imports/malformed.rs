//! Sources with one thing wrong: each is named and refused with exit code 2, and nothing is left behind.

use super::small::{everything, striate};
use super::written::{bytes, cell, double, file, save, single, structs, word};
use super::{experanto, mat, pvc8, stringer, suite2p};
use ndarray::{Array1, Array2, Array3, array};
use std::fs;
use std::path::Path;
use striate::npy;

/// What is wrong, how it comes about, what is asked for, and what must be said.
type Case<'a> = (&'a str, &'a dyn Fn(&Path), &'a str, &'a [&'a str]);

fn refuses(cases: &[Case<'_>]) {
    for (what, make, line, parts) in cases {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let before = everything(folder.path());
        let done = striate(folder.path(), &format!("import {line} --out new/out"));
        assert_eq!(done.code, 2, "{what}: {} {}", done.out, done.err);
        for part in *parts {
            assert!(
                done.err.contains(part),
                "{what}: wanted {part:?} in: {}",
                done.err
            );
        }
        assert!(
            everything(folder.path()) == before,
            "{what}: something is left behind"
        );
    }
}

fn copied(fixture: &str, to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(fixture);
    fs::copy(from, to).unwrap();
}

/// The session of `import mat` with a variable replaced.
fn changed(f: &Path, at: usize, variable: Vec<u8>) {
    let mut session = mat::session();
    session[at] = variable;
    save(&f.join("s.mat"), &session);
}

fn data(resp: Vec<u8>, order: Vec<u8>) -> Vec<u8> {
    structs("data", &[1, 1], &["resp", "order"], &[resp, order])
}

fn order(values: &[f64]) -> Vec<u8> {
    data(
        single("", &[10, 4], &mat::responses()),
        double("", &[values.len(), 1], values),
    )
}

#[test]
fn matlab_files() {
    let whole = || file(&mat::session());
    let line = mat::LINE;
    let with_tiers = format!("{line} --tiers tiers");
    let mut late = mat::SHOWN;
    late[4] = 7.0;
    let mut half = mat::SHOWN;
    half[4] = 2.5;
    let mut zero = mat::SHOWN;
    zero[4] = 0.0;
    let mut none = mat::SHOWN;
    none[4] = f64::NAN;
    let mut infinite = mat::responses();
    infinite[12] = f32::INFINITY;
    let mut silent = mat::responses();
    silent[20..30].fill(f32::NAN);
    let bad_tier = cell("tiers", &[1, 6], &[(); 6].map(|()| word("", "trian")));
    let few_tiers = cell("tiers", &[1, 5], &[(); 5].map(|()| word("", "train")));
    let one_tier = cell("tiers", &[1, 6], &[(); 6].map(|()| word("", "train")));
    let leak: Vec<Vec<u8>> = (0..10)
        .map(|t| word("", if t < 4 { "train" } else { "test" }))
        .collect();
    let leak = cell("tiers", &[1, 10], &leak);
    let sizes = |i| match i {
        1 => bytes("", &[2, 2], &[0; 4]),
        _ => bytes("", &[2, 3], &[0; 6]),
    };
    let ragged = cell("img", &[1, 6], &(0..6).map(sizes).collect::<Vec<_>>());
    let doubtful = bytes("img", &[6, 5, 6], &[0; 180]);
    let nan_pixel = double("img", &[2, 3, 6], &[f64::NAN; 36]);
    refuses(&[
        ("no file", &|_| (), line, &["s.mat", "cannot read"]),
        (
            "a folder",
            &|f| fs::create_dir(f.join("s.mat")).unwrap(),
            line,
            &["s.mat", "not a file"],
        ),
        (
            "an empty file",
            &|f| fs::write(f.join("s.mat"), "").unwrap(),
            line,
            &["s.mat", "no MATLAB file"],
        ),
        (
            "a v7.3 file",
            &|f| copied("matlab/seven-three.mat", &f.join("s.mat")),
            line,
            &["HDF5"],
        ),
        (
            "a v4 file",
            &|f| copied("matlab/four.mat", &f.join("s.mat")),
            line,
            &["version 4", "-v7"],
        ),
        (
            "an .npy file",
            &|f| npy::write(&f.join("s.mat"), array![1.0_f32].view()).unwrap(),
            line,
            &["no MATLAB file"],
        ),
        (
            "cut in a variable",
            &|f| fs::write(f.join("s.mat"), &whole()[..400]).unwrap(),
            line,
            &["truncated"],
        ),
        (
            "cut in a tag",
            &|f| fs::write(f.join("s.mat"), &whole()[..132]).unwrap(),
            line,
            &["truncated", "tag"],
        ),
        (
            "an unknown element",
            &|f| fs::write(f.join("s.mat"), [whole(), vec![99; 16]].concat()).unwrap(),
            line,
            &["element of type"],
        ),
        (
            "a damaged deflate",
            &|f| {
                copied("matlab/kinds-compressed.mat", &f.join("s.mat"));
                let mut bytes = fs::read(f.join("s.mat")).unwrap();
                bytes[150] ^= 0xff;
                fs::write(f.join("s.mat"), bytes).unwrap();
            },
            "mat s.mat --images double --responses single",
            &["s.mat"],
        ),
        (
            "no such variable",
            &|f| save(&f.join("s.mat"), &mat::session()),
            "mat s.mat --images im --responses data.resp",
            &["no variable `im`", "did you mean `img`"],
        ),
        (
            "no such field",
            &|f| save(&f.join("s.mat"), &mat::session()),
            "mat s.mat --images img --responses data.rasp",
            &["no field `rasp`", "did you mean `resp`"],
        ),
        (
            "nothing said",
            &|f| save(&f.join("s.mat"), &mat::session()),
            "mat s.mat",
            &["--images", "missing", "img (2x3x6 uint8)"],
        ),
        (
            "no responses said",
            &|f| save(&f.join("s.mat"), &mat::session()),
            "mat s.mat --images img",
            &["--responses", "data.resp (10x4 single)"],
        ),
        (
            "sparse responses",
            &|f| copied("matlab/refused.mat", &f.join("s.mat")),
            "mat s.mat --images plain --responses sparse",
            &["sparse", "full(x)"],
        ),
        (
            "complex responses",
            &|f| copied("matlab/refused.mat", &f.join("s.mat")),
            "mat s.mat --images plain --responses complex",
            &["complex"],
        ),
        (
            "words as responses",
            &|f| save(&f.join("s.mat"), &mat::session()),
            "mat s.mat --images img --responses tiers",
            &["s.mat/tiers", "cell", "numbers"],
        ),
        (
            "another number of trials",
            &|f| {
                changed(
                    f,
                    1,
                    data(
                        single("", &[9, 4], &mat::responses()[..36]),
                        double("", &[10, 1], &mat::SHOWN),
                    ),
                )
            },
            line,
            &["9x4", "10 trials"],
        ),
        (
            "an image that is not there",
            &|f| changed(f, 1, order(&late)),
            line,
            &["data.order", "7", "1 to 6"],
        ),
        (
            "image number 0",
            &|f| changed(f, 1, order(&zero)),
            line,
            &["data.order", "0", "1 to 6"],
        ),
        (
            "half an image number",
            &|f| changed(f, 1, order(&half)),
            line,
            &["data.order", "2.5"],
        ),
        (
            "NaN as image number",
            &|f| changed(f, 1, order(&none)),
            line,
            &["data.order", "NaN"],
        ),
        (
            "an infinite response",
            &|f| {
                changed(
                    f,
                    1,
                    data(
                        single("", &[10, 4], &infinite),
                        double("", &[10, 1], &mat::SHOWN),
                    ),
                )
            },
            line,
            &["infinite", "neuron 1, trial 2"],
        ),
        (
            "a neuron never recorded",
            &|f| {
                changed(
                    f,
                    1,
                    data(
                        single("", &[10, 4], &silent),
                        double("", &[10, 1], &mat::SHOWN),
                    ),
                )
            },
            line,
            &["neuron 2", "NaN on every trial"],
        ),
        (
            "no image",
            &|f| changed(f, 0, bytes("img", &[2, 3, 0], &[])),
            line,
            &["img", "2x3x0"],
        ),
        (
            "images of two sizes",
            &|f| changed(f, 0, ragged.clone()),
            line,
            &["image 2", "2 x 2", "2 x 3"],
        ),
        (
            "two axes that may count images",
            &|f| changed(f, 0, doubtful.clone()),
            line,
            &["6x5x6", "--image-axis"],
        ),
        (
            "images of five axes",
            &|f| changed(f, 0, bytes("img", &[2, 3, 2, 3, 2], &[0; 72])),
            line,
            &["2x3x2x3x2"],
        ),
        (
            "pixels that are no numbers",
            &|f| changed(f, 0, nan_pixel.clone()),
            line,
            &["grey level of image 3", "NaN"],
        ),
        (
            "a tier that is none",
            &|f| changed(f, 2, bad_tier.clone()),
            &with_tiers,
            &["trian", "train, validation or test"],
        ),
        (
            "too few tiers",
            &|f| changed(f, 2, few_tiers.clone()),
            &with_tiers,
            &["5", "10, one per trial, or 6, one per image"],
        ),
        (
            "no test tier",
            &|f| changed(f, 2, one_tier.clone()),
            &with_tiers,
            &["number of test trials", "at least 1"],
        ),
        (
            "an image in two tiers",
            &|f| changed(f, 2, leak.clone()),
            &with_tiers,
            &["leaks", "image 3"],
        ),
        (
            "numbers as tiers",
            &|f| changed(f, 2, double("tiers", &[1, 6], &[0.0; 6])),
            &with_tiers,
            &["\"0\"", "train, validation or test"],
        ),
        (
            "a share that is none",
            &|f| save(&f.join("s.mat"), &mat::session()),
            &format!("{line} --test 1.5"),
            &["--test", "1.5"],
        ),
        (
            "more bytes than it has",
            &|f| {
                let mut bytes = whole();
                // The second length of the first variable.
                bytes[164..168].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
                fs::write(f.join("s.mat"), bytes).unwrap();
            },
            line,
            &["img"],
        ),
    ]);
}

#[test]
fn sessions_of_known_layouts() {
    let natural = |f: &Path| {
        save(&f.join("s.mat"), &stringer::session());
        stringer::images(&f.join("i.mat"), "imgs");
    };
    let line = "stringer s.mat --images i.mat";
    let mut beyond = stringer::order();
    beyond[0] = 13.0;
    refuses(&[
        (
            "no images",
            &|f| save(&f.join("s.mat"), &stringer::session()),
            line,
            &["i.mat", "cannot read"],
        ),
        (
            "no stim",
            &|f| {
                natural(f);
                save(&f.join("s.mat"), &mat::session());
            },
            line,
            &["no variable `stim`"],
        ),
        (
            "an image beyond grey",
            &|f| {
                natural(f);
                let fields = [
                    single("", &[beyond.len(), 1], &vec![1.0; beyond.len()]),
                    double("", &[beyond.len(), 1], &beyond),
                ];
                save(
                    &f.join("s.mat"),
                    &[structs("stim", &[1, 1], &["resp", "istim"], &fields)],
                );
            },
            line,
            &["stim.istim", "13", "1 to 10"],
        ),
        (
            "positions of other neurons",
            &|f| {
                natural(f);
                let mut session = stringer::session();
                session[1] = double("med", &[2, 3], &[0.0; 6]);
                save(&f.join("s.mat"), &session);
            },
            line,
            &["med", "2x3", "3x3"],
        ),
        (
            "a crop beyond the image",
            &natural,
            "stringer s.mat --images i.mat --crop 0:9",
            &["--crop", "0:9", "0:8"],
        ),
        (
            "a rescale that does not divide",
            &natural,
            "stringer s.mat --images i.mat --rescale area:3",
            &["4 x 8", "multiples of 3"],
        ),
        (
            "images of which none is said",
            &|f| {
                natural(f);
                save(
                    &f.join("i.mat"),
                    &[
                        bytes("a", &[2, 2, 9], &[0; 36]),
                        bytes("b", &[2, 2, 9], &[0; 36]),
                    ],
                );
            },
            line,
            &["a (2x2x9 uint8)", "`imgs`"],
        ),
        (
            "a natimg2800 session as plain mat",
            &natural,
            "mat s.mat",
            &["import stringer"],
        ),
        (
            "a window beyond the blank",
            &|f| save(&f.join("01.mat"), &pvc8::session(12)),
            "pvc8 01.mat --window 5-11",
            &["--window", "11", "at most 10"],
        ),
        (
            "a window beyond, without a blank",
            &|f| {
                let mut session = pvc8::session(12);
                session.remove(1);
                save(&f.join("01.mat"), &session);
            },
            "pvc8 01.mat --window 5-7",
            &["--window", "7", "at most 6"],
        ),
        (
            "natural images of another set",
            &|f| save(&f.join("01.mat"), &pvc8::session(12)),
            "pvc8 01.mat --window 0-5 --natural",
            &["12", "956", "--natural"],
        ),
        (
            "fewer images than responses",
            &|f| {
                let mut session = pvc8::session(12);
                session[2] = cell(
                    "images",
                    &[2, 1],
                    &[bytes("", &[1, 1], &[0]), bytes("", &[1, 1], &[1])],
                );
                save(&f.join("01.mat"), &session);
            },
            "pvc8 01.mat --window 0-5",
            &["number of images", "2", "12"],
        ),
        (
            "a plain MATLAB file",
            &|f| save(&f.join("01.mat"), &mat::session()),
            "pvc8 01.mat",
            &["no variable `resp_train`"],
        ),
    ]);
}

#[test]
fn folders_of_suite2p() {
    let line = format!("suite2p m1 {}", suite2p::LINE);
    let at = "m1/suite2p/plane0";
    let put = |f: &Path, name: &str, array: Array1<f64>| {
        suite2p::folder(f);
        npy::write(&f.join(name), array.view()).unwrap();
    };
    refuses(&[
        ("no folder", &|_| (), &line, &["m1", "does not exist"]),
        (
            "a folder without planes",
            &|f| fs::create_dir(f.join("m1")).unwrap(),
            &line,
            &["m1", "spks.npy"],
        ),
        (
            "no onsets",
            &|f| {
                suite2p::folder(f);
                fs::remove_file(f.join("onsets.npy")).unwrap();
            },
            &line,
            &["onsets.npy", "cannot read"],
        ),
        (
            "no spikes, but fluorescence",
            &|f| {
                suite2p::folder(f);
                fs::remove_file(f.join(at).join("spks.npy")).unwrap();
            },
            &line,
            &["spks.npy", "cannot read"],
        ),
        (
            "no iscell",
            &|f| {
                suite2p::folder(f);
                fs::remove_file(f.join(at).join("iscell.npy")).unwrap();
            },
            &line,
            &["iscell.npy", "cannot read"],
        ),
        (
            "iscell of other ROIs",
            &|f| {
                suite2p::folder(f);
                npy::write(
                    &f.join(at).join("iscell.npy"),
                    Array2::<f32>::ones((2, 2)).view(),
                )
                .unwrap();
            },
            &line,
            &["iscell.npy", "(2, 2)", "(3, 2)"],
        ),
        (
            "no cells",
            &|f| {
                suite2p::folder(f);
                for (plane, rois) in [(0, 3), (1, 2)] {
                    let file = f.join(format!("m1/suite2p/plane{plane}/iscell.npy"));
                    npy::write(&file, Array2::<f32>::zeros((rois, 2)).view()).unwrap();
                }
            },
            &line,
            &["number of cells", "0", "--all"],
        ),
        (
            "spikes of one axis",
            &|f| put(f, &format!("{at}/spks.npy"), Array1::zeros(9)),
            &line,
            &["spks.npy", "(9,)"],
        ),
        (
            "more onsets than images",
            &|f| put(f, "onsets.npy", Array1::zeros(13)),
            &line,
            &["order.npy", "12", "13"],
        ),
        (
            "NaN as onset",
            &|f| put(f, "onsets.npy", Array1::from_elem(12, f64::NAN)),
            &line,
            &["onsets.npy", "onset 0", "NaN"],
        ),
        (
            "half a frame",
            &|f| put(f, "onsets.npy", Array1::from_elem(12, 1.5)),
            &line,
            &["onsets.npy", "1.5"],
        ),
        (
            "every window outside",
            &|f| put(f, "onsets.npy", Array1::from_elem(12, 58.0)),
            &line,
            &["number of trials", "60 frames"],
        ),
        (
            "an image that is not there",
            &|f| put(f, "order.npy", Array1::from_elem(12, 6.0)),
            &line,
            &["order.npy", "6", "0 to 5"],
        ),
        (
            "images of one size only",
            &|f| {
                suite2p::folder(f);
                npy::write(&f.join("images.npy"), Array2::<u8>::zeros((6, 8)).view()).unwrap();
            },
            &line,
            &["images.npy", "(6, 8)"],
        ),
        (
            "pickled onsets",
            &|f| {
                suite2p::folder(f);
                copied("numpy/objects.npy", &f.join("onsets.npy"));
            },
            &line,
            &["onsets.npy", "pickled", "numpy.save("],
        ),
        (
            "a plane twice",
            &|f| suite2p::folder(f),
            &format!("suite2p m1 {at} {}", suite2p::LINE),
            &["twice"],
        ),
        (
            "neuropil of another shape",
            &|f| {
                suite2p::folder(f);
                npy::write(
                    &f.join(at).join("Fneu.npy"),
                    Array2::<f32>::zeros((3, 9)).view(),
                )
                .unwrap();
            },
            &format!("{line} --signal dff"),
            &["Fneu.npy", "(3, 9)", "(3, 60)"],
        ),
    ]);
}

#[test]
fn folders_of_experanto() {
    let line = "experanto m1 --window 0-0.25";
    let edit = |f: &Path, name: &str, from: &str, to: &str| {
        experanto::folder(&f.join("m1"));
        let place = f.join("m1").join(name);
        let text = fs::read_to_string(&place).unwrap();
        assert!(text.contains(from));
        fs::write(place, text.replace(from, to)).unwrap();
    };
    let (block, meta) = ("screen/meta/00004.yml", "responses/meta.yml");
    refuses(&[
        ("no folder", &|_| (), line, &["m1", "no folder screen"]),
        (
            "no responses",
            &|f| fs::create_dir_all(f.join("m1/screen")).unwrap(),
            line,
            &["no folder responses"],
        ),
        (
            "a Sensorium scan",
            &|f| fs::create_dir_all(f.join("m1/data/images")).unwrap(),
            line,
            &["import sensorium"],
        ),
        (
            "no blocks",
            &|f| {
                experanto::folder(&f.join("m1"));
                fs::remove_dir_all(f.join("m1/screen/meta")).unwrap();
            },
            line,
            &["screen/meta", "no blocks"],
        ),
        (
            "videos only",
            &|f| {
                experanto::folder(&f.join("m1"));
                for i in 0..8 {
                    let place = f.join(format!("m1/screen/meta/{:05}.yml", 2 * i));
                    fs::write(
                        place,
                        "modality: video\nfirst_frame_idx: 0\nnum_frames: 9\n",
                    )
                    .unwrap();
                }
            },
            line,
            &["8 videos", "clips are not images"],
        ),
        (
            "an unknown tier",
            &|f| edit(f, block, "train", "trian"),
            line,
            &["00004.yml", "trian"],
        ),
        (
            "no tier",
            &|f| edit(f, block, "tier: train", "tear: train"),
            line,
            &["00004.yml", "tier", "missing"],
        ),
        (
            "no YAML",
            &|f| edit(f, block, "tier: train", "tier: [train"),
            line,
            &["00004.yml", "YAML"],
        ),
        (
            "a frame that has no time",
            &|f| edit(f, block, "first_frame_idx: 4", "first_frame_idx: 40"),
            line,
            &["timestamps.npy", "frame 40"],
        ),
        (
            "a negative frame",
            &|f| edit(f, block, "first_frame_idx: 4", "first_frame_idx: -4"),
            line,
            &["00004.yml", "-4"],
        ),
        (
            "a file of a block that is no number",
            &|f| {
                experanto::folder(&f.join("m1"));
                fs::write(f.join("m1/screen/meta/a.yml"), "modality: image\n").unwrap();
            },
            line,
            &["a.yml", "00000"],
        ),
        (
            "an image that is not there",
            &|f| {
                experanto::folder(&f.join("m1"));
                fs::remove_file(f.join("m1/screen/data/00006.npy")).unwrap();
            },
            line,
            &["00006.npy", "cannot read"],
        ),
        (
            "images of two sizes",
            &|f| {
                experanto::folder(&f.join("m1"));
                npy::write(
                    &f.join("m1/screen/data/00006.npy"),
                    Array2::<u8>::zeros((3, 4)).view(),
                )
                .unwrap();
            },
            line,
            &["00006.npy", "3 x 4", "2 x 4"],
        ),
        (
            "a colour image",
            &|f| {
                experanto::folder(&f.join("m1"));
                npy::write(
                    &f.join("m1/screen/data/00006.npy"),
                    Array3::<u8>::zeros((2, 4, 3)).view(),
                )
                .unwrap();
            },
            line,
            &["00006.npy", "(2, 4, 3)", "grey"],
        ),
        (
            "NaN times",
            &|f| {
                experanto::folder(&f.join("m1"));
                npy::write(
                    &f.join("m1/screen/timestamps.npy"),
                    Array1::from_elem(16, f64::NAN).view(),
                )
                .unwrap();
            },
            line,
            &["timestamps.npy", "NaN", "seconds"],
        ),
        (
            "an image in two tiers",
            &|f| edit(f, "screen/meta/00010.yml", "test", "train"),
            line,
            &["leaks"],
        ),
        (
            "spikes",
            &|f| edit(f, meta, "sequence", "spikes"),
            line,
            &["meta.yml", "spikes", "sequence"],
        ),
        (
            "no rate",
            &|f| edit(f, meta, "sampling_rate", "rate"),
            line,
            &["meta.yml", "sampling_rate", "missing"],
        ),
        (
            "a rate of 0",
            &|f| edit(f, meta, "sampling_rate: 8", "sampling_rate: 0"),
            line,
            &["sampling_rate", "above 0"],
        ),
        (
            "another number of neurons",
            &|f| edit(f, meta, "n_signals: 3", "n_signals: 4"),
            line,
            &["data.npy", "3", "4 as in meta.yml"],
        ),
        (
            "mapped samples of another length",
            &|f| {
                edit(f, meta, "is_mem_mapped: false", "is_mem_mapped: true");
                fs::write(f.join("m1/responses/data.mem"), [0; 12]).unwrap();
            },
            line,
            &["data.mem", "truncated"],
        ),
        (
            "a type that is none",
            &|f| {
                edit(f, meta, "dtype: float32", "dtype: object");
                let place = f.join("m1").join(meta);
                let text = fs::read_to_string(&place).unwrap();
                fs::write(
                    &place,
                    text.replace("is_mem_mapped: false", "is_mem_mapped: true"),
                )
                .unwrap();
            },
            line,
            &["dtype", "object"],
        ),
        (
            "no phase shifts",
            &|f| {
                experanto::folder(&f.join("m1"));
                fs::remove_file(f.join("m1/responses/meta/phase_shifts.npy")).unwrap();
            },
            line,
            &["phase_shifts.npy", "cannot read"],
        ),
        (
            "every window outside",
            &|f| experanto::folder(&f.join("m1")),
            "experanto m1 --window 20-21",
            &["leave the recording", "0 to 10 s"],
        ),
        (
            "a window without a sample",
            &|f| experanto::folder(&f.join("m1")),
            "experanto m1 --window 0.01-0.02",
            &["--window", "8 a second"],
        ),
        (
            "a window that is none",
            &|f| experanto::folder(&f.join("m1")),
            "experanto m1 --window 2-1",
            &["2-1"],
        ),
    ]);
}

#[test]
fn other_kinds_are_recognised() {
    let mat = |f: &Path| save(&f.join("s.mat"), &mat::session());
    let suite2p = |f: &Path| suite2p::folder(f);
    let experanto = |f: &Path| experanto::folder(&f.join("m1"));
    refuses(&[
        (
            "MATLAB as loose arrays",
            &mat,
            "npy s.mat",
            &["s.mat", "import mat"],
        ),
        (
            "MATLAB as a scan",
            &mat,
            "sensorium s.mat",
            &["s.mat", "import mat"],
        ),
        (
            "suite2p as loose arrays",
            &suite2p,
            "npy m1",
            &["m1", "import suite2p"],
        ),
        (
            "suite2p as a scan",
            &suite2p,
            "sensorium m1/suite2p",
            &["m1", "import suite2p"],
        ),
        (
            "experanto as loose arrays",
            &experanto,
            "npy m1",
            &["m1", "import experanto"],
        ),
        (
            "experanto as a scan",
            &experanto,
            "sensorium m1",
            &["m1", "import experanto"],
        ),
        (
            "suite2p as experanto",
            &suite2p,
            "experanto m1 --window 0-1",
            &["m1", "no folder screen"],
        ),
    ]);
}
