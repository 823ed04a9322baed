"""bin/join_by_horizon.py, and what the joined file does."""

import numpy as np
import pytest

from keras_lopt import LearnedOptimizer, checkpoints, rules
from tests import binaries


def join(*args):
    with binaries.loaded("join_by_horizon") as script:
        script.join(*args)


def save(path, seed, **config):
    rule = rules.get("scale_free", hidden_units=4, **config)
    checkpoints.save(path, rule, rule.init_theta(seed), {"seed": seed})
    return str(path)


def test_each_half_is_a_file_and_the_metadata_say_which(tmp_path):
    told, untold = (save(tmp_path / f"{i}.safetensors", i) for i in (0, 1))
    out = str(tmp_path / "both.safetensors")
    join(told, untold, out)
    rule, theta, metadata = checkpoints.load(out)
    assert rule == rules.get("scale_free", hidden_units=4, by_horizon=True)
    for half, file in enumerate((told, untold)):
        for leaf, values in checkpoints.load(file)[1].items():
            np.testing.assert_array_equal(theta[leaf][half], values)
    assert metadata == {"told": {"seed": 0}, "untold": {"seed": 1}}
    assert LearnedOptimizer.from_checkpoint(out).rule == rule


def test_settings_are_changed_and_that_is_said(tmp_path):
    told = save(tmp_path / "told.safetensors", 0)
    config = {"settled_exponent": 0.3, "floors": [0.2, 0.1, 0.1]}
    join(told, told, str(tmp_path / "both"), config)
    rule, _, metadata = checkpoints.load(str(tmp_path / "both"))
    expected = rules.get(
        "scale_free", hidden_units=4, by_horizon=True, **config
    )
    assert rule == expected
    assert metadata["changed_after_training"] == config


@pytest.mark.parametrize(
    "config, message",
    [
        ({"settled": 0.3}, r"settings of the rule .*\['settled'\]"),
        ({"hidden_units": 5}, "must not change the sizes of theta.*units"),
        ({"settled_exponent": -1}, "`settled_exponent` must be"),
    ],
)
def test_refuses_settings_that_do_not_fit(tmp_path, config, message):
    told = save(tmp_path / "told.safetensors", 0)
    with pytest.raises(ValueError, match=message):
        join(told, told, str(tmp_path / "both"), config)
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize("config", [{"by_horizon": True}, {"pull": True}])
def test_refuses_other_rules(tmp_path, config):
    told = save(tmp_path / "told.safetensors", 0)
    other = save(tmp_path / "other.safetensors", 0, **config)
    out = tmp_path / "both.safetensors"
    for files in ((told, other), (other, told)):
        with pytest.raises(ValueError, match="files of equal rules"):
            join(*files, str(out))
    assert not out.exists()


def test_refuses_to_overwrite(tmp_path):
    told = save(tmp_path / "told.safetensors", 0)
    with pytest.raises(FileExistsError, match="must be a new file"):
        join(told, told, told)
