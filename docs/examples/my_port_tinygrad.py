"""The note's two-layer net in tinygrad, with gradients by backward().

    pip install tinygrad        (on a CPU, it compiles with clang)
    lockstep check docs/examples/my_port_tinygrad.py

A step is given NumPy arrays, and returns NumPy arrays. tinygrad is lazy, and computes a tensor anew in
each kernel that uses it. So the gradients are realized before the update: it takes those that are shown.
"""

from tinygrad import Tensor


def two_layer_step(params, X, y, reg, step_size):
    """One step of the two-layer net."""
    W, b, W2, b2 = (Tensor(params[name]) for name in ("W", "b", "W2", "b2"))
    before_relu = Tensor(X) @ W + b
    hidden_layer = before_relu.relu()
    scores = hidden_layer @ W2 + b2
    probs = scores.softmax(axis=1)
    right = Tensor(y.astype("int32")).one_hot(scores.shape[1])
    correct_logprobs = -(scores.log_softmax(axis=1) * right).sum(axis=1)
    data_loss = correct_logprobs.mean()
    reg_loss = 0.5 * reg * W.square().sum() + 0.5 * reg * W2.square().sum()
    loss = data_loss + reg_loss

    at = {"dscores": scores, "dW2": W2, "db2": b2, "dhidden": before_relu, "dW": W, "db": b}
    d = dict(zip(at, loss.gradient(*at.values()), strict=True))
    Tensor.realize(*d.values())

    trace = {
        "hidden_layer": hidden_layer,
        "scores": scores,
        "probs": probs,
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": loss,
        **d,
        "W_next": W - step_size * d["dW"],
        "b_next": b - step_size * d["db"],
        "W2_next": W2 - step_size * d["dW2"],
        "b2_next": b2 - step_size * d["db2"],
    }
    return {name: tensor.numpy() for name, tensor in trace.items()}
