// Connected blocks as single connections, and back.

#ifndef KERAS_SPARSE_BLOCKS_H_
#define KERAS_SPARSE_BLOCKS_H_

#include "product.h"

namespace keras_sparse {

// Pairs of blocks of `size` channels, sorted by output; values (pairs, taps, size, size), input before output.
struct Blocks {
  int64_t pairs, size, taps;
  const int32_t* inputs;
  const int32_t* outputs;

  int64_t connections() const { return pairs * size * size; }

  // Calls `visit(connection, pair, input, output)` with the places inside of the pair, sorted by output, then by pair.
  template <typename Visit>
  void Each(const Visit& visit) const {
    int64_t connection = 0;
    for (int64_t begin = 0, end; begin < pairs; begin = end) {
      for (end = begin; end < pairs && outputs[end] == outputs[begin];) ++end;
      for (int64_t output = 0; output < size; ++output)
        for (int64_t pair = begin; pair < end; ++pair)
          for (int64_t input = 0; input < size; ++input) visit(connection++, pair, input, output);
    }
  }

  int64_t place(int64_t pair, int64_t tap, int64_t input, int64_t output) const {
    return ((pair * taps + tap) * size + input) * size + output;
  }
};

// The same connections one by one, in memory of their own.
class Unblocked {
 public:
  // `values` may be null: then there are none.
  Unblocked(const Blocks& blocks, const float* values, const Allocate& allocate) : blocks_(blocks) {
    const int64_t count = blocks.connections(), taps = blocks.taps;
    inputs_ = reinterpret_cast<int32_t*>(allocate(std::max<int64_t>(2 * count, 1)));
    outputs_ = inputs_ + count;
    if (values) values_ = allocate(std::max<int64_t>(count * taps, 1));
    blocks.Each([&](int64_t c, int64_t pair, int64_t input, int64_t output) {
      inputs_[c] = blocks.inputs[pair] * blocks.size + input;
      outputs_[c] = blocks.outputs[pair] * blocks.size + output;
      if (values)
        for (int64_t t = 0; t < taps; ++t) values_[c * taps + t] = values[blocks.place(pair, t, input, output)];
    });
  }

  Connections connections() const { return {blocks_.connections(), inputs_, outputs_, values_}; }

  // Values of single connections to where they are in their blocks.
  void Return(const float* single, float* values) const {
    blocks_.Each([&](int64_t c, int64_t pair, int64_t input, int64_t output) {
      for (int64_t t = 0; t < blocks_.taps; ++t)
        values[blocks_.place(pair, t, input, output)] = single[c * blocks_.taps + t];
    });
  }

 private:
  const Blocks& blocks_;
  int32_t* inputs_;
  int32_t* outputs_;
  float* values_ = nullptr;
};

}  // namespace keras_sparse

#endif  // KERAS_SPARSE_BLOCKS_H_
