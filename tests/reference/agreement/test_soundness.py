"""The bounds are sound: whatever a conforming machine computes lies within them. No false alarm, ever.

`simulated.py` plays the machines. A violation found here is a bug in `reference.agreement`.
"""

import functools
import itertools
import operator
from dataclasses import replace

import numpy as np
import pytest
from exact_numbers import exact_array, exact_share, mpmath
from formats import BFLOAT16, FLOAT16, STORED_BFLOAT16, STORED_FLOAT16
from operations import OPERATIONS, bounded, masked, normalised, numbers, share, uncertain
from simulated import KINDS, Machine, machine, rounded_to, simulated_step

from reference.agreement.arithmetic import FLOAT32, FLOAT64, Mixture, PartialSums, Unbounded
from reference.agreement.bounds import end_to_end, local
from reference.agreement.rounded import Rounded, linspace
from reference.models import MODELS, SOFTMAX, TWO_LAYER
from reference.spiral import spiral

TF32 = 2.0**-11
#: Windows so short that the small arrays here fill several.
SHORT_WINDOWS = {"partial_sums": PartialSums(2, each_addition=True), "partial_products": PartialSums(2)}
ARITHMETICS = {
    "float16": FLOAT16,
    "bfloat16": BFLOAT16,
    "float32": FLOAT32,
    "float64": FLOAT64,
    "tf32": FLOAT32.with_product_inputs(TF32),
    "accelerator": FLOAT32.on_accelerator(),
    "stored_bfloat16": replace(STORED_BFLOAT16, **SHORT_WINDOWS),
    "stored_float16": replace(STORED_FLOAT16, **SHORT_WINDOWS),
    "stored_on_accelerator": STORED_BFLOAT16.on_accelerator(),
    "high_precision": FLOAT32.on_accelerator().in_precision("high", "cuda"),
    "medium_precision": FLOAT32.in_precision("medium", "cpu"),
    "stored_at_once": STORED_FLOAT16.storing_all(),
}
#: Layers in 16 bits, their gradients too; the loss and the parameters are float32.
LAYERS = ("hidden_layer", "scores", "dscores", "dhidden")


def mixed(narrow, scale=1.0, stored=LAYERS):
    """A mixture in which these quantities are narrow, the gradients among them times a scale."""
    scales = {name: scale for name in stored if name.startswith("d")}
    formats = tuple((name, narrow.scaled(scales.get(name, 1.0))) for name in stored)
    return replace(FLOAT32, mixture=Mixture(narrow, formats))


SOFTMAX_TOO = (*LAYERS, "probs", "correct_logprobs", "data_loss")
MIXTURES = {
    "layers_stored_at_once": mixed(STORED_BFLOAT16.storing_all()),
    "scaled_on_accelerator": mixed(STORED_FLOAT16.on_accelerator(), 2.0**10),
    "softmax_too": mixed(ARITHMETICS["stored_bfloat16"], stored=SOFTMAX_TOO),
}
#: What a machine computes in, what it was declared to, and the quantity that shows it.
BROKEN_DECLARATIONS = {
    "softmax in bfloat16": (MIXTURES["softmax_too"], mixed(STORED_BFLOAT16), "probs"),
    "products in bfloat16": (mixed(STORED_BFLOAT16, stored=()), FLOAT32, "scores"),
    "layers in bfloat16": (mixed(STORED_BFLOAT16), mixed(STORED_FLOAT16), "scores"),
    "gradients not scaled": (mixed(STORED_FLOAT16), MIXTURES["scaled_on_accelerator"], "dscores"),
}
SHAPE = (3, 4)


@pytest.fixture(params=ARITHMETICS)
def arithmetic(request):
    """Each arithmetic in turn."""
    return ARITHMETICS[request.param]


@pytest.fixture(params=KINDS)
def kind(request, arithmetic):
    """Each kind of conforming machine in turn."""
    if request.param not in kinds_of(arithmetic):
        pytest.skip("tried on a format that computes; the others are tried with everything at once")
    return request.param


