"""Writes the HDF5 files of this folder: h5py 3.16.0 (HDF5 2.0.0), hdf5plugin 7.1.0, xarray 2026.9.0 with netCDF4 1.7.5 and
h5netcdf 1.8.2, hdf5storage 0.2.2, NumPy 2.4.6. Each is the scan of `scan.py` with one variation found in labs' files.
"""

import os
import pathlib
import subprocess
import sys

import h5py
import hdf5plugin
import hdf5storage
import numpy as np
import xarray

import scan

here = pathlib.Path(__file__).parent
text = np.array(scan.tiers, dtype="S10")


def make(name, leave_out=(), images=None, responses=None, **options):
    """Writes the three datasets that every scan has, and returns the file, to add others."""
    file = h5py.File(here / name, "w", **options)
    parts = {"images": scan.images if images is None else images, "responses": scan.responses if responses is None else responses, "tiers": text}
    for part, values in parts.items():
        if part not in leave_out:
            file[part] = values
    return file


# Filters.
def filtered(name, *filters):
    with make(name, leave_out=["images", "responses"]) as f:
        for index, (part, values) in enumerate([("images", scan.images), ("responses", scan.responses)]):
            chosen = filters[index % len(filters)]
            f.create_dataset(part, data=values, chunks=(4, *values.shape[1:]), **(chosen if isinstance(chosen, dict) else dict(chosen)))


filtered("lzf.h5", dict(compression="lzf", shuffle=True))
filtered("szip.h5", dict(compression="szip"))
filtered("blosc.h5", hdf5plugin.Blosc(cname="lz4"), hdf5plugin.Blosc(cname="blosclz"))
filtered("blosc-zstd.h5", hdf5plugin.Blosc(cname="zstd", shuffle=hdf5plugin.Blosc.BITSHUFFLE), hdf5plugin.Blosc(cname="zlib"))
filtered("blosc-snappy.h5", hdf5plugin.Blosc(cname="snappy"))
filtered("blosc2.h5", hdf5plugin.Blosc2())
filtered("zstd.h5", hdf5plugin.Zstd())
filtered("lz4.h5", hdf5plugin.LZ4())
filtered("bitshuffle.h5", hdf5plugin.Bitshuffle())

# Containers.
make("user-block.h5", userblock_size=512).close()
with open(here / "user-block.h5", "r+b") as f:
    f.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))
hdf5storage.savemat(
    str(here / "matlab.mat"),
    {"images": scan.images, "responses": scan.responses, "tiers": np.array(scan.tiers)},
    format="7.3",
    store_python_metadata=False,
)

# A writer that was killed leaves its mark in the file.
writer = """
import h5py, os, sys
f = h5py.File(sys.argv[1], "r+", libver="latest")
f.swmr_mode = True
f.flush()
os._exit(0)
"""
make("swmr-left.h5", libver="latest").close()
subprocess.run([sys.executable, "-c", writer, str(here / "swmr-left.h5")], check=True)

