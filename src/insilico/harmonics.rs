//! How much of a tuning curve is one harmonic (Ustyuzhaninov et al. 2022, Eq. 11).

/// `F_k / F_0 = |sum_j r_j exp(i k s_j)| / sum_j r_j` of responses r at angles s (radians): k = 1 for phases,
/// k = 2 for orientations in [0, pi).
///
/// At most 1 for responses that are not negative; half of "amplitude of the fitted sine over the mean". NaN where all
/// responses are 0.
///
/// # Panics
/// When there are not as many angles as responses.
pub fn relative_harmonic(responses: &[f64], angles: &[f64], k: u32) -> f64 {
    assert_eq!(responses.len(), angles.len(), "one angle per response");
    let (mut cosine, mut sine, mut sum) = (0.0, 0.0, 0.0);
    for (r, s) in responses.iter().zip(angles) {
        let (sin, cos) = (f64::from(k) * s).sin_cos();
        cosine += r * cos;
        sine += r * sin;
        sum += r;
    }
    f64::hypot(cosine, sine) / sum
}

/// n angles, evenly spaced from 0 up to but without `period`.
pub fn angles(n: usize, period: f64) -> Vec<f64> {
    (0..n).map(|j| period * j as f64 / n as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{PI, TAU};

    #[test]
    fn one_response_alone_has_index_1() {
        let s = angles(12, PI);
        let mut r = vec![0.0; 12];
        r[5] = 3.0;
        assert!((relative_harmonic(&r, &s, 2) - 1.0).abs() <= 1e-12);
    }

    #[test]
    fn the_harmonics_do_not_mix() {
        let s = angles(12, TAU);
        let r: Vec<f64> = s
            .iter()
            .map(|s| 2.0 + 0.6 * (s - 0.3).cos() + 0.2 * (2.0 * s).sin())
            .collect();
        for (k, wanted) in [(1, 0.15), (2, 0.05), (3, 0.0)] {
            assert!(
                (relative_harmonic(&r, &s, k) - wanted).abs() <= 1e-12,
                "{k}"
            );
        }
    }

    #[test]
    fn a_silent_neuron_has_no_index() {
        assert!(relative_harmonic(&[0.0; 4], &angles(4, PI), 2).is_nan());
    }
}
