//! Galleries: small images beside each other, of one grey scale.

use crate::report::figure::{Figure, Place};
use crate::report::plot::{Mark, Svg, Text, WIDTH, fit, greys, shown};
use crate::table::{Column, Table};

/// One image of a gallery.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Below the image, in a few letters.
    pub label: String,
    /// What a browser says of it.
    pub title: String,
    /// Whose it is.
    pub neuron: Option<usize>,
    /// Grey levels, row by row; none where there is no such image.
    pub pixels: Option<Vec<f64>>,
    /// Rows and columns of it.
    pub size: (usize, usize),
}

/// Row and column of the gallery, the tile, and a row of its pixels.
type Line<'t> = (usize, usize, &'t Tile, usize);

/// Tiles in rows.
#[derive(Clone, Debug)]
pub struct Gallery<'a> {
    /// File name and title.
    pub words: [&'a str; 2],
    /// What to see.
    pub caption: String,
    /// Above each column; nothing without.
    pub heads: Vec<String>,
    /// Before each row; nothing without.
    pub sides: Vec<String>,
    /// Row by row.
    pub rows: Vec<Vec<Tile>>,
    /// Whether every column has its own grey scale.
    pub by_column: bool,
    /// What grey means.
    pub unit: &'a str,
}

/// Half of the grey scale: the largest size of any value.
fn reach<'a>(tiles: impl Iterator<Item = &'a Tile>) -> f64 {
    let values = tiles.flat_map(|t| t.pixels.iter().flatten());
    let most = values.map(|v| v.abs()).fold(0.0, f64::max);
    if most > 0.0 && most.is_finite() {
        most
    } else {
        1.0
    }
}

impl Gallery<'_> {
    /// Tiles of one row after the other, so many in a row.
    pub fn wrapped(tiles: Vec<Tile>, columns: usize) -> Vec<Vec<Tile>> {
        tiles.chunks(columns).map(<[Tile]>::to_vec).collect()
    }

    /// Draws it; none without any image.
    pub fn draw(self) -> Option<Figure> {
        let columns = self.rows.iter().map(Vec::len).max()?;
        let mut all = self.rows.iter().flatten();
        if columns == 0 || !all.any(|t| t.pixels.is_some()) {
            return None;
        }
        let column = |c: usize| self.rows.iter().filter_map(move |r| r.get(c));
        let scales: Vec<f64> = (0..columns)
            .map(|c| match self.by_column {
                true => reach(column(c)),
                false => reach(self.rows.iter().flatten()),
            })
            .collect();
        let gap = 4.0;
        let left = if self.sides.is_empty() { 4.0 } else { 34.0 };
        let side = ((WIDTH - left - 4.0 + gap) / columns as f64 - gap).min(80.0);
        let named = self.rows.iter().flatten().any(|t| !t.label.is_empty());
        let (head, foot) = (
            if self.heads.is_empty() { 4.0 } else { 18.0 },
            if named { 13.0 } else { gap },
        );
        // All tiles are as high as the highest.
        let shape = |t: &Tile| t.size.0 as f64 / t.size.1.max(1) as f64;
        let tallest = self.rows.iter().flatten().map(shape).fold(0.0, f64::max);
        let high = (side * tallest).clamp(4.0, 160.0);
        let scale_height = 34.0;
        let height = head + self.rows.len() as f64 * (high + foot) + scale_height;
        let mut svg = Svg::new(height);
        for (c, words) in self.heads.iter().enumerate().take(columns) {
            let middle = left + c as f64 * (side + gap) + side / 2.0;
            svg.text(
                (middle, 12.0),
                &fit(words, side + gap, 10.0),
                Text::middle(10.0),
            );
        }
        let mut places = Vec::new();
        for (r, row) in self.rows.iter().enumerate() {
            let top = head + r as f64 * (high + foot);
            if let Some(words) = self.sides.get(r) {
                let words = fit(words, left - 6.0, 10.0);
                svg.text(
                    (left - 5.0, top + high / 2.0 + 3.5),
                    &words,
                    Text::end(10.0),
                );
            }
            for (c, tile) in row.iter().enumerate() {
                let x = left + c as f64 * (side + gap);
                Self::tile(&mut svg, [x, top, side, high], tile, scales[c]);
                if let Some(neuron) = tile.neuron {
                    places.push(Place {
                        x: x + side / 2.0,
                        y: top + high / 2.0,
                        neuron,
                        reach: side / 2.0,
                    });
                }
            }
        }
        self.scale(&mut svg, (left, height - scale_height + 8.0), &scales);
        let title = self.words[1];
        let data = self.data();
        let mut figure = Figure::new(self.words[0], title, self.caption, svg.finish(title), data);
        figure.places = places;
        Some(figure)
    }

    fn tile(svg: &mut Svg, [x, top, side, high]: [f64; 4], tile: &Tile, reach: f64) {
        let Some(pixels) = &tile.pixels else {
            svg.rectangle(
                [x, top, side, high],
                &Mark::line("currentColor", 0.6).opacity(0.3),
            );
            return;
        };
        let (rows, columns) = tile.size;
        let each = (side / columns as f64).min(high / rows as f64);
        let (w, h) = (each * columns as f64, each * rows as f64);
        let (x, y) = (x + (side - w) / 2.0, top + (high - h) / 2.0);
        let png = greys(pixels, columns, (-reach, reach));
        let mark = Mark::default().class("tile").title(&tile.title);
        svg.picture([x, y, w, h], &png, false, &mark);
        if !tile.label.is_empty() {
            let words = fit(&tile.label, side + 3.0, 9.0);
            svg.text((x + w / 2.0, top + high + 9.5), &words, Text::middle(9.0));
        }
    }

    /// What black and white stand for.
    fn scale(&self, svg: &mut Svg, (left, top): (f64, f64), scales: &[f64]) {
        let steps: Vec<f64> = (0..64).map(f64::from).collect();
        let wide = 90.0;
        svg.picture(
            [left, top, wide, 9.0],
            &greys(&steps, 64, (0.0, 63.0)),
            true,
            &Mark::default(),
        );
        svg.rectangle([left, top, wide, 9.0], &Mark::line("currentColor", 0.6));
        let (low, high) = match self.by_column {
            true => ("\u{2212}max".to_string(), "+max of the column".to_string()),
            false => (
                format!("\u{2212}{}", shown(scales[0])),
                format!("+{}", shown(scales[0])),
            ),
        };
        svg.text((left, top + 20.0), &low, Text::start(9.5));
        let words = format!("{high} {}", self.unit);
        svg.text(
            (left + wide + 6.0, top + 8.5),
            &fit(&words, WIDTH - left - wide - 10.0, 9.5),
            Text::start(9.5),
        );
    }

    /// Every row of pixels of every image: its place in the gallery, what it is called, and its grey levels.
    fn data(&self) -> Table {
        let tiles: Vec<(usize, usize, &Tile)> = self
            .rows
            .iter()
            .enumerate()
            .flat_map(|(r, row)| row.iter().enumerate().map(move |(c, t)| (r, c, t)))
            .filter(|(.., t)| t.pixels.is_some())
            .collect();
        let widest = tiles.iter().map(|(.., t)| t.size.1).max().unwrap_or(0);
        let lines: Vec<Line> = tiles
            .iter()
            .flat_map(|&(r, c, t)| (0..t.size.0).map(move |line| (r, c, t, line)))
            .collect();
        let whole = |f: &dyn Fn(&Line) -> usize| {
            Column::Integer(lines.iter().map(|l| f(l) as i64).collect())
        };
        let mut table = Table::new()
            .with("gallery_row", whole(&|l| l.0))
            .with("gallery_column", whole(&|l| l.1))
            .with(
                "image",
                Column::Text(lines.iter().map(|l| l.2.title.clone()).collect()),
            )
            .with("row", whole(&|l| l.3));
        for column in 0..widest {
            let value = |l: &Line| match &l.2.pixels {
                Some(pixels) if column < l.2.size.1 => pixels[l.3 * l.2.size.1 + column],
                _ => f64::NAN,
            };
            table = table.with(
                &format!("column_{column}"),
                Column::Number(lines.iter().map(value).collect()),
            );
        }
        table
    }
}

