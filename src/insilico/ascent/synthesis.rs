//! Images that drive a neuron to a given rate (Kindel et al. 2019): from white noise along the gradient of the rate, until
//! the rate is the target.

use super::eyes::{self, Eyes, Member, move_followed, move_seat, of_seat, of_seat_mut};
use super::noise::white;
use super::responses::responses;
use super::turns::{Searches, take_turns};
use crate::Result;
use crate::device::Array;
use crate::insilico::{Flat, Watch};
use crate::ops::ascent::{self, Aim, COUNTERS, Follow, Outcome};
use crate::recording::{Recording, Tier};
use crate::table::{Column, Table};
use ndarray::{Array3, Axis};
use std::collections::HashMap;

/// How images are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synthesis {
    /// Most steps on the crop, and again on the whole image.
    pub steps: u32,
    /// Largest difference between response and target, as a share of the target.
    pub tolerance: f64,
    /// The least target that the tolerance is taken of, as a share of the SD of the neuron's responses.
    pub least: f64,
    /// Longest step, in z-scores.
    pub longest: f64,
    /// Of the starts.
    pub seed: u64,
}

impl Default for Synthesis {
    fn default() -> Self {
        Self {
            steps: 1000,
            tolerance: 1e-3,
            least: 1e-2,
            longest: 1.0,
            seed: 1,
        }
    }
}

/// What is asked of a neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Row of the readout.
    pub neuron: usize,
    /// Of its measured training responses.
    pub percentile: f64,
    /// That response, in the recording's unit; NaN where none was measured.
    pub target: f64,
}

/// Images for goals.
#[derive(Clone, Debug)]
pub struct Synthesised {
    /// One per image.
    pub goals: Vec<Goal>,
    /// z-scored images (goals, H, W); 0 where there is no response.
    pub images: Array3<f32>,
    /// Responses to the whole images, in the recording's unit; NaN where there is no target, or the response is the same to
    /// every image or not finite.
    pub responses: Vec<f64>,
    /// Whether they are the targets.
    pub converged: Vec<bool>,
}

impl Synthesised {
    /// Columns `neuron,percentile,target,response,converged`.
    pub fn table(&self) -> Table {
        let number = |f: fn(&Goal) -> f64| Column::Number(self.goals.iter().map(f).collect());
        let neurons = self.goals.iter().map(|g| g.neuron as i64).collect();
        Table::new()
            .with("neuron", Column::Integer(neurons))
            .with("percentile", number(|g| g.percentile))
            .with("target", number(|g| g.target))
            .with("response", Column::Number(self.responses.clone()))
            .with("converged", Column::Boolean(self.converged.clone()))
    }
}

/// For each neuron its percentiles (0 to 100, linear between neighbours) of the recorded training responses.
pub fn percentiles(recording: &Recording, neurons: &[usize], percentiles: &[f64]) -> Vec<Goal> {
    let trials = recording.trials_of(Tier::Train);
    let mut goals = Vec::with_capacity(neurons.len() * percentiles.len());
    for &neuron in neurons {
        let all = trials.iter().map(|&t| recording.responses[(t, neuron)]);
        let mut known: Vec<f64> = all.filter(|r| !r.is_nan()).map(f64::from).collect();
        known.sort_unstable_by(f64::total_cmp);
        goals.extend(percentiles.iter().map(|&percentile| Goal {
            neuron,
            percentile,
            target: percentile_of(&known, percentile),
        }));
    }
    goals
}

