"""Writes the two small scans of this folder, with one trial per row of made-up numbers (h5py 3.16, NumPy 2.4).

`h5py.h5`: as labs write it with h5py: variable-length strings, f64 images 0..255, i32 identifiers under `image_id`, misleading ones
under `frame_image_id`, filters. `numpy.zip`: a Sensorium tree in one folder, with `U` and `S` strings, f8 responses, u1 images, tier
`final_test`, no pupil.
"""

import io
import pathlib
import zipfile

import h5py
import numpy as np

here = pathlib.Path(__file__).parent
trials, neurons, height, width = 12, 7, 5, 8
image = np.array([0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 6, 7])
pixels = ((np.arange(8 * height * width) * 53) % 256).reshape(8, 1, height, width)
pixels[:, 0, 0, 0] = np.arange(8)
responses = (np.arange(trials * neurons).reshape(trials, neurons) * 29 % 64) / 16
tiers = ["train"] * 5 + ["validation"] + ["test"] * 6

with h5py.File(here / "h5py.h5", "w") as f:
    f.create_dataset("images", data=pixels[image].astype("f8"), chunks=(3, 1, height, width), compression="gzip", shuffle=True)
    f.create_dataset("responses", data=responses.astype("f8"), chunks=True, compression="gzip", compression_opts=9, shuffle=True, fletcher32=True)
    f.create_dataset("tiers", data=tiers, dtype=h5py.string_dtype())
    f["behavior"] = np.arange(trials * 3, dtype="f4").reshape(trials, 3)
    f["item_info/image_id"] = (image * 10).astype("i4")
    f.create_dataset("item_info/image_class", data=["imagenet"] * trials, dtype=h5py.string_dtype("ascii"))
    f["item_info/frame_image_id"] = np.zeros(trials, "i8")
    f["neurons/unit_ids"] = np.arange(100, 100 + neurons, dtype="u2")
    f.create_dataset("neurons/area", data=["V1"] * neurons, dtype=h5py.string_dtype("utf-8", 6))
    f["neurons/layer"] = np.array(["L2/3"] * neurons, dtype="S9")
    f["neurons/animal_ids"] = np.full(neurons, 17)

with zipfile.ZipFile(here / "numpy.zip", "w", zipfile.ZIP_DEFLATED) as z:

    def save(name, array):
        buffer = io.BytesIO()
        np.save(buffer, array)
        z.writestr(f"static17-2-3/{name}.npy", buffer.getvalue())

    for row in range(trials):
        save(f"data/images/{row}", pixels[image[row]].astype("u1"))
        save(f"data/responses/{row}", responses[row])
        save(f"data/behavior/{row}", np.asfortranarray(np.arange(3, dtype="f4") + 3 * row))
    save("meta/trials/tiers", np.array(tiers[:6] + ["final_test"] * 6))
    save("meta/trials/frame_image_id", image * 10)
    save("meta/trials/frame_image_class", np.array(["imagenet"] * trials))
    save("meta/neurons/area", np.array(["V1"] * neurons))
    save("meta/neurons/layer", np.array(["L2/3"] * neurons, dtype="S4"))
    save("meta/neurons/unit_ids", np.arange(100, 100 + neurons).astype("u2"))
    save("meta/neurons/animal_ids", np.full(neurons, 17))
    save("meta/statistics/images/all/mean", np.float32(pixels.mean()))
    z.writestr("static17-2-3/config.json", '{"links": {}}')
