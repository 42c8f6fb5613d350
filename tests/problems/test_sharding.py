"""Rows divided among devices: the same problem, whether the shards divide n or not, and only sums are exchanged."""

import dataclasses
import os
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from separable_problems import KINDS, N, judge, separable, weights

from numdl.problems import full_problem
from numdl.problems.sharding import count_shards, deal, divide, first_rows, place, tall_qr
from numdl.problems.varpro.normal import sampled_factor

pytestmark = pytest.mark.usefixtures("x64")


def dealt(problem, n_shards):
    """The problem with its rows in n_shards, all on one device."""
    w, x, c = (jnp.asarray(a) for a in deal(n_shards, *(np.asarray(a) for a in (problem.w, problem.x, problem.c))))
    return dataclasses.replace(problem, x=x, c=c, w=w, n_shards=n_shards)


def assert_same(one, other):
    """Equal to rounding."""
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def same_problem(kind, **options):
    problem, theta = separable(kind, **options), weights()
    one, other = judge(problem, theta), judge(dealt(problem, 3), theta)  # 3 does not divide 20
    squares = [
        jnp.sum(j.normal.eliminated.coupling**2, axis=1) for j in (one, other)
    ]  # the signs of a basis are nobody's business
    assert_same(
        *(
            j._replace(normal=j.normal._replace(eliminated=j.normal.eliminated._replace(coupling=s)))
            for j, s in zip((one, other), squares, strict=True)
        )
    )


def test_weights_of_pixels_are_dealt_with_their_images():
    w = np.arange(1.0, 49.0).reshape(4, 12) / 24.5
    dealt_w, x = deal(3, w, np.arange(20.0).reshape(4, 5))
    np.testing.assert_array_equal(x[:, 0], [0, 15, 5, 0, 10, 0])  # rows 0 3 | 1 0 | 2 0
    np.testing.assert_allclose(dealt_w, 1.5 * np.array([w[0], w[3], w[1], 0 * w[0], w[2], 0 * w[0]]))
    found, rows = first_rows(2, 3, jnp.asarray(dealt_w), jnp.asarray(x))
    np.testing.assert_array_equal(rows[:2, 0], [0, 5])
    np.testing.assert_allclose(found, np.array([w[0], w[1], 0 * w[0]]) / (w[:2].sum() / 36))


def test_parts_are_the_same_problem():
    same_problem("softmax", curvature_rows=11, chunk=2)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"chunk": 3}, {"curvature_rows": 11, "chunk": 2}], ids=str)
def test_parts_are_the_same_problem_for_every_loss(kind, options):
    same_problem(kind, **options)


def test_drawn_rows_belong_to_rows_of_the_data():
    problem, theta = separable("softmax", sampled=True, curvature_rows=11), weights()
    normal = jax.jit(lambda problem, theta: problem.normal(theta, problem.first_head(theta)))
    assert_same(normal(problem, theta), normal(dealt(problem, 4), theta))
    s = jnp.asarray(np.random.default_rng(0).normal(size=(N, 3)))
    drawn = sampled_factor(jnp.asarray(deal(4, np.ones(N), np.asarray(s))[1]), 4)
    np.testing.assert_allclose(drawn, deal(4, np.ones(N), np.asarray(sampled_factor(s)))[1], rtol=1e-15)
    assert not np.allclose(sampled_factor(jnp.asarray(deal(4, np.ones(N), np.asarray(s))[1])), drawn)


def test_the_full_problem_in_parts():
    problem, theta = separable("huber", chunk=3), weights()
    full, n_shards = (full_problem(p, theta) for p in (problem, dealt(problem, 3)))
    p = {"theta": theta, "W": jnp.ones((2, 4))}
    say = jax.jit(lambda full: (full.normal(p, None), full.linearize(p, None).curvature(p), full.bend(p, p)))
    assert_same(say(full), say(n_shards))


def test_a_weight_for_the_rows_that_fill_up_is_seen():
    problem, theta = separable("squares"), weights()
    part = dealt(problem, 3)
    heavy = dataclasses.replace(part, w=jnp.where(part.w == 0, 1.0, part.w))
    value = jax.jit(lambda problem, theta: problem.value(theta, problem.first_head(theta))[0])
    right, wrong, whole = (float(value(p, theta)) for p in (part, heavy, problem))
    assert abs(right - whole) < 1e-14
    assert abs(wrong - right) > 1e-4


@pytest.mark.parametrize("n_shards", [1, 2, 3, N, N + 1])
@pytest.mark.parametrize("count", [1, 2, N - 1, N])
def test_first_rows_are_those_of_the_data(n_shards, count):
    w, rows = np.arange(1.0, N + 1), np.arange(N)
    w /= w.mean()
    held = first_rows(count, n_shards, *(jnp.asarray(a) for a in deal(n_shards, w, rows)))
    seen = np.asarray(held[1])[np.asarray(held[0]) > 0]
    np.testing.assert_array_equal(np.sort(seen), rows[:count])
    order = np.argsort(seen)
    share = np.asarray(held[0])[np.asarray(held[0]) > 0][order] / len(held[0])
    np.testing.assert_allclose(share, w[:count] / w[:count].sum(), rtol=1e-14)


