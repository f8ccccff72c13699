#include "runtime/core/AtomicFile.h"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace attn::runtime {

static Status failure(const std::string &path) {
  return {StatusCode::IoError, fmt::format("{}: cannot be written: {}", path, std::strerror(errno))};
}

static bool writeAll(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

Status writeFileAtomically(const std::string &path, std::span<const std::byte> bytes) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format("{}.tmp-{}-{}", path, ::getpid(), counter++);
  int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0)
    return failure(path);
  bool written = writeAll(file, bytes);
  written = ::close(file) == 0 && written;
  if (written && std::rename(temporary.c_str(), path.c_str()) == 0)
    return {};
  Status status = failure(path);
  ::unlink(temporary.c_str());
  return status;
}

} // namespace attn::runtime
