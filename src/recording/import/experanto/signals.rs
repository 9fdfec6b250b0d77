//! What neurons did, sampled at a steady rate.

use super::super::number::Number;
use super::meta::read_yaml;
use crate::npy::{Dtype, Kind, Rows, Stored, Whole, shown};
use crate::recording::import::sensorium::part_name;
use crate::table::Column;
use crate::{Error, Result};
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;

/// Samples this close to the edge of a window count as on it.
const CLOSE: f64 = 1e-6;

#[derive(Deserialize)]
struct Described {
    modality: Option<String>,
    start_time: Option<f64>,
    sampling_rate: Option<f64>,
    n_signals: Option<f64>,
    n_timestamps: Option<f64>,
    dtype: Option<String>,
    is_mem_mapped: Option<bool>,
    phase_shift_per_signal: Option<bool>,
}

/// Samples of all neurons.
pub(super) struct Signals {
    data: Rows,
    /// Neurons.
    pub(super) count: usize,
    start: f64,
    rate: f64,
    /// Seconds by which each neuron was sampled later.
    shifts: Vec<f64>,
}

impl Signals {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let place = folder.join("meta.yml");
        let described: Described = read_yaml(&place)?;
        let missing = |key: &str| Error::bad(place.display(), key, "missing", "a number");
        let bad =
            |key: &str, got: f64, wanted: &str| Err(Error::bad(place.display(), key, got, wanted));
        if let Some(modality) = described.modality.as_deref().filter(|m| *m != "sequence") {
            let wanted = "sequence: samples at a steady rate";
            return Err(Error::bad(place.display(), "modality", modality, wanted));
        }
        let start = described.start_time.ok_or_else(|| missing("start_time"))?;
        let rate = described
            .sampling_rate
            .ok_or_else(|| missing("sampling_rate"))?;
        if !(rate > 0.0 && rate.is_finite()) {
            return bad("sampling_rate", rate, "samples per second, above 0");
        }
        if !start.is_finite() {
            return bad("start_time", start, "seconds");
        }
        let whole = |key: &str, x: Option<f64>| {
            let x = x.ok_or_else(|| missing(key))?;
            match x.fract() == 0.0 && (1.0..1e12).contains(&x) {
                true => Ok(x as usize),
                false => Err(Error::bad(place.display(), key, x, "a count, at least 1")),
            }
        };
        let data = match described.is_mem_mapped {
            Some(true) => {
                let code = described.dtype.unwrap_or_default();
                let Some(dtype) = dtype(&code) else {
                    let wanted = "a type of numbers, as float32";
                    return Err(Error::bad(
                        place.display(),
                        "dtype",
                        format!("\"{code}\""),
                        wanted,
                    ));
                };
                let samples = whole("n_timestamps", described.n_timestamps)?;
                let neurons = whole("n_signals", described.n_signals)?;
                Rows::raw(&folder.join("data.mem"), dtype, &[samples, neurons])?
            }
            _ => Rows::open(&folder.join("data.npy"))?,
        };
        let count = match *data.header().shape {
            [samples, neurons] if samples * neurons > 0 => neurons,
            ref other => {
                let wanted = "(samples, neurons), none of them 0";
                return Err(Error::bad(
                    data.place().display(),
                    "shape",
                    shown(other),
                    wanted,
                ));
            }
        };
        if let Some(told) = described.n_signals
            && told != count as f64
        {
            return Err(Error::bad(
                data.place().display(),
                "number of neurons",
                count,
                format!("{told} as in meta.yml"),
            ));
        }
        let shifts = match described.phase_shift_per_signal {
            Some(true) => shifts(&folder.join("meta/phase_shifts.npy"), count)?,
            _ => vec![0.0; count],
        };
        Ok(Self {
            data,
            count,
            start,
            rate,
            shifts,
        })
    }

    pub(super) fn place(&self) -> &Path {
        self.data.place()
    }

    /// Whether `float32` does not hold all samples.
    pub(super) fn wide(&self) -> bool {
        let dtype = self.data.header().dtype;
        match dtype.kind {
            Kind::Float => dtype.size > 4,
            _ => dtype.size > 2,
        }
    }

    /// From when to when it goes, for messages.
    pub(super) fn extent(&self) -> String {
        let end = self.start + self.data.count() as f64 / self.rate;
        format!("{} to {end} s", self.start)
    }

    /// Samples of a neuron in a window after an onset, if the recording has them.
    fn of(&self, neuron: usize, onset: f64, window: &Range<f64>) -> Option<Range<usize>> {
        // The first sample at this time or after it.
        let first =
            |time: f64| ((time - self.start - self.shifts[neuron]) * self.rate - CLOSE).ceil();
        let (a, b) = (first(onset + window.start), first(onset + window.end));
        let inside = a >= 0.0 && b <= self.data.count() as f64;
        inside.then_some(a as usize..b as usize)
    }

    /// Samples of any neuron in a window after an onset; none if that of any neuron leaves the recording.
    pub(super) fn samples(&self, onset: f64, window: &Range<f64>) -> Option<Range<usize>> {
        let mut all: Option<Range<usize>> = None;
        for neuron in 0..self.count {
            let own = self.of(neuron, onset, window)?;
            all = Some(match all {
                None => own,
                Some(r) => r.start.min(own.start)..r.end.max(own.end),
            });
        }
        all
    }

    /// The mean of every neuron in a window after an onset, which the recording has.
    pub(super) fn means<T: Number>(&self, onset: f64, window: &Range<f64>) -> Result<Vec<T>> {
        let all = self.samples(onset, window).unwrap_or(0..0);
        let mut values: Vec<f64> = Vec::with_capacity(all.len() * self.count);
        self.data.read(all.start, all.len(), &mut values)?;
        let mean = |neuron: usize| {
            let own = self.of(neuron, onset, window).unwrap_or(0..0);
            if own.is_empty() {
                let got = format!("{}-{} s", window.start, window.end);
                let wanted = format!("long enough for a sample: there are {} a second", self.rate);
                return Err(Error::bad(self.place().display(), "--window", got, wanted));
            }
            let count = own.len() as f64;
            let sum: f64 = own
                .map(|s| values[(s - all.start) * self.count + neuron])
                .sum();
            Ok(T::of_double(sum / count))
        };
        (0..self.count).map(mean).collect()
    }
}