def kinds_of(arithmetic):
    """The kinds of machines: each feature alone, or together where many arithmetics differ little."""
    if arithmetic.mixture:
        return ["plain", "anything"]
    varied = arithmetic.stores or arithmetic.product_roundings > 1
    return ["plain", "always_contracted", "anything"] if varied else list(KINDS)


#: Of the draws of each operation, at least a fourth must have a bound: else little is tested.
LEAST_BOUNDED = 1 / 4
DRAWS = 12


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_stays_in_its_bound(operation, arithmetic):
    """Every conforming machine, from operands off by as much as they may be, ends within the bound."""
    f = OPERATIONS[operation]
    rng = np.random.default_rng(sum(map(ord, operation)))
    done = 0
    for kind in kinds_of(arithmetic) * DRAWS:
        m = machine(kind, arithmetic, rng)
        (x, bound_x), (y, bound_y) = (uncertain(rng, m, numbers(rng, SHAPE, arithmetic)) for _ in "xy")
        bound = bounded(f, bound_x, bound_y)
        if bound is None:
            continue
        with np.errstate(all="ignore"):
            got = f(x, y)
        assert share(got, bound) <= 1, (kind, x.value, y.value, got.value, bound)
        done += 1
    assert done >= LEAST_BOUNDED * len(kinds_of(arithmetic)) * DRAWS


# Whole steps, by every route


def shifted(q):
    """scores - row maximum."""
    return q["scores"] - np.max(q["scores"], axis=1, keepdims=True)


def row_sum(x):
    """Sum over the classes."""
    return np.sum(x, axis=1, keepdims=True)


def log_softmax(q):
    """Log-probabilities of the shifted scores."""
    return shifted(q) - np.log(row_sum(np.exp(shifted(q))))


def shifted_probs(q):
    """The usual softmax."""
    e = np.exp(shifted(q))
    return e / row_sum(e)


def right(q):
    """The index of each example's right class."""
    return range(q["X"].shape[0]), q["y"]


def less_one_at_right_class(dscores, q):
    """Subtract 1/N at the right class."""
    dscores[right(q)] = dscores[right(q)] - q["X"].machine.array(1) / q["X"].shape[0]
    return dscores


def logsumexp_less_score(q):
    """logsumexp - score, as optax does."""
    return logsumexp(q)[:, 0] - q["scores"][right(q)]


def logsumexp(q):
    """log of the summed exponentials + row maximum."""
    top = np.max(q["scores"], axis=1, keepdims=True)
    return np.log(row_sum(np.exp(q["scores"] - top))) + top


def exp_less_logsumexp(q):
    """exp(scores - logsumexp), which is logsumexp's gradient in PyTorch."""
    return np.exp(q["scores"] - logsumexp(q))


def chain_rule_through_shifted(q):
    """e * ((1/N) / s) - 1/N: jax.grad of log-softmax or logsumexp."""
    e = np.exp(shifted(q))
    return less_one_at_right_class(e * (q["X"].machine.array(1) / q["X"].shape[0] / row_sum(e)), q)


def chain_rule_through_quotient(q, scores=shifted):
    """Backwards through -log(e_y / s), s = sum(e), one operation after another."""
    N, one = q["X"].shape[0], q["X"].machine.array(1)
    e = np.exp(scores(q))
    s = row_sum(e)
    g = -(one / N) / (e[right(q)] / s[:, 0])
    at_right_class = e[right(q)] / s[:, 0] / s[:, 0]
    de = q["X"].machine.array(np.zeros(e.shape)) - (g * at_right_class)[:, None]
    de[right(q)] = de[right(q)] + g / s[:, 0]
    return de * e


def chain_rule_through_unshifted(q):
    """The same for the note's own softmax."""
    return chain_rule_through_quotient(q, lambda q: q["scores"])


