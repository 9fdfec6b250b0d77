//! One or several runs that look at the same crops: their rates and gradients, averaged.

use crate::device::{Array, Device, View, ViewMut};
use crate::model::Model;
use crate::model::closeup::{self, Closeup, Group, Window};
use crate::ops::ascent::{self, Follow};
use crate::{Error, Result};

/// A run and the readout that is asked.
#[derive(Debug)]
pub struct Member {
    /// Where it comes from, for errors.
    pub place: String,
    /// The run.
    pub model: Model,
    /// Index of the readout.
    pub index: usize,
}

impl Member {
    /// SD of a neuron's responses: what normalised rates are multiplied by.
    pub(crate) fn scale(&self, neuron: usize) -> f64 {
        f64::from(self.model.readouts[self.index].response_scale[neuron])
    }

    /// Height and width of the images.
    pub(crate) fn image(&self) -> (usize, usize) {
        self.model.readouts[self.index].image
    }
}

/// Refuses runs that do not look at the same images with the same neurons.
///
/// # Errors
/// Says which run differs, and in what.
pub(super) fn check(members: &[Member]) -> Result<()> {
    let described = |m: &Member| {
        let readout = &m.model.readouts[m.index];
        let (h, w) = readout.image;
        format!("{} neurons on {h} x {w} images", readout.neurons)
    };
    let zero = |m: &Member| {
        let p = m.model.preprocessing;
        let (mean, sd) = (p.image_mean, p.image_sd);
        format!("grey levels with mean {mean} and SD {sd}")
    };
    let Some(first) = members.first() else {
        return Err(Error::Other("no run to ask".into()));
    };
    for member in members {
        for (got, wanted) in [
            (described(member), described(first)),
            (zero(member), zero(first)),
        ] {
            if got != wanted {
                let wanted = format!("{wanted}, as {}", first.place);
                return Err(Error::bad(&member.place, "the run", got, wanted));
            }
        }
    }
    Ok(())
}

/// Groups of these neurons whose crops have one size, each for every member; `whole` images on request.
///
/// # Errors
/// When memory does not suffice.
pub(super) fn crops(
    members: &mut [Member],
    neurons: &[usize],
    whole: bool,
) -> Result<Vec<Vec<Group>>> {
    let everything = |m: &Member| {
        let (height, width) = m.model.readouts[m.index].map;
        Window {
            top: 0,
            left: 0,
            height,
            width,
        }
    };
    let windows = |m: &Member| match whole {
        true => vec![everything(m); neurons.len()],
        false => closeup::looked_at(&m.model, m.index, neurons),
    };
    let all = members.iter().map(windows).reduce(|a, b| {
        let pairs = a.into_iter().zip(b);
        pairs.map(|(a, b)| a.union(b)).collect()
    });
    let all = all.unwrap_or_default();
    let of_members: Vec<Vec<Group>> = members
        .iter_mut()
        .map(|m| closeup::groups(&mut m.model, m.index, neurons, &all))
        .collect::<Result<_>>()?;
    let described = |groups: &[Group]| -> Vec<_> {
        let crop = |g: &Group| (g.size, g.origins.clone(), g.places.clone());
        groups.iter().map(crop).collect()
    };
    // Members whose filters differ in width see crops of other sizes.
    if !whole
        && of_members
            .iter()
            .any(|g| described(g) != described(&of_members[0]))
    {
        return crops(members, neurons, true);
    }
    let count = of_members.first().map_or(0, Vec::len);
    let group = |i: usize| of_members.iter().map(|groups| groups[i].clone()).collect();
    Ok((0..count).map(group).collect())
}

/// All members on the crops of one group, an image per seat.
#[derive(Debug)]
pub(super) struct Eyes<'m> {
    device: Device,
    group: Group,
    /// Of each member.
    eyes: Vec<Closeup<'m>>,
    /// Of each member, the share of its rate in the mean (neurons of the group).
    shares: Vec<Vec<f32>>,
    /// The same by seat.
    of_seats: Vec<Array>,
    /// Each seat's neuron.
    seats: Vec<u32>,
    frames: Array<u32>,
    rates: Array,
}

