// TensorFlow's operations around the products of product.h, for float32 on a CPU.
//
// Images are (batch, height, width, channels), values (connections, kernel height, kernel width), sorted by output and
// then by input; or (pairs, kernel height, kernel width, size, size), each pair a connected block. With a `window`, the
// size of a kernel, values are (connections, 1, 1) and inputs count its positions: position * channels + channel.
// Indices are looked at before they are used, for they may come from a file, and put in order: once, as long as the same
// ones come.

#include <atomic>
#include <limits>
#include <memory>
#include <mutex>

#include "product.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace keras_sparse {

namespace tf = ::tensorflow;
using tf::errors::InvalidArgument;
using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

tf::Status ForwardShape(InferenceContext* c) {
  ShapeHandle x, values;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(1), 3, &values));
  std::vector<tf::int32> strides, dilations;
  std::string padding;
  tf::int64 filters;
  TF_RETURN_IF_ERROR(c->GetAttr("strides", &strides));
  TF_RETURN_IF_ERROR(c->GetAttr("dilations", &dilations));
  TF_RETURN_IF_ERROR(c->GetAttr("padding", &padding));
  TF_RETURN_IF_ERROR(c->GetAttr("filters", &filters));
  std::vector<tf::int32> window;
  TF_RETURN_IF_ERROR(c->GetAttr("window", &window));
  const tf::Padding kind = padding == "SAME" ? tf::Padding::SAME : tf::Padding::VALID;
  DimensionHandle sizes[2];
  for (int i = 0; i < 2; ++i) {
    const DimensionHandle kernel = window.size() == 2 ? c->MakeDim(window[i]) : c->Dim(values, i + 1);
    if (!c->ValueKnown(kernel)) {
      sizes[i] = c->UnknownDim();
      continue;
    }
    TF_RETURN_IF_ERROR(tf::shape_inference::GetWindowedOutputSizeFromDimsV2(
        c, c->Dim(x, i + 1), c->Value(kernel), dilations[i], strides[i], kind, -1, -1, &sizes[i]));
  }
  c->set_output(0, c->MakeShape({c->Dim(x, 0), sizes[0], sizes[1], c->MakeDim(filters)}));
  return absl::OkStatus();
}

REGISTER_OP("KerasSparseProduct")
    .Input("x: float")
    .Input("values: float")
    .Input("inputs: int32")
    .Input("outputs: int32")
    .Output("y: float")
    .Attr("filters: int >= 1")
    .Attr("strides: list(int) >= 2 = [1, 1]")
    .Attr("dilations: list(int) >= 2 = [1, 1]")
    .Attr("padding: {'SAME', 'VALID'} = 'VALID'")
    .Attr("window: list(int) = []")
    .SetShapeFn(ForwardShape);

REGISTER_OP("KerasSparseProductGradientToInputs")
    .Input("x_shape: int32")
    .Input("dy: float")
    .Input("values: float")
    .Input("inputs: int32")
    .Input("outputs: int32")
    .Output("dx: float")
    .Attr("strides: list(int) >= 2 = [1, 1]")
    .Attr("dilations: list(int) >= 2 = [1, 1]")
    .Attr("padding: {'SAME', 'VALID'} = 'VALID'")
    .Attr("window: list(int) = []")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(0, &x));
      TF_RETURN_IF_ERROR(c->WithRank(x, 4, &x));
      c->set_output(0, x);
      return absl::OkStatus();
    });

