//! What several figures share.

use crate::report::figure::Figure;
use crate::report::plot::{
    Axis, BLUE, Frame, Mark, Rgb, Svg, Text, WIDTH, bar, hex, ramp, shown, text_width,
};
use crate::report::source::{Found, Source};
use crate::statistics::mean_of_known;
use crate::table::{Column, Table};

/// Whole numbers of this kind, with the word.
pub fn count(n: usize, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{} {many}", thousands(n)),
    }
}

/// As 13,047.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// How often values fall between edges; the last bin has both of its edges.
pub fn histogram(values: &[f64], low: f64, high: f64, bins: usize) -> Vec<(f64, f64, f64)> {
    let step = (high - low) / bins as f64;
    let mut counts = vec![0.0; bins];
    for v in values.iter().filter(|v| (low..=high).contains(*v)) {
        counts[(((v - low) / step) as usize).min(bins - 1)] += 1.0;
    }
    let edge = |i: usize| low + i as f64 * step;
    counts
        .into_iter()
        .enumerate()
        .map(|(i, c)| (edge(i), edge(i + 1), c))
        .collect()
}

/// Bars as a table.
pub fn bins(bars: &[(f64, f64, f64)], name: &str) -> Table {
    let of = |f: fn(&(f64, f64, f64)) -> f64| Column::Number(bars.iter().map(f).collect());
    Table::new()
        .with("from", of(|b| b.0))
        .with("to", of(|b| b.1))
        .with(name, of(|b| b.2))
}

/// One quantity of every neuron against another.
pub struct Scatter<'a> {
    /// File name, title and what to see.
    pub words: [&'a str; 3],
    /// Words and values to the right.
    pub x: (&'a str, &'a [f64]),
    /// Words and values upwards.
    pub y: (&'a str, &'a [f64]),
    /// Names of both in the table.
    pub columns: [&'a str; 2],
    /// Whether both are of one kind, so that a diagonal means something.
    pub alike: bool,
    /// Colour of the points.
    pub colour: Rgb,
}

impl Scatter<'_> {
    /// Draws it; none where no neuron has both.
    pub fn draw(&self, run: &Source) -> Option<Figure> {
        let (xs, ys) = (self.x.1, self.y.1);
        let known: Vec<usize> = (0..xs.len().min(ys.len()))
            .filter(|&n| xs[n].is_finite() && ys[n].is_finite())
            .collect();
        if known.is_empty() {
            return None;
        }
        let pick = |v: &[f64]| -> Vec<f64> { known.iter().map(|&n| v[n]).collect() };
        let (x, y) = (pick(xs), pick(ys));
        let axis = |label: &str, own: &[f64], other: &[f64]| match self.alike {
            true => Axis::around(label, own.iter().chain(other)),
            false => Axis::around(label, own),
        };
        let frame = Frame::new(
            [56.0, 10.0, WIDTH - 72.0, 238.0],
            axis(self.x.0, &x, &y),
            axis(self.y.0, &y, &x),
        );
        let mut svg = Svg::new(288.0);
        frame.axes(&mut svg);
        if self.alike {
            frame.diagonal(&mut svg);
        }
        let places = frame.points(&mut svg, &x, &y, |_| self.colour);
        let [name, title, see] = self.words;
        let caption = format!("{see} {}.", count(known.len(), "neuron", "neurons"));
        let data = run
            .who(&known)
            .with(self.columns[0], Column::Number(x))
            .with(self.columns[1], Column::Number(y));
        let figure = Figure::new(name, title, caption, svg.finish(title), data);
        Some(figure.with_points(&known, &places))
    }
}

