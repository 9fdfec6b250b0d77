//! How the Kolmogorov-Smirnov distance of one sample of n values from its own distribution is spread: P(D_n >= d).
//!
//! The choice between the forms follows Simard and L'Ecuyer (2011), with the limits of SciPy's `kstwo`: closed forms at
//! both ends; twice the one-sided probability in the upper tail (what it counts twice is below rounding there, or zero
//! from d = 1/2 on); Durbin's matrix (Marsaglia, Tsang and Wang 2003) for small samples and distances; the expansion of
//! Pelz and Good (1976) between them.

use std::f64::consts::PI;

/// Up to here the matrix is cheap for every distance.
const SMALL: usize = 140;

/// P(D_n >= d); n >= 1.
pub fn survival(n: usize, d: f64) -> f64 {
    let size = n as f64;
    let t = size * d;
    if t <= 0.5 {
        1.0
    } else if d >= 1.0 {
        0.0
    } else if t <= 1.0 {
        let log: f64 = (1..=n)
            .map(|i| (i as f64 / size * (2.0 * t - 1.0)).ln())
            .sum();
        1.0 - log.exp()
    } else if t >= size - 1.0 {
        2.0 * (1.0 - d).powf(size)
    } else if d >= 0.5 || t * d >= if n <= SMALL { 4.0 } else { 2.2 } {
        2.0 * one_sided(n, d)
    } else if n <= SMALL || (n <= 100_000 && size * d.powf(1.5) <= 1.4) {
        1.0 - durbin(n, d)
    } else {
        1.0 - pelz_good(n, d)
    }
}

/// P(D_n+ >= d) = d sum_j C(n, j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j), over j/n <= 1 - d.
fn one_sided(n: usize, d: f64) -> f64 {
    let size = n as f64;
    let mut choose = 0.0;
    let mut sum = 0.0;
    for j in 0..n {
        let at = j as f64;
        let left = (size * (1.0 - d) - at) / size;
        if left <= 0.0 {
            break;
        }
        let log = choose + (at - 1.0) * (d + at / size).ln() + (size - at) * left.ln();
        sum += log.exp();
        choose += ((size - at) / (at + 1.0)).ln();
    }
    d * sum
}

/// P(D_n < d) = n! / n^n (H^n)_kk, with d = (k - h) / n and H of 2k - 1 rows.
fn durbin(n: usize, d: f64) -> f64 {
    let t = n as f64 * d;
    let k = t.ceil();
    let h = k - t;
    let rows = 2 * k as usize - 1;
    let mut inverse_factorial = vec![1.0; rows + 2];
    for i in 1..rows + 2 {
        inverse_factorial[i] = inverse_factorial[i - 1] / i as f64;
    }
    let mut matrix = vec![0.0; rows * rows];
    for i in 0..rows {
        for j in 0..rows.min(i + 2) {
            let power = i + 1 - j;
            let whole = inverse_factorial[power];
            let first = if j == 0 { h.powi(power as i32) } else { 0.0 };
            let last = if i + 1 == rows {
                h.powi(power as i32)
            } else {
                0.0
            };
            let corner = if j == 0 && i + 1 == rows {
                (2.0 * h - 1.0).max(0.0).powi(power as i32)
            } else {
                0.0
            };
            matrix[i * rows + j] = whole * (1.0 - first - last + corner);
        }
    }
    let (power, mut exponent) = powered(&matrix, rows, n);
    let middle = k as usize - 1;
    let mut p = power[middle * rows + middle];
    for i in 1..=n {
        p *= i as f64 / n as f64;
        if p < 1e-140 {
            p *= 1e140;
            exponent -= 140;
        }
    }
    p * 10_f64.powi(exponent)
}

/// `matrix` to the power n, and the power of ten that it is short of.
fn powered(matrix: &[f64], rows: usize, n: usize) -> (Vec<f64>, i32) {
    if n == 1 {
        return (matrix.to_vec(), 0);
    }
    let (half, exponent) = powered(matrix, rows, n / 2);
    let mut power = product(&half, &half, rows);
    let mut exponent = 2 * exponent;
    if n % 2 == 1 {
        power = product(matrix, &power, rows);
    }
    if power[(rows / 2) * rows + rows / 2] > 1e140 {
        power.iter_mut().for_each(|v| *v *= 1e-140);
        exponent += 140;
    }
    (power, exponent)
}

fn product(a: &[f64], b: &[f64], rows: usize) -> Vec<f64> {
    let mut c = vec![0.0; rows * rows];
    for (a, c) in a.chunks(rows).zip(c.chunks_mut(rows)) {
        for (factor, b) in a.iter().zip(b.chunks(rows)) {
            c.iter_mut().zip(b).for_each(|(c, b)| *c += factor * b);
        }
    }
    c
}

/// P(D_n < d) to the order n^(-3/2), as theta series in z = d sqrt n that converge fast for small z.
fn pelz_good(n: usize, d: f64) -> f64 {
    let root = (n as f64).sqrt();
    let z = d * root;
    let (z2, z4, z6) = (z.powi(2), z.powi(4), z.powi(6));
    let mut k = [0.0; 4];
    for step in 0..64 {
        // Squares of pi (i + 1/2) and pi i; the sums over all integers are twice those from here on.
        let (odd, even) = (
            (PI * (step as f64 + 0.5)).powi(2),
            (PI * step as f64).powi(2),
        );
        let weight = 2.0 * (-odd / (2.0 * z2)).exp();
        k[0] += weight;
        k[1] += weight * (odd - z2);
        k[2] += weight
            * ((6.0 * z6 + 2.0 * z4)
                + odd * (2.0 * z4 - 5.0 * z2)
                + odd.powi(2) * (1.0 - 2.0 * z2));
        k[3] += weight
            * (odd.powi(3) * (5.0 - 30.0 * z2)
                + odd.powi(2) * (212.0 * z4 - 60.0 * z2)
                + odd * (135.0 * z4 - 96.0 * z6)
                - (30.0 * z6 + 90.0 * z2 * z6));
        let weight = 2.0 * (-even / (2.0 * z2)).exp();
        k[2] -= 2.0 * z4 * weight * even;
        k[3] += 30.0 * z4 * weight * (3.0 * even * z2 - even.powi(2));
        if weight < 1e-18 * k[0] {
            break;
        }
    }
    let scale = (PI / 2.0).sqrt();
    let terms = [
        k[0] / z,
        k[1] / (6.0 * z4),
        k[2] / (72.0 * z.powi(7)),
        k[3] / (6480.0 * z.powi(10)),
    ];
    scale * (terms[0] + terms[1] / root + terms[2] / root.powi(2) + terms[3] / root.powi(3))
}
