#!/usr/bin/env python3
"""Trains the baselines of suites and keeps their curves in an archive.

It is `keras-lopt archive`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["archive", *sys.argv[1:]]))
