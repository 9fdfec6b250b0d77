//! The most exciting image that a cluster shares (Ustyuzhaninov et al. 2022, Eqs. 4-8): a template of steerable functions,
//! which each member i sees turned by its own angle a_i, on its optimal Gabor's centre rounded to pixels.
//!
//! ```text
//! x = norm u / |u|
//! height = mean over members of rate_i(x turned by a_i) - smoothness sum (L * x)^2
//! ```
//!
//! Norm and smoothness are those of the template among zeros; what falls off an image is cut. All members' angles are tried
//! around the circle, then coefficients u and angles climb together, and the circle is tried again, until nobody turns any more.
//! Several starts are taken per cluster: its Gabor, the mean of the members' own images turned towards each other, and noise.
//! Searches look at the crops where members look; the rates in the end are those of the whole image.

use super::climb::Climb;
use super::members::{Member, groups};
use super::stage::{Shown, Stage};
use super::template::Space;
use crate::insilico::Watch;
use crate::insilico::ascent::noise::white;
use crate::model::Model;
use crate::model::closeup;
use crate::ops::ascent::Outcome;
use crate::stimuli::Gabor;
use crate::{Error, Result};
use ndarray::Array2;
use std::f64::consts::TAU;

/// An angle's share of a step: of the order of the highest angular frequencies that matter.
const TURN: f64 = 1.0 / 3.0;
/// Templates that are shown at a time.
const AT_ONCE: usize = 1 << 15;
/// Times that the circle is tried again.
const ROUNDS: usize = 3;
/// Gain of a rate for which a member turns to another side.
const WORTH: f64 = 0.01;
/// Rounds of turning own images towards their mean.
const ALIGNMENTS: usize = 10;

/// How templates are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Norm of the template, in z-scores.
    pub norm: f64,
    /// Weight of the sum of squares of the template's Laplacian.
    pub smoothness: f64,
    /// Ranks of the functions.
    pub ranks: usize,
    /// Width of the template, odd.
    pub width: usize,
    /// Angles that are tried around the circle.
    pub angles: usize,
    /// Starts per cluster.
    pub starts: usize,
    /// Most steps per start.
    pub steps: u32,
    /// Of the noise.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            norm: 12.0,
            smoothness: 0.005,
            ranks: 13,
            width: 27,
            angles: 24,
            starts: 3,
            steps: 500,
            seed: 1,
        }
    }
}

/// What the members of a cluster share.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// z-scored (width, width).
    pub template: Array2<f32>,
    /// Its norm.
    pub norm: f64,
    /// Of each member, in order: the angle by which it is turned counter-clockwise, in [0, 2 pi), and the normalised rate.
    pub seen: Vec<(f64, f64)>,
    /// Steps of the start that was kept.
    pub steps: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Steps of every start.
    pub starts: Vec<u32>,
}

/// One start of one cluster.
struct Job {
    cluster: usize,
    /// Angles from which the climb turns on.
    base: Vec<f64>,
    climb: Climb,
}

/// The clusters that are sought at a time.
struct Search<'a, 's> {
    recipe: &'a Recipe,
    space: &'s Space,
    /// Places of each cluster's members in the stage's list.
    places: Vec<Vec<usize>>,
    /// Own orientations by place.
    own: Vec<f64>,
}

impl Search<'_, '_> {
    /// A start at these coefficients; none where they are 0.
    fn job(&self, cluster: usize, coefficients: &[f64]) -> Option<Job> {
        let base = self.places[cluster].iter().map(|&p| self.own[p]);
        Some(Job {
            cluster,
            base: base.collect(),
            climb: Climb::new(self.packed(cluster, coefficients)?, self.recipe.steps),
        })
    }

    /// Coefficients of norm 1, and no turns.
    fn packed(&self, cluster: usize, coefficients: &[f64]) -> Option<Vec<f64>> {
        let (norm, _) = self.space.norm(coefficients);
        if !(norm > 0.0 && norm.is_finite()) {
            return None;
        }
        let turns = vec![0.0; self.places[cluster].len()];
        let unit = coefficients.iter().map(|c| c / norm);
        Some(unit.chain(turns).collect())
    }