/// An image turned counter-clockwise by an angle about a point (column, row), which comes into the middle of a square of
/// `side` pixels; what comes from outside is 0.
pub fn turned(
    pixels: &[f64],
    (rows, columns): (usize, usize),
    (x, y): (f64, f64),
    angle: f64,
    side: usize,
) -> Vec<f64> {
    let (sin, cos) = angle.sin_cos();
    let middle = (side as f64 - 1.0) / 2.0;
    let at = |row: i64, column: i64| {
        let inside = (0..rows as i64).contains(&row) && (0..columns as i64).contains(&column);
        if inside {
            pixels[row as usize * columns + column as usize]
        } else {
            0.0
        }
    };
    let mut out = Vec::with_capacity(side * side);
    for i in 0..side {
        for j in 0..side {
            let (dy, dx) = (i as f64 - middle, j as f64 - middle);
            // Rows grow downwards: turning by +phi on screen looks up the point turned by -phi.
            let (r, c) = (y + dx * sin + dy * cos, x + dx * cos - dy * sin);
            let (i0, j0) = (r.floor(), c.floor());
            let (u, v) = (r - i0, c - j0);
            let (i0, j0) = (i0 as i64, j0 as i64);
            out.push(
                (1.0 - u) * ((1.0 - v) * at(i0, j0) + v * at(i0, j0 + 1))
                    + u * ((1.0 - v) * at(i0 + 1, j0) + v * at(i0 + 1, j0 + 1)),
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::turned;

    #[test]
    fn a_quarter_turn_counter_clockwise_brings_the_right_to_the_top() {
        let mut image = vec![0.0; 25];
        image[2 * 5 + 4] = 1.0; // middle row, right edge
        let up = turned(&image, (5, 5), (2.0, 2.0), std::f64::consts::FRAC_PI_2, 5);
        let at = up.iter().position(|v| (v - 1.0).abs() < 1e-9);
        assert_eq!(at, Some(2), "top row, middle column: {up:?}");
    }

    #[test]
    fn the_point_comes_into_the_middle() {
        let mut image = vec![0.0; 25];
        image[5 + 3] = 2.0; // row 1, column 3
        let centred = turned(&image, (5, 5), (3.0, 1.0), 0.3, 3);
        assert!((centred[4] - 2.0).abs() < 1e-12, "{centred:?}");
    }
}
