// Batch normalization by the textbook, in float64 throughout, as a backend of bncheck:
//
// c++ -O2 -std=c++17 -o plain_bn backends/cpp/examples/plain_bn.cpp
// bncheck run --backend-cmd ./plain_bn

#include "../bncheck.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

namespace {

// A tensor of shape (N, C, …): its numbers lie as N blocks of C blocks of `spatial`.
struct Sizes {
    std::size_t samples, channels, spatial;

    explicit Sizes(const bncheck::Shape& shape) : samples(shape[0]), channels(shape[1]), spatial(1) {
        for (std::size_t d = 2; d < shape.size(); ++d) spatial *= shape[d];
    }

    // How many numbers each channel has.
    double n() const { return static_cast<double>(samples * spatial); }

    // Does something with the place of every number of a channel.
    template <class Do>
    void each(std::size_t channel, Do&& use) const {
        for (std::size_t sample = 0; sample < samples; ++sample) {
            const std::size_t begin = (sample * channels + channel) * spatial;
            for (std::size_t i = begin; i < begin + spatial; ++i) use(i);
        }
    }
};

// What a forward keeps for its backward.
struct Saved {
    std::vector<double> xhat;
    // weight / sqrt(var + eps), for each channel.
    std::vector<double> scale;
    bool use_batch_stats;
};

class PlainBatchNorm final : public bncheck::Kernel {
public:
    PlainBatchNorm() {
        name = "plain";
        version = "plain 0.1";
        about = "The textbook formulas in C++, in float64";
    }

    bncheck::Output forward(bncheck::Forward& call) override {
        const Sizes sizes(call.input.shape());
        const std::vector<double> x = call.input.values();
        std::vector<double> mean(sizes.channels), var(sizes.channels);
        if (call.use_batch_stats) {
            for (std::size_t c = 0; c < sizes.channels; ++c) {
                sizes.each(c, [&](std::size_t i) { mean[c] += x[i]; });
                mean[c] /= sizes.n();
                sizes.each(c, [&](std::size_t i) { var[c] += (x[i] - mean[c]) * (x[i] - mean[c]); });
                var[c] /= sizes.n();
            }
            if (call.running_mean) {
                std::vector<double> moved_mean = call.running_mean->values(), moved_var = call.running_var->values();
                const double kept = 1 - call.factor, unbiased = sizes.n() / (sizes.n() - 1);
                for (std::size_t c = 0; c < sizes.channels; ++c) {
                    moved_mean[c] = kept * moved_mean[c] + call.factor * mean[c];
                    moved_var[c] = kept * moved_var[c] + call.factor * var[c] * unbiased;
                }
                call.new_running_mean = moved_mean;
                call.new_running_var = moved_var;
            }
        } else {
            mean = call.running_mean->values();
            var = call.running_var->values();
        }
        const std::vector<double> ones(sizes.channels, 1.0), zeros(sizes.channels, 0.0);
        const std::vector<double> weight = call.weight ? call.weight->values() : ones;
        const std::vector<double> bias = call.bias ? call.bias->values() : zeros;
        Saved saved{std::vector<double>(x.size()), std::vector<double>(sizes.channels), call.use_batch_stats};
        std::vector<double> output(x.size());
        for (std::size_t c = 0; c < sizes.channels; ++c) {
            const double inverse_std = 1 / std::sqrt(var[c] + call.eps);
            saved.scale[c] = weight[c] * inverse_std;
            sizes.each(c, [&](std::size_t i) {
                saved.xhat[i] = (x[i] - mean[c]) * inverse_std;
                output[i] = weight[c] * saved.xhat[i] + bias[c];
            });
        }
        return {output, saved};
    }

    bncheck::Gradients backward(const std::any& kept, const bncheck::Tensor& grad_output, bncheck::Wanted) override {
        const Saved& saved = std::any_cast<const Saved&>(kept);
        const Sizes sizes(grad_output.shape());
        const std::vector<double> dy = grad_output.values();
        std::vector<double> grad_input(dy.size()), grad_weight(sizes.channels), grad_bias(sizes.channels);
        for (std::size_t c = 0; c < sizes.channels; ++c) {
            sizes.each(c, [&](std::size_t i) {
                grad_weight[c] += dy[i] * saved.xhat[i];
                grad_bias[c] += dy[i];
            });
            // Where mean and variance are the batch's, they depend on the input as well.
            const double through = saved.use_batch_stats ? 1 / sizes.n() : 0;
            sizes.each(c, [&](std::size_t i) {
                const double around = saved.use_batch_stats
                                          ? grad_bias[c] * through + saved.xhat[i] * (grad_weight[c] * through)
                                          : 0;
                grad_input[i] = saved.scale[c] * (dy[i] - around);
            });
        }
        return {grad_input, grad_weight, grad_bias};
    }
};

}  // namespace

#ifndef PLAIN_BN_NO_MAIN
int main() {
    PlainBatchNorm backend;
    return bncheck::serve(backend);
}
#endif
