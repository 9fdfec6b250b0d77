//! Ways back are the adjoints of ways forward.

use super::{CPU, upload};
use crate::common::*;
use striate::device::Array;
use striate::ops::{conv, group_conv};

/// <dy, A x> and <A' dy, x> relative to the lengths of dy and A x.
#[track_caller]
fn assert_adjoint(what: &str, (dy, ax): (&Array, &Array), (adjoint, x): (&Array, &Array)) {
    let [dy, ax, adjoint, x] = [dy, ax, adjoint, x].map(|a| widen(&a.download()));
    let (left, right) = (dot(&dy, &ax), dot(&adjoint, &x));
    let scale = (dot(&dy, &dy) * dot(&ax, &ax)).sqrt();
    assert!(
        (left - right).abs() <= 1e-5 * scale,
        "{what}: {left} {right} of {scale}"
    );
}

#[test]
fn ways_back_are_adjoint_to_ways_forward() {
    let base = group_conv::Shape {
        batch: 2,
        orientations: 8,
        in_features: 4,
        out_features: 3,
        oriented_input: true,
        height: 13,
        width: 18,
        kernel: 5,
        padding: 2,
    };
    for s in [
        base,
        group_conv::Shape {
            padding: 0,
            orientations: 12,
            ..base
        },
        group_conv::Shape {
            orientations: 5,
            kernel: 7,
            padding: 3,
            ..base
        },
        group_conv::Shape {
            oriented_input: false,
            in_features: 1,
            kernel: 9,
            padding: 4,
            ..base
        },
    ] {
        let name = format!("{s:?}");
        let direct = s.direct();
        let (nx, nw, ny) = direct.lengths();
        let (x, w, dy) = (
            upload(&noise(nx, 1)),
            upload(&noise(nw, 2)),
            upload(&noise(ny, 3)),
        );
        let (mut y, mut dx, mut dw) = (CPU.zeros(&[ny]), CPU.zeros(&[nx]), CPU.zeros(&[nw]));
        conv::forward(
            &CPU,
            &direct,
            x.view().into(),
            w.view(),
            y.view_mut().into(),
        );
        conv::backward_input(
            &CPU,
            &direct,
            w.view(),
            dy.view().into(),
            dx.view_mut().into(),
        );
        conv::backward_weights(
            &CPU,
            &direct,
            x.view().into(),
            dy.view().into(),
            dw.view_mut(),
        );
        assert_adjoint(&format!("direct, x {name}"), (&dy, &y), (&dx, &x));
        assert_adjoint(&format!("direct, w {name}"), (&dy, &y), (&dw, &w));

        let layer = group_conv::Layer::new(&CPU, s);
        let c = upload(&noise(s.coefficients(), 4));
        let (mut dx, mut dc) = (CPU.zeros(&[nx]), CPU.zeros(&[c.len()]));
        group_conv::forward(
            &CPU,
            &layer,
            s.batch,
            x.view().into(),
            c.view(),
            y.view_mut().into(),
        );
        group_conv::backward_input(
            &CPU,
            &layer,
            s.batch,
            c.view(),
            dy.view().into(),
            dx.view_mut().into(),
        );
        group_conv::backward_coefficients(
            &CPU,
            &layer,
            s.batch,
            x.view().into(),
            dy.view().into(),
            dc.view_mut(),
        );
        assert_adjoint(&format!("group, x {name}"), (&dy, &y), (&dx, &x));
        assert_adjoint(&format!("group, c {name}"), (&dy, &y), (&dc, &c));
    }
}
