//! All that a run's files let `tune` say about a readout.

use super::energy::{self, Kind};
use super::{Indices, Tuning, tune};
use crate::insilico::search::Grid;
use crate::insilico::{Flat, Watch, found::Found, optima, show};
use crate::model::Model;
use crate::stimuli::Gabor;
use crate::table::{Column, Table};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What earlier commands left for the neurons of a readout. Read before the experiments: what is wrong with it shows at
/// once.
#[derive(Debug)]
pub struct Inputs {
    index: usize,
    neurons: Vec<usize>,
    gabors: Option<Vec<Option<Gabor>>>,
    differences: Option<Kind>,
    images: Option<Kind>,
    nonlinearity: Option<Vec<f64>>,
}

impl Inputs {
    /// Reads `gabors.csv`, `dogs.csv`, `meis.csv` with `meis.npy`, `evaluation.csv` and `glm.csv` where they are; `file`
    /// says where a file of that name would be.
    ///
    /// # Errors
    /// Names the file that cannot be used, and that of `glm` when it is missing.
    pub fn read(
        file: &dyn Fn(&str) -> PathBuf,
        model: &Model,
        index: usize,
        neurons: &[usize],
        glm: Option<&Path>,
    ) -> Result<Self> {
        let gabors = match Found::open(&file(optima::GABORS), model)? {
            Some(found) => {
                let rows = found.rows(model, index, neurons)?;
                Some(found.gabors(&rows, neurons)?)
            }
            None => None,
        };
        let differences = match Found::open(&file(optima::DIFFERENCES), model)? {
            Some(found) => {
                let rows = found.rows(model, index, neurons)?;
                Some(Kind::Differences(found.differences(&rows)?))
            }
            None => None,
        };
        let array = file("meis.npy");
        let images = match Found::open(&file("meis.csv"), model)? {
            Some(found) if array.exists() => {
                let rows = found.rows(model, index, neurons)?;
                let images = found.images(&array, model.readouts[index].image, &rows)?;
                Some(Kind::Images(images))
            }
            _ => None,
        };
        Ok(Self {
            index,
            neurons: neurons.to_vec(),
            gabors,
            differences,
            images,
            nonlinearity: nonlinearity(file, model, index, neurons, glm)?,
        })
    }

    /// The optimal Gabors, none for a neuron without one; empty before the search.
    pub fn gabors(&self) -> &[Option<Gabor>] {
        self.gabors.as_deref().unwrap_or_default()
    }

    /// Searches for the optimal Gabors; returns what `gabors.csv` holds of these neurons.
    ///
    /// # Errors
    /// As [`optima::table`].
    pub fn search(
        &mut self,
        model: &mut Model,
        grid: &Grid,
        climb: bool,
        watch: &mut Watch,
    ) -> Result<Table> {
        let table = optima::table(model, self.index, &self.neurons, grid, climb, watch)?;
        let found = Found::of_table(Path::new(optima::GABORS), table.clone())?;
        let rows: Vec<Option<usize>> = (0..self.neurons.len()).map(Some).collect();
        self.gabors = Some(found.gabors(&rows, &self.neurons)?);
        Ok(table)
    }

    /// Runs the experiments.
    ///
    /// # Errors
    /// When there are no optimal Gabors yet, memory does not suffice, the device fails or a signal has come.
    pub fn tune(self, model: &mut Model, watch: &mut Watch) -> Result<(Table, Tuning)> {
        let Some(optimal) = self.gabors else {
            return Err(Error::file(optima::GABORS, "does not exist"));
        };
        let groups = show::exact(model, self.index, &self.neurons)?;
        let mut tuning = tune(model, &groups, &optimal, watch)?;
        let flat = Flat::of(model, self.index, &self.neurons)?;
        tuning.curves.iter_mut().for_each(|c| flat.clear(c));
        let neurons = self.neurons.iter().map(|&n| n as i64).collect();
        let table = Table::new().with("neuron", Column::Integer(neurons));
        let mut table = Indices::columns(&tuning.indices(), "", table);

        let several = self.differences.is_some() || self.images.is_some();
        let gabors = several.then_some(Kind::Gabors(optimal));
        let mut responses = |kind: &Option<Kind>| match kind {
            Some(kind) => {
                let mut responses = energy::responses(model, &groups, kind, watch)?;
                flat.clear(&mut responses);
                Ok(Some(responses))
            }
            None => Ok(None),
        };
        let gabor = responses(&gabors)?;
        let dog = responses(&self.differences)?;
        let mei = responses(&self.images)?;
        for (name, of, to) in [
            ("gabor_vs_dog", &gabor, &dog),
            ("gabor_vs_mei", &gabor, &mei),
            ("dog_vs_mei", &dog, &mei),
        ] {
            if let (Some(of), Some(to)) = (of, to) {
                let pairs = of.rows().into_iter().zip(to.rows());
                let ratios = pairs.map(|(a, b)| energy::ratio(a, b)).collect();
                table = table.with(name, Column::Number(ratios));
            }
        }
        if let Some(nonlinearity) = self.nonlinearity {
            table = table.with("nonlinearity_index", Column::Number(nonlinearity));
        }
        Ok((table, tuning))
    }
}

/// The twin's test correlation over the GLM's, where both tables are there; NaN where the GLM's is not above 0.
fn nonlinearity(
    file: &dyn Fn(&str) -> PathBuf,
    model: &Model,
    index: usize,
    neurons: &[usize],
    glm: Option<&Path>,
) -> Result<Option<Vec<f64>>> {
    let (name, several) = (&model.readouts[index].name, model.readouts.len() > 1);
    // A GLM's table knows one recording.
    let in_folder = |folder: &Path| match several {
        true => folder.join(name).join("glm.csv"),
        false => folder.join("glm.csv"),
    };
    let paths = match glm {
        Some(folder) => vec![in_folder(folder)],
        None => vec![
            file(&in_folder(Path::new("")).to_string_lossy()),
            file(&in_folder(Path::new("glm")).to_string_lossy()),
        ],
    };
    let path = paths.into_iter().find(|p| p.exists());
    let scores = file("evaluation.csv");
    let (Some(path), true) = (&path, scores.exists()) else {
        let Some(folder) = glm else { return Ok(None) };
        return Err(match &path {
            None => Error::file(in_folder(folder), "--glm: does not exist"),
            Some(_) => Error::file(
                scores,
                "does not exist, wanted by --glm; run `striate evaluate`",
            ),
        });
    };
    let Some(twin) = Found::open(&scores, model)? else {
        return Ok(None);
    };
    let linear = Found::of_table(path, Table::read_csv(path)?)?;
    if !several {
        twin.check_same_recording(&linear)?;
    }
    let twin = twin.values("correlation_to_average", &twin.rows(model, index, neurons)?)?;
    let recorded = model.config.chosen_neurons();
    let of = |n: &usize| recorded.as_ref().map_or(*n, |rows| rows[*n]);
    let rows = linear.rows_of_one(&neurons.iter().map(of).collect::<Vec<_>>());
    let linear = linear.values("test_correlation", &rows)?;
    let ratio = |(a, b): (&f64, &f64)| if *b > 0.0 { a / b } else { f64::NAN };
    Ok(Some(twin.iter().zip(&linear).map(ratio).collect()))
}
