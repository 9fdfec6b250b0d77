//! Joining what was stored apart: images with the same pixels are one stimulus.

use super::block::{Block, Responses};
use crate::npy::shown;
use crate::recording::{Tier, Trial, first_identical};
use crate::{Error, Result};
use ndarray::{Array2, Array3, Axis, CowArray, Ix2, concatenate};
use std::collections::HashMap;

/// All blocks in one, identical images merged.
pub(super) struct Merged {
    pub(super) images: Array3<f32>,
    pub(super) responses: Array2<f32>,
    /// The same with all their digits, where any of them were `float64`.
    pub(super) wide: Option<Array2<f64>>,
    /// Row of `images` that each trial showed.
    pub(super) shown: Vec<usize>,
    /// Block and row there of every trial's image, for messages.
    origin: Vec<String>,
}

impl Merged {
    pub(super) fn new(blocks: &[Block]) -> Result<Self> {
        for block in &blocks[1..] {
            let (got, wanted) = (block.images.shape(), blocks[0].images.shape());
            if got[1..] != wanted[1..] {
                let wanted = format!("{} as in the training images", shown(&wanted[1..]));
                return Err(Error::bad(
                    block.place.display(),
                    "image size",
                    shown(&got[1..]),
                    wanted,
                ));
            }
            let (got, wanted) = (block.responses.neurons(), blocks[0].responses.neurons());
            if got != wanted {
                return Err(Error::bad(
                    block.responses_place.display(),
                    "number of neurons",
                    got,
                    wanted,
                ));
            }
        }
        let stacked = |e| Error::Other(format!("cannot join the tiers: {e}"));
        let images: Vec<_> = blocks.iter().map(|b| b.images.view()).collect();
        let images = concatenate(Axis(0), &images).map_err(stacked)?;
        let single = blocks.iter().map(|b| match &b.responses {
            Responses::Single(r) => r.view().into(),
            Responses::Double(r) => r.mapv(|x| x as f32).into(),
        });
        let single: Vec<CowArray<'_, f32, Ix2>> = single.collect();
        let views: Vec<_> = single.iter().map(|r| r.view()).collect();
        let responses = concatenate(Axis(0), &views).map_err(stacked)?;
        drop(single);
        let wide = blocks.iter().map(|b| match &b.responses {
            Responses::Single(r) => r.mapv(f64::from).into(),
            Responses::Double(r) => r.view().into(),
        });
        let any = |b: &Block| matches!(b.responses, Responses::Double(_));
        let wide = match blocks.iter().any(any) {
            true => {
                let wide: Vec<CowArray<'_, f64, Ix2>> = wide.collect();
                let views: Vec<_> = wide.iter().map(|r| r.view()).collect();
                Some(concatenate(Axis(0), &views).map_err(stacked)?)
            }
            false => None,
        };
        let all: Vec<_> = images.outer_iter().collect();
        let first = first_identical(&all);
        let kept: Vec<usize> = (0..first.len()).filter(|row| first[*row] == *row).collect();
        let mut row_of = vec![0; first.len()];
        for (new, old) in kept.iter().enumerate() {
            row_of[*old] = new;
        }
        let (mut rows, mut origin, mut offset) = (Vec::new(), Vec::new(), 0);
        for block in blocks {
            for image in &block.shown {
                rows.push(row_of[first[offset + image]]);
                origin.push(format!("{}, image {image}", block.place.display()));
            }
            offset += block.images.shape()[0];
        }
        Ok(Self {
            images: images.select(Axis(0), &kept),
            responses,
            wide,
            shown: rows,
            origin,
        })
    }

    /// Trials with given tiers; an image in two of them is refused.
    pub(super) fn tiered(&self, tiers: &[Tier]) -> Result<Vec<Trial>> {
        let mut first: HashMap<usize, usize> = HashMap::new();
        let mut trials = Vec::with_capacity(tiers.len());
        for (row, (image, tier)) in self.shown.iter().zip(tiers).enumerate() {
            let earlier = *first.entry(*image).or_insert(row);
            if tiers[earlier] != *tier {
                return Err(Error::bad(
                    &self.origin[row],
                    "tier",
                    format!(
                        "{tier}, but {} in the same pixels at {}",
                        tiers[earlier], self.origin[earlier]
                    ),
                    "one tier per image: anything else leaks",
                ));
            }
            trials.push(Trial {
                image: *image,
                tier: *tier,
            });
        }
        Ok(trials)
    }
}
