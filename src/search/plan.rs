//! What is to be fitted: systems, draws, grids, seeds (random search: Bergstra & Bengio 2012).

use super::Halving;
use crate::model::Config;
use crate::{Error, Result, files};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `SEARCH.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// A training configuration; a relative path is looked up beside the search's file.
    pub base: PathBuf,
    /// Of the draws.
    #[serde(default = "first")]
    pub seed: u64,
    /// Draws of every system, at every point of the grid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draws: Option<usize>,
    /// Keys whose logarithm is drawn between two values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub log_uniform: BTreeMap<String, [f64; 2]>,
    /// Keys of which one of several values is drawn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub choice: BTreeMap<String, Vec<toml::Value>>,
    /// Keys of which every value is tried with every value of the others; the last key's change first.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grid: BTreeMap<String, Vec<toml::Value>>,
    /// Systems side by side; without, one that is named after the base.
    #[serde(default, rename = "system", skip_serializing_if = "Vec::is_empty")]
    pub systems: Vec<System>,
    /// Training seeds of each draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// Whether hopeless draws are stopped early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halving: Option<Halving>,
}

/// One of the systems that are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its name, and that of its directory.
    pub name: String,
    /// What is fitted.
    #[serde(default, skip_serializing_if = "Kind::is_network")]
    pub kind: Kind,
    /// Keys that override the base.
    #[serde(default)]
    pub set: BTreeMap<String, toml::Value>,
}

/// What a system fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What `train` trains.
    #[default]
    Network,
    /// A generalised linear model per neuron, which chooses its own penalty and starts at 0: one fit, whatever the draws and
    /// seeds of the others.
    Glm,
}

impl Kind {
    fn is_network(&self) -> bool {
        *self == Self::Network
    }
}

/// `[seeds]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seeds {
    /// Fits of each draw, with training.seed, training.seed + 1, ...
    pub count: u64,
}

fn first() -> u64 {
    1
}

/// A search with its base, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is searched.
    pub search: Search,
    /// The base's text; recordings have absolute paths.
    base: String,
}

/// One fit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Job {
    /// Index of the system.
    pub system: usize,
    /// From 0.
    pub draw: usize,
    /// From 1.
    pub seed: u64,
}

