//! `striate cluster-stimuli`

mod own;
mod summary;

use super::Global;
use super::common::{Chosen, Place, Report, open_factorised, options};
use super::optima::{self as grids, GaborGrid, Search};
use own::{Own, made_with_of};
use std::path::PathBuf;
use striate::insilico::Watch;
use striate::insilico::search::{Differences, Gabors, Grid};
use striate::insilico::shared::{self, Clusters, Found, Member, Recipe, Seat};
use striate::ops::scan::Places;
use striate::results::{Together, USUAL};
use striate::stimuli::Gabor;
use striate::table::Table;
use striate::training::Interrupts;
use striate::{Error, Result, files};
use summary::summary;

/// The array with the clusters' images.
const IMAGES: &str = "cluster_meis.npy";

const FILES: [&str; 5] = [
    "cluster_gabors.csv",
    "cluster_dogs.csv",
    "cluster_meis.csv",
    IMAGES,
    "cluster_turns.csv",
];

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run, with the clusters.csv of `cluster`; gabors.csv, dogs.csv and meis.csv that are not there are made first
    run: PathBuf,
    /// The readout, where the run has several [default: all]
    #[arg(long, value_name = "NAME")]
    readout: Option<String>,
    /// Only these neurons, as in 0-99,250
    #[arg(long, value_name = "ROWS")]
    neurons: Option<String>,
    /// Do without the neurons' own most exciting images: shares of them stay empty, and no search starts from them
    #[arg(long)]
    no_meis: bool,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    grid: GaborGrid,
    #[command(flatten)]
    differences: DifferenceGrid,
    #[command(flatten)]
    template: Template,
    #[command(flatten)]
    place: Place,
}

/// The grid of differences of Gaussians.
#[derive(Debug, clap::Args)]
struct DifferenceGrid {
    /// SDs of the centre, in pixels [default: 2 x 1.25^k, k = 0..7]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sigmas: Vec<f64>,
    /// SD of the surround over that of the centre [default: 1.25,1.6,2,3]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    ratios: Vec<f64>,
    /// Contrasts of differences of Gaussians; negative ones are dark [default: +-2^k, k = -3..2]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    dog_contrasts: Vec<f64>,
    /// Contrasts of the surround over that of the centre [default: 0,0.25,0.5,1,2]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    surround_contrasts: Vec<f64>,
}

impl DifferenceGrid {
    fn settings(&self) -> Result<Differences> {
        let given = [
            &self.sigmas,
            &self.ratios,
            &self.dog_contrasts,
            &self.surround_contrasts,
        ];
        grids::difference_settings(given.map(Vec::as_slice), "--dog-contrasts")
    }
}

/// How the clusters' most exciting images are sought.
#[derive(Debug, clap::Args)]
struct Template {
    /// Width of the clusters' images in pixels, an odd number
    #[arg(long, default_value_t = Recipe::default().width, value_name = "PIXELS")]
    width: usize,
    /// Ranks of the functions that they are made of
    #[arg(long, default_value_t = Recipe::default().ranks, value_name = "N")]
    ranks: usize,
    /// Starts per cluster, of which the best is kept
    #[arg(long, default_value_t = Recipe::default().starts, value_name = "N")]
    starts: usize,
    /// Angles around the circle that each neuron is tried at
    #[arg(long, default_value_t = Recipe::default().angles, value_name = "N")]
    angles: usize,
    /// Most steps per start
    #[arg(long, default_value_t = Recipe::default().steps, value_name = "N")]
    steps: u32,
}

