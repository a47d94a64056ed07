"""Wrong NumPy ports: the reference's own lines, as people write them wrong."""

from functools import partial

from ports.traps.gallery import Trap

softmax = partial(Trap, port="numpy", model="softmax", written_in="reference.softmax")
two_layer = partial(Trap, port="numpy", model="two_layer", written_in="reference.two_layer")

NUMPY_TRAPS = (
    two_layer(
        name="comparison_for_assignment",
        right='hidden_layer = tap("hidden_layer", np.maximum(0, np.dot(X, W) + b))',
        wrong="hidden_layer = np.dot(X, W) + b; hidden_layer[hidden_layer < 0] == 0; "
        'tap("hidden_layer", hidden_layer)',
        blames="hidden_layer",
        cause="activation",
        meant="= 0: a comparison is a statement too, and changes nothing.",
    ),
    softmax(
        name="rows_of_one_class_normalized",
        right='probs = tap("probs", exp_scores / np.sum(exp_scores, axis=1, keepdims=True))',
        wrong="N, probs = num_examples // 3, exp_scores\n"
        "    for i in range(N): probs[i] /= np.sum(probs[i])\n"
        '    probs = tap("probs", probs)',
        blames="probs",
        cause="not normalized",
        meant="All rows: N is the number of points per class, and there are N*K examples.",
    ),
    softmax(
        name="clipped_before_the_log",
        right="-np.log(probs[range(num_examples), y])",
        wrong="-np.log(np.clip(probs, 1e-7, 1 - 1e-7)[range(num_examples), y])",
        blames="correct_logprobs",
        cause="clipped",
        meant="Protection against log(0), as in Keras: it shows only where the classifier is sure.",
        fixture="confident",
    ),
    softmax(
        name="other_models_weights",
        right='reg_loss = tap("reg_loss", 0.5 * reg * np.sum(W * W))',
        wrong='W1 = init(np.random.RandomState(1), *W.shape)["W"]; '
        'reg_loss = tap("reg_loss", 0.5 * reg * np.sum(W1 * W1))',
        blames="reg_loss",
        cause="other model",
        meant="The weights of this model: another one in the notebook has weights as well.",
    ),
    two_layer(
        name="regularized_with_the_gradient",
        right='dW2 = tap("dW2", np.dot(hidden_layer.T, dscores) + reg * W2)',
        wrong='dW2 = np.dot(hidden_layer.T, dscores); dW2 += reg * dW2; tap("dW2", dW2)',
        blames="dW2",
        cause="reg gradient",
        meant="+= reg * W2: this makes the gradient 0.1% longer, and no weight decays.",
    ),
    two_layer(
        name="averaged_in_every_layer",
        right="dhidden = np.dot(dscores, W2.T)",
        wrong="dhidden = np.dot(dscores, W2.T) / num_examples",
        blames="dhidden",
        cause="factor 1/N",
        meant="dscores has the 1/N already; the second layer's gradients are right.",
    ),
    two_layer(
        name="tie_gradient_one_numpy",
        right="dhidden[hidden_layer <= 0] = 0",
        wrong="z = np.dot(X, W) + b; dhidden[z < 0] = 0",
        blames="dhidden",
        cause="ties one",
        meant="<= 0: the gradient at exactly 0 is 0, and z < 0 lets it pass whole.",
    ),
    softmax(
        name="schedule_in_float64",
        right='tap("W_next", W + -step_size * dW)',
        wrong='tap("W_next", W + -step_size * 0.5 * (1 + np.cos(0.0)) * dW)',
        blames="W_next",
        cause="dtype",
        meant="A Python float: NumPy 2 makes float32 arrays float64 where a np.float64 meets them.",
        source="NEP 50",
        dtype="float32",
    ),
)
