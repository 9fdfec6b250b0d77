//! `report`, `inspect --report` and `export`.

use super::fixture;
use super::small::{everything, recording, striate};
use std::fs;
use striate::table::Table;

#[test]
fn a_run_that_was_only_trained_says_which_commands_make_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::bare(folder.path());
    let out = striate(folder.path(), "report run").ok();
    assert!(out.starts_with("run/report.html\n"), "{out}");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    for command in [
        "evaluate RUN",
        "glm REC --out RUN",
        "verify-equivariance RUN",
        "gabors RUN",
        "dogs RUN",
        "meis RUN",
        "tune RUN",
        "cluster RUN",
        "cluster-stimuli RUN",
        "organise RUN",
        "compare-tuning RUN REC",
        "select-gabors RUN",
        "synthesize RUN",
    ] {
        let told = format!("<code>striate {command}</code>");
        assert!(
            page.contains(&told) || command == "glm REC --out RUN",
            "{command}"
        );
    }
    assert!(run.join("figures/filters.svg").exists());
}

#[test]
fn a_page_holds_every_figure_as_a_file_and_needs_nothing_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    striate(folder.path(), "report run").ok();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let files: Vec<String> = fs::read_dir(run.join("figures"))
        .unwrap()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|n| n.ends_with(".svg"))
        .collect();
    assert!(files.len() >= 40, "{}: {files:?}", files.len());
    for name in &files {
        let svg = fs::read_to_string(run.join("figures").join(name)).unwrap();
        assert!(page.contains(svg.trim_end()), "{name}");
        assert!(svg.contains("aria-label=\""), "{name}");
        assert!(
            run.join("figures")
                .join(name)
                .with_extension("csv")
                .exists(),
            "{name}"
        );
    }
    for address in ["http://", "https://", "//cdn", "@import", "url("] {
        let elsewhere = page.matches(address).count();
        let own =
            page.matches("http://www.w3.org/2000/svg").count() * usize::from(address == "http://");
        assert_eq!(elsewhere, own, "{address}");
    }
}

#[test]
fn names_that_look_like_code_are_only_text() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    striate(folder.path(), "report run").ok();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert_eq!(
        page.matches("<script").count(),
        2,
        "the page's data and its script"
    );
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)"));
    assert!(!page.contains("<b>bold</b>") && page.contains("&lt;b&gt;bold&lt;/b&gt;"));
    assert!(
        !page.contains('\u{202e}'),
        "no mark turns the direction of the text"
    );
}

#[test]
fn each_number_of_the_summary_names_its_column() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    striate(folder.path(), "report run").ok();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let mut seen = 0;
    for part in page.split("<data ").skip(1) {
        let attribute = |name: &str| {
            part.split(&format!("{name}=\""))
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
        };
        let table = Table::read_csv(&run.join(attribute("data-table"))).unwrap();
        let known: Vec<f64> = table
            .numbers(attribute("data-column"))
            .unwrap()
            .iter()
            .copied()
            .filter(|v| !v.is_nan())
            .collect();
        let wanted = match attribute("data-statistic") {
            "mean" => known.iter().sum::<f64>() / known.len() as f64,
            "count" => known.len() as f64,
            "maximum" => known.iter().copied().fold(f64::MIN, f64::max),
            other => panic!("{other}"),
        };
        let got: f64 = attribute("value").parse().unwrap();
        assert!((got - wanted).abs() < 1e-9, "{part}");
        seen += 1;
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn tables_of_another_model_are_named_and_not_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    striate(folder.path(), "report run").ok();
    assert!(run.join("figures/equivariance.svg").exists());
    fs::write(
        run.join("equivariance.csv"),
        "layer,angle,exact_grid,error,model_hash\n0,90,true,0.1,sha256:0\n",
    )
    .unwrap();
    fs::write(run.join("figures/own.svg"), "<svg>mine</svg>").unwrap();
    striate(folder.path(), "report run").ok();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("Equivariance error: cannot be shown") && page.contains("sha256:0"));
    assert!(
        !run.join("figures/equivariance.svg").exists(),
        "what was drawn before is gone"
    );
    assert!(
        run.join("figures/own.svg").exists(),
        "what others put there stays"
    );
}

#[test]
fn a_broken_table_costs_its_figures_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    for (file, content) in [
        ("evaluation.csv", "a;b\n1;2\n"),
        ("meis.npy", "no array"),
        ("tuning.npz", "no archive"),
        ("cluster_confusion.npy", ""),
        ("gabors.csv", "recording,neuron,x\n"),
    ] {
        fs::write(run.join(file), content).unwrap();
    }
    striate(folder.path(), "report run").ok();
    assert!(run.join("figures/map-clusters.svg").exists());
    assert!(!run.join("figures/gallery-meis.svg").exists());
}

#[test]
fn a_second_report_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    fixture::full(folder.path());
    striate(folder.path(), "report run").ok();
    let before = everything(folder.path());
    striate(folder.path(), "report run").ok();
    assert!(before == everything(folder.path()));
}

