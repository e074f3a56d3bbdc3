// What happens in registers: a tile of a plane while the connections of one channel are walked, and the dot products of
// one plane with many.

#ifndef KERAS_SPARSE_GATHER_H_
#define KERAS_SPARSE_GATHER_H_

#include "order.h"

namespace keras_sparse {

constexpr int kTile = 8;  // vectors that stay in registers

// Positions of the kernel that read one vector after another, three at most.
struct Run {
  int64_t offset;    // floats, from the first vector of the tile in the planes of the channel that is read
  int64_t value[3];  // of each position, among the values of a connection
};

// The positions of a kernel, by the length of the runs that they form.
struct Runs {
  std::vector<Run> of[4];  // of[3]: runs of three, ...

  // Positions (offset in vectors, value), in any order.
  explicit Runs(std::vector<std::pair<int64_t, int64_t>> taps) {
    std::sort(taps.begin(), taps.end());
    for (size_t i = 0; i < taps.size();) {
      size_t n = 1;
      while (n < 3 && i + n < taps.size() && taps[i + n].first == taps[i].first + static_cast<int64_t>(n)) ++n;
      Run run{taps[i].first * kLanes, {}};
      for (size_t k = 0; k < n; ++k) run.value[k] = taps[i + k].second;
      of[n].push_back(run);
      i += n;
    }
  }
};

template <int tile, int n>
inline __attribute__((always_inline)) void AddRun(const float* from, const float* values, const Run& run, Vec* sums) {
  float value[n];
#pragma GCC unroll 3
  for (int k = 0; k < n; ++k) value[k] = values[run.value[k]];
  const float* x = from + run.offset;
#pragma GCC unroll 16
  for (int i = 0; i < tile + n - 1; ++i) {
    const Vec one = Load(x + i * kLanes);
#pragma GCC unroll 3
    for (int k = 0; k < n; ++k)
      if (i - k >= 0 && i - k < tile) sums[i - k] += value[k] * one;
  }
}

template <int tile>
inline __attribute__((always_inline)) void AddConnection(const float* from, const float* values, const Runs& runs,
                                                         Vec* sums) {
  for (const Run& run : runs.of[3]) AddRun<tile, 3>(from, values, run, sums);
  for (const Run& run : runs.of[2]) AddRun<tile, 2>(from, values, run, sums);
  for (const Run& run : runs.of[1]) AddRun<tile, 1>(from, values, run, sums);
}

// Adds up what the channels [first, last) of an order by target read.
template <int tile, typename Place>
inline __attribute__((always_inline)) void GatherByTarget(const float* planes, const List& list, int64_t first,
                                                          int64_t last, const Place& place, Vec (*results)[kTile]) {
  const Order& order = *list.order;
  const int32_t* sources = order.sources;
  const float* values = list.values;
  for (int64_t turn = 0; turn < order.reads; ++turn) {
    const int32_t* starts = order.starts.data() + first * order.reads + turn * kNear;
    for (int64_t channel = 0; channel < last - first; ++channel) {
      const int64_t begin = starts[channel], end = starts[channel + 1];
      if (turn && begin == end) continue;
      Vec sums[tile] = {};
      if (turn) std::copy_n(results[channel], tile, sums);
      for (int64_t i = begin; i < end; ++i) {
        const float* x = planes + place(sources[i]);
        const float value = values[i];
#pragma GCC unroll 8
        for (int v = 0; v < tile; ++v) sums[v] += value * Load(x + v * kLanes);
      }
      std::copy_n(sums, tile, results[channel]);
    }
  }
}

// `tile` vectors of each of the channels [first, last), a group of `kNear` or what is left; `planes` points to the tile
// in the first plane.
template <int tile>
inline void Gather(const float* planes, int64_t plane, const List& list, int64_t first, int64_t last, const Runs& runs,
                   Vec (*results)[kTile]) {
  const Order& order = *list.order;
  if (!order.is_by_source) {
    if (runs.of[1].empty()) {  // pixels that strides pass over
      for (int64_t channel = first; channel < last; ++channel) std::fill_n(results[channel - first], tile, Vec{});
      return;
    }
    planes += runs.of[1][0].offset;
    const int32_t* places = list.places;
    if (places)
      GatherByTarget<tile>(planes, list, first, last, [=](int32_t s) { return int64_t{places[s]} * kLanes; }, results);
    else
      GatherByTarget<tile>(planes, list, first, last, [=](int32_t source) { return source * plane; }, results);
    return;
  }
  for (int64_t channel = first; channel < last; ++channel) std::fill_n(results[channel - first], tile, Vec{});
  for (int64_t i = order.before(first / kNear); i < order.before(first / kNear + 1); ++i) {
    Vec* result = results[order.targets[i]];
    Vec sums[tile];
#pragma GCC unroll 8
    for (int v = 0; v < tile; ++v) sums[v] = result[v];
    AddConnection<tile>(planes + order.sources[i] * plane, list.values + i * list.each, runs, sums);
#pragma GCC unroll 8
    for (int v = 0; v < tile; ++v) result[v] = sums[v];
  }
}

template <int step, std::size_t... k>
inline Vec Merge(Vec a, Vec b, std::index_sequence<k...>) {
  // Adds neighbours at a distance of `step`; sums of `a` go to lanes without that bit, sums of `b` to lanes with it.
  const Vec own = Shuffle<((k & step) ? kLanes + k : k)...>(a, b);
  const Vec other = Shuffle<((k & step) ? kLanes + (k ^ step) : (k ^ step))...>(a, b);
  return own + other;
}

template <int step>
inline Vec Fold(Vec a) {
  if constexpr (step < kLanes)
    return Fold<2 * step>(Merge<step>(a, a, std::make_index_sequence<kLanes>()));
  else
    return a;
}

// The sums over the lanes of `n` vectors, a power of two, in the first `n` lanes.
template <int n, int step = 1>
inline Vec LaneSums(const Vec* vectors) {
  if constexpr (n == 1) {
    return Fold<step>(vectors[0]);
  } else {
    Vec pairs[n / 2];
#pragma GCC unroll 4
    for (int k = 0; k < n / 2; ++k)
      pairs[k] = Merge<step>(vectors[2 * k], vectors[2 * k + 1], std::make_index_sequence<kLanes>());
    return LaneSums<n / 2, 2 * step>(pairs);
  }
}

constexpr int kMany = 4;

// Products of `count` vectors of one plane with those of `kMany` others, in the first lanes.
inline __attribute__((always_inline)) Vec DotsOfMany(const float* with, const float* const* reads, int64_t count) {
  // Two sums each: a sum does not wait for the one before.
  Vec sums[2][kMany] = {};
  for (int64_t j = 0; j < count; ++j) {
    const Vec w = Load(with + j * kLanes);
#pragma GCC unroll 4
    for (int k = 0; k < kMany; ++k) sums[0][k] += w * Load(reads[k] + j * kLanes);
    if (++j == count) break;
    const Vec next = Load(with + j * kLanes);
#pragma GCC unroll 4
    for (int k = 0; k < kMany; ++k) sums[1][k] += next * Load(reads[k] + j * kLanes);
  }
  for (int k = 0; k < kMany; ++k) sums[0][k] += sums[1][k];
  return LaneSums<kMany>(sums[0]);
}

// Products of `count` vectors with the `n` stretches of a plane that a run reads.
template <int n>
inline void DotsOfRun(const float* with, const float* x, int64_t count, float* dots) {
  // Four sums each, so that no sum waits for the one before.
  Vec sums[4][n] = {};
  int64_t j = 0;
  for (; j + 3 < count; j += 4) {
    Vec reads[n + 3];
#pragma GCC unroll 6
    for (int i = 0; i < n + 3; ++i) reads[i] = Load(x + (j + i) * kLanes);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const Vec w = Load(with + (j + i) * kLanes);
#pragma GCC unroll 3
      for (int k = 0; k < n; ++k) sums[i][k] += w * reads[i + k];
    }
  }
  for (; j < count; ++j)
    for (int k = 0; k < n; ++k) sums[0][k] += Load(with + j * kLanes) * Load(x + (j + k) * kLanes);
  Vec total[4] = {};
  for (int k = 0; k < n; ++k) total[k] = (sums[0][k] + sums[1][k]) + (sums[2][k] + sums[3][k]);
  const Vec all = LaneSums<4>(total);
  for (int k = 0; k < n; ++k) dots[k] = all[k];
}

}  // namespace keras_sparse

#endif  // KERAS_SPARSE_GATHER_H_
