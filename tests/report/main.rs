//! The report and the table of all neurons, through the real binary: marks held to the numbers, names that are out for
//! mischief, and a page that a browser opens.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/small.rs"]
mod small;

mod browser;
mod commands;
mod drawing;
mod fixture;
mod marks;
mod pictures;
