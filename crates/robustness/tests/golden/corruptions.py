"""Corrupts 100 images by CIFAR-10-C's own construction and writes how much it changes them.

    python corruptions.py MAKE_CIFAR_C.py

MAKE_CIFAR_C.py is `ImageNet-C/create_c/make_cifar_c.py` of github.com/hendrycks/robustness, which is run as it is up to where it
reads CIFAR; what it imports by names that scipy, skimage and numpy have changed since is passed on under the new ones. Writes
corruptions.json: for each family, over the severities, the mean absolute change of a pixel over its images (mean and standard
error over ten draws), and for families without randomness the bytes of the first image. Needs Wand and ImageMagick for the trails.
"""
import json, os, sys, types
import numpy as np, scipy.ndimage, skimage.filters
from PIL import Image
from safetensors.numpy import load_file

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES, DRAWS = 100, 10
FIXED = ["gaussian_blur", "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"]
RANDOM = ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "glass_blur", "motion_blur", "snow", "fog", "elastic_transform"]

for name in ["torch", "torch.utils", "torch.utils.data", "torchvision", "torchvision.datasets", "torchvision.transforms"]:
    sys.modules[name] = types.ModuleType(name)
for child in ["torch.utils", "torch.utils.data", "torchvision.datasets", "torchvision.transforms"]:
    parent, _, name = child.rpartition(".")
    setattr(sys.modules[parent], name, sys.modules[child])
sys.modules["torch"].Tensor = type("Tensor", (), {})
interpolation = sys.modules["scipy.ndimage.interpolation"] = types.ModuleType("scipy.ndimage.interpolation")
interpolation.map_coordinates = scipy.ndimage.map_coordinates
new_gaussian = skimage.filters.gaussian
skimage.filters.gaussian = lambda image, sigma, multichannel=False, **more: new_gaussian(image, sigma, channel_axis=-1 if multichannel else None, **more)
np.float_, np.fromstring = np.float64, np.frombuffer

theirs = {"__name__": "make_cifar_c"}
exec(open(sys.argv[1]).read().split("# /////////////// End Distortions")[0], theirs)

data = load_file(os.path.join(HERE, "images.safetensors"))
images = data["images"][:IMAGES, 0]
result, first = {}, {}
for family in FIXED + RANDOM:
    result[family] = {"change": [], "error": []}
    for severity in range(1, 6):
        changes = []
        for draw in range(1 if family in FIXED else DRAWS):
            np.random.seed(1000 * draw + severity)
            corrupted = [np.uint8(theirs[family](Image.fromarray(np.repeat(image[..., None], 3, 2)), severity)) for image in images]
            corrupted = np.stack(corrupted)[..., 0]
            changes.append(np.abs(corrupted.astype(float) - images).mean() / 255)
        result[family]["change"].append(round(float(np.mean(changes)), 6))
        spread = np.std(changes, ddof=1) / np.sqrt(len(changes)) if len(changes) > 1 else 0.0
        result[family]["error"].append(round(float(spread), 7))
        if family in FIXED:
            result[family].setdefault("first", []).append(corrupted[0].flatten().tolist())
    print(family, result[family]["change"], flush=True)
with open(os.path.join(HERE, "corruptions.json"), "w") as file:
    json.dump(result, file)
