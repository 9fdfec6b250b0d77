//! SVGs as lists of elements, and what their axes say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::path::Path;
use striate::table::Table;

/// One element: its name, its attributes, and the text right behind its tag.
#[derive(Clone, Debug)]
pub struct Element {
    pub name: String,
    attributes: HashMap<String, String>,
    pub text: String,
}

impl Element {
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    pub fn number(&self, name: &str) -> f64 {
        self.get(name)
            .parse()
            .unwrap_or_else(|_| panic!("{name}: {self:?}"))
    }

    /// The numbers of `points`.
    pub fn points(&self) -> Vec<(f64, f64)> {
        let pair = |p: &str| {
            let (x, y) = p.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        self.get("points").split(' ').map(pair).collect()
    }

    /// A picture: its width, height, bytes per pixel, and pixels.
    pub fn picture(&self) -> (usize, usize, usize, Vec<u8>) {
        let data = self
            .get("href")
            .strip_prefix("data:image/png;base64,")
            .unwrap();
        let bytes = STANDARD.decode(data).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (
            info.width as usize,
            info.height as usize,
            info.color_type.samples(),
            pixels,
        )
    }
}

/// A figure as its files have it.
pub struct Drawing {
    pub elements: Vec<Element>,
    pub data: Table,
}

/// Reads `figures/NAME.svg` and `.csv` of a run.
pub fn figure(run: &Path, name: &str) -> Drawing {
    let path = run.join("figures").join(name);
    let svg = std::fs::read_to_string(path.with_extension("svg"))
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    Drawing {
        elements: elements(&svg),
        data: Table::read_csv(&path.with_extension("csv")).unwrap(),
    }
}

fn elements(svg: &str) -> Vec<Element> {
    let mut found = Vec::new();
    for part in svg.split('<').skip(1).filter(|p| !p.starts_with('/')) {
        let (tag, text) = part.split_once('>').unwrap();
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut attributes = HashMap::new();
        while let Some((key, after)) = rest.split_once("=\"") {
            let (value, next) = after.split_once('"').unwrap();
            attributes.insert(key.trim().to_string(), value.to_string());
            rest = next;
        }
        found.push(Element {
            name: name.trim_end_matches('/').to_string(),
            attributes,
            text: text.to_string(),
        });
    }
    found
}

impl Drawing {
    pub fn of_class(&self, class: &str) -> Vec<&Element> {
        self.elements
            .iter()
            .filter(|e| e.get("class") == class)
            .collect()
    }

    pub fn column(&self, name: &str) -> Vec<f64> {
        self.data
            .numbers(name)
            .unwrap_or_else(|| panic!("{name}: {:?}", self.data))
            .to_vec()
    }

    /// From pixels to values, by the outermost ticks that an axis shows.
    pub fn axis(&self, class: &str, place: &str) -> impl Fn(f64) -> f64 + use<> {
        let mut ticks: Vec<(f64, f64)> = self
            .of_class(class)
            .iter()
            .map(|t| (t.number(place), t.text.parse().unwrap()))
            .collect();
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ((p, v), (q, w)) = (ticks[0], ticks[ticks.len() - 1]);
        assert!(q > p, "{class}: two ticks");
        move |at| v + (at - p) * (w - v) / (q - p)
    }

    pub fn x(&self) -> impl Fn(f64) -> f64 + use<> {
        self.axis("tick-x", "x")
    }

    /// Words of an upward axis stand a little below their ticks.
    pub fn y(&self) -> impl Fn(f64) -> f64 + use<> {
        let of = self.axis("tick-y", "y");
        move |at| of(at + 3.5)
    }

    /// Holds discs to two columns of the figure's own table, within this much of either.
    #[track_caller]
    pub fn assert_points(&self, x: &str, y: &str, within: (f64, f64)) {
        let (xs, ys) = (self.column(x), self.column(y));
        let discs = self.of_class("point");
        assert_eq!(discs.len(), xs.len(), "a disc for each row");
        let (to_x, to_y) = (self.x(), self.y());
        for (i, disc) in discs.iter().enumerate() {
            let (px, py) = (to_x(disc.number("cx")), to_y(disc.number("cy")));
            assert!(
                (px - xs[i]).abs() <= within.0,
                "{x} of row {i}: {px}, wanted {}",
                xs[i]
            );
            assert!(
                (py - ys[i]).abs() <= within.1,
                "{y} of row {i}: {py}, wanted {}",
                ys[i]
            );
        }
    }
}
