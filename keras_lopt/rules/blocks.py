"""A large vector's MLP, block by block.

What an MLP is given and its activations are many times a vector. Of a block
they fit into a cache, and the vector needs no more memory than its step: 4
bytes an entry under XLA on CPU where `fused` needed 68, in the same time.

Only vectors: loops over blocks of rows of a matrix took `adafac_mlp` almost
three times as long as the whole, 47 instead of 17 ns an entry.
"""

from keras import ops

from keras_lopt.rules import networks

SMALLEST, LARGEST = 1024, 4096  # Entries of a block.
FEWEST = 2**15  # Entries of a vector that is cut.


def block_size(size):
    """Entries of a block, which divide `size`.

    Returns:
        None for a vector that is not cut: a short one, or one that no good
        number of entries divides.
    """
    if size < FEWEST:
        return None
    for block in range(LARGEST, SMALLEST - 1, -1):
        # The rows of [f, block] meet in the same few places of a cache where
        # a power of two lies between them: 22 instead of 14 ns an entry.
        if size % block == 0 and block % 512:
            return block
    return None


def normalized_perceptron(theta, features_of, entries, shared, step_of):
    """`networks.normalized_perceptron` of a vector, and what it gives.

    Args:
        theta: Dict with w0, b0, w1, b1, ...
        features_of: Function from the entries of a block to the list of their
            features, each [k, n of the block]; the first rows of w0.
        entries: Dict of [n] or [k, n] with `grad`, of [n]. (Not [1, n]: in
            loops over it XLA on CPU is slow.)
        shared: [s], the same for all entries, as they are; its last rows.
        step_of: Function from the MLP's outputs to the steps of the entries.

    Returns:
        [n].
    """
    size = entries["grad"].shape[0]
    block = block_size(size) if networks.is_compiled(entries["grad"]) else None
    if block is None:
        return step_of(
            networks.normalized_perceptron(theta, features_of(entries), shared)
        )

    def over_blocks(function):
        def of_block(index):
            cut = {k: _cut(v, index, block) for k, v in entries.items()}
            return function(ops.concatenate(features_of(cut), axis=0))

        return ops.map(of_block, ops.arange(size // block))

    means = ops.mean(over_blocks(networks.mean_squares), axis=0)  # [f, 1]
    layers = networks.folded_layers(theta, means, shared)
    steps = over_blocks(
        lambda columns: step_of(networks.perceptron(layers, columns))
    )
    return ops.reshape(steps, (-1,))


def _cut(x, index, block):
    """Block `index` of [n] or [k, n]."""
    *lead, _ = x.shape
    return ops.slice(x, (*[0] * len(lead), index * block), (*lead, block))
