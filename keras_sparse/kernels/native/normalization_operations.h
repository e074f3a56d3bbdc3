// TensorFlow's operations around the passes of normalization.h, for float32 on a CPU.
//
// Who reads several outputs of a block adds its gradient by them to `sum`: one tensor, (..., channels of all outputs), which
// goes from reader to reader and is written in place. A scalar in its place stands for zeros.

#pragma once

#include "normalization.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace keras_sparse {

REGISTER_OP("KerasSparseNormalization")
    .Input("parts: count * float")
    .Input("mean: float")
    .Input("scale: float")
    .Input("shift: float")
    .Output("y: float")
    .Attr("count: int >= 1")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle y;
      TF_RETURN_IF_ERROR(c->ReplaceDim(c->input(0), -1, c->Dim(c->input(c->num_inputs() - 3), 0), &y));
      c->set_output(0, y);
      return absl::OkStatus();
    });

REGISTER_OP("KerasSparseNormalizationGradient")
    .Input("parts: count * float")
    .Input("mean: float")
    .Input("scale: float")
    .Input("shift: float")
    .Input("dy: float")
    .Input("sum: float")
    .Output("new_sum: float")
    .Output("by_scale: float")
    .Output("by_shift: float")
    .Attr("count: int >= 1")
    .Attr("offsets: list(int)")
    .SetShapeFn([](InferenceContext* c) {
      const int count = c->num_inputs() - 5;
      const ShapeHandle sum = c->input(count + 4);
      c->set_output(0, c->RankKnown(sum) && c->Rank(sum) == 0 ? c->input(count + 3) : sum);
      c->set_output(1, c->input(count));
      c->set_output(2, c->input(count));
      return absl::OkStatus();
    });

REGISTER_OP("KerasSparseMoments")
    .Input("x: float")
    .Output("mean: float")
    .Output("variance: float")
    .SetShapeFn([](InferenceContext* c) {
      for (int i = 0; i < 2; ++i) c->set_output(i, c->MakeShape({c->Dim(c->input(0), -1)}));
      return absl::OkStatus();
    });

// Gradient by an output: what its readers have summed up, and `constant + slope * (x - mean)`, that of its moments.
REGISTER_OP("KerasSparseMomentsGradient")
    .Input("x: float")
    .Input("mean: float")
    .Input("constant: float")
    .Input("slope: float")
    .Input("sum: float")
    .Output("dx: float")
    .Attr("offset: int")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      return absl::OkStatus();
    });

class RowsKernel : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;

 protected:
  static int64_t Channels(const tf::Tensor& x) { return x.dims() ? x.dim_size(x.dims() - 1) : 0; }

  static int64_t Rows(const tf::Tensor& x) { return Channels(x) ? x.NumElements() / Channels(x) : 0; }

  tf::Status CheckVectors(tf::OpKernelContext* c, int first, int count, int64_t channels) const {
    for (int i = first; i < first + count; ++i)
      if (c->input(i).dims() != 1 || c->input(i).NumElements() != channels)
        return InvalidArgument("Vectors of ", name(), " must have ", channels, " numbers, one for each channel.");
    return absl::OkStatus();
  }

  // Of a gradient that is summed up: rows of enough channels, or a scalar.
  tf::Status CheckSum(const tf::Tensor& sum, int64_t rows, int64_t first, int64_t channels) const {
    if (!sum.dims() || (Rows(sum) == rows && first >= 0 && first + channels <= Channels(sum))) return absl::OkStatus();
    return InvalidArgument("`sum` of ", name(), " must have ", rows, " rows that hold channels ", first, " to ",
                           first + channels, ". Received: ", sum.shape().DebugString());
  }

  // Two vectors of sums over rows: of each piece of the rows on its own, so that they come out the same each time.
  template <typename Work>
  static std::vector<double> Sums(tf::OpKernelContext* c, int64_t rows, int64_t channels, const Work& work) {
    const auto* threads = c->device()->tensorflow_cpu_worker_threads();
    const int64_t pieces = std::max<int64_t>(1, std::min<int64_t>(threads->num_threads, rows * channels / 16384));
    std::vector<double> sums(pieces * 2 * channels);
    using tsl::thread::ThreadPool;
    threads->workers->ParallelFor(
        pieces, ThreadPool::SchedulingParams(ThreadPool::SchedulingStrategy::kFixedBlockSize, absl::nullopt, 1),
        [&](int64_t first, int64_t last) {
          for (int64_t i = first; i < last; ++i)
            work(rows * i / pieces, rows * (i + 1) / pieces, sums.data() + i * 2 * channels);
        });
    for (int64_t i = 1; i < pieces; ++i)
      for (int64_t j = 0; j < 2 * channels; ++j) sums[j] += sums[i * 2 * channels + j];
    return sums;
  }

  template <typename Work>
  static void ForRows(tf::OpKernelContext* c, int64_t rows, int64_t channels, const Work& work) {
    c->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(rows, channels, work);
  }
};