impl Plan {
    /// Reads a search and its base, and checks every configuration that will be fitted.
    ///
    /// # Errors
    /// Names the file and the key.
    pub fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let text = files::read_text(path)?;
        let mut search: Search = toml::from_str(&text).map_err(|e| {
            let told = e.to_string();
            Error::Other(format!("{place}: {}", told.trim().replace('\n', " ")))
        })?;
        let beside = path.parent().unwrap_or(Path::new("")).join(&search.base);
        search.base = beside;
        let config = crate::training::locate(&search.base, &[])?;
        if search.systems.is_empty() {
            let stem = search.base.file_stem().unwrap_or_default();
            search.systems.push(System {
                name: stem.to_string_lossy().into_owned(),
                kind: Kind::Network,
                set: BTreeMap::new(),
            });
        }
        // By the file's own keys, so that defaults that depend on others are each system's.
        let mut table: toml::Table = toml::from_str(&files::read_text(&search.base)?)
            .map_err(|e| Error::file(&search.base, e))?;
        let recordings = config.recordings.iter();
        let recordings = recordings.map(|r| toml::Value::String(r.display().to_string()));
        table.insert("recordings".into(), recordings.collect::<Vec<_>>().into());
        let base = toml::to_string(&table).map_err(|e| Error::file(&search.base, e))?;
        let plan = Self { search, base };
        plan.check(&place)?;
        Ok(plan)
    }

    #[cfg(test)]
    pub(super) fn of(search: Search, base: &str) -> Self {
        let base = base.into();
        Self { search, base }
    }

    fn check(&self, place: &str) -> Result<()> {
        let s = &self.search;
        let number = |key: &str, got: usize| match got {
            0 => Err(Error::bad(place, key, 0, "at least 1")),
            _ => Ok(()),
        };
        number("draws", s.draws.unwrap_or(1))?;
        number("seeds.count", s.seeds.map_or(1, |s| s.count as usize))?;
        if s.draws.is_none() && !(s.log_uniform.is_empty() && s.choice.is_empty()) {
            let wanted = "a number, since keys are drawn";
            return Err(Error::bad(place, "draws", "missing", wanted));
        }
        for (key, [least, most]) in &s.log_uniform {
            if !(*least > 0.0 && least < most && most.is_finite()) {
                let (got, wanted) = (format!("[{least}, {most}]"), "two rising numbers above 0");
                return Err(Error::bad(
                    place,
                    format!("log_uniform.\"{key}\""),
                    got,
                    wanted,
                ));
            }
        }
        for (section, keys) in [("choice", &s.choice), ("grid", &s.grid)] {
            for (key, values) in keys {
                if values.is_empty() {
                    let what = format!("{section}.\"{key}\"");
                    return Err(Error::bad(place, what, "[]", "at least one value"));
                }
            }
        }
        let keys = s.log_uniform.keys().chain(s.choice.keys());
        let mut keys: Vec<&String> = keys.chain(s.grid.keys()).collect();
        keys.sort();
        if let Some(twice) = keys.windows(2).find(|k| k[0] == k[1]) {
            let wanted = "each key in one of log_uniform, choice and grid";
            return Err(Error::bad(place, "a key in two sections", twice[0], wanted));
        }
        if s.seeds.is_some() && keys.iter().any(|k| *k == "training.seed") {
            let wanted = "either [seeds] or training.seed";
            return Err(Error::bad(place, "a searched key", "training.seed", wanted));
        }
        for (i, system) in s.systems.iter().enumerate() {
            let name = &system.name;
            let bad = name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']);
            if bad || name.trim() != name {
                let got = format!("\"{name}\"");
                return Err(Error::bad(
                    place,
                    "system.name",
                    got,
                    "the name of a directory",
                ));
            }
            if s.systems[..i].iter().any(|other| other.name == *name) {
                let got = format!("\"{name}\" twice");
                return Err(Error::bad(place, "system.name", got, "different names"));
            }
        }
        if let Some(halving) = s.halving
            && halving.factor < 2
        {
            return Err(Error::bad(
                place,
                "halving.factor",
                halving.factor,
                "at least 2",
            ));
        }
        for job in self.jobs().iter().filter(|j| j.seed == 1) {
            let every = self.config(job)?.training.validate_every;
            if let Some(halving) = s.halving
                && halving.steps < every
            {
                let wanted = format!(
                    "at least training.validate_every = {every}, or nothing can be compared"
                );
                return Err(Error::bad(place, "halving.steps", halving.steps, wanted));
            }
        }
        Ok(())
    }

    /// Keys that differ between draws, in the order of the columns of `search.csv`.
    pub fn keys(&self) -> Vec<&str> {
        let s = &self.search;
        let keys = s.log_uniform.keys().chain(s.choice.keys());
        let mut keys: Vec<&str> = keys.chain(s.grid.keys()).map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// Draws of a system.
    pub fn draws(&self, system: usize) -> usize {
        match self.search.systems[system].kind {
            Kind::Glm => 1,
            Kind::Network => {
                let grid: usize = self.search.grid.values().map(Vec::len).product();
                grid * self.search.draws.unwrap_or(1)
            }
        }
    }

    /// Fits of each draw of a system.
    pub fn seeds(&self, system: usize) -> u64 {
        match self.search.systems[system].kind {
            Kind::Glm => 1,
            Kind::Network => self.search.seeds.map_or(1, |s| s.count),
        }
    }

    /// All fits, by system, draw, seed.
    pub fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for system in 0..self.search.systems.len() {
            for draw in 0..self.draws(system) {
                jobs.extend((1..=self.seeds(system)).map(|seed| Job { system, draw, seed }));
            }
        }
        jobs
    }

    /// The name of a fit's run, below the directory of its system.
    pub fn name(&self, job: &Job) -> String {
        match self.search.seeds {
            Some(_) => format!("draw-{:03}-seed-{}", job.draw, job.seed),
            None => format!("draw-{:03}", job.draw),
        }
    }

    /// The run of a fit, below the search's directory.
    pub fn run(&self, job: &Job) -> PathBuf {
        Path::new(&self.search.systems[job.system].name).join(self.name(job))
    }

    /// The searched keys of a draw: a function of the search's seed, the system's name, and the draw's number.
    pub fn drawn(&self, job: &Job) -> BTreeMap<String, toml::Value> {
        let s = &self.search;
        let System { name, kind, .. } = &s.systems[job.system];
        if *kind == Kind::Glm {
            return BTreeMap::new();
        }
        let uniform = |key: &str| uniform(s.seed, name, job.draw, key);
        let mut drawn = BTreeMap::new();
        for (key, [least, most]) in &s.log_uniform {
            let value = (least.ln() + uniform(key) * (most / least).ln()).exp();
            drawn.insert(key.clone(), value.clamp(*least, *most).into());
        }
        for (key, values) in &s.choice {
            let at = (uniform(key) * values.len() as f64) as usize;
            drawn.insert(key.clone(), values[at.min(values.len() - 1)].clone());
        }
        let mut point = job.draw / s.draws.unwrap_or(1);
        for (key, values) in s.grid.iter().rev() {
            drawn.insert(key.clone(), values[point % values.len()].clone());
            point /= values.len();
        }
        drawn
    }

    /// The configuration of a fit.
    ///
    /// # Errors
    /// Names the key, of base or draw, that cannot be used.
    pub fn config(&self, job: &Job) -> Result<Config> {
        let system = &self.search.systems[job.system];
        let mut all = system.set.clone();
        all.extend(self.drawn(job));
        let mut overrides: Vec<String> = all.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let place = format!(
            "{}, {}",
            self.search.base.display(),
            self.run(job).display()
        );
        // What overrides the base is a draw here, not an option.
        let parse = |overrides: &[String]| {
            Config::parse(&self.base, &place, overrides).map_err(|e| {
                let told = e.to_string();
                let rest = told.strip_prefix("--set");
                rest.map_or(e, |rest| Error::Other(format!("{place}{rest}")))
            })
        };
        let config = parse(&overrides)?;
        if job.seed == 1 {
            return Ok(config);
        }
        let seed = config.training.seed + job.seed - 1;
        overrides.push(format!("training.seed={seed}"));
        parse(&overrides)
    }

    /// Whether another plan goes on with this one: the same but for more draws or seeds.
    pub fn grows_into(&self, other: &Self) -> bool {
        let mut grown = self.clone();
        grown.search.draws = other.search.draws;
        // What was stopped was compared with those that there were.
        let free = self.search.grid.is_empty() && self.search.halving.is_none();
        let kept = free || self.search.draws == other.search.draws;
        let seeds = |p: &Self| p.search.seeds.map(|s| s.count);
        let more_seeds = match (seeds(self), seeds(other)) {
            (Some(a), Some(b)) if free => a <= b,
            (a, b) => a == b,
        };
        grown.search.seeds = other.search.seeds;
        let draws = |p: &Self| p.search.draws.unwrap_or(1);
        grown == *other && kept && draws(self) <= draws(other) && more_seeds
    }
}

