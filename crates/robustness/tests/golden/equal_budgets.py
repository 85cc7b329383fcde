"""Runs the attacks of adv-lib 0.2.8, Foolbox 3.3 and torchattacks 3.5 at equal numbers of passes.

    python equal_budgets.py NETWORK IMAGES COUNT OUT.json [NORM ...]

NETWORK is a checkpoint of brainprior or `network.safetensors`; IMAGES a safetensors file with `images` and `labels`, or with
`test_images` and `test_labels` (u8). For each image forward and backward passes are counted, and of the points that an attack
looks at within the budget the nearest adversarial one is kept. `examples/compare_attacks.rs` reads OUT.json and runs ours.
The environment may set BUDGETS, such as "100 400", and THREADS (1); numbers of passes that OUT.json has are not run again.
Parts of adv-lib that are not run here import torchvision and visdom; where they are missing they are replaced by nothing.
"""
import json, math, os, sys, time, types
import torch, torch.nn as nn
from network import ResNet
from safetensors.torch import load_file

for name in ["torchvision", "visdom"]:
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].models = sys.modules[name].Visdom = None
import adv_lib.attacks as adv
from adv_lib.attacks.auto_pgd import minimal_apgd
import foolbox as fb

BUDGETS = [int(n) for n in os.environ.get("BUDGETS", "100 400 1000 2000").split()]
torch.manual_seed(0)
torch.set_num_threads(int(os.environ.get("THREADS", "1")))


class Exhausted(Exception):
    pass


class Counted(nn.Module):
    """Wraps the network: counts passes for each image and keeps the nearest adversarial point within the budget."""

    def __init__(self, network, images, labels, norm, budget):
        super().__init__()
        self.network, self.images, self.labels, self.norm, self.budget = network, images, labels, norm, budget
        self.passes = torch.zeros(len(images), dtype=torch.long)
        self.best = torch.full((len(images),), math.inf)

    def count(self, rows):
        self.passes.index_add_(0, rows, torch.ones_like(rows))
        if bool((self.passes > self.budget).all()):
            raise Exhausted

    def forward(self, x):
        inside = x.detach().clamp(0, 1)
        if len(x) == len(self.images):
            rows = torch.arange(len(x))
        else:
            # Attacks may query a subset of the images: assign each point to the nearest image.
            rows = torch.cdist(inside.flatten(1), self.images.flatten(1)).argmin(1)
        self.count(rows)
        logits = self.network(x)
        if x.requires_grad:
            def back(gradient):
                self.count(rows)
                return gradient
            logits.register_hook(back)
        delta = (inside - self.images[rows]).flatten(1)
        size = (delta != 0).sum(1).float() if self.norm == 0 else delta.double().norm(p=self.norm, dim=1).float()
        # A point outside [0, 1] is not an image.
        valid = (x.detach() - inside).flatten(1).abs().amax(1) < 1e-6
        fallen = (logits.detach().argmax(1) != self.labels[rows]) & valid & (self.passes[rows] <= self.budget)
        size = torch.where(fallen, size, math.inf)
        self.best.scatter_reduce_(0, rows, size, "amin")
        return logits


