"""Runs suite2p 1.1.0 (NumPy 2.4, PyTorch 2.15) on a synthetic movie of two planes, and packs what the importer reads into `folder.zip`:
F.npy, Fneu.npy, spks.npy and iscell.npy of each plane, and settings.npy, a pickle that it does not open. One region of plane 0 is marked
as not a cell, as the GUI does.

`onsets.csv` and `onsets.npy` list the same 40 images in frames, where -1 is a blank; `named.csv` lists them in seconds with picture names.
`images.npy` has the six images. `expected.npz` has the window means by NumPy.
"""

import pathlib
import shutil
import tempfile
import zipfile

import numpy as np
import suite2p
import tifffile

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(2)
samples, side, rate = 480, 72, 10.0
rows, columns = np.mgrid[:side, :side]
work = pathlib.Path(tempfile.mkdtemp())
planes = []
for plane in range(2):
    movie = rng.normal(200, 4, (samples, side, side)).astype("f4")
    for cell in range(4):
        row, column = np.array([[18, 18], [18, 54], [54, 18], [54, 54]])[cell] + rng.integers(-4, 5, 2)
        mask = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 18.0)
        trace = np.convolve(rng.random(samples) < 0.05, np.exp(-np.arange(30) / 7.0))[:samples]
        movie += (120 * trace[:, None, None] * mask).astype("f4")
    planes.append(movie)
(work / "movie").mkdir()
tifffile.imwrite(work / "movie" / "movie.tif", np.stack(planes, axis=1).reshape(-1, side, side).astype("i2"))
settings = suite2p.default_settings()
settings["fs"], settings["tau"], settings["diameter"], settings["run"]["do_registration"] = rate, 0.7, [8.0, 8.0], 0
suite2p.run_s2p(
    db={
        "data_path": [str(work / "movie")],
        "save_path0": str(work),
        "fast_disk": str(work),
        "nplanes": 2,
        "nchannels": 1,
        "input_format": "tif",
    },
    settings=settings,
)
folder = work / "suite2p"
iscell = np.load(folder / "plane0" / "iscell.npy")
iscell[1, 0] = 0.0
np.save(folder / "plane0" / "iscell.npy", iscell)

shown = np.array([-1, *rng.permutation(np.repeat(np.arange(6), 7))])
frames = 8.25 + 11.2 * np.arange(len(shown))
np.save(here / "onsets.npy", np.stack([frames, shown], axis=1))
(here / "onsets.csv").write_text("image,frame,comment\n" + "".join(f"{i},{f},-\n" for i, f in zip(shown, frames)))
names = ["" if i < 0 else f"im{i}.png" for i in shown]
(here / "named.csv").write_text("seconds, image\n" + "".join(f"{float(f / rate)!r}, {n}\n" for f, n in zip(frames, names)))
np.save(here / "images.npy", rng.integers(0, 256, (6, 4, 5)).astype("u1"))


def means(of):
    """Responses of the cells of both planes, from 0.05 to 0.55 s after each onset within the recording."""
    table, within = [], []
    for plane in range(2):
        cells = np.load(folder / f"plane{plane}" / "iscell.npy")[:, 0] == 1
        table.append(of(lambda name: np.load(folder / f"plane{plane}" / name)[cells].astype("f8")))
    times = np.arange(samples) / rate
    traces = np.concatenate(table)
    rows = []
    for trial, (image, frame) in enumerate(zip(shown, frames)):
        inside = (times >= frame / rate + 0.05 - 1e-6) & (times < frame / rate + 0.55 - 1e-6)
        if image >= 0 and frame / rate + 0.55 <= samples / rate + 1e-6:
            rows.append(traces[:, inside].mean(axis=1))
            within.append(trial)
    return np.array(rows, "f4"), np.array(within)


spikes, trial = means(lambda read: read("spks.npy"))
fluorescence, _ = means(lambda read: read("F.npy") - 0.7 * read("Fneu.npy"))
np.savez_compressed(here / "expected.npz", spikes=spikes, fluorescence=fluorescence, trial=trial, image=shown[trial])
with zipfile.ZipFile(here / "folder.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for plane in ["plane0", "plane1"]:
        for name in ["F.npy", "Fneu.npy", "spks.npy", "iscell.npy", "settings.npy"]:
            archive.writestr(zipfile.ZipInfo(f"suite2p/{plane}/{name}"), (folder / plane / name).read_bytes(), zipfile.ZIP_DEFLATED)
shutil.rmtree(work)
