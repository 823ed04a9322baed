"""Theta in the config of an optimizer: a file's name, or the bytes themselves.

Keras rebuilds optimizers from their configs, and then nothing else is there:
`clone_model`, `compile_from_config` and scikit-learn wrappers do. A config has
one of these dicts as `theta`:

    {"source": "fused_digits", "sha256": "..."}   loaded again, and compared
    {"safetensors": "..."}                        base64, for a small theta
    {"sha256": "..."}                             too large: must be loaded
"""

import base64
import dataclasses
import os

from keras_lopt import checkpoints

#: Bytes of the largest theta that a config carries.
LARGEST = 2**16


@dataclasses.dataclass(frozen=True)
class Source:
    """Where theta was loaded from.

    Args:
        names: Tuple of one or more names, absolute paths or URLs.
        sha256: Of theta, as from `checkpoints.theta_sha256`.
    """

    names: tuple
    sha256: str

    @classmethod
    def of(cls, source, theta):
        """The `Source` of what `checkpoints.load(source)` returned."""
        sources = source if isinstance(source, (list, tuple)) else [source]
        names = tuple(_lasting_name(name) for name in sources)
        return cls(names, checkpoints.theta_sha256(theta))

    @property
    def shown(self):
        """A string for one name, else a list."""
        return self.names[0] if len(self.names) == 1 else list(self.names)


def _lasting_name(name):
    """`name`, as an absolute path if it is that of a local file."""
    if str(name) in checkpoints.names() or checkpoints.is_remote(name):
        return str(name)
    return os.path.abspath(name)


def theta_to_config(theta, source):
    """What the config of an optimizer has as `theta`.

    Args:
        theta: Dict from leaf name to float32 array.
        source: `Source` that theta was loaded from, or None. It is not named
            if theta has changed since.
    """
    sha256 = checkpoints.theta_sha256(theta)
    if source is not None and source.sha256 == sha256:
        return {"source": source.shown, "sha256": sha256}
    content = checkpoints.theta_to_bytes(theta)
    if len(content) > LARGEST:
        return {"sha256": sha256}
    return {"safetensors": base64.b64encode(content).decode("ascii")}


def theta_from_config(spec, rule):
    """Theta from what the config of an optimizer has as `theta`.

    A file that is not there, or that has changed, is no error yet: the state
    that was saved with the config may be loaded, and has theta too.

    Args:
        spec: As from `theta_to_config`; None for a config without theta.
        rule: The `rules.Rule` of the config.

    Returns:
        `theta`, `source` and `problem`: theta and the `Source` it is from, or
        None; the problem is a string if theta is None.

    Raises:
        ValueError: `spec` is not such a dict, or its bytes are not theta of
            this rule.
    """
    if spec is None:
        return None, None, "was created from a config, which has no `theta`"
    if not isinstance(spec, dict) or not set(spec) <= {
        "source",
        "sha256",
        "safetensors",
    }:
        raise ValueError(
            "`theta` in the config of an optimizer must be a dict with "
            "`source` and `sha256`, or with `safetensors`. "
            f"Received: theta={spec!r}"
        )
    if "safetensors" in spec:
        return _theta_from_base64(spec["safetensors"], rule), None, None
    if "source" in spec:
        return _theta_from_source(spec["source"], spec.get("sha256"), rule)
    return (
        None,
        None,
        f"was created from a config, which has no `theta`: it was larger than "
        f"{LARGEST} bytes (sha256 {_short(spec.get('sha256'))}). Save it once "
        "by `checkpoints.save`, and create the optimizer by "
        "`LearnedOptimizer.from_checkpoint`: configs then name the file",
    )


def _theta_from_base64(text, rule):
    try:
        content = base64.b64decode(text, validate=True)
        return checkpoints.theta_from_bytes(content, rule)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`theta` in the config of an optimizer must be the safetensors "
            f"bytes, in base64, of a theta of rule {rule.name!r}. The config "
            "is damaged, or from a version of the rule with other weights: "
            f"{error}"
        ) from error


def _theta_from_source(source, sha256, rule):
    names = source if isinstance(source, (list, tuple)) else [source]
    if any(checkpoints.is_remote(name) for name in names):
        # A model file may come from anyone, and must not cause a download.
        problem = "is not loaded again without being asked to"
    else:
        try:
            _, theta, _ = checkpoints.load(source, rule)
        except (OSError, ValueError, ImportError) as error:
            problem = f"cannot be loaded ({error})"
        else:
            found = Source.of(source, theta)
            if sha256 in (None, found.sha256):
                return theta, found, None
            problem = (
                "has another one now: sha256 "
                f"{_short(found.sha256)}. To accept it as it is, set "
                "`config['theta']['sha256']` to None"
            )
    return (
        None,
        None,
        f"was created from a config, whose `theta` is that of {source!r} "
        f"(sha256 {_short(sha256)}), which {problem}. Or create it by "
        f"`LearnedOptimizer.from_checkpoint({source!r})`",
    )


def _short(sha256):
    return f"{sha256[:12]}..." if isinstance(sha256, str) else sha256
