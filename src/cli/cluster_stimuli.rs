//! `striate cluster-stimuli`

use super::Global;
use super::common::{Chosen, Output, Place, Report, open_run, options, warn};
use super::optima::{self as grids, GaborGrid, Search};
use std::path::{Path, PathBuf};
use striate::insilico::ascent::{self, Meis};
use striate::insilico::search::{Differences, Gabors, Grid};
use striate::insilico::shared::{self, Clusters, Found, Image, Member, Recipe, Seat};
use striate::insilico::{Watch, optima};
use striate::model::Model;
use striate::ops::ascent::Outcome;
use striate::ops::scan::Places;
use striate::results::{Arrays, MADE_WITH, Results};
use striate::stimuli::Gabor;
use striate::table::Table;
use striate::training::Interrupts;
use striate::{Error, Result, files};

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
    let mut model = open_run(global, &a.run)?;
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
    let results = places(a, &plan, &own, &clusters, &output, &model)?;
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
    write(results, &report, &turns)?;
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

/// What is known of the neurons' own optima before the search.
struct Own {
    gabors: PathBuf,
    differences: PathBuf,
    images: [PathBuf; 2],
    /// Whether each of them was there.
    there: [bool; 3],
    /// SD of responses by readout and neuron.
    scales: Vec<Vec<f64>>,
}

impl Own {
    fn read(
        a: &Arguments,
        plan: &Plan,
        output: &Output,
        model: &Model,
        members: &mut [Member],
    ) -> Result<Self> {
        let find = |name: &str| output.find(name);
        let scales = model.readouts.iter().map(|r| {
            let scales = r.response_scale.iter();
            scales.map(|&s| f64::from(s)).collect()
        });
        let mut own = Self {
            gabors: find(optima::GABORS),
            differences: find(optima::DIFFERENCES),
            images: ["meis.csv", "meis.npy"].map(find),
            there: [false; 3],
            scales: scales.collect(),
        };
        own.there[0] = shared::own_gabors(&own.gabors, model, members)?;
        own.there[1] = shared::own_differences(&own.differences, model, members)?;
        if !a.no_meis {
            let files = (&*own.images[0], &*own.images[1]);
            own.there[2] = shared::own_images(files, model, plan.recipe.norm, members)?;
        }
        for (there, path) in own.there.iter().zip([&own.gabors, &own.differences]) {
            if *there && a.search.is_confined() {
                let what =
                    "there already, so --x, --y and --exhaustive have no effect; remove it or them";
                return Err(Error::file(path, what));
            }
        }
        Ok(own)
    }

    /// Seeks and writes what is missing; says of Gabors and differences of Gaussians whether they are the best of the same
    /// grid.
    #[allow(clippy::too_many_arguments)]
    fn complete(
        &self,
        a: &Arguments,
        plan: &Plan,
        output: &Output,
        chosen: &Chosen,
        model: &mut Model,
        members: &mut [Member],
        watch: &mut Watch,
    ) -> Result<[bool; 2]> {
        let settings = [
            grids::settings_of(&plan.gabors),
            grids::settings_of_differences(&plan.differences, "contrasts"),
        ];
        let [gabors, differences] = &settings;
        let mut same = [true; 2];
        if self.there[0] {
            same[0] = same_grid(&self.gabors, gabors)?;
        } else {
            let make = |places| plan.gabors.grid(places);
            seek(
                a,
                output,
                chosen,
                optima::GABORS,
                gabors,
                &make,
                model,
                watch,
            )?;
            shared::own_gabors(&output.find(optima::GABORS), model, members)?;
        }
        if self.there[1] {
            same[1] = same_grid(&self.differences, differences)?;
        } else {
            let make = |places| plan.differences.grid(places);
            let file = optima::DIFFERENCES;
            seek(a, output, chosen, file, differences, &make, model, watch)?;
            shared::own_differences(&output.find(file), model, members)?;
        }
        if !self.there[2] && !a.no_meis {
            images(plan, output, chosen, model, members, watch)?;
        }
        Ok(same)
    }
}

