"""Writes, reads and converts optimizer files (safetensors; no pickles).

The tensors of an optimizer file are theta's leaves by name, in float32. Its
metadata are strings: `format`, `format_version`, `rule` (JSON: name and
hyperparameters) and `metadata` (JSON: where the optimizer comes from). `load`
also imports weights from other libraries (importers/).
"""

import contextlib
import hashlib
import json
import os
import pathlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from keras_lopt.checkpoints.errors import CheckpointError
from keras_lopt.checkpoints.importers import load_imported
from keras_lopt.checkpoints.locations import SUFFIX, bundled_path, located
from keras_lopt.checkpoints.remote import is_remote
from keras_lopt.checkpoints.rule_specs import (
    check_rule_and_theta,
    rule_from_spec,
    rule_spec,
)
from keras_lopt.rules import Rule

Path = str | os.PathLike[str]

FORMAT = "keras_lopt.optimizer"
FORMAT_VERSION = "1"


def save(
    path: Path,
    rule: Rule,
    theta: Mapping[str, np.ndarray],
    metadata: dict[str, Any] | None = None,
) -> None:
    """Writes one optimizer file, completely or not at all.

    Args:
        path: Path of the file. Missing directories are created, and an older
            file is replaced.
        rule: The `rules.Rule` that `theta` belongs to.
        theta: Dict from leaf name to float32 array.
        metadata: JSON-serializable dict: provenance, for people and reports.

    Raises:
        ValueError: `rule` is not a Rule, `theta` does not fit it, or
            `metadata` is not JSON. An older file at `path` then stays.

    >>> from keras_lopt import checkpoints, rules
    >>> rule = rules.get("fused")
    >>> theta = rule.init_theta(seed=0)
    >>> checkpoints.save("mine.safetensors", rule, theta, {"by": "me"})
    >>> checkpoints.load("mine.safetensors")[2]
    {'by': 'me'}
    """
    _write_atomically(pathlib.Path(path), to_bytes(rule, theta, metadata))


def to_bytes(
    rule: Rule,
    theta: Mapping[str, np.ndarray],
    metadata: dict[str, Any] | None = None,
) -> bytes:
    """What `save` writes, for those who write it elsewhere.

    The same arguments give the same bytes.

    Args:
        rule, theta, metadata: As for `save`.

    Raises:
        ValueError: As for `save`.
    """
    check_rule_and_theta(rule, theta)
    content = safetensors.numpy.save(
        _contiguous(theta),
        metadata={
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "rule": json.dumps(rule_spec(rule)),
            "metadata": _metadata_to_json({} if metadata is None else metadata),
        },
    )
    return _ordered(content)


