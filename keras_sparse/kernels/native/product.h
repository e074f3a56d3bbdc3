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

// Connections sorted by output, with a value for each position of the kernel; or, `is_by_position`, with one value each
// and inputs that count positions too: position * channels + channel.
struct Connections {
  int64_t count;
  const int32_t* inputs;
  const int32_t* outputs;
  const float* values;
  bool is_by_position = false;
};

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
  void Forward(const float* x, const Connections& c, float* y) const {
    if (!shape_.line()) return;
    const Cut cut = CutFor(shape_.channels * read_, 0);
    const Planes planes = OfImage(cut);
    const bool is_single = taps_ == 1 || c.is_by_position;
    List list = is_single ? ByOutput(c) : BySource(c, c.outputs, c.inputs, shape_.filters, shape_.channels);
    const std::vector<int32_t> places = PlacesOfInputs(c, planes);
    list.places = places.empty() ? nullptr : places.data();
    Walk(planes, cut, {list}, {RunsForward(c, planes)}, shape_.filters, y,
         [&](const Along& along, float* to) { PackImage(planes, along, x, to); },
         [&](int64_t, int64_t cell, int64_t count, int64_t* pixels) { shape_.Results(cell, count, kLanes, pixels); });
  }

  // `dx`: (batch, in, in, channels).
  void GradientToInputs(const float* dy, const Connections& c, float* dx) const {
    if (!shape_.line()) return;
    const Cut cut = CutFor(shape_.filters, 0);
    const Planes planes(shape_.filters, cut, -high_, high_ - low_, 1);
    std::vector<std::vector<std::pair<int64_t, int64_t>>> taps(shape_.phases());
    for (int64_t t = 0; t < taps_; ++t) taps[shape_.phase(t)].emplace_back(high_ - shape_.shift(t), t);
    std::vector<int32_t> places;
    std::vector<List> lists;
    if (c.is_by_position) {
      places = PlacesOfResults(planes);
      lists = ByPhase(c, places.data());
      for (auto& of_phase : taps) of_phase = {{0, 0}};
    } else if (taps_ == 1) {
      lists = {ByInput(c)};
    } else {
      lists = {BySource(c, c.inputs, c.outputs, shape_.channels, shape_.filters)};
    }
    // Phases that no position reads are zero.
    Walk(planes, cut, lists, std::vector<Runs>(taps.begin(), taps.end()), shape_.channels, dx,
         [&](const Along& along, float* to) { PackResults(planes, along, 0, shape_.filters, dy, to); },
         [&](int64_t phase, int64_t cell, int64_t count, int64_t* pixels) {
           shape_.Pixels(phase, cell, count, kLanes, pixels);
         });
  }

  // `dvalues`: (connections, taps).
  void GradientToValues(const float* x, const float* dy, const Connections& c, float* dvalues) const {
    const int64_t each = c.is_by_position ? 1 : taps_, count = c.count * each;
    std::fill_n(dvalues, count, 0.f);
    if (!shape_.line() || !c.count) return;
    const Cut cut = CutFor(shape_.channels * read_ + shape_.filters, 2 * (high_ - low_));  // long sums: each ends slowly
    const Planes images = OfImage(cut), results(shape_.filters, cut, 0, 0, 1);
    const Runs runs = RunsForward(c, images);
    const std::vector<int32_t> places = PlacesOfInputs(c, images);
    // Each worker sums over some of the steps, for some of the connections.
    const int64_t steps = cut.bands * cut.steps;
    const int64_t floats = images.floats() + results.floats();
    const int64_t vectors = (count + shape_.channels) * cut.stretch * cut.bands;
    const int64_t workers = Workers(vectors, steps * c.count, floats + count);
    const int64_t slices = std::min(steps, workers), parts = std::min((workers + slices - 1) / slices, c.count);
    float* memory = allocate_(slices * parts * floats + (slices - 1) * count);
    float* sums = memory + slices * parts * floats;  // of all slices but the first
    parallel_(slices * parts, [&](int64_t worker) {
      const int64_t slice = worker % slices, part = worker / slices;
      const int64_t begin = part * c.count / parts, end = (part + 1) * c.count / parts;
      float* image = memory + worker * floats;
      float* result = image + images.floats();
      float* to = slice ? sums + (slice - 1) * count : dvalues;
      if (slice) std::fill(to + begin * each, to + end * each, 0.f);
      Along along(cut, images.reach), behind(cut, 0);
      for (int64_t step = slice * steps / slices; step < (slice + 1) * steps / slices; ++step) {
        along.MoveTo(step);
        behind.MoveTo(step);
        PackImage(images, along, x, image);
        PackResults(results, behind, c.outputs[begin], c.outputs[end - 1] + 1, dy, result);
        AddDots(image + along.from * kLanes, images.plane, result + along.from * kLanes, results.plane, c, begin, end,
                runs, places, along.count, each, to);
      }
    });
    for (int64_t slice = 1; slice < slices; ++slice)
      for (int64_t i = 0; i < count; ++i) dvalues[i] += sums[(slice - 1) * count + i];
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

  // As they come.
  List ByOutput(const Connections& c) const {
    std::vector<int64_t> starts(shape_.filters + 1);
    for (int64_t o = 0; o <= shape_.filters; ++o)
      starts[o] = std::lower_bound(c.outputs, c.outputs + c.count, o) - c.outputs;
    return List{false, std::move(starts), c.inputs, nullptr, 1, c.values, 1, nullptr};
  }

  List ByInput(const Connections& c) const {
    return Sorted<1>(c, shape_.channels, [&](int64_t i) { return c.inputs[i]; },
                     [&](int64_t i, int32_t* to) { to[0] = c.outputs[i]; });
  }

  // Those of each phase by input; sources are outputs and positions.
  std::vector<List> ByPhase(const Connections& c, const int32_t* places) const {
    const int64_t channels = shape_.channels;
    const List all = Sorted<1>(
        c, shape_.phases() * channels,
        [&](int64_t i) { return shape_.phase(c.inputs[i] / channels) * channels + c.inputs[i] % channels; },
        [&](int64_t i, int32_t* to) { to[0] = c.outputs[i] * taps_ + c.inputs[i] / channels; });
    std::vector<List> lists(shape_.phases(), all);
    for (int64_t phase = 0; phase < shape_.phases(); ++phase) {
      const auto first = all.starts.begin() + phase * channels;
      lists[phase].starts.assign(first, first + channels + 1);
      lists[phase].places = places;
    }
    return lists;
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

  // Those to the first `kNear` of `targets` first, and within them by source.
  List BySource(const Connections& c, const int32_t* targets, const int32_t* sources, int64_t writes,
                int64_t reads) const {
    const int64_t groups = (writes + kNear - 1) / kNear;
    List list = Sorted<2>(c, groups * reads, [&](int64_t i) { return targets[i] / kNear * reads + sources[i]; },
                       [&](int64_t i, int32_t* to) { to[0] = sources[i], to[1] = targets[i] % kNear; });
    list.is_by_source = true;
    for (int64_t g = 0; g <= groups; ++g) list.starts[g] = list.starts[g * reads];
    return list;
  }

  // Copies in the order of a key in [0, keys), each with its values: memory is written at one place per key.
  template <int indices, typename Key, typename Index>
  List Sorted(const Connections& c, int64_t keys, const Key& key, const Index& index) const {
    std::vector<int64_t> starts(keys + 1);
    for (int64_t i = 0; i < c.count; ++i) ++starts[key(i) + 1];
    for (int64_t k = 0; k < keys; ++k) starts[k + 1] += starts[k];
    std::vector<int64_t> next(starts.begin(), starts.end() - 1);
    const int64_t taps = indices == 1 ? 1 : taps_, step = taps + indices;  // known to the compiler where it counts
    float* sorted = allocate_(std::max<int64_t>(c.count * step, 1));
    for (int64_t i = 0; i < c.count; ++i) {
      float* to = sorted + next[key(i)]++ * step;
      int32_t own[indices];
      index(i, own);
      std::memcpy(to, own, sizeof(own));
      for (int64_t t = 0; t < taps; ++t) to[indices + t] = c.values[i * taps + t];
    }
    const int32_t* sources = reinterpret_cast<const int32_t*>(sorted);
    return List{false, std::move(starts), sources, sources + 1, step, sorted + indices, step, nullptr};
  }

  Planes OfImage(const Cut& cut) const { return Planes(shape_.channels, cut, low_, high_ - low_, read_); }

  Runs RunsForward(const Connections& c, const Planes& planes) const {
    if (c.is_by_position) return Runs({{0, 0}});
    std::vector<std::pair<int64_t, int64_t>> taps;
    for (int64_t t = 0; t < taps_; ++t)
      taps.emplace_back(slot_[shape_.phase(t)] * planes.vectors + shape_.shift(t) - low_, t);
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
      for (const List& list : lists) before += list.starts[list.is_by_source ? group : std::min(group * kNear, channels)];
      return before * (lists[0].is_by_source ? taps_ : 1) + group * 4 * kNear;
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

  // Adds the products of what is read with what is written, connection by connection, `each` values to one.
  static void AddDots(const float* image, int64_t image_plane, const float* result, int64_t result_plane,
                      const Connections& c, int64_t begin, int64_t end, const Runs& runs,
                      const std::vector<int32_t>& places, int64_t count, int64_t each, float* sums) {
    const auto place = [&](int64_t i) {
      return image + (places.empty() ? c.inputs[i] * image_plane : int64_t{places[c.inputs[i]]} * kLanes);
    };
    for (int64_t i = begin; i < end;) {
      const int32_t output = c.outputs[i];
      const float* with = result + output * result_plane;
      int64_t last = i;
      while (last < end && c.outputs[last] == output) ++last;
      for (const Run& run : runs.of[1]) {
        // Single positions, of several connections at once.
        float* own = sums + run.value[0];
        for (int64_t first = i; first < last; first += kMany) {
          const float* reads[kMany];
          for (int64_t k = 0; k < kMany; ++k) reads[k] = place(std::min(first + k, last - 1)) + run.offset;
          const Vec dots = DotsOfMany(with, reads, count);
          for (int64_t k = 0; k < std::min<int64_t>(kMany, last - first); ++k) own[(first + k) * each] += dots[k];
        }
      }
      if (runs.of[2].empty() && runs.of[3].empty()) {
        i = last;
        continue;
      }
      for (; i < last; ++i) {
        for (const Run& run : runs.of[3]) AddRunDots<3>(with, place(i), run, count, sums + i * each);
        for (const Run& run : runs.of[2]) AddRunDots<2>(with, place(i), run, count, sums + i * each);
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