impl<'m> Eyes<'m> {
    /// For up to `most` images at a time.
    ///
    /// # Errors
    /// When they do not fit into memory.
    pub fn new(members: &'m mut [Member], groups: &[Group], most: usize) -> Result<Self> {
        let (device, group) = (members[0].model.device.clone(), groups[0].clone());
        let count = members.len() as f64;
        let first: Vec<f64> = group.neurons.iter().map(|&n| members[0].scale(n)).collect();
        let shares: Vec<Vec<f32>> = members
            .iter()
            .map(|m| {
                let pairs = group.neurons.iter().zip(&first);
                let share = pairs.map(|(&n, first)| (m.scale(n) / first / count) as f32);
                share.collect()
            })
            .collect();
        let batch = |(m, g): (&Member, &Group)| g.batch(&m.model, true);
        let batch = members.iter().zip(groups).map(batch).min().unwrap_or(1);
        let batch = batch.min(most).max(1);
        let eyes = members
            .iter_mut()
            .zip(groups)
            .map(|(m, group)| Closeup::new(&mut m.model, group, batch, true))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            of_seats: shares.iter().map(|_| device.zeros(&[batch])).collect(),
            seats: vec![0; batch],
            frames: device.zeros(&[batch, 4]),
            rates: device.zeros(&[batch]),
            eyes,
            shares,
            group,
            device,
        })
    }

    /// Images that fit.
    pub fn batch(&self) -> usize {
        self.seats.len()
    }

    /// The neurons and their crops.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Where arrays are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Sizes of `count` crops.
    pub fn shape(&self, count: usize) -> ascent::Shape {
        ascent::Shape {
            batch: count,
            height: self.group.size.0,
            width: self.group.size.1,
        }
    }

    /// This seat's image is for that neuron of the group.
    pub fn sit(&mut self, seat: usize, place: usize) {
        self.seats[seat] = place as u32;
        for (of_seats, shares) in self.of_seats.iter_mut().zip(&self.shares) {
            let share = &shares[place..=place];
            of_seats.slice_mut(seat..seat + 1).fill_from(share);
        }
        let frame = ascent::frame(self.group.size, self.group.origins[place], self.group.image);
        self.frames
            .slice_mut(4 * seat..4 * seat + 4)
            .fill_from(&frame);
    }

    /// Likewise for what is on the later seat.
    pub fn move_seat(&mut self, from: usize, to: usize) {
        self.sit(to, self.seats[from] as usize);
    }

    /// What exists of the first `count` crops.
    pub fn frames(&self, count: usize) -> View<'_, u32> {
        self.frames.slice(0..4 * count)
    }

    /// Shows the images x (count, h, w).
    pub fn forward(&mut self, count: usize, x: View) {
        self.rates.slice_mut(0..count).fill(0.0);
        for (eye, shares) in self.eyes.iter_mut().zip(&self.of_seats) {
            eye.images(count).copy_from(x);
            eye.forward(&self.seats[..count]);
            let rates = self.rates.slice_mut(0..count);
            ascent::add(
                &self.device,
                1.0,
                shares.slice(0..count),
                eye.rates(count),
                rates,
            );
        }
    }

    /// Normalised rates (count), averaged over members in the recording's unit.
    pub fn rates(&self, count: usize) -> View<'_> {
        self.rates.slice(0..count)
    }

    /// Adds `factor` times the gradient of each rate.
    pub fn add_gradient(&mut self, count: usize, factor: f64, mut out: ViewMut) {
        for (eye, shares) in self.eyes.iter_mut().zip(&self.of_seats) {
            eye.backward(count);
            let (shares, gradient) = (shares.slice(0..count), eye.gradient(count));
            ascent::add(&self.device, factor, shares, gradient, out.reborrow());
        }
    }
}

/// Copies one seat's numbers of an array (seats, ..) to an earlier seat.
pub(super) fn move_seat<T: crate::device::Element>(array: &mut Array<T>, from: usize, to: usize) {
    let width = array.len() / array.shape()[0];
    let (before, after) = array.view_mut().split_at(from * width);
    before
        .slice(to * width..(to + 1) * width)
        .copy_from(after.slice(0..width).read());
}

/// As [`move_seat`], of all that follows an image.
pub(super) fn move_followed(follow: &mut Follow, from: usize, to: usize) {
    move_seat(&mut follow.best, from, to);
    move_seat(&mut follow.averages, from, to);
    move_seat(&mut follow.counters, from, to);
}

/// The numbers of one seat of an array (seats, ..).
pub(super) fn of_seat<T: crate::device::Element>(array: &Array<T>, seat: usize) -> View<'_, T> {
    let width = array.len() / array.shape()[0];
    array.slice(seat * width..(seat + 1) * width)
}

/// The same, to write.
pub(super) fn of_seat_mut<T: crate::device::Element>(
    array: &mut Array<T>,
    seat: usize,
) -> ViewMut<'_, T> {
    let width = array.len() / array.shape()[0];
    array.slice_mut(seat * width..(seat + 1) * width)
}
