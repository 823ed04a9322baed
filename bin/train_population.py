#!/usr/bin/env python3
"""Trains a population of learned optimizers as gin files say.

It is `keras-lopt train`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