REGISTER_OP("KerasSparseProductGradientToValues")
    .Input("x: float")
    .Input("dy: float")
    .Input("inputs: int32")
    .Input("outputs: int32")
    .Output("dvalues: float")
    .Attr("kernel_size: list(int) >= 2")
    .Attr("block_size: int >= 1 = 1")
    .Attr("strides: list(int) >= 2 = [1, 1]")
    .Attr("dilations: list(int) >= 2 = [1, 1]")
    .Attr("padding: {'SAME', 'VALID'} = 'VALID'")
    .Attr("window: list(int) = []")
    .SetShapeFn([](InferenceContext* c) {
      std::vector<tf::int32> size;
      tf::int32 block;
      TF_RETURN_IF_ERROR(c->GetAttr("kernel_size", &size));
      TF_RETURN_IF_ERROR(c->GetAttr("block_size", &block));
      std::vector<DimensionHandle> shape{c->Dim(c->input(2), 0), c->MakeDim(size[0]), c->MakeDim(size[1])};
      if (block > 1) shape.insert(shape.end(), 2, c->MakeDim(block));
      c->set_output(0, c->MakeShape(shape));
      return absl::OkStatus();
    });

// Connections that have been looked at, and their orders.
struct Known {
  tf::Tensor inputs, outputs;
  std::vector<int64_t> sizes;
  Connections connections;
  std::vector<Order> orders;
};

