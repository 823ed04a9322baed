"""The folder of a run: which experiment owns it, and its configuration."""

import contextlib
import json
import os

from keras_lopt import config


def check_folder(out_dir):
    """Raises ValueError unless `out_dir` is a folder or can become one."""
    path = os.path.abspath(out_dir)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    if not out_dir or not os.path.isdir(path):
        raise ValueError(
            "`out_dir` must be a folder, or a path where one can be made. "
            f"Received: out_dir={out_dir!r}"
            + (f", where {path!r} is a file" if out_dir else "")
        )


def claim(out_dir, experiment, has_state, resume):
    """Makes out_dir this experiment's, or refuses.

    Args:
        out_dir: The folder.
        experiment: The `Experiment`.
        has_state: Whether there are checkpoints in it.
        resume: "auto" or "never", as for `training.run`.

    Raises:
        ValueError: The folder is another experiment's. Nothing is written.
    """
    path = os.path.join(out_dir, "experiment.json")
    if resume == "never":
        _set_aside(out_dir)
    elif os.path.exists(path) or has_state:
        _check_same(path, experiment)
    os.makedirs(out_dir, exist_ok=True)
    _write(path, json.dumps(experiment.describe(), indent=2) + "\n")
    # All that is configured has been built by now: both are complete.
    for name, text in (
        ("config.gin", config.text()),
        ("operative_config.gin", config.operative_text()),
    ):
        _write(os.path.join(out_dir, name), text)


def _check_same(path, experiment):
    found = None
    if os.path.exists(path):
        with open(path) as file, contextlib.suppress(ValueError):
            found = json.load(file)
    if differing := experiment.differences(found):
        raise ValueError(
            f"`out_dir` {os.path.dirname(path)!r} has the state of another "
            f"experiment: {differing} differ. Nothing was written. Use another "
            "--out_dir, or --resume=never to start again (the old state is "
            "kept beside the new)"
        )


def _set_aside(out_dir):
    if not os.path.isdir(out_dir) or not os.listdir(out_dir):
        return
    number = 1
    while os.path.exists(old := f"{out_dir.rstrip(os.sep)}.old-{number}"):
        number += 1
    os.rename(out_dir, old)
    print(f"the earlier state is kept in {old}", flush=True)


def _write(path, content):
    temporary = f"{path}.tmp"
    with open(temporary, "w") as file:
        file.write(content)
    os.replace(temporary, path)
