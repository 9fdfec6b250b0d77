//! What the machine code of Hopper's kernels consists of, read from the cubins: instructions by kind and width.
//!
//! An instruction is 16 bytes; its opcode are bits 0 to 8, the form of its operands bits 9 to 11, and the width of a memory
//! access bits 73 to 75.

use super::nvrtc::Image;
use std::fs;

/// The architectures that are looked at.
const ARCHS: [&str; 2] = ["sm_90", "sm_90a"];

/// Opcodes.
const HMMA: u64 = 0x03c;
/// Of a warpgroup.
const HGMMA: u64 = 0x1f0;
const LDSM: u64 = 0x03b;
/// On Hopper only in divisions of integers; other conversions are I2FP.
const I2F: u64 = 0x106;
const BAR: u64 = 0x11d;
const CALL: u64 = 0x144;
const LDG: u64 = 0x181;
const LDL: u64 = 0x183;
const LDS: u64 = 0x184;
const STG: u64 = 0x186;
const STL: u64 = 0x187;
const STS: u64 = 0x188;
const SHFL: u64 = 0x189;
const LDGSTS: u64 = 0x1ae;
/// By the copy engine.
const UTMALDG: u64 = 0x1b4;

const HEADER: &str = "kernel,precision,instructions,matrix_products,warpgroup_products,global_loads_16,global_loads_8,global_loads_4,\
    global_loads_2,global_to_shared,boxes_to_shared,global_stores_16,global_stores_8,global_stores_4,global_stores_2,shared_loads,\
    matrix_loads,shared_stores,local_accesses,shuffles,barriers,calls,divisions,divisions_between_products";

/// The lines of `kernels/sass.csv`.
pub fn table(images: &[Image]) -> Result<Vec<String>, String> {
    let mut lines = vec![HEADER.to_owned()];
    for image in images.iter().filter(|i| ARCHS.contains(&i.arch)) {
        let path = image.deflated.with_extension("cubin");
        let shown = path.display();
        let cubin = fs::read(&path).map_err(|e| format!("{shown}: {e}"))?;
        let mut kernels =
            kernels(&cubin).ok_or_else(|| format!("{shown}: not the ELF file of a cubin"))?;
        kernels.sort();
        let precision = super::nvrtc::PRECISIONS[image.precision].to_lowercase();
        for (kernel, code) in kernels {
            lines.push(format!("{kernel},{precision},{}", counts(code)));
        }
    }
    Ok(lines)
}

/// Every kernel's name and code: the sections `.text.NAME`.
fn kernels(cubin: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let bytes = cubin.get(at..at + bytes)?;
        Some(bytes.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)))
    };
    let (sections, size) = (number(40, 8)?, number(58, 2)?);
    let (count, names) = (number(60, 2)?, number(62, 2)?);
    let span = |section: usize| -> Option<&[u8]> {
        let at = sections + section * size;
        let start = number(at + 24, 8)?;
        cubin.get(start..start + number(at + 32, 8)?)
    };
    let names = span(names)?;
    let mut found = Vec::new();
    for section in 0..count {
        let name = names.get(number(sections + section * size, 4)?..)?;
        let name = name.split(|&b| b == 0).next()?;
        if let Some(kernel) = String::from_utf8_lossy(name).strip_prefix(".text.") {
            found.push((kernel.to_owned(), span(section)?));
        }
    }
    Some(found)
}

fn counts(code: &[u8]) -> String {
    let word = |i: &[u8]| u64::from_le_bytes(std::array::from_fn(|b| i[b]));
    let all: Vec<(u64, u64)> = code
        .chunks_exact(16)
        .map(|i| (word(i) & 0x1ff, word(&i[8..]) >> 9 & 7))
        .collect();
    let count = |opcode: u64| all.iter().filter(|i| i.0 == opcode).count();
    // 0 to 3 are signed and unsigned bytes and halves.
    let wide = |opcode: u64, widths: std::ops::Range<u64>| {
        let of_width = |i: &&(u64, u64)| i.0 == opcode && widths.contains(&i.1);
        all.iter().filter(of_width).count()
    };
    let by_width = |opcode: u64| [6..7, 5..6, 4..5, 0..4].map(|widths| wide(opcode, widths));
    let is_product = |i: &(u64, u64)| i.0 == HMMA || i.0 == HGMMA;
    let last = all.iter().rposition(is_product).unwrap_or(0);
    let between = all.iter().position(is_product).map_or(0, |first| {
        all[first..last].iter().filter(|i| i.0 == I2F).count()
    });
    let mut numbers = vec![all.len(), count(HMMA), count(HGMMA)];
    numbers.extend(by_width(LDG));
    numbers.extend([LDGSTS, UTMALDG].map(count));
    numbers.extend(by_width(STG));
    numbers.extend([LDS, LDSM, STS].map(count));
    numbers.push(count(LDL) + count(STL));
    numbers.extend([SHFL, BAR, CALL, I2F].map(count));
    numbers.push(between);
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    numbers.join(",")
}
