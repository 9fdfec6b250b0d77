//! Runs the Python programs beside this file.
#![allow(dead_code)]

use rustix::process::{Signal, set_parent_process_death_signal};
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python that has what the programs need.
pub struct Peer {
    python: PathBuf,
    /// What all of its programs are told.
    common: Vec<String>,
}

impl Peer {
    /// With PyTorch, for as many threads as here. None, and says so, where that is missing.
    pub fn torch(python: &Path) -> Option<Self> {
        let threads = rayon::current_num_threads().to_string();
        Self::with(
            python,
            "torch",
            ["--json", "--threads", &threads].map(String::from).into(),
        )
    }

    /// With scikit-learn. None, and says so, where that is missing.
    pub fn sklearn(python: &Path) -> Option<Self> {
        Self::with(python, "sklearn", Vec::new())
    }

    fn with(python: &Path, package: &str, common: Vec<String>) -> Option<Self> {
        let import = Command::new(python)
            .args(["-c", &format!("import {package}")])
            .output();
        if import.is_ok_and(|o| o.status.success()) {
            let python = python.into();
            return Some(Self { python, common });
        }
        println!(
            "no {package} in {}: striate alone (benches/peers/setup.sh makes an environment)",
            python.display()
        );
        None
    }

    /// What the program answers, as JSON; what it says beside that goes to standard error.
    ///
    /// # Errors
    /// That it did not answer.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Result<Value, String> {
        let here = Path::new("benches/peers").join(script);
        let script = match here.exists() {
            true => here,
            false => Path::new(env!("CARGO_MANIFEST_DIR")).join(here),
        };
        let mut command = Command::new(&self.python);
        command.arg(&script).args(&self.common).args(arguments);
        command.stderr(Stdio::inherit());
        // It ends with a bench that somebody ends. SAFETY: one system call, which takes no memory.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let output = command
            .output()
            .map_err(|e| format!("{}: {e}", self.python.display()))?;
        let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", script.display());
        if !output.status.success() {
            return Err(fail(&output.status));
        }
        serde_json::from_slice(&output.stdout).map_err(|e| fail(&e))
    }
}

/// Middle of the values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
