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

/// The same functions for loops that the compiler turns into vectors: polynomials, no branches, about 1e-7 relative.
pub(super) mod vector {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;

    /// exp(x) for x <= 0.
    #[inline(always)]
    fn exp_negative(x: f32) -> f32 {
        let x = if x < -87.0 { -87.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * LN_2_HIGH - n * LN_2_LOW;
        let p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
        let p = p * r + 8.333_452e-3;
        let p = p * r + 4.166_579_6e-2;
        let p = p * r + 1.666_666_5e-1;
        let p = p * r + 0.5;
        let y = p * r * r + r + 1.0;
        y * f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000))
    }

    /// ln(1 + t) for t in [0, 1] (Cephes' logf polynomial).
    #[inline(always)]
    fn ln_1p(t: f32) -> f32 {
        let high = t > std::f32::consts::SQRT_2 - 1.0;
        let f = if high { 0.5 * t - 0.5 } else { t };
        let z = f * f;
        let p = 7.037_683_6e-2 * f - 1.151_461_1e-1;
        let p = p * f + 1.167_699_9e-1;
        let p = p * f - 1.242_014_1e-1;
        let p = p * f + 1.424_932_3e-1;
        let p = p * f - 1.666_805_7e-1;
        let p = p * f + 2.000_071_5e-1;
        let p = p * f - 2.499_999_4e-1;
        let p = p * f + 3.333_333e-1;
        let log = f * z * p - 0.5 * z + f;
        if high {
            log + std::f32::consts::LN_2
        } else {
            log
        }
    }

    #[inline(always)]
    pub fn softplus(x: f32) -> f32 {
        let positive = if x < 0.0 { 0.0 } else { x };
        positive + ln_1p(exp_negative(-x.abs()))
    }

    #[inline(always)]
    pub fn sigmoid(x: f32) -> f32 {
        let e = exp_negative(-x.abs());
        let larger = 1.0 / (1.0 + e);
        if x >= 0.0 { larger } else { e * larger }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_forms_follow_the_exact_ones() {
        for i in -120_000..120_000 {
            let x = i as f32 * 1e-3;
            let (s, d) = (softplus(f64::from(x)), sigmoid(f64::from(x)));
            assert!(
                (f64::from(vector::softplus(x)) - s).abs() <= 3e-7 * s + 1e-37,
                "{x}"
            );
            assert!(
                (f64::from(vector::sigmoid(x)) - d).abs() <= 3e-7 * d + 1e-37,
                "{x}"
            );
        }
        assert!(vector::softplus(f32::NAN).is_nan());
        assert!(vector::sigmoid(f32::NAN).is_nan());
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
