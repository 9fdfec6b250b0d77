//! Axes: what they are called, from where to where they go, and their ticks.

/// One axis of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Its words, with the unit.
    pub label: String,
    /// Its value at the left or the bottom.
    pub low: f64,
    /// Its value at the right or the top.
    pub high: f64,
    /// Whether equal steps are equal factors.
    log: bool,
    ticks: Option<Vec<(f64, String)>>,
}

impl Axis {
    /// From one value to another.
    pub fn new(label: &str, low: f64, high: f64) -> Self {
        let (low, high) = match low < high {
            true => (low, high),
            false => (low - 0.5, low + 0.5),
        };
        Self {
            label: label.into(),
            low,
            high,
            log: false,
            ticks: None,
        }
    }

    /// Around all finite values, and a little more.
    pub fn around<'a>(label: &str, values: impl IntoIterator<Item = &'a f64>) -> Self {
        let (low, high) = extent(values);
        let edge = match high > low {
            true => 0.04 * (high - low),
            false => 0.05 * high.abs().max(1e-12),
        };
        Self::new(label, low - edge, high + edge)
    }

    /// From 0 to the largest finite value, and a little more.
    pub fn from_zero<'a>(label: &str, values: impl IntoIterator<Item = &'a f64>) -> Self {
        let (_, high) = extent(values);
        Self::new(label, 0.0, if high > 0.0 { 1.06 * high } else { 1.0 })
    }

    /// Equal factors, around all values above 0.
    pub fn log<'a>(label: &str, values: impl IntoIterator<Item = &'a f64>) -> Self {
        let (low, high) = extent(values.into_iter().filter(|v| **v > 0.0));
        let (low, high) = match low > 0.0 {
            true => (low / 1.3, high * 1.3),
            false => (0.1, 1.0),
        };
        Self {
            log: true,
            ..Self::new(label, low, high)
        }
    }

    /// With these ticks and no others.
    #[must_use]
    pub fn with_ticks(self, ticks: Vec<(f64, String)>) -> Self {
        Self {
            ticks: Some(ticks),
            ..self
        }
    }

    /// Where a value is: 0 at `low`, 1 at `high`.
    pub fn share(&self, value: f64) -> f64 {
        match self.log {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    /// About `count` round values within, and their words.
    pub fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        if let Some(ticks) = &self.ticks {
            return ticks.clone();
        }
        if self.log {
            return self.log_ticks();
        }
        let ends = |step: f64| ((self.low / step).ceil(), (self.high / step).floor());
        let span = self.high - self.low;
        let steps = (count.max(1)..count + 9).map(|n| round(span / n as f64));
        // One tick alone tells no scale.
        let step = steps.reduce(|wide, next| match ends(wide) {
            (first, last) if first < last => wide,
            _ => next,
        });
        let step = step.unwrap_or(span);
        let (first, last) = ends(step);
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let word = |v: f64| match (1e-6..1e5).contains(&step) {
            true => format!("{v:.decimals$}"),
            false => shown(v),
        };
        (first as i64..=last as i64)
            .map(|k| k as f64 * step)
            .map(|v| (v, if v == 0.0 { "0".into() } else { word(v) }))
            .collect()
    }

    fn log_ticks(&self) -> Vec<(f64, String)> {
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let wide = (self.high / self.low).log10() > 2.5;
        let within = |v: &f64| (self.low..=self.high).contains(v);
        let of = |steps: &'static [f64]| -> Vec<f64> {
            let all = decades
                .clone()
                .flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
            all.filter(within).collect()
        };
        let found = match wide {
            true => of(&[1.0]),
            false => of(&[1.0, 2.0, 5.0]),
        };
        found.into_iter().map(|v| (v, shown(v))).collect()
    }
}

/// The next round number: 1, 2 or 5 times a power of ten.
fn round(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = match step / power {
        f if f <= 1.0 + 1e-9 => 1.0,
        f if f <= 2.0 + 1e-9 => 2.0,
        f if f <= 5.0 + 1e-9 => 5.0,
        _ => 10.0,
    };
    factor * power
}

/// Smallest and largest finite value; 0 to 1 without any.
fn extent<'a>(values: impl IntoIterator<Item = &'a f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
        (l.min(*v), h.max(*v))
    });
    match low <= high {
        true => (low, high),
        false => (0.0, 1.0),
    }
}

/// A number as people read it: three significant digits.
pub fn shown(v: f64) -> String {
    if v.is_nan() {
        return "\u{2013}".into();
    }
    let size = v.abs();
    if v == 0.0 {
        "0".into()
    } else if (1e-3..1e5).contains(&size) {
        let decimals = (2 - size.log10().floor() as i32).max(0) as usize;
        let text = format!("{v:.decimals$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').into(),
            false => text,
        }
    } else {
        format!("{v:.0e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_has_two_ticks_within() {
        for (low, high) in [
            (0.01, 0.09),
            (-0.1, 1.2),
            (0.94, 0.999),
            (3.0, 3.5),
            (-57.0, 2.0),
            (1e-7, 9e-7),
        ] {
            for count in 2..8 {
                let ticks = Axis::new("", low, high).ticks(count);
                assert!(
                    ticks.len() >= 2 && ticks.len() <= 2 * count + 2,
                    "{low} to {high}, {count}: {ticks:?}"
                );
                assert!(ticks.iter().all(|(v, _)| (low..=high).contains(v)));
            }
        }
    }
}
