"""The networks inside the rules.

layers.py: MLPs on columns of features; blocks.py and segments.py: the same MLP
on one large tensor and on many small ones; normalized.py: the one function
that chooses between these forms; grouped.py: MLPs whose first layer is
stored in groups; recurrent.py: an LSTM that runs over all tensors.
"""
