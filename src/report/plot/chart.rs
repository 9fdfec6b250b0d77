//! A chart's frame, and the marks that go into it.

use super::axis::Axis;
use super::colour::{Rgb, hex, ramp};
use super::raster::{Raster, matrix};
use super::svg::{Mark, Svg, Text, fit, text_width};

/// Marks beyond which points are painted into one picture.
pub const RASTERISED: usize = 3000;
/// Pixels of such a picture per pixel of the figure.
const FINE: f64 = 3.0;
/// Letters of ticks.
const SMALL: f64 = 10.0;

/// Where a chart lies in a figure, and what its axes mean.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
}

impl Frame {
    /// In a rectangle: left, top, width, height.
    pub fn new([left, top, width, height]: [f64; 4], x: Axis, y: Axis) -> Self {
        Self {
            left,
            top,
            width,
            height,
            x,
            y,
        }
    }

    /// Where a point lies.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (a, b) = (self.x.share(x), self.y.share(y));
        (
            self.left + a * self.width,
            self.top + (1.0 - b) * self.height,
        )
    }

    /// Draws both axes with ticks and words.
    pub fn axes(&self, svg: &mut Svg) {
        self.axes_with(svg, true, true);
    }

    /// Draws the axes; the words of either can be left out, where another chart beside it has them.
    pub fn axes_with(&self, svg: &mut Svg, words_x: bool, words_y: bool) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        let ink = Mark::line("currentColor", 1.0);
        svg.line((self.left, bottom), (right, bottom), &ink);
        svg.line((self.left, self.top), (self.left, bottom), &ink);
        let sparse = |size: f64, each: f64| ((size / each) as usize).clamp(2, 8);
        let mut free = f64::NEG_INFINITY;
        for (value, word) in self.x.ticks(sparse(self.width, 52.0)) {
            let x = self.at(value, self.y.low).0;
            svg.line((x, bottom), (x, bottom + 4.0), &ink);
            let half = text_width(&word, SMALL) / 2.0;
            if words_x && x - half > free {
                svg.text_as((x, bottom + 15.0), &word, Text::middle(SMALL), "tick-x");
                free = x + half + 3.0;
            }
        }
        for (value, word) in self.y.ticks(sparse(self.height, 36.0)) {
            let y = self.at(self.x.low, value).1;
            svg.line((self.left - 4.0, y), (self.left, y), &ink);
            if words_y {
                svg.text_as(
                    (self.left - 7.0, y + 3.5),
                    &word,
                    Text::end(SMALL),
                    "tick-y",
                );
            }
        }
        if words_x {
            let word = fit(&self.x.label, self.width.max(150.0), 11.0);
            let middle = self.left + self.width / 2.0;
            svg.text((middle, bottom + 31.0), &word, Text::middle(11.0));
        }
        if words_y {
            let how = Text {
                turned: true,
                ..Text::middle(11.0)
            };
            let word = fit(&self.y.label, self.height.max(100.0) + 30.0, 11.0);
            svg.text((12.0, self.top + self.height / 2.0), &word, how);
        }
    }

    /// The line on which both axes agree, as far as the frame goes.
    pub fn diagonal(&self, svg: &mut Svg) {
        let low = self.x.low.max(self.y.low);
        let high = self.x.high.min(self.y.high);
        if low < high {
            let mark = Mark::line("currentColor", 1.0).dashes("4 3").opacity(0.6);
            svg.line(self.at(low, low), self.at(high, high), &mark);
        }
    }

    /// Points with their colours; many are painted into one picture. Gives where each lies.
    pub fn points(
        &self,
        svg: &mut Svg,
        x: &[f64],
        y: &[f64],
        colour: impl Fn(usize) -> Rgb,
    ) -> Vec<(f64, f64)> {
        let places: Vec<(f64, f64)> = x.iter().zip(y).map(|(x, y)| self.at(*x, *y)).collect();
        let shown: Vec<usize> = (0..places.len())
            .filter(|&i| places[i].0.is_finite() && places[i].1.is_finite())
            .collect();
        if shown.len() <= RASTERISED {
            let radius = if shown.len() > 600 { 1.8 } else { 2.6 };
            for i in shown {
                let fill = hex(colour(i));
                svg.disc(
                    places[i],
                    radius,
                    &Mark::area(&fill).opacity(0.85).class("point"),
                );
            }
            return places;
        }
        // The picture is a little larger than the frame, for discs on its edge.
        let edge = 2.0;
        let (w, h) = (self.width + 2.0 * edge, self.height + 2.0 * edge);
        let mut raster = Raster::new((FINE * w) as usize, (FINE * h) as usize);
        for i in shown {
            let (px, py) = places[i];
            let at = (
                FINE * (px - self.left + edge),
                FINE * (py - self.top + edge),
            );
            raster.disc(at, 1.1 * FINE, colour(i));
        }
        let place = [self.left - edge, self.top - edge, w, h];
        svg.picture(place, &raster.png(), true, &Mark::default().class("points"));
        places
    }

    /// Bars that stand on 0: edges of each, and its height.
    pub fn bars(&self, svg: &mut Svg, bars: &[(f64, f64, f64)], mark: &Mark<'_>) {
        for &(low, high, value) in bars {
            let ((left, top), (right, bottom)) = (self.at(low, value), self.at(high, 0.0));
            svg.rectangle([left, top, right - left, bottom - top], mark);
        }
    }

    /// The outline of bars side by side.
    pub fn steps(&self, svg: &mut Svg, bars: &[(f64, f64, f64)], mark: &Mark<'_>) {
        let Some(first) = bars.first() else { return };
        let mut points = vec![self.at(first.0, 0.0)];
        for &(low, high, value) in bars {
            points.extend([self.at(low, value), self.at(high, value)]);
        }
        points.push(self.at(bars[bars.len() - 1].1, 0.0));
        svg.path(&points, false, mark);
    }

    /// A line through the points that are known.
    pub fn curve(&self, svg: &mut Svg, x: &[f64], y: &[f64], mark: &Mark<'_>) {
        let points: Vec<(f64, f64)> = x
            .iter()
            .zip(y)
            .map(|(x, y)| self.at(*x, *y))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        if points.len() > 1 {
            svg.path(&points, false, mark);
        }
    }
}

