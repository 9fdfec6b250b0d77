//! Tuning over two conditions: size and contrast, plaids.

use super::tuning::{COLUMNS, axis, axis_words, curves, data, head, index, places, spots};
use crate::npy::Archive;
use crate::report::figure::Figure;
use crate::report::plot::{Axis, Frame, Mark, Svg, Text, WIDTH, bar, matrix, ramp};
use crate::report::source::{Found, Source};

/// What a surface is about.
struct Surface<'a> {
    words: [&'a str; 3],
    array: &'a str,
    axes: [(&'a str, &'a str); 2],
    indices: &'a [(&'a str, &'a str)],
}

/// Size and contrast.
pub fn size_contrast(
    run: &Source,
    found: &Found,
    archive: &mut Archive,
    chosen: &[usize],
) -> Result<Figure, String> {
    let of = Surface {
        words: [
            "tuning-size-contrast",
            "Size and contrast",
            "Response by the size of the optimal Gabor (to the right) and its contrast (upwards), as a share of the neuron\u{2019}s largest. Darker again at large sizes: the surround suppresses.",
        ],
        array: "size_contrast",
        axes: [
            ("size_contrast_contrasts", "contrast (z-scored grey level)"),
            ("size_contrast_sizes", "size (pixels)"),
        ],
        indices: &[
            ("suppression_index", "suppression"),
            ("contrast_index", "contrast"),
        ],
    };
    surfaces(run, found, archive, chosen, &of, true)
}

/// Plaids.
pub fn plaid(
    run: &Source,
    found: &Found,
    archive: &mut Archive,
    chosen: &[usize],
) -> Result<Figure, String> {
    let of = Surface {
        words: [
            "tuning-plaid",
            "Plaids",
            "Response to the optimal Gabor (contrast to the right) with the orthogonal one laid over it (contrast upwards), as a share of the neuron\u{2019}s largest. Darker upwards: the other orientation inhibits.",
        ],
        array: "plaid",
        axes: [
            ("plaid_orthogonal", "orthogonal contrast"),
            ("plaid_preferred", "preferred contrast"),
        ],
        indices: &[("plaid_index", "plaid index")],
    };
    surfaces(run, found, archive, chosen, &of, false)
}

/// Surfaces as coloured cells. Of arrays (n, a, b), b goes to the right, or a where the first axis is the one to the right.
fn surfaces(
    run: &Source,
    found: &Found,
    archive: &mut Archive,
    chosen: &[usize],
    of: &Surface,
    first_right: bool,
) -> Result<Figure, String> {
    let all = curves(archive, of.array, found, chosen)?;
    let &[a, b] = &all.shape[..] else {
        return Err(format!(
            "tuning.npz, {}: {:?}, wanted two axes",
            of.array, all.shape
        ));
    };
    let (columns, rows) = if first_right { (a, b) } else { (b, a) };
    let [up, right] = of.axes;
    let (ups, rights) = (axis(archive, up.0, rows)?, axis(archive, right.0, columns)?);
    // Room above for the neuron and a line per index.
    let below = 17.0 + 11.5 * of.indices.len() as f64;
    let (wide, high) = (94.0, 96.0 + below);
    let lines = chosen.len().div_ceil(COLUMNS);
    let mut svg = Svg::new(lines as f64 * high + 30.0);
    let at = places(4.0, (wide, high), 42.0);
    let side = 74.0;
    let ends = |values: &[f64]| -> Vec<(f64, String)> {
        let mut picks = vec![0, values.len() / 2, values.len() - 1];
        picks.dedup();
        picks
            .into_iter()
            .map(|i| (i as f64 + 0.5, shown_short(values[i])))
            .collect()
    };
    for (i, surface) in all.rows.iter().enumerate() {
        let (x, y) = at(i);
        let words: Vec<String> = of
            .indices
            .iter()
            .map(|(name, words)| index(found, name, words, chosen[i]))
            .collect();
        head(&mut svg, (x, y + 10.0), run, chosen[i], &words, wide - 2.0);
        let cell = |r: usize, c: usize| {
            if first_right {
                surface[c * b + r]
            } else {
                surface[r * b + c]
            }
        };
        let most = surface.iter().copied().fold(0.0, f64::max).max(1e-12);
        let values: Vec<f64> = (0..rows)
            .rev()
            .flat_map(|r| (0..columns).map(move |c| (r, c)))
            .map(|(r, c)| cell(r, c) / most)
            .collect();
        let place = [x, y + below, side, side];
        let picture = matrix(&values, columns, ramp);
        svg.picture(place, &picture, false, &Mark::default().class("matrix"));
        let frame = Frame::new(
            place,
            Axis::new("", 0.0, columns as f64).with_ticks(ends(&rights)),
            Axis::new("", 0.0, rows as f64).with_ticks(ends(&ups)),
        );
        frame.axes_with(&mut svg, false, false);
        for (value, word) in frame.x.ticks(3) {
            svg.text(
                (frame.at(value, 0.0).0, y + below + side + 14.0),
                &word,
                Text::middle(8.5),
            );
        }
        if i % COLUMNS == 0 {
            for (value, word) in frame.y.ticks(3) {
                svg.text(
                    (x - 6.0, frame.at(0.0, value).1 + 3.0),
                    &word,
                    Text::end(8.5),
                );
            }
        }
    }
    axis_words(&mut svg, lines as f64 * high + 20.0, right.1, up.1);
    bar(
        &mut svg,
        (WIDTH - 54.0, 4.0 + below, side),
        0.0,
        1.0,
        "share of largest",
    );
    let [name, title, see] = of.words;
    let caption = format!("{see} {} neurons.", chosen.len());
    let (mut rs, mut us) = (Vec::new(), Vec::new());
    for i in 0..a * b {
        let (first, second) = (i / b, i % b);
        let (c, r) = if first_right {
            (first, second)
        } else {
            (second, first)
        };
        rs.push(rights[c]);
        us.push(ups[r]);
    }
    let table = data(
        run,
        chosen,
        &[(column_of(right.1), rs), (column_of(up.1), us)],
        &all,
    );
    let mut figure = Figure::new(name, title, caption, svg.finish(title), table);
    figure.places = spots(
        chosen,
        |i| (at(i).0 + side / 2.0, at(i).1 + below + side / 2.0),
        side / 2.0,
    );
    Ok(figure)
}

fn column_of(words: &str) -> &'static str {
    match words {
        "size (pixels)" => "size_pixels",
        "contrast (z-scored grey level)" => "contrast",
        "orthogonal contrast" => "orthogonal_contrast",
        _ => "preferred_contrast",
    }
}

/// Two significant digits.
fn shown_short(v: f64) -> String {
    match v.abs() {
        a if a >= 10.0 => format!("{v:.0}"),
        a if a >= 1.0 => format!("{v:.1}"),
        0.0 => "0".into(),
        _ => format!("{v:.2}"),
    }
}
