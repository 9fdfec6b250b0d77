//! MATLAB's files of version 5 (`save` without a version, `-v6` or `-v7`), and those that SciPy writes.
//!
//! Values are read in the order in which they lie, so that memory is for what is asked for: a variable of a gigabyte is read
//! image by image. Nothing is believed that the file does not hold: lengths are checked against the bytes that are left, and
//! memory grows with the bytes that have come. Compressed variables, both byte orders, small elements, and numbers that are
//! stored in a narrower type than their class are understood. Sparse and complex arrays, objects and function handles are
//! refused by name. Files of version 7.3 are HDF5.
//!
//! Arrays are in MATLAB's order: the first axis runs fastest. Format: MAT-File Format, The MathWorks, 2025, "Version 5".

mod address;
mod body;
mod file;
mod head;
mod list;
mod text;
mod value;

pub use body::Body;
pub use file::{File, Version, version};
pub use head::Class;
pub use list::Listed;
pub use value::{Array, Children, Value};

/// A shape as MATLAB prints it: `68x270x2800`.
pub fn shown(shape: &[usize]) -> String {
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    lengths.join("x")
}
