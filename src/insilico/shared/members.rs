//! Which neurons are clustered together, and the own optima that earlier commands found for them.

use crate::insilico::found::Found;
use crate::insilico::show;
use crate::model::Model;
use crate::model::closeup::{self, Group};
use crate::stimuli::{DifferenceOfGaussians, Gabor};
use crate::{Error, Result};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Most clusters.
const MOST: f64 = 10_000.0;
/// How far the norm of an own image may be from the wanted one.
const NORM: f64 = 0.01;

/// A neuron's own optimum and its responses, in the recording's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best<S> {
    /// The best of the grid.
    pub stimulus: S,
    /// The response to it.
    pub response: f64,
    /// The response after refinement; NaN where there was none.
    pub refined: f64,
}

/// A neuron's own most exciting image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// z-scored (H, W); none where only the response is known.
    pub image: Option<Array2<f32>>,
    /// The response to it, in the recording's unit.
    pub response: f64,
}

/// A neuron of a cluster.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its readout.
    pub readout: usize,
    /// Its row there.
    pub neuron: usize,
    /// Its cluster.
    pub cluster: usize,
    /// Own optimal Gabor; none where it answers alike to all.
    pub gabor: Option<Best<Gabor>>,
    /// Own optimal difference of Gaussians, likewise.
    pub difference: Option<Best<DifferenceOfGaussians>>,
    /// Own most exciting image, where it is known.
    pub image: Option<Image>,
}

/// Which cluster each neuron is in.
#[derive(Clone, Debug)]
pub struct Clusters {
    found: Found,
    path: PathBuf,
    /// How many there are: one more than the largest number.
    pub count: usize,
}

