//! `striate export`

use super::common::Report;
use std::path::PathBuf;
use striate::report::{Source, properties};
use striate::{Result, files};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run
    run: PathBuf,
    /// Write one row per neuron with all that is known of it: recorded position, scores, optimal stimuli, indices, cluster,
    /// model hash. The name ends in .csv or .parquet
    #[arg(long, value_name = "FILE", required = true)]
    properties: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<Report> {
    let path = &arguments.properties;
    properties::check(path)?;
    files::check_writable(path)?;
    let table = properties::table(&Source::open(&arguments.run)?)?;
    properties::write(&table, path)?;
    let columns: Vec<String> = table.names().map(String::from).collect();
    Ok(Report::new(format!(
        "{} neurons, {} columns: {}",
        table.rows(),
        columns.len(),
        path.display()
    ))
    .fact("neurons", table.rows())
    .fact("columns", columns)
    .fact("table", path.display().to_string()))
}
