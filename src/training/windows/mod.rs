//! Where neurons look (`readout.window`): windows put where the masks hold most after some steps, or before the first one where the
//! responses follow the images.

mod place;
mod responses;
#[cfg(test)]
mod tests;

pub(super) use place::{Look, where_most};
pub(super) use responses::follow;

use super::Trainer;
use crate::model::config;
use crate::model::params::Arena;
use crate::model::readout::Readout;
use crate::model::windows::Placement;
use crate::ops::readout::{Window, Windows};
use crate::table::{Column, Table};
use crate::{Result, say, statistics};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The table's name in a run.
pub const FILE: &str = "windows.csv";

/// Where each neuron of each readout looks, once that is decided; nothing for readouts whose maps are no larger than a window.
pub(super) type Looks = Vec<Option<Vec<Look>>>;

/// Whether windows of this side leave anything out of a map.
pub(super) fn is_smaller(settings: &config::Readout, map: (usize, usize)) -> bool {
    settings.window > 0 && settings.window < map.0.max(map.1)
}

impl Trainer {
    /// Whether the windows are still to be put, and after how many steps more.
    pub(super) fn steps_to_windows(&self) -> Option<u64> {
        let settings = &self.model.config.readout;
        let wanted = |r: &Readout| is_smaller(settings, r.map);
        let due = self.looks.is_none() && self.model.readouts.iter().any(wanted);
        due.then(|| settings.window_after.saturating_sub(self.state.taken))
    }

    /// Puts each window where it holds most of its mask's squares.
    pub(super) fn put_windows(&mut self) {
        let looks = self.model.readouts.iter();
        let looks = looks.map(|r| self.where_masks_are(r)).collect();
        // The best so far had whole masks: what is kept from now on looks through windows.
        (self.state.best, self.state.worse) = (None, 0);
        self.look(looks);
        self.tell();
    }

    fn where_masks_are(&self, readout: &Readout) -> Option<Vec<Look>> {
        let settings = &self.model.config.readout;
        if !is_smaller(settings, readout.map) {
            return None;
        }
        let masks = self.model.params.view(readout.masks()?).download();
        let looks = masks.par_chunks_exact(readout.map.0 * readout.map.1);
        let squares = |mask: &[f32]| -> Vec<f64> {
            mask.iter().map(|&m| f64::from(m) * f64::from(m)).collect()
        };
        Some(
            looks
                .map(|mask| where_most(&squares(mask), readout.map, settings))
                .collect(),
        )
    }

    /// Before the first step: by the masks that were taken from another model, else as the responses say.
    pub(super) fn put_first_windows(&mut self, by_responses: Looks) {
        let taken = |r: &Readout| {
            let slots = &self.model.params.layout.slots;
            let name = r.masks().map(|slot| &slots[slot].name);
            let start = self.start.as_ref().zip(name);
            start.is_some_and(|(s, name)| s.taken.contains(name))
        };
        let of_readouts = self.model.readouts.iter().zip(by_responses);
        let looks = of_readouts.map(|(r, looks)| match taken(r) {
            true => self.where_masks_are(r),
            false => looks,
        });
        let looks = looks.collect();
        self.look(looks);
        self.tell();
    }

    /// Says how large the windows are and how much they hold.
    fn tell(&self) {
        let readouts = self.model.readouts.iter().zip(self.looks.iter().flatten());
        for (readout, looks) in readouts {
            let Some(looks) = looks else { continue };
            let mut sides = BTreeMap::<usize, usize>::new();
            looks
                .iter()
                .for_each(|l| *sides.entry(l.side()).or_default() += 1);
            let sides: Vec<String> = sides
                .iter()
                .map(|(s, n)| format!("{n} of {s} pixels"))
                .collect();
            let known: Vec<f64> = looks.iter().map(|l| f64::from(l.mass)).collect();
            say(format_args!(
                "{}: after {} steps neurons look through windows: {}; they hold {:.2} of what they were put by",
                readout.name,
                self.state.taken,
                sides.join(", "),
                statistics::mean_of_known(&known)
            ));
        }
    }

    /// Holds masks and moments inside these windows from now on.
    pub(super) fn look(&mut self, looks: Looks) {
        let readouts = self.model.readouts.iter().zip(&looks);
        let placement: Placement = readouts
            .map(|(r, looks)| {
                let windows: Vec<Window> = looks.as_ref()?.iter().map(|l| l.window).collect();
                let windows = Windows::new(&self.model.device, r.map, &windows);
                Some(Arc::new(windows))
            })
            .collect();
        self.looks = Some(looks);
        if placement.iter().all(Option::is_none) {
            return;
        }
        let layout = self.model.layout_with(&placement);
        // What was recorded multiplies whole masks.
        (self.graph, self.warm) = (None, false);
        // One after the other, so that whole masks are held as few times as can be.
        self.buffers.clear();
        if !self.first.values.is_empty() {
            self.gradients = Arena::zeros(&self.model.device, &layout);
            self.first = self.model.relaid(&self.first, &layout, &placement);
            self.second = self.model.relaid(&self.second, &layout, &placement);
        }
        self.model.params = self.model.relaid(&self.model.params, &layout, &placement);
        self.model.use_windows(&placement);
        self.make_buffers();
    }

    /// Writes `windows.csv`, where there are windows.
    pub(super) fn write_windows(&self) -> Result<()> {
        let named = self.model.readouts.iter().zip(self.looks.iter().flatten());
        let tables: Vec<(String, Table)> = named
            .filter_map(|(r, looks)| Some((r.name.clone(), table(looks.as_ref()?))))
            .collect();
        if tables.is_empty() {
            return Ok(());
        }
        let several = (self.model.readouts.len() > 1).then_some("recording");
        Table::stacked(tables, several).write_csv(&self.out.join(Path::new(FILE)))
    }
}

fn table(looks: &[Look]) -> Table {
    let whole =
        |f: &dyn Fn(&Look) -> usize| Column::Integer(looks.iter().map(|l| f(l) as i64).collect());
    Table::new()
        .with("neuron", Column::Integer((0..looks.len() as i64).collect()))
        .with("row", whole(&|l| l.window.top))
        .with("column", whole(&|l| l.window.left))
        .with("side", whole(&Look::side))
        .with(
            "mass",
            Column::Number(looks.iter().map(|l| f64::from(l.mass)).collect()),
        )
}
