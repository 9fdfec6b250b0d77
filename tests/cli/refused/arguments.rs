//! What is wrong with arguments.

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "unknown device",
            nothing,
            "info --device tpu",
            &["--device", "\"tpu\"", "cuda:N"],
        ),
        case(
            "no CUDA",
            nothing,
            "evaluate run --device cuda:99",
            &["--device", "cuda:99"],
        ),
        case(
            "neurons beyond",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out y.npy --neurons 3-5",
            &["--neurons", "\"3-5\"", "0 to 4"],
        ),
        case(
            "neurons in words",
            nothing,
            "evaluate run --neurons all",
            &["--neurons", "\"all\""],
        ),
        case(
            "a neuron twice",
            nothing,
            "evaluate run --neurons 0-2,1",
            &["--neurons", "neuron 1 twice"],
        ),
        case(
            "set without value",
            nothing,
            "train c.toml --out new --set training",
            &["--set", "\"training\"", "KEY=VALUE"],
        ),
        case(
            "set of an unknown key",
            nothing,
            "train c.toml --out new --set training.step=3",
            &["--set", "\"step\"", "did you mean"],
        ),
        case(
            "set of a wrong type",
            nothing,
            "train c.toml --out new --set training.phases=two",
            &["two", "phases"],
        ),
        case(
            "unknown readout",
            nothing,
            "evaluate run --readout other",
            &["--readout", "other", "rec"],
        ),
        case("no images", nothing, PREDICT, &["x.npy", "cannot read"]),
        case(
            "images of another size",
            image("x.npy", (2, 16, 12), 3.0),
            PREDICT,
            &["16 x 12", "12 x 16"],
        ),
        case(
            "one image without its axis",
            |f| npy::write(&f.join("x.npy"), Array2::<f32>::zeros((12, 16)).view()).unwrap(),
            PREDICT,
            &["x.npy", "(12, 16)", "(images, height, width)"],
        ),
        case(
            "infinite grey",
            image("x.npy", (2, 12, 16), f32::INFINITY),
            PREDICT,
            &["x.npy", "image 0, row 0, column 0", "inf"],
        ),
        case(
            "images of another size",
            image("x.npy", (2, 16, 12), 3.0),
            PREDICT,
            &["x.npy", "16 x 12", "12 x 16"],
        ),
        case(
            "out in no directory",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out gone/y.npy",
            &["gone/y.npy", "gone does not exist"],
        ),
        case(
            "out is a directory",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out rec",
            &["rec", "this is a directory"],
        ),
        case(
            "out below a file",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out c.toml/y.npy",
            &["c.toml is not a directory"],
        ),
        case(
            "full disk",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out /dev/full",
            &["/dev/full", "space"],
        ),
        case(
            "unwritable",
            image("x.npy", (2, 12, 16), 3.0),
            "predict run --images x.npy --out /proc/y.npy",
            &["/proc/y.npy", "cannot write"],
        ),
        case(
            "run is a file",
            put("file", b"x"),
            "train c.toml --out file",
            &["file", "cannot create"],
        ),
        case(
            "run is a recording",
            nothing,
            "train c.toml --out rec",
            &["rec", "this is a recording"],
        ),
        case(
            "recording exists",
            nothing,
            "simulate --out rec --neurons 5 --train 20 --validation 4 --test 4 --repeats 2 --height 24 --width 24",
            &["rec", "not empty"],
        ),
        case(
            "images too small to simulate",
            nothing,
            "simulate --out sim --height 5 --width 5",
            &["image height", "5"],
        ),
        case(
            "images beyond all memory",
            nothing,
            "simulate --out sim --height 1000000 --width 1000000",
            &["memory", "bytes"],
        ),
        case(
            "import of nothing",
            nothing,
            "import npy gone --out new",
            &["gone", "does not exist"],
        ),
        case(
            "misspelt option",
            nothing,
            "train c.toml --ouut new",
            &["--ouut", "--out"],
        ),
        case("missing option", nothing, "predict run", &["--images"]),
        case(
            "seed that is no number",
            nothing,
            "evaluate run --seed x",
            &["--seed", "x"],
        ),
    ]
}
