//! Which values make sense.

use super::{Config, CoreKind, FeaturesPenalty, ReadoutKind};
use crate::model::windows::GRID;
use crate::ops::group_conv::MAX_KERNEL;
use crate::recording::chosen_rows;
use crate::{Error, Result};

/// No recording has as many neurons.
pub(super) const MOST_NEURONS: usize = 1 << 24;

impl Config {
    pub(super) fn check(&self, place: &str) -> Result<()> {
        let bad = |key: &str, got: &dyn std::fmt::Debug, wanted: &str| {
            Err(Error::bad(place, key, format!("{got:?}"), wanted))
        };
        let c = &self.core;
        self.check_kind(place)?;
        let r = &self.readout;
        if r.kind == ReadoutKind::Gaussian {
            if r.positive_features {
                let wanted = "false with readout.kind = \"gaussian\"";
                return bad("readout.positive_features", &true, wanted);
            }
            if r.features_penalty != FeaturesPenalty::L1Joint {
                let wanted = "\"l1-joint\" with readout.kind = \"gaussian\"";
                return bad("readout.features_penalty", &r.features_penalty, wanted);
            }
            if r.window > 0 {
                let wanted = "0 with readout.kind = \"gaussian\", which has no masks";
                return bad("readout.window", &r.window, wanted);
            }
        }
        if !(r.initial_spread.is_finite() && r.initial_spread >= 0.0) {
            let wanted = "a finite number, not negative";
            return bad("readout.initial_spread", &r.initial_spread, wanted);
        }
        if !(0.0..=1.0).contains(&r.initial_range) {
            return bad("readout.initial_range", &r.initial_range, "0 to 1");
        }
        if (1..GRID).contains(&r.window) || r.window > 1 << 20 {
            let wanted = format!("0 for the whole map, or at least {GRID} pixels");
            return bad("readout.window", &r.window, &wanted);
        }
        if !(0.0..=1.0).contains(&r.window_mass) {
            return bad("readout.window_mass", &r.window_mass, "a share from 0 to 1");
        }
        if !(1..=64).contains(&c.orientations) {
            return bad("core.orientations", &c.orientations, "1 to 64");
        }
        if c.kind != CoreKind::Linear {
            self.check_layers(place)?;
        }
        let p = &self.penalties;
        for (key, value) in [
            ("penalties.smoothness", p.smoothness),
            ("penalties.group_sparsity", p.group_sparsity),
            ("penalties.readout_sparsity", p.readout_sparsity),
            ("penalties.features_ridge", p.features_ridge),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return bad(key, &value, "a finite number, not negative");
            }
        }
        if !(p.log_norm_sd.is_finite() && p.log_norm_sd > 0.0) {
            let wanted = "a finite number above 0";
            return bad("penalties.log_norm_sd", &p.log_norm_sd, wanted);
        }
        let t = &self.training;
        for (key, value) in [
            ("training.learning_rate", t.learning_rate),
            ("training.decay", t.decay),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return bad(key, &value, "a finite number above 0");
            }
        }
        for (key, value) in [
            ("training.batch_size", t.batch_size as u64),
            ("training.max_steps", t.max_steps),
            ("training.validate_every", t.validate_every),
            ("training.patience", t.patience),
            ("training.phases", u64::from(t.phases)),
        ] {
            if value == 0 {
                return bad(key, &value, "at least 1");
            }
        }
        if !(t.trial_fraction > 0.0 && t.trial_fraction <= 1.0) {
            return bad(
                "training.trial_fraction",
                &t.trial_fraction,
                "above 0 and at most 1",
            );
        }
        if !t.neurons.is_empty()
            && let Err(got) = chosen_rows(&t.neurons, MOST_NEURONS)
        {
            let wanted = "neurons, none twice, as in \"0-99,250\" or \"0-6004:2\"; \"\" for all";
            return Err(Error::bad(place, "training.neurons", got, wanted));
        }
        if t.batch_size > 1 << 20 {
            return bad("training.batch_size", &t.batch_size, "at most 1048576");
        }
        if t.phases > 100 {
            return bad("training.phases", &t.phases, "at most 100");
        }
        Ok(())
    }

    fn check_layers(&self, place: &str) -> Result<()> {
        let bad = |key: &str, got: &dyn std::fmt::Debug, wanted: &str| {
            Err(Error::bad(place, key, format!("{got:?}"), wanted))
        };
        let c = &self.core;
        let layers = c.filter_sizes.len();
        if !(1..=16).contains(&layers) {
            return bad(
                "core.filter_sizes",
                &c.filter_sizes,
                "one filter width per layer, 1 to 16 layers",
            );
        }
        if c.features.len() != layers {
            let wanted = format!("one number per layer, {layers} as in core.filter_sizes");
            return bad("core.features", &c.features, &wanted);
        }
        if c.filter_sizes.iter().any(|k| k % 2 == 0 || *k > MAX_KERNEL) {
            return bad(
                "core.filter_sizes",
                &c.filter_sizes,
                &format!("odd widths from 1 to {MAX_KERNEL} pixels"),
            );
        }
        if c.features.iter().any(|f| !(1..=4096).contains(f)) {
            return bad(
                "core.features",
                &c.features,
                "1 to 4096 features in each layer",
            );
        }
        let p = &self.penalties;
        for (key, values) in [
            ("penalties.smoothness_per_layer", &p.smoothness_per_layer),
            (
                "penalties.group_sparsity_per_layer",
                &p.group_sparsity_per_layer,
            ),
        ] {
            if values.len() != layers || values.iter().any(|v| !(v.is_finite() && *v >= 0.0)) {
                let wanted = format!("{layers} numbers, none negative: one per layer");
                return bad(key, values, &wanted);
            }
        }
        Ok(())
    }
}