    /// Coefficients of the norm wanted, and angles.
    fn unpacked(&self, job: &Job, at: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (u, turns) = at.split_at(self.space.len());
        let factor = self.recipe.norm / self.space.norm(u).0;
        let per = TURN * (turns.len() as f64).sqrt();
        let angles = job.base.iter().zip(turns).map(|(b, t)| b + per * t);
        (u.iter().map(|u| factor * u).collect(), angles.collect())
    }

    /// Height and slope from what members said to the template there.
    fn slope(
        &self,
        job: &Job,
        at: &[f64],
        shown: &[Shown],
        said: &[(f64, Vec<f64>)],
    ) -> (f64, Vec<f64>) {
        let (x, angles) = self.unpacked(job, at);
        let share = 1.0 / angles.len() as f64;
        let (rough, of_rough) = self.space.roughness(&x);
        let mut height = -self.recipe.smoothness * rough;
        let mut dx: Vec<f64> = of_rough
            .iter()
            .map(|r| -self.recipe.smoothness * r)
            .collect();
        let per = TURN * (angles.len() as f64).sqrt();
        let mut turns = Vec::with_capacity(angles.len());
        for ((angle, (_, turned)), (rate, d)) in angles.iter().zip(shown).zip(said) {
            height += share * rate;
            let back = self.space.turned(d, -angle);
            dx.iter_mut().zip(&back).for_each(|(x, b)| *x += share * b);
            turns.push(share * per * self.space.slope(turned, d));
        }
        // x = norm u / |u|.
        let u = &at[..self.space.len()];
        let (length, of_norm) = self.space.norm(u);
        let along = dot(&dx, u) / (length * length);
        let factor = self.recipe.norm / length;
        let du = dx
            .iter()
            .zip(&of_norm)
            .map(|(d, n)| factor * (d - along * n));
        (height, du.chain(turns).collect())
    }

    fn shown(&self, cluster: usize, x: &[f64], angles: &[f64]) -> Vec<Shown> {
        let pairs = self.places[cluster].iter().zip(angles);
        pairs.map(|(&p, &a)| (p, self.space.turned(x, a))).collect()
    }

    /// Climbs to the end.
    fn climb(
        &self,
        model: &mut Model,
        stage: &mut Stage,
        jobs: &mut [Job],
        watch: &mut Watch,
    ) -> Result<()> {
        loop {
            let running: Vec<usize> = (0..jobs.len())
                .filter(|&j| jobs[j].climb.is_running())
                .collect();
            if running.is_empty() {
                return Ok(());
            }
            watch.tick(jobs.len() - running.len(), jobs.len())?;
            let ats: Vec<Vec<f64>> = running.iter().map(|&j| jobs[j].climb.next()).collect();
            let shown = |(&j, at): (&usize, &Vec<f64>)| {
                let (x, angles) = self.unpacked(&jobs[j], at);
                self.shown(jobs[j].cluster, &x, &angles)
            };
            let all: Vec<Shown> = running.iter().zip(&ats).flat_map(shown).collect();
            let said = stage.show(model, &all, true, watch)?;
            let mut first = 0;
            for (&j, at) in running.iter().zip(&ats) {
                let range = first..first + jobs[j].base.len();
                first = range.end;
                let (height, slope) = self.slope(&jobs[j], at, &all[range.clone()], &said[range]);
                jobs[j].climb.absorb(height, slope);
            }
        }
    }

