//! Recordings: what is written comes back, and what is malformed is refused with one clear message.

mod malformed;
mod pool;
mod split;

use ndarray::{Array2, Array3, ArrayView, Dimension, array};
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use striate::Error;
use striate::npy::{self, Element};
use striate::recording::{Recording, Tier, Trial, describe};
use striate::table::{Column, Table};

/// Eight trials of six images, three neurons, everything optional present.
fn small() -> Recording {
    use Tier::{Test, Train, Validation};
    let shown = [
        (0, Train),
        (1, Train),
        (1, Train),
        (2, Validation),
        (3, Test),
        (3, Test),
        (5, Test),
        (5, Test),
    ];
    Recording {
        name: "small".into(),
        images: Array3::from_shape_fn((6, 4, 5), |(i, y, x)| (40 * i + 5 * y + x) as f32),
        responses: Array2::from_shape_fn((8, 3), |(t, n)| match (t, n) {
            (0, 1) => f32::NAN,
            (2, 2) => -0.25,
            _ => ((t * 7 + n * 3) % 5) as f32 + 1e-7,
        }),
        trials: shown
            .iter()
            .map(|(image, tier)| Trial {
                image: *image,
                tier: *tier,
            })
            .collect(),
        neurons: Some(
            Table::new()
                .with("neuron", Column::Integer(vec![0, 1, 2]))
                .with(
                    "layer",
                    Column::Text(vec!["L2/3".into(), "L4".into(), String::new()]),
                )
                .with("depth", Column::Number(vec![0.5, 120.25, f64::NAN])),
        ),
        trial_columns: None,
        degrees_per_pixel: Some(0.75),
        response_unit: Some("spikes \"per\" trial".into()),
        source: Some("made up".into()),
    }
}

fn bits(values: impl IntoIterator<Item = f32>) -> Vec<u32> {
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn what_is_written_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    for (name, scale) in [("grey-levels", 1.0), ("any-scale", -0.37)] {
        let directory = folder.path().join("new/parents").join(name);
        let mut written = small();
        written.images.mapv_inplace(|x| x * scale);
        written.trial_columns = Some(
            Table::new()
                .with("frame", Column::Integer((0..8).collect()))
                .with("note", Column::Text(vec!["a,b".into(); 8])),
        );
        written.write(&directory).unwrap();
        let read = Recording::open(&directory).unwrap();
        assert_eq!(bits(read.images.clone()), bits(written.images.clone()));
        assert_eq!(
            bits(read.responses.clone()),
            bits(written.responses.clone())
        );
        assert_eq!(read.trials, written.trials);
        let further = read.trial_columns.unwrap();
        assert_eq!(further.names().collect::<Vec<_>>(), ["frame", "note"]);
        assert_eq!(further.text("frame").unwrap()[7], "7");
        assert_eq!(further.text("note").unwrap()[0], "a,b");
        let (got, wanted) = (read.neurons.unwrap(), written.neurons.unwrap());
        assert_eq!(got.column("layer"), wanted.column("layer"));
        assert_eq!(got.numbers("depth").unwrap()[..2], [0.5, 120.25]);
        assert_eq!(read.name, "small");
        assert_eq!(read.degrees_per_pixel, Some(0.75));
        assert_eq!(read.response_unit, written.response_unit);
        assert_eq!(read.source, written.source);
        let leftovers = fs::read_dir(directory.parent().unwrap()).unwrap();
        assert!(
            leftovers
                .flatten()
                .all(|e| !e.file_name().to_string_lossy().starts_with('.'))
        );
    }
    let code = fs::read(folder.path().join("new/parents/grey-levels/images.npy")).unwrap();
    assert!(String::from_utf8_lossy(&code[..128]).contains("|u1"));
}

