#!/usr/bin/env python3
"""Lists task families and suites: sizes, cost of an inner step, data.

Examples:
  bin/list_tasks.py
  bin/list_tasks.py --suite=standard
  bin/list_tasks.py --family=conv_fc --samples=5
"""

import _tasks
from absl import app, flags

flags.adopt_module_key_flags(_tasks)


def main(argv):
    _tasks.check(argv)
    from keras_lopt import tasks

    if not _tasks.is_given():
        print("families:", *tasks.registry.families())
        print("suites:  ", *tasks.suites.names())
        print("data:    ", *tasks.datasets.names(), "tfds:BUILDER@SIZE")
        print(
            "Their tasks: --suite=NAME, --family=NAME --samples=N or "
            "--gin_file=EXPERIMENT"
        )
        return
    print(f"{'task':54s} {'params':>9s} {'state':>8s} {'MFLOP/step':>11s}")
    for task in _tasks.built():
        cost = tasks.task_cost(task)
        print(
            f"{task.name:54s} {cost.params:9,d} {cost.state:8,d} "
            f"{cost.flops / 1e6:11.3f}",
            flush=True,
        )


if __name__ == "__main__":
    app.run(main)
