from pathlib import Path

import numpy as np
import pytest

import brainprior as bp

DATA = Path(__file__).resolve().parents[2] / "recording/tests/data"


def arrays(seed=0, images=60, neurons=8):
    """Gratings, the last ten of which are shown three times, and responses driven by them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:18, 0:32]
    angles = 0.7 * np.arange(images)[:, None, None]
    shown = 0.5 + 0.5 * np.sin(0.4 * (x * np.cos(angles) + y * np.sin(angles)) + np.arange(images)[:, None, None])
    trial_image = np.concatenate([np.arange(images - 10), np.repeat(np.arange(images - 10, images), 3)])
    tiers = ["train"] * (images - 20) + ["validation"] * 10 + ["test"] * 30
    fields = rng.normal(size=(neurons, 18 * 32)) / 24
    rates = np.maximum(0.1, 1 + shown.reshape(images, -1) @ fields.T)
    return shown, rng.poisson(3 * rates[trial_image]).astype(float), tiers, trial_image


@pytest.fixture(scope="module")
def scan():
    images, responses, tiers, trial_image = arrays()
    return bp.Scan.from_arrays(images, responses, tiers, trial_image=trial_image, name="made")


def test_a_scan_is_what_its_arrays_say(scan):
    images, responses, tiers, trial_image = arrays()
    assert np.array_equal(scan.images, images.astype(np.float32))
    assert np.array_equal(scan.responses, responses.astype(np.float32))
    assert scan.tiers == tiers and np.array_equal(scan.trial_image, trial_image)
    assert np.array_equal(scan.image_ids, bp.image_ids(images))
    assert scan.behavior is None and scan.name == "made"
    each = bp.Scan.from_arrays(images[trial_image], responses, tiers)
    assert np.array_equal(each.image_ids, scan.image_ids) and np.array_equal(each.trial_image, trial_image)


def test_reliability_is_that_of_its_definition(scan):
    found = scan.reliability()
    repeats = scan.responses[50:].reshape(10, 3, 8).astype(float)
    w = repeats.mean(1).std(0, ddof=1) / np.sqrt(repeats.var(1, ddof=1).mean(0))
    assert np.allclose(found.w, w, rtol=1e-5) and found.images == 10 and found.trials == 30
    means, ids = scan.repeat_means()
    assert np.allclose(means, repeats.mean(1), atol=1e-6) and np.array_equal(ids, scan.image_ids[50:])
    assert np.array_equal(scan.single_trials()[1], scan.image_ids[:50])


def test_files_of_labs_are_read_and_written(scan, tmp_path):
    lab = bp.read_scan(DATA / "numpy.zip")
    assert lab.responses.shape == (12, 7) and lab.tiers.count("train") == 5
    scan.save(tmp_path / "made.h5")
    again = bp.read_scan(tmp_path / "made.h5")
    assert np.array_equal(again.responses, scan.responses) and np.array_equal(again.image_ids, scan.image_ids)
    with pytest.raises(bp.FileError, match="absent.h5"):
        bp.read_scan(tmp_path / "absent.h5")


def test_an_import_is_that_of_the_command(tmp_path):
    rng = np.random.default_rng(1)
    np.save(tmp_path / "responses.npy", rng.random((6, 4)))
    with pytest.raises(OSError, match="layout.toml"):
        bp.import_scan("arrays", tmp_path / "layout.toml")
    with pytest.raises(ValueError, match="arrays, experanto, nwb or suite2p"):
        bp.import_scan("tiff", tmp_path)
    with pytest.raises(ValueError, match="expected 3 counts"):
        bp.import_scan("nwb", tmp_path, tiers=(1, 2))


def test_what_does_not_hold_together_is_refused_by_name(scan):
    images, responses, tiers, trial_image = arrays()
    with pytest.raises(ValueError, match="tier of trial 2: expected train, validation or test, found \"held out\""):
        bp.Scan.from_arrays(images, responses, [*tiers[:2], "held out", *tiers[3:]], trial_image=trial_image)
    with pytest.raises(ValueError, match="pixel"):
        bp.Scan.from_arrays(255 * images, responses, tiers, trial_image=trial_image)
    with pytest.raises(ValueError, match="70 rows, like responses"):
        bp.Scan.from_arrays(images, responses[:70], tiers, trial_image=trial_image)


def test_a_model_is_fitted_saved_and_asked(scan, tmp_path):
    told = []
    config = {"core": {"channels": [4, 4, 4]}, "optimization": {"max_epochs": 1}}
    model = bp.fit([scan], config, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
    predicted = model.predict(scan.images)
    assert predicted.shape == (60, 8) and (predicted > 0).all() and model.v_a().shape == (8,)
    model.save(tmp_path / "model.safetensors")
    assert np.array_equal(bp.ResponseModel.load(tmp_path / "model.safetensors").predict(scan.images), predicted)
    # The prediction for an image does not depend on the other images, and an image may occur twice.
    assert np.allclose(model.predict(scan.images[[5, 5]]), predicted[[5, 5]], rtol=1e-5)
    with pytest.raises(ValueError, match="max_epoch"):
        bp.fit(scan, {"optimization": {"max_epoch": 1}})
    with pytest.raises(ValueError, match="18"):
        model.predict(np.zeros((1, 8, 8)))


def test_a_fit_can_be_stopped(scan):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.fit(scan, {"optimization": {"max_epochs": 1000, "patience": 1000}}, progress=stop)