impl Template {
    fn recipe(&self, seed: u64) -> Result<Recipe> {
        let within = |option: &str, got: usize, least: usize, most: usize| {
            let wanted = format!("from {least} to {most}");
            match (least..=most).contains(&got) {
                true => Ok(()),
                false => Err(Error::bad(option, "the number", got, wanted)),
            }
        };
        within("--ranks", self.ranks, 1, 40)?;
        within("--width", self.width, self.ranks, 255)?;
        if self.width.is_multiple_of(2) {
            return Err(Error::bad(
                "--width",
                "the width",
                self.width,
                "an odd number",
            ));
        }
        within("--starts", self.starts, 1, 1000)?;
        within("--angles", self.angles, 1, 360)?;
        within("--steps", self.steps as usize, 1, 1_000_000)?;
        Ok(Recipe {
            width: self.width,
            ranks: self.ranks,
            starts: self.starts,
            angles: self.angles,
            steps: self.steps,
            seed,
            ..Recipe::default()
        })
    }
}

/// Everything that the options say, checked.
struct Plan {
    gabors: Gabors,
    differences: Differences,
    recipe: Recipe,
}

/// Neurons of one readout: its index, rows and clusters.
type Part = (usize, Vec<usize>, Vec<Option<usize>>);

pub fn run(global: &Global, a: &Arguments) -> Result<Report> {
    let plan = Plan {
        gabors: a.grid.settings()?,
        differences: a.differences.settings()?,
        recipe: a.template.recipe(global.seed.unwrap_or(1))?,
    };
    let interrupts = Interrupts::listen()?;
    let mut model = open_factorised(global, &a.run)?;
    let output = a.place.open(&a.run, "cluster-stimuli")?;
    let clusters = Clusters::open(&output.find("clusters.csv"), &model)?;
    let chosen = Chosen::new(&model, a.readout.as_deref(), a.neurons.as_deref())?;
    let mut parts: Vec<Part> = Vec::new();
    for (index, rows) in &chosen.parts {
        let of = clusters.of(&model, *index, rows)?;
        parts.push((*index, rows.clone(), of));
    }
    let mut members = members(&parts);
    if members.is_empty() {
        let what = "none of the neurons that are asked for is in a cluster";
        return Err(Error::file(clusters.path(), what));
    }
    let own = Own::read(a, &plan, &output, &model, &mut members)?;
    let origin = model.origin(settings(a, &plan, &own, &clusters)?);
    let mut files = Together::open(output.directory(), origin, &FILES)?;
    let numbers = clusters.count * plan.recipe.width * plan.recipe.width;
    let array = output.directory().join(IMAGES);
    files::require_space(&array, (4 * numbers) as u128)?;
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let bounded = own.complete(
        a,
        &plan,
        &output,
        &chosen,
        &mut model,
        &mut members,
        &mut watch,
    )?;

    let all: Vec<usize> = (0..members.len()).collect();
    let of = |has: &dyn Fn(&Member) -> bool| -> Vec<Vec<usize>> {
        let mut of = vec![Vec::new(); clusters.count];
        let with = all.iter().filter(|&&m| has(&members[m]));
        with.for_each(|&m| of[members[m].cluster].push(m));
        of
    };
    let (oriented, round) = (of(&|m| m.gabor.is_some()), of(&|m| m.difference.is_some()));
    let groups = shared::groups(&mut model, &members, &all, true)?;
    let refine = a.search.climbs();
    let mut show = |seats: Vec<Option<Seat>>, of: &[Vec<usize>], grid: Grid, bounded: bool| {
        let choices = (refine, bounded);
        shared::patterns(
            &mut model,
            &groups,
            (&seats, of),
            &grid,
            choices,
            &mut watch,
        )
    };
    let scales = members.iter().map(|m| own.scales[m.readout][m.neuron]);
    let scales: Vec<f64> = scales.collect();
    let seats = members.iter().zip(&scales).map(|(m, scale)| {
        m.gabor.map(|g| Seat {
            x: g.stimulus.x as f32,
            y: g.stimulus.y as f32,
            orientation: g.stimulus.orientation as f32,
            highest: g.response / scale,
        })
    });
    let anywhere = Places {
        row: 0,
        rows: 1,
        column: 0,
        columns: 1,
    };
    let gabors = show(
        seats.collect(),
        &oriented,
        plan.gabors.grid(anywhere),
        bounded[0],
    )?;
    let seats = members.iter().zip(&scales).map(|(m, scale)| {
        m.difference.map(|d| Seat {
            x: d.stimulus.x as f32,
            y: d.stimulus.y as f32,
            orientation: 0.0,
            highest: d.response / scale,
        })
    });
    let differences = show(
        seats.collect(),
        &round,
        plan.differences.grid(anywhere),
        bounded[1],
    )?;
    let start = |p: &Option<shared::Pattern>| p.as_ref().map(|p| Gabor::from_parameters(&p.shape));
    let best = gabors.refined.as_ref().unwrap_or(&gabors.grid);
    let starts: Vec<Option<Gabor>> = best.iter().map(start).collect();
    let recipe = &plan.recipe;
    let templates = shared::meis(&mut model, &members, &oriented, &starts, recipe, &mut watch)?;
    watch.finish();
    let found = Found {
        members: &members,
        oriented: &oriented,
        round: &round,
        gabors: &gabors,
        differences: &differences,
        templates: &templates,
        width: recipe.width,
    };
    let report = found.report(&model);
    let several = (model.readouts.len() > 1).then_some("recording");
    let turns = parts.iter().map(|(index, rows, of)| {
        let name = model.readouts[*index].name.clone();
        (name, found.turns(*index, rows, of))
    });
    let turns = Table::stacked(turns.collect(), several);
    let images = report.images.clone().into_dyn();
    files.array(IMAGES, &images)?;
    files.table("cluster_gabors.csv", report.gabors.clone(), None)?;
    files.table("cluster_dogs.csv", report.differences.clone(), None)?;
    files.table("cluster_meis.csv", report.templates.clone(), Some(IMAGES))?;
    files.table("cluster_turns.csv", turns, None)?;
    files.commit()?;
    Ok(summary(&found, &report, a.no_meis, output.directory()))
}

