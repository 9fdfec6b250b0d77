//! One step: a batch of each recording forwards and backwards, then one update of the parameters.

use super::schedule::AHEAD;
use super::{Interrupts, Progress, Trainer};
use crate::device::Mark;
use crate::model::readout::Readout;
use crate::model::{Mode, config, core, readout};
use crate::ops::{dropout, loss, optimiser, schedule};

/// Steps that a device may be asked for before the host waits for the ones before them.
const IN_FLIGHT: usize = 16;

impl Trainer {
    /// Takes up to `wanted` steps, fewer after a signal, and adds up their losses.
    pub(super) fn advance(
        &mut self,
        wanted: u64,
        interrupts: &Interrupts,
        progress: &mut Progress,
    ) -> Vec<f32> {
        let wanted = match self.steps_to_windows() {
            Some(0) => {
                self.put_windows();
                wanted
            }
            Some(left) => wanted.min(left),
            None => wanted,
        };
        let wanted = wanted.min(AHEAD as u64) as usize;
        self.prepare(wanted);
        let (mut done, mut mark): (usize, Option<Mark>) = (0, None);
        while done < wanted && interrupts.signal().is_none() && self.one(interrupts) {
            done += 1;
            self.state.step += 1;
            progress.step(self.state.step, self.state.taken + done as u64);
            if done.is_multiple_of(IN_FLIGHT)
                && let Some(mark) = mark.replace(self.model.device.mark())
            {
                mark.wait();
            }
        }
        self.state.taken += done as u64;
        self.state.t += done as u64;
        let losses = self.schedule.losses(done);
        self.state.recent.0 += losses.iter().map(|&l| f64::from(l)).sum::<f64>();
        self.state.recent.1 += done as u64;
        losses
    }

    /// Takes `count` steps, each a batch of every recording and one update of the parameters, and returns their losses
    /// (without the penalties, summed over recordings).
    pub fn steps(&mut self, count: u64) -> Vec<f32> {
        let (none, mut hidden) = (Interrupts::none(), Progress::hidden());
        let mut losses = Vec::new();
        while (losses.len() as u64) < count {
            losses.extend(self.advance(count - losses.len() as u64, &none, &mut hidden));
        }
        losses
    }

    /// Uploads what the next steps need.
    fn prepare(&mut self, steps: usize) {
        for (r, data) in self.data.iter().enumerate() {
            let (mut trials, mut images) = (Vec::new(), Vec::new());
            for i in 0..steps as u64 {
                for &position in self.orders[r].positions(self.state.taken + i) {
                    let trial = data.training[position as usize];
                    trials.push(trial);
                    images.push(data.image_of(trial));
                }
            }
            let seed = self.model.config.training.seed;
            let draw = dropout::draw(self.state.taken, r, seed);
            self.schedule.rows[r].set(&trials, &images, draw);
        }
        let rate = self.learning_rate();
        let rates: Vec<f32> = (1..=steps as u64)
            .map(|i| match self.model.config.training.optimiser {
                config::Optimiser::Adam => optimiser::adam_rate(rate, self.state.t + i),
                config::Optimiser::Sgd => rate as f32,
            })
            .collect();
        self.schedule.begin(self.state.taken, &rates);
    }

    /// One prepared step. A device that can record repeats its recording from the second step on; the first one loads
    /// the kernels and sizes the scratch. False if a signal came in its middle; then nothing has changed.
    fn one(&mut self, interrupts: &Interrupts) -> bool {
        if self
            .graph
            .as_ref()
            .is_some_and(crate::device::Graph::replay)
        {
            return true;
        }
        if self.warm && self.graph.is_none() {
            let device = self.model.device.clone();
            let graph = device.record(|| {
                self.pass(&Interrupts::none());
            });
            let recorded = graph.replay();
            self.graph = Some(graph);
            if recorded {
                return true;
            }
        }
        self.warm = true;
        self.pass(interrupts)
    }

