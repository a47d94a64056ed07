"""Problems other than the note's: ones with ReLU ties, degenerate ones, and drawn ones.

Every registered port runs a few steps of each, in its framework's natural mode and in each dtype,
under both certificates.
"""

import ast
import inspect
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from cells import parametrize
from planting import differentiates, rewritten, source_tree

from ports.engine.lockstep import prepare, run_lockstep
from ports.registry import PORTS
from reference.agreement.judge import END_TO_END, LOCAL
from reference.models import MODELS
from reference.runs import draw
from reference.trace import Trace


def is_net(planned):
    """Whether the cell's model has a ReLU."""
    return bool(MODELS[planned.cell.model].relus)


def is_differentiated_net(planned):
    """Whether the cell is a net's, and the port leaves the gradients to its framework."""
    return is_net(planned) and differentiates(ast.parse(inspect.getsource(planned.port.module)))


SIXTEEN_BITS = ("bfloat16", "float16")

#: Which cells a test is run for, by the name of its argument.
CELLS = {"natural": lambda planned: True, "net": is_net, "differentiated_net": is_differentiated_net}


def pytest_generate_tests(metafunc):
    """The natural cells of registered ports: of every model, or of the nets."""
    natural = [
        p
        for p in metafunc.config.lockstep_planned
        if p.cell.port in PORTS and p.cell.model in MODELS and p.cell.mode == p.port.host.natural_mode
    ]
    for argument, is_asked_for in CELLS.items():
        if argument in metafunc.fixturenames:
            parametrize(metafunc, argument, [case(p) for p in natural if is_asked_for(p)])


def case(planned):
    """A readable id; ports of one framework stay together, since JAX compiles once for each shape."""
    return pytest.param(planned, id=str(planned.cell))


def narrowest(planned):
    """The dtype of a cell's narrowest numbers."""
    return planned.port.narrowest(planned.cell.dtype)


def run(port, cell, problem, iterations):
    """A few steps in lockstep, from the problem's own parameters."""
    contestant = prepare(cell, port, problem, range(iterations))
    return run_lockstep(problem, [contestant], iterations)[0]


def failed(result, certificate):
    """The quantities that a certificate finds wrong."""
    return {q for (q, which), v in result.verdicts.items() if which == certificate and not v.agrees}


# Ties: pre-activations of exactly 0, where the note's ReLU has the gradient 0


def tied(model, rows=slice(14), last_bias=0.0):
    """The note's weights and 14 of its 15 points: at radius 0 all hidden units are tied."""
    drawn = draw(np.random.RandomState(0), 5).problem(model)
    last = {model.biases[-1]: drawn.params[model.biases[-1]] + last_bias}
    return drawn.changed(X=drawn.X[rows], y=drawn.y[rows], params=drawn.params | last)


#: Problems in which the tied points' gradients do not cancel in db; in the note's data they do.
TIED = {
    "biases": {"last_bias": np.array([[0.3, -0.2, 0.1]])},
    "without_row_0": {"rows": slice(1, 15)},
}
#: The same function with another gradient at 0, written with what every framework has.
WRONG_RELU = {"gradient_1/2": lambda x: (x + abs(x)) / 2, "gradient_1": lambda x: x * (x >= 0)}


def relu_of(port):
    """How the port's source calls its ReLU, such as `torch.relu(`: one of its lines must."""
    nodes = ast.walk(source_tree(port.module))
    functions = [node.func for node in nodes if isinstance(node, ast.Call)]
    found = {ast.unparse(f) for f in functions if isinstance(f, ast.Attribute) and f.attr == "relu"}
    assert len(found) == 1, f"{port.name} differentiates a net, and its ReLU is not found: {found}"
    return f"{found.pop()}("


