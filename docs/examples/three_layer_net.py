"""A three-layer ReLU net, which the note does not have: its reference step and its record.

    export PYTHONPATH=docs/examples LOCKSTEP_EXTENSIONS=three_layer_net
    lockstep compare --model three_layer --port docs/examples/three_layer_numpy.py

Shapes: N examples, D dimensions, H and J hidden units, K classes. The step is written as
`reference/two_layer.py` is: the same lines run on plain arrays and on arrays that carry their bounds.
"""

import numpy as np

from reference.agreement.routes import classifier_routes
from reference.models import BIAS, WEIGHTS, Model, Parameter, Relu, register


def init(rng, D, H, J, K):
    """Draw the first weights, of standard deviation sqrt(1 / inputs), and zero biases."""
    W = rng.standard_normal((D, H)) / np.sqrt(D)
    W2 = rng.standard_normal((H, J)) / np.sqrt(H)
    W3 = rng.standard_normal((J, K)) / np.sqrt(J)
    b, b2, b3 = np.zeros((1, H)), np.zeros((1, J)), np.zeros((1, K))
    return {"W": W, "b": b, "W2": W2, "b2": b2, "W3": W3, "b3": b3}


def step(params, X, y, reg, step_size, tap):
    """Evaluate the net, backpropagate, update; see `reference.two_layer.step`."""
    W, b, W2, b2, W3, b3 = (params[name] for name in ("W", "b", "W2", "b2", "W3", "b3"))
    num_examples = X.shape[0]

    # evaluate class scores
    hidden_layer = tap("hidden_layer", np.maximum(0, np.dot(X, W) + b))  # (N, H)
    hidden_layer2 = tap("hidden_layer2", np.maximum(0, np.dot(hidden_layer, W2) + b2))  # (N, J)
    scores = tap("scores", np.dot(hidden_layer2, W3) + b3)  # (N, K)

    # compute the class probabilities
    exp_scores = np.exp(scores)
    probs = tap("probs", exp_scores / np.sum(exp_scores, axis=1, keepdims=True))  # (N, K)

    # compute the loss
    correct_logprobs = tap("correct_logprobs", -np.log(probs[range(num_examples), y]))  # (N,)
    data_loss = tap("data_loss", np.sum(correct_logprobs) / num_examples)
    squares = np.sum(W * W), np.sum(W2 * W2), np.sum(W3 * W3)
    reg_loss = tap("reg_loss", 0.5 * reg * squares[0] + 0.5 * reg * squares[1] + 0.5 * reg * squares[2])
    tap("loss", data_loss + reg_loss)

    # compute the gradient on scores
    dscores = probs.copy()
    dscores[range(num_examples), y] -= 1
    dscores /= num_examples
    dscores = tap("dscores", dscores)  # (N, K)

    # backpropagate into the third layer
    dW3 = tap("dW3", np.dot(hidden_layer2.T, dscores) + reg * W3)  # (J, K)
    db3 = tap("db3", np.sum(dscores, axis=0, keepdims=True))  # (1, K)
    # next into the second hidden layer and its parameters
    dhidden2 = np.dot(dscores, W3.T)
    dhidden2[hidden_layer2 <= 0] = 0
    dhidden2 = tap("dhidden2", dhidden2)  # (N, J)
    dW2 = tap("dW2", np.dot(hidden_layer.T, dhidden2) + reg * W2)  # (H, J)
    db2 = tap("db2", np.sum(dhidden2, axis=0, keepdims=True))  # (1, J)
    # finally into the first
    dhidden = np.dot(dhidden2, W2.T)
    dhidden[hidden_layer <= 0] = 0
    dhidden = tap("dhidden", dhidden)  # (N, H)
    dW = tap("dW", np.dot(X.T, dhidden) + reg * W)  # (D, H)
    db = tap("db", np.sum(dhidden, axis=0, keepdims=True))  # (1, H)

    # perform a parameter update
    return {
        "W": tap("W_next", W + -step_size * dW),
        "b": tap("b_next", b + -step_size * db),
        "W2": tap("W2_next", W2 + -step_size * dW2),
        "b2": tap("b2_next", b2 + -step_size * db2),
        "W3": tap("W3_next", W3 + -step_size * dW3),
        "b3": tap("b3_next", b3 + -step_size * db3),
    }


THREE_LAYER = register(
    Model(
        name="three_layer",
        title="Three-layer net",
        init=init,
        step=step,
        parameters={
            "W": Parameter("DH", 1, WEIGHTS),
            "b": Parameter("1H", 1, BIAS),
            "W2": Parameter("HJ", 2, WEIGHTS),
            "b2": Parameter("1J", 2, BIAS),
            "W3": Parameter("JK", 3, WEIGHTS),
            "b3": Parameter("1K", 3, BIAS),
        },
        quantities={
            "hidden_layer": "NH",
            "hidden_layer2": "NJ",
            "scores": "NK",
            "probs": "NK",
            "correct_logprobs": "N",
            "data_loss": "",
            "reg_loss": "",
            "loss": "",
            "dscores": "NK",
            "dW3": "JK",
            "db3": "1K",
            "dhidden2": "NJ",
            "dW2": "HJ",
            "db2": "1J",
            "dhidden": "NH",
            "dW": "DH",
            "db": "1H",
            "W_next": "DH",
            "b_next": "1H",
            "W2_next": "HJ",
            "b2_next": "1J",
            "W3_next": "JK",
            "b3_next": "1K",
        },
        sizes={"H": 50, "J": 20},
        routes=classifier_routes(
            {"dhidden": ("W", "b"), "dhidden2": ("W2", "b2"), "dscores": ("W3", "b3")}
        ),
        relus={
            "hidden_layer": Relu("X", "W", "b", gradient="dhidden"),
            "hidden_layer2": Relu("hidden_layer", "W2", "b2", gradient="dhidden2"),
        },
    )
)
