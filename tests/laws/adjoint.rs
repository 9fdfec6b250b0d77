//! Ways back are the adjoints of ways forward.

use super::Ways;
use crate::common::*;
use striate::device::Array;
use striate::ops::group_conv;

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
        for (way, ways) in [
            ("direct", Ways::direct(&s.direct())),
            ("group", Ways::group(&s)),
        ] {
            let (dy, y) = (&ways.dy, &ways.y);
            assert_adjoint(&format!("{way}, x {name}"), (dy, y), (&ways.dx, &ways.x));
            let weights = (&ways.dweights, &ways.weights);
            assert_adjoint(&format!("{way}, weights {name}"), (dy, y), weights);
        }
    }
}
