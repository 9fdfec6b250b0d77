//! The one Gabor or difference of Gaussians of each cluster.

use super::race::Race;
use crate::insilico::search::{Climber, Grid, natural_steps, ranges};
use crate::insilico::show::{answers, gradients};
use crate::insilico::{Family, Watch};
use crate::model::Model;
use crate::model::closeup::Group;
use crate::{Error, Result};
use std::f32::consts::{PI, TAU};

/// Where a Gabor's orientation stands among its parameters.
const ORIENTATION: usize = 5;
/// Likewise its phase.
const PHASE: usize = 6;
/// Steps of a climb.
const STEPS: usize = 60;

/// How a member sees what its cluster shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seat {
    /// Column of the centre.
    pub x: f32,
    /// Row of the centre.
    pub y: f32,
    /// Orientation of a Gabor.
    pub orientation: f32,
    /// The normalised rate that no shape of the grid exceeds; NaN where that is not known.
    pub highest: f64,
}

/// What a cluster shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// Parameters as the family orders them, place and orientation 0.
    pub shape: Vec<f32>,
    /// Of the cluster's members, in order.
    pub seen: Vec<Look>,
}

/// How a member sees it, and what it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Orientation of a Gabor, in [0, 2 pi); 0 of what has none.
    pub orientation: f32,
    /// Whether that is half a turn from the member's own.
    pub reversed: bool,
    /// Normalised rate.
    pub rate: f32,
}

/// Each cluster's best shape of the grid and after a climb from there; none of a cluster without members.
#[derive(Clone, Debug, PartialEq)]
pub struct Patterns {
    /// Of the grid.
    pub grid: Vec<Option<Pattern>>,
    /// After the climb.
    pub refined: Option<Vec<Option<Pattern>>>,
}

/// Who is shown shapes.
struct Audience<'a, 'w> {
    model: &'a mut Model,
    groups: &'a [Group],
    family: Family,
    seats: &'a [Option<Seat>],
    watch: &'a mut Watch<'w>,
}

/// Shapes to show to a member, and whether the other way round.
type List = Vec<(usize, bool)>;

impl Audience<'_, '_> {
    fn stimulus(&self, member: usize, shape: &[f32], reversed: bool) -> Vec<f32> {
        let Some(seat) = &self.seats[member] else {
            return Vec::new();
        };
        let mut stimulus = self.family.moved(shape, seat.x, seat.y);
        if self.family == Family::Gabors {
            stimulus[ORIENTATION] = seat.orientation + if reversed { PI } else { 0.0 };
        }
        stimulus
    }

    /// Whether half a turn changes anything.
    fn has_two_ways(&self, shape: &[f32]) -> bool {
        self.family == Family::Gabors && shape[PHASE].sin().abs() > 1e-5
    }

    fn ways(&self, shapes: &[Vec<f32>], chosen: impl Iterator<Item = usize>) -> List {
        let of = |s: usize| {
            let second = self.has_two_ways(&shapes[s]).then_some((s, true));
            std::iter::once((s, false)).chain(second)
        };
        chosen.flat_map(of).collect()
    }

    /// Each member's answers to its list, in order.
    fn show(&mut self, shapes: &[Vec<f32>], lists: &[List]) -> Result<Vec<Vec<f32>>> {
        let stimuli: Vec<Vec<f32>> = lists
            .iter()
            .enumerate()
            .map(|(m, list)| {
                let each = list.iter();
                each.flat_map(|&(s, r)| self.stimulus(m, &shapes[s], r))
                    .collect()
            })
            .collect();
        let found = answers(self.model, self.groups, self.family, &stimuli, self.watch)?;
        let rates = |a: Vec<_>| {
            a.iter()
                .map(|a: &crate::insilico::show::Answer| a.rate)
                .collect()
        };
        Ok(found.into_iter().map(rates).collect())
    }

