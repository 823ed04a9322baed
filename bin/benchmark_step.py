#!/usr/bin/env python3
"""Measures what a step of the rules costs.

It is `keras-lopt benchmark step`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", "step", *sys.argv[1:]]))
