//! Char arrays.

use super::body::Body;
use super::head::Head;
use crate::Result;

/// A word for every row, without blanks at the end.
pub(super) fn rows(head: &Head, body: &mut Body) -> Result<Vec<String>> {
    if head.len() == 0 {
        return Ok(Vec::new());
    }
    let tag = body.tag(head.end)?;
    let data = body.data(tag, head.end)?;
    let units = units(tag.kind, &data, body.big_endian);
    let (count, columns) = (head.shape[0], head.len() / head.shape[0]);
    let Some(units) = units.filter(|u| u.len() == head.len()) else {
        let what = "char array whose letters are no text of its shape";
        return Err(body.fail(what));
    };
    let row = |row: usize| {
        let letters = (0..columns).map(|c| units[c * count + row]);
        let word = word(letters);
        word.map(|w| w.trim_end().trim_end_matches('\0').to_string())
            .ok_or_else(|| body.fail("char array that is no text"))
    };
    (0..count).map(row).collect()
}

/// Code points, or 16-bit units of them.
fn units(kind: u32, data: &[u8], big_endian: bool) -> Option<Vec<u32>> {
    let wide = |b: &[u8]| match (big_endian, b) {
        (true, [a, b]) => u16::from_be_bytes([*a, *b]).into(),
        (false, [a, b]) => u16::from_le_bytes([*a, *b]).into(),
        _ => 0,
    };
    let widest = |b: &[u8]| match (big_endian, b) {
        (true, [a, b, c, d]) => u32::from_be_bytes([*a, *b, *c, *d]),
        (false, [a, b, c, d]) => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    };
    Some(match kind {
        1 | 2 => data.iter().map(|b| u32::from(*b)).collect(),
        4 | 3 | 17 => data.chunks_exact(2).map(wide).collect(),
        6 | 5 | 18 => data.chunks_exact(4).map(widest).collect(),
        16 => std::str::from_utf8(data)
            .ok()?
            .chars()
            .map(u32::from)
            .collect(),
        _ => return None,
    })
}

/// Letters to a word; units of 16 bits may come in pairs.
fn word(units: impl Iterator<Item = u32>) -> Option<String> {
    let mut word = String::new();
    let mut high = None;
    for unit in units {
        let code = match (high.take(), unit) {
            (None, 0xd800..=0xdbff) => {
                high = Some(unit);
                continue;
            }
            (Some(h), 0xdc00..=0xdfff) => 0x10000 + ((h - 0xd800) << 10) + (unit - 0xdc00),
            (None, _) => unit,
            (Some(_), _) => return None,
        };
        word.push(char::from_u32(code)?);
    }
    high.is_none().then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_beyond_16_bits_are_pairs() {
        assert_eq!(word([0x56, 0x31].into_iter()).unwrap(), "V1");
        assert_eq!(word([0xd83d, 0xde00].into_iter()).unwrap(), "😀");
        assert_eq!(word([0xd83d].into_iter()), None);
        assert_eq!(word([0xd83d, 0x41].into_iter()), None);
    }

    #[test]
    fn every_encoding_is_understood() {
        assert_eq!(units(4, &[0x41, 0, 0xe9, 0], false), Some(vec![0x41, 0xe9]));
        assert_eq!(units(17, &[0, 0x41], true), Some(vec![0x41]));
        assert_eq!(units(16, "é".as_bytes(), false), Some(vec![0xe9]));
        assert_eq!(units(16, &[0xff], false), None);
        assert_eq!(units(9, &[0; 8], false), None);
    }
}
