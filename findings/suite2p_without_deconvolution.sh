#!/usr/bin/env bash
# suite2p 1.1.0 (NumPy 2.4.6): with `do_deconvolution` off, `run_s2p` logs that it skips spike detection, and still writes a
# `spks.npy` of the shape and type of `F.npy` that is zero throughout. A reader that uses `spks.npy` because it exists gets silent
# neurons.
#
# Seen, on a movie of one plane with four cells that flash:
#   log: skipping spike detection
#   spks as F: shape True, type True; F varies: True; spks is zero throughout: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet suite2p==1.1.0 numpy==2.4.6 tifffile
venv/bin/python - > log.txt 2>&1 <<'PYTHON' || { cat log.txt; exit 1; }
import pathlib
import numpy as np
import suite2p
import tifffile

rng = np.random.default_rng(2)
samples, side = 240, 72
rows, columns = np.mgrid[:side, :side]
movie = rng.normal(200, 4, (samples, side, side)).astype("f4")
for row, column in [(18, 18), (18, 54), (54, 18), (54, 54)]:
    mask = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 18.0)
    trace = np.convolve(rng.random(samples) < 0.05, np.exp(-np.arange(30) / 7.0))[:samples]
    movie += (120 * trace[:, None, None] * mask).astype("f4")
work = pathlib.Path("run").resolve()
(work / "movie").mkdir(parents=True)
tifffile.imwrite(work / "movie" / "movie.tif", movie.astype("i2"))
settings = suite2p.default_settings()
settings["fs"], settings["tau"], settings["diameter"] = 10.0, 0.7, [8.0, 8.0]
settings["run"]["do_registration"], settings["run"]["do_deconvolution"] = 0, False
suite2p.run_s2p(
    db={"data_path": [str(work / "movie")], "save_path0": str(work), "fast_disk": str(work), "nplanes": 1, "nchannels": 1, "input_format": "tif"},
    settings=settings,
)
plane = work / "suite2p" / "plane0"
spikes, traces = np.load(plane / "spks.npy"), np.load(plane / "F.npy")
pathlib.Path("figures.txt").write_text(
    f"spks as F: shape {spikes.shape == traces.shape}, type {spikes.dtype == traces.dtype}; F varies: {bool(traces.std(axis=1).min() > 0)}; "
    f"spks is zero throughout: {not spikes.any()}\n"
)
PYTHON
{ echo "log: $(grep -o 'skipping spike detection' log.txt)"; cat figures.txt; } > seen.txt
cat seen.txt
diff seen.txt - <<'EXPECTED'
log: skipping spike detection
spks as F: shape True, type True; F varies: True; spks is zero throughout: True
EXPECTED
