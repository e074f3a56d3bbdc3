// Runs the three products, and normalisation, over random shapes beside plain loops in double precision. It needs no
// TensorFlow, so that it builds in seconds, with AddressSanitizer and for any processor: `keras-sparse kernels --check`.
//
//   check [shapes] [seed]         exit code 1 and a line for each product that differs

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

#include "normalization.h"
#include "product.h"

using namespace keras_sparse;

namespace {

std::mt19937 random_bits;

int64_t Draw(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_bits); }

// Exactly as long as it must be, so that a sanitizer sees the first byte beyond.
std::unique_ptr<float[]> Numbers(int64_t count) {
  std::unique_ptr<float[]> numbers(new float[count]);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < count; ++i) numbers[i] = normal(random_bits);
  return numbers;
}

// Every worker a thread.
void AtOnce(int64_t workers, const std::function<void(int64_t)>& work) {
  std::vector<std::thread> threads;
  for (int64_t worker = 0; worker < workers; ++worker) threads.emplace_back(work, worker);
  for (std::thread& thread : threads) thread.join();
}

bool Agree(const char* what, const float* fast, const std::vector<double>& plain) {
  double largest = 1, worst = 0;
  for (double value : plain) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < plain.size(); ++i) {
    const double difference = std::abs(fast[i] - plain[i]);
    worst = difference > worst || std::isnan(difference) ? difference : worst;
  }
  if (worst <= 2e-5 * largest) return true;
  std::printf("  %s differs by %g (largest value %g)\n", what, worst, largest);
  return false;
}

bool OneShape() {
  // Products take 64 channels at a time: some shapes have more, and then few pixels and positions.
  const bool is_wide = !Draw(0, 3);
  const int64_t most = is_wide ? 200 : 40, longest = is_wide ? 3 : 5;
  const bool is_by_position = !Draw(0, 2);
  const int64_t block = is_by_position || Draw(0, 1) ? 1 : Draw(2, 4), rows = Draw(1, most / block), columns = Draw(1, most / block);
  const int64_t batch = Draw(0, 4), channels = rows * block, filters = columns * block;
  const int64_t kh = Draw(1, longest), kw = Draw(1, longest), sh = Draw(1, 3), sw = Draw(1, 3), dh = Draw(1, 3), dw = Draw(1, 3);
  const int64_t height = Draw(1, is_wide ? 6 : 20), width = Draw(1, is_wide ? 40 : 90);
  const int64_t top = Draw(0, (kh - 1) * dh), left = Draw(0, (kw - 1) * dw);
  const int64_t bottom = Draw(0, (kh - 1) * dh), right = Draw(0, (kw - 1) * dw);
  const int64_t reach_h = (kh - 1) * dh + 1, reach_w = (kw - 1) * dw + 1;
  if (height + top + bottom < reach_h || width + left + right < reach_w) return OneShape();  // another
  const int64_t oh = (height + top + bottom - reach_h) / sh + 1, ow = (width + left + right - reach_w) / sw + 1;
  const Shape shape{batch, channels, filters, Axis(height, oh, kh, sh, dh, top), Axis(width, ow, kw, sw, dw, left)};

  std::vector<int32_t> inputs, outputs;
  const int64_t in_a_hundred = Draw(0, is_wide ? 20 : 100);
  const int64_t taps = kh * kw, each = is_by_position ? 1 : taps;
  for (int32_t o = 0; o < columns; ++o)
    for (int32_t i = 0; i < rows * (is_by_position ? taps : 1); ++i)
      if (Draw(0, 99) < in_a_hundred) inputs.push_back(i), outputs.push_back(o);
  const int64_t pairs = inputs.size(), count = pairs * block * block, xs = batch * height * width * channels;
  const int64_t ys = batch * oh * ow * filters;
  const auto x = Numbers(xs), dy = Numbers(ys), values = Numbers(count * each);
  // What the operations write must not depend on what was there.
  auto y = Numbers(ys), dx = Numbers(xs), dvalues = Numbers(count * each);

  std::vector<std::unique_ptr<float[]>> scratch;
  const Allocate allocate = [&](int64_t floats) {
    scratch.push_back(Numbers(floats));
    return scratch.back().get();
  };
  const Parallel parallel = AtOnce;
  const Product product(shape, Draw(1, 5), parallel, allocate);
  const Connections c{pairs, inputs.data(), outputs.data(), block, is_by_position};
  product.Forward(x.get(), values.get(), c, Order::Forward(shape, c), y.get());
  product.GradientToInputs(dy.get(), values.get(), c, Order::ToInputs(shape, c), dx.get());
  product.GradientToValues(x.get(), dy.get(), c, Order::ToValues(shape, c), dvalues.get());

  std::vector<double> plain_y(ys), plain_dx(xs), plain_dvalues(count * each);
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t oy = 0; oy < oh; ++oy)
      for (int64_t ox = 0; ox < ow; ++ox)
        for (int64_t tap = 0; tap < taps; ++tap) {
          const int64_t iy = oy * sh + tap / kw * dh - top, ix = ox * sw + tap % kw * dw - left;
          if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
          for (int64_t pair = 0; pair < pairs; ++pair) {
            if (is_by_position && inputs[pair] / channels != tap) continue;
            const int64_t input = inputs[pair] % rows, value_tap = is_by_position ? 0 : tap;
            for (int64_t in = 0; in < block; ++in)
              for (int64_t out = 0; out < block; ++out) {
                const int64_t value = ((pair * each + value_tap) * block + in) * block + out;
                const int64_t from = ((n * height + iy) * width + ix) * channels + input * block + in;
                const int64_t to = ((n * oh + oy) * ow + ox) * filters + outputs[pair] * block + out;
                plain_y[to] += double(x[from]) * values[value];
                plain_dx[from] += double(dy[to]) * values[value];
                plain_dvalues[value] += double(dy[to]) * x[from];
              }
          }
        }
  const bool forward = Agree("forward", y.get(), plain_y);
  const bool to_inputs = Agree("gradient to inputs", dx.get(), plain_dx);
  const bool to_values = Agree("gradient to values", dvalues.get(), plain_dvalues);
  if (forward && to_inputs && to_values) return true;
  std::printf("batch %d, %d x %d pixels, %d to %d channels, %d connections in blocks of %d%s, kernel %d x %d, strides %d %d, dilation %d "
              "%d, padding %d %d %d %d\n", int(batch), int(height), int(width), int(channels), int(filters), int(count), int(block), is_by_position ? ", by position" : "",
              int(kh), int(kw), int(sh), int(sw), int(dh), int(dw), int(top), int(bottom), int(left), int(right));
  return false;
}

