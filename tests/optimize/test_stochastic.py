"""Batches as steps of one scan: each row once, any transformation, resumable, and never past a broken step."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array

from numdl.contracts import Linearization, Status
from numdl.optimize import StochasticGradient, minimize_stochastic
from numdl.optimize.drivers.stochastic_epoch import run_epoch, shuffled, take
from numdl.optimize.drivers.stochastic_feed import check_pieces
from numdl.optimize.parts.packing import packing

pytestmark = pytest.mark.usefixtures("x64")
SGD = optax.sgd(1.0)


class Squares(eqx.Module):
    """``1/(2n) sum w_i ||x_i p - c_i||^2``; ``log`` adds a barrier at p = 0."""

    x: Array
    c: Array
    w: Array
    barrier: float = 0.0

    def value(self, p, aux):
        rest = jnp.sum((self.x @ p - self.c) ** 2, axis=1)
        inside = jnp.where(self.barrier > 0, p, 1.0)  # without a barrier its slope at 0 must not be seen either
        return self.w @ rest / (2 * len(self.x)) - self.barrier * jnp.sum(jnp.log(inside)), aux

    def linearize(self, p, aux):
        slope = jax.value_and_grad(lambda p: self.value(p, aux)[0])
        (value, gradient), curvature = slope(p), lambda v: jax.jvp(lambda p: slope(p)[1], (p,), (v,))[1]
        return Linearization(value, gradient, curvature, aux, {})

    def rows(self, index):
        return dataclasses.replace(self, x=self.x[index], c=self.c[index], w=self.w[index])


def problem(n=23, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    c = x @ np.arange(1.0, 7.0).reshape(3, 2) + noise * rng.standard_normal((n, 2))
    return Squares(*map(jnp.asarray, (x, c, np.ones(n))))


START = np.zeros((3, 2))


def run(problem, transform=SGD, **options):
    settings = {"batch": 5, "epochs": 3, "rate": 0.1} | options
    return minimize_stochastic(problem, StochasticGradient(transform), jnp.asarray(START), **settings)


def by_hand(problem, batch, epochs, rate, seed=0, drop_last=False):
    """SGD in a loop of NumPy, over the same shuffles."""
    p, x, c = START.copy(), np.asarray(problem.x), np.asarray(problem.c)
    for epoch in range(epochs):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), epoch), 0)
        order = np.asarray(shuffled(key, len(x), jnp.asarray(len(x))))
        for first in range(0, len(x), batch):
            rows = order[first : first + batch]
            if drop_last and len(rows) < batch:
                continue
            p = p - rate * x[rows].T @ (x[rows] @ p - c[rows]) / len(rows)
    return p


@pytest.mark.quick("5", "22", "40")
@pytest.mark.parametrize("batch", [1, 5, 22, 23, 40])
def test_the_scan_is_the_loop_over_batches(batch):
    found = run(problem(), batch=batch)[0]
    np.testing.assert_allclose(found.p, by_hand(problem(), batch, 3, 0.1), rtol=1e-11)


def test_a_planted_loop_that_drops_the_last_batch_is_seen():
    found = run(problem(), batch=5)[0]
    assert np.abs(found.p - by_hand(problem(), 5, 3, 0.1, drop_last=True)).max() > 1e-3


def test_the_shuffle_has_each_valid_row_once_and_first():
    order = np.asarray(shuffled(jax.random.key(1), 12, jnp.asarray(9)))
    assert sorted(order[:9]) == list(range(9)) and set(order[9:]) == {9, 10, 11}
    assert list(order[:9]) != list(range(9))


def test_the_mean_of_the_batch_gradients_is_the_gradient():
    full = dataclasses.replace(problem(20), w=jnp.asarray(np.random.default_rng(1).uniform(0, 2, 20)))
    p = jnp.ones((3, 2))
    inside = jnp.ones(4, bool)
    parts = [
        jax.grad(lambda p, b=b: take(full, jnp.arange(b, b + 4), inside).value(p, None)[0])(p) for b in range(0, 20, 4)
    ]
    np.testing.assert_allclose(np.mean(parts, axis=0), jax.grad(lambda p: full.value(p, None)[0])(p), rtol=1e-12)


@pytest.mark.quick("transform0", "transform3")
@pytest.mark.parametrize(
    "transform",
    [
        optax.sgd(1.0),
        optax.sgd(0.3, momentum=0.8),
        optax.sgd(0.3, momentum=0.8, nesterov=True),
        optax.adagrad(10.0),
        optax.rmsprop(1.0),
        optax.adam(1.0),
        optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0)),
    ],
)
def test_any_transformation_lowers_the_objective(transform):
    history = run(problem(), transform, epochs=40)[0].history
    assert history["objective"][-1] < 0.2 * history["objective"][0]


def test_other_data_rates_and_schedules_compile_nothing():
    run_epoch.clear_cache()
    schedules = [
        0.1,
        0.2,
        optax.exponential_decay(0.1, 10, 0.9),
        optax.join_schedules([lambda s: 0.1, lambda s: 0.01], [7]),
    ]
    ends = [run(problem(seed=seed), rate=rate)[0].p for seed, rate in enumerate(schedules)]
    assert run_epoch._cache_size() == 1
    plain = run(problem(seed=2), optax.sgd(optax.exponential_decay(0.1, 10, 0.9)), rate=1.0)[0].p
    np.testing.assert_allclose(ends[2], plain, rtol=1e-11)


@pytest.mark.parametrize("broken", [1, 3])
def test_a_broken_run_goes_on_to_the_last_bit(broken):
    options = {"transform": optax.adam(1.0), "average_from": 2, "validation": problem(9, seed=4)}
    whole, _ = run(problem(), epochs=5, **options)
    _, progress = run(problem(), epochs=broken, **options)
    resumed, _ = run(problem(), epochs=5, resume=progress, **options)
    np.testing.assert_array_equal(whole.p, resumed.p)
    for name in whole.history.keys() - {"seconds"}:
        np.testing.assert_array_equal(whole.history[name], resumed.history[name])
    assert np.any(whole.p != run(problem(), epochs=5, key=1, **options)[0].p)


def test_the_average_is_the_mean_of_the_iterates():
    found = run(problem(), epochs=3, average_from=1, batch=23)[0].p
    last = [run(problem(), epochs=e, batch=23)[0].p for e in (2, 3)]
    np.testing.assert_allclose(found, np.mean(last, axis=0), rtol=1e-12)


def test_averaging_lowers_the_error_where_the_rate_is_large():
    noisy = problem(200, noise=1.0)
    best = np.linalg.lstsq(noisy.x, noisy.c)[0]
    errors = [np.linalg.norm(run(noisy, epochs=20, batch=2, average_from=a)[0].p - best) for a in (None, 5)]
    assert errors[1] < 0.3 * errors[0]


def test_history_and_work():
    validation = problem(50, seed=9)
    result, progress = run(problem(), validation=validation)
    assert {"objective", "gradient_norm", "rejected", "damping", "validation", "work", "seconds"} == set(result.history)
    assert list(result.history["work"]) == [2, 4, 6] and progress.steps == 15 and progress.rows == 23
    assert result.history["validation"][-1] == pytest.approx(float(validation.value(result.p, None)[0]))
    assert result.status.code == "max_iter" and list(result.history["rejected"]) == [0, 0, 0]


def test_a_step_into_infinity_is_undone_and_damped():
    barrier = dataclasses.replace(problem(), barrier=1e-3)  # the logarithm ends at 0: large steps leave its domain
    start = jnp.full((3, 2), 0.1)
    method = StochasticGradient(SGD)
    result, progress = minimize_stochastic(barrier, method, start, batch=5, epochs=30, rate=3.0)
    assert result.history["rejected"].sum() > 0 and float(progress.chain.damping) < 1
    assert np.all(np.isfinite(result.p)) and np.all(np.isfinite(result.history["objective"]))
    assert result.history["objective"][-1] < result.history["objective"][0]


def test_an_infinite_start_names_the_batch():
    barrier = dataclasses.replace(problem(), barrier=1.0)
    with pytest.raises(ValueError, match=r"batch 0 of epoch 0 .* the objective is (nan|inf).*smaller weights"):
        run(barrier)


def test_data_that_are_not_finite_are_refused():
    wrong = dataclasses.replace(problem(), c=problem().c.at[7, 1].set(jnp.nan))
    with pytest.raises(ValueError, match=r"Input problem.c contains NaN at column 1, row 8"):
        run(wrong)
    with pytest.raises(ValueError, match="0 samples"):
        run(problem(0))
    with pytest.raises(ValueError, match="batch=0"):
        run(problem(), batch=0)


def cut(x, c, sizes):
    edges = np.cumsum([0, *sizes])
    return [(x[a:b], c[a:b]) for a, b in itertools.pairwise(edges)]


def test_pieces_of_any_length_compile_once_and_see_all_rows():
    full = problem(50)
    run_epoch.clear_cache()
    parts = cut(np.asarray(full.x), np.asarray(full.c), [12, 5, 12, 17, 4])
    result, progress = run(problem(1), pieces=lambda: iter(parts), epochs=60)
    assert progress.rows == 50 and run_epoch._cache_size() == 1
    best = np.linalg.lstsq(full.x, full.c)[0]
    assert np.abs(result.p - best).max() < 0.1
    single = run(problem(1), pieces=lambda: iter([(full.x, full.c)]))[0]
    np.testing.assert_array_equal(single.p, run(full)[0].p)


def test_what_an_iterator_does_wrong_names_the_piece():
    x, c = np.asarray(problem(30).x), np.asarray(problem(30).c)
    parts = cut(x, c, [10, 10, 10])
    bad = [parts[0], (parts[1][0][:, :2], parts[1][1])]
    with pytest.raises(ValueError, match=r"piece 1 has shapes \(10, 2\)"):
        run(problem(1), pieces=lambda: iter(bad))
    holes = [parts[0], (np.where(np.arange(3) == 2, np.nan, parts[1][0]), parts[1][1])]
    with pytest.raises(ValueError, match=r"Input x of piece 1 contains NaN at column 2, row 11"):
        run(problem(1), pieces=lambda: iter(holes))
    once = iter(parts)
    with pytest.raises(ValueError, match=r"ended after piece -1 and 0 rows, needs 30"):
        run(problem(1), pieces=lambda: once)
    shorter = iter([parts, parts[:2]])
    with pytest.raises(ValueError, match=r"ended after piece 1 and 20 rows, needs 30"):
        run(problem(1), pieces=lambda: iter(next(shorter)))


def test_ends_for_a_reason():
    assert run(problem(), time_budget=0.0)[0].status.code == "time_budget"
    enough = Status("enough", "The user has seen enough.")
    result, progress = run(problem(), observe=lambda s: enough if s.epoch == 2 else None)
    assert result.status == enough and progress.epoch == 2

    def interrupt(progress):
        raise KeyboardInterrupt

    result, progress = run(problem(), observe=interrupt)
    assert result.status.code == "interrupted" and progress.epoch == 1
    np.testing.assert_array_equal(result.p, run(problem(), epochs=1)[0].p)
    np.testing.assert_array_equal(run(problem(), epochs=0)[0].p, START)


def test_an_epoch_broken_between_two_pieces_goes_on_with_the_same_stream():
    parts, broken = cut(np.asarray(problem().x), np.asarray(problem().c), [8, 8, 7]), [True]

    def pieces():
        for number, part in enumerate(parts):
            if number == 2 and broken:
                broken.clear()
                raise KeyboardInterrupt
            yield part

    result, progress = run(problem(1), pieces=pieces)
    assert result.status.code == "interrupted" and (progress.epoch, progress.part, progress.steps) == (0, 2, 4)
    resumed = run(problem(1), pieces=pieces, resume=progress)[0]
    whole = run(problem(1), pieces=lambda: iter(parts))[0]
    np.testing.assert_array_equal(resumed.p, whole.p)
    np.testing.assert_array_equal(resumed.history["objective"], whole.history["objective"])


def test_a_run_is_not_resumed_by_another_method():
    progress = run(problem(), epochs=1)[1]
    for other in ({"transform": optax.adam(1.0)}, {"average_from": 0}):
        with pytest.raises(ValueError, match=r"resume\): that run had another method, batch size, averaging"):
            run(problem(), resume=progress, **other)


def test_what_cannot_be_asked_is_refused_before_any_work():
    with pytest.raises(TypeError, match=r"pieces=list_iterator.*it ends after one epoch"):
        check_pieces(iter([(np.ones((2, 3)), np.ones((2, 2)))]))
    with pytest.raises(ValueError, match=r"ended after piece -1 and 0 rows, needs 1"):
        run(problem(), pieces=[])
    method = StochasticGradient(SGD)
    for p, what in ((jnp.zeros((3, 2), int), "p is int64"), ({}, "p has no arrays")):
        with pytest.raises(ValueError, match=f"minimize_stochastic: {what}"):
            minimize_stochastic(problem(), method, p, batch=5, epochs=1, rate=0.1)


def test_one_row_is_enough():
    one = problem(1)
    np.testing.assert_allclose(run(one, batch=1)[0].p, by_hand(one, 1, 3, 0.1), rtol=1e-12)


@pytest.mark.parametrize("wrong", [jnp.nan, jnp.inf, -0.1])
def test_a_schedule_that_goes_wrong_names_the_step(wrong):
    with pytest.raises(ValueError, match=rf"rate\(7\) = {wrong}, needs a finite rate >= 0"):
        run(problem(), rate=lambda step: jnp.where(step < 7, 0.1, wrong))


def test_single_precision_stays_single():
    with jax.enable_x64(False):
        single = problem()
        assert single.x.dtype == np.float32
        result, _ = run(single, optax.adam(1.0), average_from=1, validation=single)
    assert result.p.dtype == np.float32
    double = run(problem(), optax.adam(1.0), average_from=1)[0]
    np.testing.assert_allclose(result.p, double.p, atol=1e-3)


def test_packing_joins_small_arrays_and_parts_them_again():
    tree = {
        "a": jnp.arange(6.0).reshape(2, 3),
        "b": (jnp.asarray(2, jnp.int32), jnp.zeros((0, 4)), None),
        "large": jnp.ones((90, 90)),
        "single": jnp.float32(1.5),
        "flag": jnp.asarray(True),
        "key": jax.random.key(0),
        "c": jnp.asarray(7.0),
    }
    pack, unpack = packing(tree)
    joined, alone = jax.eval_shape(pack, tree)
    assert sorted(part.size for part in joined) == [1, 1, 7] and len(alone) == 3
    back = unpack(pack(tree))
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    for given, found in zip(*map(jax.tree.leaves, (tree, back)), strict=True):
        assert given.dtype == found.dtype and given.shape == found.shape and bool(jnp.all(given == found))
