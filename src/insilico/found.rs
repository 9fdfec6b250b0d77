//! Tables with a row per neuron that earlier commands wrote into a run: optimal stimuli, scores.

use crate::model::Model;
use crate::stimuli::{DifferenceOfGaussians, Gabor};
use crate::table::{Column, Table};
use crate::{Error, Result, npy, results};
use ndarray::{Array2, Array3, Axis, Ix3};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A table, and which of its rows belongs to which neuron.
#[derive(Clone, Debug)]
pub struct Found {
    path: PathBuf,
    table: Table,
    /// By recording, where the table names it, and neuron.
    rows: HashMap<(Option<String>, i64), usize>,
}

impl Found {
    /// Opens a table of a run if it is there.
    ///
    /// # Errors
    /// When it is no table of neurons, has one of them twice, or was made with another model than this one.
    pub fn open(path: &Path, model: &Model) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let table = Table::read_csv(path)?;
        results::check_model(&table, path, &model.hash)?;
        Self::of_table(path, table).map(Some)
    }

    /// What a file at `path` will hold.
    ///
    /// # Errors
    /// As [`Found::open`].
    pub fn of_table(path: &Path, table: Table) -> Result<Self> {
        let neurons = table.column("neuron").and_then(Column::as_integers);
        let neurons =
            neurons.ok_or_else(|| Error::file(path, "no column neuron of row numbers"))?;
        let name = |row: usize| match table.column("recording") {
            Some(Column::Text(names)) => Some(names[row].clone()),
            _ => None,
        };
        let mut rows = HashMap::new();
        for (row, &neuron) in neurons.iter().enumerate() {
            if rows.insert((name(row), neuron), row).is_some() {
                let place = format!("{}, row {}", path.display(), row + 2);
                return Err(Error::bad(
                    place,
                    "neuron",
                    format!("{neuron} again"),
                    "each once",
                ));
            }
        }
        Ok(Self {
            path: path.to_path_buf(),
            table,
            rows,
        })
    }

    /// The hash of the recording that it was made on, if it says so of all its rows alike.
    fn recording(&self) -> Option<String> {
        let hashes = self.table.text(results::RECORDING_HASH)?;
        let mut filled = hashes.into_iter().filter(|h| !h.is_empty());
        let first = filled.next()?;
        filled.all(|h| h == first).then_some(first)
    }

    /// Refuses a table that was made on another recording than this one; tables that do not say pass.
    ///
    /// # Errors
    /// Names both tables.
    pub fn check_same_recording(&self, other: &Self) -> Result<()> {
        match (self.recording(), other.recording()) {
            (Some(own), Some(its)) if own != its => Err(Error::bad(
                other.path.display(),
                "its recording",
                its,
                format!("{own}, as that of {}", self.path.display()),
            )),
            _ => Ok(()),
        }
    }

    /// The table's row of each of these neurons of a readout, where it has one.
    ///
    /// # Errors
    /// When the table does not say which of several readouts it belongs to.
    pub fn rows(
        &self,
        model: &Model,
        index: usize,
        neurons: &[usize],
    ) -> Result<Vec<Option<usize>>> {
        let named = self.table.column("recording").is_some();
        if !named && model.readouts.len() > 1 {
            return Err(Error::file(
                &self.path,
                "no column recording, wanted one, for the run has several readouts",
            ));
        }
        let name = named.then(|| model.readouts[index].name.clone());
        let row = |&n: &usize| self.rows.get(&(name.clone(), n as i64)).copied();
        Ok(neurons.iter().map(row).collect())
    }

    /// The same of a table that knows one recording.
    pub fn rows_of_one(&self, neurons: &[usize]) -> Vec<Option<usize>> {
        let row = |&n: &usize| self.rows.get(&(None, n as i64)).copied();
        neurons.iter().map(row).collect()
    }

    /// Whether there is a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.table.column(name).is_some()
    }

    /// Whole numbers from 0 of these rows, none where there is no row or an empty cell.
    ///
    /// # Errors
    /// When the table does not have the column, or names the row with another number.
    pub fn labels(&self, name: &str, rows: &[Option<usize>]) -> Result<Vec<Option<usize>>> {
        let all = self.numbers(name)?;
        let label = |row: &Option<usize>| {
            let Some(row) = row.filter(|&r| !all[r].is_nan()) else {
                return Ok(None);
            };
            let whole = all[row] >= 0.0 && all[row].fract() == 0.0 && all[row] < 1e9;
            let place = || format!("{}, row {}", self.path.display(), row + 2);
            match whole {
                true => Ok(Some(all[row] as usize)),
                false => Err(Error::bad(place(), name, all[row], "a whole number from 0")),
            }
        };
        rows.iter().map(label).collect()
    }

    /// A column's numbers, NaN where a cell is empty.
    ///
    /// # Errors
    /// When the table does not have it.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let column = self.table.column(name).and_then(Column::as_numbers);
        column.ok_or_else(|| Error::file(&self.path, format!("no column {name} of numbers")))
    }

    /// These columns of each row, where all their cells are filled.
    fn filled<const N: usize>(
        &self,
        names: [&str; N],
        rows: &[Option<usize>],
    ) -> Result<Vec<Option<[f64; N]>>> {
        let columns: Vec<Vec<f64>> = names
            .iter()
            .map(|n| self.numbers(n))
            .collect::<Result<_>>()?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let values = row.map(|r| std::array::from_fn(|i| columns[i][r]));
            let values: Option<[f64; N]> =
                values.filter(|v: &[f64; N]| v.iter().all(|v| !v.is_nan()));
            for (name, value) in names.iter().zip(values.iter().flatten()) {
                let length = name.starts_with("si");
                if !value.is_finite() || length && *value <= 0.0 {
                    let place = format!("{}, row {}", self.path.display(), row.unwrap_or(0) + 2);
                    let wanted = if length {
                        "a number above 0"
                    } else {
                        "a finite number"
                    };
                    return Err(Error::bad(place, name, value, wanted));
                }
            }
            found.push(values);
        }
        Ok(found)
    }

    /// Gabors of `gabors.csv`, none where the row is empty; every neuron must have a row.
    ///
    /// # Errors
    /// Names the neuron without a row, the column that is missing or the number that cannot be.
    pub fn gabors(&self, rows: &[Option<usize>], neurons: &[usize]) -> Result<Vec<Option<Gabor>>> {
        if let Some((_, neuron)) = rows.iter().zip(neurons).find(|(r, _)| r.is_none()) {
            let wanted = "a row for every neuron that is asked for";
            let what = format!("the row of neuron {neuron}");
            return Err(Error::bad(self.path.display(), what, "missing", wanted));
        }
        let names = [
            "x",
            "y",
            "size",
            "frequency",
            "contrast",
            "orientation",
            "phase",
        ];
        let found = self.filled(names, rows)?;
        let gabor = |[x, y, size, frequency, contrast, orientation, phase]: [f64; 7]| Gabor {
            x,
            y,
            size,
            frequency,
            contrast,
            orientation,
            phase,
        };
        Ok(found.into_iter().map(|v| v.map(gabor)).collect())
    }

    /// Differences of Gaussians of `dogs.csv`, none where there is no row or it is empty.
    ///
    /// # Errors
    /// Names the column that is missing or the number that cannot be.
    pub fn differences(
        &self,
        rows: &[Option<usize>],
    ) -> Result<Vec<Option<DifferenceOfGaussians>>> {
        let names = [
            "x",
            "y",
            "sigma_centre",
            "sigma_surround",
            "contrast",
            "surround_contrast",
        ];
        let found = self.filled(names, rows)?;
        let difference = |v: [f64; 6]| DifferenceOfGaussians {
            x: v[0],
            y: v[1],
            sigma_centre: v[2],
            sigma_surround: v[3],
            contrast: v[4],
            surround_contrast: v[5],
        };
        Ok(found.into_iter().map(|v| v.map(difference)).collect())
    }

    /// Images (H, W) of the array beside the table, a row of which belongs to a row of this.
    ///
    /// # Errors
    /// When the array has another shape, or is not finite.
    pub fn images(
        &self,
        array: &Path,
        (height, width): (usize, usize),
        rows: &[Option<usize>],
    ) -> Result<Vec<Option<Array2<f32>>>> {
        results::check_array(&self.table, &self.path, array)?;
        let (images, _) = npy::read(array)?;
        let wanted = [self.table.rows(), height, width];
        if images.shape() != wanted {
            let got = format!("{:?}", images.shape());
            return Err(Error::bad(
                array.display(),
                "its shape",
                got,
                format!(
                    "{wanted:?}: a row of {}, height, width",
                    self.path.display()
                ),
            ));
        }
        let images: Array3<f32> = images
            .into_dimensionality::<Ix3>()
            .map_err(|e| Error::file(array, e))?;
        if images.iter().any(|v| !v.is_finite()) {
            return Err(Error::bad(
                array.display(),
                "a pixel",
                "not finite",
                "finite z-scores",
            ));
        }
        let image = |row: &Option<usize>| row.map(|r| images.index_axis(Axis(0), r).to_owned());
        Ok(rows.iter().map(image).collect())
    }

    /// A column's numbers in these rows, NaN where there is none.
    ///
    /// # Errors
    /// When the table does not have it.
    pub fn values(&self, name: &str, rows: &[Option<usize>]) -> Result<Vec<f64>> {
        let all = self.numbers(name)?;
        Ok(rows
            .iter()
            .map(|r| r.map_or(f64::NAN, |r| all[r]))
            .collect())
    }
}
