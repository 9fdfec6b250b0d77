//! An SVG under construction. Ink is `currentColor`: black by itself, the page's colour within a page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Width of every figure, in pixels: 95 mm, a journal's column.
pub const WIDTH: f64 = 360.0;

/// Fonts that are on every machine; none is fetched.
const FONTS: &str = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

/// Where a text is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// At its first letter.
    #[default]
    Start,
    /// In the middle.
    Middle,
    /// At its last letter.
    End,
}

/// How a text is set.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Pixels.
    pub size: f64,
    /// Where `x` is.
    pub anchor: Anchor,
    /// Whether it is heavier than the rest.
    pub bold: bool,
    /// Whether it reads from bottom to top.
    pub turned: bool,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            size: 11.0,
            anchor: Anchor::Start,
            bold: false,
            turned: false,
        }
    }
}

impl Text {
    /// Of this size, held in the middle.
    pub fn middle(size: f64) -> Self {
        Self {
            size,
            anchor: Anchor::Middle,
            ..Self::default()
        }
    }

    /// Of this size, held at its end.
    pub fn end(size: f64) -> Self {
        Self {
            size,
            anchor: Anchor::End,
            ..Self::default()
        }
    }

    /// Of this size, held at its start.
    pub fn start(size: f64) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }
}

/// How a shape looks, and what it stands for.
#[derive(Clone, Debug)]
pub struct Mark<'a> {
    /// Colour of the area; `none` for an outline.
    pub fill: &'a str,
    /// Colour of the line; `none` for an area.
    pub stroke: &'a str,
    /// Width of the line.
    pub width: f64,
    /// Dashes of the line, as SVG has them.
    pub dashes: &'a str,
    /// 0 to 1.
    pub opacity: f64,
    /// What it is, in one word: tests and scripts find it by that.
    pub class: &'a str,
    /// Words that a browser shows on it.
    pub title: &'a str,
}

impl Default for Mark<'_> {
    fn default() -> Self {
        Self {
            fill: "none",
            stroke: "none",
            width: 1.0,
            dashes: "",
            opacity: 1.0,
            class: "",
            title: "",
        }
    }
}

impl<'a> Mark<'a> {
    /// An area.
    pub fn area(fill: &'a str) -> Self {
        Self {
            fill,
            ..Self::default()
        }
    }

    /// A line.
    pub fn line(stroke: &'a str, width: f64) -> Self {
        Self {
            stroke,
            width,
            ..Self::default()
        }
    }

    /// With a class.
    #[must_use]
    pub fn class(self, class: &'a str) -> Self {
        Self { class, ..self }
    }

    /// With words that a browser shows on it.
    #[must_use]
    pub fn title(self, title: &'a str) -> Self {
        Self { title, ..self }
    }

    /// Less than opaque.
    #[must_use]
    pub fn opacity(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    /// With dashes.
    #[must_use]
    pub fn dashes(self, dashes: &'a str) -> Self {
        Self { dashes, ..self }
    }

    fn attributes(&self) -> String {
        let mut text = format!(" fill=\"{}\"", self.fill);
        if self.stroke != "none" {
            let _ = write!(
                text,
                " stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"",
                self.stroke,
                short(self.width)
            );
        }
        if !self.dashes.is_empty() {
            let _ = write!(text, " stroke-dasharray=\"{}\"", self.dashes);
        }
        if self.opacity < 1.0 {
            let _ = write!(text, " opacity=\"{}\"", short(self.opacity));
        }
        if !self.class.is_empty() {
            let _ = write!(text, " class=\"{}\"", self.class);
        }
        text
    }
}

/// A drawing of [`WIDTH`] and a height.
#[derive(Clone, Debug)]
pub struct Svg {
    height: f64,
    body: String,
}

impl Svg {
    /// An empty one.
    pub fn new(height: f64) -> Self {
        Self {
            height,
            body: String::new(),
        }
    }

    fn shape(&mut self, name: &str, geometry: &str, mark: &Mark<'_>) {
        let attributes = mark.attributes();
        let _ = match mark.title.is_empty() {
            true => writeln!(self.body, "<{name}{geometry}{attributes}/>"),
            false => writeln!(
                self.body,
                "<{name}{geometry}{attributes}><title>{}</title></{name}>",
                escape(mark.title)
            ),
        };
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), mark: &Mark<'_>) {
        let [a, b, c, d] = [from.0, from.1, to.0, to.1].map(short);
        let geometry = format!(" x1=\"{a}\" y1=\"{b}\" x2=\"{c}\" y2=\"{d}\"");
        self.shape("line", &geometry, mark);
    }

