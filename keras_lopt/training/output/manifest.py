"""manifest.json: checksums of a run's files, written after all of them."""

import json

import keras

from keras_lopt.training.output import files

NAME = "manifest.json"
#: Written when a run begins; `training` derives the others from checkpoints.
CONFIGURATION = ("config.gin", "experiment.json", "operative_config.gin")
RESULTS = ("best.safetensors", "history.csv", "members.csv")


def read(out_dir):
    """What manifest.json says: dict of name -> SHA-256; {} without one."""
    try:
        content = files.read(files.join(out_dir, NAME)) or b"{}"
        found = json.loads(content)["files"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def write(out_dir, generation):
    """Writes it anew.

    Args:
        out_dir: The folder of the run.
        generation: Generations done, for people.
    """
    folder = files.join(out_dir, "checkpoints")
    names = [*CONFIGURATION, *RESULTS]
    names += [f"checkpoints/{n}" for n in files.names(folder)]
    found = {n: files.read(files.join(out_dir, n)) for n in names}
    sums = {n: files.checksum(c) for n, c in found.items() if c is not None}
    content = {"generation": generation, "files": sums}
    path = files.join(out_dir, NAME)
    files.write(path, json.dumps(content, indent=2) + "\n")


def damaged(out_dir):
    """Names of configuration files that are not what was written."""
    sums, found = read(out_dir), []
    for name in CONFIGURATION:
        content = files.read(files.join(out_dir, name))
        if name in sums and (
            content is None or files.checksum(content) != sums[name]
        ):
            found.append(name)
    return found


class Manifest(keras.callbacks.Callback):
    """Keeps manifest.json up to date. The last of a run's callbacks.

    Args:
        out_dir: The folder of the run.
    """

    def __init__(self, out_dir):
        super().__init__()
        self._out_dir = out_dir

    def on_train_begin(self, logs=None):
        write(self._out_dir, self.model.generation)

    def on_epoch_end(self, epoch, logs=None):
        write(self._out_dir, self.model.generation)
