//! `striate`: exit codes 0 done; 1 done, and the answer is bad; 2 could not; 128 + n after signal n.

mod cli;

use clap::Parser;
use clap::error::ErrorKind;
use std::process::ExitCode;
use striate::Error;

fn main() -> ExitCode {
    let parsed = match cli::Cli::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    match cli::run(&parsed) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            striate::say(format_args!("striate: {}", one_line(&error.to_string())));
            match error {
                Error::Interrupted(signal) | Error::Paused(signal) | Error::Stopped(signal) => {
                    ExitCode::from(128 + signal as u8)
                }
                _ => ExitCode::from(2),
            }
        }
    }
}

/// Help and version as clap prints them; a misuse in one line, as every other error.
fn usage(error: &clap::Error) -> ExitCode {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(
        error.kind(),
        DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        error.exit();
    }
    let text = error.to_string();
    let told = text.split("\n\nUsage:").next().unwrap_or(&text);
    let told = told.split("\n\nFor more").next().unwrap_or(told);
    let told = one_line(told.strip_prefix("error: ").unwrap_or(told));
    striate::say(format_args!("striate: {told}; see --help"));
    ExitCode::from(2)
}

/// A message without line breaks, whoever wrote it.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}
