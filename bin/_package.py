"""Makes `keras_lopt` of this checkout what a script imports.

Where its libraries are missing the script starts again in the environment that
bin/quickstart and bin/test use, which is made at first use.
"""

import importlib.util
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
_RESTARTED = "KERAS_LOPT_RESTARTED"
_RESTART = 'source "$0" && make_environment && exec "$PYTHON" "$@"'

if (
    importlib.util.find_spec("tensorflow") is None
    and _RESTARTED not in os.environ
):
    os.environ[_RESTARTED] = "1"
    script = [os.path.abspath(sys.argv[0]), *sys.argv[1:]]
    environment = str(ROOT / "bin" / "_env.sh")
    sys.stdout.flush()
    os.execvp("bash", ["bash", "-c", _RESTART, environment, *script])

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(ROOT))