class ProductKernel : public tf::OpKernel {
 public:
  explicit ProductKernel(tf::OpKernelConstruction* c) : OpKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("strides", &strides_));
    OP_REQUIRES_OK(c, c->GetAttr("dilations", &dilations_));
    std::string padding;
    OP_REQUIRES_OK(c, c->GetAttr("padding", &padding));
    is_same_ = padding == "SAME";
    OP_REQUIRES_OK(c, c->GetAttr("window", &window_));
    OP_REQUIRES(c, window_.empty() || (window_.size() == 2 && window_[0] > 0 && window_[1] > 0),
                InvalidArgument("`window` of ", name(), " must be two integers >= 1, or nothing."));
    OP_REQUIRES(c, strides_.size() == 2 && dilations_.size() == 2 && *std::min_element(strides_.begin(), strides_.end()) > 0 &&
                       *std::min_element(dilations_.begin(), dilations_.end()) > 0,
                InvalidArgument("`strides` and `dilations` of ", name(), " must be two integers >= 1 each."));
  }

 protected:
  // One axis of an image of `in` pixels; one that gives no pixels at all is an error.
  tf::Status AxisOf(int i, int64_t in, int64_t kernel, std::vector<Axis>* axes) const {
    const int64_t stride = strides_[i], reach = (kernel - 1) * dilations_[i] + 1;
    const int64_t out = is_same_ ? (in + stride - 1) / stride : (in - reach) / stride + 1;
    if (kernel < 1 || (!is_same_ && in < reach))
      return InvalidArgument("An image of ", name(), " must have at least ", reach, " pixels along axis ", i + 1,
                             ", which is how far its kernel reaches. Received: ", in);
    const int64_t around = is_same_ ? std::max<int64_t>((out - 1) * stride + reach - in, 0) : 0;
    axes->emplace_back(in, out, kernel, stride, dilations_[i], around / 2);
    return absl::OkStatus();
  }

  tf::Status ShapeOf(const tf::TensorShape& x, int64_t filters, int64_t kh, int64_t kw,
                     std::vector<Shape>* shape) const {
    if (x.dims() != 4 || !x.dim_size(3) || !filters)
      return InvalidArgument("`x` of ", name(), " must have 4 axes, and channels. Received: ", x.DebugString());
    if (is_by_position()) {
      if (kh != 1 || kw != 1) return InvalidArgument("`values` of ", name(), " with a window must be (connections, 1, 1).");
      kh = window_[0], kw = window_[1];
    }
    std::vector<Axis> axes;
    TF_RETURN_IF_ERROR(AxisOf(0, x.dim_size(1), kh, &axes));
    TF_RETURN_IF_ERROR(AxisOf(1, x.dim_size(2), kw, &axes));
    shape->push_back(Shape{x.dim_size(0), x.dim_size(3), filters, axes[0], axes[1]});
    return absl::OkStatus();
  }

  // The orders that `make` gives for these indices, which are kept until others come. TensorFlow writes to no tensor that
  // someone holds: a variable that changes has a new one.
  template <typename Make>
  tf::Status OrdersOf(const tf::Tensor& inputs, const tf::Tensor& outputs, const Shape& shape, int64_t block,
                      const Make& make, std::shared_ptr<const Known>* orders) {
    std::vector<int64_t> sizes{shape.channels, shape.filters, block};
    for (int64_t tap = 0; tap < shape.taps(); ++tap) sizes.push_back(shape.phase(tap));
    const std::lock_guard<std::mutex> one_at_a_time(lock_);
    if (!known_ || !AreSame(known_->inputs, inputs) || !AreSame(known_->outputs, outputs) || known_->sizes != sizes) {
      known_.reset();
      TF_RETURN_IF_ERROR(Check(inputs, outputs, shape, block));
      const Connections connections{inputs.NumElements(), inputs.flat<tf::int32>().data(),
                                    outputs.flat<tf::int32>().data(), block, is_by_position()};
      try {
        known_ = std::make_shared<const Known>(Known{inputs, outputs, std::move(sizes), connections, make(connections)});
      } catch (const std::bad_alloc&) {
        return tf::errors::ResourceExhausted("There is not enough memory for the order of the connections of ", name());
      }
    }
    *orders = known_;
    return absl::OkStatus();
  }

  // Outputs that never decrease, and indices inside: what the products rely on.
  tf::Status Check(const tf::Tensor& inputs, const tf::Tensor& outputs, const Shape& shape, int64_t block) const {
    const int64_t count = inputs.NumElements();
    if (inputs.dims() != 1 || outputs.dims() != 1 || outputs.NumElements() != count)
      return InvalidArgument("`inputs` and `outputs` of ", name(), " must be vectors of one length. Received: ",
                             inputs.shape().DebugString(), " and ", outputs.shape().DebugString());
    if (count > std::numeric_limits<int32_t>::max() / (block * block) / (is_by_position() ? 1 : shape.taps()))
      return InvalidArgument("A kernel of ", name(), " must have less than 2^31 values. Received: ", count,
                             " pairs of blocks of ", block, ", ", shape.taps(), " values for each");
    if (shape.channels % block || shape.filters % block)
      return InvalidArgument("Blocks of ", name(), " must fill ", shape.channels, " x ", shape.filters,
                             " channels. Received: blocks of ", block);
    const tf::int32* in = inputs.flat<tf::int32>().data();
    const tf::int32* out = outputs.flat<tf::int32>().data();
    bool wrong = count && (out[0] < 0 || out[count - 1] >= shape.filters / block);
    if (is_by_position() && block > 1) return InvalidArgument("`values` of ", name(), " with a window have no blocks.");
    const uint32_t channels = shape.channels / block * (is_by_position() ? shape.taps() : 1);
    for (int64_t i = 0; i < count; ++i) wrong |= static_cast<uint32_t>(in[i]) >= channels;
    for (int64_t i = 1; i < count; ++i) wrong |= out[i] < out[i - 1];
    if (wrong)
      return InvalidArgument("`inputs` and `outputs` of ", name(), " must lie inside ", channels, " x ",
                             shape.filters / block, ", and `outputs` must never decrease. They were not made by keras_sparse, "
                             "or the file they come from is damaged.");
    return absl::OkStatus();
  }

  static bool IsImage(const tf::Tensor& y, const Shape& s) {
    return y.dims() == 4 && y.dim_size(0) == s.batch && y.dim_size(1) == s.rows.out && y.dim_size(2) == s.columns.out &&
           y.dim_size(3) == s.filters;
  }

  // Runs a product with TensorFlow's threads and memory. Where memory ends, in whatever thread, the operation fails.
  template <typename Work>
  static void Run(tf::OpKernelContext* c, const Shape& shape, const Work& work) {
    const auto* threads = c->device()->tensorflow_cpu_worker_threads();
    std::atomic<bool> failed{false};
    const Parallel parallel = [&](int64_t workers, const std::function<void(int64_t)>& piece) {
      using tsl::thread::ThreadPool;
      threads->workers->ParallelFor(
          workers, ThreadPool::SchedulingParams(ThreadPool::SchedulingStrategy::kFixedBlockSize, absl::nullopt, 1),
          [&](int64_t begin, int64_t end) {
            try {
              for (int64_t worker = begin; worker < end; ++worker) piece(worker);
            } catch (const std::bad_alloc&) {
              failed = true;
            }
          });
    };
    std::vector<tf::Tensor> memory;
    const Allocate allocate = [&](int64_t floats) -> float* {
      tf::Tensor tensor;
      if (!c->allocate_temp(tf::DT_FLOAT, tf::TensorShape({floats}), &tensor).ok()) throw std::bad_alloc();
      memory.push_back(tensor);
      return memory.back().flat<float>().data();
    };
    try {
      work(Product(shape, threads->num_threads, parallel, allocate));
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    if (failed) c->CtxFailure(tf::errors::ResourceExhausted("There is not enough memory for a product of keras_sparse."));
  }

  bool is_by_position() const { return !window_.empty(); }

  std::vector<tf::int32> strides_, dilations_, window_;
  bool is_same_;

 private:
  static bool AreSame(const tf::Tensor& a, const tf::Tensor& b) {
    return a.SharesBufferWith(b) && a.shape() == b.shape() && a.data() == b.data();
  }

  std::mutex lock_;
  std::shared_ptr<const Known> known_;
};