    /// Tries all angles around the circle; whoever gains by it turns, and the climb starts again from there. Says who did.
    fn turn(
        &self,
        model: &mut Model,
        stage: &mut Stage,
        jobs: &mut [Job],
        worth: f64,
        watch: &mut Watch,
    ) -> Result<Vec<bool>> {
        let count = self.recipe.angles;
        let per_member = |job: &Job| job.base.len() * count;
        let mut turned = Vec::with_capacity(jobs.len());
        let (mut first, all) = (0, jobs.len());
        while first < all {
            let mut end = first;
            let mut images = 0;
            while end < all && (end == first || images + per_member(&jobs[end]) <= AT_ONCE) {
                images += per_member(&jobs[end]);
                end += 1;
            }
            watch.tick(first, all)?;
            let some = &mut jobs[first..end];
            let shown = |job: &Job| -> Vec<Shown> {
                let (x, angles) = self.unpacked(job, job.climb.at());
                let around = |angle: &f64| {
                    let angle = *angle;
                    (0..count).map(move |i| angle + TAU * i as f64 / count as f64)
                };
                let each = self.places[job.cluster].iter().zip(&angles);
                each.flat_map(|(&p, a)| around(a).map(move |a| (p, a)))
                    .map(|(p, a)| (p, self.space.turned(&x, a)))
                    .collect()
            };
            let list: Vec<Shown> = some.iter().flat_map(shown).collect();
            let said = stage.show(model, &list, false, watch)?;
            let mut said = said.chunks_exact(count);
            for job in some {
                let (x, mut angles) = self.unpacked(job, job.climb.at());
                let mut gained = false;
                for (angle, said) in angles.iter_mut().zip(&mut said) {
                    let own = said[0].0;
                    let (mut best, mut side) = (own + worth * own.abs(), 0);
                    for (i, (rate, _)) in said.iter().enumerate() {
                        if *rate > best {
                            (best, side) = (*rate, i);
                        }
                    }
                    gained |= side > 0;
                    *angle += TAU * side as f64 / count as f64;
                }
                turned.push(gained);
                if gained {
                    self.restart(job, &x, angles);
                }
            }
            first = end;
        }
        Ok(turned)
    }

    fn restart(&self, job: &mut Job, x: &[f64], angles: Vec<f64>) {
        if let Some(start) = self.packed(job.cluster, x) {
            job.climb.restart(start);
            job.base = angles;
        }
    }

    /// Turns template and angles such that members see it, on the whole, as their own Gabors lie: nobody sees a difference.
    fn settle(&self, job: &mut Job) {
        let (x, angles) = self.unpacked(job, job.climb.at());
        let own = self.places[job.cluster].iter().map(|&p| self.own[p]);
        let (mut s, mut c) = (0.0, 0.0);
        for (angle, own) in angles.iter().zip(own) {
            let (sin, cos) = (2.0 * (angle - own)).sin_cos();
            (s, c) = (s + sin, c + cos);
        }
        let by = 0.5 * f64::atan2(s, c);
        let angles = angles.iter().map(|a| a - by).collect();
        self.restart(job, &self.space.turned(&x, by), angles);
    }
}

/// Seeks the template of each cluster: `clusters` are numbers of members, all of whom have an optimal Gabor; `gabors` are the
/// clusters' own, to start from. None of a cluster without members.
///
/// # Errors
/// When memory does not suffice, the device fails or a signal has come.
pub fn meis(
    model: &mut Model,
    members: &[Member],
    clusters: &[Vec<usize>],
    gabors: &[Option<Gabor>],
    recipe: &Recipe,
    watch: &mut Watch,
) -> Result<Vec<Option<Shared>>> {
    if recipe.width.is_multiple_of(2) || recipe.ranks == 0 || recipe.angles == 0 {
        return Err(Error::Other(format!("no templates are made by {recipe:?}")));
    }
    let space = Space::new(&model.device.clone(), recipe.ranks, recipe.width);
    let mut found: Vec<Option<Shared>> = vec![None; clusters.len()];
    for wave in waves(model, members, clusters) {
        let of: Vec<&[usize]> = wave.iter().map(|&k| &clusters[k][..]).collect();
        let gabors: Vec<Option<Gabor>> = wave.iter().map(|&k| gabors[k]).collect();
        let shared = one_wave(model, members, (&wave, &of, &gabors), recipe, &space, watch)?;
        for (k, shared) in wave.into_iter().zip(shared) {
            found[k] = shared;
        }
    }
    Ok(found)
}

