//! Tensors that are written one after the other from where they are: of a large population there is no room for copies.

use crate::device::View;
use crate::files::Prepared;
use crate::model::params::Arena;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Named tensors of a file to come.
#[derive(Default)]
pub struct Sources<'a> {
    tensors: BTreeMap<String, (Vec<usize>, Source<'a>)>,
    /// Text beside them.
    pub metadata: HashMap<String, String>,
}

enum Source<'a> {
    Held(Vec<f32>),
    Lent(&'a [f32]),
    Part(View<'a>),
    Made(Box<dyn Fn() -> Vec<f32> + 'a>),
}

impl Source<'_> {
    fn values(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Held(v) => Cow::Borrowed(v),
            Self::Lent(v) | Self::Part(View::Host(v)) => Cow::Borrowed(v),
            Self::Part(view) => Cow::Owned(view.download()),
            Self::Made(make) => Cow::Owned(make()),
        }
    }
}

impl<'a> Sources<'a> {
    /// None yet, beside this text.
    pub fn beside(metadata: HashMap<String, String>) -> Self {
        Self {
            metadata,
            ..Self::default()
        }
    }

    /// Adds numbers.
    pub fn hold(&mut self, name: String, shape: &[usize], values: Vec<f32>) {
        self.insert(name, shape, Source::Held(values));
    }

    /// Adds numbers that stay where they are.
    pub fn lend(&mut self, name: String, shape: &[usize], values: &'a [f32]) {
        self.insert(name, shape, Source::Lent(values));
    }

    /// Adds numbers that are made when they are written.
    pub fn make(&mut self, name: String, shape: &[usize], values: impl Fn() -> Vec<f32> + 'a) {
        self.insert(name, shape, Source::Made(Box::new(values)));
    }

    /// Adds every tensor of an arena, its name behind a prefix.
    pub fn lend_arena(&mut self, prefix: &str, arena: &'a Arena) {
        for (i, slot) in arena.layout.slots.iter().enumerate() {
            let name = format!("{prefix}{}", slot.name);
            self.insert(name, &slot.shape, Source::Part(arena.view(i)));
        }
    }

    fn insert(&mut self, name: String, shape: &[usize], source: Source<'a>) {
        self.tensors.insert(name, (shape.to_vec(), source));
    }

    /// Writes the file through a temporary one; returns its hash.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(self, path: &Path) -> Result<String> {
        let mut end = 0;
        let infos = self.tensors.iter().map(|(name, (shape, _))| {
            let first = end;
            end += shape.iter().product::<usize>() * size_of::<f32>();
            let info = TensorInfo {
                dtype: Dtype::F32,
                shape: shape.clone(),
                data_offsets: (first, end),
            };
            (name.clone(), info)
        });
        let infos = infos.collect();
        let text = (!self.metadata.is_empty()).then_some(self.metadata);
        let header = Metadata::new(text, infos).map_err(|e| Error::file(path, e))?;
        let mut header = serde_json::to_vec(&header).map_err(|e| Error::file(path, e))?;
        // What follows begins on a whole word.
        header.resize(header.len().next_multiple_of(8), b' ');
        let file = Prepared::new(path, |w| {
            w.write_all(&(header.len() as u64).to_le_bytes())?;
            w.write_all(&header)?;
            for (shape, source) in self.tensors.values() {
                let values = source.values();
                assert_eq!(values.len(), shape.iter().product::<usize>(), "{shape:?}");
                w.write_all(bytemuck::cast_slice(&values))?;
            }
            Ok(())
        })?;
        let hash = file.hash().to_string();
        file.commit()?;
        Ok(hash)
    }
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_list().entries(self.tensors.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::model::checkpoint::Tensors;
    use crate::model::params::Layout;
    use safetensors::tensor::TensorView;
    use std::sync::Arc;

    #[test]
    fn the_file_is_the_one_that_the_library_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let mut layout = Layout::default();
        layout.declare("b".into(), vec![2, 3]);
        let mut arena = Arena::zeros(&Device::Cpu, &Arc::new(layout));
        let numbers = [1.0f32, -2.0, 3.5, 0.0, 5.0, 6.0];
        arena.values.fill_from(&numbers);
        let mut sources = Sources::default();
        sources.lend_arena("now.", &arena);
        sources.hold("a".into(), &[1], vec![7.0]);
        sources.make("c".into(), &[2], || vec![8.0, 9.0]);
        sources.metadata.insert("state".into(), "{}".into());
        sources.write(&path).unwrap();
        let view = |shape: &[usize], v: &'static [f32]| {
            TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(v)).unwrap()
        };
        const NUMBERS: &[f32] = &[1.0, -2.0, 3.5, 0.0, 5.0, 6.0];
        let all = [
            ("now.b", view(&[2, 3], NUMBERS)),
            ("a", view(&[1], &[7.0])),
            ("c", view(&[2], &[8.0, 9.0])),
        ];
        let text = HashMap::from([("state".to_string(), "{}".to_string())]);
        let wanted = safetensors::serialize(all, Some(text)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), wanted);
        assert_eq!(Tensors::read(&path).unwrap().tensors["now.b"].1, numbers);
    }
}
