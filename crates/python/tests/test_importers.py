"""Recordings from the programs that write them (crates/recording/tests/data, with the scripts), against NumPy's results."""

import zipfile
from pathlib import Path

import brainprior as bp
import numpy as np

DATA = Path(__file__).parents[2] / "recording" / "tests" / "data"


def unpacked(name, folder):
    with zipfile.ZipFile(DATA / name) as archive:
        archive.extractall(folder)
    return folder


def shown(scan):
    return scan.images[scan.trial_image]


def test_visual_coding_of_nwb_2(tmp_path):
    folder = unpacked("nwb/nwb2.zip", tmp_path)
    scan, account = bp.import_scan("nwb", folder / "allen.nwb", tiers=(8, 2, 2))
    expected = np.load(DATA / "nwb" / "expected2.npz")
    np.testing.assert_allclose(scan.responses, expected["allen_responses"], rtol=3e-7)
    np.testing.assert_array_equal(shown(scan), expected["allen_images"][expected["allen_image"]] / np.float32(255))
    assert "4 of 52 presentations that show a blank" in account


def test_a_folder_of_suite2p(tmp_path):
    folder = unpacked("suite2p/folder.zip", tmp_path)
    expected = np.load(DATA / "suite2p" / "expected.npz")
    images = DATA / "suite2p" / "images.npy"
    given = {"images": images, "rate": 10.0, "tiers": (4, 1, 1), "image_axes": ("image", "height", "width")}
    scan, account = bp.import_scan("suite2p", folder, onsets=DATA / "suite2p" / "onsets.csv", **given)
    np.testing.assert_allclose(scan.responses, expected["spikes"], rtol=3e-7)
    np.testing.assert_array_equal(shown(scan), np.load(images)[expected["image"]] / np.float32(255))
    assert "other columns of the onsets: comment" in account
    scan, _ = bp.import_scan("suite2p", folder, onsets=DATA / "suite2p" / "onsets.npy", onsets_in="frames", traces="f", **given)
    np.testing.assert_allclose(scan.responses, expected["fluorescence"], rtol=3e-7)


def test_a_session_of_experanto(tmp_path):
    session = unpacked("experanto/session.zip", tmp_path) / "dynamic17-3-5-Video-0_30hz"
    scan, _ = bp.import_scan("experanto", session)
    expected = np.load(DATA / "experanto" / "expected.npz")
    np.testing.assert_allclose(scan.responses, expected["responses"], rtol=3e-7)


def test_arrays_by_a_layout(tmp_path):
    for name in ["responses.npy", "trials.npz"]:
        (tmp_path / name).write_bytes((DATA / "arrays" / name).read_bytes())
    (tmp_path / "layout.toml").write_text(
        '[responses]\nfile = "responses.npy"\naxes = ["neuron", "image", "repeat"]\n'
        '[images]\nfile = "trials.npz"\narray = "img"\naxes = ["image", "height", "width"]\n'
        '[tiers]\ntrain = [0, 1]\nvalidation = [2]\ntest = "others"\n'
    )
    scan, account = bp.import_scan("arrays", tmp_path / "layout.toml")
    # Neuron n responds with (100 n + 10 image + repeat) / 8; images have 4, 3, 2, 4 and 3 repeats.
    trials = [(image, repeat) for image in range(5) for repeat in range(4 - image % 3)]
    expected = [[(100 * n + 10 * image + repeat) / 8 for n in range(3)] for image, repeat in trials]
    np.testing.assert_array_equal(scan.responses, np.float32(expected))
    assert account
