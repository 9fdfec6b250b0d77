//! `resume.safetensors`: what continues a run bit for bit.

use super::history::{History, Row};
use super::windows::{Look, Looks};
use super::{Best, End, Snapshot, State, Trainer};
use crate::model::checkpoint::{CONFIG, Sources, Tensors};
use crate::model::params::Arena;
use crate::model::{Config, readout};
use crate::ops::readout::Window;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The file's name in a run.
pub const FILE: &str = "resume.safetensors";
/// What the names of the tensors of windows begin with: (N, 5): row, column, height, width, and the share of the mask's squares
/// that was held.
const LOOKS: &str = "windows.";
/// A share of nothing.
const NOTHING: f32 = -1.0;
/// The key of the counters in its metadata.
const STATE: &str = "state";

/// Counters as they stand in the metadata, floats by their bits.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    step: u64,
    taken: u64,
    phase: u32,
    worse: u64,
    t: u64,
    recent: (u64, u64),
    seconds: f64,
    done: Option<String>,
    recordings: u64,
    /// The configuration, but for what resuming may change.
    #[serde(default)]
    config: Option<String>,
    best: Option<SavedBest>,
    /// Whether windows have been put.
    #[serde(default)]
    looks: bool,
    history: Vec<SavedRow>,
}

/// A row of the history; JSON would not give back the last bit of a decimal, and has no infinity.
#[derive(Debug, Serialize, Deserialize)]
struct SavedRow {
    step: u64,
    phase: u32,
    learning_rate: u64,
    train_loss: u64,
    validation_loss: Option<u64>,
    validation_correlation: Option<u64>,
    seconds: u64,
}

impl From<&Row> for SavedRow {
    fn from(r: &Row) -> Self {
        Self {
            step: r.step,
            phase: r.phase,
            learning_rate: r.learning_rate.to_bits(),
            train_loss: r.train_loss.to_bits(),
            validation_loss: r.validation_loss.map(f64::to_bits),
            validation_correlation: r.validation_correlation.map(f64::to_bits),
            seconds: r.seconds.to_bits(),
        }
    }
}