def attacks(norm):
    """Names and calls: model, images, labels, passes."""
    p = {"linf": math.inf, "l2": 2, "l1": 1, "l0": 0}[norm]
    largest = {"linf": 0.06, "l2": 1.0, "l1": 20.0}.get(norm)

    def searched(passes, runs=10):
        return runs, max(passes // 2 // runs - 1, 1)

    def apgd(loss):
        def run(m, x, y, passes):
            runs, steps = searched(passes, 10 if passes > 100 else 6)
            minimal_apgd(m, x, y, norm=p, max_eps=largest, binary_search_steps=runs, n_iter=steps, loss_function=loss)
        return run

    def apgd_t(m, x, y, passes):
        runs, steps = searched(passes, 10 if passes > 100 else 6)
        minimal_apgd(m, x, y, norm=p, max_eps=largest, binary_search_steps=runs, n_iter=max(steps // 3 - 1, 1), targeted_version=True, num_targets=3)

    def foolbox(attack):
        def run(m, x, y, passes):
            attack(passes)(fb.PyTorchModel(m, bounds=(0, 1)), x, y, epsilons=None)
        return run

    A = fb.attacks
    bb = {"linf": A.LinfinityBrendelBethgeAttack, "l2": A.L2BrendelBethgeAttack, "l1": A.L1BrendelBethgeAttack, "l0": A.L0BrendelBethgeAttack}[norm]
    result = {"adv-lib fmn": lambda m, x, y, n: adv.fmn(m, x, y, norm=p, steps=n // 2)}
    if norm in ("linf", "l1"):
        result["adv-lib pdpgd"] = lambda m, x, y, n: adv.pdpgd(m, x, y, norm=p, num_steps=n // 2)
    if norm == "l2":
        result["adv-lib ddn"] = lambda m, x, y, n: adv.ddn(m, x, y, steps=n // 2, levels=None)
        result["adv-lib pdgd"] = lambda m, x, y, n: adv.pdgd(m, x, y, num_steps=n // 2)
        result["adv-lib alma"] = lambda m, x, y, n: adv.alma(m, x, y, num_steps=n // 2, distance="l2")
        result["adv-lib superdeepfool"] = lambda m, x, y, n: adv.sdf(m, x, y, steps=n)
        result["foolbox ddn"] = foolbox(lambda n: A.DDNAttack(steps=n // 2))
    if norm == "l0":
        result["adv-lib sigma-zero"] = lambda m, x, y, n: adv.sigma_zero(m, x, y, num_steps=n // 2)
        result["adv-lib pdpgd"] = lambda m, x, y, n: adv.pdpgd(m, x, y, norm=0, proximal_operator=23, num_steps=n // 2)
        result["adv-lib vfga"] = lambda m, x, y, n: adv.vfga(m, x, y, targeted=False)
    else:
        result["adv-lib apgd-ce"] = apgd("ce")
        result["adv-lib apgd-dlr"] = apgd("dlr")
        result["adv-lib apgd-t"] = apgd_t
        result["adv-lib fab"] = lambda m, x, y, n: adv.fab(m, x, y, norm=p, n_iter=n)
    if norm in ("linf", "l2"):
        result["adv-lib trust-region"] = lambda m, x, y, n: adv.tr(m, x, y, p=p, iter=n)
        import torchattacks as ta
        name = {"linf": "Linf", "l2": "L2"}[norm]
        result["torchattacks fab"] = lambda m, x, y, n: ta.FAB(m, norm=name, eps=100.0, steps=n)(x, y)
        result["foolbox deepfool"] = foolbox(lambda n: (A.LinfDeepFoolAttack if norm == "linf" else A.L2DeepFoolAttack)(steps=n))
    if norm == "l1":
        result["foolbox ead"] = foolbox(lambda n: A.EADAttack(steps=n // 2, binary_search_steps=1, initial_const=1.0))
    result["foolbox brendel-bethge"] = foolbox(lambda n: bb(steps=n))
    return p, result


def main():
    network, images, count, path = sys.argv[1:5]
    norms = sys.argv[5:] or ["l2", "linf", "l1", "l0"]
    data, state = load_file(images), load_file(network)
    network = ResNet.of(state).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    x, y = (data[name] if name in data else data[f"test_{name}"] for name in ("images", "labels"))
    x, y = x[: int(count)].float() / 255, y[: int(count)].long()
    right = network(x).argmax(1) == y
    print(f"{right.float().mean().item():.3f} of {len(x)} images are classified correctly", flush=True)
    result = json.load(open(path)) if os.path.exists(path) else {}
    for budget in BUDGETS:
        for norm in norms:
            p, all_attacks = attacks(norm)
            for name, attack in all_attacks.items():
                entry = result.setdefault(norm, {}).setdefault(name, {})
                if str(budget) in entry:
                    continue
                model = Counted(network, x[right], y[right], p, budget)
                start = time.process_time()
                try:
                    attack(model, x[right].clone(), y[right].clone(), budget)
                except Exhausted:
                    pass
                except Exception as error:
                    print(norm, name, budget, "fails:", repr(error)[:200], flush=True)
                    continue
                seconds = time.process_time() - start
                sizes = torch.zeros(len(x))
                sizes[right] = model.best
                found = model.best[model.best < math.inf]
                entry[str(budget)] = {"seconds": round(seconds, 1), "sizes": [None if s == math.inf else float(f"{s:.6g}") for s in sizes.tolist()]}
                with open(path, "w") as file:
                    json.dump(result, file)
                print(norm, name, budget, f"median {found.median().item() if len(found) else math.nan:.6f} of {len(found)}, mean passes {model.passes.float().mean().item():.0f}, {seconds:.0f} s", flush=True)


main()
