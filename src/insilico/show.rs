//! Neurons shown stimuli of their own, drawn on the device into the crops that they see.

use super::{Family, Watch};
use crate::Result;
use crate::model::Model;
use crate::model::closeup::{self, Closeup, Group, Tail};
use crate::stimuli::Canvas;

/// What may be left out of masks where responses are reported: far below what 32-bit sums lose.
pub const EXACT: Tail = Tail::Mass(1e-6);

/// A neuron's answer to a stimulus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// h, before the output nonlinearity.
    pub drive: f32,
    /// Normalised rate; times the response scale it is in the recording's unit.
    pub rate: f32,
}

/// A neuron's answer, and the gradient of the rate with respect to the stimulus' parameters.
pub type Slope = (Answer, Vec<f32>);

/// Groups of these neurons (rows of readout `index`) whose answers are those of the whole image.
///
/// # Errors
/// When the maps do not fit into memory.
pub fn exact(model: &mut Model, index: usize, neurons: &[usize]) -> Result<Vec<Group>> {
    let windows = closeup::windows(model, index, neurons, EXACT);
    closeup::groups(model, index, neurons, &windows)
}

/// Shows neuron `place` of the list that the groups were made of the stimuli `stimuli[place]`, parameters one stimulus
/// after the other; the answers are in the same order.
///
/// # Errors
/// When the maps do not fit into memory, or a signal has come.
pub fn answers(
    model: &mut Model,
    groups: &[Group],
    family: Family,
    stimuli: &[Vec<f32>],
    watch: &mut Watch,
) -> Result<Vec<Vec<Answer>>> {
    let mut answers: Vec<Vec<Answer>> = stimuli.iter().map(|_| Vec::new()).collect();
    each_batch(model, groups, family, stimuli, false, watch, |batch| {
        let count = batch.places.len();
        let drives = batch.eye.drives(count).download();
        let rates = batch.eye.rates(count).download();
        for ((&place, drive), rate) in batch.places.iter().zip(drives).zip(rates) {
            answers[place].push(Answer { drive, rate });
        }
    })?;
    Ok(answers)
}

/// As [`answers`], each with the rate's gradient with respect to the stimulus' parameters.
///
/// # Errors
/// As [`answers`].
pub fn gradients(
    model: &mut Model,
    groups: &[Group],
    family: Family,
    stimuli: &[Vec<f32>],
    watch: &mut Watch,
) -> Result<Vec<Vec<Slope>>> {
    let mut found: Vec<Vec<Slope>> = stimuli.iter().map(|_| Vec::new()).collect();
    each_batch(model, groups, family, stimuli, true, watch, |batch| {
        let count = batch.places.len();
        batch.eye.backward(count);
        let device = batch.eye.model().device.clone();
        let n = family.parameters();
        let parameters = device.upload(batch.parameters, &[count, n]);
        let mut slopes = device.zeros(&[count, n]);
        let dimages = batch.eye.gradient(count);
        let (from, to) = (parameters.view(), slopes.view_mut());
        family.backward(&device, &batch.canvas, from, dimages, to);
        let drives = batch.eye.drives(count).download();
        let rates = batch.eye.rates(count).download();
        let slopes = slopes.download();
        for (i, &place) in batch.places.iter().enumerate() {
            let (drive, rate) = (drives[i], rates[i]);
            let gradient = slopes[i * n..(i + 1) * n].to_vec();
            found[place].push((Answer { drive, rate }, gradient));
        }
    })?;
    Ok(found)
}

/// Images that have just been seen.
struct Batch<'a, 'm> {
    eye: &'a mut Closeup<'m>,
    canvas: Canvas,
    /// In the coordinates of the crops.
    parameters: &'a [f32],
    places: &'a [usize],
}

fn each_batch(
    model: &mut Model,
    groups: &[Group],
    family: Family,
    stimuli: &[Vec<f32>],
    with_gradients: bool,
    watch: &mut Watch,
    mut seen: impl FnMut(Batch),
) -> Result<()> {
    let n = family.parameters();
    let all = stimuli.iter().map(|s| s.len() / n).sum();
    let mut done = 0;
    for group in groups {
        // Seat and stimulus of every image.
        let images: Vec<(usize, &[f32])> = group
            .places
            .iter()
            .enumerate()
            .flat_map(|(seat, &place)| stimuli[place].chunks_exact(n).map(move |s| (seat, s)))
            .collect();
        if images.is_empty() {
            continue;
        }
        let batch = group.batch(model, with_gradients).min(images.len());
        let mut eye = Closeup::new(model, group, batch, with_gradients)?;
        let device = eye.model().device.clone();
        for images in images.chunks(batch) {
            let count = images.len();
            let in_crop = |&(seat, stimulus): &(usize, &[f32])| {
                let (row, column) = group.origins[seat];
                family.moved(stimulus, -column as f32, -row as f32)
            };
            let parameters: Vec<f32> = images.iter().flat_map(in_crop).collect();
            let canvas = Canvas {
                count,
                height: group.size.0,
                width: group.size.1,
            };
            let uploaded = device.upload(&parameters, &[count, n]);
            family.draw(&device, &canvas, uploaded.view(), eye.images(count));
            let seats: Vec<u32> = images.iter().map(|i| i.0 as u32).collect();
            eye.forward(&seats);
            let places: Vec<usize> = images.iter().map(|i| group.places[i.0]).collect();
            seen(Batch {
                eye: &mut eye,
                canvas,
                parameters: &parameters,
                places: &places,
            });
            device.check()?;
            done += count;
            watch.tick(done, all)?;
        }
    }
    Ok(())
}
