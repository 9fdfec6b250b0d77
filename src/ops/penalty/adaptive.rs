//! A readout's penalty whose strength each neuron learns (Turishcheva et al. 2024):
//! `strength sum_n exp(s_n) (sum_p |mask|) (sum_c |features|) + sum_n s_n^2 / sd^2`, s the log norms.

use super::{own_mask, reference, store_sparsity};
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

/// As [`super::readout`]; adds the gradient of the log norms, too.
pub fn adaptive(
    device: &Device,
    windows: Option<&Windows>,
    strength: f64,
    (mask, features): (View, View),
    (sparsity, dfeatures): (ViewMut, ViewMut),
    log_norm: LogNorm,
) {
    let n = log_norm.values.len();
    let (p, c) = (mask.len() / n, features.len() / n);
    let wanted = (windows.map_or(n * p, Windows::mask_len), n * c, n);
    let got = (mask.len(), features.len(), log_norm.gradient.len());
    assert_eq!(got, wanted, "adaptive penalty");
    assert_eq!((sparsity.len(), dfeatures.len()), (n, n * c));
    let precision = log_norm.sd.powi(-2) as f32;
    match (device, windows) {
        (Device::Cpu, _) => {
            let (mask, features, s) = (mask.host(), features.host(), log_norm.values.host());
            let own = dfeatures.host().par_chunks_exact_mut(c);
            let own = own.zip(log_norm.gradient.host()).enumerate();
            let own = own.map(|(n, (df, ds))| {
                let (mask, features) = (&mask[own_mask(windows, n, p)], &features[n * c..][..c]);
                let own_strength = (strength, log_norm.sd);
                reference::adaptive_neuron(own_strength, (mask, features, s[n]), (df, ds)).1
            });
            store_sparsity(windows, own.collect(), sparsity.host());
        }
        (_, None) => kernels::penalty_adaptive(
            device,
            [n, 1, 1],
            mask,
            features,
            log_norm.values,
            sparsity,
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
            sparsity,
            dfeatures,
            log_norm.gradient,
            c,
            strength as f32,
            precision,
        ),
    }
}
