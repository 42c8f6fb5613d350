"""The plan without training: what is tried, what wins, and which linear algebra is chosen."""

from types import SimpleNamespace

import numpy as np
import pytest

from numdl.contracts import Result, Status
from numdl.estimators.networks.settings import Data
from numdl.estimators.networks.training import search as plan
from numdl.estimators.networks.training.search import choose_members, search_architectures
from numdl.estimators.networks.training.search_space import CLASS_HEAD, ResNets
from numdl.estimators.networks.training.solver_choice import AFFORDABLE, choose_algebra
from numdl.models import ResNet

OPEN = ResNets()


def run(score, misfit=1.0, net=None, start=None, determined=0.0):
    best = SimpleNamespace(score=score, iteration=0)
    progress = SimpleNamespace(best=best, iteration=1, history={"misfit": [misfit], "effective_dof": [determined]})
    algebra = SimpleNamespace(dense=True, work=1.0, text="")
    result = Result(None, None, Status("converged", ""), {})
    return SimpleNamespace(net=net, start=start, score=score, progress=progress, result=result, algebra=algebra)


class Trainer:
    """Gives every network the evidence that a table says; trains nothing."""

    squares = True

    def __init__(self, evidence, last=10**6, determined=0.0, total=100.0):
        self.evidence, self.left, self.asked, self.runs, self.weights = evidence, last, [], {}, {}
        x = np.random.default_rng(0).normal(size=(100, 3))
        self.determined, self.data = determined, Data(x, x[:, :2], np.ones(100), total)
        self.settings = SimpleNamespace(max_iter=100)

    def spent(self, share):
        return False

    def algebra(self, net):
        return SimpleNamespace(dense=True, work=0.0 if net.width <= 64 else np.inf)

    def advance(self, net, start, iterations, phase):
        if self.left <= 0:
            return self.runs.get((net, start))
        self.left -= 1
        self.asked.append((net.title, start.seed, iterations))
        score = self.evidence(net, start.gain) if isinstance(self.evidence, Sized) else self.evidence(net)
        self.runs[net, start] = run(score, net=net, start=start, determined=self.determined)
        return self.runs[net, start]


class Sized:
    """Evidence that depends on the size of the initial weights too."""

    def __init__(self, table):
        self.table = table

    def __call__(self, net, gain):
        return self.table[gain]


def test_the_network_of_best_evidence_is_trained_to_its_end():
    trainer = Trainer(lambda net: {"plain": 5.0, "antisymmetric": 3.0}[net.dynamics] - net.width)
    members = search_architectures(trainer, OPEN, 3, 2, 7)
    final = [entry for entry in trainer.asked if entry[2] == 100]
    assert {seed for _, seed, _ in final} == {7, 8} and len(members) == 2
    best = max(trainer.runs.values(), key=lambda run: run.score).net
    assert {name for name, _, _ in final} == {best.title} and all(member.net == best for member in members)


def test_width_grows_while_the_evidence_does():
    trainer = Trainer(lambda net: -abs(net.width - 32) + (net.dynamics == "plain"), total=1e5)
    members = search_architectures(trainer, OPEN, 3, 1, 0)
    assert members[0].net.width == 32
    assert any(name.startswith("plain 64") for name, _, _ in trainer.asked), "the step too far was not tried"


def test_no_network_has_more_weights_than_observed_numbers_but_the_smallest():
    """2 targets of each row."""
    small, large = (net.n_parameters for net in OPEN.candidates(3))
    for total, most in ((1.0, small), (large / 2 - 1, small), (large / 2 + 1, large)):
        trainer = Trainer(lambda net: float(net.width), total=total)
        search_architectures(trainer, OPEN, 3, 1, 0)
        assert max(net.n_parameters for net, _ in trainer.runs) == most


def test_growth_ends_where_steps_become_dear():
    members = search_architectures(Trainer(lambda net: float(net.width), total=1e5), OPEN, 3, 1, 0)
    assert members[0].net.width == 64


def test_what_the_user_fixes_is_not_searched():
    fixed = ResNets(5, 3, "plain", 2.0, "rk4", "linear", "relu")
    trainer = Trainer(lambda net: 0.0)
    search_architectures(trainer, fixed, 3, 2, 0)
    net = ResNet(3, 5, 3, 2.0, "plain", "rk4", "linear", "relu")
    assert {name for name, _, _ in trainer.asked} == {net.title} and {net_ for net_, _ in trainer.runs} == {net}
    assert {start.seed for _, start in trainer.runs} == {0, 1}


