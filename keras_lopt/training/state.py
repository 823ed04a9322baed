"""Everything that changes in training, as one structure."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_lopt.population import Members

#: The last columns, which rows of older builds lack: what was not measured.
NOT_MEASURED = {
    "exchanged_bytes": float("nan"),
    "exchange_seconds": float("nan"),
}


@dataclasses.dataclass(frozen=True)
class PopulationState:
    """Where a population is in training. A generation makes a new one.

    Attributes:
        generation: Generations done.
        seconds: Seconds of training so far, compilation not counted.
        members: `population.Members`.
        memory: What the teachers remember, a dict of arrays.
        inner_states: One distributed `estimators.EstimatorState` per task.
        task_steps: [t] outer steps that each task had so far.
        history: List of dicts, one per generation, and a first one from before
            training.
        children: List of the children of each generation, as
            `records.packed` makes them.
        best: The best member's id, and when it became the best: a dict; None
            before the first scoring.
    """

    generation: int
    seconds: float
    members: Members
    memory: dict
    inner_states: list
    task_steps: np.ndarray
    history: list
    children: list = dataclasses.field(default_factory=list)
    best: dict | None = None

    @classmethod
    def initial(cls, experiment, devices):
        """The state before training: random members, not scored yet."""
        members = random_members(experiment, 0)
        return cls(
            generation=0,
            seconds=0.0,
            members=members,
            memory=experiment.teachers.begin(members, members),
            inner_states=devices.initial_states(),
            task_steps=np.zeros(len(experiment.mixture.tasks), np.int64),
            history=[],
        )

    def replace(self, **changes):
        """This state with some parts replaced."""
        return dataclasses.replace(self, **changes)

    def to_arrays(self, replicas):
        """All but the log, as arrays; with the pairs of all replicas.

        All workers have to call this: each has a part.
        """
        return self._arrays([replicas.gather(s) for s in self.inner_states])

    def template(self, replicas):
        """Arrays of the shapes and types of `to_arrays`."""
        return self._arrays([replicas.template(s) for s in self.inner_states])

    def _arrays(self, inner_states):
        return {
            "generation": np.int64(self.generation),
            "seconds": np.float64(self.seconds),
            "memory": self.memory.copy(),
            "members": vars(self.members).copy(),
            "inner_states": inner_states,
            "task_steps": self.task_steps,
        }

    def log(self):
        """What happened so far, as JSON types."""
        return {
            "generation": self.generation,
            "history": self.history,
            "children": self.children,
            "best": self.best,
        }

    @classmethod
    def from_arrays(cls, arrays, log, replicas):
        """The inverse of `to_arrays` and `log`, on any number of replicas."""
        return cls(
            generation=int(arrays["generation"]),
            seconds=float(arrays["seconds"]),
            members=Members(**arrays["members"]),
            memory={k: np.asarray(v) for k, v in arrays["memory"].items()},
            inner_states=[replicas.scatter(s) for s in arrays["inner_states"]],
            task_steps=np.asarray(arrays["task_steps"]),
            history=[{**row, **NOT_MEASURED, **row} for row in log["history"]],
            children=list(log["children"]),
            best=log["best"],
        )


def random_members(experiment, number):
    """The random population `number`, not scored yet."""
    count = experiment.schedule.population
    ids = number * count + np.arange(count)
    thetas = [experiment.initial_theta(int(i)) for i in ids]
    return Members.initial(
        np.stack([experiment.theta_vector.pack(theta) for theta in thetas]),
        blank_slots(experiment),
        ids,
        len(experiment.mixture.tasks),
        experiment.mutation.first,
    )


def blank_slots(experiment):
    """Slots of zeros for the teachers' rule, [p, ...]; step 0 replaces them."""
    params = experiment.theta_tensors(tf.zeros([experiment.theta_vector.size]))
    teacher = {
        leaf: tf.zeros(shape)
        for leaf, shape in experiment.teacher_rule.theta_shapes().items()
    }
    slots = experiment.teacher_rule.init_slots(teacher, params)
    count = experiment.schedule.population
    return tf.nest.map_structure(
        lambda t: tf.zeros([count, *t.shape], t.dtype).numpy(), slots
    )
