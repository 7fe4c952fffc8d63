"""Ten games of the literature, each as one would write it with the package's public names."""

import keras
import numpy as np
from keras import ops
from scipy.special import ndtr

import fictitious_play as fp


def inter_bank(players=10, steps=20):
    """Banks with a common noise (Carmona, Fouque and Sun 2015; parameters of Han and Hu 2020)."""
    return fp.InterBankGame(
        players, 1.0, steps, a=0.1, q=0.1, epsilon=0.5, c=0.5, sigma=1.0, rho=0.2, initial_std=0.5
    )


@keras.saving.register_keras_serializable(package="gallery")
class SystemicRisk(fp.LinearQuadraticGame):
    """The mean-field limit of the inter-bank game: one bank, and a crowd that she cannot move.

    The crowd's mean is played by two average banks without noise of their own, who look at each
    other; the bank looks at the first. No average bank moves what she herself looks at.
    """

    def __init__(self, steps=100):
        sigma, q, a, c, epsilon, rho = 0.2, 1.0, 1.0, 1.0, 1.5, 0.2
        sees = np.array([[-1.0, 1.0, 0.0], [0.0, -1.0, 1.0], [0.0, 1.0, -1.0]])  # mean less own
        squares = np.einsum("ij,ik->ijk", sees, sees)
        common, own = sigma * rho * np.ones((3, 1)), sigma * (1.0 - rho**2) ** 0.5
        matrices = {
            "A": a * sees,
            "B": np.eye(3)[:, :, None],
            "Q": epsilon * squares,
            "S": -q * sees[:, None],
            "R": None,
            "G": c * squares,
            "L": np.hstack([common, [[own], [0.0], [0.0]]]),
            "steps": steps,
            "initial_mean": 0.5,
            "initial_std": [12**-0.5, 0.0, 0.0],
        }
        super().__init__(**matrices)
        self.normal = fp.LinearQuadraticGame(**matrices)

    def initial_states(self, normals):  # uniform on [0, 1], the crowd at its mean
        return np.hstack([ndtr(normals[:, :1]), np.full_like(normals[:, 1:], 0.5)])

    def linear_quadratic_form(self):  # costs know the initial law by mean and variance only
        return self.normal.linear_quadratic_form()

    def get_config(self):
        return {"steps": self.steps}


def sticky_prices(steps=25, horizon=5.0, a=10.0, c=1.0, s=1.0, r=0.1, price=4.0):
    """Fershtman and Kamien (1987): two firms, and a price that follows demand slowly."""
    nothing = np.zeros((2, 2))
    return fp.LinearQuadraticGame(
        A=[[-s, s * a], [0.0, 0.0]],  # the state is (price, 1)
        B=[[[-s], [0.0]]] * 2,
        Q=[nothing] * 2,
        S=[[[-1.0, c]]] * 2,  # cost ½ u² + c u - p u
        R=None,
        G=[nothing] * 2,
        L=None,
        horizon=horizon,
        steps=steps,
        initial_mean=[price, 1.0],
        discount=r,
    )


def duopoly(steps=25, a0=10.0, a1=2.0, gamma=12.0, beta=0.96):
    """The duopoly with adjustment costs of QuantEcon's lecture on Markov perfect equilibrium."""
    own = np.eye(3)[1:]
    price = np.array([a0, -a1, -a1])  # of the state (1, q_1, q_2)
    Q = [-np.outer(price, q) - np.outer(q, price) for q in own]  # ½ x'Q_i x = -p q_i
    return fp.LinearQuadraticGame(
        A=np.zeros((3, 3)),
        B=own[:, :, None],
        Q=Q,
        S=None,
        R=[[[2.0 * gamma]]] * 2,
        G=np.zeros((2, 3, 3)),
        L=None,
        horizon=steps,  # a period is a step
        steps=steps,
        initial_mean=[1.0, 1.0, 1.0],
        initial_std=[0.0, 0.5, 0.5],
        discount=-np.log(beta),
    )


def pursuit(steps=20, evader=2.0, miss=1.0):
    """Ho, Bryson and Baron (1965): a pursuer and an evader in the plane, in a gusty wind."""
    plane = np.eye(2)
    return fp.zero_sum(
        A=0.0 * plane,  # the state is where the evader is, seen by the pursuer
        B=[plane, -plane],
        Q=0.0 * plane,
        S=None,
        R=[plane, evader * plane],  # the evader's effort is the dearer one
        G=miss * plane,
        L=0.3 * plane,
        steps=steps,
        initial_mean=[1.0, 0.5],
        initial_std=0.3,
    )


