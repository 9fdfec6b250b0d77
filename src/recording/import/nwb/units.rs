//! Spikes: the times of all units, one unit after the other.

use super::super::assemble::Kept;
use super::super::number::Number;
use super::{Nwb, Window, tables};
use crate::hdf5::{Dataset, File};
use crate::recording::Tier;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::ResponseFile;
use crate::{Error, Result};
use std::ops::Range;

/// Spikes read at a time, but those of one unit always together.
const BLOCK: usize = 1 << 23;

/// From when to when a unit was observed.
type Observed = Vec<(f64, f64)>;

/// Spike times, looked at but not kept.
pub(super) struct Units {
    times: Dataset,
    /// Which of them are each unit's.
    spans: Vec<Range<usize>>,
    /// When each unit was observed, if the file says so.
    observed: Option<Vec<Observed>>,
    /// The first and the last time at which anything was recorded.
    recorded: (f64, f64),
}

impl Units {
    pub(super) fn open(file: &File, progress: &mut Progress) -> Result<Self> {
        let times = file.dataset("/units/spike_times")?;
        times.check_line()?;
        times.dtype()?;
        let all = times.shape().iter().product();
        let spans = spans(&file.dataset("/units/spike_times_index")?, all)?;
        if spans.is_empty() {
            return Err(Error::bad(
                file.place("/units").display(),
                "number of units",
                0,
                "at least 1",
            ));
        }
        let mut this = Self {
            times,
            observed: observed(file, spans.len())?,
            spans,
            recorded: (f64::INFINITY, f64::NEG_INFINITY),
        };
        let mut recorded = this.recorded;
        let mut see = |from: f64, to: f64| recorded = (recorded.0.min(from), recorded.1.max(to));
        match &this.observed {
            Some(observed) => observed
                .iter()
                .flatten()
                .for_each(|(from, to)| see(*from, *to)),
            None => this.visit(progress, |_, spikes| {
                if let (Some(first), Some(last)) = (spikes.first(), spikes.last()) {
                    see(*first, *last);
                }
                Ok(())
            })?,
        }
        this.recorded = recorded;
        Ok(this)
    }

