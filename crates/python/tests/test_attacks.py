import numpy as np
import pytest

import brainprior as bp

RNG = np.random.default_rng(7)
WEIGHTS = RNG.normal(size=(3, 2 * 4 * 5)).astype(np.float32)
IMAGES = RNG.uniform(0.3, 0.7, size=(12, 2, 4, 5)).astype(np.float32)


def logits(images):
    return images.reshape(len(images), -1) @ WEIGHTS.T


def gradient(images, factors):
    return (factors @ WEIGHTS).reshape(images.shape)


LABELS = logits(IMAGES).argmax(1)
LINEAR = (logits, gradient)


def closest(norm):
    """The smallest perturbations of a linear model: margins divided by the dual norm of the weight difference."""
    found = []
    for image, label in zip(IMAGES.reshape(12, -1).astype(float), LABELS):
        others = [other for other in range(3) if other != label]
        differences = WEIGHTS[label].astype(float) - WEIGHTS[others]
        dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
        found.append(min(differences @ image / np.linalg.norm(differences, dual, axis=1)))
    return np.array(found)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_smallest_perturbations_of_a_linear_model_are_found(norm):
    found = bp.attack(LINEAR, IMAGES, LABELS, norm=norm)
    assert found.success.all() and not found.already.any() and None not in found.found_by
    assert np.allclose(found.distances, closest(norm), rtol=0.02)
    order = {"linf": np.inf, "l2": 2}[norm]
    changes = (found.adversarial.astype(float) - IMAGES).reshape(12, -1)
    assert np.allclose(np.linalg.norm(changes, order, axis=1), found.distances, rtol=1e-6)
    assert (logits(found.adversarial).argmax(1) != LABELS).all()
    assert (found.queries > 0).all() and (found.zero_gradients == 0).all()
    assert found.interval[0] <= found.median <= found.interval[1]
    assert np.array_equal(found.accuracy([0, found.distances.max()]), [1, 0])


def test_one_attack_within_an_epsilon_keeps_to_it():
    epsilon = np.median(closest("linf"))
    found = bp.attack(LINEAR, IMAGES, LABELS, attack="fgsm", epsilon=epsilon)
    assert (found.distances <= epsilon).all() and found.median is None
    assert np.array_equal(found.success, closest("linf") < epsilon)
    assert np.array_equal(logits(found.adversarial).argmax(1) != LABELS, found.success)


@pytest.mark.parametrize(
    "norm, name",
    [
        ("linf", name)
        for name in "bim mim pgd pgd-margin apgd-ce apgd-dlr apgd-t apgd-t-minimal autoattack deepfool fab fab-t fmn "
        "brendel-bethge hop-skip-jump square primal-dual line-search blended-noise".split()
    ]
    + [("l2", "carlini-wagner"), ("l2", "ddn"), ("l2", "boundary"), ("l0", "sigma-zero")],
)
def test_every_attack_goes_by_its_name(norm, name):
    steps = {"carlini-wagner": 50, "boundary": 200, "hop-skip-jump": 2, "square": 100}.get(name)
    found = bp.attack(LINEAR, IMAGES[:2], LABELS[:2], norm=norm, attack=name, epsilon=0.3 if norm == "linf" else 6.0, steps=steps)
    # A line search only shortens the results of other attacks.
    assert found.success.any() or name in ("line-search", "blended-noise")


def test_targets_are_reached():
    targets = (LABELS + 1) % 3
    found = bp.attack(LINEAR, IMAGES, LABELS, targets=targets, attack="deepfool", norm="l2")
    assert np.array_equal(logits(found.adversarial).argmax(1)[found.success], targets[found.success]) and found.success.any()


def test_logits_alone_do_for_attacks_without_gradients():
    found = bp.attack(logits, IMAGES[:2], LABELS[:2], attack="square", epsilon=0.3)
    assert found.success.all() and (found.gradient_calls == 0).all()
    with pytest.raises(bp.DataError, match="this attack needs gradients"):
        bp.attack(logits, IMAGES[:2], LABELS[:2], attack="fgsm", epsilon=0.3)


def test_masking_is_found_where_gradients_lie():
    masked = (logits, lambda images, factors: np.zeros_like(images))
    report = bp.attack(masked, IMAGES, LABELS, attack="fgsm", epsilon=0.1, masking=12).masking
    assert report.images == 12 and any(check.finding for check in report.checks)
    assert "attacks on this model prove little" in report.verdict
    assert bp.masking_report(LINEAR, IMAGES, LABELS).images == 12


def test_accuracy_under_noise_and_corruptions():
    curve = bp.noise_curve(LINEAR, IMAGES, LABELS, [0.0, 3.0])
    assert curve[0] == 1.0 and curve[1] < 1.0
    gray = IMAGES[:, :1].repeat(8, 2).repeat(8, 3)
    weights = RNG.normal(size=(3, gray[0].size)).astype(np.float32)
    model = lambda images: images.reshape(len(images), -1) @ weights.T
    errors = bp.corruption_errors(model, gray, model(gray).argmax(1), ["brightness", "gaussian_noise"])
    assert list(errors) == ["brightness", "gaussian_noise"] and errors["gaussian_noise"].shape == (5,)
    with pytest.raises(ValueError, match="jpeg_compression"):
        bp.corruption_errors(model, gray, [0] * 12, ["rain"])


def test_what_a_model_raises_is_raised():
    def broken(images):
        raise ZeroDivisionError("in the model")

    with pytest.raises(ZeroDivisionError, match="in the model"):
        bp.attack(broken, IMAGES, LABELS)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.attack(LINEAR, IMAGES, LABELS, batch=2, progress=stop)
    with pytest.raises(ValueError, match="logit"):
        bp.attack(lambda images: np.full((len(images), 3), np.nan), IMAGES, LABELS)
    with pytest.raises(ValueError, match="expected .*12, 2, 4, 5.*found .*12, 40"):
        bp.attack((logits, lambda images, factors: np.zeros((*images.shape[:1], 40, 1, 1))), IMAGES, LABELS)
    with pytest.raises(ValueError, match="normalize inside the model"):
        bp.attack(LINEAR, 255 * IMAGES, LABELS)
    with pytest.raises(ValueError, match="norm of ddn: expected l2"):
        bp.attack(LINEAR, IMAGES, LABELS, attack="ddn")
    with pytest.raises(ValueError, match="torch.nn.Module"):
        bp.attack("network", IMAGES, LABELS)
