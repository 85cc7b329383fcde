"""Writes the arrays and pictures of this folder (NumPy 2.4, hdf5storage 0.2, Pillow 13).

Five images of 4 x 6 and three neurons; image i has 4 - i % 3 repeats. `responses.npy`: neurons x images x repeats, NaN for missing
repeats. `trials.npz`: the same as trials, with image numbers from 1 and gray images. `trials.mat`: the same in MATLAB's 7.3 format,
where a script would see neurons x trials. `pictures.zip`: the images in color, as PNG and one as JPEG, numbered so that alphabetical
order differs from natural order. `gray.npy`: the pictures converted to gray by Pillow.
"""

import io
import pathlib
import zipfile

import hdf5storage
import numpy as np
from PIL import Image

here = pathlib.Path(__file__).parent
neurons, images, repeats, height, width = 3, 5, 4, 4, 6

responses = np.full((neurons, images, repeats), np.nan)
istim, rows = [], []
for image in range(images):
    for repeat in range(repeats - image % 3):
        responses[:, image, repeat] = (np.arange(neurons) * 100 + image * 10 + repeat) / 8
        istim.append(image + 1)
        rows.append(responses[:, image, repeat])
np.save(here / "responses.npy", responses)
broken = responses.copy()
broken[1, 2, 0] = np.nan
np.save(here / "responses-nan.npy", broken)
np.save(here / "responses-pickled.npy", np.array([responses[0], None], dtype=object), allow_pickle=True)

gray = ((np.arange(height * width)[None] * 7 + 31 * np.arange(images)[:, None]) % 256).astype("u1").reshape(images, height, width)
np.savez_compressed(here / "trials.npz", resp=np.array(rows, "f4"), istim=np.array(istim), img=gray)
np.save(here / "flat.npy", gray.reshape(images, -1) / 1e6)
np.save(here / "tiers.npy", np.array(["train", "train", "validation", "test", "test"]))

# As MATLAB displays them: neurons x trials, 1 x trials, height x width x images.
matlab = {"resp": np.array(rows).T, "istim": np.array([istim], "f8"), "img": np.moveaxis(gray, 0, 2)}
(here / "trials.mat").unlink(missing_ok=True)
hdf5storage.savemat(str(here / "trials.mat"), matlab, format="7.3", oned_as="row", store_python_metadata=False)

color = np.stack([gray, 255 - gray, (gray.astype(int) * 3 % 256).astype("u1")], axis=-1)
lumas = []
with zipfile.ZipFile(here / "pictures.zip", "w") as z:
    for image, (name, kind) in enumerate([("1", "png"), ("2", "png"), ("9", "jpg"), ("10", "png"), ("100", "png")]):
        buffer = io.BytesIO()
        picture = Image.fromarray(color[image])
        picture.save(buffer, "JPEG" if kind == "jpg" else "PNG", **({"quality": 95, "subsampling": 0} if kind == "jpg" else {}))
        z.writestr(zipfile.ZipInfo(f"shown/image{name}.{kind}"), buffer.getvalue())
        lumas.append(np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("L")))
    z.writestr(zipfile.ZipInfo("shown/README.txt"), "five images\n")
    z.writestr(zipfile.ZipInfo("__MACOSX/shown/._image1.png"), b"\0")
np.save(here / "gray.npy", np.stack(lumas))
