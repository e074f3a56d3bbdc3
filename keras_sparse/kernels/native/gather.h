// What happens in registers: a tile of a plane while the connections of one channel are walked, and the dot products of
// one plane with many.

#ifndef KERAS_SPARSE_GATHER_H_
#define KERAS_SPARSE_GATHER_H_

#include "planes.h"

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
  explicit Runs(std::vector<std::pair<int64_t, int64_t>> taps = {}) {
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

// Which channels a channel gathers, and with which values.
struct List {
  std::vector<int64_t> starts;  // of each channel that is written, and the end
  const int32_t* sources;
  int64_t source_step;  // from one connection to the next
  const float* values;
  int64_t value_step;
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

// `tile` vectors of the sum over connections [begin, end) of `list`; `planes` points to the tile in the first plane.
template <int tile>
inline void Gather(const float* planes, int64_t plane, const List& list, int64_t begin, int64_t end, const Runs& runs,
                   Vec* result) {
  Vec sums[tile] = {};
  for (int64_t i = begin; i < end; ++i) {
    const float* from = planes + list.sources[i * list.source_step] * plane;
    const float* values = list.values + i * list.value_step;
    for (const Run& run : runs.of[3]) AddRun<tile, 3>(from, values, run, sums);
    for (const Run& run : runs.of[2]) AddRun<tile, 2>(from, values, run, sums);
    for (const Run& run : runs.of[1]) AddRun<tile, 1>(from, values, run, sums);
  }
#pragma GCC unroll 8
  for (int v = 0; v < tile; ++v) result[v] = sums[v];
}

template <int step, std::size_t... k>
inline Vec Merge(Vec a, Vec b, std::index_sequence<k...>) {
  // Adds neighbours at a distance of `step`; sums of `a` go to lanes without that bit, sums of `b` to lanes with it.
  const Vec own = __builtin_shufflevector(a, b, ((k & step) ? kLanes + k : k)...);
  const Vec other = __builtin_shufflevector(a, b, ((k & step) ? kLanes + (k ^ step) : (k ^ step))...);
  return own + other;
}

template <int step>
inline Vec Fold(Vec a) {
  if constexpr (step < kLanes)
    return Fold<2 * step>(Merge<step>(a, a, std::make_index_sequence<kLanes>()));
  else
    return a;
}

// The sums over the lanes of four vectors, in the first four lanes.
inline Vec LaneSums(Vec a, Vec b, Vec c, Vec d) {
  constexpr auto all = std::make_index_sequence<kLanes>();
  return Fold<4>(Merge<2>(Merge<1>(a, b, all), Merge<1>(c, d, all), all));
}

// Products with `count` vectors of one plane: of `n` other planes each, or of a run in one.
inline void DotsOfFour(const float* with, const float* const* reads, int64_t count, float* dots) {
  Vec sums[4] = {}, more[4] = {};
  int64_t j = 0;
  for (; j + 1 < count; j += 2) {
    const Vec w = Load(with + j * kLanes), u = Load(with + (j + 1) * kLanes);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      sums[k] += w * Load(reads[k] + j * kLanes);
      more[k] += u * Load(reads[k] + (j + 1) * kLanes);
    }
  }
  if (j < count) {
    const Vec w = Load(with + j * kLanes);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums[k] += w * Load(reads[k] + j * kLanes);
  }
  const Vec all = LaneSums(sums[0] + more[0], sums[1] + more[1], sums[2] + more[2], sums[3] + more[3]);
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) dots[k] = all[k];
}

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
  const Vec all = LaneSums(total[0], total[1], total[2], total[3]);
  for (int k = 0; k < n; ++k) dots[k] = all[k];
}

}  // namespace keras_sparse

#endif  // KERAS_SPARSE_GATHER_H_
