"""The archive: curves of baselines, which are expensive and deterministic.

A file has the curves of one baseline on one entry of a suite, and the key of
what was trained: a hash of the task, the optimizer, the seeds, the number of
steps and the versions that change a curve.
"""

import hashlib
import json
import os
import pathlib
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_lopt.evaluation import curves
from keras_lopt.evaluation.hand_designed import RATES, check_baselines
from keras_lopt.evaluation.rate_curves import RateCurves, train_baseline
from keras_lopt.tasks import suites as task_suites

#: The archive that ships inside the package.
PACKAGED = pathlib.Path(__file__).parent / "baselines"
#: Raise it when problems of equal settings change, or what a file contains.
FORMAT = 1


def identity(entry, task, baseline, rates):
    """All that decides what a baseline's curves are, as JSON types.

    Args:
        entry: A `tasks.suites.Entry`.
        task: Its `tasks.Task`.
        baseline: A `Baseline`.
        rates: Learning rates.
    """
    described = task.describe()
    # They change scores, not curves.
    del described["max_loss"], described["normalizer"]
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    return json.loads(
        json.dumps(
            {
                "task": described,
                "entry": [entry.family, dict(entry.config)],
                "optimizer": baseline.describe(),
                "rates": list(rates),
                "seeds": list(entry.seeds),
                "first_seed": curves.EVALUATION_SEED,
                "steps": entry.horizon,
                # Patch releases leave optimizers and random numbers alone.
                "versions": {k: _minor(v) for k, v in versions.items()},
                "format": FORMAT,
            }
        )
    )


def _minor(version):
    return ".".join(version.split(".")[:2])


def key_of(identity):
    """The hash of an `identity`."""
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_name(entry, baseline, rates):
    """Name of the file with what was asked for, whatever it became."""
    asked = entry.label, entry.seeds, tuple(rates)
    digest = hashlib.sha256(repr(asked).encode()).hexdigest()[:12]
    return f"{entry.family}-{digest}.{baseline.name}.npz"


def read(path, identity):
    """The `RateCurves` of a file, or None if there is no file.

    Raises:
        ValueError: The file is damaged, or its key is not that of `identity`.
    """
    if not os.path.exists(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = {name: file[name] for name in file.files}
        found = json.loads(str(stored["identity"]))
        key = str(stored["key"])
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(
            f"A file of the archive must be complete. Received: {path}, which "
            f"can't be read ({error}); delete it to train the baseline again"
        ) from error
    if key != key_of(identity) or key != key_of(found):
        raise ValueError(
            "The key of archived curves must be that of what would be trained "
            f"now. Received: {path}, where {_differences(found, identity)}; "
            'pass stale="recompute" to train the baseline again'
        )
    return RateCurves(
        tuple(identity["rates"]),
        float(stored["start"]),
        stored["steps"],
        stored["losses"],
        stored["test_losses"],
    )


def _differences(found, wanted):
    different = [
        f"`{name}` is {found.get(name)!r} instead of {value!r}"
        for name, value in wanted.items()
        if found.get(name) != value
    ]
    return " and ".join(different) or "the key is not that of its contents"


def write(path, identity, curves):
    """Writes `RateCurves`; the file is complete or absent."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = f"{path}.{os.getpid()}.npz"
    np.savez_compressed(
        partial,
        key=key_of(identity),
        identity=json.dumps(identity, sort_keys=True),
        start=np.float32(curves.start),
        steps=curves.steps.astype(np.int32),
        losses=curves.losses,
        test_losses=curves.test_losses,
    )
    os.replace(partial, path)


def fill(
    out_dir: str | None = None,
    *,
    suites: Sequence[str],
    baselines: Sequence[str] = ("adam", "adam_cosine"),
    rates: Sequence[float] = RATES,
    stale: str = "refuse",
) -> None:
    """Trains the baselines of suites that the archive does not have yet.

    Args:
        out_dir: Folder of the archive; None: that of the package.
        suites: Names of suites.
        baselines: Names of baselines; "adam" is one of them.
        rates: Learning rates.
        stale: As for `baseline_curves`.
    """
    found, missing = check_baselines(baselines)
    for name in missing:
        print(f"{name}: skipped, this Keras does not have it", flush=True)
    for entry in [e for name in suites for e in task_suites.get(name)]:
        start = time.perf_counter()
        try:
            task = entry.task()
        except FileNotFoundError:
            print(f"{entry.label}: skipped, its data is not here", flush=True)
            continue
        for baseline in found:
            baseline_curves(
                entry, task, baseline, rates, (out_dir or PACKAGED,), stale
            )
        seconds = time.perf_counter() - start
        print(f"{entry.label}: {seconds:.0f} s", flush=True)
        keras.backend.clear_session()


def baseline_curves(
    entry, task, baseline, rates, folders=(PACKAGED,), stale="refuse"
):
    """A baseline's `RateCurves`, from the archive or trained now.

    Args:
        entry: A `tasks.suites.Entry`.
        task: Its `tasks.Task`.
        baseline: A `Baseline`.
        rates: Learning rates.
        folders: Where to look, in this order. What is trained is written to
            the first.
        stale: What to do with curves whose key is another: "refuse" or
            "recompute".

    Raises:
        ValueError: Curves with another key, unless they are recomputed.
    """
    wanted = identity(entry, task, baseline, rates)
    name = file_name(entry, baseline, rates)
    for folder in folders:
        try:
            found = read(os.path.join(folder, name), wanted)
        except ValueError:
            if stale == "refuse":
                raise
            found = None
        if found is not None:
            return found
    found = train_baseline(task, baseline, entry.horizon, entry.seeds, rates)
    write(os.path.join(folders[0], name), wanted, found)
    return found
