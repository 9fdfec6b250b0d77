//! The Kolmogorov-Smirnov distance of two samples and how likely chance makes it as large.
//!
//! D = max |F_a - F_b| over the two empirical distribution functions. Up to [`EXACT`] values a sample, the p-value is
//! the exact share of all orders of the pooled values that reach D, counted along lattice paths (Hodges 1958).
//! Beyond, it is that of one sample of round(n m / (n + m)) values against a known distribution
//! ([`one_sample`](super::one_sample)). SciPy's `ks_2samp` does the same.

use super::one_sample;

/// The largest sample whose p-value is exact.
const EXACT: usize = 10_000;

/// A statistic and the probability of one at least as extreme by chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tested {
    pub statistic: f64,
    pub p_value: f64,
}

/// Two-sided Kolmogorov-Smirnov test that `a` and `b` come from one continuous distribution; ties are allowed, and make
/// the p-value too large rather than too small. NaN are left out; both numbers are NaN where nothing is left of a sample.
///
/// The exact p-value takes `a.len() * b.len()` steps at most.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Tested {
    let (a, b) = (sorted(a), sorted(b));
    if a.is_empty() || b.is_empty() {
        return Tested {
            statistic: f64::NAN,
            p_value: f64::NAN,
        };
    }
    let (n, m) = (a.len(), b.len());
    let distance = largest_distance(&a, &b);
    let statistic = distance as f64 / (n as f64 * m as f64);
    let p_value = if n.max(m) <= EXACT {
        share_of_paths(n, m, distance)
    } else {
        let (n, m) = (n as f64, m as f64);
        let values = (n * m / (n + m)).round_ties_even();
        one_sample::survival(values as usize, statistic)
    };
    Tested {
        statistic,
        p_value: p_value.clamp(0.0, 1.0),
    }
}

fn sorted(x: &[f64]) -> Vec<f64> {
    let mut known: Vec<f64> = x.iter().copied().filter(|v| !v.is_nan()).collect();
    known.sort_unstable_by(f64::total_cmp);
    known
}

/// max |i m - j n|, where i values of `a` (n) and j of `b` (m) are at most x: the distance in units of 1 / (n m).
fn largest_distance(a: &[f64], b: &[f64]) -> u64 {
    let (n, m) = (a.len(), b.len());
    let (mut i, mut j, mut largest) = (0, 0, 0);
    while i < n && j < m {
        let x = a[i].min(b[j]);
        i += a[i..].iter().take_while(|v| **v <= x).count();
        j += b[j..].iter().take_while(|v| **v <= x).count();
        largest = largest.max((i as u64 * m as u64).abs_diff(j as u64 * n as u64));
    }
    largest
}

/// Share of the lattice paths from (0, 0) to (n, m) that meet a point with |x m - y n| >= distance.
///
/// A path that ends in (x, y) came from (x - 1, y) with probability x / (x + y). So the share of those that have met
/// the boundary is a mean of its two neighbours', and 1 on the boundary: a sum of positive terms, exact to rounding
/// however small.
fn share_of_paths(n: usize, m: usize, distance: u64) -> f64 {
    if distance == 0 {
        return 1.0;
    }
    let (short, long) = (n.min(m), n.max(m));
    let mut met = vec![1.0; short + 1];
    let (step, distance) = (long as i64, distance as i64);
    for x in 0..=long {
        // y * long - x * short, without the multiplications.
        let mut height = -((x * short) as i64);
        let mut below = 1.0;
        for (y, here) in met.iter_mut().enumerate() {
            *here = if height.abs() >= distance {
                1.0
            } else if x + y == 0 {
                0.0
            } else {
                let (x, y) = (x as f64, y as f64);
                // `here` is still the share at x - 1.
                (x * *here + y * below) / (x + y)
            };
            below = *here;
            height += step;
        }
    }
    met[short]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order of the pooled values, one by one.
    fn by_counting(n: usize, m: usize, distance: f64) -> f64 {
        let (mut all, mut extreme) = (0.0, 0.0);
        for order in 0_u32..1 << (n + m) {
            if order.count_ones() as usize != n {
                continue;
            }
            let (mut f, mut g, mut largest) = (0.0, 0.0, 0.0_f64);
            for bit in 0..n + m {
                if order >> bit & 1 == 1 {
                    f += 1.0 / n as f64;
                } else {
                    g += 1.0 / m as f64;
                }
                largest = largest.max((f - g).abs());
            }
            all += 1.0;
            extreme += f64::from(u8::from(largest >= distance - 1e-9));
        }
        extreme / all
    }

    #[test]
    fn small_samples_are_counted() {
        let a = [0.3, 1.0, 2.0, 7.0, 7.5, 9.0];
        for b in [vec![2.5, 8.0, 11.0, 12.0], vec![5.0; 6], vec![-1.0]] {
            let t = kolmogorov_smirnov(&a, &b);
            let p = by_counting(a.len(), b.len(), t.statistic);
            assert!((t.p_value - p).abs() <= 1e-14, "{t:?}, wanted {p}");
            assert_eq!(t, kolmogorov_smirnov(&b, &a));
        }
    }

    #[test]
    fn equal_values_move_both_distributions_at_once() {
        let t = kolmogorov_smirnov(&[1.0, 1.0, 2.0, f64::NAN], &[1.0, 2.0, 2.0]);
        assert!((t.statistic - 1.0 / 3.0).abs() <= 1e-15);
        assert_eq!(kolmogorov_smirnov(&[-0.0, 4.0], &[0.0, 4.0]).p_value, 1.0);
    }

    #[test]
    fn nothing_known_gives_nan() {
        for (a, b) in [(&[][..], &[1.0][..]), (&[1.0], &[f64::NAN])] {
            let t = kolmogorov_smirnov(a, b);
            assert!(t.statistic.is_nan() && t.p_value.is_nan());
        }
    }
}
