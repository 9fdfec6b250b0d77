//! Smaller images.

use crate::recording::sink::Pixels;
use std::fmt;
use std::str::FromStr;

/// How images are made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescale {
    /// To a quarter, as in all published models of Sensorium: the mean of the central 2 x 2 of every 4 x 4 pixels. Leaves out
    /// 12 of 16 pixels, so that fine stripes alias.
    Quarter,
    /// The mean of every K x K pixels.
    Area(usize),
}

impl FromStr for Rescale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let area = |t: &str| t.parse().ok().filter(|k| (2..=4096).contains(k));
        match text.strip_prefix("area:") {
            None if text == "0.25" => Ok(Self::Quarter),
            Some(k) if area(k).is_some() => Ok(Self::Area(area(k).unwrap_or(2))),
            _ => Err(format!(
                "\"{text}\" is unknown, wanted 0.25 (the central 2 x 2 of every 4 x 4 pixels) or area:K (the mean of K x K)"
            )),
        }
    }
}

impl fmt::Display for Rescale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quarter => write!(f, "0.25"),
            Self::Area(k) => write!(f, "area:{k}"),
        }
    }
}

impl Rescale {
    /// By how much.
    pub(in crate::recording) fn factor(self) -> usize {
        match self {
            Self::Quarter => 4,
            Self::Area(k) => k,
        }
    }

    /// An image of (h, w), which are multiples of the factor, made smaller; each pixel is rounded once.
    pub(in crate::recording) fn apply(self, image: &[f64], (h, w): (usize, usize)) -> Pixels {
        let k = self.factor();
        let inner = match self {
            Self::Quarter => 1..3,
            Self::Area(k) => 0..k,
        };
        let count = (inner.len() * inner.len()) as f64;
        let mut values = Vec::with_capacity(h / k * (w / k));
        for y in 0..h / k {
            for x in 0..w / k {
                let rows = inner.clone().map(|dy| (y * k + dy) * w + x * k);
                let sum: f64 = rows
                    .map(|at| image[at + inner.start..at + inner.end].iter().sum::<f64>())
                    .sum();
                values.push((sum / count) as f32);
            }
        }
        Pixels::of(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_the_mean_of_the_central_four_and_an_area_that_of_all() {
        let image: Vec<f64> = (0..64).map(f64::from).collect();
        let small = Rescale::Quarter.apply(&image, (8, 8));
        assert_eq!(small, Pixels::Floats(vec![13.5, 17.5, 45.5, 49.5]));
        let small = Rescale::Area(4).apply(&image, (4, 16));
        assert_eq!(small, Pixels::Floats(vec![25.5, 29.5, 33.5, 37.5]));
        let small = Rescale::Area(2).apply(&[1.0, 2.0, 3.0, 2.0], (2, 2));
        assert_eq!(small, Pixels::Bytes(vec![2]));
    }

    #[test]
    fn names_are_read_and_written() {
        for name in ["0.25", "area:4", "area:3"] {
            assert_eq!(name.parse::<Rescale>().unwrap().to_string(), name);
        }
        for name in ["0.5", "area:1", "area:x", "4", ""] {
            assert!(name.parse::<Rescale>().is_err());
        }
    }
}
