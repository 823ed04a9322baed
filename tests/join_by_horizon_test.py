"""bin/join_by_horizon.py, and what the joined file does."""

import numpy as np
import pytest

from keras_lopt import LearnedOptimizer, checkpoints, rules
from tests import binaries


def join(*files):
    with binaries.loaded("join_by_horizon") as script:
        script.join(*files)


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
