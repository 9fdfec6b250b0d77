//! Responses that are one array of an HDF5 file, whichever way round.

use super::number::{Number, infinite_at};
use crate::hdf5::Dataset;
use crate::npy::{Kind, shown};
use crate::recording::Tier;
use crate::recording::part::{Progress, Recorded};
use crate::recording::sink::ResponseFile;
use crate::{Error, Result};
use bytemuck::NoUninit;
use std::ops::Range;

/// Bytes of responses read at a time.
const BLOCK: usize = 1 << 24;

/// Responses, looked at but not read.
#[derive(Debug)]
pub(super) struct Activity {
    data: Dataset,
    repeats: Option<usize>,
    trials: usize,
    neurons: usize,
}

/// Where a trial of an array goes.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    pub(super) row: usize,
    pub(super) tier: Tier,
}

impl Activity {
    /// (trials, neurons) or (repeats, images, neurons); `turned` if the file has the axes reversed.
    pub(super) fn open(data: Dataset, turned: bool) -> Result<Self> {
        data.dtype()?;
        let rank = data.shape().len();
        let stored = |axis: usize| if turned { rank - 1 - axis } else { axis };
        let (repeats, trials, neurons) = match rank {
            2 => (None, stored(0), stored(1)),
            3 => (Some(stored(0)), stored(1), stored(2)),
            _ => return Err(misshapen(&data)),
        };
        if data.shape().contains(&0) {
            return Err(misshapen(&data));
        }
        Ok(Self {
            data,
            repeats,
            trials,
            neurons,
        })
    }

    pub(super) fn data(&self) -> &Dataset {
        &self.data
    }

    /// Neurons.
    pub(super) fn neurons(&self) -> usize {
        self.data.shape()[self.neurons]
    }

    /// Trials, or images where there are repeats of them.
    pub(super) fn columns(&self) -> usize {
        self.data.shape()[self.trials]
    }

    /// Repeats, if they have an axis of their own.
    pub(super) fn repeats(&self) -> Option<usize> {
        self.repeats.map(|axis| self.data.shape()[axis])
    }

    /// Whether `float32` would lose digits.
    pub(super) fn wide(&self) -> Result<bool> {
        let dtype = self.data.dtype()?;
        Ok(match dtype.kind {
            Kind::Float => dtype.size > 4,
            _ => dtype.size > 2,
        })
    }

    /// Parts of trials and neurons that are cheap to read and not too large.
    fn boxes<T>(&self) -> Vec<(Range<usize>, Range<usize>)> {
        let most = BLOCK / size_of::<T>();
        let (slow, fast) = (self.trials.min(self.neurons), self.trials.max(self.neurons));
        let chunk = self.data.chunk();
        let chunk = |axis: usize| chunk.as_ref().map_or(1, |c| c[axis]);
        let length = |axis: usize| self.data.shape()[axis];
        // In whole chunks, so that none is decompressed twice.
        let steps = |axis: usize, most: usize| {
            (most / chunk(axis) * chunk(axis))
                .max(chunk(axis))
                .min(length(axis))
        };
        let fast_step = steps(fast, most / chunk(slow).min(length(slow)).max(1));
        let slow_step = steps(slow, most / fast_step.max(1));
        let mut boxes = Vec::new();
        for first in (0..length(slow)).step_by(slow_step) {
            let outer = first..(first + slow_step).min(length(slow));
            for first in (0..length(fast)).step_by(fast_step) {
                let inner = first..(first + fast_step).min(length(fast));
                boxes.push(match slow == self.trials {
                    true => (outer.clone(), inner),
                    false => (inner, outer.clone()),
                });
            }
        }
        boxes
    }

