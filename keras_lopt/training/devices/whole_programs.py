"""The outer step and the scoring, each as one XLA program, and their ops.

Training compiles them in parts, which the cores of a CPU share. An accelerator
could run each as one program; what such a program needs can be checked without
one: XLA lowers it to HLO, with static shapes and no call back to Python.
"""

import collections
import re

import tensorflow as tf

from keras_lopt.training import outer_step, state
from keras_lopt.training.scoring import Scoring

#: Element types of the programs. Random numbers are made of 64 bit integers.
TYPES = {"f32", "s32", "u32", "s64", "u64", "pred", "u8", "s8"}
#: Ops that XLA has on no TPU, or that leave the device.
_OFF_DEVICE = {
    *("PyFunc", "EagerPyFunc", "PyFuncStateless", "Assert", "Print"),
    *("PrintV2", "VariableV2", "VarHandleOp", "ReadVariableOp"),
    *("IteratorGetNext", "AssignVariableOp", "StringFormat", "Where", "Unique"),
}


def estimate_program(experiment, task, mapping):
    """One outer step of all members on a task: a function, and its arguments.

    Args:
        experiment: An `Experiment`.
        task: A `tasks.Task`.
        mapping: As for `InnerRun`.
    """
    run = _inner_run(experiment, task, mapping)
    members, estimator = experiment.schedule.population, experiment.estimator
    begun = estimator.initial_state(run, members, estimator.pairs, 0)
    thetas = tf.zeros([members, experiment.theta_vector.size])
    slots = state.blank_slots(experiment)
    numbers = tf.zeros([members], tf.int32)

    def whole(thetas, begun, slots, numbers, seed, number):
        problems, noise = outer_step.draw(experiment, begun, seed, 0, number, 0)
        batches = run.draw_batches(
            problems.seeds, begun.steps, estimator.outer_split
        )
        grads, losses, new = estimator.estimate(
            run, thetas, begun, problems, noise, batches
        )
        teachers = thetas, tf.ones([members])
        return *outer_step.update(
            *(experiment, thetas, thetas, slots, numbers, teachers),
            *([grads], [losses]),
        ), new

    seed = tf.zeros([2], tf.int32)
    return whole, (thetas, begun, slots, numbers, seed, tf.constant(0))


def score_program(experiment, task, mapping):
    """One whole scoring of all members on a task, as `estimate_program`."""
    run = _inner_run(experiment, task, mapping)
    run.prepare = lambda particles, outer_split: None
    schedule = experiment.schedule
    problems = schedule.score_problems
    scoring = Scoring(run, schedule.population, problems, problems)
    thetas = tf.zeros([schedule.population, experiment.theta_vector.size])

    def whole(thetas, seed, calls, horizon):
        return scoring(thetas, seed, 0, calls, horizon)

    seed = tf.zeros([2], tf.int32)
    return whole, (thetas, seed, tf.constant(2), tf.constant(2))


def _inner_run(experiment, task, mapping):
    run = experiment.estimator.inner_run(experiment.rule, task)
    run.mapping = mapping
    return run


def lowered(program, platform="CPU"):
    """What XLA makes of a program.

    Args:
        program: A function and its arguments.
        platform: "CPU" or "GPU"; none need be there.

    Returns:
        Counter of the names of HLO's ops, and the set of element types.

    Raises:
        ValueError: An op that an accelerator can't run.
    """
    function, args = program
    function = tf.function(function, jit_compile=True, autograph=False)
    check_ops(function.get_concrete_function(*args).graph)
    compiler_ir = function.experimental_get_compiler_ir(*args)
    text = compiler_ir(stage="hlo", platform_name=platform)
    ops, types = collections.Counter(), set()
    for line in re.sub(r"/\*.*?\*/", "", text).splitlines():
        _, found, right = line.partition(" = ")
        if not found:
            continue
        shape, op = _split_shape(right)
        ops[op.partition("(")[0].strip()] += 1
        for part in shape.replace("(", " ").replace(",", " ").split():
            if "[" in part:
                types.add(part.partition("[")[0])
                if "<=" in part:
                    raise ValueError(
                        f"Shapes must be static. Received: {line.strip()}"
                    )
    return ops, types


def _split_shape(text):
    """`f32[2]{0} add(...)` -> `f32[2]{0}`, `add(...)`; tuples likewise."""
    if text.startswith("("):
        depth = 0
        for i, letter in enumerate(text):
            depth += (letter == "(") - (letter == ")")
            if not depth:
                return text[: i + 1], text[i + 1 :].strip()
    shape, _, op = text.partition(" ")
    return shape, op


def check_ops(graph):
    """Raises ValueError if a graph has ops that accelerators can't run."""
    nodes = list(graph.as_graph_def().node)
    for function in graph.as_graph_def().library.function:
        nodes += function.node_def
    bad = sorted({node.op for node in nodes} & _OFF_DEVICE)
    if bad:
        raise ValueError(f"A program must stay on its device. Received: {bad}")