/// Clusters with members, so many at a time that what their members see with fits into memory.
fn waves(model: &Model, members: &[Member], clusters: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let most: usize = match model.device {
        crate::device::Device::Cpu => 1 << 30,
        _ => 1 << 32,
    };
    let channels = match model.layers.len() {
        1 => 1,
        n => model.config.orientations() * model.layers[n - 2].features,
    };
    let lost = model.layers.last().map_or(0, |l| l.kernel - 1);
    let bytes = |members_of: &Vec<usize>| -> usize {
        let each = members_of.iter().map(|&m| {
            let member = &members[m];
            let windows = closeup::looked_at(model, member.readout, &[member.neuron]);
            let side = |n: usize| n + lost;
            4 * channels
                * windows
                    .iter()
                    .map(|w| side(w.height) * side(w.width))
                    .sum::<usize>()
        });
        each.sum()
    };
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut used = usize::MAX;
    for (k, of) in clusters.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
        let own = bytes(of);
        match waves.last_mut() {
            Some(wave) if used.saturating_add(own) <= most => {
                wave.push(k);
                used += own;
            }
            _ => {
                waves.push(vec![k]);
                used = own;
            }
        }
    }
    waves
}

type Wave<'a> = (&'a [usize], &'a [&'a [usize]], &'a [Option<Gabor>]);

fn one_wave(
    model: &mut Model,
    members: &[Member],
    (names, clusters, gabors): Wave,
    recipe: &Recipe,
    space: &Space,
    watch: &mut Watch,
) -> Result<Vec<Option<Shared>>> {
    // By readout, as groups want them.
    let mut who: Vec<usize> = clusters.concat();
    who.sort_unstable();
    let place = |m: &usize| who.binary_search(m).unwrap_or(0);
    let own = |m: &usize| members[*m].gabor.map(|g| g.stimulus);
    let centre = |m: &usize| own(m).map_or((0, 0), |g| (g.x.round() as i64, g.y.round() as i64));
    let centres: Vec<(i64, i64)> = who.iter().map(centre).collect();
    let search = Search {
        recipe,
        space,
        places: clusters
            .iter()
            .map(|c| c.iter().map(place).collect())
            .collect(),
        own: who
            .iter()
            .map(|m| own(m).map_or(0.0, |g| g.orientation))
            .collect(),
    };
    let mut jobs = Vec::new();
    for (k, cluster) in clusters.iter().enumerate() {
        let mut starts = Vec::new();
        starts.extend(gabors[k].map(|g| of_gabor(space, g)));
        starts.extend(of_images(space, members, cluster, recipe.angles));
        let noise = |i: usize| of_noise(space, recipe.seed, names[k], i);
        starts.extend((starts.len()..recipe.starts.max(1)).map(noise));
        starts.truncate(recipe.starts.max(1));
        jobs.extend(starts.iter().filter_map(|s| search.job(k, s)));
    }
    let crops = groups(model, members, &who, false)?;
    let mut stage = Stage::new(model, space, &crops, &centres, true)?;
    watch.begin("turns of templates");
    search.turn(model, &mut stage, &mut jobs, 0.0, watch)?;
    watch.begin("templates that clusters share");
    search.climb(model, &mut stage, &mut jobs, watch)?;
    let mut best: Vec<Option<Job>> = clusters.iter().map(|_| None).collect();
    let mut starts: Vec<Vec<u32>> = vec![Vec::new(); clusters.len()];
    for job in jobs {
        starts[job.cluster].push(job.climb.steps);
        let slot = &mut best[job.cluster];
        if slot
            .as_ref()
            .is_none_or(|b| job.climb.height() > b.climb.height())
        {
            *slot = Some(job);
        }
    }
    let mut best: Vec<Job> = best.into_iter().flatten().collect();
    best.iter_mut().for_each(|job| search.settle(job));
    watch.begin("templates that clusters share, again");
    search.climb(model, &mut stage, &mut best, watch)?;
    for _ in 0..ROUNDS {
        if !search
            .turn(model, &mut stage, &mut best, WORTH, watch)?
            .contains(&true)
        {
            break;
        }
        search.climb(model, &mut stage, &mut best, watch)?;
    }
    drop(stage);
    let exact = groups(model, members, &who, true)?;
    let mut stage = Stage::new(model, space, &exact, &centres, false)?;
    let mut found: Vec<Option<Shared>> = vec![None; clusters.len()];
    for job in &best {
        let (x, angles) = search.unpacked(job, job.climb.at());
        let said = stage.show(model, &search.shown(job.cluster, &x, &angles), false, watch)?;
        found[job.cluster] = Some(Shared {
            starts: starts[job.cluster].clone(),
            ..shared(space, job, &x, &angles, &said)
        });
    }
    Ok(found)
}