/// A number in [0, 1), the same on every machine.
fn uniform(seed: u64, system: &str, draw: usize, key: &str) -> f64 {
    let text = format!("{seed}\0{system}\0{draw}\0{key}");
    let digest = Sha256::digest(text.as_bytes());
    let bytes: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
    (u64::from_be_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(search: &str) -> Result<Plan> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("search.toml");
        std::fs::create_dir(folder.path().join("rec")).unwrap();
        std::fs::write(folder.path().join("base.toml"), "recordings = [\"rec\"]\n").unwrap();
        std::fs::write(&path, search).unwrap();
        Plan::open(&path)
    }

    #[test]
    fn a_draw_depends_on_seed_system_and_number_alone() {
        let text = |seed: u64, draws: usize| {
            format!(
                "base = \"base.toml\"\nseed = {seed}\ndraws = {draws}\n[log_uniform]\n\"penalties.smoothness\" = [0.001, 0.1]\n\
                 [choice]\n\"core.features\" = [[16, 16, 8], [16, 16, 16]]\n\
                 [[system]]\nname = \"a\"\n[[system]]\nname = \"b\"\n"
            )
        };
        let (few, many) = (plan(&text(1, 4)).unwrap(), plan(&text(1, 400)).unwrap());
        let other = plan(&text(2, 4)).unwrap();
        let job = |system, draw| Job {
            system,
            draw,
            seed: 1,
        };
        for draw in 0..4 {
            assert_eq!(few.drawn(&job(0, draw)), many.drawn(&job(0, draw)));
            assert_ne!(few.drawn(&job(0, draw)), few.drawn(&job(1, draw)));
            assert_ne!(few.drawn(&job(0, draw)), other.drawn(&job(0, draw)));
        }
        let drawn: Vec<f64> = (0..400)
            .map(|d| {
                many.drawn(&job(0, d))["penalties.smoothness"]
                    .as_float()
                    .unwrap()
            })
            .collect();
        assert!(drawn.iter().all(|v| (0.001..=0.1).contains(v)));
        let below = drawn.iter().filter(|v| **v < 0.01).count();
        assert!((150..250).contains(&below), "{below}");
        let jobs = many.jobs();
        let is_wide = |job: &&Job| many.config(job).unwrap().core.features == [16, 16, 16];
        let wide = jobs
            .iter()
            .filter(|j| j.system == 0)
            .filter(is_wide)
            .count();
        assert!((150..250).contains(&wide), "{wide}");
    }

    #[test]
    fn grids_have_every_combination_and_seeds_follow_the_configuration() {
        let plan = plan(
            "base = \"base.toml\"\n[grid]\n\"core.orientations\" = [4, 8]\n\"training.learning_rate\" = [0.1, 0.2, 0.3]\n\
             [seeds]\ncount = 2\n[[system]]\nname = \"s\"\nset = { \"training.seed\" = 7 }\n",
        )
        .unwrap();
        let configs: Vec<_> = plan
            .jobs()
            .iter()
            .map(|j| plan.config(j).unwrap())
            .collect();
        let found: Vec<_> = configs
            .iter()
            .map(|c| {
                (
                    c.core.orientations,
                    c.training.learning_rate,
                    c.training.seed,
                )
            })
            .collect();
        let mut wanted = Vec::new();
        for orientations in [4, 8] {
            for rate in [0.1, 0.2, 0.3] {
                wanted.extend([(orientations, rate, 7), (orientations, rate, 8)]);
            }
        }
        assert_eq!(found, wanted);
        assert_eq!(plan.name(&plan.jobs()[3]), "draw-001-seed-2");
    }

    #[test]
    fn what_cannot_be_searched_is_refused_by_its_key() {
        for (text, wanted) in [
            ("draws = 0", "draws is 0"),
            ("[choice]\n\"training.patience\" = [1]", "draws is missing"),
            (
                "draws = 1\n[choice]\n\"training.patience\" = []",
                "choice.\"training.patience\"",
            ),
            (
                "draws = 1\n[log_uniform]\n\"training.decay\" = [2, 1]",
                "[2, 1]",
            ),
            (
                "draws = 1\n[choice]\n\"core.depth\" = [1]",
                "unknown key \"depth\"",
            ),
            (
                "draws = 1\n[choice]\n\"core.orientations\" = [-1]",
                "draw-000",
            ),
            (
                "draws = 1\n[choice]\n\"training.decay\" = [1]\n[grid]\n\"training.decay\" = [1]",
                "two sections",
            ),
            ("draw = 3", "unknown field"),
            ("[[system]]\nname = \"a/b\"", "system.name"),
            (
                "[[system]]\nname = \"a\"\n[[system]]\nname = \"a\"",
                "twice",
            ),
            ("[seeds]\ncount = 0", "seeds.count"),
            ("[halving]\nsteps = 9999\nfactor = 1", "halving.factor"),
            ("[halving]\nsteps = 1", "halving.steps is 1"),
        ] {
            let told = plan(&format!("base = \"base.toml\"\n{text}\n"))
                .unwrap_err()
                .to_string();
            assert!(told.contains(wanted), "{text}: {told}");
        }
    }

    #[test]
    fn more_draws_go_on_with_a_search_and_other_values_do_not() {
        let text = |draws: usize, most: f64| {
            format!(
                "base = \"base.toml\"\ndraws = {draws}\n[log_uniform]\n\"training.decay\" = [1.5, {most}]\n"
            )
        };
        let mut plans = [(3, 9.0), (5, 9.0), (5, 8.0)].map(|(d, m)| plan(&text(d, m)).unwrap());
        let base = plans[0].clone();
        for plan in &mut plans {
            (plan.base, plan.search.base) = (base.base.clone(), base.search.base.clone());
        }
        assert!(plans[0].grows_into(&plans[1]));
        assert!(!plans[1].grows_into(&plans[0]));
        assert!(!plans[1].grows_into(&plans[2]));
        // Whom more draws would have beaten was stopped already.
        for plan in &mut plans {
            plan.search.halving = Some(Halving {
                steps: 100,
                factor: 3,
            });
        }
        assert!(!plans[0].grows_into(&plans[1]));
    }
}
