"""Deep fictitious play for stochastic differential games, on Keras 3."""
