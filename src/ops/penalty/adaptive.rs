//! A readout's penalty whose strength each neuron learns (Turishcheva et al. 2024):
//! `strength sum_n exp(s_n) (sum_p |mask|) (sum_c |features|) + sum_n s_n^2 / sd^2`, s the log norms.

use super::reference;
use crate::device::kernels::penalty as kernels;
use crate::device::{Device, View, ViewMut};
use crate::ops::readout::Windows;
use rayon::prelude::*;

/// Log norms (N) and their gradient.
#[derive(Debug)]
pub struct LogNorm<'a> {
    /// s.
    pub values: View<'a>,
    /// What is added to.
    pub gradient: ViewMut<'a>,
    /// SD of their prior.
    pub sd: f64,
}

/// Adds the gradients; with windows masks lie as they order them.
pub fn adaptive(
    device: &Device,
    windows: Option<&Windows>,
    strength: f64,
    (mask, features): (View, View),
    (dmask, dfeatures): (ViewMut, ViewMut),
    log_norm: LogNorm,
) {
    let n = log_norm.values.len();
    let (p, c) = (mask.len() / n, features.len() / n);
    let wanted = (windows.map_or(n * p, Windows::mask_len), n * c, n);
    let got = (mask.len(), features.len(), log_norm.gradient.len());
    assert_eq!(got, wanted, "adaptive penalty");
    assert_eq!((dmask.len(), dfeatures.len()), (wanted.0, wanted.1));
    let precision = log_norm.sd.powi(-2) as f32;
    match (device, windows) {
        (Device::Cpu, _) => {
            let (mask, features, s) = (mask.host(), features.host(), log_norm.values.host());
            let mut own: Vec<_> = (dfeatures.host().chunks_exact_mut(c))
                .zip(log_norm.gradient.host())
                .map(Some)
                .collect();
            let mut rest = dmask.host();
            let mut tasks = Vec::with_capacity(n);
            for at in 0..n {
                let (neuron, range) = match windows {
                    Some(w) => (w.order()[at], w.range(w.order()[at])),
                    None => (at, at * p..(at + 1) * p),
                };
                let (dm, after) = rest.split_at_mut(range.len());
                rest = after;
                if let Some((df, ds)) = own[neuron].take() {
                    let f = &features[neuron * c..(neuron + 1) * c];
                    tasks.push(((&mask[range], f, s[neuron]), (dm, df, ds)));
                }
            }
            tasks.into_par_iter().for_each(|(values, to)| {
                reference::adaptive_neuron((strength, log_norm.sd), values, to);
            });
        }
        (_, None) => kernels::penalty_adaptive(
            device,
            [n, 1, 1],
            mask,
            features,
            log_norm.values,
            dmask,
            dfeatures,
            log_norm.gradient,
            p,
            c,
            strength as f32,
            precision,
        ),
        (_, Some(windows)) => kernels::penalty_windowed_adaptive(
            device,
            [n, 1, 1],
            mask,
            features,
            log_norm.values,
            windows.tables.starts.view(),
            windows.tables.order.view(),
            dmask,
            dfeatures,
            log_norm.gradient,
            c,
            strength as f32,
            precision,
        ),
    }
}
