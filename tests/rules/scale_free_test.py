"""The rule scale_free against plain NumPy, and what it promises."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_lopt import rules
from keras_lopt.rules import scale_free
from keras_lopt.rules.networks import tensor_rows

FRACTIONS = np.array([0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1])
SHAPES = [(4, 3), (5,), (), (2, 2, 3), (3, 1)]


def rms(x):
    return np.sqrt(np.mean(x**2))


class NumpyScaleFree:
    """One tensor: features last, in float64, from the rule's description."""

    def __init__(self, theta, **options):
        self.theta = theta
        self.options = options
        self.m = {d: 0.0 for d in (0.9, 0.99, 0.999)}
        self.v = {d: 0.0 for d in (0.95, 0.999)}
        self.largest = 0.0
        self.active = 0.0
        self.first = None
        self.losses = []
        self.memory = np.zeros(options.get("step_memory", 0))

    def mlp(self, prefix, x, activation):
        w0, b0, w1, b1 = (
            self.theta[f"{prefix}{leaf}"] for leaf in ("w0", "b0", "w1", "b1")
        )
        return activation(x @ w0 + b0) @ w1 + b1

    def time(self, t, horizon):
        log_t = [np.log(1.0 + t) / 5.0 - 1.0]
        if horizon is None:
            return np.array([0.0] * 11 + log_t)
        fraction = min(t / horizon, 1.1)
        known = [1.0, np.log(horizon) / 3.0 - 2.0]
        tanhs = np.tanh(10.0 * (fraction - FRACTIONS))
        return np.concatenate([tanhs, known, log_t])

    def loss_features(self, loss):
        self.losses.append(loss)
        means, mean = [], 0.0
        for n, value in enumerate(self.losses, 1):
            mean = 0.9 * mean + 0.1 * value
            means.append(mean / (1.0 - 0.9**n))
        now = means[-1]
        return [np.log(now / means[0]) / 4, np.log(now / min(means)) / 4]

    def see(self, g, p, t, loss):
        """Features of the tensor; sees an entry's and the scales."""
        on = self.options.get
        n = t + 1.0
        old_mean = {d: np.mean(v) for d, v in self.v.items()}
        for d in self.m:
            self.m[d] = d * self.m[d] + (1.0 - d) * g
        for d in self.v:
            self.v[d] = d * self.v[d] + (1.0 - d) * g**2
        m = list(self.m.values())
        r95, r999 = (
            1.0 / np.sqrt(x + 1e-8 * old_mean[d] + 1e-30)
            for d, x in self.v.items()
        )
        odd = [g * r95, m[0] * r95, m[0] * r999, m[1] * r999, m[2] * r999]
        odd += [g, m[0], m[1], p]
        odd = np.stack([np.clip(o / rms(o), -10, 10) for o in odd], axis=-1)
        corrected = {d: x / (1.0 - d**n) for d, x in self.v.items()}
        ratio = np.log(np.sqrt(corrected[0.95] / corrected[0.999]))
        even = np.concatenate([odd**2 / (1 + odd**2), ratio[..., None]], -1)
        self.entries = odd, even

        mean_v = {d: np.mean(x) for d, x in corrected.items()}
        self.largest = max(self.largest, mean_v[0.95])
        signal = np.mean(m[0] ** 2) / (1 - 0.9**n) ** 2 / mean_v[0.95]
        noise = np.clip((1 - signal) / (1 - 0.1 / 1.9), 0, 1)
        self.gradient_ratio = np.sqrt(mean_v[0.95] / self.largest)
        self.settled = self.gradient_ratio ** (noise**2)
        self.first = rms(p) if self.first is None else self.first
        tensor = [
            np.log(np.mean(x**2) / (1 - d**n) ** 2 / mean_v[0.999]) / 4
            for d, x in self.m.items()
        ]
        tensor.append(np.mean(g * m[1]) / (rms(g) * rms(m[1])))
        tensor.append(np.log(mean_v[0.95] / mean_v[0.999]) / 4)
        kind = {0: 0, 1: 0, 2: 1}.get(np.ndim(p), 2)
        tensor += list(np.eye(3)[kind])
        tensor.append(np.log(np.size(p)) / 6 - 1)
        self.active = 0.95 * self.active + 0.05 * np.mean(g != 0.0)
        active = self.active / (1.0 - 0.95**n)
        tensor.append(np.log(max(active, 1e-3)) / 4)
        floor = 0.1 * np.exp(2 * self.theta["floors"][kind])
        first, now = max(self.first, floor), max(rms(p), floor)
        if on("done_features", True):
            tensor.append(np.log(mean_v[0.95] / self.largest) / 4)
            tensor.append(np.log(now / first))
        if on("loss_features"):
            tensor += self.loss_features(loss)
        tensor += list(self.memory)
        self.scales = first, now, kind
        return tensor

    def delta(self, g, p, tensor, model, t, horizon):
        on = self.options.get
        (odd, even), (first, now, kind) = self.entries, self.scales
        time = self.time(t, horizon)
        context = time
        if on("gates_see_tensor"):
            context = np.concatenate([time, tensor])
        inputs = [] if on("is_odd", True) else [odd]
        inputs += [even, np.broadcast_to(context, (*g.shape, len(context)))]
        outputs = self.mlp(
            "", np.concatenate(inputs, -1), lambda x: np.maximum(x, 0)
        )
        direction = outputs[..., 0]
        if on("is_odd", True):
            direction = np.sum(outputs * odd, axis=-1)
        if on("is_orthogonal"):
            direction = newton_schulz(direction)
        inputs = np.concatenate([time, tensor, model])
        out = self.mlp("step_", inputs, np.tanh)
        if count := on("step_memory", 0):
            decays = np.array([0.9, 0.97, 0.99, 0.9][:count])
            seen = np.tanh(out[-count:])
            self.memory = decays * self.memory + (1 - decays) * seen
        size = 0.01 * np.exp(2 * out)
        a = 1 / (1 + np.exp(-(4 * self.theta["exponents"][kind] - 3)))
        scale = first ** (1 - a) * now**a if on("first_scale", True) else now
        scale *= self.settled ** on("settled_exponent", 0.0)
        delta = -size[0] * scale * direction / rms(direction)
        decay = on("growth_decay", 0.0) * np.clip(np.log(now / first), 0, 3)
        delta -= size[0] * decay * np.sqrt(self.gradient_ratio) * p
        if on("pull"):
            delta -= size[1] * np.clip(np.log(now / first), -1, 1) * p
        return delta


