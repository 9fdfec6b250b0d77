//! A run written by hand: two recordings with names that no page should trust, and every table that there is.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use striate::model::checkpoint::Tensors;
use striate::npy;

/// Names of the recordings.
pub fn names() -> [String; 2] {
    [
        "<script>alert('1')< script> \"quoted\" & \u{202e}\u{732b}\u{306e}\u{76ee}".into(),
        "\u{e9}".repeat(200),
    ]
}

/// Neurons of each.
pub const NEURONS: [usize; 2] = [9, 4];
/// Height and width of the images.
pub const SIZE: (usize, usize) = (10, 12);
/// Orientations and features.
const CORE: (usize, usize) = (4, 2);

/// All neurons: recording and row.
pub fn neurons() -> Vec<(usize, usize)> {
    let rows = |r: usize| (0..NEURONS[r]).map(move |n| (r, n));
    rows(0).chain(rows(1)).collect()
}

/// A number between 0 and 1 that depends on a neuron and a column.
pub fn value(neuron: usize, column: usize) -> f64 {
    (0.137 + 0.618_034 * neuron as f64 + 0.271_828 * column as f64).fract()
}

/// A run with a model and nothing else.
pub fn bare(folder: &Path) -> PathBuf {
    let run = folder.join("run");
    fs::create_dir_all(&run).unwrap();
    let (orientations, features) = CORE;
    let channels = orientations * features;
    let wave = |n: usize, seed: f64| {
        (0..n)
            .map(|i| (seed + 0.7 * i as f64).sin() as f32)
            .collect::<Vec<_>>()
    };
    let mut tensors = Tensors::default();
    let mut put = |name: String, shape: &[usize], seed: f64| {
        tensors.insert(name, shape, wave(shape.iter().product(), seed));
    };
    put("core.0.coefficients".into(), &[15, 1, features], 0.3);
    put("core.0.norm.offset".into(), &[channels], 0.1);
    put("core.0.norm.mean".into(), &[channels], 0.2);
    for (name, count) in names().iter().zip(NEURONS) {
        put(
            format!("readout.{name}.features"),
            &[count, channels],
            count as f64,
        );
        put(
            format!("readout.{name}.mask"),
            &[count, SIZE.0, SIZE.1],
            0.5,
        );
        put(format!("readout.{name}.bias"), &[count], 0.6);
    }
    for (name, value) in [
        ("core.0.norm.variance", 1.0),
        ("input.mean", 100.0),
        ("input.sd", 50.0),
    ] {
        let count = if name.starts_with("core") {
            channels
        } else {
            1
        };
        tensors.insert(name.into(), &[count], vec![value; count]);
    }
    for (name, count) in names().iter().zip(NEURONS) {
        tensors.insert(
            format!("readout.{name}.response_scale"),
            &[count],
            vec![1.0; count],
        );
    }
    tensors.write(&run.join("model.safetensors")).unwrap();
    let mut paths = Vec::new();
    for (i, name) in names().iter().enumerate() {
        let path = folder.join(format!("rec{i}"));
        fs::create_dir_all(&path).unwrap();
        fs::write(
            path.join("recording.toml"),
            format!("name = {}\n", serde_json::to_string(name).unwrap()),
        )
        .unwrap();
        paths.push(serde_json::to_string(&path).unwrap());
    }
    let config = format!(
        "recordings = [{}]\n[core]\norientations = {orientations}\nfilter_sizes = [5]\nfeatures = [{features}]\n\
         [penalties]\nsmoothness_per_layer = [1.0]\ngroup_sparsity_per_layer = [0.0]\n",
        paths.join(", ")
    );
    fs::write(run.join("config.toml"), config).unwrap();
    run
}

/// A table with a row per neuron, its columns by name and function.
fn table(run: &Path, file: &str, columns: &[(&str, &dyn Fn(usize) -> String)]) {
    let mut csv = csv::Writer::from_path(run.join(file)).unwrap();
    let heads = ["recording", "neuron"]
        .into_iter()
        .chain(columns.iter().map(|c| c.0));
    csv.write_record(heads).unwrap();
    let names = names();
    for (i, (r, n)) in neurons().into_iter().enumerate() {
        let own = [names[r].clone(), n.to_string()];
        csv.write_record(own.into_iter().chain(columns.iter().map(|c| c.1(i))))
            .unwrap();
    }
    csv.flush().unwrap();
}

fn lines(run: &Path, file: &str, head: &str, rows: impl IntoIterator<Item = String>) {
    let mut text = format!("{head}\n");
    rows.into_iter()
        .for_each(|r| writeln!(text, "{r}").unwrap());
    fs::write(run.join(file), text).unwrap();
}