tf::Status CheckValues(const tf::Tensor& values, const tf::Tensor& inputs) {
  const bool has_blocks = values.dims() == 5 && values.dim_size(3) == values.dim_size(4) && values.dim_size(3) > 0;
  if ((values.dims() == 3 || has_blocks) && values.dim_size(0) == inputs.NumElements()) return absl::OkStatus();
  return InvalidArgument("`values` must have the shape (connections, height, width), or that and a square. Received: ",
                         values.shape().DebugString(), " for ", inputs.NumElements(), " connections");
}

int64_t BlockSize(const tf::Tensor& values) { return values.dims() == 5 ? values.dim_size(3) : 1; }

std::vector<Order> OneOrder(Order order) {
  std::vector<Order> orders;
  orders.push_back(std::move(order));
  return orders;
}

class Forward : public ProductKernel {
 public:
  explicit Forward(tf::OpKernelConstruction* c) : ProductKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("filters", &filters_));
  }

  void Compute(tf::OpKernelContext* c) override {
    const tf::Tensor &x = c->input(0), &values = c->input(1), &inputs = c->input(2), &outputs = c->input(3);
    std::vector<Shape> shape;
    OP_REQUIRES_OK(c, CheckValues(values, inputs));
    OP_REQUIRES_OK(c, ShapeOf(x.shape(), filters_, values.dim_size(1), values.dim_size(2), &shape));
    const Shape& s = shape[0];
    std::shared_ptr<const Known> known;
    const auto order = [&](const Connections& connections) { return OneOrder(Order::Forward(s, connections)); };
    OP_REQUIRES_OK(c, OrdersOf(inputs, outputs, s, BlockSize(values), order, &known));
    tf::Tensor* y;
    OP_REQUIRES_OK(c, c->allocate_output(0, tf::TensorShape({s.batch, s.rows.out, s.columns.out, s.filters}), &y));
    Run(c, s, [&](const Product& product) {
      product.Forward(x.flat<float>().data(), values.flat<float>().data(), known->connections, known->orders[0],
                      y->flat<float>().data());
    });
  }

 private:
  tf::int64 filters_;
};

class GradientToInputs : public ProductKernel {
 public:
  using ProductKernel::ProductKernel;