class NormalizationKernel : public RowsKernel {
 public:
  explicit NormalizationKernel(tf::OpKernelConstruction* c) : RowsKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("count", &count_));
  }

 protected:
  tf::Status Take(tf::OpKernelContext* c, Normalization* taken, tf::TensorShape* shape) const {
    *shape = c->input(0).shape();
    for (int i = 0; i < count_; ++i) {
      const tf::Tensor& part = c->input(i);
      if (Rows(part) != Rows(c->input(0)) || !part.dims())
        return InvalidArgument("`parts` of ", name(), " must differ in the last axis only. Received: ",
                               shape->DebugString(), " and ", part.shape().DebugString());
      taken->parts.push_back(Part{part.flat<float>().data(), Channels(part), taken->channels, taken->channels});
      taken->channels += Channels(part);
    }
    TF_RETURN_IF_ERROR(CheckVectors(c, count_, 3, taken->channels));
    taken->mean = c->input(count_).flat<float>().data();
    taken->scale = c->input(count_ + 1).flat<float>().data();
    taken->shift = c->input(count_ + 2).flat<float>().data();
    shape->set_dim(shape->dims() - 1, taken->channels);
    return absl::OkStatus();
  }

  int count_;
};

class NormalizationForward : public NormalizationKernel {
 public:
  using NormalizationKernel::NormalizationKernel;

  void Compute(tf::OpKernelContext* c) override {
    Normalization taken;
    tf::TensorShape shape;
    OP_REQUIRES_OK(c, Take(c, &taken, &shape));
    tf::Tensor* y;
    OP_REQUIRES_OK(c, c->allocate_output(0, shape, &y));
    float* out = y->flat<float>().data();
    ForRows(c, Rows(*y), taken.channels, [&](int64_t begin, int64_t end) { taken.Forward(begin, end, out); });
  }
};

class NormalizationBackward : public NormalizationKernel {
 public:
  explicit NormalizationBackward(tf::OpKernelConstruction* c) : NormalizationKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("offsets", &offsets_));
    OP_REQUIRES(c, offsets_.size() == static_cast<size_t>(count_),
                InvalidArgument("`offsets` of ", name(), " must be one for each part."));
  }

  void Compute(tf::OpKernelContext* c) override {
    Normalization taken;
    tf::TensorShape shape;
    OP_REQUIRES_OK(c, Take(c, &taken, &shape));
    const tf::Tensor &dy = c->input(count_ + 3), &sum = c->input(count_ + 4);
    OP_REQUIRES(c, dy.shape() == shape, InvalidArgument("`dy` of ", name(), " must have the shape of the result."));
    tf::Tensor* dx;
    if (sum.dims()) {
      OP_REQUIRES_OK(c, c->forward_input_or_allocate_output({count_ + 4}, 0, sum.shape(), &dx));
      if (!dx->SharesBufferWith(sum)) std::copy_n(sum.flat<float>().data(), sum.NumElements(), dx->flat<float>().data());
    } else {
      OP_REQUIRES_OK(c, c->allocate_output(0, shape, &dx));
      std::fill_n(dx->flat<float>().data(), dx->NumElements(), 0.0f);
    }
    for (int i = 0; i < count_; ++i) {
      taken.parts[i].gradient = offsets_[i];
      OP_REQUIRES_OK(c, CheckSum(*dx, Rows(dy), offsets_[i], taken.parts[i].channels));
    }
    const float* upstream = dy.flat<float>().data();
    float* out = dx->flat<float>().data();
    const std::vector<double> sums =
        Sums(c, Rows(dy), taken.channels, [&](int64_t begin, int64_t end, double* piece) {
          taken.Backward(begin, end, upstream, out, Channels(*dx), piece);
        });
    for (int i = 0; i < 2; ++i) {
      tf::Tensor* vector;
      OP_REQUIRES_OK(c, c->allocate_output(2 - i, tf::TensorShape({taken.channels}), &vector));
      std::copy_n(sums.data() + i * taken.channels, taken.channels, vector->flat<float>().data());
    }
  }

 private:
  std::vector<tf::int32> offsets_;
};