@pytest.mark.parametrize(("n", "m", "n_shards"), [(12, 3, 1), (12, 3, 2), (12, 3, 6), (12, 12, 4), (4, 6, 2)])
def test_factors_of_parts(n, m, n_shards):
    a = jnp.asarray(np.random.default_rng(0).normal(size=(n, m)))
    q, r = tall_qr(a, n_shards)
    np.testing.assert_allclose(q @ r, a, atol=1e-14)
    np.testing.assert_array_equal(r, jnp.triu(r))
    if n >= m:
        np.testing.assert_allclose(q.T @ q, np.eye(m), atol=1e-14)


def test_without_a_mesh_nothing_changes():
    w, x = np.linspace(0.5, 1.5, 5), np.arange(10.0).reshape(5, 2)
    for given, kept in zip((w, x), divide(None, w, x), strict=True):
        np.testing.assert_array_equal(given, kept)
    assert count_shards(None) == 1


def test_arrays_that_change_later_leave_what_was_placed():
    given = [np.zeros(1024, np.float32) for _ in range(20)]
    placed = [place(None, array) for array in given]
    for array in given:
        array[:] = 1
    assert not any(np.any(array) for array in placed)


def test_a_mesh_without_rows_is_refused():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("layer",))
    with pytest.raises(ValueError, match=r"axes \('layer',\): needs an axis 'data'"):
        count_shards(mesh)


def test_explicit_axes_are_taken_as_well():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
    problem = separable("squares")
    x = place(mesh, np.asarray(problem.x))
    assert jnp.isfinite(dataclasses.replace(problem, x=x).value(weights(), problem.first_head(weights()))[0])


DEVICES = """
import re
import jax, jax.numpy as jnp, numpy as np
from numdl.optimize import InexactNewton, LevenbergMarquardt
from numdl.problems import LEAST_SQUARES, SOFTMAX, VarPro, linear_empirical
from numdl.problems.sharding import divide, count_shards
from numdl.regularize import GroupPenalty, OperatorPenalty

def features(theta, x):
    return jnp.tanh(theta @ x)

def runs(mesh):
    rng = np.random.default_rng(0)
    n, x, theta = 301, rng.normal(size=(301, 2)), jnp.asarray(rng.normal(size=(3, 2)))
    penalty = GroupPenalty(jnp.full(1, 1e-2), jnp.zeros(6, int))
    w, y, c = divide(mesh, np.ones(n), x, np.sin(x))
    n_shards = count_shards(mesh)
    squares = VarPro(features, LEAST_SQUARES, y, c, w, penalty, jnp.asarray(1e-2), chunk=40, n_shards=n_shards)
    labels = np.eye(3)[np.argmax(x @ rng.normal(size=(2, 3)) + rng.normal(size=(n, 3)), axis=1)]
    linear = linear_empirical(SOFTMAX, OperatorPenalty(jnp.asarray(1e-3)), x, labels, np.ones(n), mesh=mesh)
    cases = [(squares, LevenbergMarquardt(), theta, squares.first_head(theta), 4)]
    for problem, method, p, aux, steps in [*cases, (linear, InexactNewton(), jnp.zeros((3, 3)), None, 3)]:
        step = jax.jit(lambda problem, iterate, method=method: method.step(problem, iterate)._replace(metrics={}))
        iterate = method.init(problem, p, aux)
        compiled = step.lower(problem, iterate).compile()
        for _ in range(steps):
            iterate = compiled(problem, iterate)
        yield jax.tree.leaves(iterate.p), compiled.as_text()

with jax.enable_x64(True):
    mesh = jax.make_mesh((2,), ("data",))
    gaps, moved = [], []
    for (one, _), (other, text) in zip(runs(None), runs(mesh), strict=True):
        gaps.append(max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in zip(one, other)))
        assert "all-reduce" in text
        gathered = re.findall(r"= f64\\[([0-9,]*)\\]\\S* (?:all-gather|all-to-all|collective-permute)", text)
        moved.append(max((np.prod([int(k) for k in shape.split(",")]) for shape in gathered), default=0))
    assert max(gaps) < 1e-12, gaps
    assert max(moved) <= 2 * 3 * 3, moved  # two triangles of three features, never rows
    print(jax.device_count())
"""


def test_two_devices_take_the_same_steps():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", DEVICES], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "2\n", done.stderr


JOIN = """
import sys, jax
jax.distributed.initialize(f"127.0.0.1:{sys.argv[2]}", 2, int(sys.argv[1]))
assert len(jax.local_devices()) == 1
"""


@pytest.mark.thorough
def test_two_processes_take_the_same_steps():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    calls = [[sys.executable, "-c", JOIN + DEVICES, str(i), str(port)] for i in range(2)]
    both = [
        subprocess.Popen(c, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for c in calls
    ]
    for process in both:
        said = process.communicate(timeout=100)[0]
        assert process.returncode == 0 and said.splitlines()[-1] == "2", said