#[test]
fn what_is_no_run_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    for place in ["nowhere", "empty"] {
        for line in [
            format!("report {place}"),
            format!("export {place} --properties p.csv"),
        ] {
            let done = striate(folder.path(), &line);
            assert_eq!(done.code, 2, "{line}");
            assert!(
                done.err.contains(place) && done.err.contains("wanted a run"),
                "{}",
                done.err
            );
        }
    }
    assert!(
        fs::read_dir(folder.path().join("empty"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn a_recording_is_drawn_beside_its_description() {
    let folder = tempfile::tempdir().unwrap();
    let mut rec = recording("<i>mouse & \"co\"", 5, 1);
    let text = |v: &[&str]| striate::table::Column::Text(v.iter().map(|v| (*v).into()).collect());
    let table = Table::new()
        .with("neuron", striate::table::Column::Integer((0..5).collect()))
        .with("x", text(&["1", "2", "30", "40", "50"]))
        .with("y", text(&["5", "4", "3", "2", "1"]))
        .with("duplicate_of", text(&["", "0", "", "", ""]));
    rec.neurons = Some(table);
    rec.write(&folder.path().join("rec")).unwrap();
    let plain = striate(folder.path(), "inspect rec").ok();
    let out = striate(folder.path(), "inspect rec --report").ok();
    assert_eq!(
        out.trim_end(),
        format!("{}\nreport: rec/report.html", plain.trim_end())
    );
    let page = fs::read_to_string(folder.path().join("rec/report.html")).unwrap();
    assert!(page.contains("&lt;i&gt;mouse &amp; &quot;co&quot;") && !page.contains("<i>mouse"));
    for name in [
        "example-images",
        "grey-levels",
        "mean-responses",
        "sparseness",
        "repeats",
        "noise-ceilings",
        "repeated-images",
        "cell-ceilings",
        "duplicates",
    ] {
        assert!(
            folder
                .path()
                .join("rec/figures")
                .join(format!("{name}.svg"))
                .exists(),
            "{name}"
        );
    }
    striate(folder.path(), "inspect rec").ok();
}

#[test]
fn properties_hold_a_row_for_every_neuron_and_all_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    fs::write(
        folder.path().join("rec0/neurons.csv"),
        "neuron,x,y,root_id,unit\n0,1.5,2,864691135474648896,0012\n3,2.5,4,,0015\n",
    )
    .unwrap();
    striate(folder.path(), "export run --properties p.csv").ok();
    let table = Table::read_csv(&folder.path().join("p.csv")).unwrap();
    assert_eq!(table.rows(), 13);
    let names: Vec<&str> = table.names().collect();
    assert_eq!(names[..2], ["recording", "neuron"]);
    assert_eq!(names[names.len() - 1], "model_hash");
    for name in [
        "x",
        "readout_loc_x",
        "correlation_to_average",
        "gabor_x",
        "dog_x",
        "mei_response",
        "orientation_index",
        "OSI",
        "gOSI",
        "pref_ori",
        "cluster",
        "tsne_1",
        "in_vivo_correlation_to_average",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let text = |name: &str| table.text(name).unwrap();
    assert_eq!(text("root_id")[0], "864691135474648896");
    assert_eq!(
        (
            &text("unit")[0][..],
            &text("unit")[1][..],
            &text("unit")[3][..]
        ),
        ("0012", "", "0015")
    );
    assert!(
        text("x")[12].is_empty(),
        "the other recording says nothing of its neurons"
    );
    for (i, got) in table
        .numbers("correlation_to_average")
        .unwrap()
        .iter()
        .enumerate()
    {
        assert!((got - fixture::value(i, 1)).abs() < 1e-8);
    }
    let hash = striate::files::hash_of(&run.join("model.safetensors")).unwrap();
    assert!(
        text("model_hash")
            .iter()
            .all(|h| *h == format!("sha256:{hash}"))
    );
}

#[test]
fn parquet_gives_back_what_the_csv_says() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let folder = tempfile::tempdir().unwrap();
    fixture::full(folder.path());
    striate(folder.path(), "export run --properties p.csv").ok();
    striate(folder.path(), "export run --properties p.parquet").ok();
    let table = Table::read_csv(&folder.path().join("p.csv")).unwrap();
    let file = fs::File::open(folder.path().join("p.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let mut rows = 0;
    for (r, row) in reader.get_row_iter(None).unwrap().enumerate() {
        let row = row.unwrap();
        assert!(
            row.get_column_iter()
                .map(|(n, _)| n.as_str())
                .eq(table.names())
        );
        for (name, field) in row.get_column_iter() {
            let cell = &table.text(name).unwrap()[r];
            match field {
                Field::Null => assert_eq!(cell, "", "{name}"),
                Field::Long(v) => assert_eq!(*cell, v.to_string(), "{name}"),
                Field::Bool(v) => assert_eq!(*cell, v.to_string(), "{name}"),
                Field::Str(v) => assert_eq!(cell, v, "{name}"),
                Field::Double(v) => {
                    let said: f64 = cell.parse().unwrap();
                    assert!(
                        (said - v).abs() <= 1e-8 * said.abs().max(1e-3),
                        "{name}: {cell} {v}"
                    );
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        rows += 1;
    }
    assert_eq!(rows, 13);
}

#[test]
fn another_kind_of_file_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    fixture::bare(folder.path());
    let done = striate(folder.path(), "export run --properties p.xlsx");
    assert_eq!(done.code, 2);
    assert!(
        done.err.contains("p.xlsx") && done.err.contains(".parquet"),
        "{}",
        done.err
    );
}
