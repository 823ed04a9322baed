#!/usr/bin/env python3
"""How well do learned optimizers teach learned optimizers?

  python tests/benchmarks/teacher_quality.py \
      keras_lopt/evaluation/recorded/self_training_*

Teachers are random thetas; of many random thetas the best at training a model,
which a population begins with; the members of the given folders or optimizer
files; and Adam. Each teaches copies of one theta, the very best of the random
ones, for 60 outer steps of the quickstart, with 8 update multipliers and
without selection, all on the same problems and random numbers. Prints the
held-out loss of the best copy, over whole runs: a better teacher has a lower
one.
"""

import argparse
import dataclasses
import os
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
MULTIPLIERS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
ADAM_RATE = 3e-3  # times the multipliers: from 3e-4 to 0.9
BEST = 4  # how many of the best random thetas teach


def make_trainer(teachers, count, seed):
    """The quickstart's `PopulationTrainer` with `count` teachers."""
    from keras_lopt import estimators, population, rules, tasks, training

    experiment = training.Experiment(
        rule=rules.get("fused"),
        task=tasks.digits_mlp(size=8, hidden=(32,), batch_size=64),
        estimator=estimators.PES(
            pairs=4, horizon=200, truncation=20, outer_split="outer_valid"
        ),
        schedule=training.Schedule(
            population=count * len(MULTIPLIERS),
            candidates=1,
            outer_steps=10,
            redraw_every=10**6,
        ),
        teachers=teachers,
        selection=population.NoSelection(),
        mutation=population.Grid(MULTIPLIERS),
        seed=seed,
    )
    return training.PopulationTrainer(experiment)


def given_teachers(thetas):
    """Teachers with thetas [t, d]; each has one member per multiplier."""
    from keras_lopt import population

    class Given(population.Teachers):
        def draw(self, members, memory, rng):
            drawn = np.repeat(thetas, len(MULTIPLIERS), axis=0)
            return population.DrawnTeachers.with_parents_multipliers(
                drawn, np.full(len(members.ids), -1)
            )

    return Given(fresh=0.0)


def quality(trainer, start, outer_steps):
    """Held-out losses [teachers, multipliers] of copies of theta `start`."""
    trainer.fit(0)
    schedule = trainer.experiment.schedule
    thetas = np.tile(start, (schedule.population, 1)).astype(np.float32)
    members = dataclasses.replace(trainer.members, thetas=thetas)
    trainer.state = trainer.state.replace(members=members)
    trainer.fit(outer_steps // schedule.outer_steps)
    return np.reshape(trainer.members.scores, [-1, len(MULTIPLIERS)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("members", nargs="*", help="run folders or files")
    parser.add_argument("--random", type=int, default=8)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--outer_steps", type=int, default=60)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(ROOT))
    from keras_lopt import checkpoints, population, rules

    names = [f"random {i + 1}" for i in range(args.random)]
    names += [f"best {i + 1} at training a model" for i in range(BEST)]
    names += args.members
    vector = rules.ThetaVector(rules.get("fused"))
    thetas = np.zeros([len(names), vector.size], np.float32)
    trainer = make_trainer(given_teachers(thetas), len(names), args.seed)
    trainer.fit(0)
    randoms = trainer.members.thetas
    order = np.argsort(trainer.members.scores)
    start = randoms[order[0]]
    print(
        f"To be taught: the best of {len(randoms)} random thetas, with a "
        f"held-out loss of {trainer.members.scores[order[0]]:.4f}"
    )
    thetas[: args.random] = randoms[: args.random]
    thetas[args.random :][:BEST] = randoms[order[:BEST]]
    for i, path in enumerate(args.members):
        theta = checkpoints.load(path)[1]
        thetas[args.random + BEST + i] = vector.pack(theta)
    losses = quality(trainer, start, args.outer_steps)
    adam = population.FixedTeacher(
        teacher=rules.get("adam", learning_rate=ADAM_RATE)
    )
    adam = quality(make_trainer(adam, 1, args.seed), start, args.outer_steps)
    for name, row in zip([*names, "Adam"], [*losses, *adam]):
        best = int(np.argmin(row))
        print(f"{row[best]:.4f}  times {MULTIPLIERS[best]:5g}  {name}")


if __name__ == "__main__":
    sys.exit(main())
