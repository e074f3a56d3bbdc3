// The three products with a sparse kernel: forward, gradient to the inputs, gradient to the values.
//
// Each worker takes a part of the work and goes along the line step by step: it packs what the step reads, computes
// while that is still in its cache, and writes results where they belong. With the same number of workers, sums are
// taken in the same order every time.

#ifndef KERAS_SPARSE_PRODUCT_H_
#define KERAS_SPARSE_PRODUCT_H_

#include <functional>

#include "gather.h"

namespace keras_sparse {

// Calls `work(worker)` for each of `workers`, at the same time if it can.
using Parallel = std::function<void(int64_t workers, const std::function<void(int64_t)>& work)>;
// Memory for so many floats until the operation ends.
using Allocate = std::function<float*(int64_t)>;

constexpr int64_t kWorthAThread = 100000;   // vectors that are multiplied or moved
constexpr int64_t kRoomFloats = 16 << 20;   // of scratch memory, for however small images
constexpr int64_t kStepFloats = 192 << 10;  // of planes that are read at random: a part of a core's cache

// How the line is cut.
struct Cut {
  int64_t stretch;  // cells of each lane of a band, which are vectors
  int64_t bands;
  int64_t step;   // vectors that are packed, and computed, at once
  int64_t steps;  // of a band
};

// Where a worker is on its way along the line, and what it packs of a band.
struct Along {
  const Cut& cut;
  const int64_t reach;
  int64_t band = -1, from = 0, count = 0;  // the step: vectors [from, from + count)
  int64_t pack = 0, packed = 0;            // vectors [pack, packed) are new to it

  Along(const Cut& cut, int64_t reach) : cut(cut), reach(reach) {}

  void MoveTo(int64_t step) {
    from = step % cut.steps * cut.step;
    count = std::min(cut.step, cut.stretch - from);
    pack = step / cut.steps == band ? std::max(packed, from) : from;
    band = step / cut.steps;
    packed = from + count + reach;
  }

  // The first cell of a lane's stretch.
  int64_t cell(int64_t lane) const { return (band * kLanes + lane) * cut.stretch; }
};

// Planes of one side of one band.
struct Planes {
  int64_t channels;
  int64_t low;      // the first cell that is read, relative to where a stretch begins
  int64_t reach;    // vectors that a result reads beyond its own
  int64_t vectors;  // of each phase
  int64_t plane;    // floats from one channel to the next

  Planes(int64_t channels, const Cut& cut, int64_t low, int64_t reach, int64_t phases)
      : channels(channels), low(low), reach(reach), vectors(cut.stretch + reach) {
    // With an even number of cache lines between planes, all would compete for the same few places in the cache.
    constexpr int64_t line = 16;
    plane = (((vectors * phases * kLanes + line - 1) / line) | 1) * line;
  }

  int64_t floats() const { return channels * plane; }
};

class Product {
 public:
  Product(const Shape& shape, int64_t workers, const Parallel& parallel, const Allocate& allocate)
      : shape_(shape), workers_(workers), parallel_(parallel), allocate_(allocate), taps_(shape.taps()) {
    slot_.assign(shape.phases(), -1);
    for (int64_t t = 0; t < taps_; ++t) {
      const int64_t phase = shape.phase(t), shift = shape.shift(t);
      if (slot_[phase] < 0) slot_[phase] = read_++;
      low_ = t ? std::min(low_, shift) : shift;
      high_ = t ? std::max(high_, shift) : shift;
    }
  }

  // `y`: (batch, out, out, filters).
  void Forward(const float* x, const float* values, const Connections& c, const Order& order, float* y) const {
    if (!shape_.line()) return;
    const Cut cut = CutFor(shape_.channels * read_, 0);
    const Planes planes = OfImage(cut);
    const std::vector<int32_t> places = PlacesOfInputs(c, planes);
    Walk(planes, cut, {Listed(order, values, c, places)}, {RunsForward(c, planes, 1)}, shape_.filters, y,
         [&](const Along& along, float* to) { PackImage(planes, along, x, to); },
         [&](int64_t, int64_t cell, int64_t count, int64_t* pixels) { shape_.Results(cell, count, kLanes, pixels); });
  }

