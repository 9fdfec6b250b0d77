//! Many fits side by side: Adam, evaluations, falling rates, early stopping.
//!
//! Between two evaluations the fits that go on lie on the device together; each keeps what it needs here, so that those that
//! are over make room.

use super::Settings;
use crate::Result;
use crate::device::{Array, Device};
use crate::insilico::Watch;
use crate::ops::align::{self, Codes, LANES, Shape, Temperature};
use crate::ops::{optimiser, schedule};

/// Share of a code's mean squared norm that sums in `f32` do not tell from 0.
const ROUNDING: f64 = 1e-6;

/// What Adam moves: a logit per neuron, then t.
type Row = Vec<f32>;

/// Where a fit begins.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub penalty: f64,
    pub row: Row,
}

/// Where it came to.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub penalty: f64,
    pub row: Row,
    /// E and Rec there.
    pub energy: f64,
    pub reconstruction: f64,
    /// Steps taken in all.
    pub steps: usize,
    /// The losses of the evaluations that were kept, the first that of the start.
    pub kept: Vec<f64>,
}

impl End {
    /// Its loss under any penalty.
    pub fn loss(&self, penalty: f64) -> f64 {
        self.energy + penalty * self.reconstruction
    }
}

/// One fit under way.
struct Fit {
    now: Row,
    first: Row,
    second: Row,
    best: End,
    rate: f64,
    /// Phases of the rate that are over.
    phases: usize,
    /// Steps of this phase, and of all.
    adam: usize,
    steps: usize,
    /// Evaluations since the best.
    waited: usize,
}

impl Fit {
    fn new(start: &Start, rate: f64) -> Self {
        let nothing = vec![0.0; start.row.len()];
        Self {
            now: start.row.clone(),
            first: nothing.clone(),
            second: nothing,
            best: End {
                penalty: start.penalty,
                row: start.row.clone(),
                energy: f64::INFINITY,
                reconstruction: f64::INFINITY,
                steps: 0,
                kept: Vec::new(),
            },
            rate,
            phases: 0,
            adam: 0,
            steps: 0,
            waited: 0,
        }
    }

    fn over(&self, settings: &Settings) -> bool {
        self.phases >= settings.phases || self.steps >= settings.max_steps
    }

    /// Keeps what is better by enough; after too many evaluations without returns to the best with a lower rate.
    fn judge(&mut self, energy: f64, reconstruction: f64, least: f64, settings: &Settings) {
        let loss = energy + self.best.penalty * reconstruction;
        let (best, started) = (self.best.kept.last().copied(), !self.best.kept.is_empty());
        let wanted = best.map_or(f64::INFINITY, |b| {
            b - settings.improvement * b.abs() - least
        });
        if loss < wanted {
            self.best.row.clone_from(&self.now);
            (self.best.energy, self.best.reconstruction) = (energy, reconstruction);
            self.best.kept.push(loss);
            self.waited = 0;
            return;
        }
        self.waited += usize::from(started);
        if self.waited >= settings.patience || !loss.is_finite() {
            self.now.clone_from(&self.best.row);
            self.first.fill(0.0);
            self.second.fill(0.0);
            (self.waited, self.adam) = (0, 0);
            self.phases += 1;
            self.rate /= 10f64.sqrt();
        }
    }
}

/// What lies on the device for some steps.
struct Round<'a> {
    device: &'a Device,
    codes: &'a Codes,
    shape: Shape,
    temperature: Temperature,
    point: Array,
    gradient: Array,
    first: Array,
    second: Array,
    means: Array,
    losses: Array,
    penalties: Array,
    rates: Array,
    step: Array<u32>,
}

impl<'a> Round<'a> {
    fn new(device: &'a Device, codes: &'a Codes, fits: &[Fit], settings: &Settings) -> Self {
        let shape = codes.shape(fits.len());
        let upload = |row: fn(&Fit) -> &Row| {
            let rows: Vec<&Row> = fits.iter().map(row).collect();
            device.upload(&together(&shape, &rows), &[shape.parameters()])
        };
        let penalties: Vec<f32> = fits.iter().map(|f| f.best.penalty as f32).collect();
        let mut rates = Vec::new();
        for step in 1..=settings.evaluate_every {
            let of = |f: &Fit| optimiser::adam_rate(f.rate, (f.adam + step) as u64);
            rates.extend(fits.iter().map(of));
        }
        Self {
            device,
            codes,
            shape,
            temperature: settings.temperature(),
            point: upload(|f| &f.now),
            gradient: device.zeros(&[shape.parameters()]),
            first: upload(|f| &f.first),
            second: upload(|f| &f.second),
            means: device.zeros(&[shape.means()]),
            losses: device.zeros(&[2 * fits.len()]),
            penalties: device.upload(&penalties, &[fits.len()]),
            rates: device.upload(&rates, &[rates.len()]),
            step: device.zeros(&[1]),
        }
    }

