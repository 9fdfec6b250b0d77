//! Which of many shapes a cluster likes best, without showing all of them to all members.
//!
//! No member answers a shape of the grid with more than its own optimum of the grid. So a shape that has lost more against the
//! optima of the members who saw it than the best shape known loses against those of all members cannot win, and is shown to no
//! more of them. Members see the shapes that are left in blocks of growing size.

/// Own optima are those of a search; its accuracy, as a share.
const SLACK: f64 = 0.01;
/// Members who see shapes at a time, at most.
const BLOCK: usize = 64;

/// One cluster's race.
#[derive(Debug)]
pub(super) struct Race {
    /// The members' own optima; none where nothing bounds their answers.
    bounds: Option<Vec<f64>>,
    members: usize,
    /// Shapes that may win, in the order of the grid, and the sums of their answers.
    alive: Vec<(usize, f64)>,
    seen: usize,
    /// Highest sum over all members.
    lead: f64,
}

impl Race {
    /// Of `shapes` shapes, over members with these own optima; without a bound where one is not a number.
    pub fn new(shapes: usize, bounds: &[f64], bounded: bool) -> Self {
        let known = bounded && bounds.iter().all(|b| b.is_finite());
        let slack = |b: &f64| b + SLACK * b.abs();
        Self {
            bounds: known.then(|| bounds.iter().map(slack).collect()),
            members: bounds.len(),
            alive: (0..shapes).map(|s| (s, 0.0)).collect(),
            seen: 0,
            lead: f64::NEG_INFINITY,
        }
    }

    /// The members who see the shapes that are left next; none at the end.
    pub fn block(&self) -> std::ops::Range<usize> {
        if self.alive.len() <= 1 {
            return self.members..self.members;
        }
        let size = match self.bounds {
            Some(_) => self.seen.clamp(1, BLOCK),
            None => BLOCK,
        };
        self.seen..(self.seen + size).min(self.members)
    }

    /// The shapes that are left.
    pub fn alive(&self) -> impl Iterator<Item = usize> + '_ {
        self.alive.iter().map(|a| a.0)
    }

    /// One member's answers to the shapes that are left.
    pub fn absorb(&mut self, answers: impl Iterator<Item = f64>) {
        for ((_, sum), answer) in self.alive.iter_mut().zip(answers) {
            // What is no number never wins.
            *sum += if answer.is_nan() {
                f64::NEG_INFINITY
            } else {
                answer
            };
        }
        self.seen += 1;
    }

    /// The shape with the highest sum so far; of equal ones the first.
    pub fn leader(&self) -> usize {
        let better = |best: (usize, f64), &(s, sum): &(usize, f64)| {
            if sum > best.1 { (s, sum) } else { best }
        };
        let first = self.alive.first().map_or(0, |a| a.0);
        self.alive.iter().fold((first, f64::NEG_INFINITY), better).0
    }

    /// Whether some member has yet to see shapes of which several are left.
    pub fn is_open(&self) -> bool {
        !self.block().is_empty()
    }

    /// A shape's sum over all members is known: those that cannot reach it leave.
    pub fn prune(&mut self, sum: f64) {
        self.lead = self.lead.max(sum);
        if let Some(bounds) = &self.bounds {
            let rest: f64 = bounds[self.seen..].iter().sum();
            let lead = self.lead - 1e-6 * self.lead.abs();
            self.alive.retain(|(_, sum)| sum + rest >= lead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of 40 members to 30 shapes, each member's own optimum among them.
    fn answers() -> Vec<Vec<f64>> {
        let of = |m: usize, s: usize| {
            let jitter = ((m * 31 + s * 17) % 23) as f64 / 23.0;
            (1.0 + m as f64 / 8.0) * (0.1 * jitter + (-((s as f64 - 19.0) / 6.0).powi(2)).exp())
        };
        (0..40)
            .map(|m| (0..30).map(|s| of(m, s)).collect())
            .collect()
    }

    fn run(answers: &[Vec<f64>], bounds: &[f64], bounded: bool) -> (usize, usize) {
        let mut race = Race::new(30, bounds, bounded);
        let mut shown = 0;
        while race.is_open() {
            for m in race.block() {
                let shapes: Vec<usize> = race.alive().collect();
                shown += shapes.len();
                race.absorb(shapes.into_iter().map(|s| answers[m][s]));
            }
            let leader = race.leader();
            race.prune(answers.iter().map(|a| a[leader]).sum());
        }
        (race.leader(), shown)
    }

    #[test]
    fn the_best_shape_wins_whether_or_not_losers_leave_early() {
        let answers = answers();
        let highest = |a: &Vec<f64>| a.iter().copied().fold(f64::MIN, f64::max);
        let bounds: Vec<f64> = answers.iter().map(highest).collect();
        let sum = |s: usize| answers.iter().map(|a| a[s]).sum::<f64>();
        let best = (0..30).max_by(|&a, &b| sum(a).total_cmp(&sum(b))).unwrap();
        let (all, few) = (run(&answers, &bounds, false), run(&answers, &bounds, true));
        assert_eq!(all, (best, 40 * 30));
        assert_eq!(few.0, best);
        assert!(few.1 < all.1 / 2, "{few:?}");
    }
}