/// A run with every table.
pub fn full(folder: &Path) -> PathBuf {
    let run = bare(folder);
    let n = neurons().len();
    let of = |column: usize| move |i: usize| value(i, column).to_string();
    let scaled = |column: usize, low: f64, high: f64| {
        move |i: usize| (low + (high - low) * value(i, column)).to_string()
    };
    let fixed = |text: &'static str| move |_: usize| text.to_string();
    table(
        &run,
        "evaluation.csv",
        &[
            ("correlation_to_average", &of(1)),
            ("single_trial_correlation", &of(2)),
            ("oracle_correlation", &of(3)),
            ("maximum_correlation", &of(4)),
            ("cc_norm", &of(34)),
            ("feve", &of(35)),
            ("mask_blobs", &|i| (1 + i % 3).to_string()),
            ("mask_mass_in_radius", &of(36)),
            ("mask_at_border", &|i| (i % 5 == 0).to_string()),
        ],
    );
    table(&run, "glm.csv", &[("test_correlation", &of(5))]);
    let cluster = |i: usize| (i % 3).to_string();
    table(
        &run,
        "clusters.csv",
        &[
            ("cluster", &cluster),
            ("rotation", &scaled(6, 0.0, 6.2)),
            ("tsne_1", &scaled(7, -20.0, 30.0)),
            ("tsne_2", &scaled(8, -9.0, 9.0)),
        ],
    );
    let (x, y) = (scaled(9, 1.0, 10.0), scaled(10, 1.0, 8.0));
    table(
        &run,
        "gabors.csv",
        &[
            ("x", &x),
            ("y", &y),
            ("size", &scaled(11, 4.0, 9.0)),
            ("frequency", &fixed("0.2")),
            ("orientation", &scaled(12, 0.0, 6.2)),
            ("phase", &scaled(13, 0.0, 6.2)),
            ("contrast", &fixed("1")),
            ("response", &of(14)),
        ],
    );
    table(
        &run,
        "dogs.csv",
        &[
            ("x", &x),
            ("y", &y),
            ("sigma_centre", &fixed("1.5")),
            ("sigma_surround", &fixed("3")),
            ("contrast", &fixed("1")),
            ("surround_contrast", &fixed("0.5")),
            ("response", &of(15)),
        ],
    );
    table(
        &run,
        "meis.csv",
        &[
            ("response", &of(16)),
            ("norm", &fixed("12")),
            ("converged", &fixed("true")),
        ],
    );
    save(&run, "meis.npy", &[n, SIZE.0, SIZE.1], |i| {
        (0.31 * i as f64).sin() as f32
    });
    save(&run, "aligned.npy", &[n, 8], |i| {
        (0.9 * i as f64).cos() as f32
    });
    table(
        &run,
        "tuning.csv",
        &[
            ("orientation_index", &of(17)),
            ("phase_index", &of(18)),
            ("suppression_index", &of(19)),
            ("contrast_index", &of(20)),
            ("plaid_index", &of(21)),
            ("gabor_vs_mei", &of(22)),
            ("true_orientation_index", &of(23)),
        ],
    );
    curves(&run, n);
    table(
        &run,
        "tuning_comparison.csv",
        &[
            ("correlation_to_average", &of(24)),
            ("oracle_correlation", &of(25)),
            ("maximum_correlation", &of(26)),
        ],
    );
    table(
        &run,
        "readout_sparsity.csv",
        &[
            ("dominant_feature", &cluster),
            ("energy_share", &of(27)),
            ("sign_agreement", &of(28)),
        ],
    );
    table(
        &run,
        "cluster_turns.csv",
        &[
            ("cluster", &cluster),
            ("gabor_orientation", &scaled(29, 0.0, 6.2)),
            ("mei_orientation", &scaled(30, 0.0, 6.2)),
        ],
    );
    others(&run);
    for (r, count) in NEURONS.into_iter().enumerate() {
        let types = ["simple", "complex", "<b>bold</b>"];
        let rows = (0..count).map(|n| {
            format!(
                "{n},{},{},{},{}",
                types[n % 3],
                value(n, 31) * 10.0,
                value(n, 32) * 8.0,
                value(n, 33)
            )
        });
        lines(
            &folder.join(format!("rec{r}")),
            "truth.csv",
            "neuron,type,x,y,orientation",
            rows,
        );
    }
    run
}

