//! Every case on a real card, where there is one; `benches/gpu` runs the same from carried programs.

mod cases;
mod common;

use striate::device::{Device, Precision, cuda};

#[test]
fn every_case_is_its_definition_on_a_card() {
    if let Some(why) = missing() {
        println!("skipped, no test on a card: {why}");
        return;
    }
    let card = Device::open("cuda").unwrap();
    println!("card: {}", card.describe());
    for precision in Precision::ALL {
        let device = card.with_precision(precision);
        for case in cases::all() {
            let (first, second) = (case.run(&device), case.run(&device));
            if let Err(e) = device.check() {
                panic!("{precision:?} {}: {e}", case.name);
            }
            for (output, again) in first.iter().zip(&second) {
                let (error, most) = output.error(precision);
                let name = format!("{precision:?} {} {}", case.name, output.name);
                assert!(error <= most, "{name}: {error:e}");
                assert_eq!(output.bits(), again.bits(), "{name}");
            }
        }
    }
}

fn missing() -> Option<String> {
    if let Err(why) = cuda::architectures() {
        return Some(why.to_string());
    }
    match cuda::list() {
        Ok(cards) if cards.is_empty() => Some("the driver shows none".into()),
        Ok(_) => None,
        Err(why) => Some(format!("the driver is {why}")),
    }
}