    /// Each cluster's own shape, if any, for each of its members the better way round, or as it was `before`.
    fn seen(
        &mut self,
        shapes: Vec<Option<Vec<f32>>>,
        clusters: &[Vec<usize>],
        before: Option<&[Option<Pattern>]>,
    ) -> Result<Vec<Option<Pattern>>> {
        let own: Vec<Vec<f32>> = shapes
            .iter()
            .map(|s| s.clone().unwrap_or_default())
            .collect();
        let mut lists: Vec<List> = vec![List::new(); self.seats.len()];
        for (k, members) in clusters.iter().enumerate() {
            let before = before.and_then(|b| b[k].as_ref());
            for (i, &m) in members.iter().enumerate().filter(|_| shapes[k].is_some()) {
                lists[m] = match before {
                    Some(pattern) => vec![(k, pattern.seen[i].reversed)],
                    None => self.ways(&own, std::iter::once(k)),
                };
            }
        }
        let rates = self.show(&own, &lists)?;
        let pattern = |(k, shape): (usize, Option<Vec<f32>>)| {
            let seen = |&m: &usize| {
                let best = self.better(&lists[m], &rates[m]).next();
                let (reversed, rate) = best.unwrap_or((false, f32::NAN));
                let seat = self.seats[m].filter(|_| self.family == Family::Gabors);
                let turn = if reversed { PI } else { 0.0 };
                let orientation = seat.map_or(0.0, |s| (s.orientation + turn).rem_euclid(TAU));
                Look {
                    orientation,
                    reversed,
                    rate,
                }
            };
            shape.map(|shape| Pattern {
                shape,
                seen: clusters[k].iter().map(seen).collect(),
            })
        };
        Ok(shapes.into_iter().enumerate().map(pattern).collect())
    }

    /// Of each shape of a list the better way round, and its rate.
    fn better<'l>(
        &self,
        list: &'l [(usize, bool)],
        rates: &'l [f32],
    ) -> impl Iterator<Item = (bool, f32)> + use<'l> {
        let same = |a: &(&(usize, bool), &f32), b: &(&(usize, bool), &f32)| a.0.0 == b.0.0;
        let pairs: Vec<_> = list.iter().zip(rates).collect();
        let best: Vec<(bool, f32)> = pairs
            .chunk_by(same)
            .map(|ways| {
                let first = (ways[0].0.1, *ways[0].1);
                let pick = |best: (bool, f32), way: &(&(usize, bool), &f32)| {
                    if *way.1 > best.1 {
                        (way.0.1, *way.1)
                    } else {
                        best
                    }
                };
                ways[1..].iter().fold(first, pick)
            })
            .collect();
        best.into_iter()
    }

    /// The shape with the highest mean of each cluster; of equal ones the first.
    fn best(
        &mut self,
        shapes: &[Vec<f32>],
        clusters: &[Vec<usize>],
        bounded: bool,
    ) -> Result<Vec<Option<usize>>> {
        let highest = |m: &usize| self.seats[*m].map_or(f64::NAN, |s| s.highest);
        let race = |members: &Vec<usize>| {
            let highest: Vec<f64> = members.iter().map(highest).collect();
            Race::new(shapes.len(), &highest, bounded)
        };
        let mut races: Vec<Race> = clusters.iter().map(race).collect();
        while races.iter().any(Race::is_open) {
            let mut lists: Vec<List> = vec![List::new(); self.seats.len()];
            let mut shown = Vec::new();
            for (k, race) in races.iter().enumerate() {
                for m in race.block() {
                    lists[clusters[k][m]] = self.ways(shapes, race.alive());
                    shown.push((k, clusters[k][m]));
                }
            }
            let rates = self.show(shapes, &lists)?;
            for &(k, m) in &shown {
                let best = self.better(&lists[m], &rates[m]);
                races[k].absorb(best.map(|b| f64::from(b.1)));
            }
            let mut ran: Vec<usize> = shown.into_iter().map(|s| s.0).collect();
            ran.dedup();
            let mut leaders = vec![None; clusters.len()];
            ran.iter()
                .for_each(|&k| leaders[k] = Some(shapes[races[k].leader()].clone()));
            for (race, lead) in races.iter_mut().zip(self.seen(leaders, clusters, None)?) {
                if let Some(lead) = lead {
                    race.prune(lead.seen.iter().map(|s| f64::from(s.rate)).sum());
                }
            }
        }
        let winner =
            |(race, members): (&Race, &Vec<usize>)| (!members.is_empty()).then(|| race.leader());
        Ok(races.iter().zip(clusters).map(winner).collect())
    }

    /// Climbs with the shapes of all clusters; members keep their way round.
    fn climb(
        &mut self,
        grid: &Grid,
        from: &[Option<Pattern>],
        clusters: &[Vec<usize>],
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let mut climbers: Vec<Option<Climber>> = from
            .iter()
            .map(|p| p.as_ref().map(|p| climber(grid, &p.shape)))
            .collect();
        for step in 0..STEPS {
            self.watch.tick(step, STEPS)?;
            let mut stimuli = vec![Vec::new(); self.seats.len()];
            for (k, climber) in climbers.iter().enumerate() {
                let (Some(climber), Some(pattern)) = (climber, &from[k]) else {
                    continue;
                };
                let shape = climber.tries();
                for (&m, look) in clusters[k].iter().zip(&pattern.seen) {
                    if let (Some(seat), false) = (&self.seats[m], shape.is_empty()) {
                        stimuli[m] = self.family.moved(&shape, seat.x, seat.y);
                        if self.family == Family::Gabors {
                            stimuli[m][ORIENTATION] = look.orientation;
                        }
                    }
                }
            }
            if stimuli.iter().all(Vec::is_empty) {
                break;
            }
            let mut hidden = Watch::hidden();
            let found = gradients(self.model, self.groups, self.family, &stimuli, &mut hidden)?;
            for (k, climber) in climbers.iter_mut().enumerate() {
                let Some(climber) = climber.as_mut().filter(|c| !c.tries().is_empty()) else {
                    continue;
                };
                let (mut rate, mut gradient) = (0.0, vec![0.0; self.family.parameters()]);
                let share = 1.0 / clusters[k].len() as f64;
                for (answer, slope) in clusters[k].iter().flat_map(|&m| &found[m]) {
                    rate += share * f64::from(answer.rate);
                    let pairs = gradient.iter_mut().zip(slope);
                    pairs.for_each(|(g, s)| *g += share * f64::from(*s));
                }
                climber.absorb(rate, &gradient);
            }
        }
        let end = |c: Option<Climber>| {
            c.map(|c| {
                let mut shape = c.reached();
                if self.family == Family::Gabors {
                    shape[PHASE] = shape[PHASE].rem_euclid(TAU);
                }
                shape
            })
        };
        Ok(climbers.into_iter().map(end).collect())
    }
}

