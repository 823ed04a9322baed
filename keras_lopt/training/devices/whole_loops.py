"""Which tasks become slow where XLA makes one function of a loop on CPUs.

In such a function a product of matrices [m, k] and [k, n] is fast only if both
lie in memory row by row and are small (XLA's cpu/dot_op_emitter.cc). All other
products, and convolutions, are plain loops over scalars: about 1 GFLOP/s,
measured.
"""

import warnings

from keras_lopt.tasks import cost

#: As many slow operations per inner step take as long as whole loops save.
_MOST_SLOW_FLOPS = 200_000
_PRODUCTS = (
    *("MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum"),
    *("Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput"),
    "DepthwiseConv2dNative",
)


def warn_of_slow_tasks(mixture):
    """Warns of each task whose inner step has too many slow operations.

    Args:
        mixture: A `tasks.Mixture`.
    """
    for task in mixture.tasks:
        flops = slow_flops(task)
        if flops > _MOST_SLOW_FLOPS:
            warnings.warn(
                "`whole_loops` is for tasks without convolutions whose layers "
                "are `tasks.layers.Dense`, with widths and batches up to 128, "
                "and up to 32 for one factor of every product. Received: task "
                f"{task.name}, whose inner step has {flops:,} operations that "
                "are slow in whole loops; measure with bin/time_tasks.py, or "
                "set whole_loops=False",
                stacklevel=2,
            )


def slow_flops(task):
    """Operations of a loss and its gradient that whole loops make slow."""
    graph = cost.loss_graph(task, with_gradient=True)
    unused = set(graph.get_operations()) - _ancestors(graph.outputs)

    def flops_of(op):
        return 0 if op in unused or _is_fast(op) else cost.op_flops(op)

    return cost.graph_flops(graph, flops_of)


def _ancestors(tensors):
    """The nodes that tensors come from."""
    found, new = set(), {tensor.op for tensor in tensors}
    while new:
        found |= new
        new = {t.op for op in new for t in op.inputs} - found
    return found


def _is_fast(op):
    if op.type not in _PRODUCTS:
        return True
    if op.type != "MatMul":
        return False
    if op.get_attr("transpose_a") or op.get_attr("transpose_b"):
        return False
    (m, k), n = op.inputs[0].shape, op.inputs[1].shape[1]
    return max(m, k, n) <= 128 and min(m, n) <= 32
