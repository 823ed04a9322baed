"""Lists optimizer files, rules, task families and suites; or tasks.

Of tasks it prints sizes, counted cost of an inner step, and missing data.

Examples:
  keras-lopt list
  keras-lopt list --suite=standard
  keras-lopt list --family=conv_fc --samples=5
"""

from keras_lopt import quiet
from keras_lopt.commands import selected_tasks, start


def add_flags(parser):
    selected_tasks.add_flags(parser)


def run(args):
    if not selected_tasks.is_given(args):
        _list_names()
        return
    selected_tasks.check(args)
    from keras_lopt import tasks

    print(f"{'task':54s} {'params':>9s} {'state':>8s} {'MFLOP/step':>11s}")
    for task in selected_tasks.built(args):
        cost = tasks.task_cost(task)
        print(
            f"{task.name:54s} {cost.params:9,d} {cost.state:8,d} "
            f"{cost.flops / 1e6:11.3f}",
            flush=True,
        )


def _list_names():
    with quiet.without_noise():
        from keras_lopt import checkpoints, rules
    print("optimizers:", *checkpoints.bundled_names(), flush=True)
    print("rules:     ", *rules.names(), flush=True)
    start.start_tensorflow()
    from keras_lopt import tasks

    print("families:  ", *tasks.registry.families())
    print("suites:    ", *tasks.suites.names())
    print("data:      ", *tasks.datasets.names(), "tfds:BUILDER@SIZE")
    print(
        "Their tasks: --suite=NAME, --family=NAME --samples=N or "
        "--gin_file=EXPERIMENT"
    )
