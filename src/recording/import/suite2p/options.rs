//! What users say of windows and signals.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Frames after the onset, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames(pub RangeInclusive<usize>);

impl FromStr for Frames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.trim().split_once('-');
        let range = range.and_then(|(a, b)| Some(a.trim().parse().ok()?..=b.trim().parse().ok()?));
        let range = range.filter(|r: &RangeInclusive<usize>| !r.is_empty());
        range
            .map(Self)
            .ok_or_else(|| format!("\"{text}\" is no window, wanted frames from and to, as in 1-4"))
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

/// What counts as the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Deconvolved activity.
    Spks,
    /// Fluorescence as it is.
    F,
    /// Its relative change.
    Dff,
}

impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "spks" => Ok(Self::Spks),
            "F" => Ok(Self::F),
            "dff" => Ok(Self::Dff),
            _ => Err(format!("\"{text}\" is unknown, wanted spks, F or dff")),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spks => "spks",
            Self::F => "F",
            Self::Dff => "dff",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_frames_with_both_ends() {
        let parsed = "1-4".parse::<Frames>().unwrap();
        assert_eq!(
            (parsed.0.clone().count(), parsed.to_string()),
            (4, "1-4".to_string())
        );
        assert_eq!("0-0".parse::<Frames>().unwrap().0.count(), 1);
        for text in ["", "1", "4-1", "a-b", "1,4"] {
            assert!(text.parse::<Frames>().is_err(), "{text}");
        }
    }
}
