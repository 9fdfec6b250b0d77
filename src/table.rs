//! Named columns: every result is one, every CSV is written from one.

use crate::files::{self, Prepared};
use crate::{Error, Result};
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

/// One column of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Integers (row numbers, counts).
    Integer(Vec<i64>),
    /// Numbers; NaN is written as an empty cell.
    Number(Vec<f64>),
    /// `true` or `false`.
    Boolean(Vec<bool>),
    /// Cells as they stand in a file; an empty one is a missing value.
    Text(Vec<String>),
}

impl Column {
    /// Rows in this column.
    pub fn len(&self) -> usize {
        match self {
            Self::Integer(v) => v.len(),
            Self::Number(v) => v.len(),
            Self::Boolean(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn select(&self, rows: &[usize]) -> Self {
        fn of<T: Clone>(v: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&r| v[r].clone()).collect()
        }
        match self {
            Self::Integer(v) => Self::Integer(of(v, rows)),
            Self::Number(v) => Self::Number(of(v, rows)),
            Self::Boolean(v) => Self::Boolean(of(v, rows)),
            Self::Text(v) => Self::Text(of(v, rows)),
        }
    }

    /// Its numbers, if that is what it holds: integers too, and text whose filled cells all say a number (an empty one
    /// is NaN).
    pub fn as_numbers(&self) -> Option<Vec<f64>> {
        match self {
            Self::Text(cells) => cells.iter().map(|c| said(c)).collect(),
            _ => self.own_numbers(),
        }
    }

    /// Its integers, if that is what it holds: also text whose every cell says one.
    pub fn as_integers(&self) -> Option<Vec<i64>> {
        match self {
            Self::Integer(v) => Some(v.clone()),
            Self::Text(cells) => cells.iter().map(|c| c.trim().parse().ok()).collect(),
            _ => None,
        }
    }

    /// The numbers of a column that is made of numbers.
    fn own_numbers(&self) -> Option<Vec<f64>> {
        match self {
            Self::Integer(v) => Some(v.iter().map(|&x| x as f64).collect()),
            Self::Number(v) => Some(v.clone()),
            _ => None,
        }
    }

    /// Columns below each other, in the narrowest kind that holds them all, text as it is; where one is missing, its rows are
    /// empty.
    fn stacked(parts: &[(Option<&Self>, usize)]) -> Self {
        let whole = |c: Option<&Self>| match c {
            Some(Self::Integer(v)) => Some(v.clone()),
            _ => None,
        };
        let truths = |c: Option<&Self>| match c {
            Some(Self::Boolean(v)) => Some(v.clone()),
            _ => None,
        };
        let numbers = |(c, rows): &(Option<&Self>, usize)| match c {
            Some(c) => c.own_numbers(),
            None => Some(vec![f64::NAN; *rows]),
        };
        if let Some(v) = parts.iter().map(|p| whole(p.0)).collect::<Option<Vec<_>>>() {
            return Self::Integer(v.concat());
        }
        if let Some(v) = parts
            .iter()
            .map(|p| truths(p.0))
            .collect::<Option<Vec<_>>>()
        {
            return Self::Boolean(v.concat());
        }
        if let Some(v) = parts.iter().map(numbers).collect::<Option<Vec<_>>>() {
            return Self::Number(v.concat());
        }
        let cells = parts.iter().flat_map(|(c, rows)| {
            (0..*rows).map(move |row| c.map_or_else(String::new, |c| c.cell(row)))
        });
        Self::Text(cells.collect())
    }

    fn cell(&self, row: usize) -> String {
        match self {
            Self::Integer(v) => v[row].to_string(),
            Self::Number(v) if v[row].is_nan() => String::new(),
            Self::Number(v) => number(v[row]),
            Self::Boolean(v) => v[row].to_string(),
            Self::Text(v) => v[row].clone(),
        }
    }
}

/// What a cell says as a number; NaN when it is empty.
fn said(cell: &str) -> Option<f64> {
    match cell.trim() {
        "" => Some(f64::NAN),
        cell => cell.parse().ok(),
    }
}

/// Nine significant digits: enough to give back any `f32`.
pub fn number(x: f64) -> String {
    let magnitude = x.abs();
    if x == 0.0 || (1e-4..1e9).contains(&magnitude) {
        let digits = if x == 0.0 {
            0
        } else {
            8 - magnitude.log10().floor() as i32
        };
        let text = format!("{:.*}", digits.max(0) as usize, x);
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        } else {
            text
        }
    } else {
        format!("{x:.8e}")
    }
}

/// Columns of equal length, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    columns: Vec<(String, Column)>,
}

