use super::{Case, Output, both, filled};
use crate::common::noise;
use striate::ops::gather;

pub fn cases() -> Vec<Case> {
    [(1, 1, 1), (7, 5, 3), (4, 600, 9)]
        .map(|(count, width, batch)| {
            Case::new(
                format!("gather {count} x {width}, {batch}"),
                move |device| {
                    let (source, wanted) = both(device, &noise(count * width, 1));
                    let rows: Vec<u32> = (0..batch)
                        .map(|i| (i * 5 + 2) as u32 % count as u32)
                        .collect();
                    let index = device.upload(&rows, &[batch]);
                    let mut out = filled(device, f32::NAN, batch * width);
                    gather::rows(device, width, source.view(), index.view(), out.view_mut());
                    let wanted = rows
                        .iter()
                        .flat_map(|&r| wanted[r as usize * width..][..width].to_vec())
                        .collect();
                    vec![Output::new("rows", &out, wanted)]
                },
            )
        })
        .into()
}
