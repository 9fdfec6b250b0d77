//! One value: numbers, words, a struct or a cell array.

use super::body::{Body, Tag};
use super::head::{Class, Head, numeric, stored};
use super::shown;
use super::text;
use crate::npy::{Dtype, Kind, Real, cell, convert};
use crate::{Error, Result};
use std::borrow::BorrowMut;
use std::path::Path;

/// Bytes read and converted at a time.
const CHUNK: usize = 1 << 16;

/// A value whose content is still to be read. `B` is where it lies: on its own, or in another one that is being read.
pub struct Value<B> {
    pub(super) body: B,
    pub(super) head: Head,
}

impl<B: BorrowMut<Body>> Value<B> {
    /// Where it lies, for messages: the file, and the address in it.
    pub fn place(&self) -> &Path {
        self.body.borrow().place()
    }

    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.head.shape
    }

    /// Its class.
    pub fn class(&self) -> Class {
        self.head.class
    }

    /// Whether it is an array of plain numbers.
    pub fn is_numbers(&self) -> bool {
        numeric(&self.head, self.place()).is_ok()
    }

    /// Names of a struct's fields.
    pub fn fields(&self) -> &[String] {
        &self.head.fields
    }

    /// Its numbers, still to be read.
    ///
    /// # Errors
    /// Names the value when it is none of numbers, sparse, complex, or does not fit its bytes.
    pub fn array(&mut self) -> Result<Array<'_>> {
        numeric(&self.head, self.place())?;
        let (head, body) = (&self.head, self.body.borrow_mut());
        let tag = match (head.len(), body.at == head.end) {
            // `[]` may end before its numbers.
            (0, true) => None,
            _ => Some(body.tag(head.end)?),
        };
        Array::new(head, body, tag)
    }

    /// All its numbers, the first axis fastest.
    ///
    /// # Errors
    /// As [`Value::array`], and when it cannot be read.
    pub fn numbers<T: Real>(&mut self) -> Result<Vec<T>> {
        let mut array = self.array()?;
        let mut all = Vec::new();
        array.read(array.left, &mut all)?;
        Ok(all)
    }

    /// What a char array or a cell array of them says: a word per row or cell, without blanks at the end. Whole numbers are
    /// told in decimal.
    ///
    /// # Errors
    /// Names the value when it is something else, or no text.
    pub fn words(&mut self) -> Result<Vec<String>> {
        match self.head.class {
            Class::Char => text::rows(&self.head, self.body.borrow_mut()),
            Class::Cell => {
                let mut words = Vec::new();
                let mut children = self.children()?;
                while let Some(mut child) = children.following()? {
                    let number = words.len() + 1;
                    let mut told = match child.class() {
                        Class::Char => child.words()?,
                        _ => child.decimals()?,
                    };
                    if told.len() > 1 {
                        let what = format!("element {number}");
                        let got = format!("{} of {}", child.class().name(), shown(child.shape()));
                        return Err(Error::bad(child.place().display(), what, got, "one word"));
                    }
                    words.push(told.pop().unwrap_or_default());
                }
                Ok(words)
            }
            _ => self.decimals(),
        }
    }

    /// Whole numbers as words.
    fn decimals(&mut self) -> Result<Vec<String>> {
        let wide = matches!(
            self.head.class,
            Class::Number(Kind::Signed | Kind::Unsigned, _)
        );
        let mut array = self.array()?;
        if wide {
            return array.integers();
        }
        let place = array.place().to_path_buf();
        let mut all: Vec<f64> = Vec::new();
        array.read(array.left, &mut all)?;
        let word = |x: &f64| {
            let whole = x.fract() == 0.0 && x.abs() < 9e15;
            let wanted = "whole numbers or words";
            whole
                .then(|| format!("{x:.0}"))
                .ok_or_else(|| Error::bad(place.display(), "value", x, wanted))
        };
        all.iter().map(word).collect()
    }

    /// The elements of a cell array one by one; of a struct array its fields, element by element.
    ///
    /// # Errors
    /// Names the value when it is neither.
    pub fn children(&mut self) -> Result<Children<'_>> {
        let count = match self.head.class {
            Class::Cell => self.head.len(),
            Class::Struct => self.head.len() * self.head.fields.len(),
            other => {
                let place = self.place().display();
                return Err(Error::bad(place, "class", other.name(), "cell or struct"));
            }
        };
        let body = self.body.borrow_mut();
        Ok(Children {
            next: body.at,
            end: self.head.end,
            body,
            left: count,
        })
    }
}

/// What is in a cell array or struct, in its order.
pub struct Children<'a> {
    body: &'a mut Body,
    next: u64,
    end: u64,
    left: usize,
}