# Additional datasets with unsupported types, which are ignored.
with make("other-types.h5") as f:
    f["lab/opaque"] = np.array([b"ab", b"cd"], dtype="V2")
    f["lab/date"] = np.array(["2019-06-07"], dtype="datetime64[s]").astype(h5py.opaque_dtype("datetime64[s]"))
    f["lab/long_double"] = np.array([1.5], dtype=np.longdouble)
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(f["lab"].id, b"bit_field", h5py.h5t.STD_B8LE, space)
    small = h5py.h5t.IEEE_F16LE.copy()
    small.set_fields(7, 2, 5, 0, 2)
    small.set_size(1)
    small.set_ebias(15)
    h5py.h5d.create(f["lab"].id, b"float8", small, space)
    f["lab/boolean"] = np.array([True, False])
    f["lab/compound"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
    f["lab/complex"] = np.array([1 + 2j])
    f["lab/enumeration"] = np.array([0, 1], dtype=h5py.enum_dtype({"NO": 0, "YES": 1}))
    f["lab/empty"] = h5py.Empty("f4")
    f["lab/reference"] = np.array([f["images"].ref], dtype=h5py.ref_dtype)
    f["lab/type"] = np.dtype("i4")

# Links.
with make("links.h5") as f:
    f["eye/behavior"] = scan.behavior
    f["behavior"] = h5py.SoftLink("/eye/behavior")
    f["pupil_center"] = h5py.ExternalLink("links-target.h5", "/camera/pupil")
    f["again"] = f["responses"]
with h5py.File(here / "links-target.h5", "w") as f:
    f["camera/pupil"] = scan.pupil_center
for name, link in [("soft", h5py.SoftLink("/eye/moved")), ("external", h5py.ExternalLink("moved.h5", "/behavior"))]:
    for part in ["behavior", "pupil_center", "item_info/image_id", "neurons/unit_ids"]:
        with make(f"dangling-{name}-{part.split('/')[-1].replace('_', '-')}.h5") as f:
            f[part] = link
with make("dangling-soft-neurons.h5") as f:
    f["neurons"] = h5py.SoftLink("/moved")
for part in ["behavior", "pupil_center", "responses", "tiers"]:
    with make(f"group-{part.replace('_', '-')}.h5", leave_out=[part]) as f:
        f[f"{part}/data"] = np.zeros((scan.trials, 2), "f4")

# Data stored in other files.
with h5py.File(here / "virtual-source.h5", "w") as f:
    f["trials"] = scan.responses
for name, source in [("virtual.h5", "virtual-source.h5"), ("virtual-gone.h5", "virtual-moved.h5")]:
    layout = h5py.VirtualLayout(scan.responses.shape, "f4")
    layout[:] = h5py.VirtualSource(source, "trials", scan.responses.shape)
    with make(name, leave_out=["responses"]) as f:
        f.create_virtual_dataset("responses", layout, fillvalue=0)
layout = h5py.VirtualLayout(scan.responses.shape, "f4")
layout[:] = h5py.VirtualSource("virtual-source.h5", "renamed", scan.responses.shape)
with make("virtual-renamed.h5", leave_out=["responses"]) as f:
    f.create_virtual_dataset("responses", layout, fillvalue=0)
layout = h5py.VirtualLayout(scan.responses.shape, "f4")
layout[:5] = h5py.VirtualSource("virtual-source.h5", "trials", scan.responses.shape)[:5]
with make("virtual-part.h5", leave_out=["responses"]) as f:
    f.create_virtual_dataset("responses", layout, fillvalue=0)
for name, raw, size in [("external.h5", "external.raw", None), ("external-gone.h5", "external-moved.raw", None), ("external-short.h5", "external-short.raw", 100)]:
    with make(name, leave_out=["responses"]) as f:
        f.create_dataset("responses", shape=scan.responses.shape, dtype="f4", external=[(raw, 0, scan.responses.nbytes)])
        if raw != "external-moved.raw":
            (here / raw).write_bytes(scan.responses.tobytes()[:size])
if (here / "external-moved.raw").exists():
    (here / "external-moved.raw").unlink()

# Ranges of pixels.
unit = scan.images.astype("f4") / np.float32(255)
overshoot = unit.copy()
overshoot[scan.image == 3, 0, 2, 4] = 1.02
make("pixels-unit.h5", images=unit).close()
make("pixels-overshoot.h5", images=overshoot).close()
with make("pixels-stated.h5", images=overshoot) as f:
    f["images"].attrs["range"] = [0.0, 1.0]
with make("pixels-stated-wrongly.h5", images=scan.images.astype("f4")) as f:
    f["images"].attrs["range"] = [0.0, 1.0]
with make("pixels-percent.h5", images=unit * 100) as f:
    pass
make("pixels-float-bytes.h5", images=scan.images.astype("f4")).close()

# Identifiers.
large = np.uint64(2**63) + scan.image.astype("u8")
with make("ids-large.h5") as f:
    f["item_info/image_id"] = large
with make("units-large.h5") as f:
    f["neurons/unit_ids"] = np.uint64(2**63) + np.arange(scan.neurons, dtype="u8")
with make("ids-floats.h5") as f:
    f["item_info/image_id"] = scan.image_id.astype("f8")
    f["item_info/trial_idx"] = np.arange(scan.trials, dtype="f4")
    f["neurons/unit_ids"] = scan.unit_ids.astype("f8")
with make("units-fractional.h5") as f:
    f["neurons/unit_ids"] = scan.unit_ids + 0.5
with make("trial-idx-nan.h5") as f:
    f["item_info/trial_idx"] = np.where(np.arange(scan.trials) == 4, np.nan, np.arange(scan.trials))
with make("ids-fractional.h5") as f:
    f["item_info/image_id"] = scan.image_id + 0.25
with make("ids-several.h5") as f:
    f["item_info/image_id"] = np.arange(scan.trials)

# netCDF-4. The responses are packed into 16 bits as round(value x 16).
dataset = xarray.Dataset(
    {
        "images": (("trial", "channel", "y", "x"), scan.images),
        "responses": (("trial", "neuron"), scan.responses.astype("f8")),
        "tiers": (("trial",), np.array(scan.tiers, dtype=object)),
        "behavior": (("trial", "quantity"), scan.behavior),
    }
)
packed = {"dtype": "i2", "scale_factor": 0.0625, "add_offset": 0.5, "_FillValue": -32768}
dataset.to_netcdf(here / "netcdf-packed.nc", engine="netcdf4", encoding={"responses": packed})
dataset.to_netcdf(here / "netcdf-h5netcdf.nc", engine="h5netcdf", encoding={"responses": packed})
# Unsigned bytes as netCDF writes them with signed types: values up to 252; those above 127 are stored as negative numbers.
unsigned = {"dtype": "i1", "_Unsigned": "true", "scale_factor": 0.015625, "_FillValue": -1}
dataset.to_netcdf(here / "netcdf-unsigned.nc", engine="netcdf4", encoding={"responses": unsigned})
missing = dataset.copy(deep=True)
missing["responses"][7, 3] = np.nan
missing.to_netcdf(here / "netcdf-missing.nc", engine="netcdf4", encoding={"responses": packed})
characters = dataset.assign(tiers=(("trial",), text))
characters.to_netcdf(here / "netcdf-characters.nc", engine="netcdf4", encoding={"images": {"_FillValue": None}})

# Transposed data, integer statistics, tiers, other files.
make("transposed.h5", responses=np.ascontiguousarray(scan.responses.T)).close()
with make("statistics-whole.h5") as f:
    for part in ["images", "responses"]:
        shape = () if part == "images" else (scan.neurons,)
        for name in ["mean", "std"]:
            f[f"statistics/{part}/all/{name}"] = np.full(shape, 3, "i8")
lab = scan.tiers[:5] + ["validation"] + ["test"] * 6 + ["test_mei"] * 2
with make("tier-test-mei.h5", leave_out=["tiers"], images=np.concatenate([scan.images, scan.images[:2] ^ 1]), responses=np.concatenate([scan.responses, scan.responses[:2]])) as f:
    f["tiers"] = np.array(lab, dtype="S10")
with h5py.File(here / "unknown.h5", "w") as f:
    f["session/traces"] = np.zeros((3, 4))
with h5py.File(here / "unknown.nwb", "w") as f:
    f.attrs["nwb_version"] = "2.7.0"
    f.attrs["namespace"] = "core"
    f["processing/ophys/DfOverF/DfOverF/data"] = np.zeros((3, 4))
    f["session_description"] = "natural scenes"

# Responses as another program writes them by `data-specs/responses.toml`.
for name, one in [("responses-fixed.h5", lambda value: np.bytes_(value)), ("responses-arrays.h5", lambda value: np.array([value], dtype=h5py.string_dtype()))]:
    with h5py.File(here / name, "w") as f:
        f.attrs["format"] = one("brainprior-responses")
        f.attrs["version"] = np.array([1], "i4") if "arrays" in name else np.uint8(1)
        f.attrs["scan"] = one("a")
        f.attrs["kind"] = one("measured repeat mean")
        f["image_id"] = np.array([5, 2**63 + 1], "u8")
        f["values"] = np.array([[0.5, 1, 2], [3, 4, 5]], "f8")