    fn pass(&mut self, interrupts: &Interrupts) -> bool {
        let device = self.model.device.clone();
        self.before_step.copy_from(&self.model.statistics.values);
        let written = self.model.readouts.iter().filter_map(Readout::masks);
        self.gradients.clear_but(written);
        let frozen = self.model.config.training.is_frozen();
        let mode = match frozen {
            true => Mode::Prediction,
            false => Mode::Training,
        };
        for r in 0..self.data.len() {
            let batch = self.orders[r].batch;
            let (space, buffers) = (&mut self.spaces[self.space_of[r]], &mut self.buffers[r]);
            let (rows, step) = (&self.schedule.rows[r], self.schedule.step.view());
            self.data[r].load_scheduled(&device, rows, step, space, buffers);
            space.draw(rows.draw.view());
            core::forward(&mut self.model, space, batch, mode);
            if interrupts.signal().is_some() {
                return self.abandon();
            }
            let (space, buffers) = (&mut self.spaces[self.space_of[r]], &mut self.buffers[r]);
            let counter = (self.schedule.numbers.view(), step);
            readout::gaussian::draw(&self.model, r, buffers, batch, counter);
            readout::forward(&self.model, r, space, buffers, batch, Mode::Training);
            readout::losses(&self.model, r, buffers, batch, true);
            let losses = buffers.losses.slice(0..batch);
            let of_steps = self.schedule.losses.view_mut();
            loss::total(&device, losses, step, of_steps, r > 0);
            readout::penalties(&self.model, r, buffers, &mut self.gradients);
            readout::backward(&self.model, r, space, buffers, batch, &mut self.gradients);
            if interrupts.signal().is_some() {
                return self.abandon();
            }
            let space = &mut self.spaces[self.space_of[r]];
            if !frozen {
                core::backward(&self.model, space, batch, &mut self.gradients);
            }
            if interrupts.signal().is_some() {
                return self.abandon();
            }
        }
        if !frozen {
            core::penalties(&self.model, &mut self.gradients);
        }
        let rate = (self.schedule.rates.view(), self.schedule.step.view());
        let values = self.model.params.values.view_mut();
        let gradients = self.gradients.values.view();
        match self.model.config.training.optimiser {
            config::Optimiser::Adam => {
                let moments = (self.first.values.view_mut(), self.second.values.view_mut());
                optimiser::adam(&device, rate, values, gradients, moments);
            }
            config::Optimiser::Sgd => optimiser::sgd(&device, rate, values, gradients),
        }
        self.model.clamp_places();
        schedule::advance(&device, self.schedule.step.view_mut());
        if self.model.kindel.is_some() {
            for rows in &mut self.schedule.rows {
                schedule::advance(&device, rows.draw.slice_mut(0..1));
            }
        }
        true
    }

    /// Leaves a step in its middle: only the running statistics had moved.
    fn abandon(&mut self) -> bool {
        self.model.statistics.values.copy_from(&self.before_step);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::model::Config;
    use crate::recording::{Recording, Tier, Trial};
    use crate::training::Options;
    use ndarray::{Array2, Array3};

    fn trainer(out: &std::path::Path) -> Trainer {
        let recording = Recording {
            name: "r".into(),
            images: Array3::from_shape_fn((12, 8, 9), |(i, y, x)| {
                ((i * 7 + y * 5 + x * 3) % 11) as f32
            }),
            responses: Array2::from_shape_fn((12, 3), |(t, n)| ((t * 3 + n * 2) % 5) as f32),
            trials: (0..12)
                .map(|image| Trial {
                    image,
                    tier: if image < 10 { Tier::Train } else { Tier::Test },
                })
                .collect(),
            neurons: None,
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        };
        let mut config = Config::default();
        (
            config.core.orientations,
            config.core.filter_sizes,
            config.core.features,
        ) = (4, vec![3, 3, 3], vec![2, 2, 2]);
        config.training.batch_size = 4;
        let options = Options {
            out: out.into(),
            ..Options::default()
        };
        Trainer::new(&Device::Cpu, &config, &[recording], &options).unwrap()
    }

    #[test]
    fn a_step_does_not_see_the_gradients_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let (mut one, mut other) = (trainer(&place("a")), trainer(&place("b")));
        other.gradients.values.fill(f32::NAN);
        one.steps(1);
        other.steps(1);
        let bits = |trainer: &Trainer| {
            let values = trainer.model.params.values.download();
            values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(bits(&one), bits(&other));
    }

    #[test]
    fn a_step_left_in_its_middle_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let (mut straight, mut stopped) = (trainer(&place("a")), trainer(&place("b")));
        straight.steps(2);
        stopped.steps(1);
        stopped.prepare(1);
        let before = stopped.snapshot();
        assert!(!stopped.pass(&Interrupts::pretend(15)));
        let after = stopped.snapshot();
        for (a, b) in [
            (&before.params, &after.params),
            (&before.statistics, &after.statistics),
            (&before.first, &after.first),
        ] {
            assert_eq!(a.values.download(), b.values.download());
        }
        stopped.steps(1);
        assert_eq!(
            straight.model.params.values.download(),
            stopped.model.params.values.download()
        );
        assert_eq!(
            straight.model.statistics.values.download(),
            stopped.model.statistics.values.download()
        );
    }
}
