//! Scans of the Sensorium 2022 competition and of its family: a file per trial.
//!
//! | file | content |
//! |---|---|
//! | `data/images/N.npy` | (1, H, W), grey levels of any type |
//! | `data/responses/N.npy` | (neurons,) |
//! | `data/behavior/N.npy`, `data/pupil_center/N.npy` | optional, a few numbers |
//! | `meta/trials/tiers.npy` | row N: `train`, `validation`, `test`, `final_test` (a test trial too) or `none` (left out) |
//! | `meta/trials/*.npy`, `meta/neurons/*.npy` | further columns of trials and neurons |
//!
//! Images are told identical by their pixels, in the order of first showing; trials stay in the order of their numbers.
//! Trials are read in blocks by all threads while the block before is written, so that memory is for a few blocks.

mod meta;
mod tree;
mod trial;

use super::Rescale;
use crate::recording::check::{check_neurons, check_tiers};
use crate::recording::draft::{Draft, Parents};
use crate::recording::listing::{self, check_names};
use crate::recording::metadata::Metadata;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, ResponseFile};
use crate::recording::summary::{Summary, tiers};
use crate::recording::{Tier, Trial, name_of};
use crate::table::{Column, Table};
use crate::{Error, Result, files};
use rayon::prelude::*;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use tree::Tree;
use trial::{Loaded, Reader, Responses, Series};

/// Trials that are read together.
const BLOCK: usize = 64;

/// What is kept of a scan, and how.
#[derive(Clone, Debug, Default)]
pub struct Sensorium {
    /// Makes images smaller.
    pub rescale: Option<Rescale>,
    /// Keeps neurons of this area only.
    pub area: Option<String>,
    /// Keeps neurons of this layer only.
    pub layer: Option<String>,
}

/// Turns scans into recordings: one into `out` itself, several into directories of their names in it. Without `out` all is
/// read and nothing is written.
///
/// # Errors
/// Names the file of the scan and what is wrong with it; nothing is left behind then.
pub fn sensorium(
    sources: &[PathBuf],
    out: Option<&Path>,
    options: &Sensorium,
    progress: &mut Progress,
) -> Result<Vec<(Summary, Option<PathBuf>)>> {
    let mut places: Vec<Option<PathBuf>> = Vec::new();
    for source in sources {
        let place = match (out, sources.len()) {
            (Some(out), 1) => Some(out.to_path_buf()),
            (Some(out), _) => Some(out.join(folder_name(source)?)),
            (None, _) => None,
        };
        if place.is_some() && places.contains(&place) {
            let what = "has the same name as another source, wanted different ones";
            return Err(Error::file(source, what));
        }
        places.push(place);
    }
    // Goes after the drafts that lie in it.
    let mut parents = match out {
        Some(out) if sources.len() > 1 => Some(Parents::of(out)?),
        _ => None,
    };
    let mut made = Vec::new();
    for (source, place) in sources.iter().zip(&places) {
        let tree = Tree::open(source)?;
        let scan = Scan::open(&tree, source, options)?;
        let draft = match place {
            Some(place) => Some(Draft::begin(place, scan.bytes())?),
            None => None,
        };
        let summary = scan.import(draft.as_ref(), progress);
        let summary = summary.map_err(|e| match &draft {
            Some(draft) => draft.named(e),
            None => e,
        })?;
        made.push((summary, draft));
    }
    let mut summaries = Vec::new();
    for ((summary, draft), place) in made.into_iter().zip(places) {
        if let Some(draft) = draft {
            draft.finish()?;
        }
        summaries.push((summary, place));
    }
    if let Some(parents) = &mut parents {
        parents.keep();
    }
    Ok(summaries)
}

/// A source's name without `.zip`.
fn folder_name(source: &Path) -> Result<String> {
    let name = name_of(source)?;
    let cut = name.len().saturating_sub(4);
    match name.get(cut..) {
        Some(end) if end.eq_ignore_ascii_case(".zip") && cut > 0 => Ok(name[..cut].to_string()),
        _ => Ok(name),
    }
}

/// What models of the competition call a scan: what stands between `static` and `-GrayImageNet` in its name.
fn name_of_scan(source: &Path) -> Result<String> {
    let name = folder_name(source)?;
    let key = name.split_once("-GrayImageNet").map(|(key, _)| key);
    let key = key.and_then(|key| key.rsplit_once("static"));
    Ok(match key {
        Some((_, key)) if !key.is_empty() => key.to_string(),
        _ => name,
    })
}

