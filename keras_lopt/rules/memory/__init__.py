"""What rules remember between steps, and the features made of it.

accumulators.py: moving averages of gradients; factored.py: second moments by
row and column; history.py: both together, for one tensor; statistics.py and
progress.py: the losses of a training, and how far it is.
"""