@pytest.mark.parametrize("source", ["F.gelu(x)", "torch.relu(x) + self.relu(y)", "relu(x)"])
def test_port_whose_relu_is_not_found_is_an_error(source, monkeypatch):
    """Without a ReLU to exchange, the ties of a port that differentiates would go untested."""
    monkeypatch.setattr(inspect, "getsource", lambda module: source)
    with pytest.raises(AssertionError, match="numpy differentiates a net, and its ReLU is not found"):
        relu_of(PORTS["numpy"])


@cache
def with_relu(name, relu):
    """A port with another ReLU; the same one each time, so that JAX compiles it once."""
    port = PORTS[name]
    return rewritten(port, relu_of(port), "other_relu(", other_relu=WRONG_RELU[relu])


@pytest.mark.parametrize("ties", TIED)
def test_ties_are_certified(net, ties):
    """At pre-activations of exactly 0 every port has the note's gradient, in dhidden and in db."""
    result = run(net.port, net.cell, tied(MODELS[net.cell.model], **TIED[ties]), iterations=3)
    assert result.agrees
    assert result.steps == 3


@pytest.mark.parametrize("relu", WRONG_RELU)
@pytest.mark.parametrize("ties", TIED)
def test_another_gradient_at_a_tie_is_caught(differentiated_net, ties, relu):
    """A ReLU whose gradient at 0 is 1/2 or 1 is blamed on dhidden, and reaches db.

    In 16 bits the bound of the sum may hide it there.
    """
    cell = differentiated_net.cell
    relus = MODELS[cell.model].relus.values()
    problem = tied(MODELS[cell.model], **TIED[ties])
    result = run(with_relu(cell.port, relu), cell, problem, iterations=1)
    behind = {relu.gradient for relu in relus}
    assert failed(result, LOCAL) == behind
    reached = {name for relu in relus for name in (f"d{relu.bias}", f"{relu.bias}_next")}
    found = failed(result, END_TO_END)
    assert found == behind | reached or (cell.dtype in SIXTEEN_BITS and found == behind)


@pytest.mark.parametrize("relu", WRONG_RELU)
def test_document_hides_its_ties_from_db(differentiated_net, relu):
    """In the note's own data the tied gradients cancel, so only dhidden shows them."""
    cell, model = differentiated_net.cell, MODELS[differentiated_net.cell.model]
    result = run(with_relu(cell.port, relu), cell, tied(model), iterations=1)
    behind = {relu.gradient for relu in model.relus.values()}
    assert failed(result, LOCAL) == failed(result, END_TO_END) == behind


# Degenerate problems, each with three steps

#: There are few shapes, since JAX compiles anew for each.
SHAPES = {
    "usual": {"N": 6, "D": 2, "H": 4, "K": 3},
    "one_example": {"N": 1, "D": 2, "H": 4, "K": 3},
    "one_hidden_unit_two_classes": {"N": 6, "D": 2, "H": 1, "K": 2},
    "one_of_everything": {"N": 1, "D": 1, "H": 1, "K": 1},
}
#: With scores twice as far apart, the lowest probabilities are near the smallest normal number. (In
#: bfloat16 a score of 40 is off by so much that the bound of its probability reaches 0.)
LARGEST_SCORE = {"float64": 300.0, "float32": 40.0, "bfloat16": 10.0, "float16": 3.0}


def sizes_of(model, shape):
    """What the letters stand for; every hidden layer is as large as H."""
    sizes = SHAPES[shape] | {"1": 1}
    return dict.fromkeys(model.sizes, sizes["H"]) | sizes


def random_problem(model, shape="usual", seed=0, data=1.0, weights=1.0, label=None, reg=1e-3, rate=0.1):
    """Normal data and weights times these scales; random labels, or one for all.

    `rate` is the step size, for data of scale 1 or less: larger data make larger gradients.
    """
    rng, sizes = np.random.default_rng(seed), sizes_of(MODELS[model], shape)
    X = data * rng.standard_normal((sizes["N"], sizes["D"]))
    y = rng.integers(sizes["K"], size=sizes["N"]) if label is None else np.full(sizes["N"], label)
    params = {
        name: weights * rng.standard_normal([sizes[letter] for letter in parameter.shape])
        for name, parameter in MODELS[model].parameters.items()
    }
    return MODELS[model].problem(X, y, params, reg, rate / max(1.0, data**2))