  void Compute(tf::OpKernelContext* c) override {
    const tf::Tensor &sizes = c->input(0), &dy = c->input(1), &values = c->input(2);
    const tf::Tensor &inputs = c->input(3), &outputs = c->input(4);
    tf::TensorShape x;
    std::vector<Shape> shape;
    OP_REQUIRES(c, sizes.dims() == 1 && dy.dims() == 4, InvalidArgument("`dy` must have 4 axes, as `x`."));
    OP_REQUIRES_OK(c, tf::TensorShapeUtils::MakeShape(sizes.vec<tf::int32>().data(), sizes.NumElements(), &x));
    OP_REQUIRES_OK(c, CheckValues(values, inputs));
    OP_REQUIRES_OK(c, ShapeOf(x, dy.dim_size(3), values.dim_size(1), values.dim_size(2), &shape));
    std::shared_ptr<const Known> known;
    const auto order = [&](const Connections& connections) { return Order::ToInputs(shape[0], connections); };
    OP_REQUIRES_OK(c, OrdersOf(inputs, outputs, shape[0], BlockSize(values), order, &known));
    OP_REQUIRES(c, IsImage(dy, shape[0]), InvalidArgument("`dy` does not have the shape of the result."));
    tf::Tensor* dx;
    OP_REQUIRES_OK(c, c->allocate_output(0, x, &dx));
    Run(c, shape[0], [&](const Product& product) {
      product.GradientToInputs(dy.flat<float>().data(), values.flat<float>().data(), known->connections, known->orders,
                               dx->flat<float>().data());
    });
  }
};

class GradientToValues : public ProductKernel {
 public:
  explicit GradientToValues(tf::OpKernelConstruction* c) : ProductKernel(c) {
    OP_REQUIRES_OK(c, c->GetAttr("kernel_size", &kernel_size_));
    OP_REQUIRES_OK(c, c->GetAttr("block_size", &block_size_));
    OP_REQUIRES(c, kernel_size_.size() == 2, InvalidArgument("`kernel_size` must be two integers."));
  }

  void Compute(tf::OpKernelContext* c) override {
    const tf::Tensor &x = c->input(0), &dy = c->input(1), &inputs = c->input(2), &outputs = c->input(3);
    std::vector<Shape> shape;
    OP_REQUIRES(c, dy.dims() == 4, InvalidArgument("`dy` must have 4 axes, as `x`."));
    OP_REQUIRES_OK(c, ShapeOf(x.shape(), dy.dim_size(3), kernel_size_[0], kernel_size_[1], &shape));
    std::shared_ptr<const Known> known;
    const auto order = [&](const Connections& connections) { return OneOrder(Order::ToValues(shape[0], connections)); };
    OP_REQUIRES_OK(c, OrdersOf(inputs, outputs, shape[0], block_size_, order, &known));
    OP_REQUIRES(c, IsImage(dy, shape[0]), InvalidArgument("`dy` does not have the shape of the result."));
    tf::TensorShape sizes({inputs.NumElements(), kernel_size_[0], kernel_size_[1]});
    if (block_size_ > 1) {
      sizes.AddDim(block_size_);
      sizes.AddDim(block_size_);
    }
    tf::Tensor* dvalues;
    OP_REQUIRES_OK(c, c->allocate_output(0, sizes, &dvalues));
    Run(c, shape[0], [&](const Product& product) {
      product.GradientToValues(x.flat<float>().data(), dy.flat<float>().data(), known->connections, known->orders[0],
                               dvalues->flat<float>().data());
    });
  }

 private:
  std::vector<tf::int32> kernel_size_;
  tf::int32 block_size_;
};

REGISTER_KERNEL_BUILDER(Name("KerasSparseProduct").Device(tf::DEVICE_CPU), Forward);
REGISTER_KERNEL_BUILDER(Name("KerasSparseProductGradientToInputs").Device(tf::DEVICE_CPU).HostMemory("x_shape"),
                        GradientToInputs);
REGISTER_KERNEL_BUILDER(Name("KerasSparseProductGradientToValues").Device(tf::DEVICE_CPU), GradientToValues);

}  // namespace keras_sparse

#include "normalization_operations.h"
