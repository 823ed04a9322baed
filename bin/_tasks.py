"""What the commands about tasks share: their flags, and which tasks."""

import _package  # noqa: F401
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("suite", None, "Suite whose tasks are meant.")
flags.DEFINE_string("family", None, "Family of which samples are meant.")
flags.DEFINE_integer("samples", 3, "Samples of the family.", lower_bound=1)
flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets.")
flags.DEFINE_bool("download", False, "Whether missing data are downloaded.")


def check(argv):
    """Refuses what the command line has too much of; sets where data are."""
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}")
    if FLAGS.suite and FLAGS.family:
        raise app.UsageError("Give --suite or --family, not both")
    from keras_lopt import tasks

    try:
        if FLAGS.suite:
            tasks.suites.get(FLAGS.suite)
        if FLAGS.family:
            tasks.registry.family(FLAGS.family)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    tasks.tfds_data.configure(data_dir=FLAGS.data_dir, download=FLAGS.download)


def built():
    """The tasks that are meant; says of which there are no data."""
    for label, build in selected():
        try:
            yield build()
        except FileNotFoundError:
            print(f"{label:54s} no data here")


def selected():
    """Pairs of a label and a function that builds the task."""
    from keras_lopt import tasks

    if FLAGS.suite:
        return [
            (f"{entry.family} {dict(entry.config)}"[:54], entry.task)
            for entry in tasks.suites.get(FLAGS.suite)
        ]
    family = tasks.registry.family(FLAGS.family)
    return [
        (f"{family.name} {seed}", lambda seed=seed: family.sample(seed))
        for seed in range(FLAGS.samples)
    ]