def newton_schulz(x):
    """Three iterations towards the nearest orthogonal matrix."""
    if x.ndim < 2 or x.size == max(x.shape):
        return x
    rows = {(2, 2, 3): 4}.get(x.shape, x.shape[0])
    matrix = x.reshape(rows, -1)
    matrix = matrix / np.linalg.norm(matrix)
    for _ in range(3):
        square = matrix @ matrix.T
        matrix = (
            3.4445 * matrix
            - 4.7750 * square @ matrix
            + 2.0315 * square @ square @ matrix
        )
    return matrix.reshape(x.shape)


def model_features(params, features):
    """Of each tensor: its inputs, tensors and size of the model, means."""
    size = sum(np.size(p) for p in params)
    of_all = [np.log(len(params)) / 2 - 0.75, np.log(size) / 6 - 1]
    return [
        [np.log(np.prod(p.shape[:-1])) / 3 - 1, *of_all, *np.mean(features, 0)]
        for p in params
    ]


def tensors(rng, shapes=SHAPES):
    return [rng.normal(size=s).astype(np.float32) for s in shapes]


def some_theta(rule, seed=3):
    """A random theta in which every leaf matters."""
    rng = np.random.default_rng(seed)
    return {
        k: v + 0.3 * rng.normal(size=v.shape).astype(np.float32)
        for k, v in rule.init_theta(seed).items()
    }


def sensible_theta(rule):
    """The gate of the momentum over the root of a second moment is open."""
    theta = {k: np.zeros(s, np.float32) for k, s in rule.theta_shapes().items()}
    theta["b1"][1] = 1.0
    theta["step_b1"][0] = 0.5
    return theta


