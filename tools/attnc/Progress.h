// One line on the terminal about work that takes more than two seconds: what is done, how far, for how long.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>

namespace attn::tools {

/// Shows `what`, a bar when `total` is known, and the seconds, on standard error from the third second on. Draws nothing
/// where standard error is not a terminal. The line is gone when the work ends, so it never mixes with results.
///
///     Progress progress("checking", shapes.size());
///     for (…) { progress.step(); … progress.clear(); print(…); }
class Progress {
public:
  explicit Progress(std::string what, std::size_t total = 0);
  ~Progress() { finish(); }
  Progress(const Progress &) = delete;
  Progress &operator=(const Progress &) = delete;

  /// One of `total` is done.
  void step();
  /// Takes the line away until it is drawn next: call before printing something else.
  void clear();
  void finish();

private:
  void draw(double seconds);
  void erase();

  const std::string what;
  const std::size_t total;
  std::mutex mutex; // of all below
  std::condition_variable ended;
  std::size_t done = 0;
  bool isShown = false, isOver = false;
  std::thread thread;
};

} // namespace attn::tools
