//! Colours that people with any colour vision tell apart, on white and on dark paper.

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// The twin.
pub const BLUE: Rgb = [0, 114, 178];
/// Validation, and what is compared with the twin.
pub const ORANGE: Rgb = [230, 159, 0];
/// What is known to be true.
pub const GREEN: Rgb = [0, 158, 115];
/// A further thing.
pub const PURPLE: Rgb = [204, 121, 167];
/// A further thing.
pub const VERMILLION: Rgb = [213, 94, 0];
/// Ceilings, shuffled labels, whatever is only there to compare with.
pub const GREY: Rgb = [136, 136, 136];

/// Okabe and Ito's colours without black, the yellow a little darker so that it shows on white.
const CATEGORIES: [Rgb; 7] = [
    BLUE,
    ORANGE,
    GREEN,
    PURPLE,
    [86, 180, 233],
    VERMILLION,
    [190, 172, 30],
];

/// The colour of the k-th of several things. From the eighth on they come again lighter, then darker: more than a few
/// colours nobody tells apart, so that a figure names its groups as well.
pub fn category(k: usize) -> Rgb {
    let base = CATEGORIES[k % CATEGORIES.len()];
    match k / CATEGORIES.len() % 3 {
        0 => base,
        1 => base.map(|c| (f64::from(c) * 0.55 + 255.0 * 0.45) as u8),
        _ => base.map(|c| (f64::from(c) * 0.68) as u8),
    }
}

/// From blue over grey to yellow, ever lighter: it keeps its order in black and white, and its middle is neutral.
const RAMP: [Rgb; 5] = [
    [31, 78, 156],
    [86, 112, 150],
    [139, 140, 142],
    [195, 175, 110],
    [250, 215, 80],
];

/// The colour at a share from 0 to 1 of a scale.
pub fn ramp(share: f64) -> Rgb {
    let at = share.clamp(0.0, 1.0) * (RAMP.len() - 1) as f64;
    let low = (at as usize).min(RAMP.len() - 2);
    let part = at - low as f64;
    std::array::from_fn(|c| {
        let (a, b) = (f64::from(RAMP[low][c]), f64::from(RAMP[low + 1][c]));
        (a + part * (b - a)).round() as u8
    })
}

/// As SVG has it.
pub fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}