def liquidation(steps=20, traders=(1.0, 0.5, -0.5), kappa=0.5, alpha=1.0, phi=0.5, A=2.0):
    """Cardaliaguet and Lehalle (2018) for finitely many: all push the price that all sell at."""
    N = len(traders)
    own = np.eye(N)
    squares = np.einsum("ij,ik->ijk", own, own)
    return fp.LinearQuadraticGame(
        A=np.zeros((N, N)),
        B=own[:, :, None],
        Q=2.0 * phi * squares,
        S=[np.tile(-alpha / N * q, (N, 1)) for q in own],  # -α q_i times the mean rate
        R=2.0 * kappa * squares,
        G=2.0 * A * squares,
        L=None,
        steps=steps,
        initial_mean=traders,
        initial_std=0.3,
    )


@keras.saving.register_keras_serializable(package="gallery")
class FishWar(fp.Game):
    """Levhari and Mirman (1980): countries that catch shares of a stock, with log utility.

    A control is what a country catches, in tenths of the stock.
    """

    def __init__(self, players=2, steps=10, alpha=0.6, beta=0.95, shock=0.2):
        super().__init__(
            players,
            horizon=steps,  # a season is a step
            steps=steps,
            state_size=1,  # y = log X
            noise_size=1,
            initial_std=0.3,
            control_bounds=(0.2, 9.8 / players),
        )
        self.alpha, self.beta, self.shock = alpha, beta, shock

    def drift(self, time, states, controls):
        left = 1.0 - 0.1 * ops.sum(controls[..., 0], axis=-1, keepdims=True)
        return self.alpha * (states + ops.log(left)) - states

    def diffusion(self, time, states, controls):
        return ops.full((1, 1), self.shock, dtype=states.dtype)

    def running_cost(self, time, states, controls):
        return -(self.beta**time) * (states + ops.log(0.1 * controls[..., 0]))

    def terminal_cost(self, states):  # the last catch is divided equally
        last = -(self.beta**self.steps) * (states - np.log(self.players))
        return ops.repeat(last, self.players, axis=-1)

    def get_config(self):
        names = ("players", "steps", "alpha", "beta", "shock")
        return {name: getattr(self, name) for name in names}


def portfolio(players=5, steps=10):
    """Lacker and Zariphopoulou (2019), for investors of different tolerance and concern."""
    return fp.PortfolioGame(
        players,
        steps=steps,
        mu=0.3,
        nu=0.5,
        sigma=0.4,
        delta=np.linspace(0.8, 1.2, players),
        theta=np.linspace(0.9, 0.5, players),
    )


def signal(steps=20, N=2, decay=1.0, impact=1.0, reversion=1.0, cost=0.25, risk=0.5):
    """After Micheli, Muhle-Karbe and Neuman (2021): a common signal, an impact that decays."""
    size = 2 + N  # signal I, impact Y, positions q
    A = np.diag([-reversion, -decay, *np.zeros(N)])
    B = [np.eye(size)[:, [2 + i]] + impact / N * np.eye(size)[:, [1]] for i in range(N)]
    own = np.eye(size)[2:]
    gain = np.array([1.0, -decay, *np.zeros(N)])  # of a position, without what is traded now
    Q = [risk * np.outer(q, q) - np.outer(q, gain) - np.outer(gain, q) for q in own]
    return fp.LinearQuadraticGame(
        A=A,
        B=B,
        Q=Q,
        S=[np.tile(-impact / N * q, (N, 1)) for q in own],
        R=[2.0 * cost * np.diag(player) for player in np.eye(N)],
        G=[risk * np.outer(q, q) for q in own],
        L=np.eye(size)[:, :1],
        steps=steps,
        initial_std=[0.7, 0.0, *np.zeros(N)],
    )


def formation(players=5, steps=20, horizon=2.0):
    """A convoy in the plane, for vehicles that take their places in a formation.

    The state has each vehicle's distance from her place, her velocity, and so on; two coordinates
    that the convoy of `fp.convoy_game` has twice.
    """
    line = fp.convoy_game(players, horizon, steps, 10.0, sigma=0.3).linear_quadratic_form()
    plane = np.eye(2)
    return fp.LinearQuadraticGame(
        A=np.kron(line.A, plane),
        B=[np.kron(matrix, plane) for matrix in line.B],
        Q=[np.kron(matrix, plane) for matrix in line.Q],
        S=None,
        R=None,
        G=[np.kron(matrix, plane) for matrix in line.G],
        L=np.kron(line.L[:, 1:], plane),
        horizon=horizon,
        steps=steps,
        initial_std=np.tile([1.0, 1.0, 0.3, 0.3], players),
    )
