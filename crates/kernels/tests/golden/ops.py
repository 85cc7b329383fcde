#!/usr/bin/env python3
"""Writes ops.safetensors: inputs, outputs and gradients of every operation, in PyTorch.

    pip install torch numpy safetensors
    python ops.py

Inputs are f32; PyTorch computes in f64 and the results are stored as f32, so the only difference is our own rounding. A case is a set
of tensors `case.name`; `case.upstream` is the gradient from which the backward pass starts, `case.d_name` the gradient of an input. The
name of a case contains its parameters, which the test parses.
"""
import os
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(11)
out = {}


def case(name, f, inputs, constants=()):
    """Records f(*inputs, *constants) with the gradients of the inputs."""
    values = {key: torch.randn(*shape) if isinstance(shape, tuple) else shape for key, shape in inputs.items()}
    wide = {key: value.double().requires_grad_() for key, value in values.items()}
    y = f(**wide, **{key: value.double() if value.is_floating_point() else value for key, value in dict(constants).items()})
    upstream = torch.randn(y.shape)
    y.backward(upstream.double())
    for key, value in [*values.items(), *dict(constants).items()]:
        out[f"{name}.{key}"] = value if value.is_floating_point() else value.to(torch.uint32)
    out[f"{name}.y"], out[f"{name}.upstream"] = y, upstream
    out.update({f"{name}.d_{key}": value.grad for key, value in wide.items()})


# batch, in, out, height, width, kernel, stride, padding, dilation, groups
for b, i, o, h, w, k, s, p, d, g in [(2, 1, 4, 9, 11, 7, 1, 3, 1, 1), (3, 4, 6, 8, 8, 3, 1, 1, 1, 1), (2, 8, 8, 13, 7, 3, 1, 1, 1, 1),
                                     (2, 3, 5, 9, 10, 3, 2, 1, 1, 1), (2, 4, 6, 8, 7, 1, 2, 0, 1, 1), (1, 3, 4, 11, 12, 3, 1, 2, 2, 1),
                                     (2, 6, 6, 8, 9, 5, 1, 2, 1, 6), (2, 4, 8, 7, 9, 3, 2, 1, 1, 2)]:
    case(f"conv2d s{s} p{p} d{d} g{g} {b}x{i}->{o} {h}x{w} k{k}", lambda x, weight: F.conv2d(x, weight, None, s, p, d, g),
         dict(x=(b, i, h, w), weight=(o, i // g, k, k)))

EPSILON = 1e-5
activations = dict(identity=lambda x: x, relu=F.relu, elu=F.elu)
for name, activation in activations.items():
    def train(x, scale, shift, residual=0.0):
        return activation(F.batch_norm(x, None, None, scale, shift, True, 0.1, EPSILON) + residual)

    def evaluate(x, scale, shift, residual=0.0, mean=None, variance=None):
        return activation(F.batch_norm(x, mean, variance, scale, shift, False, 0.1, EPSILON) + residual)
    shape = (3, 5, 4, 7)
    plain = dict(x=shape, scale=(5,), shift=(5,))
    running = dict(mean=torch.randn(5), variance=torch.rand(5) + 0.5)
    case(f"batch_norm_train {name}", train, plain)
    case(f"batch_norm_train {name} residual", train, dict(plain, residual=shape))
    case(f"batch_norm_eval {name}", evaluate, plain, running)
    case(f"batch_norm_eval {name} residual", evaluate, dict(plain, residual=shape), running)

case("average_pool 4 4", lambda x: F.avg_pool2d(x, 4, 4), dict(x=(2, 3, 8, 12)))
case("average_pool 3 2", lambda x: F.avg_pool2d(x, 3, 2), dict(x=(2, 3, 8, 11)))
case("area_pool 2", lambda x: F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False), dict(x=(2, 3, 9, 7)))

for align in (False, True):
    def sample(features, positions):
        grid = positions[:, :, None, :]
        return F.grid_sample(features, grid, "bilinear", "border", align)[..., 0]
    # Extends beyond the edges.
    positions = dict(positions=torch.rand(2, 6, 2) * 2.8 - 1.4)
    case(f"grid_sample {align}", sample, dict(features=(2, 3, 5, 7), **positions))
    if not align:
        case("point_readout", lambda features, positions, weights: (sample(features, positions) * weights.T).sum(1),
             dict(features=(2, 3, 5, 7), **positions, weights=(6, 3)))


def cosine(features, center):
    u, v = (features - center[:, None, None]).flatten(1).chunk(2)
    return F.cosine_similarity(u, v, eps=1e-30)


case("pair_cosine", cosine, dict(features=(6, 4, 3, 5)), dict(center=torch.randn(4)))


def arctanh_squared(similarity, target, scale):
    limit = 1 - 1e-5
    return scale * (torch.atanh(similarity.clamp(-limit, limit)) - torch.atanh(target.clamp(-limit, limit))).square().mean()


for scale in (1, 4):
    case(f"arctanh_squared_loss {scale}", lambda similarity, target: arctanh_squared(similarity, target, scale),
         dict(similarity=torch.tensor([0.3, -0.99, 1.0, -1.0, 0.0, 0.9])), dict(target=torch.tensor([0.1, 0.5, 1.0, 0.2, -1.0, -0.3])))
case("cross_entropy", lambda logits, labels: F.cross_entropy(logits, labels), dict(logits=torch.randn(5, 7) * 4),
     dict(labels=torch.tensor([0, 6, 3, 3, 1])))

optimisers = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=5e-4),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.05),
}
for name, make in optimisers.items():
    start, gradients = torch.randn(37), torch.randn(4, 37)
    parameter = start.double().requires_grad_()
    optimiser = make([parameter])
    path = []
    for gradient in gradients:
        parameter.grad = gradient.double()
        optimiser.step()
        path.append(parameter.detach().clone())
    out |= {f"{name}.start": start, f"{name}.gradients": gradients, f"{name}.path": torch.stack(path)}

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops.safetensors")
save_file({name: (tensor.detach().float() if tensor.is_floating_point() else tensor).clone() for name, tensor in out.items()}, path)
print(os.path.getsize(path), "bytes,", len(out), "tensors")
