#!/usr/bin/env bash
# hdf5-metno 0.15.1: for a virtual dataset written by h5py, `get_virtual_map()` of the property list returns an error, although
# `read_raw` returns the values. h5py writes a slice as one block (count 1, block as long as the slice, step 1), which the function
# does not accept. A Rust program that needs the source files of a virtual dataset, to check or hash them, must call the C
# interface of HDF5.
#
# Seen on a valid file of h5py 3.16.0 (two sources of four values):
#   read_raw: [0, 1, 2, 3, 4, 5, 6, 7]
#   get_virtual_map: Err
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 h5py==3.16.0 cmake==4.1.2
venv/bin/python - <<'PYTHON'
import h5py, numpy as np
layout = h5py.VirtualLayout(shape=(8,), dtype="i4")
for part in range(2):
    with h5py.File(f"part{part}.h5", "w") as file:
        file["values"] = np.arange(4 * part, 4 * part + 4, dtype="i4")
    layout[4 * part : 4 * part + 4] = h5py.VirtualSource(f"part{part}.h5", "values", shape=(4,))
with h5py.File("whole.h5", "w") as file:
    file.create_virtual_dataset("values", layout)
with h5py.File("whole.h5") as file:
    assert np.array_equal(file["values"][:], np.arange(8))
    assert [source.file_name for source in file["values"].virtual_sources()] == ["part0.h5", "part1.h5"]
PYTHON
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.1.0"
edition = "2021"

[dependencies]
hdf5-metno = { version = "=0.15.1", features = ["static"] }
TOML
mkdir src
cat > src/main.rs <<'RUST'
use hdf5_metno::File;

fn main() {
    let file = File::open("whole.h5").unwrap();
    let values = file.dataset("values").unwrap();
    println!("read_raw: {:?}", values.read_raw::<i32>().unwrap());
    match values.dcpl().unwrap().get_virtual_map() {
        Ok(map) => println!("get_virtual_map: Ok({})", map.len()),
        Err(_) => println!("get_virtual_map: Err"),
    }
}
RUST
CMAKE="$folder/venv/bin/cmake" cargo run --quiet > seen.txt
cat seen.txt
diff seen.txt - <<'EXPECTED'
read_raw: [0, 1, 2, 3, 4, 5, 6, 7]
get_virtual_map: Err
EXPECTED
