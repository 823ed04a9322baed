"""Texts of a training run that commands, too, read and print.

Nothing here needs TensorFlow, so that `keras-lopt status` starts at once.
"""

import re


def duration(seconds):
    """A number of seconds as a person says it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def planned_generations(config_text):
    """How many generations a run's config.gin asks for; None if it doesn't."""
    pattern = r"^(?:\w+\.)*run\.generations = (\d+)$"
    found = re.search(pattern, config_text, re.MULTILINE)
    return int(found[1]) if found else None