impl Children<'_> {
    /// The next one.
    ///
    /// # Errors
    /// Names the value when it is damaged.
    pub fn following(&mut self) -> Result<Option<Value<&mut Body>>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.body.skip_to(self.next)?;
        let head = Head::read(self.body, self.end)?;
        self.next = head.end;
        Ok(Some(Value {
            body: &mut *self.body,
            head,
        }))
    }
}

/// Numbers that are read in their order, the first axis fastest.
pub struct Array<'a> {
    body: &'a mut Body,
    class: Class,
    shape: &'a [usize],
    /// As they are stored: often narrower than their class.
    dtype: Dtype,
    /// Numbers still to be read.
    left: usize,
    /// Those that lie in the tag.
    small: Option<Vec<u8>>,
    end: u64,
    bytes: Vec<u8>,
}

impl<'a> Array<'a> {
    fn new(head: &'a Head, body: &'a mut Body, tag: Option<Tag>) -> Result<Self> {
        let kind = tag.map_or(9, |t| t.kind);
        let Some(dtype) = stored(kind, body.big_endian) else {
            return Err(body.fail(format!(
                "numbers of type {kind}, wanted 1 to 7, 9, 12 or 13"
            )));
        };
        let (count, bytes) = (head.len(), tag.map_or(0, |t| t.bytes));
        if bytes != count as u64 * dtype.size as u64 {
            let what = format!("{bytes} bytes of numbers");
            let shape = shown(&head.shape);
            let wanted = format!("{} for {shape}", count as u64 * dtype.size as u64);
            return Err(Error::bad(
                body.place().display(),
                what,
                dtype.name(),
                wanted,
            ));
        }
        Ok(Self {
            class: head.class,
            shape: &head.shape,
            dtype,
            left: count,
            small: tag.and_then(|t| t.small().map(<[u8]>::to_vec)),
            end: head.end,
            body,
            bytes: Vec::new(),
        })
    }

    /// Where it lies, for messages.
    pub fn place(&self) -> &Path {
        self.body.place()
    }

    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        self.shape
    }

    /// Whether `float32` does not hold all numbers of its class.
    pub fn wide(&self) -> bool {
        match self.class {
            Class::Number(Kind::Float, size) => size > 4,
            Class::Number(_, size) => size > 2,
            _ => false,
        }
    }

    /// Appends the next numbers.
    ///
    /// # Errors
    /// Names the value when it cannot be read.
    pub fn read<T: Real>(&mut self, count: usize, out: &mut Vec<T>) -> Result<()> {
        let dtype = self.dtype;
        self.each_chunk(count, |bytes| {
            convert(dtype, bytes, out);
        })
    }

    /// As they are stored: often narrower than their class.
    pub(crate) fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Hands on the next numbers as they are stored, a few at a time.
    pub(crate) fn raw(&mut self, count: usize, take: impl FnMut(&[u8])) -> Result<()> {
        self.each_chunk(count, take)
    }

    /// Leaves out the next numbers.
    ///
    /// # Errors
    /// Names the value when it cannot be read.
    pub fn skip(&mut self, count: usize) -> Result<()> {
        if self.small.is_some() || count > self.left {
            return self.each_chunk(count, |_| {});
        }
        self.left -= count;
        self.body
            .skip_to(self.body.at + (count * self.dtype.size) as u64)
    }

    fn integers(&mut self) -> Result<Vec<String>> {
        let dtype = self.dtype;
        let mut words = Vec::new();
        self.each_chunk(self.left, |bytes| {
            words.extend(
                bytes
                    .chunks_exact(dtype.size)
                    .filter_map(|b| cell(dtype, b)),
            );
        })?;
        Ok(words)
    }

    /// The next numbers as they lie there, a few at a time: what has come pays for the memory.
    fn each_chunk(&mut self, count: usize, mut take: impl FnMut(&[u8])) -> Result<()> {
        if count > self.left {
            return Err(self.body.truncated());
        }
        let size = self.dtype.size;
        if let Some(small) = &self.small {
            let first = small.len() - self.left * size;
            take(&small[first..first + count * size]);
            self.left -= count;
            return Ok(());
        }
        let mut todo = count * size;
        while todo > 0 {
            let most = todo.min(CHUNK);
            self.bytes.resize(most, 0);
            self.body.fill(&mut self.bytes)?;
            take(&self.bytes);
            todo -= most;
        }
        self.left -= count;
        if self.left == 0 && self.end == self.body.end {
            self.body.skip_to(self.end)?;
            self.body.check_end()?;
        }
        Ok(())
    }
}
