"""Writing and reading optimizer files (safetensors, nothing is unpickled).

`load` reads weights of others too (importing.py). Our own files:

The tensors are theta's leaves by name, float32. The metadata of the file are
strings: `format`, `format_version`, `rule` (JSON, name and hyperparameters)
and `metadata` (JSON, where the optimizer comes from).
"""

import contextlib
import json
import os
import pathlib
import uuid

import numpy as np
import safetensors
import safetensors.numpy

from keras_lopt.checkpoints.errors import CheckpointError
from keras_lopt.checkpoints.importing import load_foreign
from keras_lopt.checkpoints.locations import located
from keras_lopt.checkpoints.remote import is_remote
from keras_lopt.checkpoints.rule_specs import (
    check_rule_and_theta,
    rule_from_spec,
    rule_spec,
)

FORMAT = "keras_lopt.optimizer"
FORMAT_VERSION = "1"


def save(path, rule, theta, metadata=None):
    """Writes one optimizer file, all of it or nothing.

    Args:
        path: Where to; directories are made, an older file is replaced.
        rule: The `rules.Rule` that `theta` belongs to.
        theta: Dict from leaf name to float32 array.
        metadata: JSON-serialisable dict: provenance, for people and reports.

    Raises:
        ValueError: `rule` is no Rule, `theta` does not fit it, or `metadata`
            is no JSON. An older file at `path` is untouched then.

    >>> from keras_lopt import checkpoints, rules
    >>> rule = rules.get("fused")
    >>> theta = rule.init_theta(seed=0)
    >>> checkpoints.save("mine.safetensors", rule, theta, {"by": "me"})
    >>> checkpoints.load("mine.safetensors")[2]
    {'by': 'me'}
    """
    check_rule_and_theta(rule, theta)
    # Not `ascontiguousarray`, which turns scalars into vectors.
    leaves = {k: np.array(v, np.float32, order="C") for k, v in theta.items()}
    content = safetensors.numpy.save(
        leaves,
        metadata={
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "rule": json.dumps(rule_spec(rule)),
            "metadata": _metadata_to_json({} if metadata is None else metadata),
        },
    )
    _write_atomically(pathlib.Path(path), content)


def load(source, rule=None, config=None):
    """Reads one optimizer file, or weights of others, and checks all of it.

    Weights of others are flax msgpack files (google/learned_optimization,
    Celo), safetensors files (PyLO) and torch state dicts, all float32, or
    float16 or bfloat16, which are widened. `rule` then says what they are for;
    without it the names and shapes of the leaves, and a `config.gin` beside
    the file, must tell. `metadata["imported"]` has what was assumed.

    Args:
        source: A name from `bundled_names()`; a file; the directory of a
            training run (its best member); `gs://bucket/path`;
            `hf://owner/name` or `hf://owner/name/file`. A list of these where
            the weights are in several files: PyLO's VeLO is in two.
        rule: The `rules.Rule` that the file must have, or its name; `None`
            takes any.
        config: Dict of hyperparameters that the rule must have. Weights of
            others get the rest from their shapes, or by default.

    Returns:
        `rule`, `theta` (dict from leaf name to float32 NumPy array) and
        `metadata` (dict).

    Raises:
        FileNotFoundError: Nothing at `source`.
        CheckpointError: A ValueError that names the file and its fault.
        MissingLibraryError: An ImportError: an optional library is needed.

    >>> from keras_lopt import checkpoints
    >>> rule, theta, metadata = checkpoints.load("fused_digits")
    >>> rule.name, theta["w1"].shape
    ('fused', (8, 8))
    """
    sources = source if isinstance(source, (list, tuple)) else [source]
    if not sources:
        raise ValueError("`source` must name a file. Received: source=[]")
    if config is not None and not isinstance(config, dict):
        raise ValueError(
            "`config` must be a dict of hyperparameters. "
            f"Received: config={config!r}"
        )
    with contextlib.ExitStack() as stack:
        paths = {s: stack.enter_context(located(s)) for s in sources}
        if len(paths) == 1 and _is_own(*paths.values()):
            path = pathlib.Path(*paths.values())
            shown = source if is_remote(source) else path
            return _load_own(path, shown, rule, config)
        return load_foreign(paths, rule, config)


def _is_own(path):
    """Whether it is a file of `save`, so far as can be told."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except safetensors.SafetensorError:
        return False


def _load_own(path, shown, rule, config):
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return _read(file, rule, config or {})
    except safetensors.SafetensorError as error:
        raise CheckpointError(
            shown,
            f"it is truncated or not a safetensors file ({error}). Copy it "
            "again from where it was made.",
        ) from error
    except ValueError as error:
        raise CheckpointError(shown, error) from error


def _metadata_to_json(metadata):
    if not isinstance(metadata, dict):
        raise ValueError(
            f"`metadata` must be a dict. Received: metadata={metadata!r}"
        )
    try:
        return json.dumps(metadata)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`metadata` must be JSON-serialisable: numbers, strings, lists "
            f"and dicts. Received: metadata={metadata!r} ({error})"
        ) from error


def _write_atomically(path, content):
    """Replaces `path` by a complete file; a crash leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def _read(file, expected_rule, config):
    """Rule, theta and metadata of an open file; ValueError names a fault."""
    header = file.metadata() or {}
    _check_format(header)
    rule = rule_from_spec(_json_field(header, "rule"))
    _check_rule(rule, expected_rule, config)
    leaves = {leaf: _read_leaf(file, leaf) for leaf in file.keys()}
    rule.check_theta(leaves)
    theta = {leaf: leaves[leaf] for leaf in rule.theta_shapes()}
    return rule, theta, _json_field(header, "metadata")


def _check_rule(rule, expected, config):
    if expected is not None and expected not in (rule, rule.name):
        raise ValueError(
            f"`rule` must be the rule of the file, {rule}. "
            f"Received: rule={expected}"
        )
    differing = {
        key: value
        for key, value in config.items()
        if key not in rule.get_config() or rule.get_config()[key] != value
    }
    if differing:
        raise ValueError(
            f"`config` must be of the rule of the file, {rule}. "
            f"Received: config={differing}"
        )


def _check_format(header):
    expected = {"format": FORMAT, "format_version": FORMAT_VERSION}
    for field, value in expected.items():
        if header.get(field) != value:
            raise ValueError(
                f"`{field}` in its metadata must be {value!r}, as this "
                "version's `checkpoints.save` writes it. "
                f"Received: {field}={header.get(field)!r}"
            )


def _json_field(header, field):
    """The dict stored as JSON under `field` of the file's metadata."""
    text = header.get(field)
    try:
        value = json.loads(text or "")
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(
            f"`{field}` in its metadata must be a JSON object. "
            f"Received: {field}={text!r}"
        )
    return value


def _read_leaf(file, leaf):
    dtype = file.get_slice(leaf).get_dtype()
    if dtype != "F32":  # NumPy has not all of the others.
        raise ValueError(
            f"`theta[{leaf!r}]` must be float32 (F32). Received: dtype={dtype}"
        )
    return file.get_tensor(leaf)
