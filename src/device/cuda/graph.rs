//! Steps that a card repeats by itself.

use super::Cuda;
use cudarc::driver::{CudaGraph, sys};
use std::fmt;

/// A sequence of launches that the card repeats by itself.
pub struct Graph {
    graph: CudaGraph,
    /// Also keeps the scratch memory that the launches were given.
    cuda: Cuda,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Graph")
    }
}

impl Graph {
    /// Records what `body` asks of the card, without doing it.
    pub(in crate::device) fn record(cuda: &Cuda, body: impl FnOnce()) -> Option<Self> {
        let card = &cuda.card;
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        card.keep("recording a step", card.stream.begin_capture(mode))?;
        body();
        let flags = sys::CUgraphInstantiate_flags(0);
        let graph = card.keep("recording a step", card.stream.end_capture(flags))??;
        Some(Self {
            graph,
            cuda: cuda.clone(),
        })
    }

    /// Does it.
    pub(in crate::device) fn replay(&self) {
        let card = &self.cuda.card;
        if !card.fault.is_set() {
            card.keep("repeating a step", self.graph.launch());
        }
    }
}
