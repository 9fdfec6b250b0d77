//! `import stringer`, and `import minimodel` with images of a MATLAB file.

use super::small::striate;
use super::written::{bytes, double, save, single, structs};
use ndarray::{Array1, Array2, Array3, array};
use std::fs;
use std::path::Path;
use striate::npy;
use striate::recording::Recording;

const IMAGES: usize = 10;
const NEURONS: usize = 3;

/// Every image twice, and grey three times, in some order.
pub fn order() -> Vec<f64> {
    let mut order: Vec<f64> = (0..2 * IMAGES)
        .map(|t| (t * 7 % IMAGES + 1) as f64)
        .collect();
    for at in [2, 9, 15] {
        order.insert(at, IMAGES as f64 + 1.0);
    }
    order
}

fn response(trial: usize, neuron: usize) -> f32 {
    (trial * 100 + neuron) as f32 + 0.3
}

pub fn session() -> Vec<Vec<u8>> {
    let order = order();
    let resp: Vec<f32> = (0..NEURONS)
        .flat_map(|n| (0..order.len()).map(move |t| response(t, n)))
        .collect();
    let fields = [
        single("", &[order.len(), NEURONS], &resp),
        double("", &[order.len(), 1], &order),
        single("", &[5, NEURONS], &[0.0; 5 * NEURONS]),
    ];
    let cells: Vec<Vec<u8>> = (0..NEURONS)
        .flat_map(|n| {
            [
                double("", &[1, 1], &[n as f64]),
                bytes("", &[1, 1], &[(n == 1).into()]),
            ]
        })
        .collect();
    vec![
        structs("stim", &[1, 1], &["resp", "istim", "spont"], &fields),
        double(
            "med",
            &[NEURONS, 3],
            &[1.5, 2.5, 3.5, 10.0, 20.0, 30.0, -100.0, -120.0, -140.0],
        ),
        structs("stat", &[1, NEURONS], &["npix", "redcell"], &cells),
    ]
}

/// 4 x 8 each.
pub fn images(at: &Path, name: &str) {
    let grey: Vec<u8> = (0..IMAGES * 32).map(|i| (i * 5 % 251) as u8).collect();
    save(at, &[bytes(name, &[4, 8, IMAGES], &grey)]);
}

#[test]
fn a_natimg2800_session_becomes_a_recording() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    save(&f.join("natimg2800_M1_2017-01-01.mat"), &session());
    images(&f.join("images.mat"), "imgs");
    let done = striate(
        f,
        "import stringer natimg2800_M1_2017-01-01.mat --images images.mat --crop 0:4 --rescale area:2 --out a",
    );
    assert!(
        done.err.contains("3 presentations of grey are left out"),
        "{}",
        done.err
    );
    done.ok();
    let r = Recording::open(&f.join("a")).unwrap();
    assert_eq!(r.name, "natimg2800_M1_2017-01-01");
    assert_eq!(r.images.dim(), (IMAGES, 2, 2));
    let kept: Vec<usize> = (0..order().len()).filter(|t| order()[*t] <= 10.0).collect();
    assert_eq!(r.trials.len(), 2 * IMAGES);
    for (row, t) in kept.iter().enumerate() {
        for n in 0..NEURONS {
            assert_eq!(r.responses[[row, n]], response(*t, n));
        }
        let twin = r.trials.iter().filter(|x| x.image == r.trials[row].image);
        assert!(twin.clone().count() == 2 && twin.clone().all(|x| x.tier == r.trials[row].tier));
    }
    // Image 1 lies in column order: pixel (y, x) is number y + 4 x.
    let p = |y: usize, x: usize| ((y + 4 * x) * 5 % 251) as f32;
    let mean = (p(0, 0) + p(1, 0) + p(0, 1) + p(1, 1)) / 4.0;
    assert_eq!(r.images[[0, 0, 0]], mean);
    let neurons = fs::read_to_string(f.join("a/neurons.csv")).unwrap();
    assert_eq!(
        neurons,
        "neuron,x,y,z,redcell\n0,1.5,10,-100,0\n1,2.5,20,-120,1\n2,3.5,30,-140,0\n"
    );
    assert!(
        r.source.unwrap().ends_with(
            "crop 0:4, rescale area:2, split by image: test 0.2, validation 0.1, seed 1"
        )
    );
}

#[test]
fn a_minimodel_session_takes_its_images_from_either_file() {
    let f = tempfile::tempdir().unwrap();
    let f = f.path();
    let grey = |i: usize, y: usize, x: usize| (i * 5 + y * 3 + x) as u8;
    let rows = Array3::from_shape_fn((30, 4, 8), |(i, y, x)| grey(i, y, x));
    npy::write(&f.join("images.npy"), rows.view()).unwrap();
    let columns: Vec<u8> = (0..30 * 32)
        .map(|at| grey(at / 32, at % 4, at / 4 % 8))
        .collect();
    save(
        &f.join("nat60k.mat"),
        &[bytes("img", &[4, 8, 30], &columns)],
    );
    let singles = Array2::from_shape_fn((2, 20), |(n, t)| (t * 10 + n) as f32).into_dyn();
    let again =
        Array3::from_shape_fn((2, 3, 2), |(i, k, n)| (100 * i + 10 * k + n) as f32).into_dyn();
    let presented = Array1::from_iter((0..20).map(|t| t as f32)).into_dyn();
    let repeated = array![25.0_f32, 20.0].into_dyn();
    let arrays = [
        ("sp", singles.view()),
        ("ss_all", again.view()),
        ("istim_sp", presented.view()),
        ("istim_ss", repeated.view()),
    ];
    npy::write_npz(&f.join("FX8.npz"), &arrays).unwrap();
    for (images, out) in [("images.npy", "a"), ("nat60k.mat", "b")] {
        let line = format!("import minimodel FX8.npz --images {images} --crop 1:5 --out {out}");
        striate(f, &line).ok();
    }
    let a = Recording::open(&f.join("a")).unwrap();
    assert_eq!(a.images.dim(), (22, 4, 4));
    assert_eq!(a.images[[20, 3, 0]], f32::from(grey(25, 3, 1)));
    for name in ["images.npy", "responses.npy", "trials.csv"] {
        let read = |out: &str| fs::read(f.join(out).join(name)).unwrap();
        assert!(read("a") == read("b"), "{name}");
    }
}
