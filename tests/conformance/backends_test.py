"""TensorFlow, JAX and PyTorch train a model to the same end, by every rule.

other_backends.py finds their interpreters.
"""

import numpy as np
import pytest

from tests.conformance import fifty_steps
from tests.conformance.other_backends import interpreter, run


@pytest.fixture(scope="module")
def on_tensorflow():
    if not (interpreter("jax") or interpreter("torch")):
        pytest.skip("neither jax nor torch is installed")
    return fifty_steps.train_all()


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_fifty_steps_agree_with_tensorflow(backend, on_tensorflow, tmp_path):
    path = tmp_path / "trained.npz"
    program = (
        "import runpy\n"
        "runpy.run_module('tests.conformance.fifty_steps', "
        "run_name='__main__', alter_sys=False)"
    )
    run(backend, program, str(path))
    found = np.load(path)
    assert set(found.files) == set(on_tensorflow)
    start = fifty_steps.make_model().get_weights()
    for key, value in on_tensorflow.items():
        np.testing.assert_allclose(found[key], value, atol=1e-5, err_msg=key)
        assert np.max(np.abs(value - start[int(key[-1])])) > 1e-4, key


STATELESS = """
import jax, numpy as np, keras
from keras_lopt import LearnedOptimizer, rules
for name in rules.names():
    rule = rules.get(name)
    if {"train_loss", "horizon"} & set(rule.required_signals):
        continue
    theta = rule.init_theta(0)
    start = np.float32([[1.0, -2.0], [0.5, 3.0]])
    ways = []
    for is_stateless in (True, False):
        variable = keras.Variable(start)
        optimizer = LearnedOptimizer(rule, theta)
        optimizer.build([variable])
        if is_stateless:
            params = [variable.value]
            state = [v.value for v in optimizer.variables]
            apply = jax.jit(optimizer.stateless_apply)
            for _ in range(3):
                params, state = apply(state, [2.0 * params[0]], params)
            ways.append(params[0])
            assert int(state[0]) == 3
        else:
            for _ in range(3):
                optimizer.apply([2.0 * variable.value], [variable])
            ways.append(variable.value)
    np.testing.assert_allclose(*ways, rtol=1e-6)
    assert np.any(np.asarray(ways[0]) != start)
"""

OWN_LOOP = """
import jax, numpy as np, keras
from keras_lopt import LearnedOptimizer
from tests import small_rules
rule = small_rules.small_rule("hierarchical", step_mult=0.1)
optimizer = LearnedOptimizer(rule, small_rules.descending_theta(rule))
variable = keras.Variable(np.float32([1.0, -2.0]))
optimizer.build([variable])

def loss(params):
    value = (params[0] ** 2).sum()
    return optimizer.scale_loss(value), value

@jax.jit
def train_step(params, state):
    (_, value), grads = jax.value_and_grad(loss, has_aux=True)(params)
    params, state = optimizer.stateless_apply(state, grads, params)
    return params, state, value

params = [variable.value]
state = [v.value for v in optimizer.variables]
losses = []
for _ in range(20):
    params, state, value = train_step(params, state)
    losses.append(float(value))
assert losses[-1] < 0.5 * losses[0], losses
for v, value in zip(optimizer.variables, state):
    v.assign(value)
assert float(optimizer._slots.values()["train_loss"]["count"]) == 20.0
"""


@pytest.mark.parametrize(
    "program", [STATELESS, OWN_LOOP], ids=["rules", "loss"]
)
def test_stateless_apply_works_under_jax_jit(program):
    run("jax", program)


TORCH_LOOP = """
import numpy as np, torch, keras
from keras_lopt import LearnedOptimizer
from tests import small_rules
rule = small_rules.small_rule("hierarchical", step_mult=0.1)
optimizer = LearnedOptimizer(rule, small_rules.descending_theta(rule))
variable = keras.Variable(np.float32([1.0, -2.0]))
optimizer.build([variable])
losses = []
for _ in range(20):
    variable.value.grad = None
    loss = optimizer.scale_loss((variable.value ** 2).sum())
    loss.backward()
    optimizer.apply([variable.value.grad])
    losses.append(float(loss.detach()))
assert losses[-1] < 0.5 * losses[0], losses
assert not any(v.value.requires_grad for v in optimizer.variables)
"""


def test_a_torch_loop_works_without_no_grad():
    run("torch", TORCH_LOOP)


TORCH_COMPILED = """
import sys
import numpy as np, torch, keras
from keras_lopt import LearnedOptimizer
from tests import small_rules
for name in ["fused"]:
    rule = small_rules.small_rule(name)
    ways = []
    for is_compiled in (False, True):
        optimizer = LearnedOptimizer(rule, rule.init_theta(0))
        shapes = (3, 2), (2,), (2, 2), ()
        variables = [keras.Variable(np.ones(s, "float32")) for s in shapes]
        optimizer.build(variables)
        grads = [torch.ones(s) for s in shapes]

        def step():
            optimizer.scale_loss(torch.ones(()))
            optimizer.apply(grads, variables)

        if is_compiled:  # Raises at the first break of the graph.
            step = torch.compile(step, backend="eager", fullgraph=True)
        step()
        ways.append([v.value.detach().numpy() for v in variables])
    for a, b in zip(*ways):
        np.testing.assert_allclose(a, b, rtol=1e-6)
"""


def test_torch_compiles_a_step_without_a_graph_break():
    run("torch", TORCH_COMPILED)
