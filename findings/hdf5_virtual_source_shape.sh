#!/usr/bin/env bash
# h5py 3.16.0 (HDF5 2.0.0): `VirtualSource(file, name, shape)` states the shape of the source, but if the whole source is used, the
# virtual dataset does not keep it. A source that has since been written transposed (neurons x trials instead of trials x neurons)
# is read without an error, with its values in the wrong places.
#
# Seen for a source of shape (2, 3) in a virtual dataset that was made for (3, 2):
#   stored selection: all
#   read: [[0, 1], [2, 3], [4, 5]]
#   meant: [[0, 3], [1, 4], [2, 5]]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 h5py==3.16.0
venv/bin/python > seen.txt - <<'PYTHON'
import h5py, numpy as np
neurons_by_trials = np.arange(6, dtype="f4").reshape(2, 3)
with h5py.File("session.h5", "w") as file:
    file["responses"] = neurons_by_trials
layout = h5py.VirtualLayout(shape=(3, 2), dtype="f4")
layout[:] = h5py.VirtualSource("session.h5", "responses", shape=(3, 2))
with h5py.File("scan.h5", "w") as file:
    file.create_virtual_dataset("responses", layout)
with h5py.File("scan.h5") as file:
    source = file["responses"].id.get_create_plist().get_virtual_srcspace(0)
    print("stored selection:", {h5py.h5s.SEL_ALL: "all"}.get(source.get_select_type(), "other"))
    print("read:", file["responses"][:].astype(int).tolist())
print("meant:", neurons_by_trials.T.astype(int).tolist())
PYTHON
cat seen.txt
diff seen.txt - <<'EXPECTED'
stored selection: all
read: [[0, 1], [2, 3], [4, 5]]
meant: [[0, 3], [1, 4], [2, 5]]
EXPECTED
