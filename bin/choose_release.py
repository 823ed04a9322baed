#!/usr/bin/env python3
"""Chooses the release among the snapshots of a training run.

It is `keras-lopt choose`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["choose", *sys.argv[1:]]))
