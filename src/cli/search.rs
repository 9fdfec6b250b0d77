//! `striate search`

use super::Global;
use super::common::Report;
use std::path::PathBuf;
use std::time::Duration;
use striate::device::Device;
use striate::search::{self, End, Job, Place, Plan, Settings, Status, comparison, fits};
use striate::table::Table;
use striate::training::Interrupts;
use striate::{Error, Result};

/// Seconds without a sign of life after which a fit is taken over.
const STALE: f64 = 600.0;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    /// What to search: a base configuration, keys with their ranges, systems, seeds (TOML)
    #[arg(required = true)]
    search: Option<PathBuf>,
    /// The directory of all fits; any number of processes may work in it at once
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// Fits at a time in this process, each on its share of the processors [default: on a CPU as many as it has, with 4 GiB of
    /// memory each; on a card 1]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Take over a fit whose process was not heard of for so long
    #[arg(long, default_value_t = STALE, value_name = "SECONDS")]
    stale: f64,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show how far a search is, and what it found
    Status {
        /// The directory of the search
        directory: PathBuf,
    },
}

pub fn run(global: &Global, a: &Arguments) -> Result<Report> {
    if let Some(Command::Status { directory }) = &a.command {
        let place = Place::new(directory);
        return report(&place, &place.plan()?, Duration::from_secs_f64(STALE));
    }
    let (Some(file), Some(out)) = (&a.search, &a.out) else {
        unreachable!("clap asks for both");
    };
    if a.jobs == Some(0) {
        return Err(Error::bad("--jobs", "the number", 0, "at least 1"));
    }
    if !(a.stale > 0.0 && a.stale <= 1e9) {
        let wanted = "seconds above 0";
        return Err(Error::bad("--stale", "the number", a.stale, wanted));
    }
    let mut plan = Plan::open(file)?;
    if let Some(seed) = global.seed {
        plan.search.seed = seed;
    }
    let interrupts = Interrupts::listen()?;
    let device = Device::open(&global.device)?;
    let settings = Settings {
        stale: Duration::from_secs_f64(a.stale),
        jobs: a
            .jobs
            .unwrap_or_else(|| usual_jobs(&device))
            .min(plan.jobs().len()),
    };
    let place = Place::new(out);
    search::run(&place, &plan, &device, settings, &interrupts)?;
    report(&place, &plan, settings.stale)
}

/// Fits that are trained side by side, one processor each, do not wait for each other's threads (`benches/search.py` measures both).
fn usual_jobs(device: &Device) -> usize {
    const MEMORY: u64 = 4 << 30;
    match device {
        Device::Cpu => {
            let room = device.memory().map_or(1, |bytes| (bytes / MEMORY) as usize);
            room.clamp(1, rayon::current_num_threads())
        }
        _ => 1,
    }
}

fn report(place: &Place, plan: &Plan, stale: Duration) -> Result<Report> {
    let fits = fits(place, plan, stale)?;
    let count = |f: &dyn Fn(&Status) -> bool| fits.iter().filter(|(_, s)| f(s)).count();
    let ended = |end: End| count(&|s| matches!(s, Status::Finished(f) if f.status == end));
    let (done, diverged, failed) = (ended(End::Done), ended(End::Diverged), ended(End::Failed));
    let stopped = ended(End::Stopped);
    let running = count(&|s| *s == Status::Running);
    let all = plan.jobs().len();
    let early = match stopped {
        0 => String::new(),
        _ => format!(", {stopped} stopped early"),
    };
    let mut text = format!(
        "{all} fits: {done} done, {diverged} diverged, {failed} failed, {running} running{early}\n"
    );
    let table = comparison(plan, &fits);
    text.push_str(&lines(&table));
    for (job, reason) in reasons(&fits).into_iter().take(5) {
        text.push_str(&format!("{}: {reason}\n", plan.run(job).display()));
    }
    let path = |name: &str| place.directory().join(name).display().to_string();
    text.push_str(&format!(
        "per system: {}\nper fit: {}",
        path("comparison.csv"),
        path("search.csv")
    ));
    Ok(Report::new(text)
        .fact("fits", all)
        .fact("done", done)
        .fact("diverged", diverged)
        .fact("failed", failed)
        .fact("running", running)
        .fact("stopped", stopped)
        .fact("systems", systems(&table))
        .fact("comparison", path("comparison.csv"))
        .fact("search", path("search.csv")))
}

fn reasons(fits: &[(Job, Status)]) -> Vec<(&Job, &str)> {
    let of = fits.iter().filter_map(|(job, status)| match status {
        Status::Finished(f) if f.status != End::Stopped => f.reason.as_deref().map(|r| (job, r)),
        _ => None,
    });
    of.collect()
}

/// The comparison as text.
fn lines(table: &Table) -> String {
    let systems = table.text("system").unwrap_or_default();
    let width = systems
        .iter()
        .map(|s| s.chars().count())
        .max()
        .unwrap_or(0)
        .max(6);
    let mut text = format!(
        "{:<width$}  draws   best  validation loss   test r  mean of best 5 (SD)  share of ceiling\n",
        "system"
    );
    let number = |name: &str, row: usize| table.numbers(name).map_or(f64::NAN, |v| v[row]);
    let shown = |value: f64, digits: usize| match value.is_nan() {
        true => "-".to_string(),
        false => format!("{value:.digits$}"),
    };
    for (row, system) in systems.iter().enumerate() {
        let of = |name: &str, digits: usize| shown(number(name, row), digits);
        let best = format!("{} ({})", of("mean_of_best_5", 4), of("sd_of_best_5", 4));
        text.push_str(&format!(
            "{system:<width$} {:>6} {:>6} {:>16} {:>8} {best:>20} {:>17}\n",
            of("draws", 0),
            of("best_draw", 0),
            of("validation_loss", 4),
            of("test_correlation", 4),
            of("share_of_ceiling", 3),
        ));
    }
    text
}

/// The comparison as JSON.
fn systems(table: &Table) -> serde_json::Value {
    let names = table.text("system").unwrap_or_default();
    let row = |(row, name): (usize, &String)| {
        let columns = table.names().filter(|column| *column != "system");
        let number = |column: &str| table.numbers(column).map_or(f64::NAN, |v| v[row]);
        let mut facts: serde_json::Map<String, serde_json::Value> =
            columns.map(|c| (c.to_string(), number(c).into())).collect();
        facts.insert("system".into(), name.clone().into());
        serde_json::Value::Object(facts)
    };
    names.iter().enumerate().map(row).collect()
}
