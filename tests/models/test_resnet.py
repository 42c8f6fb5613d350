"""ResNet: shapes at the edges, what a call means, derivatives, and refusals."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from numdl.flow import DYNAMICS, SCHEMES, Dynamics, damped, final, get_dynamics, get_march
from numdl.models import ResNet, first_overflow
from numdl.testing import check_adjoint, check_gradient

pytestmark = pytest.mark.usefixtures("x64")
HALVES = ("hamiltonian", "double_hamiltonian", "h1", "second_order", "hyperbolic")


@functools.partial(jax.jit, static_argnums=0)
def run(model, theta, x):
    return model.batch(theta, x)


@functools.partial(jax.jit, static_argnums=0)
def run_all(model, theta, *samples):
    """Several batches by one program."""
    return [model.batch(theta, x) for x in samples]


def draw(model, seed=0):
    """Weights of the right shapes and moderate size; NumPy spares one compilation per architecture."""
    rng = np.random.default_rng(seed)
    shapes = model.init(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape, scale=0.7), leaf.dtype), shapes)


@pytest.mark.quick(
    "3-4-2-True-constant-*",
    "1-1-1-True-linear-plain",
    "2-3-0-False-linear-hyperbolic",
    "1-1-1-True-linear-circulant",
    "1-1-1-True-constant-hamiltonian",
)
@pytest.mark.parametrize("dynamics", DYNAMICS)
@pytest.mark.parametrize("control", ["constant", "linear"])
@pytest.mark.parametrize(("d", "width", "depth", "opening"), [(3, 4, 2, True), (1, 1, 1, True), (2, 3, 0, False)])
def test_shapes(dynamics, control, d, width, depth, opening):
    width += width % 2 if dynamics in HALVES else 0
    model = ResNet(d, width, depth, dynamics=dynamics, control=control, opening=opening)
    theta = model.init(0)
    assert ("opening" in theta) is opening
    n_coeffs = depth + (control == "linear" and depth > 0)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(theta["flow"])} == {n_coeffs}
    assert model.n_parameters == sum(leaf.size for leaf in jax.tree.leaves(theta))
    some, none = run_all(model, theta, np.ones((5, d)), np.ones((0, d)))
    assert some.shape == (5, width)
    assert none.shape == (0, width)


@pytest.mark.quick("euler", "rk4", "adams_bashforth", "verlet")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_batch_is_features_row_by_row_and_the_end_of_the_trajectory(scheme):
    needs = {"symplectic_euler": "hamiltonian", "verlet": "hamiltonian", "imex": "contractive"}
    dynamics = needs.get(scheme, "antisymmetric")
    model = ResNet(2, 4, 2, T=1.5, scheme=scheme, control="linear", dynamics=dynamics)
    theta = draw(model)
    x = jax.random.normal(jax.random.key(1), (3, 2))
    u = run(model, theta, x)
    for row, end in zip(x, u, strict=True):
        np.testing.assert_allclose(jax.jit(model.features)(theta, row), end, rtol=1e-13, atol=1e-15)
    states = jax.jit(model.trajectory)(theta, x[0])
    assert states.shape == (3, 4)
    np.testing.assert_allclose(states[-1], u[0], rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(states[0], jnp.tanh(theta["opening"]["K"] @ x[0] + theta["opening"]["b"]), rtol=1e-13)


def test_forward_euler_written_out():
    model = ResNet(2, 3, 2, T=0.8)
    theta, x = draw(model), jnp.array([[0.3, -1.2], [2.0, 0.1]])
    u = np.tanh(x @ theta["opening"]["K"].T + theta["opening"]["b"])
    for K, b in zip(theta["flow"]["K"], theta["flow"]["b"], strict=True):
        u = u + 0.4 * np.tanh(u @ K.T + b)
    np.testing.assert_allclose(run(model, theta, x), u, rtol=1e-14)


def test_without_opening_and_depth_the_features_are_the_padded_inputs():
    x = jnp.arange(6.0).reshape(3, 2)
    out = run(ResNet(2, 4, 0, opening=False), draw(ResNet(2, 4, 0, opening=False)), x)
    np.testing.assert_array_equal(out, np.pad(x, ((0, 0), (0, 2))))


@pytest.mark.quick("plain", "antisymmetric", "low_rank", "convolution", "double_hamiltonian")
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_derivatives(dynamics):
    model = ResNet(2, 4, 2, dynamics=dynamics, scheme="heun", control="linear")
    theta, x = draw(model), jax.random.normal(jax.random.key(1), (4, 2))
    check_gradient(jax.jit(jax.value_and_grad(lambda p: jnp.sum(model.batch(p, x) ** 2))), theta, jax.random.key(2))

    def batch(p):
        return model.batch(p, x)

    jvp = jax.jit(lambda v: jax.jvp(batch, (theta,), (v,))[1])
    vjp = jax.jit(lambda w: jax.vjp(batch, theta)[1](w)[0])
    check_adjoint(jvp, vjp, draw(model, 3), jax.random.normal(jax.random.key(4), (4, 4)))


def test_initial_units_cover_standardised_data():
    model = ResNet(20, 400, 4)
    theta = model.init(0)
    x = np.random.default_rng(0).normal(size=(200, 20))
    z = x @ np.asarray(theta["opening"]["K"]).T + np.asarray(theta["opening"]["b"])
    # Variance 1 of K x plus 1/3 of b; 80 000 dependent entries, 400 of them independent in b.
    assert abs(np.var(z) - 4 / 3) < 0.1
    K = np.asarray(theta["flow"]["K"])
    assert np.all(np.linalg.norm(K, 2, axis=(1, 2)) * model.h < 1.1)


@pytest.mark.parametrize(("T", "depth"), [(1.0, 1), (10.0, 2), (1.0, 16)])
def test_initial_steps_are_moderate(T, depth):
    model = ResNet(1, 100, depth, T=T)
    K = np.asarray(model.init(0)["flow"]["K"])
    assert np.max(np.linalg.norm(K, 2, axis=(1, 2))) * model.h < 1.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(dtype):
    model = ResNet(2, 3, 2, dynamics="double", scheme="rk4")
    theta = model.init(jax.random.key(0), dtype)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(theta)} == {dtype}
    assert run(model, theta, jnp.ones((2, 2), dtype)).dtype == dtype


def test_static_under_jit():
    assert hash(ResNet(2, 3, 1)) == hash(ResNet(2, 3, 1))
    assert ResNet(2, 3, 1) == ResNet(2, 3, 1) != ResNet(2, 3, 2)
    run(ResNet(2, 5, 1), draw(ResNet(2, 5, 1)), jnp.ones((7, 2)))
    before = run._cache_size()
    run(ResNet(2, 5, 1), draw(ResNet(2, 5, 1), 1), jnp.zeros((7, 2)))
    assert run._cache_size() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d": 0}, r"d=0.*needs a whole number >= 1"),
        ({"width": 0}, r"width=0.*needs a whole number >= 1"),
        ({"depth": -1}, r"depth=-1.*needs a whole number >= 0"),
        ({"T": 0.0}, r"T=0.0.*finite number > 0"),
        ({"T": float("nan")}, r"T=nan.*finite number"),
        ({"d": 5, "opening": False}, r"width=3, opening=False.*width=5 or opening=True"),
        ({"dynamics": "wave"}, "unknown dynamics"),
        ({"scheme": "rk5"}, "unknown scheme"),
        ({"control": "cubic"}, "unknown control.*constant, linear"),
        ({"activation": "step"}, "unknown activation"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**{"d": 2, "width": 3, "depth": 1, **arguments})


@pytest.mark.parametrize("value", [2.5, "3", True])
def test_sizes_that_are_no_whole_numbers_are_refused(value):
    with pytest.raises(ValueError, match=f"ResNet.width={value!r}.: needs a whole number >= 1"):
        ResNet(2, value, 1)
    with pytest.raises(ValueError, match="unknown march"):
        get_march([value])


@pytest.mark.parametrize("value", [jnp.asarray(1.0), "1", True, 1j, None])
def test_a_time_that_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match=r"ResNet\(T=.*needs a finite number > 0"):
        ResNet(2, 3, 1, T=value)


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_numpy_become_those_of_python():
    net = ResNet(2, 3, 1, T=np.float64(2.0), smoothness=np.float64(0.5), opening=True)
    assert type(net.T) is type(net.smoothness) is float and hash(net) == hash(ResNet(2, 3, 1, T=2.0, smoothness=0.5))
    narrow = ResNet(2, 3, 1, T=np.float32(0.5)).T
    assert type(narrow) is float and narrow == 0.5


def test_wrong_inputs_are_refused():
    model = ResNet(2, 3, 1)
    theta = draw(model)
    with pytest.raises(ValueError, match=r"x has 3 entries, needs 2"):
        model.batch(theta, jnp.ones((4, 3)))
    with pytest.raises(ValueError, match=r"leading axis of 2"):
        ResNet(2, 3, 2).batch(theta, jnp.ones((4, 2)))
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"dtype=float64.*enable_x64"):
        model.init(jax.random.key(0), "float64")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 3, "dynamics": "hamiltonian"}, "width 3 has no two halves"),
        ({"scheme": "verlet"}, "scheme 'verlet': needs dynamics of two halves"),
        ({"scheme": "verlet", "march": "adaptive"}, "scheme 'verlet': needs dynamics of two halves"),
        ({"scheme": "imex", "march": "adaptive"}, "scheme 'imex': needs dynamics with a linear part"),
        ({"width": 3, "depth": 0, "dynamics": "hamiltonian"}, "width 3 has no two halves"),
        ({"depth": 0, "scheme": "verlet"}, "scheme 'verlet': needs dynamics of two halves"),
        ({"depth": 0, "march": "reversible"}, "needs a step that can be undone"),
        ({"march": "reversible"}, "needs a step that can be undone"),
        ({"march": "backwards"}, "unknown march"),
        ({"march": "adjoint", "dynamics": "hamiltonian", "scheme": "verlet"}, "no halves"),
        ({"march": "adjoint", "scheme": "adams_bashforth"}, "from state to state"),
        ({"march": "adjoint", "steps": "learned"}, "no slope of the steps"),
        ({"steps": "random"}, "Use one of 'equal', 'learned'"),
        ({"control": "spline", "coefficients": 3}, "needs a whole number >= 4"),
        ({"control": "linear_spline", "coefficients": 1}, "needs a whole number >= 2"),
        ({"control": "spline", "smoothness": 0.1}, "smooth by itself"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        ResNet(**{"d": 2, "width": 4, "depth": 3} | options)


def bias(key, m, scale, dtype=None):
    return {"b": jnp.zeros(m, dtype)}


@pytest.mark.parametrize(
    ("f", "init", "words"),
    [
        (lambda t, u, theta: u[0], bias, r"dynamics='mine'.*to float..\[\].*shape \(4,\)"),
        (lambda t, u, theta: jnp.append(u, 0.0), bias, r"float..\[5\]"),
        (lambda t, u, theta: (u, u), bias, r"needs one real array"),
        (lambda t, u, theta: 1j * u, bias, r"complex[0-9]+\[4\]"),
        (lambda t, u, theta: np.tanh(u), bias, r"(?s)f cannot be traced.*Use jax.numpy"),
        (lambda t, u, theta: u, lambda *a: {}, r"init returns {}, needs a dict of arrays"),
        (lambda t, u, theta: u, lambda *a: {"a": 1.0}, r"needs a dict of arrays"),
    ],
)
def test_fields_of_ones_own_that_give_no_rate_are_refused(f, init, words):
    with pytest.raises((ValueError, TypeError), match=words):
        ResNet(2, 4, 3, dynamics=Dynamics("mine", init, lambda activation: f))


def test_learned_steps_are_positive_with_the_sum_T():
    net = ResNet(2, 4, 5, T=2.0, scheme="heun", steps="learned")
    theta, x = net.init(0), jnp.asarray([0.3, -1.0])
    np.testing.assert_allclose(net.step_sizes(theta), 0.4, rtol=1e-6)
    np.testing.assert_allclose(
        net.features(theta, x), ResNet(2, 4, 5, T=2.0, scheme="heun").features(theta, x), rtol=1e-6
    )
    uneven = theta | {"steps": jnp.asarray([0.0, 1.0, -1.0, 2.0, 0.0])}
    sizes = net.step_sizes(uneven)
    assert jnp.all(sizes > 0) and float(sizes.sum()) == pytest.approx(2.0)
    slope = jax.grad(lambda theta: net.features(theta, x).sum())(uneven)["steps"]
    assert float(jnp.abs(slope).max()) > 1e-4


@pytest.mark.parametrize("control", ["linear_spline", "spline", "legendre", "chebyshev"])
def test_few_weights_for_many_steps(control):
    net = ResNet(2, 4, 20, control=control, scheme="rk4")
    theta = net.init(0)
    assert theta["flow"]["K"].shape == (4, 4, 4)
    finer = ResNet(2, 4, 40, control=control, scheme="rk4")
    x = jnp.asarray([0.3, -1.0])
    np.testing.assert_allclose(net.features(theta, x), finer.features(theta, x), atol=1e-3)


@pytest.mark.parametrize("control", ["spline", "legendre", "chebyshev"])
def test_few_weights_are_functions_of_time_on_learned_steps_too(control):
    """The limit of many steps is the same however they are spaced."""
    x = jnp.asarray([0.3, -1.0])

    def gap(nt, wrong=False):
        net = ResNet(2, 4, nt, T=3.0, control=control, coefficients=5, scheme="heun", steps="learned")
        theta = net.init(0, jnp.float64)
        theta["flow"] = jax.tree.map(lambda a: 2 * a, ResNet(2, 4, 4, control=control, coefficients=5).init(1)["flow"])
        uneven = theta | {"steps": jnp.linspace(-1.0, 1.0, nt)}
        if wrong:  # the planted mutant: the weights by the number of the step
            scheme, f, basis, coeffs, u0, t0, h = net.flow(uneven, net.open(uneven, x))
            there = final(
                scheme, f, dataclasses.replace(basis, nodes=tuple(np.linspace(0, 1, nt + 1))), coeffs, u0, t0, h
            )
        else:
            there = net.features(uneven, x)
        return float(jnp.linalg.norm(there - net.features(theta, x)))

    near, far = gap(40), gap(160)
    assert far < 1e-2 and near / far > 12  # 16 is order 2
    assert gap(160, wrong=True) > 0.1


@pytest.mark.parametrize("march", ["checkpointed", "reversible", "parallel-newton"])
def test_learned_steps_have_the_same_slope_by_every_march_where_weights_follow_them(march):
    options = {"dynamics": "hamiltonian", "scheme": "verlet", "control": "spline", "steps": "learned"}
    x = jnp.asarray([0.3, -1.0])
    theta = ResNet(2, 4, 5, **options).init(0, jnp.float64) | {"steps": jnp.asarray([0.0, 1.0, -1.0, 2.0, 0.0])}

    def judged(way):
        net = ResNet(2, 4, 5, march=way, **options)
        return jax.jit(jax.value_and_grad(lambda theta: jnp.sum(net.features(theta, x) ** 2)))

    check_gradient(judged(march), theta)
    for one, other in zip(*(jax.tree.leaves(judged(way)(theta)) for way in (march, "stored")), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_the_adaptive_march_keeps_float32_where_float64_is_on():
    net = ResNet(2, 4, 3, march="adaptive")
    x, theta = jnp.asarray([0.3, -1.0]), net.init(0, jnp.float64)
    short = jax.tree.map(lambda a: a.astype(jnp.float32), (theta, x))
    value = jax.jit(jax.value_and_grad(lambda theta, x: net.features(theta, x).sum()))
    found, exact = value(*short), value(theta, x)
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype("float32")}
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("march", ["stored", "reversible"])
def test_a_batch_is_its_rows(march):
    net = ResNet(2, 4, 5, dynamics="hamiltonian", scheme="verlet", march=march)
    theta, x = net.init(0), jnp.asarray([[0.3, -1.0], [1.0, 0.5], [0.0, 0.0]])
    rows = jnp.stack([net.features(theta, row) for row in x])
    np.testing.assert_allclose(net.batch(theta, x), rows, rtol=1e-6)


def test_dynamics_of_your_own():
    def init(key, m, scale, dtype=None):
        return {"rate": jnp.full((m,), scale, dtype)}

    own = Dynamics("decay", init, lambda activation: lambda t, u, theta: -activation(theta["rate"] * u))
    net = ResNet(2, 3, 4, dynamics=own)
    assert net.title == "decay 3x4" and net.init(0)["flow"]["rate"].shape == (4, 3)
    assert net.features(net.init(0), jnp.ones(2)).shape == (3,)
    wrong = Dynamics("wrong", init, lambda activation: lambda t, u, theta: u[:2])
    with pytest.raises((ValueError, TypeError)):
        ResNet(2, 3, 4, dynamics=wrong)


def test_dynamics_are_what_a_file_can_bring_back_by_their_name():
    """Stored by name, others of the name of registered ones came back as these, and a damping was lost."""
    strong = damped(get_dynamics("antisymmetric"), 0.7)
    assert ResNet(2, 3, 4, dynamics=strong) == ResNet(2, 3, 4, dynamics="antisymmetric", damping=0.7)
    assert ResNet(2, 3, 4, dynamics=strong, damping=0.2).damping == 0.2
    assert ResNet(2, 3, 4, dynamics=get_dynamics("plain")).field is get_dynamics("plain")
    for changed in ({"vector_field": lambda activation: lambda t, u, theta: -u}, {"damping": 0.3}):
        with pytest.raises(ValueError, match=r"ResNet\(dynamics\).*DYNAMICS knows as 'antisymmetric'.*'my_antisymm"):
            ResNet(2, 3, 4, dynamics=get_dynamics("antisymmetric")._replace(**changed))


def test_an_overflow_names_row_layer_and_step():
    net = ResNet(2, 2, 4, T=2.0, activation="identity", opening=False)
    factors = jnp.asarray([1.0, 1e200, 1e200, 0.0])
    theta = {"flow": {"K": factors[:, None, None] * jnp.eye(2), "b": jnp.zeros((4, 2))}}
    x = np.zeros((1030, 2))
    x[[1026, 1028]] = 1.0
    found = first_overflow(net, theta, x)
    assert (found.row, found.layer, found.h) == (1026, 2, 0.5)
    assert "row 1027 overflows in layer 2, step size h = 0.5. Use smaller steps" in str(found)
    assert first_overflow(net, theta, x[:1026]) is None
    assert first_overflow(ResNet(2, 2, 0), ResNet(2, 2, 0).init(0), x) is None
    opened = {"opening": {"K": jnp.full((2, 2), 1e308), "b": jnp.zeros(2)}} | theta
    found = first_overflow(dataclasses.replace(net, opening=True), opened, x)
    assert found.layer is None and "overflows in the opening" in str(found)
