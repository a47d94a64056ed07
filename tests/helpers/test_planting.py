"""The planter: how it tells a port whose framework differentiates from one written by hand."""

import ast

import pytest
from planting import differentiates


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("gradient = jax.grad(forward, argnums=0)", True),
        ("loss, d = jax.value_and_grad(forward)(params)", True),
        ("_, back = jax.vjp(forward, params)", True),
        ("dW, db = torch.autograd.grad(loss, (W, b))", True),
        ("loss.backward()", True),
        ("dhidden = dscores @ W2.T * (hidden_layer > 0)", False),
        ("db = bias.grad[None, :]", False),
        ("with torch.no_grad(): W -= step_size * dW", False),
    ],
)
def test_differentiates(source, expected):
    """Such a port calls its framework's derivative; to read one, or to switch it off, is not enough."""
    assert differentiates(ast.parse(source)) == expected