def load(
    source: Path | Sequence[Path],
    rule: Rule | str | None = None,
    config: dict[str, Any] | None = None,
) -> tuple[Rule, dict[str, np.ndarray], dict[str, Any]]:
    """Reads and checks one optimizer file, or imports weights.

    Weights are imported from flax msgpack files (google/learned_optimization,
    Celo), safetensors files (PyLO) and torch state dicts. They must be float32,
    or float16 or bfloat16, which are widened. The rule is found by `rule` or,
    without it, by the names and shapes of the leaves and a `config.gin` beside
    the file. `metadata["imported"]` says what was assumed.

    Args:
        source: A name from `names()`; a file; the directory of a
            training run, for its best member; `gs://bucket/path`;
            `hf://owner/name` or `hf://owner/name/file`. Or a list of these, if
            the weights are in several files, as PyLO's VeLO is.
        rule: The `rules.Rule` that the file must have, or its name; `None`
            accepts any.
        config: Dict of hyperparameters that the rule must have. For imported
            weights, the others come from shapes or keep their defaults.

    Returns:
        `rule`, `theta` (dict from leaf name to float32 NumPy array) and
        `metadata` (dict).

    Raises:
        FileNotFoundError: There is nothing at `source`.
        CheckpointError: The file is unusable. It is a ValueError whose message
            names the file and the fault.
        MissingLibraryError: An optional library is missing (an ImportError).

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
        return load_imported(paths, rule, config)


def describe(name: str) -> dict[str, Any]:
    """What is known of an optimizer that ships inside the package.

    Args:
        name: One of `names()`.

    Returns:
        Dict with `name`; `rule` (a `rules.Rule`); `weights`, the number of
        entries of theta; `metadata` of the file; and `card`, a Markdown text
        on how it was trained, what it was tried on and its limits ("" if it
        has none).

    >>> from keras_lopt import checkpoints
    >>> checkpoints.describe("fused_digits")["rule"].name
    'fused'
    """
    path = bundled_path(name)
    rule, theta, metadata = load(path)
    card = path.with_suffix(".md")
    return {
        "name": name,
        "rule": rule,
        "weights": sum(int(leaf.size) for leaf in theta.values()),
        "metadata": metadata,
        "card": card.read_text(encoding="utf-8") if card.is_file() else "",
    }


def convert(
    source: Path | Sequence[Path],
    path: Path,
    rule: Rule | str | None = None,
    config: dict[str, Any] | None = None,
    license: str | None = None,
) -> tuple[Rule, dict[str, Any]]:
    """Loads weights and writes them as an optimizer file.

    Args:
        source, rule, config: As for `load`.
        path: Path of the new file. It must end in .safetensors and not exist.
        license: License of the weights, such as "Apache-2.0".

    Returns:
        `rule` and `metadata` of the file. The metadata say where the weights
        come from, and have `license` if it is given.

    Raises:
        The errors of `load`, and FileExistsError if there is something at
        `path`. Nothing is written then.
    """
    path = pathlib.Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(
            f"`path` must end in {SUFFIX}. Received: path={str(path)!r}"
        )
    if path.exists():
        raise FileExistsError(
            "`path` must be a new file, nothing is overwritten. "
            f"Received: path={str(path)!r}"
        )
    found, theta, metadata = load(source, rule, config)
    if license is not None:
        metadata = {**metadata, "license": license}
    save(path, found, theta, metadata)
    return found, metadata


def theta_to_bytes(theta: Mapping[str, np.ndarray]) -> bytes:
    """Theta alone in the safetensors format, without its rule."""
    return safetensors.numpy.save(_contiguous(theta))


def theta_from_bytes(content: bytes, rule: Rule) -> dict[str, np.ndarray]:
    """Theta of `rule` from `theta_to_bytes`, checked as that of a file.

    Raises:
        ValueError: `content` is damaged, or its leaves, shapes, dtypes or
            values are not those of a theta of this rule.
    """
    try:
        leaves = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, KeyError) as error:
        raise ValueError(f"it is no safetensors data ({error})") from error
    rule.check_theta(leaves)
    return {leaf: np.array(leaves[leaf]) for leaf in rule.theta_shapes()}


def theta_sha256(theta: Mapping[str, np.ndarray]) -> str:
    """Hash of names, shapes and values of theta, in hexadecimal digits."""
    return hashlib.sha256(theta_to_bytes(theta)).hexdigest()


def _contiguous(theta):
    # Not `ascontiguousarray`, which turns scalars into vectors.
    return {
        leaf: np.array(theta[leaf], np.float32, order="C")
        for leaf in sorted(theta)
    }


def _ordered(content):
    """A safetensors file whose bytes follow from what it holds.

    The library writes the metadata in a random order.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    text = text.encode()
    text += b" " * (-len(text) % 8)  # Tensors begin at multiples of 8.
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def _is_own(path):
    """Whether `save` wrote the file, judging by its header."""
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
            "`metadata` must be JSON-serializable: numbers, strings, lists "
            f"and dicts. Received: metadata={metadata!r} ({error})"
        ) from error


def _write_atomically(path, content):
    """Replaces `path` with a complete file; a crash leaves the old one."""
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
    """Rule, theta and metadata of an open file; ValueError if it is bad."""
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
            f"`config` must agree with the rule of the file, {rule}. "
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
    if dtype != "F32":  # NumPy lacks some of the other dtypes.
        raise ValueError(
            f"`theta[{leaf!r}]` must be float32 (F32). Received: dtype={dtype}"
        )
    return file.get_tensor(leaf)