def run(rule, theta, params, gradients, update=None, **signals):
    """Deltas of every step; `gradients` is a list over steps."""
    update, found = update or rule.update, []
    slots = rule.init_slots(theta, params)
    for step, grads in enumerate(gradients):
        deltas, slots = update(
            theta, grads, params, slots, {"step": tf.constant(step), **signals}
        )
        params = [p + d for p, d in zip(params, deltas, strict=True)]
        found.append([np.asarray(d) for d in deltas])
    for leaf in keras.tree.flatten(slots):
        assert np.all(np.isfinite(leaf))
    return found


def assert_close(found, expected, rtol=1e-4):
    """Over steps and tensors, relative to the largest entry of a tensor."""
    for deltas, others in zip(found, expected, strict=True):
        for delta, other in zip(deltas, others, strict=True):
            assert np.shape(delta) == np.shape(other)
            error = np.max(np.abs(delta - other), initial=0.0)
            assert error <= rtol * np.max(np.abs(other), initial=0.0)


OPTIONS = {
    "default": {},
    "plain": {"is_odd": False},
    "no_memory": {"first_scale": False, "done_features": False},
    "loss_and_pull": {"loss_features": True, "pull": True},
    "gates": {"gates_see_tensor": True, "hidden_units": 5},
    "model": {"model_features": True, "loss_features": True},
    "settled": {"settled_exponent": 0.4, "lookup_floor": 2.0},
    "memory": {"model_features": True, "pull": True, "step_memory": 4},
    "orthogonal": {"is_orthogonal": True, "growth_decay": 0.5},
}

#: Where a tensor's step depends on the other tensors.
OF_MODEL = ("model", "memory")


@pytest.mark.parametrize("horizon", [None, 15])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_agrees_with_the_description(rng, options, horizon):
    rule = rules.get("scale_free", **options)
    theta = some_theta(rule)
    exact = {k: v.astype(np.float64) for k, v in theta.items()}
    params = tensors(rng)
    references = [NumpyScaleFree(exact, **options) for _ in params]
    slots = rule.init_slots(theta, params)
    for step in range(20):
        grads, loss = tensors(rng), 2.0 + np.sin(step) - 0.05 * step
        signals = {"step": step, "train_loss": np.float32(loss)}
        if horizon is not None:
            signals["horizon"] = horizon
        deltas, slots = rule.update(theta, grads, params, slots, signals)
        seen = [
            (reference, np.float64(g), np.float64(p))
            for reference, g, p in zip(references, grads, params)
        ]
        features = [r.see(g, p, step, loss) for r, g, p in seen]
        model = [[]] * len(params)
        if rule.model_features:
            model = model_features(params, features)
        expected = [
            reference.delta(g, p, of_tensor, of_model, step, horizon)
            for (reference, g, p), of_tensor, of_model in zip(
                seen, features, model
            )
        ]
        assert_close([deltas], [expected], rtol=1e-4)
        params = [p + d for p, d in zip(params, deltas, strict=True)]


def test_one_controller_sees_the_mean_of_the_tensors(rng):
    shared = rules.get("scale_free", shared_controller=True)
    own = rules.get("scale_free")
    theta, params = some_theta(own), tensors(rng)
    gradients = [tensors(rng) for _ in range(3)]
    same = [params[0]] * 3
    same_gradients = [[grads[0]] * 3 for grads in gradients]
    assert_close(
        run(shared, theta, same, same_gradients),
        run(own, theta, same, same_gradients),
    )
    (deltas,) = run(shared, theta, params, gradients[:1])
    theta["floors"][:], theta["exponents"][:] = -9.0, 0.0
    sizes = [rms(d) / rms(p) for d, p in zip(deltas, params)]
    np.testing.assert_allclose(sizes, sizes[0], rtol=1e-5)
    (deltas,) = run(own, theta, params, gradients[:1])
    assert np.ptp([rms(d) / rms(p) for d, p in zip(deltas, params)]) > 1e-3


