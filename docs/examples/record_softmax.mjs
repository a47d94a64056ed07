// Make the softmax steps that a start.safetensors asks for, and write them as a recording.
//
//     lockstep inputs --model softmax --steps 3 --out start.safetensors
//     node record_softmax.mjs start.safetensors run.safetensors && lockstep certify run.safetensors
//
// For --dtype float64 and float32. docs/recordings.md describes the format.

import { readFileSync, writeFileSync } from "node:fs";
import { crc32 } from "node:zlib"; // Node 20.15, or 22.2

const [startPath, runPath] = process.argv.slice(2);
const start = readStart(startPath);
const Floats = { float64: Float64Array, float32: Float32Array }[start.texts.dtype];

// X (N, D), y (N); W (S, D, K) and b (S, 1, K), from which the S steps start
const [X, W, b] = ["X", "W", "b"].map((name) => start.tensor(name, Floats));
const [y, steps] = ["y", "steps"].map((name) => start.tensor(name, BigInt64Array));
const [N, D] = start.header.X.shape;
const [S, , K] = start.header.b.shape;

const made = Array.from(steps, (_, s) =>
  softmaxStep(W.subarray(s * D * K, (s + 1) * D * K), b.subarray(s * K, (s + 1) * K)),
);

const { model, dtype, points, seed, reg, step_size } = start.texts;
const texts = { schema: "lockstep-recording/1", model, dtype, points, seed, reg, step_size };
Object.assign(texts, { port: "record_softmax.mjs", framework: "JavaScript", mode: "eager" });
Object.assign(texts, { device: "cpu", precision: "highest", "provenance/node": process.version });

const tensors = {};
for (const [name, array] of Object.entries({ X, y, steps, W, b })) {
  tensors[name] = [start.header[name].shape, array];
}
for (const name of Object.keys(made[0])) {
  const shape = start.texts[`shape/${name}`].split(" ").map(Number);
  tensors[name] = [shape, Floats.from(made.flatMap((quantities) => Array.from(quantities[name])))];
}
write(runPath, texts, tensors);

/** One step: the note's quantities, from W (D, K) and b (K). Sums are kept in double precision. */
function softmaxStep(W, b) {
  const reg = Number(start.texts.reg);
  const stepSize = Number(start.texts.step_size);
  const floats = (size, value) => Floats.from({ length: size }, (_, i) => value(i));
  const sum = (size, value) => Array.from({ length: size }, (_, i) => value(i)).reduce((a, c) => a + c, 0);

  const scores = floats(N * K, (i) => {
    const [n, k] = [Math.floor(i / K), i % K];
    return sum(D, (d) => X[n * D + d] * W[d * K + k]) + b[k];
  });
  const probs = floats(N * K, (i) => {
    const n = Math.floor(i / K);
    return Math.exp(scores[i]) / sum(K, (k) => Math.exp(scores[n * K + k]));
  });
  const correct_logprobs = floats(N, (n) => -Math.log(probs[n * K + Number(y[n])]));
  const data_loss = floats(1, () => sum(N, (n) => correct_logprobs[n]) / N);
  const reg_loss = floats(1, () => 0.5 * reg * sum(D * K, (i) => W[i] * W[i]));
  const loss = floats(1, () => data_loss[0] + reg_loss[0]);
  const dscores = floats(N * K, (i) => (probs[i] - (Number(y[Math.floor(i / K)]) === i % K)) / N);
  const dW = floats(D * K, (i) => {
    const [d, k] = [Math.floor(i / K), i % K];
    return sum(N, (n) => X[n * D + d] * dscores[n * K + k]) + reg * W[i];
  });
  const db = floats(K, (k) => sum(N, (n) => dscores[n * K + k]));
  const W_next = floats(D * K, (i) => W[i] - stepSize * dW[i]);
  const b_next = floats(K, (k) => b[k] - stepSize * db[k]);
  return { scores, probs, correct_logprobs, data_loss, reg_loss, loss, dscores, dW, db, W_next, b_next };
}

function readStart(path) {
  const file = readFileSync(path);
  const data = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__: texts, ...header } = JSON.parse(file.toString("utf8", 8, data));
  const tensor = (name, Type) => {
    const [begin, end] = header[name].data_offsets;
    return new Type(Uint8Array.from(file.subarray(data + begin, data + end)).buffer);
  };
  return { texts, header, tensor };
}

// write a recording
function write(path, texts, tensors) {
  const formats = { Float64Array: "F64", Float32Array: "F32", BigInt64Array: "I64" };
  const [header, data] = [{ __metadata__: texts }, []];
  let end = 0;
  for (const [name, [shape, array]] of Object.entries(tensors)) {
    const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
    const data_offsets = [end, (end += bytes.length)];
    header[name] = { dtype: formats[array.constructor.name], shape, data_offsets };
    texts[`crc32/${name}`] = crc32(bytes).toString(16).padStart(8, "0");
    data.push(bytes);
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, ...data]));
}
// until here