fn members(parts: &[Part]) -> Vec<Member> {
    let of_part = |(index, rows, of): &Part| -> Vec<Member> {
        let pairs = rows.iter().zip(of);
        let member = |(&neuron, cluster): (&usize, &Option<usize>)| {
            cluster.map(|cluster| Member {
                readout: *index,
                neuron,
                cluster,
                gabor: None,
                difference: None,
                image: None,
            })
        };
        pairs.filter_map(member).collect()
    };
    parts.iter().flat_map(of_part).collect()
}

/// The options of the tables: those of the searches, who was asked, and what the inputs were made with.
fn settings(a: &Arguments, plan: &Plan, own: &Own, clusters: &Clusters) -> Result<String> {
    let (recipe, usual) = (&plan.recipe, Recipe::default());
    let mut all = grids::settings_of(&plan.gabors);
    all.extend(grids::settings_of_differences(
        &plan.differences,
        "dog-contrasts",
    ));
    all.extend(a.search.settings());
    let text = |o: &Option<String>| o.clone().unwrap_or_default().replace(',', " ");
    let pairs = [
        ("width", recipe.width, usual.width),
        ("ranks", recipe.ranks, usual.ranks),
        ("starts", recipe.starts, usual.starts),
        ("angles", recipe.angles, usual.angles),
        ("steps", recipe.steps as usize, usual.steps as usize),
        ("seed", recipe.seed as usize, usual.seed as usize),
    ];
    let pairs = pairs.map(|(name, own, usual)| (name, own.to_string(), usual.to_string()));
    all.extend(pairs);
    all.push(("no-meis", a.no_meis.to_string(), false.to_string()));
    all.push(("readout", text(&a.readout), String::new()));
    all.push(("neurons", text(&a.neurons), String::new()));
    let mut inputs = vec![("clusters", made_with_of(clusters.path())?)];
    inputs.extend(own.made_with()?);
    let inputs = inputs.into_iter();
    all.extend(inputs.map(|(name, made_with)| (name, made_with, USUAL.into())));
    Ok(options(&all))
}
