//! What a page is made of.

use super::source::Lack;
use crate::table::Table;

/// A drawing, the numbers in it, and what to see.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files: small letters, digits and hyphens.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// What to see, and of how many.
    pub caption: String,
    /// The drawing.
    pub svg: String,
    /// The numbers that are drawn.
    pub data: Table,
    /// Where neurons are in the drawing.
    pub places: Vec<Place>,
}

/// Where a neuron is in a drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
    /// The neuron, counted through all readouts.
    pub neuron: usize,
    /// Half the width of what shows it.
    pub reach: f64,
}

impl Figure {
    /// Without places.
    pub fn new(name: &str, title: &str, caption: String, svg: String, data: Table) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            caption,
            svg,
            data,
            places: Vec::new(),
        }
    }

    /// With the places of these neurons' points.
    #[must_use]
    pub fn with_points(mut self, neurons: &[usize], places: &[(f64, f64)]) -> Self {
        let known = neurons.iter().zip(places);
        self.places = known
            .filter(|(_, (x, y))| x.is_finite() && y.is_finite())
            .map(|(&neuron, &(x, y))| Place {
                x,
                y,
                neuron,
                reach: 6.0,
            })
            .collect();
        self
    }
}

/// A part of a section.
#[derive(Clone, Debug)]
pub enum Block {
    /// A drawing.
    Figure(Box<Figure>),
    /// A sentence.
    Note(String),
    /// Why something is not there; these come last in their section.
    Lack(String),
    /// A table that is read: heads and cells.
    Table(Vec<String>, Vec<Vec<String>>),
    /// Text that is shown letter by letter.
    Listing(String, String),
}

impl Block {
    /// The first rows of a table, as it is.
    pub fn whole(table: &Table) -> Self {
        const ROWS: usize = 30;
        let heads: Vec<String> = table.names().map(String::from).collect();
        let columns: Vec<Vec<String>> = heads.iter().filter_map(|h| table.text(h)).collect();
        let row = |r: usize| columns.iter().map(|c| c[r].clone()).collect();
        Self::Table(heads, (0..table.rows().min(ROWS)).map(row).collect())
    }
}

/// A section of the page.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it is called.
    pub title: &'static str,
    /// What one learns from it, in a sentence.
    pub about: &'static str,
    /// What is in it.
    pub blocks: Vec<Block>,
}

impl Section {
    /// An empty one.
    pub fn new(title: &'static str, about: &'static str) -> Self {
        Self {
            title,
            about,
            blocks: Vec::new(),
        }
    }

    /// Adds a drawing.
    pub fn draw(&mut self, figure: Figure) {
        self.blocks.push(Block::Figure(Box::new(figure)));
    }

    /// Adds a drawing if there is one.
    pub fn draw_some(&mut self, figure: Option<Figure>) {
        figure.into_iter().for_each(|f| self.draw(f));
    }

    /// Adds a sentence.
    pub fn note(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Note(text.into()));
    }

    /// Says why something is not here, and which command makes it.
    pub fn lack(&mut self, what: &str, lack: &Lack, command: &str) {
        let told = match lack {
            Lack::Missing => format!("{what}: not yet. `striate {command}` makes it."),
            Lack::Unusable(why) => {
                format!("{what}: cannot be shown ({why}). `striate {command}` makes it anew.")
            }
        };
        self.blocks.push(Block::Lack(told));
    }
}
