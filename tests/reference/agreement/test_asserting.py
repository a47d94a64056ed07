"""`assert_agrees`: right tensors pass, wrong ones fail, and the message says how."""

import warnings

import numpy as np
import pytest

from reference import Agreement, Disagreement, Unbounded, VacuousBound, assert_agrees, certified

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 4)).astype(np.float32)
W = RNG.standard_normal((4, 5)).astype(np.float32)
FRAMEWORKS = ["numpy", "torch", "jax"]


def softmax(x):
    """The note's."""
    e = np.exp(x)
    return e / np.sum(e, axis=1, keepdims=True)


def layer(x, w):
    """A dict of tensors, one of them a comparison."""
    z = np.dot(x, w)
    return {"z": z, "off": z <= 0, "probs": [softmax(z)]}


def plain_layer(x, w):
    """The same by a program: NumPy in float32."""
    z = x @ w
    return {"z": z, "off": z <= 0, "probs": [softmax(z)]}


def made_by(framework, array):
    """A tensor of a framework; PyTorch's requires a gradient."""
    if framework == "numpy":
        return array
    module = pytest.importorskip({"jax": "jax.numpy"}.get(framework, framework))
    tensor = module.asarray(array)
    return tensor.requires_grad_() if framework == "torch" else tensor


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_right_tensor_agrees(framework):
    """What is returned says what was compared."""
    x = made_by(framework, X)
    got = assert_agrees(made_by(framework, softmax(X)), softmax, x)
    assert isinstance(got, Agreement)
    assert (got.elements, got.vacuous) == (120, 0)
    assert 0 < got.share <= 1
    assert got.where.startswith("[")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("element", [(0, 0), (29, 3), (7, 2)])
def test_one_wrong_element_is_found(framework, element):
    """Negative control: it is off by twice its bound."""
    bound = certified(softmax, X)
    wrong = softmax(X)
    wrong[element] = bound.value[element] + 2 * bound.error[element]
    with pytest.raises(Disagreement, match=r"^1 of 120 elements are not what softmax") as caught:
        assert_agrees(made_by(framework, wrong), softmax, made_by(framework, X))
    assert caught.value.agreement.where == str(list(element))
    assert caught.value.agreement.share == pytest.approx(2, rel=0.5)


def test_bound_itself_is_the_limit():
    """In float64 arithmetic: just within it passes, just outside fails."""
    x = X.astype(np.float64)
    bound = certified(softmax, x, dtype="float32")
    for sign in (1, -1):
        single = np.float32(bound.value + sign * bound.error * 0.9)
        assert_agrees(single, softmax, X)
        with pytest.raises(Disagreement, match=r"^120 of 120"):
            assert_agrees(np.float32(bound.value + sign * bound.error * 1.2), softmax, X)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
def test_number_that_is_not_finite_fails(bad):
    """The message counts it and shows it."""
    wrong = softmax(X)
    wrong[3, 1] = bad
    with pytest.raises(Disagreement, match=rf"(?s)^1 of 120 .*worst     \[3, 1\]\n  got       {bad}"):
        assert_agrees(wrong, softmax, X)


def test_message_says_all():
    """Name and line, dtype, element, numbers, share."""
    wrong = plain_layer(X, W)
    wrong["probs"][0][2, 3] += 0.5
    wrong["z"][:2] *= 2
    with pytest.raises(Disagreement) as caught:
        assert_agrees(wrong, layer, X, W)
    told, name = str(caught.value), f"layer (test_asserting.py:{layer.__code__.co_firstlineno})"
    assert told.startswith(f"10 of 150 elements are not what {name}['z'] computes in float32\n")
    assert f"\n1 of 150 elements are not what {name}['probs'][0] computes in float32\n" in told
    assert "\n  worst     ['probs'][0][2, 3]\n  got       " in told
    assert told.count("\n  expected  ") == told.count("\n  allowed   ") == 2
    assert told.endswith(" (rounding explains at most 1)")
    assert "['off']" not in told


def test_nothing_else_is_allowed_where_nothing_rounds():
    """A sum of exact numbers is shown as such."""
    with pytest.raises(
        Disagreement, match="allowed   nothing else: no rounding happens here\n  share     inf"
    ):
        assert_agrees(X + 1, lambda x: np.negative(-x), X)


