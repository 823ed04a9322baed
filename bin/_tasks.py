"""What the commands about tasks share: flags, and the tasks they select."""

from _package import ROOT
from absl import app, flags, logging

FLAGS = flags.FLAGS
flags.DEFINE_string("suite", None, "Suite whose tasks to use.")
flags.DEFINE_string("family", None, "Family to sample tasks of.")
flags.DEFINE_string("gin_file", None, "Experiment whose tasks to use.")
flags.DEFINE_integer(
    "samples", 3, "Number of samples of the family.", lower_bound=1
)
flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets.")
flags.DEFINE_bool("download", False, "Whether to download missing data.")


def check(argv):
    """Refuses a bad command line; configures where data is."""
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}")
    if sum(map(bool, (FLAGS.suite, FLAGS.family, FLAGS.gin_file))) > 1:
        raise app.UsageError(
            "Give --suite, --family or --gin_file, one of them"
        )
    from keras_lopt import config, tasks

    try:
        if FLAGS.gin_file:
            logging.set_verbosity(logging.FATAL)  # gin logs paths it tries.
            config.load([FLAGS.gin_file], (), str(ROOT / "gin_configs"))
            config.value("training.Experiment.task")
        if FLAGS.suite:
            tasks.suites.get(FLAGS.suite)
        if FLAGS.family:
            tasks.registry.family(FLAGS.family)
    except (ValueError, OSError) as error:
        raise app.UsageError(str(error)) from error
    tasks.tfds_data.configure(data_dir=FLAGS.data_dir, download=FLAGS.download)


def is_given():
    """Whether the command line selects tasks."""
    return bool(FLAGS.suite or FLAGS.family or FLAGS.gin_file)


def built():
    """The chosen tasks; prints a line for those whose data is missing."""
    for label, build in selected():
        try:
            yield build()
        except FileNotFoundError:
            print(f"{label:54s} no data here")


def selected():
    """Pairs of a label and a function that builds the task."""
    from keras_lopt import config, tasks

    if FLAGS.gin_file:
        mixture = tasks.Mixture.of(config.value("training.Experiment.task")())
        return [(task.name, lambda task=task: task) for task in mixture.tasks]
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
