#!/usr/bin/env python3
"""Imports weights from other libraries and writes an optimizer file.

It is `keras-lopt convert`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
