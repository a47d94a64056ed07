/* One step of the note's softmax classifier in C. `real` is double, or what -Dreal= says.

   Arrays are given row by row: X (N, D), y (N), W (D, K), b (K). The others are filled in, in the shapes
   of the note's quantities: scores, probs and dscores (N, K), correct_logprobs (N), losses (data,
   regularization, both), dW and W_next (D, K), db and b_next (K). */

#include <tgmath.h>

#ifndef real
#define real double
#endif

void softmax_step(int N, int D, int K, const real *X, const long long *y, const real *W, const real *b,
                  real reg, real step_size, real *scores, real *probs, real *correct_logprobs,
                  real *losses, real *dscores, real *dW, real *db, real *W_next, real *b_next)
{
    losses[0] = losses[1] = 0;
    for (int i = 0; i < N; i++) {
        real total = 0;
        for (int k = 0; k < K; k++) {
            real score = 0;
            for (int j = 0; j < D; j++)
                score += X[i * D + j] * W[j * K + k];
            scores[i * K + k] = score + b[k];
            probs[i * K + k] = exp(scores[i * K + k]);
            total += probs[i * K + k];
        }
        for (int k = 0; k < K; k++) {
            probs[i * K + k] /= total;
            dscores[i * K + k] = (probs[i * K + k] - (k == y[i])) / N;
        }
        correct_logprobs[i] = -log(probs[i * K + y[i]]);
        losses[0] += correct_logprobs[i];
    }
    losses[0] /= N;
    for (int j = 0; j < D * K; j++)
        losses[1] += W[j] * W[j];
    losses[1] *= reg / 2;
    losses[2] = losses[0] + losses[1];

    for (int k = 0; k < K; k++) {
        db[k] = 0;
        for (int i = 0; i < N; i++)
            db[k] += dscores[i * K + k];
        b_next[k] = b[k] - step_size * db[k];
        for (int j = 0; j < D; j++) {
            real sum = 0;
            for (int i = 0; i < N; i++)
                sum += X[i * D + j] * dscores[i * K + k];
            dW[j * K + k] = sum + reg * W[j * K + k];
            W_next[j * K + k] = W[j * K + k] - step_size * dW[j * K + k];
        }
    }
}
