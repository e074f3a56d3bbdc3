// Batch normalisation and ReLU of tensors that are read side by side, without putting them side by side first, and back.
//
// A tensor is rows of channels. Sums over rows are taken of a few rows at a time in single precision, of these in double.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace keras_sparse {

constexpr int64_t kRowsAtOnce = 128;

// Calls `add(row, first, second)` for rows [begin, end) and adds up, in `sums`, what it adds to the `channels` numbers each
// of first and second.
template <typename Add>
void SumOverRows(int64_t begin, int64_t end, int64_t channels, double* sums, const Add& add) {
  std::vector<float> few(2 * channels);
  for (int64_t row = begin; row < end;) {
    std::fill(few.begin(), few.end(), 0.0f);
    for (const int64_t stop = std::min(end, row + kRowsAtOnce); row < stop; ++row)
      add(row, few.data(), few.data() + channels);
    for (int64_t i = 0; i < 2 * channels; ++i) sums[i] += few[i];
  }
}

// Of each channel, sums of x - origin and of its square.
inline void SumMoments(const float* x, int64_t channels, const float* origin, int64_t begin, int64_t end, double* sums) {
  SumOverRows(begin, end, channels, sums, [&](int64_t row, float* __restrict first, float* __restrict second) {
    const float* __restrict in = x + row * channels;
    for (int64_t i = 0; i < channels; ++i) {
      const float centered = in[i] - origin[i];
      first[i] += centered;
      second[i] += centered * centered;
    }
  });
}

// One row of one part: y = relu((x - mean) * scale + shift).
inline void NormalizeRow(int64_t channels, const float* __restrict x, const float* __restrict mean,
                         const float* __restrict scale, const float* __restrict shift, float* __restrict y) {
  for (int64_t i = 0; i < channels; ++i) y[i] = std::max((x[i] - mean[i]) * scale[i] + shift[i], 0.0f);
}

// The way back, added to the gradients by x, shift and scale.
inline void NormalizeRowGradient(int64_t channels, const float* __restrict x, const float* __restrict mean,
                                 const float* __restrict scale, const float* __restrict shift,
                                 const float* __restrict dy, float* __restrict dx, float* __restrict by_shift,
                                 float* __restrict by_scale) {
  for (int64_t i = 0; i < channels; ++i) {
    const float centered = x[i] - mean[i];
    const float upstream = dy[i];  // read in any case, or it is a branch
    const float passed = centered * scale[i] + shift[i] > 0 ? upstream : 0.0f;
    by_shift[i] += passed;
    by_scale[i] += passed * centered;
    dx[i] += passed * scale[i];
  }
}

struct Part {
  const float* data;
  int64_t channels;
  int64_t offset;    // of its first channel among those of all parts
  int64_t gradient;  // of its first channel in a row of the gradient
};

// y = relu((x - mean) * scale + shift), x being the parts side by side; the vectors have a number for each of `channels`.
struct Normalization {
  std::vector<Part> parts;
  int64_t channels = 0;
  const float *mean, *scale, *shift;

  void Forward(int64_t begin, int64_t end, float* y) const {
    for (int64_t row = begin; row < end; ++row)
      for (const Part& part : parts)
        NormalizeRow(part.channels, part.data + row * part.channels, mean + part.offset, scale + part.offset,
                     shift + part.offset, y + row * channels + part.offset);
  }

  // Adds the gradient by x to `dx`, which has `width` numbers in a row; `sums` are the gradients by shift and scale.
  void Backward(int64_t begin, int64_t end, const float* dy, float* dx, int64_t width, double* sums) const {
    SumOverRows(begin, end, channels, sums, [&](int64_t row, float* by_shift, float* by_scale) {
      for (const Part& part : parts)
        NormalizeRowGradient(part.channels, part.data + row * part.channels, mean + part.offset, scale + part.offset,
                             shift + part.offset, dy + row * channels + part.offset, dx + row * width + part.gradient,
                             by_shift + part.offset, by_scale + part.offset);
    });
  }
};

}  // namespace keras_sparse
