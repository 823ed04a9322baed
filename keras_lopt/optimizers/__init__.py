"""A trained rule as a stock Keras optimizer."""

from keras_lopt.optimizers.learned_optimizer import LearnedOptimizer

__all__ = ["LearnedOptimizer"]