def test_all_tensors_of_a_dict_are_counted():
    """Also a comparison and what lies in a list."""
    got = assert_agrees(plain_layer(X, W), layer, X, W)
    assert got.elements == 3 * 150
    assert got.where.startswith("['")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda got: got.pop("z"), r"\['z'\] is missing"),
        (lambda got: got.update(more=X), r"\['more'\] is not expected"),
        (lambda got: got.update(probs=got["probs"][0]), r"\['probs'\]\[0\] is missing"),
        (lambda got: got.update(z=got["z"].T), r"\['z'\] has shape \(5, 30\), expected \(30, 5\)"),
        (lambda got: got.update(z=got["z"][:1]), r"\['z'\] has shape \(1, 5\), expected \(30, 5\)"),
        (lambda got: got.update(z=got["z"].astype("d")), r"\['z'\] has dtype float64, expected float32"),
        (lambda got: got.update(off=got["off"] * 1), r"\['off'\] has dtype int64, expected bool"),
    ],
    ids=["missing", "more", "deeper", "transposed", "broadcast", "dtype", "mask"],
)
def test_form_comes_before_values(change, told):
    """A tensor that only broadcasts, or has been widened, does not pass."""
    got = plain_layer(X, W)
    change(got)
    with pytest.raises(Disagreement, match=rf"^this is not of the form of layer .*:(.|\n)*  {told}"):
        assert_agrees(got, layer, X, W, dtype="float32")


@pytest.mark.parametrize(
    ("actual", "fn", "told"),
    [
        ({}, lambda x: {}, "it has no tensor: nothing would be compared"),
        (X[:0], lambda x: x[:0], "it has no elements: nothing would be compared"),
    ],
    ids=["no tensor", "empty"],
)
def test_comparing_nothing_fails(actual, fn, told):
    """Nobody has seen that it agrees."""
    with pytest.raises(Disagreement, match=told) as caught:
        assert_agrees(actual, fn, X, dtype="float32")
    assert caught.value.agreement is None


@pytest.mark.parametrize(
    ("actual", "told"),
    [
        (1.5, r"^actual is a float, expected an array or a tensor: leave out float\(\) or .item\(\)$"),
        ({"loss": None}, r"^actual\['loss'\] is a NoneType, expected an array or a tensor$"),
    ],
    ids=["number", "none"],
)
def test_what_is_no_tensor_is_refused(actual, told):
    """Even if its value is right."""
    with pytest.raises(TypeError, match=told):
        assert_agrees(actual, np.sum, X)


def test_dtype_is_that_of_what_the_program_returned():
    """In float64 the bound is far smaller than in float32; what is given counts first."""
    double = softmax(X.astype(np.float64))
    assert assert_agrees(double, softmax, X).share <= 1
    with pytest.raises(Disagreement, match="computes in float64"):
        assert_agrees(softmax(X).astype(np.float64), softmax, X)
    with pytest.raises(Disagreement, match="has dtype float64, expected float32"):
        assert_agrees(double, softmax, X, dtype="float32")


def test_dtype_of_a_mask_is_that_of_the_inputs():
    """A mask alone does not say in which dtype the program computed; integers say it never."""
    assert assert_agrees(X <= 0, lambda x: x <= 0, X).share == 0
    with pytest.raises(Disagreement, match=r"^1 of 120 elements"):
        assert_agrees((X <= 0) ^ (np.arange(120).reshape(30, 4) == 5), lambda x: x <= 0, X)
    y = np.arange(3)
    assert assert_agrees(y[::-1], lambda y: y[::-1], y, dtype="float32").elements == 3
    with pytest.raises(ValueError, match="say in which dtype"):
        assert_agrees(y, lambda y: y, y)


