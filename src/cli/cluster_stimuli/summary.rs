//! What the command says at the end.

use super::super::common::Report;
use std::path::Path;
use striate::insilico::shared::{self, Found, Member};
use striate::ops::ascent::Outcome;

pub(super) fn summary(
    found: &Found,
    report: &shared::Report,
    no_meis: bool,
    directory: &Path,
) -> Report {
    let of = |outcome: Outcome| {
        let all = found.templates.iter().flatten();
        all.filter(|t| t.outcome == outcome).count()
    };
    let (converged, out, diverged) = (
        of(Outcome::Converged),
        of(Outcome::OutOfSteps),
        of(Outcome::Diverged),
    );
    let (all, members) = (found.templates.len(), found.members.len());
    let empty = found.oriented.iter().filter(|c| c.is_empty()).count();
    let without = |has: &dyn Fn(&Member) -> bool| found.members.iter().filter(|m| !has(m)).count();
    let flat = without(&|m| m.gabor.is_some());
    let unknown = without(&|m| m.gabor.is_none() || m.image.is_some());
    let mut text = format!(
        "{all} clusters, {members} neurons in them\n\
         share of the neurons' own optimum: Gabors {:.3}, differences of Gaussians {:.3}, images {:.3}\n\
         images: {converged} converged, {out} still rising, {diverged} diverged",
        report.shares[0], report.shares[1], report.shares[2]
    );
    if empty > 0 {
        text.push_str(&format!(
            "\n{empty} clusters have no neuron that is asked for and has an optimum: empty cells"
        ));
    }
    if flat > 0 {
        text.push_str(&format!(
            "\n{flat} neurons answer alike to everything: left out"
        ));
    }
    if unknown > 0 && !no_meis {
        text.push_str(&format!(
            "\n{unknown} neurons have no own image: left out of shares of images"
        ));
    }
    let kinds = ["Gabor", "difference of Gaussians", "image"];
    for (kind, above) in kinds.iter().zip(report.above).filter(|k| k.1 > 0) {
        text.push_str(&format!(
            "\n{above} neurons say more to their cluster's {kind} than to their own, by more than 2 %: their own search, or its grid, missed it"
        ));
    }
    text.push_str(&format!(
        "\ntables: {}",
        directory.join("cluster_*.csv").display()
    ));
    Report::new(text)
        .fact("clusters", all)
        .fact("neurons", members)
        .fact("empty_clusters", empty)
        .fact("without_answer", flat)
        .fact("gabor_share", report.shares[0])
        .fact("dog_share", report.shares[1])
        .fact("mei_share", report.shares[2])
        .fact("above_own", report.above.to_vec())
        .fact("converged", converged)
        .fact("out_of_steps", out)
        .fact("diverged", diverged)
        .good(diverged == 0)
}
