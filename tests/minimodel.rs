//! `import minimodel`: a session in an `.npz`, its images in an `.npy`.

use ndarray::{Array1, Array2, Array3, ArrayView, Dimension, array};
use std::fs;
use std::io::Write;
use std::path::Path;
use striate::Result;
use striate::npy::{self, Element, fill};
use striate::recording::import::{Minimodel, minimodel};
use striate::recording::{Recording, Summary};
use zip::write::SimpleFileOptions;

/// Arrays of a session, as bytes of `.npy` files by name.
type Members = Vec<(&'static str, Vec<u8>)>;

fn member<T: Element, D: Dimension>(array: ArrayView<'_, T, D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    fill(&mut bytes, &array).unwrap();
    bytes
}

const NEURONS: usize = 3;
const PRESENTED: usize = 24;

fn response(trial: usize, neuron: usize) -> f32 {
    (trial * 10 + neuron) as f32 + 0.25
}

/// 24 presentations of images 0 to 23, images 30 and 31 repeated twice, the second time of 31 missing.
fn session() -> Members {
    let single = Array2::from_shape_fn((NEURONS, PRESENTED), |(n, t)| response(t, n));
    let again = Array3::from_shape_fn((2, 2, NEURONS), |(i, k, n)| match (i, k) {
        (1, 1) => f32::NAN,
        _ => response(100 + 2 * i + k, n),
    });
    let presented = Array1::from_iter((0..PRESENTED).map(|i| i as f64));
    vec![
        ("sp", member(single.view())),
        ("ss_all", member(again.view())),
        ("istim_sp", member(presented.view())),
        ("istim_ss", member(array![30_i64, 31].view())),
        ("xpos", member(array![1.5_f64, 2.0, -3.0].view())),
        ("ypos", member(array![4_i64, 5, 6].view())),
        ("iplane", member(array![0.0_f32, 1.0, 1.0].view())),
    ]
}

fn images() -> Array3<u8> {
    Array3::from_shape_fn((40, 4, 12), |(i, y, x)| (i * 5 + y + x) as u8)
}

fn write(folder: &Path, members: &Members) {
    let file = fs::File::create(folder.join("FX8.npz")).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    for (name, bytes) in members {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn imported(folder: &Path, options: &Minimodel) -> Result<Summary> {
    let options = Minimodel {
        images: folder.join("images.npy"),
        ..options.clone()
    };
    let out = folder.join("new/out");
    minimodel(
        &folder.join("FX8.npz"),
        Some(&out),
        &options,
        &mut |_, _, _| Ok(()),
    )
}

#[test]
fn a_session_becomes_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    write(f, &session());
    npy::write(&f.join("images.npy"), images().view()).unwrap();
    let summary = imported(f, &Minimodel::default()).unwrap();
    assert_eq!((summary.images, summary.neurons), (26, 3));
    let r = Recording::open(&f.join("new/out")).unwrap();
    assert_eq!(r.name, "FX8");
    assert_eq!(r.trials.len(), PRESENTED + 3);
    for (row, trial) in r.trials.iter().enumerate() {
        let (tier, source) = match row {
            0 | 10 | 20 => ("validation", row),
            0..PRESENTED => ("train", row),
            _ => ("test", 100 + row - PRESENTED),
        };
        assert_eq!(trial.tier.name(), tier);
        let number = match row {
            0..PRESENTED => row,
            _ => 30 + (row - PRESENTED) / 2,
        };
        assert_eq!(
            r.images[[trial.image, 3, 11]],
            images()[[number, 3, 11]] as f32
        );
        for neuron in 0..NEURONS {
            assert_eq!(r.responses[[row, neuron]], response(source, neuron));
        }
    }
    let column = r.trial_columns.unwrap().text("source_image").unwrap();
    assert_eq!(column[23..], ["23", "30", "30", "31"]);
    let neurons = fs::read_to_string(f.join("new/out/neurons.csv")).unwrap();
    assert_eq!(neurons, "neuron,plane,x,y\n0,0,1.5,4\n1,1,2,5\n2,1,-3,6\n");
}

#[test]
fn images_are_cropped_and_made_smaller_and_double_responses_stay() {
    let folder = tempfile::tempdir().unwrap();
    let f = folder.path();
    let mut members = session();
    let wide = Array2::from_shape_fn((NEURONS, PRESENTED), |(n, t)| 0.1 + (t * 10 + n) as f64);
    members[0].1 = member(wide.view());
    write(f, &members);
    npy::write(&f.join("images.npy"), images().view()).unwrap();
    let options = Minimodel {
        crop: Some(4..12),
        rescale: Some("area:4".parse().unwrap()),
        ..Minimodel::default()
    };
    imported(f, &options).unwrap();
    let r = Recording::open(&f.join("new/out")).unwrap();
    assert_eq!((r.height(), r.width()), (1, 2));
    // Mean of y + x over the block, from column 4.
    assert_eq!(r.images[[1, 0, 0]], 5.0 + 1.5 + 5.5);
    assert!(r.source.unwrap().ends_with("crop 4:12, rescale area:4"));
    let bytes = fs::read(f.join("new/out/responses.npy")).unwrap();
    assert_eq!(bytes[128 + 8 * NEURONS..][..8], 10.1_f64.to_le_bytes());
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let refuses = |change: &dyn Fn(&mut Members, &Path), options: Minimodel, parts: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let f = folder.path();
        npy::write(&f.join("images.npy"), images().view()).unwrap();
        let mut members = session();
        change(&mut members, f);
        write(f, &members);
        let message = match imported(f, &options) {
            Ok(_) => "accepted".to_string(),
            Err(e) => e.to_string(),
        };
        for part in parts {
            assert!(message.contains(part), "wanted {part:?} in: {message}");
        }
        assert!(!f.join("new").exists(), "{parts:?}");
    };
    let usual = Minimodel::default;
    let put = |at: usize, bytes: Vec<u8>| {
        move |members: &mut Members, _: &Path| members[at].1.clone_from(&bytes)
    };
    let mut pickled = b"\x93NUMPY\x01\x00".to_vec();
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n";
    pickled.extend((header.len() as u16).to_le_bytes());
    pickled.extend(header.as_bytes());
    pickled.extend(b"\x80\x03pickle");
    refuses(
        &put(1, pickled),
        usual(),
        &["ss_all.npy", "pickled", "numpy.savez(", "z[\"ss_all\"]"],
    );
    refuses(
        &|m, _| drop(m.remove(0)),
        usual(),
        &["sp.npy", "cannot read"],
    );
    refuses(
        &put(0, member(array![1.0_f32].view())),
        usual(),
        &["sp.npy", "(1,)", "2 axes"],
    );
    let other = Array3::<f32>::zeros((2, 2, 4));
    refuses(
        &put(1, member(other.view())),
        usual(),
        &["ss_all.npy", "is 4", "3"],
    );
    refuses(
        &put(2, member(array![1_i64].view())),
        usual(),
        &["istim_sp.npy", "(1,)", "(24,)"],
    );
    refuses(
        &put(3, member(array![30_i64, 40].view())),
        usual(),
        &["istim_ss.npy", "is 40", "0 to 39"],
    );
    refuses(
        &put(3, member(array![30.5, 31.0].view())),
        usual(),
        &["istim_ss.npy", "30.5"],
    );
    refuses(
        &put(3, member(array![30_i64, 5].view())),
        usual(),
        &["image 5", "test, but train", "trial 5", "leaks"],
    );
    let mut broken = Array2::<f32>::zeros((NEURONS, PRESENTED));
    broken[[1, 7]] = f32::INFINITY;
    refuses(
        &put(0, member(broken.view())),
        usual(),
        &["sp.npy", "neuron 1, trial 7", "infinite"],
    );
    broken.row_mut(1).fill(f32::NAN);
    refuses(
        &put(0, member(broken.view())),
        usual(),
        &["sp.npy", "neuron 1", "NaN"],
    );
    let options = Minimodel {
        crop: Some(4..13),
        ..usual()
    };
    refuses(&|_, _| (), options, &["--crop", "4:13", "0:12"]);
    let options = Minimodel {
        rescale: Some("area:5".parse().unwrap()),
        ..usual()
    };
    refuses(
        &|_, _| (),
        options,
        &["images.npy", "4 x 12", "multiples of 5"],
    );
    refuses(
        &|_, f| npy::write(&f.join("images.npy"), Array2::<u8>::zeros((4, 5)).view()).unwrap(),
        usual(),
        &["images.npy", "(4, 5)", "moveaxis"],
    );
    refuses(
        &|_, f| fs::remove_file(f.join("images.npy")).unwrap(),
        usual(),
        &["images.npy", "cannot read"],
    );
}
