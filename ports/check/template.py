"""The file that `lockstep check --new` writes: the contract, and a first quantity."""

from pathlib import Path

_TEMPLATE = '''\
"""My port of the document's networks to {name}.

Each function makes one step of gradient descent and returns every quantity by its name:

    lockstep check {file}             judges it at every step
    lockstep check --partial {file}   accepts it as far as it goes

Shapes: N examples, D dimensions, H hidden units, K classes; y holds labels 0..K-1.
{about}
"""

{import_}

framework = "{framework}"


def softmax_step(params, X, y, reg, step_size):
    """One step of the linear classifier: params W (D, K), b (1, K)."""
    W, b = params["W"], params["b"]

    scores = X @ W + b

    return {{
        "scores": scores,  # (N, K)
        # "probs": ...,  # (N, K)
        # "correct_logprobs": ...,  # (N,): -log of the right class's probability
        # "data_loss": ...,  # (): their mean
        # "reg_loss": ...,  # ()
        # "loss": ...,  # ()
        # "dscores": ...,  # (N, K): gradient of the loss with respect to scores
        # "dW": ...,  # (D, K): with the regularization
        # "db": ...,  # (1, K)
        # "W_next": ...,  # (D, K): after the update
        # "b_next": ...,  # (1, K)
    }}


def two_layer_step(params, X, y, reg, step_size):
    """One step of the two-layer ReLU net: params W (D, H), b (1, H), W2 (H, K), b2 (1, K)."""
    W, b, W2, b2 = params["W"], params["b"], params["W2"], params["b2"]

    hidden_layer = {relu}

    return {{
        "hidden_layer": hidden_layer,  # (N, H)
        # "scores": ...,  # (N, K)
        # "probs": ...,  # (N, K)
        # "correct_logprobs": ...,  # (N,)
        # "data_loss": ...,  # ()
        # "reg_loss": ...,  # ()
        # "loss": ...,  # ()
        # "dscores": ...,  # (N, K)
        # "dW2": ...,  # (H, K)
        # "db2": ...,  # (1, K)
        # "dhidden": ...,  # (N, H): after the ReLU's mask
        # "dW": ...,  # (D, H)
        # "db": ...,  # (1, H)
        # "W_next": ...,  # (D, H)
        # "b_next": ...,  # (1, H)
        # "W2_next": ...,  # (H, K)
        # "b2_next": ...,  # (1, K)
    }}


# What your library does not show may be left out, if you say why:
# hidden_quantities = {{"dW": "the optimizer adds the regularization inside"}}
'''

FRAMEWORKS = {
    "numpy": {
        "name": "NumPy, or to any other framework",
        "about": "X, y and params are NumPy arrays. Another framework makes its tensors from them,\n"
        "and returns them as they are, if NumPy can read them.",
        "import_": "import numpy as np",
        "relu": "np.maximum(0, X @ W + b)",
    },
    "torch": {
        "name": "PyTorch",
        "about": "X, y and params are torch tensors, without requires_grad.",
        "import_": "import torch",
        "relu": "torch.relu(X @ W + b)",
    },
    "jax": {
        "name": "JAX",
        "about": "X, y and params are JAX arrays.",
        "import_": "import jax",
        "relu": "jax.nn.relu(X @ W + b)",
    },
}


def write_template(path: Path, framework: str) -> None:
    """Write the template. Raises ValueError or OSError rather than overwrite or write elsewhere."""
    if framework not in FRAMEWORKS:
        raise ValueError(f"unknown framework {framework!r}: expected one of {', '.join(FRAMEWORKS)}")
    if path.suffix != ".py":
        raise ValueError(f"{path} is not a .py file: give the path of the file to write")
    text = _TEMPLATE.format(file=path.name, framework=framework, **FRAMEWORKS[framework])
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ValueError(f"{path} exists already: give another name, or move it first") from None
    except OSError as why:
        raise OSError(f"cannot write {path}: {why.strerror}") from None