/// A run of a search of two systems with three fits each, one of which failed: its directory.
pub fn searched(folder: &Path) -> PathBuf {
    let search = folder.join("search");
    let home = search.join("plain <b>CNN");
    fs::create_dir_all(&home).unwrap();
    let run = home.join("draw-001");
    fs::rename(bare(folder), &run).unwrap();
    let name = |s: usize| ["equivariant", "plain <b>CNN"][s];
    lines(
        &search,
        "search.csv",
        "system,draw,seed,status,steps,seconds,validation_loss,validation_correlation,test_correlation,single_trial_correlation",
        (0..6).map(|i| match i {
            2 => format!("{},2,1,failed,,,,,,", name(0)),
            _ => format!(
                "{},{},1,done,10,1,{},0.5,{},0.4",
                name(i / 3),
                i % 3,
                3.0 - value(i, 50),
                value(i, 51)
            ),
        }),
    );
    lines(
        &search,
        "comparison.csv",
        "system,draws,best_draw,validation_loss,test_correlation,mean_of_best_5,sd_of_best_5,share_of_ceiling",
        (0..2).map(|s| format!("{},3,1,2.5,0.6,0.5,0.1,0.8", name(s))),
    );
    run
}

/// What `consistency` wrote about three fits.
pub fn consistent(run: &Path) {
    let home = run.join("consistency");
    fs::create_dir_all(&home).unwrap();
    lines(
        &home,
        "consistency.csv",
        "run_a,run_b,clusters,ari,knn_overlap,cka,prediction_correlation,phase_index_nmae",
        (0..6).map(|i| {
            let (a, b) = [("a", "b"), ("a", "<i>"), ("b", "<i>")][i / 2];
            let pair = i / 2;
            format!(
                "{a},{b},{},{},{},{},{},{}",
                [5, 10][i % 2],
                value(i, 60),
                value(pair, 61),
                value(pair, 62),
                value(pair, 63),
                value(pair, 64)
            )
        }),
    );
    lines(
        &home,
        "continuum.csv",
        "clusters,silhouette,ari,null_silhouette_mean,null_silhouette_sd,null_ari_mean,null_ari_sd",
        (1..4).map(|k| format!("{},0.{k},0.5,0.0{k},0.01,0.2,0.0{k}", 5 * k)),
    );
    table(
        &home,
        "ensemble.csv",
        &[
            ("phase_index_mean", &|i| value(i, 65).to_string()),
            ("phase_index_sd", &|i| (0.1 * value(i, 66)).to_string()),
        ],
    );
}

