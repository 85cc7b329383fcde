"""Writes the files of this folder with h5py 3.16.0: similarities and responses as other programs write them by `data-specs`."""

import pathlib

import h5py
import numpy as np

here = pathlib.Path(__file__).parent
for name, one, version in [
    ("similarity-fixed.h5", np.bytes_, np.uint8(2)),
    ("similarity-arrays.h5", lambda text: np.array([text], dtype=h5py.string_dtype()), np.array([2], "i8")),
]:
    with h5py.File(here / name, "w") as f:
        f.attrs["format"] = one("brainprior-similarity")
        f.attrs["version"] = version
        f["image_ids"] = np.array([3, 5, 2**63 + 1], "u8")
        f["similarity"] = np.array([0.5, -0.25, 1.0], "f8")
        f["scans"] = np.array([2, 2, 2], "i4")
        f["provenance"] = np.array([b"by hand"])
with h5py.File(here / "similarity-dangling-donors.h5", "w") as f:
    f.attrs["format"] = "brainprior-similarity"
    f.attrs["version"] = 2
    f["image_ids"] = np.array([3, 5], "u8")
    f["similarity"] = np.array([0.5], "f4")
    f["scans"] = np.array([2, 2], "u4")
    f.create_dataset("provenance", data=["by hand"], dtype=h5py.string_dtype())
    f["donor_ids"] = h5py.SoftLink("/moved")
