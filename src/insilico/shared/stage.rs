//! Neurons shown turned templates: several groups with crops of different sizes at once.

use super::template::Space;
use crate::Result;
use crate::device::Device;
use crate::insilico::Watch;
use crate::model::Model;
use crate::model::closeup::{Closeup, Group, Waiting};
use crate::stimuli::{Canvas, steerable};

/// A template for a member: its place in the stage's list, and the turned coefficients.
pub(super) type Shown = (usize, Vec<f64>);

/// Neurons ready to look.
pub(super) struct Stage<'s> {
    space: &'s Space,
    groups: Vec<Option<Waiting>>,
    /// Of each place of the list: group, seat in it, and the centre in the coordinates of its crop.
    places: Vec<(usize, u32, [f32; 2])>,
}

impl<'s> Stage<'s> {
    /// Of groups whose places count a list of neurons, of which each stands in one group, and where each looks (column and
    /// row of a pixel).
    ///
    /// # Errors
    /// When they do not fit into memory.
    pub fn new(
        model: &mut Model,
        space: &'s Space,
        groups: &[Group],
        centres: &[(i64, i64)],
        gradients: bool,
    ) -> Result<Self> {
        let mut places = vec![(0, 0, [0.0; 2]); centres.len()];
        let mut waiting = Vec::with_capacity(groups.len());
        for (g, group) in groups.iter().enumerate() {
            let mut batch = group.batch(model, gradients);
            if !matches!(model.device, Device::Cpu) {
                batch = (batch / groups.len()).max(16);
            }
            waiting.push(Some(Closeup::new(model, group, batch, gradients)?.wait()));
            for (seat, (&place, &(row, column))) in
                group.places.iter().zip(&group.origins).enumerate()
            {
                let (x, y) = centres[place];
                let centre = [(x - column) as f32, (y - row) as f32];
                places[place] = (g, seat as u32, centre);
            }
        }
        Ok(Self {
            space,
            groups: waiting,
            places,
        })
    }

    /// The normalised rate of each template, and with `gradients` its gradient at the turned coefficients.
    ///
    /// # Errors
    /// When the device fails.
    pub fn show(
        &mut self,
        model: &mut Model,
        shown: &[Shown],
        gradients: bool,
        watch: &mut Watch,
    ) -> Result<Vec<(f64, Vec<f64>)>> {
        let mut found = vec![(f64::NAN, Vec::new()); shown.len()];
        for g in 0..self.groups.len() {
            let own: Vec<usize> = (0..shown.len())
                .filter(|&i| self.places[shown[i].0].0 == g)
                .collect();
            let Some(waiting) = self.groups[g].take_if(|_| !own.is_empty()) else {
                continue;
            };
            let mut eye = waiting.look(model);
            for some in own.chunks(eye.batch()) {
                watch.listen()?;
                self.batch(&mut eye, shown, some, gradients, &mut found)?;
            }
            self.groups[g] = Some(eye.wait());
        }
        Ok(found)
    }

    fn batch(
        &self,
        eye: &mut Closeup,
        shown: &[Shown],
        some: &[usize],
        gradients: bool,
        found: &mut [(f64, Vec<f64>)],
    ) -> Result<()> {
        let (count, m) = (some.len(), self.space.len());
        let device = eye.model().device.clone();
        let place = |i: &usize| self.places[shown[*i].0];
        let of = |i: &usize| shown[*i].1.iter().map(|c| *c as f32);
        let coefficients: Vec<f32> = some.iter().flat_map(of).collect();
        let centres: Vec<f32> = some.iter().flat_map(|i| place(i).2).collect();
        let seats: Vec<u32> = some.iter().map(|i| place(i).1).collect();
        let coefficients = device.upload(&coefficients, &[count, m]);
        let centres = device.upload(&centres, &[count, 2]);
        let (height, width) = eye.group().size;
        let canvas = Canvas {
            count,
            height,
            width,
        };
        let functions = &self.space.functions;
        let (c, at) = (coefficients.view(), centres.view());
        steerable::draw(&device, &canvas, functions, c, at, eye.images(count));
        eye.forward(&seats);
        let rates = eye.rates(count).download();
        for (&i, rate) in some.iter().zip(rates) {
            found[i].0 = f64::from(rate);
        }
        if gradients {
            eye.backward(count);
            let mut slopes = device.zeros(&[count, m]);
            let dimages = eye.gradient(count);
            steerable::backward(&device, &canvas, functions, at, dimages, slopes.view_mut());
            let slopes = slopes.download();
            for (&i, slope) in some.iter().zip(slopes.chunks_exact(m)) {
                found[i].1 = slope.iter().map(|&s| f64::from(s)).collect();
            }
        }
        device.check()
    }
}
