//! Memory for unit vectors in panels, the layout of the products.

use crate::{Error, Result};
use brainprior_kernels::gram::{self, PANEL};
use memmap2::MmapMut;
use rayon::prelude::*;
use std::ops::Range;

/// Unit vectors of consecutive images in complete panels, zero beyond the last image.
pub(crate) struct Panels {
    /// Zeroed pages from the system, aligned to cache lines.
    pages: MmapMut,
    depth: usize,
}

impl Panels {
    /// Creates `panels` panels, each zeroed and then filled by `fill(panel, values)`, in parallel.
    pub(crate) fn filled(
        panels: usize,
        depth: usize,
        fill: impl Fn(usize, &mut [f32]) -> Result<()> + Sync,
    ) -> Result<Self> {
        let size = depth * PANEL;
        let bytes = panels * size * size_of::<f32>();
        let mut pages =
            MmapMut::map_anon(bytes).map_err(|source| Error::Memory { bytes, source })?;
        // Products touch thousands of small pages at a time, more than the TLB holds; huge pages
        // save 5% of the time. If the system has none, nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::HugePage);
        // Each page is touched first by the thread that fills it.
        let outcomes: Vec<Result<()>> = bytemuck::cast_slice_mut(&mut pages)
            .par_chunks_exact_mut(size)
            .enumerate()
            .map(|(panel, values)| fill(panel, values))
            .collect();
        outcomes.into_iter().collect::<Result<()>>()?;
        Ok(Self { pages, depth })
    }

    /// The panels of `images`; these panels begin with image `first`.
    pub(crate) fn of(&self, images: &Range<usize>, first: usize) -> gram::Panels<'_> {
        let size = self.depth * PANEL;
        let panels = (images.start - first) / PANEL..(images.end - first).div_ceil(PANEL);
        gram::Panels::new(
            &bytemuck::cast_slice(&self.pages)[panels.start * size..panels.end * size],
            self.depth,
        )
    }
}
