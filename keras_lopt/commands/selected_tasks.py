"""What the commands about tasks share: flags, and the tasks they select."""

from keras_lopt.checks import check_integer
from keras_lopt.commands import experiment, start


def add_flags(parser):
    """Adds the flags that select tasks."""
    parser.add_argument("--suite", help="suite whose tasks to use")
    parser.add_argument("--family", help="family to sample tasks of")
    parser.add_argument("--gin_file", help="experiment whose tasks to use")
    parser.add_argument(
        "--samples",
        type=int,
        default=3,
        help="number of samples of the family; default: 3",
    )
    experiment.add_data_flags(parser)


def is_given(args):
    """Whether the command line selects tasks."""
    return bool(args.suite or args.family or args.gin_file)


def check(args):
    """Refuses a bad command line; configures where data is."""
    if sum(map(bool, (args.suite, args.family, args.gin_file))) > 1:
        raise ValueError("Give --suite, --family or --gin_file, one of them")
    check_integer("samples", args.samples, 1)
    start.start_tensorflow()
    from keras_lopt import config, tasks

    if args.gin_file:
        experiment.load([args.gin_file])
        config.value("training.Experiment.task")
        experiment.configure_data(args)
        return
    if args.suite:
        tasks.suites.get(args.suite)
    if args.family:
        tasks.registry.family(args.family)
    tasks.tfds_data.configure(data_dir=args.data_dir, download=args.download)


def built(args):
    """The chosen tasks; prints a line for those whose data is missing."""
    for label, build in selected(args):
        try:
            yield build()
        except FileNotFoundError:
            print(f"{label:54s} no data here")


def selected(args):
    """Pairs of a label and a function that builds the task."""
    from keras_lopt import config, tasks

    if args.gin_file:
        mixture = tasks.Mixture.of(config.value("training.Experiment.task")())
        return [(task.name, lambda task=task: task) for task in mixture.tasks]
    if args.suite:
        return [
            (f"{entry.family} {dict(entry.config)}"[:54], entry.task)
            for entry in tasks.suites.get(args.suite)
        ]
    family = tasks.registry.family(args.family)
    return [
        (f"{family.name} {seed}", lambda seed=seed: family.sample(seed))
        for seed in range(args.samples)
    ]