#[test]
fn cells_come_back_letter_by_letter() {
    let folder = tempfile::tempdir().unwrap();
    let (first, again) = (folder.path().join("a"), folder.path().join("b"));
    small().write(&first).unwrap();
    let trials = fs::read_to_string(first.join("trials.csv")).unwrap();
    let mut further: Vec<String> = trials.lines().map(str::to_string).collect();
    for (row, line) in further.iter_mut().enumerate() {
        let tier = line.split(',').take(2).collect::<Vec<_>>().join(",");
        let cells = [
            "id, when ",
            "0012, 1e5",
            "864691135639556411,",
            "1.50,\"a,b\"",
        ];
        *line = format!("{tier},{}", cells[row.min(1 + row % 3)]);
    }
    let trials = further.join("\n") + "\n";
    fs::write(first.join("trials.csv"), &trials).unwrap();
    let cells = "neuron,id,unit,hash\n00,1086606909,0012,1e5\n1,,0013,2e7\n2,864691135639556411,1.50,True\n";
    fs::write(first.join("neurons.csv"), cells).unwrap();
    Recording::open(&first).unwrap().write(&again).unwrap();
    assert_eq!(
        fs::read_to_string(again.join("neurons.csv")).unwrap(),
        cells
    );
    // The name of a column is a word.
    assert_eq!(
        fs::read_to_string(again.join("trials.csv")).unwrap(),
        trials.replacen("id, when ", "id,when", 1)
    );
}

#[test]
fn writing_stops_at_any_moment_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("r");
    let truth = Table::new().with("neuron", Column::Integer(vec![0]));
    for moments in 0.. {
        let left = Cell::new(moments);
        let stop = || {
            left.set(left.get() - 1);
            (left.get() < 0).then_some(15)
        };
        match small().write_with(&directory, &[("truth.csv", &truth)], &stop) {
            Err(Error::Stopped(15)) => {
                assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
            }
            done => {
                done.unwrap();
                assert!(moments > 4, "asked {moments} times");
                break;
            }
        }
    }
    Recording::open(&directory).unwrap();
    assert!(directory.join("truth.csv").exists());
}

#[test]
fn a_directory_with_something_in_it_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("r");
    fs::create_dir(&directory).unwrap();
    small().write(&directory).unwrap();
    let message = small().write(&directory).unwrap_err().to_string();
    assert!(message.contains("not empty"), "{message}");
    fs::write(folder.path().join("file"), "x").unwrap();
    assert!(small().write(&folder.path().join("file")).is_err());
}

#[test]
fn trials_are_found_by_tier_and_image() {
    let r = small();
    assert_eq!((r.height(), r.width(), r.neuron_count()), (4, 5, 3));
    assert_eq!(r.trials_of(Tier::Train), [0, 1, 2]);
    assert_eq!(r.images_of(Tier::Test), [3, 5]);
    assert_eq!(r.repeats(Tier::Test), [vec![4, 5], vec![6, 7]]);
    assert_eq!(r.repeats(Tier::Train), [vec![0], vec![1, 2]]);
}

/// A `.npy` file with any header and data.
fn raw(path: &Path, descr: &str, fortran: bool, shape: &str, data: &[u8]) {
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

fn saved<T: Element, D: Dimension>(path: PathBuf, array: ArrayView<'_, T, D>) {
    npy::write(&path, array).unwrap();
}

#[test]
fn byte_and_axis_orders_of_numpy_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("r");
    let wanted = small();
    wanted.write(&directory).unwrap();
    let file = directory.join("responses.npy");
    let columns: Vec<u8> = wanted
        .responses
        .t()
        .iter()
        .flat_map(|x| f64::from(*x).to_be_bytes())
        .collect();
    raw(&file, "'>f8'", true, "(8, 3)", &columns);
    assert_eq!(
        bits(Recording::open(&directory).unwrap().responses),
        bits(wanted.responses.clone())
    );
    let rows: Vec<u8> = wanted
        .responses
        .iter()
        .flat_map(|x| x.to_be_bytes())
        .collect();
    raw(&file, "'>f4'", false, "(8, 3)", &rows);
    assert_eq!(
        bits(Recording::open(&directory).unwrap().responses),
        bits(wanted.responses.clone())
    );
    saved(file, wanted.responses.mapv(f64::from).view());
    assert_eq!(
        bits(Recording::open(&directory).unwrap().responses),
        bits(wanted.responses)
    );
    let images: Vec<u8> = wanted.images.t().iter().map(|x| *x as u8).collect();
    raw(
        &directory.join("images.npy"),
        "'|u1'",
        true,
        "(6, 4, 5)",
        &images,
    );
    assert_eq!(Recording::open(&directory).unwrap().images, wanted.images);
}