@pytest.mark.parametrize(
    "shapes, factor",
    [([(4, 3), (3,)] * 12, 0.5), ([(4, 3)] * 3, 1.0), ([(5,), ()], 1.0)],
)
def test_models_of_many_matrices_take_shorter_steps(rng, shapes, factor):
    plain = rules.get("scale_free")
    deep = rules.get("scale_free", depth_exponent=0.5)
    theta, params = some_theta(plain), tensors(rng, shapes)
    gradients = [tensors(rng, shapes)]
    (expected,) = run(plain, theta, params, gradients)
    (found,) = run(deep, theta, params, gradients)
    assert_close([found], [[np.float32(factor) * d for d in expected]])


def test_steps_settle_if_gradients_get_smaller_and_are_noise(rng):
    plain = rules.get("scale_free")
    settled = rules.get("scale_free", settled_exponent=0.5)
    theta, params = sensible_theta(plain), tensors(rng, [(6, 5)])
    sizes = 0.995 ** np.arange(300, dtype=np.float32)  # To 0.22.
    noise = [tensors(rng, [(6, 5)]) for _ in sizes]

    def ratio(gradients):
        gradients = [[r * g for g in gs] for r, gs in zip(sizes, gradients)]
        ends = []
        for rule in (settled, plain):
            update = tf.function(rule.update, autograph=False)
            ends.append(run(rule, theta, params, gradients, update)[-1][0])
        return rms(ends[0]) / rms(ends[1])

    assert ratio([noise[0]] * len(sizes)) == pytest.approx(1.0, abs=0.03)
    assert ratio(noise) == pytest.approx(0.25**0.5, abs=0.1)


def test_tables_that_are_looked_up_in_have_a_floor_of_their_own(rng):
    rule = rules.get("scale_free", lookup_floor=20.0, floors=(1e-3,) * 3)
    plain = rules.get("scale_free", floors=(1e-3,) * 3)
    theta = sensible_theta(rule)
    shapes = [(40, 5), (10, 5), (40, 5), (40, 5), (40,)]
    params = [np.float32(0.01) * p for p in tensors(rng, shapes)]
    gradients = [tensors(rng, shapes) for _ in range(2)]
    for step, grads in enumerate(gradients):
        for i in (0, 1, 4):  # One half of the rows, then the other one.
            half = len(params[i]) // 2
            grads[i][half * step : half * (step + 1)] = 0.0
        grads[2][:, 2 * step : 2 * step + 3] = 0.0  # Units that are not active.
    found = run(rule, theta, params, gradients)
    others = run(plain, theta, params, gradients)
    ratio = 20.0 * 0.5**4 / np.sqrt(20.0) / rms(params[0])
    assert ratio > 10.0
    for deltas, plain_deltas in zip(found, others):
        np.testing.assert_allclose(
            deltas[0], ratio * plain_deltas[0], rtol=3e-3, atol=1e-6
        )
        # Few inputs per output, zeros in columns, all rows in use, no matrix.
        assert_close([deltas[1:]], [plain_deltas[1:]])


def test_the_floor_of_tables_is_at_most_one_and_needs_a_gradient(rng):
    rule = rules.get("scale_free", lookup_floor=1e4)
    plain = rules.get("scale_free", floors=(0.1, 1.0, 0.1))
    theta, params = sensible_theta(rule), tensors(rng, [(40, 5)])
    params[0] *= np.float32(1e-3)
    (grad,) = tensors(rng, [(40, 5)])
    grad[4:] = 0.0
    gradients = [[grad], [grad]]
    found = run(rule, theta, params, gradients)
    assert_close(found, run(plain, theta, params, gradients), rtol=1e-3)
    slots = rule.init_slots(theta, params)
    grads = [np.zeros_like(grad)]
    _, slots = rule.update(theta, grads, params, slots, {"step": 0})
    np.testing.assert_allclose(slots["active_rows"], [[0.05]], rtol=1e-6)


