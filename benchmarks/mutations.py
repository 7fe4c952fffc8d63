"""Lines of the mathematics to break, and the tests that are to notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One change of one line.

    Attributes:
        name: what the line computes.
        file: that it is in, from the repository's root.
        text: of the line, or a part of it that occurs once in the file.
        changed: what stands in its place.
        tests: that are to fail, as pytest takes them.
    """

    name: str
    file: str
    text: str
    changed: str
    tests: tuple[str, ...]

    def mutated(self, source: str) -> str:
        """The file's text with the change.

        Raises:
            ValueError: where the text is not there exactly once.
        """
        count = source.count(self.text)
        if count != 1:
            raise ValueError(
                f"{self.name}: the text must be exactly once in {self.file}: {self.text!r}. "
                f"Received: {count} times. The line has changed: name it anew in "
                "benchmarks/mutations.py"
            )
        return source.replace(self.text, self.changed)


_LQ = "fictitious_play/lq"
_TESTS_LQ = "tests/fictitious_play/lq"
_TESTS_FP = "tests/fictitious_play"
_TESTS_DGN = "tests/dgn_tf"

MUTATIONS = (
    Mutation(
        "equilibrium condition, R + h Π B",
        f"{_LQ}/general/recursion.py",
        "return step.R + h * (pi @ step.B),",
        "return step.R - h * (pi @ step.B),",
        (f"{_TESTS_LQ}/test_lq_nash.py::test_open_loop_is_the_brute_force_equilibrium[reference]",),
    ),
    Mutation(
        "open-loop costate, with Â and not A_cl on the left",
        f"{_LQ}/general/recursion.py",
        "running_weight(step, F, owner, True) + transpose(A_hat)[..., None, :, :] @ (",
        "running_weight(step, F, owner, True) + transpose(A_cl) @ (",
        (f"{_TESTS_LQ}/test_lq_nash.py::test_open_loop_is_the_brute_force_equilibrium[reference]",),
    ),
    Mutation(
        "closed-loop value, the cross term twice",
        f"{_LQ}/general/recursion.py",
        "return step.Q + cross + transpose(cross) + transpose(F_own) @ (R_own @ F_own)",
        "return step.Q + cross + transpose(F_own) @ (R_own @ F_own)",
        (
            f"{_TESTS_LQ}/test_lq_nash.py::test_closed_loop_gains_cannot_be_improved_by_search[reference]",
        ),
    ),
    Mutation(
        "best response, Riccati recursion",
        f"{_LQ}/general/best_response.py",
        "A_hat[t].T @ K[t + 1] @ A_hat[t] + row.T @ F[t]",
        "A_hat[t].T @ K[t + 1] @ A_hat[t] - row.T @ F[t]",
        (f"{_TESTS_LQ}/test_lq_exact_play.py::test_a_best_response_is_the_minimum[asymmetric]",),
    ),
    Mutation(
        "best response, K of the next step in the affine sweep",
        f"{_LQ}/general/best_response.py",
        "v = gains.K[t + 1] @ b + s[:, :observed]",
        "v = gains.K[t] @ b + s[:, :observed]",
        (f"{_TESTS_LQ}/test_lq_exact_play.py::test_a_best_response_is_the_minimum[asymmetric]",),
    ),
    Mutation(
        "open-loop Riccati coefficient, 1 - 1/(2N)",
        f"{_LQ}/inter_bank/closed_form.py",
        "(1.0 - 0.5 / p.players) * p.q, kappa",
        "(1.0 - 1.0 / p.players) * p.q, kappa",
        (f"{_TESTS_LQ}/test_lq_nash.py::test_continuous_ode_agrees_with_the_closed_form",),
    ),
    Mutation(
        "mean-field cost of the noise, ½ σ² ∫ P",
        f"{_LQ}/inter_bank/mean_field.py",
        "+ 0.5 * variance * limit.noise_integral",
        "+ variance * limit.noise_integral",
        (
            f"{_TESTS_LQ}/test_lq_symmetric.py"
            "::test_finite_games_approach_the_mean_field_limit_like_one_over_n",
        ),
    ),
    Mutation(
        "averaged belief, divisor k + 1",
        "fictitious_play/beliefs.py",
        "return np.full(stage + 1, 1.0 / (stage + 1))",
        "return np.full(stage + 1, 1.0 / max(stage, 1))",
        (f"{_TESTS_LQ}/test_belief_shares.py",),
    ),
    Mutation(
        "announced weights, the share of step t in their average",
        "fictitious_play/solver/averaging.py",
        "share = (_ORDER + 1.0) / (self._steps + _ORDER)",
        "share = (_ORDER + 1.0) / (self._steps + _ORDER + 1.0)",
        (f"{_TESTS_FP}/test_averaging.py",),
    ),
    Mutation(
        "inter-bank game, sign of the incentive q α (m - X)",
        "fictitious_play/games/inter_bank.py",
        "(0.5 * epsilon * distance - q * control)",
        "(0.5 * epsilon * distance + q * control)",
        (
            f"{_TESTS_FP}/test_games.py"
            "::test_costs_along_a_path_are_those_of_the_linear_quadratic_form",
        ),
    ),
    Mutation(
        "roll-out, running cost times h",
        "fictitious_play/rollout.py",
        "total = total + h * game.running_cost(",
        "total = total + game.running_cost(",
        (
            f"{_TESTS_FP}/test_games.py"
            "::test_costs_along_a_path_are_those_of_the_linear_quadratic_form",
        ),
    ),
    Mutation(
        "roll-out, one player's control replaced",
        "fictitious_play/rollout.py",
        "return given + mask * (mine - given)",
        "return given + mask * mine",
        (
            f"{_TESTS_FP}/test_games.py"
            "::test_simulated_deviations_are_joint_paths_with_one_control_replaced",
        ),
    ),
    Mutation(
        "explicit form, curvature after a stage",
        "dgn_tf/recursion/sample_space.py",
        "C = dense(C) - problem.rho * _around(C, kernel)",
        "C = dense(C) + problem.rho * _around(C, kernel)",
        (f"{_TESTS_DGN}/test_sample_space.py::test_other_forms_equal_the_dense_game",),
    ),
    Mutation(
        "proximal form, the closed form of all stages",
        "dgn_tf/recursion/sample_space.py",
        "v = b - rho * put(answer,",
        "v = b + rho * put(answer,",
        (
            f"{_TESTS_DGN}/test_sample_space.py::test_equals_the_dense_game[rank_one-feedback-chain]",
        ),
    ),
    Mutation(
        "coupled form, curvature after a stage",
        "dgn_tf/recursion/sample_space.py",
        "C = C - lost[:, 1:]",
        "C = C + lost[:, 1:]",
        (f"{_TESTS_DGN}/test_sample_space.py::test_other_forms_equal_the_dense_game",),
    ),
    Mutation(
        "dense game, (10): gradient of a slot's value function",
        "dgn_tf/recursion/dense.py",
        "Q_x -= matvec(Q_ux, k, transpose_a=True)",
        "Q_x += matvec(Q_ux, k, transpose_a=True)",
        (f"{_TESTS_DGN}/test_dense_recursion.py::test_reference_cases[chain_B1_gn.npz]",),
    ),
    Mutation(
        "dense game, (25): cooperative value of any policy",
        "dgn_tf/recursion/dense.py",
        "- matvec(K, g - matvec(H, k), transpose_a=True)",
        "+ matvec(K, g - matvec(H, k), transpose_a=True)",
        (
            f"{_TESTS_DGN}/test_dense_recursion.py"
            "::test_cooperative_value_of_an_arbitrary_policy_is_its_cost",
        ),
    ),
    Mutation(
        "Proposition 5, the other player's part",
        "dgn_tf/recursion/prop5.py",
        "right[u] - known",
        "right[u] + known",
        (f"{_TESTS_DGN}/test_joint_solvers.py::test_proposition_5_solves_its_own_equation",),
    ),
    Mutation(
        "K-FAC, the split of the damping between the factors",
        "dgn_tf/curvature/damping.py",
        "return pi * root, root / pi",
        "return root / pi, pi * root",
        (f"{_TESTS_DGN}/test_kfac.py::test_pi_split_keeps_the_product_and_balances_the_traces",),
    ),
    Mutation(
        "K-FAC, output factor averaged over positions",
        "dgn_tf/curvature/statistics.py",
        "/ (batch * positions)",
        "/ batch",
        (f"{_TESTS_DGN}/test_kfac.py::test_convolution_factors_against_per_sample_gradients",),
    ),
    Mutation(
        "EKFAC, mean square outside a truncated basis",
        "dgn_tf/curvature/eigenbasis.py",
        "tf.reduce_sum(inside, axis, True), 0.0) / float(lacking)",
        "tf.reduce_sum(inside, axis, True), 0.0)",
        (
            f"{_TESTS_DGN}/test_kfac.py"
            "::test_outside_of_truncated_bases_stand_the_means_of_the_squares",
        ),
    ),
    Mutation(
        "gain of K-FAC at hand, mean over the batch",
        "dgn_tf/curvature/kernels.py",
        "mixed = g * tf.reshape(w, (-1, 1)) / cap.batch",
        "mixed = g * tf.reshape(w, (-1, 1))",
        (f"{_TESTS_DGN}/test_curvature.py::test_block_is_its_dense_matrix[True-1-ekfac]",),
    ),
    Mutation(
        "terminal cost, Hessian of the softmax cross-entropy",
        "dgn_tf/terminal/loss.py",
        "tf.linalg.diag(p) - p[..., :, None] * p[..., None, :]",
        "tf.linalg.diag(p) + p[..., :, None] * p[..., None, :]",
        (
            f"{_TESTS_DGN}/test_terminal.py::test_against_automatic_differentiation[False-softmax-vector]",
        ),
    ),
    Mutation(
        "terminal cost, best match of rank one",
        "dgn_tf/terminal/loss.py",
        "tf.math.divide_no_nan(tf.math.divide_no_nan(along, square), square)",
        "tf.math.divide_no_nan(along, square)",
        (f"{_TESTS_DGN}/test_terminal.py::test_best_rank_one_match_is_the_nearest_multiple",),
    ),
)
