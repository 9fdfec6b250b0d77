//! Values of several groups, a line of dots for each group, with its mean.

use super::shared::count;
use crate::report::figure::Figure;
use crate::report::plot::{Axis, BLUE, Frame, Mark, Rgb, Svg, Text, WIDTH, fit, hex};
use crate::statistics::mean_of_known;
use crate::table::{Column, Table};

/// Height of a group's line.
const LINE: f64 = 22.0;
/// Room for the groups' names.
const NAMES: f64 = 140.0;

/// Groups of values on one scale.
pub struct Dots<'a> {
    /// File name, title and what to see.
    pub words: [&'a str; 3],
    /// Words of the scale.
    pub axis: &'a str,
    /// What a group is called in the table, and what its values are.
    pub columns: [&'a str; 2],
    /// What one dot is, and several.
    pub unit: [&'a str; 2],
    /// Names and values.
    pub groups: &'a [(String, Vec<f64>)],
    /// A group and a value that get a ring.
    pub own: Option<(usize, f64)>,
    /// From where to where the scale goes at least.
    pub range: Option<(f64, f64)>,
    /// Colour of the dots.
    pub colour: Rgb,
}

impl Default for Dots<'_> {
    fn default() -> Self {
        Self {
            words: [""; 3],
            axis: "",
            columns: ["group", "value"],
            unit: ["value", "values"],
            groups: &[],
            own: None,
            range: None,
            colour: BLUE,
        }
    }
}

impl Dots<'_> {
    /// Draws them; none without a finite value.
    pub fn draw(&self) -> Option<Figure> {
        let known: Vec<(&str, Vec<f64>)> = self
            .groups
            .iter()
            .map(|(name, v)| (name.as_str(), v.iter().copied().filter(|v| v.is_finite())))
            .map(|(name, v)| (name, v.collect()))
            .collect();
        let all: Vec<f64> = known.iter().flat_map(|g| g.1.clone()).collect();
        if all.is_empty() {
            return None;
        }
        let ends = self.range.map_or(Vec::new(), |(low, high)| vec![low, high]);
        let high = LINE * known.len() as f64;
        let frame = Frame::new(
            [NAMES, 10.0, WIDTH - NAMES - 16.0, high],
            Axis::around(self.axis, all.iter().chain(&ends)),
            Axis::new("", 0.0, known.len() as f64).with_ticks(Vec::new()),
        );
        let mut svg = Svg::new(high + 50.0);
        frame.axes_with(&mut svg, true, false);
        let fill = hex(self.colour);
        for (line, (name, values)) in known.iter().enumerate() {
            let y = 10.0 + (line as f64 + 0.5) * LINE;
            let place = |v: f64| frame.at(v, 0.0).0;
            svg.text(
                (NAMES - 8.0, y + 3.5),
                &fit(name, NAMES - 12.0, 10.0),
                Text::end(10.0),
            );
            for v in values {
                let mark = Mark::area(&fill).opacity(0.7).class("point");
                svg.disc((place(*v), y), 3.0, &mark);
            }
            let mean = mean_of_known(values);
            if mean.is_finite() {
                let x = place(mean);
                let ink = Mark::line("currentColor", 1.8).class("mean");
                svg.line((x, y - 7.0), (x, y + 7.0), &ink);
            }
            if let Some((_, v)) = self.own.filter(|o| o.0 == line && o.1.is_finite()) {
                let ring = Mark::line("currentColor", 1.4).class("own");
                svg.disc((place(v), y), 5.5, &ring);
            }
        }
        let [name, title, see] = self.words;
        let caption = format!(
            "{see} Upright lines: means. {}.",
            count(all.len(), self.unit[0], self.unit[1])
        );
        let names = known
            .iter()
            .flat_map(|(n, v)| vec![(*n).to_string(); v.len()]);
        let data = Table::new()
            .with(self.columns[0], Column::Text(names.collect()))
            .with(self.columns[1], Column::Number(all));
        Some(Figure::new(name, title, caption, svg.finish(title), data))
    }
}