#[test]
fn tables_from_spreadsheets_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("r");
    small().write(&directory).unwrap();
    let trials = fs::read_to_string(directory.join("trials.csv")).unwrap();
    let windows = format!(
        "\u{feff}{}  \r\n\r\n",
        trials.replace('\n', " \r\n").replace(',', ", ")
    );
    fs::write(directory.join("trials.csv"), windows).unwrap();
    fs::write(
        directory.join("neurons.csv"),
        "\u{feff}neuron , area\r\n0, V1 \r\n1,V1\r\n2,V1\r\n",
    )
    .unwrap();
    fs::write(
        directory.join("recording.toml"),
        "\u{feff}degrees_per_pixel = 2\r\n",
    )
    .unwrap();
    let read = Recording::open(&directory).unwrap();
    assert_eq!(read.trials, small().trials);
    assert_eq!(read.degrees_per_pixel, Some(2.0));
    assert_eq!(read.name, "r");
    let area = Column::Text(vec![" V1 ".into(), "V1".into(), "V1".into()]);
    assert_eq!(read.neurons.unwrap().column("area"), Some(&area));
}

#[test]
fn what_is_unwise_but_valid_is_warned_of() {
    let mut r = small();
    r.images = Array3::from_elem((6, 4, 5), 7.0);
    r.responses.column_mut(0).fill(0.0);
    let d = describe(&r);
    let text = d.to_string();
    for part in [
        "few training images: 2",
        "leak: ",
        "6 images are one grey level",
        "1 neurons never respond",
        "1 neurons have negative",
    ] {
        assert!(text.contains(part), "wanted {part:?} in:\n{text}");
    }
    assert_eq!(d.tiers[2].repeats_max, 2);
    assert!(
        serde_json::to_string(&d)
            .unwrap()
            .contains("\"silent_neurons\":1")
    );
    r.trials.retain(|t| t.tier != Tier::Validation);
    r.trials.push(Trial {
        image: 4,
        tier: Tier::Test,
    });
    r.check(Path::new("r")).unwrap();
    assert!(describe(&r).to_string().contains("no validation trials"));
    let mut r = small();
    r.responses.row_mut(3).fill(f32::NAN);
    let told = describe(&r).to_string();
    assert!(
        told.contains("3 neurons were not recorded on any validation trial"),
        "{told}"
    );
}

#[test]
fn any_number_type_becomes_float32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    for (descr, data, wanted) in [
        ("'|b1'", vec![1, 0], [1.0, 0.0]),
        ("'|i1'", vec![255, 3], [-1.0, 3.0]),
        ("'<i2'", vec![0xfe, 0xff, 1, 1], [-2.0, 257.0]),
        ("'>u2'", vec![1, 0, 0, 9], [256.0, 9.0]),
        ("'<f2'", vec![0, 0x3c, 0, 0xc0], [1.0, -2.0]),
        (
            "'>i8'",
            [[255_u8; 8], [0, 0, 0, 0, 0, 0, 0, 5]].concat(),
            [-1.0, 5.0],
        ),
        (
            "'<u8'",
            [[255_u8; 8], [0; 8]].concat(),
            [18_446_744_073_709_551_615.0, 0.0],
        ),
    ] {
        raw(&path, descr, false, "(2,)", &data);
        let (values, _) = npy::read(&path).unwrap();
        assert_eq!(values, array![wanted[0], wanted[1]].into_dyn(), "{descr}");
    }
    saved(path.clone(), array![[1_i64, -5], [7, 8]].view());
    let (values, dtype) = npy::read(&path).unwrap();
    assert_eq!((values[[0, 1]], dtype.as_str()), (-5.0, "int64"));
}

#[test]
fn real_recordings_open() {
    for (name, neurons, size, trials) in [("v4-201025", 89, 64, 1200), ("v4-201016", 82, 64, 3677)]
    {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../shared/data")
            .join(name);
        if !directory.exists() {
            println!("skipped: {name} is not here");
            continue;
        }
        let r = Recording::open(&directory).unwrap();
        assert_eq!(
            (r.neuron_count(), r.height(), r.trials.len()),
            (neurons, size, trials)
        );
        let description = describe(&r);
        println!("{description}");
        let fev = description.ceiling.fev;
        assert!(if name == "v4-201016" {
            fev > 0.1 && fev < 1.0
        } else {
            fev.is_nan()
        });
    }
}
