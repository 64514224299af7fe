"""A compiled network gives what the network gives, to several threads at a time."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.inference.graph_export import compile_function, compile_model


@pytest.fixture
def model():
    keras.utils.set_random_seed(5)
    inputs = keras.Input((4,))
    outputs = {"b": layers.Dense(2)(inputs), "a": layers.Dense(1, activation="relu")(inputs)}
    return keras.Model(inputs, outputs)


def batch(count, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 4)).astype(np.float32)


def test_outputs_come_flat_in_the_order_of_their_names(model):
    first, second = compile_model(model)(batch(3))
    expected = model.predict_on_batch(batch(3))
    assert np.allclose(first, expected["a"], atol=1e-6)
    assert np.allclose(second, expected["b"], atol=1e-6)


def test_tensorflow_gives_what_openvino_gives(model, monkeypatch):
    """On a GPU; here TensorFlow finds a processor, and computes on that."""
    expected = compile_model(model)(batch(3))
    doubled = compile_function(lambda x: (x * 2.0,), (None, 4))(batch(3))
    monkeypatch.setattr("facetag.vision.inference.graph_export.on_gpu", lambda: True)
    for values, same in zip(compile_model(model)(batch(3)), expected, strict=True):
        assert np.allclose(values, same, atol=1e-6)
    assert np.allclose(compile_function(lambda x: (x * 2.0,), (None, 4))(batch(3)), doubled)


def test_later_changes_do_not_reach_it_and_results_are_the_callers_own(model):
    compiled = compile_model(model)
    before = compiled(batch(3))
    kept = [values.copy() for values in before]
    model.set_weights([weights * 0 for weights in model.get_weights()])
    compiled(batch(3, seed=1))
    for values, same in zip(before, kept, strict=True):
        assert np.array_equal(values, same)
    assert np.allclose(compiled(batch(3))[0], kept[0])


@pytest.mark.parametrize("lanes", [1, 3])
def test_more_threads_than_lanes_each_get_their_own_answers(lanes):
    compiled = compile_function(
        lambda x: (x * 2.0, x + 1.0), (None, 4), slots=CpuSlots.for_lanes(lanes)
    )

    def ask(seed):
        given = batch(1 + seed % 5, seed)
        doubled, raised = compiled(given)
        return np.allclose(doubled, given * 2) and np.allclose(raised, given + 1)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(200)))


def test_a_function_takes_any_size_that_its_shape_leaves_open():
    compiled = compile_function(
        lambda x: (tf.reduce_sum(x, axis=(1, 2, 3)),), (None, None, None, 3)
    )
    for shape in [(1, 2, 3, 3), (2, 5, 4, 3), (1, 2, 3, 3)]:
        assert np.allclose(compiled(np.ones(shape, np.float32))[0], np.prod(shape[1:]))


def test_openvino_reports_to_nobody(tmp_path):
    program = (
        "import sys, facetag.vision.inference.openvino_backend, openvino;"
        "assert sys.modules['openvino_telemetry'] is None;"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]"
    )
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert not (tmp_path / "intel").exists()


def test_signals_arrive_after_networks_have_come_and_gone():
    program = """
import gc, signal
import numpy as np
from facetag.vision.inference.graph_export import compile_function

for shape in [(None, 4), (None, 5)]:
    first = compile_function(lambda x: (x * 2.0,), shape)
    second = compile_function(lambda x: (x + 2.0,), shape)
    first(np.ones((1, shape[1]), np.float32))
    del first, second
    gc.collect()
arrived = []
signal.signal(signal.SIGTERM, lambda *_: arrived.append(1))
signal.raise_signal(signal.SIGTERM)
assert arrived
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_two_threads_that_are_the_first_to_hand_over_arrays_do_not_hang():
    program = """
import threading
from facetag.vision.inference.openvino_backend import open_core

open_core()
import openvino

base, together = 3, threading.Barrier(2)

def meet_numpy():
    to_dtype = openvino.Type.f32.to_dtype
    together.wait()
    base**900_000  # keeps the interpreter until the other thread insists on it
    to_dtype()

threads = [threading.Thread(target=meet_numpy) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