impl Table {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column at the right.
    ///
    /// # Panics
    /// When its length differs from that of the columns already there: that is a bug, not input.
    #[must_use]
    pub fn with(mut self, name: &str, column: Column) -> Self {
        if let Some((_, first)) = self.columns.first() {
            assert_eq!(first.len(), column.len(), "column {name}");
        }
        self.columns.push((name.to_string(), column));
        self
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, c)| c.len())
    }

    /// Column names, from left to right.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(n, _)| n.as_str())
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(n, _)| n == name).map(|(_, c)| c)
    }

    /// The numbers of the column of that name, see [`Column::as_numbers`].
    pub fn numbers(&self, name: &str) -> Option<Cow<'_, [f64]>> {
        match self.column(name)? {
            Column::Number(v) => Some(Cow::Borrowed(v)),
            other => other.as_numbers().map(Cow::Owned),
        }
    }

    /// Which rows hold anything besides what names them: a number, a count or a truth. Text is what they were given.
    pub(crate) fn holds(&self) -> Vec<bool> {
        let measured = |(name, column): &&(String, Column)| {
            name != "neuron" && !matches!(column, Column::Text(_))
        };
        let columns: Vec<&(String, Column)> = self.columns.iter().filter(measured).collect();
        let filled = |row| columns.iter().any(|(_, c)| !c.cell(row).is_empty());
        (0..self.rows()).map(filled).collect()
    }

    /// A column's cells as they are written.
    pub fn text(&self, name: &str) -> Option<Vec<String>> {
        let column = self.column(name)?;
        Some((0..column.len()).map(|row| column.cell(row)).collect())
    }

    /// With another name for a column, if it is there.
    #[must_use]
    pub fn renamed(mut self, name: &str, new: &str) -> Self {
        for (n, _) in self.columns.iter_mut().filter(|(n, _)| n == name) {
            *n = new.to_string();
        }
        self
    }

    /// Without a column.
    #[must_use]
    pub fn dropped(mut self, name: &str) -> Self {
        self.columns.retain(|(n, _)| n != name);
        self
    }

    /// With these columns at the right, in that order.
    #[must_use]
    pub fn reordered(mut self, last: &[&str]) -> Self {
        let rank = |n: &String| last.iter().position(|l| l == n).map_or(0, |i| i + 1);
        self.columns.sort_by_key(|(n, _)| rank(n));
        self
    }

    /// The given rows, in that order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let columns = self
            .columns
            .iter()
            .map(|(n, c)| (n.clone(), c.select(rows)))
            .collect();
        Self { columns }
    }

    /// With all columns of another table at the right.
    ///
    /// # Panics
    /// When it has another number of rows: that is a bug, not input.
    #[must_use]
    pub fn beside(self, right: Self) -> Self {
        let columns = right.columns.into_iter();
        columns.fold(self, |table, (name, column)| table.with(&name, column))
    }

    /// Tables below each other, with every column that any of them has; `label` names a first column that tells
    /// which table a row is from.
    pub fn stacked(parts: Vec<(String, Self)>, label: Option<&str>) -> Self {
        let mut table = Self::default();
        if let Some(label) = label {
            let names = parts
                .iter()
                .flat_map(|(name, t)| vec![name.clone(); t.rows()])
                .collect();
            table = table.with(label, Column::Text(names));
        }
        for name in parts.iter().flat_map(|(_, t)| t.names()) {
            if table.column(name).is_none() {
                let columns: Vec<_> = parts
                    .iter()
                    .map(|(_, t)| (t.column(name), t.rows()))
                    .collect();
                table = table.with(name, Column::stacked(&columns));
            }
        }
        table
    }

    /// Writes the table as CSV with a header.
    ///
    /// # Errors
    /// Names the file.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        files::write(path, |w| self.fill(w))
    }

    /// As [`Table::write_csv`], up to the file's name.
    ///
    /// # Errors
    /// Names the file.
    pub fn prepare(&self, path: &Path) -> Result<Prepared> {
        Prepared::new(path, |w| self.fill(w))
    }

    pub(crate) fn fill(&self, w: &mut dyn Write) -> std::io::Result<()> {
        let mut csv = csv::Writer::from_writer(w);
        csv.write_record(self.names())?;
        for row in 0..self.rows() {
            csv.write_record(self.columns.iter().map(|(_, c)| c.cell(row)))?;
        }
        csv.flush()
    }

    /// Reads a CSV with a header. Every column is [`Column::Text`], its cells letter by letter as they stand there, so
    /// that whoever writes them again changes none; [`Column::as_numbers`] and [`Column::as_integers`] say what they mean.
    ///
    /// # Errors
    /// Names the file, and the line where it is not a table.
    pub fn read_csv(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| Error::file(path, e))?.clone();
        check_separator(path, &header)?;
        let mut cells: Vec<Vec<String>> = vec![Vec::new(); header.len()];
        for record in reader.records() {
            let record = record.map_err(|e| Error::file(path, e))?;
            if record.len() != header.len() {
                let line = record.position().map_or(0, csv::Position::line);
                return Err(Error::bad(
                    format!("{}, line {line}", path.display()),
                    "number of cells",
                    record.len(),
                    format!(
                        "{} as in the header, separated by commas; decimal numbers have points",
                        header.len()
                    ),
                ));
            }
            for (column, cell) in cells.iter_mut().zip(record.iter()) {
                column.push(cell.to_string());
            }
        }
        let names = header.iter().map(|name| name.trim().to_string());
        let columns = names.zip(cells.into_iter().map(Column::Text)).collect();
        Ok(Self { columns })
    }
}

