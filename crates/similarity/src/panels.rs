//! Where unit vectors are kept for the products.

use crate::{Error, Result};
use brainprior_kernels::gram::{self, PANEL};
use memmap2::MmapMut;
use rayon::prelude::*;
use std::ops::Range;

/// Unit vectors of consecutive images in whole panels, zero beyond the last image.
pub(crate) struct Panels {
    /// Fresh pages of the system: zeros, on the boundary of a cache line.
    pages: MmapMut,
    depth: usize,
}

impl Panels {
    /// Makes `panels` panels, each filled by `fill(panel, values)` from zeros, all threads at work.
    pub(crate) fn filled(panels: usize, depth: usize, fill: impl Fn(usize, &mut [f32]) -> Result<()> + Sync) -> Result<Self> {
        let size = depth * PANEL;
        let bytes = panels * size * size_of::<f32>();
        let mut pages = MmapMut::map_anon(bytes).map_err(|source| Error::Memory { bytes, source })?;
        // Products go through thousands of small pages at a time, more than a processor remembers the places of: large ones cost a
        // twentieth less time. Where the system has none, nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
        // Memory is touched first by the thread that fills it.
        let outcomes: Vec<Result<()>> = bytemuck::cast_slice_mut(&mut pages)
            .par_chunks_exact_mut(size)
            .enumerate()
            .map(|(panel, values)| fill(panel, values))
            .collect();
        outcomes.into_iter().collect::<Result<()>>()?;
        Ok(Self { pages, depth })
    }

    /// The panels of `images`, where these panels begin with image `first`.
    pub(crate) fn of(&self, images: &Range<usize>, first: usize) -> gram::Panels<'_> {
        let size = self.depth * PANEL;
        let panels = (images.start - first) / PANEL..(images.end - first).div_ceil(PANEL);
        gram::Panels::new(&bytemuck::cast_slice(&self.pages)[panels.start * size..panels.end * size], self.depth)
    }
}
