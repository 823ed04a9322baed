"""The rows of history.csv and members.csv."""

import numpy as np


def generation_row(clock, members, accepted, losses):
    """A generation in numbers.

    Args:
        clock: Dict of generation, outer_step, inner_steps and seconds.
        members: `population.Members` after selection.
        accepted: [p] bool, whose child took its place.
        losses: [p] outer losses of the last outer step.
    """
    best = members.best
    return {
        "generation": clock["generation"],
        "outer_step": clock["outer_step"],
        "best_score": float(members.scores[best]),
        "median_score": float(np.median(members.scores)),
        "worst_score": float(np.max(members.scores)),
        "best_train_loss": float(members.train_losses[best]),
        "accepted_fraction": float(np.mean(accepted)),
        "mean_outer_loss": float(np.mean(losses)),
        "best_multiplier": float(members.multipliers[best]),
        "best_id": int(members.ids[best]),
        "inner_steps": clock["inner_steps"],
        "inner_steps_per_second": clock["inner_steps"] / clock["seconds"],
        "seconds": clock["seconds"],
    }


def task_columns(names, members, task_steps):
    """The best member's score on each task; the tasks' shares of the steps.

    A task alone has none: its score is the score.

    Args:
        names: Of the t tasks.
        members: `population.Members`.
        task_steps: [t] outer steps that each task had so far.
    """
    if len(names) == 1:
        return {}
    scores = members.task_scores[members.best]
    shares = task_steps / max(1, np.sum(task_steps))
    return {
        **{f"score/{n}": float(score) for n, score in zip(names, scores)},
        **{f"share/{n}": float(share) for n, share in zip(names, shares)},
    }


def child_rows(generation, children, trainers, accepted):
    """Who came from whom, was trained by whom, and was accepted.

    Args:
        generation: Number of the children's generation.
        children: `population.Members`, scored.
        trainers: [p] ids of the children's trainers, -1 for a trainer that
            never was a member.
        accepted: [p] bool.
    """
    return [
        {
            "generation": generation,
            "id": int(children.ids[i]),
            "parent": int(children.parents[i]),
            "trainer": int(trainers[i]),
            "multiplier": float(children.multipliers[i]),
            "score": float(children.scores[i]),
            "accepted": int(accepted[i]),
        }
        for i in range(len(trainers))
    ]