impl Clusters {
    /// Reads `clusters.csv` of a run.
    ///
    /// # Errors
    /// When it is not there, another model made it, or what should be numbers of clusters from 0 is not.
    pub fn open(path: &Path, model: &Model) -> Result<Self> {
        let Some(found) = Found::open(path, model)? else {
            let what = "does not exist: run `striate cluster` first";
            return Err(Error::file(path, what));
        };
        let numbers = found.numbers("cluster")?;
        for (row, &number) in numbers.iter().enumerate() {
            let counts = number.fract() == 0.0 && (0.0..MOST).contains(&number);
            if !(counts || number.is_nan()) {
                let place = format!("{}, row {}", path.display(), row + 2);
                let wanted = format!("a whole number from 0 to {}, or nothing", MOST - 1.0);
                return Err(Error::bad(place, "cluster", number, wanted));
            }
        }
        let largest = numbers.iter().fold(f64::NAN, |most, &n| most.max(n));
        if largest.is_nan() {
            return Err(Error::file(path, "no neuron is in a cluster"));
        }
        Ok(Self {
            found,
            path: path.to_path_buf(),
            count: largest as usize + 1,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The clusters of these neurons of a readout; none of those that are in none.
    ///
    /// # Errors
    /// When the table does not say which of several readouts it belongs to.
    pub fn of(&self, model: &Model, index: usize, neurons: &[usize]) -> Result<Vec<Option<usize>>> {
        let rows = self.found.rows(model, index, neurons)?;
        let numbers = self.found.values("cluster", &rows)?;
        let number = |n: &f64| (!n.is_nan()).then_some(*n as usize);
        Ok(numbers.iter().map(number).collect())
    }
}

/// Responses to optima of a table: of the grid, and refined where the table says so.
fn responses(found: &Found, rows: &[Option<usize>]) -> Result<Vec<(f64, f64)>> {
    let grid = found.values("response", rows)?;
    let refined = found.values("refined_response", rows);
    let refined = refined.unwrap_or_else(|_| vec![f64::NAN; rows.len()]);
    Ok(grid.into_iter().zip(refined).collect())
}

fn best<S>(stimuli: Vec<Option<S>>, responses: Vec<(f64, f64)>) -> Vec<Option<Best<S>>> {
    let pairs = stimuli.into_iter().zip(responses);
    pairs
        .map(|(stimulus, (response, refined))| {
            let stimulus = stimulus.filter(|_| !response.is_nan())?;
            Some(Best {
                stimulus,
                response,
                refined,
            })
        })
        .collect()
}

/// Reads the own optimal Gabors of members from `gabors.csv` at `path`, if it is there; says whether it is.
///
/// # Errors
/// When it cannot be used, or has no row of a member.
pub fn own_gabors(path: &Path, model: &Model, members: &mut [Member]) -> Result<bool> {
    let Some(found) = Found::open(path, model)? else {
        return Ok(false);
    };
    for members in members.chunk_by_mut(|a, b| a.readout == b.readout) {
        let (index, neurons) = part(members);
        let rows = found.rows(model, index, &neurons)?;
        let own = best(found.gabors(&rows, &neurons)?, responses(&found, &rows)?);
        let pairs = members.iter_mut().zip(own);
        pairs.for_each(|(member, own)| member.gabor = own);
    }
    Ok(true)
}

/// The same of `dogs.csv`; members without a row have none.
///
/// # Errors
/// When it cannot be used.
pub fn own_differences(path: &Path, model: &Model, members: &mut [Member]) -> Result<bool> {
    let Some(found) = Found::open(path, model)? else {
        return Ok(false);
    };
    for members in members.chunk_by_mut(|a, b| a.readout == b.readout) {
        let (index, neurons) = part(members);
        let rows = found.rows(model, index, &neurons)?;
        let own = best(found.differences(&rows)?, responses(&found, &rows)?);
        let pairs = members.iter_mut().zip(own);
        pairs.for_each(|(member, own)| member.difference = own);
    }
    Ok(true)
}

/// Readout and rows of members of one readout.
fn part(members: &[Member]) -> (usize, Vec<usize>) {
    let rows = members.iter().map(|m| m.neuron).collect();
    (members.first().map_or(0, |m| m.readout), rows)
}

/// Reads the own images of members from `meis.csv` and the array beside it, if the table is there; says whether it is.
/// Responses are all that is known where the array is missing.
///
/// # Errors
/// When they cannot be used, or their norm is not `norm`.
pub fn own_images(
    (table, array): (&Path, &Path),
    model: &Model,
    norm: f64,
    members: &mut [Member],
) -> Result<bool> {
    let Some(found) = Found::open(table, model)? else {
        return Ok(false);
    };
    for members in members.chunk_by_mut(|a, b| a.readout == b.readout) {
        let (index, neurons) = part(members);
        let rows = found.rows(model, index, &neurons)?;
        let responses = found.values("response", &rows)?;
        let norms = found.values("norm", &rows);
        let norms = norms.unwrap_or_else(|_| vec![f64::NAN; rows.len()]);
        if let Some(other) = norms.iter().find(|n| (*n - norm).abs() > NORM * norm) {
            let wanted = format!(
                "{norm}, that of the clusters' images; make it anew, or leave it out by --no-meis"
            );
            return Err(Error::bad(table.display(), "norm", other, wanted));
        }
        let size = model.readouts[index].image;
        let images = match array.exists() && rows.iter().any(Option::is_some) {
            true => found.images(array, size, &rows)?,
            false => vec![None; rows.len()],
        };
        let found = responses.into_iter().zip(images);
        for (member, (response, image)) in members.iter_mut().zip(found) {
            member.image = (!response.is_nan()).then_some(Image { image, response });
        }
    }
    Ok(true)
}

/// Groups of these members (numbers in the list) on crops, of whichever readout: their places are those in `who`. Of `exact`
/// groups the answers are those of the whole image; the others' crops are where members look, for searches.
///
/// # Errors
/// When the maps do not fit into memory.
pub fn groups(
    model: &mut Model,
    members: &[Member],
    who: &[usize],
    exact: bool,
) -> Result<Vec<Group>> {
    let mut all = Vec::new();
    let mut first = 0;
    for part in who.chunk_by(|&a, &b| members[a].readout == members[b].readout) {
        let index = members[part[0]].readout;
        let rows: Vec<usize> = part.iter().map(|&m| members[m].neuron).collect();
        let mut groups = match exact {
            true => show::exact(model, index, &rows)?,
            false => {
                let windows = closeup::looked_at(model, index, &rows);
                closeup::groups(model, index, &rows, &windows)?
            }
        };
        for group in &mut groups {
            group.places.iter_mut().for_each(|p| *p += first);
        }
        all.extend(groups);
        first += part.len();
    }
    Ok(all)
}