@pytest.mark.parametrize("small,chosen", [(0.0, plan.ROUGH), (19.0, plan.ROUGH), (21.0, plan.SMOOTH)])
def test_small_initial_weights_need_decisive_evidence(small, chosen):
    """200 observed numbers, so 20 nats decide."""
    trainer = Trainer(Sized({1.0: 0.0, 0.5: 0.0, 0.1: small, 0.25: small}))
    members = search_architectures(trainer, OPEN, 3, 4, 0)
    assert {member.start.gain for member in members} == set(chosen)


def test_rugged_maps_start_from_large_weights_unasked():
    trainer = Trainer(Sized({1.0: 0.0, 0.5: 0.0, 0.1: 1e6, 0.25: 1e6}))
    trainer.data = trainer.data._replace(c=trainer.data.c + np.sin(9 * trainer.data.x[:, :2]))
    members = search_architectures(trainer, OPEN, 3, 4, 0)
    assert {member.start.gain for member in members} == set(plan.ROUGH)


@pytest.mark.parametrize("noise", [0.0, 0.3, 2.0])
def test_share_that_a_linear_model_leaves(noise):
    rng = np.random.default_rng(0)
    x, e = rng.normal(size=(4000, 5)), rng.normal(size=(4000, 1))
    c = x[:, :1] + 2.0 + noise * e
    c = (c - c.mean()) / c.std()
    w = rng.uniform(0.5, 1.5, 4000)
    data = Data(x, c, w / w.mean(), 4000.0)
    # The deviation of a share of variances of n values is below 2 / sqrt(n); five of them.
    assert abs(plan.unexplained(data) - noise**2 / (1 + noise**2)) < 10 / 4000**0.5 * min(noise, 1.0) + 1e-12
    assert plan.unexplained(data._replace(x=x[:3], c=c[:3], w=w[:3])) == 0.0


def test_weights_of_an_earlier_fit_are_not_compared_with_others():
    trainer = Trainer(lambda net: 0.0)
    net = OPEN.candidates(3)[0]
    trainer.weights[net, 0] = None
    assert plan.choose_gains(trainer, net, 0) == plan.ROUGH and not trainer.asked


def test_architectures_that_the_evidence_cannot_tell_apart_share_the_starts():
    def evidence(net):
        return {"plain": 5.0, "antisymmetric": 3.0}[net.dynamics] - 100 * (net.width > 16)

    members = search_architectures(Trainer(evidence, determined=2.5, total=1e4), OPEN, 3, 4, 0)
    assert sorted(member.net.dynamics for member in members) == ["antisymmetric"] * 2 + ["plain"] * 2
    members = search_architectures(Trainer(evidence, determined=1.5, total=1e4), OPEN, 3, 4, 0)
    assert {member.net.dynamics for member in members} == {"plain"} and len(members) == 4


def test_a_plan_without_time_keeps_the_first_run():
    members = search_architectures(Trainer(lambda net: 0.0, last=1), OPEN, 3, 4, 0)
    assert len(members) == 1


def test_members_fit_about_as_well_as_the_best_evidence():
    runs = [run(10.0, 1.0), run(30.0, 1.0), run(20.0, 50.0), run(np.nan, 1.0), run(5.0, 0.01)]
    chosen = choose_members(runs)
    assert chosen[0] is runs[1] and runs[2] not in chosen
    assert choose_members([run(np.nan, np.nan)]), "one member at least"


def test_names_of_networks():
    assert ResNet(3, 16, 2).title == "plain 16x2" and ResNet(3, 16, 0).title == "single layer 16"


@pytest.mark.parametrize("classes", [1, 3, 10, 1000])
def test_heads_of_classifiers_stay_small(classes):
    for net in OPEN.candidates(20, classes):
        assert net.width * classes <= max(CLASS_HEAD, 8 * classes) and net.width >= 8


def algebra(n, net, k=1, squares=True, memory_budget=2**31, **options):
    return choose_algebra(n, k, net, squares=squares, memory_budget=memory_budget, itemsize=8, **options)


