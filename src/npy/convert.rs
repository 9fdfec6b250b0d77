//! Bytes of a file to numbers.

use super::header::{Dtype, Kind};
use half::f16;

/// What numbers of any type become.
pub trait Real: Copy {
    /// Its name in NumPy.
    const NAME: &'static str;

    /// The nearest one.
    fn of_signed(x: i64) -> Self;
    /// The nearest one.
    fn of_unsigned(x: u64) -> Self;
    /// The same number.
    fn of_single(x: f32) -> Self;
    /// The nearest one; infinite beyond the range.
    fn of_double(x: f64) -> Self;
    /// Whether it is infinite.
    fn infinite(self) -> bool;
}

macro_rules! real {
    ($($t:ident => $name:literal),*) => {$(
        impl Real for $t {
            const NAME: &'static str = $name;

            fn of_signed(x: i64) -> Self {
                x as $t
            }
            fn of_unsigned(x: u64) -> Self {
                x as $t
            }
            fn of_single(x: f32) -> Self {
                $t::from(x)
            }
            fn of_double(x: f64) -> Self {
                x as $t
            }
            fn infinite(self) -> bool {
                self.is_infinite()
            }
        }
    )*};
}

real!(f32 => "float32", f64 => "float64");

/// Appends the elements in `bytes`, in the order in which they lie there; false if they are no numbers.
pub fn convert<T: Real>(dtype: Dtype, bytes: &[u8], out: &mut Vec<T>) -> bool {
    macro_rules! each {
        ($t:ty, $convert:expr) => {{
            let convert = $convert;
            let size = size_of::<$t>();
            let element = |b: &[u8]| {
                let mut e = [0_u8; size_of::<$t>()];
                e.copy_from_slice(b);
                e
            };
            // Two loops, so that the compiler makes a plain copy of the usual one.
            if dtype.big_endian {
                let all = bytes.chunks_exact(size);
                out.extend(all.map(|b| convert(<$t>::from_be_bytes(element(b)))));
            } else {
                let all = bytes.chunks_exact(size);
                out.extend(all.map(|b| convert(<$t>::from_le_bytes(element(b)))));
            }
            true
        }};
    }
    match (dtype.kind, dtype.size) {
        (Kind::Bool, _) => each!(u8, |x: u8| T::of_unsigned(u64::from(x != 0))),
        (Kind::Unsigned, 1) => each!(u8, |x: u8| T::of_unsigned(x.into())),
        (Kind::Unsigned, 2) => each!(u16, |x: u16| T::of_unsigned(x.into())),
        (Kind::Unsigned, 4) => each!(u32, |x: u32| T::of_unsigned(x.into())),
        (Kind::Unsigned, 8) => each!(u64, |x: u64| T::of_unsigned(x)),
        (Kind::Signed, 1) => each!(i8, |x: i8| T::of_signed(x.into())),
        (Kind::Signed, 2) => each!(i16, |x: i16| T::of_signed(x.into())),
        (Kind::Signed, 4) => each!(i32, |x: i32| T::of_signed(x.into())),
        (Kind::Signed, 8) => each!(i64, |x: i64| T::of_signed(x)),
        (Kind::Float, 2) => each!(u16, |x: u16| T::of_single(f16::from_bits(x).to_f32())),
        (Kind::Float, 4) => each!(f32, |x: f32| T::of_single(x)),
        (Kind::Float, 8) => each!(f64, |x: f64| T::of_double(x)),
        _ => false,
    }
}

/// The first of these numbers that is finite in `bytes`, where they are from, but became infinite.
pub fn overflow<T: Real>(dtype: Dtype, bytes: &[u8], numbers: &[T]) -> Option<usize> {
    if (dtype.kind, dtype.size) != (Kind::Float, 8) {
        return None;
    }
    let mut infinite = numbers.iter().enumerate().filter(|(_, x)| x.infinite());
    let found = infinite.find(|(at, _)| {
        let mut own: Vec<f64> = Vec::new();
        convert(dtype, &bytes[8 * at..8 * at + 8], &mut own);
        own[0].is_finite()
    });
    found.map(|(at, _)| at)
}

/// The elements of an array in Fortran order, moved to C order; elements are of `size` bytes.
pub fn turned(shape: &[usize], size: usize, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0_u8; bytes.len()];
    let mut index = vec![0; shape.len()];
    let mut strides = vec![size; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let mut at = 0;
    for element in bytes.chunks_exact(size) {
        out[at..at + size].copy_from_slice(element);
        for axis in 0..shape.len() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fortran_order_is_turned() {
        // Element (i, j, k) of shape (2, 3, 2) is 100 i + 10 j + k.
        let fortran: Vec<u8> = (0..12)
            .map(|n| (100 * (n % 2) + 10 * (n / 2 % 3) + n / 6) as u8)
            .collect();
        let c: Vec<u8> = (0..12)
            .map(|n| (100 * (n / 6) + 10 * (n / 2 % 3) + n % 2) as u8)
            .collect();
        assert_eq!(turned(&[2, 3, 2], 1, &fortran), c);
    }

    #[test]
    fn every_kind_becomes_a_number() {
        let dtype = |kind, size, big_endian| Dtype {
            kind,
            size,
            big_endian,
        };
        let said = |d: Dtype, bytes: &[u8]| {
            let mut out: Vec<f64> = Vec::new();
            assert!(convert(d, bytes, &mut out));
            out[0]
        };
        assert_eq!(said(dtype(Kind::Signed, 2, true), &[0xff, 0xfe]), -2.0);
        assert_eq!(said(dtype(Kind::Unsigned, 4, false), &[1, 1, 0, 0]), 257.0);
        assert_eq!(said(dtype(Kind::Float, 2, true), &[0x3c, 0]), 1.0);
        assert_eq!(said(dtype(Kind::Bool, 1, false), &[7]), 1.0);
        let wide = 0.1_f64.to_be_bytes();
        assert_eq!(said(dtype(Kind::Float, 8, true), &wide), 0.1);
        let word = dtype(Kind::Unicode, 4, false);
        assert!(!convert::<f32>(word, &[0; 4], &mut Vec::new()));
    }
}
