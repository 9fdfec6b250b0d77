//! The twin's predictions beside new recordings.

use super::shared::Scatter;
use crate::report::figure::Section;
use crate::report::plot::BLUE;
use crate::report::source::Source;

/// The in-vivo comparison.
pub fn section(run: &Source) -> Section {
    let mut section = Section::new(
        "In vivo",
        "Predicted tuning beside responses that were recorded afterwards to the same stimuli.",
    );
    match run.table("tuning_comparison.csv") {
        Ok(found) => {
            let of = |name: &str| found.values(name).unwrap_or_default();
            let (reached, oracle, most) = (
                of("correlation_to_average"),
                of("oracle_correlation"),
                of("maximum_correlation"),
            );
            let pairs = [
                (
                    "comparison-oracle",
                    "In vivo: twin and oracle",
                    "oracle correlation",
                    "oracle_correlation",
                    &oracle,
                ),
                (
                    "comparison-ceiling",
                    "In vivo: twin and noise ceiling",
                    "noise ceiling (maximum correlation)",
                    "maximum_correlation",
                    &most,
                ),
            ];
            for (name, title, words, column, values) in pairs {
                let scatter = Scatter {
                    words: [
                        name,
                        title,
                        "Correlation of predicted and recorded responses to the tuning stimuli, against what repeats allow.",
                    ],
                    x: (words, values),
                    y: ("correlation to average", &reached),
                    columns: [column, "correlation_to_average"],
                    alike: true,
                    colour: BLUE,
                };
                section.draw_some(scatter.draw(run));
            }
        }
        Err(lack) => section.lack(
            "Comparison with recorded tuning",
            &lack,
            "compare-tuning RUN REC",
        ),
    }
    section
}