def weights_of(q):
    """The names of the weights."""
    return [W for W in ("W", "W2") if W in q]


def layers_regularization(q):
    """Each layer's term of the regularization loss, computed once."""
    if "terms" not in q:
        q["terms"] = [0.5 * q["reg"] * np.sum(q[W] * q[W]) for W in weights_of(q)]
    return q["terms"]


def squared_norms(q):
    """reg/2 norm(W)^2 of each layer."""
    norms = [np.sqrt(np.sum(q[W] * q[W])) for W in weights_of(q)]
    return functools.reduce(operator.add, [0.5 * q["reg"] * (norm * norm) for norm in norms])


def scaled_squares(q):
    """The sum of reg/2 W W of each layer."""
    return functools.reduce(operator.add, [np.sum(0.5 * q["reg"] * q[W] * q[W]) for W in weights_of(q)])


def through_the_norm(weights, inputs, errors):
    """X.T d + (reg norm(W)) (W / norm(W)): autograd of reg/2 norm(W)^2."""

    def route(q):
        norm = np.sqrt(np.sum(q[weights] * q[weights]))
        term = (0.5 * q["reg"] * (2 * norm)) * (q[weights] / norm) if np.all(norm.value) else q[weights]
        return np.dot(q[inputs].T, q[errors]) + term

    return route


def shifted_by_all(q):
    """scores - the largest score of all rows."""
    return q["scores"] - np.max(q["scores"], axis=None, keepdims=True)


def unshifted(q):
    """The scores as they are."""
    return q["scores"]


def logarithm(q, z):
    """log of the row sums of exp(z(q))."""
    return np.log(row_sum(np.exp(z(q))))


def two_means(z):
    """The mean of those logarithms less the mean of the right class's z."""

    def route(q):
        N = q["X"].shape[0]
        return np.sum(logarithm(q, z)) / N - np.sum(z(q)[right(q)]) / N

    return route


def from_exponentials(q):
    """-(s - e_y)/s at the right class, e/s elsewhere, shifted by the largest score; and that over N."""
    e = np.exp(shifted_by_all(q))
    s = row_sum(e)
    q["late dscores"] = e / s
    q["late dscores"][right(q)] = -(s[:, 0] - e[right(q)]) / s[:, 0]
    return q["late dscores"] / q["X"].shape[0]


def quotient_rule(q):
    """e (1/s - [k is y]/e_y) / N."""
    e, one = np.exp(q["scores"]), q["X"].machine.array(1)
    factor = q["X"].machine.array(np.zeros(e.shape)) + one / row_sum(e)
    factor[right(q)] = factor[right(q)] - one / e[right(q)]
    return e * factor / q["X"].shape[0]


def late(errors, layer):
    """The routes of what follows from N * errors: everything is divided by N at the end."""
    weights, bias, inputs = layer

    def of_weights(q):
        q[f"data {weights}"] = np.dot(q[inputs].T, q[f"late {errors}"]) / q["X"].shape[0]
        return q[f"data {weights}"] + q["reg"] * q[weights]

    def of_bias(q):
        return np.sum(q[f"late {errors}"], axis=0, keepdims=True) / q["X"].shape[0]

    return {f"d{weights}": of_weights, f"d{bias}": of_bias}


def late_dhidden(q):
    """The gradient on the hidden layer from N * dscores."""
    q["late dhidden"] = np.dot(q["late dscores"], q["W2"].T)
    q["late dhidden"][q["hidden_layer"] <= 0] = 0
    return q["late dhidden"] / q["X"].shape[0]


def early(weights, inputs, errors):
    """X.T d + reg*W, where X.T d is kept."""

    def route(q):
        q[f"data {weights}"] = once = np.dot(q[inputs].T, q[errors])
        if once.machine.arithmetic.product_roundings > 1:
            once.terms = None  # it is kept, so it is not made again with reg*W as its first term
        return once + q["reg"] * q[weights]

    return route