@pytest.mark.parametrize("gradient_scale", [1e-8, 1e-4, 1e4])
def test_a_factor_on_the_loss_changes_nothing(rng, gradient_scale):
    rule = rules.get("scale_free")
    theta, params = some_theta(rule), tensors(rng)
    gradients = [tensors(rng) for _ in range(6)]
    scaled = [[gradient_scale * g for g in grads] for grads in gradients]
    expected = run(rule, theta, params, gradients)
    assert_close(run(rule, theta, params, scaled), expected)


@pytest.mark.parametrize("scale", [1e-2, 1e2])
def test_another_unit_of_the_parameters_is_a_factor_on_their_deltas(rng, scale):
    """Above the least RMS; a gradient is by that unit, too."""
    rule = rules.get("scale_free", floors=(1e-6,) * 3, pull=True)
    theta, params = some_theta(rule), tensors(rng)
    gradients = [tensors(rng) for _ in range(6)]
    scales = [scale, 1.0, 1.0 / scale, scale, 1.0]  # Tensor by tensor.
    found = run(
        rule,
        theta,
        [s * p for s, p in zip(scales, params)],
        [[g / s for s, g in zip(scales, grads)] for grads in gradients],
    )
    expected = run(rule, theta, params, gradients)
    expected = [[s * d for s, d in zip(scales, ds)] for ds in expected]
    assert_close(found, expected)


def test_what_starts_at_zero_moves_by_the_least_rms(rng):
    rule = rules.get("scale_free", floors=(0.5, 0.1, 0.1))
    theta = sensible_theta(rule)
    params = [np.zeros(s, np.float32) for s in SHAPES[:2]]
    (deltas,) = run(rule, theta, params, [tensors(rng, SHAPES[:2])])
    size = 0.01 * np.exp(2 * 0.5)
    assert rms(deltas[0]) == pytest.approx(0.1 * size, rel=1e-5)
    assert rms(deltas[1]) == pytest.approx(0.5 * size, rel=1e-5)


def test_the_opposite_gradient_and_parameter_have_the_opposite_delta(rng):
    rule = rules.get("scale_free", pull=True)
    theta, params = some_theta(rule), tensors(rng)
    gradients = [tensors(rng) for _ in range(4)]
    found = run(
        rule,
        theta,
        [-p for p in params],
        [[-g for g in gs] for gs in gradients],
    )
    for deltas, others in zip(found, run(rule, theta, params, gradients)):
        for delta, other in zip(deltas, others):
            np.testing.assert_array_equal(delta, -other)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_tensor_without_gradient_stays(rng, options):
    rule = rules.get("scale_free", **options)
    theta, params = some_theta(rule), tensors(rng)
    gradients = [tensors(rng) for _ in range(3)]
    for grads in gradients:
        grads[0] = np.zeros_like(grads[0])
    for deltas in run(rule, theta, params, gradients, train_loss=1.0):
        np.testing.assert_array_equal(deltas[0], np.zeros_like(deltas[0]))
        assert all(np.any(delta != 0.0) for delta in deltas[1:])


def test_entries_that_are_not_finite_count_as_zero(rng):
    rule = rules.get("scale_free")
    theta, params = some_theta(rule), tensors(rng)
    gradients = [tensors(rng) for _ in range(3)]
    gradients[1][0][:2, 0] = gradients[1][1][3] = 0.0
    broken = [[g.copy() for g in grads] for grads in gradients]
    broken[1][0][:2, 0] = np.nan, np.inf
    broken[1][1][3] = -1e30
    found = run(rule, theta, params, broken)
    for deltas, others in zip(found, run(rule, theta, params, gradients)):
        for delta, other in zip(deltas, others):
            np.testing.assert_array_equal(delta, other)


def test_no_horizon_is_none_zero_or_nan(rng):
    rule = rules.get("scale_free")
    theta, params = some_theta(rule), tensors(rng)
    gradients = [tensors(rng) for _ in range(3)]
    expected = run(rule, theta, params, gradients)
    for horizon in (None, 0, np.float32(np.nan), tf.constant(0)):
        found = run(rule, theta, params, gradients, horizon=horizon)
        assert_close(found, expected, rtol=0.0)
    known = run(rule, theta, params, gradients, horizon=100)
    assert np.max(np.abs(known[0][0] / expected[0][0] - 1.0)) > 0.01


