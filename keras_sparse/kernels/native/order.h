// The order in which connections are walked. It depends on indices alone: as long as these stay, it is made once.

#ifndef KERAS_SPARSE_ORDER_H_
#define KERAS_SPARSE_ORDER_H_

#include "planes.h"

namespace keras_sparse {

constexpr int64_t kNear = 64;  // channels that are written at the same time

// Channels that are read at the same time: little more than the fastest cache holds of them. That pays from so many
// connections on that each channel has to them, for its sums come and go.
constexpr int64_t kReadAtOnce = 128, kWorthReading = 8;

// Pairs of connected blocks of `block` channels, sorted by output. The values of a pair are a square for each position
// of the kernel, input before output. Or, `is_by_position`, single weights of windows: inputs count positions too,
// position * channels + channel.
struct Connections {
  int64_t pairs;
  const int32_t* inputs;
  const int32_t* outputs;
  int64_t block = 1;
  bool is_by_position = false;

  int64_t count() const { return pairs * block * block; }
  // Whether each connection reads one position.
  bool is_single(int64_t taps) const { return taps == 1 || is_by_position; }
  // Values of a connection lie so far apart.
  int64_t tap_step() const { return block * block; }

  // Calls `visit(input, output, at)` for single connections, sorted by output; their first values are at `at`.
  template <typename Visit>
  void Each(int64_t taps, const Visit& visit) const {
    const int64_t size = block * block * (is_by_position ? 1 : taps);
    for (int64_t begin = 0, end; begin < pairs; begin = end) {
      for (end = begin; end < pairs && outputs[end] == outputs[begin];) ++end;
      for (int64_t o = 0; o < block; ++o)
        for (int64_t pair = begin; pair < end; ++pair)
          for (int64_t i = 0; i < block; ++i)
            visit(inputs[pair] * block + i, outputs[pair] * block + o, pair * size + i * block + o);
    }
  }
};

// With one position to a connection, channel by channel that is written: its sums stay in registers while it reads some
// of the channels, `reads` times, `kNear` channels before it reads others. With several positions, all that `kNear`
// channels read from the same channel come together: what is read stays in the fastest cache, sums come and go. Either
// way it is the positions of a connection that share what they read.
class Order {
 public:
  // For the forward product: sources are channels, or positions of channels.
  static Order Forward(const Shape& shape, const Connections& c) {
    if (!c.is_single(shape.taps())) return BySource(c, shape.taps(), shape.channels, shape.filters, false);
    return ByOutput(shape, c);
  }

  // For the gradient to the inputs, an order for each phase where connections are single: sources are outputs, or
  // output * positions + position.
  static std::vector<Order> ToInputs(const Shape& shape, const Connections& c) {
    std::vector<Order> orders;
    const int64_t taps = shape.taps();
    if (!c.is_single(taps)) {
      orders.push_back(BySource(c, taps, shape.filters, shape.channels, true));
      return orders;
    }
    for (int64_t phase = 0; phase < (c.is_by_position ? shape.phases() : 1); ++phase) {
      Order order(false, Reads(c, shape.filters, shape.channels, taps));
      const int64_t turn = (shape.filters + order.reads - 1) / order.reads;
      order.Sort(c, taps, order.Segments(shape.channels), [&](int32_t input, int32_t output) {
        const int64_t position = input / shape.channels, channel = input % shape.channels;
        const bool is_other = c.is_by_position && shape.phase(position) != phase;
        const int64_t source = c.is_by_position ? output * taps + position : output;
        return Connection{is_other ? -1 : order.Segment(channel, output / turn), static_cast<int32_t>(source), 0};
      });
      orders.push_back(std::move(order));
    }
    return orders;
  }

  // For the gradient to the values: always by output.
  static Order ToValues(const Shape& shape, const Connections& c) { return ByOutput(shape, c); }

  Order(Order&&) = default;

