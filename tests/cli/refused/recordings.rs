//! What is wrong with recordings.

use super::*;

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "no images",
            |f| fs::remove_file(f.join("rec/images.npy")).unwrap(),
            TRAIN,
            &["rec/images.npy", "cannot read"],
        ),
        case(
            "truncated images",
            cut("rec/images.npy", 400),
            "inspect rec",
            &["rec/images.npy", "truncated"],
        ),
        case(
            "garbage images",
            put("rec/images.npy", b"hello"),
            "evaluate run",
            &["rec/images.npy", "ends within its header"],
        ),
        case(
            "unknown tier",
            put("rec/trials.csv", b"image,tier\n0,oracle\n"),
            TRAIN,
            &["trials.csv", "line 2", "oracle", "validation"],
        ),
        case(
            "too few trials",
            put("rec/trials.csv", b"image,tier\n0,train\n1,test\n"),
            "inspect rec",
            &["trials.csv", "is 2", "70"],
        ),
        case(
            "misspelt metadata",
            put("rec/recording.toml", b"nome = \"x\"\n"),
            TRAIN,
            &["recording.toml", "nome", "`name`"],
        ),
        case(
            "slash in the name",
            put("rec/recording.toml", b"name = \"a/b\"\n"),
            TRAIN,
            &["a/b", "without slashes"],
        ),
        case(
            "slash in the name, looked at",
            put("rec/recording.toml", b"name = \"a/b\"\n"),
            "inspect rec",
            &["rec/recording.toml", "a/b", "without slashes"],
        ),
        case(
            "semicolons",
            put("rec/trials.csv", b"image;tier\n0;train\n"),
            "inspect rec",
            &["trials.csv", "\"image;tier\"", "\"image,tier\"", "commas"],
        ),
        case(
            "semicolons and decimal commas",
            put("rec/neurons.csv", b"neuron;depth\n0;1,5\n1;2,5\n"),
            TRAIN,
            &["neurons.csv", "\"neuron;depth\"", "semicolons", "points"],
        ),
        case(
            "constant images",
            |f| {
                npy::write(
                    &f.join("rec/images.npy"),
                    Array3::from_elem((58, 12, 16), 7_u8).view(),
                )
                .unwrap();
            },
            TRAIN,
            &["rec", "SD of the training images", "7"],
        ),
        case(
            "infinite response",
            |f| {
                let mut r = recording("rec", 5, 1).responses;
                r[[3, 2]] = f32::INFINITY;
                npy::write(&f.join("rec/responses.npy"), r.view()).unwrap();
            },
            "evaluate run",
            &["responses.npy", "trial 3", "neuron 2", "inf"],
        ),
        case(
            "two of one name",
            |f| {
                second("rec2", "rec", 5)(f);
                fs::write(f.join("c.toml"), config("[\"rec\", \"rec2\"]", SHORT)).unwrap();
            },
            TRAIN,
            &["rec2", "\"rec\"", "recording.toml"],
        ),
        case(
            "other neurons",
            second("rec2", "x", 4),
            "evaluate run --recording rec2",
            &["number of neurons", "4", "5"],
        ),
        case(
            "other size",
            |f| sized("x", 5, (13, 16), 1).write(&f.join("rec2")).unwrap(),
            "evaluate run --recording rec2",
            &["recording x", "13 x 16", "12 x 16"],
        ),
        case(
            "no recording",
            nothing,
            "evaluate run --recording nowhere",
            &["nowhere", "does not exist"],
        ),
        case(
            "neither",
            nothing,
            "inspect nowhere",
            &["nowhere", "does not exist"],
        ),
    ]
}
