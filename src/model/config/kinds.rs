//! What each kind of core brings with it: its defaults, and which keys it has no use for.

use super::{
    Config, Core, CoreKind, FeaturesPenalty, Loss, Optimiser, Penalties, Readout, ReadoutKind,
    Training,
};
use crate::ops::activation::{Activation, Output};
use crate::{Error, Result};

impl Config {
    /// The defaults of a kind of core, its penalties' factors per layer still to be filled.
    pub(super) fn of_kind(kind: CoreKind) -> Self {
        let published = Self {
            recordings: Vec::new(),
            core: Core {
                kind,
                ..Core::default()
            },
            readout: Readout::default(),
            penalties: Penalties::default(),
            training: Training::default(),
        };
        let unpunished = Penalties {
            smoothness: 0.0,
            group_sparsity: 0.0,
            readout_sparsity: 0.0,
            ..Penalties::default()
        };
        match kind {
            CoreKind::RotationEquivariant | CoreKind::Convolutional => published,
            CoreKind::Linear => Self {
                core: Core {
                    filter_sizes: Vec::new(),
                    features: Vec::new(),
                    ..published.core
                },
                penalties: unpunished,
                ..published
            },
            CoreKind::Kindel => Self {
                core: Core {
                    filter_sizes: vec![7, 7],
                    features: vec![16, 32],
                    activation: Activation::Relu,
                    ..published.core
                },
                readout: Readout {
                    output: Output::Linear,
                    ..published.readout
                },
                penalties: unpunished,
                training: Training {
                    loss: Loss::VarianceScaledMse,
                    optimiser: Optimiser::Sgd,
                    learning_rate: 0.001,
                    batch_size: 32,
                    ..published.training
                },
                ..published
            },
        }
    }

    /// Whether each neuron weighs all of the core's output by itself: no masks, no bar codes.
    pub fn is_unfactorised(&self) -> bool {
        matches!(self.core.kind, CoreKind::Kindel | CoreKind::Linear)
    }

