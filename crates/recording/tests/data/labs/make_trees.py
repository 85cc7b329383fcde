"""Writes the zipped Sensorium trees of this folder with NumPy 2.4.6. Each is the scan of `scan.py` with one variation found in
labs' files; the tests also unpack them and read the folder.
"""

import io
import pathlib
import zipfile

import numpy as np

import scan

here = pathlib.Path(__file__).parent
# macOS adds this next to each file when it copies to a foreign file system or zips.
apple_double = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(96)


def make(name, images=scan.images, responses=scan.responses, tiers=np.array(scan.tiers), order="C", apple=False, **others):
    with zipfile.ZipFile(here / name, "w", zipfile.ZIP_DEFLATED) as z:

        def add(path, content):
            z.writestr(zipfile.ZipInfo(path, (2019, 6, 7, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)

        def save(path, array):
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(array, order=order))
            add(f"static17-2-3/{path}.npy", buffer.getvalue())
            if apple:
                folder, _, base = path.rpartition("/")
                add(f"static17-2-3/{folder}/._{base}.npy", apple_double)
                add(f"__MACOSX/static17-2-3/{folder}/._{base}.npy", apple_double)

        for row in range(len(tiers)):
            save(f"data/images/{row}", images[row])
            save(f"data/responses/{row}", responses[row])
            save(f"data/behavior/{row}", scan.behavior[row % scan.trials].astype(others.get("behavior", "f4")))
        save("meta/trials/tiers", tiers)
        for path, values in others.items():
            if path != "behavior":
                save(path.replace("__", "/"), values)


make("tree.zip", meta__statistics__images__all__mean=np.float32(3), meta__statistics__responses__all__std=np.full(7, 3))
make("tree-apple.zip", apple=True)
make("tree-types.zip", order="F", responses=scan.responses.astype("f2"), behavior=">f8", tiers=np.array(scan.tiers, dtype=">U10"),
     images=scan.images.astype(">i2"), meta__neurons__unit_ids=scan.unit_ids.astype(">u4"))
make("tree-ids-large.zip", meta__trials__image_id=np.uint64(2**63) + scan.image.astype("u8"))
make("tree-ids-floats.zip", meta__trials__image_id=scan.image_id.astype("f8"), meta__neurons__unit_ids=scan.unit_ids.astype("f4"))
make("tree-ids-fractional.zip", meta__trials__image_id=scan.image_id + 0.25)
make("tree-units-large.zip", meta__neurons__unit_ids=np.uint64(2**63) + np.arange(7, dtype="u8"))
make("tree-units-fractional.zip", meta__neurons__unit_ids=scan.unit_ids + 0.5)
make("tree-trial-idx-nan.zip", meta__trials__trial_idx=np.where(np.arange(12) == 4, np.nan, np.arange(12)))
unit = scan.images.astype("f4") / np.float32(255)
unit[scan.image == 3, 0, 2, 4] = 1.02
make("tree-pixels-overshoot.zip", images=unit)
make("tree-pixels-stated.zip", images=unit, meta__image_range=np.array([0.0, 1.0]))
make("tree-tier-test-mei.zip", tiers=np.array(scan.tiers + ["test_mei"] * 2), images=np.concatenate([scan.images, scan.images[:2] ^ 1]),
     responses=np.concatenate([scan.responses, scan.responses[:2]]))
make("tree-transposed.zip", responses=[scan.responses.T] * 12)