/// Refuses a header that another mark than the comma separates, as spreadsheets write it in some countries.
pub(crate) fn check_separator(file: &Path, header: &csv::StringRecord) -> Result<()> {
    let first = header.get(0).unwrap_or_default();
    let marks = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")];
    match marks.into_iter().find(|(mark, _)| first.contains(*mark)) {
        Some((mark, name)) => {
            let seen = header.iter().collect::<Vec<_>>().join(",");
            let wanted = seen.replace(mark, ",");
            Err(Error::bad(
                file.display(),
                "header",
                format!("\"{}\", separated by {name}", seen.escape_debug()),
                format!("\"{wanted}\", separated by commas, and points in decimal numbers"),
            ))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_nine_digits_and_drop_padding() {
        assert_eq!(number(0.1), "0.1");
        assert_eq!(number(-12.5), "-12.5");
        assert_eq!(number(1.0 / 3.0), "0.333333333");
        assert_eq!(number(123_456_789.0), "123456789");
        assert_eq!(number(1e-7), "1.00000000e-7");
        assert_eq!(number(0.0), "0");
    }

    #[test]
    fn a_table_comes_back_from_its_csv() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let table = Table::new()
            .with("neuron", Column::Integer(vec![0, 1]))
            .with("x", Column::Number(vec![0.25, f64::NAN]))
            .with("ok", Column::Boolean(vec![true, false]))
            .with("type", Column::Text(vec!["simple".into(), "a,b".into()]));
        table.write_csv(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "neuron,x,ok,type\n0,0.25,true,simple\n1,,false,\"a,b\"\n"
        );
        let back = Table::read_csv(&path).unwrap();
        assert_eq!(
            back.column("neuron").unwrap().as_integers(),
            Some(vec![0, 1])
        );
        assert_eq!(back.numbers("x").unwrap()[0], 0.25);
        assert!(back.numbers("x").unwrap()[1].is_nan());
        assert_eq!(back.numbers("ok"), None);
        assert_eq!(back.column("type"), table.column("type"));
        back.write_csv(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    /// Cells that a number would not give back.
    const CELLS: &str = "neuron,id,root,unit,hash,flag,note\n\
        0,1086606909,864691135474648896,0012,1e5,True, V1 \n\
        1,,,0013,2e7,false,\"1,5\"\n\
        2,1120112145,864691135639556411,-0.10,12e3,true,nan\n";

    #[test]
    fn cells_are_written_as_they_were_read_alone_chosen_and_stacked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, CELLS).unwrap();
        let table = Table::read_csv(&path).unwrap();
        let written = |table: &Table| {
            table.write_csv(&path).unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        assert_eq!(written(&table), CELLS);
        let lines: Vec<&str> = CELLS.lines().collect();
        assert_eq!(
            written(&table.select(&[2, 0])),
            format!("{}\n{}\n{}\n", lines[0], lines[3], lines[1])
        );
        let fresh = Table::new()
            .with("neuron", Column::Integer(vec![3]))
            .with("id", Column::Integer(vec![7]))
            .with("unit", Column::Number(vec![0.5]));
        let parts = vec![(String::new(), table), (String::new(), fresh)];
        let stacked = Table::stacked(parts, None);
        assert_eq!(written(&stacked), format!("{CELLS}3,7,,0.5,,,\n"));
    }

    #[test]
    fn a_foreign_separator_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        for (text, wanted) in [
            ("neuron;depth\n0;1,5\n", ["\"neuron;depth\"", "semicolons"]),
            ("neuron\tdepth\n0\t1.5\n", ["\"neuron\\tdepth\"", "tabs"]),
            ("neuron,depth\n0,1,5\n", ["line 2", "points"]),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = Table::read_csv(&path).unwrap_err().to_string();
            for word in wanted.into_iter().chain(["t.csv", "commas"]) {
                assert!(message.contains(word), "wanted {word:?} in: {message}");
            }
        }
    }
}
