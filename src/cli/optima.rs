//! `striate gabors` and `striate dogs`

use super::Global;
use super::common::{Chosen, Place, Report, numbers, open_run, options, warn_of_flat};
use std::path::PathBuf;
use striate::insilico::search::{Differences, Gabors, Grid};
use striate::insilico::{Watch, optima};
use striate::model::Model;
use striate::ops::scan::Places;
use striate::statistics::{mean_of_known, median};
use striate::table::Table;
use striate::training::Interrupts;
use striate::{Error, Result};

/// What both commands take.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// The run
    run: PathBuf,
    /// The readout, where the run has several [default: all]
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    place: Place,
}

/// Where stimuli are tried, and whether the search goes on from there.
#[derive(Debug, clap::Args)]
pub struct Search {
    /// Columns of the centres, as in 27-48 [default: all of the image]
    #[arg(long, value_name = "FIRST-LAST")]
    x: Option<String>,
    /// Rows of the centres, as in 5-27 [default: all of the image]
    #[arg(long, value_name = "FIRST-LAST")]
    y: Option<String>,
    /// Leave out the climb from the grid's best stimulus
    #[arg(long)]
    no_refine: bool,
    /// Show every stimulus to each neuron that looks at a padded border, not only the promising ones (and to neurons without
    /// masks, not only at every fourth row and column): slow
    #[arg(long)]
    exhaustive: bool,
}

#[derive(Debug, clap::Args)]
pub struct GaborArguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    grid: GaborGrid,
}

/// The grid of Gabors; without options that of Ecker et al. 2019.
#[derive(Debug, clap::Args)]
pub struct GaborGrid {
    /// Sizes (4 SD of the envelope), in pixels [default: 8 x 1.25^k, k = 0..7]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sizes: Vec<f64>,
    /// Frequencies, in cycles per size [default: 1.3^k, k = -1..2]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cycles: Vec<f64>,
    /// Contrasts, in SDs of the grey levels [default: 2^k, k = -3..2]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    contrasts: Vec<f64>,
    /// Number of orientations in [0, pi)
    #[arg(long, default_value_t = Gabors::default().orientations, value_name = "N")]
    orientations: usize,
    /// Number of phases in [0, 2 pi)
    #[arg(long, default_value_t = Gabors::default().phases, value_name = "N")]
    phases: usize,
}

#[derive(Debug, clap::Args)]
pub struct DifferenceArguments {
    #[command(flatten)]
    common: Common,
    /// SDs of the centre, in pixels [default: 2 x 1.25^k, k = 0..7]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sigmas: Vec<f64>,
    /// SD of the surround over that of the centre [default: 1.25,1.6,2,3]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    ratios: Vec<f64>,
    /// Contrasts, in SDs of the grey levels; negative ones are dark [default: +-2^k, k = -3..2]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    contrasts: Vec<f64>,
    /// Contrasts of the surround over that of the centre [default: 0,0.25,0.5,1,2]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    surround_contrasts: Vec<f64>,
}

impl GaborGrid {
    /// The settings, checked.
    pub fn settings(&self) -> Result<Gabors> {
        let default = Gabors::default();
        Ok(Gabors {
            sizes: list("--sizes", &self.sizes, default.sizes, positive)?,
            cycles: list("--cycles", &self.cycles, default.cycles, positive)?,
            contrasts: list("--contrasts", &self.contrasts, default.contrasts, positive)?,
            orientations: count("--orientations", self.orientations)?,
            phases: count("--phases", self.phases)?,
        })
    }
}

pub fn gabors(global: &Global, arguments: &GaborArguments) -> Result<Report> {
    let settings = arguments.grid.settings()?;
    let made_with = settings_of(&settings);
    run(
        global,
        &arguments.common,
        optima::GABORS,
        made_with,
        |places| settings.grid(places),
    )
}

