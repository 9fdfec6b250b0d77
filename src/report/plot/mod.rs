//! Drawing: SVG whose words are text, with pictures inside it as PNG. Everything is as wide as a journal's column, so that no
//! page has to shrink it.

mod axis;
mod chart;
mod colour;
mod raster;
mod svg;

pub use axis::{Axis, shown};
pub use chart::{Frame, RASTERISED, bar, key, legend};
pub use colour::{BLUE, GREEN, GREY, ORANGE, PURPLE, Rgb, VERMILLION, category, hex, ramp};
pub use raster::{Raster, greys, matrix};
pub use svg::{Anchor, Mark, Svg, Text, WIDTH, escape, fit, harmless, text_width};
