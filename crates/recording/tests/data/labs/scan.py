"""The small scan in all files of this folder, unless their name says what is wrong with them.

12 trials of 7 neurons; 8 images of 5 x 8 pixels: images 0 to 4 are for training, 5 is for validation, and 6 and 7 are shown three
times each in tier test. `../make.py` writes the same scan.
"""

import numpy as np

trials, neurons, height, width = 12, 7, 5, 8
image = np.array([0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 6, 7])
distinct = ((np.arange(8 * height * width) * 53) % 256).reshape(8, 1, height, width)
distinct[:, 0, 0, 0] = np.arange(8)
images = distinct[image].astype("u1")
responses = ((np.arange(trials * neurons).reshape(trials, neurons) * 29 % 64) / 16).astype("f4")
tiers = ["train"] * 5 + ["validation"] + ["test"] * 6
behavior = np.arange(trials * 3, dtype="f4").reshape(trials, 3)
pupil_center = np.arange(trials * 2, dtype="f4").reshape(trials, 2) / 2
image_id = image * 10
unit_ids = np.arange(100, 100 + neurons)
