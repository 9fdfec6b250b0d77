//! LZF, the fast compression of h5py: runs of bytes, and copies of what came before.

use hdf5_reader::error::{Error, Result};
use hdf5_reader::messages::filter_pipeline::FilterDescription;

/// Its number in HDF5's register.
pub(super) const FILTER: u16 = 32000;
/// A reference of three bytes copies at most so many.
const LONGEST_COPY: usize = 264;

/// Undoes the filter; its third number is the length of a chunk.
pub(super) fn filter(filter: &FilterDescription, bytes: &[u8], _: usize) -> Result<Vec<u8>> {
    let bad = |what: &str| Error::InvalidData(format!("lzf: {what}"));
    let length = filter
        .client_data
        .get(2)
        .ok_or_else(|| bad("the length of a chunk is missing"))?;
    let length = *length as usize;
    // What compresses to fewer bytes is made up.
    if length > bytes.len().saturating_mul(LONGEST_COPY) {
        return Err(bad("a chunk claims more than it can hold"));
    }
    inflate(bytes, length).ok_or_else(|| bad("a chunk is damaged"))
}

/// The bytes that were compressed, `length` of them; none if these do not make up that.
fn inflate(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(length);
    let mut rest = bytes;
    while let Some((control, after)) = rest.split_first() {
        let control = usize::from(*control);
        rest = after;
        if control < 32 {
            let (run, after) = rest.split_at_checked(control + 1)?;
            out.extend_from_slice(run);
            rest = after;
        } else {
            let mut count = (control >> 5) + 2;
            let mut take = || -> Option<usize> {
                let (byte, after) = rest.split_first()?;
                rest = after;
                Some(usize::from(*byte))
            };
            if control >> 5 == 7 {
                count += take()?;
            }
            let back = ((control & 31) << 8 | take()?) + 1;
            let from = out.len().checked_sub(back)?;
            // The copy may reach into what it writes.
            for at in from..from + count {
                let byte = out[at];
                out.push(byte);
            }
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::inflate;

    #[test]
    fn runs_and_copies_are_undone() {
        // "abc", then a copy of 4 from 3 back, then one of 10 (long form) from 1 back.
        let bytes = [2, b'a', b'b', b'c', 0x40, 2, 0xe0, 1, 0];
        assert_eq!(inflate(&bytes, 17).unwrap(), b"abcabcaaaaaaaaaaa");
    }

    #[test]
    fn damage_is_found() {
        assert_eq!(inflate(&[5, b'a'], 6), None, "a run that ends early");
        assert_eq!(
            inflate(&[0, b'a', 0x20, 9], 4),
            None,
            "a copy from before the start"
        );
        assert_eq!(
            inflate(&[0, b'a', 0xe0], 10),
            None,
            "a copy without its length"
        );
        assert_eq!(inflate(&[1, b'a', b'b'], 1), None, "more than the chunk");
        assert_eq!(inflate(&[0, b'a'], 2), None, "less than the chunk");
    }
}