struct Scan<'a> {
    source: &'a Path,
    options: &'a Sensorium,
    reader: Reader<'a>,
    /// Numbers of the trials that are kept, with their tiers and the words for them.
    kept: Vec<(usize, Tier, String)>,
    neurons: Vec<(String, Vec<String>)>,
    trials: Vec<(String, Vec<String>)>,
    /// Names of the numbers that go with each trial.
    further: Vec<String>,
}

impl<'a> Scan<'a> {
    fn open(tree: &'a Tree, source: &'a Path, options: &'a Sensorium) -> Result<Self> {
        let tiers = meta::tiers(tree)?;
        let rows = tiers.len();
        let links = links(tree)?;
        let find = |name: &str| {
            let own = Series::find(tree, name, rows)?;
            match (own, links.get(name)) {
                (None, Some(other)) => Series::find(tree, other, rows),
                (own, _) => Ok(own),
            }
        };
        let wanted = |name: &str| {
            find(name)?.ok_or_else(|| {
                let clips = tree.arrays("data/videos").is_ok_and(|v| v.is_some());
                let what = match clips {
                    true => "does not exist, but data/videos does: clips are not images",
                    false => "does not exist, wanted a file per trial",
                };
                Error::file(tree.place(&format!("data/{name}")), what)
            })
        };
        let (images, responses) = (wanted("images")?, wanted("responses")?);
        let kept = tiers.into_iter().enumerate();
        let kept: Vec<(usize, Tier, String)> = kept
            .filter_map(|(row, (word, tier))| Some((row, tier?, word)))
            .collect();
        let Some((first, ..)) = kept.first() else {
            let place = tree.place(meta::TIERS);
            let what = "number of trials that are not none";
            return Err(Error::bad(place.display(), what, 0, "at least 1"));
        };
        let (size, count, wide) = trial::shape_of(tree, &images, &responses, *first)?;
        if let Some(k) = options.rescale.map(Rescale::factor)
            && (size.0 % k != 0 || size.1 % k != 0)
        {
            return Err(Error::bad(
                images.place(tree, *first),
                "image size",
                format!("{} x {}", size.0, size.1),
                format!("multiples of {k}, for --rescale"),
            ));
        }
        let mut further = Vec::new();
        let mut names = Vec::new();
        for folder in ["behavior", "pupil_center"] {
            if let Some(series) = find(folder)? {
                let width = trial::width_of(tree, &series, *first)?;
                names.extend((0..width).map(|i| further_name(folder, i, width)));
                further.push((series, width));
            }
        }
        let neurons = meta::columns(tree, "meta/neurons", count, &["neuron"])?;
        let own = ["image", "tier", "source_tier", "source_trial"];
        let trials = meta::columns(tree, "meta/trials", rows, &own)?;
        let filters = [
            ("area", options.area.as_deref()),
            ("layer", options.layer.as_deref()),
        ];
        let chosen = meta::chosen(tree, &neurons, count, filters)?;
        Ok(Self {
            source,
            options,
            reader: Reader {
                tree,
                images,
                responses,
                further,
                size,
                rescale: options.rescale,
                neurons: count,
                kept: (chosen.len() < count).then_some(chosen),
                wide,
            },
            kept,
            neurons,
            trials,
            further: names,
        })
    }

    /// Height and width of the recording's images.
    fn size(&self) -> (usize, usize) {
        let k = self.options.rescale.map_or(1, Rescale::factor);
        (self.reader.size.0 / k, self.reader.size.1 / k)
    }

    fn count(&self) -> usize {
        let kept = self.reader.kept.as_ref();
        kept.map_or(self.reader.neurons, Vec::len)
    }

    /// What its arrays will take on a disk, about.
    fn bytes(&self) -> u128 {
        let (h, w) = self.size();
        let row = self.count() * if self.reader.wide { 8 } else { 4 };
        self.kept.len() as u128 * (row + h * w) as u128
    }

