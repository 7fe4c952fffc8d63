"""Solutions that the recursions are held against, by the tests and one item of `reproduce`.

Nothing that trains a model uses them.
"""
