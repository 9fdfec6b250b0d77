//! Traces: a sample of every region at every time.

use super::super::assemble::Kept;
use super::super::number::{Number, infinite_at};
use super::{Nwb, Window, find, tables};
use crate::hdf5::{Dataset, File};
use crate::npy::{Kind, Real, shown};
use crate::recording::Tier;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::ResponseFile;
use crate::{Error, Result};
use std::ops::Range;

/// Samples read at a time.
const BLOCK: usize = 1 << 23;

/// Samples, looked at but not read.
pub(super) struct Traces {
    path: String,
    data: Dataset,
    /// Whether times come first, else regions.
    by_time: bool,
    times: Vec<f64>,
    /// Seconds from one sample to the next.
    step: f64,
}

impl Traces {
    pub(super) fn open(file: &File, path: &str) -> Result<Self> {
        let data = file.dataset(&format!("{path}/data"))?;
        data.dtype()?;
        let [first, second] = *data.shape() else {
            let wanted = "(times, regions) or (regions, times)";
            return Err(Error::bad(
                data.place().display(),
                "shape",
                shown(data.shape()),
                wanted,
            ));
        };
        let known = find::times(file, path, None)?;
        let rois = file.find(&format!("{path}/rois"))?;
        let rois = rois.map(|r| r.shape().iter().product::<usize>());
        // NWB 2 has times first; the Allen Institute's NWB 1 and MATLAB's writer have regions first.
        let by_time = match (known.count(), rois) {
            (Some(times), Some(rois)) if first == times && second == rois => true,
            (Some(times), _) if first == times && second != times => true,
            (Some(times), _) if second == times => false,
            (None, Some(rois)) if second == rois => true,
            (None, Some(rois)) if first == rois => false,
            (None, None) => true,
            (times, rois) => {
                let some = |n: Option<usize>| n.map_or("unknown".to_string(), |n| n.to_string());
                let wanted = format!("{} times and {} regions", some(times), some(rois));
                return Err(Error::bad(
                    data.place().display(),
                    "shape",
                    shown(data.shape()),
                    wanted,
                ));
            }
        };
        let count = if by_time { first } else { second };
        let regions = if by_time { second } else { first };
        if count < 2 || regions == 0 {
            let wanted = "at least 2 times and 1 region";
            return Err(Error::bad(
                data.place().display(),
                "shape",
                shown(data.shape()),
                wanted,
            ));
        }
        let times = known.all(count);
        if let Some(at) = (1..count).find(|at| times[*at] <= times[at - 1]) {
            let place = file.place(&format!("{path}/timestamps"));
            let wanted = format!("later than {}, the time before", times[at - 1]);
            return Err(Error::bad(
                place.display(),
                format!("time at {at}"),
                times[at],
                wanted,
            ));
        }
        Ok(Self {
            path: path.to_string(),
            data,
            by_time,
            step: (times[count - 1] - times[0]) / (count - 1) as f64,
            times,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.data.shape()[usize::from(self.by_time)]
    }

    /// The samples in a window.
    fn samples(&self, onset: f64, window: Window) -> Range<usize> {
        let before = |end: f64| self.times.partition_point(|t| *t < end);
        before(onset + window.from)..before(onset + window.to)
    }

    pub(super) fn covers(&self, onset: f64, window: Window) -> bool {
        let last = self.times[self.times.len() - 1] + self.step;
        let inside = onset + window.from >= self.times[0] && onset + window.to <= last;
        inside && !self.samples(onset, window).is_empty()
    }

    pub(super) fn wide(&self) -> bool {
        self.data.dtype().is_ok_and(|d| match d.kind {
            Kind::Float => d.size > 4,
            _ => d.size > 2,
        })
    }

    pub(super) fn unit(&self) -> Option<String> {
        let unit = self.data.attributes().word("unit")?;
        let said = !unit.trim().is_empty() && !["n.a.", "N/A", "a.u."].contains(&unit.as_str());
        said.then_some(unit)
    }

    /// What the table of regions says of them, or the Allen Institute's numbers of cells.
    pub(super) fn properties(&self, file: &File) -> Result<Vec<(String, Vec<String>)>> {
        let count = self.count();
        if let Some(rois) = file.find(&format!("{}/rois", self.path))? {
            let rows = rois.integers()?;
            let mut columns = vec![(
                "roi".to_string(),
                rows.iter().map(ToString::to_string).collect(),
            )];
            let table = rois.attributes().reference("table");
            let Some(table) = table
                .map(|at| file.referred(at, rois.place()))
                .transpose()?
            else {
                return Ok(columns);
            };
            let all = file
                .find(&format!("{table}/id"))?
                .map_or(0, |id| id.shape().iter().product());
            for (name, cells) in tables::columns(file, table, all, &["neuron", "roi"])? {
                let cell = |row: &i64| {
                    usize::try_from(*row)
                        .ok()
                        .and_then(|row| cells.get(row).cloned())
                };
                let cells: Option<Vec<String>> = rows.iter().map(cell).collect();
                match cells {
                    Some(cells) if cells.len() == count && !name.ends_with("_index") => {
                        columns.push((name, cells))
                    }
                    Some(cells) if cells.len() == count => {}
                    _ => {
                        let wanted =
                            format!("{count} rows of {table}, 0 to {}", all.saturating_sub(1));
                        return Err(Error::bad(
                            rois.place().display(),
                            "regions",
                            format!("{rows:?}"),
                            wanted,
                        ));
                    }
                }
            }
            return Ok(columns);
        }
        let pipeline = self.path.rsplitn(3, '/').last().unwrap_or_default();
        let mut columns = Vec::new();
        for name in ["cell_specimen_ids", "roi_ids"] {
            if let Some(ids) = file.find(&format!("{pipeline}/ImageSegmentation/{name}"))?
                && *ids.shape() == [count]
            {
                columns.push((name.to_string(), ids.cells()?));
            }
        }
        Ok(columns)
    }

    /// Averages or sums the samples of every region in the window of every trial.
    pub(super) fn fill(
        &self,
        kept: &Kept<'_>,
        onsets: &[f64],
        options: &Nwb,
        file: &ResponseFile,
        recorded: &mut Recorded,
        progress: &mut Progress,
    ) -> Result<()> {
        let window = |row: &usize| self.samples(onsets[*row], options.window);
        let windows: Vec<Range<usize>> = kept.rows.iter().map(window).collect();
        match (self.by_time, self.wide()) {
            (true, true) => {
                self.by_times::<f64>(kept, &windows, options.sum, file, recorded, progress)
            }
            (true, false) => {
                self.by_times::<f32>(kept, &windows, options.sum, file, recorded, progress)
            }
            (false, true) => {
                self.by_regions::<f64>(kept, &windows, options.sum, file, recorded, progress)
            }
            (false, false) => {
                self.by_regions::<f32>(kept, &windows, options.sum, file, recorded, progress)
            }
        }
    }

    /// Trial by trial, in the order of their times: what one reads lies together, and near what the next one reads.
    fn by_times<T: Number + Real + Send>(
        &self,
        kept: &Kept<'_>,
        windows: &[Range<usize>],
        sum: bool,
        file: &ResponseFile,
        recorded: &mut Recorded,
        progress: &mut Progress,
    ) -> Result<()> {
        let regions = self.count();
        let mut order: Vec<usize> = (0..windows.len()).collect();
        order.sort_by_key(|trial| windows[*trial].start);
        let (mut values, mut bytes): (Vec<f64>, Vec<u8>) = (Vec::new(), Vec::new());
        for (done, trial) in order.into_iter().enumerate() {
            if done % 64 == 0 {
                progress("reading traces", done, windows.len())?;
            }
            let window = &windows[trial];
            let mut sums = vec![0.0; regions];
            let at_once = (BLOCK / regions).max(1);
            for first in window.clone().step_by(at_once) {
                values.clear();
                let times = first..(first + at_once).min(window.end);
                self.data.read(&[times, 0..regions], &mut values)?;
                for row in values.chunks_exact(regions) {
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
            }
            bytes.clear();
            for (region, total) in sums.iter().enumerate() {
                let x: T = self.reduced(*total, window, sum, trial, region)?;
                x.put(&mut bytes);
            }
            if kept.trials[trial].tier == Tier::Train {
                recorded.see(|n| !sums[n].is_nan());
            }
            file.patch(trial, 0, &bytes)?;
        }
        Ok(())
    }

    /// A block of regions at a time.
    fn by_regions<T: Number + Real + Send>(
        &self,
        kept: &Kept<'_>,
        windows: &[Range<usize>],
        sum: bool,
        file: &ResponseFile,
        recorded: &mut Recorded,
        progress: &mut Progress,
    ) -> Result<()> {
        let (regions, times) = (self.count(), self.times.len());
        let chunk = self.data.chunk().map_or(1, |c| c[0]);
        let at_once = (BLOCK / times / chunk * chunk).max(chunk);
        let (mut values, mut bytes): (Vec<f64>, Vec<u8>) = (Vec::new(), Vec::new());
        for first in (0..regions).step_by(at_once) {
            progress("reading traces", first, regions)?;
            let block = first..(first + at_once).min(regions);
            values.clear();
            self.data.read(&[block.clone(), 0..times], &mut values)?;
            for (trial, window) in windows.iter().enumerate() {
                bytes.clear();
                for (region, trace) in block.clone().zip(values.chunks_exact(times)) {
                    let total: f64 = trace[window.clone()].iter().sum();
                    let x: T = self.reduced(total, window, sum, trial, region)?;
                    x.put(&mut bytes);
                    if kept.trials[trial].tier == Tier::Train && !total.is_nan() {
                        recorded.see(|n| n == region);
                    }
                }
                file.patch(trial, block.start, &bytes)?;
            }
        }
        Ok(())
    }

    fn reduced<T: Number + Real>(
        &self,
        total: f64,
        window: &Range<usize>,
        sum: bool,
        trial: usize,
        region: usize,
    ) -> Result<T> {
        let x = if sum {
            total
        } else {
            total / window.len() as f64
        };
        let x = T::of_double(x);
        match x.beyond() {
            false => Ok(x),
            true => Err(infinite_at(
                self.data.place(),
                format!("trial {trial}, region {region}"),
            )),
        }
    }
}
