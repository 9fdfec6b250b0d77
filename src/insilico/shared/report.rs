//! The tables about what clusters share: what it is, what the members say to it on average, and the share of their own
//! optimum that this is.

use super::mei::Shared;
use super::members::{Best, Member};
use super::patterns::{Pattern, Patterns};
use crate::model::Model;
use crate::ops::ascent::Outcome;
use crate::statistics::mean_of_known;
use crate::table::{Column, Table};
use ndarray::{Array3, Axis};

/// A share above 1 by more than the accuracy of searches.
const ABOVE: f64 = 1.02;

/// All that was found of clusters: who is shown what.
#[derive(Debug)]
pub struct Found<'a> {
    /// Everybody.
    pub members: &'a [Member],
    /// The members (numbers of them) of each cluster who are shown Gabors and templates.
    pub oriented: &'a [Vec<usize>],
    /// Of each cluster those who are shown differences of Gaussians.
    pub round: &'a [Vec<usize>],
    /// Gabors.
    pub gabors: &'a Patterns,
    /// Differences of Gaussians.
    pub differences: &'a Patterns,
    /// Templates.
    pub templates: &'a [Option<Shared>],
    /// Their width.
    pub width: usize,
}

/// What goes into files, and how large shares are.
#[derive(Clone, Debug)]
pub struct Report {
    /// `cluster_gabors.csv`.
    pub gabors: Table,
    /// `cluster_dogs.csv`.
    pub differences: Table,
    /// `cluster_meis.csv`.
    pub templates: Table,
    /// `cluster_meis.npy`, (K, width, width); 0 of clusters without.
    pub images: Array3<f32>,
    /// Mean over members of their share of their own optimum: Gabors, differences of Gaussians, images.
    pub shares: [f64; 3],
    /// Members whose share is above 1 by more than the searches' accuracy, likewise.
    pub above: [usize; 3],
}

/// Responses of members and the shares that they are, over all clusters.
#[derive(Default)]
struct Tally {
    means: Vec<f64>,
    shares: Vec<f64>,
    all: Vec<f64>,
}

impl Tally {
    /// A cluster's responses and own optima, in the recording's unit.
    fn note(&mut self, pairs: &[(f64, f64)]) {
        let responses: Vec<f64> = pairs.iter().map(|p| p.0).collect();
        let share = |&(response, own): &(f64, f64)| {
            if own > 0.0 { response / own } else { f64::NAN }
        };
        let shares: Vec<f64> = pairs.iter().map(share).collect();
        self.means.push(mean_of_known(&responses));
        self.shares.push(mean_of_known(&shares));
        self.all.extend(shares);
    }

    fn share(&self) -> f64 {
        mean_of_known(&self.all)
    }

    fn above(&self) -> usize {
        self.all.iter().filter(|s| **s > ABOVE).count()
    }
}

