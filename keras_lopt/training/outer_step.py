"""An outer step of all members: a meta-gradient, and their teachers' update.

`estimate` and `update` run on every replica. Each estimates from its share of
the antithetic pairs, or of the members (`devices.division`); the [p, d]
meta-gradients are averaged; the update of theta is the same on every replica.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_lopt.rules import ThetaVector


class OuterStep(NamedTuple):
    """Which tasks an outer step averages over, and its random numbers."""

    number: int  # outer steps done before
    tasks: tuple  # indices of k tasks
    seeds: tuple  # k times [2] int32


def draw(experiment, *args):
    """`Estimator.draw` for all members, without noise on frozen leaves."""
    members = experiment.schedule.population
    problems, noise = experiment.estimator.draw(*args, members)
    if experiment.frozen:
        noise *= experiment.is_trained
    return problems, noise


def estimate(estimator, draw, run, division, thetas, state, seed, number):
    """The meta-gradients of all members on one task.

    Args:
        estimator: An `estimators.Estimator`.
        draw: `draw` of the experiment, compiled.
        run: The task's inner run, an `estimators.InnerRun` or a stand-in.
        division: The replicas' `Division` of the work.
        thetas: [p, d].
        state: `EstimatorState` of this replica.
        seed: [2] int32, of this outer step.
        number: int32 scalar, outer steps done so far.

    Returns:
        Meta-gradients [p, d] and outer losses [p], those of all replicas, and
        the new state.
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    # The draw is one program for all tasks: it needs nothing of a task.
    problems, noise = draw(
        state._replace(inner=()),
        seed,
        division.first_pair(replica),
        number,
        division.first_member(replica),
    )
    batches = run.draw_batches(
        problems.seeds, state.steps, estimator.outer_split
    )
    return estimator.estimate(
        run,
        division.own(thetas),
        state,
        problems,
        noise,
        batches,
        mean=division.mean,
        own=division.own,
    )


def update(
    experiment, thetas, averages, slots, slot_steps, teachers, grads, losses
):
    """All members' thetas after this outer step. To be called under XLA.

    Args:
        experiment: An `Experiment`.
        thetas, slots, slot_steps, teachers: As for `apply_teachers`.
        averages: [p, d] running means of the thetas.
        grads: List of one [p, d] per task, not clipped yet.
        losses: List of one [p] per task.

    Returns:
        New thetas, averages, slots and slot steps, and the mean losses [p].
    """
    grads, losses = (tf.add_n(v) / len(v) for v in (grads, losses))
    grads = experiment.estimator.clipped(grads)
    thetas, slots = apply_teachers(
        experiment, thetas, slots, slot_steps, teachers, grads, losses
    )
    rate = experiment.schedule.averaging
    averages = averages + rate * (thetas - averages) if rate < 1.0 else thetas
    return (thetas, averages, slots, slot_steps + 1), losses


def apply_teachers(
    experiment, thetas, slots, slot_steps, teachers, grads, losses
):
    """Each teacher's rule updates its member's theta.

    This is the same `rule.update` as in the inner run; here it trains a theta,
    as a list of tensors.

    Args:
        experiment: An `Experiment`.
        thetas: [p, d].
        slots: Nest of [p, ...]; ignored where the step is 0.
        slot_steps: [p] int32; outer steps since the slots were fresh.
        teachers: Theta of each member's teacher [p, d'] and the multiplier of
            its updates [p].
        grads: [p, d] meta-gradients.
        losses: [p] outer losses.

    Returns:
        New thetas and slots. Where an update is not finite, theta stays.
    """
    rule, horizon = experiment.teacher_rule, experiment.schedule.outer_horizon
    tensors, teacher_vector = experiment.theta_tensors, ThetaVector(rule)

    def flat(deltas):
        delta = tf.concat([tf.reshape(d, [-1]) for d in deltas], axis=0)
        return delta * experiment.is_trained if experiment.frozen else delta

    def update_one(args):
        theta, slots, step, teacher, multiplier, grad, loss = args
        teacher, params = teacher_vector.unpack(teacher), tensors(theta)
        slots = tf.cond(
            tf.equal(step, 0),
            lambda: rule.init_slots(teacher, params),
            lambda: slots,
        )
        # There is no other validation loss: both signals get the outer loss.
        signals = {
            "step": step,
            "horizon": horizon,
            "train_loss": loss,
            "valid_loss": loss,
        }
        grads = tensors(grad)
        deltas, slots = rule.update(teacher, grads, params, slots, signals)
        delta = multiplier * flat(deltas)
        if experiment.teachers.relative:
            # The length of what the teacher would do as a first step.
            fresh, first = rule.init_slots(teacher, params), {"step": 0}
            deltas, _ = rule.update(
                teacher, grads, params, fresh, signals | first
            )
            length = tf.norm(flat(deltas)) / tf.norm(theta)
            delta = tf.math.divide_no_nan(delta, length)
        return theta + tf.where(tf.math.is_finite(delta), delta, 0.0), slots

    return tf.map_fn(
        update_one,
        (thetas, slots, slot_steps, *teachers, grads, losses),
        fn_output_signature=tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape[1:], t.dtype), (thetas, slots)
        ),
    )
