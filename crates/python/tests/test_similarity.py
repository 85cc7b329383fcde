import threading
import time

import numpy as np
import pytest

import brainprior as bp


def reference(responses, weights):
    """The definition in f64 (Li et al. 2019, section 3.1)."""
    vectors = (responses - responses.mean(0)) * weights
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors @ vectors.T


@pytest.fixture
def responses():
    return np.random.default_rng(0).gamma(2.0, size=(40, 25))


def test_similarities_are_those_of_the_definition(responses):
    weights = np.linspace(0, 2, 25)
    matrix = bp.similarity(responses, weights)
    expected = reference(responses.astype(np.float32).astype(np.float64), weights)
    assert np.abs(matrix.square() - expected).max() < 1e-6
    assert np.array_equal(matrix.values, matrix.square()[np.triu_indices(40, 1)])
    assert matrix.pair(3, 7) == matrix.pair(7, 3) == matrix.square()[3, 7]
    assert len(matrix) == 40 and matrix.values.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_any_type_of_number_and_any_layout_is_taken(dtype):
    values = np.random.default_rng(1).integers(0, 50, size=(30, 12)).astype(dtype)
    plain = bp.similarity(values.astype(np.float32)).values
    assert np.array_equal(bp.similarity(values).values, plain)
    assert np.array_equal(bp.similarity(np.asfortranarray(values)).values, plain)
    assert np.array_equal(bp.similarity(np.repeat(values, 2, axis=1)[:, ::2]).values, plain)
    assert np.array_equal(bp.similarity(values.tolist()).values, plain)


def test_scans_are_averaged_by_the_identity_of_their_images(responses):
    ids = np.arange(100, 140, dtype=np.uint64)
    order = np.random.default_rng(2).permutation(40)[:30]
    a, b = responses[:, :10], responses[order, 10:]
    found = bp.similarity([a, b], ids=[ids, ids[order]], images="every")
    alone = bp.similarity(a[np.sort(order)]).values, bp.similarity(b[np.argsort(order)]).values
    assert np.array_equal(found.ids, ids[np.sort(order)])
    assert np.abs(found.values - np.mean(alone, axis=0)).max() < 1e-6
    mean = bp.average([bp.similarity(a, ids=ids), bp.similarity(b, ids=ids[order])])
    assert mean.scans.sum() == 70


def test_neighbors_and_samples_are_entries_of_the_matrix(responses):
    square = bp.similarity(responses).square()
    found = bp.nearest(responses, 5)
    np.fill_diagonal(square, -2)
    assert np.array_equal(found.neighbors, np.argsort(-square, axis=1, kind="stable")[:, :5])
    assert np.allclose(found.similarities, np.take_along_axis(square, found.neighbors, 1), atol=1e-6)
    sample = bp.sample_pairs(responses, 100, seed=3)
    first, second = sample.pairs.T
    assert (first < second).all() and len({*map(tuple, sample.pairs)}) == 100
    assert np.array_equal(sample.similarities, square[first, second])
    assert np.array_equal(sample.pairs, bp.sample_pairs(responses, 100, seed=3, memory=1).pairs)


def test_files_come_back_as_they_were(responses, tmp_path):
    matrix = bp.similarity(responses, ids=np.arange(7, 47))
    matrix.save(tmp_path / "similarity.h5")
    again = bp.SimilarityMatrix.read(tmp_path / "similarity.h5")
    assert np.array_equal(again.values, matrix.values) and np.array_equal(again.ids, matrix.ids)
    assert again.provenance == matrix.provenance
    matrix.save(tmp_path / "half.h5", precision="f16")
    assert np.abs(bp.SimilarityMatrix.read(tmp_path / "half.h5").values - matrix.values).max() < 0.00025
    selected = matrix.select([9, 7])
    assert selected.values[0] == matrix.pair(2, 0)
    assert np.array_equal(np.sort(matrix.shuffled(1).values), np.sort(matrix.values))


def test_agreement_is_numpys_correlation(responses):
    a, b = bp.similarity(responses), bp.similarity(responses[:, :12])
    found = bp.compare(a, b)
    assert float(found) == pytest.approx(np.corrcoef(a.values, b.values)[0, 1], abs=1e-7)
    assert found.low is None
    interval = bp.compare(a, b, "spearman", bootstrap=200)
    assert interval.low < interval.value < interval.high and interval.standard_error > 0
    values = [float(bp.compare(a, b, measure)) for measure in ("kendall", "cosine", "whitened_cosine", "cka")]
    assert all(0 < value < 1 for value in values)


def test_errors_are_exceptions_with_the_sentences_of_the_crates(responses, tmp_path):
    responses[3, 4] = np.nan
    with pytest.raises(ValueError, match=r"image 3 .*neuron 4: expected a finite value, found NaN") as raised:
        bp.similarity(responses)
    assert isinstance(raised.value, bp.DataError)
    with pytest.raises(bp.DataError, match="one for each of 25 neurons"):
        bp.similarity(np.ones((4, 25)), np.ones(3))
    with pytest.raises(OSError, match="absent.h5") as raised:
        bp.SimilarityMatrix.read(tmp_path / "absent.h5")
    assert isinstance(raised.value, bp.FileError)
    with pytest.raises(ValueError, match="pearson, spearman"):
        bp.compare(bp.similarity(np.eye(3)), bp.similarity(np.eye(3)), "euclid")
    with pytest.raises(ValueError, match="strict upper triangle"):
        bp.SimilarityMatrix(np.zeros(4))


def test_progress_is_told_and_can_stop_the_call(responses):
    told = []
    bp.similarity(responses, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (780, 780)
    large = np.random.default_rng(5).normal(size=(6000, 1500)).astype(np.float32)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.nearest(large, progress=stop)


def test_the_lock_of_the_interpreter_is_free_meanwhile():
    large = np.random.default_rng(5).normal(size=(5000, 1500)).astype(np.float32)
    ticks = []

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.01)

    done = threading.Event()
    thread = threading.Thread(target=tick)
    thread.start()
    started = time.perf_counter()
    bp.similarity(large)
    ended = time.perf_counter()
    done.set()
    thread.join()
    within = [at for at in ticks if started < at < ended]
    assert len(within) > 3