  // The number of connections before those of a group of `kNear` channels that are written.
  int64_t before(int64_t group) const { return starts[is_by_source ? group : group * reads * kNear]; }
  int64_t count() const { return starts.back(); }

  const bool is_by_source;
  const int64_t reads;
  std::vector<int32_t> starts;  // of each group; or of each channel of it, `reads` times; and the end
  const int32_t* sources = nullptr;
  std::vector<int32_t> targets;  // where it is by source: which of the `kNear`
  std::vector<int32_t> at;       // the first value of each; none where it is as they come

 private:
  struct Connection {
    int64_t segment;  // -1: none of this order
    int32_t source, target;
  };

  Order(bool is_by_source, int64_t reads) : is_by_source(is_by_source), reads(reads) {}

  static int64_t Reads(const Connections& c, int64_t sources, int64_t targets, int64_t taps) {
    const int64_t reads = std::min((sources * taps + kReadAtOnce - 1) / kReadAtOnce, sources);
    return c.count() >= kWorthReading * reads * targets ? std::max<int64_t>(reads, 1) : 1;
  }

  static Order ByOutput(const Shape& shape, const Connections& c) {
    Order order(false, 1);
    const int64_t segments = order.Segments(shape.filters);
    if (c.block > 1) {
      order.Sort(c, shape.taps(), segments, [&](int32_t input, int32_t output) {
        return Connection{output, input, 0};
      });
      return order;
    }
    order.sources = c.inputs;
    order.starts.assign(segments + 1, 0);
    for (int64_t i = 0; i < c.pairs; ++i) ++order.starts[c.outputs[i] + 1];
    for (int64_t o = 0; o < segments; ++o) order.starts[o + 1] += order.starts[o];
    return order;
  }

  static Order BySource(const Connections& c, int64_t taps, int64_t reads, int64_t writes, bool is_reversed) {
    Order order(true, 1);
    const int64_t groups = (writes + kNear - 1) / kNear;
    order.Sort(c, taps, groups * reads, [&](int32_t input, int32_t output) {
      const int32_t source = is_reversed ? output : input, target = is_reversed ? input : output;
      return Connection{target / kNear * reads + source, source, static_cast<int32_t>(target % kNear)};
    });
    for (int64_t g = 0; g <= groups; ++g) order.starts[g] = order.starts[g * reads];
    order.starts.resize(groups + 1);
    return order;
  }

  int64_t Segments(int64_t targets) const { return (targets + kNear - 1) / kNear * kNear * reads; }
  int64_t Segment(int64_t target, int64_t turn) const {
    return (target / kNear * reads + turn) * kNear + target % kNear;
  }

  // Sorts by segment; within one, connections stay as they come.
  template <typename Find>
  void Sort(const Connections& c, int64_t taps, int64_t segments, const Find& find) {
    starts.assign(segments + 1, 0);
    c.Each(taps, [&](int32_t input, int32_t output, int64_t) {
      const int64_t segment = find(input, output).segment;
      if (segment >= 0) ++starts[segment + 1];
    });
    for (int64_t s = 0; s < segments; ++s) starts[s + 1] += starts[s];
    std::vector<int32_t> next(starts.begin(), starts.end() - 1);
    own_.resize(count());
    at.resize(count());
    if (is_by_source) targets.resize(count());
    c.Each(taps, [&](int32_t input, int32_t output, int64_t first_value) {
      const Connection connection = find(input, output);
      if (connection.segment < 0) return;
      const int32_t place = next[connection.segment]++;
      own_[place] = connection.source;
      at[place] = first_value;
      if (is_by_source) targets[place] = connection.target;
    });
    sources = own_.data();
  }

  std::vector<int32_t> own_;
};

// Connections in an order, as one product walks them.
struct List {
  const Order* order;
  const float* values;    // in that order, those of all positions of a connection together
  int64_t each;           // how many these are
  const int32_t* places;  // in vectors, of each source; null where that is its plane
};

}  // namespace keras_sparse

#endif  // KERAS_SPARSE_ORDER_H_