  // `dx`: (batch, in, in, channels).
  void GradientToInputs(const float* dy, const float* values, const Connections& c, const std::vector<Order>& orders,
                        float* dx) const {
    if (!shape_.line()) return;
    const Cut cut = CutFor(shape_.filters, 0);
    const Planes planes(shape_.filters, cut, -high_, high_ - low_, 1);
    std::vector<std::vector<std::pair<int64_t, int64_t>>> taps(shape_.phases());
    for (int64_t t = 0; t < taps_; ++t) taps[shape_.phase(t)].emplace_back(high_ - shape_.shift(t), t);
    std::vector<int32_t> places;
    if (c.is_by_position) {
      places = PlacesOfResults(planes);
      for (auto& of_phase : taps) of_phase = {{0, 0}};
    }
    std::vector<List> lists;
    for (const Order& order : orders) lists.push_back(Listed(order, values, c, places));
    // Phases that no position reads are zero.
    Walk(planes, cut, lists, std::vector<Runs>(taps.begin(), taps.end()), shape_.channels, dx,
         [&](const Along& along, float* to) { PackResults(planes, along, 0, shape_.filters, dy, to); },
         [&](int64_t phase, int64_t cell, int64_t count, int64_t* pixels) {
           shape_.Pixels(phase, cell, count, kLanes, pixels);
         });
  }

  // `dvalues`: where the values are.
  void GradientToValues(const float* x, const float* dy, const Connections& c, const Order& order,
                        float* dvalues) const {
    const int64_t count = c.count() * each(c);
    std::fill_n(dvalues, count, 0.f);
    if (!shape_.line() || !count) return;
    const Cut cut = CutFor(shape_.channels * read_ + shape_.filters, 2 * (high_ - low_));  // long sums: each ends slowly
    const Planes images = OfImage(cut), results(shape_.filters, cut, 0, 0, 1);
    const Runs runs = RunsForward(c, images, c.tap_step());
    const std::vector<int32_t> places = PlacesOfInputs(c, images);
    // Each worker sums over some of the steps, for some of the groups that are written.
    const int64_t steps = cut.bands * cut.steps, groups = (shape_.filters + kNear - 1) / kNear;
    const int64_t floats = images.floats() + results.floats();
    const int64_t vectors = (count + shape_.channels) * cut.stretch * cut.bands;
    const int64_t workers = Workers(vectors, steps * groups, floats + count);
    const int64_t slices = std::min(steps, workers), parts = std::min((workers + slices - 1) / slices, groups);
    float* memory = allocate_(slices * parts * floats + (slices - 1) * count);
    float* sums = memory + slices * parts * floats;  // of all slices but the first
    InParts(workers, (slices - 1) * count, [&](int64_t begin, int64_t end) { std::fill(sums + begin, sums + end, 0.f); });
    parallel_(slices * parts, [&](int64_t worker) {
      const int64_t slice = worker % slices, part = worker / slices;
      const int64_t first = FirstGroup(order, part, parts, groups), last = FirstGroup(order, part + 1, parts, groups);
      if (first == last) return;
      float* image = memory + worker * floats;
      float* result = image + images.floats();
      float* to = slice ? sums + (slice - 1) * count : dvalues;
      Along along(cut, images.reach), behind(cut, 0);
      for (int64_t step = slice * steps / slices; step < (slice + 1) * steps / slices; ++step) {
        along.MoveTo(step);
        behind.MoveTo(step);
        PackImage(images, along, x, image);
        PackResults(results, behind, first * kNear, std::min(last * kNear, shape_.filters), dy, result);
        for (int64_t group = first; group < last; ++group)
          AddDots(image + along.from * kLanes, images.plane, result + along.from * kLanes, results.plane, group, order,
                  runs, places.empty() ? nullptr : places.data(), along.count, each(c), to);
      }
    });
    InParts(workers, count, [&](int64_t begin, int64_t end) {
      for (int64_t slice = 1; slice < slices; ++slice)
        for (int64_t i = begin; i < end; ++i) dvalues[i] += sums[(slice - 1) * count + i];
    });
  }

