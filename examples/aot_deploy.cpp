// Deployment without a compiler: load a package made beforehand and launch from it. Links the runtime alone.
//
//     attnc compile examples/02_causal.attn --emit=package -o causal.pkg
//     aot_deploy causal.pkg [device]          auto, cuda:0, emulator
//
// Works with any package of one plan that needs no more than query, key, value, out and lse: sizes that the
// specification leaves open are chosen here.
#include <attn/Attn.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

using namespace attn;

/// Extents of this program's launch, by the names the plan uses.
static const std::map<std::string, std::int64_t> kExtents = {
    {"batch", 2}, {"q_len", 77}, {"kv_len", 130}, {"q_heads", 4}, {"kv_heads", 2}};

namespace {

struct Tensor {
  std::string name;
  Buffer buffer;
  TensorView view;
};

} // namespace

/// Shape of an argument: numbers stand for themselves, names for the extents above.
static Result<Dims> shapeOf(const ArgumentInfo &argument) {
  std::vector<std::int64_t> shape;
  for (const std::string &dim : argument.dims) {
    auto extent = kExtents.find(dim);
    std::int64_t size = extent != kExtents.end() ? extent->second : std::strtoll(dim.c_str(), nullptr, 10);
    if (size <= 0)
      return Status(StatusCode::Unsupported, "this example has no value for the size `" + dim + "` of `" + argument.name + "`");
    shape.push_back(size);
  }
  return Dims(shape);
}

/// Allocates an argument; inputs in a 16-bit float type are filled with waves.
static Result<Tensor> makeTensor(const Device &device, const ArgumentInfo &argument) {
  Result<Dims> shape = shapeOf(argument);
  if (!shape)
    return shape.status();
  const std::size_t bytes = TensorView(std::uint64_t{0}, argument.type, *shape).spanBytes().value_or(0);
  Result<Buffer> buffer = Buffer::allocate(device, bytes);
  if (!buffer)
    return buffer.status();
  if (argument.kind == ArgumentInfo::Kind::Input) {
    if (argument.type != ElementType::BF16 && argument.type != ElementType::F16)
      return Status(StatusCode::Unsupported, "this example fills f16 and bf16 alone, not `" + argument.name + "`");
    std::vector<std::uint16_t> values(bytes / 2);
    for (std::size_t i = 0; i < values.size(); ++i) {
      double wave = std::sin(0.01 * double(i) + double(argument.name.size()));
      values[i] = argument.type == ElementType::BF16 ? roundToBF16(wave) : roundToF16(wave);
    }
    if (Status status = buffer->upload(std::as_bytes(std::span(values))); !status)
      return status;
  }
  TensorView view = buffer->view(argument.type, *shape);
  return Tensor{argument.name, std::move(*buffer), view};
}

static Status run(const std::string &path, const char *deviceName) {
  Result<Device> device = Device::open(deviceName);
  if (!device)
    return device.status();
  Result<Module> module = Module::load(*device, path); // of the targets in the file, the one that suits the device
  if (!module)
    return module.status();
  Result<Plan> plan = module->plan();
  if (!plan)
    return plan.status();
  std::printf("%s for %s on %s\n", std::string(plan->name()).c_str(), std::string(plan->target()).c_str(),
              device->info().description.c_str());

  std::vector<Tensor> tensors;
  std::vector<Argument> arguments;
  for (const ArgumentInfo &argument : plan->arguments()) {
    if (argument.optional)
      continue; // it has a default
    Result<Tensor> tensor = makeTensor(*device, argument);
    if (!tensor)
      return tensor.status();
    tensors.push_back(std::move(*tensor));
  }
  for (const Tensor &tensor : tensors)
    arguments.emplace_back(tensor.name, tensor.view);

  // What the kernels pass among themselves is the caller's memory, so that a launch allocates nothing.
  Result<std::size_t> workspaceBytes = plan->workspaceBytes(arguments);
  if (!workspaceBytes)
    return workspaceBytes.status();
  Result<Buffer> workspace = Buffer::allocate(*device, *workspaceBytes);
  Result<Stream> stream = Stream::create(*device);
  if (!workspace || !stream)
    return workspace ? stream.status() : workspace.status();
  Status status = plan->launch(*stream, arguments, {.workspace = workspace->address(), .workspaceBytes = *workspaceBytes});
  if (status)
    status = stream->synchronize();
  if (!status)
    return status;

  for (const Tensor &tensor : tensors) {
    if (tensor.name != "out")
      continue;
    std::vector<std::uint16_t> values(tensor.buffer.size() / 2);
    if (Status read = tensor.buffer.download(std::as_writable_bytes(std::span(values))); !read)
      return read;
    bool isBF16 = tensor.view.type() == ElementType::BF16;
    std::printf("out[0, 0, 0, 0..3]:");
    for (std::size_t i = 0; i < 4 && i < values.size(); ++i)
      std::printf(" %.4f", isBF16 ? widenBF16(values[i]) : widenF16(values[i]));
    std::printf("\n");
  }
  return {};
}

int main(int count, char **arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: aot_deploy PACKAGE [DEVICE]\n");
    return 2;
  }
  if (Status status = run(arguments[1], count > 2 ? arguments[2] : "auto"); !status) {
    std::fprintf(stderr, "aot_deploy: %s\n", status.message().c_str());
    return 1;
  }
  return 0;
}
