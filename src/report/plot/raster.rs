//! Pictures that go into an SVG where marks are too many, and images themselves.

use super::colour::Rgb;
use png::{BitDepth, ColorType, Compression, Encoder};

/// Pixels with transparency.
#[derive(Clone, Debug)]
pub struct Raster {
    width: usize,
    height: usize,
    /// Red, green, blue, opacity.
    pixels: Vec<[u8; 4]>,
}

impl Raster {
    /// A transparent one.
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![[0; 4]; width * height],
        }
    }

    /// A disc with soft edge; it covers what is below it.
    pub fn disc(&mut self, (x, y): (f64, f64), radius: f64, colour: Rgb) {
        let (left, right) = ((x - radius - 1.0).max(0.0), (x + radius + 1.0).max(0.0));
        let (top, bottom) = ((y - radius - 1.0).max(0.0), (y + radius + 1.0).max(0.0));
        for row in top as usize..(bottom as usize + 1).min(self.height) {
            for column in left as usize..(right as usize + 1).min(self.width) {
                let away = (column as f64 + 0.5 - x).hypot(row as f64 + 0.5 - y);
                let cover = (radius + 0.5 - away).clamp(0.0, 1.0);
                if cover > 0.0 {
                    over(&mut self.pixels[row * self.width + column], colour, cover);
                }
            }
        }
    }

    /// As PNG.
    pub fn png(&self) -> Vec<u8> {
        let size = (self.width, self.height);
        encode(size, ColorType::Rgba, self.pixels.as_flattened())
    }
}

/// Paints over what is there.
fn over(pixel: &mut [u8; 4], colour: Rgb, cover: f64) {
    let below = f64::from(pixel[3]) / 255.0 * (1.0 - cover);
    let alpha = cover + below;
    for (old, new) in pixel.iter_mut().zip(colour) {
        let mixed = (cover * f64::from(new) + below * f64::from(*old)) / alpha;
        *old = mixed.round() as u8;
    }
    pixel[3] = (255.0 * alpha).round() as u8;
}

/// Values in rows of `columns` as greys from black at `low` to white at `high`; what is missing is mid-grey.
pub fn greys(values: &[f64], columns: usize, (low, high): (f64, f64)) -> Vec<u8> {
    let grey = |v: &f64| {
        let share = (v - low) / (high - low);
        let share = if share.is_nan() { 0.5 } else { share };
        (255.0 * share.clamp(0.0, 1.0)).round() as u8
    };
    let bytes: Vec<u8> = values.iter().map(grey).collect();
    encode(
        (columns, rows(values, columns)),
        ColorType::Grayscale,
        &bytes,
    )
}

/// Values in rows of `columns`, coloured; what is missing is transparent.
pub fn matrix(values: &[f64], columns: usize, colour: impl Fn(f64) -> Rgb) -> Vec<u8> {
    let pixel = |v: &f64| match v.is_nan() {
        true => [0; 4],
        false => {
            let [r, g, b] = colour(*v);
            [r, g, b, 255]
        }
    };
    let pixels: Vec<[u8; 4]> = values.iter().map(pixel).collect();
    let size = (columns, rows(values, columns));
    encode(size, ColorType::Rgba, pixels.as_flattened())
}

fn rows(values: &[f64], columns: usize) -> usize {
    values.len() / columns.max(1)
}

fn encode((width, height): (usize, usize), kind: ColorType, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, width.max(1) as u32, height.max(1) as u32);
    encoder.set_color(kind);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    let blank;
    let bytes = match width * height {
        0 => {
            blank = vec![0; kind.samples()];
            &blank[..]
        }
        _ => bytes,
    };
    // Memory is the only place it is written to, and the sizes are its own.
    if let Ok(mut writer) = encoder.write_header() {
        let _ = writer.write_image_data(bytes);
    }
    out
}
