# shellcheck shell=bash
# Sourced by bin/quickstart and bin/test: the virtual environment they run in.
#
# Sets ROOT, the repository. `make_environment` sets PYTHON, the interpreter of
# an environment that holds the pinned packages and this checkout. It is made at
# first use in ROOT/.venv, or in KERAS_LOPT_VENV where that is set. The stamp in
# it is written last and repeats all that the installation depends on: while it
# matches nothing is installed, and an interrupted installation is done again.

ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

die() { # die MESSAGE [STATUS]
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit "${2:-1}"
}

stamp_text() {
  printf '%s\n' "$ROOT"
  "$PYTHON" --version
  cat "$ROOT/setup.py" "$ROOT/constraints.txt"
}

check_python3() {
  command -v python3 >/dev/null ||
    die "Python 3.10 or newer is needed, and PATH has no python3."
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    die "python3 must be 3.10 or newer. Received: $(python3 --version 2>&1).
Put a newer one first on PATH."
  python3 -c 'import ensurepip, venv' 2>/dev/null ||
    die "python3 must have the venv module, to make an environment with.
On Debian and Ubuntu: apt install python3-venv"
}

make_environment() {
  local venv=${KERAS_LOPT_VENV:-$ROOT/.venv}
  [[ $venv == /* ]] || venv=$PWD/$venv
  PYTHON=$venv/bin/python
  local stamp=$venv/keras_lopt.stamp
  if [[ -f $stamp && -x $PYTHON ]] &&
    [[ $(<"$stamp") == "$(stamp_text)" ]]; then
    return
  fi

  check_python3
  if [[ -e $venv && ! -f $venv/pyvenv.cfg && -n $(ls -A "$venv") ]]; then
    die "KERAS_LOPT_VENV must be a virtual environment, or a new or empty
directory to make one in. Received: KERAS_LOPT_VENV=$venv"
  fi
  echo "Installing the pinned packages into $venv" \
    "(once; about 3 minutes and 3 GB)"
  rm -f -- "$stamp"
  python3 -m venv "$venv"
  "$PYTHON" --version >/dev/null 2>&1 ||
    die "The interpreter of $venv does not start.
Delete that directory and run this again."
  "$PYTHON" -m pip install --quiet --no-input --disable-pip-version-check \
    --use-pep517 --constraint "$ROOT/constraints.txt" --editable "$ROOT[train,test]" ||
    die "Installing failed; pip says why above. Run this again to go on."
  stamp_text >"$stamp"
}