    pub(super) fn count(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn covers(&self, onset: f64, window: Window) -> bool {
        let (first, last) = self.recorded;
        onset + window.from >= first && onset + window.to <= last
    }

    /// What the table says of units.
    pub(super) fn properties(&self, file: &File) -> Result<Vec<(String, Vec<String>)>> {
        let mut columns = tables::columns(file, "/units", self.count(), &["neuron"])?;
        columns.retain(|(name, _)| {
            !name.ends_with("_index") && name != "spike_times" && name != "obs_intervals"
        });
        Ok(columns)
    }

    /// Hands on the ascending spike times of every unit.
    fn visit(
        &self,
        progress: &mut Progress,
        mut take: impl FnMut(usize, &[f64]) -> Result<()>,
    ) -> Result<()> {
        let flat = self.times.shape().iter().position(|n| *n != 1).unwrap_or(0);
        let mut first = 0;
        while first < self.spans.len() {
            progress("reading spikes", first, self.spans.len())?;
            let start = self.spans[first].start;
            let mut end = first + 1;
            while end < self.spans.len() && self.spans[end].end - start <= BLOCK {
                end += 1;
            }
            let mut ranges = vec![0..1; self.times.shape().len()];
            ranges[flat] = start..self.spans[end - 1].end;
            let mut spikes: Vec<f64> = Vec::new();
            self.times.read(&ranges, &mut spikes)?;
            for unit in first..end {
                let span = &self.spans[unit];
                let own = &mut spikes[span.start - start..span.end - start];
                if let Some(at) = own.iter().position(|t| !t.is_finite()) {
                    let what = format!("spike {at} of unit {unit}");
                    let place = self.times.place().display();
                    return Err(Error::bad(
                        place,
                        what,
                        own[at],
                        "a finite number of seconds",
                    ));
                }
                if !own.is_sorted() {
                    own.sort_unstable_by(f64::total_cmp);
                }
                take(unit, own)?;
            }
            first = end;
        }
        Ok(())
    }

    /// Counts the spikes of every unit in the window of every trial.
    pub(super) fn fill(
        &self,
        kept: &Kept<'_>,
        onsets: &[f64],
        options: &Nwb,
        file: &ResponseFile,
        recorded: &mut Recorded,
        progress: &mut Progress,
    ) -> Result<()> {
        let window = options.window;
        let scale = if options.sum {
            1.0
        } else {
            1.0 / (window.to - window.from)
        };
        let trials = kept.trials.len();
        let at_once = (BLOCK / trials.max(1)).max(1);
        let (mut block, mut begun): (Vec<f32>, usize) = (Vec::new(), 0);
        let write = |block: &mut Vec<f32>, begun: usize| -> Result<()> {
            let units = block.len() / trials.max(1);
            let mut bytes = Vec::with_capacity(4 * units);
            for trial in 0..trials {
                bytes.clear();
                for unit in 0..units {
                    block[unit * trials + trial].put(&mut bytes);
                }
                file.patch(trial, begun, &bytes)?;
            }
            block.clear();
            Ok(())
        };
        self.visit(progress, |unit, spikes| {
            for (trial, row) in kept.trials.iter().zip(kept.rows) {
                let (from, to) = (onsets[*row] + window.from, onsets[*row] + window.to);
                let seen = self.observed.as_ref().is_none_or(|all| {
                    let inside = |(first, last): &(f64, f64)| *first <= from && to <= *last;
                    all[unit].iter().any(inside)
                });
                let count =
                    spikes.partition_point(|t| *t < to) - spikes.partition_point(|t| *t < from);
                block.push(if seen {
                    (count as f64 * scale) as f32
                } else {
                    f32::NAN
                });
                if seen && trial.tier == Tier::Train {
                    recorded.see(|n| n == unit);
                }
            }
            if unit + 1 - begun >= at_once {
                write(&mut block, begun)?;
                begun = unit + 1;
            }
            Ok(())
        })?;
        write(&mut block, begun)
    }
}

/// What rows of a ragged column are each unit's, from where each ends.
fn spans(index: &Dataset, rows: usize) -> Result<Vec<Range<usize>>> {
    let mut start = 0;
    let ends = index.integers()?;
    let span = |(unit, end): (usize, i64)| {
        let end = usize::try_from(end)
            .ok()
            .filter(|end| (start..=rows).contains(end));
        let end = end.ok_or_else(|| {
            let wanted = format!("ascending, at most {rows}");
            Error::bad(
                index.place().display(),
                format!("end of unit {unit}"),
                ends[unit],
                wanted,
            )
        })?;
        let span = start..end;
        start = end;
        Ok(span)
    };
    ends.iter().copied().enumerate().map(span).collect()
}

/// When units were observed.
fn observed(file: &File, units: usize) -> Result<Option<Vec<Observed>>> {
    let all = file.find("/units/obs_intervals")?;
    let index = file.find("/units/obs_intervals_index")?;
    let Some((all, index)) = all.zip(index) else {
        return Ok(None);
    };
    let values: Vec<f64> = all.numbers()?;
    // MATLAB's writer of NWB turns all axes.
    let turned = matches!(*all.shape(), [2, n] if n != 2);
    let rows = values.len() / 2;
    let pair = |row: usize| match turned {
        true => (values[row], values[rows + row]),
        false => (values[2 * row], values[2 * row + 1]),
    };
    let spans = spans(&index, rows)?;
    if spans.len() != units {
        let place = index.place().display();
        return Err(Error::bad(place, "number of units", spans.len(), units));
    }
    let own = |span: Range<usize>| span.map(pair).collect();
    Ok(Some(spans.into_iter().map(own).collect()))
}
