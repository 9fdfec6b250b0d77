//! Which recording it is, whatever it is called and wherever it lies.

use super::Recording;

impl Recording {
    /// Tells it apart from every other, as tables show it: grey levels, responses and trials, not names.
    pub fn hash(&self) -> String {
        format!("fnv1a:{:016x}", fingerprint(std::slice::from_ref(self)))
    }
}

/// FNV-1a over every number of several recordings.
pub fn fingerprint(recordings: &[Recording]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |word: u64| hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
    for r in recordings {
        r.images
            .iter()
            .chain(&r.responses)
            .for_each(|v| add(u64::from(v.to_bits())));
        r.trials
            .iter()
            .for_each(|t| add(3 * t.image as u64 + t.tier as u64));
    }
    hash
}
