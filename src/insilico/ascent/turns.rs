//! Searches that take turns on the seats of a batch: one that is done leaves, the next takes its seat, so that the batch
//! stays full until there is no next.

use crate::Result;
use crate::insilico::Watch;
use crate::ops::ascent::{COUNTERS, Outcome};

/// Searches on the seats of a batch.
pub(super) trait Searches {
    /// Seats.
    fn seats(&self) -> usize;
    /// Steps between two looks at who is done.
    fn look(&self) -> usize;
    /// Search `job` takes this seat.
    fn sit(&mut self, seat: usize, job: usize);
    /// One step of the first `count` seats; those that are done stay as they are.
    fn step(&mut self, count: usize) -> Result<()>;
    /// Steps, patience and outcome of the first `count` seats, [`COUNTERS`] each.
    fn counters(&self, count: usize) -> Vec<u32>;
    /// Search `job` on this seat is done.
    fn leave(&mut self, seat: usize, job: usize, steps: u32, outcome: Outcome);
    /// What is on the later seat moves to the earlier.
    fn move_seat(&mut self, from: usize, to: usize);
}

/// Runs jobs 0 to `jobs` to their ends; counts them among all that are to be `done`.
pub(super) fn take_turns(
    searches: &mut impl Searches,
    jobs: usize,
    (done, all): (&mut usize, usize),
    watch: &mut Watch,
) -> Result<()> {
    let first = searches.seats().min(jobs);
    let mut seated: Vec<usize> = (0..first).collect();
    let mut waiting = first..jobs;
    (0..first).for_each(|seat| searches.sit(seat, seat));
    while !seated.is_empty() {
        for _ in 0..searches.look() {
            watch.tick(*done, all)?;
            searches.step(seated.len())?;
        }
        let counters = searches.counters(seated.len());
        // From the last, so that whoever moves up has been looked at.
        for seat in (0..seated.len()).rev() {
            let counter = &counters[seat * COUNTERS..][..COUNTERS];
            let outcome = Outcome::of(counter[2]);
            if outcome == Outcome::Running {
                continue;
            }
            searches.leave(seat, seated[seat], counter[0], outcome);
            *done += 1;
            if let Some(next) = waiting.next() {
                seated[seat] = next;
                searches.sit(seat, next);
                continue;
            }
            let last = seated.len() - 1;
            if seat < last {
                searches.move_seat(last, seat);
            }
            seated.swap_remove(seat);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    /// Job j is done after its number of steps.
    struct Clocks {
        lengths: Vec<u32>,
        seated: Vec<(usize, u32)>,
        ended: Vec<(usize, u32)>,
        most: usize,
    }

    impl Searches for Clocks {
        fn look(&self) -> usize {
            25
        }

        fn seats(&self) -> usize {
            3
        }

        fn sit(&mut self, seat: usize, job: usize) {
            self.seated.resize(self.seated.len().max(seat + 1), (0, 0));
            self.seated[seat] = (job, 0);
        }

        fn step(&mut self, count: usize) -> Result<()> {
            self.most = self.most.max(count);
            for (job, steps) in &mut self.seated[..count] {
                *steps = (*steps + 1).min(self.lengths[*job]);
            }
            Ok(())
        }

        fn counters(&self, count: usize) -> Vec<u32> {
            let of = |&(job, steps): &(usize, u32)| {
                let done = steps == self.lengths[job];
                [steps, 0, u32::from(done)]
            };
            self.seated[..count].iter().flat_map(of).collect()
        }

        fn leave(&mut self, seat: usize, job: usize, steps: u32, outcome: Outcome) {
            assert_eq!((self.seated[seat].0, outcome), (job, Outcome::Converged));
            self.ended.push((job, steps));
        }

        fn move_seat(&mut self, from: usize, to: usize) {
            self.seated[to] = self.seated[from];
        }
    }

    fn clocks(lengths: &[u32]) -> Clocks {
        Clocks {
            lengths: lengths.to_vec(),
            seated: Vec::new(),
            ended: Vec::new(),
            most: 0,
        }
    }

    #[test]
    fn every_search_ends_once_after_its_own_steps() {
        for lengths in [
            &[1, 200, 3, 60, 26, 25, 24, 1][..],
            &[80],
            &[30, 30, 30],
            &[30, 60],
            &[],
        ] {
            let mut searches = clocks(lengths);
            let (mut done, all) = (2, lengths.len());
            take_turns(
                &mut searches,
                all,
                (&mut done, all + 2),
                &mut Watch::hidden(),
            )
            .unwrap();
            assert_eq!(done, all + 2);
            searches.ended.sort_unstable();
            let wanted: Vec<(usize, u32)> = lengths.iter().copied().enumerate().collect();
            assert_eq!(searches.ended, wanted);
            assert_eq!(searches.most, lengths.len().min(3));
        }
    }

    #[test]
    fn a_signal_stops_it() {
        let mut searches = clocks(&[10_000]);
        let mut watch = Watch::stderr(&|| Some(15));
        let stopped = take_turns(&mut searches, 1, (&mut 0, 1), &mut watch);
        assert!(matches!(stopped, Err(Error::Stopped(15))));
    }
}
