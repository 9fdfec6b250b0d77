//! How many threads the commands may use.

use std::thread::available_parallelism;
use striate::{Error, Result, say};

/// Threads per processor beyond which the machine does nothing but switch between them.
const MOST: usize = 8;
/// What rayon asks, in this order.
const VARIABLES: [&str; 2] = ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"];

/// Takes as many threads as the environment asks for, but no more than the machine can run.
pub fn limit() -> Result<()> {
    let asked = VARIABLES.into_iter().find_map(|name| {
        let text = std::env::var(name).ok()?;
        Some((name, text.parse::<usize>().ok()?))
    });
    let most = MOST * available_parallelism().map_or(1, usize::from);
    let Some((name, asked)) = asked.filter(|(_, asked)| *asked > most) else {
        return Ok(());
    };
    say(format_args!(
        "striate: {name}={asked}: using {most} threads, {MOST} per processor"
    ));
    rayon::ThreadPoolBuilder::new()
        .num_threads(most)
        .build_global()
        .map_err(|e| Error::Other(format!("cannot start {most} threads: {e}")))
}
