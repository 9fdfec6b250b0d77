//! Where neurons of Gaussian readouts start when they start as their cells lie in cortex (`readout.initial_positions`).

use crate::recording::Recording;
use crate::{Error, Result};

/// The columns x and y of `neurons.csv`, centred, divided by their largest absolute deviation, times `range`.
pub(super) fn places(recording: &Recording, range: f64) -> Result<Vec<[f32; 2]>> {
    let bad = |what: &str, got: &dyn std::fmt::Display| {
        let wanted = "numbers in columns x and y, as readout.initial_positions = \"cortex\" needs";
        let place = format!("recording {}: neurons.csv", recording.name);
        Error::bad(place, what, got, wanted)
    };
    let Some(table) = &recording.neurons else {
        return Err(bad("the table", &"not there"));
    };
    let axis = |name: &str| {
        let values = table.numbers(name);
        let values = values.ok_or_else(|| bad(&format!("column {name}"), &"not there, or text"))?;
        match values.iter().position(|v| !v.is_finite()) {
            Some(n) => Err(bad(&format!("row {n}, column {name}"), &values[n])),
            None => {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                Ok(values.iter().map(|v| v - mean).collect::<Vec<f64>>())
            }
        }
    };
    let (x, y) = (axis("x")?, axis("y")?);
    let largest = x.iter().chain(&y).fold(0.0f64, |most, v| most.max(v.abs()));
    let scale = if largest > 0.0 { range / largest } else { 0.0 };
    let pairs = x.iter().zip(&y);
    Ok(pairs
        .map(|(x, y)| [x * scale, y * scale].map(|v| v as f32))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Column, Table};

    fn recording(table: Option<Table>) -> Recording {
        Recording {
            name: "r".into(),
            images: ndarray::Array3::zeros((1, 2, 2)),
            responses: ndarray::Array2::zeros((1, 3)),
            trials: Vec::new(),
            neurons: table,
            trial_columns: None,
            degrees_per_pixel: None,
            response_unit: None,
            source: None,
        }
    }

    #[test]
    fn cells_keep_their_arrangement() {
        let table = Table::new()
            .with("neuron", Column::Integer(vec![0, 1, 2]))
            .with("x", Column::Number(vec![10.0, 40.0, 70.0]))
            .with("y", Column::Number(vec![5.0, 5.0, 20.0]));
        let got = places(&recording(Some(table)), 0.3).unwrap();
        let wanted = [[-0.3, -0.05], [0.0, -0.05], [0.3, 0.1]];
        for (got, wanted) in got.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((got - wanted).abs() <= 1e-6, "{got} {wanted}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let x = Table::new().with("x", Column::Number(vec![1.0, f64::NAN, 2.0]));
        let both = x.clone().with("y", Column::Number(vec![0.0; 3]));
        for (table, wanted) in [
            (None, "the table is not there"),
            (Some(Table::new()), "column x is not there"),
            (Some(both), "row 1, column x is NaN"),
        ] {
            let message = places(&recording(table), 0.3).unwrap_err().to_string();
            assert!(
                message.contains(wanted) && message.contains("recording r"),
                "{message}"
            );
        }
    }
}
