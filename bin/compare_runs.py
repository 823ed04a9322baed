#!/usr/bin/env python3
"""Compares training runs with each other.

It is `keras-lopt compare`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["compare", *sys.argv[1:]]))
