//! Where in a file a value is: `stim.resp`, `session.trials{1}.x`, `stat(3).redcell`.

use std::fmt;

/// A variable and the way from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) variable: String,
    pub(super) steps: Vec<Step>,
}

/// One part of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a struct.
    Field(String),
    /// An element of a cell array; indices from 1.
    Cell(Vec<usize>),
    /// An element of a struct array; indices from 1.
    Element(Vec<usize>),
}

impl Address {
    /// Reads it as MATLAB writes it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lost = |at: &str| {
            format!(
                "\"{text}\" is no address at \"{at}\", wanted variables and fields as in stim.resp or trials{{1}}.x"
            )
        };
        let mut rest = text.trim();
        let variable = word(&mut rest).ok_or_else(|| lost(rest))?;
        let mut steps = Vec::new();
        while let Some(mark) = rest.chars().next() {
            let here = rest;
            rest = &rest[mark.len_utf8()..];
            let step = match mark {
                '.' => word(&mut rest).map(Step::Field),
                '{' => indices(&mut rest, '}').map(Step::Cell),
                '(' => indices(&mut rest, ')').map(Step::Element),
                _ => None,
            };
            steps.push(step.ok_or_else(|| lost(here))?);
        }
        Ok(Self { variable, steps })
    }
}

fn word(rest: &mut &str) -> Option<String> {
    let length = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    let (word, after) = rest.split_at(length);
    *rest = after;
    (!word.is_empty()).then(|| word.to_string())
}

fn indices(rest: &mut &str, close: char) -> Option<Vec<usize>> {
    let (inside, after) = rest.split_once(close)?;
    *rest = after;
    let index = |t: &str| t.trim().parse().ok().filter(|i| *i > 0);
    inside.split(',').map(index).collect()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |indices: &[usize]| {
            let all: Vec<String> = indices.iter().map(usize::to_string).collect();
            all.join(",")
        };
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Cell(i) => write!(f, "{{{}}}", all(i)),
            Self::Element(i) => write!(f, "({})", all(i)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variable)?;
        self.steps.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

/// The place of an element in column-major order, from 0; none if there is no such element.
pub(super) fn linear(indices: &[usize], shape: &[usize]) -> Option<usize> {
    let count: usize = shape.iter().product();
    if let [one] = indices {
        return Some(one - 1).filter(|i| *i < count);
    }
    let mut at = 0;
    let mut stride = 1;
    for (axis, index) in indices.iter().enumerate() {
        let length = shape.get(axis).copied().unwrap_or(1);
        if *index > length {
            return None;
        }
        at += (index - 1) * stride;
        stride *= length;
    }
    Some(at).filter(|i| *i < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in ["img", "stim.resp", "session.trials{1}.x", "a(2,3).b{4}"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "", ".a", "a.", "a{", "a{}", "a{0}", "a{x}", "a b", "a(1", "é",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn elements_are_counted_down_the_columns() {
        assert_eq!(linear(&[2, 3], &[2, 3]), Some(5));
        assert_eq!(linear(&[1, 2, 1], &[2, 3]), Some(2));
        assert_eq!(linear(&[6], &[2, 3]), Some(5));
        for outside in [vec![7], vec![3, 1], vec![1, 1, 2]] {
            assert_eq!(linear(&outside, &[2, 3]), None);
        }
        assert_eq!(linear(&[1], &[0, 3]), None);
    }
}