def with_scores(problem, largest):
    """The same problem with its last layer scaled, so that the largest score has that size."""
    trace = Trace()
    with np.errstate(all="ignore"):  # what comes after the scores may leave the number range
        problem.step(trace.tap)
    scale = largest / np.abs(trace["scores"]).max()
    last = {name: scale * problem.params[name] for name in problem.model.layers[-1]}
    return replace(problem, params=problem.params | last)


DEGENERATE = {
    **{shape: {"shape": shape} for shape in SHAPES},
    "all_labels_equal": {"label": 2},
    "zero_weights": {"weights": 0.0},
    "zero_data": {"data": 0.0},
    "nothing_but_zeros": {"data": 0.0, "weights": 0.0},
    "tiny_data": {"data": 1e-25},
    "tiny_weights": {"weights": 1e-25},
    "subnormal_weights": {"weights": 1e-39},
    "large_data": {"data": 1e6, "weights": 1e-6},
    "large_regularization": {"reg": 10.0},
    "no_regularization": {"reg": 0.0},
    "no_step": {"rate": 0.0},
}


@pytest.mark.parametrize("what", DEGENERATE)
def test_degenerate_problem_is_certified(natural, what):
    """In small, degenerate, huge and tiny problems three steps agree, and all are compared."""
    if (what, narrowest(natural)) == ("large_data", "float16"):
        pytest.skip("float16 ends at 65,504")
    result = run(natural.port, natural.cell, random_problem(natural.cell.model, **DEGENERATE[what]), 3)
    assert result.agrees, result.error
    assert result.steps == 3


def test_scores_in_the_hundreds_are_certified(natural):
    """Where probabilities come near the smallest numbers of the dtype, every port still agrees."""
    problem = with_scores(random_problem(natural.cell.model), LARGEST_SCORE[narrowest(natural)])
    result = run(natural.port, natural.cell, problem.changed(step_size=1e-3), 3)
    assert result.agrees, result.error
    assert result.steps == 3


# Drawn problems

#: Draws for each cell, and how many of them, at least, must be in range of the note's softmax.
DRAWS, CERTIFIED = 15, 12


def drawn_problems(model, dtype):
    """Strategy: shapes, labels and scales of data, weights and scores."""
    st = pytest.importorskip("hypothesis", reason="Hypothesis draws the problems").strategies
    powers = st.floats(-4, 2).map(lambda power: 10.0**power)
    problem = st.builds(
        random_problem,
        st.just(model),
        st.sampled_from(list(SHAPES)),
        seed=st.integers(0, 2**32 - 1),
        data=st.just(0.0) | powers,
        weights=powers,
        label=st.none() | st.just(0),
        reg=st.sampled_from([0.0, 1e-3, 1.0]),
        rate=st.sampled_from([1.0, 0.1, 1e-3]),
    )
    return st.builds(with_scores, problem, st.floats(1e-3, LARGEST_SCORE[dtype]))


def test_drawn_problems_are_certified(natural):
    """No problem makes a correct port fail; most are certified, the rest leave the dtype's range."""
    hypothesis = pytest.importorskip("hypothesis", reason="Hypothesis draws the problems")
    certified = []

    @hypothesis.settings(max_examples=DRAWS, deadline=None, derandomize=True)
    @hypothesis.given(drawn_problems(natural.cell.model, narrowest(natural)))
    def certify(problem):
        with np.errstate(all="ignore"):  # out of range, the NumPy port would warn
            result = run(natural.port, natural.cell, problem, 2)
        assert not failed(result, LOCAL) | failed(result, END_TO_END)
        assert "raised" not in result.error
        certified.append(result.agrees and result.steps == 2)

    certify()
    assert sum(certified) >= CERTIFIED
