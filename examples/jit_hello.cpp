// From a specification in a string to numbers: compile for the device at hand, launch, look at the result.
//
//     jit_hello [device]          auto, cuda:0, emulator
//
// The device is a GPU if there is one, else the built-in virtual GPU. In an own project:
//     find_package(attnc REQUIRED COMPONENTS jit)
//     target_link_libraries(my_engine PRIVATE attnc::jit)
#include <attn/Attn.h>
#include <attn/Jit.h>

#include <cmath>
#include <cstdio>
#include <vector>

using namespace attn;

// Grouped queries with rotary positions; each token sees itself and the 31 before it.
static constexpr const char *kSpecification = R"(
attention hello {
  q_heads: 4;  kv_heads: 2;  head_dim: 64;  dtype: bf16
  query = rope(query, q_pos)
  key   = rope(key, kv_pos)
  mask  = window(31) and causal()
}
)";

static constexpr std::int64_t kBatch = 1, kLength = 100, kQueryHeads = 4, kKeyHeads = 2, kHeadDim = 64;

/// A device buffer that holds `count` values made by `make`, rounded to bf16.
template <typename Make> static Result<Buffer> upload(const Device &device, std::int64_t count, Make make) {
  std::vector<std::uint16_t> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = roundToBF16(make(i));
  Result<Buffer> buffer = Buffer::allocate(device, values.size() * sizeof(std::uint16_t));
  if (buffer)
    if (Status status = buffer->upload(std::as_bytes(std::span(values))); !status)
      return status;
  return buffer;
}

static Status run(const char *deviceName) {
  Result<Device> device = Device::open(deviceName);
  if (!device)
    return device.status();
  std::printf("device: %s (%s)\n", device->info().name.c_str(), device->info().description.c_str());

  // Compiled once; the next run of this program finds the kernel in the cache (`attnc cache list`).
  jit::Options options{.fileName = "hello.attn", .note = [](std::string_view text) {
                         std::fprintf(stderr, "note: %.*s\n", static_cast<int>(text.size()), text.data());
                       }};
  Result<Module> module = jit::compile(*device, kSpecification, options);
  if (!module)
    return module.status();
  Result<Plan> plan = module->plan("hello");
  if (!plan)
    return plan.status();

  // Tensors lie as batch, rows, heads, dim. With every value equal to 1 each output must be 1 too: weights sum to 1.
  const std::int64_t queries = kBatch * kLength * kQueryHeads * kHeadDim, keys = kBatch * kLength * kKeyHeads * kHeadDim;
  Result<Buffer> query = upload(*device, queries, [](std::size_t i) { return std::sin(0.37 * double(i)); });
  Result<Buffer> key = upload(*device, keys, [](std::size_t i) { return std::cos(0.11 * double(i)); });
  Result<Buffer> value = upload(*device, keys, [](std::size_t) { return 1.0; });
  Result<Buffer> out = Buffer::allocate(*device, queries * 2);
  Result<Buffer> lse = Buffer::allocate(*device, kBatch * kQueryHeads * kLength * 4);
  Result<Stream> stream = Stream::create(*device);
  for (const Status &status : {query.status(), key.status(), value.status(), out.status(), lse.status(), stream.status()})
    if (!status)
      return status;

  const std::vector<Argument> arguments{{"query", query->view(ElementType::BF16, {kBatch, kLength, kQueryHeads, kHeadDim})},
                                        {"key", key->view(ElementType::BF16, {kBatch, kLength, kKeyHeads, kHeadDim})},
                                        {"value", value->view(ElementType::BF16, {kBatch, kLength, kKeyHeads, kHeadDim})},
                                        {"out", out->view(ElementType::BF16, {kBatch, kLength, kQueryHeads, kHeadDim})},
                                        {"lse", lse->view(ElementType::F32, {kBatch, kQueryHeads, kLength})}};
  // Two kernels: one rotates the keys, the other attends. What passes between them lies in memory of ours.
  Result<std::size_t> bytes = plan->workspaceBytes(arguments);
  if (!bytes)
    return bytes.status();
  Result<Buffer> workspace = Buffer::allocate(*device, *bytes);
  if (!workspace)
    return workspace.status();

  // Every argument is checked before the device sees it; a wrong one comes back in words.
  Status status = plan->launch(*stream, arguments, {.workspace = workspace->address(), .workspaceBytes = *bytes});
  if (status)
    status = stream->synchronize();
  if (!status)
    return status;

  std::vector<std::uint16_t> result(static_cast<std::size_t>(queries));
  if (Status read = out->download(std::as_writable_bytes(std::span(result))); !read)
    return read;
  double worst = 0;
  for (std::uint16_t bits : result)
    worst = std::fmax(worst, std::fabs(widenBF16(bits) - 1.0));
  std::printf("%zu outputs, farthest from 1: %g\n", result.size(), worst);
  return worst < 0.01 ? Status() : Status(StatusCode::Internal, "the weights do not sum to 1");
}

int main(int count, char **arguments) {
  if (Status status = run(count > 1 ? arguments[1] : "auto"); !status) {
    std::fprintf(stderr, "jit_hello: %s\n", status.message().c_str());
    return 1;
  }
  return 0;
}