/// Tables that are not about neurons.
fn others(run: &Path) {
    lines(
        run,
        "history.csv",
        "step,phase,learning_rate,train_loss,validation_loss,validation_correlation,seconds",
        (1..=6).map(|i| {
            format!(
                "{},1,0.002,{},{},{},{i}",
                50 * i,
                3.0 + 1.0 / f64::from(i),
                3.5 + 1.0 / f64::from(i),
                0.5 - 0.3 / f64::from(i)
            )
        }),
    );
    lines(
        run,
        "equivariance.csv",
        "layer,angle,exact_grid,error",
        (1..4).map(|i| format!("0,{},{},{}", 90 * i, true, 0.1 * f64::from(i))),
    );
    lines(
        run,
        "clusters_summary.csv",
        "cluster,neurons,block",
        (0..3).map(|k| format!("{k},4,{}", k % 2)),
    );
    save(run, "cluster_confusion.npy", &[3, 3], |i| {
        if i % 4 == 0 { 1.0 } else { 0.2 }
    });
    lines(
        run,
        "alignment.csv",
        "penalty,temperature,energy,reconstruction,steps,chosen",
        (1..4).map(|i| {
            format!(
                "{},0.1,{},{},9,{}",
                0.1 * f64::from(i),
                0.2 * f64::from(i),
                0.9 - 0.2 * f64::from(i),
                i == 2
            )
        }),
    );
    lines(
        run,
        "cluster_counts.csv",
        "clusters,held_out_log_likelihood,inertia,ari_over_seeds",
        (1..4).map(|i| format!("{},{},1,{}", 2 * i, 10 * i, 0.9 - 0.1 * f64::from(i))),
    );
    lines(
        run,
        "cluster_gabors.csv",
        "cluster,size,frequency,phase,contrast,mean_response,share_of_own",
        (0..3).map(|k| format!("{k},6,0.2,0.5,1,2,0.8")),
    );
    lines(
        run,
        "cluster_dogs.csv",
        "cluster,sigma_centre,sigma_surround,contrast,surround_contrast,mean_response,share_of_own",
        (0..3).map(|k| format!("{k},1.5,3,1,0.5,2,0.7")),
    );
    lines(
        run,
        "cluster_meis.csv",
        "cluster,norm,mean_response,share_of_own,steps,converged",
        (0..3).map(|k| format!("{k},12,2,0.9,5,true")),
    );
    save(run, "cluster_meis.npy", &[3, 9, 9], |i| {
        (0.4 * i as f64).sin() as f32
    });
    let tests = |scale: f64| {
        (0..6).map(move |i| {
            format!(
                "{},{},{},{}",
                i / 2,
                ["phase_index", "plaid_index"][i % 2],
                scale * value(i, 40),
                value(i, 41) * 0.03
            )
        })
    };
    lines(
        run,
        "cluster_tests.csv",
        "cluster,index,statistic,p_value",
        tests(0.9),
    );
    lines(
        run,
        "random_tests.csv",
        "cluster,index,statistic,p_value",
        tests(0.2),
    );
    lines(
        run,
        "index_correlations.csv",
        "index_a,index_b,pearson,spearman,p_value,neurons,recording",
        [
            "orientation_index,phase_index,0.1,0.2,0.5,13,all",
            "orientation_index,plaid_index,0.3,-0.6,0.5,13,all",
            "phase_index,plaid_index,0.3,0.4,0.5,13,all",
        ]
        .map(String::from),
    );
    let flag = |i: usize, bit: usize| i >> bit & 1 == 1;
    lines(
        run,
        "combinations.csv",
        "phase_invariant,surround_suppressed,cross_inhibited,clusters,neurons",
        (0..8).map(|i| {
            format!(
                "{},{},{},{},{}",
                flag(i, 2),
                flag(i, 1),
                flag(i, 0),
                i % 4,
                7 * i
            )
        }),
    );
    lines(
        run,
        "selected_gabors.csv",
        "pick,x,y,size,frequency,orientation,phase,contrast,newly_reached,cumulative_share",
        (1..4).map(|i| format!("{i},5,5,6,0.2,{i},0.3,1,{},{}", 5 - i, 0.2 * f64::from(i))),
    );
    let mut csv = csv::Writer::from_path(run.join("synthesized.csv")).unwrap();
    csv.write_record(["recording", "neuron", "percentile", "target", "response"])
        .unwrap();
    for row in 0..4 {
        let cells = [
            names()[0].clone(),
            (row / 2).to_string(),
            (20 + 60 * (row % 2)).to_string(),
            format!("{}", 1.5 + row as f64),
            format!("{}", 1.0 + row as f64),
        ];
        csv.write_record(cells).unwrap();
    }
    csv.flush().unwrap();
    save(run, "synthesized.npy", &[4, SIZE.0, SIZE.1], |i| {
        (0.2 * i as f64).sin() as f32
    });
}

fn save(run: &Path, file: &str, shape: &[usize], of: impl Fn(usize) -> f32) {
    let values: Vec<f32> = (0..shape.iter().product()).map(of).collect();
    let array = ndarray::ArrayD::from_shape_vec(shape, values).unwrap();
    npy::write(&run.join(file), array.view()).unwrap();
}

/// `tuning.npz` with the curves of `tune`.
fn curves(run: &Path, n: usize) {
    let array = |shape: &[usize], of: &dyn Fn(usize) -> f64| {
        let values = (0..shape.iter().product()).map(|i| of(i) as f32).collect();
        ndarray::ArrayD::from_shape_vec(shape, values).unwrap()
    };
    let response = |i: usize| 1.0 + (i as f64 * 0.37).sin();
    let all = [
        ("orientation", array(&[n, 6], &response)),
        (
            "orientation_angles",
            array(&[6], &|i| i as f64 * std::f64::consts::PI / 6.0),
        ),
        ("phase", array(&[n, 4], &response)),
        (
            "phase_phases",
            array(&[4], &|i| i as f64 * std::f64::consts::PI / 2.0),
        ),
        ("size_contrast", array(&[n, 3, 2], &response)),
        ("size_contrast_sizes", array(&[3], &|i| 8.0 + i as f64)),
        ("size_contrast_contrasts", array(&[2], &|i| 0.5 + i as f64)),
        ("plaid", array(&[n, 2, 3], &response)),
        ("plaid_orthogonal", array(&[2], &|i| i as f64)),
        ("plaid_preferred", array(&[3], &|i| i as f64)),
    ];
    let views: Vec<_> = all
        .iter()
        .map(|(name, array)| (*name, array.view()))
        .collect();
    npy::write_npz(&run.join("tuning.npz"), &views).unwrap();
}