def step_size(q):
    """The step size as the machine holds it."""
    return q["X"].machine.array(q["step_size"])


def decayed_by_factor(W):
    """W (1 - lr reg) - lr g."""
    return lambda q: (
        q[W] * (q["X"].machine.array(1) - step_size(q) * q["reg"]) - step_size(q) * q[f"data {W}"]
    )


def decayed_by_subtraction(W):
    """W - lr g - lr reg W."""
    return lambda q: q[W] - step_size(q) * q[f"data {W}"] - step_size(q) * q["reg"] * q[W]


def decayed_in_one_piece(W):
    """W - (lr g + lr reg W)."""
    return lambda q: q[W] - (step_size(q) * q[f"data {W}"] + step_size(q) * (q["reg"] * q[W]))


def two_halves(weights, inputs, errors):
    """(X.T d + h) + h, with h half the regularization gradient: autograd of reg/2 W*W."""

    def route(q):
        half = q[weights] * (0.5 * q["reg"])
        return np.dot(q[inputs].T, q[errors]) + half + half

    return route


ROUTES = {
    "document": {},
    "shifted": {"probs": shifted_probs},
    "manual split": {
        "data_loss": lambda q: np.sum(q["correct_logprobs"] / q["X"].shape[0]),
        "reg_loss": scaled_squares,
        "dscores": lambda q: less_one_at_right_class(q["probs"] / q["X"].shape[0], q),
    },
    "unshifted logarithm": {
        "probs": lambda q: np.exp(q["scores"] - logarithm(q, unshifted)),
        "correct_logprobs": lambda q: logarithm(q, unshifted)[:, 0] - q["scores"][right(q)],
        "data_loss": two_means(unshifted),
        "reg_loss": squared_norms,
        "dscores": quotient_rule,
    },
    "largest of all rows, divided late": {
        "probs": lambda q: np.exp(shifted_by_all(q)) / row_sum(np.exp(shifted_by_all(q))),
        "correct_logprobs": lambda q: -(shifted_by_all(q) - logarithm(q, shifted_by_all))[right(q)],
        "data_loss": two_means(shifted_by_all),
        "dscores": from_exponentials,
    },
    "log-softmax": {
        "probs": lambda q: np.exp(log_softmax(q)),
        "correct_logprobs": lambda q: -log_softmax(q)[right(q)],
        "dscores": lambda q: less_one_at_right_class(np.exp(log_softmax(q)) / q["X"].shape[0], q),
    },
    "library": {
        "probs": shifted_probs,
        "correct_logprobs": lambda q: -log_softmax(q)[right(q)],
        "dscores": lambda q: less_one_at_right_class(np.exp(log_softmax(q)) / q["X"].shape[0], q),
    },
    "logsumexp": {
        "probs": shifted_probs,
        "correct_logprobs": logsumexp_less_score,
        "dscores": chain_rule_through_shifted,
    },
    "gradient of logsumexp": {
        "probs": exp_less_logsumexp,
        "correct_logprobs": logsumexp_less_score,
        "dscores": lambda q: less_one_at_right_class(exp_less_logsumexp(q) / q["X"].shape[0], q),
    },
    "autograd": {"probs": shifted_probs, "dscores": chain_rule_through_quotient},
    "autograd of the document's softmax": {"dscores": chain_rule_through_unshifted},
    "loss term by term": {
        "reg_loss": lambda q: functools.reduce(operator.add, layers_regularization(q)),
        "loss": lambda q: functools.reduce(operator.add, layers_regularization(q), q["data_loss"]),
    },
}
#: What each layer's gradient is made of: the weights, their inputs, the gradient on the outputs.
PRODUCTS = {
    "softmax": [("W", "X", "dscores")],
    "two_layer": [("W", "X", "dhidden"), ("W2", "hidden_layer", "dscores")],
}


def in_each_layer(way):
    """The routes of the layers' gradients, all by the same way."""
    return {
        model: {f"d{names[0]}": way(*names) for names in products}
        for model, products in PRODUCTS.items()
    }


