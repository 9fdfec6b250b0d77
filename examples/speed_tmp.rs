use striate::device::Device;
use striate::ops::group_conv::{self, Layer, Shape};
use std::time::Instant;
fn main() {
    let d = Device::Cpu;
    for (oriented, inf, k) in [(true, 16, 5), (false, 1, 13)] {
        let s = Shape { batch: 32, orientations: 8, in_features: inf, out_features: 16, oriented_input: oriented, height: 36, width: 64, kernel: k, padding: k / 2 };
        let l = Layer::new(s);
        let (nx, _, ny) = s.direct().lengths();
        let x = d.upload(&vec![0.5; nx], &[nx]);
        let c = d.upload(&vec![0.1; s.coefficients()], &[s.coefficients()]);
        let mut y = d.zeros::<f32>(&[ny]);
        let mut dx = d.zeros::<f32>(&[nx]);
        let mut dc = d.zeros::<f32>(&[s.coefficients()]);
        for _ in 0..3 {
            let t = Instant::now();
            group_conv::forward(&d, &l, 32, x.view(), c.view(), y.view_mut());
            let f = t.elapsed();
            let t = Instant::now();
            if oriented { group_conv::backward(&d, &l, 32, (x.view(), c.view()), y.view(), dx.view_mut(), dc.view_mut()); }
            else { group_conv::backward_coefficients(&d, &l, 32, x.view(), y.view(), dc.view_mut()); }
            println!("k {k}: forward {:.2} ms/image, backward {:.2} ms/image", f.as_secs_f64() * 1e3 / 32.0, t.elapsed().as_secs_f64() * 1e3 / 32.0);
        }
    }
}