def test_a_set_of_numbers_for_known_horizons_and_one_for_others(rng):
    both = rules.get("scale_free", by_horizon=True)
    one = rules.get("scale_free")
    sets = some_theta(one, 1), some_theta(one, 2)
    theta = {k: np.stack([s[k] for s in sets]) for k in sets[0]}
    shapes = {k: v.shape for k, v in theta.items()}
    assert dict(both.theta_shapes()) == shapes
    drawn = both.init_theta(0)
    assert {k: v.shape for k, v in drawn.items()} == shapes
    assert np.all(drawn["w0"][0] != drawn["w0"][1])
    params, gradients = tensors(rng), [tensors(rng) for _ in range(3)]
    for horizon, alone in zip((50, None), sets):
        found, expected = (
            run(rule, values, params, gradients, horizon=horizon)
            for rule, values in ((both, theta), (one, alone))
        )
        assert_close(found, expected, rtol=0.0)


def test_past_the_horizon_is_as_a_tenth_past_it():
    def times(step, horizon):
        signals = {"step": step, "horizon": horizon}
        return scale_free._time_features(signals).numpy()

    past, end = times(1000, 100)[:-1], times(100, 100)[:-1]
    np.testing.assert_allclose(past, times(110, 100)[:-1], rtol=1e-6)
    assert past[7] > 0.7 and end[7] == 0.0  # Of the fraction 1.
    assert np.all(np.isfinite(times(10**9, 1)))
    assert np.abs(times(10**9, 10**9)).max() < 6.0


@pytest.mark.parametrize(
    "name, jit",
    [
        *((name, False) for name in OPTIONS if name not in OF_MODEL),
        ("plain", True),
        ("gates", True),
    ],
)
def test_together_is_each_alone(rng, name, jit):
    rule = rules.get("scale_free", **OPTIONS[name])
    theta = some_theta(rule)
    shapes = [*SHAPES, (0,), (70,), (9, 8)]
    params = tensors(rng, shapes)
    gradients = [tensors(rng, shapes) for _ in range(3)]
    signals = {"horizon": 50, "train_loss": tf.constant(1.5)}
    update = tf.function(rule.update, jit_compile=jit, autograph=False)
    found = run(rule, theta, params, gradients, update, **signals)
    alone = [
        run(rule, theta, [p], [[grads[i]] for grads in gradients], **signals)
        for i, p in enumerate(params)
    ]
    expected = [[d for (d,) in deltas] for deltas in zip(*alone)]
    assert_close(found, expected, rtol=2e-4)