/// The grid as the options of a table.
pub fn settings_of(s: &Gabors) -> Vec<(&'static str, String, String)> {
    let usual = Gabors::default();
    vec![
        ("sizes", numbers(&s.sizes), numbers(&usual.sizes)),
        ("cycles", numbers(&s.cycles), numbers(&usual.cycles)),
        (
            "contrasts",
            numbers(&s.contrasts),
            numbers(&usual.contrasts),
        ),
        (
            "orientations",
            s.orientations.to_string(),
            usual.orientations.to_string(),
        ),
        ("phases", s.phases.to_string(), usual.phases.to_string()),
    ]
}

pub fn differences(global: &Global, arguments: &DifferenceArguments) -> Result<Report> {
    let a = arguments;
    let given = [&a.sigmas, &a.ratios, &a.contrasts, &a.surround_contrasts];
    let settings = difference_settings(given.map(Vec::as_slice), "--contrasts")?;
    let made_with = settings_of_differences(&settings, "contrasts");
    run(
        global,
        &arguments.common,
        optima::DIFFERENCES,
        made_with,
        |places| settings.grid(places),
    )
}

/// The grid of these sigmas, ratios, contrasts (an option of that name) and surround contrasts, checked.
pub fn difference_settings(
    [sigmas, ratios, contrasts, surround]: [&[f64]; 4],
    of_contrasts: &str,
) -> Result<Differences> {
    let usual = Differences::default();
    let shares = usual.surround_contrasts;
    Ok(Differences {
        sigmas: list("--sigmas", sigmas, usual.sigmas, positive)?,
        ratios: list("--ratios", ratios, usual.ratios, positive)?,
        contrasts: list(of_contrasts, contrasts, usual.contrasts, |v| v != 0.0)?,
        surround_contrasts: list("--surround-contrasts", surround, shares, |v| v >= 0.0)?,
    })
}

/// The grid as the options of a table, its contrasts under that name.
pub fn settings_of_differences<'n>(
    s: &Differences,
    of_contrasts: &'n str,
) -> Vec<(&'n str, String, String)> {
    let usual = Differences::default();
    let pair = |own: &[f64], usual: &[f64]| (numbers(own), numbers(usual));
    let all = [
        ("sigmas", pair(&s.sigmas, &usual.sigmas)),
        ("ratios", pair(&s.ratios, &usual.ratios)),
        (of_contrasts, pair(&s.contrasts, &usual.contrasts)),
        (
            "surround-contrasts",
            pair(&s.surround_contrasts, &usual.surround_contrasts),
        ),
    ];
    all.map(|(name, (own, usual))| (name, own, usual)).into()
}

fn run(
    global: &Global,
    common: &Common,
    file: &str,
    mut made_with: Vec<(&str, String, String)>,
    grid: impl Fn(Places) -> Grid,
) -> Result<Report> {
    let interrupts = Interrupts::listen()?;
    let mut model = open_run(global, &common.run)?;
    let readout = common.readout.as_deref();
    let chosen = Chosen::new(&model, readout, common.neurons.as_deref())?;
    let mut work = Vec::new();
    for (index, rows) in &chosen.parts {
        let grid = common.search.grid(&model, *index, &grid)?;
        work.push((*index, rows.clone(), grid));
    }
    let command = file.strip_suffix(".csv").unwrap_or(file);
    let output = common.place.open(&common.run, command)?;
    made_with.extend(common.search.settings());
    let results = output.results((file, &[]), options(&made_with), &model, chosen.names())?;
    let path = results.path().to_path_buf();
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let climb = common.search.climbs();
    let mut parts = Vec::new();
    for (index, rows, grid) in &work {
        let table = optima::table(&mut model, *index, rows, grid, climb, &mut watch)?;
        let known = table.numbers("response").unwrap_or_default();
        let without = rows.iter().zip(known.iter()).filter(|(_, r)| r.is_nan());
        let without: Vec<usize> = without.map(|(n, _)| *n).collect();
        warn_of_flat(&without, rows.len());
        parts.push((model.readouts[*index].name.clone(), table));
    }
    let several = model.readouts.len() > 1;
    let table = Table::stacked(parts, several.then_some("recording"));
    results.write(&table, Vec::new())?;
    let stimuli = work[0].2.len();
    let column = |name: &str| table.numbers(name).unwrap_or_default().to_vec();
    let response = column("response");
    let gain: Vec<f64> = column("refined_response")
        .iter()
        .zip(&response)
        .map(|(refined, grid)| refined / grid)
        .collect();
    let mut text = format!(
        "{} neurons, {} stimuli each\nmean response {:.4}",
        table.rows(),
        stimuli,
        mean_of_known(&response)
    );
    if climb {
        text.push_str(&format!(
            ", times {:.3} after refinement (median)",
            median(&gain)
        ));
    }
    text.push_str(&format!("\ntable: {}", path.display()));
    Ok(Report::new(text)
        .fact("neurons", table.rows())
        .fact("stimuli", stimuli)
        .fact("response", mean_of_known(&response))
        .fact("median_gain_of_refinement", median(&gain))
        .fact("table", path.display().to_string()))
}

