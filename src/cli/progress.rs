//! Progress of what moves recordings about, and the signals that stop it.

use striate::Result;
use striate::insilico::Watch;
use striate::recording::Progress;
use striate::training::Interrupts;

/// Runs `work` with progress on standard error; Ctrl-C and its like stop it.
pub fn watched<T>(work: impl FnOnce(&mut Progress) -> Result<T>) -> Result<T> {
    let interrupts = Interrupts::listen()?;
    let stop = || interrupts.signal();
    let mut watch = Watch::stderr(&stop);
    let mut begun = "";
    let mut tick = |what: &'static str, done: usize, all: usize| {
        if what != begun {
            watch.begin(what);
            begun = what;
        }
        watch.tick(done, all)
    };
    let result = work(&mut tick);
    watch.finish();
    result
}