    fn import(mut self, draft: Option<&Draft>, progress: &mut Progress) -> Result<Summary> {
        let path = |name: &str| draft.map(|d| d.path().join(name));
        let arrays = match self.arrays(path, progress)? {
            Some(arrays) => arrays,
            None => {
                // A later trial needs more digits than the first.
                self.reader.wide = true;
                for name in ["images.npy", "responses.npy"] {
                    if let Some(path) = path(name) {
                        files::remove(&path)?;
                    }
                }
                let arrays = self.arrays(path, progress)?;
                arrays.ok_or_else(|| Error::Other("responses: no type holds them".into()))?
            }
        };
        let place = self.reader.tree.place(meta::TIERS);
        check_tiers(&arrays.trials, &place)?;
        let name = name_of_scan(self.source)?;
        let metadata = Metadata {
            name: Some(name.clone()),
            source: Some(self.described()),
            ..Metadata::default()
        };
        metadata.check(&name, self.source)?;
        let columns = self.trial_table(arrays.further);
        check_names(listing::OWN.into_iter().chain(columns.names()), self.source)?;
        let neurons = self.neuron_table();
        if let Some(neurons) = &neurons {
            check_neurons(neurons, self.count(), self.source)?;
        }
        if let Some(draft) = draft {
            let at = |name: &str| draft.path().join(name);
            files::write(&at("trials.csv"), |w| {
                listing::fill(w, &arrays.trials, Some(&columns))
            })?;
            if let Some(neurons) = &neurons {
                neurons.write_csv(&at("neurons.csv"))?;
            }
            files::write(&at("recording.toml"), |w| {
                w.write_all(metadata.text().as_bytes())
            })?;
        }
        let (height, width) = self.size();
        Ok(Summary {
            name,
            images: arrays.images,
            height,
            width,
            neurons: self.count(),
            tiers: tiers(&arrays.trials),
            warnings: arrays.warnings,
        })
    }

    /// Reads all trials and writes images and responses; none if a response needs `float64` and that was not foreseen.
    fn arrays(
        &self,
        path: impl Fn(&str) -> Option<PathBuf>,
        progress: &mut Progress,
    ) -> Result<Option<Arrays>> {
        let images = ImageFile::create(path("images.npy").as_deref(), self.size())?;
        let file = path("responses.npy");
        let wide = self.reader.wide;
        let responses = ResponseFile::create(file.as_deref(), self.count(), wide)?;
        let mut filling = Filling {
            scan: self,
            images,
            responses,
            first: HashMap::new(),
            recorded: Recorded::new(self.count()),
            trials: Vec::with_capacity(self.kept.len()),
            further: vec![Vec::new(); self.further.len()],
            zero: true,
        };
        // Two blocks at most lie ready, so that a slow disk does not fill the memory.
        let (send, receive) = sync_channel(1);
        let full = std::thread::scope(|scope| -> Result<bool> {
            scope.spawn(move || {
                for block in self.kept.chunks(BLOCK) {
                    let all = block.par_iter();
                    let all: Vec<Result<Loaded>> = all.map(|t| self.reader.load(t.0)).collect();
                    if send.send(all).is_err() {
                        return;
                    }
                }
            });
            for (done, block) in (0..).step_by(BLOCK).zip(receive) {
                progress("reading trials", done, self.kept.len())?;
                for loaded in block {
                    if !filling.add(loaded?)? {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })?;
        progress("reading trials", self.kept.len(), self.kept.len())?;
        match full {
            true => filling.finish().map(Some),
            false => Ok(None),
        }
    }

    /// Where the recording comes from.
    fn described(&self) -> String {
        let mut text = format!("Sensorium scan {}", self.source.display());
        let options = [
            ("rescale", self.options.rescale.map(|r| r.to_string())),
            ("area", self.options.area.clone()),
            ("layer", self.options.layer.clone()),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                // Writing to a string does not fail.
                let _ = write!(text, ", {name} {value}");
            }
        }
        text
    }

    fn trial_table(&self, further: Vec<Vec<String>>) -> Table {
        let rows: Vec<usize> = self.kept.iter().map(|t| t.0).collect();
        let words = self.kept.iter().map(|t| t.2.clone()).collect();
        let table = Table::new()
            .with("source_tier", Column::Text(words))
            .with(
                "source_trial",
                Column::Integer(rows.iter().map(|r| *r as i64).collect()),
            )
            .beside(meta::table(&self.trials, &rows));
        let further = self.further.iter().zip(further);
        further.fold(table, |table, (name, cells)| {
            table.with(name, Column::Text(cells))
        })
    }

    fn neuron_table(&self) -> Option<Table> {
        if self.neurons.is_empty() {
            return None;
        }
        let all: Vec<usize> = (0..self.reader.neurons).collect();
        let rows = self.reader.kept.as_ref().unwrap_or(&all);
        let numbers = (0..rows.len() as i64).collect();
        let place = |name: &str| ["x", "y", "z"].iter().position(|n| *n == name).unwrap_or(3);
        let mut columns = self.neurons.clone();
        columns.sort_by_key(|(name, _)| place(name));
        Some(
            Table::new()
                .with("neuron", Column::Integer(numbers))
                .beside(meta::table(&columns, rows)),
        )
    }
}

/// What `config.json` says is found under another name.
fn links(tree: &Tree) -> Result<HashMap<String, String>> {
    let mut links = HashMap::new();
    if !tree.has("config.json") {
        return Ok(links);
    }
    let place = tree.place("config.json");
    let text = tree.bytes("config.json")?;
    let config: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|e| Error::file(&place, format!("is no JSON: {e}")))?;
    for (name, other) in config["links"].as_object().into_iter().flatten() {
        if let Some(other) = other.as_str() {
            links.insert(name.clone(), other.to_string());
        }
    }
    Ok(links)
}

fn further_name(folder: &str, index: usize, width: usize) -> String {
    let behaviour = ["pupil_dilation", "pupil_dilation_change", "running_speed"];
    match (folder, width) {
        ("behavior", 3) => behaviour[index].to_string(),
        ("pupil_center", 2) => ["pupil_x", "pupil_y"][index].to_string(),
        _ => format!("{folder}_{index}"),
    }
}

struct Arrays {
    images: usize,
    trials: Vec<Trial>,
    further: Vec<Vec<String>>,
    warnings: Vec<String>,
}

struct Filling<'a> {
    scan: &'a Scan<'a>,
    images: ImageFile,
    responses: ResponseFile,
    /// Tier of every image, and the trial that showed it first.
    first: HashMap<usize, (Tier, usize)>,
    recorded: Recorded,
    trials: Vec<Trial>,
    further: Vec<Vec<String>>,
    /// Whether no test trial has had a response so far.
    zero: bool,
}

