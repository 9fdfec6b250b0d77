//! Moments in a card's work, and the time between them.

use super::{Card, Cuda};
use cudarc::driver::{CudaEvent, sys};
use std::fmt;
use std::sync::Arc;

/// A moment in the stream.
pub struct Mark {
    event: CudaEvent,
    card: Arc<Card>,
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

impl Mark {
    pub(in crate::device) fn new(cuda: &Cuda) -> Option<Self> {
        let flags = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
        let event = cuda
            .card
            .keep("marking a moment", cuda.card.stream.record_event(flags))?;
        Some(Self {
            event,
            card: Arc::clone(&cuda.card),
        })
    }

    /// Waits until the card has come here.
    pub(in crate::device) fn wait(&self) {
        self.card
            .keep("waiting for the card", self.event.synchronize());
    }

    /// Milliseconds on the card from here to a later mark, once both have been reached.
    pub(in crate::device) fn until(&self, later: &Self) -> Option<f32> {
        self.card
            .keep("timing", self.event.elapsed_ms(&later.event))
    }
}
