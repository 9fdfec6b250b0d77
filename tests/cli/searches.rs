//! `search`: draws, systems and seeds in one directory, shared and killed.

use super::common::noise;
use super::small::{Done, command, folder, signal, striate};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use striate::table::Table;

const SEARCH: &str = r#"
base = "c.toml"
seed = 3
draws = 2
[log_uniform]
"penalties.smoothness" = [0.0001, 0.1]
[choice]
"core.features" = [[2, 2], [2, 3]]
[[system]]
name = "turns"
[[system]]
name = "plain CNN"
set = { "core.kind" = "convolutional" }
[seeds]
count = 2
"#;

/// A folder with `search.toml` of eight fits.
fn searched(text: &str) -> tempfile::TempDir {
    let f = folder("learning_rate = 0.01\nvalidate_every = 5\nmax_steps = 20");
    fs::write(f.path().join("search.toml"), text).unwrap();
    f
}

/// `search.csv` without the seconds.
fn table(directory: &Path) -> Table {
    let table = Table::read_csv(&directory.join("search.csv")).unwrap();
    table.dropped("seconds")
}

fn begin(folder: &Path, line: &str) -> Child {
    let mut command = command(folder, line);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn every_draw_of_every_system_is_a_run_and_the_best_are_compared() {
    let f = searched(SEARCH);
    let told = striate(f.path(), "search search.toml --out s --json").ok();
    let summary: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(summary["done"], 8);
    let found = Table::read_csv(&f.path().join("s/search.csv")).unwrap();
    let names: Vec<&str> = found.names().collect();
    assert_eq!(
        names.join(","),
        "system,draw,seed,status,core.features,penalties.smoothness,steps,seconds,validation_loss,\
         validation_correlation,test_correlation,single_trial_correlation"
    );
    let losses = found.numbers("validation_loss").unwrap().to_vec();
    // Two seeds are two fits.
    assert!(
        losses.chunks(2).all(|seeds| seeds[0] != seeds[1]),
        "{losses:?}"
    );
    for (row, system) in found.text("system").unwrap().iter().enumerate() {
        let name = format!("draw-{:03}-seed-{}", row / 2 % 2, row % 2 + 1);
        let run = f.path().join("s").join(system).join(name);
        let scores = Table::read_csv(&run.join("evaluation.csv")).unwrap();
        let correlations = scores.numbers("correlation_to_average").unwrap();
        let known: Vec<f64> = correlations
            .iter()
            .copied()
            .filter(|r| !r.is_nan())
            .collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let told = found.numbers("test_correlation").unwrap()[row];
        assert!((mean - told).abs() < 1e-9, "{mean} {told}");
    }
    let compared = Table::read_csv(&f.path().join("s/comparison.csv")).unwrap();
    let best = compared.numbers("best_draw").unwrap();
    for (system, best) in best.iter().enumerate() {
        let of =
            |draw: usize| (losses[4 * system + 2 * draw] + losses[4 * system + 2 * draw + 1]) / 2.0;
        assert!(of(*best as usize) <= of(1 - *best as usize));
    }
    // A fit of a search is a fit.
    let by_hand = "evaluate s/turns/draw-001-seed-2 --out again";
    striate(f.path(), by_hand).ok();
    let scores = |path: &str| fs::read_to_string(f.path().join(path)).unwrap();
    assert_eq!(
        scores("again/evaluation.csv"),
        scores("s/turns/draw-001-seed-2/evaluation.csv")
    );
    // Nothing is left to do, and the tables can be asked for.
    let before = table(&f.path().join("s"));
    let again = striate(f.path(), "search search.toml --out s");
    assert!(
        again.code == 0 && !again.err.contains("begins"),
        "{}",
        again.err
    );
    assert_eq!(table(&f.path().join("s")), before);
    let status = striate(f.path(), "search status s").ok();
    assert!(
        status.contains("8 fits: 8 done, 0 diverged, 0 failed, 0 running"),
        "{status}"
    );
}

#[test]
fn two_processes_share_the_fits_and_do_none_twice() {
    let f = searched(SEARCH);
    let both = [(); 2].map(|()| begin(f.path(), "search search.toml --out s --jobs 2"));
    let both = both.map(|child| Done::from(child.wait_with_output().unwrap()));
    let mut begun: BTreeMap<String, usize> = BTreeMap::new();
    for done in &both {
        assert_eq!(done.code, 0, "{}", done.err);
        for line in done.err.lines().filter_map(|l| l.strip_suffix(": begins")) {
            *begun.entry(line.to_string()).or_default() += 1;
        }
    }
    assert_eq!(begun.len(), 8, "{begun:?}");
    assert!(begun.values().all(|times| *times == 1), "{begun:?}");
    striate(f.path(), "search search.toml --out alone").ok();
    assert_eq!(table(&f.path().join("s")), table(&f.path().join("alone")));
}

#[test]
fn a_search_killed_again_and_again_ends_as_if_it_had_not_been() {
    let f = searched(&format!("{SEARCH}[halving]\nsteps = 5\nfactor = 2\n"));
    striate(f.path(), "search search.toml --out undisturbed").ok();
    for (i, draw) in noise(10, 5).into_iter().enumerate() {
        let mut child = begin(f.path(), "search search.toml --out s");
        std::thread::sleep(Duration::from_secs_f64(0.05 + 0.1 * draw.abs()));
        match i % 2 {
            0 => child.kill().unwrap(),
            _ => signal(&child, "TERM"),
        }
        let _ = child.wait();
    }
    striate(f.path(), "search search.toml --out s").ok();
    let (ours, theirs) = (f.path().join("s"), f.path().join("undisturbed"));
    assert_eq!(table(&ours), table(&theirs));
    for system in ["turns", "plain CNN"] {
        for name in ["draw-000-seed-1", "draw-001-seed-2"] {
            let model =
                |place: &Path| fs::read(place.join(system).join(name).join("model.safetensors"));
            assert!(
                model(&ours).unwrap() == model(&theirs).unwrap(),
                "{system} {name}"
            );
        }
    }
    // Half of the draws were stopped, and the others are what they are in a search that stops none.
    fs::write(f.path().join("search.toml"), SEARCH).unwrap();
    striate(f.path(), "search search.toml --out whole").ok();
    let halved = table(&ours);
    let status = halved.text("status").unwrap();
    for rows in status.chunks(4) {
        assert_eq!(rows.iter().filter(|s| *s == "done").count(), 2, "{rows:?}");
        assert_eq!(
            rows.iter().filter(|s| *s == "stopped").count(),
            2,
            "{rows:?}"
        );
    }
    for (row, (system, status)) in halved
        .text("system")
        .unwrap()
        .iter()
        .zip(status)
        .enumerate()
    {
        let name = format!("draw-{:03}-seed-{}", row / 2 % 2, row % 2 + 1);
        let of = |search: &str, file: &str| {
            fs::read_to_string(f.path().join(search).join(system).join(&name).join(file)).unwrap()
        };
        if status == "done" {
            for file in ["evaluation.csv", "config.toml"] {
                assert_eq!(of("s", file), of("whole", file), "{system} {name}");
            }
        } else {
            let why = of("s", "draw.toml");
            assert!(
                why.contains("not among the best 1 of 2 after 5 steps"),
                "{why}"
            );
        }
    }
    let compared = Table::read_csv(&f.path().join("s/comparison.csv")).unwrap();
    assert_eq!(compared.numbers("draws").unwrap().to_vec(), [1.0, 1.0]);
}

#[test]
fn what_fails_or_diverges_says_why_and_does_not_stop_the_others() {
    let f = searched(
        "base = \"c.toml\"\n[[system]]\nname = \"good\"\n\
         [[system]]\nname = \"wild\"\nset = { \"training.learning_rate\" = 1e30 }\n\
         [[system]]\nname = \"glm\"\nkind = \"glm\"\n[[system]]\nname = \"too wide\"\nset = { \"core.filter_sizes\" = [25, 3], \"core.padding\" = \"valid\" }\n",
    );
    striate(f.path(), "search search.toml --out s").ok();
    let found = table(&f.path().join("s"));
    assert_eq!(
        found.text("status").unwrap(),
        ["done", "diverged", "done", "failed"]
    );
    let why = fs::read_to_string(f.path().join("s/too wide/draw-000/draw.toml")).unwrap();
    assert!(why.contains("reason = "), "{why}");
    let compared = Table::read_csv(&f.path().join("s/comparison.csv")).unwrap();
    assert_eq!(
        compared.numbers("draws").unwrap().to_vec(),
        [1.0, 0.0, 1.0, 0.0]
    );
    // The GLM of a search is that of the command.
    striate(f.path(), "glm rec --out by-hand").ok();
    let read = |path: &str| fs::read_to_string(f.path().join(path)).unwrap();
    assert_eq!(read("s/glm/draw-000/glm.csv"), read("by-hand/glm.csv"));
    let glm = Table::read_csv(&f.path().join("by-hand/glm.csv")).unwrap();
    let scores = Table::read_csv(&f.path().join("s/glm/draw-000/evaluation.csv")).unwrap();
    assert_eq!(
        scores.numbers("correlation_to_average").unwrap(),
        glm.numbers("test_correlation").unwrap()
    );
}

#[test]
fn another_search_in_the_same_directory_is_refused_and_more_draws_are_not() {
    let f = searched(
        "base = \"c.toml\"\ndraws = 1\n[log_uniform]\n\"penalties.smoothness\" = [0.001, 0.1]\n",
    );
    let write = |text: &str| fs::write(f.path().join("search.toml"), text).unwrap();
    striate(f.path(), "search search.toml --out s").ok();
    write("base = \"c.toml\"\ndraws = 1\n[log_uniform]\n\"penalties.smoothness\" = [0.001, 0.2]\n");
    let refused = striate(f.path(), "search search.toml --out s");
    assert!(
        refused.code == 2 && refused.err.contains("holds another search"),
        "{}",
        refused.err
    );
    write("base = \"c.toml\"\ndraws = 2\n[log_uniform]\n\"penalties.smoothness\" = [0.001, 0.1]\n");
    let more = striate(f.path(), "search search.toml --out s");
    assert_eq!(more.err.matches(": begins").count(), 1, "{}", more.err);
    for (line, wanted) in [
        ("search status rec", "not the directory of a search"),
        ("search search.toml --out s --jobs 0", "--jobs"),
        ("search search.toml --out s --stale 0", "--stale"),
        ("search missing.toml --out s", "missing.toml"),
    ] {
        let done = striate(f.path(), line);
        assert!(
            done.code == 2 && done.err.contains(wanted),
            "{line}: {}",
            done.err
        );
    }
}
