//! The page: one file that needs no other.

use super::figure::{Block, Figure, Place, Section};
use super::plot::{escape, harmless, shown};
use super::sections::Number;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What hovering tells of neurons.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Names of the recordings.
    pub names: Vec<String>,
    /// Recording and row of each neuron.
    pub neurons: Vec<(usize, usize)>,
    /// Words and values, of every neuron.
    pub columns: Vec<(String, Vec<f64>)>,
}

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub struct Page {
    /// What it is about.
    pub title: String,
    /// A sentence about it.
    pub about: String,
    /// The numbers at its top.
    pub numbers: Vec<Number>,
    /// What is drawn.
    pub sections: Vec<Section>,
    /// What hovering tells.
    pub known: Known,
    /// Where the figures' files are, seen from the page; none where they are elsewhere.
    pub files: Option<String>,
}

impl Page {
    /// All figures, in their order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        let blocks = self.sections.iter().flat_map(|s| &s.blocks);
        blocks.filter_map(|b| match b {
            Block::Figure(figure) => Some(&**figure),
            _ => None,
        })
    }

    /// The HTML.
    pub fn html(&self) -> String {
        let mut out = String::new();
        let title = escape(&self.title);
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1>{title}</h1>\n<p class=\"about\">{}</p>\n</header>\n",
            escape(&self.about)
        );
        self.summary(&mut out);
        out.push_str("<nav aria-label=\"Sections\">\n<ul>\n");
        for (i, section) in self.sections.iter().enumerate() {
            let _ = writeln!(
                out,
                "<li><a href=\"#section-{i}\">{}</a></li>",
                escape(section.title)
            );
        }
        out.push_str("</ul>\n</nav>\n<main>\n");
        for (i, section) in self.sections.iter().enumerate() {
            self.section(&mut out, i, section);
        }
        out.push_str("</main>\n<div id=\"tip\" role=\"status\" hidden></div>\n");
        let _ = write!(
            out,
            "<script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            self.data()
        );
        out
    }

    fn summary(&self, out: &mut String) {
        if self.numbers.is_empty() {
            return;
        }
        out.push_str("<dl class=\"numbers\">\n");
        for n in &self.numbers {
            let _ = writeln!(
                out,
                "<div><dt>{}</dt><dd><data value=\"{}\" data-table=\"{}\" data-column=\"{}\" data-statistic=\"{}\">{}</data></dd></div>",
                escape(&n.words),
                n.value,
                escape(&n.table),
                escape(&n.column),
                n.statistic,
                escape(&shown(n.value))
            );
        }
        out.push_str("</dl>\n");
    }

    fn section(&self, out: &mut String, i: usize, section: &Section) {
        let _ = writeln!(
            out,
            "<section id=\"section-{i}\">\n<h2>{}</h2>\n<p class=\"about\">{}</p>",
            escape(section.title),
            escape(section.about)
        );
        let mut open = false;
        let (lacks, there): (Vec<&Block>, Vec<&Block>) = section
            .blocks
            .iter()
            .partition(|b| matches!(b, Block::Lack(_)));
        for block in there.into_iter().chain(lacks) {
            let figure = matches!(block, Block::Figure(_));
            if figure != open {
                out.push_str(if figure {
                    "<div class=\"figures\">\n"
                } else {
                    "</div>\n"
                });
                open = figure;
            }
            match block {
                Block::Figure(figure) => self.figure(out, figure),
                Block::Note(text) | Block::Lack(text) => {
                    let _ = writeln!(out, "<p class=\"note\">{}</p>", code(text));
                }
                Block::Table(heads, rows) => table(out, heads, rows),
                Block::Listing(head, text) => {
                    let _ = writeln!(out, "<h3>{}</h3>\n<pre>{}</pre>", escape(head), lines(text));
                }
            }
        }
        out.push_str(if open {
            "</div>\n</section>\n"
        } else {
            "</section>\n"
        });
    }

    fn figure(&self, out: &mut String, figure: &Figure) {
        let name = escape(&figure.name);
        let files = match &self.files {
            Some(folder) => {
                let folder = escape(folder);
                format!(
                    " <span class=\"files\"><a href=\"{folder}/{name}.svg\">SVG</a> <a href=\"{folder}/{name}.csv\">CSV</a></span>"
                )
            }
            None => String::new(),
        };
        let _ = writeln!(
            out,
            "<figure id=\"{name}\">\n<h3>{}</h3>\n<div class=\"plot\">{}</div>\n<figcaption>{}{files}</figcaption>\n</figure>",
            escape(&figure.title),
            figure.svg,
            escape(&figure.caption)
        );
    }

    /// What the script reads, as JSON that no HTML can end.
    fn data(&self) -> String {
        let known = &self.known;
        let mut sets: Vec<Value> = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut figures = Map::new();
        for figure in self.figures().filter(|f| !f.places.is_empty()) {
            let set = set(&figure.places);
            let text = set.to_string();
            let at = *seen.entry(text).or_insert_with(|| {
                sets.push(set);
                sets.len() - 1
            });
            figures.insert(figure.name.clone(), at.into());
        }
        let columns: Vec<Value> = known
            .columns
            .iter()
            .map(|(name, values)| {
                let cell = |v: &f64| {
                    if v.is_finite() {
                        json!((v * 1e3).round() / 1e3)
                    } else {
                        Value::Null
                    }
                };
                json!([name, values.iter().map(cell).collect::<Vec<_>>()])
            })
            .collect();
        let plain = |name: &String| name.chars().map(harmless).collect::<String>();
        let names: Vec<String> = known.names.iter().map(plain).collect();
        let data = json!({
            "names": names,
            "recording": known.neurons.iter().map(|n| n.0).collect::<Vec<_>>(),
            "neuron": known.neurons.iter().map(|n| n.1).collect::<Vec<_>>(),
            "columns": columns,
            "sets": sets,
            "figures": figures,
        });
        data.to_string()
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
    }
}

/// Places as columns; who they are is left out where it is everybody in order.
fn set(places: &[Place]) -> Value {
    let tenth = |v: f64| json!((v * 10.0).round() / 10.0);
    let xs: Vec<Value> = places.iter().map(|p| tenth(p.x)).collect();
    let ys: Vec<Value> = places.iter().map(|p| tenth(p.y)).collect();
    let all = places.iter().enumerate().all(|(i, p)| p.neuron == i);
    let who = match all {
        true => Value::Null,
        false => json!(places.iter().map(|p| p.neuron).collect::<Vec<_>>()),
    };
    let reach = places.first().map_or(0.0, |p| p.reach);
    json!([xs, ys, who, reach])
}

/// Text with what stands between backticks as code.
fn code(text: &str) -> String {
    let mut out = String::new();
    for (i, part) in text.split('`').enumerate() {
        let part = escape(part);
        match i % 2 {
            1 => {
                let _ = write!(out, "<code>{part}</code>");
            }
            _ => out.push_str(&part),
        }
    }
    out
}

/// Text whose lines stay lines.
fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn table(out: &mut String, heads: &[String], rows: &[Vec<String>]) {
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for head in heads {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(head));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}
