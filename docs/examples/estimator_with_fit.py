"""A classifier as scikit-learn has them: `fit(X, y)` trains, `predict_proba(X)` answers.

With `warm_start` and `max_iter=1`, one call of `fit` is one step from the weights that are there. The
adapter at the end sets them, and shows what the estimator gives out.
"""

import numpy as np


class SoftmaxRegression:
    """A linear classifier, trained by gradient descent. Its weights are `coef_` and `intercept_`."""

    def __init__(self, alpha=1e-3, learning_rate=1.0, max_iter=200, warm_start=False):
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.warm_start = warm_start

    def fit(self, X, y):
        """Train; `loss_curve_` holds the loss before each step."""
        if not (self.warm_start and hasattr(self, "coef_")):
            self.classes_ = np.unique(y)
            self.coef_ = np.zeros((len(self.classes_), X.shape[1]))
            self.intercept_ = np.zeros(len(self.classes_))
        self.loss_curve_ = []
        target = (y[:, None] == self.classes_).astype(X.dtype)
        for _ in range(self.max_iter):
            proba = self.predict_proba(X)
            loss = -np.mean(np.log(np.sum(proba * target, axis=1)))
            self.loss_curve_.append(loss + self.alpha / 2 * np.sum(self.coef_**2))
            error = (proba - target) / len(X)
            self.coef_ = self.coef_ - self.learning_rate * (error.T @ X + self.alpha * self.coef_)
            self.intercept_ = self.intercept_ - self.learning_rate * error.sum(axis=0)
        return self

    def decision_function(self, X):
        """The scores."""
        return X @ self.coef_.T + self.intercept_

    def predict_proba(self, X):
        """The probabilities of the classes."""
        exp = np.exp(self.decision_function(X))
        return exp / exp.sum(axis=1, keepdims=True)

    def predict(self, X):
        """The likeliest class."""
        return self.classes_[np.argmax(self.decision_function(X), axis=1)]


# The adapter that `lockstep check` reads.

hidden_quantities = dict.fromkeys(
    ["correct_logprobs", "data_loss", "reg_loss", "dscores", "dW", "db"], "fit() keeps it to itself"
)


def softmax_step(params, X, y, reg, step_size):
    """One call of `fit` from the given weights."""
    model = SoftmaxRegression(alpha=reg, learning_rate=step_size, max_iter=1, warm_start=True)
    model.classes_ = np.arange(params["b"].shape[1])
    model.coef_, model.intercept_ = params["W"].T, params["b"][0]
    before = {"scores": model.decision_function(X), "probs": model.predict_proba(X)}
    model.fit(X, y)
    return before | {
        "loss": model.loss_curve_[0],
        "W_next": model.coef_.T,
        "b_next": model.intercept_[None],
    }
