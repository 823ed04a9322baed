"""Hyperparameters of a rule from the shapes of published weights."""


def mlp_config(shapes, weight, units, layers):
    """Hyperparameters of a published MLP, for `Rule.published_config`.

    Args:
        shapes: Dict from path to shape.
        weight: Path of the weights of a layer, with {} for its number.
        units, layers: Names of the hyperparameters: width and number of the
            hidden layers.
    """
    _, width = of_rank(2, shapes[weight.format(0)])
    depth = 1
    while weight.format(depth + 1) in shapes:
        depth += 1
    return {units: width, layers: depth}


def of_rank(rank, shape):
    """`shape`; LookupError if it has not `rank` dimensions."""
    if len(shape) != rank:
        raise LookupError(f"{shape} has not {rank} dimensions")
    return shape
