"""The folder of a run: which experiment owns it, and its configuration."""

import json
import os

from keras_lopt import config
from keras_lopt.training.output import files, manifest


def check_folder(out_dir):
    """Raises ValueError unless `out_dir` is a folder or can become one."""
    path = out_dir
    if not files.is_remote(out_dir):
        path = os.path.abspath(out_dir.removeprefix("file://"))
        while not os.path.exists(path):
            path = os.path.dirname(path)
    if not out_dir or (files.exists(path) and not files.is_folder(path)):
        raise ValueError(
            "`out_dir` must be a folder, or a path where one can be made. "
            f"Received: out_dir={out_dir!r}"
            + (f", where {path!r} is a file" if out_dir else "")
        )
    checkpoints = files.join(out_dir, "checkpoints")
    if files.exists(checkpoints) and not files.is_folder(checkpoints):
        raise ValueError(
            "`out_dir` must have a folder for checkpoints, or none. Received: "
            f"{checkpoints!r}, which is a file; move it away"
        )


def check_owner(out_dir, experiment, has_state):
    """Raises ValueError if `out_dir` is another experiment's.

    Args:
        out_dir: The folder.
        experiment: The `Experiment`.
        has_state: Whether there are checkpoints in it.
    """
    content = files.read(files.join(out_dir, "experiment.json"))
    if content is None and not has_state:
        return
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        found = None
    differing = experiment.differences(found)
    if not differing:
        return
    damage = ""
    if "experiment.json" in manifest.damaged(out_dir):
        damage = (
            "experiment.json is missing or damaged: its checksum is not that "
            "of manifest.json. "
        )
    raise ValueError(
        f"`out_dir` {out_dir!r} has the state of another "
        f"experiment: {differing} differ. {damage}Nothing was written. Use "
        "another --out_dir, or --resume=never to start again (the old state is "
        "kept beside the new)"
    )


def write_configuration(out_dir, description):
    """Writes what identifies a run; says what was damaged.

    Args:
        out_dir: The folder, which exists.
    """
    for name in manifest.damaged(out_dir):
        print(f"{name} was changed or damaged: it is written anew", flush=True)
    # All that is configured has been built by now: both are complete.
    for name, text in (
        ("experiment.json", json.dumps(description, indent=2) + "\n"),
        ("config.gin", config.text()),
        ("operative_config.gin", config.operative_text()),
    ):
        files.write(files.join(out_dir, name), text)


def set_aside(out_dir):
    """Renames a folder that has something in it, and says so."""
    if not files.names(out_dir):
        return
    number = 1
    while files.exists(old := f"{out_dir.rstrip('/')}.old-{number}"):
        number += 1
    files.rename(out_dir, old)
    print(f"the earlier state is kept in {old}", flush=True)
