//! What is wrong with configurations.

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "unknown key",
            configured("features", "feature"),
            TRAIN,
            &[
                "c.toml",
                "[core]",
                "\"feature\"",
                "did you mean \"features\"",
            ],
        ),
        case(
            "unknown section",
            configured("[training]", "[trainin]"),
            TRAIN,
            &["trainin", "\"training\""],
        ),
        case(
            "broken TOML",
            configured("[training]", "[training"),
            TRAIN,
            &["c.toml", "line "],
        ),
        case(
            "wrong type",
            configured("batch_size = 16", "batch_size = \"many\""),
            TRAIN,
            &["c.toml", "many", "batch_size"],
        ),
        case(
            "batch of none",
            configured("batch_size = 16", "batch_size = 0"),
            TRAIN,
            &["training.batch_size is 0", "at least 1"],
        ),
        case(
            "even filter",
            configured("[5, 3]", "[5, 4]"),
            TRAIN,
            &["core.filter_sizes", "[5, 4]", "odd"],
        ),
        case(
            "no layers",
            configured("[5, 3]", "[]"),
            TRAIN,
            &["core.filter_sizes", "[]"],
        ),
        case(
            "layers that differ",
            configured("[2, 2]", "[2]"),
            TRAIN,
            &["core.features", "[2]", "2 as in core.filter_sizes"],
        ),
        case(
            "padding beyond the image",
            configured(
                "orientations = 4\nfilter_sizes = [5, 3]",
                "padding = \"valid\"\nfilter_sizes = [11, 3]",
            ),
            TRAIN,
            &["valid", "12 x 16", "more than 12"],
        ),
        case(
            "beyond all memory",
            configured(
                "orientations = 4\nfilter_sizes = [5, 3]\nfeatures = [2, 2]",
                "orientations = 64\nfilter_sizes = [5, 13, 13, 13, 13, 13, 13]\nfeatures = [4096, 4096, 4096, 4096, 4096, 4096, 4096]",
            ),
            TRAIN,
            &["memory", "bytes", "at most"],
        ),
        case(
            "no recordings",
            configured("[\"rec\"]", "[]"),
            TRAIN,
            &["c.toml", "recordings", "at least one"],
        ),
        case(
            "recording nowhere",
            configured("[\"rec\"]", "[\"gone\"]"),
            "train ./c.toml --out new",
            &["gone", "neither ./gone nor gone"],
        ),
        case(
            "penalty that a kind has none of",
            configured("orientations = 4", "kind = \"kindel\""),
            TRAIN,
            &["penalties.smoothness is 0.001", "kindel"],
        ),
        case(
            "negative penalty",
            configured("smoothness = 0.001", "smoothness = -1"),
            TRAIN,
            &["penalties.smoothness is -1"],
        ),
        case(
            "no configuration",
            nothing,
            "train nothing.toml --out new",
            &["nothing.toml", "cannot read"],
        ),
        case(
            "a directory",
            nothing,
            "train rec --out new",
            &["rec", "cannot read"],
        ),
    ]
}