    fn forward(&mut self) {
        align::forward(
            self.device,
            self.codes,
            self.shape.fits,
            self.temperature,
            self.point.view(),
            self.means.view_mut(),
            self.losses.view_mut(),
        );
    }

    fn step(&mut self) {
        self.gradient.fill(0.0);
        align::backward(
            self.device,
            self.codes,
            self.temperature,
            self.penalties.view(),
            self.point.view(),
            self.means.view(),
            self.gradient.view_mut(),
        );
        optimiser::adam_by_group(
            self.device,
            (self.rates.view(), self.step.view()),
            (self.shape.fits, LANES),
            self.point.view_mut(),
            self.gradient.view(),
            (self.first.view_mut(), self.second.view_mut()),
        );
        schedule::advance(self.device, self.step.view_mut());
        self.forward();
    }

    /// Takes the rows back, and gives energy and reconstruction of each.
    fn end(&self, fits: &mut [Fit]) -> Vec<(f64, f64)> {
        let (now, first, second) = (
            self.point.download(),
            self.first.download(),
            self.second.download(),
        );
        for (j, fit) in fits.iter_mut().enumerate() {
            apart(&self.shape, &now, j, &mut fit.now);
            apart(&self.shape, &first, j, &mut fit.first);
            apart(&self.shape, &second, j, &mut fit.second);
        }
        let losses = self.losses.download();
        losses
            .chunks_exact(2)
            .map(|l| (l[0].into(), l[1].into()))
            .collect()
    }
}

/// Rows as they lie side by side.
fn together(shape: &Shape, rows: &[&Row]) -> Vec<f32> {
    let mut all = vec![0.0; shape.parameters()];
    for (j, row) in rows.iter().enumerate() {
        for (b, own) in row[..shape.neurons].chunks(LANES).enumerate() {
            all[shape.logit(j, b * LANES)..][..own.len()].copy_from_slice(own);
        }
        all[shape.t(j)] = row[shape.neurons];
    }
    all
}

fn apart(shape: &Shape, all: &[f32], j: usize, row: &mut Row) {
    for (b, own) in row[..shape.neurons].chunks_mut(LANES).enumerate() {
        own.copy_from_slice(&all[shape.logit(j, b * LANES)..][..own.len()]);
    }
    row[shape.neurons] = all[shape.t(j)];
}

/// Follows every start to its end; `power` is the mean squared norm of a code.
///
/// # Errors
/// A signal, or a device that failed.
pub(super) fn descend(
    device: &Device,
    codes: &Codes,
    power: f64,
    starts: &[Start],
    settings: &Settings,
    watch: &mut Watch,
) -> Result<Vec<End>> {
    if starts.is_empty() {
        return Ok(Vec::new());
    }
    let mut fits: Vec<Fit> = starts
        .iter()
        .map(|start| Fit::new(start, settings.learning_rate))
        .collect();
    // The starts themselves are the first evaluation.
    let mut round = Round::new(device, codes, &fits, settings);
    round.forward();
    let losses = round.end(&mut fits);
    let least = ROUNDING * power;
    for (fit, (energy, reconstruction)) in fits.iter_mut().zip(losses) {
        fit.judge(energy, reconstruction, least, settings);
    }
    let mut ends: Vec<Option<End>> = starts.iter().map(|_| None).collect();
    let mut places: Vec<usize> = (0..starts.len()).collect();
    let all = starts.len() * settings.max_steps;
    let mut done = 0;
    loop {
        device.check()?;
        for i in (0..fits.len()).rev() {
            if fits[i].over(settings) {
                let (fit, place) = (fits.remove(i), places.remove(i));
                done += settings.max_steps;
                ends[place] = Some(End {
                    steps: fit.steps,
                    ..fit.best
                });
            }
        }
        if fits.is_empty() {
            break;
        }
        let mut round = Round::new(device, codes, &fits, settings);
        round.forward();
        let steps = settings.evaluate_every;
        for _ in 0..steps {
            round.step();
            let under_way: usize = fits.iter().map(|f| f.steps).sum();
            watch.tick(done + under_way, all)?;
        }
        let losses = round.end(&mut fits);
        for (fit, (energy, reconstruction)) in fits.iter_mut().zip(losses) {
            fit.steps += steps;
            fit.adam += steps;
            fit.judge(energy, reconstruction, least, settings);
        }
    }
    Ok(ends.into_iter().flatten().collect())
}
