//! Validation and early stopping.

use super::{Best, End, Interrupts, Progress, Snapshot, Trainer, history, total};
use crate::model::{Mode, core, readout};
use crate::scoring::metrics::{constant, model_correlation};
use crate::statistics;

impl Trainer {
    /// The last row of the history of a fit whose loss is no longer a number.
    pub(super) fn diverged(&mut self, progress: &mut Progress) {
        self.note((None, None), progress);
        self.state.done = Some(End::Diverged);
    }

    /// Adds a row to the history.
    pub(super) fn note(
        &mut self,
        (loss, correlation): (Option<f64>, Option<f64>),
        progress: &mut Progress,
    ) {
        let train_loss = self.state.recent.0 / self.state.recent.1.max(1) as f64;
        self.state.recent = (0.0, 0);
        let row = history::Row {
            step: self.state.taken,
            phase: self.state.phase + 1,
            learning_rate: self.learning_rate(),
            train_loss,
            validation_loss: loss,
            validation_correlation: correlation,
            seconds: self.state.seconds,
        };
        progress.validated(&row, self.state.step, self.state.worse);
        self.history.push(row);
    }

    /// Keeps the best, ends the phase when patience is used up.
    pub(super) fn validated(&mut self, scores: Scores, progress: &mut Progress) {
        let (loss, correlation) = (scores.loss, scores.correlation);
        self.note((loss, correlation), progress);
        if loss.is_some_and(|l| !l.is_finite()) {
            self.state.done = Some(End::Diverged);
            return;
        }
        let Some(loss) = loss else { return };
        let best_loss = self.state.best.as_ref().map_or(f64::INFINITY, |b| b.loss);
        if loss < best_loss {
            self.state.worse = 0;
            let snapshot = match self.state.best.take() {
                Some(mut best) => {
                    best.snapshot.overwrite(self);
                    best.snapshot
                }
                None => self.snapshot(),
            };
            self.state.best = Some(Best {
                loss,
                correlation: correlation.unwrap_or(f64::NAN),
                dead: scores.dead,
                taken: self.state.taken,
                t: self.state.t,
                snapshot,
            });
            return;
        }
        self.state.worse += 1;
        let settings = &self.model.config.training;
        if self.state.worse < settings.patience {
            return;
        }
        self.state.worse = 0;
        let undone = settings.patience.saturating_mul(settings.validate_every);
        self.state.step = self.state.step.saturating_sub(undone);
        self.state.phase += 1;
        if self.state.phase >= settings.phases {
            self.state.done = Some(End::Converged);
        }
        if let Some(best) = self.state.best.take() {
            self.model
                .params
                .values
                .copy_from(&best.snapshot.params.values);
            self.model
                .statistics
                .values
                .copy_from(&best.snapshot.statistics.values);
            self.first.values.copy_from(&best.snapshot.first.values);
            self.second.values.copy_from(&best.snapshot.second.values);
            self.state.t = best.t;
            self.state.best = Some(best);
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            params: self.model.params.clone(),
            statistics: self.model.statistics.clone(),
            first: self.first.clone(),
            second: self.second.clone(),
        }
    }

    /// Unregularised loss (mean over trials, summed over recordings) and mean correlation with single trials, of the
    /// neurons recorded there; nothing at all after a signal.
    pub(super) fn score_validation(&mut self, interrupts: &Interrupts) -> Option<Scores> {
        if self.data.iter().all(|d| d.validation.is_empty()) {
            return Some(Scores::default());
        }
        let mut loss = 0.0;
        let (mut correlations, mut alive) = (Vec::new(), Vec::new());
        for r in 0..self.data.len() {
            let trials = self.data[r].validation.clone();
            let seen = self.show(r, &trials, interrupts)?;
            loss += seen.loss;
            correlations.extend(seen.correlations());
            alive.extend(seen.is_alive());
        }
        Some(Scores {
            loss: Some(loss),
            correlation: Some(statistics::mean_of_known(&correlations)),
            dead: !alive.is_empty() && !alive.contains(&true),
        })
    }

    /// Whether no rate depends on the image, over a batch of training trials: for fits without validation.
    pub(super) fn is_dead_on_training(&mut self) -> bool {
        let mut alive = Vec::new();
        for r in 0..self.data.len() {
            let training = &self.data[r].training;
            let trials = training[..self.orders[r].batch.min(training.len())].to_vec();
            let seen = self.show(r, &trials, &Interrupts::none());
            alive.extend(seen.and_then(|s| s.is_alive()));
        }
        !alive.is_empty() && !alive.contains(&true)
    }

