"""The nadamw rule against a plain NumPy version of its formula."""

import numpy as np

from keras_lopt import rules


def test_nadamw_agrees_with_its_formula(rng, random_tensors):
    lr, beta1, beta2, epsilon, decay = 0.1, 0.8, 0.95, 1e-4, 0.02
    rule = rules.get(
        "nadamw",
        learning_rate=lr,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        weight_decay=decay,
    )
    theta = rule.init_theta(0)
    params = random_tensors(rng)
    expected = [p.astype(np.float64) for p in params]
    first = [np.zeros_like(p) for p in expected]
    second = [np.zeros_like(p) for p in expected]
    slots = rule.init_slots(theta, params)
    for step in range(10):
        grads = random_tensors(rng)
        deltas, slots = rule.update(theta, grads, params, slots, {"step": step})
        params = [p + d for p, d in zip(params, deltas, strict=True)]
        t = step + 1
        for i, grad in enumerate(grads):
            first[i] = beta1 * first[i] + (1 - beta1) * grad
            second[i] = beta2 * second[i] + (1 - beta2) * grad**2
            ahead = beta1 * first[i] / (1 - beta1 ** (t + 1))
            ahead = ahead + (1 - beta1) * grad / (1 - beta1**t)
            root = np.sqrt(second[i] / (1 - beta2**t)) + epsilon
            expected[i] = expected[i] - lr * (
                ahead / root + decay * expected[i]
            )
            np.testing.assert_allclose(params[i], expected[i], atol=1e-5)
