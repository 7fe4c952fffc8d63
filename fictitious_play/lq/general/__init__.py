"""Linear-quadratic games of any shape: form, equilibria, best responses, exploitability."""
