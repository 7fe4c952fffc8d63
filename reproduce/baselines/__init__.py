"""Baselines that are no optimizer of Keras or of `dgn_tf`."""