def test_small_problems_are_dense_and_in_one_block():
    choice = algebra(500, ResNet(8, 16, 2))
    assert choice.dense and choice.chunk is None and choice.curvature_rows is None and not choice.sampled
    assert choice.text.startswith("dense Gauss-Newton") and "blocks" not in choice.text


def test_many_rows_are_passed_in_blocks_and_give_the_matrix_in_part():
    net = ResNet(50, 16, 2)
    choice = algebra(10**6, net)
    assert choice.dense and 64 <= choice.chunk < 10**6 and choice.curvature_rows < 10**5
    assert 3 * 8 * choice.chunk * net.n_parameters <= 2**31 / 4
    assert f"matrix from {choice.curvature_rows} of 1000000 rows" in choice.text and "blocks of" in choice.text


def test_blocks_of_the_jacobian_stay_near_the_processor_unless_they_have_fewer_rows_than_columns():
    assert 300 <= algebra(10_000, ResNet(8, 16, 3)).chunk <= 1200
    assert algebra(2000, ResNet(8, 32, 4)).chunk is None


def test_large_networks_are_matrix_free():
    choice = algebra(1000, ResNet(50, 128, 4))
    assert not choice.dense and "matrix-free" in choice.text


@pytest.mark.parametrize("march", ["adjoint", "adaptive"])
def test_marches_without_tangents_stay_dense_or_are_refused(march):
    assert algebra(1000, ResNet(50, 40, 3, march=march), memory_budget=2**32).dense
    for net, options in (
        (ResNet(50, 128, 4, march=march), {}),
        (ResNet(2, 4, 2, march=march), {"solver": "matrix-free"}),
    ):
        with pytest.raises(ValueError, match=f"march='{march}'.*no forward derivative. Use march='checkpointed'"):
            algebra(1000, net, **options)


def test_matrices_are_not_formed_where_products_are_clearly_faster():
    """At 1000 samples and 2905 weights a dense step took 7.2 s, products some 0.1 s for the same decrease."""
    net = ResNet(10, 35, 2)
    assert net.n_parameters == 2905
    assert not algebra(1000, net).dense and algebra(1000, net, solver="dense").dense
    # Products cost 480 n p, a matrix from 8 p rows 16 p^3: with rows the scales turn.
    assert algebra(100_000, net).dense
    # With several outputs products have not been measured.
    assert algebra(1000, net, k=2).dense


@pytest.mark.parametrize("n", [50, 300, 700, 1000])
@pytest.mark.parametrize("d", [4, 8, 13])
def test_small_tables_keep_the_matrix_also_where_networks_grow(n, d):
    for net in OPEN.candidates(d):
        assert algebra(n, net).dense and algebra(n, net.widened()).dense
        assert algebra(n, net.widened()).work < AFFORDABLE


def test_the_user_can_choose():
    assert not algebra(500, ResNet(8, 16, 2), solver="matrix-free").dense
    assert algebra(500, ResNet(50, 48, 1), solver="dense").dense
    with pytest.raises(ValueError, match=r"solver='dense': \d+ weights need \d+ MiB, above memory_budget.*matrix-free"):
        algebra(500, ResNet(50, 128, 4), solver="dense", memory_budget=2**24)


def test_less_memory_never_means_larger_blocks():
    net = ResNet(20, 16, 2)
    chunks = [algebra(10**6, net, memory_budget=2**e).chunk for e in (27, 29, 31)]
    assert chunks == sorted(chunks)


@pytest.mark.parametrize(
    "solver,weights,megabytes", [("dense", 330, range(50, 1000, 50)), ("matrix-free", 330, range(1, 50))]
)
def test_blocks_do_hardly_a_row_twice(solver, weights, megabytes):
    """Blocks as large as fit did 1.36 n rows at n = 100000, 330 weights and 2 GiB."""
    net, n = ResNet(10, 10, 2), 10**5
    assert net.n_parameters == weights
    for budget in megabytes:
        chunk = algebra(n, net, memory_budget=budget * 2**20, solver=solver).chunk
        blocks = -(-n // chunk)
        assert blocks * chunk - n < blocks, "more than a row twice for each block"


def test_many_targets_cost_no_more_rows_than_the_width():
    net = ResNet(8, 16, 2)
    assert algebra(300, net, k=200).curvature_rows is None
    assert algebra(300, net, k=200).work == pytest.approx(algebra(300, net, k=16).work, rel=0.2)
