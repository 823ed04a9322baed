"""Configuration: the only module of the package that knows gin."""

import copy
import os
import re
import tokenize
import warnings

import gin

#: What gin raises for text or names that it can't use.
_PARSE_ERRORS = (
    AttributeError,
    ImportError,
    NameError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)


# Only files. gin would also look for "runs/pes.gin" in a Python package `runs`:
# it takes any folder of that name in the working directory for one, and fails.
gin.config._FILE_READERS[:] = [(open, os.path.isfile)]


class ConfigError(ValueError):
    """An experiment's configuration that can't be used."""


def load(gin_files, bindings=(), root="gin_configs"):
    """Parses gin files, then bindings. An error leaves no configuration.

    Args:
        gin_files: Paths; a relative one is looked up as it is, then in `root`.
        bindings: Lines of gin, such as "run.seed=1"; they override the files.
        root: Folder of the shipped configurations.

    Raises:
        FileNotFoundError: A file that is not there; lists what `root` has.
        ConfigError: What gin can't parse, or a name or parameter that does
            not exist.
    """
    paths = [_find(name, root) for name in gin_files]
    gin.clear_config()
    gin.add_config_file_search_path(root)
    try:
        for path in paths:
            gin.parse_config_file(path)
        gin.parse_config(list(bindings))
    except _PARSE_ERRORS as e:
        gin.clear_config()
        raise ConfigError(
            f"`gin_file` {list(gin_files)} with `gin` {list(bindings)} can't "
            f"be used. Received: {message(e)}"
        ) from e
    _warn_of_unused_macros(paths, bindings)


def call(function, *args):
    """Calls `function` with the parameters that the configuration binds.

    Raises:
        ConfigError: A parameter or a macro has no value; the configuration is
            dropped, since gin can't print it either.
    """
    try:
        return gin.get_configurable(function)(*args)
    except TypeError as error:
        missing = ("No values supplied by Gin", "required keyword-only")
        if not any(text in str(error) for text in missing):
            raise
        gin.clear_config()
        raise ConfigError(
            "The configuration must give every parameter and macro a value. "
            f"Received: {str(error).strip()}"
        ) from error


def value(name):
    """What the configuration binds to a name such as "training.run.seed".

    Raises:
        ConfigError: Nothing is bound to it.
    """
    try:
        bound = gin.query_parameter(name)
    except ValueError as error:
        raise ConfigError(
            f"The configuration must bind `{name}`. Received: {message(error)}"
        ) from error
    return copy.deepcopy(bound)  # gin's way to look up what it refers to.


def is_bound(name):
    """Whether the configuration binds a name, as for `value`."""
    try:
        gin.query_parameter(name)
    except ValueError:
        return False
    return True


def message(error):
    """What an error says, in one line and without gin's notes on its code."""
    text = str(error).split("\n  In call to configurable")[0]
    # What Python says of a value that is no literal; gin names it next.
    text = re.sub(r"malformed node or string[^\n]*\n", "", text)
    lines = (line.strip(" ^") for line in text.splitlines())
    return " ".join(line for line in lines if line)


def text():
    """The configuration as read, as gin text."""
    return gin.config_str()


def operative_text():
    """The values that were used, defaults included, as gin text."""
    return gin.operative_config_str()


def _find(name, root):
    for path in (name, os.path.join(root, name)):
        if os.path.isfile(path):
            return os.path.abspath(path)
    shipped = sorted(f for f in os.listdir(root) if f.endswith(".gin"))
    raise FileNotFoundError(
        f"`gin_file` must be a file, or one of {shipped} in {root}. "
        f"Received: gin_file={name!r}"
    )


def _warn_of_unused_macros(paths, bindings):
    """Warns of macros that nothing uses: a misspelled one does nothing."""
    texts = list(bindings)
    for path in paths:
        texts.extend(_with_includes(path))
    lines = "\n".join(texts)
    set_here = set(re.findall(r"^([A-Z][A-Z0-9_]*)\s*=", lines, re.MULTILINE))
    used = set(re.findall(r"%([A-Za-z_][A-Za-z0-9_]*)", lines))
    for name in sorted(set_here - used):
        warnings.warn(
            f"Macro {name} is set but never used: is it misspelled? "
            f"Used macros: {sorted(used)}",
            stacklevel=3,
        )


def _with_includes(path):
    with open(path) as file:
        content = file.read()
    texts = [content]
    for name in re.findall(r"^include\s+['\"](.+?)['\"]", content, re.M):
        for folder in (os.path.dirname(path), os.path.dirname(path) + "/.."):
            if os.path.isfile(nested := os.path.join(folder, name)):
                texts.extend(_with_includes(nested))
                break
    return texts