    /// A line through points, one after the other.
    pub fn path(&mut self, points: &[(f64, f64)], closed: bool, mark: &Mark<'_>) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{},{}", short(*x), short(*y)))
            .collect();
        let name = if closed { "polygon" } else { "polyline" };
        self.shape(name, &format!(" points=\"{}\"", points.join(" ")), mark);
    }

    /// A rectangle: left, top, width, height.
    pub fn rectangle(&mut self, [x, y, w, h]: [f64; 4], mark: &Mark<'_>) {
        let [x, y, w, h] = [x, y, w.max(0.0), h.max(0.0)].map(short);
        let geometry = format!(" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"");
        self.shape("rect", &geometry, mark);
    }

    /// A disc.
    pub fn disc(&mut self, (x, y): (f64, f64), radius: f64, mark: &Mark<'_>) {
        let [x, y, r] = [x, y, radius].map(short);
        self.shape("circle", &format!(" cx=\"{x}\" cy=\"{y}\" r=\"{r}\""), mark);
    }

    /// A PNG in a rectangle, its pixels as they are, or smooth.
    pub fn picture(&mut self, [x, y, w, h]: [f64; 4], png: &[u8], smooth: bool, mark: &Mark<'_>) {
        let [x, y, w, h] = [x, y, w, h].map(short);
        let how = match smooth {
            true => "",
            false => " style=\"image-rendering:pixelated\"",
        };
        let geometry = format!(
            " x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" preserveAspectRatio=\"none\"{how} href=\"data:image/png;base64,{}\"",
            STANDARD.encode(png)
        );
        self.shape("image", &geometry, mark);
    }

    /// Words.
    pub fn text(&mut self, (x, y): (f64, f64), text: &str, how: Text) {
        self.text_as((x, y), text, how, "");
    }

    /// Words with a class: `on-dark` and `on-light` lie on something coloured, `haloed` on anything.
    pub fn text_as(&mut self, (x, y): (f64, f64), text: &str, how: Text, class: &str) {
        if text.is_empty() {
            return;
        }
        let (x, y) = (short(x), short(y));
        let anchor = match how.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let bold = if how.bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let turned = match how.turned {
            true => format!(" transform=\"rotate(-90 {x} {y})\""),
            false => String::new(),
        };
        // On a mark the page's ink may not be seen.
        let ink = match class {
            "on-dark" => "#ffffff",
            "on-light" | "haloed" => "#000000",
            _ => "currentColor",
        };
        let class = match class {
            "" => String::new(),
            "haloed" => " class=\"haloed\" stroke=\"#ffffff\" stroke-width=\"2.5\" stroke-linejoin=\"round\" paint-order=\"stroke\"".into(),
            class => format!(" class=\"{class}\""),
        };
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"{anchor}{bold}{turned}{class} fill=\"{ink}\">{}</text>",
            short(how.size),
            escape(text)
        );
    }

    /// The whole drawing, called `title` by those who cannot see it.
    pub fn finish(self, title: &str) -> String {
        let (w, h) = (short(WIDTH), short(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" font-family=\"{FONTS}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
            escape(title),
            self.body
        )
    }
}

/// A length with two decimals at most.
fn short(x: f64) -> String {
    let text = format!("{x:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

/// Text as XML and HTML take it, within elements and within quoted attributes; what no document may hold becomes a mark.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(harmless(c)),
        }
    }
    out
}

/// A letter, or a mark in place of what no document may hold.
pub fn harmless(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => ' ',
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => '\u{fffd}',
        // Marks that turn the direction of what follows would reorder the rest of the line.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

/// About how wide a text is: of letters as wide as the widest fonts among ours have them.
pub fn text_width(text: &str, size: f64) -> f64 {
    let width = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.32,
        ' ' | 'f' | 't' | 'r' | 'I' | '-' | '(' | ')' | '/' => 0.4,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.95,
        c if c.is_ascii_uppercase() => 0.7,
        c if c.is_ascii() => 0.6,
        c if (c as u32) < 0x600 => 0.75,
        _ => 1.1,
    };
    size * text.chars().map(width).sum::<f64>()
}

/// As much of a text as fits into a width, with an ellipsis where it does not.
pub fn fit(text: &str, width: f64, size: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_string();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if text_width(&kept, size) > width - size {
            kept.pop();
            break;
        }
    }
    format!("{}\u{2026}", kept.trim_end())
}
