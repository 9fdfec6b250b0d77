//! How most exciting images are sought.

/// Whose steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Ecker et al. 2019: images of one norm, smooth, Adam.
    Ecker,
    /// Walker et al. 2019: 1,000 steps along the gradient over its mean size on the whole image, within grey levels 0 to
    /// 255, blurred less and less; norm, smoothness and patience do not apply.
    Walker,
}

/// How images are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Whose.
    pub method: Method,
    /// Norm of the whole image, in z-scores.
    pub norm: f64,
    /// Random starts per neuron, of which the one with the lowest loss is kept.
    pub starts: usize,
    /// Most steps.
    pub steps: u32,
    /// Weight of the sum of squares of the image's Laplacian.
    pub smoothness: f64,
    /// Adam's.
    pub learning_rate: f64,
    /// Steps without a new minimum of the moving average of the loss, after which an image is done.
    pub patience: u32,
    /// Of the starts.
    pub seed: u64,
    /// Whether to keep the images of all starts.
    pub keep_all: bool,
    /// Whether to search on whole images: slower, and a check of the crops.
    pub whole: bool,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            method: Method::Ecker,
            norm: 12.0,
            starts: 8,
            steps: 2000,
            smoothness: 0.005,
            learning_rate: 1.0,
            patience: 100,
            seed: 1,
            keep_all: false,
            whole: false,
        }
    }
}

impl Recipe {
    /// Neuron of a group, and start, of a job.
    pub(super) fn job(&self, job: usize) -> (usize, usize) {
        (job / self.starts, job % self.starts)
    }
}
