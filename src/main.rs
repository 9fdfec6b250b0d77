//! `striate`: exit codes 0 done; 1 done, and the answer is bad; 2 could not; 128 + n after signal n.

mod cli;

use clap::Parser;
use std::process::ExitCode;
use striate::Error;

fn main() -> ExitCode {
    match cli::run(&cli::Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("striate: {error}");
            match error {
                Error::Interrupted(signal) => ExitCode::from(128 + signal as u8),
                _ => ExitCode::from(2),
            }
        }
    }
}