/// Whether a table's optima are those of this grid; unknown where it does not say.
fn same_grid(path: &Path, settings: &[(&str, String, String)]) -> Result<bool> {
    let Some(made_with) = Table::read_csv(path)?.text(MADE_WITH) else {
        return Ok(false);
    };
    let like = |text: &String| {
        let given: Vec<(&str, &str)> = text.split("; ").filter_map(|o| o.split_once('=')).collect();
        settings.iter().all(|(name, own, usual)| {
            let given = given.iter().find(|g| g.0 == *name);
            given.map_or(usual.as_str(), |g| g.1) == own
        })
    };
    let mut filled = made_with.iter().filter(|m| !m.is_empty());
    Ok(filled.all(like))
}

/// As `gabors` and `dogs` do.
#[allow(clippy::too_many_arguments)]
fn seek(
    a: &Arguments,
    output: &Output,
    chosen: &Chosen,
    file: &str,
    settings: &[(&str, String, String)],
    make: &dyn Fn(Places) -> Grid,
    model: &mut Model,
    watch: &mut Watch,
) -> Result<()> {
    let mut made_with = settings.to_vec();
    made_with.extend(a.search.settings());
    let results = output.results((file, &[]), options(&made_with), model, chosen.names())?;
    let mut tables = Vec::new();
    for (index, rows) in &chosen.parts {
        let grid = a.search.grid(model, *index, make)?;
        let climb = a.search.climbs();
        let table = optima::table(model, *index, rows, &grid, climb, watch)?;
        tables.push((model.readouts[*index].name.clone(), table));
    }
    let label = (model.readouts.len() > 1).then_some("recording");
    results.write(&Table::stacked(tables, label), Vec::new())
}

/// As `meis` does; images of several sizes are not written.
fn images(
    plan: &Plan,
    output: &Output,
    chosen: &Chosen,
    model: &mut Model,
    members: &mut [Member],
    watch: &mut Watch,
) -> Result<()> {
    let recipe = ascent::Recipe {
        norm: plan.recipe.norm,
        smoothness: plan.recipe.smoothness,
        seed: plan.recipe.seed,
        ..ascent::Recipe::default()
    };
    let made_with = options(&[("seed", recipe.seed.to_string(), "1".into())]);
    let sizes = |i: &usize| model.readouts[*i].image;
    let first = sizes(&chosen.parts[0].0);
    let alike = chosen.parts.iter().all(|(i, _)| sizes(i) == first);
    let files = ("meis.csv", &["meis.npy"][..]);
    let results = match alike {
        true => Some(output.results(files, made_with, model, chosen.names())?),
        false => None,
    };
    let (mut tables, mut arrays) = (Vec::new(), Vec::new());
    for (index, rows) in &chosen.parts {
        let found = own_meis(model, *index, rows, &recipe, watch)?;
        for member in members.iter_mut().filter(|m| m.readout == *index) {
            let row = rows.iter().position(|&n| n == member.neuron);
            let known = row.filter(|&row| !found.found[row].response.is_nan());
            member.image = known.map(|row| Image {
                image: Some(found.images.index_axis(ndarray::Axis(0), row).to_owned()),
                response: found.found[row].response,
            });
        }
        tables.push((model.readouts[*index].name.clone(), found.table()));
        arrays.push(found.images);
    }
    let Some(results) = results else {
        warn(
            "readouts whose images differ in size share no meis.npy: the neurons' own images are not written",
        );
        return Ok(());
    };
    let label = (model.readouts.len() > 1).then_some("recording");
    let views: Vec<_> = arrays.iter().map(|a| a.view()).collect();
    let all = ndarray::concatenate(ndarray::Axis(0), &views);
    let all = all.map_err(|e| Error::Other(e.to_string()))?.into_dyn();
    results.write(&Table::stacked(tables, label), vec![Arrays::One(all)])
}

fn own_meis(
    model: &Model,
    index: usize,
    rows: &[usize],
    recipe: &ascent::Recipe,
    watch: &mut Watch,
) -> Result<Meis> {
    // Its search wants runs of its own.
    let mut one = [ascent::Member {
        place: "the run".into(),
        model: model.clone(),
        index,
    }];
    ascent::meis(&mut one, rows, recipe, watch)
}

