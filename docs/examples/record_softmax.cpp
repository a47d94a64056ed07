// Make the softmax steps that a start.safetensors asks for, and write them as a recording.
//
//     lockstep inputs --model softmax --steps 3 --out start.safetensors
//     cc -O2 -c my_port_c.c && c++ -std=c++17 -O2 record_softmax.cpp my_port_c.o -lm -o record_softmax
//     ./record_softmax start.safetensors run.safetensors && lockstep certify run.safetensors
//
// With --dtype float32, compile both files with -Dreal=float. docs/recordings.md describes the format. A
// program with a JSON library would parse the header; this one finds names in it as text.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#ifndef real
#define real double
#endif

extern "C" void softmax_step(int N, int D, int K, const real *X, const long long *y, const real *W,
                             const real *b, real reg, real step_size, real *scores, real *probs,
                             real *correct_logprobs, real *losses, real *dscores, real *dW, real *db,
                             real *W_next, real *b_next);

const std::string format = sizeof(real) == 8 ? "F64" : "F32";

struct Start {
    std::string header, data;

    explicit Start(const char *path)
    {
        std::ifstream file(path, std::ios::binary);
        std::string all((std::istreambuf_iterator<char>(file)), {});
        std::uint64_t length;
        std::memcpy(&length, all.data(), 8);
        header = all.substr(8, length);
        data = all.substr(8 + length);
    }
    std::string between(const std::string &before, const std::string &after, size_t from = 0) const
    {
        size_t begin = header.find(before, from) + before.size();
        return header.substr(begin, header.find(after, begin) - begin);
    }
    std::string text(const std::string &name) const { return between("\"" + name + "\":\"", "\""); }

    std::string shape(const std::string &name) const
    {
        return between("\"shape\":[", "]", header.find("\"" + name + "\":{"));
    }
    template <class T> std::vector<T> tensor(const std::string &name) const
    {
        std::string offsets = between("\"data_offsets\":[", "]", header.find("\"" + name + "\":{"));
        size_t begin = std::stoul(offsets), end = std::stoul(offsets.substr(offsets.find(',') + 1));
        std::vector<T> numbers((end - begin) / sizeof(T));
        std::memcpy(numbers.data(), data.data() + begin, end - begin);
        return numbers;
    }
};

std::uint32_t crc32(const char *bytes, size_t size)
{
    std::uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned char)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

// write a recording
struct Recording {
    std::string texts, tensors, data;

    void say(const std::string &name, const std::string &text)
    {
        texts += (texts.empty() ? "\"" : ",\"") + name + "\":\"" + text + "\"";
    }
    template <class T>
    void add(const std::string &name, const std::string &format, const std::string &shape,
             const std::vector<T> &numbers)
    {
        size_t begin = data.size(), size = numbers.size() * sizeof(T);
        data.append((const char *)numbers.data(), size);
        tensors += ",\"" + name + "\":{\"dtype\":\"" + format + "\",\"shape\":[" + shape +
                   "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(begin + size) + "]}";
        char checksum[9];
        std::snprintf(checksum, 9, "%08x", crc32(data.data() + begin, size));
        say("crc32/" + name, checksum);
    }
    void write(const char *path) const
    {
        std::string header = "{\"__metadata__\":{" + texts + "}" + tensors + "}";
        std::uint64_t length = header.size();
        std::ofstream(path, std::ios::binary).write((const char *)&length, 8) << header << data;
    }
};
// until here

int main(int count, char **arguments)
{
    if (count != 3)
        return std::puts("usage: record_softmax start.safetensors run.safetensors"), 2;
    Start start(arguments[1]);
    if (start.text("model") != "softmax" || start.shape("X").empty() ||
        start.text("dtype") != (sizeof(real) == 8 ? "float64" : "float32"))
        return std::puts("these are not the inputs of a softmax run in this program's dtype"), 2;

    auto X = start.tensor<real>("X"), W = start.tensor<real>("W"), b = start.tensor<real>("b");
    auto y = start.tensor<long long>("y"), steps = start.tensor<long long>("steps");
    size_t S = steps.size(), N = y.size(), D = X.size() / N, K = b.size() / S;
    real reg = std::stod(start.text("reg")), step_size = std::stod(start.text("step_size"));

    std::vector<real> scores(S * N * K), probs(S * N * K), correct_logprobs(S * N), dscores(S * N * K);
    std::vector<real> data_loss(S), reg_loss(S), loss(S), dW(S * D * K), db(S * K);
    std::vector<real> W_next(S * D * K), b_next(S * K);
    for (size_t s = 0; s < S; s++) {
        real losses[3];
        softmax_step(N, D, K, X.data(), y.data(), &W[s * D * K], &b[s * K], reg, step_size,
                     &scores[s * N * K], &probs[s * N * K], &correct_logprobs[s * N], losses,
                     &dscores[s * N * K], &dW[s * D * K], &db[s * K], &W_next[s * D * K], &b_next[s * K]);
        data_loss[s] = losses[0], reg_loss[s] = losses[1], loss[s] = losses[2];
    }

    Recording run;
    run.say("schema", "lockstep-recording/1");
    for (const char *name : {"model", "dtype", "points", "seed", "reg", "step_size"})
        run.say(name, start.text(name));
    run.say("port", "record_softmax.cpp");
    run.say("framework", "C++");
    run.say("mode", "compiled");
    run.say("device", "cpu");
    run.say("precision", "highest");
    run.say("provenance/compiler", __VERSION__);

    for (const char *name : {"y", "steps"})
        run.add(name, "I64", start.shape(name), start.tensor<long long>(name));
    for (const char *name : {"X", "W", "b"})
        run.add(name, format, start.shape(name), start.tensor<real>(name));
    auto add = [&](const char *name, const std::vector<real> &numbers) {
        std::string shape = start.text(std::string("shape/") + name);
        for (char &c : shape)
            c = c == ' ' ? ',' : c;
        run.add(name, format, shape, numbers);
    };
    add("scores", scores);
    add("probs", probs);
    add("correct_logprobs", correct_logprobs);
    add("data_loss", data_loss);
    add("reg_loss", reg_loss);
    add("loss", loss);
    add("dscores", dscores);
    add("dW", dW);
    add("db", db);
    add("W_next", W_next);
    add("b_next", b_next);
    run.write(arguments[2]);
}
