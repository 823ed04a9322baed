#!/usr/bin/env python3
"""Compares a learned optimizer with tuned Adam and writes a report.

It is `keras-lopt evaluate`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