/// Places for the four tables.
fn places(
    a: &Arguments,
    plan: &Plan,
    own: &Own,
    clusters: &Clusters,
    output: &Output,
    model: &Model,
) -> Result<[Results; 4]> {
    let made_with = settings(a, plan, own, clusters)?;
    let open = |table: &str, arrays: &[&str]| {
        output.results((table, arrays), made_with.clone(), model, None)
    };
    let array = output.directory().join("cluster_meis.npy");
    let numbers = clusters.count * plan.recipe.width * plan.recipe.width;
    files::require_space(&array, (4 * numbers) as u128)?;
    Ok([
        open("cluster_gabors.csv", &[])?,
        open("cluster_dogs.csv", &[])?,
        open("cluster_meis.csv", &["cluster_meis.npy"])?,
        open("cluster_turns.csv", &[])?,
    ])
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
    let inputs = [
        ("clusters", clusters.path(), true),
        ("gabors", &*own.gabors, own.there[0]),
        ("dogs", &*own.differences, own.there[1]),
        ("meis", &*own.images[0], own.there[2]),
    ];
    for (name, path, there) in inputs {
        if there {
            all.push((name, made_with_of(path)?, "usual options".into()));
        }
    }
    Ok(options(&all))
}

/// The options that a table was made with, in brackets where they are several.
fn made_with_of(path: &Path) -> Result<String> {
    let made_with = Table::read_csv(path)?.text(MADE_WITH).unwrap_or_default();
    let mut filled = made_with.into_iter().filter(|m| !m.is_empty());
    let text = filled.next().unwrap_or("as given".into());
    Ok(match text.contains('=') {
        true => format!("({text})"),
        false => text,
    })
}

fn write(results: [Results; 4], report: &shared::Report, turns: &Table) -> Result<()> {
    let [gabors, differences, images, of_turns] = results;
    let array = Arrays::One(report.images.clone().into_dyn());
    let mut ready = gabors.prepare(&report.gabors, Vec::new())?;
    ready.extend(differences.prepare(&report.differences, Vec::new())?);
    ready.extend(images.prepare(&report.templates, vec![array])?);
    ready.extend(of_turns.prepare(turns, Vec::new())?);
    ready.into_iter().try_for_each(files::Prepared::commit)
}

fn summary(found: &Found, report: &shared::Report, no_meis: bool, directory: &Path) -> Report {
    let of = |outcome: Outcome| {
        let all = found.templates.iter().flatten();
        all.filter(|t| t.outcome == outcome).count()
    };
    let (converged, out, diverged) = (
        of(Outcome::Converged),
        of(Outcome::OutOfSteps),
        of(Outcome::Diverged),
    );
    let (all, members) = (found.templates.len(), found.members.len());
    let empty = found.oriented.iter().filter(|c| c.is_empty()).count();
    let without = |has: &dyn Fn(&Member) -> bool| found.members.iter().filter(|m| !has(m)).count();
    let flat = without(&|m| m.gabor.is_some());
    let unknown = without(&|m| m.gabor.is_none() || m.image.is_some());
    let mut text = format!(
        "{all} clusters, {members} neurons in them\n\
         share of the neurons' own optimum: Gabors {:.3}, differences of Gaussians {:.3}, images {:.3}\n\
         images: {converged} converged, {out} still rising, {diverged} diverged",
        report.shares[0], report.shares[1], report.shares[2]
    );
    if empty > 0 {
        text.push_str(&format!(
            "\n{empty} clusters have no neuron that is asked for and has an optimum: empty cells"
        ));
    }
    if flat > 0 {
        text.push_str(&format!(
            "\n{flat} neurons answer alike to everything: left out"
        ));
    }
    if unknown > 0 && !no_meis {
        text.push_str(&format!(
            "\n{unknown} neurons have no own image: left out of shares of images"
        ));
    }
    let kinds = ["Gabor", "difference of Gaussians", "image"];
    for (kind, above) in kinds.iter().zip(report.above).filter(|k| k.1 > 0) {
        text.push_str(&format!(
            "\n{above} neurons say more to their cluster's {kind} than to their own, by more than 2 %: their own search, or its grid, missed it"
        ));
    }
    text.push_str(&format!(
        "\ntables: {}",
        directory.join("cluster_*.csv").display()
    ));
    Report::new(text)
        .fact("clusters", all)
        .fact("neurons", members)
        .fact("empty_clusters", empty)
        .fact("without_answer", flat)
        .fact("gabor_share", report.shares[0])
        .fact("dog_share", report.shares[1])
        .fact("mei_share", report.shares[2])
        .fact("above_own", report.above.to_vec())
        .fact("converged", converged)
        .fact("out_of_steps", out)
        .fact("diverged", diverged)
        .good(diverged == 0)
}
