#!/usr/bin/env python3
"""Measures the time of an inner step of tasks.

It is `keras-lopt time`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["time", *sys.argv[1:]]))
