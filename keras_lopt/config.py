"""Configuration: the only module of the package that knows gin."""

import copy
import inspect
import os
import pathlib
import re
import sys
import tokenize
import warnings

from keras_lopt import extras  # noqa: F401

# isort: split
import gin
from gin import config_parser

from keras_lopt.checks import near_name

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


def _shipped():
    """Folder of the shipped configurations; beside the package in a clone."""
    package = pathlib.Path(__file__).parent
    inside = package / "gin_configs"
    return inside if inside.is_dir() else package.parent / "gin_configs"


SHIPPED = _shipped()


class ConfigError(ValueError):
    """An experiment's configuration that can't be used."""


def load(gin_files, bindings=(), root=SHIPPED):
    """Parses gin files, then bindings. An error leaves no configuration.

    Args:
        gin_files: Paths; a relative one is looked up as it is, then in `root`.
            What they include is looked up beside them, then in `root`.
        bindings: Lines of gin, such as "run.seed=1"; they override the files.
        root: Folder of the shipped configurations.

    Raises:
        FileNotFoundError: A file that is not there; lists what `root` has.
        ConfigError: What gin can't parse, or a name or parameter that does
            not exist.
    """
    paths = [_find(name, root) for name in gin_files]
    gin.clear_config()
    folders = [*map(os.path.dirname, paths), str(root)]
    gin.config._LOCATION_PREFIXES[:] = ["", *folders]
    try:
        for path in paths:
            gin.parse_config_file(path)
        gin.parse_config(list(bindings))
    except _PARSE_ERRORS as e:
        gin.clear_config()
        raise ConfigError(
            f"`gin_file` {list(gin_files)} with `gin` {list(bindings)} can't "
            f"be used. Received: {message(e)}{_near(str(e))}"
        ) from e
    _warn_of_unused_macros(paths, bindings, folders)


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


def call_if_named(function):
    """Calls `function` as the configuration says, if that names it at all."""
    try:
        configured = gin.get_configurable(function)
    except ValueError:  # gin does not know it.
        return
    configured()


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


def _near(text):
    """The nearest known name, for what gin says of one that it doesn't know."""
    configurables = _configurables()
    name, known = "", ()
    if found := re.search(
        r"No configurable matching (?:reference )?'@?([\w.]+)", text
    ):
        name, known = found[1], configurables
    elif found := re.search(
        r"Configurable '([\w.]+)' doesn't have a parameter named '(\w+)'", text
    ):
        name = found[2]
        if found[1] in configurables:
            known = inspect.signature(configurables[found[1]]).parameters
    near = near_name(name, known)
    return near and f".{near}"


def _configurables():
    """Dict of the public names of what has been imported of the package."""
    return {
        f"{module.removeprefix('keras_lopt.')}.{name}": getattr(package, name)
        for module, package in list(sys.modules.items())
        if module.startswith("keras_lopt.")
        for name in getattr(package, "__all__", ())
        if callable(getattr(package, name))
    }


def _find(name, root):
    for path in (name, os.path.join(root, name)):
        if os.path.isfile(path):
            return os.path.abspath(path)
    shipped = sorted(f for f in os.listdir(root) if f.endswith(".gin"))
    raise FileNotFoundError(
        f"`gin_file` must be a file, or one of {shipped} in {root}. "
        f"Received: gin_file={name!r}.{near_name(name, shipped)}"
    )


def _warn_of_unused_macros(paths, bindings, folders):
    """Warns of macros that nothing uses: a misspelled one does nothing."""
    macros = _Macros(folders)
    for path in paths:
        macros.read_file(path)
    macros.read("\n".join(bindings))
    for name in sorted(macros.set_here - macros.used):
        warnings.warn(
            f"Macro {name} is set but never used: is it misspelled? "
            f"Used macros: {sorted(macros.used)}",
            stacklevel=3,
        )


class _Macros(config_parser.ParserDelegate):
    """The macros that gin files set, and those that values use."""

    def __init__(self, folders):
        self.set_here, self.used = set(), set()
        self._folders = ["", *folders]

    def macro(self, macro_name):
        self.used.add(macro_name)

    def configurable_reference(self, scoped_configurable_name, evaluate):
        return None

    def read_file(self, name):
        """Reads a file and what it includes; gin has found all of them."""
        paths = (os.path.join(folder, name) for folder in self._folders)
        path = next(path for path in paths if os.path.isfile(path))
        self.read(pathlib.Path(path).read_text(encoding="utf-8"))

    def read(self, text):
        for statement in config_parser.ConfigParser(text, self):
            if isinstance(statement, config_parser.IncludeStatement):
                self.read_file(statement.filename)
            is_binding = isinstance(statement, config_parser.BindingStatement)
            if is_binding and not statement.arg_name:
                scope, name = statement.scope, statement.selector
                self.set_here.add(f"{scope}/{name}" if scope else name)