@contextlib.contextmanager
def tiny_blocks():
    """Sums are taken block by block, and some tensors lie by themselves."""
    with pytest.MonkeyPatch.context() as patch:
        tensor_rows.plan.cache_clear()
        patch.setattr(tensor_rows, "FEWEST", 24)
        patch.setattr(tensor_rows, "BLOCK", 12)
        patch.setattr(tensor_rows, "WIDEST", 6)
        patch.setattr(tensor_rows, "NARROWEST", 2)
        patch.setattr(tensor_rows, "MOST_ALONE", 2)
        yield
    tensor_rows.plan.cache_clear()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_in_blocks_is_the_whole(rng, options):
    rule = rules.get("scale_free", **options)
    theta = some_theta(rule)
    shapes = [(6, 8), (29,), *SHAPES, (5, 5), (7,)]
    params = tensors(rng, shapes)
    gradients = [tensors(rng, shapes) for _ in range(3)]
    signals = {"horizon": 50, "train_loss": tf.constant(1.5)}
    expected = run(rule, theta, params, gradients, **signals)
    with tiny_blocks():
        update = tf.function(rule.update, autograph=False)
        found = run(rule, theta, params, gradients, update, **signals)
    assert_close(found, expected, rtol=2e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(rng, dtype):
    rule = rules.get("scale_free")
    theta = some_theta(rule)
    params, grads = (
        [tf.cast(t, dtype) for t in tensors(rng)] for _ in range(2)
    )
    exact = [[tf.cast(t, "float32") for t in ts] for ts in (grads, params)]
    slots = rule.init_slots(theta, params)
    signals = {"step": 0}
    deltas, _ = rule.update(theta, grads, params, slots, signals)
    expected, _ = rule.update(theta, *exact, slots, signals)
    assert {d.dtype for d in deltas} == {tf.float32}
    assert_close([deltas], [expected], rtol=0.0)


def regression_losses(rule, theta, scales, num_steps=150):
    """Losses of a small MLP whose matrices are in other units."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 20)).astype(np.float32)
    y = np.tanh(x @ rng.normal(size=(20, 5)).astype(np.float32))
    start = [
        scales[0] * 0.25 * rng.normal(size=(20, 16)),
        np.zeros(16),
        scales[1] * 0.25 * rng.normal(size=(16, 5)),
        np.zeros(5),
    ]
    params = [tf.constant(p, tf.float32) for p in start]
    slots = rule.init_slots(theta, params)

    @tf.function(autograph=False)
    def step(i, params, slots):
        with tf.GradientTape() as tape:
            tape.watch(params)
            hidden = tf.tanh(x @ (params[0] / scales[0]) + params[1])
            outputs = hidden @ (params[2] / scales[1]) + params[3]
            loss = tf.reduce_mean((outputs - y) ** 2)
        grads = tape.gradient(loss, params)
        signals = {"step": i, "horizon": num_steps}
        deltas, slots = rule.update(theta, grads, params, slots, signals)
        return [p + d for p, d in zip(params, deltas)], slots, loss

    losses = []
    for i in range(num_steps):
        params, slots, loss = step(tf.constant(i), params, slots)
        losses.append(float(loss))
    return losses


@pytest.mark.parametrize("scales", [(1.0, 1.0), (100.0, 0.5)])
def test_a_sensible_theta_descends_in_any_units(scales):
    rule = rules.get("scale_free")
    losses = regression_losses(rule, sensible_theta(rule), scales)
    assert losses[-1] < 0.02 * losses[0]


def test_a_random_theta_goes_up_or_down():
    """It is a mixture of momenta, of signs that are random."""
    rule = rules.get("scale_free")
    quadratic = [np.full((4, 3), 2.0, np.float32)]
    ends = []
    for seed in range(20):
        theta, params = rule.init_theta(seed), quadratic
        slots = rule.init_slots(theta, params)
        for step in range(2):
            deltas, slots = rule.update(
                theta, [2.0 * params[0]], params, slots, {"step": step}
            )
            params = [params[0] + deltas[0]]
        ends.append(np.mean(np.abs(params[0])))
    assert 4 <= np.sum(np.array(ends) < 2.0) <= 16


def test_theta_is_small():
    shapes = rules.get("scale_free").theta_shapes()
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 480
    assert list(shapes) == [
        *("w0", "b0", "w1", "b1"),
        *("step_w0", "step_b0", "step_w1", "step_b1"),
        *("floors", "exponents"),
    ]


def test_loss_features_need_the_loss():
    assert rules.get("scale_free").required_signals == ("step",)
    rule = rules.get("scale_free", loss_features=True)
    theta, params = rule.init_theta(0), [np.ones(3, np.float32)]
    slots = rule.init_slots(theta, params)
    with pytest.raises(ValueError, match="missing.*train_loss"):
        rule.update(theta, params, params, slots, {"step": 0})
    for loss in (0.0, -1.0, np.nan, np.inf):  # Passed over.
        signals = {"step": 0, "train_loss": np.float32(loss)}
        deltas, new = rule.update(theta, params, params, slots, signals)
        assert np.all(np.isfinite(deltas[0]))
        assert float(new["loss"]["count"]) == 0.0


def test_no_tensors_are_no_obstacle():
    rule = rules.get("scale_free")
    theta = rule.init_theta(0)
    slots = rule.init_slots(theta, [])
    assert rule.update(theta, [], [], slots, {"step": 0}) == ([], slots)


@pytest.mark.parametrize(
    "config, message",
    [
        ({"momentum_decays": (0.9, 0.99)}, "`momentum_decays` must be 3"),
        ({"momentum_decays": (0.9, 0.99, 1.0)}, r"in \[0, 1\), as a tuple"),
        ({"second_moment_decays": (0.9,)}, "`second_moment_decays` must be 2"),
        ({"floors": (0.1, 0.1, 0.0)}, r"`floors` must be 3 .*\(0, inf\)"),
        ({"exp_mult": -1.0}, r"`exp_mult` must be .*\[0, inf\).*=-1.0"),
        ({"is_odd": 1}, "`is_odd` must be True or False.*=1"),
        ({"pull": None}, "`pull` must be True or False.*=None"),
        ({"is_orthogonal": 1}, "`is_orthogonal` must be True or False"),
        ({"growth_decay": -1}, r"`growth_decay` must be .*\[0, inf\).*=-1"),
        ({"step_memory": -1}, "`step_memory` must be an integer >= 0"),
        ({"step_memory": True}, "`step_memory` must be an integer >= 0"),
        ({"lookup_floor": -1.0}, r"`lookup_floor` must be .* in \[0, inf\)"),
        ({"settled_exponent": 2}, r"`settled_exponent` must .* in \[0, 1\]"),
        ({"depth_exponent": 1.5}, r"`depth_exponent` must be .* in \[0, 1\]"),
    ],
)
def test_refuses_bad_hyperparameters(config, message):
    with pytest.raises(ValueError, match=message):
        rules.get("scale_free", **config)


def test_decays_from_json_are_tuples():
    config = rules.get("scale_free").get_config()
    config = {
        k: list(v) if isinstance(v, tuple) else v for k, v in config.items()
    }
    assert rules.get("scale_free", **config) == rules.get("scale_free")


def test_wide_layers_take_shorter_steps():
    shapes = [(96, 3), (24, 3), (4, 24, 2), (96,)]
    rng = np.random.default_rng(0)
    params, grads = (
        [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        for _ in range(2)
    )
    deltas = []
    for exponent in (0.0, 0.5):
        rule = rules.get("scale_free", width_exponent=exponent)
        theta = rule.init_theta(0)
        slots = rule.init_slots(theta, params)
        signals = {"step": 0, "horizon": 10}
        new, _ = rule.update(theta, grads, params, slots, signals)
        deltas.append(new)
    for plain, scaled, inputs in zip(*deltas, (96, 24, 96, 1), strict=True):
        factor = max(inputs / 24, 1.0) ** -0.5
        np.testing.assert_allclose(scaled, factor * plain, rtol=1e-5)


def test_inputs_without_a_gradient_do_not_count_as_width():
    # As an embedding's rows whose tokens are not in the batch.
    rng = np.random.default_rng(0)
    param = rng.normal(size=(480, 3)).astype(np.float32)
    grad = np.zeros_like(param)
    grad[:48] = rng.normal(size=(48, 3))
    steps = []
    for exponent in (0.0, 0.5):
        rule = rules.get("scale_free", width_exponent=exponent)
        theta = rule.init_theta(0)
        slots = rule.init_slots(theta, [param])
        (delta,), _ = rule.update(theta, [grad], [param], slots, {"step": 0})
        steps.append(delta)
    np.testing.assert_allclose(steps[1], 2**-0.5 * steps[0], rtol=1e-5)


def test_active_inputs_are_a_running_mean():
    rng = np.random.default_rng(0)
    param = rng.normal(size=(96, 1)).astype(np.float32)
    rule = rules.get("scale_free", width_exponent=1.0)
    theta = rule.init_theta(0)
    slots = rule.init_slots(theta, [param])
    for step, active in enumerate((96, 48, 0)):
        grad = np.zeros_like(param)
        grad[:active] = 1.0
        _, slots = rule.update(theta, [grad], [param], slots, {"step": step})
    expected = 0.05 * (1.0 * 0.95**2 + 0.5 * 0.95)
    np.testing.assert_allclose(slots["active"], [[expected]], rtol=1e-6)
