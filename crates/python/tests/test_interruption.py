"""Ctrl-C during long calls, as a person presses it."""

import signal
import subprocess
import sys
import time

import pytest

CALLS = {
    "similarity": "bp.similarity(numbers.random((9000, 6000), dtype=np.float32), progress=tell)",
    "fit": "bp.fit(scan(), 'default', progress=tell)",
    "attack": "bp.attack(model, numbers.random((64, 1, 8, 8)), np.arange(64) % 3, norm='l2', attack='boundary', steps=100000)",
}

PROGRAM = """
import signal, time, numpy as np, brainprior as bp
# Whoever starts the tests in the background may have them ignore Ctrl-C, which processes inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
numbers = np.random.default_rng(0)
def tell(done, total):
    print("at work", flush=True)
def model(images):
    tell(0, 1)
    time.sleep(0.01)
    return images.reshape(len(images), -1)[:, :3] * 9
def scan():
    images = numbers.random((2000, 36, 64))
    responses = numbers.random((2000, 200))
    return bp.Scan.from_arrays(images, responses, ["train"] * 1800 + ["validation"] * 200)
try:
    CALL
except KeyboardInterrupt:
    print("interrupted", flush=True)
    # The call left nothing locked: the package works on.
    print(len(bp.similarity(numbers.random((5, 4)), progress=False)), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_a_long_call_within_seconds(call):
    program = PROGRAM.replace("CALL", CALLS[call])
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0].split()
    assert first == "at work\n"
    assert rest[-2:] == ["interrupted", "5"], rest
    assert time.monotonic() - pressed < 20
    assert process.returncode == 0
