"""The cost of an inner step of a task, counted from its graph.

It is counted and not measured, so that it is the same on every machine;
`bin/time_tasks.py` measures.
"""

import dataclasses
import math

import tensorflow as tf

#: Nodes that compute nothing.
_FREE = {
    *("Const", "Fill", "ZerosLike", "Identity", "Placeholder", "Reshape"),
    *("ExpandDims", "Squeeze", "Pack", "Unpack", "ConcatV2", "Split", "SplitV"),
    *("Slice", "StridedSlice", "GatherV2", "ResourceGather", "Transpose"),
    *("BroadcastTo", "Tile", "Cast", "StopGradient", "ReadVariableOp"),
    *("TensorListGetItem", "TensorListStack", "TensorListFromTensor"),
    *("PartitionedCall", "StatefulPartitionedCall"),
}
#: Nodes that repeat others.
LOOPS = ("While", "StatelessWhile")
#: A step is the loss and its gradient, about three times the loss.
_STEP_PER_LOSS = 3.0
#: Cost of a rule per parameter and per tensor, as the number of operations of
#: the loss that take as long: the fused rule on one core, rounded.
_RULE_PER_PARAM = 800
_RULE_PER_TENSOR = 140_000


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one inner step, without the rule.

    Attributes:
        tensors: Number of trainable tensors.
        params: Number of trainable parameters.
        state: Number of other values in the state of an inner run.
        flops: Floating point operations.
    """

    tensors: int
    params: int
    state: int
    flops: int

    @property
    def step(self):
        """Operations of an inner step with a typical rule.

        Use it to compare tasks: without the rule, the smallest would seem to
        cost nothing.
        """
        return (
            self.flops
            + _RULE_PER_PARAM * self.params
            + _RULE_PER_TENSOR * self.tensors
        )


def task_cost(task):
    """The `Cost` of a `tasks.Task`."""
    state = task.model.non_trainable_variables
    return Cost(
        tensors=len(task.model.trainable_variables),
        params=task.num_params,
        state=sum(math.prod(v.shape) for v in state),
        flops=round(_STEP_PER_LOSS * graph_flops(loss_graph(task))),
    )


def activations(task):
    """Numbers that all operations of a task's loss put out, on one batch."""

    def outputs(op):
        if op.type in _FREE:
            return 0
        return sum(_size(t) for t in op.outputs if t.dtype.is_floating)

    return graph_flops(loss_graph(task), outputs)


def loss_graph(task, with_gradient=False):
    """The TensorFlow graph of a task's training loss on one batch.

    Args:
        task: A `tasks.Task`.
        with_gradient: Whether the graph is of the loss's gradient as well.
    """

    def blank(shape, dtype):
        return tf.zeros(shape, "float32" if dtype == "uint8" else dtype)

    def loss(seed):
        inputs, targets = tf.nest.map_structure(
            lambda a: blank([task.batch_size, *a.shape[1:]], a.dtype),
            (task.dataset.inputs, task.dataset.targets),
        )
        if task.variation.projection is not None:
            inputs = tf.zeros([task.batch_size, task.variation.projection])
        batch = inputs, targets
        values = tf.nest.map_structure(
            lambda v: blank(v.shape, v.dtype),
            (
                task.model.trainable_variables,
                task.model.non_trainable_variables,
            ),
        )
        if not with_gradient:
            return task.train_loss(*values, batch, seed)
        with tf.GradientTape() as tape:
            tape.watch(values[0])
            loss, _ = task.train_loss(*values, batch, seed)
        return tape.gradient(loss, values[0])

    function = tf.function(loss, autograph=False)
    return function.get_concrete_function(tf.TensorSpec([2], tf.int32)).graph


def has_loops(graph):
    """Whether a TensorFlow graph, or a function that it calls, has loops."""
    return any(
        op.type in LOOPS
        or any(has_loops(inner) for inner in _called(op, graph))
        for op in graph.get_operations()
    )


def _called(op, graph):
    """The graphs of the functions that a node calls."""
    if op.type not in ("PartitionedCall", "StatefulPartitionedCall"):
        return []
    return [graph._get_function(op.get_attr("f").name).graph]


def graph_flops(graph, flops_of=None):
    """Operations of a TensorFlow graph and of the functions that it calls.

    Args:
        graph: A TensorFlow graph.
        flops_of: Function that returns the count of a node. Default:
            `op_flops`.
    """
    total, flops_of = 0, flops_of or op_flops
    for op in graph.get_operations():
        if op.type in LOOPS:
            body = graph._get_function(op.get_attr("body").name).graph
            total += _trips(op) * graph_flops(body, flops_of)
        else:
            for inner in _called(op, graph):
                total += graph_flops(inner, flops_of)
            total += flops_of(op)
    return total


def _trips(op):
    """Iterations of a loop, which Keras's recurrent layers state."""
    limit = op.inputs[1]
    if limit.op.type == "Max":  # All sequences have the same length.
        limit = limit.op.inputs[0]
    limit = tf.get_static_value(limit)
    return int(limit) if limit is not None and limit > 0 else 1


def op_flops(op):
    """Operations of one node; a product counts multiplications and sums."""
    if op.type in _FREE:
        return 0
    outputs = sum(_size(t) for t in op.outputs if t.dtype.is_floating)
    if op.type in ("MatMul", "BatchMatMulV2", "BatchMatMul"):
        is_transposed = op.type == "MatMul" and op.get_attr("transpose_a")
        is_transposed |= op.type != "MatMul" and op.get_attr("adj_x")
        inner = op.inputs[0].shape[-2 if is_transposed else -1]
        return 2 * outputs * (inner or 1)
    if op.type in ("Conv2D", "DepthwiseConv2dNative"):
        kernel = op.inputs[1].shape
        return 2 * outputs * math.prod(kernel[:-1])
    if op.type == "Einsum":
        return 2 * outputs * _contracted(op)
    return outputs


def _contracted(op):
    """Product of the sizes of the axes that an einsum sums over."""
    left, right = op.get_attr("equation").decode().split("->")
    sizes = {}
    for term, operand in zip(left.split(","), op.inputs):
        sizes.update(zip(term.replace("...", ""), operand.shape))
    return math.prod(s or 1 for a, s in sizes.items() if a not in right)


def _size(tensor):
    if tensor.shape.rank is None:
        return 0
    return math.prod(size or 1 for size in tensor.shape)
