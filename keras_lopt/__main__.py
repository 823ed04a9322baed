"""`python -m keras_lopt COMMAND ...` is `keras-lopt COMMAND ...`."""

import sys

from keras_lopt.commands import main

if __name__ == "__main__":
    sys.exit(main())