 private:
  // Steps of which so many planes fit the cache; of `least` vectors or more.
  Cut CutFor(int64_t planes, int64_t least) const {
    const int64_t needed = (shape_.line() + kLanes - 1) / kLanes, reach = high_ - low_;
    const int64_t fits = std::max({kStepFloats / (planes * kLanes) - reach, least, int64_t{2 * kTile}}) / kTile * kTile;
    // What windows reach beyond a stretch is packed for the next one, too: there should be little of it.
    const int64_t longest = std::max(fits, 4 * reach);
    Cut cut;
    cut.bands = (needed + longest - 1) / longest;
    cut.stretch = (needed + cut.bands - 1) / cut.bands;
    // For every worker something to do.
    const int64_t share = cut.stretch * cut.bands / workers_ / kTile * kTile;
    cut.step = std::min({fits, std::max<int64_t>(share, kTile / 2), cut.stretch});
    if (least) cut.step = (cut.stretch + cut.stretch / cut.step - 1) / (cut.stretch / cut.step);  // and no short one
    cut.steps = (cut.stretch + cut.step - 1) / cut.step;
    return cut;
  }

  // As many as have something to do, and as have room: scratch memory is not to outgrow what is read and written.
  int64_t Workers(int64_t vectors, int64_t units, int64_t floats) const {
    const int64_t image = shape_.rows.in * shape_.columns.in * shape_.channels;
    const int64_t result = shape_.rows.out * shape_.columns.out * shape_.filters;
    const int64_t room = std::max(shape_.batch * (image + result), kRoomFloats);
    return std::max<int64_t>(1, std::min({workers_, units, vectors / kWorthAThread + 1, room / std::max<int64_t>(floats, 1)}));
  }

  // Values of a connection.
  int64_t each(const Connections& c) const { return c.is_by_position ? 1 : taps_; }

  // Calls `work(begin, end)` for about equal parts of `count`.
  template <typename Work>
  void InParts(int64_t parts, int64_t count, const Work& work) const {
    if (count) parallel_(parts, [&](int64_t part) { work(part * count / parts, (part + 1) * count / parts); });
  }

  // With the values in that order.
  List Listed(const Order& order, const float* values, const Connections& c, const std::vector<int32_t>& places) const {
    List list{&order, values, each(c), places.empty() ? nullptr : places.data()};
    if (order.at.empty()) return list;
    float* sorted = allocate_(std::max<int64_t>(order.count() * list.each, 1));
    const int64_t workers = Workers(order.count() * list.each, order.count(), 0), step = c.tap_step();
    InParts(workers, order.count(), [&](int64_t begin, int64_t end) {
      if (list.each == 1)
        for (int64_t i = begin; i < end; ++i) sorted[i] = values[order.at[i]];
      else
        for (int64_t i = begin; i < end; ++i)
          for (int64_t t = 0; t < list.each; ++t) sorted[i * list.each + t] = values[order.at[i] + t * step];
    });
    list.values = sorted;
    return list;
  }

  // Where the groups of a part begin, if each is to have the same number of connections.
  static int64_t FirstGroup(const Order& order, int64_t part, int64_t parts, int64_t groups) {
    int64_t group = 0;
    while (group < groups && order.before(group) < part * order.count() / parts) ++group;
    return part == parts ? groups : group;
  }

  // Where a position reads, in vectors: of each channel in its planes, of each result in its plane.
  std::vector<int32_t> PlacesOfInputs(const Connections& c, const Planes& planes) const {
    std::vector<int32_t> places;
    if (c.is_by_position)
      for (int64_t t = 0; t < taps_; ++t)
        for (int64_t channel = 0; channel < shape_.channels; ++channel)
          places.push_back(channel * (planes.plane / kLanes) + slot_[shape_.phase(t)] * planes.vectors +
                           shape_.shift(t) - low_);
    return places;
  }

  std::vector<int32_t> PlacesOfResults(const Planes& planes) const {
    std::vector<int32_t> places;
    for (int64_t filter = 0; filter < shape_.filters; ++filter)
      for (int64_t t = 0; t < taps_; ++t) places.push_back(filter * (planes.plane / kLanes) + high_ - shape_.shift(t));
    return places;
  }

  Planes OfImage(const Cut& cut) const { return Planes(shape_.channels, cut, low_, high_ - low_, read_); }