fn shared(space: &Space, job: &Job, x: &[f64], angles: &[f64], said: &[(f64, Vec<f64>)]) -> Shared {
    let width = space.basis().width;
    let image: Vec<f32> = space.image(x).iter().map(|&v| v as f32).collect();
    let square: f64 = image.iter().map(|v| f64::from(*v).powi(2)).sum();
    let seen = angles.iter().zip(said);
    Shared {
        template: Array2::from_shape_fn((width, width), |(i, j)| image[i * width + j]),
        norm: square.sqrt(),
        seen: seen.map(|(a, s)| (a.rem_euclid(TAU), s.0)).collect(),
        steps: job.climb.steps,
        outcome: job.climb.outcome,
        starts: Vec::new(),
    }
}

fn of_gabor(space: &Space, gabor: Gabor) -> Vec<f64> {
    let width = space.basis().width;
    let middle = (width / 2) as f64;
    let upright = Gabor {
        x: middle,
        y: middle,
        orientation: 0.0,
        ..gabor
    };
    let drawn: Vec<f64> = upright.draw(width, width).iter().copied().collect();
    space.project(&drawn)
}

/// The mean of the members' own images about their centres, turned towards each other; none without images.
fn of_images(space: &Space, members: &[Member], who: &[usize], angles: usize) -> Option<Vec<f64>> {
    let own = |&m: &usize| {
        let gabor = members[m].gabor.as_ref()?.stimulus;
        let image = members[m].image.as_ref()?.image.as_ref()?;
        let patch = patch(image, space.basis().width, (gabor.x, gabor.y));
        let c = space.turned(&space.project(&patch), -gabor.orientation);
        let norm = dot(&c, &c).sqrt();
        (norm > 0.0).then(|| c.iter().map(|c| c / norm).collect::<Vec<f64>>())
    };
    let own: Vec<Vec<f64>> = who.iter().filter_map(own).collect();
    let mut mean = own.first()?.clone();
    for round in 0..ALIGNMENTS {
        let mut next = vec![0.0; mean.len()];
        for c in &own {
            // In the first round the mean grows member by member.
            let towards = match round {
                0 => add(&mean, &next),
                _ => mean.clone(),
            };
            let turn = |i: usize| space.turned(c, TAU * i as f64 / angles as f64);
            let better = |best: Vec<f64>, other: Vec<f64>| {
                if dot(&other, &towards) > dot(&best, &towards) {
                    other
                } else {
                    best
                }
            };
            next = add(&next, &(1..angles).map(turn).fold(c.clone(), better));
        }
        mean = next;
    }
    Some(mean)
}

/// What of an image lies on a patch of this width about a place.
fn patch(image: &Array2<f32>, width: usize, (x, y): (f64, f64)) -> Vec<f64> {
    let half = (width / 2) as i64;
    let (left, top) = (x.round() as i64 - half, y.round() as i64 - half);
    let at = |p: usize| {
        let row = usize::try_from(top + (p / width) as i64).ok()?;
        let column = usize::try_from(left + (p % width) as i64).ok()?;
        image.get((row, column)).map(|&v| f64::from(v))
    };
    (0..width * width).map(|p| at(p).unwrap_or(0.0)).collect()
}

/// Noise with less in higher ranks.
fn of_noise(space: &Space, seed: u64, cluster: usize, start: usize) -> Vec<f64> {
    let noise = white(seed, cluster, start, space.len());
    let functions = space.basis().functions.iter();
    let damped = noise
        .iter()
        .zip(functions)
        .map(|(v, f)| f64::from(*v) / (1.0 + f.rank as f64 / 3.0));
    damped.collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}
