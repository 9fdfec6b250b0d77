//! What a twin is shown instead of natural images, in units of its z-scored input.

pub mod gabor;

pub use gabor::Gabor;