impl Found<'_> {
    /// The tables; responses in the recording's unit.
    pub fn report(&self, model: &Model) -> Report {
        let gabor = |m: &Member| m.gabor.as_ref().map(responses);
        let difference = |m: &Member| m.difference.as_ref().map(responses);
        let columns = [("size", 2), ("frequency", 3), ("phase", 6), ("contrast", 4)];
        let (gabors, first) = self.patterns(model, self.gabors, self.oriented, &columns, &gabor);
        let columns = [
            ("sigma_centre", 2),
            ("sigma_surround", 3),
            ("contrast", 4),
            ("surround_contrast", 5),
        ];
        let (differences, second) =
            self.patterns(model, self.differences, self.round, &columns, &difference);
        let mut tally = Tally::default();
        for (found, of) in self.templates.iter().zip(self.oriented) {
            let seen = found.iter().flat_map(|f| &f.seen).zip(of);
            let pair = |(&(_, rate), &m): (&(f64, f64), &usize)| {
                let member = &self.members[m];
                let own = member.image.as_ref().map_or(f64::NAN, |i| i.response);
                (rate * scale(model, member), own)
            };
            tally.note(&seen.map(pair).collect::<Vec<_>>());
        }
        let number = |f: &dyn Fn(&Shared) -> f64| {
            let of = |t: &Option<Shared>| t.as_ref().map_or(f64::NAN, f);
            Column::Number(self.templates.iter().map(of).collect())
        };
        let converged = |t: &Option<Shared>| match t {
            Some(t) => (t.outcome == Outcome::Converged).to_string(),
            None => String::new(),
        };
        let templates = named(self.templates.len())
            .with("norm", number(&|t| t.norm))
            .with("mean_response", Column::Number(tally.means.clone()))
            .with("share_of_own", Column::Number(tally.shares.clone()))
            .with("steps", number(&|t| f64::from(t.steps)))
            .with(
                "converged",
                Column::Text(self.templates.iter().map(converged).collect()),
            );
        let mut images = Array3::zeros((self.templates.len(), self.width, self.width));
        for (mut image, found) in images.axis_iter_mut(Axis(0)).zip(self.templates) {
            if let Some(found) = found {
                image.assign(&found.template);
            }
        }
        Report {
            gabors,
            differences,
            templates,
            images,
            shares: [first.share(), second.share(), tally.share()],
            above: [first.above(), second.above(), tally.above()],
        }
    }

    /// A family's table, and the tally of what is best in it.
    fn patterns(
        &self,
        model: &Model,
        found: &Patterns,
        clusters: &[Vec<usize>],
        columns: &[(&str, usize)],
        own: &dyn Fn(&Member) -> Option<(f64, f64)>,
    ) -> (Table, Tally) {
        let mut table = named(clusters.len());
        let mut last = Tally::default();
        let kinds = [
            ("", Some(&found.grid)),
            ("refined_", found.refined.as_ref()),
        ];
        for (prefix, patterns) in kinds {
            let Some(patterns) = patterns else {
                continue;
            };
            for &(name, at) in columns {
                let of =
                    |p: &Option<Pattern>| p.as_ref().map_or(f64::NAN, |p| f64::from(p.shape[at]));
                let values = patterns.iter().map(of).collect();
                table = table.with(&format!("{prefix}{name}"), Column::Number(values));
            }
            let mut tally = Tally::default();
            for (pattern, of) in patterns.iter().zip(clusters) {
                let seen = pattern.iter().flat_map(|p| &p.seen).zip(of);
                let pairs = seen.map(|(look, &m)| {
                    let member = &self.members[m];
                    let (grid, refined) = own(member).unwrap_or((f64::NAN, f64::NAN));
                    // Like with like.
                    let own = if prefix.is_empty() {
                        grid
                    } else {
                        refined.max(grid)
                    };
                    (f64::from(look.rate) * scale(model, member), own)
                });
                tally.note(&pairs.collect::<Vec<_>>());
            }
            table = table
                .with(
                    &format!("{prefix}mean_response"),
                    Column::Number(tally.means.clone()),
                )
                .with(
                    &format!("{prefix}share_of_own"),
                    Column::Number(tally.shares.clone()),
                );
            last = tally;
        }
        (table, last)
    }

    /// `cluster_turns.csv` of neurons (rows) of a readout with their clusters.
    pub fn turns(&self, readout: usize, neurons: &[usize], clusters: &[Option<usize>]) -> Table {
        let mut turns = vec![[f64::NAN; 2]; neurons.len()];
        let place: std::collections::HashMap<usize, usize> =
            neurons.iter().enumerate().map(|(i, &n)| (n, i)).collect();
        for (k, of) in self.oriented.iter().enumerate() {
            for (i, &m) in of.iter().enumerate() {
                let member = &self.members[m];
                let row = place
                    .get(&member.neuron)
                    .filter(|_| member.readout == readout);
                let Some(&row) = row else { continue };
                if let Some(pattern) = &self.gabors.grid[k] {
                    turns[row][0] = f64::from(pattern.seen[i].orientation);
                }
                if let Some(template) = &self.templates[k] {
                    turns[row][1] = template.seen[i].0;
                }
            }
        }
        let column = |at: usize| Column::Number(turns.iter().map(|t| t[at]).collect());
        let number = |k: &Option<usize>| k.map_or(f64::NAN, |k| k as f64);
        Table::new()
            .with(
                "neuron",
                Column::Integer(neurons.iter().map(|&n| n as i64).collect()),
            )
            .with(
                "cluster",
                Column::Number(clusters.iter().map(number).collect()),
            )
            .with("gabor_orientation", column(0))
            .with("mei_orientation", column(1))
    }
}

fn named(clusters: usize) -> Table {
    Table::new().with("cluster", Column::Integer((0..clusters as i64).collect()))
}

fn responses<S>(best: &Best<S>) -> (f64, f64) {
    (best.response, best.refined)
}

/// SD of a member's responses.
fn scale(model: &Model, member: &Member) -> f64 {
    f64::from(model.readouts[member.readout].response_scale[member.neuron])
}
