"""The failure that is a property of the game: no equilibrium exists."""


class NoEquilibriumError(ValueError):
    """The game has no Nash equilibrium of the kind asked for on the whole horizon.

    Attributes:
        time: The latest time in `[0, horizon]` at which the backward recursion cannot go on.
    """

    def __init__(self, message: str, time: float):
        super().__init__(message)
        self.time = float(time)

    def __reduce__(self):
        return type(self), (str(self), self.time)