impl From<SavedRow> for Row {
    fn from(r: SavedRow) -> Self {
        Self {
            step: r.step,
            phase: r.phase,
            learning_rate: f64::from_bits(r.learning_rate),
            train_loss: f64::from_bits(r.train_loss),
            validation_loss: r.validation_loss.map(f64::from_bits),
            validation_correlation: r.validation_correlation.map(f64::from_bits),
            seconds: f64::from_bits(r.seconds),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedBest {
    loss: u64,
    correlation: u64,
    #[serde(default)]
    dead: bool,
    taken: u64,
    t: u64,
}

impl Trainer {
    pub(super) fn write_resume(&self) -> Result<()> {
        let mut tensors = Sources::default();
        let m = &self.model;
        let now = parts(&m.params, &m.statistics, &self.first, &self.second);
        let s = &self.state;
        // A run that diverged is not continued, and its numbers are none.
        if s.done != Some(End::Diverged) {
            lend(&mut tensors, "now", now);
        }
        if let Some(best) = &s.best {
            let b = &best.snapshot;
            let best = parts(&b.params, &b.statistics, &b.first, &b.second);
            lend(&mut tensors, "best", best);
        }
        for (readout, looks) in self.model.readouts.iter().zip(self.looks.iter().flatten()) {
            if let Some(looks) = looks {
                let numbers = looks.iter().flat_map(|look| {
                    let w = &look.window;
                    let sizes = [w.top, w.left, w.height, w.width].map(|v| v as f32);
                    let mass = if look.mass.is_nan() {
                        NOTHING
                    } else {
                        look.mass
                    };
                    [sizes[0], sizes[1], sizes[2], sizes[3], mass]
                });
                let name = format!("{LOOKS}{}", readout.name);
                tensors.hold(name, &[looks.len(), 5], numbers.collect());
            }
        }
        let saved = Saved {
            step: s.step,
            taken: s.taken,
            phase: s.phase,
            worse: s.worse,
            t: s.t,
            recent: (s.recent.0.to_bits(), s.recent.1),
            seconds: s.seconds,
            done: s.done.map(|end| format!("{end:?}")),
            recordings: self.fingerprint,
            config: Some(comparable(&self.model.config)?),
            best: s.best.as_ref().map(|b| SavedBest {
                loss: b.loss.to_bits(),
                correlation: b.correlation.to_bits(),
                dead: b.dead,
                taken: b.taken,
                t: b.t,
            }),
            looks: self.looks.is_some(),
            history: self.history.rows().iter().map(SavedRow::from).collect(),
        };
        let path = self.out.join(FILE);
        let text = serde_json::to_string(&saved).map_err(|e| Error::file(&path, e))?;
        tensors.metadata.insert(STATE.into(), text);
        tensors.write(&path).map(drop)
    }

    pub(super) fn restore_run(&mut self) -> Result<()> {
        let path = self.out.join(FILE);
        self.check_same_run()?;
        let tensors = Tensors::read(&path)?;
        self.check_readouts(&tensors)?;
        let text = tensors
            .metadata
            .get(STATE)
            .ok_or_else(|| Error::file(&path, "no training state in its metadata"))?;
        let saved: Saved = serde_json::from_str(text)
            .map_err(|e| Error::file(&path, format!("the training state makes no sense: {e}")))?;
        if saved.done.as_deref() == Some("Diverged") {
            let out = self.out.display();
            return Err(Error::Other(format!(
                "--resume: the run in {out} diverged; start it afresh with a training.learning_rate below {}",
                self.model.config.training.learning_rate
            )));
        }
        if saved.recordings != self.fingerprint {
            return Err(Error::Other(format!(
                "--resume: the recordings have changed since the run in {} was started; train afresh, or start from its \
                 weights with --init",
                self.out.display()
            )));
        }
        if let Some(text) = &saved.config {
            let before = Config::open(&self.out.join(CONFIG), &[])?;
            // Keys that it did not know yet have their defaults; a later version's can only be compared letter by letter.
            let then = match toml::from_str(text) {
                Ok(config) => comparable(&config)?,
                Err(_) => text.clone(),
            };
            if comparable(&before)? != then {
                return Err(Error::file(
                    &path,
                    format!(
                        "was written with another configuration than {CONFIG} beside it: they are not of one fit"
                    ),
                ));
            }
        }
        if saved.looks {
            let looks = self.looks_of(&tensors)?;
            self.look(looks);
        }
        let mut now = self.empty_snapshot();
        fill(&tensors, &path, "now", &mut now)?;
        let best = match saved.best {
            Some(b) => {
                let mut snapshot = self.empty_snapshot();
                fill(&tensors, &path, "best", &mut snapshot)?;
                Some(Best {
                    loss: f64::from_bits(b.loss),
                    correlation: f64::from_bits(b.correlation),
                    dead: b.dead,
                    taken: b.taken,
                    t: b.t,
                    snapshot,
                })
            }
            None => None,
        };
        self.model.params = now.params;
        self.model.statistics = now.statistics;
        self.first = now.first;
        self.second = now.second;
        self.history = History::new(saved.history.into_iter().map(Row::from).collect());
        self.state = State {
            step: saved.step,
            taken: saved.taken,
            phase: saved.phase,
            worse: saved.worse,
            t: saved.t,
            best,
            recent: (f64::from_bits(saved.recent.0), saved.recent.1),
            seconds: saved.seconds,
            done: match saved.done.as_deref() {
                None => None,
                Some("Converged") => Some(End::Converged),
                Some("OutOfSteps") => Some(End::OutOfSteps),
                Some(other) => {
                    return Err(Error::bad(path.display(), "the end", other, "a known one"));
                }
            },
        };
        self.write_config()
    }

    /// Where the neurons looked.
    fn looks_of(&self, tensors: &Tensors) -> Result<Looks> {
        let path = self.out.join(FILE);
        let of_readout = |readout: &readout::Readout| {
            let name = format!("{LOOKS}{}", readout.name);
            let Some((shape, numbers)) = tensors.tensors.get(&name) else {
                return Ok(None);
            };
            let look = |v: &[f32]| {
                let sizes = [v[0], v[1], v[2], v[3]].map(|v| v as usize);
                let [top, left, height, width] = sizes;
                let mass = if v[4] == NOTHING { f32::NAN } else { v[4] };
                let window = Window {
                    top,
                    left,
                    height,
                    width,
                };
                Look { window, mass }
            };
            let looks: Vec<Look> = numbers.chunks_exact(5).map(look).collect();
            let on_map = looks.iter().all(|l| l.window.is_inside(readout.map));
            if *shape != [readout.neurons, 5] || !on_map {
                let wanted = "a window on the map for each neuron";
                return Err(Error::bad(
                    path.display(),
                    name,
                    format!("{shape:?}"),
                    wanted,
                ));
            }
            Ok(Some(looks))
        };
        self.model.readouts.iter().map(of_readout).collect()
    }

    fn empty_snapshot(&self) -> Snapshot {
        let zeros = || Arena::zeros(&self.model.device, &self.model.params.layout);
        Snapshot {
            params: zeros(),
            statistics: Arena::zeros(&self.model.device, &self.model.statistics.layout),
            first: zeros(),
            second: zeros(),
        }
    }

    /// Refuses readouts of other names than those that are resumed, as after a recording's directory was renamed.
    fn check_readouts(&self, tensors: &Tensors) -> Result<()> {
        let named = |name: &String| {
            let name = name
                .strip_prefix("now.values.readout.")?
                .strip_suffix(".bias")?;
            Some(name.to_string())
        };
        let before: Vec<String> = tensors.tensors.keys().filter_map(named).collect();
        let missing = |r: &&readout::Readout| !before.is_empty() && !before.contains(&r.name);
        let Some(new) = self.model.readouts.iter().find(missing) else {
            return Ok(());
        };
        Err(Error::bad(
            format!("--resume: the run in {}", self.out.display()),
            "the name of a recording",
            format!("\"{}\"", new.name),
            format!(
                "{}; `name` in recording.toml keeps it when a directory is renamed",
                before.join(" or ")
            ),
        ))
    }

    /// A resumed run keeps its configuration; only `training.max_steps` may change.
    fn check_same_run(&self) -> Result<()> {
        let path = self.out.join(CONFIG);
        let before = Config::open(&path, &[])?;
        let now = &self.model.config;
        let mut comparable = before.clone();
        comparable.training.max_steps = now.training.max_steps;
        comparable.recordings.clone_from(&now.recordings);
        if comparable == *now {
            return Ok(());
        }
        let (a, b) = (before.to_toml()?, now.to_toml()?);
        let difference = a
            .lines()
            .zip(b.lines())
            .find(|(a, b)| a != b && !a.starts_with("max_steps") && !a.starts_with("recordings"));
        let (was, is) = difference.unwrap_or(("?", "?"));
        Err(Error::Other(format!(
            "--resume: the run in {} was started with `{was}`, wanted now `{is}`; only training.max_steps may change",
            self.out.display()
        )))
    }
}

/// A configuration without what a resumed run may change.
fn comparable(config: &Config) -> Result<String> {
    let mut config = config.clone();
    config.recordings.clear();
    config.training.max_steps = 0;
    config.to_toml()
}

/// Arenas by what they hold.
type Parts<'a> = [(&'static str, &'a Arena); 4];

fn parts<'a>(
    params: &'a Arena,
    statistics: &'a Arena,
    first: &'a Arena,
    second: &'a Arena,
) -> Parts<'a> {
    [
        ("values", params),
        ("statistics", statistics),
        ("first_moment", first),
        ("second_moment", second),
    ]
}

fn lend<'a>(tensors: &mut Sources<'a>, when: &str, parts: Parts<'a>) {
    for (what, arena) in parts {
        tensors.lend_arena(&format!("{when}.{what}."), arena);
    }
}

fn fill(tensors: &Tensors, path: &std::path::Path, when: &str, s: &mut Snapshot) -> Result<()> {
    let arenas = [
        ("values", &mut s.params),
        ("statistics", &mut s.statistics),
        ("first_moment", &mut s.first),
        ("second_moment", &mut s.second),
    ];
    for (what, arena) in arenas {
        tensors.fill_arena(path, &format!("{when}.{what}."), arena)?;
    }
    Ok(())
}