/// Within the grid's range; place and orientation stay.
fn climber(grid: &Grid, shape: &[f32]) -> Climber {
    let mut limits = ranges(grid);
    let held: &[usize] = match grid.family {
        Family::Gabors | Family::Plaids => &[0, 1, ORIENTATION],
        Family::Differences => &[0, 1],
    };
    held.iter().for_each(|&i| limits[i] = (shape[i], shape[i]));
    let steps = natural_steps(grid.family, shape);
    Climber::within(shape.to_vec(), steps, &limits)
}

/// Seeks the best shape of the grid, whose places and orientations do not matter, for each cluster of members (numbers of
/// seats, one of a member that is shown none is never in a cluster), of which `groups` were made; with `refine` also the
/// top of the hill that it lies on. `bounded` says that the seats' highest rates are those of the same grid.
///
/// # Errors
/// When the maps do not fit into memory, or a signal has come.
pub fn patterns(
    model: &mut Model,
    groups: &[Group],
    (seats, clusters): (&[Option<Seat>], &[Vec<usize>]),
    grid: &Grid,
    (refine, bounded): (bool, bool),
    watch: &mut Watch,
) -> Result<Patterns> {
    let family = grid.family;
    let wanted = |shape: &&Vec<f32>| {
        // The other phases are these, the other way round.
        family != Family::Gabors || (shape[ORIENTATION] == 0.0 && shape[PHASE] <= PI + 1e-5)
    };
    let shapes: Vec<Vec<f32>> = grid.shapes.iter().filter(wanted).cloned().collect();
    if shapes.is_empty() {
        return Err(Error::Other("no shape to show".into()));
    }
    watch.begin("shapes that clusters share");
    let mut audience = Audience {
        model,
        groups,
        family,
        seats,
        watch,
    };
    let winners = audience.best(&shapes, clusters, bounded)?;
    let winners = winners
        .iter()
        .map(|w| w.map(|w| shapes[w].clone()))
        .collect();
    let found = audience.seen(winners, clusters, None)?;
    let mut refined = None;
    if refine {
        audience.watch.begin("climbing from the grid");
        let shapes = audience.climb(grid, &found, clusters)?;
        refined = Some(audience.seen(shapes, clusters, Some(&found))?);
    }
    Ok(Patterns {
        grid: found,
        refined,
    })
}
