"""Writes the labeled sets of this folder with safetensors 0.8.0, NumPy 2.4.6, and Python's tarfile and gzip.

`names-*.safetensors`: class names as other programs write them. `cifar-*.tar.gz`: two records per file, each a gray image.
`network.pt` has the parts of a torch.save file (a stored zip with a protocol 2 pickle) that a reader needs to recognize it.
`python-10.tar.gz`, `python-100.tar.gz`: two records per file, the Python version of CIFAR as pickled by Python 2; their `batches.meta`
and `meta` are the published files, by the MD5 sums that torchvision checks. `python3-10.tar.gz`: as pickled by Python 3.
`program.tar.gz`: one of its files is a pickle that names a (harmless) function. `corrupted.tar.gz`: a folder like CIFAR-10-C with three
families, for the two test images of `python-10.tar.gz`. `pictures.tar`: the folders train and test with two classes of pictures, by
Pillow 13.
"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import pickle
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
files = [f"data_batch_{part}.bin" for part in range(1, 6)] + ["test_batch.bin"]
names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

parts = {
    "train_images": np.arange(10 * 4, dtype="u1").reshape(10, 1, 2, 2),
    "train_labels": np.arange(10, dtype="u1"),
    "test_images": np.arange(2 * 4, dtype="u1").reshape(2, 1, 2, 2),
    "test_labels": np.array([3, 9], dtype="u1"),
}
for name, text in {
    "lines": "\n".join(names),
    "blank-line": "\n".join(names) + "\n\n",
    "json": json.dumps(names),
    "commas": ", ".join(names),
    "json-object": json.dumps({"0": "airplane"}),
}.items():
    save_file(parts, here / f"names-{name}.safetensors", {"class_names": text})
save_file({"encoder.weight": np.zeros((2, 3), "f4")}, here / "unknown.safetensors")
save_file({"v": np.array([-1.0, 2.0], "f4")}, here / "unknown-vector.safetensors", {"format": "pt"})


def cifar(prefixes, repeat=False):
    """Tar of the binary version; the files of each folder have different values."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(name, content):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

        for value, prefix in enumerate(prefixes):
            for part, name in enumerate(files):
                records = [bytes([(2 * part + k) % 10]) + bytes([20 * part + k + 100 * value]) * 3072 for k in range(2)]
                add(prefix + name, b"".join(records))
            add(prefix + "batches.meta.txt", ("\n".join(names) + "\n\n").encode())
        if repeat:
            add(prefixes[0] + files[0], bytes(3073))
    return buffer.getvalue()


def packed(name, *members):
    content = b"".join(gzip.compress(member, mtime=0) for member in members)
    (here / name).write_bytes(content)


folder = "cifar-10-batches-bin/"
whole = cifar([folder])
packed("cifar.tar.gz", whole)
packed("cifar-members.tar.gz", whole[:5000], whole[5000:20000], whole[20000:])
packed("cifar-backup.tar.gz", cifar([folder, "backup/" + folder]))
packed("cifar-twice.tar.gz", cifar([folder], repeat=True))

with zipfile.ZipFile(here / "network.pt", "w") as z:
    def add(name, content):
        z.writestr(zipfile.ZipInfo("network/" + name, (2019, 6, 7, 0, 0, 0)), content)

    add("data.pkl", pickle.dumps({"conv.weight": [0.0]}, protocol=2))
    add("byteorder", "little")
    add("data/0", bytes(8))
    add("version", "3\n")


fine_names = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle caterpillar
cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl
hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road
rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
""".split()
coarse_names = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture insects
large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores medium_mammals
non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
""".split()


class Python2(pickle._Pickler):
    """Writes text and bytes as Python 2 did, which had one type for both and numbered its memo from 1."""

    dispatch = dict(pickle._Pickler.dispatch)

    def memoize(self, obj):
        place = len(self.memo) + 1
        self.write(self.put(place))
        self.memo[id(obj)] = place, obj

    def put(self, place):
        return b"q" + bytes([place]) if place < 256 else b"r" + struct.pack("<I", place)

    def save_string(self, obj):
        data = obj if isinstance(obj, bytes) else obj.encode("latin1")
        short = len(data) < 256
        self.write((b"U" + bytes([len(data)]) if short else b"T" + struct.pack("<i", len(data))) + data)
        self.memoize(obj)

    dispatch[bytes] = dispatch[str] = save_string


