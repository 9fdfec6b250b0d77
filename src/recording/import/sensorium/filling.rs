//! The arrays of a scan: read in blocks by all threads while the block before is written.

use super::scan::Scan;
use super::trial::{Loaded, Responses};
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::{ImageFile, ResponseFile};
use crate::recording::{Tier, Trial};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;

/// Trials that are read together.
const BLOCK: usize = 64;

impl Scan<'_> {
    /// Reads all trials and writes images and responses; none if a response needs `float64` and that was not foreseen.
    pub(super) fn arrays(
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
        let read = |block: &[(usize, Tier, String)]| -> Vec<Result<Loaded>> {
            let trials = block.par_iter();
            trials.map(|t| self.reader.load(t.0)).collect()
        };
        let mut blocks = self.kept.chunks(BLOCK);
        let mut ready = blocks.next().map(read).unwrap_or_default();
        let (mut full, mut done) = (true, 0);
        while full && !ready.is_empty() {
            progress("reading trials", done, self.kept.len())?;
            done += ready.len();
            let next = blocks.next().unwrap_or_default();
            let written = || -> Result<bool> {
                for loaded in ready {
                    if !filling.add(loaded?)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            };
            let (wrote, read) = rayon::join(written, || read(next));
            (full, ready) = (wrote?, read);
        }
        progress("reading trials", self.kept.len(), self.kept.len())?;
        match full {
            true => filling.finish().map(Some),
            false => Ok(None),
        }
    }
}

/// What is known once all trials are read.
pub(super) struct Arrays {
    pub(super) images: usize,
    pub(super) trials: Vec<Trial>,
    pub(super) further: Vec<Vec<String>>,
    pub(super) warnings: Vec<String>,
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