@pytest.mark.parametrize("given", [True, False])
def test_undecided_comparison_passes_either_way(given):
    """One element is open, and is counted as such; one that is decided must be right."""
    x = np.array([0.25, 0.5, 2], dtype=np.float32)
    got = np.array([True, given, False])
    assert assert_agrees(got, lambda x: x * 3 * 0.1 <= 0.15, x).vacuous == 1
    with pytest.raises(Disagreement, match=r"(?s)^1 of 3 elements .*worst     \[2\]"):
        assert_agrees(got | [False, False, True], lambda x: x * 3 * 0.1 <= 0.15, x)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_undecided_index_is_one_of_the_candidates(axis, keepdims):
    """Of four equal products any may be the largest; an index between them is wrong."""
    x = np.float32([1, 7, 3, 7, 0, 7, 7, 2])
    x = np.moveaxis(np.broadcast_to(x, (3, 2, 8)), -1, axis)

    def largest(x):
        return np.argmax(x * 0.1, axis=axis, keepdims=keepdims)

    shape = np.argmax(x, axis=axis, keepdims=keepdims).shape
    for right in (1, 3, 5, 6):
        assert assert_agrees(np.full(shape, right, dtype=np.int32), largest, x).share == 0
    for wrong in (0, 2, 4, 7, 8, -2):
        with pytest.raises(Disagreement, match=r"^6 of 6 elements"):
            assert_agrees(np.full(shape, wrong), largest, x)
    with pytest.raises(Disagreement, match="has dtype float32, expected integer"):
        assert_agrees(np.full(shape, 1, dtype=np.float32), largest, x)


def test_decided_index_is_exact():
    """Where nothing rounds, only the first of equal numbers is right."""
    x = np.float32([[1, 2, 2], [3, 1, 0]])
    assert assert_agrees(np.array([1, 0]), lambda x: x.argmax(axis=1), x).share == 0
    assert assert_agrees(np.array(3), np.argmax, x).share == 0
    with pytest.raises(Disagreement, match=r"^1 of 2 elements"):
        assert_agrees(np.array([2, 0]), lambda x: x.argmax(axis=1), x)


def test_bfloat16_is_judged_as_such():
    """PyTorch's tensors, which NumPy does not know, and JAX's."""
    torch, jnp = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    x = torch.tensor(X).bfloat16().requires_grad_()
    assert assert_agrees(torch.softmax(x, 1), softmax, x).share <= 1
    y = jnp.asarray(X, dtype="bfloat16")
    assert assert_agrees(y + y, lambda y: y + y, y).share == 0
    with pytest.raises(Disagreement, match="computes in bfloat16"):
        assert_agrees(y + y * jnp.bfloat16(1.01), lambda y: y + y, y)


class OnGpu:
    """A float32 tensor that says that it lies on a GPU."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array

    def __dlpack_device__(self):
        return 2, 0


def test_bound_is_that_of_the_tensors_device():
    """A GPU's division may be off by more; a tensor that was moved needs a word."""

    def inverse(x):
        return 1 / x

    x = np.abs(X) + 1
    far = certified(inverse, x, device="cuda")
    near = certified(inverse, x)
    between = np.float32(far.value + (far.error + near.error) / 2)
    assert assert_agrees(OnGpu(between), inverse, x).share <= 1
    assert assert_agrees(between, inverse, x, device="cuda").share <= 1
    for tensor, device in ((between, None), (OnGpu(between), "cpu")):
        with pytest.raises(Disagreement):
            assert_agrees(tensor, inverse, x, device=device)


def test_precision_of_products_is_given():
    """Products in TF32 are off by more than float32's; the default is exact float32."""
    cut = (X.view(np.uint32) & 0xFFFFE000).view(np.float32), (W.view(np.uint32) & 0xFFFFE000).view("f4")
    assert assert_agrees(np.dot(*cut), np.dot, X, W, precision="high").share <= 1
    with pytest.raises(Disagreement):
        assert_agrees(np.dot(*cut), np.dot, X, W)


def cancelled(x):
    """All is lost."""
    return x + 1000 - 1000 - x


def test_vacuous_bound_is_warned_of():
    """Zeros would agree, so the test says little; where one value says more, there is no warning."""
    told = r"^cancelled \(test_asserting.py:\d+\): each of 120 values"
    with pytest.warns(VacuousBound, match=told) as caught:
        got = assert_agrees(cancelled(X), cancelled, X)
    assert caught[0].filename == __file__
    assert got.vacuous == 120
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        both = np.concatenate([cancelled(X), X])
        got = assert_agrees(both, lambda x: np.concatenate([cancelled(x), x]), X)
    assert (got.elements, got.vacuous) == (240, 120)


def test_no_bound_is_an_error():
    """Nothing can be compared where something may overflow."""
    with pytest.raises(Unbounded, match="overflows float32"):
        assert_agrees(X, lambda x: np.exp(x * x * 1000), X)
