"""Items of *Dynamic Game Theoretic Neural Optimizer* (Liu, Chen, Theodorou 2021)."""
