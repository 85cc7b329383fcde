#!/usr/bin/env bash
# hdf5-metno 0.15.1 with the features blosc, blosc-lz4, blosc-zlib and blosc-zstd: for a dataset that Blosc compressed with
# Snappy, which these features leave out, `Dataset::filters()` returns an empty list, as for a dataset without filters, although
# h5py shows filter 32001. Only `get_filters()` of the property list reports an error, because it cannot parse the settings. A
# reader that relies on `filters()` to find unsupported compression concludes that there is none.
#
# Seen on valid files of h5py 3.16.0 with hdf5plugin 7.1.0:
#   lz4: filters() 1, get_filters() Ok(1)
#   snappy: filters() 0, get_filters() Err
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 h5py==3.16.0 hdf5plugin==7.1.0 cmake==4.1.2
venv/bin/python - <<'PYTHON'
import h5py, hdf5plugin, numpy as np
for compressor in ["lz4", "snappy"]:
    with h5py.File(compressor + ".h5", "w") as file:
        values = file.create_dataset("values", data=np.arange(64, dtype="f4"), chunks=(16,), **hdf5plugin.Blosc(cname=compressor))
        assert list(values._filters) == ["32001"], values._filters
    with h5py.File(compressor + ".h5") as file:
        assert np.array_equal(file["values"][:], np.arange(64))
PYTHON
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.1.0"
edition = "2021"

[dependencies]
hdf5-metno = { version = "=0.15.1", features = ["static", "zlib", "blosc", "blosc-lz4", "blosc-zlib", "blosc-zstd"] }
TOML
mkdir src
cat > src/main.rs <<'RUST'
use hdf5_metno::File;

fn main() {
    for compressor in ["lz4", "snappy"] {
        let file = File::open(format!("{compressor}.h5")).unwrap();
        let values = file.dataset("values").unwrap();
        let listed = match values.dcpl().unwrap().get_filters() {
            Ok(filters) => format!("Ok({})", filters.len()),
            Err(_) => "Err".to_owned(),
        };
        println!("{compressor}: filters() {}, get_filters() {listed}", values.filters().len());
    }
}
RUST
CMAKE="$folder/venv/bin/cmake" cargo run --quiet > seen.txt
cat seen.txt
diff seen.txt - <<'EXPECTED'
lz4: filters() 1, get_filters() Ok(1)
snappy: filters() 0, get_filters() Err
EXPECTED
