"""The note's networks in TensorFlow, with gradients by GradientTape.

    pip install tensorflow-cpu
    lockstep check docs/examples/my_port_tensorflow.py

A step is given NumPy arrays, and returns TensorFlow's tensors as they are. The tape gives gradients
inside the graph too: `dscores` at the scores, `dhidden` before the ReLU.
"""

import tensorflow as tf


def spiral(noise):
    """noise (K, N) -> X (N*K, 2), y (N*K,)."""
    K, N = noise.shape
    zero = tf.zeros((), noise.dtype)
    arms = []
    for j in range(K):
        r = tf.linspace(zero, zero + 1, N)  # radius
        t = tf.linspace(zero + j * 4, zero + (j + 1) * 4, N) + noise[j] * 0.2  # theta
        arms.append(tf.stack([r * tf.sin(t), r * tf.cos(t)], axis=1))
    return tf.concat(arms, axis=0), tf.repeat(tf.range(K), N)


def losses(scores, y, weights, reg):
    """The loss, and the quantities that lead to it from the scores."""
    correct_logprobs = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), scores)
    data_loss = tf.reduce_mean(correct_logprobs)
    reg_loss = sum(0.5 * reg * tf.reduce_sum(W * W) for W in weights)
    return {
        "scores": scores,
        "probs": tf.nn.softmax(scores),
        "correct_logprobs": correct_logprobs,
        "data_loss": data_loss,
        "reg_loss": reg_loss,
        "loss": data_loss + reg_loss,
    }


def softmax_step(params, X, y, reg, step_size):
    """One step of the linear classifier."""
    W, b = tf.constant(params["W"]), tf.constant(params["b"])
    with tf.GradientTape() as tape:
        tape.watch((W, b))
        scores = X @ W + b  # (N, K)
        trace = losses(scores, y, [W], reg)

    d = tape.gradient(trace["loss"], {"dscores": scores, "dW": W, "db": b})

    return trace | d | {"W_next": W - step_size * d["dW"], "b_next": b - step_size * d["db"]}


def two_layer_step(params, X, y, reg, step_size):
    """One step of the two-layer net."""
    W, b, W2, b2 = (tf.constant(params[name]) for name in ("W", "b", "W2", "b2"))
    with tf.GradientTape() as tape:
        tape.watch((W, b, W2, b2))
        hidden = X @ W + b  # (N, H), before the ReLU
        hidden_layer = tf.nn.relu(hidden)
        scores = hidden_layer @ W2 + b2  # (N, K)
        trace = losses(scores, y, [W, W2], reg)

    places = {"dscores": scores, "dW2": W2, "db2": b2, "dhidden": hidden, "dW": W, "db": b}
    d = tape.gradient(trace["loss"], places)

    return (
        trace
        | d
        | {
            "hidden_layer": hidden_layer,
            "W_next": W - step_size * d["dW"],
            "b_next": b - step_size * d["db"],
            "W2_next": W2 - step_size * d["dW2"],
            "b2_next": b2 - step_size * d["db2"],
        }
    )
