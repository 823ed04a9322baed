#!/usr/bin/env python3
"""Measures meta-training: inner steps per second.

It is `keras-lopt benchmark meta`; --help says more.
"""

import sys

import _package  # noqa: F401

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", "meta", *sys.argv[1:]]))
