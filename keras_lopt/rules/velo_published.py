"""Where published weights of `velo` and `celo` have the LSTM of their theta."""

from keras_lopt.rules.published_shapes import of_rank

#: Our layer -> theirs. They compute `linear` too, and use it for nothing.
_LAYERS = {
    "mix": "linear_1",
    "own": "linear_2",
    "lstm": "rnn/linear",
    "controls": "rnn_to_controls",
    "lr": "step_size",
    "unused": "linear",
}
#: Paths that weights may lack: they do not change the updates.
OPTIONAL = ("rnn_params/linear/w", "rnn_params/linear/b")


def paths():
    """Dict from theta leaf name to path."""
    found = {
        f"{ours}_{kind}": f"rnn_params/{theirs}/{kind}"
        for ours, theirs in _LAYERS.items()
        for kind in ("w", "b")
    }
    for state in ("hidden", "cell"):
        found[f"lstm_{state}"] = f"lstm_init_state/{state}"
    return found


def config(shapes):
    """The hyperparameters that a dict from path to shape tells."""
    _, lstm_units = of_rank(2, shapes["lstm_init_state/hidden"])
    bank_size, hidden_units, _ = of_rank(3, shapes["ff_mod_stack/~/w1"])
    return {
        "lstm_units": lstm_units,
        "bank_size": bank_size,
        "hidden_units": hidden_units,
    }