// Quarters, of which no rounding changes the sign.
std::unique_ptr<float[]> Quarters(int64_t count) {
  auto numbers = Numbers(count);
  for (int64_t i = 0; i < count; ++i) numbers[i] = std::round(4 * numbers[i]) / 4;
  return numbers;
}

bool OneNormalization() {
  const int64_t rows = Draw(0, 300), count = Draw(1, 5), gap = Draw(0, 3);
  std::vector<std::unique_ptr<float[]>> data;
  Normalization n;
  int64_t width = Draw(0, 9);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t channels = Draw(1, 40);
    data.push_back(Quarters(rows * channels));
    n.parts.push_back(Part{data[i].get(), channels, n.channels, width});
    n.channels += channels, width += channels + gap;
  }
  const auto mean = Quarters(n.channels), scale = Quarters(n.channels), shift = Quarters(n.channels);
  n.mean = mean.get(), n.scale = scale.get(), n.shift = shift.get();
  const auto dy = Numbers(rows * n.channels), y = Numbers(rows * n.channels), dx = Numbers(rows * width);
  std::vector<double> plain_y(rows * n.channels), plain_dx(dx.get(), dx.get() + rows * width);
  std::vector<double> plain_sums(2 * n.channels), sums(2 * n.channels);
  const Part& first = n.parts[0];
  std::vector<double> plain_moments(2 * first.channels), moments(2 * first.channels);
  for (int64_t row = 0; row < rows; ++row)
    for (const Part& part : n.parts)
      for (int64_t i = 0; i < part.channels; ++i) {
        const int64_t c = part.offset + i, at = row * n.channels + c;
        const double centered = part.data[row * part.channels + i] - mean[c];
        plain_y[at] = std::max(centered * scale[c] + shift[c], 0.0);
        const double passed = plain_y[at] > 0 ? dy[at] : 0;
        plain_dx[row * width + part.gradient + i] += passed * scale[c];
        plain_sums[c] += passed, plain_sums[n.channels + c] += passed * centered;
        if (&part == &first) plain_moments[i] += centered, plain_moments[first.channels + i] += centered * centered;
      }
  n.Forward(0, rows, y.get());
  n.Backward(0, rows, dy.get(), dx.get(), width, sums.data());
  SumMoments(first.data, first.channels, mean.get(), 0, rows, moments.data());
  const auto single = [](const std::vector<double>& numbers) { return std::vector<float>(numbers.begin(), numbers.end()); };
  return Agree("normalisation", y.get(), plain_y) & Agree("its gradient", dx.get(), plain_dx) &
         Agree("its sums", single(sums).data(), plain_sums) & Agree("moments", single(moments).data(), plain_moments);
}

}  // namespace

int main(int count, char** arguments) {
  const int shapes = count > 1 ? std::atoi(arguments[1]) : 300;
  random_bits.seed(count > 2 ? std::atoi(arguments[2]) : 0);
  int failed = 0;
  for (int i = 0; i < shapes; ++i) failed += !OneShape() || !OneNormalization();
  std::printf("%d lanes: %d shapes, %d failed\n", kLanes, shapes, failed);
  return failed > 0;
}
