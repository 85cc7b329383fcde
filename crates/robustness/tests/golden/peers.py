"""Trains a small ResNet and attacks it with Foolbox 3.3 and torchattacks; `tests/peers.rs` compares.

    python peers.py train CIFAR     writes network.safetensors, images.safetensors
    python peers.py attack          writes peers.json, keeping existing entries

CIFAR is a safetensors file with train_images, train_labels, test_images, test_labels (u8, grayscale, 32 x 32).
Written by torch 2.x, foolbox 3.3, torchattacks 3.5. Attacks are run with their defaults unless an argument says otherwise.
"""
import json, os, sys, time
import numpy as np, torch, torch.nn.functional as F
from network import ResNet
from safetensors.torch import load_file, save_file

torch.manual_seed(0)
torch.set_num_threads(2)
HERE = os.path.dirname(os.path.abspath(__file__))
BASE, BLOCKS, IMAGES = 4, (1, 1, 1, 1), 200


def train(path):
    data = load_file(path)
    images, labels = data["train_images"][:10000].float() / 255, data["train_labels"][:10000].long()
    net, epochs = ResNet(BASE, BLOCKS), 6
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    steps = epochs * (len(images) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, steps)
    for epoch in range(epochs):
        order = torch.randperm(len(images))
        for part in order[: len(images) // 128 * 128].view(-1, 128):
            loss = F.cross_entropy(net(images[part]), labels[part])
            optimiser.zero_grad(), loss.backward(), optimiser.step(), schedule.step()
        print("epoch", epoch, "loss", loss.item(), flush=True)
    net.eval()
    test, truth = data["test_images"], data["test_labels"].long()
    with torch.no_grad():
        logits = net(test.float() / 255)
    print("test accuracy", (logits.argmax(1) == truth).float().mean().item())
    # Images that the network is right about, beyond what another library's rounding could change.
    best = logits.topk(2, dim=1).values
    chosen = ((logits.argmax(1) == truth) & (best[:, 0] - best[:, 1] > 1e-2)).nonzero().flatten()[:IMAGES]
    state = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    save_file(state, os.path.join(HERE, "network.safetensors"))
    save_file({"images": test[chosen].contiguous(), "labels": truth[chosen].to(torch.uint8)}, os.path.join(HERE, "images.safetensors"))


def attack():
    import foolbox as fb
    import torchattacks as ta

    net = ResNet.of(load_file(os.path.join(HERE, "network.safetensors"))).eval()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    data = load_file(os.path.join(HERE, "images.safetensors"))
    x, y = data["images"].float() / 255, data["labels"].long()
    model = fb.PyTorchModel(net, bounds=(0, 1))
    path = os.path.join(HERE, "peers.json")
    result = {"logits": net(x[:3]).tolist(), "by_image": {}, "median": {}, "accuracy": {}}
    if os.path.exists(path):
        result = json.load(open(path))

    def enter(kind, key, value):
        result[kind][key] = value
        with open(path, "w") as file:
            json.dump(result, file)

    def norms(adversarial, norm):
        delta = (adversarial - x).flatten(1)
        return delta.abs().max(1).values if norm == "linf" else delta.double().norm(dim=1)

    def by_image(name, norm, method, epsilon=None):
        if f"{name}_{norm}" in result["by_image"]:
            return
        start = time.time()
        _, adversarial, success = method(model, x, y, epsilons=epsilon)
        sizes = norms(adversarial, norm)
        rounded = [round(v, 7) for v in sizes.tolist()]
        enter("by_image", f"{name}_{norm}", dict(epsilon=epsilon, norms=rounded, success=success.int().tolist()))
        print(name, norm, "median", sizes[success].median().item(), "success", success.float().mean().item(), f"{time.time() - start:.0f} s", flush=True)

    def sizes_of(adversarial, norm):
        return torch.where(net(adversarial).argmax(1) != y, norms(adversarial, norm).double(), torch.inf)

    def minimal(name, norm, method):
        if f"{name}_{norm}" in result["median"]:
            return
        start = time.time()
        median = method().quantile(0.5).item()
        enter("median", f"{name}_{norm}", median)
        print(name, norm, "median", median, f"{time.time() - start:.0f} s", flush=True)

    def robust(name, norm, epsilon, method):
        if f"{name}_{norm}" in result["accuracy"]:
            return
        start = time.time()
        adversarial = method(x, y)
        bound = norms(adversarial, norm).max().item()
        assert bound < epsilon + 1e-4, (name, bound)
        accuracy = (net(adversarial).argmax(1) == y).float().mean().item()
        enter("accuracy", f"{name}_{norm}", dict(epsilon=epsilon, accuracy=accuracy))
        print(name, norm, "accuracy", accuracy, f"{time.time() - start:.0f} s", flush=True)

    foolbox = lambda method, epsilon: lambda x, y: method(model, x, y, epsilons=epsilon)[1]
    A = fb.attacks
    linf, l2 = 0.008, 0.15
    for norm, epsilon, fgsm, bim, deepfool in [
        ("linf", linf, A.LinfFastGradientAttack(), A.LinfBasicIterativeAttack(), A.LinfDeepFoolAttack()),
        ("l2", l2, A.L2FastGradientAttack(), A.L2BasicIterativeAttack(), A.L2DeepFoolAttack()),
    ]:
        by_image("fgsm", norm, fgsm, epsilon)
        by_image("bim", norm, bim, epsilon)
        by_image("deepfool", norm, deepfool)
    by_image("ddn", "l2", A.DDNAttack())

    run = lambda norm, method: lambda: sizes_of(method(model, x, y, epsilons=None)[1], norm)
    minimal("fmn", "l2", run("l2", A.L2FMNAttack()))
    minimal("fmn", "linf", run("linf", A.LInfFMNAttack()))
    minimal("brendel-bethge", "l2", run("l2", A.L2BrendelBethgeAttack(steps=200)))
    minimal("brendel-bethge", "linf", run("linf", A.LinfinityBrendelBethgeAttack(steps=200)))
    robust("pgd", "linf", linf, foolbox(A.LinfPGD(), linf))
    robust("pgd", "l2", l2, foolbox(A.L2PGD(), l2))
    robust("mim", "linf", linf, foolbox(A.LinfMomentumIterativeFastGradientMethod(), linf))
    robust("mim", "l2", l2, foolbox(A.L2MomentumIterativeFastGradientMethod(), l2))

    def fab_targeted(norm, name):
        # torchattacks stops at the first class that succeeds: here every class is tried and the nearest taken.
        fab = ta.FAB(net, norm=name, eps=100.0, steps=100, multi_targeted=True)
        best = torch.full((len(x),), torch.inf, dtype=torch.double)
        for fab.target_class in range(2, 11):
            best = torch.minimum(best, sizes_of(fab.attack_single_run_targeted(x, y), norm))
        return best

    for norm, name, epsilon in [("linf", "Linf", linf), ("l2", "L2", l2)]:
        # 100 iterations are AutoAttack's; torchattacks' own default is 10.
        robust("apgd-ce", norm, epsilon, ta.APGD(net, norm=name, eps=epsilon, steps=100))
        minimal("fab-t", norm, lambda: fab_targeted(norm, name))
        robust("apgd-dlr", norm, epsilon, ta.APGD(net, norm=name, eps=epsilon, steps=100, loss="dlr"))
    for norm, name, epsilon in [("linf", "Linf", linf), ("l2", "L2", l2)]:
        # Beyond its epsilon FAB reports a failure: none is wanted here.
        minimal("fab", norm, lambda: sizes_of(ta.FAB(net, norm=name, eps=100.0, steps=100)(x, y), norm))
        robust("apgd-t", norm, epsilon, ta.APGDT(net, norm=name, eps=epsilon, steps=100))
        robust("square", norm, epsilon, ta.Square(net, norm=name, eps=epsilon, n_queries=1000))
    minimal("carlini-wagner", "l2", run("l2", A.L2CarliniWagnerAttack(steps=200)))
    # Few steps, so that tests can take them, too.
    minimal("hop-skip-jump", "l2", run("l2", A.HopSkipJumpAttack(steps=3)))
    minimal("hop-skip-jump", "linf", run("linf", A.HopSkipJumpAttack(steps=3, constraint="linf")))
    # Where this walk is after so few of them depends on its noise.
    for seed in range(5):
        torch.manual_seed(seed), np.random.seed(seed)
        minimal(f"boundary-seed{seed}", "l2", run("l2", A.BoundaryAttack(steps=300)))


if sys.argv[1] == "train":
    train(sys.argv[2])
else:
    attack()
