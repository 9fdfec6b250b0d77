//! Tests that run again in processes of their own: with another environment, or several at once.
#![allow(dead_code)]

use std::process::{Child, Command, Stdio};

/// Set in those processes: which of how many, `1/2`.
const PART: &str = "STRIATE_TEST_PART";

/// In a process started by [`parts`]: its number and theirs.
pub fn part() -> Option<(usize, usize)> {
    let text = std::env::var(PART).ok()?;
    let (part, of) = text.split_once('/')?;
    Some((part.parse().ok()?, of.parse().ok()?))
}

/// Runs a test of this program again in `count` processes with these variables, and passes if all do.
#[track_caller]
pub fn parts(test: &str, count: usize, variables: &[(&str, &str)]) {
    let start = |part: usize| -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(PART, format!("{part}/{count}"))
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<Child> = (0..count).map(start).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{out}\n{err}");
        assert!(out.contains("1 passed"), "no test is called {test}: {out}");
    }
}