def pickled(value, version):
    buffer = io.BytesIO()
    (Python2 if version == 2 else pickle._Pickler)(buffer, 2).dump(value)
    # The module of the function before NumPy 2.
    return buffer.getvalue().replace(b"numpy._core.", b"numpy.core.") if version == 2 else buffer.getvalue()


class Program:
    def __reduce__(self):
        return os.getcwd, ()


def batch(part, labels):
    pixels = (np.arange(2 * 3072).reshape(2, 3072) * 7 + part).astype("u1")
    return {"batch_label": f"batch {part}", "labels": labels, "data": pixels, "filenames": ["a.png", "b.png"]}


def archive(path, folder, members):
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


for version, file in [(2, "python-10.tar.gz"), (3, "python3-10.tar.gz")]:
    members = {f"data_batch_{part}": pickled(batch(part, [part, part + 4]), version) for part in range(1, 6)}
    members["test_batch"] = pickled(batch(6, [0, 9]), version)
    members["batches.meta"] = pickled({"num_cases_per_batch": 10000, "label_names": names, "num_vis": 3072}, version)
    if version == 2:
        assert hashlib.md5(members["batches.meta"]).hexdigest() == "5ff9c542aee3614f3951f8cda6e48888"
    archive(here / file, "cifar-10-batches-py", members)
    if version == 2:
        members["data_batch_3"] = pickled({"data": Program(), "labels": [1, 2]}, version)
        archive(here / "program.tar.gz", "cifar-10-batches-py", members)
fine = {part: batch(part, None) | {"fine_labels": [99, part], "coarse_labels": [3, 4]} for part in (1, 2)}
for one in fine.values():
    del one["labels"]
members = {"train": pickled(fine[1], 2), "test": pickled(fine[2], 2)}
members["meta"] = pickled({"fine_label_names": fine_names, "coarse_label_names": coarse_names}, 2)
assert hashlib.md5(members["meta"]).hexdigest() == "7973b15100ade9c7d40fb424638fde48"
archive(here / "python-100.tar.gz", "cifar-100-python", members)

with tarfile.open(here / "pictures.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
    for number, (name, mode) in enumerate(
        [("train/cat/1.png", "L"), ("train/cat/2.png", "RGB"), ("train/dog/1.png", "P"), ("test/cat/1.png", "RGB"), ("test/dog/9.jpg", "L")]
    ):
        gray = (np.arange(8 * 8).reshape(8, 8) * 3 + 10 * number).astype("u1")
        picture = Image.fromarray(gray if mode != "RGB" else np.stack([gray, gray + 1, 255 - gray], -1)).convert(mode)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG" if name.endswith("jpg") else "PNG", **({"quality": 100} if name.endswith("jpg") else {}))
        entry = tarfile.TarInfo(name)
        entry.size = buffer.tell()
        buffer.seek(0)
        tar.addfile(entry, buffer)

# Severity s of image i in family f has the pixel (13 f + 50 (s - 1) + 7 i + y + 2 x + 40 c) of row y, column x, channel c.
with gzip.GzipFile(here / "corrupted.tar.gz", "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
    row, image, y, x, c = np.meshgrid(np.arange(5), np.arange(2), np.arange(32), np.arange(32), np.arange(3), indexing="ij")
    arrays = {"labels": np.tile(np.array([0, 9], "u1"), 5)}
    for family, name in enumerate(["fog", "gaussian_noise", "saturate"]):
        arrays[name] = (13 * family + 50 * row + 7 * image + y + 2 * x + 40 * c).astype("u1").reshape(10, 32, 32, 3)
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        entry = tarfile.TarInfo(f"CIFAR-10-C/{name}.npy")
        entry.size = buffer.tell()
        buffer.seek(0)
        tar.addfile(entry, buffer)
