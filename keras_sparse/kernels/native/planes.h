// How images become planes of vectors, in which a connection between two channels is a product of one number with one
// register after another.
//
// The pixels of all images lie on one line, `columns.length` cells to a row of an image and `rows.length` rows to an
// image. The cells behind the last pixel of a row, and the rows behind the last one, are zeros that neighbours share;
// there are so many that a window which leaves the image reads zeros. A position of the kernel is then one shift along
// the line, the same for every pixel of every image. With strides, the pixels that a position reads are those of one
// "phase", every stride-th row and column; each phase has a line of its own.
//
// A band is `kLanes` consecutive stretches of the line, one for each lane of a register: vector j of a plane holds cell
// j of every stretch. A shift by one cell is then one vector further on. So no load crosses a line of the cache, and
// neighbouring positions of a kernel read the same registers. What windows reach beyond a stretch is there twice.

#ifndef KERAS_SPARSE_PLANES_H_
#define KERAS_SPARSE_PLANES_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace keras_sparse {

// GCC's and Clang's vectors: the same source for AVX-512, AVX2, and whatever else the processor has.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef float Unaligned __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Vec Load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
inline void Store(float* to, Vec value) { *reinterpret_cast<Unaligned*>(to) = value; }

// Lanes of two vectors, counted through: `k` below `kLanes` is of the first.
template <std::size_t... k>
inline Vec Shuffle(Vec a, Vec b) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, k...);
#else
  typedef int32_t Lanes __attribute__((vector_size(4 * kLanes)));
  return __builtin_shuffle(a, b, Lanes{k...});
#endif
}

template <int step, std::size_t... k>
inline void Exchange(Vec& a, Vec& b, std::index_sequence<k...>) {
  // Swaps the halves of the blocks of 2 * step numbers that lie off the diagonal.
  const Vec low = Shuffle<((k & step) ? kLanes + k - step : k)...>(a, b);
  const Vec high = Shuffle<((k & step) ? kLanes + k : k + step)...>(a, b);
  a = low;
  b = high;
}

template <int step>
inline void TransposeFrom(Vec* rows) {
  if constexpr (step < kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i)
      if (!(i & step)) Exchange<step>(rows[i], rows[i + step], std::make_index_sequence<kLanes>());
    TransposeFrom<2 * step>(rows);
  }
}

// A square of numbers, in registers.
inline void Transpose(Vec* rows) { TransposeFrom<1>(rows); }

// Rows, or columns, of an image, of its convolution, and of the line on which both lie.
struct Axis {
  int64_t in, out, stride;
  std::vector<int64_t> phase, shift;  // for each position of the kernel: which line, and how far along
  int64_t length;                     // cells, zeros included

  Axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t before)
      : in(in), out(out), stride(stride) {
    int64_t back = 0, ahead = 0;
    for (int64_t p = 0; p < kernel; ++p) {
      const int64_t reads = p * dilation - before;
      phase.push_back(((reads % stride) + stride) % stride);
      shift.push_back((reads - phase.back()) / stride);
      back = std::max(back, -shift.back());
      ahead = std::max(ahead, shift.back());
    }
    length = std::max(out + ahead, (in + stride - 1) / stride + back);
  }
};

// Sizes of a convolution; a dense layer is one of images of one pixel.
struct Shape {
  int64_t batch, channels, filters;
  Axis rows, columns;

  int64_t taps() const { return rows.phase.size() * columns.phase.size(); }
  int64_t line() const { return batch * rows.length * columns.length; }
  int64_t phases() const { return rows.stride * columns.stride; }
  int64_t phase(int64_t tap) const {
    const int64_t kw = columns.phase.size();
    return rows.phase[tap / kw] * columns.stride + columns.phase[tap % kw];
  }
  int64_t shift(int64_t tap) const {
    const int64_t kw = columns.phase.size();
    return rows.shift[tap / kw] * columns.length + columns.shift[tap % kw];
  }