impl Filling<'_> {
    /// One more trial; false if its responses need another type.
    fn add(&mut self, loaded: Loaded) -> Result<bool> {
        let (number, tier, _) = self.scan.kept[self.trials.len()];
        if matches!(loaded.responses, Responses::TooWide) {
            return Ok(false);
        }
        let image = self.images.add(&loaded.pixels, loaded.key)?;
        let (earlier, other) = *self.first.entry(image).or_insert((tier, number));
        if earlier != tier {
            let reader = &self.scan.reader;
            let named = |trial| reader.images.place(reader.tree, trial);
            return Err(Error::bad(
                named(number),
                "tier",
                format!(
                    "{tier}, but {earlier} in the same pixels at {}",
                    named(other)
                ),
                "one tier per image: anything else leaks",
            ));
        }
        self.responses.push(&loaded.responses.bytes())?;
        match tier {
            Tier::Train => self.recorded.see(|n| loaded.responses.known(n)),
            Tier::Test => self.zero &= loaded.zero,
            Tier::Validation => {}
        }
        for (column, cell) in self.further.iter_mut().zip(loaded.further) {
            column.push(cell);
        }
        self.trials.push(Trial { image, tier });
        Ok(true)
    }

    fn finish(self) -> Result<Arrays> {
        let mut warnings = Vec::new();
        let rows = self.trials.iter().enumerate();
        let rows = rows.filter(|(_, t)| t.tier == Tier::Test);
        let rows: Vec<usize> = rows.map(|(row, _)| row).collect();
        if self.zero && !rows.is_empty() {
            self.responses.blank(&rows)?;
            warnings.push(format!(
                "{}: all responses of its {} test trials are 0, as in scans of the competition that keep them back: they \
                 are stored as NaN, and models cannot be scored on them",
                self.scan.source.display(),
                rows.len()
            ));
        }
        self.images.finish()?;
        self.responses.finish()?;
        let place = self.scan.reader.tree.place("data/responses");
        self.recorded.check(&place)?;
        Ok(Arrays {
            images: self.images.count(),
            trials: self.trials,
            further: self.further,
            warnings,
        })
    }
}
