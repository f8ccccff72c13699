#include "tools/attnc/Progress.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <unistd.h>

namespace attn::tools {

static constexpr std::chrono::milliseconds kQuiet{2000}, kInterval{250};
static constexpr std::size_t kBarWidth = 24;

Progress::Progress(std::string what, std::size_t total) : what(std::move(what)), total(total) {
  if (!::isatty(STDERR_FILENO))
    return;
  thread = std::thread([this] {
    auto start = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex);
    for (auto wait = kQuiet; !ended.wait_for(lock, wait, [this] { return isOver; }); wait = kInterval)
      draw(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    erase();
  });
}

void Progress::draw(double seconds) {
  std::string bar;
  if (total) {
    std::size_t filled = done * kBarWidth / total;
    bar = fmt::format(" [{}{}] {}/{}", std::string(filled, '#'), std::string(kBarWidth - filled, '.'), done, total);
  }
  fmt::print(stderr, "\r\033[K{}{} {:.0f} s", what, bar, seconds);
  std::fflush(stderr);
  isShown = true;
}

void Progress::erase() {
  if (!isShown)
    return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  isShown = false;
}

void Progress::step() {
  std::lock_guard lock(mutex);
  ++done;
}

void Progress::clear() {
  std::lock_guard lock(mutex);
  erase();
}

void Progress::finish() {
  if (!thread.joinable())
    return;
  {
    std::lock_guard lock(mutex);
    isOver = true;
  }
  ended.notify_all();
  thread.join();
}

} // namespace attn::tools