  // Which pixel of the image each cell of a phase's line is, -1 for none; every `step`-th entry of `pixels`.
  void Pixels(int64_t phase, int64_t begin, int64_t count, int64_t step, int64_t* pixels) const {
    Cells(begin, count, step, pixels, rows.in, columns.in, rows.stride, columns.stride, phase / columns.stride,
          phase % columns.stride);
  }
  // The same for the result of the convolution.
  void Results(int64_t begin, int64_t count, int64_t step, int64_t* pixels) const {
    Cells(begin, count, step, pixels, rows.out, columns.out, 1, 1, 0, 0);
  }

 private:
  void Cells(int64_t begin, int64_t count, int64_t step, int64_t* pixels, int64_t height, int64_t width,
             int64_t row_stride, int64_t column_stride, int64_t first_row, int64_t first_column) const {
    const int64_t image = rows.length * columns.length;
    const int64_t before = begin < 0 ? (-begin + image - 1) / image * image : 0;  // division rounds towards zero
    int64_t n = (begin + before) / image - before / image, inside = (begin + before) % image;
    int64_t y = inside / columns.length, x = inside % columns.length;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = y * row_stride + first_row, column = x * column_stride + first_column;
      const bool is_pixel = n >= 0 && n < batch && row < height && column < width;
      pixels[i * step] = is_pixel ? (n * height + row) * width + column : -1;
      if (++x == columns.length) {
        x = 0;
        if (++y == rows.length) y = 0, ++n;
      }
    }
  }
};

// Asks for some channels of `kLanes` pixels before they are read, or written: they lie where no processor would look.
template <int write>
inline void Fetch(const float* image, int64_t channels, int64_t first, int64_t last, const int64_t* pixels) {
  for (int l = 0; l < kLanes; ++l)
    if (pixels[l] >= 0)
      for (int64_t c = first; c < last; c += 16) __builtin_prefetch(image + pixels[l] * channels + c, write);
}

// From pixels of `channels` numbers to planes of `count` vectors, `plane` floats apart; `kLanes` pixels to a vector.
inline void Pack(const float* image, int64_t channels, int64_t first, int64_t last, const int64_t* pixels,
                 int64_t count, int64_t plane, float* planes) {
  constexpr int64_t kAtOnce = 64;  // channels of a pixel: with more, too many pages would be open
  for (int64_t near = first; near < last; near += kAtOnce) {
    for (int64_t j = 0; j < count; ++j) {
      Fetch<0>(image, channels, near, std::min(near + kAtOnce, last), pixels + std::min(j + 2, count - 1) * kLanes);
      for (int64_t c = near; c < std::min(near + kAtOnce, last); c += kLanes) {
        const int64_t some = std::min<int64_t>(kLanes, last - c);
        Vec square[kLanes];
#pragma GCC unroll 16
        for (int l = 0; l < kLanes; ++l) {
          const int64_t pixel = pixels[j * kLanes + l];
          square[l] = Vec{};
          if (pixel < 0) continue;
          const float* from = image + pixel * channels + c;
          if (some == kLanes)
            square[l] = Load(from);
          else
            std::memcpy(&square[l], from, some * sizeof(float));
        }
        Transpose(square);
        for (int k = 0; k < some; ++k) Store(planes + (c + k) * plane + j * kLanes, square[k]);
      }
    }
  }
}

// From one vector of each of `some` planes, `kLanes` at most, back to pixels.
inline void Unpack(Vec* square, int64_t some, const int64_t* pixels, int64_t channels, int64_t first, float* image) {
  Transpose(square);
  for (int l = 0; l < kLanes; ++l) {
    if (pixels[l] < 0) continue;
    float* to = image + pixels[l] * channels + first;
    if (some == kLanes)
      Store(to, square[l]);
    else
      std::memcpy(to, &square[l], some * sizeof(float));
  }
}

}  // namespace keras_sparse

#endif  // KERAS_SPARSE_PLANES_H_