class MomentsForward : public RowsKernel {
 public:
  using RowsKernel::RowsKernel;

  void Compute(tf::OpKernelContext* c) override {
    const tf::Tensor& x = c->input(0);
    const int64_t rows = Rows(x), channels = Channels(x);
    tf::Tensor* moments[2];
    for (int i = 0; i < 2; ++i)
      OP_REQUIRES_OK(c, c->allocate_output(i, tf::TensorShape({channels}), &moments[i]));
    const float* in = x.flat<float>().data();
    float *mean = moments[0]->flat<float>().data(), *variance = moments[1]->flat<float>().data();
    // Squares of differences to some row, not to zero: far from zero they would lose the variance.
    const std::vector<float> origin(in, in + (rows ? channels : 0));
    const std::vector<double> sums = Sums(c, rows, channels, [&](int64_t begin, int64_t end, double* piece) {
      SumMoments(in, channels, origin.data(), begin, end, piece);
    });
    for (int64_t i = 0; i < channels; ++i) {
      const double difference = sums[i] / rows;
      mean[i] = rows ? origin[i] + difference : NAN;
      variance[i] = std::max(sums[channels + i] / rows - difference * difference, 0.0);
    }
  }
};

class MomentsBackward : public RowsKernel {
 public:
  explicit MomentsBackward(tf::OpKernelConstruction* c) : RowsKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("offset", &offset_));
  }

  void Compute(tf::OpKernelContext* c) override {
    const tf::Tensor &x = c->input(0), &sum = c->input(4);
    const int64_t channels = Channels(x), width = Channels(sum);
    OP_REQUIRES_OK(c, CheckVectors(c, 1, 3, channels));
    OP_REQUIRES_OK(c, CheckSum(sum, Rows(x), offset_, channels));
    tf::Tensor* dx;
    OP_REQUIRES_OK(c, c->allocate_output(0, x.shape(), &dx));
    const float *in = x.flat<float>().data(), *summed = sum.flat<float>().data() + offset_;
    const float* vectors[3];
    for (int i = 0; i < 3; ++i) vectors[i] = c->input(i + 1).flat<float>().data();
    float* out = dx->flat<float>().data();
    ForRows(c, Rows(x), channels, [&](int64_t begin, int64_t end) {
      const float *mean = vectors[0], *constant = vectors[1], *slope = vectors[2];
      for (int64_t row = begin; row < end; ++row) {
        const float *__restrict from = in + row * channels, *__restrict readers = summed + row * width;
        float* __restrict to = out + row * channels;
        for (int64_t i = 0; i < channels; ++i) {
          const float by_readers = width ? readers[i] : 0.0f;
          to[i] = by_readers + constant[i] + slope[i] * (from[i] - mean[i]);
        }
      }
    });
  }

 private:
  tf::int32 offset_;
};

REGISTER_KERNEL_BUILDER(Name("KerasSparseNormalization").Device(tf::DEVICE_CPU), NormalizationForward);
REGISTER_KERNEL_BUILDER(Name("KerasSparseNormalizationGradient").Device(tf::DEVICE_CPU), NormalizationBackward);
REGISTER_KERNEL_BUILDER(Name("KerasSparseMoments").Device(tf::DEVICE_CPU), MomentsForward);
REGISTER_KERNEL_BUILDER(Name("KerasSparseMomentsGradient").Device(tf::DEVICE_CPU), MomentsBackward);

}  // namespace keras_sparse