def in_each_update(way):
    """The routes of the weights after the update, which keep the data's gradient for that."""
    return {
        model: {f"d{names[0]}": early(*names) for names in products}
        | {f"{W}_next": way(W) for W, _, _ in products}
        for model, products in PRODUCTS.items()
    }


#: Routes that differ from model to model. Autograd adds the regularization gradient in halves.
OF_MODEL = {
    "library": in_each_layer(two_halves),
    "logsumexp": in_each_layer(two_halves),
    "autograd": in_each_layer(two_halves),
    "gradient of logsumexp": in_each_layer(through_the_norm),
    "manual split": in_each_update(decayed_in_one_piece),
    "unshifted logarithm": in_each_update(decayed_by_subtraction),
    "largest of all rows, divided late": {
        "softmax": late("dscores", ("W", "b", "X")) | {"W_next": decayed_by_factor("W")},
        "two_layer": {
            **late("dscores", ("W2", "b2", "hidden_layer")),
            "dhidden": late_dhidden,
            **late("dhidden", ("W", "b", "X")),
            **{f"{W}_next": decayed_by_factor(W) for W in ("W", "W2")},
        },
    },
}


def is_in_range(got, m):
    """Whether no right class is flushed to zero if the scores are shifted by the largest of all rows."""
    scores, y = got["scores"], got["y"]
    below = scores.max() - scores[range(len(y)), y]
    return below.max() < -np.log(8 * scores.shape[1] ** 2 * m.arithmetic.smallest_normal)


def drawn_problem(model, m):
    """A small problem of any scale: ties at 0, equal rows, zero biases, one example, one hidden unit."""
    rng, a = m.rng, m.arithmetic
    N, D, H, K = (
        rng.choice([1, rng.integers(2, 9)]),
        rng.integers(1, 4),
        rng.integers(1, 6),
        rng.integers(2, 5),
    )
    sizes = {"D": D, "H": H, "K": K, "1": 1}
    shapes = {n: tuple(sizes[c] for c in p.shape) for n, p in model.parameters.items()}
    spread = rng.choice([0, 1, 3])
    scale = 2.0 ** rng.integers(-6, 2)
    params = {n: m.round(scale * numbers(rng, s, a, spread)) for n, s in shapes.items()}
    X = m.round(numbers(rng, (N, D), a, spread))
    if rng.random() < 0.5:
        params["b"][:] = 0
        X[0] = 0
    if rng.random() < 0.1:
        X *= a.smallest_normal
    elif rng.random() < 0.3:  # scores far apart, probabilities near 1
        params[model.biases[-1]][:] = m.round(15 * rng.standard_normal((1, K)))
    return model.problem(X, rng.integers(0, K, N), params, rng.choice([1e-3, 0.3]), step_size=0.7)


def machines_of(m):
    """A machine, or those of the formats that it mixes."""
    return [m, *m.mixing.narrow.values()] if m.mixing else [m]


def worst_shares(model, m, routes, certificate):
    """The largest share of its bound that each quantity of one drawn step uses; None if out of range."""
    problem = drawn_problem(model, m)
    with np.errstate(all="ignore"):
        got = simulated_step(problem, m, routes)
    if routes.get("dscores") is from_exponentials and not is_in_range(got | {"y": problem.y}, m):
        return None
    if any(
        one.overflowed and one.arithmetic.name == "float16" for one in machines_of(m)
    ):  # its least reciprocals are out of range
        return None
    try:
        if certificate == "local":
            expected = local(problem, got, m.arithmetic)
        else:
            expected = end_to_end(problem, m.arithmetic)
    except Unbounded:
        return None
    return {name: share(got[name], expected[name]) for name in expected}