  // Values of neighbouring positions lie `step` apart.
  Runs RunsForward(const Connections& c, const Planes& planes, int64_t step) const {
    if (c.is_by_position) return Runs({{0, 0}});
    std::vector<std::pair<int64_t, int64_t>> taps;
    for (int64_t t = 0; t < taps_; ++t)
      taps.emplace_back(slot_[shape_.phase(t)] * planes.vectors + shape_.shift(t) - low_, t * step);
    return Runs(taps);
  }

  void PackImage(const Planes& planes, const Along& along, const float* x, float* to) const {
    const int64_t count = along.packed - along.pack;
    std::vector<int64_t> pixels(count * kLanes);
    for (int64_t phase = 0; phase < shape_.phases(); ++phase) {
      if (slot_[phase] < 0) continue;
      for (int64_t l = 0; l < kLanes; ++l)
        shape_.Pixels(phase, along.cell(l) + planes.low + along.pack, count, kLanes, pixels.data() + l);
      Pack(x, shape_.channels, 0, shape_.channels, pixels.data(), count, planes.plane,
           to + (slot_[phase] * planes.vectors + along.pack) * kLanes);
    }
  }

  void PackResults(const Planes& planes, const Along& along, int64_t first, int64_t last, const float* dy,
                   float* to) const {
    const int64_t count = along.packed - along.pack;
    std::vector<int64_t> pixels(count * kLanes);
    for (int64_t l = 0; l < kLanes; ++l)
      shape_.Results(along.cell(l) + planes.low + along.pack, count, kLanes, pixels.data() + l);
    Pack(dy, shape_.filters, first, last, pixels.data(), count, planes.plane, to + along.pack * kLanes);
  }

  // What each of `channels` gathers, written to `image`, phase by phase; `kNear` channels of one step are one unit of
  // work.
  template <typename PackStep, typename Find>
  void Walk(const Planes& planes, const Cut& cut, const std::vector<List>& lists, const std::vector<Runs>& phases, int64_t channels,
            float* image, const PackStep& pack, const Find& find) const {
    const int64_t groups = (channels + kNear - 1) / kNear, units = cut.bands * cut.steps * groups;
    // Groups have unlike numbers of connections; a group costs something even if it has none.
    const auto cost = [&](int64_t group) {
      int64_t before = 0;
      for (const List& list : lists) before += list.order->before(group);
      return before * lists[0].each + group * 4 * kNear;
    };
    const int64_t step_cost = cost(groups), total = step_cost * cut.bands * cut.steps;
    const auto unit_at = [&](int64_t share) {  // the first unit at or beyond a share of the cost
      int64_t low = share / step_cost * groups, high = std::min(low + groups, units);
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (middle / groups * step_cost + cost(middle % groups) < share)
          low = middle + 1;
        else
          high = middle;
      }
      return low;
    };
    const int64_t workers = Workers((step_cost + planes.channels) * cut.stretch * cut.bands, units, planes.floats());
    float* memory = allocate_(workers * planes.floats());
    const int64_t per_phase = cut.step * kLanes;
    std::vector<std::vector<int64_t>> cells(workers, std::vector<int64_t>(per_phase * phases.size()));
    parallel_(workers, [&](int64_t worker) {
      float* mine = memory + worker * planes.floats();
      int64_t* pixels = cells[worker].data();
      Along along(cut, planes.reach);
      int64_t step = -1;
      const int64_t end = worker + 1 == workers ? units : unit_at(total * (worker + 1) / workers);
      for (int64_t unit = unit_at(total * worker / workers); unit < end; ++unit) {
        if (unit / groups != step) {
          along.MoveTo(step = unit / groups);
          pack(along, mine);
          for (size_t phase = 0; phase < phases.size(); ++phase)
            for (int64_t l = 0; l < kLanes; ++l)
              find(phase, along.cell(l) + along.from, along.count, pixels + phase * per_phase + l);
        }
        for (size_t phase = 0; phase < phases.size(); ++phase)
          Group(mine + along.from * kLanes, planes.plane, along.count, lists[lists.size() > 1 ? phase : 0],
                phases[phase], unit % groups * kNear,
                channels, pixels + phase * per_phase, image);
      }
    });
  }

