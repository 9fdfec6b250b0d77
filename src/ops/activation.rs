//! Pointwise nonlinearities, in forms that neither overflow nor cancel.

use super::Real;
use serde::{Deserialize, Serialize};

/// What follows the normalisation of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// ln(1 + exp(x)).
    Softplus,
    /// max(0, x).
    Relu,
    /// x.
    None,
}

/// What turns a readout's sum into a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// ln(1 + exp(x)).
    #[serde(rename = "softplus")]
    Softplus,
    /// x + 1 above 0, exp(x) below.
    #[serde(rename = "elu+1")]
    EluPlusOne,
    /// exp(x).
    #[serde(rename = "exponential")]
    Exponential,
    /// x.
    #[serde(rename = "linear")]
    Linear,
}

/// ln(1 + exp(x)).
pub fn softplus<T: Real>(x: T) -> T {
    x.max(T::zero()) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + exp(-x)), the derivative of [`softplus`].
pub fn sigmoid<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
    let larger = T::one() / (T::one() + e);
    if x >= T::zero() { larger } else { e * larger }
}

impl Activation {
    /// What kernels call it.
    pub(super) fn code(self) -> usize {
        match self {
            Self::Softplus => 0,
            Self::Relu => 1,
            Self::None => 2,
        }
    }

    /// Value at x.
    pub fn value<T: Real>(self, x: T) -> T {
        match self {
            Self::Softplus => softplus(x),
            // Not max: a NaN must stay one.
            Self::Relu => {
                if x < T::zero() {
                    T::zero()
                } else {
                    x
                }
            }
            Self::None => x,
        }
    }

    /// Derivative at x.
    pub fn slope<T: Real>(self, x: T) -> T {
        match self {
            Self::Softplus => sigmoid(x),
            Self::Relu => {
                if x > T::zero() {
                    T::one()
                } else {
                    T::zero()
                }
            }
            Self::None => T::one(),
        }
    }
}

impl Output {
    /// What kernels call it.
    pub(super) fn code(self) -> usize {
        match self {
            Self::Softplus => 0,
            Self::EluPlusOne => 1,
            Self::Exponential => 2,
            Self::Linear => 3,
        }
    }

    /// Value at x.
    pub fn value<T: Real>(self, x: T) -> T {
        match self {
            Self::Softplus => softplus(x),
            Self::EluPlusOne if x > T::zero() => x + T::one(),
            Self::EluPlusOne | Self::Exponential => x.exp(),
            Self::Linear => x,
        }
    }

    /// Derivative at x.
    pub fn slope<T: Real>(self, x: T) -> T {
        match self {
            Self::Softplus => sigmoid(x),
            Self::EluPlusOne if x > T::zero() => T::one(),
            Self::EluPlusOne | Self::Exponential => x.exp(),
            Self::Linear => T::one(),
        }
    }

    /// The x at which the value is `rate`, kept finite for silent neurons.
    pub fn inverse(self, rate: f64) -> f64 {
        let positive = rate.max(1e-3);
        match self {
            Self::Softplus => positive + (-(-positive).exp()).ln_1p(),
            Self::EluPlusOne if rate > 1.0 => rate - 1.0,
            Self::EluPlusOne | Self::Exponential => positive.ln(),
            Self::Linear => rate,
        }
    }
}

/// The same functions for whole vectors of `f32`: polynomials without branches, about 1e-7 relative.
pub(super) mod vector {
    use super::Activation;
    use pulp::Simd;
    use std::f32::consts::{LN_2, LOG2_E, SQRT_2};

    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// exp(r) = 1 + r + r^2 p(r) on [-ln 2 / 2, ln 2 / 2] (Cephes' expf).
    const EXP: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    /// ln(1 + f) = f - f^2 / 2 + f^3 p(f) on [sqrt(1/2) - 1, sqrt(2) - 1] (Cephes' logf).
    const LOG: [f32; 9] = [
        7.037_684e-2,
        -1.151_461e-1,
        1.167_7e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_7e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];