fn percentile_of(sorted: &[f64], percentile: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = percentile / 100.0 * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// Seeks an image for each goal, from noise of its own.
///
/// # Errors
/// When memory does not suffice, or the watch ends it.
pub fn synthesise(
    member: &mut Member,
    goals: &[Goal],
    settings: &Synthesis,
    watch: &mut Watch,
) -> Result<Synthesised> {
    let (height, width) = member.image();
    let mut images = Array3::zeros((goals.len(), height, width));
    let known: Vec<usize> = (0..goals.len())
        .filter(|&i| goals[i].target.is_finite())
        .collect();
    let mut starts = HashMap::new();
    for &i in &known {
        // Each of a neuron's goals has noise of its own.
        let start = starts.entry(goals[i].neuron).or_insert(0);
        let noise = white(settings.seed, goals[i].neuron, *start, height * width);
        *start += 1;
        let mut image = images.index_axis_mut(Axis(0), i);
        image.iter_mut().zip(noise).for_each(|(z, v)| *z = v);
    }
    let mut found = vec![f64::NAN; goals.len()];
    let mut left = known;
    // What a crop leaves out is made up for on the whole image, by those that it matters to.
    for (whole, what) in [(false, "images"), (true, "images, whole")] {
        if left.is_empty() {
            break;
        }
        watch.begin(what);
        approach(member, goals, &left, settings, whole, &mut images, watch)?;
        let neurons: Vec<usize> = left.iter().map(|&i| goals[i].neuron).collect();
        let shown = images.select(Axis(0), &left);
        let members = std::slice::from_mut(member);
        let responses = responses(members, &neurons, shown.view(), watch)?;
        left.iter().zip(responses).for_each(|(&i, r)| found[i] = r);
        left.retain(|&i| !settings.reached(&goals[i], found[i], member.scale(goals[i].neuron)));
    }
    // A neuron that answers alike to every image is driven by none.
    let neurons: Vec<usize> = goals.iter().map(|g| g.neuron).collect();
    let flat = Flat::of(&mut member.model, member.index, &neurons)?;
    for (i, response) in found.iter_mut().enumerate() {
        if flat.explains(i, *response) {
            *response = f64::NAN;
            images.index_axis_mut(Axis(0), i).fill(0.0);
        }
    }
    let converged = goals.iter().zip(&found);
    Ok(Synthesised {
        converged: converged
            .map(|(g, &r)| settings.reached(g, r, member.scale(g.neuron)))
            .collect(),
        goals: goals.to_vec(),
        images,
        responses: found,
    })
}

impl Synthesis {
    /// Largest difference from a target, both in the recording's unit.
    fn tolerance(&self, target: f64, scale: f64) -> f64 {
        self.tolerance * target.abs().max(self.least * scale)
    }

    fn reached(&self, goal: &Goal, response: f64, scale: f64) -> bool {
        (response - goal.target).abs() <= self.tolerance(goal.target, scale)
    }
}

fn approach(
    member: &mut Member,
    goals: &[Goal],
    rows: &[usize],
    settings: &Synthesis,
    whole: bool,
    images: &mut Array3<f32>,
    watch: &mut Watch,
) -> Result<()> {
    let mut neurons: Vec<usize> = rows.iter().map(|&i| goals[i].neuron).collect();
    neurons.sort_unstable();
    neurons.dedup();
    let (members, mut done) = (std::slice::from_mut(member), 0);
    for groups in eyes::crops(members, &neurons, whole)? {
        let own = groups[0].neurons.iter().enumerate();
        let places: HashMap<usize, usize> = own.map(|(place, &n)| (n, place)).collect();
        let jobs: Vec<(usize, usize)> = rows
            .iter()
            .filter_map(|&row| Some((row, *places.get(&goals[row].neuron)?)))
            .collect();
        let scales: Vec<f64> = groups[0]
            .neurons
            .iter()
            .map(|&n| members[0].scale(n))
            .collect();
        let eyes = Eyes::new(members, &groups, jobs.len())?;
        let (device, shape) = (eyes.device().clone(), eyes.shape(eyes.batch()));
        let of_image = || device.zeros(&[shape.batch, shape.height, shape.width]);
        let of_seat = || device.zeros(&[shape.batch]);
        let mut search = Approach {
            goals,
            settings,
            jobs: &jobs,
            scales,
            x: of_image(),
            gradient: of_image(),
            targets: of_seat(),
            tolerances: of_seat(),
            follow: Follow::new(&device, &shape),
            eyes,
            images: &mut *images,
        };
        take_turns(&mut search, jobs.len(), (&mut done, rows.len()), watch)?;
    }
    Ok(())
}

/// Goals of one group's neurons on the seats of a batch.
struct Approach<'m, 'o> {
    eyes: Eyes<'m>,
    goals: &'o [Goal],
    settings: &'o Synthesis,
    /// Row of the goal, and its neuron in the group.
    jobs: &'o [(usize, usize)],
    scales: Vec<f64>,
    x: Array,
    gradient: Array,
    targets: Array,
    tolerances: Array,
    follow: Follow,
    images: &'o mut Array3<f32>,
}

impl Searches for Approach<'_, '_> {
    fn seats(&self) -> usize {
        self.eyes.batch()
    }

    fn look(&self) -> usize {
        5
    }

    fn sit(&mut self, seat: usize, job: usize) {
        let (row, place) = self.jobs[job];
        let (target, scale) = (self.goals[row].target, self.scales[place]);
        self.eyes.sit(seat, place);
        let image = self.images.index_axis(Axis(0), row);
        let crop = self
            .eyes
            .group()
            .cut(place, image.as_slice().unwrap_or_default());
        of_seat_mut(&mut self.x, seat).fill_from(&crop);
        // Half of the tolerance is for rounding, here and when the image is saved.
        let tolerance = 0.5 * self.settings.tolerance(target, scale);
        of_seat_mut(&mut self.targets, seat).fill((target / scale) as f32);
        of_seat_mut(&mut self.tolerances, seat).fill((tolerance / scale) as f32);
        for zero in [&mut self.follow.best, &mut self.follow.averages] {
            of_seat_mut(zero, seat).fill(0.0);
        }
        of_seat_mut(&mut self.follow.best, seat).fill_from(&crop);
        of_seat_mut(&mut self.follow.counters, seat).fill(0);
    }

    fn step(&mut self, count: usize) -> Result<()> {
        let (device, shape) = (self.eyes.device().clone(), self.eyes.shape(count));
        let len = shape.len();
        self.eyes.forward(count, self.x.slice(0..len));
        self.gradient.slice_mut(0..len).fill(0.0);
        self.eyes
            .add_gradient(count, 1.0, self.gradient.slice_mut(0..len));
        let rule = Aim {
            steps: self.settings.steps,
            longest: self.settings.longest,
        };
        ascent::aim(
            &device,
            &shape,
            &rule,
            (
                self.eyes.rates(count),
                self.targets.slice(0..count),
                self.tolerances.slice(0..count),
            ),
            self.gradient.slice(0..len),
            self.x.slice_mut(0..len),
            &mut self.follow,
        );
        device.check()
    }

    fn counters(&self, count: usize) -> Vec<u32> {
        self.follow.counters.slice(0..count * COUNTERS).download()
    }

    fn leave(&mut self, seat: usize, job: usize, _: u32, _: Outcome) {
        let (row, place) = self.jobs[job];
        let best = of_seat(&self.follow.best, seat).download();
        let mut image = self.images.index_axis_mut(Axis(0), row);
        if let Some(whole) = image.as_slice_mut() {
            self.eyes.group().paste(place, &best, whole);
        }
    }

    fn move_seat(&mut self, from: usize, to: usize) {
        self.eyes.move_seat(from, to);
        for array in [&mut self.x, &mut self.targets, &mut self.tolerances] {
            move_seat(array, from, to);
        }
        move_followed(&mut self.follow, from, to);
    }
}

#[cfg(test)]
mod tests {
    use super::percentile_of;

    #[test]
    fn percentiles_are_those_of_numpy() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        for (percentile, wanted) in [(0.0, 1.0), (50.0, 3.0), (80.0, 5.6), (100.0, 8.0)] {
            assert!((percentile_of(&sorted, percentile) - wanted).abs() <= 1e-12);
        }
        assert!(percentile_of(&[], 50.0).is_nan());
    }
}
