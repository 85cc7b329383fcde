"""Makes the labelled sets of this folder: safetensors 0.8.0, NumPy 2.4.6, Python's tarfile and gzip.

`names-*.safetensors`: class names as other programs write them. `cifar-*.tar.gz`: two records a file, a gray image each.
`network.pt` has the parts of what torch.save writes (a stored zip with a pickle of protocol 2), as far as a reader needs to see
that it is none of ours.
"""

import gzip
import io
import json
import pathlib
import pickle
import tarfile
import zipfile

import numpy as np
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
    """Tar of the binary version, the files of each folder with values of their own."""
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