    /// Shows trials of a recording to the model as it stands; nothing after a signal.
    fn show(&mut self, r: usize, trials: &[u32], interrupts: &Interrupts) -> Option<Seen> {
        let device = self.model.device.clone();
        let mut seen = Seen {
            images: trials.iter().map(|&t| self.data[r].image_of(t)).collect(),
            neurons: self.model.readouts[r].neurons,
            rates: Vec::new(),
            responses: Vec::new(),
            loss: 0.0,
        };
        for chunk in trials.chunks(self.orders[r].batch) {
            if interrupts.signal().is_some() {
                return None;
            }
            let space = &mut self.spaces[self.space_of[r]];
            let buffers = &mut self.buffers[r];
            self.data[r].load(&device, chunk, space, buffers);
            core::forward(&mut self.model, space, chunk.len(), Mode::Prediction);
            readout::forward(
                &self.model,
                r,
                space,
                buffers,
                chunk.len(),
                Mode::Prediction,
            );
            readout::losses(&self.model, r, buffers, chunk.len(), false);
            readout::rates(&self.model, r, buffers, chunk.len());
            let share = chunk.len() as f64 / trials.len() as f64;
            seen.loss += share * total(&buffers.losses.slice(0..chunk.len()).download());
            let len = chunk.len() * seen.neurons;
            seen.rates.extend(buffers.rates.slice(0..len).download());
            seen.responses
                .extend(buffers.responses.slice(0..len).download());
        }
        Some(seen)
    }
}

/// What a validation finds; nothing without validation trials.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scores {
    pub loss: Option<f64>,
    pub correlation: Option<f64>,
    /// Whether no rate depends on the image.
    pub dead: bool,
}

/// Trials of a recording that were shown.
struct Seen {
    /// Of each trial.
    images: Vec<u32>,
    neurons: usize,
    /// (trials, neurons).
    rates: Vec<f32>,
    /// (trials, neurons), NaN where not recorded.
    responses: Vec<f32>,
    loss: f64,
}

impl Snapshot {
    /// Takes the numbers as they stand, into the memory it has.
    fn overwrite(&mut self, trainer: &Trainer) {
        let pairs = [
            (&mut self.params, &trainer.model.params),
            (&mut self.statistics, &trainer.model.statistics),
            (&mut self.first, &trainer.first),
            (&mut self.second, &trainer.second),
        ];
        for (to, from) in pairs {
            to.values.copy_from(&from.values);
        }
    }
}

impl Seen {
    /// Pearson correlation per neuron over trials with a recorded response: 0 where either side does not vary, NaN where
    /// these are of fewer than two images.
    fn correlations(&self) -> Vec<f64> {
        (0..self.neurons)
            .map(|n| {
                let (mut rates, mut responses, mut images) = (Vec::new(), Vec::new(), Vec::new());
                for (t, image) in self.images.iter().enumerate() {
                    let response = self.responses[t * self.neurons + n];
                    if !response.is_nan() {
                        rates.push(f64::from(self.rates[t * self.neurons + n]));
                        responses.push(f64::from(response));
                        images.push(*image);
                    }
                }
                model_correlation(&rates, &responses, different(images))
            })
            .collect()
    }

    /// Whether any rate depends on the image; unknown from one image.
    fn is_alive(&self) -> Option<bool> {
        let varies = |n: usize| {
            let rates = self.rates.iter().skip(n).step_by(self.neurons);
            !constant(&rates.map(|r| f64::from(*r)).collect::<Vec<_>>())
        };
        (different(self.images.clone()) > 1).then(|| (0..self.neurons).any(varies))
    }
}

fn different(mut images: Vec<u32>) -> usize {
    images.sort_unstable();
    images.dedup();
    images.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(images: &[u32], neurons: usize, rates: &[f32], responses: &[f32]) -> Seen {
        Seen {
            images: images.to_vec(),
            neurons,
            rates: rates.to_vec(),
            responses: responses.to_vec(),
            loss: 0.0,
        }
    }

    #[test]
    fn an_unrecorded_neuron_has_no_correlation_and_a_constant_one_has_none_to_speak_of() {
        let rates = [1.0, 1.0, 3.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0];
        let nan = f32::NAN;
        let responses = [2.0, nan, 1.0, 4.0, nan, 2.0, nan, nan, 5.0];
        let got = seen(&[7, 8, 9], 3, &rates, &responses).correlations();
        assert!(
            (got[0] - 1.0).abs() < 1e-12 && got[1].is_nan() && got[2] == 0.0,
            "{got:?}"
        );
        let repeated = seen(&[7, 7, 7], 3, &rates, &responses);
        assert!(repeated.correlations().iter().all(|r| r.is_nan()));
        assert_eq!(repeated.is_alive(), None);
    }

    #[test]
    fn rates_that_never_change_are_dead() {
        let alive = |rates: &[f32]| seen(&[1, 2], 2, rates, &[1.0; 4]).is_alive();
        assert_eq!(alive(&[0.0, 2.0, 0.0, 2.0]), Some(false));
        assert_eq!(alive(&[0.0, 2.0, 1e-9, 2.0]), Some(false));
        assert_eq!(alive(&[0.0, 2.0, 0.0, 2.5]), Some(true));
    }
}
