"""Variation alone: scales, permutations, seeds, and what is refused."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_lopt.tasks import Variation
from keras_lopt.tasks.augmentation.variation import fold_in_name

SCALES = ["init_scale", "input_scale", "reparametrization"]
SEEDS = np.stack([np.full(1000, 3), np.arange(1000)], axis=1).astype(np.int32)


def over_seeds(function, dtype=tf.float32):
    """Values of function(seed) for SEEDS, compiled as in an inner run."""

    @functools.partial(tf.function, jit_compile=True, autograph=False)
    def draw_all(seeds):
        return tf.map_fn(function, seeds, fn_output_signature=dtype)

    return draw_all(SEEDS).numpy()


@pytest.mark.parametrize("field", SCALES)
def test_scales_are_log_uniform_in_their_range(field):
    variation = Variation(**{field: (0.01, 10.0)})
    logs = np.log10(over_seeds(functools.partial(variation.scale, field)))
    assert logs.min() >= -2.0 - 1e-6 and logs.max() <= 1.0 + 1e-6
    # Bins with 100 expected; the bound is 3.3 standard deviations.
    counts = np.histogram(logs, bins=10, range=(-2.0, 1.0))[0]
    assert np.abs(counts - 100).max() < 3.3 * np.sqrt(90.0)


def test_scales_of_a_problem_are_independent():
    variation = Variation(**dict.fromkeys(SCALES, (0.01, 10.0)))
    logs = [
        np.log(over_seeds(functools.partial(variation.scale, field)))
        for field in SCALES
    ]
    correlations = np.corrcoef(logs) - np.eye(3)
    assert np.abs(correlations).max() < 0.13  # Four standard deviations.


@pytest.mark.parametrize("field", SCALES)
def test_a_range_of_one_value_is_that_value(field):
    assert Variation().scale(field, SEEDS[0]) == 1.0
    assert Variation(**{field: (2.5, 2.5)}).scale(field, SEEDS[0]) == 2.5


def test_labels_are_permuted_by_a_bijection():
    variation = Variation(label_permutation=True)
    tables = over_seeds(
        lambda s: variation.permute(tf.range(5), 5, s), tf.int32
    )
    np.testing.assert_array_equal(
        np.sort(tables, axis=1), np.tile(np.arange(5), (1000, 1))
    )
    assert len({tuple(table) for table in tables}) == 120  # All of them.


def test_labels_are_permuted_by_the_same_table_within_a_problem():
    variation = Variation(label_permutation=True)
    table = variation.permute(tf.range(5), 5, SEEDS[0]).numpy()
    labels = np.array([[0, 3, 3], [4, 1, 0]], np.int32)
    permuted = variation.permute(labels, 5, SEEDS[0])
    np.testing.assert_array_equal(permuted, table[labels])


def test_labels_do_not_change_without_permutation():
    labels = tf.constant([2, 0, 1])
    assert Variation().permute(labels, 3, SEEDS[0]) is labels


def test_named_seeds_are_independent():
    names = ["train", "test", "init_scale", "input_scale"]
    seeds = [fold_in_name(SEEDS[i], n).numpy() for n in names for i in (0, 1)]
    assert len({tuple(seed) for seed in seeds}) == 8
    np.testing.assert_array_equal(fold_in_name(SEEDS[0], "train"), seeds[0])


@pytest.mark.parametrize("field", SCALES)
@pytest.mark.parametrize(
    "limits",
    [
        (0.0, 1.0),
        (-1.0, 1.0),
        (1.0, float("inf")),
        (float("nan"), 1.0),
        (1.0, float("nan")),
        ("1", 2.0),
        (1.0,),
        (1.0, 2.0, 3.0),
        2.0,
        "12",
        None,
    ],
)
def test_bad_ranges_are_refused(field, limits):
    with pytest.raises(ValueError) as caught:
        Variation(**{field: limits})
    assert str(caught.value) == (
        f"`{field}` must be 2 finite numbers in (0, inf), as a tuple. "
        f"Received: {field}={limits!r}"
    )


@pytest.mark.parametrize("field", SCALES)
def test_reversed_ranges_are_refused(field):
    with pytest.raises(
        ValueError,
        match=rf"`{field}` must be a range \(low, high\) with low <= high. "
        rf"Received: {field}=\(2.0, 1.0\)",
    ):
        Variation(**{field: (2.0, 1.0)})


def test_a_string_is_refused_as_a_switch():
    with pytest.raises(
        ValueError,
        match="`label_permutation` must be True or False. "
        "Received: label_permutation='False'",
    ):
        Variation(label_permutation="False")


KINDS = "none", "global", "tensor", "parameter"
SHAPES = [(2, 3), (3,)]


def factors(variation):
    """[1000, 9] factors of all parameters, one row per problem."""

    def flat(seed):
        made = variation.factors(seed, SHAPES)
        spread = [tf.broadcast_to(f, s) for f, s in zip(made, SHAPES)]
        return tf.concat([tf.reshape(f, [-1]) for f in spread], 0)

    return over_seeds(flat)


def of_kinds(*kinds):
    """`factors` of a variation with these kinds of reparametrization."""
    return factors(
        Variation(
            reparametrization=(0.01, 100.0), reparametrization_kinds=kinds
        )
    )


def test_problems_draw_kinds_of_reparametrization_as_often_as_listed():
    rows = of_kinds(*KINDS, "none")
    different = np.array([len(set(row)) for row in rows])
    is_none = np.all(rows == 1.0, axis=1)
    found = [is_none.sum(), *(np.sum(different == n) for n in (1, 2, 9))]
    found[1] -= found[0]  # One factor: none is 1.
    expected = np.array([400, 200, 200, 200])
    assert np.abs(found - expected).max() < 4 * np.sqrt(240.0)
    assert rows.min() >= 0.01 * (1 - 1e-5) and rows.max() <= 100 * (1 + 1e-5)


def test_one_kind_is_what_there_was_before_there_were_kinds():
    for kind, per_tensor in (("global", False), ("tensor", True)):
        before = Variation(
            reparametrization=(0.01, 100.0), per_tensor=per_tensor
        )
        np.testing.assert_array_equal(of_kinds(kind), factors(before))


def test_settings_at_their_defaults_are_not_described():
    fields = {
        "init_scale",
        "input_scale",
        "reparametrization",
        "label_permutation",
        "per_tensor",
        "pixel_permutation",
        "class_subset",
    }
    assert set(Variation().describe()) == fields
    used = Variation(label_noise=(0.0, 0.1), projection=3).describe()
    assert set(used) == fields | {"label_noise", "projection"}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"label_noise": (0.0, 1.5)}, "`label_noise` must be 2 finite numbers"),
        ({"label_noise": (0.5, 0.1)}, "`label_noise` must be a range"),
        ({"projection": 0}, "`projection` must be an integer >= 1"),
        (
            {
                "reparametrization": (0.1, 1.0),
                "reparametrization_kinds": ("all",),
            },
            "`reparametrization_kinds` must be a tuple of some of",
        ),
        (
            {"reparametrization_kinds": ("global",)},
            "`reparametrization_kinds` must come with a range",
        ),
        (
            {
                "reparametrization": (0.1, 1.0),
                "reparametrization_kinds": ("global",),
                "per_tensor": True,
            },
            "without `per_tensor`",
        ),
    ],
)
def test_bad_noise_projection_and_kinds_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Variation(**settings)