/// The colour scale: an upright bar at `left`, `top` with its range and its words, 54 pixels wide in all.
pub fn bar(svg: &mut Svg, (left, top, height): (f64, f64, f64), low: f64, high: f64, label: &str) {
    let steps: Vec<f64> = (0..64).map(|i| 1.0 - f64::from(i) / 63.0).collect();
    let picture = matrix(&steps, 1, ramp);
    svg.picture([left, top, 11.0, height], &picture, true, &Mark::default());
    let ticks = Axis::new(label, low, high).ticks(4);
    let scale = Axis::new(label, low, high);
    for (value, word) in ticks {
        let y = top + (1.0 - scale.share(value)) * height;
        svg.line(
            (left + 11.0, y),
            (left + 14.0, y),
            &Mark::line("currentColor", 1.0),
        );
        svg.text((left + 16.0, y + 3.5), &word, Text::start(9.5));
    }
    let how = Text {
        turned: true,
        ..Text::middle(10.5)
    };
    let word = fit(label, height + 20.0, 10.5);
    svg.text((left + 50.0, top + height / 2.0), &word, how);
}

/// One entry of a legend: a square and its words, which get as much room as is given. Returns where the next may start.
pub fn key(svg: &mut Svg, (x, y): (f64, f64), colour: &str, words: &str, room: f64) -> f64 {
    svg.rectangle([x, y - 8.0, 9.0, 9.0], &Mark::area(colour));
    let words = fit(words, room - 14.0, 10.5);
    svg.text((x + 13.0, y), &words, Text::start(10.5));
    x + 13.0 + text_width(&words, 10.5) + 12.0
}

/// Entries in lines from `left` to `right`. Returns the height that they took.
pub fn legend(
    svg: &mut Svg,
    (left, top, right): (f64, f64, f64),
    entries: &[(String, String)],
) -> f64 {
    let (mut x, mut y) = (left, top + 9.0);
    for (colour, words) in entries {
        let wide = 25.0 + text_width(&fit(words, right - left - 14.0, 10.5), 10.5);
        if x > left && x + wide - 12.0 > right {
            (x, y) = (left, y + 15.0);
        }
        x = key(svg, (x, y), colour, words, right - left);
    }
    y + 6.0 - top
}
