from pathlib import Path

import numpy as np
import pytest

import brainprior as bp

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
load_file = pytest.importorskip("safetensors.torch").load_file

from torch import nn  # noqa: E402

from brainprior.torch import PairSampler, SimilarityLoss  # noqa: E402

# Small networks: threads would wait longer than they compute.
torch.set_num_threads(1)

GOLDEN = Path(__file__).resolve().parents[2] / "classifier/tests/golden"
ALPHA = 20.0


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        same = stride == 1 and i == o
        self.shortcut = nn.Sequential() if same else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return nn.functional.relu(self.bn2(self.conv2(nn.functional.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class ResNet(nn.Module):
    """brainprior's classifier as a PyTorch module."""

    def __init__(self, blocks, base=2, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, base, 7, 1, 3, bias=False), nn.BatchNorm2d(base), nn.ReLU())
        i, stages = base, []
        for k, n in enumerate(blocks):
            o = base * 2**k
            stages.append(nn.Sequential(*[Block(i if j == 0 else o, o, 2 if j == 0 and k else 1) for j in range(n)]))
            i = o
        self.stages, self.head = nn.ModuleList(stages), nn.Linear(i, classes)

    def forward(self, x):
        x = self.stem(5 * (x - 0.5))
        for stage in self.stages:
            x = stage(x)
        return self.head(nn.functional.avg_pool2d(x, 4).mean((2, 3)))

    def layers(self):
        return {"stem": self.stem, **{f"stage{k}": stage for k, stage in enumerate(self.stages)}}


def loaded(blocks, tensors):
    network = ResNet(blocks)
    network.load_state_dict({name: value for name, value in tensors.items() if name != "gamma"})
    return network


def test_the_joint_step_is_that_of_the_classifier():
    golden = load_file(GOLDEN / "joint_step.safetensors")
    before = {name.removeprefix("before."): value for name, value in golden.items() if name.startswith("before.")}
    network = loaded((1, 2, 1, 1), before).train()
    similarity = SimilarityLoss(network.layers(), gamma=before["gamma"])
    loss = nn.functional.cross_entropy(network(golden["images"]), golden["labels"].long())
    assert loss.item() == pytest.approx(float(golden["cross_entropy"]), abs=1e-5)
    pulled = similarity(network, golden["stimuli"], golden["target"])
    assert pulled.item() == pytest.approx(float(golden["similarity_loss"]), rel=1e-5)
    (loss + ALPHA * pulled).backward()
    gradients = {**{name: value.grad for name, value in network.named_parameters()}, "gamma": similarity.gamma.grad}
    expected = {name.removeprefix("gradient."): value for name, value in golden.items() if name.startswith("gradient.")}
    assert gradients.keys() == expected.keys()
    largest = max(value.abs().max() for value in expected.values())
    for name, value in expected.items():
        assert (gradients[name] - value).abs().max() <= 1e-5 * largest, name


def test_any_module_follows_a_target():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 8))
    stimuli = torch.rand(12, 4, 6).numpy()
    target = bp.similarity(np.random.default_rng(1).normal(size=(12, 5)), ids=bp.image_ids(stimuli))
    loss = SimilarityLoss([network[1], network[3]])
    optimizer = torch.optim.Adam([*network.parameters(), *loss.parameters()], 0.01)
    batches = iter(PairSampler(target, stimuli, batch=33, seed=2))
    values = []
    for _ in range(100):
        images, wanted = next(batches)
        value = loss(network, images, wanted)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert np.mean(values[-10:]) < 0.1 * np.mean(values[:10])
    assert loss.similarity.shape == (33,) and len(list(loss.parameters())) == 1
    again = SimilarityLoss([network[1], network[3]])
    again.load_state_dict(loss.state_dict())
    images, wanted = next(batches)
    assert torch.equal(again(network, images, wanted), loss(network, images, wanted))


def test_each_pair_comes_once_before_any_comes_again():
    stimuli = np.arange(10, dtype=np.float32).reshape(10, 1, 1) / 10
    target = bp.SimilarityMatrix(np.linspace(-0.9, 0.9, 45))
    batches = iter(PairSampler(target, stimuli, batch=15, seed=4))
    seen = []
    for _ in range(3):
        images, wanted = next(batches)
        first, second = (10 * images.flatten()).round().int().reshape(2, 15).tolist()
        assert torch.equal(wanted, torch.tensor([target.pair(*pair) for pair in zip(first, second)]))
        seen += zip(first, second)
    assert len({*seen}) == 45
    later = next(iter(PairSampler(target, stimuli, batch=15, seed=4, start=2)))
    assert torch.equal(later[1], wanted)


def test_a_module_is_attacked_as_the_same_network_inside():
    golden, shown = load_file(GOLDEN / "resnet18.safetensors"), load_file(GOLDEN / "resnet18.expected.safetensors")
    module = loaded((2, 2, 2, 2), golden).train()
    inside = bp.Network.load(GOLDEN / "resnet18.safetensors")
    assert np.allclose(inside(shown["images"]), shown["logits"], atol=1e-5)
    images = torch.rand(10, 1, 32, 32, generator=torch.Generator().manual_seed(0)).numpy()
    labels = inside(images).argmax(1)
    for norm, name in [("linf", "fgsm"), ("linf", "bim"), ("l2", "deepfool"), ("linf", "deepfool")]:
        ours, theirs = (bp.attack(model, images, labels, norm=norm, attack=name) for model in (inside, module))
        assert np.array_equal(ours.success, theirs.success), name
        standing = ours.success
        assert np.abs(ours.distances[standing] - theirs.distances[standing]).max() < 1e-4, name
    assert module.training and all(value.requires_grad for value in module.parameters())


def test_what_does_not_fit_is_refused():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    with pytest.raises(bp.DataError, match="at least one module"):
        SimilarityLoss({})
    with pytest.raises(bp.DataError, match="1 logits"):
        SimilarityLoss([network[1]], gamma=[0.0, 0.0])
    with pytest.raises(bp.DataError, match="did not run"):
        SimilarityLoss([nn.Linear(2, 2)])(network, torch.zeros(4, 4), torch.zeros(2))
    with pytest.raises(bp.DataError, match="expected 4, two per target"):
        SimilarityLoss([network[1]])(network, torch.zeros(3, 4), torch.zeros(2))