@pytest.mark.parametrize("certificate", ["local", "end_to_end"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_step_stays_in_its_bounds(model, route, certificate, arithmetic):
    """A whole step of any conforming machine, by any legitimate route, agrees with the reference."""
    require_step_in_its_bounds(model, route, certificate, arithmetic)


@pytest.mark.parametrize("certificate", ["local", "end_to_end"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("mixture", MIXTURES)
def test_step_in_mixed_precision_stays_in_its_bounds(mixture, model, route, certificate):
    """So does a step on a machine that mixes formats as it declares."""
    require_step_in_its_bounds(model, route, certificate, MIXTURES[mixture])


def require_step_in_its_bounds(model, route, certificate, arithmetic):
    """Draw machines of each kind, and require that no quantity of their step leaves its bound."""
    narrow = arithmetic.of_products
    if "late" in route and narrow.stores and not narrow.fuses:
        pytest.skip("a port that is known to store each result is known to divide early")
    rng = np.random.default_rng(0)
    routes = ROUTES[route] | OF_MODEL.get(route, {}).get(model.name, {})
    done, kinds = 0, kinds_of(arithmetic) if arithmetic.mixture else kinds_of(arithmetic) * 2
    for kind in kinds:
        shares = worst_shares(model, machine(kind, arithmetic, rng), routes, certificate)
        if shares is not None:
            assert max(shares.values()) <= 1, (kind, shares)
            done += 1
    assert done >= len(kinds) * LEAST_BOUNDED


@pytest.mark.parametrize("declaration", BROKEN_DECLARATIONS)
def test_broken_declaration_leaves_the_bounds(declaration):
    """Negative control: a machine in other formats than it declares is found in some draws."""
    computed_in, declared, quantity = BROKEN_DECLARATIONS[declaration]
    rng, shares = np.random.default_rng(0), []
    for _ in range(20):
        m = machine("plain", computed_in, rng)
        problem = drawn_problem(TWO_LAYER, m)
        got = simulated_step(problem, m, {})
        try:
            shares.append(share(got[quantity], local(problem, got, declared)[quantity]))
        except Unbounded:
            continue
    assert max(shares) > 1


# Random compositions, on machines and in exact arithmetic

SQUARE = (3, 3)
CHAINABLE = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "maximum": np.maximum,
    "dot": np.dot,
    "relu": lambda x, y: np.maximum(0, x - y),
    "mask": masked,
    "negate": lambda x, y: -x,
    "transpose": lambda x, y: x.T,
    "scale": lambda x, y: 0.3 * x,
    "exp": lambda x, y: np.exp(x),
    "log": lambda x, y: np.log(x),
    "sin": lambda x, y: np.sin(x),
    "cos": lambda x, y: np.cos(x),
    "normalise": lambda x, y: normalised(x),
    "sum_and_add": lambda x, y: np.sum(x, axis=0, keepdims=True) + y,
    "total_and_add": lambda x, y: np.sum(x) + y,
}


def random_program(rng, length=8):
    """Instructions (operation, operand, operand) on a growing list of arrays."""
    names = list(CHAINABLE)
    return [(rng.choice(names), *rng.integers(0, 3 + i, 2)) for i in range(length)]


def outcomes(program, arrays, apply=lambda f, x, y: f(x, y)):
    """Run a program, yielding each instruction's result."""
    arrays = list(arrays)
    for name, i, j in program:
        arrays.append(apply(CHAINABLE[name], arrays[i], arrays[j]))
        yield arrays[-1]


def bounded_outcomes(program, bounds):
    """The program's bounds, up to the first instruction that has none."""
    steps, results = outcomes(program, bounds), []
    while (result := bounded(next, steps, None)) is not None:
        results.append(result)
    return results


def test_compositions_stay_in_their_bounds(kind, arithmetic):
    """Random programs of eight operations, each result feeding later ones, end within their bounds."""
    rng = np.random.default_rng(1)
    compared = 0
    for _ in range(60):
        m, program = machine(kind, arithmetic, rng), random_program(rng)
        operands = [uncertain(rng, m, numbers(rng, SQUARE, arithmetic, 1)) for _ in range(3)]
        bounds = bounded_outcomes(program, [bound for _, bound in operands])
        with np.errstate(all="ignore"):
            for bound, got in zip(bounds, outcomes(program, [got for got, _ in operands]), strict=False):
                assert share(got, bound) <= 1, (program, got.value, bound)
                compared += 1
    assert compared >= 180


def exact_operand(rng, arithmetic, spread):
    """The same numbers as exact ones and as `Rounded`."""
    x = Machine(arithmetic, rng).array(numbers(rng, SQUARE, arithmetic, spread)).value
    return exact_array(x), Rounded.exact(x, arithmetic)


@pytest.mark.parametrize("arithmetic", [FLOAT64, FLOAT32], ids=lambda a: a.name)
def test_exact_results_lie_in_their_bounds(arithmetic):
    """Random programs in exact arithmetic end within their bounds: the float64 values are accurate."""
    mpmath()
    rng = np.random.default_rng(2)
    compared = 0
    for _ in range(100):
        program = random_program(rng)
        operands = [exact_operand(rng, arithmetic, 1) for _ in range(3)]
        bounds = bounded_outcomes(program, [bound for _, bound in operands])
        exact = outcomes(program, [x for x, _ in operands])
        for bound, got in zip(bounds, exact, strict=False):
            assert exact_share(got, bound) <= 1, (program, got.value, bound)
            compared += 1
    assert compared >= 300


# The machines themselves


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_simulated_rounding_is_numpys(dtype):
    """The machines round as NumPy does, subnormals and overflow included."""
    a = ARITHMETICS[dtype]
    x = np.random.default_rng(3).standard_normal(20_000) * 2.0 ** np.linspace(-160, 140, 20_000)
    with np.errstate(over="ignore"):
        expected = x.astype(dtype).astype(np.float64)
    assert np.array_equal(rounded_to(x, a.roundoff, a.smallest_normal, a.largest), expected)


def simulated_linspace(m):
    """linspace in the machine's own operations."""
    return lambda start, stop, num: (
        start + m.array(np.arange(num)) * (m.array(stop - start) / max(num - 1, 1))
    )


def test_spiral_stays_in_its_bound(kind, arithmetic):
    """The data that any conforming machine generates lie within the bound."""
    m = machine(kind, arithmetic, np.random.default_rng(4))
    noise = m.array(m.rng.standard_normal((3, 20)))
    got, _ = spiral(noise, simulated_linspace(m))
    expected, _ = spiral(Rounded.exact(noise.value, arithmetic), linspace(arithmetic))
    assert share(got, expected) <= 1


@pytest.mark.parametrize("kind", ["plain", "sloppy_functions"])
@pytest.mark.parametrize("route", ROUTES)
def test_large_close_scores_stay_in_their_bounds(route, kind):
    """Scores of 20 to 40, two apart, show where a route rounds at the size of the scores."""
    m = machine(kind, FLOAT32, np.random.default_rng(0))
    X, y = m.round(m.rng.uniform(1, 2, (300, 1))), m.rng.integers(0, 2, 300)
    params = {"W": np.array([[20.0, 18.0]]), "b": np.zeros((1, 2))}
    problem = SOFTMAX.problem(X, y, params, step_size=0.7)
    got = simulated_step(problem, m, ROUTES[route])
    for expected in (local(problem, got, FLOAT32), end_to_end(problem, FLOAT32)):
        assert max(share(got[name], bound) for name, bound in expected.items()) <= 1


@pytest.mark.parametrize("top", [2.0, 5.0, 8.0, 12.0])
def test_gradient_through_the_documents_softmax_on_an_accelerator(top):
    """An exp whose error grows with |x| errs more without a shift, and every rounding may be the worst.

    Scores are exact (a bias alone); e_0 and e_1 are off by what is promised, in opposite directions.
    """
    gpu = FLOAT32.on_accelerator()
    u, d = gpu.roundoff, gpu.division_roundings * gpu.roundoff
    scores = np.array([top, top - 1])
    params = {"W": np.zeros((1, 2)), "b": scores[None]}
    problem = SOFTMAX.problem(np.zeros((2, 1)), np.array([0, 1]), params, reg=0.0)
    expected = end_to_end(problem, gpu)["dscores"]
    off = 2 * u * (gpu.exp_ulps + gpu.exp_ulps_per_unit * scores)
    shares = []
    for first, right, division in itertools.product((1, -1), (0, 1), (1, -1)):
        e = np.exp(scores) * (1 + first * np.array([1, -1]) * off)
        s = e.sum() * (1 + u)
        g = -0.5 * (1 + division * d) / (e[right] / s * (1 - division * d))
        through_sum = (
            g * (e[right] / s * (1 - division * d)) / s * (1 - division * d) * (1 - division * u)
        )
        at_right = np.arange(2) == right
        got = e * (at_right * g / s * (1 + division * d) - through_sum) * (1 + u) ** 2
        shares.append(np.abs(got - expected.value[right]) / expected.error[right])
    assert 0.5 < np.max(shares) <= 1


@pytest.mark.parametrize("route", ["document", "loss term by term"])
def test_loss_beside_a_large_regularization(route):
    """Of a small data loss and two large terms, the partial sum rounds as much as the whole."""
    m, shares = Machine(FLOAT32, np.random.default_rng(0)), []
    for _ in range(300):
        params = {n: m.round(m.rng.uniform(0.5, 1, s)) for n, s in (("W", (1, 2)), ("W2", (2, 2)))}
        params |= {"b": np.zeros((1, 2)), "b2": np.array([[9.0, 0.0]])}
        problem = TWO_LAYER.problem(np.ones((1, 1)), np.array([0]), params, reg=1.0, step_size=0.7)
        got = simulated_step(problem, m, ROUTES[route])
        shares.append(share(got["loss"], local(problem, got, FLOAT32)["loss"]))
    assert 0.2 < max(shares) <= 1


def test_flush_magnified_by_the_chain_rule_is_bounded():
    """1/p magnifies what is flushed to zero behind it: a probability four times the smallest normal."""
    m = Machine(FLOAT16, np.random.default_rng(0), flushing=True, always=True)
    W = m.round(np.array([[6.94] * 4 + [0.0]]))
    params = {"W": W, "b": np.zeros((1, 5))}
    problem = SOFTMAX.problem(np.ones((2, 1)), np.array([4, 4]), params, step_size=0.7)
    got = simulated_step(problem, m, ROUTES["autograd"])
    dscores = local(problem, got, FLOAT16)["dscores"]
    assert np.max(np.abs(got["dscores"] - dscores.value)) > 0.1
    assert 0.3 <= share(got["dscores"], dscores) <= 1


def test_tensor_core_uses_more_than_float32_and_less_than_it_promises():
    """Sixty-four equal products, whose partial sums are cut off: float32's bound would not do."""
    gpu = FLOAT32.on_accelerator().in_precision("medium", "cuda")
    m = Machine(gpu, np.random.default_rng(0), always=True)
    off = m.tensor_core_total(list(np.full((64, 1), 1 + 2.0**-20)), size=4) / 64 - (1 + 2.0**-20)
    assert FLOAT32.unit * 8 < -off.item() <= gpu.gamma(additions=64 * gpu.product_roundings)


def test_split_products_keep_what_two_bfloat16_numbers_hold():
    """They are far nearer than single ones, and not exact."""
    m = Machine(FLOAT32.in_precision("high", "cpu"), np.random.default_rng(0), always=True)
    a, b = m.round(m.rng.uniform(1, 2, (5, 1))), m.round(m.rng.uniform(1, 2, (1, 5)))
    off = np.max(np.abs(np.sum(m.dot_terms(a, b), axis=0) - a * b))
    assert 2.0**-20 < off < 2.0**-13
