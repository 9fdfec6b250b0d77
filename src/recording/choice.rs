//! Neurons chosen by their rows.

use super::Recording;
use crate::{Error, Result};
use ndarray::Axis;
use std::collections::HashSet;

impl Recording {
    /// The recording of these neurons alone, see [`rows`].
    ///
    /// # Errors
    /// Names `training.neurons`, where the choice stands, when it is none among these neurons.
    pub fn of_neurons(&self, choice: &str) -> Result<Self> {
        let count = self.neuron_count();
        let rows = rows(choice, count).map_err(|got| {
            let wanted = format!(
                "neurons from 0 to {}, as in 0-99,250",
                count.saturating_sub(1)
            );
            let place = format!("recording {}", self.name);
            Error::bad(place, "the choice training.neurons", got, wanted)
        })?;
        Ok(Self {
            responses: self.responses.select(Axis(1), &rows),
            neurons: self.neurons.as_ref().map(|t| t.select(&rows)),
            ..self.clone()
        })
    }
}

/// Rows below `count` named as in `0-99,250` or `0-6004:2` (first-last:step, with the last one), in the order in which they are named.
///
/// # Errors
/// What was said, where it names no rows, none of these or one twice.
pub fn rows(text: &str, count: usize) -> std::result::Result<Vec<usize>, String> {
    let bad = || format!("\"{text}\"");
    let number = |t: &str| t.trim().parse::<usize>().map_err(|_| bad());
    let mut rows = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once(':') {
            Some((range, step)) => (range, number(step)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            Some((a, b)) => (number(a)?, number(b)?),
            None => (number(range)?, number(range)?),
        };
        if first > last || last >= count || step == 0 {
            return Err(bad());
        }
        rows.extend((first..=last).step_by(step));
    }
    let mut seen = HashSet::new();
    match rows.iter().find(|r| !seen.insert(**r)) {
        Some(twice) => Err(format!("{}, neuron {twice} twice", bad())),
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn ranges_steps_and_single_rows_are_chosen_in_their_order() {
        assert_eq!(rows("0-3", 4).unwrap(), [0, 1, 2, 3]);
        assert_eq!(rows("7, 1-6:2", 8).unwrap(), [7, 1, 3, 5]);
        assert_eq!(rows("0-6:3", 7).unwrap(), [0, 3, 6]);
        for wrong in [
            "", "4", "0-4", "3-1", "0-3:0", "a", "0-", "1,1", "0-3:2,2", "1:x",
        ] {
            assert!(rows(wrong, 4).is_err(), "{wrong}");
        }
    }
}
