//! What is in a file, for people who look for something.

use super::body::Body;
use super::file::File;
use super::head::Class;
use super::shown;
use super::value::Value;

/// More is not told.
const MOST: usize = 60;
const DEEPEST: usize = 4;

/// A value in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// How to ask for it.
    pub address: String,
    /// Lengths of its axes.
    pub shape: Vec<usize>,
    /// Its class.
    pub class: Class,
    /// Whether it is an array of plain numbers.
    pub numbers: bool,
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ({} {})",
            self.address,
            shown(&self.shape),
            self.class.name()
        )
    }
}

impl File {
    /// Values in the file, fields of structs among them; not all where there are very many. What is damaged is left out.
    pub fn list(&self) -> Vec<Listed> {
        let mut all = Vec::new();
        let names: Vec<String> = self.names().map(str::to_string).collect();
        for name in names {
            if let Ok(mut value) = self.value(&name) {
                list(&mut value, name, 0, &mut all);
            }
        }
        all
    }
}

fn list<B: std::borrow::BorrowMut<Body>>(
    value: &mut Value<B>,
    address: String,
    depth: usize,
    all: &mut Vec<Listed>,
) {
    if all.len() >= MOST {
        return;
    }
    all.push(Listed {
        shape: value.shape().to_vec(),
        class: value.class(),
        numbers: value.is_numbers(),
        address: address.clone(),
    });
    let one = value.shape().iter().product::<usize>() == 1;
    if value.class() != Class::Struct || !one || depth == DEEPEST {
        return;
    }
    let fields = value.fields().to_vec();
    let Ok(mut children) = value.children() else {
        return;
    };
    for field in fields {
        let Ok(Some(mut child)) = children.following() else {
            return;
        };
        list(&mut child, format!("{address}.{field}"), depth + 1, all);
    }
}