    #[inline(always)]
    pub fn polynomial<S: Simd>(simd: S, coefficients: &[f32], x: S::f32s) -> S::f32s {
        let mut sum = simd.splat_f32s(coefficients[0]);
        for &c in &coefficients[1..] {
            sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(c));
        }
        sum
    }

    /// exp(x) for x <= 0.
    #[inline(always)]
    pub fn exp_negative<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        let least = simd.splat_f32s(-87.0);
        let x = simd.select_f32s(simd.less_than_f32s(x, least), least, x);
        let round = simd.splat_f32s(ROUND);
        let shifted = simd.mul_add_e_f32s(x, simd.splat_f32s(LOG2_E), round);
        let n = simd.sub_f32s(shifted, round);
        let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_HIGH), x);
        let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_LOW), r);
        let p = polynomial(simd, &EXP, r);
        let y = simd.mul_add_e_f32s(simd.mul_f32s(p, r), r, r);
        let y = simd.add_f32s(y, simd.splat_f32s(1.0));
        let bits = simd.transmute_u32s_f32s(shifted);
        let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
        let scale = simd.add_u32s(exponent, simd.splat_u32s(0x3f80_0000));
        simd.mul_f32s(y, simd.transmute_f32s_u32s(scale))
    }

    /// ln(1 + t) for t in [0, 1].
    #[inline(always)]
    fn ln_1p<S: Simd>(simd: S, t: S::f32s) -> S::f32s {
        let half = simd.splat_f32s(0.5);
        let high = simd.less_than_f32s(simd.splat_f32s(SQRT_2 - 1.0), t);
        let halved = simd.sub_f32s(simd.mul_f32s(half, t), half);
        let f = simd.select_f32s(high, halved, t);
        let square = simd.mul_f32s(f, f);
        let p = simd.mul_f32s(polynomial(simd, &LOG, f), f);
        let log = simd.mul_add_e_f32s(simd.sub_f32s(p, half), square, f);
        let ln_2 = simd.select_f32s(high, simd.splat_f32s(LN_2), simd.splat_f32s(0.0));
        simd.add_f32s(log, ln_2)
    }

    /// ln(1 + exp(x)).
    #[inline(always)]
    pub fn softplus<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        let e = exp_negative(simd, simd.neg_f32s(simd.abs_f32s(x)));
        simd.add_f32s(relu(simd, x), ln_1p(simd, e))
    }

    /// max(0, x); a NaN stays one.
    #[inline(always)]
    fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
    }

    /// 1 / (1 + exp(-x)).
    #[inline(always)]
    pub fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        let one = simd.splat_f32s(1.0);
        let e = exp_negative(simd, simd.neg_f32s(simd.abs_f32s(x)));
        let larger = simd.div_f32s(one, simd.add_f32s(one, e));
        let negative = simd.less_than_f32s(x, simd.splat_f32s(0.0));
        simd.select_f32s(negative, simd.mul_f32s(e, larger), larger)
    }

    impl Activation {
        /// Values at x.
        #[inline(always)]
        pub fn values<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
            match self {
                Self::Softplus => softplus(simd, x),
                Self::Relu => relu(simd, x),
                Self::None => x,
            }
        }

        /// Derivatives at x.
        #[inline(always)]
        pub fn slopes<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
            let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
            match self {
                Self::Softplus => sigmoid(simd, x),
                Self::Relu => simd.select_f32s(simd.less_than_f32s(zero, x), one, zero),
                Self::None => one,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Softplus and sigmoid of a slice, whole vectors only.
    struct Both<'a>(&'a [f32]);

    impl pulp::WithSimd for Both<'_> {
        type Output = (Vec<f32>, Vec<f32>);

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, simd: S) -> Self::Output {
            let mut out = (self.0.to_vec(), self.0.to_vec());
            for v in S::as_mut_simd_f32s(&mut out.0).0 {
                *v = vector::softplus(simd, *v);
            }
            for v in S::as_mut_simd_f32s(&mut out.1).0 {
                *v = vector::sigmoid(simd, *v);
            }
            out
        }
    }

    #[test]
    fn vector_forms_follow_the_exact_ones() {
        let x: Vec<f32> = (-120_000..120_000).map(|i| i as f32 * 1e-3).collect();
        let close =
            |got: f32, wanted: f64| (f64::from(got) - wanted).abs() <= 3e-7 * wanted + 1e-37;
        for arch in [pulp::Arch::new(), pulp::Arch::Scalar] {
            let (s, d) = arch.dispatch(Both(&x));
            for (i, &x) in x.iter().enumerate() {
                assert!(close(s[i], softplus(f64::from(x))), "{x}");
                assert!(close(d[i], sigmoid(f64::from(x))), "{x}");
            }
            let (s, d) = arch.dispatch(Both(&[f32::NAN; 16]));
            assert!(s.iter().chain(&d).all(|v| v.is_nan()));
        }
    }

    #[test]
    fn inverses_give_back_the_rate() {
        for output in [
            Output::Softplus,
            Output::EluPlusOne,
            Output::Exponential,
            Output::Linear,
        ] {
            for rate in [0.01, 0.8, 1.0, 3.0, 50.0] {
                let back: f64 = output.value(output.inverse(rate));
                assert!(
                    (back - rate).abs() <= 1e-9 * rate,
                    "{output:?} {rate} {back}"
                );
            }
            assert!(output.inverse(0.0).is_finite());
        }
    }
}
