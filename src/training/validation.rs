//! Validation and early stopping.

use super::{Best, End, Interrupts, Progress, Snapshot, Trainer, history, total};
use crate::model::{Mode, core, readout};
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
    pub(super) fn validated(
        &mut self,
        scores: (Option<f64>, Option<f64>),
        progress: &mut Progress,
    ) {
        let (loss, correlation) = scores;
        self.note(scores, progress);
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
    pub(super) fn score_validation(
        &mut self,
        interrupts: &Interrupts,
    ) -> Option<(Option<f64>, Option<f64>)> {
        if self.data.iter().all(|d| d.validation.is_empty()) {
            return Some((None, None));
        }
        let device = self.model.device.clone();
        let mut loss = 0.0;
        let mut correlations = Vec::new();
        for r in 0..self.data.len() {
            let trials = self.data[r].validation.clone();
            let (mut rates, mut responses) = (Vec::new(), Vec::new());
            for chunk in trials.chunks(self.orders[r].batch) {
                if interrupts.signal().is_some() {
                    return None;
                }
                let space = &mut self.spaces[self.space_of[r]];
                let buffers = &mut self.buffers[r];
                self.data[r].load(&device, chunk, space, buffers);
                core::forward(&mut self.model, space, chunk.len(), Mode::Prediction);
                readout::forward(&self.model, r, space, buffers, chunk.len());
                readout::losses(&self.model, r, buffers, chunk.len(), false);
                readout::rates(&self.model, r, buffers, chunk.len());
                let share = chunk.len() as f64 / trials.len() as f64;
                loss += share * total(&buffers.losses.slice(0..chunk.len()).download());
                let len = chunk.len() * self.model.readouts[r].neurons;
                rates.extend(buffers.rates.slice(0..len).download());
                responses.extend(buffers.responses.slice(0..len).download());
            }
            correlations.extend(correlate(
                &rates,
                &responses,
                self.model.readouts[r].neurons,
            ));
        }
        Some((Some(loss), Some(statistics::mean_of_known(&correlations))))
    }
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

/// Pearson correlation per neuron over trials with a recorded response: 0 where either side does not vary, NaN without
/// any such trial.
fn correlate(rates: &[f32], responses: &[f32], neurons: usize) -> Vec<f64> {
    (0..neurons)
        .map(|n| {
            let of = |v: &[f32]| -> Vec<f64> {
                v.iter()
                    .skip(n)
                    .step_by(neurons)
                    .zip(responses.iter().skip(n).step_by(neurons))
                    .filter(|(_, r)| !r.is_nan())
                    .map(|(&v, _)| f64::from(v))
                    .collect()
            };
            let (rates, responses) = (of(rates), of(responses));
            let correlation = statistics::pearson(&rates, &responses);
            if correlation.is_nan() && !responses.is_empty() {
                0.0
            } else {
                correlation
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unrecorded_neuron_has_no_correlation_and_a_constant_one_has_none_to_speak_of() {
        let rates = [1.0, 1.0, 3.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0];
        let nan = f32::NAN;
        let responses = [2.0, nan, 1.0, 4.0, nan, 2.0, nan, nan, 5.0];
        let got = correlate(&rates, &responses, 3);
        assert!(
            (got[0] - 1.0).abs() < 1e-12 && got[1].is_nan() && got[2] == 0.0,
            "{got:?}"
        );
    }
}
