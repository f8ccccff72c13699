// Seconds for one forward pass on the virtual GPU, on one CPU thread: batch 1, 2 heads, 512 x 512, head_dim 128, bf16.
// Prints the median, the least and the greatest of five launches: seconds of wall time, and of the process's own time,
// which other work on the machine disturbs less.
#include "attn/Attn.h"
#include "attn/Jit.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <random>
#include <vector>

using namespace attn;

static std::vector<std::uint16_t> randomBf16(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<std::uint16_t> values(count);
  for (std::uint16_t &value : values)
    value = roundToBF16(normal(generator));
  return values;
}

static Status measure(const std::string &mask) {
  constexpr std::int64_t kLength = 512, kHeads = 2, kDim = 128;
  DeviceOptions options;
  options.emulator.threads = 1;
  Result<Device> device = Device::open("emulator", options);
  if (!device)
    return device.status();
  Result<Module> module = jit::compile(*device, "attention forward { q_heads: 2; head_dim: 128" + mask + " }");
  if (!module)
    return module.status();
  Result<Plan> plan = module->plan();
  if (!plan)
    return plan.status();
  Dims shape = {1, kLength, kHeads, kDim}, rows = {1, kHeads, kLength};
  std::size_t bytes = kLength * kHeads * kDim * 2;
  std::vector<Buffer> buffers;
  for (std::size_t size : {bytes, bytes, bytes, bytes, std::size_t(kHeads * kLength * 4)}) {
    Result<Buffer> buffer = Buffer::allocate(*device, size);
    if (!buffer)
      return buffer.status();
    buffers.push_back(std::move(*buffer));
  }
  for (unsigned i = 0; i < 3; ++i) {
    std::vector<std::uint16_t> values = randomBf16(bytes / 2, i);
    if (Status status = buffers[i].upload(std::as_bytes(std::span(values))); !status)
      return status;
  }
  Stream stream = Stream::defaultOf(*device);
  std::vector<double> seconds, own;
  for (int run = 0; run < 5; ++run) {
    auto start = std::chrono::steady_clock::now();
    std::clock_t ownStart = std::clock();
    Status status = plan->launch(stream, {{"query", buffers[0].view(ElementType::BF16, shape)},
                                          {"key", buffers[1].view(ElementType::BF16, shape)},
                                          {"value", buffers[2].view(ElementType::BF16, shape)},
                                          {"out", buffers[3].view(ElementType::BF16, shape)},
                                          {"lse", buffers[4].view(ElementType::F32, rows)}});
    if (!status)
      return status;
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    own.push_back(static_cast<double>(std::clock() - ownStart) / CLOCKS_PER_SEC);
  }
  std::sort(seconds.begin(), seconds.end());
  std::sort(own.begin(), own.end());
  fmt::print("{:8} median {:.3f} s, {:.3f} to {:.3f}; of the process itself {:.3f} s, {:.3f} to {:.3f}\n", mask.empty() ? "full" : "causal",
             seconds[2], seconds.front(), seconds.back(), own[2], own.front(), own.back());
  return {};
}

int main() {
  for (const char *mask : {"", "; mask = causal()"})
    if (Status status = measure(mask); !status) {
      fmt::print(stderr, "{}\n", status.message());
      return 1;
    }
  return 0;
}
