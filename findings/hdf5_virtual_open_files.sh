#!/usr/bin/env bash
# h5py 3.16.0 (HDF5 2.0.0): a virtual dataset over more source files than a process may hold open is read without an error, and the
# rows of the files that did not fit are zeros. HDF5 keeps the files of all sources open during one read, and treats a file that the
# system refuses to open like one that does not exist. 1,024 open files are the default in many shells and batch systems, so a scan
# of some thousand trials, each in a file, is affected.
#
# Seen for 300 files of one row of ones, where 256 files may be open (how many rows fit depends on what else is open):
#   error: none
#   all rows are ones: False
#   the other rows are zeros: True
# and, where 4,096 may be open:
#   error: none
#   all rows are ones: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 h5py==3.16.0
venv/bin/python - <<'PYTHON'
import h5py, numpy as np
count = 300
layout = h5py.VirtualLayout(shape=(count, 4), dtype="f4")
for trial in range(count):
    with h5py.File(f"trial{trial}.h5", "w") as file:
        file["responses"] = np.ones((1, 4), "f4")
    layout[trial : trial + 1] = h5py.VirtualSource(f"trial{trial}.h5", "responses", shape=(1, 4))
with h5py.File("scan.h5", "w") as file:
    file.create_virtual_dataset("responses", layout)
PYTHON
cat > read.py <<'PYTHON'
import h5py
try:
    with h5py.File("scan.h5") as file:
        rows = file["responses"][:]
    print("error: none")
except OSError as error:
    print("error:", error)
whole = (rows == 1).all(1)
print("all rows are ones:", whole.all())
if not whole.all():
    print("the other rows are zeros:", (rows[~whole] == 0).all())
PYTHON
for limit in 256 4096; do
    (ulimit -S -n $limit && venv/bin/python read.py)
done > seen.txt
cat seen.txt
diff seen.txt - <<'EXPECTED'
error: none
all rows are ones: False
the other rows are zeros: True
error: none
all rows are ones: True
EXPECTED