    /// Hands on every response: repeat, trials, neurons and the numbers, trial by trial.
    fn visit<T: Number + Send>(
        &self,
        wanted: impl Fn(usize, &Range<usize>) -> bool,
        mut take: impl FnMut(usize, Range<usize>, Range<usize>, &[T]) -> Result<()>,
        progress: &mut Progress,
    ) -> Result<()> {
        let (repeats, boxes) = (self.repeats().unwrap_or(1), self.boxes::<T>());
        let mut values: Vec<T> = Vec::new();
        let mut turned: Vec<T> = Vec::new();
        for repeat in 0..repeats {
            for (done, (trials, neurons)) in boxes.iter().enumerate() {
                progress(
                    "reading responses",
                    repeat * boxes.len() + done,
                    repeats * boxes.len(),
                )?;
                if !wanted(repeat, trials) {
                    continue;
                }
                let mut ranges = vec![0..1; self.data.shape().len()];
                (ranges[self.trials], ranges[self.neurons]) = (trials.clone(), neurons.clone());
                if let Some(axis) = self.repeats {
                    ranges[axis] = repeat..repeat + 1;
                }
                values.clear();
                self.data.read(&ranges, &mut values)?;
                if self.trials < self.neurons {
                    take(repeat, trials.clone(), neurons.clone(), &values)?;
                    continue;
                }
                turned.clear();
                for trial in 0..trials.len() {
                    turned.extend(values.iter().skip(trial).step_by(trials.len()));
                }
                take(repeat, trials.clone(), neurons.clone(), &turned)?;
            }
        }
        Ok(())
    }

    /// Which trials (repeat by repeat) have no number at all: padding.
    pub(super) fn padding(&self, progress: &mut Progress) -> Result<Vec<bool>> {
        let columns = self.columns();
        let mut empty = vec![true; columns * self.repeats().unwrap_or(1)];
        self.visit::<f32>(
            |_, _| true,
            |repeat, trials, neurons, values| {
                for (trial, row) in trials.zip(values.chunks_exact(neurons.len())) {
                    empty[repeat * columns + trial] &= row.iter().all(|r| r.unknown());
                }
                Ok(())
            },
            progress,
        )?;
        Ok(empty)
    }

    /// Writes the trials that have a goal, each to its row.
    pub(super) fn fill<T: Number + Send + NoUninit>(
        &self,
        goals: &[Option<Goal>],
        file: &ResponseFile,
        recorded: &mut Recorded,
        progress: &mut Progress,
    ) -> Result<()> {
        let columns = self.columns();
        let all = self.neurons();
        self.visit::<T>(
            |repeat, trials| {
                let first = repeat * columns;
                let goals = &goals[first + trials.start..first + trials.end];
                goals.iter().any(Option::is_some)
            },
            |repeat, trials, neurons, values| {
                let mut run = Run::new(file, neurons.clone(), all);
                for (trial, row) in trials.zip(values.chunks_exact(neurons.len())) {
                    let trial = repeat * columns + trial;
                    let Some(goal) = goals[trial] else { continue };
                    if let Some(neuron) = row.iter().position(|r| r.beyond()) {
                        let at = format!("trial {trial}, neuron {}", neurons.start + neuron);
                        return Err(infinite_at(self.data.place(), at));
                    }
                    if goal.tier == Tier::Train {
                        recorded.see(|n| neurons.contains(&n) && !row[n - neurons.start].unknown());
                    }
                    run.add(goal.row, row)?;
                }
                run.write()
            },
            progress,
        )
    }
}

/// Rows that follow each other, written in one go where they are whole.
struct Run<'a> {
    file: &'a ResponseFile,
    neurons: Range<usize>,
    whole: bool,
    first: usize,
    bytes: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(file: &'a ResponseFile, neurons: Range<usize>, all: usize) -> Self {
        Self {
            file,
            whole: neurons == (0..all),
            neurons,
            first: 0,
            bytes: Vec::new(),
        }
    }

    fn add<T: Number + NoUninit>(&mut self, row: usize, values: &[T]) -> Result<()> {
        let rows = self.bytes.len() / size_of_val(values).max(1);
        if !self.whole || row != self.first + rows {
            self.write()?;
            self.first = row;
        }
        match cfg!(target_endian = "little") {
            true => self.bytes.extend_from_slice(bytemuck::cast_slice(values)),
            false => values.iter().for_each(|r| r.put(&mut self.bytes)),
        }
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        if !self.bytes.is_empty() {
            self.file
                .patch(self.first, self.neurons.start, &self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }
}

fn misshapen(data: &Dataset) -> Error {
    Error::bad(
        data.place().display(),
        "shape",
        shown(data.shape()),
        "(trials, neurons) or (repeats, images, neurons), none of them 0",
    )
}