  static void Group(const float* planes, int64_t plane, int64_t count, const List& list, const Runs& runs,
                    int64_t near, int64_t channels, const int64_t* pixels, float* image) {
    const int64_t last = std::min(near + kNear, channels);
    for (int64_t j = 0; j < count;) {
      const int64_t left = count - j, tile = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      for (int64_t v = 0; v < tile; ++v) Fetch<1>(image, channels, near, last, pixels + (j + v) * kLanes);
      const float* from = planes + j * kLanes;
      Vec sums[kNear][kTile];
      switch (tile) {
        case 8: Gather<8>(from, plane, list, near, last, runs, sums); break;
        case 4: Gather<4>(from, plane, list, near, last, runs, sums); break;
        case 2: Gather<2>(from, plane, list, near, last, runs, sums); break;
        default: Gather<1>(from, plane, list, near, last, runs, sums);
      }
      for (int64_t first = near; first < last; first += kLanes) {
        const int64_t some = std::min<int64_t>(kLanes, last - first);
        for (int64_t v = 0; v < tile; ++v) {
          Vec square[kLanes] = {};
          for (int64_t k = 0; k < some; ++k) square[k] = sums[first - near + k][v];
          Unpack(square, some, pixels + (j + v) * kLanes, channels, first, image);
        }
      }
      j += tile;
    }
  }

  // Adds the products of what is read with what a group of channels writes, connection by connection.
  static void AddDots(const float* image, int64_t image_plane, const float* result, int64_t result_plane, int64_t group,
                      const Order& order, const Runs& runs, const int32_t* places, int64_t count, int64_t each,
                      float* sums) {
    const int32_t *sources = order.sources, *at = order.at.empty() ? nullptr : order.at.data();
    const auto read = [=](int64_t i) {
      return image + (places ? int64_t{places[sources[i]]} * kLanes : sources[i] * image_plane);
    };
    const auto sum = [=](int64_t i) { return sums + (at ? at[i] : i * each); };
    const int64_t segments = order.reads * kNear;
    const int32_t* starts = order.starts.data() + group * segments;
    for (int64_t segment = 0; segment < segments; ++segment) {
      const float* with = result + (group * kNear + segment % kNear) * result_plane;
      const int64_t begin = starts[segment], end = starts[segment + 1];
      for (const Run& run : runs.of[1]) {
        // Single positions, of several connections at once.
        const float* reads[kMany];
        int64_t i = begin;
        for (; i + kMany <= end; i += kMany) {
          for (int64_t k = 0; k < kMany; ++k) reads[k] = read(i + k) + run.offset;
          const Vec dots = DotsOfMany(with, reads, count);
          for (int64_t k = 0; k < kMany; ++k) sum(i + k)[run.value[0]] += dots[k];
        }
        if (i == end) continue;
        for (int64_t k = 0; k < kMany; ++k) reads[k] = read(std::min(i + k, end - 1)) + run.offset;
        const Vec dots = DotsOfMany(with, reads, count);
        for (int64_t k = 0; i + k < end; ++k) sum(i + k)[run.value[0]] += dots[k];
      }
      if (runs.of[2].empty() && runs.of[3].empty()) continue;
      for (int64_t i = begin; i < end; ++i) {
        for (const Run& run : runs.of[3]) AddRunDots<3>(with, read(i), run, count, sum(i));
        for (const Run& run : runs.of[2]) AddRunDots<2>(with, read(i), run, count, sum(i));
      }
    }
  }

  template <int n>
  static void AddRunDots(const float* with, const float* x, const Run& run, int64_t count, float* sums) {
    float dots[n];
    DotsOfRun<n>(with, x + run.offset, count, dots);
    for (int k = 0; k < n; ++k) sums[run.value[k]] += dots[k];
  }

  const Shape shape_;
  const int64_t workers_;
  const Parallel& parallel_;
  const Allocate& allocate_;
  const int64_t taps_;
  int64_t read_ = 0, low_ = 0, high_ = 0;  // phases that are read; the range of shifts
  std::vector<int64_t> slot_;              // of each phase among those, -1 for none
};

}  // namespace keras_sparse

#endif  // KERAS_SPARSE_PRODUCT_H_
