#!/usr/bin/env python3
"""Lists optimizer files, rules, task families and suites; or tasks.

It is `keras-lopt list`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["list", *sys.argv[1:]]))
