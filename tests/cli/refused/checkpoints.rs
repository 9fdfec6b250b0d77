//! What is wrong with checkpoints.

use super::*;

pub fn cases() -> Vec<Case> {
    let inspect = "inspect run";
    vec![
        case(
            "truncated",
            cut("run/model.safetensors", 900),
            inspect,
            &["model.safetensors", "not a safetensors file"],
        ),
        case(
            "empty",
            put("run/model.safetensors", b""),
            inspect,
            &["model.safetensors", "not a safetensors file"],
        ),
        case(
            "garbage",
            put(
                "run/model.safetensors",
                b"\xff\xff\xff\xff\xff\xff\xff\x7f garbage garbage",
            ),
            inspect,
            &["model.safetensors", "not a safetensors file"],
        ),
        case(
            "lying header",
            lying,
            inspect,
            &["model.safetensors", "not a safetensors file"],
        ),
        case(
            "16-bit floats",
            halves,
            inspect,
            &["readout.rec.mask", "F16", "F32"],
        ),
        case(
            "NaN",
            not_a_number,
            inspect,
            &["model.safetensors", "NaN", "a finite number"],
        ),
        case(
            "a directory",
            in_place_of_a_file("run/model.safetensors"),
            inspect,
            &["model.safetensors", "a directory"],
        ),
        case(
            "no model",
            |f| fs::remove_file(f.join("run/model.safetensors")).unwrap(),
            inspect,
            &["model.safetensors", "cannot read"],
        ),
        case(
            "no configuration",
            |f| fs::remove_file(f.join("run/config.toml")).unwrap(),
            "evaluate run",
            &["config.toml", "cannot read"],
        ),
        case(
            "missing tensor",
            model(|t| drop(t.tensors.remove("core.1.coefficients"))),
            "verify-equivariance run",
            &["core.1.coefficients", "missing"],
        ),
        case(
            "wrong shape",
            model(|t| {
                t.tensors
                    .get_mut("readout.rec.features")
                    .unwrap()
                    .0
                    .reverse()
            }),
            "evaluate run",
            &["readout.rec.features", "[8, 5]", "[5, 8]"],
        ),
        case(
            "no SD",
            model(|t| t.tensors.get_mut("input.sd").unwrap().1[0] = 0.0),
            "evaluate run",
            &["input.sd", "is 0", "above 0"],
        ),
        case(
            "no scale",
            model(|t| t.tensors.get_mut("readout.rec.response_scale").unwrap().1[3] = 0.0),
            "evaluate run",
            &["element 3 of readout.rec.response_scale", "above 0"],
        ),
        case(
            "negative variance",
            model(|t| t.tensors.get_mut("core.0.norm.variance").unwrap().1[1] = -1.0),
            "evaluate run",
            &["element 1 of core.0.norm.variance", "-1"],
        ),
        case(
            "no readout",
            model(|t| t.tensors.retain(|n, _| !n.starts_with("readout"))),
            "evaluate run",
            &["readout.<name>.mask"],
        ),
        case(
            "empty mask",
            model(|t| t.insert("readout.x.mask".into(), &[0, 3, 4], vec![])),
            inspect,
            &["readout.x.mask", "no empty axis"],
        ),
        case(
            "flat mask",
            model(|t| t.tensors.get_mut("readout.rec.mask").unwrap().0 = vec![960]),
            inspect,
            &["readout.rec.mask", "[960]", "(neurons, height, width)"],
        ),
        case(
            "no run",
            nothing,
            "evaluate nowhere",
            &["nowhere", "does not exist"],
        ),
        case(
            "no match for --init",
            |f| {
                let mut t = Tensors::default();
                t.insert("core.0.coefficients".into(), &[1], vec![1.0]);
                t.write(&f.join("other.safetensors")).unwrap();
            },
            "train c.toml --out new --init other.safetensors",
            &["other.safetensors", "--init"],
        ),
        case(
            "no --init",
            nothing,
            "train c.toml --out new --init gone",
            &["gone", "cannot read"],
        ),
        case(
            "garbage to resume",
            put("run/resume.safetensors", b"garbage"),
            RESUME,
            &["resume.safetensors", "not a safetensors file"],
        ),
        case(
            "no state to resume",
            resume(|t| t.metadata.clear()),
            RESUME,
            &["resume.safetensors", "no training state"],
        ),
        case(
            "nonsense to resume",
            resume(|t| drop(t.metadata.insert("state".into(), "{}".into()))),
            RESUME,
            &["resume.safetensors", "makes no sense"],
        ),
        case(
            "another model to resume",
            resume(|t| {
                t.tensors
                    .get_mut("now.values.core.0.coefficients")
                    .unwrap()
                    .0
                    .reverse()
            }),
            RESUME,
            &["now.values.core.0.coefficients", "shape"],
        ),
        case(
            "half to resume",
            resume(|t| t.tensors.retain(|n, _| !n.starts_with("best."))),
            RESUME,
            &["best.values", "missing"],
        ),
        case(
            "nothing to compare with",
            |f| fs::remove_file(f.join("run/config.toml")).unwrap(),
            RESUME,
            &["run/config.toml", "cannot read"],
        ),
    ]
}
