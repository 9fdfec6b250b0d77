//! Who fits what, where several processes on several machines share a directory: a claim is a directory, which one alone can
//! create. Its holder's heartbeat is the time of a file in it; who lies still for too long is taken over by whoever creates
//! the next one.

use crate::{Error, Result, files};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

const OWNER: &str = "owner";
const HEARTBEAT: &str = "heartbeat";
const RELEASED: &str = "released";

/// A claim of this process; dropped, it is free.
#[derive(Debug)]
pub struct Claim {
    directory: PathBuf,
    stop: Arc<(Mutex<bool>, Condvar)>,
    beat: Option<JoinHandle<()>>,
    /// Locked while this lives: what tells a process of this machine that the holder is gone.
    _owner: File,
}

impl Claim {
    /// Takes the claim at `place`, unless somebody has it who was heard of within `stale`.
    ///
    /// # Errors
    /// Names the directory that cannot be written.
    pub fn take(place: &Path, stale: Duration) -> Result<Option<Self>> {
        files::create_directory(place)?;
        let last = last(place);
        if let Some(last) = last
            && is_alive(place, last, stale)?
        {
            return Ok(None);
        }
        let directory = place.join(last.map_or(0, |l| l + 1).to_string());
        match std::fs::create_dir(&directory) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Ok(None),
            // The work is done and the claims are gone.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file(&directory, format!("cannot create: {e}"))),
        }
        let fail = |e: std::io::Error| Error::file(&directory, format!("cannot write: {e}"));
        // Locked before it has its name, so that nobody finds it without.
        let fresh = directory.join(".owner");
        let mut owner = File::create(&fresh).map_err(fail)?;
        let _ = owner.try_lock();
        owner.write_all(machine().as_bytes()).map_err(fail)?;
        std::fs::rename(&fresh, directory.join(OWNER)).map_err(fail)?;
        std::fs::write(directory.join(HEARTBEAT), "").map_err(fail)?;
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let beat = beat(directory.clone(), stale / 4, Arc::clone(&stop));
        Ok(Some(Self {
            directory,
            stop,
            beat: Some(beat),
            _owner: owner,
        }))
    }

    /// Whether somebody has the claim at `place`.
    ///
    /// # Errors
    /// Names the directory that cannot be written.
    pub fn is_held(place: &Path, stale: Duration) -> Result<bool> {
        last(place).map_or(Ok(false), |last| is_alive(place, last, stale))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (done, wake) = &*self.stop;
        *done.lock().unwrap_or_else(|e| e.into_inner()) = true;
        wake.notify_all();
        if let Some(beat) = self.beat.take() {
            let _ = beat.join();
        }
        let _ = std::fs::write(self.directory.join(RELEASED), "");
    }
}

fn beat(directory: PathBuf, every: Duration, stop: Arc<(Mutex<bool>, Condvar)>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let (done, wake) = &*stop;
        let mut is_done = done.lock().unwrap_or_else(|e| e.into_inner());
        while !*is_done {
            let waited = wake.wait_timeout(is_done, every);
            is_done = waited.unwrap_or_else(|e| e.into_inner()).0;
            if !*is_done {
                let _ = std::fs::write(directory.join(HEARTBEAT), "");
            }
        }
    })
}

/// The latest claim.
fn last(place: &Path) -> Option<u64> {
    let all = std::fs::read_dir(place).ok()?;
    let names = all.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    names.max()
}

fn is_alive(place: &Path, claim: u64, stale: Duration) -> Result<bool> {
    let directory = place.join(claim.to_string());
    if directory.join(RELEASED).exists() {
        return Ok(false);
    }
    let owner = directory.join(OWNER);
    // On the same machine a lock tells at once.
    if std::fs::read_to_string(&owner).is_ok_and(|text| text == machine())
        && let Ok(file) = File::open(&owner)
    {
        match file.try_lock() {
            Ok(()) => return Ok(false),
            Err(TryLockError::WouldBlock) => return Ok(true),
            Err(TryLockError::Error(_)) => {}
        }
    }
    let time = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified());
    let Ok(heard) = time(&directory.join(HEARTBEAT)).or_else(|_| time(&directory)) else {
        // Gone meanwhile: the work is done.
        return Ok(true);
    };
    let age = now(place)?.duration_since(heard).unwrap_or_default();
    Ok(age < stale)
}

/// The time by the clock of the file system, which other machines' heartbeats have as well.
fn now(place: &Path) -> Result<SystemTime> {
    let fail = |e: std::io::Error| Error::file(place, format!("cannot write: {e}"));
    let probe = tempfile::NamedTempFile::with_prefix_in(".now-", place).map_err(fail)?;
    let now = probe.as_file().metadata().and_then(|m| m.modified());
    now.map_err(fail)
}

/// Tells a running machine from all others.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("machine {}\n", boot.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn one_has_it_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("draw-000");
        let first = Claim::take(&place, LONG).unwrap();
        assert!(first.is_some() && Claim::is_held(&place, LONG).unwrap());
        assert!(Claim::take(&place, LONG).unwrap().is_none());
        drop(first);
        assert!(!Claim::is_held(&place, LONG).unwrap());
        assert!(Claim::take(&place, LONG).unwrap().is_some());
    }

    #[test]
    fn of_many_at_once_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("draw-000");
        let claims: Vec<_> = std::thread::scope(|scope| {
            let take = || Claim::take(&place, LONG).unwrap();
            let all: Vec<_> = (0..16).map(|_| scope.spawn(take)).collect();
            all.into_iter().filter_map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(claims.len(), 1);
    }

    #[test]
    fn another_machine_that_lies_still_is_taken_over_and_one_that_does_not_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("draw-000");
        let theirs = place.join("0");
        std::fs::create_dir_all(&theirs).unwrap();
        std::fs::write(theirs.join(OWNER), "machine elsewhere\n").unwrap();
        std::fs::write(theirs.join(HEARTBEAT), "").unwrap();
        assert!(Claim::take(&place, LONG).unwrap().is_none());
        std::thread::sleep(Duration::from_millis(60));
        assert!(
            Claim::take(&place, Duration::from_millis(50))
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a_holder_of_this_machine_that_died_is_taken_over_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("draw-000");
        let theirs = place.join("0");
        std::fs::create_dir_all(&theirs).unwrap();
        // Its lock went with it.
        std::fs::write(theirs.join(OWNER), machine()).unwrap();
        std::fs::write(theirs.join(HEARTBEAT), "").unwrap();
        assert!(Claim::take(&place, LONG).unwrap().is_some());
    }

    #[test]
    fn the_heart_beats_while_it_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("draw-000");
        let stale = Duration::from_millis(200);
        let _held = Claim::take(&place, stale).unwrap().unwrap();
        // As another machine sees it.
        std::fs::write(place.join("0").join(OWNER), "machine elsewhere\n").unwrap();
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(100));
            assert!(Claim::take(&place, stale).unwrap().is_none());
        }
    }
}