impl Search {
    /// Whether anything is asked for besides the default.
    pub fn is_chosen(&self) -> bool {
        self.x.is_some() || self.y.is_some() || self.no_refine || self.exhaustive
    }

    /// Whether anything is asked for that matters to the search alone.
    pub fn is_confined(&self) -> bool {
        self.x.is_some() || self.y.is_some() || self.exhaustive
    }

    /// As the options of a table.
    pub fn settings(&self) -> Vec<(&'static str, String, String)> {
        let text = |o: &Option<String>| o.clone().unwrap_or_default().replace(',', " ");
        let flag = |f: bool| f.to_string();
        vec![
            ("x", text(&self.x), String::new()),
            ("y", text(&self.y), String::new()),
            ("no-refine", flag(self.no_refine), flag(false)),
            ("exhaustive", flag(self.exhaustive), flag(false)),
        ]
    }

    /// Whether optima are refined.
    pub fn climbs(&self) -> bool {
        !self.no_refine
    }

    /// The stimuli that `make` makes for these places.
    pub fn grid(&self, model: &Model, index: usize, make: impl Fn(Places) -> Grid) -> Result<Grid> {
        Ok(Grid {
            exhaustive: self.exhaustive,
            ..make(self.places(model, index)?)
        })
    }

    /// The centres: all pixels of the image, or the given ones.
    fn places(&self, model: &Model, index: usize) -> Result<Places> {
        let (height, width) = model.readouts[index].image;
        let (column, columns) = range("--x", self.x.as_deref(), width)?;
        let (row, rows) = range("--y", self.y.as_deref(), height)?;
        Ok(Places {
            row,
            rows,
            column,
            columns,
        })
    }
}

fn range(option: &str, text: Option<&str>, pixels: usize) -> Result<(i64, usize)> {
    let Some(text) = text else {
        return Ok((0, pixels));
    };
    let parse = |t: &str| t.trim().parse::<usize>().ok();
    let (first, last) = match text.split_once('-') {
        Some((a, b)) => (parse(a), parse(b)),
        None => (parse(text), parse(text)),
    };
    match (first, last) {
        (Some(first), Some(last)) if first <= last && last < pixels => {
            Ok((first as i64, last - first + 1))
        }
        _ => {
            let wanted = format!("FIRST-LAST within 0-{}", pixels - 1);
            Err(Error::bad(
                option,
                "the range",
                format!("\"{text}\""),
                wanted,
            ))
        }
    }
}

fn positive(v: f64) -> bool {
    v > 0.0
}

fn list(option: &str, given: &[f64], default: Vec<f64>, good: fn(f64) -> bool) -> Result<Vec<f64>> {
    if given.is_empty() {
        return Ok(default);
    }
    match given.iter().find(|&&v| !(v.is_finite() && good(v))) {
        Some(bad) => Err(Error::bad(
            option,
            "a value",
            bad,
            "numbers that make a stimulus",
        )),
        None => Ok(given.to_vec()),
    }
}

fn count(option: &str, n: usize) -> Result<usize> {
    match n {
        1..=360 => Ok(n),
        _ => Err(Error::bad(option, "the number", n, "1 to 360")),
    }
}
