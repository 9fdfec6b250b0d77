//! Each neuron's own optima: read where they are there, sought and written where they are not.

use super::super::common::{Chosen, Output, options, warn};
use super::super::optima as grids;
use super::{Arguments, Plan};
use std::path::{Path, PathBuf};
use striate::insilico::ascent::{self, Meis};
use striate::insilico::search::Grid;
use striate::insilico::shared::{self, Image, Member};
use striate::insilico::{Watch, optima};
use striate::model::Model;
use striate::ops::scan::Places;
use striate::results::{Arrays, MADE_WITH};
use striate::table::Table;
use striate::{Error, Result};

/// What is known of the neurons' own optima before the search.
pub(super) struct Own {
    gabors: PathBuf,
    differences: PathBuf,
    images: [PathBuf; 2],
    /// Whether each of them was there.
    there: [bool; 3],
    /// SD of responses by readout and neuron.
    pub(super) scales: Vec<Vec<f64>>,
}

impl Own {
    pub(super) fn read(
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

    /// The options that what was there was made with.
    pub(super) fn made_with(&self) -> Result<Vec<(&'static str, String)>> {
        let files = [
            ("gabors", &self.gabors),
            ("dogs", &self.differences),
            ("meis", &self.images[0]),
        ];
        let there = files.iter().zip(self.there).filter(|(_, there)| *there);
        there
            .map(|((name, path), _)| Ok((*name, made_with_of(path)?)))
            .collect()
    }

    /// Seeks and writes what is missing; says of Gabors and differences of Gaussians whether they are the best of the same
    /// grid.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn complete(
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

/// The options that a table was made with, in brackets where they are several.
pub(super) fn made_with_of(path: &Path) -> Result<String> {
    let made_with = Table::read_csv(path)?.text(MADE_WITH).unwrap_or_default();
    let mut filled = made_with.into_iter().filter(|m| !m.is_empty());
    let text = filled.next().unwrap_or("as given".into());
    Ok(match text.contains('=') {
        true => format!("({text})"),
        false => text,
    })
}
