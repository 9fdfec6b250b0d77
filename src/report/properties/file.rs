//! Parquet: columns of the narrowest kind that gives their cells back.

use crate::table::{Column, Table};
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::sync::Arc;

/// A column in the narrowest kind that gives its cells back: whole numbers, numbers, truths, or text.
enum Cells {
    Whole(Vec<Option<i64>>),
    Number(Vec<Option<f64>>),
    Truth(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
}

impl Cells {
    fn of(column: &Column) -> Self {
        let cells = match column {
            Column::Integer(v) => return Self::Whole(v.iter().map(|v| Some(*v)).collect()),
            Column::Number(v) => {
                return Self::Number(v.iter().map(|v| (!v.is_nan()).then_some(*v)).collect());
            }
            Column::Boolean(v) => return Self::Truth(v.iter().map(|v| Some(*v)).collect()),
            Column::Text(cells) => cells,
        };
        // An identifier with leading zeros or more digits than a number holds stays as it is.
        let whole = |c: &str| c.parse::<i64>().ok().filter(|n| n.to_string() == c);
        let number = |c: &str| c.parse::<f64>().ok().filter(|_| plain(c));
        let truth = |c: &str| match c {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        fn all<T>(cells: &[String], of: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
            let cell = |c: &String| match c.is_empty() {
                true => Some(None),
                false => of(c).map(Some),
            };
            let filled = cells.iter().any(|c| !c.is_empty());
            cells
                .iter()
                .map(cell)
                .collect::<Option<Vec<_>>>()
                .filter(|_| filled)
        }
        if let Some(v) = all(cells, whole) {
            Self::Whole(v)
        } else if let Some(v) = all(cells, number) {
            Self::Number(v)
        } else if let Some(v) = all(cells, truth) {
            Self::Truth(v)
        } else {
            let text = cells.iter().map(|c| (!c.is_empty()).then(|| c.clone()));
            Self::Text(text.collect())
        }
    }

    fn field(&self, name: &str) -> std::result::Result<Type, ParquetError> {
        let (physical, converted) = match self {
            Self::Whole(_) => (Physical::INT64, ConvertedType::NONE),
            Self::Number(_) => (Physical::DOUBLE, ConvertedType::NONE),
            Self::Truth(_) => (Physical::BOOLEAN, ConvertedType::NONE),
            Self::Text(_) => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_converted_type(converted)
            .build()
    }

    fn write(
        self,
        group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    ) -> std::result::Result<(), ParquetError> {
        match self {
            Self::Whole(v) => column::<Int64Type>(group, v),
            Self::Number(v) => column::<DoubleType>(group, v),
            Self::Truth(v) => column::<BoolType>(group, v),
            Self::Text(v) => {
                let bytes = v
                    .into_iter()
                    .map(|c| c.map(|c| ByteArray::from(c.into_bytes())));
                column::<ByteArrayType>(group, bytes.collect())
            }
        }
    }
}

/// Whether a cell is a number as this program writes it, and not one that only looks like it.
fn plain(cell: &str) -> bool {
    let digits = cell.trim_start_matches('-');
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let word = digits
        .chars()
        .any(|c| c.is_ascii_alphabetic() && c != 'e' && c != 'E');
    let bare_exponent = digits.contains(['e', 'E']) && !digits.contains('.');
    let long = digits.chars().filter(char::is_ascii_digit).count() > 17;
    !(padded || word || bare_exponent || long || cell.starts_with('+'))
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    cells: Vec<Option<T::T>>,
) -> std::result::Result<(), ParquetError> {
    let Some(mut writer) = group.next_column()? else {
        return Err(ParquetError::General(
            "more columns than the schema has".into(),
        ));
    };
    let levels: Vec<i16> = cells.iter().map(|c| i16::from(c.is_some())).collect();
    let values: Vec<T::T> = cells.into_iter().flatten().collect();
    writer
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)?;
    writer.close()
}

/// The file's bytes.
pub(super) fn bytes(table: &Table) -> std::result::Result<Vec<u8>, ParquetError> {
    let names: Vec<&str> = table.names().collect();
    let columns: Vec<Cells> = names
        .iter()
        .filter_map(|n| table.column(n))
        .map(Cells::of)
        .collect();
    let fields = names
        .iter()
        .zip(&columns)
        .map(|(n, c)| Ok(Arc::new(c.field(n)?)));
    let fields = fields.collect::<std::result::Result<Vec<_>, ParquetError>>()?;
    let schema = Arc::new(
        Type::group_type_builder("neurons")
            .with_fields(fields)
            .build()?,
    );
    let properties = WriterProperties::builder()
        .set_created_by(concat!("striate ", env!("CARGO_PKG_VERSION")).into())
        .build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for cells in columns {
        cells.write(&mut group)?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_keep_their_letters_and_numbers_become_numbers() {
        let kind = |cells: &[&str]| match Cells::of(&Column::Text(
            cells.iter().map(|c| (*c).into()).collect(),
        )) {
            Cells::Whole(_) => "whole",
            Cells::Number(_) => "number",
            Cells::Truth(_) => "truth",
            Cells::Text(_) => "text",
        };
        assert_eq!(kind(&["1", "", "864691135474648896"]), "whole");
        assert_eq!(kind(&["0.25", "", "1.5e-7"]), "number");
        assert_eq!(kind(&["0012", "0013"]), "text");
        assert_eq!(kind(&["1e5", "2e7"]), "text");
        assert_eq!(kind(&["true", "false"]), "truth");
        assert_eq!(kind(&["", ""]), "text");
    }
}
