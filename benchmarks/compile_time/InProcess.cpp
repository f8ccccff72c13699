// Milliseconds from text to a loaded kernel within a process: from the disk cache, and then from memory.
//
//     attn_compile_time SPEC RUNS     prints {"disk_ms": […], "memory_ms": […]}
//
// Each run is a child of its own, forked before anything of the compiler is touched, so that nothing is in memory yet. The
// device is `null`, which loads without work, so that the time is that of finding the kernel. A run before the first
// fills the cache.
#include "attn/Device.h"
#include "attn/Jit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using namespace attn;

namespace {
struct Times {
  double disk = 0, memory = 0;
};
} // namespace

static Result<double> millisecondsToPlan(const Device &device, const std::string &text, const std::string &path) {
  auto start = std::chrono::steady_clock::now();
  Result<Module> module = jit::compile(device, text, {.fileName = path});
  if (!module)
    return module.status();
  Result<Plan> plan = module->plan();
  if (!plan)
    return plan.status();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

static Result<Times> measure(const std::string &text, const std::string &path) {
  Result<Device> device = Device::open("null");
  if (!device)
    return device.status();
  Result<double> disk = millisecondsToPlan(*device, text, path);
  if (!disk)
    return disk.status();
  Result<double> memory = millisecondsToPlan(*device, text, path);
  if (!memory)
    return memory.status();
  return Times{*disk, *memory};
}

/// Measures in a child process. Nothing when it fails; it has said why.
static std::optional<Times> measureInChild(const std::string &text, const std::string &path) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0)
    return std::nullopt;
  pid_t child = ::fork();
  if (child == 0) {
    Result<Times> times = measure(text, path);
    if (!times)
      fmt::print(stderr, "{}\n", times.status().message());
    bool sent = times && ::write(ends[1], &*times, sizeof(Times)) == static_cast<ssize_t>(sizeof(Times));
    std::_Exit(sent ? 0 : 1);
  }
  ::close(ends[1]);
  Times times;
  bool received = child > 0 && ::read(ends[0], &times, sizeof times) == static_cast<ssize_t>(sizeof times);
  ::close(ends[0]);
  if (child > 0)
    ::waitpid(child, nullptr, 0);
  return received ? std::optional(times) : std::nullopt;
}

int main(int argc, char **argv) {
  int runs = argc == 3 ? std::atoi(argv[2]) : 0;
  std::ifstream file(argc == 3 ? argv[1] : "");
  if (runs <= 0 || !file) {
    fmt::print(stderr, "usage: attn_compile_time SPEC RUNS\n");
    return 2;
  }
  std::ostringstream text;
  text << file.rdbuf();
  std::vector<double> disk, memory;
  for (int run = 0; run <= runs; ++run) {
    std::optional<Times> times = measureInChild(text.str(), argv[1]);
    if (!times)
      return 1;
    if (run == 0)
      continue;
    disk.push_back(times->disk);
    memory.push_back(times->memory);
  }
  fmt::print("{{\"disk_ms\": [{:.4f}], \"memory_ms\": [{:.4f}]}}\n", fmt::join(disk, ", "), fmt::join(memory, ", "));
  return 0;
}
