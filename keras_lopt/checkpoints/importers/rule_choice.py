"""Finds the rule of imported weights, by name or by paths and shapes."""

from keras_lopt import rules
from keras_lopt.checkpoints.importers.theta import misfit


def choose_rule(leaves, rule=None, config=None):
    """The rule that `leaves` belong to.

    Args:
        leaves: Dict from path to array.
        rule: A `rules.Rule`, which is returned; the name of one; or `None`
            for any registered rule that fits.
        config: Hyperparameters of that rule. Sizes that it lacks are read from
            the shapes; other hyperparameters keep their defaults.

    Raises:
        ValueError: No rule fits (the message says why the nearest one does
            not), or several do (the message lists them).
    """
    if isinstance(rule, rules.Rule):
        return rule
    shapes = {path: tuple(value.shape) for path, value in leaves.items()}
    names = rules.names() if rule is None else [rule]
    if rule is not None and rule not in rules.names():
        rules.get(rule)  # Raises, and lists the names.
    config = config or {}
    candidates = {name: _candidate(name, shapes, config) for name in names}
    fitting = [r for r, problem in candidates.values() if r and not problem]
    if not fitting:
        raise ValueError(_why_none(candidates, shapes))
    if len(fitting) > 1:
        raise ValueError(
            "`rule` must be given: the names and shapes of the leaves fit "
            f"several. Received: rule=None, candidates={fitting}"
        )
    return fitting[0]


def _candidate(name, shapes, config):
    """The rule `name` in the sizes of `shapes`, and why it does not fit."""
    try:
        told = type(rules.get(name)).imported_config(shapes)
    except LookupError:
        told = {}  # `misfit` says which leaf is missing or has another shape.
    try:
        rule = rules.get(name, **{**told, **config})
        return rule, misfit(rule, shapes)
    except (TypeError, ValueError) as error:
        return None, str(error)


def _why_none(candidates, shapes):
    """The message if no candidate fits."""
    known = [name for name in candidates if rules.get(name).imported_paths()]
    if len(candidates) == 1:
        ((_, problem),) = candidates.values()
        return problem

    def likeness(name):
        """Share of common paths, then number of equal sizes."""
        rule = candidates[name][0] or rules.get(name)
        paths = set(rule.imported_paths().values())
        part = len(paths & set(shapes)) / len(paths | set(shapes))
        agreeing = 0
        for leaf, path in rule.imported_paths().items():
            sizes = zip(rule.theta_shapes()[leaf], shapes.get(path, ()))
            agreeing += sum(a == b for a, b in sizes)
        return part, agreeing

    nearest = max(known, key=likeness)
    problem = f" The nearest is {nearest!r}: {candidates[nearest][1]}"
    if not likeness(nearest)[0]:
        problem = ""
    names = sorted(shapes)
    return (
        f"its leaves must be weights of one of the rules {known}. Received: "
        f"{len(names)} leaves, among them {names[:3]}.{problem}"
    )