fn shifts(place: &Path, count: usize) -> Result<Vec<f64>> {
    let stored = Stored::open(place)?;
    if stored.shape() != [count] {
        let got = shown(stored.shape());
        return Err(Error::bad(
            place.display(),
            "shape",
            got,
            format!("({count},), one per neuron"),
        ));
    }
    let shifts: Vec<f64> = stored.numbers_as::<f64>()?.into_iter().collect();
    match shifts.iter().position(|s| !s.is_finite()) {
        None => Ok(shifts),
        Some(n) => Err(Error::bad(
            place.display(),
            format!("shift of neuron {n}"),
            shifts[n],
            "seconds",
        )),
    }
}

/// A type by NumPy's name or code.
fn dtype(name: &str) -> Option<Dtype> {
    let (big_endian, name) = match name.strip_prefix('>') {
        Some(rest) => (true, rest),
        None => (false, name.trim_start_matches(['<', '=', '|'])),
    };
    let (kind, size) = match name {
        "float16" | "f2" => (Kind::Float, 2),
        "float32" | "f4" => (Kind::Float, 4),
        "float64" | "f8" => (Kind::Float, 8),
        "int8" | "i1" => (Kind::Signed, 1),
        "int16" | "i2" => (Kind::Signed, 2),
        "int32" | "i4" => (Kind::Signed, 4),
        "int64" | "i8" => (Kind::Signed, 8),
        "uint8" | "u1" => (Kind::Unsigned, 1),
        "uint16" | "u2" => (Kind::Unsigned, 2),
        "uint32" | "u4" => (Kind::Unsigned, 4),
        "uint64" | "u8" => (Kind::Unsigned, 8),
        _ => return None,
    };
    Some(Dtype {
        kind,
        size,
        big_endian,
    })
}

/// A column per array with a row for every neuron, but for those about the samples.
pub(super) fn properties(folder: &Path, neurons: usize) -> Result<Vec<(String, Column)>> {
    let mut properties = Vec::new();
    if !folder.is_dir() {
        return Ok(properties);
    }
    let fail = |e: std::io::Error| Error::file(folder, format!("cannot read: {e}"));
    let mut files: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        files.extend(entry.map_err(fail)?.file_name().into_string().ok());
    }
    files.sort();
    for file in files {
        let own = ["means", "std", "stds", "phase_shifts", "neuron"];
        let Some(name) = file
            .strip_suffix(".npy")
            .filter(|n| !n.starts_with('.') && !own.contains(n))
        else {
            continue;
        };
        let place = folder.join(&file);
        let bytes =
            std::fs::read(&place).map_err(|e| Error::file(&place, format!("cannot read: {e}")))?;
        let array = Whole::new(place, bytes)?;
        let columns = match *array.header().shape {
            [n] if n == neurons => 1,
            [n, columns] if n == neurons => columns,
            _ => continue,
        };
        let cells = array.cells()?;
        for column in 0..columns {
            let name = match columns {
                1 => name.to_string(),
                _ => part_name(name, column, columns),
            };
            let own = cells.iter().skip(column).step_by(columns).cloned();
            properties.push((name, Column::Text(own.collect())));
        }
    }
    Ok(properties)
}