    /// Refuses what the kind of core has no use for, and sizes that are none.
    pub(super) fn check_kind(&self, place: &str) -> Result<()> {
        let bad = |key: &str, got: &dyn std::fmt::Debug, wanted: &str| {
            Err(Error::bad(place, key, format!("{got:?}"), wanted))
        };
        let (c, p) = (&self.core, &self.penalties);
        if !(p.pixel_ridge.is_finite() && p.pixel_ridge >= 0.0) {
            let wanted = "a finite number, not negative";
            return bad("penalties.pixel_ridge", &p.pixel_ridge, wanted);
        }
        if c.kind != CoreKind::Linear && p.pixel_ridge > 0.0 {
            let wanted = "0: it belongs to core.kind = \"linear\"";
            return bad("penalties.pixel_ridge", &p.pixel_ridge, wanted);
        }
        for (key, n, most) in [
            ("core.pool_size", c.pool_size, 64),
            ("core.pool_stride", c.pool_stride, 64),
            ("core.dense", c.dense, 1 << 16),
        ] {
            if !(1..=most).contains(&n) {
                return bad(key, &n, &format!("1 to {most}"));
            }
        }
        if !(c.dropout_keep > 0.0 && c.dropout_keep <= 1.0) {
            let wanted = "a share above 0, at most 1";
            return bad("core.dropout_keep", &c.dropout_keep, wanted);
        }
        if !self.is_unfactorised() {
            return Ok(());
        }
        let kind = match c.kind {
            CoreKind::Kindel => "kindel",
            _ => "linear",
        };
        for (key, value) in [
            ("penalties.smoothness", p.smoothness),
            ("penalties.group_sparsity", p.group_sparsity),
            ("penalties.readout_sparsity", p.readout_sparsity),
        ] {
            if value != 0.0 {
                let wanted = format!("0: core.kind = \"{kind}\" has no such penalty");
                return bad(key, &value, &wanted);
            }
        }
        let r = &self.readout;
        if r.window > 0 {
            let wanted = format!("0: core.kind = \"{kind}\" has no masks");
            return bad("readout.window", &r.window, &wanted);
        }
        if r.positive_features {
            let wanted = format!("false with core.kind = \"{kind}\"");
            return bad("readout.positive_features", &r.positive_features, &wanted);
        }
        if r.features_penalty != FeaturesPenalty::L1Joint {
            let wanted =
                format!("\"l1-joint\" with core.kind = \"{kind}\", which has no mask to weigh");
            return bad("readout.features_penalty", &r.features_penalty, &wanted);
        }
        if r.kind != ReadoutKind::Factorised {
            let wanted = format!("not given: core.kind = \"{kind}\" has a readout of its own");
            return bad("readout.kind", &r.kind, &wanted);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Padding;
    use super::*;

    #[test]
    fn kindel_brings_the_published_network_and_what_is_given_counts() {
        let text = "[core]\nkind = \"kindel\"\ndense = 20\n[training]\nbatch_size = 8\n";
        let set = ["training.loss=poisson".to_string()];
        let c = Config::parse(text, "x", &set).unwrap();
        assert_eq!(
            (&c.core.filter_sizes[..], &c.core.features[..]),
            (&[7, 7][..], &[16, 32][..])
        );
        assert_eq!(
            (c.core.pool_size, c.core.pool_stride, c.core.dense),
            (3, 2, 20)
        );
        assert_eq!((c.core.dropout_keep, c.core.padding), (0.55, Padding::Same));
        assert_eq!(
            (c.core.activation, c.readout.output),
            (Activation::Relu, Output::Linear)
        );
        let t = &c.training;
        assert_eq!(
            (t.loss, t.optimiser, t.batch_size),
            (Loss::Poisson, Optimiser::Sgd, 8)
        );
        assert_eq!(c.penalties.readout_sparsity, 0.0);
        // The kind may be an override too.
        let c = Config::parse("", "x", &["core.kind=kindel".into()]).unwrap();
        assert_eq!(
            (c.training.loss, c.core.dense),
            (Loss::VarianceScaledMse, 300)
        );
        let again = Config::parse(&c.to_toml().unwrap(), "x", &[]).unwrap();
        assert_eq!(again, c);
    }

    #[test]
    fn the_linear_model_is_poisson_and_softplus_without_penalties() {
        let c = Config::parse("[core]\nkind = \"linear\"\n", "x", &[]).unwrap();
        assert_eq!(
            (c.training.loss, c.readout.output),
            (Loss::Poisson, Output::Softplus)
        );
        assert_eq!(
            (c.training.optimiser, c.training.batch_size),
            (Optimiser::Adam, 256)
        );
        assert_eq!(
            (c.penalties.pixel_ridge, c.penalties.smoothness),
            (0.0, 0.0)
        );
        let again = Config::parse(&c.to_toml().unwrap(), "x", &[]).unwrap();
        assert_eq!(again, c);
    }

    #[test]
    fn keys_that_a_kind_has_no_use_for_are_refused_by_name() {
        for (text, wanted) in [
            (
                "kind = \"kindel\"\n[penalties]\nreadout_sparsity = 0.1",
                "penalties.readout_sparsity is 0.1",
            ),
            (
                "kind = \"kindel\"\n[penalties]\nsmoothness = 0.1",
                "penalties.smoothness",
            ),
            (
                "kind = \"linear\"\n[penalties]\ngroup_sparsity = 1",
                "penalties.group_sparsity",
            ),
            (
                "kind = \"kindel\"\n[penalties]\npixel_ridge = 0.1",
                "penalties.pixel_ridge",
            ),
            ("[penalties]\npixel_ridge = 0.1", "penalties.pixel_ridge"),
            (
                "kind = \"linear\"\n[penalties]\npixel_ridge = -1.0",
                "penalties.pixel_ridge",
            ),
            (
                "kind = \"kindel\"\n[readout]\nwindow = 16",
                "readout.window is 16",
            ),
            (
                "kind = \"linear\"\n[readout]\npositive_features = true",
                "readout.positive_features",
            ),
            (
                "kind = \"kindel\"\n[readout]\nfeatures_penalty = \"l2\"",
                "readout.features_penalty",
            ),
            (
                "kind = \"linear\"\n[readout]\nkind = \"gaussian\"",
                "readout.kind",
            ),
            (
                "kind = \"kindel\"\ndropout_keep = 0.0",
                "core.dropout_keep is 0",
            ),
            ("kind = \"kindel\"\ndropout_keep = 1.5", "core.dropout_keep"),
            ("kind = \"kindel\"\npool_size = 0", "core.pool_size is 0"),
            ("kind = \"kindel\"\npool_stride = 0", "core.pool_stride"),
            ("kind = \"kindel\"\ndense = 0", "core.dense is 0"),
            ("kind = \"kindel\"\nfilter_sizes = [6, 7]", "odd"),
            ("kind = \"kindel\"\nfeatures = [6]", "core.features"),
        ] {
            let text = match text.starts_with('[') {
                true => text.to_string(),
                false => format!("[core]\n{text}"),
            };
            let message = Config::parse(&text, "c.toml", &[]).unwrap_err().to_string();
            let told = message.contains(wanted) && message.contains("c.toml");
            assert!(told, "{text}: {message}");
        }
    }
}
