"""The config.gin beside weights from google/learned_optimization."""

import pytest

from keras_lopt import checkpoints, rules
from keras_lopt.checkpoints.importers import gin_config
from tests import imported_files, small_rules

#: What their trainer writes, shortened.
VELO = """
import learned_optimization.research.general_lopt.hyper_v2

# Parameters for HyperV2:
# ==============================================================================
HyperV2.adafactor_accumulator = True
HyperV2.initial_momentum_decays = \\
    (0.9, 0.99, 0.999)
HyperV2.lstm_hidden_size = 512
HyperV2.param_inits = 256
HyperV2.summarize_each_layer = True
HyperV2.use_bugged_loss_features = False
HyperV2.use_bugged_next_lstm_state = False
HyperV2.with_g = True
hyper_v2.HyperV2.step_mult = 0.001
other/scope/HyperV2.step_mult = 5.0
run_train.lopt = @HyperV2()
run_train.num_steps = %steps
"""


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", (None, {})),
        ("not gin at all {", (None, {})),
        (
            VELO,
            (
                "velo",
                {
                    "step_mult": 0.001,
                    "loss_buffer_horizon": None,
                    "frozen_lstm_state": False,
                },
            ),
        ),
        (
            "run_train.lopt = @hyper_v2.HyperV2()",
            ("velo", {"loss_buffer_horizon": 10, "frozen_lstm_state": False}),
        ),
        (
            "HyperV2.use_bugged_next_lstm_state = True",
            ("velo", {"loss_buffer_horizon": 10, "frozen_lstm_state": True}),
        ),
        (
            "MLPLOpt.step_mult = 0.1\nMLPLOpt.x = @y",
            ("mlp", {"step_mult": 0.1}),
        ),
        (
            "RNNMLPLOpt.exp_mult = 2.0\nMLPLOpt.exp_mult = 3.0\n"
            "run_train.lopt = @RNNMLPLOpt()",
            ("hierarchical", {"exp_mult": 2.0}),
        ),
        ("RNNMLPLOpt.exp_mult = 2.0\nMLPLOpt.exp_mult = 3.0", (None, {})),
        ("MLPLOpt.step_mult = 0.1\nrun_train.lopt = @Other()", (None, {})),
    ],
)
def test_rule_and_hyperparameters_are_read_from_the_bindings(text, expected):
    assert gin_config.parse(text) == expected


@pytest.mark.parametrize(
    "line",
    ["param_scale_mult = False", "with_fac_rms = False", "mix_layers = False"],
)
def test_a_variant_that_the_rule_lacks_is_refused(line):
    name, _, value = line.partition(" = ")
    with pytest.raises(
        ValueError, match=f"HyperV2.{name} .*must be True.*Received: {value}"
    ):
        gin_config.parse(f"{VELO}\nHyperV2.{line}")


@pytest.fixture
def folder(tmp_path):
    """Weights of velo, with a config.gin of the oldest flags."""
    leaves = imported_files.leaves_of(small_rules.small_rule("velo"))
    imported_files.save_safetensors(tmp_path / "params", leaves)
    (tmp_path / "config.gin").write_text("run_train.lopt = @HyperV2()\n")
    return tmp_path


def test_flags_come_from_the_config_beside_the_weights(folder):
    rule, _, metadata = checkpoints.load(folder / "params")
    assert rule == small_rules.small_rule("velo", loss_buffer_horizon=10)
    assert metadata["imported"]["told"]["loss_buffer_horizon"] == 10


def test_the_arguments_override_the_config_beside_the_weights(folder):
    config = {"loss_buffer_horizon": None, "step_mult": 0.5}
    rule, _, _ = checkpoints.load(folder / "params", config=config)
    assert rule == small_rules.small_rule("velo", step_mult=0.5)
    given = small_rules.small_rule("velo", frozen_lstm_state=True)
    with (folder / "config.gin").open("a") as file:
        file.write("HyperV2.param_scale_mult = False\n")
    assert checkpoints.load(folder / "params", given)[0] == given
    with pytest.raises(
        checkpoints.CheckpointError, match="params'.*param_scale_mult"
    ):
        checkpoints.load(folder / "params")


def test_a_config_for_another_rule_is_refused(folder):
    (folder / "config.gin").write_text("MLPLOpt.step_mult = 0.1\n")
    with pytest.raises(checkpoints.CheckpointError, match="rule 'mlp'"):
        checkpoints.load(folder / "params")


# The flags that Celo's code writes beside theta.


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"optimizer": "celo2", "seed": 0}', False),
        ('{"optimizer": "something else"}', True),
        ('{"seed": 0}', True),
        ('["optimizer"]', True),
        ("not json", True),
        (None, True),
    ],
)
def test_a_run_of_celos_factory_has_its_adam(tmp_path, text, expected):
    rule = rules.get("celo2")
    leaves = imported_files.leaves_of(rule)
    path = tmp_path / "theta.state"
    path.write_bytes(imported_files.pack(imported_files.nested(leaves)))
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    found, _, metadata = checkpoints.load(path)
    assert found.name == "celo2"
    assert found.bias_correction == expected
    told = metadata["imported"]["told"]
    assert ("bias_correction" in told) == (not expected)