/// Values of neurons over a plane of two others, such as a map.
pub struct Coloured<'a> {
    /// File name and title.
    pub words: [&'a str; 2],
    /// Words of both axes.
    pub axes: [&'a str; 2],
    /// Names of the columns.
    pub columns: [&'a str; 3],
    /// Places to the right.
    pub x: &'a [f64],
    /// Places upwards.
    pub y: &'a [f64],
    /// What gives the colour, and its words.
    pub values: (&'a str, &'a [f64]),
}

impl Coloured<'_> {
    /// Draws it; none where no neuron has all three.
    pub fn draw(&self, run: &Source, see: &str) -> Option<Figure> {
        let values = self.values.1;
        let placed: Vec<usize> = (0..values.len())
            .filter(|&n| self.x[n].is_finite() && self.y[n].is_finite())
            .collect();
        let mut known = placed.clone();
        known.retain(|&n| values[n].is_finite());
        if known.is_empty() {
            return None;
        }
        let pick = |of: &[f64], who: &[usize]| -> Vec<f64> { who.iter().map(|&n| of[n]).collect() };
        let v = pick(values, &known);
        let (low, high) = limits(&v);
        let (x, y) = (pick(self.x, &placed), pick(self.y, &placed));
        let frame = Frame::new(
            [46.0, 10.0, 236.0, 236.0],
            Axis::around(self.axes[0], &x),
            Axis::around(self.axes[1], &y),
        );
        let mut svg = Svg::new(286.0);
        frame.axes(&mut svg);
        let (x, y) = (pick(self.x, &known), pick(self.y, &known));
        let places = frame.points(&mut svg, &x, &y, |i| ramp((v[i] - low) / (high - low)));
        bar(&mut svg, (298.0, 28.0, 200.0), low, high, self.values.0);
        let hidden = v.iter().filter(|v| **v < low || **v > high).count();
        let cut = match hidden {
            0 => String::new(),
            n => format!(
                " {} beyond the ends of the scale have its end colours.",
                thousands(n)
            ),
        };
        let caption = format!("{see}{cut} {}.", count(known.len(), "neuron", "neurons"));
        let data = run
            .who(&known)
            .with(self.columns[0], Column::Number(x))
            .with(self.columns[1], Column::Number(y))
            .with(self.columns[2], Column::Number(v));
        let [name, title] = self.words;
        let figure = Figure::new(name, title, caption, svg.finish(title), data);
        Some(figure.with_points(&known, &places))
    }
}

/// The range of a colour scale: all values but, of many, the outermost hundredth on either side.
pub fn limits(values: &[f64]) -> (f64, f64) {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let cut = if sorted.len() > 200 {
        sorted.len() / 100
    } else {
        0
    };
    match sorted.len() {
        0 => (0.0, 1.0),
        n if sorted[n - 1 - cut] > sorted[cut] => (sorted[cut], sorted[n - 1 - cut]),
        _ if sorted[0] >= 0.0 => (sorted[0], sorted[0] + 1.0),
        _ => (sorted[0] - 0.5, sorted[0] + 0.5),
    }
}

/// Lines of several quantities over one.
pub fn lines(
    words: [&str; 3],
    x: (&str, &[f64]),
    y: &str,
    curves: &[(&str, &[f64], Rgb, &str)],
    log: bool,
) -> Option<Figure> {
    let all = || curves.iter().flat_map(|c| c.1);
    if x.1.is_empty() || !all().any(|v| v.is_finite()) {
        return None;
    }
    let mut svg = Svg::new(282.0);
    let top = match curves.len() {
        1 => 10.0,
        _ => 10.0 + samples(&mut svg, curves),
    };
    let upwards = match log {
        true => Axis::log(y, all()),
        false => Axis::around(y, all()),
    };
    let mut right = Axis::around(x.0, x.1);
    if x.0.contains("degrees") {
        let quarters = (0..=4).map(|k| 90.0 * f64::from(k));
        let ticks = quarters.filter(|q| (right.low..=right.high).contains(q));
        let ticks = ticks.map(|q| (q, format!("{q:.0}"))).collect();
        right = right.with_ticks(ticks);
    }
    let frame = Frame::new([62.0, top, WIDTH - 78.0, 242.0 - top], right, upwards);
    frame.axes(&mut svg);
    for (_, values, colour, dashes) in curves {
        let ink = hex(*colour);
        frame.curve(
            &mut svg,
            x.1,
            values,
            &Mark::line(&ink, 1.8).dashes(dashes).class("curve"),
        );
        for (x, y) in x.1.iter().zip(*values).filter(|_| x.1.len() <= 40) {
            let at = frame.at(*x, *y);
            if at.1.is_finite() {
                svg.disc(at, 2.4, &Mark::area(&ink).class("point"));
            }
        }
    }
    let [name, title, caption] = words;
    let mut data = Table::new().with(x.0, Column::Number(x.1.to_vec()));
    for (label, values, ..) in curves {
        data = data.with(label, Column::Number(values.to_vec()));
    }
    Some(Figure::new(
        name,
        title,
        caption.into(),
        svg.finish(title),
        data,
    ))
}

/// A legend that shows each line as it is drawn, so that it is told apart without colours. Returns its height.
fn samples(svg: &mut Svg, curves: &[(&str, &[f64], Rgb, &str)]) -> f64 {
    let (mut x, mut y) = (62.0, 12.0);
    for (words, _, colour, dashes) in curves {
        let wide = 38.0 + text_width(words, 10.5);
        if x > 62.0 && x + wide > WIDTH {
            (x, y) = (62.0, y + 15.0);
        }
        let ink = hex(*colour);
        let mark = Mark::line(&ink, 1.8).dashes(dashes);
        svg.line((x, y - 3.5), (x + 22.0, y - 3.5), &mark);
        svg.text((x + 26.0, y), words, Text::start(10.5));
        x += wide;
    }
    y + 2.0
}

/// A histogram of each of these columns that a table has, beside each other; name, title and what to see.
pub fn multiples(
    [name, title, see]: [&str; 3],
    axis: &str,
    columns: &[(&str, &str)],
    found: &Found,
) -> Option<Figure> {
    let there: Vec<(&str, Vec<f64>)> = columns
        .iter()
        .filter_map(|(name, words)| Some((*words, found.values(name)?)))
        .filter(|(_, values)| values.iter().any(|v| v.is_finite()))
        .collect();
    let known = |v: &[f64]| v.iter().filter(|v| v.is_finite()).count();
    let most = there.iter().map(|(_, v)| known(v)).max()?;
    let (across, wide, high) = (2, 176.0, 132.0);
    let lines = there.len().div_ceil(across);
    let mut svg = Svg::new(lines as f64 * high + 16.0);
    let mut data = Vec::new();
    for (i, (words, values)) in there.iter().enumerate() {
        let (row, column) = (i / across, i % across);
        let place = [
            47.0 + column as f64 * wide,
            32.0 + row as f64 * high,
            wide - 53.0,
            high - 56.0,
        ];
        data.push((
            String::new(),
            small_histogram(&mut svg, place, words, values),
        ));
    }
    let middle = Text::middle(11.0);
    svg.text((WIDTH / 2.0, lines as f64 * high + 10.0), axis, middle);
    let how = Text {
        turned: true,
        ..middle
    };
    svg.text((10.0, lines as f64 * high / 2.0), "neurons", how);
    let caption = format!("{see} {}.", count(most, "neuron", "neurons"));
    let data = Table::stacked(data, None);
    Some(Figure::new(name, title, caption, svg.finish(title), data))
}

/// A histogram of one quantity, with its mean.
pub fn small_histogram(
    svg: &mut Svg,
    [left, top, width, height]: [f64; 4],
    name: &str,
    values: &[f64],
) -> Table {
    let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let (low, high) = range_of_index(&known);
    let bars = histogram(&known, low, high, 20);
    let most = bars.iter().map(|b| b.2).collect::<Vec<_>>();
    let frame = Frame::new(
        [left, top, width, height],
        Axis::new("", low, high),
        Axis::from_zero("", &most),
    );
    frame.axes(svg);
    let fill = hex(BLUE);
    frame.bars(svg, &bars, &Mark::area(&fill).class("bar"));
    let mean = mean_of_known(&known);
    if mean.is_finite() {
        let (x, y) = frame.at(mean, frame.y.high);
        let ink = Mark::line("currentColor", 1.2).dashes("3 2").class("mean");
        svg.line((x, y), (x, top + height), &ink);
    }
    let how = Text {
        bold: true,
        ..Text::start(10.5)
    };
    svg.text((left, top - 18.0), name, how);
    let told = format!("n {}, mean {}", thousands(known.len()), shown(mean));
    svg.text((left, top - 6.0), &told, Text::start(9.5));
    let names = vec![name.to_string(); bars.len()];
    let label = Table::new().with("index", Column::Text(names));
    label.beside(bins(&bars, "neurons"))
}

/// 0 to 1 for an index that stays within, else what it spans.
pub fn range_of_index(values: &[f64]) -> (f64, f64) {
    let fold = |f: fn(f64, f64) -> f64, from| values.iter().copied().fold(from, f);
    let (low, high) = (
        fold(f64::min, f64::INFINITY),
        fold(f64::max, f64::NEG_INFINITY),
    );
    match (low, high) {
        _ if low > high => (0.0, 1.0),
        (0.0..=1.0, 0.0..=1.0) => (0.0, 1.0),
        _ if low == high => (low - 0.5, high + 0.5),
        (0.0.., _) => (0.0, high),
        _ => (low, high),
    }
}

impl Scatter<'_> {
    /// As [`Scatter::draw`], of rows that are not neurons: what names them comes from their table.
    pub fn draw_rows(&self, rows: &[usize], table: &Table) -> Option<Figure> {
        let (x, y) = (self.x.1, self.y.1);
        let known: Vec<usize> = rows
            .iter()
            .copied()
            .filter(|&r| x[r].is_finite() && y[r].is_finite())
            .collect();
        if known.is_empty() {
            return None;
        }
        let pick = |v: &[f64]| -> Vec<f64> { known.iter().map(|&r| v[r]).collect() };
        let (x, y) = (pick(x), pick(y));
        let both = || x.iter().chain(&y);
        let frame = Frame::new(
            [56.0, 10.0, WIDTH - 72.0, 238.0],
            Axis::around(self.x.0, both()),
            Axis::around(self.y.0, both()),
        );
        let mut svg = Svg::new(288.0);
        frame.axes(&mut svg);
        frame.diagonal(&mut svg);
        frame.points(&mut svg, &x, &y, |_| self.colour);
        let [name, title, see] = self.words;
        let caption = format!("{see} {}.", count(known.len(), "image", "images"));
        Some(Figure::new(
            name,
            title,
            caption,
            svg.finish(title),
            table.select(&known),
        ))
    }
}
