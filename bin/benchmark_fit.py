#!/usr/bin/env python3
"""Measures what learned optimizers cost in `fit`.

It is `keras-lopt benchmark fit`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", "fit", *sys.argv[1:]]))
